//! The functions that `lua/sandbox.lua` builds `cr` and `require` from.
//!
//! Each gets the session's [`Host`] and its arguments as they are. Its first result is a message that the sandbox raises with the place in the script, or
//! nil. What reaches the machine is in [`effect`](super::effect) and [`exec`](super::exec).

use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use mlua::{Function, IntoLua, Lua, MultiValue, Table, Value as LuaValue};
use serde_json::{Map, Value};

use super::filter::Filter;
use super::host::{Host, Moment, Refusal, Registered};
use super::meter;
use super::text::{known, printable};
use super::value;
use super::{effect, exec, source};
use crate::error::Class;
use crate::policy::LogLevel;
use crate::policy::event::{EVENTS, Name};
use crate::policy::pattern::Pattern;

/// What a function of the program returns: values, or a message to raise.
pub type Returned = Result<Vec<LuaValue>, String>;
type Native = fn(&Host, &Lua, &Arguments) -> Returned;

/// The longest argument that is a text, bytes.
const LONGEST_TEXT: usize = 128 << 10;

/// Arguments as the script gave them.
pub struct Arguments {
    name: &'static str,
    values: MultiValue,
}

impl Arguments {
    /// The argument with this number, from 1; nil if there is none.
    pub fn get(&self, number: usize) -> &LuaValue {
        self.values.get(number - 1).unwrap_or(&LuaValue::Nil)
    }

    /// A message about an argument.
    pub fn bad(&self, number: usize, expected: &str) -> String {
        let given = self.get(number).type_name();
        format!("cr.{}: argument {number} must be {expected}, not {given}", self.name)
    }

    /// A text.
    pub fn text(&self, number: usize, expected: &str) -> Result<String, String> {
        match self.get(number) {
            LuaValue::String(text) if LONGEST_TEXT < text.as_bytes().len() => {
                Err(format!("cr.{}: argument {number} ({expected}) is longer than {} KiB", self.name, LONGEST_TEXT >> 10))
            }
            LuaValue::String(text) => match text.to_str() {
                Ok(text) => Ok(text.to_owned()),
                Err(_) => Err(format!("cr.{}: argument {number} ({expected}) is not valid UTF-8", self.name)),
            },
            _ => Err(self.bad(number, expected)),
        }
    }

    /// A path: any bytes but zero.
    pub fn path(&self, number: usize) -> Result<PathBuf, String> {
        use std::os::unix::ffi::OsStringExt;
        match self.get(number) {
            LuaValue::String(text) if LONGEST_TEXT < text.as_bytes().len() => {
                Err(format!("cr.{}: argument {number} (a path) is longer than {} KiB", self.name, LONGEST_TEXT >> 10))
            }
            LuaValue::String(text) if !text.as_bytes().contains(&0) => Ok(std::ffi::OsString::from_vec(text.as_bytes().to_vec()).into()),
            LuaValue::String(_) => Err(format!("cr.{}: argument {number} (a path) contains a zero byte", self.name)),
            _ => Err(self.bad(number, "a path")),
        }
    }
}

/// Every function, by the name that `lua/sandbox.lua` uses.
const NATIVES: &[(&str, Native)] = &[
    ("on", on),
    ("annotate", annotate),
    ("fail", fail),
    ("glob", glob),
    ("encode", encode),
    ("decode", decode),
    ("locate", locate),
    ("stat", effect::stat),
    ("readlink", effect::readlink),
    ("exists", effect::exists),
    ("read_file", effect::read_file),
    ("write_file", effect::write_file),
    ("append_file", effect::append_file),
    ("lstat", effect::lstat),
    ("list_dir", effect::list_dir),
    ("mkdir", effect::mkdir),
    ("rename", effect::rename),
    ("date", effect::date),
    ("env", effect::env),
    ("hostname", effect::hostname),
    ("now", effect::now),
    ("exec", exec::exec),
];

/// Makes the table `native`.
pub fn table(lua: &Lua, host: &Rc<Host>) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for (name, call) in NATIVES {
        let (host, call, name) = (Rc::clone(host), *call, *name);
        let function = lua.create_function(move |lua, values: MultiValue| {
            let arguments = Arguments { name, values };
            // A script must not see a panic, which its pcall would take for an error of its own.
            let returned = panic::catch_unwind(AssertUnwindSafe(|| call(&host, lua, &arguments)));
            match returned.unwrap_or_else(|_| Err(format!("cr.{name}: a fault of the program itself, please report it"))) {
                Ok(mut values) => {
                    values.insert(0, LuaValue::Nil);
                    Ok(MultiValue::from_iter(values))
                }
                Err(message) => Ok(MultiValue::from_iter([LuaValue::String(lua.create_string(&message)?)])),
            }
        })?;
        table.raw_set(name, function)?;
    }
    let options = &host.options;
    table.raw_set("args", lua.create_table_from(options.args.iter().map(|(key, value)| (key.as_str(), value.as_str())))?)?;
    table.raw_set("state", lua.create_table()?)?;
    table.raw_set("version", env!("CARGO_PKG_VERSION"))?;
    table.raw_set("dry_run", options.dry_run)?;
    table.raw_set("pure", options.pure)?;
    words(lua, host, &table)?;
    Ok(table)
}

/// Functions about messages, which are not for scripts and raise nothing.
fn words(lua: &Lua, host: &Rc<Host>, table: &Table) -> mlua::Result<()> {
    let meter = Rc::clone(&host.meter);
    let here = move |lua: &Lua| meter::place(lua).unwrap_or_else(|| meter.place());
    let place = here.clone();
    table.raw_set("where", lua.create_function(move |lua, ()| Ok(format!("{}: ", place(lua))))?)?;
    let brief = |value: &LuaValue| match value {
        LuaValue::String(text) => printable(&text.as_bytes()[..text.as_bytes().len().min(80)]),
        LuaValue::Integer(number) => number.to_string(),
        other => format!("a {}", other.type_name()),
    };
    table.raw_set("brief", lua.create_function(move |_, value: LuaValue| Ok(format!("'{}'", brief(&value))))?)?;
    let unknown = move |_: &Lua, (what, key, names): (String, LuaValue, String)| {
        let key = brief(&key);
        Ok(format!("{what} has no field '{key}' {}", known(&key, names.split_whitespace())))
    };
    table.raw_set("unknown", lua.create_function(unknown)?)?;
    let log = Rc::clone(host);
    let say = move |lua: &Lua, (level, text): (String, mlua::LuaString)| {
        let level =
            [("debug", LogLevel::Debug), ("info", LogLevel::Info), ("warn", LogLevel::Warn)].into_iter().find(|(word, _)| *word == level);
        log.say(level.map_or(LogLevel::Error, |(_, level)| level), here(lua), &text.as_bytes());
        Ok(())
    };
    table.raw_set("log", lua.create_function(say)?)?;
    let traced = Rc::clone(host);
    let trace = move |lua: &Lua, ()| {
        let places = meter::places(lua);
        if 1 < places.len() {
            traced.say(LogLevel::Debug, places[0].clone(), format!("called from {}", places[1..].join(", ")).as_bytes());
        }
        Ok(())
    };
    table.raw_set("trace", lua.create_function(trace)?)?;
    let compiler = Rc::clone(host);
    let compile = move |lua: &Lua, (key, environment): (mlua::LuaString, Table)| {
        Ok(match module(&compiler, lua, &key, environment) {
            Ok(function) => (None, Some(function)),
            Err(message) => (Some(message), None),
        })
    };
    table.raw_set("compile", lua.create_function(compile)?)?;
    let chunks = Rc::clone(host);
    let has_place = move |_: &Lua, text: mlua::LuaString| Ok(chunks.has_place(&text.to_string_lossy()));
    table.raw_set("has_place", lua.create_function(has_place)?)?;
    let refused = Rc::clone(host);
    let is_refusal = move |_: &Lua, value: LuaValue| {
        let refusal = refused.refusal.borrow();
        Ok(refusal.as_ref().is_some_and(|refusal| value.as_table() == Some(&refusal.object)))
    };
    table.raw_set("is_refusal", lua.create_function(is_refusal)?)
}

/// Library modules that are part of the program, by name.
pub const EMBEDDED: &[(&str, &str)] = &[];

/// `native.locate(directory, name)`: the key of a module and the directory that its own modules are beside.
fn locate(_: &Host, lua: &Lua, arguments: &Arguments) -> Returned {
    let LuaValue::String(name) = arguments.get(2) else {
        return Err(format!("require: the name of a module must be a text, not {}", arguments.get(2).type_name()));
    };
    let directory = arguments.path(1)?;
    let name = name.to_string_lossy();
    // Each directory has its own copy of an embedded module, so that scripts of different owners share nothing.
    let path = source::locate(&directory, Path::new(source::SITE), &name).map_err(|why| format!("require: {why}"))?;
    let beside = path.parent().unwrap_or(&directory).to_owned();
    let is_embedded = EMBEDDED.iter().any(|(embedded, _)| *embedded == name);
    let key = if is_embedded { format!("\0{name}\0{}", directory.display()).into() } else { path };
    Ok(vec![bytes(lua, key.as_os_str().as_encoded_bytes())?, bytes(lua, beside.as_os_str().as_encoded_bytes())?])
}

fn module(host: &Host, lua: &Lua, key: &mlua::LuaString, environment: Table) -> Result<Function, String> {
    use std::os::unix::ffi::OsStrExt;
    let key = key.as_bytes();
    if let Some(rest) = key.strip_prefix(b"\0") {
        let name = rest.split(|byte| *byte == 0).next().unwrap_or_default();
        let embedded = EMBEDDED.iter().find(|(embedded, _)| embedded.as_bytes() == name);
        let (name, text) = embedded.ok_or("require: no such module")?;
        return host.compile(lua, text.as_bytes(), name, environment);
    }
    let source = source::read(Path::new(std::ffi::OsStr::from_bytes(&key))).map_err(|why| format!("require: {why}"))?;
    host.compile(lua, &source.text, &source.name, environment)
}

/// Bytes as a Lua string.
pub fn bytes(lua: &Lua, bytes: &[u8]) -> Result<LuaValue, String> {
    lua.create_string(bytes).map(LuaValue::String).map_err(said)
}

/// Any value for Lua.
pub fn lua_value(lua: &Lua, value: impl IntoLua) -> Result<LuaValue, String> {
    value.into_lua(lua).map_err(said)
}

/// An error of the Lua state in a message: out of memory, in practice.
pub fn said(error: mlua::Error) -> String {
    match error {
        mlua::Error::MemoryError(_) => "not enough memory".into(),
        error => error.to_string(),
    }
}

/// Handlers of all scripts.
const MOST_HANDLERS: usize = 1000;

/// `cr.on(event, [filter,] handler)`
fn on(host: &Host, lua: &Lua, arguments: &Arguments) -> Returned {
    if host.event.borrow().is_some() {
        return Err("cr.on works only while the script is loaded, not in a handler".into());
    }
    let word = arguments.text(1, "the name of an event")?;
    let words = EVENTS.iter().map(|entry| entry.word);
    let event =
        Name::of(&word).ok_or_else(|| format!("cr.on: there is no event '{}' {}", printable(word.as_bytes()), known(&word, words)))?;
    let ((filter, is_batch), handler) = match (arguments.get(2), arguments.get(3)) {
        (LuaValue::Function(handler), LuaValue::Nil) => ((Map::new(), false), handler),
        (LuaValue::Table(_), LuaValue::Function(handler)) => (filter(host, event, arguments.get(2))?, handler),
        (LuaValue::Function(_), LuaValue::Table(_)) => return Err("cr.on: the filter stands before the handler".into()),
        (LuaValue::Table(_), _) => return Err(arguments.bad(3, "the handler, a function")),
        _ => return Err(arguments.bad(2, "a filter or the handler, a function")),
    };
    if MOST_HANDLERS <= host.handlers.borrow().len() {
        return Err(format!("cr.on: there are {MOST_HANDLERS} handlers already; one handler can look at all events of a name"));
    }
    let info = handler.info();
    let name = info.source.as_deref().and_then(|source| source.strip_prefix('@'));
    let place = match (name, info.line_defined) {
        (Some(name), Some(line)) => format!("{name}:{line}"),
        _ => meter::place(lua).unwrap_or_else(|| host.meter.place()),
    };
    host.handlers.borrow_mut().push(Registered { event, filter, is_batch, function: handler.clone(), place });
    Ok(Vec::new())
}

/// A filter, and whether the handler wants many events at once.
fn filter(host: &Host, event: Name, value: &LuaValue) -> Result<(Map<String, Value>, bool), String> {
    let mut filter = match host.json(value).map_err(|why| format!("cr.on: the filter cannot have {why}"))? {
        Value::Object(filter) => filter,
        // `{ path = cr.args.logs }` without that argument: the handler would get every file.
        Value::Array(list) if list.is_empty() => {
            return Err("cr.on: the filter is empty: a value in it is nil; for all events leave the filter out".into());
        }
        _ => return Err("cr.on: the filter must be a table of fields and what they must match".into()),
    };
    let is_batch = match filter.remove("batch") {
        None | Some(Value::Bool(false)) => false,
        Some(Value::Bool(true)) if matches!(event, Name::FileDisposition | Name::ObjectDisposition | Name::AreaDisposition) => true,
        Some(Value::Bool(true)) => return Err(format!("cr.on: batch = true is for dispositions, not for {}", event.word())),
        Some(_) => return Err("cr.on: batch must be true or false".into()),
    };
    let bytes = serde_json::to_string(&filter).map_or(usize::MAX, |text| text.len());
    let left = host.filter_left.get().checked_sub(bytes);
    host.filter_left.set(left.ok_or("cr.on: the filters of all handlers together are longer than 256 KiB")?);
    Filter::read(event, &filter).map_err(|why| format!("cr.on: {why}"))?;
    Ok((filter, is_batch))
}

/// `cr.annotate(key, value)`
fn annotate(host: &Host, _: &Lua, arguments: &Arguments) -> Returned {
    const LONGEST_KEY: usize = 128;
    const LONGEST_VALUE: usize = 64 << 10;
    match *host.event.borrow() {
        None => return Err("cr.annotate works in handlers, not while the script is loaded".into()),
        Some(Moment { is_before_writing: true, .. }) => {}
        Some(Moment { name, .. }) => return Err(format!("cr.annotate: in {} the context file is written already", name.word())),
    }
    let key = arguments.text(1, "a key, a text")?;
    let value = match arguments.get(2) {
        LuaValue::Integer(number) => number.to_string(),
        LuaValue::Number(number) => number.to_string(),
        LuaValue::Boolean(truth) => truth.to_string(),
        _ => arguments.text(2, "a text, a number or a boolean")?,
    };
    if key.is_empty() || key.len() > LONGEST_KEY || key.chars().any(char::is_control) {
        return Err(format!("cr.annotate: a key has 1 to {LONGEST_KEY} bytes and no control characters"));
    }
    if value.len() > LONGEST_VALUE {
        return Err(format!("cr.annotate: the value of '{key}' has {} bytes; the limit is {LONGEST_VALUE}", value.len()));
    }
    let left = host.annotations_left.get().checked_sub(key.len() + value.len());
    let limit = host.options.limits.annotation_bytes;
    host.annotations_left.set(left.ok_or_else(|| format!("cr.annotate: all notes together exceed the limit of {} KiB", limit >> 10))?);
    host.annotations.borrow_mut().push((key, value));
    Ok(Vec::new())
}

/// `cr.fail(class, message)`: makes the error object that the sandbox raises.
fn fail(host: &Host, lua: &Lua, arguments: &Arguments) -> Returned {
    let words = [Class::Args, Class::Temp, Class::Env, Class::Perm].map(Class::word);
    let may_stop: Vec<&str> = EVENTS.iter().filter(|entry| entry.may_stop).map(|entry| entry.word).collect();
    match *host.event.borrow() {
        Some(Moment { name, .. }) if name.entry().may_stop => {}
        Some(Moment { name, .. }) => {
            return Err(format!("cr.fail: nothing can be stopped in {} any more; it works in {}", name.word(), may_stop.join(", ")));
        }
        None => return Err("cr.fail works in handlers, not while the script is loaded; use error()".into()),
    }
    let word = arguments.text(1, &format!("a class ({})", words.join(", ")))?;
    let class = [Class::Args, Class::Temp, Class::Env, Class::Perm].into_iter().find(|class| class.word() == word);
    let class = class.ok_or_else(|| format!("cr.fail: there is no class '{}' {}", printable(word.as_bytes()), known(&word, words)))?;
    let LuaValue::String(message) = arguments.get(2) else {
        return Err(arguments.bad(2, "the message, a text"));
    };
    let (remedy, exit) = refusal_options(arguments)?;
    let message = printable(&message.as_bytes());
    let by = meter::place(lua).unwrap_or_else(|| host.meter.place());
    let object = lua.create_table().map_err(said)?;
    object.raw_set("message", message.as_str()).map_err(said)?;
    // From here on nothing of the handler runs any more, whatever it catches.
    host.meter.stop(lua, &format!("{by}: {message}")).map_err(said)?;
    host.refusal.borrow_mut().get_or_insert(Refusal { object: object.clone(), class, message, by, remedy, exit });
    Ok(vec![LuaValue::Table(object)])
}

/// `{ remedy =, exit = }` of `cr.fail`.
fn refusal_options(arguments: &Arguments) -> Result<(Option<String>, Option<u8>), String> {
    let (mut remedy, mut exit) = (None, None);
    let table = match arguments.get(3) {
        LuaValue::Nil => return Ok((None, None)),
        LuaValue::Table(table) => table,
        _ => return Err(arguments.bad(3, "a table with remedy and exit")),
    };
    for pair in table.pairs::<LuaValue, LuaValue>() {
        let (key, value) = pair.map_err(said)?;
        let key = key.as_string().map(|key| key.to_string_lossy()).unwrap_or_default();
        match (key.as_str(), &value) {
            ("remedy", LuaValue::String(text)) => remedy = Some(printable(&text.as_bytes())),
            ("exit", LuaValue::Integer(status)) if (1..=255).contains(status) => exit = u8::try_from(*status).ok(),
            ("remedy", _) => return Err("cr.fail: remedy must be a text".into()),
            ("exit", _) => return Err("cr.fail: exit must be a status from 1 to 255".into()),
            _ => return Err(format!("cr.fail: there is no option '{}' {}", printable(key.as_bytes()), known(&key, ["remedy", "exit"]))),
        }
    }
    Ok((remedy, exit))
}

/// `cr.glob(pattern, path)`
fn glob(_: &Host, _: &Lua, arguments: &Arguments) -> Returned {
    let pattern = Pattern::path(&arguments.text(1, "a pattern")?).map_err(|bad| format!("cr.glob: {bad}"))?;
    Ok(vec![LuaValue::Boolean(pattern.matches(&arguments.text(2, "a path")?))])
}

/// The longest JSON text, bytes.
const LONGEST_JSON: usize = 4 << 20;

/// `cr.json.encode(value)`
fn encode(host: &Host, lua: &Lua, arguments: &Arguments) -> Returned {
    let value = host.json(arguments.get(1)).map_err(|why| format!("cr.json.encode: JSON cannot hold {why}"))?;
    let text = value.to_string();
    if text.len() > LONGEST_JSON {
        return Err(format!("cr.json.encode: the text is longer than {} MiB", LONGEST_JSON >> 20));
    }
    Ok(vec![bytes(lua, text.as_bytes())?])
}

/// `cr.json.decode(text)`
fn decode(_: &Host, lua: &Lua, arguments: &Arguments) -> Returned {
    let LuaValue::String(text) = arguments.get(1) else {
        return Err(arguments.bad(1, "a text"));
    };
    if text.as_bytes().len() > LONGEST_JSON {
        return Err(format!("cr.json.decode: the text is longer than {} MiB", LONGEST_JSON >> 20));
    }
    value::parse(lua, &text.as_bytes()).map(|value| vec![value]).map_err(|error| format!("cr.json.decode: {error}"))
}
