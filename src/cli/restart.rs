//! `cr_restart [options] [FILE]`: the program from its flags to its end, which mirrors the job's.
//!
//! Relies on [`super::high`] for the request, [`super::hook`] for the commands of `--run-on-*`, [`super::wait`] for what happens
//! while the job runs, [`super::report`] for everything printed.

use std::ffi::OsString;
use std::io;

use super::engine_calls::Engine;
use super::exit::{self, Ending, Refusal};
use super::flag::{Flag, general, hook, ids, kmsg, omit, relocation, signal, source, under};
use super::low::RestartSaid;
use super::program::Program;
use super::progress::Watcher;
use super::report::{Reporter, Streams, show_or_refuse};
use super::text::{self, Attempt};
use super::wait::Held;
use super::{high, preflight};
use crate::engine::observe::{Message, RestartReport};
use crate::engine::request::RestartRequest;
use crate::error::{Class, Failure};

/// The program.
pub fn program() -> Program<RestartSaid> {
    let flags = [
        source::flags(),
        signal::flags(),
        ids::flags(),
        relocation::flags(),
        hook::flags(),
        omit::flags(),
        waiting(),
        kmsg::flags(),
        general::verbose(None),
        general::output(),
        general::itself(Some('v')),
    ];
    Program {
        name: "cr_restart",
        about: "Bring back the processes that cr_checkpoint saved in a context file",
        usage: "[options] [FILE]",
        description: "Brings back all processes of a context file that cr_checkpoint(1) wrote: as they were, with their process ids, in \
            their working directories, with their files open where they were. All come back or none; a restart that fails leaves \
            nothing behind.\n\n\
            cr_restart becomes the parent of the eldest process, passes signals on to it, and ends as it ends: with the same exit \
            code, or by the same signal. What was connected to a terminal is connected to the terminal of cr_restart.\n\n\
            Failures have one of four classes, which say whose turn it is: args (the request is wrong), temp (the same may succeed \
            later), env (the machine must be put right), perm (it will never succeed). The --run-on-* options run a command for each.",
        operands: ("FILE", "The context file"),
        examples: EXAMPLES,
        flags: flags.into_iter().flatten().collect(),
    }
}

const EXAMPLES: &str = "\
EXAMPLES
  cr_restart context.4242               go on where process 4242 was saved
  cr_restart --no-restore-pid job.cr    a second instance, with new process ids
  cr_restart --relocate /home/ann=/mnt/home/ann job.cr
                                        the files have moved
  cr_restart --run-on-fail-temp 'sleep 60; exit 75' job.cr
                                        a code of its own when it is worth trying again
  ssh node1 cr_checkpoint -F 1 4242 | cr_restart -F 0
                                        bring a job over without a file

EXIT STATUS
  that of the restarted job, once it runs; 0 if cr_restart has no job to wait for
  16    a process id is taken
  22    a value is out of range, two sources were given, or the context file is damaged
  255   the command line is wrong or the context file cannot be opened
  else  the error number (errno) of what failed, or what a --run-on-* command returned";

/// `--verify` and `--detach`.
fn waiting() -> Vec<Flag<RestartSaid>> {
    let flags = [
        Flag::switch("verify", |said: &mut RestartSaid| {
            said.verify = true;
            Ok(())
        })
        .help("Compare everything with the context file before the job runs"),
        Flag::switch("detach", |said: &mut RestartSaid| {
            said.detach = true;
            Ok(())
        })
        .help("Exit with 0 as soon as the job runs"),
    ];
    under("While restarting and after", flags)
}

/// Runs the program and returns how it has to end.
pub fn run(args: impl IntoIterator<Item = OsString>, engine: &mut dyn Engine, streams: &mut Streams<'_>) -> Ending {
    let args: Vec<OsString> = args.into_iter().collect();
    let wants_json = args.iter().any(|arg| arg == "--json");
    let program = program();
    let (mut said, operands) = program.parse(args);
    said.general.json |= wants_json && operands.is_err();
    let mut reporter = Reporter::new(streams, said.general, said.kmsg);
    let request = operands.and_then(|operands| {
        let request = high::restart_request(&said, &operands)?;
        preflight::source(&request.source)?;
        Ok(request)
    });
    match request {
        Ok(request) => restart(&said, &request, engine, &mut reporter),
        Err(stop) => match show_or_refuse(&mut reporter, &program, stop) {
            Some(refusal) => Ending::Status(refuse(&said, &program, &refusal, &mut reporter)),
            None => Ending::Status(0),
        },
    }
}

fn refuse(said: &RestartSaid, program: &Program<RestartSaid>, refusal: &Refusal, reporter: &mut Reporter<'_, '_>) -> u8 {
    said.hooks.on_failure(Class::Args).unwrap_or_else(|| {
        reporter.refusal(program, refusal);
        refusal.status()
    })
}

fn restart(said: &RestartSaid, request: &RestartRequest, engine: &mut dyn Engine, reporter: &mut Reporter<'_, '_>) -> Ending {
    let held = match Held::hold() {
        Ok(held) => held,
        Err(error) => return surprise("cannot block signals", &error, reporter),
    };
    let mut watcher = Watcher::new(said.general);
    let result = engine.restart(request, &mut watcher);
    let messages = watcher.finish();
    match result {
        Ok(report) => running(said, &report, &messages, &held, reporter),
        Err(failure) => {
            drop(held);
            Ending::Status(failed(said, &failure, &messages, reporter))
        }
    }
}

fn failed(said: &RestartSaid, failure: &Failure, messages: &[Message], reporter: &mut Reporter<'_, '_>) -> u8 {
    said.hooks.on_failure(failure.class).unwrap_or_else(|| {
        let status = exit::of_restart(failure);
        reporter.failure(Attempt::Restart, failure, status, messages);
        status
    })
}

/// The job runs: say so, run the success hook, wait. A hook that fails ends the waiting before it begins.
fn running(said: &RestartSaid, report: &RestartReport, messages: &[Message], held: &Held, reporter: &mut Reporter<'_, '_>) -> Ending {
    reporter.success(report, &text::restart_summary(report), messages);
    if let Some(code) = said.hooks.on_success() {
        return Ending::Status(code);
    }
    match report.lead.filter(|_| !said.detach) {
        None => Ending::Status(0),
        Some(lead) => held.until_end(lead).unwrap_or_else(|error| surprise("cannot wait for the restarted job", &error, reporter)),
    }
}

fn surprise(attempt: &str, error: &io::Error, reporter: &mut Reporter<'_, '_>) -> Ending {
    reporter.complain(&format!("{attempt}: {error}"));
    Ending::Status(exit::USAGE)
}

#[cfg(test)]
#[allow(clippy::zombie_processes, reason = "what is tested waits for the child")]
mod test {
    use super::*;
    use crate::engine::observe::{CheckpointReport, Observer};
    use crate::engine::request::CheckpointRequest;
    use crate::error::{Stage, Subject};
    use crate::sys::cli_support::with_clean_mask;
    use insta::assert_snapshot;

    /// An engine that restarts a shell, or fails.
    struct Answer(Result<Option<&'static str>, (Class, i32)>);

    impl Engine for Answer {
        fn checkpoint(&mut self, _: &CheckpointRequest, _: &mut dyn Observer) -> Result<CheckpointReport, Failure> {
            unreachable!("cr_restart checkpoints nothing")
        }
        fn restart(&mut self, _: &RestartRequest, _: &mut dyn Observer) -> Result<RestartReport, Failure> {
            match self.0 {
                Ok(script) => Ok(RestartReport { lead: script.map(spawn), ..RestartReport::default() }),
                Err((class, code)) => {
                    let cause = "cannot restore pid 5: process 5 (sh) holds it".into();
                    Err(Failure { class, stage: Stage::Plan, subject: Subject::pid(5), code, cause, remedy: None })
                }
            }
        }
    }

    fn spawn(script: &str) -> i32 {
        let mut shell = std::process::Command::new("/bin/sh");
        let child = with_clean_mask(shell.args(["-c", script])).spawn().unwrap();
        i32::try_from(child.id()).unwrap()
    }

    const RUNS: Answer = Answer(Ok(None));

    fn run_words(words: &[&str], mut engine: Answer) -> (Ending, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ending = run(words.iter().map(OsString::from), &mut engine, &mut Streams { out: &mut out, err: &mut err });
        (ending, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn the_job_s_end_is_the_program_s_end() {
        for (script, ending) in [
            (None, Ending::Status(0)),
            (Some("exit 0"), Ending::Status(0)),
            (Some("exit 9"), Ending::Status(9)),
            (Some("kill -TERM $$"), Ending::Signal(libc::SIGTERM)),
        ] {
            assert_eq!(run_words(&["-F", "0"], Answer(Ok(script))), (ending, String::new(), String::new()), "{script:?}");
        }
        let job = Answer(Ok(Some("exec sleep 0.1")));
        assert_eq!(run_words(&["-F", "0", "--detach"], job).0, Ending::Status(0), "a detached job is not waited for");
    }

    #[test]
    fn the_success_hook_runs_before_waiting_and_may_end_it() {
        for (hook, ending) in [("exit 3", Ending::Status(3)), ("exit 0", Ending::Status(9)), ("", Ending::Status(9))] {
            let result = run_words(&["--run-on-success", hook, "-F", "0"], Answer(Ok(Some("sleep 0.1; exit 9"))));
            assert_eq!(result, (ending, String::new(), String::new()), "{hook}");
        }
    }

    #[test]
    fn a_failing_hook_decides_the_exit_code_and_silences_the_message() {
        let failing = |class, code| Answer(Err((class, code)));
        for (flag, class, code, status) in [
            ("--run-on-fail-temp=exit 42", Class::Temp, libc::EBUSY, 42),
            ("--run-on-fail-env=exit 43", Class::Env, libc::ENOENT, 43),
            ("--run-on-fail-perm=exit 44", Class::Perm, libc::EINVAL, 44),
            ("--run-on-failure=exit 45", Class::Perm, libc::EIO, 45),
            ("--run-on-failure=kill -9 $$", Class::Temp, libc::EBUSY, 255),
        ] {
            assert_eq!(
                run_words(&[flag, "-F", "0"], failing(class, code)),
                (Ending::Status(status), String::new(), String::new()),
                "{flag}"
            );
        }
        for flag in ["--run-on-fail-temp=true", "--run-on-fail-temp=", "--run-on-fail-env=exit 42", "--run-on-success=exit 42"] {
            let (ending, _, err) = run_words(&[flag, "-F", "0"], failing(Class::Temp, libc::EBUSY));
            assert_eq!(ending, Ending::Status(16), "{flag}");
            assert!(err.starts_with("Restart failed: Device or resource busy\n"), "{flag}: {err}");
        }
    }

    #[test]
    fn hooks_for_wrong_arguments_count_if_they_stand_before_the_mistake() {
        for (words, status) in [
            (&["--bogus", "--run-on-fail-args", "exit 42"][..], 255),
            (&["--run-on-fail-args", "exit 42", "--bogus"], 42),
            (&["--run-on-failure", "exit 42", "/nonexistent/c"], 42),
            (&["/nonexistent/c", "--run-on-failure", "exit 42"], 42),
            (&["--run-on-failure", "exit 42", "--run-on-fail-args", "", "/nonexistent/c"], 255),
            (&["--run-on-fail-args", "exit 42"], 42),
            (&["-S", "99", "c", "--run-on-fail-args", "exit 42"], 22),
            (&["--run-on-fail-args", "exit 42", "-f", "a", "-f", "b"], 42),
        ] {
            assert_eq!(run_words(words, RUNS).0, Ending::Status(status), "{words:?}");
        }
    }

    #[test]
    fn messages_for_wrong_arguments() {
        let (ending, out, err) = run_words(&["/nonexistent/c"], RUNS);
        assert_eq!((ending, out.as_str()), (Ending::Status(255), ""));
        assert_eq!(err, "Failed to open(/nonexistent/c, O_RDONLY): No such file or directory\n");
        let (_, _, err) = run_words(&["-f", "a", "b"], RUNS);
        assert_snapshot!(err, @r"
        error: the source is given by an option, so 'b' is too much

        Usage: cr_restart [options] [FILE]

        For more information, try '--help'.
        ");
        assert_eq!(run_words(&["-q", "--bogus"], RUNS), (Ending::Status(255), String::new(), String::new()));
    }

    #[test]
    fn v_means_version_here() {
        let version = format!("cr_restart version {}\n", env!("CARGO_PKG_VERSION"));
        for words in [["-v"], ["--version"]] {
            assert_eq!(run_words(&words, RUNS), (Ending::Status(0), version.clone(), String::new()));
        }
    }

    #[test]
    fn json_comes_before_the_waiting() {
        let (ending, out, err) = run_words(&["--json", "-F", "0"], Answer(Err((Class::Temp, libc::EBUSY))));
        assert_eq!((ending, err.as_str()), (Ending::Status(16), ""));
        assert!(out.contains("\"class\":\"temp\"") && out.contains("\"stage\":\"plan\""), "{out}");
        let (_, out, _) = run_words(&["--json", "-F", "0"], RUNS);
        assert!(out.contains("\"ok\":true") && out.contains("\"lead\":null"), "{out}");
    }

    #[test]
    fn help_text() {
        assert_snapshot!(program().command().term_width(110).render_help().to_string());
    }
}
