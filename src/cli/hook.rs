//! The commands of `cr_restart --run-on-*`: which one is due, and running it as system(3) would.
//!
//! A hook that fails decides the exit code and silences the message; one that succeeds leaves both alone
//! (`cr_restart(1)`, "Error handling"). The shell starts with a clean signal mask,
//! though `cr_restart` holds signals back while the job begins to run.

use std::ffi::{OsStr, OsString};
use std::process::Command;

use super::exit;
use crate::error::Class;
use crate::sys::cli_support::with_clean_mask;

/// The hooks in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hooks {
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

impl Hooks {
    /// A command as a flag gives it: an empty one is none.
    pub fn command(command: &OsStr) -> Option<OsString> {
        (!command.is_empty()).then(|| command.to_owned())
    }

    /// The place of the hook for failures of a class.
    pub fn failure(&mut self, class: Class) -> &mut Option<OsString> {
        match class {
            Class::Args => &mut self.args,
            Class::Temp => &mut self.temp,
            Class::Env => &mut self.env,
            Class::Perm => &mut self.perm,
        }
    }

    /// Runs the hook for failures of this class. A code means: exit with it and say nothing.
    pub fn on_failure(&self, class: Class) -> Option<u8> {
        run(match class {
            Class::Args => self.args.as_deref(),
            Class::Temp => self.temp.as_deref(),
            Class::Env => self.env.as_deref(),
            Class::Perm => self.perm.as_deref(),
        })
    }

    /// Runs the hook for success. A code means: exit with it at once and leave the job running.
    pub fn on_success(&self) -> Option<u8> {
        run(self.success.as_deref())
    }
}

/// Runs a command, if there is one, and returns its exit code unless that is 0. A shell killed by a signal counts as -1.
fn run(command: Option<&OsStr>) -> Option<u8> {
    let mut shell = Command::new("/bin/sh");
    let status = with_clean_mask(shell.arg("-c").arg(command?)).status();
    let code = status.ok().and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
    Some(code.unwrap_or(exit::USAGE)).filter(|code| *code != 0)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn the_exit_code_of_the_hook_counts_unless_it_is_zero() {
        for (command, code) in [
            ("exit 42", Some(42)),
            ("exit 0", None),
            ("true; exit 300", Some(44)),
            ("kill -9 $$", Some(255)),
            ("/nonexistent/program 2>/dev/null", Some(127)),
        ] {
            assert_eq!(run(Some(command.as_ref())), code, "{command}");
        }
        assert_eq!(run(None), None);
    }

    #[test]
    fn each_class_has_its_hook() {
        let mut hooks = Hooks::default();
        for (class, code) in [(Class::Args, 1), (Class::Temp, 2), (Class::Env, 3), (Class::Perm, 4)] {
            *hooks.failure(class) = Hooks::command(format!("exit {code}").as_ref());
            assert_eq!(hooks.on_failure(class), Some(code));
        }
        assert_eq!(hooks.on_success(), None);
    }

    #[test]
    fn hooks_run_with_a_clean_signal_mask() {
        use nix::sys::signal::SigSet;
        let inherited = SigSet::all().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK).unwrap();
        let code = run(Some("exec grep -q '^SigBlk:[[:blank:]]*0*$' /proc/self/status".as_ref()));
        inherited.thread_set_mask().unwrap();
        assert_eq!(code, None);
    }
}
