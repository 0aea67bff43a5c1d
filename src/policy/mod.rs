//! Policies: verdicts on plain data.
//!
//! The engine asks at fixed points ([`event`]), policies answer ([`verdict`]), the first answer in order of precedence counts
//! ([`stack`]): flags of the command line, then scripts, then the built-in default. Relies on `image` data and `error` only, never on
//! processes, system calls of the engine or kinds; a policy is a value that can be tested without a job.

pub mod attribute;
pub mod command;
pub mod event;
pub mod pattern;
pub mod relocate;
pub mod rule;
pub mod sample;
pub mod stack;
pub mod verdict;

pub use event::{Event, Name};
pub use stack::Stack;
pub use verdict::Verdict;

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::error::{Class, Classified};
use crate::image::Snapshot;

/// Something that is consulted at fixed points.
pub trait Policy {
    /// Whether it may answer events of this name; others are not even built.
    fn hears(&self, name: Name) -> bool;

    /// Its answer. An error before the point of no return stops the request; afterwards it is reported.
    fn decide(&mut self, event: &Event) -> Result<Reply, PolicyError>;

    /// Whether it would rather see events of this name all at once, before it is asked about each.
    fn foresees(&self, _name: Name) -> bool {
        false
    }

    /// Events of one name that it is about to be asked about, each by itself. Has no opinion yet.
    fn foresee(&mut self, _events: &[Event]) -> Result<Reply, PolicyError> {
        Ok(Reply::nothing())
    }

    /// No answer may take longer than until then, from now on; `None` takes that back.
    fn limit(&mut self, _until: Option<Instant>) {}

    /// Another attempt at the same request begins: what may be spent in one is whole again.
    fn begin_again(&mut self) {}

    /// What it wants to find again: from a checkpoint to the restart, as JSON. `None` when there is nothing.
    fn keep(&mut self) -> Result<Option<String>, PolicyError> {
        Ok(None)
    }

    /// A context file was opened for a restart.
    fn opened(&mut self, _snapshot: &Snapshot) {}

    /// Gives back what [`Policy::keep`] gave at the checkpoint.
    fn recall(&mut self, _kept: &str) -> Result<(), PolicyError> {
        Ok(())
    }
}

/// What a policy answered, and what it said meanwhile.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    /// Its answer; `None` leaves the decision to the next.
    pub opinion: Option<Opinion>,
    /// What it logged.
    pub log: Vec<LogLine>,
    /// What it noted for the context file: keys and values.
    pub annotations: Vec<(String, String)>,
}

/// An answer and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Opinion {
    /// The answer.
    pub verdict: Verdict,
    /// Who gave it: a flag, or a script with its line.
    pub by: String,
}

impl Reply {
    /// No opinion.
    pub fn nothing() -> Reply {
        Reply::default()
    }

    /// An answer.
    pub fn verdict(verdict: Verdict, by: impl Into<String>) -> Reply {
        Reply { opinion: Some(Opinion { verdict, by: by.into() }), ..Reply::default() }
    }
}

/// How much a logged line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the words say it")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// A line that a policy logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// Who logged it: a script and its line.
    pub by: String,
    /// The text, without control characters.
    pub text: String,
}

/// A policy that could not do its work, or that stopped the request on purpose.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PolicyError {
    /// Who can fix it.
    pub class: Class,
    /// What went wrong, with the place in the script.
    pub message: String,
    /// The error number that becomes the exit status.
    pub code: i32,
    /// What it logged before.
    pub log: Vec<LogLine>,
    /// What the user can do.
    pub remedy: Option<String>,
}

impl PolicyError {
    /// A script that is wrong: whoever gave it can mend it.
    pub fn script(message: impl Into<String>) -> PolicyError {
        PolicyError {
            class: Class::Args,
            message: message.into(),
            code: libc::EINVAL,
            log: Vec::new(),
            remedy: Some("mend the script: cr_hooks check FILE".into()),
        }
    }

    /// A request that somebody's answer refuses.
    pub fn of(refusal: verdict::Refusal, by: &str) -> PolicyError {
        let code = refusal.exit.map_or(libc::ECANCELED, i32::from);
        let message = format!("{} ({by})", refusal.message);
        PolicyError { class: refusal.class, code, message, log: Vec::new(), remedy: refusal.remedy }
    }

    /// A request that a policy refuses.
    pub fn refusal(class: Class, message: impl Into<String>) -> PolicyError {
        PolicyError { class, message: message.into(), code: libc::ECANCELED, log: Vec::new(), remedy: None }
    }
}

impl Classified for PolicyError {
    fn class(&self) -> Class {
        self.class
    }

    fn errno(&self) -> Option<i32> {
        Some(self.code)
    }

    fn remedy(&self) -> Option<String> {
        self.remedy.clone()
    }
}
