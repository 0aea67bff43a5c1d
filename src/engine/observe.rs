//! How the engine tells its caller what happens: progress while it works, messages, and a report at the end.
//!
//! Relies on `error` and serde. The engine never prints; `cli::report` decides what a person or a program sees.

use serde::Serialize;

use super::request::Source;
use crate::error::{Stage, Subject};
use crate::image::Decision;

/// How much a message matters (`--kmsg-error`, `--kmsg-warning`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Something the job may notice; shown on success with `--kmsg-warning`.
    Warning,
    /// The job does not come back with everything that it had; shown unless everything is silenced with `--quiet`.
    Lost,
    /// Part of a failure.
    Error,
}

/// One engine message: what BLCR called a kernel message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Message {
    /// How much it matters.
    pub level: Level,
    /// What it is about.
    pub subject: Subject,
    /// One sentence, lower case, no full stop.
    pub text: String,
}

/// Receives what happens while a request is worked on.
pub trait Observer {
    /// What follows is about this context file.
    fn source(&mut self, _source: &Source) {}
    /// A phase begins.
    fn stage(&mut self, _stage: Stage) {}
    /// `done` of `total` bytes of page contents are written or read. `total` is 0 while it is unknown.
    fn progress(&mut self, _done: u64, _total: u64) {}
    /// A message; order is the order of events.
    fn message(&mut self, message: Message);
}

/// An observer that keeps the messages and shows nothing.
#[derive(Debug, Default)]
pub struct Collector {
    /// What was said.
    pub messages: Vec<Message>,
}

impl Observer for Collector {
    fn message(&mut self, message: Message) {
        self.messages.push(message);
    }
}

/// What a successful checkpoint did; `--json` prints it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CheckpointReport {
    /// Absolute path of the context file, or none for a descriptor.
    pub path: Option<std::path::PathBuf>,
    /// Processes saved.
    pub processes: usize,
    /// Threads saved.
    pub threads: usize,
    /// Size of the context file in bytes.
    pub bytes: u64,
    /// Bytes of page contents in it.
    pub page_bytes: u64,
    /// Microseconds during which the job was stopped.
    pub frozen_us: u64,
    /// Microseconds from the request to the durable file.
    pub total_us: u64,
    /// Microseconds spent in policies, and how many of them the job stood still.
    pub hook_us: u64,
    /// See `hook_us`.
    pub hook_frozen_us: u64,
    /// Whether a policy decided to do nothing.
    #[serde(rename = "skipped")]
    pub is_skipped: bool,
    /// Whether nothing was written because only decisions were asked for.
    #[serde(rename = "dry_run")]
    pub is_dry_run: bool,
    /// Who decided what.
    pub decisions: Vec<Decision>,
}

/// What a successful restart did; `--json` prints it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RestartReport {
    /// The process whose exit status `cr_restart` mirrors: the eldest whose parent it became.
    pub lead: Option<i32>,
    /// Whether that process stands still, stopped as it was saved.
    #[serde(rename = "stopped")]
    pub is_stopped: bool,
    /// New pid of every saved process, in the order of the context file.
    pub pids: Vec<(i32, i32)>,
    /// Threads restored.
    pub threads: usize,
    /// Bytes of page contents put back.
    pub page_bytes: u64,
    /// Microseconds from the request until the job ran.
    pub total_us: u64,
    /// Whether nothing was made because only decisions were asked for.
    #[serde(rename = "dry_run")]
    pub is_dry_run: bool,
    /// Who decided what.
    pub decisions: Vec<Decision>,
}
