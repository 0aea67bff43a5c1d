//! Terminals and pseudo-terminals: the requests of ioctl_tty(2), and a process apart for work that must not be torn.
//!
//! Relies on libc for the request numbers. Every function makes one request; what a master answers for its slave is said.
#![allow(unsafe_code)]

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_int, c_ulong};

use super::{Errno, check};

/// `struct termios2`: modes with speeds as numbers.
pub type Modes = libc::termios2;
/// `struct winsize`: rows and columns, and the same in pixels.
pub type Window = libc::winsize;

fn read<T: Copy>(fd: BorrowedFd<'_>, request: c_ulong, mut value: T) -> Result<T, Errno> {
    // SAFETY: callers pair each request with the type that the kernel writes for it, into the live local.
    check(i64::from(unsafe { libc::ioctl(fd.as_raw_fd(), request, std::ptr::from_mut(&mut value)) }))?;
    Ok(value)
}

fn write<T>(fd: BorrowedFd<'_>, request: c_ulong, value: &T) -> Result<(), Errno> {
    // SAFETY: callers pair each request with the type that the kernel reads for it from the live value.
    check(i64::from(unsafe { libc::ioctl(fd.as_raw_fd(), request, std::ptr::from_ref(value)) })).map(drop)
}

fn tell(fd: BorrowedFd<'_>, request: c_ulong, argument: c_int) -> Result<i64, Errno> {
    // SAFETY: callers use requests whose argument is a number.
    check(i64::from(unsafe { libc::ioctl(fd.as_raw_fd(), request, argument) }))
}

/// `TCGETS2` — modes; a master answers for its slave. EIO: it was hung up.
pub fn modes(fd: BorrowedFd<'_>) -> Result<Modes, Errno> {
    // SAFETY: plain numbers, for which zeros are values.
    read(fd, libc::TCGETS2, unsafe { std::mem::zeroed() })
}

/// `TCSETS2` — set modes at once, dropping nothing; of a master those of its slave.
pub fn set_modes(fd: BorrowedFd<'_>, modes: &Modes) -> Result<(), Errno> {
    write(fd, libc::TCSETS2, modes)
}

/// `TIOCGWINSZ` — size of the window.
pub fn window(fd: BorrowedFd<'_>) -> Result<Window, Errno> {
    read(fd, libc::TIOCGWINSZ, Window { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 })
}

/// `TIOCSWINSZ` — set the size of the window; the foreground group gets SIGWINCH if it changes.
pub fn set_window(fd: BorrowedFd<'_>, window: &Window) -> Result<(), Errno> {
    write(fd, libc::TIOCSWINSZ, window)
}

/// `TIOCGPTN` — number of a master's slave below `/dev/pts`. ENOTTY: it is no master.
pub fn index(master: BorrowedFd<'_>) -> Result<u32, Errno> {
    read(master, libc::TIOCGPTN, 0u32)
}

/// `TIOCGDEV` — the device number of the terminal itself, also through `/dev/tty`. EIO: it was hung up.
pub fn device(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    read(fd, libc::TIOCGDEV, 0u32).map(u64::from)
}

/// `TIOCGPTLCK` — whether the slave of a master cannot be opened (unlockpt(3)).
pub fn is_locked(master: BorrowedFd<'_>) -> Result<bool, Errno> {
    read(master, libc::TIOCGPTLCK, 0 as c_int).map(|value| value != 0)
}

/// `TIOCSPTLCK` — lock or unlock the slave of a master.
pub fn set_locked(master: BorrowedFd<'_>, is_locked: bool) -> Result<(), Errno> {
    write(master, libc::TIOCSPTLCK, &c_int::from(is_locked))
}

/// `TIOCGPKT` — whether reads of a master begin with a byte of status.
pub fn is_packets(master: BorrowedFd<'_>) -> Result<bool, Errno> {
    read(master, libc::TIOCGPKT, 0 as c_int).map(|value| value != 0)
}

/// `TIOCPKT` — switch packet mode. Switching it on forgets status that nobody has read.
pub fn set_packets(master: BorrowedFd<'_>, is_packets: bool) -> Result<(), Errno> {
    write(master, libc::TIOCPKT, &c_int::from(is_packets))
}

/// `TIOCGEXCL` — whether nobody but root can open the terminal once more.
pub fn is_exclusive(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    read(fd, libc::TIOCGEXCL, 0 as c_int).map(|value| value != 0)
}

/// `TIOCEXCL`, `TIOCNXCL` — whether nobody but root can open the terminal once more.
pub fn set_exclusive(fd: BorrowedFd<'_>, is_exclusive: bool) -> Result<(), Errno> {
    tell(fd, if is_exclusive { libc::TIOCEXCL } else { libc::TIOCNXCL }, 0).map(drop)
}

/// `TIOCGSID` — the session that a terminal controls; of a master that of its slave. `None`: it controls none that is to be seen.
pub fn session(fd: BorrowedFd<'_>) -> Result<Option<i32>, Errno> {
    match read(fd, libc::TIOCGSID, 0 as c_int) {
        Err(Errno::ENOTTY) => Ok(None),
        result => result.map(Some),
    }
}

/// `TIOCGPGRP` — the foreground process group; of a master that of its slave. 0: none, or none that is to be seen.
pub fn foreground(fd: BorrowedFd<'_>) -> Result<i32, Errno> {
    read(fd, libc::TIOCGPGRP, 0 as c_int)
}

/// `TIOCGPTPEER` — opens the slave of a master, wherever it is mounted. EIO: it is locked. EBUSY: it is exclusive.
pub fn open_slave(master: BorrowedFd<'_>, flags: i32) -> Result<OwnedFd, Errno> {
    /// The kernel's value; that of libc is 0 on 64-bit machines. open(2) adds it by itself.
    const O_LARGEFILE: i32 = 0o10_0000;
    let fd = tell(master, libc::TIOCGPTPEER, flags | libc::O_NOCTTY | O_LARGEFILE)?;
    // SAFETY: the kernel has just returned this descriptor and nobody else knows it.
    let slave = unsafe { OwnedFd::from_raw_fd(RawFd::try_from(fd).map_err(|_| Errno::EBADF)?) };
    // This request would leave O_CLOEXEC among the flags of the description, for all who share it.
    nix::fcntl::fcntl(&slave, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
    Ok(slave)
}

/// `TCXONC` — stop output as tcflow(3) with TCOOFF does it, or let it go on.
pub fn set_stopped(fd: BorrowedFd<'_>, is_stopped: bool) -> Result<(), Errno> {
    tell(fd, libc::TCXONC, if is_stopped { libc::TCOOFF } else { libc::TCOON }).map(drop)
}

/// `TIOCSCTTY` — makes the terminal that of our session, which we must lead and which must have none.
pub fn take(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    tell(fd, libc::TIOCSCTTY, 0).map(drop)
}

/// By this name ([`libc::PR_SET_NAME`]) processes that work apart are known while they do.
pub const APART: &std::ffi::CStr = c"cr_ckpt_apart";

/// Does `work` in a child with a session of its own, in which no signal that can be blocked acts, and gives what it has written. Neither the end of
/// this process nor a signal to its group stops the child: what it has begun, it ends. `work` must not use locks that other threads may hold;
/// memory may be allocated, because libc keeps that possible over fork(2).
pub fn apart(work: impl FnOnce() -> Vec<u8>) -> Result<Vec<u8>, Errno> {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    // SAFETY: takes no pointers. The child runs `work` only, for which the caller vouches, and never returns.
    let child = check(i64::from(unsafe { libc::fork() }))?;
    if child == 0 {
        super::fault::spare();
        drop(reader);
        let all = u64::MAX;
        // SAFETY: takes numbers, and the address of a live word of the size that is passed.
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, std::ptr::from_ref(&all), 0, 8) };
        // SAFETY: takes nothing.
        unsafe { libc::setsid() };
        // SAFETY: the kernel reads a string that ends with NUL.
        unsafe { libc::prctl(libc::PR_SET_NAME, APART.as_ptr()) };
        let written = std::fs::File::from(writer).write_all(&work());
        // SAFETY: takes a number and does not return.
        unsafe { libc::_exit(i32::from(written.is_err())) }
    }
    drop(writer);
    let mut bytes = Vec::new();
    let result = std::fs::File::from(reader).read_to_end(&mut bytes);
    let child = i32::try_from(child).unwrap_or(-1);
    // SAFETY: no status is wanted. ECHILD, where the caller of the program ignores SIGCHLD, is as good: it has ended.
    while unsafe { libc::waitpid(child, std::ptr::null_mut(), libc::__WALL) } == -1 && Errno::last() == Errno::EINTR {}
    result.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
    Ok(bytes)
}

/// A descriptor of `/dev/tty` that reaches this terminal: opened by a child whose session it controls for that moment. EPERM: it controls
/// another session.
pub fn open_as_own(slave: BorrowedFd<'_>, flags: i32) -> Result<OwnedFd, Errno> {
    let (ours, theirs) = nix::sys::socket::socketpair(
        nix::sys::socket::AddressFamily::Unix,
        nix::sys::socket::SockType::Datagram,
        None,
        nix::sys::socket::SockFlag::SOCK_CLOEXEC,
    )?;
    let answer = apart(|| {
        let opened = take(slave).and_then(|()| {
            let flags = nix::fcntl::OFlag::from_bits_retain(flags | libc::O_CLOEXEC | libc::O_NONBLOCK);
            nix::fcntl::open("/dev/tty", flags, nix::sys::stat::Mode::empty())
        });
        let sent = opened.and_then(|fd| {
            let rights = [fd.as_raw_fd()];
            let message = [nix::sys::socket::ControlMessage::ScmRights(&rights)];
            let nothing = nix::sys::socket::MsgFlags::empty();
            nix::sys::socket::sendmsg::<()>(theirs.as_raw_fd(), &[std::io::IoSlice::new(b"x")], &message, nothing, None)
        });
        vec![sent.map_or_else(|errno| u8::try_from(errno as i32).unwrap_or(u8::MAX), |_| 0)]
    })?;
    match answer.first() {
        Some(0) => receive(&ours),
        Some(code) => Err(Errno::from_raw(i32::from(*code))),
        None => Err(Errno::EIO),
    }
}

fn receive(socket: &OwnedFd) -> Result<OwnedFd, Errno> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    let mut room = nix::cmsg_space!(RawFd);
    let mut byte = [0];
    let mut parts = [std::io::IoSliceMut::new(&mut byte)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut room), flags)?;
    let mut rights =
        message.cmsgs()?.filter_map(|part| if let ControlMessageOwned::ScmRights(fds) = part { fds.first().copied() } else { None });
    // SAFETY: the kernel has just put this descriptor into our table with the message; nobody else knows it.
    rights.next().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).ok_or(Errno::EBADF)
}
