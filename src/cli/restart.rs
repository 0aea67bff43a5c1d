//! `cr_restart [options] [FILE]`: the program from its flags to its end, which mirrors the job's.
//!
//! Relies on [`super::high`] for the request, [`super::policies`] for who is asked, [`super::wait`] for what happens while the job runs,
//! [`super::report`] for everything printed.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use super::engine_calls::Engine;
use super::exit::{self, Ending, Refusal};
use super::flag::{Flag, clock, general, hook, ids, kmsg, omit, participation, relocation, script, signal, source, under};
use super::low::RestartSaid;
use super::namespace::{self, Entered, Inner};
use super::own_terminal::OwnTerminal;
use super::program::Program;
use super::progress::Watcher;
use super::report::{Reporter, Streams, show_or_refuse};
use super::text::{self, Attempt};
use super::wait::Held;
use super::{high, policies, preflight};
use crate::engine::observe::{Message, RestartReport};
use crate::engine::request::{Place, RestartRequest, Source};
use crate::error::{Class, Failure, Stage};
use crate::policy::event::{ExitEvent, FailureEvent};
use crate::policy::verdict::Ids;
use crate::policy::{Event, Name, Opinion, Stack, Verdict};

/// The program.
pub fn program() -> Program<RestartSaid> {
    let flags = [
        source::flags(),
        signal::flags(),
        ids::flags(),
        clock::flags(),
        relocation::flags(),
        hook::flags(),
        script::flags(),
        omit::flags(),
        participation::of_restart(),
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

/// `--verify`, `--compare` and `--detach`.
fn waiting() -> Vec<Flag<RestartSaid>> {
    let flags = [
        Flag::switch("verify", |said: &mut RestartSaid| {
            said.verify = true;
            Ok(())
        })
        .help("Check every byte of the context file before anything is made"),
        Flag::switch("compare", |said: &mut RestartSaid| {
            said.compare = true;
            Ok(())
        })
        .help("Compare every restored process with what was saved, and run it only if nothing differs"),
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
    let mut reporter = Reporter::new(streams, said.general, said.kmsg).answers_to(said.asker);
    let request = operands.and_then(|operands| {
        let request = high::restart_request(&said, &operands)?;
        preflight::source(&request.source)?;
        Ok(request)
    });
    let request = match request {
        Ok(request) => request,
        Err(stop) => {
            return match show_or_refuse(&mut reporter, &program, stop) {
                Some(refusal) => Ending::Status(refuse(&said, &program, &refusal, &mut reporter)),
                None => Ending::Status(0),
            };
        }
    };
    let mut unheard = Vec::new();
    let policies = policies::for_restart(&said, &mut unheard);
    reporter.log(unheard);
    match policies {
        Ok(policies) => carry_out(&said, &[request], policies, engine, &mut reporter),
        Err(failure) => {
            // The script is the mistake: only the commands can answer it.
            let mut restart =
                Restart { said: &said, requests: &[request], policies: policies::commands(&said.hooks), engine, reporter: &mut reporter };
            match restart.failed(&failure, &[], 1) {
                Next::Exit(status) => Ending::Status(status),
                Next::Retry(_) => Ending::Status(exit::of_restart(&failure)),
            }
        }
    }
}

/// Does what was asked for, all or nothing, and stands before what was restarted until it ends.
pub fn carry_out(
    said: &RestartSaid,
    requests: &[RestartRequest],
    policies: Stack,
    engine: &mut dyn Engine,
    reporter: &mut Reporter<'_, '_>,
) -> Ending {
    Restart { said, requests, policies, engine, reporter }.run()
}

/// A wrong command line is a failure of class args: what was said before the mistake is in force.
fn refuse(said: &RestartSaid, program: &Program<RestartSaid>, refusal: &Refusal, reporter: &mut Reporter<'_, '_>) -> u8 {
    let mut unheard = Vec::new();
    let mut policies = policies::for_restart(said, &mut unheard).unwrap_or_else(|_| policies::commands(&said.hooks));
    reporter.log(unheard);
    let event = FailureEvent {
        class: Class::Args.word().into(),
        code: refusal.errno(),
        message: refusal.text.clone(),
        path: refusal.path.as_ref().map(|path| path.display().to_string()),
        remedy: refusal.remedy.clone(),
        stage: Stage::Request.word().into(),
        errno: Some(refusal.errno()),
        attempt: 1,
        ..FailureEvent::default()
    };
    let answer = ask(&mut policies, &Event::Failed(event), reporter);
    match answer {
        Some(Verdict::Status(status)) if status != 0 => {
            if reporter.is_json() {
                reporter.refusal(program, refusal);
            }
            status
        }
        _ => {
            reporter.refusal(program, refusal);
            refusal.status()
        }
    }
}

/// Asks where nothing can be stopped any more: a script that fails is reported.
fn ask(policies: &mut Stack, event: &Event, reporter: &mut Reporter<'_, '_>) -> Option<Verdict> {
    let answer = policies.hears(event.name()).then(|| policies.tell(event)).transpose();
    reporter.log(policies.take_log());
    match answer {
        Ok(answer) => answer.flatten().map(|opinion| opinion.verdict),
        Err(error) => {
            reporter.complain(&format!("{} failed: {error}", event.name().word()));
            None
        }
    }
}

/// What follows a failure.
enum Next {
    Exit(u8),
    Retry(Duration),
}

/// One run of the program, from the request to the end of the job.
struct Restart<'a, 'b, 'c> {
    said: &'a RestartSaid,
    requests: &'a [RestartRequest],
    policies: Stack,
    engine: &'a mut dyn Engine,
    reporter: &'a mut Reporter<'b, 'c>,
}

impl Restart<'_, '_, '_> {
    fn run(mut self) -> Ending {
        let mut inner = None;
        let terminal = (!self.said.detach).then(OwnTerminal::look);
        let ending = self.attempts(&mut inner);
        match inner {
            Some(inner) => inner.leave(ending),
            None => {
                terminal.into_iter().for_each(OwnTerminal::put_back);
                ending
            }
        }
    }

    /// Attempts until one succeeds or nobody wants another. They may move into namespaces, where this process is another one, and stay there.
    fn attempts(&mut self, inner: &mut Option<Inner>) -> Ending {
        let mut attempt = 1;
        loop {
            let held = match Held::hold() {
                Ok(held) => held,
                Err(error) => return surprise("cannot block signals", &error, self.reporter),
            };
            let mut watcher = Watcher::new(self.said.general);
            let mut over = Ending::Status(0);
            let (request, reporter) = (&self.requests[0], &mut *self.reporter);
            let mut between = |ids, own_numbers| settle(request, (ids, own_numbers), &held, inner, &mut over, reporter);
            let result = self.engine.restart(self.requests, &mut self.policies, &mut between, &mut watcher);
            watcher.source_name().into_iter().for_each(|name| self.reporter.about_next_statefile(&name));
            let messages = watcher.finish();
            self.reporter.log(self.policies.take_log());
            match result {
                Ok(Some(reports)) => return self.running(&reports, &messages, &held, inner.as_mut()),
                Ok(None) => return over,
                Err(failure) => {
                    // A pause must be left by a signal, as a restart is.
                    drop(held);
                    match self.failed(&failure, &messages, attempt) {
                        Next::Exit(status) => return Ending::Status(status),
                        Next::Retry(after) => std::thread::sleep(after),
                    }
                }
            }
            attempt += 1;
            self.policies.begin_again();
        }
    }

    fn failed(&mut self, failure: &Failure, messages: &[Message], attempt: u32) -> Next {
        let event = Event::Failed(FailureEvent::of(failure, attempt));
        match ask(&mut self.policies, &event, self.reporter) {
            Some(Verdict::Status(status)) if status != 0 => {
                self.reporter.failure_in_silence(failure, status, messages);
                return Next::Exit(status);
            }
            Some(Verdict::Retry(after)) if self.requests.iter().any(|request| matches!(request.source, Source::Fd(_))) => {
                self.reporter
                    .complain(&format!("no other attempt after {} s: what comes from a descriptor is read once", after.as_secs_f64()));
            }
            Some(Verdict::Retry(after)) => {
                self.reporter.verbose(&format!("attempt {attempt} failed, the next in {} s: {failure}", after.as_secs_f64()));
                return Next::Retry(after);
            }
            _ => {}
        }
        let status = exit::of_restart(failure);
        self.reporter.failure(Attempt::Restart, failure, status, messages);
        Next::Exit(status)
    }

    /// The job runs: say so, tell the policies, wait. An answer other than 0 ends the waiting before it begins.
    fn running(&mut self, reports: &[RestartReport], messages: &[Message], held: &Held, inner: Option<&mut Inner>) -> Ending {
        let report = &RestartReport::of_all(reports);
        if report.is_dry_run {
            self.reporter.decisions(report, &report.decisions, messages);
            return Ending::Status(0);
        }
        self.reporter.answer(0, report.lead.unwrap_or(0), "");
        let summary = text::restart_summary(report);
        // One object with all that is said until here; else the summary comes before what scripts say.
        if !self.reporter.is_json() {
            self.reporter.success(report, &summary, messages);
        }
        let status = match ask(&mut self.policies, &Event::OnSuccess(report.event()), self.reporter) {
            Some(Verdict::Status(status)) if status != 0 => Some(status),
            _ => None,
        };
        if self.reporter.is_json() {
            self.reporter.success_with(report, &summary, messages, status);
        }
        if let Some(status) = status {
            return Ending::Status(status);
        }
        if self.said.detach && self.policies.hears(Name::JobExit) {
            self.reporter.complain("job-exit will not come: with --detach nobody waits for the job");
        }
        for report in reports.iter().filter(|report| report.is_stopped && self.requests[0].signal.is_none()) {
            report.lead.into_iter().for_each(|lead| self.complain_stopped(lead));
        }
        let leads: Vec<i32> = reports.iter().filter_map(|report| report.lead).collect();
        if self.said.detach || leads.is_empty() {
            return Ending::Status(0);
        }
        if !self.policies.hears(Name::JobExit) {
            // Scripts that have nothing to say any more need not live as long as the job.
            self.policies = Stack::default();
        }
        let ended = match inner {
            Some(inner) => inner.until_end(&leads),
            None => held.until_all_end(&leads),
        };
        let ending = ended.unwrap_or_else(|error| surprise("cannot wait for the restarted job", &error, self.reporter));
        self.ended(ending)
    }

    fn complain_stopped(&mut self, lead: i32) {
        self.reporter.complain(&format!(
            "the job is stopped, as it was when it was saved: kill -CONT {lead} continues it, cr_restart --cont does so at once"
        ));
    }

    /// The job has ended: a policy may put another exit status in the place of its own.
    fn ended(&mut self, ending: Ending) -> Ending {
        let event = match ending {
            Ending::Status(status) => ExitEvent { status: Some(status), signal: None },
            Ending::Signal(signal) => ExitEvent { status: None, signal: Some(signal) },
        };
        let event = Event::JobExit(event);
        let answer = if self.policies.hears(event.name()) { self.policies.tell(&event) } else { Ok(None) };
        self.reporter.late_log(&self.policies.take_log());
        match answer {
            Ok(Some(Opinion { verdict: Verdict::Status(status), .. })) => Ending::Status(status),
            Ok(_) => ending,
            Err(error) => {
                self.reporter.complain(&format!("{} failed: {error}", event.name().word()));
                ending
            }
        }
    }
}

/// Where the restart goes on: moves into namespaces if that was decided, or if saved ids can be had in no other way. `None`: it went on in
/// there, and is over. What cannot be made in the second case is left to the engine, whose refusal names all that is wrong.
fn settle(
    request: &RestartRequest,
    (ids, own_numbers): (Ids, bool),
    held: &Held,
    inner: &mut Option<Inner>,
    over: &mut Ending,
    reporter: &mut Reporter<'_, '_>,
) -> Result<Option<Place>, Failure> {
    let wanted = match ids {
        Ids::Namespace => true,
        Ids::Keep => !namespace::may_choose_ids(),
        // What the engine has settled is never this.
        Ids::New | Ids::Any => false,
    };
    if inner.is_some() {
        return Ok(Some(namespace::place(request)));
    }
    if !wanted {
        return Ok(Some(Place::Host));
    }
    match namespace::enter(held, own_numbers) {
        Ok(Entered::Inside(first)) => {
            *inner = Some(first);
            reporter.verbose("the ids are restored in namespaces of the job's own");
            Ok(Some(namespace::place(request)))
        }
        Ok(Entered::Over(ending)) => {
            *over = ending;
            Ok(None)
        }
        Err(unavailable) if ids == Ids::Namespace => Err(Failure::new(Stage::Plan, unavailable)),
        Err(unavailable) => {
            reporter.verbose(&format!("{unavailable}: {}", unavailable.reason()));
            Ok(Some(Place::Host))
        }
    }
}

fn surprise(attempt: &str, error: &io::Error, reporter: &mut Reporter<'_, '_>) -> Ending {
    reporter.complain(&format!("{attempt}: {error}"));
    Ending::Status(exit::USAGE)
}

#[cfg(test)]
#[allow(clippy::zombie_processes, reason = "what is tested waits for the child")]
#[path = "restart_test.rs"]
mod test;
