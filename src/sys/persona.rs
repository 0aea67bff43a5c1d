//! Calls that the kernel remembers the caller of (SO_PEERCRED, owners of nodes), made as somebody else: by a short-lived child that has
//! the wanted process id, users and groups.
//!
//! Relies on clone3(2): the child shares our descriptors, so that what it makes is ours, and nothing else. Leaves to callers what follows
//! when somebody cannot be had.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use super::{Errno, check};

/// Somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Persona {
    /// Process id; `None`: any.
    pub pid: Option<i32>,
    /// User, for real, effective and saved; `None`: ours.
    pub uid: Option<u32>,
    /// Group, for real, effective and saved; `None`: ours.
    pub gid: Option<u32>,
    /// Supplementary groups; `None`: ours.
    pub groups: Option<Vec<u32>>,
    /// The directory that it takes for its root, or works in.
    pub place: Option<Place>,
}

/// Where somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// A directory.
    pub directory: RawFd,
    /// It is the root: absolute paths begin there. Without the right to that (chroot(2)), in a user namespace of its own.
    pub is_root: bool,
}

/// What was not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// A child with this process id. EEXIST: somebody has it; EPERM: we may not choose.
    Birth(Errno),
    /// The users, groups or place.
    Identity(Errno),
    /// The call itself.
    Call(Errno),
}

/// How far the child has come. Shared with it.
#[repr(C)]
struct Progress {
    step: u32,
    errno: i32,
    made: [RawFd; 2],
}

const IDENTITY: u32 = 1;
const CALL: u32 = 2;
const DONE: u32 = 3;

/// Makes calls as somebody, and returns the descriptors that they made. `calls` runs in the child, which is a copy of us with one thread:
/// system calls only. As nobody in particular we make them ourselves.
pub fn act(persona: &Persona, calls: impl FnOnce() -> Result<[RawFd; 2], Errno>) -> Result<Vec<OwnedFd>, Refused> {
    if *persona == Persona::default() {
        return calls().map(owned).map_err(Refused::Call);
    }
    let progress = shared().map_err(Refused::Birth)?;
    let born = birth(persona.pid);
    if let Ok(0) = born {
        // SAFETY: the page is mapped, large enough, and nobody else writes it until we end.
        let progress = unsafe { &mut *progress };
        let result = take(persona).and_then(|()| {
            progress.step = CALL;
            calls()
        });
        match result {
            Ok(made) => (progress.made, progress.step) = (made, DONE),
            Err(errno) => progress.errno = errno as i32,
        }
        // SAFETY: takes a number only.
        unsafe { libc::_exit(0) }
    }
    let result = born.map_err(Refused::Birth).and_then(|pid| {
        reap(pid);
        // SAFETY: the page is mapped, and the child that wrote it has ended.
        let progress = unsafe { std::ptr::read(progress) };
        let errno = if progress.errno == 0 { Errno::EINTR } else { Errno::from_raw(progress.errno) };
        match progress.step {
            DONE => Ok(progress.made),
            CALL => Err(Refused::Call(errno)),
            _ => Err(Refused::Identity(errno)),
        }
    });
    // SAFETY: this page was mapped above, and nobody points to it any more.
    unsafe { libc::munmap(progress.cast(), PAGE_BYTES) };
    result.map(owned)
}

/// Descriptors that calls have just made in our table; -1 for none.
fn owned(made: [RawFd; 2]) -> Vec<OwnedFd> {
    // SAFETY: nobody else knows them.
    made.into_iter().filter(|fd| *fd >= 0).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect()
}

const PAGE_BYTES: usize = 4096;

fn shared() -> Result<*mut Progress, Errno> {
    let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, wherever there is room.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE_BYTES, prot, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    let progress: *mut Progress = page.cast();
    // SAFETY: the page is ours, new, and aligned.
    unsafe { std::ptr::write(progress, Progress { step: IDENTITY, errno: 0, made: [-1; 2] }) };
    Ok(progress)
}

/// A copy of us that shares our descriptors; 0 in the copy. It sends no signal when it ends, so that it can be waited for whatever becomes
/// of SIGCHLD.
fn birth(pid: Option<i32>) -> Result<i32, Errno> {
    let ids = [pid.unwrap_or(0)];
    let mut arguments = [0u64; 11];
    arguments[0] = u64::try_from(libc::CLONE_FILES).unwrap_or(0);
    if pid.is_some() {
        (arguments[8], arguments[9]) = (ids.as_ptr() as u64, 1);
    }
    // SAFETY: the kernel reads a live struct clone_args of 88 bytes and the live id it points to. Without CLONE_VM the child goes on in a copy
    // of our memory.
    let born = check(unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) })?;
    i32::try_from(born).map_err(|_| Errno::EOVERFLOW)
}

fn reap(pid: i32) {
    // SAFETY: no status is wanted.
    while unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL) } == -1 && Errno::last() == Errno::EINTR {}
}

/// Raw calls: those of libc would ask the threads of the parent, which are not here.
fn take(persona: &Persona) -> Result<(), Errno> {
    let call = |number: libc::c_long, a: libc::c_long, b: libc::c_long, c: libc::c_long| {
        // SAFETY: numbers, and addresses of live memory of the length that is passed with them.
        check(unsafe { libc::syscall(number, a, b, c) })
    };
    if let Some(place) = persona.place {
        call(libc::SYS_fchdir, place.directory.into(), 0, 0)?;
        let root = || call(libc::SYS_chroot, c".".as_ptr() as libc::c_long, 0, 0);
        if place.is_root && root().is_err() {
            call(libc::SYS_unshare, libc::CLONE_NEWUSER.into(), 0, 0)?;
            root()?;
        }
        call(libc::SYS_umask, 0, 0, 0)?;
    }
    if let Some(groups) = &persona.groups {
        call(libc::SYS_setgroups, groups.len().cast_signed() as libc::c_long, groups.as_ptr() as libc::c_long, 0)?;
    }
    if let Some(gid) = persona.gid {
        call(libc::SYS_setresgid, gid.into(), gid.into(), gid.into())?;
    }
    if let Some(uid) = persona.uid {
        call(libc::SYS_setresuid, uid.into(), uid.into(), uid.into())?;
    }
    Ok(())
}

/// `socketpair(2)` — both ends, close-on-exec; for [`act`].
pub fn pair(kind: i32) -> Result<[RawFd; 2], Errno> {
    let mut ends = [-1; 2];
    // SAFETY: the kernel writes two descriptors to the live array.
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()) }.into())?;
    Ok(ends)
}

#[cfg(test)]
mod test {
    use std::os::fd::{AsFd, AsRawFd};

    use super::*;
    use crate::sys::socket;

    /// Process, user and group of SO_PEERCRED.
    fn peer(fd: &OwnedFd) -> [i32; 3] {
        let bytes = socket::option(fd.as_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, 12).unwrap();
        [0, 4, 8].map(|at| i32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap()))
    }

    #[test]
    fn what_somebody_makes_is_ours_and_names_him() {
        let made = act(&Persona::default(), || pair(libc::SOCK_STREAM)).unwrap();
        let [own, uid, gid] = peer(&made[0]);
        assert_eq!(own, std::process::id().cast_signed());
        assert_eq!(uid.cast_unsigned(), nix::unistd::geteuid().as_raw());
        assert_eq!(gid.cast_unsigned(), nix::unistd::getegid().as_raw());
        let taken = Persona { pid: Some(std::process::id().cast_signed()), ..Persona::default() };
        assert!(matches!(act(&taken, || pair(libc::SOCK_STREAM)), Err(Refused::Birth(_))));
        assert_eq!(act(&Persona::default(), || Err(Errno::EXDEV)).unwrap_err(), Refused::Call(Errno::EXDEV));
        if nix::unistd::geteuid().is_root() {
            // The id of a process that has ended.
            let pid = birth(None).unwrap();
            if pid == 0 {
                // SAFETY: takes a number only.
                unsafe { libc::_exit(0) };
            }
            reap(pid);
            let other = Persona { pid: Some(pid), uid: Some(4711), gid: Some(4712), groups: Some(vec![7, 8]), place: None };
            if let Ok(made) = act(&other, || pair(libc::SOCK_DGRAM)) {
                assert_eq!(peer(&made[1]), [pid, 4711, 4712]);
            }
        }
    }

    #[test]
    fn an_absolute_name_stands_in_the_directory_that_is_the_root() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("name")).unwrap();
        let root = std::fs::File::open(directory.path()).unwrap();
        let made = socket::socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0).unwrap();
        let place = Some(Place { directory: root.as_raw_fd(), is_root: true });
        let address = [&[1u8, 0][..], b"/name/of it\0"].concat();
        match act(&Persona { place, ..Persona::default() }, || socket::bind(made.as_fd(), &address).map(|()| [-1; 2])) {
            Ok(none) => {
                assert!(none.is_empty());
                assert_eq!(socket::local_address(made.as_fd()).unwrap(), address);
                assert!(directory.path().join("name/of it").exists());
            }
            Err(refused) => assert!(matches!(refused, Refused::Identity(_)), "{refused:?}"),
        }
    }
}
