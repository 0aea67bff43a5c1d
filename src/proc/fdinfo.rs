//! `/proc/PID/fdinfo/FD` (proc_pid_fdinfo(5)): an open file description, and what its kind adds.
//!
//! Relies on `locks.rs` and `watch.rs` for the lines that list things. Lines of other kinds are kept as they are.

use super::dir::ProcDir;
use super::error::{Malformed, ProcError};
use super::locks::Lock;
use super::text::{Words, key_value, lines, unsigned};
use super::watch::{EpollTarget, InotifyWatch};

/// What fdinfo says about a descriptor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fdinfo {
    /// File offset, bytes.
    pub pos: i64,
    /// Access mode and status flags as open(2) and fcntl(F_GETFL) have them, and O_CLOEXEC of this descriptor.
    pub flags: i32,
    /// Mount the file was reached through: a key of mountinfo, unless it is one of the kernel's own.
    pub mnt_id: i32,
    /// Inode number (since Linux 5.14).
    pub inode: Option<u64>,
    /// Locks: those of the description, and those the process got through it.
    pub locks: Vec<Lock>,
    /// Of an eventfd.
    pub eventfd: Option<Eventfd>,
    /// Of a timerfd.
    pub timerfd: Option<Timerfd>,
    /// Of a signalfd: its signals, bit N-1 for signal N.
    pub sigmask: Option<u64>,
    /// Of an epoll instance.
    pub epoll: Vec<EpollTarget>,
    /// Of an inotify instance.
    pub inotify: Vec<InotifyWatch>,
    /// Of a pidfd: the process; -1 when that was reaped, 0 when it is outside our pid namespace.
    pub pid: Option<i32>,
    /// Every other line: key and value, or the whole line and nothing (`tty-index`, `scm_fds`, fanotify, io_uring …).
    pub others: Vec<(String, String)>,
}

/// eventfd(2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Eventfd {
    /// The counter.
    pub count: u64,
    /// Number of the object, the same in every description of it (since Linux 5.2).
    pub id: Option<i32>,
    /// EFD_SEMAPHORE (since Linux 6.5).
    pub semaphore: Option<bool>,
}

/// timerfd_create(2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timerfd {
    /// `CLOCK_*`.
    pub clock: i32,
    /// Expirations nobody has read yet.
    pub ticks: u64,
    /// `TFD_TIMER_*` of the last timerfd_settime(2); the value below is relative all the same.
    pub settime_flags: i32,
    /// Time to the next expiration: seconds and nanoseconds; (0, 0) when disarmed.
    pub value: (i64, i64),
    /// Period: seconds and nanoseconds.
    pub interval: (i64, i64),
}

impl Fdinfo {
    /// Parses the file.
    pub fn parse(text: &[u8]) -> Result<Fdinfo, Malformed> {
        let mut fdinfo = Fdinfo::default();
        let mut last = (1, false);
        for (line, text) in lines(text) {
            fdinfo.take(line, text)?;
            last = (line, last.1 || text.starts_with(b"mnt_id:"));
        }
        // `mnt_id` is the last of the three lines that every descriptor has.
        if last.1 { Ok(fdinfo) } else { Err(Malformed { line: last.0, expected: "pos, flags and mnt_id before the end" }) }
    }

    /// Whether this descriptor closes on exec.
    pub fn cloexec(&self) -> bool {
        self.flags & libc::O_CLOEXEC != 0
    }

    /// Flags of the description: [`Fdinfo::flags`] without O_CLOEXEC, which is the descriptor's.
    pub fn status_flags(&self) -> i32 {
        self.flags & !libc::O_CLOEXEC
    }

    /// The value of a line that has no field here, for example `tty-index`.
    pub fn other(&self, key: &str) -> Option<&str> {
        self.others.iter().find(|(have, _)| have == key).map(|(_, value)| value.as_str())
    }

    fn take(&mut self, line: usize, text: &[u8]) -> Result<(), Malformed> {
        if text.starts_with(b"inotify wd:") {
            self.inotify.push(InotifyWatch::parse(line, text)?);
            return Ok(());
        }
        let (key, value) = key_value(text).unwrap_or((text, b""));
        let mut words = Words::new(line, value);
        match key {
            b"pos" => self.pos = words.signed("an offset")?,
            b"flags" => self.flags = words.unsigned(8, "octal flags")?,
            b"mnt_id" => self.mnt_id = words.signed("a mount id")?,
            b"ino" => self.inode = Some(words.unsigned(10, "an inode")?),
            b"lock" => self.locks.push(Lock::parse(words)?),
            b"tfd" => self.epoll.push(EpollTarget::parse(line, text)?),
            b"sigmask" => self.sigmask = Some(words.unsigned(16, "a set in hexadecimal")?),
            b"Pid" => self.pid = Some(words.signed("a process id")?),
            b"eventfd-count" | b"eventfd-id" | b"eventfd-semaphore" => {
                self.eventfd.get_or_insert_default().take(key, words)?;
            }
            b"clockid" | b"ticks" | b"settime flags" | b"it_value" | b"it_interval" => {
                self.timerfd.get_or_insert_default().take(key, words)?;
            }
            _ => self.take_other(text),
        }
        Ok(())
    }

    fn take_other(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        // `key: value` is a pair; `fanotify ino:1 sdev:2` is not.
        let (key, value) = match text.split_once(':') {
            Some((key, value)) if value.starts_with([' ', '\t']) || value.is_empty() => (key, value.trim()),
            _ => (text.as_ref(), ""),
        };
        self.others.push((key.to_owned(), value.to_owned()));
    }
}

impl Eventfd {
    fn take(&mut self, key: &[u8], mut words: Words<'_>) -> Result<(), Malformed> {
        match key {
            b"eventfd-count" => self.count = words.unsigned(16, "a counter in hexadecimal")?,
            b"eventfd-id" => self.id = Some(words.signed("an eventfd's number")?),
            _ => self.semaphore = Some(words.unsigned::<u32>(10, "0 or 1")? != 0),
        }
        Ok(())
    }
}

impl Timerfd {
    fn take(&mut self, key: &[u8], mut words: Words<'_>) -> Result<(), Malformed> {
        match key {
            b"clockid" => self.clock = words.signed("a clock")?,
            b"ticks" => self.ticks = words.unsigned(10, "a number of ticks")?,
            b"settime flags" => self.settime_flags = words.unsigned(8, "octal flags")?,
            b"it_value" => self.value = parse_time(&mut words)?,
            _ => self.interval = parse_time(&mut words)?,
        }
        Ok(())
    }
}

/// `(998, 868682743)`: seconds and nanoseconds.
fn parse_time(words: &mut Words<'_>) -> Result<(i64, i64), Malformed> {
    const EXPECTED: &str = "(seconds, nanoseconds)";
    let seconds = words.word(EXPECTED)?.strip_prefix(b"(").and_then(|word| word.strip_suffix(b","));
    let nanoseconds = words.word(EXPECTED)?.strip_suffix(b")");
    let parsed = seconds.and_then(|word| unsigned(word, 10)).zip(nanoseconds.and_then(|word| unsigned(word, 10)));
    parsed.ok_or(words.expected(EXPECTED))
}

impl ProcDir {
    /// `/proc/PID/fdinfo/FD`.
    pub fn fdinfo(&self, fd: i32) -> Result<Fdinfo, ProcError> {
        self.parsed(&format!("fdinfo/{fd}"), Fdinfo::parse)
    }
}

#[cfg(test)]
#[path = "fdinfo_test.rs"]
mod test;
