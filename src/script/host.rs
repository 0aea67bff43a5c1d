//! What a session's scripts have in common: handlers, what was said in this call, what may be done.
//!
//! Filled by the functions in [`native`](super::native), read by [`vm`](super::vm).

use std::cell::{Cell, RefCell};
use std::process::Child;
use std::rc::Rc;

use mlua::{Function, Lua, Table, Value as LuaValue};
use serde_json::{Map, Value};

use super::Options;
use super::meter::Meter;
use super::text::printable;
use super::value::Reader;
use crate::error::Class;
use crate::policy::event::Name;
use crate::policy::{LogLevel, LogLine};

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
    log_left: Cell<usize>,
    /// Notes of this call.
    pub annotations: RefCell<Vec<(String, String)>>,
    /// Bytes of notes that are left.
    pub annotations_left: Cell<usize>,
    /// What `cr.fail` said last.
    pub refusal: RefCell<Option<Refusal>>,
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
            annotations: RefCell::default(),
            annotations_left: Cell::new(options.limits.annotation_bytes),
            refusal: RefCell::default(),
            background: RefCell::default(),
            contents,
            chunks: RefCell::default(),
        }
    }

    /// Begins a call: nothing is logged yet, nobody has failed.
    pub fn begin(&self, event: Option<Moment>) {
        *self.event.borrow_mut() = event;
        self.log_left.set(self.options.limits.log_bytes);
        *self.refusal.borrow_mut() = None;
        self.background.borrow_mut().retain_mut(|child| matches!(child.try_wait(), Ok(None)));
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
        let chunk = lua.load(text).set_name(format!("@{name}")).set_mode(mlua::chunk::ChunkMode::Text).set_environment(environment);
        chunk.into_function().map_err(|error| match error {
            mlua::Error::SyntaxError { message, .. } => printable(message.as_bytes()),
            error => format!("{name}: {}", printable(error.to_string().as_bytes())),
        })
    }

    /// Logs a line; beyond the limit of a call the rest is left out, and that is said once.
    pub fn say(&self, level: LogLevel, by: String, text: &str) {
        let left = self.log_left.get();
        if left == 0 {
            return;
        }
        let text = printable(text.as_bytes());
        let is_last = text.len() >= left;
        self.log_left.set(left.saturating_sub(text.len().max(1)));
        if text.len() <= left {
            self.log.borrow_mut().push(LogLine { level, by, text });
        }
        if is_last {
            let text = format!("logged more than {} KiB in one call: the rest is left out", self.options.limits.log_bytes >> 10);
            self.log.borrow_mut().push(LogLine { level: LogLevel::Warn, by: self.meter.place(), text });
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
