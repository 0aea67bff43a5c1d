//! Running callbacks: the last registered first, each inside the call of `cr_checkpoint` of the one before, all waiting together at the bottom.
//!
//! Relies on [`round`] for what happens there. A [`Group`] lives on the stack of the thread that runs it; the thread's record points to it meanwhile.

use core::cell::{Cell, UnsafeCell};
use core::ffi::c_char;
use core::ptr::{null, null_mut};
use core::sync::atomic::Ordering::Relaxed;

use libcr_wire::{OMIT, PERMANENT, READY, TEMPORARY, code};

use crate::callback::{PROCESS, THREAD_CONTEXT};
use crate::list::List;
use crate::thread::{self, FORKS, LOCK, Thread};
use crate::{round, sys};

/// `struct cr_checkpoint_info`.
#[repr(C)]
pub struct CheckpointInfo {
    signal: i32,
    dest: *const c_char,
    requester: i32,
    target: i32,
    scope: i32,
}

/// `struct cr_restart_info`.
#[repr(C)]
pub struct RestartInfo {
    requester: i32,
    src: *const c_char,
}

/// The callbacks of one context while they run.
pub struct Group {
    list: &'static List,
    context: i32,
    generation: u32,
    forks: u32,
    /// How many have not begun.
    left: Cell<u32>,
    level: Cell<*const Level>,
    has_arrived: Cell<bool>,
    about_checkpoint: UnsafeCell<CheckpointInfo>,
    about_restart: UnsafeCell<RestartInfo>,
}

/// One callback that runs.
struct Level {
    index: u32,
    /// Whether it has called `cr_checkpoint`.
    has_called: Cell<bool>,
    result: Cell<i32>,
}

impl Group {
    /// Runs the callbacks of a list in this thread; what `cr_checkpoint` returned to them.
    pub fn run(thread: &Thread, list: &'static List, context: i32, generation: u32) -> i32 {
        let group = Group {
            list,
            context,
            generation,
            forks: FORKS.load(Relaxed),
            left: Cell::new(list.len()),
            level: Cell::new(null()),
            has_arrived: Cell::new(false),
            about_checkpoint: UnsafeCell::new(CheckpointInfo { signal: 0, dest: null(), requester: 0, target: 0, scope: 0 }),
            about_restart: UnsafeCell::new(RestartInfo { requester: 0, src: null() }),
        };
        thread.group.store((&raw const group).cast_mut(), Relaxed);
        let result = group.descend();
        thread.group.store(null_mut(), Relaxed);
        result
    }

    /// What a thread runs, unless it is the child of a fork in a callback.
    pub fn of(thread: &Thread) -> Option<&Group> {
        // SAFETY: the pointer is null or that of a group further up this thread's stack.
        let group = unsafe { thread.group.load(Relaxed).as_ref() }?;
        group.is_ours().then_some(group)
    }

    fn is_ours(&self) -> bool {
        self.forks == FORKS.load(Relaxed)
    }

    /// Index and context of the callback that runs.
    pub fn running(&self) -> Option<(u32, i32)> {
        self.level().map(|level| (level.index, self.context))
    }

    fn level(&self) -> Option<&Level> {
        // SAFETY: the pointer is null or that of a level further up this thread's stack.
        unsafe { self.level.get().as_ref() }
    }

    /// Runs the callbacks that are left; at the bottom, waits for the checkpoint.
    fn descend(&self) -> i32 {
        while let Some(index) = self.left.get().checked_sub(1) {
            self.left.set(index);
            let Some(callback) = LOCK.hold(|| self.list.get(index)) else { continue };
            let Some(function) = callback.function else { continue };
            let level = Level { index, has_called: Cell::new(false), result: Cell::new(0) };
            let outer = self.level.replace(&raw const level);
            let returned = function(callback.argument);
            if !self.is_ours() {
                leave_child();
            }
            self.level.set(outer);
            if level.has_called.get() {
                if returned != 0 {
                    round::spoil(returned);
                }
                return level.result.get();
            }
            if returned != 0 {
                return self.refuse(PERMANENT, code::PERMFAIL);
            }
        }
        self.bottom()
    }

    fn refuse(&self, answer: u32, errno: i32) -> i32 {
        round::refuse(answer, errno);
        self.left.set(0);
        self.bottom()
    }

    fn bottom(&self) -> i32 {
        if !self.has_arrived.replace(true) {
            if self.context == THREAD_CONTEXT {
                round::threads_are_ready(self.generation);
            }
            round::arrive();
        }
        let result = round::park(self.generation);
        if self.is_ours() { result } else { -code::NOTCB }
    }

    /// The thread ends in a callback: nobody may wait for it.
    pub fn abandon(&self) {
        if !self.has_arrived.replace(true) {
            if self.context == THREAD_CONTEXT {
                round::threads_are_ready(self.generation);
            }
            round::arrive();
        }
        round::depart();
    }
}

/// The child of a fork in a callback came back from it. Its stack is that of a thread which it does not have.
fn leave_child() -> ! {
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(0) }
}

/// `cr_checkpoint(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_checkpoint(flags: i32) -> i32 {
    let Some(group) = thread::current().and_then(Group::of) else { return -code::NOTCB };
    let Some(level) = group.level() else { return -code::NOTCB };
    let private = flags >> 16 & 0xffff;
    let answer = match flags & 0xffff {
        0 => READY,
        1 => TEMPORARY,
        2 => PERMANENT,
        4 => OMIT,
        _ => return -libc::EINVAL,
    };
    if level.has_called.replace(true) {
        return -code::NOTCB;
    }
    let result = match answer {
        READY => group.descend(),
        TEMPORARY => group.refuse(answer, if private == 0 { code::TEMPFAIL } else { private }),
        PERMANENT => group.refuse(answer, if private == 0 { code::PERMFAIL } else { private }),
        _ => group.refuse(answer, code::OMITTED),
    };
    level.result.set(result);
    result
}

/// `cr_get_checkpoint_info(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_get_checkpoint_info() -> *const CheckpointInfo {
    let group = thread::current().and_then(Group::of);
    let Some((group, page)) = group.zip(thread::control()) else { return null() };
    if group.level().is_none_or(|level| level.has_called.get()) {
        return null();
    }
    let info = CheckpointInfo {
        signal: page.signal.load(Relaxed),
        dest: page.path.as_ptr().cast(),
        requester: page.requester.load(Relaxed),
        target: page.target.load(Relaxed),
        scope: page.scope.load(Relaxed),
    };
    // SAFETY: only this thread uses the group, and no reference to the cell exists.
    unsafe { *group.about_checkpoint.get() = info };
    group.about_checkpoint.get()
}

/// `cr_get_restart_info(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_get_restart_info() -> *const RestartInfo {
    let group = thread::current().and_then(Group::of);
    let Some((group, page)) = group.zip(thread::control()) else { return null() };
    let is_restarted =
        group.level().is_some_and(|level| level.has_called.get()) && round::result_of(group.generation).is_some_and(|result| result > 0);
    if !is_restarted {
        return null();
    }
    let info = RestartInfo { requester: page.restarter.load(Relaxed), src: page.path.as_ptr().cast() };
    // SAFETY: only this thread uses the group, and no reference to the cell exists.
    unsafe { *group.about_restart.get() = info };
    group.about_restart.get()
}

/// `cr_forward_checkpoint(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_forward_checkpoint(scope: i32, target: i32) -> i32 {
    let group = thread::current().and_then(Group::of);
    let Some(group) = group.filter(|group| group.level().is_some_and(|level| !level.has_called.get())) else {
        return sys::fail(code::NOTCB);
    };
    if !(0..=3).contains(&scope) || target < 0 {
        return sys::fail(libc::EINVAL);
    }
    match round::forward(group.generation, scope, target) {
        0 => 0,
        errno => sys::fail(errno),
    }
}

/// Runs the callbacks in thread context.
pub fn process_group(thread: &Thread, generation: u32) -> i32 {
    Group::run(thread, &PROCESS, THREAD_CONTEXT, generation)
}

const _: () = assert!(size_of::<CheckpointInfo>() == 32 && size_of::<RestartInfo>() == 16);
const _: () = assert!(core::mem::offset_of!(CheckpointInfo, scope) == 24 && core::mem::offset_of!(RestartInfo, src) == 8);
