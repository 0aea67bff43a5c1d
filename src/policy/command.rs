//! The commands of `cr_restart --run-on-*` as a policy: which one is due, and what its exit code means.
//!
//! A command that fails decides the exit code and silences the message; one that succeeds has no opinion (`cr_restart(1)`, "Error
//! handling"). Running a shell is left to the caller.

use std::ffi::{OsStr, OsString};

use super::event::{Event, Name};
use super::verdict::Verdict;
use super::{Policy, PolicyError, Reply};
use crate::error::Class;

/// The commands in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commands {
    /// The job runs.
    pub success: Option<OsString>,
    /// The arguments are wrong.
    pub args: Option<OsString>,
    /// It may succeed later.
    pub temp: Option<OsString>,
    /// The machine must be put right.
    pub env: Option<OsString>,
    /// It will never succeed.
    pub perm: Option<OsString>,
}

impl Commands {
    /// A command as a flag gives it: an empty one is none.
    pub fn command(command: &OsStr) -> Option<OsString> {
        (!command.is_empty()).then(|| command.to_owned())
    }

    /// The place of the command for failures of a class.
    pub fn failure(&mut self, class: Class) -> &mut Option<OsString> {
        match class {
            Class::Args => &mut self.args,
            Class::Temp => &mut self.temp,
            Class::Env => &mut self.env,
            Class::Perm => &mut self.perm,
        }
    }

    /// The command for an event and the flag that gave it.
    fn due(&self, name: Name) -> Option<(&OsStr, &'static str)> {
        let (command, flag) = match name {
            Name::OnSuccess => (&self.success, "--run-on-success"),
            Name::FailArgs => (&self.args, "--run-on-fail-args"),
            Name::FailTemp => (&self.temp, "--run-on-fail-temp"),
            Name::FailEnv => (&self.env, "--run-on-fail-env"),
            Name::FailPerm => (&self.perm, "--run-on-fail-perm"),
            _ => return None,
        };
        Some((command.as_deref()?, flag))
    }
}

/// The commands and how they are run: `shell` returns the exit code of one.
pub struct CommandPolicy<S> {
    /// The commands.
    pub commands: Commands,
    /// Runs one as system(3) would and returns its exit code; 255 when a signal ended it.
    pub shell: S,
}

impl<S: FnMut(&OsStr) -> u8> Policy for CommandPolicy<S> {
    fn hears(&self, name: Name) -> bool {
        self.commands.due(name).is_some()
    }

    fn decide(&mut self, event: &Event) -> Result<Reply, PolicyError> {
        let Some((command, flag)) = self.commands.due(event.name()) else { return Ok(Reply::nothing()) };
        Ok(match (self.shell)(command) {
            0 => Reply::nothing(),
            code => Reply::verdict(Verdict::Status(code), flag),
        })
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::policy::event::{FailureEvent, RunningEvent};

    #[test]
    fn each_event_has_its_command_and_success_is_no_opinion() {
        let mut commands = Commands { success: Commands::command("0".as_ref()), ..Commands::default() };
        for (class, code) in [(Class::Args, "1"), (Class::Temp, "2"), (Class::Env, "3"), (Class::Perm, "4")] {
            *commands.failure(class) = Commands::command(code.as_ref());
        }
        let mut policy = CommandPolicy { commands, shell: |command: &OsStr| command.to_str().unwrap().parse().unwrap() };
        let mut code_of = |event: &Event| policy.decide(event).unwrap().opinion.map(|opinion| (opinion.verdict, opinion.by));
        for (class, code) in [("args", 1), ("temp", 2), ("env", 3), ("perm", 4)] {
            let event = Event::Failed(FailureEvent { class: class.into(), ..FailureEvent::default() });
            assert_eq!(code_of(&event), Some((Verdict::Status(code), format!("--run-on-fail-{class}"))));
        }
        assert_eq!(code_of(&Event::OnSuccess(RunningEvent::default())), None);
        assert_eq!(Commands::command("".as_ref()), None);
    }
}
