//! One checkpoint as this process sees it: noticed, callbacks run, answered, decided, over.
//!
//! ```text
//! IDLE ── notice ──> PENDING ── nobody in a critical section ──> THREADS ── helper at the bottom ──> SIGNALS ── all seated ──> PARKED
//!   ^                                                                                                                     │ verdict
//!   └──────────────────────────────── everybody has departed ── RESUMING <──────────────────────────────────────────────┘
//! ```
//!
//! Relies on the page for the engine's words and on [`seat`] for who has to come. Whoever moves the phase on does so with one exchange, so that any thread
//! may try. A round whose engine has died is decided here: it has failed.

use core::sync::atomic::{
    AtomicI32, AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use libcr_wire::{Control, IDLE, PARKED, PENDING, READY, RESUMING, SIGNALS, THREADS, code};

use crate::callback::{PROCESS, SIGNAL_CONTEXT};
use crate::run::Group;
use crate::thread::{self, control};
use crate::{handler, hook, seat, section, sys};

/// How long one sleeps at most between two looks.
pub const TICK_NS: i64 = 20_000_000;

/// Who has still to come before the answer is given.
static OUTSTANDING: AtomicI32 = AtomicI32::new(0);
/// Who has still to go before the round is over.
static STAYING: AtomicI32 = AtomicI32::new(0);
/// Generation and result, once they are known.
static DECIDED: AtomicU64 = AtomicU64::new(0);
/// The last generation that is over; others sleep on it.
static OVER: AtomicU32 = AtomicU32::new(0);

/// Does whatever this thread can do for a checkpoint now, be it in a signal handler or not.
pub fn attend() {
    let Some(page) = control() else { return };
    if page.ask.load(Acquire) == page.done.load(Acquire) {
        return;
    }
    // Whoever moves the round on must not be called into its own seat on the way.
    let mask = sys::set_mask(sys::EVERYTHING);
    notice(page);
    if matches!(page.phase.load(Acquire), SIGNALS | PARKED | RESUMING) && seat::claim(sys::own_tid()) {
        serve(page.taken.load(Acquire));
    }
    sys::set_mask(mask);
}

/// Takes up a question that nobody has noticed, or whose time has come.
pub fn notice(page: &Control) {
    let ask = page.ask.load(Acquire);
    if ask != page.done.load(Acquire) && page.phase.compare_exchange(IDLE, PENDING, AcqRel, Acquire).is_ok() {
        if page.ask.load(Acquire) == page.done.load(Acquire) {
            page.phase.store(IDLE, Release);
            return;
        }
        page.answer.store(READY, Relaxed);
        page.code.store(0, Relaxed);
        page.done_code.store(0, Relaxed);
        page.taken.store(ask, Release);
    }
    match page.phase.load(Acquire) {
        PENDING => begin(page),
        SIGNALS => seat::sweep(),
        _ => {}
    }
}

/// Begins with the callbacks if nobody is in a critical section; else the last one to leave does.
fn begin(page: &Control) {
    let generation = page.taken.load(Acquire);
    if !section::close() {
        seat::sweep_sections();
        if section::holders() != 0 {
            return;
        }
    }
    if verdict(page, generation).is_some() {
        // Called off before it began.
        if page.phase.compare_exchange(PENDING, RESUMING, AcqRel, Acquire).is_ok() {
            finish(page, generation);
        }
        return;
    }
    if page.phase.compare_exchange(PENDING, THREADS, AcqRel, Acquire).is_err() {
        return;
    }
    OUTSTANDING.store(1, Release);
    STAYING.store(1, Release);
    if PROCESS.len() > 0 && handler::wake_helper(generation) {
        return;
    }
    threads_are_ready(generation);
    arrive();
    depart();
}

/// The callbacks in thread context have come to their `cr_checkpoint`: now those in signal context, unless somebody has refused.
pub fn threads_are_ready(generation: u32) {
    let Some(page) = control() else { return };
    if page.taken.load(Acquire) != generation {
        return;
    }
    let may_go_on = page.answer.load(Acquire) == READY;
    seat::call_all(page, may_go_on, |n| {
        OUTSTANDING.fetch_add(n, AcqRel);
        STAYING.fetch_add(n, AcqRel);
        page.phase.store(SIGNALS, Release);
    });
}

/// Somebody is at the bottom. The last one gives the answer.
pub fn arrive() {
    let Some(page) = control() else { return };
    if OUTSTANDING.fetch_sub(1, AcqRel) == 1 {
        page.phase.store(PARKED, Release);
        page.answered.store(page.taken.load(Acquire), Release);
    }
}

/// Says that the checkpoint must not be taken. The first to say so counts, and what cannot be undone counts more.
pub fn refuse(answer: u32, errno: i32) {
    let Some(page) = control() else { return };
    thread::LOCK.hold(|| {
        if weight(answer) > weight(page.answer.load(Relaxed)) {
            page.code.store(errno, Relaxed);
            page.answer.store(answer, Release);
        }
    });
}

fn weight(answer: u32) -> u32 {
    match answer {
        READY => 0,
        libcr_wire::OMIT => 1,
        libcr_wire::TEMPORARY => 2,
        _ => 3,
    }
}

/// A callback failed after the verdict.
pub fn spoil(returned: i32) {
    let Some(page) = control() else { return };
    let _ = page.done_code.compare_exchange(0, returned, AcqRel, Relaxed);
}

/// Waits for the verdict on a generation.
pub fn park(generation: u32) -> i32 {
    let Some(page) = control() else { return -code::TEMPFAIL };
    loop {
        let seen = page.verdict.load(Acquire);
        if let Some(result) = verdict(page, generation) {
            return result;
        }
        if page.phase.load(Acquire) == SIGNALS {
            seat::sweep();
        }
        sys::wait(&page.verdict, seen, TICK_NS);
    }
}

/// What was decided about a generation: by the engine, or here if there is no engine any more.
fn verdict(page: &Control, generation: u32) -> Option<i32> {
    if let Some(result) = result_of(generation) {
        return Some(result);
    }
    if page.verdict.load(Acquire) == generation {
        return Some(decide(page, generation, page.result.load(Acquire)));
    }
    if is_engine_there(page) {
        return None;
    }
    // It may have spoken with its last breath.
    let result = if page.verdict.load(Acquire) == generation { page.result.load(Acquire) } else { -code::TEMPFAIL };
    Some(decide(page, generation, result))
}

/// Whether the engine of this round is alive, as far as can be known without a descriptor.
fn is_engine_there(page: &Control) -> bool {
    let engine = page.engine.load(Acquire);
    let used = page.engine_cpu_ns.load(Acquire);
    engine == 0 || sys::cpu_ns(engine).is_some_and(|now| now >= used)
}

/// The result of a generation, once it is known.
pub fn result_of(generation: u32) -> Option<i32> {
    let decided = DECIDED.load(Acquire);
    let [known, result] = [(decided >> 32) & 0xffff_ffff, decided & 0xffff_ffff].map(|half| u32::try_from(half).unwrap_or(0));
    (known == generation).then_some(result.cast_signed())
}

/// The first to say so decides, for all threads alike.
fn decide(page: &Control, generation: u32, result: i32) -> i32 {
    let old = DECIDED.load(Acquire);
    let new = u64::from(generation) << 32 | u64::from(result.cast_unsigned());
    if result_of(generation).is_none() && DECIDED.compare_exchange(old, new, AcqRel, Acquire).is_ok() {
        let _ = page.phase.compare_exchange(PARKED, RESUMING, AcqRel, Acquire);
        sys::wake(&page.verdict);
    }
    result_of(generation).unwrap_or(result)
}

/// Somebody has done what there was to do after the verdict. The last one ends the round.
pub fn depart() {
    let Some(page) = control() else { return };
    if STAYING.fetch_sub(1, AcqRel) == 1 {
        finish(page, page.taken.load(Acquire));
    }
}

fn finish(page: &Control, generation: u32) {
    page.done.store(generation, Release);
    page.phase.store(IDLE, Release);
    section::open();
    OVER.store(generation, Release);
    sys::wake(&OVER);
    if page.ask.load(Acquire) != generation {
        notice(page);
    }
}

/// A thread in its seat: its callbacks, if it has any, its hooks, and the wait for the others.
fn serve(generation: u32) {
    let thread = thread::current();
    let with_callbacks = thread.filter(|thread| thread.callbacks.len() > 0);
    let result = match with_callbacks {
        Some(thread) => Group::run(thread, &thread.callbacks, SIGNAL_CONTEXT, generation),
        None => {
            arrive();
            park(generation)
        }
    };
    if result > 0
        && let Some(thread) = thread
    {
        thread.tid.store(sys::own_tid(), Release);
    }
    hook::run(result, if with_callbacks.is_some() { hook::Whose::Signal } else { hook::Whose::Nobody });
    depart();
    if hook::is_held(thread, result) {
        linger(generation);
    }
}

/// Stays until everybody has done his part, within reason: a callback may wait for what this thread holds.
fn linger(generation: u32) {
    const MOST_NS: u64 = 30_000_000_000;
    let begun = sys::now_ns();
    while !is_over(generation) && sys::now_ns() - begun < MOST_NS {
        let seen = OVER.load(Acquire);
        if !is_over(generation) {
            sys::wait(&OVER, seen, TICK_NS);
        }
    }
}

fn is_over(generation: u32) -> bool {
    OVER.load(Acquire).wrapping_sub(generation).cast_signed() >= 0
}

/// The helper's part.
pub fn serve_threads(thread: &thread::Thread, page: &Control) {
    let generation = page.taken.load(Acquire);
    let result = crate::run::process_group(thread, generation);
    if result > 0 {
        handler::renew_helper(thread);
    }
    hook::run(result, hook::Whose::Thread);
    depart();
    linger(generation);
}

/// Waits until a checkpoint that has begun is over, doing this thread's part. One that waits for others' critical sections is not waited for.
pub fn until_over() {
    let Some(page) = control() else { return };
    loop {
        let seen = OVER.load(Acquire);
        attend();
        let ask = page.ask.load(Acquire);
        if ask == page.done.load(Acquire) || page.phase.load(Acquire) == PENDING && section::holders() != 0 {
            return;
        }
        sys::wait(&OVER, seen, TICK_NS);
    }
}

/// Adds to the request; an error number, 0 for success.
pub fn forward(generation: u32, scope: i32, target: i32) -> i32 {
    static ONE_AT_A_TIME: AtomicU32 = AtomicU32::new(0);
    let Some(page) = control() else { return code::NOTCB };
    while ONE_AT_A_TIME.compare_exchange(0, 1, Acquire, Relaxed).is_err() {
        sys::wait(&ONE_AT_A_TIME, 1, TICK_NS);
    }
    page.forward_scope.store(scope, Relaxed);
    page.forward_target.store(target, Relaxed);
    let number = page.forward.fetch_add(1, AcqRel).wrapping_add(1);
    let errno = loop {
        if page.forwarded.load(Acquire) == number {
            break page.forward_error.load(Acquire);
        }
        if let Some(result) = verdict(page, generation) {
            break result.checked_neg().filter(|errno| *errno > 0).unwrap_or(code::TEMPFAIL);
        }
        sys::sleep(1_000_000);
    };
    ONE_AT_A_TIME.store(0, Release);
    sys::wake(&ONE_AT_A_TIME);
    errno
}

/// `cr_status(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_status() -> i32 {
    const STATE_IDLE: i32 = 0;
    const STATE_PENDING: i32 = 1;
    const STATE_ACTIVE: i32 = 2;
    let Some((_, page)) = thread::initialised().zip(control()) else { return -1 };
    match page.phase.load(Acquire) {
        IDLE if page.ask.load(Acquire) == page.done.load(Acquire) => STATE_IDLE,
        IDLE | PENDING => STATE_PENDING,
        _ => STATE_ACTIVE,
    }
}

/// In the child of a fork, which takes no part in what its parent does.
pub fn reset(page: &Control) {
    for word in
        [&page.ask, &page.verdict, &page.taken, &page.answered, &page.done, &page.forward, &page.forwarded, &page.phase, &page.holders]
    {
        word.store(0, Relaxed);
    }
    DECIDED.store(0, Relaxed);
    OVER.store(0, Relaxed);
    seat::reset();
}
