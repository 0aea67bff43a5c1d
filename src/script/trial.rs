//! Tests of hook scripts, written in Lua with `cr.test`.
//!
//! A test file has a state of its own; every script under test has another, the same that real runs use, in which functions of `cr` first ask the test
//! whether something stands in their place. Both have limits. Relies on `lua/test.lua` for what tests see, and on the caller to leave a test that never
//! comes back from a C function.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use mlua::{Function, Lua, LuaOptions, MultiValue, StdLib, Table, UserData, UserDataMethods, Value as LuaValue};
use serde_json::{Map, Value, json};

use super::filter::Filter;
use super::meter::Meter;
use super::text::printable;
use super::value::{self, Reader};
use super::vm::{Allowance, SMALLEST_STATE, Session};
use super::wire::{Answer, HandlerRow, Outcome};
use super::{Limits, Options, source};
use crate::policy::event::Name;
use crate::policy::{LogLine, Verdict, sample};

const LIBRARY: &str = include_str!("../../lua/test.lua");
/// Functions of `cr` that a test can replace, and whether they change the world: those are errors unless they are replaced.
const STUBBED: [(&str, bool); 14] = [
    ("append_file", true),
    ("env", false),
    ("exec", true),
    ("exists", false),
    ("hostname", false),
    ("list_dir", false),
    ("lstat", false),
    ("mkdir", true),
    ("now", false),
    ("read_file", false),
    ("readlink", false),
    ("rename", true),
    ("stat", false),
    ("write_file", true),
];
/// Tables that stubs exchange with scripts may be this deep.
const DEEPEST: usize = 32;

/// The result of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The names of its groups and its own.
    pub name: String,
    /// Why it failed, with its place.
    pub failure: Option<String>,
}

/// Runs a test file. Each test has the time of a call, scripts have their own limits. Results are told as they come; the error is why the file itself
/// could not be run to its end.
pub fn run(file: &Path, limits: Limits, mut tell: impl FnMut(Case) + 'static) -> Result<(), String> {
    let source = source::read(file)?;
    let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::UTF8 | StdLib::COROUTINE;
    let lua = Lua::new_with(libraries, LuaOptions::default()).map_err(|error| plain(&error))?;
    lua.set_memory_limit(limits.memory_bytes.max(SMALLEST_STATE)).map_err(|error| plain(&error))?;
    let meter = Meter::new();
    let begin = {
        let (meter, place) = (Rc::clone(&meter), format!("{}:1", source.name));
        move |lua: &Lua| meter.begin(lua, "a test", &place, (limits.call, u64::MAX))
    };
    let next = begin.clone();
    let told = move |lua: &Lua, case| {
        tell(case);
        next(lua)
    };
    prepare(&lua, &source.directory, limits, told).map_err(|error| plain(&error))?;
    begin(&lua).map_err(|error| plain(&error))?;
    let chunk = lua.load(source.text).set_name(format!("@{}", source.name)).set_mode(mlua::chunk::ChunkMode::Text);
    let ended = chunk.exec().map_err(|error| plain(&error));
    // Whatever the file made of the error: that its time is over counts.
    meter.end().map_or(ended, Err)
}

/// Gives a state the library and takes away what reads files.
fn prepare(lua: &Lua, directory: &Path, limits: Limits, tell: impl FnMut(&Lua, Case) -> mlua::Result<()> + 'static) -> mlua::Result<()> {
    let native = lua.create_table()?;
    native.raw_set("names", lua.create_sequence_from(STUBBED.map(|(name, _)| name))?)?;
    let tell = RefCell::new(tell);
    let report = move |lua: &Lua, (name, failure): (String, Option<mlua::LuaString>)| {
        let failure = failure.map(|text| printable(&text.as_bytes()));
        (tell.borrow_mut())(lua, Case { name, failure })
    };
    native.raw_set("report", lua.create_function(report)?)?;
    let directory = directory.to_owned();
    let at = move |path: String| if directory == Path::new(".") { PathBuf::from(path) } else { directory.join(path) };
    let load = move |lua: &Lua, (path, args, options, dispatch): (String, Table, Table, Function)| {
        let loaded = Script::load(lua, Options { files: vec![at(path)], limits, ..Options::default() }, &args, &options, dispatch);
        settled(lua, loaded, |lua, script| lua.create_userdata(script).map(LuaValue::UserData))
    };
    native.raw_set("load", lua.create_function(load)?)?;
    let encode = |lua: &Lua, value: LuaValue| {
        let text = data(lua, &value).map(|value| value.to_string());
        settled(lua, text.map_err(|why| format!("JSON cannot hold {why}")), |lua, text| lua.create_string(text).map(LuaValue::String))
    };
    native.raw_set("encode", lua.create_function(encode)?)?;
    let decode = |lua: &Lua, text: mlua::LuaString| {
        let parsed = serde_json::from_slice::<Value>(&text.as_bytes()).map_err(|error| format!("this is not JSON: {error}"));
        settled(lua, parsed, |lua, parsed| value::write(lua, &parsed))
    };
    native.raw_set("decode", lua.create_function(decode)?)?;
    let library: Table = lua.load(LIBRARY).set_name("=cr.test").call(native)?;
    let require = move |_: &Lua, name: String| match name.as_str() {
        "cr.test" => Ok(library.clone()),
        "cr" => Err(mlua::Error::runtime("a test has no 'cr' of its own: load a script with t.load")),
        _ => Err(mlua::Error::runtime(format!("a test file can require 'cr.test', not '{name}'"))),
    };
    let globals = lua.globals();
    globals.raw_set("require", lua.create_function(require)?)?;
    ["load", "loadfile", "dofile", "collectgarbage"].into_iter().try_for_each(|name| globals.raw_set(name, LuaValue::Nil))
}

/// A result as `lua/test.lua` expects it: a message or nil, then the value.
fn settled<T>(
    lua: &Lua,
    result: Result<T, String>,
    convert: impl FnOnce(&Lua, T) -> mlua::Result<LuaValue>,
) -> mlua::Result<(Option<String>, LuaValue)> {
    match result {
        Ok(value) => Ok((None, convert(lua, value)?)),
        Err(message) => Ok((Some(message), LuaValue::Nil)),
    }
}

/// What a script said and the test has not taken over yet.
#[derive(Default)]
struct Said {
    log: Vec<LogLine>,
    annotations: Vec<(String, String)>,
}

/// A script under test.
struct Script {
    session: Session,
    handlers: Vec<HandlerRow>,
    unread: RefCell<Said>,
    limits: Limits,
}

impl Script {
    fn load(lua: &Lua, mut wanted: Options, args: &Table, options: &Table, dispatch: Function) -> Result<Script, String> {
        wanted.args = args.pairs::<String, String>().collect::<mlua::Result<BTreeMap<_, _>>>().map_err(|error| plain(&error))?;
        let mut kept = None;
        for pair in options.pairs::<String, LuaValue>() {
            match pair.map_err(|error| plain(&error))? {
                (key, LuaValue::Boolean(truth)) if key == "dry_run" => wanted.dry_run = truth,
                (key, LuaValue::Boolean(truth)) if key == "pure" => wanted.pure = truth,
                (key, state @ LuaValue::Table(_)) if key == "state" => kept = Some(data(lua, &state)?.to_string()),
                (key, value) => {
                    return Err(format!("t.load has no option '{key}' that takes a {} (known: dry_run, pure, state)", value.type_name()));
                }
            }
        }
        let has_effects = !wanted.dry_run && !wanted.pure;
        let outer = lua.clone();
        let (session, answer) = Session::load_altered(&wanted, |inner, native| intercept(&outer, inner, native, &dispatch, has_effects))?;
        let unread = RefCell::default();
        let handlers = match hear(&unread, answer)? {
            Outcome::Loaded(rows) => rows,
            other => return Err(format!("an answer to another question: {other:?}")),
        };
        if let Some(kept) = kept {
            session.recall(&kept).outcome?;
        }
        Ok(Script { session, handlers, unread, limits: wanted.limits })
    }

    /// The first answer of its handlers, as the handler gave it.
    fn fire(&self, event: &str, data: &Value) -> Result<Value, String> {
        let name = Name::of(event).ok_or_else(|| format!("there is no event '{}'", printable(event.as_bytes())))?;
        let data = sample::complete(name, data)?;
        let time = if name.holds_the_job(&data) { self.limits.frozen } else { self.limits.call };
        let allowance = Allowance { time, log_bytes: self.limits.log_bytes };
        for (index, row) in self.handlers.iter().enumerate() {
            if row.event != event || !Filter::read(name, &row.filter)?.matches(&data) {
                continue;
            }
            let mut answer = match row.is_batch {
                true => self.session.call_batch(index, std::slice::from_ref(&data), allowance),
                false => self.session.call(index, &data, allowance),
            };
            if let Ok(Outcome::Answers(answers)) = &mut answer.outcome {
                answer.outcome = Ok(Outcome::Returned(answers.pop().map(|(_, value)| value).unwrap_or_default()));
            }
            match hear(&self.unread, answer)? {
                Outcome::Stopped => break,
                Outcome::Returned(value) => match Verdict::parse(name, &value) {
                    Ok(None) => {}
                    Ok(Some(_)) => return Ok(value),
                    Err(misfit) => return Err(format!("{}: {misfit}", row.place)),
                },
                Outcome::Refused { class, message, remedy, exit, .. } => {
                    let mut answer = json!({ "fail": class, "message": message });
                    let options = [("remedy", remedy.map(Value::from)), ("exit", exit.map(Value::from))];
                    let fields = answer.as_object_mut().expect("just made");
                    fields.extend(options.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
                    return Ok(answer);
                }
                other => return Err(format!("an answer to another question: {other:?}")),
            }
        }
        Ok(Value::Null)
    }

    /// What was said since the last time, and what `cr.state` holds.
    fn take(&self) -> Result<Value, String> {
        let Said { log, annotations } = self.unread.take();
        let log: Vec<Value> = log.into_iter().map(|line| json!({ "level": line.level, "text": line.text })).collect();
        let annotations: Map<String, Value> = annotations.into_iter().map(|(key, value)| (key, Value::from(value))).collect();
        let state = match self.session.keep().outcome? {
            Outcome::Kept(Some(kept)) => serde_json::from_str(&kept).map_err(|error| error.to_string())?,
            _ => json!({}),
        };
        Ok(json!({ "log": log, "annotations": annotations, "state": state }))
    }
}

/// Takes down what was said, and hands on what came of it.
fn hear(said: &RefCell<Said>, answer: Answer) -> Result<Outcome, String> {
    let mut said = said.borrow_mut();
    said.log.extend(answer.log);
    said.annotations.extend(answer.annotations);
    answer.outcome
}

impl UserData for Script {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("fire", |lua, script, (event, given): (String, LuaValue)| {
            let verdict = data(lua, &given).and_then(|given| script.fire(&event, &given));
            settled(lua, verdict, |lua, verdict| value::write(lua, &verdict))
        });
        methods.add_method("take", |lua, script, ()| {
            let said = script.take().map_err(mlua::Error::runtime)?;
            value::write(lua, &said)
        });
    }
}

/// Puts functions that ask the test first into the place of those of the program.
fn intercept(outer: &Lua, inner: &Lua, native: &Table, dispatch: &Function, has_effects: bool) -> mlua::Result<()> {
    for (name, is_effect) in STUBBED {
        let original: Function = native.raw_get(name)?;
        // A refused effect is refused by the program, whatever the test has stubbed.
        if is_effect && !has_effects {
            continue;
        }
        let (outer, dispatch) = (outer.clone(), dispatch.clone());
        let replaced = move |inner: &Lua, arguments: MultiValue| {
            let mut asked = vec![LuaValue::String(outer.create_string(name)?)];
            for argument in &arguments {
                asked.push(transfer(argument, &outer, 0)?);
            }
            let mut results = dispatch.call::<MultiValue>(MultiValue::from_iter(asked))?;
            if results.pop_front() == Some(LuaValue::Boolean(true)) {
                // A message or nil, then values: what the sandbox expects of the program's functions.
                return results.iter().map(|result| transfer(result, inner, 0)).collect::<mlua::Result<MultiValue>>();
            }
            if is_effect {
                let message = format!("cr.{name} has effects: give it a stand-in with t.stub(\"{name}\", …)");
                return Ok(MultiValue::from_iter([LuaValue::String(inner.create_string(message)?)]));
            }
            original.call(arguments)
        };
        native.raw_set(name, inner.create_function(replaced)?)?;
    }
    Ok(())
}

/// A value of one state in another: data only.
fn transfer(value: &LuaValue, to: &Lua, depth: usize) -> mlua::Result<LuaValue> {
    Ok(match value {
        LuaValue::Nil => LuaValue::Nil,
        LuaValue::Boolean(truth) => LuaValue::Boolean(*truth),
        LuaValue::Integer(number) => LuaValue::Integer(*number),
        LuaValue::Number(number) => LuaValue::Number(*number),
        LuaValue::String(text) => LuaValue::String(to.create_string(text.as_bytes())?),
        LuaValue::Table(table) if depth < DEEPEST => {
            let copy = to.create_table()?;
            for pair in table.pairs::<LuaValue, LuaValue>() {
                let (key, value) = pair?;
                copy.raw_set(transfer(&key, to, depth + 1)?, transfer(&value, to, depth + 1)?)?;
            }
            LuaValue::Table(copy)
        }
        LuaValue::Table(_) => {
            return Err(mlua::Error::runtime(format!("tables deeper than {DEEPEST} levels, or a table that contains itself")));
        }
        other => return Err(mlua::Error::runtime(format!("a {} cannot pass between a script and its test", other.type_name()))),
    })
}

/// A value of a test as JSON.
fn data(lua: &Lua, value: &LuaValue) -> Result<Value, String> {
    let none = lua.create_table().map_err(|error| plain(&error))?;
    Reader::new(&none).read(value)
}

/// An error of the test's state without the traceback.
fn plain(error: &mlua::Error) -> String {
    let text = match error {
        mlua::Error::SyntaxError { message, .. } => message.clone(),
        error => error.to_string(),
    };
    printable(text.split("\nstack traceback:").next().unwrap_or_default().trim_start_matches("runtime error: ").as_bytes())
}
