//! Hooks: functions that every affected thread runs after the verdict; and whether threads are held until all callbacks are done.
//!
//! Relies on the caller to say whose turn it is.

use core::sync::atomic::{
    AtomicI32, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed},
};

use crate::sys;
use crate::thread::{self, Thread};

/// `cr_hook_fn_t`.
type Hook = extern "C" fn(i32);

const HOOKS: usize = 6;
/// The first of those for restarts.
const RESTARTED: usize = 3;
/// `CR_HOOK_FN_ERROR`.
const ERROR: usize = usize::MAX;

static FUNCTIONS: [AtomicUsize; HOOKS] = [const { AtomicUsize::new(0) }; HOOKS];

/// The sort of thread.
#[derive(Clone, Copy)]
pub enum Whose {
    /// It ran callbacks in signal context.
    Signal,
    /// It ran callbacks in thread context.
    Thread,
    /// It ran none.
    Nobody,
}

/// `cr_register_hook(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_register_hook(event: i32, function: usize) -> usize {
    if thread::initialised().is_none() {
        return ERROR;
    }
    match usize::try_from(event).ok().and_then(|event| FUNCTIONS.get(event)) {
        Some(place) if function != ERROR => place.swap(function, AcqRel),
        _ => {
            sys::set_errno(libc::EINVAL);
            ERROR
        }
    }
}

/// Whether there is any.
pub fn any() -> bool {
    FUNCTIONS.iter().any(|function| function.load(Relaxed) != 0)
}

/// Runs the hook of this thread, if the checkpoint has succeeded.
pub fn run(result: i32, whose: Whose) {
    if result < 0 {
        return;
    }
    let event = whose as usize + if result > 0 { RESTARTED } else { 0 };
    let address = FUNCTIONS[event].load(Acquire);
    if address != 0 {
        // SAFETY: the number is such a function, as the header asks of callers.
        let hook = unsafe { core::mem::transmute::<usize, Hook>(address) };
        hook(i32::try_from(event).unwrap_or(0));
    }
}

const READ: i32 = -1;
const CONTINUE: i32 = 1;
const RESTART: i32 = 2;
const BOTH: i32 = 3;
const DEFAULT: i32 = 4;

/// For threads that have called `cr_init`, and for others.
static HOLD: [AtomicI32; 2] = [const { AtomicI32::new(BOTH) }; 2];

/// `cr_hold_ctrl(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_hold_ctrl(scope: i32, flags: i32) -> i32 {
    let Some(thread) = thread::initialised() else { return -1 };
    let place = match scope {
        0 => &thread.hold,
        1 => &HOLD[0],
        2 => &HOLD[1],
        _ => return sys::fail(libc::EINVAL),
    };
    match flags {
        READ => place.load(Acquire),
        DEFAULT if scope != 0 => place.swap(BOTH, AcqRel),
        0..=DEFAULT => place.swap(flags, AcqRel),
        _ => sys::fail(libc::EINVAL),
    }
}

/// Whether a thread waits for the callbacks of all others.
pub fn is_held(thread: Option<&Thread>, result: i32) -> bool {
    let setting = match thread.map(|thread| thread.hold.load(Acquire)) {
        Some(DEFAULT) => HOLD[0].load(Acquire),
        Some(own) => own,
        None => HOLD[1].load(Acquire),
    };
    setting & if result > 0 { RESTART } else { CONTINUE } != 0
}
