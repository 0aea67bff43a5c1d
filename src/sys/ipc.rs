//! System V semaphores, as far as nix does not have them.
#![allow(unsafe_code)]

use libc::c_long;

use super::{Errno, check};

/// `semctl(2)` GETPID — the last process that changed semaphore `number` of a set, or waited for it to become 0; 0: nobody. EACCES: it may not
/// be read.
pub fn semaphore_pid(set: i32, number: i32) -> Result<i32, Errno> {
    // SAFETY: GETPID takes no fourth argument and no pointers.
    let pid = check(c_long::from(unsafe { libc::semctl(set, number, libc::GETPID) }))?;
    Ok(i32::try_from(pid).unwrap_or(0))
}
