//! Opening files again: by path, through `/proc/self/fd`, without a name.
//!
//! Relies on `/proc` mounted. Leaves to the kinds what is opened, and to the engine where descriptors end up. Every descriptor made here
//! closes on exec.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{self, OFlag};
use nix::sys::stat::Mode;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd;

use crate::image::Description;
use crate::resource::KindError;
use crate::resource::actor::{Actor, Inode, Place};
use crate::sys::{Errno, descriptor};

/// Flags that act on open(2) alone, or that the engine sets in another way.
const NOT_REOPENED: i32 = libc::O_CREAT | libc::O_EXCL | libc::O_TRUNC | libc::O_NOCTTY | libc::O_CLOEXEC | libc::O_ASYNC;
/// What F_SETFL can change, without O_ASYNC: that must be set in a process, which the kernel remembers the descriptor number of.
const SETTABLE: i32 = libc::O_APPEND | libc::O_NONBLOCK | libc::O_DIRECT | libc::O_NOATIME;

/// Opens a file with the flags of a description, as `actor`; `known` is the file that was there at the checkpoint. Flags that the file system
/// or the actor's rights do not allow are left out with a warning.
pub fn open_path(actor: &Actor, path: &Path, flags: i32, known: Option<Inode>, warnings: &mut Vec<String>) -> Result<OwnedFd, KindError> {
    let mut flags = lasting(flags);
    loop {
        let error = match actor.open(path, flags, known) {
            Ok(fd) => return Ok(fd),
            Err(error) => error,
        };
        let (dropped, name) = match error {
            Errno::EINVAL if flags & libc::O_DIRECT != 0 => (libc::O_DIRECT, "O_DIRECT"),
            Errno::EPERM if flags & libc::O_NOATIME != 0 => (libc::O_NOATIME, "O_NOATIME"),
            _ => return Err(actor.refusal("open", path, error)),
        };
        flags &= !dropped;
        warnings.push(format!("{} is opened without {name}: {}", path.display(), error.desc()));
    }
}

/// Opens a file of a process that is ours, with our rights: while it is restored it does not have those of the job.
pub fn open_own(path: &Path, flags: i32) -> Result<OwnedFd, KindError> {
    raw_open(path, lasting(flags)).map_err(|errno| KindError::path("open", path, errno))
}

/// A description of its own for what `fd` reaches, by way of `/proc/self/fd`.
pub fn reopen(fd: BorrowedFd<'_>, flags: i32) -> Result<OwnedFd, Errno> {
    let path = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    let flags = lasting(flags) & !libc::O_NOFOLLOW;
    match raw_open(&path, flags) {
        Err(Errno::EINVAL) if flags & libc::O_DIRECT != 0 => raw_open(&path, flags & !libc::O_DIRECT),
        Err(Errno::EPERM) if flags & libc::O_NOATIME != 0 => raw_open(&path, flags & !libc::O_NOATIME),
        result => result,
    }
}

/// The same by the rights of `actor`.
pub fn reopen_as(actor: &Actor, fd: BorrowedFd<'_>, flags: i32) -> Result<OwnedFd, Errno> {
    let flags = lasting(flags) & !libc::O_NOFOLLOW;
    match actor.reopen(fd, flags) {
        Err(Errno::EPERM) if flags & libc::O_NOATIME != 0 => actor.reopen(fd, flags & !libc::O_NOATIME),
        result => result,
    }
}

/// A read-only description of its own for what `fd` reaches; the access time stays as it is, where we may decide that.
pub fn reopen_to_read(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    reopen(fd, libc::O_RDONLY | libc::O_NOATIME)
}

/// The flags without those that would do something else, or something more, the second time.
fn lasting(flags: i32) -> i32 {
    let flags = flags & !NOT_REOPENED;
    // O_TMPFILE contains O_DIRECTORY.
    if flags & libc::O_TMPFILE == libc::O_TMPFILE { flags & !libc::O_TMPFILE } else { flags }
}

fn raw_open(path: &Path, flags: i32) -> Result<OwnedFd, Errno> {
    fcntl::open(path, OFlag::from_bits_retain(flags | libc::O_CLOEXEC | libc::O_NOCTTY), Mode::empty())
}

/// Makes a new file without a name, readable and writable by its owner alone: in `directory` if that can be, else in a directory for
/// temporary files, else in memory. `executable` files avoid file systems mounted noexec.
pub fn unnamed(actor: &Arc<Actor>, directory: &Path, executable: bool) -> Result<OwnedFd, KindError> {
    let mut first_error = None;
    for directory in [directory, Path::new("/tmp"), Path::new("/var/tmp"), Path::new("/dev/shm")] {
        let on_noexec = || statvfs(directory).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_NOEXEC));
        if executable && on_noexec() {
            continue;
        }
        match unnamed_in(actor, directory) {
            Ok(fd) => return Ok(fd),
            Err(errno) => drop(first_error.get_or_insert(errno)),
        }
    }
    let errno = first_error.unwrap_or(Errno::ENOENT);
    descriptor::memfd(c"reprise", libc::MFD_CLOEXEC).map_err(|_| KindError::path("make a file without a name in", directory, errno))
}

/// A new file beside `place` that has no name and can be given one; where that cannot be (overlay and network file systems), one with the name
/// returned.
pub fn fresh(place: &Place) -> Result<(OwnedFd, Option<Place>), Errno> {
    match place.nameless(0) {
        Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => named(place).map(|(file, name)| (file, Some(name))),
        result => result.map(|file| (file, None)),
    }
}

/// A new file beside `place` with a name that nobody else uses.
fn named(place: &Place) -> Result<(OwnedFd, Place), Errno> {
    let spare = place.spare();
    spare.open(libc::O_CREAT | libc::O_EXCL | libc::O_RDWR, 0o600).map(|file| (file, spare))
}

fn unnamed_in(actor: &Arc<Actor>, directory: &Path) -> Result<OwnedFd, Errno> {
    let place = actor.place(&spare_name(directory))?;
    // With O_EXCL nobody can give it a name later, whoever it belongs to by then.
    match place.nameless(libc::O_EXCL) {
        Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => named_and_unlinked(&place),
        result => result,
    }
}

fn named_and_unlinked(place: &Place) -> Result<OwnedFd, Errno> {
    let (fd, name) = named(place)?;
    name.remove()?;
    Ok(fd)
}

/// A name in `directory` that nobody else uses.
pub fn spare_name(directory: &Path) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    directory.join(format!(".reprise-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// Gives an open description its status flags and, if its kind seeks, its offset: the saved one, or the end. O_ASYNC is left to
/// [`super::owner`].
pub fn dress(fd: BorrowedFd<'_>, description: &Description, seeks: bool, at_end: bool) -> Result<(), KindError> {
    if description.flags & libc::O_PATH != 0 {
        return Ok(());
    }
    let now = descriptor::status_flags(fd).map_err(|errno| KindError::host("read the status flags of a descriptor", errno))?;
    let (wanted, kept) = (description.flags & SETTABLE, now & SETTABLE);
    if wanted != kept {
        set_flags(fd, now & !SETTABLE, wanted, kept).map_err(|errno| KindError::host("set the status flags of a descriptor", errno))?;
    }
    if seeks && at_end {
        unistd::lseek(fd, 0, unistd::Whence::SeekEnd).map_err(|errno| KindError::host("go to the end of a file", errno))?;
    } else if seeks && description.offset != 0 {
        let offset = i64::try_from(description.offset).unwrap_or(i64::MAX);
        unistd::lseek(fd, offset, unistd::Whence::SeekSet)
            .map_err(|errno| KindError::host(format!("set the offset of a descriptor to {offset}"), errno))?;
    }
    Ok(())
}

/// O_DIRECT and O_NOATIME may have been left out by [`open_path`] because they cannot be had here: then they stay as they are.
fn set_flags(fd: BorrowedFd<'_>, others: i32, wanted: i32, kept: i32) -> Result<(), Errno> {
    match descriptor::set_status_flags(fd, others | wanted) {
        Err(Errno::EINVAL | Errno::EPERM) => {
            let optional = libc::O_DIRECT | libc::O_NOATIME;
            descriptor::set_status_flags(fd, others | wanted & !optional | kept & optional)
        }
        result => result,
    }
}

/// A duplicate that shares the description, for objects that have only one.
pub fn duplicate(fd: &OwnedFd) -> Result<OwnedFd, KindError> {
    descriptor::duplicate_from(fd.as_fd(), 3).map_err(|errno| KindError::host("duplicate a descriptor", errno))
}

#[cfg(test)]
mod test {
    use super::*;

    fn description(flags: i32, offset: u64) -> Description {
        Description { flags, offset, ..Description::default() }
    }

    #[test]
    fn a_reopened_file_has_flags_and_offset_of_its_own() {
        let first = unnamed(&Arc::new(Actor::ours()), Path::new("/tmp"), false).unwrap();
        unistd::write(&first, b"0123456789").unwrap();
        let flags = libc::O_RDONLY | libc::O_TMPFILE | libc::O_NONBLOCK | libc::O_APPEND;
        let second = reopen(first.as_fd(), flags).unwrap();
        dress(second.as_fd(), &description(flags, 4), true, false).unwrap();
        let mut byte = [0];
        assert_eq!(unistd::read(&second, &mut byte), Ok(1));
        assert_eq!(&byte, b"4");
        assert_eq!(unistd::lseek(&first, 0, unistd::Whence::SeekCur), Ok(10));
        let now = descriptor::status_flags(second.as_fd()).unwrap();
        assert_eq!(now & SETTABLE, libc::O_NONBLOCK | libc::O_APPEND);
        assert_eq!(descriptor::status_flags(first.as_fd()).unwrap() & SETTABLE, 0);
    }

    #[test]
    fn a_file_without_a_name_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let actor = Arc::new(Actor::ours());
        let place = actor.place(&directory.path().join("x")).unwrap();
        for fd in [unnamed(&actor, directory.path(), false), named_and_unlinked(&place).map_err(|e| KindError::host("", e))] {
            let stat = nix::sys::stat::fstat(fd.unwrap()).unwrap();
            assert_eq!((stat.st_nlink, stat.st_mode & 0o7777), (0, 0o600));
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        // A directory that is gone does not stop it.
        unnamed(&actor, Path::new("/no/such/directory"), true).unwrap();
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = open_path(&Actor::ours(), Path::new("/no/such/file"), 0, None, &mut vec![]).unwrap_err();
        assert_eq!(error.to_string(), "cannot open /no/such/file");
    }
}
