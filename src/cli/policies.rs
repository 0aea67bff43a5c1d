//! From flags to the stack of policies: rules of the command line first, then scripts.
//!
//! Relies on `policy` for all of them; adds what a policy may not do itself: running a shell, writing a trace.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::attributes;
use super::exit;
use super::flag::script::Scripting;
use super::hooks::replay::Recorded;
use super::low::{CheckpointSaid, RestartSaid};
use super::namespace::Outside;
use crate::error::{At, Class, Failure, Stage, Subject};
use crate::policy::attribute::{AtCheckpoint, AtRestart, Attributes};
use crate::policy::command::{CommandPolicy, Commands};
use crate::policy::rule::{AllowLost, FileRules, RestartFlags};
use crate::policy::stack::Recorder;
use crate::policy::verdict::Ids;
use crate::policy::{Event, LogLine, PolicyError, Stack};
use crate::script::Forked;
use crate::script::{Limits, LuaPolicy, Options};
use crate::sys::cli_support::with_clean_mask;

/// The policies of a checkpoint. What scripts log while they are loaded goes to `unheard`, whether they can be loaded or not.
pub fn for_checkpoint(said: &CheckpointSaid, rule: &AtCheckpoint, unheard: &mut Vec<LogLine>) -> Result<Stack, Failure> {
    let mut stack = Stack::default();
    stack.dry_run = said.scripting.dry_run;
    rule.note(&mut stack, !said.afterwards.is_said);
    stack.push(FileRules(said.scripting.rules.clone()));
    stack.push(said.save);
    stack.push(AllowLost(said.allow_lost.clone()));
    stack.push(rule.clone());
    add_scripts(&mut stack, &said.scripting, unheard)?;
    Ok(stack)
}

/// The policies of a restart. What scripts log while they are loaded goes to `unheard`, whether they can be loaded or not.
pub fn for_restart(said: &RestartSaid, unheard: &mut Vec<LogLine>) -> Result<Stack, Failure> {
    let mut stack = commands(&said.hooks);
    stack.dry_run = said.scripting.dry_run;
    stack.push(FileRules(said.scripting.rules.clone()));
    let ids = match said.restore_pid {
        Some(true) if said.namespace => Some(Ids::Namespace),
        restore => restore.map(|restore| if restore { Ids::Keep } else { Ids::New }),
    };
    stack.push(RestartFlags { relocate: said.relocations.clone(), ids });
    stack.push(AtRestart::new(attributes::named(said.scripting.attributes.as_deref())?));
    add_scripts(&mut stack, &said.scripting, unheard)?;
    Ok(stack)
}

/// The policies of a restart by cpr.
pub fn for_statefiles(said: &RestartSaid, attributes: Attributes) -> Stack {
    let mut stack = Stack::default();
    stack.dry_run = said.scripting.dry_run;
    stack.push(AtRestart::new(attributes));
    stack
}

/// Nothing but the commands of `--run-on-*`.
pub fn commands(commands: &Commands) -> Stack {
    let mut stack = Stack::default();
    stack.push(CommandPolicy { commands: commands.clone(), shell });
    stack
}

/// Loads the scripts, if there are any. Relies on no thread having been started yet: they live in a fork of this process.
fn add_scripts(stack: &mut Stack, said: &Scripting, unheard: &mut Vec<LogLine>) -> Result<(), Failure> {
    if !said.files.is_empty() {
        let loaded = LuaPolicy::load(&options(said), &Forked);
        let mut scripts = loaded.map_err(|mut error| {
            unheard.append(&mut error.log);
            Failure::new(Stage::Request, error)
        })?;
        unheard.append(&mut scripts.take_log());
        if let Some(outside) = Outside::here() {
            stack.stay_outside(Box::new(move || outside.ids()));
        }
        stack.push(scripts);
    }
    if let Some(path) = &said.record {
        stack.record(recorder(path)?);
    }
    Ok(())
}

/// What to load, and what it may cost.
pub fn options(said: &Scripting) -> Options {
    let default = Limits::default();
    Options {
        files: said.files.clone(),
        args: said.args.clone(),
        pure: said.pure,
        dry_run: said.dry_run,
        limits: Limits {
            memory_bytes: said.memory.unwrap_or(default.memory_bytes),
            call: said.timeout.unwrap_or(default.call),
            frozen: said.frozen_timeout.unwrap_or(default.frozen),
            ..default
        },
    }
}

/// Writes every event with its answer, a line each. A trace that cannot be written any more ends silently: it must not change what happens
/// to the job.
fn recorder(path: &Path) -> Result<Recorder, Failure> {
    // As private as the context file beside it: it has command lines, paths and what scripts decided.
    let open = File::options().write(true).create(true).truncate(true).mode(0o600).open(path).and_then(|file| {
        if file.metadata()?.is_file() {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        Ok(file)
    });
    let open = open.map_err(|error| PolicyError::refusal(Class::Args, format!("cannot write the trace {}: {error}", path.display())));
    let mut file = open.at(Stage::Request).map_err(|failure| failure.about(Subject::path(path)))?;
    Ok(Box::new(move |event: &Event, opinion| {
        let line = json!(Recorded::of(event, opinion));
        let _ = writeln!(file, "{line}");
    }))
}

/// Runs a command as system(3) would and returns its exit code. A shell killed by a signal counts as -1. It starts with a clean signal
/// mask, though `cr_restart` holds signals back while the job begins to run.
fn shell(command: &OsStr) -> u8 {
    let mut shell = Command::new("/bin/sh");
    let status = with_clean_mask(shell.arg("-c").arg(command)).status();
    status.ok().and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::USAGE)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn the_exit_code_of_a_shell_counts() {
        for (command, code) in
            [("exit 42", 42), ("exit 0", 0), ("true; exit 300", 44), ("kill -9 $$", 255), ("/nonexistent/program 2>/dev/null", 127)]
        {
            assert_eq!(shell(command.as_ref()), code, "{command}");
        }
    }

    #[test]
    fn commands_run_with_a_clean_signal_mask() {
        use nix::sys::signal::SigSet;
        let inherited = SigSet::all().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK).unwrap();
        let code = shell("exec grep -q '^SigBlk:[[:blank:]]*0*$' /proc/self/status".as_ref());
        inherited.thread_set_mask().unwrap();
        assert_eq!(code, 0);
    }
}
