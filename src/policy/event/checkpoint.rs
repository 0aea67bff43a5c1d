//! What scripts are told and asked about a checkpoint as a whole.
//!
//! Plain data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `pre-checkpoint`, `frozen`: a checkpoint was asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobEvent {
    /// The ids as they were given; what they name is `scope`.
    pub ids: Vec<i64>,
    /// What the ids name, or the first of them where they are of several types: `tree`, `process`, `group`, `session`, `share`,
    /// `cgroup` or `batch`.
    pub scope: String,
    /// The processes that will be saved.
    pub processes: Vec<Member>,
    /// What was asked for.
    pub options: Options,
    /// How long the job has stood still, microseconds; nil before it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze_us: Option<u64>,
}

/// A process as a list of processes shows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// Process id.
    pub pid: i32,
    /// Name of its first thread, at most 15 bytes.
    pub name: String,
}

/// The options of a checkpoint that scripts may want to know.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Options {
    /// Where the context file or directory goes; nil when it goes to a descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The signal for every process afterwards; nil for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// The time limit in seconds; nil for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<f64>,
    /// Whether the file is synced to the disk.
    pub sync: bool,
    /// Whether this is a dry run: nothing will be written.
    pub dry_run: bool,
}

/// `process`: a process is about to be described.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessEvent {
    /// Process id.
    pub pid: i32,
    /// Parent.
    pub ppid: i32,
    /// Process group.
    pub pgid: i32,
    /// Session.
    pub sid: i32,
    /// Real user id.
    pub uid: u32,
    /// Name of its first thread, at most 15 bytes.
    pub name: String,
    /// Command line, its words joined with blanks.
    pub command: String,
    /// Number of threads; 0 in a zombie.
    pub threads: usize,
    /// Memory that is resident or swapped out, bytes.
    pub bytes: u64,
}

/// `post-checkpoint`: the context file is complete.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SavedEvent {
    /// The context file or directory; nil when it went to a descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Size, bytes.
    pub bytes: u64,
    /// Bytes of memory in it.
    pub page_bytes: u64,
    /// Processes saved.
    pub processes: usize,
    /// Threads saved.
    pub threads: usize,
    /// Whether the job still stands: your answer decides how it goes on.
    pub frozen: bool,
    /// How long it took.
    pub timings: Timings,
    /// What scripts noted with cr.annotate.
    pub annotations: std::collections::BTreeMap<String, String>,
}

/// Times since something began, microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timings {
    /// How long the job has stood still so far; 0 at a restart.
    pub frozen_us: u64,
    /// Time since the request.
    pub total_us: u64,
}
