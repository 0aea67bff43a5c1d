//! Locks on files: flock(2), record locks and leases (fcntl(2)). Not a kind: they belong to descriptions and processes.
//!
//! **Kept:** whole-file and record locks of all three interfaces, and leases.
//! **Lost:** that a lease was being broken: the one who wanted it is not part of the job.
//! **Refused:** at restart, a lock that somebody else holds by then.

use std::fs;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::image::{Record, Tag};
use crate::proc::locks::locks;
use crate::proc::{Access, Device, Lock, LockKind};
use crate::resource::{KindError, Probe};
use crate::sys::{Errno, descriptor};
use crate::tracee::Batch;

/// Tag of the records of locks.
pub const TAG: Tag = Tag::new("lock", 1);

/// A lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockV1 {
    /// Which interface made it.
    pub kind: Kind,
    /// Whether it excludes everybody else, or writers only.
    pub is_exclusive: bool,
    /// First byte.
    pub start: u64,
    /// Number of bytes; 0 to the end of the file, wherever that comes to be.
    pub bytes: u64,
    /// The saved id of the process that took it; of [`Kind::Posix`] it is the owner.
    pub pid: i32,
}

/// Which interface made a lock, and so who owns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// flock(2): the description.
    Flock,
    /// F_SETLK: the process.
    Posix,
    /// F_OFD_SETLK: the description.
    Ofd,
    /// F_SETLEASE: the description, with the process to be told.
    Lease,
}

/// The locks of a description. The fdinfo of a process shows only its own record locks: so the probe's must have those of every process
/// that holds the description.
pub fn capture(probe: &Probe<'_>) -> Result<Vec<Record>, KindError> {
    let mut states: Vec<LockV1> = Vec::new();
    for lock in probe.info.locks.iter().filter(|lock| !lock.waiting) {
        if let Some(state) = state_of(lock)?
            && !states.contains(&state)
        {
            states.push(state);
        }
    }
    states.iter().map(|state| Ok(Record::encode(TAG, state)?)).collect()
}

fn state_of(lock: &Lock) -> Result<Option<LockV1>, KindError> {
    let kind = match &lock.kind {
        LockKind::Flock => Kind::Flock,
        LockKind::Posix => Kind::Posix,
        LockKind::Ofd => Kind::Ofd,
        LockKind::Lease(_) => Kind::Lease,
        LockKind::Delegation(_) | LockKind::Other(_) => {
            let what = format!("a lock of an unknown kind ({:?})", lock.kind);
            return Err(KindError::Unsupported { what, remedy: "let the program release it first".into() });
        }
    };
    let is_exclusive = match lock.access {
        Access::Write => true,
        Access::Read => false,
        // A lease that is being broken is as good as given up.
        Access::Unlock => return Ok(None),
    };
    let bytes = lock.end.map_or(0, |end| end.saturating_sub(lock.start).saturating_add(1));
    Ok(Some(LockV1 { kind, is_exclusive, start: lock.start, bytes, pid: lock.pid }))
}

/// Takes the locks that belong to a description, through any descriptor of it, in the restarter.
pub fn restore_on_description(fd: BorrowedFd<'_>, locks: &[Record]) -> Result<(), KindError> {
    for record in locks {
        let lock: LockV1 = record.decode(TAG)?;
        match lock.kind {
            Kind::Flock => descriptor::flock(fd, lock.is_exclusive).map_err(|errno| refusal(fd, errno, flock_holder(fd)))?,
            Kind::Ofd => descriptor::set_record_lock(fd, libc::F_OFD_SETLK, &range_of(&lock))
                .map_err(|errno| refusal(fd, errno, record_holder(fd, &lock)))?,
            Kind::Posix | Kind::Lease => {}
        }
    }
    Ok(())
}

/// Rows that take the locks that belong to process `pid` (its saved id) through its descriptor `fd`, once its descriptors are final: closing
/// any descriptor of the file drops its record locks (fcntl(2)). Leases come back with the process that had them.
pub fn rows(fd: i32, locks: &[Record], pid: i32, batch: &mut Batch) -> Result<(), KindError> {
    for record in locks {
        let lock: LockV1 = record.decode(TAG)?;
        match lock.kind {
            _ if lock.pid != pid => {}
            Kind::Posix => {
                let range = batch.bytes(&bytes_of(&lock));
                batch.call(
                    "take a record lock again, because somebody else holds it,",
                    libc::SYS_fcntl,
                    [fd.into(), libc::F_SETLK.into(), range.into()],
                );
            }
            Kind::Lease => {
                let kind = i32::from(type_of(&lock));
                batch.call("take a lease again", libc::SYS_fcntl, [fd.into(), libc::F_SETLEASE.into(), kind.into()]);
            }
            Kind::Flock | Kind::Ofd => {}
        }
    }
    Ok(())
}

/// Complains if somebody holds a record lock that a process of the job will need, before rows are made for it: `fd` is a descriptor of the
/// restarter's for the description, whose own locks do not count.
pub fn check_free(fd: BorrowedFd<'_>, locks: &[Record]) -> Result<(), KindError> {
    for record in locks {
        let lock: LockV1 = record.decode(TAG)?;
        if lock.kind == Kind::Posix
            && let Ok(Some(found)) = descriptor::conflicting_lock(fd, &range_of(&lock))
        {
            return Err(refusal(fd, Errno::EAGAIN, Some(found.l_pid).filter(|pid| *pid > 0)));
        }
    }
    Ok(())
}

fn type_of(lock: &LockV1) -> i16 {
    i16::try_from(if lock.is_exclusive { libc::F_WRLCK } else { libc::F_RDLCK }).unwrap_or_default()
}

fn range_of(lock: &LockV1) -> libc::flock {
    let offset = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    libc::flock { l_type: type_of(lock), l_whence: 0, l_start: offset(lock.start), l_len: offset(lock.bytes), l_pid: 0 }
}

/// `struct flock` as the kernel reads it.
fn bytes_of(lock: &LockV1) -> [u8; 32] {
    let range = range_of(lock);
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&range.l_type.to_le_bytes());
    bytes[8..16].copy_from_slice(&range.l_start.to_le_bytes());
    bytes[16..24].copy_from_slice(&range.l_len.to_le_bytes());
    bytes
}

/// The failure, with the name of the file and of the one who is in the way.
fn refusal(fd: BorrowedFd<'_>, errno: Errno, by: Option<i32>) -> KindError {
    let path = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap_or_else(|_| PathBuf::from("a file"));
    if !matches!(errno, Errno::EAGAIN | Errno::EACCES) {
        return KindError::path("lock", path, errno);
    }
    let remedy = match by {
        Some(pid) => format!("end process {pid} or wait until it releases the lock, then try again"),
        None => "wait until the lock is released, then try again".to_owned(),
    };
    KindError::Taken { what: format!("the lock on {}", path.display()), by, remedy }
}

/// The process in the way of a record lock; none when a description owns that one.
fn record_holder(fd: BorrowedFd<'_>, lock: &LockV1) -> Option<i32> {
    descriptor::conflicting_lock(fd, &range_of(lock)).ok()?.map(|found| found.l_pid).filter(|pid| *pid > 0)
}

/// The process that took the flock of the file, as `/proc/locks` names it; it may have handed it on since.
fn flock_holder(fd: BorrowedFd<'_>) -> Option<i32> {
    let stat = nix::sys::stat::fstat(fd).ok()?;
    let file = Some((Device::from_dev_t(stat.st_dev), stat.st_ino));
    let all = locks().ok()?;
    all.iter().find(|lock| lock.kind == LockKind::Flock && lock.file == file && !lock.waiting).map(|lock| lock.pid)
}

#[cfg(test)]
mod test {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::super::test::probe_of;
    use super::*;

    fn range(exclusive: bool, start: i64, bytes: i64) -> libc::flock {
        let kind = if exclusive { libc::F_WRLCK } else { libc::F_RDLCK };
        libc::flock { l_type: i16::try_from(kind).unwrap(), l_whence: 0, l_start: start, l_len: bytes, l_pid: 0 }
    }

    fn captured(file: &File) -> Vec<Record> {
        probe_of(file, |probe| capture(probe).unwrap())
    }

    fn states(records: &[Record]) -> Vec<LockV1> {
        records.iter().map(|record| record.decode(TAG).unwrap()).collect()
    }

    #[test]
    fn locks_of_a_description_are_taken_again() {
        let place = tempfile::NamedTempFile::new().unwrap();
        let open = || File::options().read(true).write(true).open(place.path()).unwrap();
        let old = open();
        descriptor::flock(old.as_fd(), true).unwrap();
        descriptor::set_record_lock(old.as_fd(), libc::F_OFD_SETLK, &range(true, 10, 5)).unwrap();
        descriptor::set_record_lock(old.as_fd(), libc::F_OFD_SETLK, &range(false, 500, 0)).unwrap();
        let records = captured(&old);
        assert_eq!(records.len(), 3);
        let new = open();
        let error = restore_on_description(new.as_fd(), &records).unwrap_err();
        let own = std::process::id();
        assert_eq!(error.to_string(), format!("the lock on {} is taken by process {own}", place.path().display()));
        drop(old);
        restore_on_description(new.as_fd(), &records).unwrap();
        let sorted = |records: &[Record]| {
            let mut states = states(records);
            states.sort_by_key(|state| (state.start, state.bytes));
            states
        };
        assert_eq!(sorted(&captured(&new)), sorted(&records));
    }

    #[test]
    fn record_locks_and_leases_are_rows_for_their_process() {
        let place = tempfile::NamedTempFile::new().unwrap();
        descriptor::set_record_lock(place.as_file().as_fd(), libc::F_SETLK, &range(true, 7, 3)).unwrap();
        let records = captured(place.as_file());
        let own = std::process::id().cast_signed();
        let state = LockV1 { kind: Kind::Posix, is_exclusive: true, start: 7, bytes: 3, pid: own };
        assert_eq!(states(&records), std::slice::from_ref(&state));
        let lease = Record::encode(TAG, &LockV1 { kind: Kind::Lease, ..state.clone() }).unwrap();
        let all = [records, vec![lease]].concat();
        for (pid, calls) in [(own, 2), (own + 1, 0)] {
            let mut batch = Batch::new();
            rows(3, &all, pid, &mut batch).unwrap();
            assert_eq!(batch.len(), calls);
        }
        assert_eq!(bytes_of(&state)[..24], [1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn the_holder_of_a_record_lock_is_named() {
        let place = tempfile::NamedTempFile::new().unwrap();
        let lock = LockV1 { kind: Kind::Posix, is_exclusive: true, start: 0, bytes: 0, pid: 1 };
        let records = [Record::encode(TAG, &lock).unwrap()];
        check_free(place.as_file().as_fd(), &records).unwrap();
        let other = File::options().read(true).write(true).open(place.path()).unwrap();
        descriptor::set_record_lock(other.as_fd(), libc::F_OFD_SETLK, &range(false, 3, 1)).unwrap();
        assert!(matches!(check_free(place.as_file().as_fd(), &records), Err(KindError::Taken { by: None, .. })));
    }
}
