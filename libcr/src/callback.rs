//! Registering callbacks and putting others in their place.
//!
//! Callbacks in thread context belong to the process and are run by a helper thread, which the first of them starts; callbacks in signal context belong
//! to the thread that registers them. Relies on [`List`] and the lock of [`thread`]; running them is left to [`crate::run`].

use core::ffi::c_void;
use core::sync::atomic::Ordering::{Relaxed, Release};

use libcr_wire::code;

use crate::list::{Callback, Function, List};
use crate::run::Group;
use crate::thread::{self, LOCK, Thread};
use crate::{handler, sys};

/// `CR_THREAD_CONTEXT`.
pub const THREAD_CONTEXT: i32 = 0x0400_0000;
/// `CR_SIGNAL_CONTEXT`.
pub const SIGNAL_CONTEXT: i32 = 0x0200_0000;
const CONTEXTS: i32 = THREAD_CONTEXT | SIGNAL_CONTEXT;

/// Callbacks in thread context.
pub static PROCESS: List = List::new();

/// `cr_register_callback(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_register_callback(function: Option<Function>, argument: *mut c_void, flags: i32) -> i32 {
    register(Callback { function, argument }, flags).unwrap_or_else(sys::fail)
}

fn register(callback: Callback, flags: i32) -> Result<i32, i32> {
    let thread = outside_of_callbacks()?;
    let list = list_of(thread, flags)?;
    if flags & THREAD_CONTEXT != 0 {
        handler::start_helper()?;
    }
    // After a restart with other ids this is the first that a thread may do.
    thread.tid.store(sys::own_tid(), Release);
    let index = LOCK.hold(|| list.push(callback))?;
    Ok(index.cast_signed() | flags & CONTEXTS)
}

fn outside_of_callbacks() -> Result<&'static Thread, i32> {
    let thread = thread::current().ok_or(code::NOINIT)?;
    if thread.group.load(Relaxed).is_null() { Ok(thread) } else { Err(libc::EBUSY) }
}

fn list_of(thread: &'static Thread, flags: i32) -> Result<&'static List, i32> {
    match flags {
        THREAD_CONTEXT => Ok(&PROCESS),
        SIGNAL_CONTEXT => Ok(&thread.callbacks),
        _ => Err(libc::EINVAL),
    }
}

/// `cr_replace_callback(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_replace_callback(id: i32, function: Option<Function>, argument: *mut c_void, flags: i32) -> i32 {
    replace(id, Callback { function, argument }, flags).map_or_else(sys::fail, |()| 0)
}

fn replace(id: i32, callback: Callback, flags: i32) -> Result<(), i32> {
    let thread = outside_of_callbacks()?;
    let list = list_of(thread, flags)?;
    let index = u32::try_from(id & !CONTEXTS).map_err(|_| libc::EINVAL)?;
    if id & CONTEXTS != flags {
        return Err(libc::EINVAL);
    }
    LOCK.hold(|| put(list, index, callback))
}

fn put(list: &List, index: u32, callback: Callback) -> Result<(), i32> {
    if index >= list.len() {
        return Err(libc::EINVAL);
    }
    list.put(index, callback);
    Ok(())
}

/// `cr_replace_self(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_replace_self(function: Option<Function>, argument: *mut c_void, flags: i32) -> i32 {
    replace_running(Callback { function, argument }, flags).map_or_else(sys::fail, |()| 0)
}

fn replace_running(callback: Callback, flags: i32) -> Result<(), i32> {
    let thread = thread::current().ok_or(code::NOTCB)?;
    let group = Group::of(thread).ok_or(code::NOTCB)?;
    let (index, context) = group.running().ok_or(code::NOTCB)?;
    if flags != context {
        return Err(libc::EINVAL);
    }
    let list = list_of(thread, flags)?;
    LOCK.hold(|| put(list, index, callback))
}
