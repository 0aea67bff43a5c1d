//! The control page: what a program that takes part in checkpoints and the engine say to each other, word by word.
//!
//! Both sides use this file and nothing else: libcr writes its half through references, the engine reads and writes with
//! `process_vm_readv(2)` and `process_vm_writev(2)` at the offsets of the fields. The page is private memory of the program at one of
//! [`PLACES`], so that one call finds out whether a process takes part, without its maps. It is saved and restored like all memory: that
//! is how a question that was open at the checkpoint is answered in the restored program.
//!
//! A round: the engine holds a lock (flock(2) on `/proc/PID/mem`), writes the question and last of all [`Control::ask`], a new generation; it
//! sends [`SIGNAL`]. The program runs its callbacks, and writes [`Control::answer`] and [`Control::answered`]. The engine
//! stops and saves it, writes [`Control::result`] and last of all [`Control::verdict`]; the program runs on and writes [`Control::done`].
//! Relies on nothing. Words are those of the machine; structure changes need another [`VERSION`].
#![cfg_attr(not(test), no_std)]

use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64};

/// Where the page may be, in the order in which places are tried. The range is used by no memory allocator, stack or sanitizer's shadow.
pub const PLACES: [u64; 4] = [0x6372_0000_0000, 0x6373_0000_0000, 0x6374_0000_0000, 0x6375_0000_0000];

/// First word of the page.
pub const MAGIC: u64 = u64::from_le_bytes(*b"reprise\x01");

/// Changes with the layout.
pub const VERSION: u32 = 1;

/// The reserved signal: the highest one.
pub const SIGNAL: i32 = 64;

/// Longest path in the page, with its NUL.
pub const PATH_BYTES: usize = 4096;

/// Size of the mapping.
pub const PAGE_BYTES: usize = 8192;

/// [`Control::kind`]: the program has libcr and is asked.
pub const KIND_LIBRARY: u32 = 1;
/// [`Control::kind`]: only `libcr_run` is there; it is ready at any time and is not asked.
pub const KIND_RUN: u32 = 2;
/// [`Control::kind`]: `libcr_omit` is there; the process is left out and is not asked.
pub const KIND_OMIT: u32 = 3;

/// [`Control::answer`]: save me.
pub const READY: u32 = 0;
/// [`Control::answer`]: not now; [`Control::code`] says why.
pub const TEMPORARY: u32 = 1;
/// [`Control::answer`]: never; [`Control::code`] says why.
pub const PERMANENT: u32 = 2;
/// [`Control::answer`]: go on without me.
pub const OMIT: u32 = 4;

/// [`Control::phase`]: nothing is going on.
pub const IDLE: u32 = 0;
/// [`Control::phase`]: a critical section is left first.
pub const PENDING: u32 = 1;
/// [`Control::phase`]: callbacks in thread context run.
pub const THREADS: u32 = 2;
/// [`Control::phase`]: callbacks in signal context run.
pub const SIGNALS: u32 = 3;
/// [`Control::phase`]: the answer is given.
pub const PARKED: u32 = 4;
/// [`Control::phase`]: callbacks go on after the verdict.
pub const RESUMING: u32 = 5;

/// BLCR's error numbers, from `blcr_errcodes.h`.
pub mod code {
    /// A participant cancelled; try again later.
    pub const TEMPFAIL: i32 = 2354;
    /// A participant cancelled for good.
    pub const PERMFAIL: i32 = 2355;
    /// A process has no libcr.
    pub const NOSUPPORT: i32 = 2356;
    /// Library and engine do not fit each other.
    pub const VERSION: i32 = 2357;
    /// The process asked to be left out.
    pub const OMITTED: i32 = 2358;
    /// The context file is of another architecture.
    pub const BADARCH: i32 = 2359;
    /// A process is traced.
    pub const PTRACED: i32 = 2360;
    /// A process traces others.
    pub const PTRACER: i32 = 2361;
    /// A callback aborted the restart.
    pub const RSTRTABRT: i32 = 2362;
    /// The request was made before a restart.
    pub const RESTARTED: i32 = 2363;
    /// Only callbacks may do this.
    pub const NOTCB: i32 = 2364;
    /// The thread has not called `cr_init`.
    pub const NOINIT: i32 = 2365;
}

/// The page. Written by the program unless another side is named.
#[derive(Debug)]
#[repr(C)]
pub struct Control {
    /// [`MAGIC`], written last when the page is made.
    pub magic: AtomicU64,
    /// [`VERSION`].
    pub version: AtomicU32,
    /// `KIND_…`.
    pub kind: AtomicU32,
    /// The process whose page this is: a child of `vfork(2)` or of a bare `clone(2)` sees that of its parent. Engine: after a restart.
    pub pid: AtomicI32,
    /// How many threads have called `cr_init`; without any there is nobody to ask.
    pub clients: AtomicU32,
    /// The thread that waits for [`SIGNAL`]; 0: any will do.
    pub helper: AtomicI32,
    /// Not 0: leave the process out, whatever its callbacks would say.
    pub omit: AtomicU32,

    /// Engine: generation of the question.
    pub ask: AtomicU32,
    /// Engine: its process, as the program sees it; 0: cannot be told.
    pub engine: AtomicI32,
    /// Engine: the processor time that it had used when it asked, ns. One that has used less is another process of that number.
    pub engine_cpu_ns: AtomicU64,
    /// Engine: who asked for the checkpoint.
    pub requester: AtomicI32,
    /// Engine: the id that was asked for.
    pub target: AtomicI32,
    /// Engine: what the id names, `CR_SCOPE_…`.
    pub scope: AtomicI32,
    /// Engine: the signal that will be sent.
    pub signal: AtomicI32,
    /// Engine: generation of the verdict.
    pub verdict: AtomicU32,
    /// Engine: 0 the program runs on, positive it was restarted by that process, negative an error number.
    pub result: AtomicI32,
    /// Engine: how many requests to forward were answered.
    pub forwarded: AtomicU32,
    /// Engine: the error number of the last of them, 0 for success.
    pub forward_error: AtomicI32,
    /// Engine: how often the program was restarted.
    pub restarts: AtomicU32,
    /// Engine: who restarted it last.
    pub restarter: AtomicI32,

    /// Generation that the program has noticed.
    pub taken: AtomicU32,
    /// Generation of the answer.
    pub answered: AtomicU32,
    /// The answer.
    pub answer: AtomicU32,
    /// The error number that goes with it.
    pub code: AtomicI32,
    /// Generation that is over.
    pub done: AtomicU32,
    /// Not 0: a callback failed after the verdict, with this error number.
    pub done_code: AtomicI32,
    /// How many requests to forward were made.
    pub forward: AtomicU32,
    /// What the id of the last one names.
    pub forward_scope: AtomicI32,
    /// The id of the last one.
    pub forward_target: AtomicI32,
    /// Where the round is.
    pub phase: AtomicU32,
    /// How many threads are in critical sections.
    pub holders: AtomicU32,
    /// The kernel's `struct sigaction` for [`SIGNAL`], for an engine that has to put it back.
    pub action: [AtomicU64; 4],

    /// Engine: absolute path of the context file, ended by a NUL; empty if it has none. Written at the checkpoint and at the restart.
    pub path: [core::sync::atomic::AtomicU8; PATH_BYTES],
}

const _: () = assert!(size_of::<Control>() <= PAGE_BYTES);

/// [`Request::state`]: the tool has just been started.
pub const STARTED: u32 = 0;
/// [`Request::state`]: everybody has been asked.
pub const ASKED: u32 = 1;
/// [`Request::state`]: it is over.
pub const OVER: u32 = 2;

/// Longest log of a request, with its NUL.
pub const LOG_BYTES: usize = 4000;

/// What the tool that libcr has started for a request writes to where it was told to (`--report PID:ADDRESS`).
#[derive(Debug)]
#[repr(C)]
pub struct Request {
    /// `STARTED`, `ASKED` or `OVER`; written last.
    pub state: AtomicU32,
    /// Error number of the outcome; 0 for success.
    pub code: AtomicI32,
    /// The lead process of a restart.
    pub lead: AtomicI32,
    /// Messages, ended by a NUL.
    pub log: [core::sync::atomic::AtomicU8; LOG_BYTES],
}
