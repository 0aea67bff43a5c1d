//! What the engine and the script's process say to each other: one JSON object a line.
//!
//! Relies on serde_json, which never writes a line break inside an object. Time limits of the conversation are the client's business.

use std::io::{self, BufRead, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::vm::Allowance;
use crate::policy::LogLine;

/// The longest answer, bytes.
pub const LONGEST_ANSWER: usize = 64 << 20;

/// What the engine asks.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Run one handler.
    Call {
        /// Its index.
        handler: usize,
        /// The argument.
        data: Value,
        /// What it may cost.
        allowance: Allowance,
    },
    /// Run one handler on many events of its name at once.
    Batch {
        /// Its index.
        handler: usize,
        /// The arguments.
        list: Vec<Value>,
        /// What it may cost.
        allowance: Allowance,
    },
    /// What `cr.state` holds.
    Keep,
    /// Put this into `cr.state`.
    Recall(String),
}

/// What the script's process answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    /// What came of it; the error is a message with its place in the script.
    pub outcome: Result<Outcome, String>,
    /// What was logged.
    pub log: Vec<LogLine>,
    /// What was noted for the context file.
    pub annotations: Vec<(String, String)>,
}

/// What came of a request.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
pub enum Outcome {
    /// The scripts are loaded: their handlers in order of registration.
    Loaded(Vec<HandlerRow>),
    /// The handler returned this; null for no opinion.
    Returned(Value),
    /// The handler for many events returned these, each with the position of its event from 0.
    Answers(Vec<(usize, Value)>),
    /// The handler returned `cr.STOP`.
    Stopped,
    /// The handler called `cr.fail`.
    Refused {
        /// The word of the class.
        class: String,
        /// Why.
        message: String,
        /// Where: script and line.
        by: String,
        /// What the user can do.
        remedy: Option<String>,
        /// The exit status.
        exit: Option<u8>,
    },
    /// `cr.state` as JSON; `None` when it is empty.
    Kept(Option<String>),
    /// `cr.state` is filled.
    Recalled,
}

/// A handler as the engine sees it.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct HandlerRow {
    /// The name of its event.
    pub event: String,
    /// Its filter as it was given.
    pub filter: Map<String, Value>,
    /// Whether it takes many events at once.
    pub is_batch: bool,
    /// Where it is defined: script and line.
    pub place: String,
}

/// Writes one message.
pub fn send(mut stream: impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// Reads one message; `None` at the end of the stream.
pub fn receive<T: DeserializeOwned>(stream: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    if stream.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}
