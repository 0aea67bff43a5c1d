//! `/proc/locks` (proc_locks(5)) and the `lock:` lines of fdinfo, which have the same shape.
//!
//! Relies on nothing. In `/proc/locks` a lock is followed by those who wait for it, marked `->` and with its number. Pids are in
//! our namespace.

use super::device::Device;
use super::error::{Malformed, ProcError};
use super::text::{Words, lines, unsigned};

/// A lock that is held, or waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Its number in this listing, from 1; a waiting one has the number of what it waits for.
    pub number: u64,
    /// Whether it is waited for, not held.
    pub waiting: bool,
    /// Which interface made it, and so who owns it.
    pub kind: LockKind,
    /// What it allows.
    pub access: Access,
    /// The process that took it; -1 for `Ofd`. A `Flock` may outlive that process.
    pub pid: i32,
    /// Device and inode of the file; none for a waiting lease.
    pub file: Option<(Device, u64)>,
    /// First byte.
    pub start: u64,
    /// Last byte; none to the end of the file, wherever that comes to be.
    pub end: Option<u64>,
}

/// Which interface made a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockKind {
    /// fcntl(F_SETLK): owned by the process.
    Posix,
    /// fcntl(F_OFD_SETLK): owned by the description.
    Ofd,
    /// flock(2): owned by the description.
    Flock,
    /// fcntl(F_SETLEASE): owned by the description.
    Lease(LeaseState),
    /// A lease of the NFS server.
    Delegation(LeaseState),
    /// Any other, by the kernel's word.
    Other(String),
}

/// How a lease fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// It holds.
    Active,
    /// Somebody opened the file: the holder has been told to give it up.
    Breaking,
    /// Somebody who waits for a lease to be given up.
    Breaker,
}

/// What a lock allows its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// F_RDLCK, LOCK_SH.
    Read,
    /// F_WRLCK, LOCK_EX.
    Write,
    /// F_UNLCK: what a breaking lease must become.
    Unlock,
}

impl Lock {
    /// Parses `/proc/locks`.
    pub fn parse_all(text: &[u8]) -> Result<Vec<Lock>, Malformed> {
        lines(text).map(|(line, text)| Lock::parse(Words::new(line, text))).collect()
    }

    /// Parses one line, without the `lock:` of fdinfo.
    pub(super) fn parse(mut words: Words<'_>) -> Result<Lock, Malformed> {
        let number = words.word("a number and a colon")?.strip_suffix(b":").and_then(|number| unsigned(number, 10));
        let number = number.ok_or(words.expected("a number and a colon"))?;
        let waiting = words.peek() == Some(b"->");
        if waiting {
            words.next();
        }
        let kind = LockKind::parse(&mut words)?;
        let access = match words.word("READ, WRITE or UNLCK")? {
            b"READ" => Access::Read,
            b"WRITE" => Access::Write,
            b"UNLCK" => Access::Unlock,
            _ => return Err(words.expected("READ, WRITE or UNLCK")),
        };
        let pid = words.signed("a process id")?;
        let file = parse_file(words.word("a device and an inode")?).ok_or(words.expected("a device and an inode"))?;
        let start = words.unsigned(10, "the first byte")?;
        let end = if words.peek() == Some(b"EOF") { None } else { Some(words.unsigned(10, "the last byte or EOF")?) };
        Ok(Lock { number, waiting, kind, access, pid, file, start, end })
    }
}

impl LockKind {
    fn parse(words: &mut Words<'_>) -> Result<LockKind, Malformed> {
        let kind = words.word("a kind of lock")?;
        let mode = words.word("the mode of a lock")?;
        let lease = match mode {
            b"ACTIVE" => Some(LeaseState::Active),
            b"BREAKING" => Some(LeaseState::Breaking),
            b"BREAKER" => Some(LeaseState::Breaker),
            _ => None,
        };
        let lease = || lease.ok_or(words.expected("ACTIVE, BREAKING or BREAKER"));
        Ok(match kind {
            b"POSIX" => LockKind::Posix,
            b"OFDLCK" => LockKind::Ofd,
            b"FLOCK" => LockKind::Flock,
            b"LEASE" => LockKind::Lease(lease()?),
            b"DELEG" => LockKind::Delegation(lease()?),
            other => LockKind::Other(String::from_utf8_lossy(other).into_owned()),
        })
    }
}

/// `fe:00:10036004`, or `<none>:0`.
fn parse_file(word: &[u8]) -> Option<Option<(Device, u64)>> {
    if word.starts_with(b"<none>:") {
        return Some(None);
    }
    let colon = word.iter().rposition(|&byte| byte == b':')?;
    Some(Some((Device::parse(&word[..colon], 16)?, unsigned(&word[colon + 1..], 10)?)))
}

/// Every lock of the system.
pub fn locks() -> Result<Vec<Lock>, ProcError> {
    let text = super::dir::system_file("locks")?;
    Lock::parse_all(&text).map_err(|Malformed { line, expected }| ProcError::Malformed {
        pid: None,
        file: "/proc/locks".into(),
        line,
        expected,
    })
}

#[cfg(test)]
mod test {
    use super::super::text::survives_cuts;
    use super::*;

    #[rustfmt::skip]
    const LOCKS: &[u8] = b"1: LEASE  BREAKING  UNLCK 8425 fe:00:10036006 0 EOF
1: -> LEASE  BREAKER   WRITE 8429 <none>:0 0 EOF
2: FLOCK  ADVISORY  WRITE 8425 fe:00:10036005 0 EOF
2: -> FLOCK  ADVISORY  READ 8428 fe:00:10036005 0 EOF
3: OFDLCK ADVISORY  WRITE -1 fe:00:10036004 50 59
4: POSIX  ADVISORY  READ 8425 fe:00:10036004 100 EOF
5: POSIX  ADVISORY  WRITE 8425 fe:00:10036004 10 14
5:    -> POSIX  ADVISORY  WRITE 8427 fe:00:10036004 10 14
6: ACCESS ADVISORY  READ 8 fe:00:1 0 EOF
";

    #[test]
    fn every_sort_of_lock() {
        let rows: Vec<String> = Lock::parse_all(LOCKS).unwrap().iter().map(|lock| format!("{lock:?}")).collect();
        insta::assert_snapshot!(rows.join("\n"), @r#"
        Lock { number: 1, waiting: false, kind: Lease(Breaking), access: Unlock, pid: 8425, file: Some((254:0, 10036006)), start: 0, end: None }
        Lock { number: 1, waiting: true, kind: Lease(Breaker), access: Write, pid: 8429, file: None, start: 0, end: None }
        Lock { number: 2, waiting: false, kind: Flock, access: Write, pid: 8425, file: Some((254:0, 10036005)), start: 0, end: None }
        Lock { number: 2, waiting: true, kind: Flock, access: Read, pid: 8428, file: Some((254:0, 10036005)), start: 0, end: None }
        Lock { number: 3, waiting: false, kind: Ofd, access: Write, pid: -1, file: Some((254:0, 10036004)), start: 50, end: Some(59) }
        Lock { number: 4, waiting: false, kind: Posix, access: Read, pid: 8425, file: Some((254:0, 10036004)), start: 100, end: None }
        Lock { number: 5, waiting: false, kind: Posix, access: Write, pid: 8425, file: Some((254:0, 10036004)), start: 10, end: Some(14) }
        Lock { number: 5, waiting: true, kind: Posix, access: Write, pid: 8427, file: Some((254:0, 10036004)), start: 10, end: Some(14) }
        Lock { number: 6, waiting: false, kind: Other("ACCESS"), access: Read, pid: 8, file: Some((254:0, 1)), start: 0, end: None }
        "#);
    }

    #[test]
    fn a_cut_text_is_refused_without_panic() {
        survives_cuts(LOCKS, Lock::parse_all);
        let complaint = |text: &str| Lock::parse_all(text.as_bytes()).unwrap_err().expected;
        assert_eq!(complaint("1: LEASE  SLEEPING  READ 1 0:0:0 0 EOF"), "ACTIVE, BREAKING or BREAKER");
        assert_eq!(complaint("1: POSIX ADVISORY READ 1 0:0 0 EOF"), "a device and an inode");
        assert_eq!(complaint("x: POSIX"), "a number and a colon");
    }

    #[test]
    fn the_systems_locks_are_understood() {
        locks().unwrap();
    }
}
