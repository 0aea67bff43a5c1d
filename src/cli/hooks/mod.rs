//! `cr_hooks COMMAND …`: loads, checks, runs and tests hook scripts without any job.
//!
//! Relies on [`crate::script`] for everything about scripts. Each command is one file; all of them print through [`Reporter`]
//! and say with a [`Trouble`] why they could not do their work.

mod check;
mod events;
mod fire;
pub mod replay;
mod test;

#[cfg(test)]
mod run_test;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::exit::{INVALID, Refusal};
use super::flag::general::General;
use super::flag::kmsg::Kmsg;
use super::flag::script::{self, Scripting};
use super::flag::{Flag, general, under};
use super::policies;
use super::program::Program;
use super::report::{Reporter, Streams, show_or_refuse};
use super::text;
use crate::policy::{LogLine, PolicyError};
pub use crate::script::Forked;
use crate::script::{Launcher, LuaPolicy};

/// What was said to `cr_hooks`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HooksSaid {
    general: General,
    scripting: Scripting,
    data: Option<OsString>,
}

impl AsMut<General> for HooksSaid {
    fn as_mut(&mut self) -> &mut General {
        &mut self.general
    }
}

impl AsMut<Scripting> for HooksSaid {
    fn as_mut(&mut self) -> &mut Scripting {
        &mut self.scripting
    }
}

/// What a command works with.
struct Terms<'a> {
    said: HooksSaid,
    launcher: &'a dyn Launcher,
}

/// Why a command could not do its work.
enum Trouble {
    /// The command line is wrong.
    Refused(Refusal),
    /// A script or a file is: the message.
    Failed(String),
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Trouble {
        Trouble::Refused(refusal)
    }
}

/// Success, or the exit code 1 of a test that found something.
type Found = Result<bool, Trouble>;

/// The program.
pub fn program() -> Program<HooksSaid> {
    let data = Flag::value("data", "JSON", |said: &mut HooksSaid, value| {
        said.data = Some(value.to_owned());
        Ok(())
    })
    .help(
        "The event's argument for fire: a file, '-' for stdin, or an object in place ('{…}'); what is left out is 0, false, empty or nil",
    );
    let flags = [under("What to do", [data]), script::terms(), general::output(), general::itself(None)];
    Program {
        name: "cr_hooks",
        about: "Check, try and test hook scripts",
        usage: "[options] COMMAND [FILE|EVENT]...",
        description: "Loads hook scripts as cr_checkpoint and cr_restart do with --hook, and works with them without any job: check prints what they \
            handle, fire lets one event happen, test runs tests written in Lua, replay compares answers with a recorded run, events prints \
            the table of events. docs/hooks.md describes how to write scripts.",
        operands: ("COMMAND", "check FILE..., fire FILE EVENT, test FILE..., replay FILE TRACE, events [EVENT]"),
        examples: EXAMPLES,
        flags: flags.into_iter().flatten().collect(),
    }
}

const EXAMPLES: &str = "\
EXAMPLES
  cr_hooks check site.lua               does it load, and what does it handle?
  cr_hooks fire site.lua fail-temp --data '{\"attempt\": 3}'
  cr_hooks test hooks/test/*_test.lua   run tests
  cr_hooks replay site.lua trace.jsonl  does it answer as in the recorded run?
  cr_hooks events file-disposition      which fields does the event have?
  cr_hooks events --json | jq 'keys'    JSON schemas of all events

EXIT STATUS
  0     everything is as it should be
  1     a test failed, or an answer differs from the recorded one
  22    a script or a file is wrong
  255   the command line is wrong";

/// Runs the program and returns its exit code.
pub fn run(args: impl IntoIterator<Item = OsString>, launcher: &dyn Launcher, streams: &mut Streams<'_>) -> u8 {
    let program = program();
    let (said, operands) = program.parse(args);
    let mut reporter = Reporter::new(streams, said.general, Kmsg::None);
    let general = said.general;
    let terms = Terms { said, launcher };
    let operands = match operands {
        Ok(operands) => operands,
        Err(stop) => {
            return show_or_refuse(&mut reporter, &program, stop).map_or(0, |refusal| {
                reporter.refusal(&program, &refusal);
                refusal.status()
            });
        }
    };
    match command(&terms, &operands, &mut reporter) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(Trouble::Refused(refusal)) => {
            reporter.refusal(&program, &refusal);
            refusal.status()
        }
        Err(Trouble::Failed(message)) => {
            if general.json {
                reporter.object(&serde_json::json!({ "ok": false, "message": message }));
            } else {
                reporter.complain(&format!("cr_hooks: {message}"));
            }
            INVALID
        }
    }
}

fn command(terms: &Terms<'_>, operands: &[OsString], reporter: &mut Reporter<'_, '_>) -> Found {
    let said = &terms.said;
    let words: Vec<&OsStr> = operands.iter().map(OsString::as_os_str).collect();
    let Some((command, rest)) = words.split_first() else {
        return Err(Refusal::usage("say what to do: check, fire, test, replay or events").into());
    };
    let command = command.to_string_lossy();
    if said.data.is_some() && command != "fire" {
        return Err(Refusal::usage(format!("--data belongs to fire, not to {command}")).into());
    }
    match (command.as_ref(), rest) {
        ("check", files) if !files.is_empty() => check::run(terms, files, reporter),
        ("check", _) => Err(Refusal::usage("check takes the scripts to check").into()),
        ("fire", [file, event]) => fire::run(terms, file, event, reporter),
        ("fire", _) => Err(Refusal::usage("fire takes a script and the name of an event").into()),
        ("test", files) if !files.is_empty() => test::run(terms, files, reporter),
        ("test", _) => Err(Refusal::usage("test takes the files with tests").into()),
        ("replay", [file, trace]) => replay::run(terms, file, trace, reporter),
        ("replay", _) => Err(Refusal::usage("replay takes a script and a recorded trace").into()),
        ("events", []) => events::all(said.general.json, reporter),
        ("events", [event]) => events::one(event, said.general.json, reporter),
        ("events", _) => Err(Refusal::usage("events takes at most the name of one event").into()),
        _ => Err(Refusal::usage(format!("there is no command '{command}' (known: check, fire, test, replay, events)")).into()),
    }
}

/// Loads a script on the terms of the command line, and shows what it said meanwhile.
fn load(terms: &Terms<'_>, file: &OsStr, reporter: &mut Reporter<'_, '_>) -> Result<LuaPolicy, Trouble> {
    let mut options = policies::options(&terms.said.scripting);
    options.files = vec![PathBuf::from(file)];
    let mut policy = LuaPolicy::load(&options, terms.launcher).map_err(|error| failed(&error, reporter))?;
    show_log(&policy.take_log(), reporter);
    Ok(policy)
}

/// What a script did wrong, after what it said before.
fn failed(error: &PolicyError, reporter: &mut Reporter<'_, '_>) -> Trouble {
    show_log(&error.log, reporter);
    Trouble::Failed(error.to_string())
}

/// What scripts log, on stderr: all of it, because authors want to see it.
fn show_log(lines: &[LogLine], reporter: &mut Reporter<'_, '_>) {
    lines.iter().for_each(|line| reporter.complain(&text::log_line(line)));
}

/// Reads a file that the command line names.
fn read(file: &Path) -> Result<String, Trouble> {
    std::fs::read_to_string(file).map_err(|error| Trouble::Failed(format!("cannot read {}: {error}", file.display())))
}
