//! Calls on descriptors that nix lacks or splits differently.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::inherited::was_closed;
use super::{Errno, check};

const F_SETSIG: i32 = 10;
const F_GETSIG: i32 = 11;

fn fcntl(fd: BorrowedFd<'_>, command: i32, argument: u64) -> Result<i32, Errno> {
    // SAFETY: callers pass numbers, or the address of a live struct that the command fills or reads.
    check(i64::from(unsafe { libc::fcntl(fd.as_raw_fd(), command, argument) })).map(|value| i32::try_from(value).unwrap_or(0))
}

/// `fcntl(F_GETPIPE_SZ)` — capacity of a pipe in bytes.
pub fn pipe_capacity(fd: BorrowedFd<'_>) -> Result<i32, Errno> {
    fcntl(fd, libc::F_GETPIPE_SZ, 0)
}

/// `fcntl(F_SETPIPE_SZ)` — set the capacity of a pipe in bytes. EPERM: above `pipe-max-size`.
pub fn set_pipe_capacity(fd: BorrowedFd<'_>, bytes: i32) -> Result<i32, Errno> {
    fcntl(fd, libc::F_SETPIPE_SZ, u64::try_from(bytes).unwrap_or(0))
}

/// `fcntl(F_GETFL)` — status flags and access mode.
pub fn status_flags(fd: BorrowedFd<'_>) -> Result<i32, Errno> {
    fcntl(fd, libc::F_GETFL, 0)
}

/// `fcntl(F_SETFL)` — set the status flags that can change after open.
pub fn set_status_flags(fd: BorrowedFd<'_>, flags: i32) -> Result<(), Errno> {
    fcntl(fd, libc::F_SETFL, u64::from(flags.cast_unsigned())).map(drop)
}

/// `fcntl(F_GETLEASE)` — the lease held through this description: F_RDLCK, F_WRLCK or F_UNLCK.
pub fn lease(fd: BorrowedFd<'_>) -> Result<i32, Errno> {
    fcntl(fd, libc::F_GETLEASE, 0)
}

/// `fcntl(F_SETLEASE)` — whether anybody has the file, which is open for reading here, open for writing or mapped so, wherever he lives: then the kernel grants
/// no lease for reading. Where it grants none at all (another's file, another file system), nobody is known.
pub fn is_open_to_write(fd: BorrowedFd<'_>) -> bool {
    let lease = |kind: i32| fcntl(fd, libc::F_SETLEASE, u64::try_from(kind).unwrap_or(0));
    match lease(libc::F_RDLCK) {
        Ok(_) => lease(libc::F_UNLCK).is_err(),
        Err(errno) => errno == Errno::EAGAIN,
    }
}

/// `fcntl(F_GETSIG)` — signal sent when I/O becomes possible; 0 means SIGIO.
pub fn owner_signal(fd: BorrowedFd<'_>) -> Result<i32, Errno> {
    fcntl(fd, F_GETSIG, 0)
}

/// `fcntl(F_SETSIG)` — choose the signal sent when I/O becomes possible.
pub fn set_owner_signal(fd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    fcntl(fd, F_SETSIG, u64::try_from(signal).unwrap_or(0)).map(drop)
}

/// `struct f_owner_ex` (fcntl(2), F_GETOWN_EX).
#[repr(C)]
struct OwnerEx {
    kind: i32,
    id: i32,
}

/// `fcntl(F_GETOWN_EX)` — who gets the signals: (F_OWNER_TID 0, PID 1 or PGRP 2; id). `None` when nobody does.
pub fn owner(fd: BorrowedFd<'_>) -> Result<Option<(i32, i32)>, Errno> {
    const F_GETOWN_EX: i32 = 16;
    let mut owner = OwnerEx { kind: 0, id: 0 };
    fcntl(fd, F_GETOWN_EX, std::ptr::from_mut(&mut owner) as u64)?;
    Ok((owner.id != 0).then_some((owner.kind, owner.id)))
}

/// `fcntl(F_SETOWN_EX)` — choose who gets the signals; see [`owner`].
pub fn set_owner(fd: BorrowedFd<'_>, kind: i32, id: i32) -> Result<(), Errno> {
    const F_SETOWN_EX: i32 = 15;
    let owner = OwnerEx { kind, id };
    fcntl(fd, F_SETOWN_EX, std::ptr::from_ref(&owner) as u64).map(drop)
}

/// `fcntl(F_GET_SEALS)` — seals of a memfd. EINVAL: not a file that can be sealed.
pub fn seals(fd: BorrowedFd<'_>) -> Result<i32, Errno> {
    fcntl(fd, libc::F_GET_SEALS, 0)
}

/// `fcntl(F_ADD_SEALS)` — add seals to a memfd.
pub fn add_seals(fd: BorrowedFd<'_>, seals: i32) -> Result<(), Errno> {
    fcntl(fd, libc::F_ADD_SEALS, u64::try_from(seals).unwrap_or(0)).map(drop)
}

/// `fcntl(F_DUPFD_CLOEXEC)` — duplicate onto the lowest free number from `lowest` on.
pub fn duplicate_from(fd: BorrowedFd<'_>, lowest: RawFd) -> Result<OwnedFd, Errno> {
    use std::os::fd::FromRawFd;
    let new = fcntl(fd, libc::F_DUPFD_CLOEXEC, u64::try_from(lowest).unwrap_or(0))?;
    // SAFETY: the kernel has just returned this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(new) })
}

/// `ioctl(FIONREAD)` — bytes that can be read at once from a pipe, socket or terminal.
pub fn readable_bytes(fd: BorrowedFd<'_>) -> Result<usize, Errno> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the kernel writes one int to the live local.
    check(i64::from(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &mut bytes) }))?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// `tee(2)` — copy at most `bytes` from one pipe to another without consuming them; never blocks (EAGAIN: nothing to copy).
pub fn tee(from: BorrowedFd<'_>, to: BorrowedFd<'_>, bytes: usize) -> Result<usize, Errno> {
    // SAFETY: takes numbers only.
    let count = check(unsafe { libc::tee(from.as_raw_fd(), to.as_raw_fd(), bytes, libc::SPLICE_F_NONBLOCK) } as i64)?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// `memfd_create(2)` — an anonymous file in memory.
pub fn memfd(name: &std::ffi::CStr, flags: u32) -> Result<OwnedFd, Errno> {
    use std::os::fd::FromRawFd;
    // SAFETY: `name` is a NUL-terminated string that the kernel only reads.
    let fd = check(unsafe { libc::syscall(libc::SYS_memfd_create, name.as_ptr(), flags) })?;
    // SAFETY: the kernel has just returned this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap_or(-1)) })
}

/// `fcntl(F_OFD_SETLK)`, `fcntl(F_SETLK)` — set a record lock without waiting. EAGAIN: somebody else holds it.
pub fn set_record_lock(fd: BorrowedFd<'_>, command: i32, lock: &libc::flock) -> Result<(), Errno> {
    fcntl(fd, command, std::ptr::from_ref(lock) as u64).map(drop)
}

/// `fcntl(F_DUPFD_CLOEXEC)` — our own duplicate of a descriptor number that we were started with. EBADF: it is not open.
pub fn duplicate_inherited(fd: RawFd) -> Result<OwnedFd, Errno> {
    use std::os::fd::FromRawFd;
    if was_closed(fd) {
        return Err(Errno::EBADF);
    }
    // SAFETY: takes numbers only; a number that is not open gives EBADF.
    let new = check(i64::from(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) }))?;
    // SAFETY: the kernel has just returned this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(new).unwrap_or(-1)) })
}

/// `fcntl(F_GETFD)` — whether a descriptor number that we were started with is open and stays open over exec.
pub fn passes_on(fd: RawFd) -> bool {
    if was_closed(fd) {
        return false;
    }
    // SAFETY: takes numbers only; a number that is not open gives EBADF.
    check(i64::from(unsafe { libc::fcntl(fd, libc::F_GETFD) })).is_ok_and(|flags| flags & i64::from(libc::FD_CLOEXEC) == 0)
}

/// `splice(2)` — move at most `bytes` from one pipe to another; never blocks (EAGAIN: nothing to move, or no room).
pub fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, bytes: usize) -> Result<usize, Errno> {
    let (no_offset, flags) = (std::ptr::null_mut::<libc::loff_t>(), libc::SPLICE_F_NONBLOCK);
    // SAFETY: takes numbers and two null pointers, which mean "no offset".
    let count = unsafe { libc::splice(from.as_raw_fd(), no_offset, to.as_raw_fd(), no_offset, bytes, flags) };
    Ok(usize::try_from(check(count as i64)?).unwrap_or(0))
}

/// `ioctl(TIOCGWINSZ)` — size of a terminal's window: rows and columns of characters (ioctl_tty(2)).
pub fn window_size(fd: BorrowedFd<'_>) -> Result<(u16, u16), Errno> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel writes one struct to the live local.
    check(i64::from(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &mut size) }))?;
    Ok((size.ws_row, size.ws_col))
}

/// `flock(2)` — lock the whole file on behalf of the description, without waiting. EWOULDBLOCK: somebody else holds it.
pub fn flock(fd: BorrowedFd<'_>, exclusive: bool) -> Result<(), Errno> {
    let operation = if exclusive { libc::LOCK_EX } else { libc::LOCK_SH };
    // SAFETY: takes numbers only.
    check(i64::from(unsafe { libc::flock(fd.as_raw_fd(), operation | libc::LOCK_NB) })).map(drop)
}

/// Wraps the descriptor that a call has just returned.
fn fresh(fd: libc::c_long) -> Result<OwnedFd, Errno> {
    use std::os::fd::FromRawFd;
    let fd = RawFd::try_from(check(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: callers pass what the kernel has just returned; nobody else knows the descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `eventfd(2)` — a counter, 0 at first; close-on-exec.
pub fn eventfd(semaphore: bool) -> Result<OwnedFd, Errno> {
    let flags = libc::EFD_CLOEXEC | libc::EFD_NONBLOCK | if semaphore { libc::EFD_SEMAPHORE } else { 0 };
    // SAFETY: takes numbers only.
    fresh(i64::from(unsafe { libc::eventfd(0, flags) }))
}

/// `signalfd(2)` — a descriptor for the signals of `mask` (bit N-1 for signal N); close-on-exec.
pub fn signalfd(mask: u64) -> Result<OwnedFd, Errno> {
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the kernel reads the eight bytes of the live local.
    fresh(unsafe { libc::syscall(libc::SYS_signalfd4, -1, std::ptr::from_ref(&mask), size_of::<u64>(), flags) })
}

/// `epoll_create1(2)` — an epoll instance with an empty interest list; close-on-exec.
pub fn epoll() -> Result<OwnedFd, Errno> {
    // SAFETY: takes numbers only.
    fresh(i64::from(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) }))
}

/// `timerfd_create(2)` — a disarmed timer on a clock; close-on-exec. EPERM: an alarm clock without CAP_WAKE_ALARM.
pub fn timerfd(clock: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: takes numbers only.
    fresh(i64::from(unsafe { libc::timerfd_create(clock, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) }))
}

/// Seconds and nanoseconds.
pub type Seconds = (i64, i64);

/// `timerfd_settime(2)` — arm a timer with its next expiration and its period; (0, 0) disarms.
pub fn set_timerfd(fd: BorrowedFd<'_>, flags: i32, value: Seconds, interval: Seconds) -> Result<(), Errno> {
    let timespec = |(tv_sec, tv_nsec)| libc::timespec { tv_sec, tv_nsec };
    let new = libc::itimerspec { it_interval: timespec(interval), it_value: timespec(value) };
    // SAFETY: the kernel reads one live struct; null means that the old setting is not wanted.
    check(i64::from(unsafe { libc::timerfd_settime(fd.as_raw_fd(), flags, &new, std::ptr::null_mut()) })).map(drop)
}

/// `timerfd_gettime(2)` — time to the next expiration. A period that has passed unnoticed is counted and started anew.
pub fn timerfd_left(fd: BorrowedFd<'_>) -> Result<Seconds, Errno> {
    let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let mut now = libc::itimerspec { it_interval: zero, it_value: zero };
    // SAFETY: the kernel writes one struct to the live local.
    check(i64::from(unsafe { libc::timerfd_gettime(fd.as_raw_fd(), &mut now) }))?;
    Ok((now.it_value.tv_sec, now.it_value.tv_nsec))
}

/// `ioctl(TFD_IOC_SET_TICKS)` — set the number of expirations nobody has read. ENOTTY: the kernel cannot. EINVAL: 0 ticks.
pub fn set_timerfd_ticks(fd: BorrowedFd<'_>, ticks: u64) -> Result<(), Errno> {
    const TFD_IOC_SET_TICKS: libc::c_ulong = 0x4008_5400;
    // SAFETY: the kernel reads the eight bytes of the live local.
    check(i64::from(unsafe { libc::ioctl(fd.as_raw_fd(), TFD_IOC_SET_TICKS, &ticks) })).map(drop)
}

/// `struct kcmp_epoll_slot` (kcmp(2)).
#[repr(C)]
struct EpollSlot {
    epoll: u32,
    target: u32,
    nth: u32,
}
const _: () = assert!(size_of::<EpollSlot>() == 12);

/// `kcmp(2)` with KCMP_EPOLL_TFD — is descriptor `fd` of process `pid` what its epoll instance `epoll` knows as number `target`?
/// `nth` counts the entries under that number, from 0. ENOENT: no such entry. EOPNOTSUPP: the kernel cannot tell.
pub fn is_epoll_target(pid: i32, fd: RawFd, epoll: RawFd, target: RawFd, nth: u32) -> Result<bool, Errno> {
    const KCMP_EPOLL_TFD: libc::c_int = 7;
    let number = |fd: RawFd| u32::try_from(fd).map_err(|_| Errno::EBADF);
    let slot = EpollSlot { epoll: number(epoll)?, target: number(target)?, nth };
    let fd = u64::from(number(fd)?);
    // SAFETY: the kernel reads the live struct behind the last argument; the others are numbers.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, pid, pid, KCMP_EPOLL_TFD, fd, std::ptr::from_ref(&slot)) };
    Ok(check(order)? == 0)
}

/// `getsockopt(2)` — an integer option of level SOL_SOCKET, for example SO_DOMAIN or SO_TYPE.
pub fn socket_option(fd: BorrowedFd<'_>, option: i32) -> Result<i32, Errno> {
    let mut value: libc::c_int = 0;
    let mut bytes: libc::socklen_t = 4;
    let pointer = std::ptr::from_mut(&mut value).cast();
    // SAFETY: the kernel writes at most four bytes to the live int, and the length it wrote to the live length.
    check(i64::from(unsafe { libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, option, pointer, &mut bytes) }))?;
    Ok(value)
}

/// `epoll_ctl(2)` with EPOLL_CTL_ADD — register a descriptor with an epoll instance.
pub fn epoll_add(epoll: BorrowedFd<'_>, fd: BorrowedFd<'_>, events: u32, data: u64) -> Result<(), Errno> {
    let mut event = libc::epoll_event { events, u64: data };
    // SAFETY: the kernel reads one live struct.
    check(i64::from(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &mut event) })).map(drop)
}

/// `fcntl(F_OFD_GETLK)` — the first record lock that would keep this one from being set on the description; `l_pid` is -1 when a
/// description owns it.
pub fn conflicting_lock(fd: BorrowedFd<'_>, lock: &libc::flock) -> Result<Option<libc::flock>, Errno> {
    let mut found = libc::flock { l_pid: 0, ..*lock };
    fcntl(fd, libc::F_OFD_GETLK, std::ptr::from_mut(&mut found) as u64)?;
    Ok((i32::from(found.l_type) != libc::F_UNLCK).then_some(found))
}
