//! `/proc/PID/timers` (proc_pid_timers(5)): the POSIX timers a process made with timer_create(2).
//!
//! Relies on nothing. When a timer expires next is not told: the process must be asked (timer_gettime(2)), and its overrun too.
//! Needs a kernel with CONFIG_CHECKPOINT_RESTORE; without it the file is absent.

use super::dir::ProcDir;
use super::error::{Malformed, ProcError};
use super::text::{key_value, lines, signed, unsigned};

/// A POSIX timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PosixTimer {
    /// The kernel's timer id, which the C library may hide from the program.
    pub id: i32,
    /// `sigev_signo`.
    pub signal: i32,
    /// `sigev_value`, as a pointer.
    pub value: u64,
    /// `sigev_notify`, without SIGEV_THREAD_ID.
    pub notify: Notify,
    /// Who is told.
    pub target: Target,
    /// `CLOCK_*`, or a negative number for a CPU-time clock: -6 is CLOCK_PROCESS_CPUTIME_ID. timer_create(2) takes either.
    pub clock: i32,
}

/// What an expiration does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    /// SIGEV_NONE.
    None,
    /// SIGEV_SIGNAL.
    Signal,
    /// SIGEV_THREAD: to the kernel the same as a signal; the C library asks for a signal to a thread of its own instead.
    Thread,
}

/// Who is told of an expiration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Any thread of the process.
    Process(i32),
    /// This thread (SIGEV_THREAD_ID).
    Thread(i32),
}

impl PosixTimer {
    /// Parses the file: four lines a timer, more in kernels to come.
    pub fn parse_all(text: &[u8]) -> Result<Vec<PosixTimer>, Malformed> {
        let lines: Vec<(usize, &[u8])> = lines(text).collect();
        lines.chunk_by(|_, (_, next)| !next.starts_with(b"ID:")).map(PosixTimer::parse).collect()
    }

    fn parse(lines: &[(usize, &[u8])]) -> Result<PosixTimer, Malformed> {
        let (line, id) = field(lines, "ID")?;
        let id = signed(id).ok_or(Malformed { line, expected: "a timer id" })?;
        let (line, signal) = field(lines, "signal")?;
        let (signal, value) = parse_signal(signal).ok_or(Malformed { line, expected: "a signal and a value" })?;
        let (line, notify) = field(lines, "notify")?;
        let (notify, target) = parse_notify(notify).ok_or(Malformed { line, expected: "a way to notify and a target" })?;
        let (line, clock) = field(lines, "ClockID")?;
        let clock = signed(clock).ok_or(Malformed { line, expected: "a clock" })?;
        Ok(PosixTimer { id, signal, value, notify, target, clock })
    }
}

/// The value of a line of one timer, and the number of the line.
fn field<'a>(lines: &[(usize, &'a [u8])], key: &'static str) -> Result<(usize, &'a [u8]), Malformed> {
    let mut fields = lines.iter().filter_map(|&(line, text)| Some((line, key_value(text)?)));
    let found = fields.find(|(_, (have, _))| *have == key.as_bytes()).map(|(line, (_, value))| (line, value));
    found.ok_or(Malformed { line: lines.first().map_or(1, |(line, _)| *line), expected: key })
}

/// `10/000000001234abcd`.
fn parse_signal(text: &[u8]) -> Option<(i32, u64)> {
    let slash = text.iter().position(|&byte| byte == b'/')?;
    Some((signed(&text[..slash])?, unsigned(&text[slash + 1..], 16)?))
}

/// `signal/tid.8425`.
fn parse_notify(text: &[u8]) -> Option<(Notify, Target)> {
    let slash = text.iter().position(|&byte| byte == b'/')?;
    let notify = match &text[..slash] {
        b"none" => Notify::None,
        b"signal" => Notify::Signal,
        b"thread" => Notify::Thread,
        _ => return None,
    };
    let target = &text[slash + 1..];
    let process = target.strip_prefix(b"pid.").and_then(signed).map(Target::Process);
    let target = process.or_else(|| target.strip_prefix(b"tid.").and_then(signed).map(Target::Thread))?;
    Some((notify, target))
}

impl ProcDir {
    /// `/proc/PID/timers`, in ascending order of ids.
    pub fn timers(&self) -> Result<Vec<PosixTimer>, ProcError> {
        let mut timers = self.parsed("timers", PosixTimer::parse_all)?;
        timers.sort_by_key(|timer| timer.id);
        Ok(timers)
    }
}

#[cfg(test)]
mod test {
    use super::super::text::survives_cuts;
    use super::*;

    const TIMERS: &[u8] = b"ID: 2\nsignal: 0/0000000000000000\nnotify: none/pid.8425\nClockID: -6\n\
        ID: 1\nsignal: 35/0000000000000007\nnotify: signal/tid.8425\nClockID: 0\n\
        ID: 0\nsignal: 10/000000001234abcd\nnotify: signal/pid.8425\nClockID: 1\n";

    #[test]
    fn every_sort_of_timer() {
        let rows: Vec<String> = PosixTimer::parse_all(TIMERS).unwrap().iter().map(|timer| format!("{timer:?}")).collect();
        insta::assert_snapshot!(rows.join("\n"), @"
        PosixTimer { id: 2, signal: 0, value: 0, notify: None, target: Process(8425), clock: -6 }
        PosixTimer { id: 1, signal: 35, value: 7, notify: Signal, target: Thread(8425), clock: 0 }
        PosixTimer { id: 0, signal: 10, value: 305441741, notify: Signal, target: Process(8425), clock: 1 }
        ");
    }

    #[test]
    fn a_process_without_timers_has_an_empty_file() {
        assert_eq!(PosixTimer::parse_all(b""), Ok(vec![]));
        ProcDir::open(std::process::id().cast_signed()).unwrap().timers().unwrap();
    }

    #[test]
    fn a_cut_text_is_refused_without_panic() {
        survives_cuts(TIMERS, PosixTimer::parse_all);
        for (text, line, expected) in [
            ("ID: 1\nsignal: 0/0\nnotify: none/pid.1\nClockID: 0\nID: 2\nsignal: 0/00\n", 5, "notify"),
            ("signal: 0/0\n", 1, "ID"),
            ("ID: 2\nsignal: 0/0\nnotify: none/cat.1\n", 3, "a way to notify and a target"),
        ] {
            assert_eq!(PosixTimer::parse_all(text.as_bytes()), Err(Malformed { line, expected }));
        }
    }
}
