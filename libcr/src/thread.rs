//! The threads that have called `cr_init`, and what the library knows of each.
//!
//! Relies on a key of POSIX threads for "this thread": unlike thread-local variables it needs no memory when a signal handler asks. Records are mapped in
//! blocks, used again and never given back, so that a reference to one is good for ever. What a thread leaves behind when it ends is put right here.

use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{
    AtomicI32, AtomicPtr, AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use libcr_wire::{Control, KIND_LIBRARY, SIGNAL, code};

use crate::list::List;
use crate::run::Group;
use crate::{handler, page, request, round, section, sys};

/// What the library knows of one thread.
pub struct Thread {
    next: AtomicPtr<Thread>,
    /// Its id; 0 in a record that is free.
    pub tid: AtomicI32,
    /// How many critical sections it is in.
    pub depth: AtomicU32,
    /// See `cr_inc_persist`.
    pub persist: AtomicI32,
    /// The callbacks that it runs, if it does.
    pub group: AtomicPtr<Group>,
    /// See `cr_hold_ctrl`.
    pub hold: AtomicI32,
    /// Its callbacks in signal context.
    pub callbacks: List,
}

/// The lock of the registry, the lists and the table of seats.
pub static LOCK: sys::Lock = sys::Lock::new();

static FIRST: AtomicPtr<Thread> = AtomicPtr::new(null_mut());
static NEXT_ID: AtomicI32 = AtomicI32::new(0);
/// The key plus one; 0 before there is one.
static KEY: AtomicU32 = AtomicU32::new(0);
static PAGE: AtomicPtr<Control> = AtomicPtr::new(null_mut());
/// How many forks lie between this process and the one that loaded the library.
pub static FORKS: AtomicU32 = AtomicU32::new(0);

/// The control page, once the library is set up.
pub fn control() -> Option<&'static Control> {
    // SAFETY: only `set_up` writes it, with a page that stays for ever.
    unsafe { PAGE.load(Acquire).as_ref() }
}

/// Sets the library up: page, key, handler, what forks must do. Done by the constructor, and by `cr_init` where none has run.
pub fn set_up() -> Result<&'static Control, i32> {
    if let Some(page) = control() {
        return Ok(page);
    }
    let page = page::get().ok_or(libc::ENOMEM)?;
    let mut key: libc::pthread_key_t = 0;
    // SAFETY: the key is ours to fill, and the function takes what pthread_setspecific was given.
    if unsafe { libc::pthread_key_create(&raw mut key, Some(thread_ends)) } != 0 {
        return Err(libc::EAGAIN);
    }
    KEY.store(key + 1, Release);
    // SAFETY: the three functions take nothing and stay loaded (-z nodelete).
    if unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(in_child)) } != 0 {
        return Err(libc::ENOMEM);
    }
    PAGE.store(core::ptr::from_ref(page).cast_mut(), Release);
    handler::install(page);
    page.kind.store(KIND_LIBRARY, Relaxed);
    Ok(page)
}

/// This thread's record; `None` if it has not called `cr_init`.
pub fn current() -> Option<&'static Thread> {
    let key = KEY.load(Acquire).checked_sub(1)?;
    // SAFETY: the key exists; its values are null or records that stay for ever.
    unsafe { libc::pthread_getspecific(key).cast::<Thread>().as_ref() }
}

/// As [`current`], with errno set when there is none.
pub fn initialised() -> Option<&'static Thread> {
    let thread = current();
    if thread.is_none() {
        sys::set_errno(code::NOINIT);
    }
    thread
}

/// Every record in use.
pub fn all() -> impl Iterator<Item = &'static Thread> {
    // SAFETY: the list is made of records that stay for ever.
    let mut next = unsafe { FIRST.load(Acquire).as_ref() };
    core::iter::from_fn(move || {
        let thread = next?;
        // SAFETY: as above.
        next = unsafe { thread.next.load(Acquire).as_ref() };
        Some(thread)
    })
    .filter(|thread| thread.tid.load(Acquire) != 0)
}

/// Makes a record for this thread.
pub fn adopt() -> Result<&'static Thread, i32> {
    let page = set_up()?;
    if let Some(thread) = current() {
        return Ok(thread);
    }
    let thread = LOCK.hold(|| free_record().or_else(new_record)).ok_or(libc::ENOMEM)?;
    let key = KEY.load(Acquire).wrapping_sub(1);
    // SAFETY: the key exists; the record stays for ever.
    if unsafe { libc::pthread_setspecific(key, core::ptr::from_ref(thread).cast()) } != 0 {
        thread.tid.store(0, Release);
        return Err(libc::ENOMEM);
    }
    page.clients.fetch_add(1, AcqRel);
    Ok(thread)
}

fn free_record() -> Option<&'static Thread> {
    // SAFETY: the list is made of records that stay for ever.
    let mut next = unsafe { FIRST.load(Acquire).as_ref() };
    while let Some(thread) = next {
        if thread.tid.load(Acquire) == 0 {
            thread.depth.store(0, Relaxed);
            thread.persist.store(0, Relaxed);
            thread.hold.store(4, Relaxed);
            thread.group.store(null_mut(), Relaxed);
            thread.callbacks.clear();
            thread.tid.store(sys::own_tid(), Release);
            return Some(thread);
        }
        // SAFETY: as above.
        next = unsafe { thread.next.load(Acquire).as_ref() };
    }
    None
}

/// Maps a block of records, keeps all in the list and takes one of them.
fn new_record() -> Option<&'static Thread> {
    const BLOCK: usize = 16;
    let first: *mut Thread = sys::map(BLOCK * size_of::<Thread>())?.cast();
    for index in 0..BLOCK {
        // SAFETY: the block has room for BLOCK records, whose zero bytes are a free record.
        let thread = unsafe { &*first.add(index) };
        thread.next.store(FIRST.load(Acquire), Relaxed);
        FIRST.store(core::ptr::from_ref(thread).cast_mut(), Release);
    }
    free_record()
}

/// `cr_init(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_init() -> i32 {
    match adopt() {
        Ok(_) => NEXT_ID.fetch_add(1, Relaxed),
        Err(errno) => sys::fail(errno),
    }
}

/// Whether `cr_init` has returned this id in this process.
pub fn is_client(id: i32) -> bool {
    (0..NEXT_ID.load(Relaxed)).contains(&id)
}

/// `cr_inc_persist(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_inc_persist() -> i32 {
    persist(1)
}

/// `cr_dec_persist(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_dec_persist() -> i32 {
    persist(-1)
}

fn persist(by: i32) -> i32 {
    let Some(thread) = initialised() else { return -1 };
    let old = thread.persist.load(Relaxed);
    match old.checked_add(by) {
        Some(new) if new >= 0 => thread.persist.store(new, Relaxed),
        _ => return sys::fail(libc::ERANGE),
    }
    old
}

/// A thread ends: called by the C library with its record, before other destructors of keys or after.
extern "C" fn thread_ends(record: *mut c_void) {
    // SAFETY: the value of the key is a record that stays for ever.
    let Some(thread) = (unsafe { record.cast::<Thread>().as_ref() }) else { return };
    if thread.persist.load(Relaxed) > 0 {
        // Others' destructors still need it; we are called again, as often as PTHREAD_DESTRUCTOR_ITERATIONS allows.
        let key = KEY.load(Acquire).wrapping_sub(1);
        // SAFETY: the key exists; the record stays for ever.
        unsafe { libc::pthread_setspecific(key, record) };
    }
    if let Some(group) = Group::of(thread) {
        // A callback has called pthread_exit(3): the others must not wait for it.
        thread.group.store(null_mut(), Relaxed);
        group.abandon();
    }
    if thread.persist.load(Relaxed) > 0 {
        return;
    }
    section::leave_all(thread);
    LOCK.hold(|| retire(thread));
}

/// Frees the record of a thread that is gone, or goes.
pub fn retire(thread: &Thread) {
    thread.callbacks.clear();
    thread.tid.store(0, Release);
    if let Some(page) = control() {
        page.clients.fetch_sub(1, AcqRel);
    }
}

extern "C" fn before_fork() {
    LOCK.acquire();
}

extern "C" fn after_fork() {
    LOCK.release();
}

/// The child has one thread and nothing that was registered. What was going on is its parent's.
extern "C" fn in_child() {
    FORKS.fetch_add(1, Relaxed);
    all().for_each(|thread| {
        thread.callbacks.clear();
        thread.tid.store(0, Release);
    });
    if let Some(key) = KEY.load(Acquire).checked_sub(1) {
        // SAFETY: the key exists.
        unsafe { libc::pthread_setspecific(key, core::ptr::null()) };
    }
    section::reset();
    request::reset();
    handler::forget_helper();
    if let Some(page) = control() {
        round::reset(page);
        page.clients.store(0, Relaxed);
        page.pid.store(sys::own_pid(), Release);
    }
    LOCK.release();
}

/// The reserved signal is taken from those that programs get: afterwards `SIGRTMAX` is one less.
pub fn reserve_signal() {
    unsafe extern "C" {
        fn __libc_allocate_rtsig(high: i32) -> i32;
    }
    if libc::SIGRTMAX() == SIGNAL {
        // SAFETY: takes a number; 0 asks for the signal at the top.
        unsafe { __libc_allocate_rtsig(0) };
    }
}
