//! `cr_spinlock_…`: locks that signal handlers may take, if all who take them block those signals or only try.

use core::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};

use crate::sys;

fn word<'a>(lock: *mut u32) -> &'a AtomicU32 {
    // SAFETY: callers pass the address of a lock of theirs, as the header asks; it is only used as this atomic word.
    unsafe { AtomicU32::from_ptr(lock) }
}

/// `cr_spinlock_init(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_spinlock_init(lock: *mut u32) {
    word(lock).store(0, Release);
}

/// `cr_spinlock_lock(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_spinlock_lock(lock: *mut u32) {
    const TURNS: u32 = 1000;
    let mut turns = 0;
    while cr_spinlock_trylock(lock) == 0 {
        turns += 1;
        if turns % TURNS == 0 {
            sys::give_way();
        }
        core::hint::spin_loop();
    }
}

/// `cr_spinlock_unlock(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_spinlock_unlock(lock: *mut u32) {
    word(lock).store(0, Release);
}

/// `cr_spinlock_trylock(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_spinlock_trylock(lock: *mut u32) -> i32 {
    i32::from(word(lock).compare_exchange(0, 1, Acquire, Relaxed).is_ok())
}
