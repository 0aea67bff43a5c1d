//! `atcheckpoint` and `atrestart`: handlers that a process runs before its checkpoint and first of all after its restart.
//!
//! The process takes part in checkpoints as any program with libcr does: one callback in signal context raises SIGCKPT, asks for the checkpoint, and raises
//! SIGRESTART if it was restarted. What these signals do is what the program has settled: nothing by default, our handler once one was
//! registered, or a handler of its own. Relies on `libcr.so.0`, which is loaded with us; without it nothing can be registered.

use core::ffi::c_void;
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Release};

use libc::c_int;

use super::tool::{errno, fail};

/// The signals of `ckpt.h`.
const SIGCKPT: c_int = 63;
const SIGRESTART: c_int = 62;

/// As many handlers there may be, of either sort.
const MOST: usize = 32;
/// Callbacks in signal context (`CR_SIGNAL_CONTEXT`).
const SIGNAL_CONTEXT: c_int = 0x200_0000;

type Callback = extern "C" fn(*mut c_void) -> c_int;
type Handler = extern "C" fn();

/// Handlers in the order of their registration, as addresses.
struct Handlers {
    count: AtomicUsize,
    functions: [AtomicUsize; MOST],
}

impl Handlers {
    const fn new() -> Handlers {
        Handlers { count: AtomicUsize::new(0), functions: [const { AtomicUsize::new(0) }; MOST] }
    }

    fn add(&self, handler: Handler) -> Result<(), c_int> {
        let place = self.count.fetch_update(AcqRel, Acquire, |count| (count < MOST).then_some(count + 1)).map_err(|_| libc::ENOMEM)?;
        self.functions[place].store(handler as usize, Release);
        Ok(())
    }

    fn run(&self) {
        for function in self.functions.iter().take(self.count.load(Acquire)) {
            let address = function.load(Acquire);
            if address != 0 {
                // SAFETY: only functions of this form are stored.
                let handler = unsafe { core::mem::transmute::<usize, Handler>(address) };
                handler();
            }
        }
    }
}

static AT_CHECKPOINT: Handlers = Handlers::new();
static AT_RESTART: Handlers = Handlers::new();

/// `cr_checkpoint` of libcr, as an address; 0 without libcr.
static CHECKPOINT: AtomicUsize = AtomicUsize::new(0);

/// Ignores both signals and takes part in checkpoints, if that is possible.
pub extern "C" fn at_load() {
    for signal in [SIGCKPT, SIGRESTART] {
        if action_of(signal).sa_sigaction == libc::SIG_DFL {
            // SAFETY: all zero is a valid value.
            let mut ignored: libc::sigaction = unsafe { core::mem::zeroed() };
            ignored.sa_sigaction = libc::SIG_IGN;
            // SAFETY: the structure is valid.
            unsafe { libc::sigaction(signal, &raw const ignored, null_mut()) };
        }
    }
    if take_part().is_ok() {
        // SAFETY: the functions stay loaded (-z nodelete).
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    }
}

/// What was registered with libcr is not the child's.
extern "C" fn in_child() {
    let _ = take_part();
}

/// Registers the callback with libcr; an error number if that is not possible.
fn take_part() -> Result<(), c_int> {
    // SAFETY: the name ends with a NUL. What is loaded stays loaded.
    let library = unsafe { libc::dlopen(c"libcr.so.0".as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    let find = |name: &core::ffi::CStr| {
        // SAFETY: as above; a null handle finds what the program itself has.
        let found = unsafe { libc::dlsym(if library.is_null() { libc::RTLD_DEFAULT } else { library }, name.as_ptr()) };
        if found.is_null() { Err(libc::ENOSYS) } else { Ok(found) }
    };
    let (init, register, checkpoint) = (find(c"cr_init")?, find(c"cr_register_callback")?, find(c"cr_checkpoint")?);
    // SAFETY: these are the functions of libcr.h.
    let init = unsafe { core::mem::transmute::<*mut c_void, extern "C" fn() -> c_int>(init) };
    // SAFETY: as above.
    let register = unsafe { core::mem::transmute::<*mut c_void, extern "C" fn(Callback, *mut c_void, c_int) -> c_int>(register) };
    CHECKPOINT.store(checkpoint as usize, Release);
    if init() < 0 || register(callback, null_mut(), SIGNAL_CONTEXT) < 0 {
        CHECKPOINT.store(0, Release);
        return Err(errno());
    }
    Ok(())
}

extern "C" fn callback(_: *mut c_void) -> c_int {
    let address = CHECKPOINT.load(Acquire);
    if address == 0 {
        return 0;
    }
    // SAFETY: it is that function of libcr.h.
    let checkpoint = unsafe { core::mem::transmute::<usize, extern "C" fn(c_int) -> c_int>(address) };
    deliver(SIGCKPT);
    if checkpoint(0) > 0 {
        deliver(SIGRESTART);
    }
    0
}

/// Raises a signal in this thread and returns when its handler has; nothing if it is ignored. A handler that sets an alarm is to get it.
fn deliver(signal: c_int) {
    if matches!(action_of(signal).sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
        return;
    }
    // SAFETY: all zero is a valid value.
    let mut open: libc::sigset_t = unsafe { core::mem::zeroed() };
    // SAFETY: as above.
    let mut before: libc::sigset_t = unsafe { core::mem::zeroed() };
    for number in [signal, libc::SIGALRM] {
        // SAFETY: the set is ours.
        unsafe { libc::sigaddset(&raw mut open, number) };
    }
    // SAFETY: both sets are ours.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const open, &raw mut before) };
    // SAFETY: takes numbers only. A signal to the thread itself that is not blocked is delivered before the call returns.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::syscall(libc::SYS_gettid), signal) };
    // SAFETY: the set is what the kernel gave.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, null_mut()) };
}

fn action_of(signal: c_int) -> libc::sigaction {
    // SAFETY: all zero is a valid value.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    // SAFETY: the structure is ours to fill.
    unsafe { libc::sigaction(signal, null(), &raw mut action) };
    action
}

extern "C" fn on_checkpoint(_: c_int) {
    AT_CHECKPOINT.run();
}

extern "C" fn on_restart(_: c_int) {
    AT_RESTART.run();
}

fn register(handlers: &Handlers, function: Option<Handler>, signal: c_int, on_signal: extern "C" fn(c_int)) -> c_int {
    let Some(function) = function else { return fail(libc::EINVAL) };
    if CHECKPOINT.load(Acquire) == 0
        && let Err(errno) = take_part()
    {
        return fail(errno);
    }
    if let Err(errno) = handlers.add(function) {
        return fail(errno);
    }
    // SAFETY: all zero is a valid value.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = on_signal as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the structure is valid; the function stays loaded (-z nodelete).
    unsafe { libc::sigaction(signal, &raw const action, null_mut()) }
}

/// `atcheckpoint(3)`
#[unsafe(no_mangle)]
pub extern "C" fn atcheckpoint(function: Option<Handler>) -> c_int {
    register(&AT_CHECKPOINT, function, SIGCKPT, on_checkpoint)
}

/// `atrestart(3)`
#[unsafe(no_mangle)]
pub extern "C" fn atrestart(function: Option<Handler>) -> c_int {
    register(&AT_RESTART, function, SIGRESTART, on_restart)
}

#[cfg(test)]
mod test {
    use super::*;

    extern "C" fn nothing() {}

    #[test]
    fn there_are_at_most_32_handlers() {
        let handlers = Handlers::new();
        assert!((0..MOST).all(|_| handlers.add(nothing).is_ok()));
        assert_eq!(handlers.add(nothing), Err(libc::ENOMEM));
        handlers.run();
    }
}
