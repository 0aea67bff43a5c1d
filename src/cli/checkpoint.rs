//! `cr_checkpoint [options] ID`: the program from its flags to its exit code.
//!
//! Relies on [`super::high`] for the request, [`super::worker`] for the two processes, [`super::report`] for everything printed.

use std::ffi::OsString;

use super::engine_calls::Engine;
use super::exit::{self, Ending};
use super::flag::{creation, destination, general, kmsg, lost, participation, save, scope, script, signal, timing, trace};
use super::low::CheckpointSaid;
use super::namespace::visit::visit;
use super::program::Program;
use super::progress::Watcher;
use super::report::{Reporter, Streams, show_or_refuse};
use super::text::{self, Attempt};
use super::worker::{self, Principal, WorkerError};
use super::{attributes, high, policies, preflight};
use crate::engine::elsewhere;
use crate::engine::lost::Home;
use crate::engine::observe::Message;
use crate::engine::request::{CheckpointRequest, Target};
use crate::error::{At, Failure, Stage};
use crate::policy::attribute::AtCheckpoint;
use crate::policy::event::FailureEvent;
use crate::policy::{Event, Opinion, Stack, Verdict};
use crate::sys::interruption::{self, Interruption};

/// The program.
pub fn program() -> Program<CheckpointSaid> {
    let flags = [
        scope::flags(),
        destination::flags(),
        creation::flags(),
        signal::flags(),
        signal::unproven(),
        save::flags(),
        trace::flags(),
        lost::flags(),
        participation::flags(),
        timing::flags(),
        script::flags(),
        kmsg::flags(),
        general::verbose(Some('v')),
        general::output(),
        general::itself(None),
    ];
    Program {
        name: "cr_checkpoint",
        about: "Save running processes in a context file, from which cr_restart brings them back",
        usage: "[options] ID",
        description: "Saves a running process with its descendants, a process group or a session in one context file, or in one file a \
            process, from which cr_restart(1) brings them back.\n\n\
            The programs need no library, no preparation and no privilege beyond that of their user. They stand still for a moment and \
            run on, unless a signal is asked for. Whatever goes wrong, they run on as if nothing had happened.\n\n\
            A script may checkpoint itself: cr_checkpoint waits in the script's name, and after a restart returns with success.",
        operands: ("ID", "Decimal id of a process, process group or session; 0 is the caller's own"),
        examples: EXAMPLES,
        flags: flags.into_iter().flatten().collect(),
    }
}

const EXAMPLES: &str = "\
EXAMPLES
  cr_checkpoint 4242                    save process 4242 and its descendants in context.4242
  cr_checkpoint -p --stop 4242          save it alone, then stop it
  cr_checkpoint -g -f job.cr 4200       save process group 4200 in job.cr
  cr_checkpoint --backup --term 4242    keep the previous context file, end the job
  cr_checkpoint -s -d saved 8362        save session 8362, a file a process, in the new directory saved
  cr_checkpoint -F 1 4242 | ssh node2 cr_restart -F 0
                                        move a job to another machine without a file

EXIT STATUS
  0     saved; also in a script that was restarted from the checkpoint it asked for
  3     there is no such process
  22    a value is out of range, or two destinations were given
  50-61 codes of libcr: 56 traced, 57 traces others
  255   the command line is wrong
  else  the error number (errno) of what failed";

/// Runs the program and returns how it has to end.
pub fn run(args: impl IntoIterator<Item = OsString>, engine: &mut dyn Engine, streams: &mut Streams<'_>) -> Ending {
    let args: Vec<OsString> = args.into_iter().collect();
    let wants_json = args.iter().any(|arg| arg == "--json");
    let program = program();
    let (mut said, operands) = program.parse(args);
    said.general.json |= wants_json && operands.is_err();
    let mut reporter = Reporter::new(streams, said.general, said.kmsg).answers_to(said.participation.asker);
    let requester = nix::unistd::getpid().as_raw();
    let request = operands.and_then(|operands| Ok(high::checkpoint_request(&said, &operands, requester)?));
    let mut request = match request {
        Ok(request) => request,
        Err(stop) => {
            let Some(refusal) = show_or_refuse(&mut reporter, &program, stop) else { return Ending::Status(0) };
            reporter.refusal(&program, &refusal);
            return Ending::Status(refusal.status());
        }
    };
    let rule = match attributes::named(said.scripting.attributes.as_deref()) {
        Ok(attributes) => AtCheckpoint::new(attributes, attributes::ids(&request.targets)),
        Err(failure) => return Ending::Status(unreached(&failure, &mut reporter)),
    };
    attributes::settle(&mut request, &rule, said.afterwards.is_said);
    carry_out(&said, &request, &rule, engine, &mut reporter)
}

/// Does what was asked for, in a worker process, and says how it went. Relies on being called before any thread exists.
pub fn carry_out(
    said: &CheckpointSaid,
    request: &CheckpointRequest,
    rule: &AtCheckpoint,
    engine: &mut dyn Engine,
    reporter: &mut Reporter<'_, '_>,
) -> Ending {
    let ended = worker::supervise(Principal::Front, request.time_limit, || work(said, request, rule, engine, reporter));
    ended.unwrap_or_else(|error| unanswered(error, reporter))
}

/// What the worker does: a job in namespaces of its own is visited there, under the ids that it has there.
fn work(
    said: &CheckpointSaid,
    request: &CheckpointRequest,
    rule: &AtCheckpoint,
    engine: &mut dyn Engine,
    reporter: &mut Reporter<'_, '_>,
) -> Ending {
    let job = match elsewhere::find(request).at(Stage::Select) {
        Ok(None) => return as_asked(save(said, request, rule, engine, reporter)),
        Ok(Some(job)) => job,
        Err(failure) => return Ending::Status(unreached(&failure, reporter)),
    };
    let scope = request.targets.first().map(|target| target.scope).unwrap_or_default();
    let targets = job.ids.iter().map(|id| Target { scope, id: (*id).into() }).collect();
    let request = CheckpointRequest { targets, home: Some(Home::own()), ..request.clone() };
    let ended = visit(&job, request.time_limit, |arrived| match arrived.at(Stage::Select) {
        Ok(()) => {
            let request = CheckpointRequest { requester: nix::unistd::getpid().as_raw(), ..request };
            as_asked(save(said, &request, rule, engine, reporter))
        }
        Err(failure) => Ending::Status(unreached(&failure, reporter)),
    });
    ended.unwrap_or_else(|error| unanswered(error, reporter))
}

/// A checkpoint that was given up because of a signal ends as the signal would have ended it, only later.
fn as_asked(status: u8) -> Ending {
    match interruption::came() {
        Some(Interruption::Signal(signal)) if status != 0 => Ending::Signal(signal),
        _ => Ending::Status(status),
    }
}

/// The worker has not ended as it should.
fn unanswered(error: WorkerError, reporter: &mut Reporter<'_, '_>) -> Ending {
    let signal = if let WorkerError::Deaf { signal } = &error { Some(*signal) } else { None };
    let failure = Failure::new(Stage::Wait, error);
    let status = signal.map_or(exit::of_checkpoint(&failure), exit::of_signal);
    reporter.failure(Attempt::Checkpoint, &failure, status, &[]);
    signal.map_or(Ending::Status(status), Ending::Signal)
}

/// No checkpoint was tried, so no policy is asked.
fn unreached(failure: &Failure, reporter: &mut Reporter<'_, '_>) -> u8 {
    let status = exit::of_checkpoint(failure);
    reporter.failure(Attempt::Checkpoint, failure, status, &[]);
    status
}

/// The checkpoint itself.
fn save(
    said: &CheckpointSaid,
    request: &CheckpointRequest,
    rule: &AtCheckpoint,
    engine: &mut dyn Engine,
    reporter: &mut Reporter<'_, '_>,
) -> u8 {
    if said.general.verbose > 0
        && let Some(line) = high::target_line(&request.destination)
    {
        reporter.line(&line);
    }
    let mut unheard = Vec::new();
    let policies = policies::for_checkpoint(said, rule, &mut unheard);
    reporter.log(unheard);
    let mut policies = match policies {
        Ok(policies) => policies,
        Err(failure) => {
            let status = exit::of_checkpoint(&failure);
            reporter.failure(Attempt::Checkpoint, &failure, status, &[]);
            return status;
        }
    };
    let mut watcher = Watcher::new(said.general);
    let result =
        preflight::target(&request.destination, &request.creation).and_then(|()| engine.checkpoint(request, &mut policies, &mut watcher));
    let messages = watcher.finish();
    reporter.log(policies.take_log());
    match result {
        Ok(report) if report.is_dry_run => reporter.decisions(&report, &report.decisions, &messages),
        Ok(report) => {
            reporter.answer(0, 0, "");
            reporter.success(&report, &text::checkpoint_summary(&report), &messages);
        }
        Err(failure) => return failed(&failure, &messages, &mut policies, reporter),
    }
    0
}

/// The job runs on: a policy may choose the exit code, and silences the message with it, as those of a restart do. Nobody is asked when there is no time.
fn failed(failure: &Failure, messages: &[Message], policies: &mut Stack, reporter: &mut Reporter<'_, '_>) -> u8 {
    if let Some(Interruption::Signal(signal)) = interruption::came() {
        let status = exit::of_signal(signal);
        reporter.failure(Attempt::Checkpoint, failure, status, messages);
        return status;
    }
    let event = Event::CheckpointFailed(FailureEvent::of(failure, 1));
    let answer = policies.hears(event.name()).then(|| policies.tell(&event)).transpose();
    reporter.log(policies.take_log());
    match answer {
        Ok(Some(Some(Opinion { verdict: Verdict::Status(status), .. }))) if status != 0 => {
            reporter.failure_in_silence(failure, status, messages);
            return status;
        }
        Ok(_) => {}
        Err(error) => reporter.complain(&format!("{} failed: {error}", event.name().word())),
    }
    let status = exit::of_checkpoint(failure);
    reporter.failure(Attempt::Checkpoint, failure, status, messages);
    status
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::cli::engine_calls::Between;
    use crate::engine::observe::{CheckpointReport, Level, Message, Observer, RestartReport};
    use crate::engine::request::RestartRequest;
    use crate::error::{Class, Subject};
    use insta::assert_snapshot;

    /// An engine that answers with what it was given.
    struct Answer(Option<Failure>);

    impl Engine for Answer {
        fn checkpoint(&mut self, _: &CheckpointRequest, _: &mut Stack, observer: &mut dyn Observer) -> Result<CheckpointReport, Failure> {
            let text = "process 9 is a zombie".into();
            observer.message(Message { level: Level::Warning, subject: Subject::pid(9), text });
            self.0.take().map_or(Ok(CheckpointReport { processes: 2, threads: 3, ..CheckpointReport::default() }), Err)
        }
        fn restart(
            &mut self,
            _: &[RestartRequest],
            _: &mut Stack,
            _: Between<'_>,
            _: &mut dyn Observer,
        ) -> Result<Option<Vec<RestartReport>>, Failure> {
            unreachable!("cr_checkpoint restarts nothing")
        }
    }

    fn run_worker(line: &str, failure: Option<Failure>) -> (u8, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (said, operands) = program().parse(line.split_whitespace().map(OsString::from));
        let request = high::checkpoint_request(&said, &operands.unwrap(), 1).unwrap();
        let mut streams = Streams { out: &mut out, err: &mut err };
        let mut reporter = Reporter::new(&mut streams, said.general, said.kmsg);
        let ended = work(&said, &request, &AtCheckpoint::default(), &mut Answer(failure), &mut reporter);
        (status(ended), String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    fn status(ending: Ending) -> u8 {
        match ending {
            Ending::Status(status) => status,
            Ending::Signal(signal) => panic!("ended by signal {signal}"),
        }
    }

    fn refused(line: &str) -> (u8, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let args = line.split_whitespace().map(OsString::from);
        let ended = run(args, &mut Answer(None), &mut Streams { out: &mut out, err: &mut err });
        (status(ended), String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    fn failure(code: i32) -> Failure {
        let cause = "cannot stop process 5: it is traced by process 6 (gdb)".into();
        Failure { class: Class::Temp, stage: Stage::Freeze, subject: Subject::pid(5), code, cause, remedy: None }
    }

    #[test]
    fn success_is_silent_unless_asked() {
        for (line, out, err) in [
            ("-F 1 5", "", ""),
            ("--kmsg-warning -F 1 5", "", "- process 9 is a zombie\n"),
            ("-q --kmsg-warning -F 1 5", "", ""),
            ("-qv -f /tmp/none 5", "targetfile='/tmp/none', parent dir='/tmp'\n", ""),
            ("-v -F 1 5", "", "saved 2 processes, 3 threads: 0 B in 0 µs (the job stood still for 0 µs)\n"),
        ] {
            assert_eq!(run_worker(line, None), (0, out.into(), err.into()), "{line}");
        }
    }

    #[test]
    fn failures_are_told_after_the_messages_of_the_engine() {
        let (status, out, err) = run_worker("-F 1 5", Some(failure(2360)));
        assert_eq!((status, out.as_str()), (56, ""));
        assert_snapshot!(err, @r"
        - process 9 is a zombie
        Checkpoint failed: A process is being traced
          cannot stop process 5: it is traced by process 6 (gdb)
          class temp (may succeed later)
        ");
        assert_eq!(run_worker("-q -F 1 5", Some(failure(libc::ESRCH))), (3, String::new(), String::new()));
        assert!(!run_worker("--kmsg-none -F 1 5", Some(failure(2360))).2.contains("zombie"));
    }

    #[test]
    fn a_target_that_cannot_be_written_is_refused_before_the_engine_is_asked() {
        let (status, _, err) = run_worker("-f /nonexistent/x 5", None);
        assert_eq!(status, 2);
        assert_snapshot!(err, @r"
        Unable to open file '/nonexistent/x': No such file or directory
        Failed to open checkpoint file '/nonexistent/x'
          cannot write /nonexistent/x: No such file or directory
          class env (the machine must be put right): make the directory /nonexistent first, or choose another place with -f
        ");
    }

    #[test]
    fn usage_errors_go_to_stderr_and_quiet_silences_them() {
        let (status, out, err) = refused("--bogus 5");
        assert_eq!((status, out.as_str()), (255, ""));
        assert_snapshot!(err, @r"
        error: unexpected argument '--bogus' found

        Usage: cr_checkpoint [options] ID

        For more information, try '--help'.
        ");
        let (status, _, err) = refused("");
        assert_eq!(status, 255);
        assert_snapshot!(err, @r"
        error: give one ID, not none

        Usage: cr_checkpoint [options] ID

        For more information, try '--help'.
        ");
        assert_eq!(refused("-q --bogus 5"), (255, String::new(), String::new()));
        assert_eq!(refused("-q 1 2"), (255, String::new(), String::new()));
        assert_eq!(refused("-S 99 5"), (22, String::new(), "Valid signal numbers are from 1 to 64, inclusive.\n".into()));
    }

    #[test]
    fn version_and_help_go_to_stdout() {
        let version = format!("cr_checkpoint version {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(refused("--version"), (0, version, String::new()));
        for line in ["-?", "-h", "--help", "-v --help --bogus"] {
            let (status, out, err) = refused(line);
            assert_eq!((status, err.as_str()), (0, ""), "{line}");
            assert!(out.contains("Usage: cr_checkpoint [options] ID"), "{out}");
        }
    }

    #[test]
    fn a_refusal_as_json() {
        let (status, out, err) = refused("--bogus --json 5");
        assert_eq!((status, err.as_str()), (255, ""));
        assert_snapshot!(out, @r#"{"chain":["unexpected argument '--bogus' found"],"class":"args","code":22,"errno":22,"exit":255,"fd":null,"message":"unexpected argument '--bogus' found","messages":[],"ok":false,"path":null,"pid":null,"remedy":null,"stage":"request"}"#);
    }

    #[test]
    fn help_text() {
        assert_snapshot!(program().command().term_width(110).render_help().to_string());
    }
}
