//! A Lua state with scripts in it: loads them, runs one handler at a time.
//!
//! Relies on `lua/sandbox.lua` for what scripts see and on [`Meter`](super::meter::Meter) for what they cost. Runs in the script's own process; a script
//! that does not come back from a C function is the client's business.

use std::rc::Rc;
use std::time::Duration;

use mlua::{Function, Lua, LuaOptions, MultiValue, StdLib, Table, Value as LuaValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Options;
use super::host::{Host, Moment, Registered};
use super::native;
use super::source;
use super::text::printable;
use super::value;
use super::view::Views;
use super::wire::{Answer, HandlerRow, Outcome};
use crate::policy::event::Name;

const SANDBOX: &str = include_str!("../../lua/sandbox.lua");

/// Lua needs this much before any script runs, bytes.
pub const SMALLEST_STATE: usize = 1 << 20;

/// A Lua state with scripts in it.
pub struct Session {
    lua: Lua,
    host: Rc<Host>,
    views: Views,
    run: Function,
    environment: Function,
    stop: Table,
    state: Table,
}

/// What one call may cost.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Allowance {
    /// Its time.
    pub time: Duration,
    /// What it may log, bytes.
    pub log_bytes: usize,
}

/// How a function ended.
enum Ran {
    Returned(LuaValue),
    Refused(Outcome),
}

impl Session {
    /// Makes a state and loads the scripts. The second value is what came of loading; only its success allows calls.
    pub fn load(options: &Options) -> Result<(Session, Answer), String> {
        Session::load_altered(options, |_, _| Ok(()))
    }

    /// The same after `alter` has changed the functions of the program that `cr` is made from; for tests of scripts.
    pub fn load_altered(options: &Options, alter: impl FnOnce(&Lua, &Table) -> mlua::Result<()>) -> Result<(Session, Answer), String> {
        let session = Session::new(options, alter).map_err(|error| format!("cannot make a Lua state: {error}"))?;
        let outcome = options.files.iter().try_for_each(|file| session.script(file));
        let outcome = outcome.map(|()| Outcome::Loaded(session.handlers()));
        let said = session.said(outcome);
        Ok((session, said))
    }

    fn new(options: &Options, alter: impl FnOnce(&Lua, &Table) -> mlua::Result<()>) -> mlua::Result<Session> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::UTF8 | StdLib::COROUTINE;
        let lua = Lua::new_with(libraries, LuaOptions::default())?;
        lua.set_memory_limit(options.limits.memory_bytes.max(SMALLEST_STATE))?;
        let contents = lua.create_table()?;
        let weak = lua.create_table()?;
        weak.raw_set("__mode", "k")?;
        contents.set_metatable(Some(weak))?;
        let host = Rc::new(Host::new(options, contents.clone()));
        let native = native::table(&lua, &host)?;
        alter(&lua, &native)?;
        let state: Table = native.raw_get("state")?;
        let made: Table = lua.load(SANDBOX).set_name("=sandbox").call((native, contents.clone()))?;
        let views = Views::new(contents, made.raw_get("guard")?, lua.create_table()?);
        let (run, environment, stop) = (made.raw_get("run")?, made.raw_get("environment")?, made.raw_get("stop")?);
        Ok(Session { lua, host, views, run, environment, stop, state })
    }

    fn script(&self, path: &std::path::Path) -> Result<(), String> {
        use std::os::unix::ffi::OsStrExt;
        let source = source::read(path)?;
        let directory = native::bytes(&self.lua, source.directory.as_os_str().as_bytes())?;
        let environment: Table = self.environment.call(directory).map_err(|error| self.trouble(&error))?;
        let chunk = self.host.compile(&self.lua, &source.text, &source.name, environment)?;
        let (what, place) = (format!("loading {}", source.name), format!("{}:1", source.name));
        let allowance = Allowance { time: self.host.options.limits.call, log_bytes: self.host.log_left() };
        self.run(None, &what, &place, allowance, (&chunk, LuaValue::Nil)).map(drop)
    }

    /// The handlers in order of registration.
    pub fn handlers(&self) -> Vec<HandlerRow> {
        let handlers = self.host.handlers.borrow();
        let row = |handler: &Registered| HandlerRow {
            event: handler.event.word().into(),
            filter: handler.filter.clone(),
            is_batch: handler.is_batch,
            place: handler.place.clone(),
        };
        handlers.iter().map(row).collect()
    }

    /// Runs one handler on an event.
    pub fn call(&self, handler: usize, data: &Value, allowance: Allowance) -> Answer {
        let outcome = self.call_handler(handler, data, allowance);
        self.said(outcome)
    }

    fn call_handler(&self, index: usize, data: &Value, allowance: Allowance) -> Result<Outcome, String> {
        let (name, function, place) = {
            let handlers = self.host.handlers.borrow();
            let handler = handlers.get(index).ok_or_else(|| format!("there is no handler {index}"))?;
            (handler.event, handler.function.clone(), handler.place.clone())
        };
        let argument = self.views.argument(&self.lua, name, data).map_err(|error| format!("{place}: {}", self.trouble(&error)))?;
        let moment = Moment { name, is_before_writing: is_before_writing(name, data) };
        match self.run(Some(moment), name.word(), &place, allowance, (&function, argument))? {
            Ran::Refused(refused) => Ok(refused),
            // While the job runs, and while it is known who it was.
            Ran::Returned(_) if name == Name::PreCheckpoint && self.state_as_json().is_err() => {
                self.state_as_json().map(|_| Outcome::Stopped).map_err(|why| format!("{place}: {why}"))
            }
            Ran::Returned(LuaValue::Table(table)) if table == self.stop => Ok(Outcome::Stopped),
            Ran::Returned(value) => match self.host.json(&value) {
                Ok(value) => Ok(Outcome::Returned(value)),
                Err(why) => Err(format!("{place}: the answer to {} cannot be {why}; it is nil, {}", name.word(), name.entry().answers)),
            },
        }
    }

    /// Runs one handler on many events at once.
    pub fn call_batch(&self, handler: usize, list: &[Value], allowance: Allowance) -> Answer {
        let outcome = self.call_batch_handler(handler, list, allowance);
        self.said(outcome)
    }

    fn call_batch_handler(&self, index: usize, list: &[Value], allowance: Allowance) -> Result<Outcome, String> {
        let (name, function, place) = {
            let handlers = self.host.handlers.borrow();
            let handler = handlers.get(index).ok_or_else(|| format!("there is no handler {index}"))?;
            (handler.event, handler.function.clone(), handler.place.clone())
        };
        let argument = self.views.arguments(&self.lua, name, list).map_err(|error| format!("{place}: {}", self.trouble(&error)))?;
        let moment = Moment { name, is_before_writing: list.iter().all(|data| is_before_writing(name, data)) };
        let misfit = |what: String| {
            Err(format!("{place}: the answer to many events of {} is nil or a table from positions to answers, not {what}", name.word()))
        };
        match self.run(Some(moment), name.word(), &place, allowance, (&function, argument))? {
            Ran::Refused(refused) => Ok(refused),
            Ran::Returned(LuaValue::Nil) => Ok(Outcome::Answers(Vec::new())),
            Ran::Returned(LuaValue::Table(answers)) => {
                let mut found = Vec::new();
                for pair in answers.pairs::<LuaValue, LuaValue>() {
                    let (key, value) = pair.map_err(|error| format!("{place}: {}", self.trouble(&error)))?;
                    let position = key.as_integer().and_then(|position| usize::try_from(position).ok());
                    let Some(position) = position.filter(|position| (1..=list.len()).contains(position)) else {
                        return misfit(format!("one with the key {}", key.to_string().unwrap_or_else(|_| key.type_name().into())));
                    };
                    let value = self.host.json(&value).map_err(|why| format!("{place}: the answer to {} cannot be {why}", name.word()))?;
                    found.push((position - 1, value));
                }
                Ok(Outcome::Answers(found))
            }
            Ran::Returned(other) => misfit(format!("a {}", other.type_name())),
        }
    }

    /// Runs a function within its budget; `what` it is and its `place` are for messages.
    fn run(
        &self,
        moment: Option<Moment>,
        what: &str,
        place: &str,
        Allowance { time, log_bytes }: Allowance,
        (function, argument): (&Function, LuaValue),
    ) -> Result<Ran, String> {
        self.host.begin(moment, log_bytes);
        let placed = |message: String| if self.host.has_place(&message) { message } else { format!("{place}: {message}") };
        let budget = (time, self.host.options.limits.instructions);
        self.host.meter.begin(&self.lua, what, place, budget).map_err(|error| placed(self.trouble(&error)))?;
        let results = self.run.call::<MultiValue>((function, argument));
        let spent = self.host.meter.end();
        // Whatever the script made of the errors: that it has refused counts, and that a budget is spent.
        if let Some(refused) = self.refused() {
            return Ok(Ran::Refused(refused));
        }
        if let Some(spent) = spent {
            return Err(spent);
        }
        let mut results = results.map_err(|error| placed(self.trouble(&error)))?.into_iter();
        match (results.next(), results.next().unwrap_or(LuaValue::Nil)) {
            (Some(LuaValue::Boolean(true)), value) => Ok(Ran::Returned(value)),
            (_, LuaValue::String(message)) => Err(placed(self.explained(printable(&message.as_bytes())))),
            (_, value) => Err(placed(format!("an error that is not a text (a {} value)", value.type_name()))),
        }
    }

    /// What `cr.fail` said, if it was called.
    fn refused(&self) -> Option<Outcome> {
        let refusal = self.host.refusal.borrow();
        let refusal = refusal.as_ref()?;
        let class = refusal.class.word().to_owned();
        let (message, by, remedy) = (refusal.message.clone(), refusal.by.clone(), refusal.remedy.clone());
        Some(Outcome::Refused { class, message, by, remedy, exit: refusal.exit })
    }

    fn state_as_json(&self) -> Result<Value, String> {
        let value = self.host.json(&LuaValue::Table(self.state.clone()));
        value.map_err(|why| format!("cr.state cannot be kept: JSON cannot hold {why}"))
    }

    /// What scripts want to find again, as JSON.
    pub fn keep(&self) -> Answer {
        let limit = self.host.options.limits.state_bytes;
        let kept = self.state_as_json().map(|value| match value {
            Value::Array(list) if list.is_empty() => None,
            value => Some(value.to_string()),
        });
        self.said(kept.and_then(|kept| match kept {
            Some(text) if text.len() > limit => {
                Err(format!("cr.state cannot be kept: it has {} bytes as JSON; the limit is {} KiB", text.len(), limit >> 10))
            }
            kept => Ok(Outcome::Kept(kept)),
        }))
    }

    /// Fills `cr.state` with what was kept.
    pub fn recall(&self, kept: &str) -> Answer {
        let outcome = serde_json::from_str::<Value>(kept).map_err(|error| format!("cr.state cannot be filled: {error}"));
        let outcome = outcome.and_then(|value| {
            let fill = || {
                self.state.clear()?;
                if let LuaValue::Table(table) = value::write(&self.lua, &value)? {
                    table
                        .pairs::<LuaValue, LuaValue>()
                        .try_for_each(|pair| pair.and_then(|(key, value)| self.state.raw_set(key, value)))?;
                }
                Ok(Outcome::Recalled)
            };
            fill().map_err(|error| format!("cr.state cannot be filled: {}", self.trouble(&error)))
        });
        self.said(outcome)
    }

    fn said(&self, outcome: Result<Outcome, String>) -> Answer {
        Answer { outcome, log: self.host.log.take(), annotations: self.host.annotations.take() }
    }

    /// An error of the state in words.
    fn trouble(&self, error: &mlua::Error) -> String {
        let text = error.to_string();
        let text = text.split("\nstack traceback:").next().unwrap_or_default();
        self.explained(printable(text.as_bytes()))
    }

    /// Lua's message with what the user can do.
    fn explained(&self, message: String) -> String {
        if !message.ends_with("not enough memory") {
            return message;
        }
        let limit = self.host.options.limits.memory_bytes >> 20;
        format!("{message}: the limit is {limit} MiB, see --hook-memory")
    }
}

/// Whether the context file is not written yet when an event is handled.
fn is_before_writing(name: Name, data: &Value) -> bool {
    match name {
        Name::PreCheckpoint | Name::Frozen | Name::Process | Name::AreaDisposition => true,
        Name::FileDisposition | Name::ObjectDisposition => data.get("side").and_then(Value::as_str) != Some("restart"),
        _ => false,
    }
}
