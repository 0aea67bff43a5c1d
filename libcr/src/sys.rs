//! The system calls of the library, one a function, and the little of C that it needs. All are safe in signal handlers.
//!
//! Relies on libc. Calls of the kernel go through `syscall(2)`, so that no lock or cache of the C library is involved.

use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use libc::{c_int, c_void};

/// All signals of a thread, as the kernel keeps them.
pub type Mask = u64;

const FAULTS: Mask =
    bit(libc::SIGSEGV) | bit(libc::SIGBUS) | bit(libc::SIGFPE) | bit(libc::SIGILL) | bit(libc::SIGTRAP) | bit(libc::SIGSYS);

/// The C library's own signal for `setuid(2)` in all threads: whoever blocks it for long makes that call wait.
const SETXID: c_int = 33;

/// The mask that blocks everything but the faults of the thread itself and what the C library needs.
pub const EVERYTHING: Mask = !(bit(SETXID) | FAULTS);

/// The bit of a signal in a mask.
pub const fn bit(signal: c_int) -> Mask {
    1 << (signal - 1)
}

/// Sets errno and returns -1, as C has it.
pub fn fail(errno: c_int) -> c_int {
    set_errno(errno);
    -1
}

/// `errno(3)`.
pub fn errno() -> c_int {
    // SAFETY: the C library gives every thread a valid address.
    unsafe { *libc::__errno_location() }
}

/// Sets `errno(3)`.
pub fn set_errno(value: c_int) {
    // SAFETY: the C library gives every thread a valid address, which only this thread uses.
    unsafe { *libc::__errno_location() = value }
}

/// Puts errno back when dropped.
pub struct KeepErrno(c_int);

impl KeepErrno {
    /// Remembers errno.
    pub fn new() -> KeepErrno {
        KeepErrno(errno())
    }
}

impl Drop for KeepErrno {
    fn drop(&mut self) {
        set_errno(self.0);
    }
}

/// `gettid(2)`.
pub fn own_tid() -> i32 {
    // SAFETY: takes nothing.
    c_int::try_from(unsafe { libc::syscall(libc::SYS_gettid) }).unwrap_or(0)
}

/// `getpid(2)`, from the kernel.
pub fn own_pid() -> i32 {
    // SAFETY: takes nothing.
    c_int::try_from(unsafe { libc::syscall(libc::SYS_getpid) }).unwrap_or(0)
}

/// `tgkill(2)` within this process; whether the thread is there.
pub fn signal_thread(tid: i32, signal: c_int) -> bool {
    // SAFETY: takes numbers only.
    unsafe { libc::syscall(libc::SYS_tgkill, own_pid(), tid, signal) == 0 }
}

/// `futex(2)` — sleeps while the word is `value`, at most so long; other reasons to wake up are for the caller to see.
pub fn wait(word: &AtomicU32, value: u32, patience_ns: i64) {
    let limit = libc::timespec { tv_sec: patience_ns / 1_000_000_000, tv_nsec: patience_ns % 1_000_000_000 };
    let at = word.as_ptr();
    // SAFETY: the word outlives the call and is shared as atomics are; the time is read only.
    unsafe { libc::syscall(libc::SYS_futex, at, libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, value, &raw const limit) };
}

/// `futex(2)` — wakes everybody who sleeps on the word.
pub fn wake(word: &AtomicU32) {
    // SAFETY: the word is only used as an address.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, c_int::MAX) };
}

/// `rt_sigprocmask(2)` — sets this thread's mask and returns the old one.
pub fn set_mask(mask: Mask) -> Mask {
    let mut old: Mask = 0;
    // SAFETY: both point to eight bytes, which is the size that is given.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, &raw mut old, 8usize) };
    old
}

/// `rt_sigtimedwait(2)` — takes a blocked signal.
pub fn take(mask: Mask) {
    // SAFETY: the mask is eight bytes; information and time limit may be null.
    unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, &raw const mask, null_mut::<c_void>(), null::<libc::timespec>(), 8usize) };
}

/// `mmap(2)` — fresh zeroed memory that is never given back.
pub fn map(bytes: usize) -> Option<*mut c_void> {
    let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: asks for new memory anywhere.
    let got = unsafe { libc::mmap(null_mut(), bytes, access, flags, -1, 0) };
    (got != libc::MAP_FAILED).then_some(got)
}

/// `clock_gettime(2)` — the processor time that a process has used, ns; `None` if there is none of that number.
pub fn cpu_ns(pid: i32) -> Option<u64> {
    // The clock of a whole process: clock_getcpuclockid(3), without the look that the C library takes.
    const SCHEDULED: c_int = 2;
    clock_ns((!pid).wrapping_shl(3) | SCHEDULED)
}

/// `clock_gettime(2)` — time that does not jump, ns.
pub fn now_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC).unwrap_or(0)
}

fn clock_ns(clock: c_int) -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is ours.
    let got = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, &raw mut time) };
    if got != 0 {
        return None;
    }
    Some(u64::try_from(time.tv_sec).ok()? * 1_000_000_000 + u64::try_from(time.tv_nsec).ok()?)
}

/// `nanosleep(2)`.
pub fn sleep(ns: i64) {
    static NEVER: AtomicU32 = AtomicU32::new(0);
    wait(&NEVER, 0, ns);
}

/// `sched_yield(2)`.
pub fn give_way() {
    // SAFETY: takes nothing.
    unsafe { libc::syscall(libc::SYS_sched_yield) };
}

/// `open(2)`; the descriptor, or -1.
pub fn open(path: &core::ffi::CStr, flags: c_int) -> c_int {
    // SAFETY: the path ends with a NUL.
    c_int::try_from(unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags | libc::O_CLOEXEC, 0o600) }).unwrap_or(-1)
}

/// `close(2)`.
pub fn close(fd: c_int) {
    // SAFETY: takes a number only.
    unsafe { libc::syscall(libc::SYS_close, fd) };
}

/// `read(2)`; how many bytes came.
pub fn read(fd: c_int, into: &mut [u8]) -> usize {
    // SAFETY: the pointer and the length are those of the slice.
    usize::try_from(unsafe { libc::syscall(libc::SYS_read, fd, into.as_mut_ptr(), into.len()) }).unwrap_or(0)
}

/// `getdents64(2)`; how many bytes came.
pub fn entries(fd: c_int, into: &mut [u8]) -> usize {
    // SAFETY: the pointer and the length are those of the slice.
    usize::try_from(unsafe { libc::syscall(libc::SYS_getdents64, fd, into.as_mut_ptr(), into.len()) }).unwrap_or(0)
}

/// A lock for short sections. Whoever holds it takes no signal, so that a handler never waits for its own thread.
pub struct Lock {
    word: AtomicU32,
    mask: core::sync::atomic::AtomicU64,
}

impl Lock {
    /// A free lock.
    pub const fn new() -> Lock {
        Lock { word: AtomicU32::new(0), mask: core::sync::atomic::AtomicU64::new(0) }
    }

    /// Waits for the lock.
    pub fn acquire(&self) {
        let mask = set_mask(EVERYTHING);
        while self.word.compare_exchange(0, 1, core::sync::atomic::Ordering::Acquire, Relaxed).is_err() {
            wait(&self.word, 1, 1_000_000);
        }
        self.mask.store(mask, Relaxed);
    }

    /// Gives it back.
    pub fn release(&self) {
        let mask = self.mask.load(Relaxed);
        self.word.store(0, core::sync::atomic::Ordering::Release);
        wake(&self.word);
        set_mask(mask);
    }

    /// Runs something under the lock.
    pub fn hold<T>(&self, act: impl FnOnce() -> T) -> T {
        self.acquire();
        let result = act();
        self.release();
        result
    }
}
