//! Bytes of a stopped task's memory, also where its own protection forbids access.
//!
//! Relies on process_vm_readv(2) for speed and on `/proc/PID/mem` where that is refused: PROT_NONE, read-only pages.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use super::TraceeError;
use crate::sys::{Errno, fault, procvm};

/// Reads exactly `buffer.len()` bytes at `address` of process `pid`.
pub fn read(pid: i32, address: u64, buffer: &mut [u8]) -> Result<(), TraceeError> {
    let done = procvm::read(pid, address, buffer).unwrap_or(0);
    if done == buffer.len() {
        return Ok(());
    }
    let bytes = buffer.len() - done;
    let at = address + done as u64;
    open(pid, false).and_then(|file| file.read_exact_at(&mut buffer[done..], at)).map_err(|error| failed("read", pid, at, bytes, &error))
}

/// Writes all of `bytes` at `address` of process `pid`, whatever the protection of the pages.
pub fn write(pid: i32, address: u64, bytes: &[u8]) -> Result<(), TraceeError> {
    let done = procvm::write(pid, address, bytes).unwrap_or(0);
    if done == bytes.len() {
        return Ok(());
    }
    let rest = &bytes[done..];
    let at = address + done as u64;
    open(pid, true).and_then(|file| file.write_all_at(rest, at)).map_err(|error| failed("write", pid, at, rest.len(), &error))
}

/// Reads a 64-bit word.
pub fn read_word(pid: i32, address: u64) -> Result<u64, TraceeError> {
    let mut bytes = [0; 8];
    read(pid, address, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn open(pid: i32, write: bool) -> std::io::Result<File> {
    fault::point("tracee")?;
    OpenOptions::new().read(true).write(write).open(format!("/proc/{pid}/mem"))
}

fn failed(attempt: &'static str, tid: i32, address: u64, bytes: usize, error: &std::io::Error) -> TraceeError {
    match Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)) {
        Errno::ESRCH | Errno::ENOENT => TraceeError::Gone { tid },
        source => TraceeError::Memory { attempt, tid, address, bytes, source },
    }
}
