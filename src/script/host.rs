//! What a session's scripts have in common: handlers, what was said in this call, what may be done.
//!
//! Filled by the functions in [`native`](super::native), read by [`vm`](super::vm).

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::process::Child;
use std::rc::Rc;

use mlua::{Function, Lua, Table, Value as LuaValue};
use serde_json::{Map, Value};

use super::Options;
use super::brood;
use super::meter::Meter;
use super::text::printable;
use super::value::Reader;
use crate::error::Class;
use crate::policy::event::Name;
use crate::policy::{LogLevel, LogLine};

/// Filters of all handlers together, bytes of JSON.
const MOST_FILTER_BYTES: usize = 256 << 10;

/// What a script's functions work on.
pub struct Host {
    /// What was asked for.
    pub options: Options,
    /// The budget of the call that runs.
    pub meter: Rc<Meter>,
    /// The handlers in order of registration.
    pub handlers: RefCell<Vec<Registered>>,
    /// The event that is handled; `None` while scripts are loaded.
    pub event: RefCell<Option<Moment>>,
    /// Lines logged in this call.
    pub log: RefCell<Vec<LogLine>>,
    /// Bytes of log that are left of the request.
    log_left: Cell<usize>,
    commands: Cell<u64>,
    /// Notes of this call.
    pub annotations: RefCell<Vec<(String, String)>>,
    /// Bytes of notes that are left.
    pub annotations_left: Cell<usize>,
    /// What `cr.fail` said first in this call.
    pub refusal: RefCell<Option<Refusal>>,
    /// Bytes of filters that are left.
    pub filter_left: Cell<usize>,
    /// Commands that were started and not waited for.
    pub background: RefCell<Vec<Child>>,
    contents: Table,
    chunks: RefCell<Vec<String>>,
}

/// A handler.
pub struct Registered {
    /// Its event.
    pub event: Name,
    /// Its filter.
    pub filter: Map<String, Value>,
    /// Whether it takes many events at once.
    pub is_batch: bool,
    /// What runs.
    pub function: Function,
    /// Where it is defined.
    pub place: String,
}

/// The event that is handled.
#[derive(Clone, Copy)]
pub struct Moment {
    /// Its name.
    pub name: Name,
    /// Whether the context file is not written yet.
    pub is_before_writing: bool,
}

/// What `cr.fail` said.
pub struct Refusal {
    /// The error object.
    pub object: Table,
    /// Who can fix it.
    pub class: Class,
    /// Why.
    pub message: String,
    /// Where.
    pub by: String,
    /// What the user can do.
    pub remedy: Option<String>,
    /// The exit status.
    pub exit: Option<u8>,
}

/// The text of a script as Lua wants it: without a byte order mark, and with the line `#!…` of a program as a comment.
fn plain(text: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    if text.starts_with(b"#") { [b"--", text].concat().into() } else { text.into() }
}

impl Host {
    /// A host without handlers.
    pub fn new(options: &Options, contents: Table) -> Host {
        Host {
            options: options.clone(),
            meter: Meter::new(),
            handlers: RefCell::default(),
            event: RefCell::default(),
            log: RefCell::default(),
            log_left: Cell::new(options.limits.log_bytes),
            commands: Cell::default(),
            annotations: RefCell::default(),
            annotations_left: Cell::new(options.limits.annotation_bytes),
            refusal: RefCell::default(),
            filter_left: Cell::new(MOST_FILTER_BYTES),
            background: RefCell::default(),
            contents,
            chunks: RefCell::default(),
        }
    }

    /// Begins a call: nobody has failed, and so much may be logged.
    pub fn begin(&self, event: Option<Moment>, log_bytes: usize) {
        *self.event.borrow_mut() = event;
        self.log_left.set(log_bytes);
        *self.refusal.borrow_mut() = None;
        self.collect();
    }

    /// Bytes of log that are left.
    pub fn log_left(&self) -> usize {
        self.log_left.get()
    }

    /// Collects what has ended of commands in the background and of what others left behind.
    pub fn collect(&self) {
        let mut background = self.background.borrow_mut();
        background.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        if self.commands.get() != 0 {
            let kept: HashSet<i32> = background.iter().map(brood::id).collect();
            brood::collect(&kept);
        }
    }

    /// The number of the command that is about to be started.
    pub fn next_command(&self) -> u64 {
        self.commands.set(self.commands.get() + 1);
        self.commands.get()
    }

    /// Whether a message begins with a place in a script.
    pub fn has_place(&self, message: &str) -> bool {
        self.chunks.borrow().iter().any(|chunk| {
            let digits =
                message.strip_prefix(chunk.as_str()).and_then(|rest| rest.strip_prefix(':')).and_then(|rest| rest.split_once(": "));
            digits.is_some_and(|(digits, _)| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        })
    }

    /// Compiles a script or a module.
    pub fn compile(&self, lua: &Lua, text: &[u8], name: &str, environment: Table) -> Result<Function, String> {
        self.chunks.borrow_mut().push(name.to_owned());
        let text = plain(text);
        let chunk =
            lua.load(text.as_ref()).set_name(format!("@{name}")).set_mode(mlua::chunk::ChunkMode::Text).set_environment(environment);
        chunk.into_function().map_err(|error| match error {
            mlua::Error::SyntaxError { message, .. } => printable(message.as_bytes()),
            error => format!("{name}: {}", printable(error.to_string().as_bytes())),
        })
    }

    /// Logs a line; beyond the limit of the request the rest is left out, and that is said once.
    pub fn say(&self, level: LogLevel, by: String, text: &[u8]) {
        let left = self.log_left.get();
        if left == 0 {
            return;
        }
        let text = printable(text);
        // As a line is shown: with its place, a colon and a blank, and a line break.
        let rest = left.checked_sub(by.len() + text.len() + 3).filter(|rest| *rest != 0);
        self.log_left.set(rest.unwrap_or_default());
        if rest.is_some() {
            self.log.borrow_mut().push(LogLine { level, by, text });
        } else {
            let text = format!("logged more than {} KiB: the rest is left out", self.options.limits.log_bytes >> 10);
            self.log.borrow_mut().push(LogLine { level: LogLevel::Warn, by, text });
        }
    }

    /// Why effects are refused, if they are.
    pub fn no_effects(&self, what: &str) -> Result<(), String> {
        match (self.options.dry_run, self.options.pure) {
            (true, _) => Err(format!("cr.{what} is refused in a dry run, which changes nothing; ask cr.dry_run first")),
            (_, true) => Err(format!("cr.{what} is refused: scripts may have no effects (--hook-pure); ask cr.pure first")),
            _ => Ok(()),
        }
    }

    /// A value as JSON.
    pub fn json(&self, value: &LuaValue) -> Result<Value, String> {
        Reader::new(&self.contents).read(value)
    }
}
