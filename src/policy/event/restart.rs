//! What scripts are told and asked about a restart as a whole, and about the job that it brings back.
//!
//! Plain data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Member, Timings};

/// `pre-restart`: a context file was read, nothing was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RestartEvent {
    /// The context file or directory; nil when it comes from a descriptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Version of the program that wrote it.
    pub program: String,
    /// Host it was written on.
    pub host: String,
    /// Kernel it was written on.
    pub kernel: String,
    /// When it was written, seconds since 1970.
    pub time: i64,
    /// What the ids named, or the first of them: `tree`, `process`, `group`, `session`, `share`, `cgroup` or `batch`.
    pub scope: String,
    /// The ids given to the checkpoint.
    pub ids: Vec<i64>,
    /// The processes in it.
    pub processes: Vec<Member>,
    /// Threads in it.
    pub threads: usize,
    /// What scripts noted at the checkpoint with cr.annotate.
    pub annotations: std::collections::BTreeMap<String, String>,
    /// What is different here.
    pub differs: Differs,
}

/// What differs between the machine of the checkpoint and this one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Differs {
    /// Another host name.
    pub host: bool,
    /// Another kernel release.
    pub kernel: bool,
    /// The processor lacks something the job uses.
    pub processor: bool,
    /// The machine has been started again since, or it is another one.
    pub boot: bool,
    /// Programs and libraries that changed or are missing.
    pub libraries: Vec<String>,
    /// Other files that changed or are missing.
    pub files: Vec<String>,
    /// Process ids of the job that are in use.
    pub pids: Vec<i32>,
}

/// `pre-resume`, `on-success`: a restarted job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunningEvent {
    /// Every process: its id at the checkpoint and now.
    pub pids: Vec<PidPair>,
    /// The process whose end cr_restart waits for; nil when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead: Option<i32>,
    /// Threads restored.
    pub threads: usize,
    /// Bytes of memory put back.
    pub page_bytes: u64,
    /// How long it took.
    pub timings: Timings,
}

/// A process id at the checkpoint and now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PidPair {
    /// At the checkpoint.
    pub old: i32,
    /// Now, as the world outside of the job counts.
    pub new: i32,
    /// Now, as the job itself counts in a pid namespace of its own; nil where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner: Option<i32>,
}

/// `job-exit`: the restarted job has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExitEvent {
    /// Exit status; nil when a signal ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u8>,
    /// The signal that ended it; nil when it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
}
