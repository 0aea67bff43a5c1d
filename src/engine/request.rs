//! What the command lines ask of the engine: plain values, filled by `cli`, `cpr` and the C libraries alike.
//!
//! Relies on the words of `image` only. Leaves defaults of the command lines to `cli` and everything that touches the machine to the engine.

use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

use super::lost::Home;
use crate::image::Scope;

pub use crate::image::file::{Creation, Owner};

/// One checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointRequest {
    /// What is saved: all that these name, together in one context file.
    pub targets: Vec<Target>,
    /// The process that stands for the requester: its own id 0, its own group. Never the tool's worker process.
    pub requester: i32,
    /// Where the context file goes.
    pub destination: Destination,
    /// What happens to a context file that is there already. Ignored for [`Destination::Fd`].
    pub creation: Creation,
    /// Wait until file and directory are on the disk.
    pub sync: bool,
    /// Permission bits of the context file.
    pub mode: u32,
    /// Whom the context file is given to; `None`: the user of the job, if it has no rights beyond his, else nobody. For anybody but root: nobody.
    pub owner: Option<Owner>,
    /// Signal for every process afterwards.
    pub signal: Option<i32>,
    /// Send the signal even if the job could not be restarted here.
    pub unproven: bool,
    /// What to do with processes that others trace.
    pub ptraced: TraceRule,
    /// What to do with processes that trace others.
    pub ptracer: TraceRule,
    /// How long the job may take to stop and be written; `None` waits for ever.
    pub time_limit: Option<Duration>,
    /// The namespaces of whoever asks, if we have left them for those of the job.
    pub home: Option<Home>,
    /// How programs that take part are dealt with.
    pub participation: Participation,
}

/// What a request says about programs that take part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Participation {
    /// Refuse processes without libcr.
    pub is_required: bool,
    /// Refuse a checkpoint that the requester is part of.
    pub prohibits_requester: bool,
    /// The program that waits for the result, if libcr has made the request for it.
    pub asker: Option<Asker>,
}

/// A program that has made its request through libcr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// The process.
    pub pid: i32,
    /// Where in its memory it waits for the result ([`libcr_wire::Request`]).
    pub address: u64,
    /// The process that it has started for this, which is never part of the checkpoint.
    pub front: i32,
}

/// An id, and what it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// What it names.
    pub scope: Scope,
    /// The number; 0 means the requester itself, its own group or its own session.
    pub id: i64,
}

/// Where a context file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// This file.
    File(PathBuf),
    /// This inherited descriptor: a file, a pipe, a socket.
    Fd(RawFd),
    /// A new directory with one `context.PID` a process.
    Dir(PathBuf),
}

/// What to do with a process under ptrace, or one that traces others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceRule {
    /// Refuse the checkpoint.
    Error,
    /// Leave it out, and with scope tree its children too.
    Skip,
    /// Take it like any other.
    Allow,
}

/// One restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartRequest {
    /// The program that waits for the result, if libcr has made the request for it.
    pub asker: Option<Asker>,
    /// Where the context file comes from.
    pub source: Source,
    /// Signal for every process afterwards.
    pub signal: Option<i32>,
    /// Give processes their saved process groups.
    pub restore_pgid: bool,
    /// Give processes their saved sessions.
    pub restore_sid: bool,
    /// Whether a later checkpoint leaves cr_restart out.
    pub omit: Omit,
    /// Restart a job with rights that the owner of its context file does not have; asked for by root only.
    pub trust_file: bool,
    /// Check every byte of the context file before anything is made.
    pub verify: bool,
    /// Compare the restored processes with what was saved before they run.
    pub compare: bool,
    /// Leave when the job runs instead of waiting for it.
    pub detach: bool,
    /// Where ids come from.
    pub place: Place,
    /// What happens where our clocks are behind those of the job.
    pub clock: Clock,
    /// On which processors threads run that were bound by their surroundings.
    pub affinity: Affinity,
}

/// On which processors a thread runs that was bound by its surroundings, a batch system for example, and not by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Affinity {
    /// On those of the restarter.
    #[default]
    Surroundings,
    /// On those that were saved.
    Saved,
}

/// What happens where CLOCK_MONOTONIC or CLOCK_BOOTTIME would go back for a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clock {
    /// They go on where they were, in a time namespace; refused where none can be made.
    #[default]
    Keep,
    /// They go back.
    Jump,
}

impl RestartRequest {
    /// The same request at this place: a namespace brings every id back.
    pub fn at(self, place: Place) -> RestartRequest {
        match place {
            Place::Host => RestartRequest { place, ..self },
            Place::Namespace { .. } => RestartRequest { place, restore_pgid: true, restore_sid: true, ..self },
        }
    }
}

/// Where the processes of a restarted job come to live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Place {
    /// Among those of the restarter.
    #[default]
    Host,
    /// In a pid namespace made for them. The restarter is its first process already.
    Namespace {
        /// Sessions that are led from outside the job keep their processes in the process group of the restarter, whose terminal knows
        /// no other.
        foreground: bool,
    },
}

/// Where a context file is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// This file.
    File(PathBuf),
    /// This inherited descriptor; a pipe is read in one pass.
    Fd(RawFd),
    /// A directory with one `context.PID` a process.
    Dir(PathBuf),
}

/// Whether later checkpoints leave cr_restart itself out (`cr_restart(1)`, `--omit-*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Omit {
    /// By the heuristic of the manual.
    Maybe,
    /// Always.
    Always,
    /// Never.
    Never,
}
