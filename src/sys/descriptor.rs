//! Calls on descriptors that nix lacks or splits differently.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

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
    // SAFETY: takes numbers only; a number that is not open gives EBADF.
    let new = check(i64::from(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) }))?;
    // SAFETY: the kernel has just returned this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(new).unwrap_or(-1)) })
}

/// `fcntl(F_GETFD)` — whether a descriptor number is open and stays open over exec.
pub fn passes_on(fd: RawFd) -> bool {
    // SAFETY: takes numbers only; a number that is not open gives EBADF.
    check(i64::from(unsafe { libc::fcntl(fd, libc::F_GETFD) })).is_ok_and(|flags| flags & i64::from(libc::FD_CLOEXEC) == 0)
}
