//! What policies are asked about: one plain struct an event, and the table of all events.
//!
//! The names, and what an answer may be, are those of `docs/hooks.md`. The structs are what a script gets as its argument: their field names are the
//! field names in Lua, and the keys of filters. Relies on serde and schemars only; nothing here looks at the machine.

mod checkpoint;
mod disposition;
mod failure;
mod restart;

pub use checkpoint::{JobEvent, Member, Options, ProcessEvent, SavedEvent, Timings};
pub use disposition::{AreaEvent, Changed, DescriptorRef, FileEvent, ObjectEvent, Side};
pub use failure::FailureEvent;
pub use restart::{Differs, ExitEvent, PidPair, RestartEvent, RunningEvent};
use schemars::{JsonSchema, Schema, schema_for};
use serde::Serialize;
use serde_json::Value;

use crate::error::Class;

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
    entry(Name::ObjectDisposition, "object-disposition", Still::AtCheckpoint, true, "\"fail\", \"close\", \"lose\", \"reconnect\", \"hang_up\", \"repair\" or { path = … }", schema::<ObjectEvent>),
    entry(Name::AreaDisposition, "area-disposition", Still::Always, true, "\"save\", \"skip\" or \"fail\"", schema::<AreaEvent>),
    entry(Name::PostCheckpoint, "post-checkpoint", Still::IfFrozen, false, "\"continue\", \"stop\" or \"kill\"", schema::<SavedEvent>),
    entry(Name::CheckpointFailed, "checkpoint-failed", Still::Never, false, "an exit status from 0 to 255", schema::<FailureEvent>),
    entry(Name::PreRestart, "pre-restart", Still::Never, true, "{ relocate = { [old] = new }, pid = \"keep\", \"any\", \"new\" or \"namespace\", cwd = \"keep\" or \"ignore\", root = \"keep\" or \"ignore\" } or cr.fail(class, why)", schema::<RestartEvent>),
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
