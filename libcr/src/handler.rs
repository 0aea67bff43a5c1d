//! The reserved signal: its handler, and the helper thread that takes it where there are callbacks in thread context.
//!
//! Relies on [`round`]; does no more than call it. The helper exists from the first registration of such a callback; before that the library has no thread.

use core::ffi::c_void;
use core::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use libcr_wire::{Control, SIGNAL, THREADS};

use crate::thread::{self, Thread, control};
use crate::{round, seat, sys};

/// 0: no helper, 1: one is being started, 2: there is one.
static HELPER: AtomicU32 = AtomicU32::new(0);
/// The generation that the helper is to run.
static CALLED: AtomicU32 = AtomicU32::new(0);
/// The generation that it has run.
static SERVED: AtomicU32 = AtomicU32::new(0);

extern "C" fn on_signal(_: i32, _: *mut libc::siginfo_t, _: *mut c_void) {
    let _keep = sys::KeepErrno::new();
    round::attend();
}

/// Installs the handler, whatever the program has for this signal, and notes its form in the page.
pub fn install(page: &Control) {
    // SAFETY: sigaction is plain data for which zero bytes are valid.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = on_signal as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
    // SAFETY: the mask is ours to fill.
    unsafe { libc::sigfillset(&raw mut action.sa_mask) };
    for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS] {
        // SAFETY: the mask is ours.
        unsafe { libc::sigdelset(&raw mut action.sa_mask, fault) };
    }
    // SAFETY: the handler is a function of the right form that stays loaded (-z nodelete).
    unsafe { libc::sigaction(SIGNAL, &raw const action, core::ptr::null_mut()) };
    let mut kernels = [0u64; 4];
    // SAFETY: the kernel's structure is four words: handler, flags, restorer, mask.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, SIGNAL, core::ptr::null::<u64>(), kernels.as_mut_ptr(), 8usize) };
    page.action.iter().zip(kernels).for_each(|(word, value)| word.store(value, Relaxed));
}

/// Makes sure that there is a helper; an error number if none can be started.
pub fn start_helper() -> Result<(), i32> {
    if HELPER.compare_exchange(0, 1, AcqRel, Acquire).is_err() {
        while HELPER.load(Acquire) == 1 {
            sys::sleep(100_000);
        }
        return Ok(());
    }
    let mask = sys::set_mask(sys::EVERYTHING);
    let mut thread: libc::pthread_t = 0;
    // SAFETY: the identifier is ours to fill; the function stays loaded and needs no argument.
    let errno = unsafe { libc::pthread_create(&raw mut thread, core::ptr::null(), helper, core::ptr::null_mut()) };
    sys::set_mask(mask);
    if errno != 0 {
        HELPER.store(0, Release);
        return Err(errno);
    }
    // SAFETY: the thread was just made and nobody else knows it.
    unsafe { libc::pthread_detach(thread) };
    while HELPER.load(Acquire) == 1 {
        sys::sleep(100_000);
    }
    Ok(())
}

extern "C" fn helper(_: *mut c_void) -> *mut c_void {
    let adopted = thread::adopt().ok().zip(control());
    let Some((own, page)) = adopted else {
        HELPER.store(0, Release);
        return core::ptr::null_mut();
    };
    // It is no client: without others there is nobody to ask.
    page.clients.fetch_sub(1, AcqRel);
    // SAFETY: the name ends with a NUL and is short enough.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"libcr".as_ptr()) };
    page.helper.store(sys::own_tid(), Release);
    HELPER.store(2, Release);
    loop {
        round::notice(page);
        let called = CALLED.load(Acquire);
        if called != SERVED.load(Acquire) && page.phase.load(Acquire) == THREADS {
            SERVED.store(called, Release);
            round::serve_threads(own, page);
            continue;
        }
        sys::take(sys::bit(SIGNAL));
    }
}

/// Lets the helper run the callbacks in thread context; false if there is none.
pub fn wake_helper(generation: u32) -> bool {
    let Some(page) = control() else { return false };
    let tid = page.helper.load(Acquire);
    if !seat::is_there(tid) {
        return false;
    }
    CALLED.store(generation, Release);
    sys::signal_thread(tid, SIGNAL)
}

/// After a restart the helper may have another id.
pub fn renew_helper(own: &Thread) {
    own.tid.store(sys::own_tid(), Release);
    if let Some(page) = control() {
        page.helper.store(sys::own_tid(), Release);
    }
}

/// In the child of a fork.
pub fn forget_helper() {
    HELPER.store(0, Relaxed);
    CALLED.store(0, Relaxed);
    SERVED.store(0, Relaxed);
    crate::callback::PROCESS.clear();
    if let Some(page) = control() {
        page.helper.store(0, Relaxed);
    }
}
