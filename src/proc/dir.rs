//! `/proc/PID` as a directory that is opened once (proc(5)).
//!
//! The kernel ties an open `/proc/PID` to one process: when that ends, the directory stops answering for ever, even if the
//! number is given to somebody else. So everything read through a [`ProcDir`] is about one and the same process. The start time
//! is kept as well, so that two directories, or a directory and an earlier note, can be compared.
//! Relies on: `/proc` mounted, and shown to us (no `hidepid`). Leaves to others: parsing, and any write.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{self, AtFlags, OFlag};
use nix::sys::stat::{Mode, fstatat};

use super::device::FileStat;
use super::error::{Malformed, ProcError};
use super::text;

/// More than any file of `/proc` holds: 65,530 areas of smaps are about 70 MB.
const LIMIT_BYTES: u64 = 1 << 30;

/// One process or thread, by its open directory.
#[derive(Debug)]
pub struct ProcDir {
    dir: OwnedFd,
    path: PathBuf,
    pid: i32,
    start_ticks: u64,
}

impl ProcDir {
    /// Opens `/proc/PID`.
    pub fn open(pid: i32) -> Result<ProcDir, ProcError> {
        ProcDir::open_at(fcntl::AT_FDCWD, &format!("/proc/{pid}"), PathBuf::from(format!("/proc/{pid}")), pid)
    }

    /// Opens `/proc/PID/task/TID`: the same files, of one thread. `pid()` is then the thread id.
    pub fn task(&self, tid: i32) -> Result<ProcDir, ProcError> {
        let name = format!("task/{tid}");
        ProcDir::open_at(self.dir.as_fd(), &name, self.path.join(&name), tid)
    }

    fn open_at(parent: BorrowedFd<'_>, name: &str, path: PathBuf, pid: i32) -> Result<ProcDir, ProcError> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = fcntl::openat(parent, name, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::ENOENT | Errno::ESRCH => ProcError::Gone { pid },
            errno => refusal("open", Some(pid), path.clone(), errno.into()),
        })?;
        let mut opened = ProcDir { dir, path, pid, start_ticks: 0 };
        opened.start_ticks = opened.stat()?.start_ticks;
        Ok(opened)
    }

    /// The id it was opened by: process id, or thread id for a [`ProcDir::task`].
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// When it was started: clock ticks since boot.
    pub fn start_ticks(&self) -> u64 {
        self.start_ticks
    }

    /// Whether the process still exists, be it as a zombie, and still has the start time it was opened with.
    pub fn is_same(&self) -> bool {
        self.stat().is_ok_and(|stat| stat.start_ticks == self.start_ticks)
    }

    /// The whole of a file below the directory, for example `smaps` or `fdinfo/3`.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, ProcError> {
        let file = self.open_to("read", name, OFlag::O_RDONLY)?;
        slurp(file).map_err(|error| self.refused("read", name, error))
    }

    /// Opens a file below the directory, for example `mem` or `pagemap`, for reading or for both.
    pub fn open_file(&self, name: &str, write: bool) -> Result<File, ProcError> {
        self.open_to("open", name, if write { OFlag::O_RDWR } else { OFlag::O_RDONLY })
    }

    /// Thread ids, ascending. Complete only when no thread can start another.
    pub fn tasks(&self) -> Result<Vec<i32>, ProcError> {
        self.numbers("task")
    }

    /// Open descriptor numbers, ascending. Empty in a zombie.
    pub fn descriptors(&self) -> Result<Vec<i32>, ProcError> {
        self.numbers("fd")
    }

    /// Where a link points, as the kernel writes it: `exe`, `cwd`, `root`, `fd/3`, `ns/user`, `map_files/…`.
    pub fn link(&self, name: &str) -> Result<OsString, ProcError> {
        fcntl::readlinkat(&self.dir, name).map_err(|errno| self.refused("read the link", name, errno.into()))
    }

    /// stat(2) of the very file behind a link, also when its path is gone or hidden.
    pub fn stat_link(&self, name: &str) -> Result<FileStat, ProcError> {
        let stat = fstatat(&self.dir, name, AtFlags::empty());
        stat.map(FileStat::from).map_err(|errno| self.refused("look at", name, errno.into()))
    }

    /// Reads a file and parses it; complaints get the process and the file.
    pub(super) fn parsed<T>(&self, name: &str, parse: impl Fn(&[u8]) -> Result<T, Malformed>) -> Result<T, ProcError> {
        let text = self.read(name)?;
        parse(&text).map_err(|Malformed { line, expected }| ProcError::Malformed {
            pid: Some(self.pid),
            file: self.path.join(name),
            line,
            expected,
        })
    }

    fn open_to(&self, attempt: &'static str, name: &str, access: OFlag) -> Result<File, ProcError> {
        let file = fcntl::openat(&self.dir, name, access | OFlag::O_CLOEXEC, Mode::empty());
        file.map(File::from).map_err(|errno| self.refused(attempt, name, errno.into()))
    }

    fn numbers(&self, name: &str) -> Result<Vec<i32>, ProcError> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let listed = Dir::openat(&self.dir, name, flags, Mode::empty()).and_then(numbers);
        listed.map_err(|errno| self.refused("list", name, errno.into()))
    }

    /// A process that no longer answers is gone, whatever the errno: a dying one gives ENOENT, ESRCH, EACCES or EINVAL.
    fn refused(&self, attempt: &'static str, name: &str, error: io::Error) -> ProcError {
        if error.raw_os_error() == Some(libc::ESRCH) || fstatat(&self.dir, "stat", AtFlags::empty()).is_err() {
            return ProcError::Gone { pid: self.pid };
        }
        refusal(attempt, Some(self.pid), self.path.join(name), error)
    }
}

impl AsFd for ProcDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// Every process id in our pid namespace, ascending. Processes come and go while the list is made.
pub fn all_pids() -> Result<Vec<i32>, ProcError> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let listed = Dir::open("/proc", flags, Mode::empty()).and_then(numbers);
    listed.map_err(|errno| refusal("list", None, PathBuf::from("/proc"), errno.into()))
}

/// Which boot of which machine this is: a random UUID.
pub fn boot_id() -> Result<String, ProcError> {
    let text = system_file("sys/kernel/random/boot_id")?;
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
}

/// The whole of a file of `/proc` that belongs to no process, for example `locks` or `sys/kernel/pid_max`.
pub fn system_file(name: &str) -> Result<Vec<u8>, ProcError> {
    let path = Path::new("/proc").join(name);
    File::open(&path).and_then(slurp).map_err(|error| refusal("read", None, path, error))
}

fn refusal(attempt: &'static str, pid: Option<i32>, file: PathBuf, source: io::Error) -> ProcError {
    match source.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => ProcError::Denied { attempt, pid, file },
        Some(libc::ENOENT) => ProcError::Absent { attempt, pid, file },
        _ => ProcError::Io { attempt, pid, file, source },
    }
}

fn slurp(file: File) -> io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(4096);
    let n_bytes = file.take(LIMIT_BYTES).read_to_end(&mut text)?;
    if n_bytes as u64 == LIMIT_BYTES {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    Ok(text)
}

fn numbers(mut dir: Dir) -> Result<Vec<i32>, Errno> {
    let mut numbers = Vec::new();
    for entry in dir.iter() {
        numbers.extend(text::unsigned::<i32>(entry?.file_name().to_bytes(), 10));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod test {
    use std::os::fd::AsRawFd;
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn own() -> ProcDir {
        ProcDir::open(std::process::id().cast_signed()).unwrap()
    }

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap()
    }

    #[test]
    fn our_own_files_links_and_threads_are_there() {
        let dir = own();
        let file = tempfile::tempfile().unwrap();
        let fd = file.as_raw_fd();
        let link = format!("fd/{fd}");
        assert!(dir.is_same());
        assert!(dir.descriptors().unwrap().contains(&fd));
        assert!(dir.link(&link).unwrap().to_string_lossy().ends_with(" (deleted)"));
        let stat = dir.stat_link(&link).unwrap();
        assert_eq!((stat.nlink, stat.size, stat.file_type()), (0, 0, libc::S_IFREG));
        let tasks = dir.tasks().unwrap();
        assert!(tasks.contains(&dir.pid()) && tasks.is_sorted());
        for tid in tasks {
            match dir.task(tid) {
                Ok(task) => assert_eq!(task.pid(), tid),
                Err(error) => assert!(matches!(error, ProcError::Gone { .. }), "another test's thread ended: {error}"),
            }
        }
        assert!(all_pids().unwrap().contains(&dir.pid()));
        dir.open_file("mem", true).unwrap();
    }

    #[test]
    fn what_a_living_process_lacks_is_absent() {
        let error = own().fdinfo(1_000_000).unwrap_err();
        let path = format!("/proc/{}/fdinfo/1000000", std::process::id());
        assert_eq!(error.to_string(), format!("cannot read {path}: it does not exist"));
        assert!(matches!(own().task(1), Err(ProcError::Gone { pid: 1 })), "not a thread of ours");
    }

    #[test]
    fn a_directory_outlives_its_process_and_says_so() {
        let mut child = sleeper();
        let dir = ProcDir::open(child.id().cast_signed()).unwrap();
        child.kill().unwrap();
        while dir.stat().unwrap().state != 'Z' {
            std::thread::yield_now();
        }
        assert!(dir.is_same(), "a zombie is still the same process");
        assert!(matches!(dir.open_file("mem", false), Err(ProcError::Gone { .. })), "but has no memory");
        assert_eq!(dir.descriptors().unwrap(), Vec::<i32>::new());
        child.wait().unwrap();
        assert!(!dir.is_same());
        for gone in [dir.read("status").err(), dir.link("exe").err(), dir.descriptors().err(), dir.stat_link("fd/0").err()] {
            assert!(matches!(gone, Some(ProcError::Gone { pid }) if pid == dir.pid()), "{gone:?}");
        }
        assert!(matches!(ProcDir::open(dir.pid()), Err(ProcError::Gone { .. })));
    }

    #[test]
    fn files_of_the_system_are_read_too() {
        assert!(system_file("locks").is_ok());
        assert_eq!(system_file("no-such").unwrap_err().to_string(), "cannot read /proc/no-such: it does not exist");
    }
}
