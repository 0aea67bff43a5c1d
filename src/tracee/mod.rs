//! Stopped processes: taking hold of them, making system calls inside them, letting them go unchanged.
//!
//! Relies on `sys` and `proc`. A [`Stopped`] value is the proof that a task is in a ptrace stop. Knows no kind and no image.
//! A task may die at any line (SIGKILL cannot be held back): [`TraceeError::Gone`] is a normal result everywhere.

pub mod arch;
pub mod batch;
mod code;
pub mod freeze;
mod freezer;
mod live;
pub mod memory;
pub mod release;
pub mod robust;
pub mod scratch;
mod slack;
pub mod stub;
mod task;

pub use batch::{Answers, Arg, Batch, Buffer, Row};
pub use scratch::Scratch;
pub use task::{Ending, Stopped};

use crate::error::{Class, Classified, Subject};
use crate::sys::Errno;
use crate::sys::interruption::Interruption;

/// What can go wrong with a stopped task.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields are named in the messages")]
pub enum TraceeError {
    /// It ended: somebody killed it.
    #[error("task {tid} ended while it was being worked on")]
    Gone { tid: i32 },
    /// Attaching was refused.
    #[error("cannot attach to process {pid}: {}", if *.tracer == 0 { "permission denied".into() } else { format!("process {tracer} traces it") })]
    Denied { pid: i32, tracer: i32 },
    /// It may be attached to, but nothing may be asked of it: its filters could kill it for the calls of a batch.
    #[error("process {pid} runs under seccomp filters, which we may not suspend")]
    Filtered { pid: i32 },
    /// A request to the kernel about the task failed.
    #[error("cannot {attempt} of task {tid}")]
    Request { attempt: &'static str, tid: i32, source: Errno },
    /// A system call made inside the task failed.
    #[error("cannot {attempt} in task {tid}")]
    Call { attempt: &'static str, tid: i32, source: Errno },
    /// A system call with more data than a task can be given at once.
    #[error("cannot {attempt} in task {tid}: {bytes} bytes at once are too many")]
    TooLarge { attempt: &'static str, tid: i32, bytes: usize },
    /// The call loop itself was interrupted by a fault: an error of ours.
    #[error("task {tid} got signal {signal} at {address:#x} during a batch of system calls")]
    Crashed { tid: i32, signal: i32, address: u64 },
    /// Nobody interrupted it in time, and it has run on.
    #[error("task {tid} ran on by itself: we were not running for a long time")]
    Escaped { tid: i32 },
    /// Its memory could not be read or written.
    #[error("cannot {attempt} {bytes} bytes at {address:#x} of task {tid}")]
    Memory { attempt: &'static str, tid: i32, address: u64, bytes: usize, source: Errno },
    /// The processor state is one this engine does not know.
    #[error("task {tid} runs 32-bit code, which is not supported")]
    Compat { tid: i32 },
    /// A checkpoint or restart of ours holds it.
    #[error("another checkpoint or restart of process {pid} is under way: process {tracer} holds it")]
    Busy { pid: i32, tracer: i32 },
    /// Its group of the freezer is frozen: it cannot stop for us.
    #[error("process {pid} is frozen with its control group {}", group.display())]
    Frozen { pid: i32, group: std::path::PathBuf },
    /// A thread waits in `vfork(2)` and cannot be stopped.
    #[error("process {pid} waits in vfork for a child that has not called exec yet")]
    Vfork { pid: i32 },
    /// The processes keep making new ones.
    #[error("the job creates processes faster than they can be stopped")]
    Forking,
    /// A task does not stop: it is in uninterruptible sleep.
    #[error("task {tid} did not stop: it is in uninterruptible sleep")]
    Unstoppable { tid: i32 },
    /// The time allowed for the checkpoint is over.
    #[error("the time allowed for the checkpoint is over")]
    TimeOver,
    /// Somebody has asked to give it up.
    #[error("the checkpoint was given up: {}", match why {
        Interruption::Signal(signal) => format!("signal {signal} ({})", signal_name(*signal)),
        Interruption::Orphaned => "the cr_checkpoint that waited for it has ended".into(),
    })]
    GivenUp { why: Interruption },
}

fn signal_name(signal: i32) -> &'static str {
    nix::sys::signal::Signal::try_from(signal).map_or("a real-time signal", |signal| signal.as_str())
}

impl TraceeError {
    /// The error of a failed request: ESRCH means that the task is gone.
    pub fn request(attempt: &'static str, tid: i32, errno: Errno) -> TraceeError {
        match errno {
            Errno::ESRCH => TraceeError::Gone { tid },
            source => TraceeError::Request { attempt, tid, source },
        }
    }
}

impl Classified for TraceeError {
    fn class(&self) -> Class {
        match self {
            TraceeError::Gone { .. }
            | TraceeError::Busy { .. }
            | TraceeError::Escaped { .. }
            | TraceeError::Frozen { .. }
            | TraceeError::Vfork { .. }
            | TraceeError::Forking
            | TraceeError::Unstoppable { .. }
            | TraceeError::GivenUp { .. }
            | TraceeError::TimeOver => Class::Temp,
            TraceeError::Denied { .. } | TraceeError::Filtered { .. } => Class::Env,
            TraceeError::Request { source, .. } | TraceeError::Call { source, .. } | TraceeError::Memory { source, .. } => {
                Class::of_errno(*source as i32)
            }
            TraceeError::Crashed { .. } | TraceeError::Compat { .. } | TraceeError::TooLarge { .. } => Class::Perm,
        }
    }

    fn errno(&self) -> Option<i32> {
        match self {
            TraceeError::Gone { .. } => Some(libc::ESRCH),
            TraceeError::Denied { .. } | TraceeError::Filtered { .. } => Some(libc::EPERM),
            TraceeError::Request { source, .. } | TraceeError::Call { source, .. } | TraceeError::Memory { source, .. } => {
                Some(*source as i32)
            }
            TraceeError::Crashed { .. } => Some(libc::EFAULT),
            TraceeError::TooLarge { .. } => Some(libc::E2BIG),
            TraceeError::Compat { .. } => Some(2359),
            TraceeError::Busy { .. }
            | TraceeError::Escaped { .. }
            | TraceeError::Frozen { .. }
            | TraceeError::Vfork { .. }
            | TraceeError::Forking
            | TraceeError::Unstoppable { .. } => Some(libc::EBUSY),
            TraceeError::TimeOver => Some(libc::ETIME),
            TraceeError::GivenUp { .. } => Some(libc::EINTR),
        }
    }

    fn subject(&self) -> Subject {
        match self {
            TraceeError::Gone { tid }
            | TraceeError::Request { tid, .. }
            | TraceeError::Call { tid, .. }
            | TraceeError::TooLarge { tid, .. }
            | TraceeError::Crashed { tid, .. }
            | TraceeError::Memory { tid, .. }
            | TraceeError::Escaped { tid }
            | TraceeError::Unstoppable { tid }
            | TraceeError::Compat { tid } => Subject::pid(*tid),
            TraceeError::Denied { pid, .. }
            | TraceeError::Filtered { pid }
            | TraceeError::Busy { pid, .. }
            | TraceeError::Frozen { pid, .. }
            | TraceeError::Vfork { pid } => Subject::pid(*pid),
            TraceeError::Forking | TraceeError::TimeOver | TraceeError::GivenUp { .. } => Subject::default(),
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            TraceeError::Denied { tracer: 0, .. } => {
                Some("run as the owner of the job, or as root; a process that is not dumpable needs CAP_SYS_PTRACE".into())
            }
            TraceeError::Denied { .. } => Some("end the debugger, or use --ptraced-skip".into()),
            TraceeError::Filtered { .. } => {
                Some("make the checkpoint as root, with CAP_SYS_ADMIN, and outside of any container that has filters itself".into())
            }
            TraceeError::Busy { .. } => Some("try again when it has ended".into()),
            TraceeError::Frozen { group, .. } => {
                Some(format!("resume the job in its batch system, or write THAWED to {}/freezer.state, and try again", group.display()))
            }
            TraceeError::Vfork { .. } | TraceeError::Forking | TraceeError::Escaped { .. } | TraceeError::Unstoppable { .. } => {
                Some("try again in a moment".into())
            }
            TraceeError::TimeOver => Some("the job runs on unchanged; allow more with --time".into()),
            TraceeError::GivenUp { .. } => Some("the job runs on unchanged".into()),
            TraceeError::Call { source: Errno::ENOMEM, .. } => Some(
                "look at the limits on memory: ulimit -v (RLIMIT_AS), ulimit -d (RLIMIT_DATA), ulimit -l, /proc/sys/vm/max_map_count, overcommit_memory".into(),
            ),
            TraceeError::Compat { .. } => Some("only 64-bit programs can be checkpointed".into()),
            TraceeError::Gone { .. }
            | TraceeError::Request { .. }
            | TraceeError::Call { .. }
            | TraceeError::TooLarge { .. }
            | TraceeError::Crashed { .. }
            | TraceeError::Memory { .. } => None,
        }
    }
}
