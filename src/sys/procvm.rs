//! Reading and writing the memory of another process: `process_vm_readv(2)`, `process_vm_writev(2)`.
#![allow(unsafe_code)]

use libc::{c_void, iovec, pid_t};

use super::{Errno, check, fault};

/// `process_vm_readv(2)` — copy bytes at `address` in `pid` into `buffer`; returns how many came, which may be fewer.
pub fn read(pid: pid_t, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    fault::point("tracee")?;
    let local = iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote = iovec { iov_base: address as *mut c_void, iov_len: buffer.len() };
    // SAFETY: `local` describes exactly `buffer`, which is borrowed mutably for the call; `remote` is not ours.
    let count = check(unsafe { libc::process_vm_readv(pid, &local, 1, &remote, 1, 0) } as libc::c_long)?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// `process_vm_writev(2)` — copy `bytes` to `address` in `pid`; returns how many went, which may be fewer.
pub fn write(pid: pid_t, address: u64, bytes: &[u8]) -> Result<usize, Errno> {
    fault::point("tracee")?;
    let local = iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let remote = iovec { iov_base: address as *mut c_void, iov_len: bytes.len() };
    // SAFETY: `local` describes exactly `bytes`, which the kernel only reads; `remote` is not ours.
    let count = check(unsafe { libc::process_vm_writev(pid, &local, 1, &remote, 1, 0) } as libc::c_long)?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Most areas one call of [`read_many`] takes (`UIO_MAXIOV`).
pub const MAX_AREAS: usize = 1024;

/// `process_vm_readv(2)` — copy several areas `(address, bytes)` in a row into `buffer`; returns how many bytes came.
/// At most [`MAX_AREAS`] areas, whose sizes must add up to `buffer.len()`.
pub fn read_many(pid: pid_t, areas: &[(u64, usize)], buffer: &mut [u8]) -> Result<usize, Errno> {
    assert_eq!(areas.iter().map(|area| area.1).sum::<usize>(), buffer.len(), "areas must fill the buffer");
    fault::point("tracee")?;
    let local = iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote: Vec<iovec> = areas.iter().map(|&(address, bytes)| iovec { iov_base: address as *mut c_void, iov_len: bytes }).collect();
    // SAFETY: `local` describes exactly `buffer`; the remote areas are not ours, and their count is that of the vector.
    let count = check(unsafe { libc::process_vm_readv(pid, &local, 1, remote.as_ptr(), remote.len() as u64, 0) } as libc::c_long)?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// `process_vm_writev(2)` — copy `bytes` to several areas `(address, bytes)` in a row; returns how many bytes went.
/// At most [`MAX_AREAS`] areas, whose sizes must add up to `bytes.len()`.
pub fn write_many(pid: pid_t, areas: &[(u64, usize)], bytes: &[u8]) -> Result<usize, Errno> {
    assert_eq!(areas.iter().map(|area| area.1).sum::<usize>(), bytes.len(), "areas must take all the bytes");
    fault::point("tracee")?;
    let local = iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let remote: Vec<iovec> = areas.iter().map(|&(address, bytes)| iovec { iov_base: address as *mut c_void, iov_len: bytes }).collect();
    // SAFETY: `local` describes exactly `bytes`, which the kernel only reads; the remote areas are not ours.
    let count = check(unsafe { libc::process_vm_writev(pid, &local, 1, remote.as_ptr(), remote.len() as u64, 0) } as libc::c_long)?;
    Ok(usize::try_from(count).unwrap_or(0))
}
