//! `/proc/PID/syscall` (proc_pid_syscall(5)): the system call a thread sleeps in.
//!
//! Relies on nothing. Needs CONFIG_HAVE_ARCH_TRACEHOOK, and the right to trace the thread.

use super::dir::ProcDir;
use super::error::{Malformed, ProcError};
use super::text::{Words, unsigned};

/// Where a thread is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syscall {
    /// On a processor, or ready to be.
    Running,
    /// Asleep outside any system call, for example stopped or in a page fault.
    Elsewhere {
        /// Stack pointer.
        sp: u64,
        /// Program counter.
        pc: u64,
    },
    /// Asleep in a system call.
    Call {
        /// Its number.
        number: i64,
        /// Its arguments.
        arguments: [u64; 6],
        /// Stack pointer.
        sp: u64,
        /// Program counter, after the `syscall` instruction.
        pc: u64,
    },
}

impl Syscall {
    /// Parses the file.
    pub fn parse(text: &[u8]) -> Result<Syscall, Malformed> {
        let mut words = Words::new(1, text);
        if words.peek() == Some(b"running") {
            return Ok(Syscall::Running);
        }
        let number = words.signed("running or a number")?;
        let mut arguments = [0; 6];
        if number != -1 {
            for argument in &mut arguments {
                *argument = hex(&mut words, "six arguments")?;
            }
        }
        let (sp, pc) = (hex(&mut words, "a stack pointer")?, hex(&mut words, "a program counter")?);
        Ok(if number == -1 { Syscall::Elsewhere { sp, pc } } else { Syscall::Call { number, arguments, sp, pc } })
    }
}

fn hex(words: &mut Words<'_>, expected: &'static str) -> Result<u64, Malformed> {
    let digits = words.word(expected)?.strip_prefix(b"0x");
    digits.and_then(|digits| unsigned(digits, 16)).ok_or(words.expected(expected))
}

impl ProcDir {
    /// `/proc/PID/syscall`.
    pub fn syscall(&self) -> Result<Syscall, ProcError> {
        self.parsed("syscall", Syscall::parse)
    }
}

#[cfg(test)]
mod test {
    use super::super::text::survives_cuts;
    use super::*;

    const ASLEEP: &[u8] = b"257 0xffffff9c 0x562b2560e087 0x1 0x0 0x0 0x7ff0bab3f740 0x7ffd273880f0 0x7ff0bac3a011\n";

    #[test]
    fn a_sleeping_thread_shows_its_call() {
        insta::assert_debug_snapshot!(Syscall::parse(ASLEEP), @"
        Ok(
            Call {
                number: 257,
                arguments: [
                    4294967196,
                    94743310688391,
                    1,
                    0,
                    0,
                    140671901235008,
                ],
                sp: 140725261467888,
                pc: 140671902261265,
            },
        )
        ");
    }

    #[test]
    fn a_thread_may_run_or_be_outside_any_call() {
        assert_eq!(Syscall::parse(b"running\n"), Ok(Syscall::Running));
        assert_eq!(Syscall::parse(b"-1 0x0 0x10\n"), Ok(Syscall::Elsewhere { sp: 0, pc: 16 }));
    }

    #[test]
    fn a_cut_text_is_refused_without_panic() {
        survives_cuts(ASLEEP, Syscall::parse);
        assert_eq!(Syscall::parse(&ASLEEP[..30]), Err(Malformed { line: 1, expected: "six arguments" }));
    }
}
