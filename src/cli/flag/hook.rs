//! Commands to run when a restart succeeds or fails (`cr_restart(1)`, "Error handling"). Running them is left to
//! [`crate::cli::policies`].
//!
//! Flags work from left to right: a hook is in force for whatever is found wrong after it, `--run-on-failure` sets all four
//! failure hooks at its place, and an empty command takes a hook away.

use std::ffi::OsStr;

use super::{Flag, Outcome, under};
use crate::cli::low::RestartSaid;
use crate::error::Class;
use crate::policy::command::Commands;

fn set(said: &mut RestartSaid, class: Class, command: &OsStr) -> Outcome {
    *said.hooks.failure(class) = Commands::command(command);
    Ok(())
}

/// `--run-on-success`, `--run-on-fail-args`, `-temp`, `-env`, `-perm`, `--run-on-failure`.
pub fn flags() -> Vec<Flag<RestartSaid>> {
    let flags = [
        Flag::value("run-on-success", "CMD", |said: &mut RestartSaid, command| {
            said.hooks.success = Commands::command(command);
            Ok(())
        })
        .help("When the job runs; if CMD fails, cr_restart exits with its code and leaves the job running"),
        Flag::value("run-on-fail-args", "CMD", |said: &mut RestartSaid, command| set(said, Class::Args, command))
            .help("When the arguments are wrong or the context file cannot be opened"),
        Flag::value("run-on-fail-temp", "CMD", |said: &mut RestartSaid, command| set(said, Class::Temp, command))
            .help("When the same restart may succeed later: a process id is taken, memory is short"),
        Flag::value("run-on-fail-env", "CMD", |said: &mut RestartSaid, command| set(said, Class::Env, command))
            .help("When the machine must be put right: a file is missing or not accessible"),
        Flag::value("run-on-fail-perm", "CMD", |said: &mut RestartSaid, command| set(said, Class::Perm, command))
            .help("When it will never succeed: the context file is damaged"),
        Flag::value("run-on-failure", "CMD", |said: &mut RestartSaid, command| {
            [Class::Args, Class::Temp, Class::Env, Class::Perm].into_iter().try_for_each(|class| set(said, class, command))
        })
        .help("Any of the four failures; later flags override it"),
    ];
    under("Commands to run by /bin/sh (a failing CMD sets the exit code and silences the message)", flags)
}

#[cfg(test)]
mod test {
    use crate::cli::low::test::{restart, restart_words};

    #[test]
    fn all_four_are_set_at_once_then_one_by_one() {
        let hooks = restart("--run-on-fail-env=e --run-on-failure=all --run-on-fail-temp=t --run-on-fail-perm= c").hooks;
        assert_eq!(hooks.args.as_deref(), Some("all".as_ref()));
        assert_eq!(hooks.temp.as_deref(), Some("t".as_ref()));
        assert_eq!(hooks.env.as_deref(), Some("all".as_ref()), "said before --run-on-failure");
        assert_eq!(hooks.perm, None, "an empty command disables");
        assert_eq!(hooks.success, None);
    }

    #[test]
    fn a_command_is_one_word_of_the_command_line() {
        let (said, _) = restart_words(&["--run-on-success", "echo up; exit 3", "c"]);
        assert_eq!(said.hooks.success.as_deref(), Some("echo up; exit 3".as_ref()));
    }

    #[test]
    fn hooks_before_an_error_are_in_force_and_those_after_it_are_not() {
        for (words, installed) in [
            (&["--run-on-fail-args", "exit 42", "--bogus"][..], true),
            (&["--bogus", "--run-on-fail-args", "exit 42"], false),
            (&["--run-on-fail-args", "exit 42", "-S", "99"], true),
            (&["-S", "99", "--run-on-fail-args", "exit 42"], false),
            (&["--relocate", "a=b", "--run-on-fail-args", "exit 42"], false),
            (&["-f", "a", "-f", "b", "--run-on-failure", "exit 42"], false),
            (&["a", "b", "--run-on-failure", "exit 42"], true),
        ] {
            let (said, _) = restart_words(words);
            assert_eq!(said.hooks.args.is_some(), installed, "{words:?}");
        }
    }
}
