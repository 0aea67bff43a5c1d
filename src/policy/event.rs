//! What policies are asked about: one plain struct an event, and the table of all events.
//!
//! The names, and what an answer may be, are those of `docs/hooks.md`. The structs are what a script gets as its argument: their field names are the
//! field names in Lua, and the keys of filters. Relies on serde and schemars only; nothing here looks at the machine.

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Class, Failure};

/// The name of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "described in the table of events")]
pub enum Name {
    PreCheckpoint,
    Frozen,
    Process,
    FileDisposition,
    ObjectDisposition,
    AreaDisposition,
    PostCheckpoint,
    CheckpointFailed,
    PreRestart,
    PreResume,
    OnSuccess,
    FailArgs,
    FailTemp,
    FailEnv,
    FailPerm,
    JobExit,
}

/// One row of the table of events.
pub struct Entry {
    /// The name.
    pub name: Name,
    /// The name as scripts write it.
    pub word: &'static str,
    /// When a running job stands still meanwhile: handlers have little time then.
    pub still: Still,
    /// Whether a handler that errs stops the request. Afterwards it can only be reported.
    pub may_stop: bool,
    /// What a handler may answer, for messages.
    pub answers: &'static str,
    /// JSON schema of the argument.
    pub schema: fn() -> Schema,
}

/// When an event holds a job that would run otherwise. A job that is only being restored loses nothing by waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Still {
    /// Never: it runs, or does not exist yet.
    Never,
    /// Always.
    Always,
    /// When `side` is `checkpoint`.
    AtCheckpoint,
    /// When `frozen` is true.
    IfFrozen,
}

impl Still {
    fn holds(self, at_restart: bool, frozen: bool) -> bool {
        match self {
            Still::Never => false,
            Still::Always => true,
            Still::AtCheckpoint => !at_restart,
            Still::IfFrozen => frozen,
        }
    }
}

/// Every event, in the order in which a job meets them.
#[rustfmt::skip]
pub static EVENTS: &[Entry] = &[
    entry(Name::PreCheckpoint, "pre-checkpoint", Still::Never, true, "\"skip\" or cr.fail(class, why)", schema::<JobEvent>),
    entry(Name::Frozen, "frozen", Still::Always, true, "cr.fail(class, why)", schema::<JobEvent>),
    entry(Name::Process, "process", Still::Always, true, "\"omit\" or cr.fail(class, why)", schema::<ProcessEvent>),
    entry(Name::FileDisposition, "file-disposition", Still::AtCheckpoint, true, "\"merge\", \"ignore\", \"append\", \"replace\", \"substitute\", \"fail\" or { action = …, path = … }", schema::<FileEvent>),
    entry(Name::ObjectDisposition, "object-disposition", Still::AtCheckpoint, true, "\"fail\", \"close\", \"reconnect\", \"repair\" or { path = … }", schema::<ObjectEvent>),
    entry(Name::AreaDisposition, "area-disposition", Still::Always, true, "\"save\", \"skip\" or \"fail\"", schema::<AreaEvent>),
    entry(Name::PostCheckpoint, "post-checkpoint", Still::IfFrozen, false, "\"continue\", \"stop\" or \"kill\"", schema::<SavedEvent>),
    entry(Name::CheckpointFailed, "checkpoint-failed", Still::Never, false, "an exit status from 0 to 255", schema::<FailureEvent>),
    entry(Name::PreRestart, "pre-restart", Still::Never, true, "{ relocate = { [old] = new }, pid = \"keep\", \"new\" or \"namespace\" } or cr.fail(class, why)", schema::<RestartEvent>),
    entry(Name::PreResume, "pre-resume", Still::Never, true, "cr.fail(class, why)", schema::<RunningEvent>),
    entry(Name::OnSuccess, "on-success", Still::Never, false, "an exit status from 0 to 255", schema::<RunningEvent>),
    entry(Name::FailArgs, "fail-args", Still::Never, false, "an exit status from 0 to 255", schema::<FailureEvent>),
    entry(Name::FailTemp, "fail-temp", Still::Never, false, "an exit status from 0 to 255 or { retry = true, after = seconds }", schema::<FailureEvent>),
    entry(Name::FailEnv, "fail-env", Still::Never, false, "an exit status from 0 to 255 or { retry = true, after = seconds }", schema::<FailureEvent>),
    entry(Name::FailPerm, "fail-perm", Still::Never, false, "an exit status from 0 to 255", schema::<FailureEvent>),
    entry(Name::JobExit, "job-exit", Still::Never, false, "an exit status from 0 to 255", schema::<ExitEvent>),
];

const fn entry(name: Name, word: &'static str, still: Still, may_stop: bool, answers: &'static str, schema: fn() -> Schema) -> Entry {
    Entry { name, word, still, may_stop, answers, schema }
}

fn schema<T: JsonSchema>() -> Schema {
    schema_for!(T)
}

impl Name {
    /// Its row in the table.
    pub fn entry(self) -> &'static Entry {
        &EVENTS[self as usize]
    }

    /// The name as scripts write it.
    pub fn word(self) -> &'static str {
        self.entry().word
    }

    /// The event of that name.
    pub fn of(word: &str) -> Option<Name> {
        EVENTS.iter().find(|entry| entry.word == word).map(|entry| entry.name)
    }

    /// The event of a failed restart.
    pub fn of_failure(class: Class) -> Name {
        match class {
            Class::Args => Name::FailArgs,
            Class::Temp => Name::FailTemp,
            Class::Env => Name::FailEnv,
            Class::Perm => Name::FailPerm,
        }
    }

    /// What [`Event::holds_the_job`] says of an event of this name whose argument is known as plain data only.
    pub fn holds_the_job(self, data: &Value) -> bool {
        let frozen = data.get("frozen").and_then(Value::as_bool).unwrap_or(false);
        self.entry().still.holds(data.get("side").and_then(Value::as_str) == Some("restart"), frozen)
    }

    /// The fields of its argument with their schemas, in the order of the struct.
    pub fn fields(self) -> Vec<(String, Value)> {
        let schema = (self.entry().schema)();
        let properties = schema.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().map(|(name, schema)| (name.clone(), schema.clone())).collect()
    }
}

/// Something a policy is asked about.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "each variant is the event of the same name")]
pub enum Event {
    PreCheckpoint(JobEvent),
    Frozen(JobEvent),
    Process(ProcessEvent),
    FileDisposition(FileEvent),
    ObjectDisposition(ObjectEvent),
    AreaDisposition(AreaEvent),
    PostCheckpoint(SavedEvent),
    CheckpointFailed(FailureEvent),
    PreRestart(Box<RestartEvent>),
    PreResume(RunningEvent),
    OnSuccess(RunningEvent),
    /// `fail-args`, `fail-temp`, `fail-env`, `fail-perm`: the class is the failure's.
    Failed(FailureEvent),
    JobExit(ExitEvent),
}

impl Event {
    /// Its name.
    pub fn name(&self) -> Name {
        match self {
            Event::PreCheckpoint(_) => Name::PreCheckpoint,
            Event::Frozen(_) => Name::Frozen,
            Event::Process(_) => Name::Process,
            Event::FileDisposition(_) => Name::FileDisposition,
            Event::ObjectDisposition(_) => Name::ObjectDisposition,
            Event::AreaDisposition(_) => Name::AreaDisposition,
            Event::PostCheckpoint(_) => Name::PostCheckpoint,
            Event::CheckpointFailed(_) => Name::CheckpointFailed,
            Event::PreRestart(_) => Name::PreRestart,
            Event::PreResume(_) => Name::PreResume,
            Event::OnSuccess(_) => Name::OnSuccess,
            Event::Failed(event) => Name::of_failure(class_of(&event.class)),
            Event::JobExit(_) => Name::JobExit,
        }
    }

    /// Whether a job that would run otherwise stands still until the answer: there is little time, and it counts as downtime.
    pub fn holds_the_job(&self) -> bool {
        let (at_restart, frozen) = match self {
            Event::FileDisposition(event) => (event.side == Side::Restart, false),
            Event::ObjectDisposition(event) => (event.side == Side::Restart, false),
            Event::PostCheckpoint(event) => (false, event.frozen),
            _ => (false, false),
        };
        self.name().entry().still.holds(at_restart, frozen)
    }

    /// The argument as plain data.
    pub fn data(&self) -> Value {
        serde_json::to_value(self).expect("events are plain data")
    }
}

fn class_of(word: &str) -> Class {
    [Class::Args, Class::Temp, Class::Env].into_iter().find(|class| class.word() == word).unwrap_or(Class::Perm)
}

/// `pre-checkpoint`, `frozen`: a checkpoint was asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobEvent {
    /// The ids as they were given; what they name is `scope`.
    pub ids: Vec<i32>,
    /// What the ids name: `tree`, `process`, `group` or `session`.
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

/// Whether a disposition is decided for a checkpoint or for a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the words say it")]
pub enum Side {
    #[default]
    Checkpoint,
    Restart,
}

/// A descriptor of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DescriptorRef {
    /// Process id.
    pub pid: i32,
    /// Descriptor number.
    pub fd: i32,
}

/// `file-disposition`: a regular file that is open or mapped.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileEvent {
    /// `checkpoint` or `restart`.
    pub side: Side,
    /// The first process that has it.
    pub pid: i32,
    /// All descriptors that lead to it; empty for a file that is only mapped.
    pub descriptors: Vec<DescriptorRef>,
    /// Its path; at restart after relocation.
    pub path: String,
    /// Its kind: `regular`.
    pub kind: String,
    /// Open flags of the first descriptor in the words of open(2), for example `O_RDWR`, `O_APPEND`.
    pub flags: Vec<String>,
    /// Whether the job can write to it.
    pub writable: bool,
    /// File offset of the first descriptor, bytes.
    pub offset: u64,
    /// Size at the checkpoint, bytes.
    pub size: u64,
    /// Inode number at the checkpoint.
    pub inode: u64,
    /// Last change of the contents before the checkpoint, seconds since 1970.
    pub mtime: i64,
    /// Whether the job maps it.
    pub mapped: bool,
    /// Whether a mapping of it is shared: what is written there goes into the file.
    pub shared: bool,
    /// Whether it is the program of a process.
    pub executable: bool,
    /// Whether it has no name any more; its contents are always saved.
    pub deleted: bool,
    /// Whether the context file has its contents: replace and substitute are possible at restart.
    pub saved: bool,
    /// What was decided at the checkpoint; nil at the checkpoint itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<String>,
    /// How the file differs from what it was at the checkpoint; nil when it does not, and at the checkpoint itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Changed>,
}

/// What is different about a file since the checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// It is not there any more.
    pub missing: bool,
    /// Its size is another.
    pub size: bool,
    /// Its time of last change is another.
    pub mtime: bool,
    /// Its contents are known to be others: of small files, programs and libraries.
    pub content: bool,
}

/// `object-disposition`: something open that may not be restorable.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectEvent {
    /// `checkpoint` or `restart`.
    pub side: Side,
    /// The first process that has it.
    pub pid: i32,
    /// All descriptors that lead to it.
    pub descriptors: Vec<DescriptorRef>,
    /// Its kind, for example `socket`, `device`, `tty`, `fifo`; `unknown` when no kind knows it.
    pub kind: String,
    /// What the link in /proc/PID/fd says: a path, or for example `socket:[4711]`.
    pub path: String,
    /// Whether Reprise can restore it: nobody needs to decide.
    pub restorable: bool,
    /// Address family of a socket: `unix`, `inet`, `inet6`, `netlink` …; nil for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Type of a socket: `stream`, `datagram`, `seqpacket`, `raw`; nil for others.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub socket_type: Option<String>,
    /// State of a socket: `listening`, `connected`, `unconnected` …; nil for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Local address of a socket; nil when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// Address of the other end of a socket; nil when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Process at the other end of a local socket; nil when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_pid: Option<i32>,
}

/// `area-disposition`: a memory area whose contents would be saved.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AreaEvent {
    /// The process.
    pub pid: i32,
    /// `[heap]`, `[stack]`, `[anon:NAME]`, the path of a mapped file, or empty for plain anonymous memory.
    pub name: String,
    /// Its first address, and the address after its last byte.
    pub range: (u64, u64),
    /// Access as /proc/PID/maps shows it, for example `rw-p`.
    pub perms: String,
    /// The two-letter attributes of /proc/PID/smaps, for example `dd` (not in core dumps), `wf` (wiped on fork).
    pub flags: Vec<String>,
    /// Bytes that would be saved.
    pub bytes: u64,
    /// The file it maps; nil for anonymous memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
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

/// Codes from here on are libcr's own.
const FIRST_LIBCR_CODE: i32 = 2354;

/// `checkpoint-failed`, `fail-args`, `fail-temp`, `fail-env`, `fail-perm`: it did not succeed, and everything was put back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailureEvent {
    /// Who can fix it: `args`, `temp`, `env` or `perm`.
    pub class: String,
    /// Error number, or one of libcr's codes from 2354 up.
    pub code: i32,
    /// What was attempted and why it failed.
    pub message: String,
    /// The phase in which it failed, for example `plan`.
    pub stage: String,
    /// Process concerned; nil when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Descriptor concerned; nil when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<i32>,
    /// Path concerned; nil when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The error number; nil for libcr's own codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// What the user can do; nil when nothing helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Which attempt it was, from 1.
    pub attempt: u32,
}

impl FailureEvent {
    /// A failure as scripts see it.
    pub fn of(failure: &Failure, attempt: u32) -> FailureEvent {
        FailureEvent {
            class: failure.class.word().into(),
            code: failure.code,
            message: failure.to_string(),
            stage: failure.stage.word().into(),
            pid: failure.subject.pid,
            descriptor: failure.subject.fd,
            path: failure.subject.path.as_ref().map(|path| path.to_string_lossy().into_owned()),
            errno: Some(failure.code).filter(|code| *code < FIRST_LIBCR_CODE),
            remedy: failure.remedy.clone(),
            attempt,
        }
    }
}

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
    /// What the ids named: `tree`, `process`, `group` or `session`.
    pub scope: String,
    /// The ids given to the checkpoint.
    pub ids: Vec<i32>,
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

/// Times since something began, microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timings {
    /// How long the job has stood still so far; 0 at a restart.
    pub frozen_us: u64,
    /// Time since the request.
    pub total_us: u64,
}

/// A process id at the checkpoint and now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PidPair {
    /// At the checkpoint.
    pub old: i32,
    /// Now.
    pub new: i32,
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

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_names() {
        for (index, entry) in EVENTS.iter().enumerate() {
            assert_eq!(entry.name as usize, index, "{}", entry.word);
            assert_eq!(Name::of(entry.word), Some(entry.name));
            assert!(!entry.name.fields().is_empty(), "{} has no fields", entry.word);
        }
        assert_eq!(Name::of("post-restart"), None);
    }

    #[test]
    fn a_running_job_is_held_at_its_checkpoint_only() {
        let file = |side| Event::FileDisposition(FileEvent { side, ..FileEvent::default() });
        let object = |side| Event::ObjectDisposition(ObjectEvent { side, ..ObjectEvent::default() });
        let saved = |frozen| Event::PostCheckpoint(SavedEvent { frozen, ..SavedEvent::default() });
        for (event, holds) in [
            (Event::PreCheckpoint(JobEvent::default()), false),
            (Event::Frozen(JobEvent::default()), true),
            (Event::Process(ProcessEvent::default()), true),
            (file(Side::Checkpoint), true),
            (file(Side::Restart), false),
            (object(Side::Checkpoint), true),
            (object(Side::Restart), false),
            (Event::AreaDisposition(AreaEvent::default()), true),
            (saved(true), true),
            (saved(false), false),
            (Event::PreRestart(Box::default()), false),
            (Event::PreResume(RunningEvent::default()), false),
            (Event::OnSuccess(RunningEvent::default()), false),
            (Event::JobExit(ExitEvent::default()), false),
        ] {
            assert_eq!(event.holds_the_job(), holds, "{event:?}");
            assert_eq!(event.name().holds_the_job(&event.data()), holds, "as data: {event:?}");
        }
    }

    #[test]
    fn every_field_is_described() {
        for entry in EVENTS {
            for (field, schema) in entry.name.fields() {
                let described = schema.get("description").is_some() || schema.get("$ref").is_some() || schema.get("allOf").is_some();
                assert!(described, "{}: {field} has no description: {schema}", entry.word);
            }
        }
    }

    #[test]
    fn a_failure_names_its_event() {
        for (class, word) in [("args", "fail-args"), ("temp", "fail-temp"), ("env", "fail-env"), ("perm", "fail-perm")] {
            let event = Event::Failed(FailureEvent { class: class.into(), ..FailureEvent::default() });
            assert_eq!(event.name().word(), word);
        }
    }
}
