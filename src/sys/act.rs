//! Acts by path: with our own rights, or with those of somebody else, by a child that has no others. Never through a symbolic link.
//!
//! Relies on openat2(2), and where that is missing on walking the path; on setresuid(2) leaving the saved user, so that the somebody else
//! can neither signal nor trace the child. Leaves whose rights are needed, and what follows from a refusal, to `resource::actor`.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io::Write;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_int, c_long, pid_t};

use super::{Errno, check};

/// Longest path, with its closing NUL (PATH_MAX).
const PATH_BYTES: usize = 4096;
const RESOLVE_NO_SYMLINKS: u64 = 0x04;
const RESOLVE_NO_MAGICLINKS: u64 = 0x02;

/// What decides about access to files (credentials(7), capabilities(7)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRights {
    /// User for files.
    pub uid: u32,
    /// Group for files.
    pub gid: u32,
    /// Supplementary groups; `None` where they cannot be set.
    pub groups: Option<Vec<u32>>,
    /// Capabilities in force.
    pub capabilities: u64,
}

/// One act. A path without a directory is absolute; names are single components of a directory.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "fields are named as in the manual pages")]
pub enum Act<'a> {
    /// `openat2(2)` without following any link. Gives a descriptor.
    Open { dir: Option<BorrowedFd<'a>>, path: &'a CStr, flags: i32, mode: u32 },
    /// `open(2)` of what a descriptor reaches, through `/proc/self/fd`. Gives a descriptor.
    Reopen { fd: BorrowedFd<'a>, flags: i32 },
    /// `mknodat(2)` of a FIFO.
    MakeFifo { dir: BorrowedFd<'a>, name: &'a CStr, mode: u32 },
    /// `mkdirat(2)`.
    MakeDirectory { dir: BorrowedFd<'a>, name: &'a CStr, mode: u32 },
    /// `unlinkat(2)`; AT_REMOVEDIR in `flags` for a directory.
    Remove { dir: BorrowedFd<'a>, name: &'a CStr, flags: i32 },
    /// `renameat2(2)` from a directory to another, or within one.
    Rename { dir: BorrowedFd<'a>, from: &'a CStr, to_dir: BorrowedFd<'a>, to: &'a CStr, flags: u32 },
    /// `linkat(2)`: a name for a file that has none.
    Link { file: BorrowedFd<'a>, dir: BorrowedFd<'a>, name: &'a CStr },
}

/// An act as it goes to the child: only numbers and bytes, no padding.
#[repr(C)]
#[derive(Clone, Copy)]
struct Call {
    op: u32,
    flags: u32,
    mode: u32,
    has_dir: u32,
    first: [u8; PATH_BYTES],
    second: [u8; PATH_BYTES],
}

const OPEN: u32 = 0;
const REOPEN: u32 = 1;
const MAKE_FIFO: u32 = 2;
const MAKE_DIRECTORY: u32 = 3;
const REMOVE: u32 = 4;
const RENAME: u32 = 5;
const LINK: u32 = 6;

impl Call {
    /// The act and the descriptors that go with it.
    fn of(act: &Act<'_>) -> Result<(Call, [RawFd; 2]), Errno> {
        let (op, flags, mode, first, second, fds) = match *act {
            Act::Open { dir, path, flags, mode } => {
                (OPEN, flags.cast_unsigned(), mode, path, c"", [dir.map_or(-1, |dir| dir.as_raw_fd()), -1])
            }
            Act::Reopen { fd, flags } => (REOPEN, flags.cast_unsigned(), 0, c"", c"", [fd.as_raw_fd(), -1]),
            Act::MakeFifo { dir, name, mode } => (MAKE_FIFO, 0, mode, name, c"", [dir.as_raw_fd(), -1]),
            Act::MakeDirectory { dir, name, mode } => (MAKE_DIRECTORY, 0, mode, name, c"", [dir.as_raw_fd(), -1]),
            Act::Remove { dir, name, flags } => (REMOVE, flags.cast_unsigned(), 0, name, c"", [dir.as_raw_fd(), -1]),
            Act::Rename { dir, from, to_dir, to, flags } => (RENAME, flags, 0, from, to, [dir.as_raw_fd(), to_dir.as_raw_fd()]),
            Act::Link { file, dir, name } => (LINK, 0, 0, name, c"", [dir.as_raw_fd(), file.as_raw_fd()]),
        };
        let bytes = |text: &CStr| {
            let mut bytes = [0; PATH_BYTES];
            let text = text.to_bytes();
            bytes.get_mut(..text.len()).filter(|_| text.len() < PATH_BYTES).ok_or(Errno::ENAMETOOLONG)?.copy_from_slice(text);
            Ok(bytes)
        };
        let has_dir = u32::from(fds[0] >= 0);
        Ok((Call { op, flags, mode, has_dir, first: bytes(first)?, second: bytes(second)? }, fds))
    }

    /// Makes the call; a descriptor or 0. Allocates nothing: the child is a fork of a program with threads.
    fn make(&self, fds: [RawFd; 2]) -> Result<c_long, Errno> {
        let [dir, file] = fds;
        let (first, second) = (self.first.as_ptr(), self.second.as_ptr());
        match self.op {
            OPEN => open_without_links(if self.has_dir == 1 { dir } else { libc::AT_FDCWD }, &self.first, self.flags, self.mode),
            REOPEN => {
                let path = own_link(dir);
                // SAFETY: the path is a live array that ends with NUL.
                check(unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), self.flags | CLOSE, 0) })
            }
            // SAFETY: the arrays are live and end with NUL, the rest are numbers.
            MAKE_FIFO => check(unsafe { libc::syscall(libc::SYS_mknodat, dir, first, libc::S_IFIFO | self.mode, 0) }),
            // SAFETY: as above.
            MAKE_DIRECTORY => check(unsafe { libc::syscall(libc::SYS_mkdirat, dir, first, self.mode) }),
            // SAFETY: as above.
            REMOVE => check(unsafe { libc::syscall(libc::SYS_unlinkat, dir, first, self.flags) }),
            // SAFETY: as above.
            RENAME => check(unsafe { libc::syscall(libc::SYS_renameat2, dir, first, file, second, self.flags) }),
            LINK => {
                let path = own_link(file);
                let follow = libc::AT_SYMLINK_FOLLOW;
                // SAFETY: as above.
                check(unsafe { libc::syscall(libc::SYS_linkat, libc::AT_FDCWD, path.as_ptr(), dir, first, follow) })
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn gives_descriptor(&self) -> bool {
        matches!(self.op, OPEN | REOPEN)
    }
}

const CLOSE: u32 = (libc::O_CLOEXEC | libc::O_NOCTTY).cast_unsigned();

/// `/proc/self/fd/N`, closed by NUL.
fn own_link(fd: RawFd) -> [u8; 32] {
    let mut text = [0; 32];
    // It cannot be too long: a number has at most eleven characters.
    let _fits = write!(&mut text[..31], "/proc/self/fd/{fd}");
    text
}

/// `struct open_how` (openat2(2)).
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

fn open_without_links(dir: RawFd, path: &[u8; PATH_BYTES], flags: u32, mode: u32) -> Result<c_long, Errno> {
    let flags = accepted(flags | CLOSE);
    let how = OpenHow { flags: flags.into(), mode: mode.into(), resolve: RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
    // SAFETY: the path is live and ends with NUL, the struct is live and has the size that is passed.
    let opened = unsafe { libc::syscall(libc::SYS_openat2, dir, path.as_ptr(), std::ptr::from_ref(&how), size_of::<OpenHow>()) };
    match check(opened) {
        Err(Errno::ENOSYS) => walk(dir, path, flags, mode),
        result => result,
    }
}

/// openat2(2) refuses flags that open(2) passes over.
fn accepted(flags: u32) -> u32 {
    /// The kernel's value; that of libc is 0 on 64-bit machines.
    const O_LARGEFILE: i32 = 0o10_0000;
    let with_path = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let set_at_open = libc::O_CREAT | libc::O_EXCL | libc::O_NOCTTY | libc::O_TRUNC | libc::O_TMPFILE;
    let lasting = libc::O_APPEND | libc::O_NONBLOCK | libc::O_SYNC | libc::O_ASYNC | libc::O_DIRECT | libc::O_NOATIME | O_LARGEFILE;
    let known = if flags & libc::O_PATH.cast_unsigned() == 0 { libc::O_ACCMODE | set_at_open | lasting } else { 0 };
    flags & (with_path | known).cast_unsigned()
}

/// What openat2(2) does, one component after the other.
fn walk(dir: RawFd, path: &[u8; PATH_BYTES], flags: u32, mode: u32) -> Result<c_long, Errno> {
    let path = &path[..path.iter().position(|byte| *byte == 0).unwrap_or(0)];
    let pass = (libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC).cast_unsigned();
    let mut at = if path.starts_with(b"/") { opened_at(libc::AT_FDCWD, b"/", pass, 0)? } else { dir };
    let mut components = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).peekable();
    let mut result = if components.peek().is_none() { opened_at(at, b".", flags, mode) } else { Err(Errno::ENOENT) };
    while let Some(name) = components.next() {
        let is_last = components.peek().is_none();
        let wanted = if is_last { flags | libc::O_NOFOLLOW.cast_unsigned() } else { pass };
        let may_be_link = is_last && flags & pass == pass;
        result = opened_at(at, name, wanted, mode).and_then(|fd| if may_be_link { Ok(fd) } else { not_a_link(fd) });
        if at != dir {
            close(at);
        }
        match result {
            Ok(fd) if !is_last => at = fd,
            _ => break,
        }
    }
    result.map(c_long::from)
}

fn opened_at(dir: RawFd, name: &[u8], flags: u32, mode: u32) -> Result<RawFd, Errno> {
    let mut text = [0u8; 256];
    text.get_mut(..name.len()).filter(|_| name.len() < 256).ok_or(Errno::ENAMETOOLONG)?.copy_from_slice(name);
    // SAFETY: the name is live and ends with NUL.
    let fd = check(unsafe { libc::syscall(libc::SYS_openat, dir, text.as_ptr(), flags, mode) })?;
    RawFd::try_from(fd).map_err(|_| Errno::EBADF)
}

/// A descriptor made with O_PATH and O_NOFOLLOW may lead to a link itself.
fn not_a_link(fd: RawFd) -> Result<RawFd, Errno> {
    // SAFETY: numbers alone, for which zeros are values.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one struct to the live local.
    match check(unsafe { libc::fstat(fd, &mut stat) }.into()) {
        Ok(_) if stat.st_mode & libc::S_IFMT == libc::S_IFLNK => {
            close(fd);
            Err(Errno::ELOOP)
        }
        Ok(_) => Ok(fd),
        Err(errno) => {
            close(fd);
            Err(errno)
        }
    }
}

fn close(fd: RawFd) {
    // SAFETY: callers own the descriptor and forget it.
    unsafe { libc::syscall(libc::SYS_close, fd) };
}

/// Acts with our own rights; gives the descriptor of the acts that open.
pub fn act(act: &Act<'_>) -> Result<Option<OwnedFd>, Errno> {
    let (call, fds) = Call::of(act)?;
    let fd = call.make(fds)?;
    // SAFETY: the kernel has just returned this descriptor and nobody else knows it.
    Ok(call.gives_descriptor().then(|| unsafe { OwnedFd::from_raw_fd(RawFd::try_from(fd).unwrap_or(-1)) }))
}

/// A child that acts with the rights of somebody else, and has no others. It ends with this value, or with our process.
#[derive(Debug)]
pub struct Helper {
    pid: pid_t,
    socket: OwnedFd,
}

impl Helper {
    /// Forks it. EPERM: we may not give it these rights.
    pub fn start(rights: &FileRights) -> Result<Helper, Errno> {
        let mut sockets = [-1; 2];
        // SAFETY: the kernel writes two descriptors to the live array.
        check(c_long::from(unsafe {
            libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, sockets.as_mut_ptr())
        }))?;
        // SAFETY: the kernel has just returned these descriptors and nobody else knows them.
        let [socket, other] = sockets.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        let parent = std::process::id().cast_signed();
        // SAFETY: the child makes system calls only, on memory that was made before, and never returns.
        let pid = check(c_long::from(unsafe { libc::fork() }))?;
        if pid == 0 {
            serve(rights, other.as_raw_fd(), parent);
        }
        let helper = Helper { pid: pid_t::try_from(pid).unwrap_or(-1), socket };
        drop(other);
        helper.answer()?;
        Ok(helper)
    }

    /// Acts with its rights; gives the descriptor of the acts that open. EPIPE: it has been killed.
    pub fn act(&self, act: &Act<'_>) -> Result<Option<OwnedFd>, Errno> {
        let (call, fds) = Call::of(act)?;
        // SAFETY: a Call is numbers and bytes without padding.
        let bytes = unsafe { std::slice::from_raw_parts(std::ptr::from_ref(&call).cast::<u8>(), size_of::<Call>()) };
        send(self.socket.as_raw_fd(), bytes, fds.iter().copied().filter(|fd| *fd >= 0))?;
        self.answer()
    }

    fn answer(&self) -> Result<Option<OwnedFd>, Errno> {
        let mut code = [0; 4];
        let (count, [fd, _]) = receive(self.socket.as_raw_fd(), &mut code)?;
        // SAFETY: the descriptor came with the message and nobody else knows it.
        let fd = (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) });
        match i32::from_ne_bytes(code) {
            _ if count != code.len() => Err(Errno::EPIPE),
            0 => Ok(fd),
            code => Err(Errno::from_raw(code)),
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // SAFETY: takes numbers only; the child is ours and not reaped yet.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        // SAFETY: no status is wanted.
        while unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) } == -1 && Errno::last() == Errno::EINTR {}
    }
}

/// The child: takes the rights, says how that went, and serves until the other end is closed.
fn serve(rights: &FileRights, socket: RawFd, parent: pid_t) -> ! {
    let taken = take(rights, parent);
    let mut code = taken.map_or_else(|errno| errno as i32, |()| 0);
    let mut fd = None;
    // SAFETY: a Call is numbers and bytes, for which zeros are values.
    let mut call: Call = unsafe { std::mem::zeroed() };
    while send(socket, &code.to_ne_bytes(), fd.into_iter()).is_ok() && taken.is_ok() {
        fd.take().into_iter().for_each(close);
        // SAFETY: a Call is numbers and bytes without padding: any bytes are a value.
        let bytes = unsafe { std::slice::from_raw_parts_mut(std::ptr::from_mut(&mut call).cast::<u8>(), size_of::<Call>()) };
        let Ok((count, fds)) = receive(socket, bytes) else { break };
        if count != size_of::<Call>() {
            break;
        }
        call.first[PATH_BYTES - 1] = 0;
        call.second[PATH_BYTES - 1] = 0;
        let made = call.make(fds);
        fds.into_iter().filter(|fd| *fd >= 0).for_each(close);
        fd = made.ok().and_then(|fd| RawFd::try_from(fd).ok()).filter(|_| call.gives_descriptor());
        code = made.map_or_else(|errno| errno as i32, |_| 0);
    }
    // SAFETY: takes a number only.
    unsafe { libc::_exit(0) }
}

/// Raw calls: those of libc would ask the threads of the parent, which are not here.
fn take(rights: &FileRights, parent: pid_t) -> Result<(), Errno> {
    const VERSION_3: u32 = 0x2008_0522;
    let all = u64::MAX;
    let keep = -1 as c_int;
    let call = |number: c_long, a: c_long, b: c_long, c: c_long, d: c_long| {
        // SAFETY: numbers, and addresses of live memory of the length that is passed with them.
        check(unsafe { libc::syscall(number, a, b, c, d) })
    };
    call(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK.into(), std::ptr::from_ref(&all) as c_long, 0, 8)?;
    call(libc::SYS_umask, 0, 0, 0, 0)?;
    if let Some(groups) = &rights.groups {
        call(libc::SYS_setgroups, groups.len().cast_signed() as c_long, groups.as_ptr() as c_long, 0, 0)?;
    }
    call(libc::SYS_setresgid, keep.into(), rights.gid.into(), keep.into(), 0)?;
    call(libc::SYS_setresuid, keep.into(), rights.uid.into(), keep.into(), 0)?;
    let header = [VERSION_3, 0];
    let half = |at: u32| u32::try_from(rights.capabilities >> at & 0xffff_ffff).unwrap_or(0);
    let sets = [half(0), half(0), 0, half(32), half(32), 0];
    call(libc::SYS_capset, header.as_ptr() as c_long, sets.as_ptr() as c_long, 0, 0)?;
    call(libc::SYS_prctl, libc::PR_SET_PDEATHSIG.into(), libc::SIGKILL.into(), 0, 0)?;
    if call(libc::SYS_getppid, 0, 0, 0, 0)? == c_long::from(parent) { Ok(()) } else { Err(Errno::ESRCH) }
}

/// Room for the control message of two descriptors, aligned as its header.
#[repr(C, align(8))]
struct Control([u8; 32]);

fn send(socket: RawFd, bytes: &[u8], fds: impl Iterator<Item = RawFd>) -> Result<(), Errno> {
    let mut control = Control([0; 32]);
    let mut n_fds = 0;
    for (at, fd) in (16..).step_by(4).zip(fds.take(2)) {
        control.0[at..at + 4].copy_from_slice(&fd.to_ne_bytes());
        n_fds += 1;
    }
    // struct cmsghdr: length, level, type (cmsg(3)).
    control.0[..8].copy_from_slice(&(16 + 4 * n_fds as u64).to_ne_bytes());
    control.0[8..12].copy_from_slice(&libc::SOL_SOCKET.to_ne_bytes());
    control.0[12..16].copy_from_slice(&libc::SCM_RIGHTS.to_ne_bytes());
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: zeros are a message without anything.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&mut part, 1);
    if n_fds > 0 {
        (message.msg_control, message.msg_controllen) = (control.0.as_mut_ptr().cast(), (16usize + 4 * n_fds).next_multiple_of(8));
    }
    loop {
        // SAFETY: the message points to live memory of the lengths it says.
        match check(unsafe { libc::sendmsg(socket, &message, libc::MSG_NOSIGNAL) } as c_long) {
            Err(Errno::EINTR) => {}
            result => return result.map(drop),
        }
    }
}

/// A message and at most two descriptors, -1 for those that did not come.
fn receive(socket: RawFd, bytes: &mut [u8]) -> Result<(usize, [RawFd; 2]), Errno> {
    let mut control = Control([0; 32]);
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: zeros are a message without anything.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&mut part, 1);
    (message.msg_control, message.msg_controllen) = (control.0.as_mut_ptr().cast(), 24);
    let count = loop {
        // SAFETY: the message points to live memory of the lengths it says.
        match check(unsafe { libc::recvmsg(socket, &mut message, libc::MSG_CMSG_CLOEXEC) } as c_long) {
            Err(Errno::EINTR) => {}
            result => break result?,
        }
    };
    let word = |at: usize| control.0[at..at + 4].try_into().map_or(-1, RawFd::from_ne_bytes);
    let n_fds = if message.msg_controllen >= 20 { word(0).saturating_sub(16) / 4 } else { 0 };
    Ok((usize::try_from(count).unwrap_or(0), [if n_fds > 0 { word(16) } else { -1 }, if n_fds > 1 { word(20) } else { -1 }]))
}

#[cfg(test)]
mod test {
    use std::os::fd::AsFd;

    use super::*;

    fn c(path: &std::path::Path) -> std::ffi::CString {
        std::ffi::CString::new(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())).unwrap()
    }

    /// The walk is what stands in for a missing openat2(2): both must agree.
    #[test]
    fn no_link_is_followed_with_or_without_openat2() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir(path("real")).unwrap();
        std::fs::write(path("real/file"), "x").unwrap();
        std::os::unix::fs::symlink("real", path("link")).unwrap();
        std::os::unix::fs::symlink("file", path("real/alias")).unwrap();
        let nofollow = libc::O_PATH | libc::O_NOFOLLOW;
        for (name, flags, expected) in [
            ("real/file", libc::O_RDWR, None),
            ("real", libc::O_DIRECTORY, None),
            ("real/missing", libc::O_RDONLY, Some(Errno::ENOENT)),
            ("link/file", libc::O_RDONLY, Some(Errno::ELOOP)),
            ("link/file", libc::O_PATH, Some(Errno::ELOOP)),
            ("real/alias", libc::O_WRONLY | libc::O_TRUNC, Some(Errno::ELOOP)),
            ("real/alias", libc::O_PATH, Some(Errno::ELOOP)),
            ("real/alias", nofollow, None),
            ("real/alias", libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY, Some(Errno::EEXIST)),
            ("link", libc::O_DIRECTORY | libc::O_PATH, Some(Errno::ELOOP)),
        ] {
            let (call, _) = Call::of(&Act::Open { dir: None, path: &c(&path(name)), flags, mode: 0 }).unwrap();
            for fd in [call.make([-1; 2]), walk(libc::AT_FDCWD, &call.first, call.flags | CLOSE, 0)] {
                let refused = [fd.err(), fd.err().filter(|errno| *errno == Errno::ENOTDIR).map(|_| Errno::ELOOP)];
                assert!(refused.contains(&expected), "{name} {flags:#x}: {fd:?}");
                fd.into_iter().for_each(|fd| close(RawFd::try_from(fd).unwrap()));
            }
        }
        assert_eq!(std::fs::read(path("real/file")).unwrap(), b"x", "nothing was cut");
    }

    fn ours() -> FileRights {
        let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        FileRights { uid, gid, groups: None, capabilities: 0 }
    }

    #[test]
    fn a_helper_does_every_act_and_dies_with_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let helper = Helper::start(&ours()).unwrap();
        let pid = helper.pid;
        let dir = helper.act(&Act::Open { dir: None, path: &c(directory.path()), flags: libc::O_PATH, mode: 0 }).unwrap().unwrap();
        let dir = dir.as_fd();
        let act = |act: Act<'_>| helper.act(&act);
        let file = act(Act::Open { dir: Some(dir), path: c"a", flags: libc::O_CREAT | libc::O_RDWR, mode: 0o640 }).unwrap().unwrap();
        nix::unistd::write(&file, b"text").unwrap();
        let again = act(Act::Reopen { fd: file.as_fd(), flags: libc::O_RDONLY }).unwrap().unwrap();
        assert_eq!(nix::unistd::read(&again, &mut [0; 9]), Ok(4));
        act(Act::Link { file: file.as_fd(), dir, name: c"b" }).unwrap();
        act(Act::MakeFifo { dir, name: c"fifo", mode: 0o622 }).unwrap();
        act(Act::MakeDirectory { dir, name: c"sub", mode: 0o711 }).unwrap();
        act(Act::Rename { dir, from: c"b", to_dir: dir, to: c"sub", flags: libc::RENAME_EXCHANGE }).unwrap();
        act(Act::Remove { dir, name: c"b", flags: libc::AT_REMOVEDIR }).unwrap();
        assert_eq!(act(Act::Remove { dir, name: c"no", flags: 0 }).unwrap_err(), Errno::ENOENT);
        let mut names: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["a", "fifo", "sub"]);
        drop(helper);
        assert_eq!(super::super::process::kill(pid, 0), Err(Errno::ESRCH));
    }

    #[test]
    fn a_helper_has_the_rights_of_its_user_and_no_others() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let secret = c(&directory.path().join("secret"));
        std::fs::write(directory.path().join("secret"), "x").unwrap();
        let alone = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(directory.path(), alone).unwrap();
        let helper = Helper::start(&FileRights { uid: 4711, gid: 4712, groups: Some(vec![4713]), capabilities: 0 }).unwrap();
        let open = Act::Open { dir: None, path: &secret, flags: libc::O_RDONLY, mode: 0 };
        assert_eq!(helper.act(&open).unwrap_err(), Errno::EACCES, "the directory is ours alone");
        let dir = act(&Act::Open { dir: None, path: &c(directory.path()), flags: libc::O_PATH, mode: 0 }).unwrap().unwrap();
        for call in
            [Act::MakeFifo { dir: dir.as_fd(), name: c"f", mode: 0o666 }, Act::Remove { dir: dir.as_fd(), name: c"secret", flags: 0 }]
        {
            assert_eq!(helper.act(&call).unwrap_err(), Errno::EACCES);
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", helper.pid)).unwrap();
        for line in
            ["Uid:\t0\t4711\t0\t4711", "Gid:\t0\t4712\t0\t4712", "Groups:\t4713", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000"]
        {
            assert!(status.contains(line), "{line} is not in\n{status}");
        }
        let able = FileRights { uid: 4711, gid: 4712, groups: Some(vec![]), capabilities: 1 << 1 };
        assert!(Helper::start(&able).unwrap().act(&open).is_ok(), "CAP_DAC_OVERRIDE is a right of the job");
    }
}
