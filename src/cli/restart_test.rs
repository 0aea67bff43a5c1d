//! `cr_restart` from its command line to its end, with an engine that restarts a shell or fails.

use super::*;
use crate::cli::engine_calls::Between;
use crate::engine::observe::{CheckpointReport, Observer};
use crate::engine::request::CheckpointRequest;
use crate::error::Subject;
use crate::sys::cli_support::with_clean_mask;
use insta::assert_snapshot;

/// An engine that restarts a shell, or fails.
struct Answer(Result<Option<&'static str>, (Class, i32)>);

impl Engine for Answer {
    fn checkpoint(&mut self, _: &CheckpointRequest, _: &mut Stack, _: &mut dyn Observer) -> Result<CheckpointReport, Failure> {
        unreachable!("cr_restart checkpoints nothing")
    }
    fn restart(
        &mut self,
        _: &[RestartRequest],
        _: &mut Stack,
        _: Between<'_>,
        _: &mut dyn Observer,
    ) -> Result<Option<Vec<RestartReport>>, Failure> {
        match self.0 {
            Ok(script) => Ok(Some(vec![RestartReport { lead: script.map(spawn), ..RestartReport::default() }])),
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
        assert_eq!(run_words(&[flag, "-F", "0"], failing(class, code)), (Ending::Status(status), String::new(), String::new()), "{flag}");
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
    assert_eq!(
        err,
        "Failed to open(/nonexistent/c, O_RDONLY): No such file or directory\n  class args (the request must change): check the name of the context file\n"
    );
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
fn json_is_one_object_whoever_chooses_the_exit_status() {
    let failed = || Answer(Err((Class::Temp, libc::EBUSY)));
    for (words, engine, ending, part) in [
        (&["--json", "--run-on-fail-temp", "exit 75", "-F", "0"][..], failed(), 75, "\"exit\":75"),
        (&["--json", "--run-on-fail-args", "exit 64", "/nonexistent/c"], RUNS, 64, "\"path\":\"/nonexistent/c\""),
        (&["--json", "--run-on-success", "exit 3", "-F", "0"], Answer(Ok(Some("exit 9"))), 3, "\"exit\":3"),
        (&["--json", "--run-on-success", "exit 0", "-F", "0"], Answer(Ok(Some("exit 9"))), 9, "\"ok\":true"),
    ] {
        let (ended, out, err) = run_words(words, engine);
        assert_eq!((ended, err.as_str(), out.lines().count()), (Ending::Status(ending), "", 1), "{words:?}: {out}");
        let object: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert!(object.is_object() && out.contains(part), "{words:?}: {out}");
    }
}

#[test]
fn help_text() {
    assert_snapshot!(program().command().term_width(110).render_help().to_string());
}
