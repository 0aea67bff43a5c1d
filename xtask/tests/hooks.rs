//! What authors of hook scripts read is what the program does: types, reference, examples and ready-made scripts.
//!
//! Relies on lua/meta as text and on the library for what is registered. Scripts run in threads of the test.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;

use reprise::cli::hooks;
use reprise::cli::report::Streams;
use reprise::policy::event::{EVENTS, Name};
use reprise::policy::sample;
use reprise::script::{Launched, Launcher, Options, Running, serve};
use xtask::docs::hooks::{answer_of, argument_of, event_of, flattened};
use xtask::docs::meta::{Alias, Meta};
use xtask::place::workspace;

/// Runs scripts in a thread.
struct Threads;

struct Thread;

impl Launcher for Threads {
    fn launch(&self, options: &Options) -> io::Result<Launched> {
        let (ours, theirs) = UnixStream::pair()?;
        let options = options.clone();
        thread::spawn(move || serve(theirs, &options));
        Ok(Launched { stream: ours, process: Box::new(Thread) })
    }
}

impl Running for Thread {
    fn pid(&self) -> Option<i32> {
        None
    }

    fn end(&mut self) -> Option<String> {
        None
    }
}

/// Runs `cr_hooks`: its exit code, and what it printed, stderr first.
fn cr_hooks(words: &[String]) -> (u8, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let status = hooks::run(words.iter().map(OsString::from), &Threads, &mut Streams { out: &mut out, err: &mut err });
    (status, String::from_utf8([err, out].concat()).unwrap())
}

fn handlers(meta: &Meta) -> BTreeMap<String, &Alias> {
    meta.aliases.iter().filter_map(|alias| Some((event_of(alias)?, alias))).collect()
}

#[test]
fn every_event_has_its_types() {
    let meta = Meta::read().unwrap();
    let registered: BTreeSet<String> = EVENTS.iter().map(|entry| entry.word.to_owned()).collect();
    assert_eq!(handlers(&meta).into_keys().collect::<BTreeSet<_>>(), registered);
    assert_eq!(meta.words("cr.EventName"), registered);
    let mut overloads: Vec<String> = Vec::new();
    for (event, handler) in handlers(&meta) {
        overloads.push(format!("fun(event: \"{event}\", filter: cr.Filter, handler: {})", handler.name));
        overloads.push(format!("fun(event: \"{event}\", handler: {})", handler.name));
    }
    let mut written = meta.function("cr.on").unwrap().overloads.clone();
    written.sort();
    overloads.sort();
    assert_eq!(written, overloads);
}

#[test]
fn every_field_is_described_in_the_words_of_the_program() {
    let meta = Meta::read().unwrap();
    for (event, handler) in handlers(&meta) {
        let described = flattened(&meta, argument_of(&meta, handler).unwrap(), "");
        let described: BTreeMap<String, (bool, String)> =
            described.into_iter().map(|field| (field.name, (field.is_optional, field.text))).collect();
        let registered = sample::fields(Name::of(&event).unwrap());
        let registered: BTreeMap<String, (bool, String)> =
            registered.into_iter().map(|field| (field.path, (field.is_optional, field.description))).collect();
        for (field, what) in &registered {
            assert_eq!(described.get(field), Some(what), "{event}: {field}");
        }
        assert_eq!(described.len(), registered.len(), "{event}: {described:?}");
    }
}

#[test]
fn every_field_has_the_type_of_the_program() {
    let meta = Meta::read().unwrap();
    for (event, handler) in handlers(&meta) {
        let described = flattened(&meta, argument_of(&meta, handler).unwrap(), "");
        for field in sample::fields(Name::of(&event).unwrap()) {
            let kind = &described.iter().find(|described| described.name == field.path).unwrap().kind;
            let expected = match kind.trim_end_matches("[]") {
                "table<string, string>" => "object",
                table if meta.class(table).is_some() => "object",
                words if meta.alias(words).is_some() => "string",
                plain => plain,
            };
            let expected = if kind.ends_with("[]") { format!("list of {expected}") } else { expected.to_owned() };
            assert_eq!(field.kind, expected, "{event}: {}", field.path);
        }
    }
}

#[test]
fn every_word_of_an_answer_is_known_on_both_sides() {
    let meta = Meta::read().unwrap();
    for (event, handler) in handlers(&meta) {
        let answers = Name::of(&event).unwrap().entry().answers;
        let known: BTreeSet<String> = answers.split('"').skip(1).step_by(2).map(str::to_owned).collect();
        assert_eq!(meta.words(answer_of(handler)), known, "{event}: {answers}");
    }
    let classes = ["args", "temp", "env", "perm"].map(str::to_owned);
    assert_eq!(meta.words("cr.Class"), classes.into());
}

/// Logs the name of everything in `cr`.
const NAMES: &str = r#"
local cr = require "cr"
cr.on("job-exit", function()
  for key, value in pairs(cr) do
    if key == "log" or key == "json" then
      for name in pairs(value) do cr.log.info(key .. "." .. name) end
    else
      cr.log.info(key)
    end
  end
end)
"#;

#[test]
fn everything_in_cr_is_described_and_there() {
    let meta = Meta::read().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("names.lua");
    fs::write(&script, NAMES).unwrap();
    let (status, text) = cr_hooks(&["fire".into(), script.display().to_string(), "job-exit".into()]);
    assert_eq!(status, 0, "{text}");
    let there: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.rsplit_once(": ").filter(|(place, _)| place.contains("names.lua:")))
        .map(|(_, name)| name.to_owned())
        .collect();
    let fields = meta.class("cr").unwrap().fields.iter().map(|field| field.name.clone());
    let functions = meta.functions.iter().filter_map(|function| match function.name.split_once('.') {
        Some(("cr", name)) => Some(name.to_owned()),
        Some(("log" | "json", _)) => Some(function.name.clone()),
        _ => None,
    });
    let described: BTreeSet<String> = fields.chain(functions).filter(|name| name != "log" && name != "json").collect();
    assert_eq!(there, described);
}

/// A script of docs/hooks.md with the calls of cr_hooks that stand below it, each with what it prints.
struct Example {
    script: String,
    calls: Vec<(String, String)>,
}

/// The examples of the reference: a block of Lua, then a block of commands.
fn examples() -> Vec<Example> {
    let page = fs::read_to_string(workspace().join("docs/hooks.md")).unwrap();
    let mut examples: Vec<Example> = Vec::new();
    for block in page.split("```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').unwrap();
        match language {
            "lua" => examples.push(Example { script: text.to_owned(), calls: Vec::new() }),
            "console" => {
                let calls = text.split("$ ").skip(1).map(|call| call.split_once('\n').unwrap_or((call, "")));
                let example = examples.last_mut().expect("commands follow a script");
                example.calls.extend(calls.map(|(command, printed)| (command.to_owned(), printed.to_owned())));
            }
            _ => {}
        }
    }
    examples
}

/// Words of a command line; only single quotes are known.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

#[test]
fn every_example_of_the_reference_does_what_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let examples = examples();
    let mut events = BTreeSet::new();
    for Example { script, calls } in examples.iter().filter(|example| !example.calls.is_empty()) {
        for (command, printed) in calls {
            let mut words = words(command);
            assert_eq!(words.remove(0), "cr_hooks", "{command}");
            let file = directory.path().join(&words[1]);
            fs::write(&file, script).unwrap();
            words[1] = file.display().to_string();
            let (status, text) = cr_hooks(&words);
            let text = text.replace(&format!("{}/", directory.path().display()), "");
            assert_eq!((status, text.as_str()), (0, printed.as_str()), "{command}\n{script}");
            if words[0] == "fire" {
                events.insert(words[2].clone());
            }
        }
    }
    let all: BTreeSet<String> = EVENTS.iter().map(|entry| entry.word.to_owned()).collect();
    assert_eq!(events, all, "every event has an example that is tried");
}

fn scripts() -> Vec<PathBuf> {
    let entries = fs::read_dir(workspace().join("hooks")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|end| end == "lua")).collect()
}

fn test_of(script: &Path) -> PathBuf {
    let name = script.file_stem().unwrap().display();
    workspace().join(format!("hooks/test/{name}_test.lua"))
}

#[test]
fn ready_made_scripts_say_what_they_are_and_have_tests() {
    let scripts = scripts();
    assert!(scripts.len() >= 12, "{scripts:?}");
    for script in scripts {
        let text = fs::read_to_string(&script).unwrap();
        let head: Vec<&str> = text.lines().take_while(|line| line.starts_with("--")).collect();
        for part in ["-- Arguments:", "-- Example:"] {
            assert!(head.iter().any(|line| line.starts_with(part)), "{}: no line '{part}'", script.display());
        }
        let name = script.file_name().unwrap().to_str().unwrap();
        assert!(head.iter().any(|line| line.contains("--hook ") && line.contains(name)), "{name}: no example command");
        assert!(test_of(&script).is_file(), "{} is missing", test_of(&script).display());
    }
}

#[test]
fn the_tests_of_the_ready_made_scripts_pass() {
    let words: Vec<String> =
        std::iter::once("test".to_owned()).chain(scripts().iter().map(|script| test_of(script).display().to_string())).collect();
    let (status, text) = cr_hooks(&words);
    assert_eq!(status, 0, "{text}");
    let tests = text.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(tests > 2 * scripts().len(), "{text}");
}

#[test]
fn the_test_written_out_in_the_reference_passes() {
    let examples = examples();
    let tests: Vec<&Example> = examples.iter().filter(|example| example.script.contains("require \"cr.test\"")).collect();
    assert_eq!(tests.len(), 1);
    let directory = tempfile::tempdir().unwrap();
    fs::copy(workspace().join("hooks/wait_for_pid.lua"), directory.path().join("wait_for_pid.lua")).unwrap();
    let file = directory.path().join("a_test.lua");
    fs::write(&file, &tests[0].script).unwrap();
    let (status, text) = cr_hooks(&["test".into(), file.display().to_string()]);
    assert_eq!(status, 0, "{text}");
    assert!(text.contains("ok 1 - wait_for_pid: tries again while the id is taken"), "{text}");
}
