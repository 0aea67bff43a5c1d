//! Critical sections: checkpoints wait until nobody is in one.
//!
//! One word counts the threads inside and says whether the door is closed because a checkpoint waits or is under way. Relies on each thread's own depth,
//! so that a thread inside always gets further in. Signals are blocked while the two change together, so that handlers may use sections, too.

use core::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed},
};

use libcr_wire::code;

use crate::thread::{self, Thread};
use crate::{round, sys};

const CLOSED: u32 = 1 << 31;
/// `CR_ID_CALLBACK`.
const ID_CALLBACK: i32 = -1;

static DOOR: AtomicU32 = AtomicU32::new(0);

/// How many threads are inside.
pub fn holders() -> u32 {
    DOOR.load(Acquire) & !CLOSED
}

/// Nobody gets in any more; whether nobody is in.
pub fn close() -> bool {
    DOOR.fetch_or(CLOSED, AcqRel) & !CLOSED == 0
}

/// Lets everybody in who waits.
pub fn open() {
    DOOR.fetch_and(!CLOSED, AcqRel);
    sys::wake(&DOOR);
}

/// In the child of a fork.
pub fn reset() {
    DOOR.store(0, Relaxed);
}

/// Who may use sections, and whether it is a callback, for which they are free.
enum Caller {
    Thread(&'static Thread),
    Callback,
}

fn caller(id: i32) -> Result<Caller, i32> {
    let thread = thread::current().ok_or(code::NOINIT)?;
    if !thread.group.load(Relaxed).is_null() {
        return Ok(Caller::Callback);
    }
    if id == ID_CALLBACK {
        Err(code::NOTCB)
    } else if thread::is_client(id) {
        Ok(Caller::Thread(thread))
    } else {
        Err(libc::EINVAL)
    }
}

/// `cr_enter_cs(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_enter_cs(id: i32) -> i32 {
    match caller(id) {
        Ok(Caller::Callback) => 0,
        Ok(Caller::Thread(thread)) => {
            let _keep = sys::KeepErrno::new();
            while !enter(thread) {
                round::attend();
                let door = DOOR.load(Acquire);
                if door & CLOSED != 0 {
                    sys::wait(&DOOR, door, round::TICK_NS);
                }
            }
            0
        }
        Err(errno) => sys::fail(errno),
    }
}

/// `cr_tryenter_cs(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_tryenter_cs(id: i32) -> i32 {
    match caller(id) {
        Ok(Caller::Callback) => 0,
        Ok(Caller::Thread(thread)) => i32::from(!enter(thread)),
        Err(errno) => sys::fail(errno),
    }
}

/// `cr_leave_cs(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_leave_cs(id: i32) -> i32 {
    match caller(id) {
        Ok(Caller::Callback) => 0,
        Ok(Caller::Thread(thread)) if thread.depth.load(Relaxed) == 0 => sys::fail(libc::EINVAL),
        Ok(Caller::Thread(thread)) => {
            let _keep = sys::KeepErrno::new();
            if leave(thread, 1) {
                round::attend();
                round::until_over();
            }
            0
        }
        Err(errno) => sys::fail(errno),
    }
}

/// Goes in, or one further in; whether that was possible.
fn enter(thread: &Thread) -> bool {
    let depth = thread.depth.load(Relaxed);
    if depth > 0 {
        thread.depth.store(depth + 1, Relaxed);
        return true;
    }
    let mask = sys::set_mask(sys::EVERYTHING);
    let entered = DOOR.fetch_update(AcqRel, Acquire, |door| (door & CLOSED == 0).then_some(door + 1)).is_ok();
    if entered {
        thread.depth.store(1, Relaxed);
        publish();
    }
    sys::set_mask(mask);
    entered
}

/// Goes out by so many; whether a checkpoint has waited for this.
fn leave(thread: &Thread, by: u32) -> bool {
    let depth = thread.depth.load(Relaxed);
    if depth > by {
        thread.depth.store(depth - by, Relaxed);
        return false;
    }
    let mask = sys::set_mask(sys::EVERYTHING);
    thread.depth.store(0, Relaxed);
    let before = DOOR.fetch_sub(1, AcqRel);
    publish();
    sys::set_mask(mask);
    before == CLOSED | 1
}

/// A thread ends in a critical section.
pub fn leave_all(thread: &Thread) {
    let depth = thread.depth.load(Relaxed);
    if depth > 0 && leave(thread, depth) {
        round::attend();
    }
}

/// For those who look at the page.
fn publish() {
    if let Some(page) = thread::control() {
        page.holders.store(holders(), Relaxed);
    }
}
