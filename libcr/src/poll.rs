//! What checkpoints and restarts have in common once they are requested: wait, log, reap, and all of them in one.
//!
//! Relies on [`Handle`]. Pointers are those of C callers; each is looked at once.

use core::ffi::{c_char, c_int, c_uint, c_ulong};

use crate::request::{Handle, Outcome};
use crate::{round, sys};

const ERR_PRE: c_int = -1;
const ERR_POST: c_int = -2;
const ERR_LOG: c_int = -3;

/// Until when a wait lasts.
pub struct Timeout(Option<u64>);

impl Timeout {
    /// Between two looks.
    pub const PAUSE_NS: i64 = 1_000_000;

    fn after(timeout: *const libc::timeval) -> Result<Timeout, c_int> {
        // SAFETY: callers pass a time or null, as the header asks.
        let Some(time) = (unsafe { timeout.as_ref() }) else { return Ok(Timeout(None)) };
        let seconds = u64::try_from(time.tv_sec).map_err(|_| libc::EINVAL)?;
        let micros = u64::try_from(time.tv_usec).map_err(|_| libc::EINVAL)?;
        let ns = seconds.saturating_mul(1_000_000_000).saturating_add(micros.saturating_mul(1000));
        Ok(Timeout(Some(sys::now_ns().saturating_add(ns))))
    }

    fn is_over(&self) -> bool {
        self.0.is_some_and(|end| end <= sys::now_ns())
    }
}

fn handle_of(handle: *const c_ulong) -> Result<Handle, c_int> {
    // SAFETY: callers pass their handle or null, as the header asks.
    let number = unsafe { handle.as_ref() }.ok_or(libc::EFAULT)?;
    Handle::of(*number).ok_or(libc::EINVAL)
}

/// Positive: over; 0: not in time.
pub fn wait(handle: *const c_ulong, timeout: *const libc::timeval) -> c_int {
    let waited = handle_of(handle).and_then(|handle| {
        let timeout = Timeout::after(timeout)?;
        loop {
            if handle.is_over() {
                return Ok(1);
            }
            if timeout.is_over() {
                return Ok(0);
            }
            round::attend();
            sys::sleep(Timeout::PAUSE_NS);
        }
    });
    waited.unwrap_or_else(sys::fail)
}

/// How many bytes there are, 0 if none.
pub fn log(handle: *const c_ulong, length: c_uint, buffer: *mut c_char) -> c_int {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let copied = handle_of(handle).map(|handle| handle.log(buffer.cast(), length));
    copied.map_or_else(sys::fail, |bytes| c_int::try_from(bytes).unwrap_or(c_int::MAX))
}

/// What `success` makes of the lead.
pub fn reap(handle: *const c_ulong, success: fn(c_int) -> c_int) -> c_int {
    match handle_of(handle) {
        Err(errno) => sys::fail(errno),
        Ok(handle) if !handle.is_over() => sys::fail(libc::EAGAIN),
        Ok(handle) => match handle.reap() {
            Outcome::Success(lead) => success(lead),
            Outcome::Failure(errno) => sys::fail(errno),
        },
    }
}

/// Wait, log, reap.
pub fn poll(handle: *const c_ulong, timeout: *const libc::timeval, message: *mut *mut c_char, success: fn(c_int) -> c_int) -> c_int {
    match wait(handle, timeout) {
        0 => return 0,
        1.. => {}
        _ => return ERR_PRE,
    }
    // SAFETY: callers pass where the address of the text goes, or null.
    if let Some(message) = unsafe { message.as_mut() } {
        *message = core::ptr::null_mut();
        let bytes = log(handle, 0, core::ptr::null_mut());
        if let Some(bytes) = c_uint::try_from(bytes).ok().filter(|bytes| *bytes > 0) {
            // SAFETY: malloc takes a number; the caller frees what it gives.
            let text: *mut c_char = unsafe { libc::malloc(bytes as usize) }.cast();
            if text.is_null() {
                sys::set_errno(libc::ENOMEM);
                return ERR_LOG;
            }
            log(handle, bytes, text);
            *message = text;
        }
    }
    match reap(handle, success) {
        result if result < 0 => ERR_POST,
        result => result,
    }
}
