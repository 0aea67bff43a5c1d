//! `/proc/PID/stat` and `/proc/PID/task/TID/stat` (proc_pid_stat(5)): one line of numbers about a process or thread.
//!
//! Relies on nothing. Addresses, and the exit code, are 0 when we may not trace the process.

use super::device::Device;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::dir::ProcDir;
use super::error::{Malformed, ProcError};
use super::text::Words;

/// The fields that matter to a checkpoint. In a thread's file, `pid` is the thread id and the rest is the process's where
/// proc_pid_stat(5) says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Process or thread id.
    pub pid: i32,
    /// Name as prctl(PR_SET_NAME) left it: up to 15 bytes of anything but NUL.
    pub comm: OsString,
    /// One letter: R, S, D, Z, T (stopped), t (traced), X, I …
    pub state: char,
    /// Parent process.
    pub ppid: i32,
    /// Process group.
    pub pgrp: i32,
    /// Session.
    pub session: i32,
    /// Controlling terminal as a 32-bit device number; 0 when there is none.
    pub tty_nr: i32,
    /// Foreground process group of that terminal, -1 when there is none.
    pub tpgid: i32,
    /// Kernel flags, `PF_*` of `linux/sched.h`.
    pub flags: u32,
    /// Nice value, -20 to 19.
    pub nice: i32,
    /// Threads in the process.
    pub num_threads: i32,
    /// Start time in clock ticks since boot, in our time namespace.
    pub start_ticks: u64,
    /// Address where program text starts.
    pub start_code: u64,
    /// Address where program text ends.
    pub end_code: u64,
    /// Address of the bottom of the stack.
    pub start_stack: u64,
    /// Signal sent to the parent at the end; -1 in a thread that is not the leader.
    pub exit_signal: i32,
    /// Real-time priority, 1 to 99; 0 under other policies.
    pub rt_priority: u32,
    /// Scheduling policy, `SCHED_*`.
    pub policy: u32,
    /// Address where initialised data starts.
    pub start_data: u64,
    /// Address where uninitialised data ends.
    pub end_data: u64,
    /// Address above which brk(2) grows the heap.
    pub start_brk: u64,
    /// Address of the command line.
    pub arg_start: u64,
    /// Address after the command line.
    pub arg_end: u64,
    /// Address of the environment.
    pub env_start: u64,
    /// Address after the environment.
    pub env_end: u64,
    /// Wait status of a zombie, as waitpid(2) gives it.
    pub exit_code: i32,
}

impl Stat {
    /// The terminal that controls its session.
    pub fn terminal(&self) -> Option<Device> {
        (self.tty_nr != 0).then(|| Device::from_stat(self.tty_nr))
    }

    /// Parses the file. The name may hold blanks, parentheses and newlines: it ends at the last `)`.
    pub fn parse(text: &[u8]) -> Result<Stat, Malformed> {
        let wrong = |expected| Malformed { line: 1, expected };
        let open = text.iter().position(|&byte| byte == b'(').ok_or(wrong("a name in parentheses"))?;
        let close = text.iter().rposition(|&byte| byte == b')').ok_or(wrong("the end of the name"))?;
        let comm = text.get(open + 1..close).ok_or(wrong("a name in parentheses"))?;
        let pid = Words::new(1, &text[..open]).signed("a process id")?;
        let mut words = Words::new(1, &text[close + 1..]);
        let state = words.word("a state letter")?[0];
        let stat = Stat {
            pid,
            comm: OsString::from_vec(comm.to_vec()),
            state: char::from(state),
            ppid: words.signed("the parent")?,
            pgrp: words.signed("the process group")?,
            session: words.signed("the session")?,
            tty_nr: words.signed("the terminal")?,
            tpgid: words.signed("the foreground process group")?,
            flags: words.unsigned(10, "the flags")?,
            nice: skip(&mut words, 9)?.signed("the nice value")?,
            num_threads: words.signed("the number of threads")?,
            start_ticks: skip(&mut words, 1)?.unsigned(10, "the start time")?,
            start_code: skip(&mut words, 3)?.unsigned(10, "the start of code")?,
            end_code: words.unsigned(10, "the end of code")?,
            start_stack: words.unsigned(10, "the start of the stack")?,
            exit_signal: skip(&mut words, 9)?.signed("the exit signal")?,
            rt_priority: skip(&mut words, 1)?.unsigned(10, "the real-time priority")?,
            policy: words.unsigned(10, "the policy")?,
            start_data: skip(&mut words, 3)?.unsigned(10, "the start of data")?,
            end_data: words.unsigned(10, "the end of data")?,
            start_brk: words.unsigned(10, "the start of the break")?,
            arg_start: words.unsigned(10, "the start of arguments")?,
            arg_end: words.unsigned(10, "the end of arguments")?,
            env_start: words.unsigned(10, "the start of the environment")?,
            env_end: words.unsigned(10, "the end of the environment")?,
            exit_code: words.signed("the exit code")?,
        };
        Ok(stat)
    }
}

/// Passes over fields that nobody asks for.
fn skip<'a, 'b>(words: &'b mut Words<'a>, n_words: usize) -> Result<&'b mut Words<'a>, Malformed> {
    for _ in 0..n_words {
        words.word("another field")?;
    }
    Ok(words)
}

impl ProcDir {
    /// `/proc/PID/stat`.
    pub fn stat(&self) -> Result<Stat, ProcError> {
        self.parsed("stat", Stat::parse)
    }
}

#[cfg(test)]
mod test {
    use super::super::text::survives_cuts;
    use super::*;

    const SLEEPING: &[u8] = b"8425 (a) (b :c) S 8417 8425 8425 0 -1 4194560 218 0 0 0 0 0 0 0 20 0 2 0 176512 11038720 342 \
        18446744073709551615 93883136413696 93883136417269 140721307473808 0 0 0 512 268435462 0 0 0 0 17 1 0 0 0 0 0 \
        93883136425424 93883136426344 93884144189440 140721307474664 140721307474668 140721307474668 140721307475956 0\n";

    const ZOMBIE: &[u8] = b"8404 (python3) Z 8363 8356 5415 0 -1 4227148 229 0 0 0 0 0 0 0 20 0 1 0 174867 0 0 \
        18446744073709551615 0 0 0 0 0 0 0 16781312 2 1 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 768\n";

    #[test]
    fn every_field_of_a_sleeping_process() {
        insta::assert_debug_snapshot!(Stat::parse(SLEEPING), @r#"
        Ok(
            Stat {
                pid: 8425,
                comm: "a) (b :c",
                state: 'S',
                ppid: 8417,
                pgrp: 8425,
                session: 8425,
                tty_nr: 0,
                tpgid: -1,
                flags: 4194560,
                nice: 0,
                num_threads: 2,
                start_ticks: 176512,
                start_code: 93883136413696,
                end_code: 93883136417269,
                start_stack: 140721307473808,
                exit_signal: 17,
                rt_priority: 0,
                policy: 0,
                start_data: 93883136425424,
                end_data: 93883136426344,
                start_brk: 93884144189440,
                arg_start: 140721307474664,
                arg_end: 140721307474668,
                env_start: 140721307474668,
                env_end: 140721307475956,
                exit_code: 0,
            },
        )
        "#);
    }

    #[test]
    fn a_zombie_shows_its_wait_status_and_no_addresses() {
        let stat = Stat::parse(ZOMBIE).unwrap();
        assert_eq!((stat.state, stat.exit_code, stat.start_stack), ('Z', 3 << 8, 0));
    }

    #[test]
    fn a_name_may_hold_what_looks_like_the_next_fields() {
        let text = String::from_utf8_lossy(SLEEPING).replace("a) (b :c", "x) R 1 1\n9 (");
        let stat = Stat::parse(text.as_bytes()).unwrap();
        assert_eq!((stat.comm.to_str(), stat.ppid), (Some("x) R 1 1\n9 ("), 8417));
        let bytes = [b"1 (\xff\xfe".as_slice(), &SLEEPING[SLEEPING.len() - 260..]].concat();
        assert!(Stat::parse(&bytes).is_err(), "cut in the middle");
    }

    #[test]
    fn a_cut_text_is_refused_without_panic() {
        survives_cuts(SLEEPING, Stat::parse);
        assert_eq!(Stat::parse(b") ("), Err(Malformed { line: 1, expected: "a name in parentheses" }));
        assert_eq!(Stat::parse(&SLEEPING[..40]), Err(Malformed { line: 1, expected: "another field" }));
    }
}
