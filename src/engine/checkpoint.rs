//! The checkpoint: select, freeze, survey and capture with review, write, release.
//!
//! Reads like a table of contents; details are in the modules of the phases. On any error, dropping `Frozen` lets the job go unchanged
//! and dropping the target removes what was written.

use std::time::Instant;

use super::afterwards::release;
use super::confined::Account;
use super::lost::Losses;
use super::note::Notes;
use super::observe::{CheckpointReport, Observer};
use super::origin;
use super::output::Output;
use super::participant::Parley;
use super::request::{CheckpointRequest, Destination, Target};
use super::restart::prove;
use super::survey::survey;
use super::tree::{SelectError, Selection};
use crate::error::{At, Failure, Stage};
use crate::image::{Origin, Snapshot, State};
use crate::policy::event::{JobEvent, Member, Options, SavedEvent, Timings};
use crate::policy::verdict::Afterwards;
use crate::policy::{Event, Name, Stack, Verdict};
use crate::proc::ProcDir;
use crate::resource::Parting;
use crate::sys::interruption;
use crate::sys::trust::maps_everybody;
use crate::tracee::TraceeError;
use crate::tracee::freeze::{Deadline, Frozen, freeze};

/// Writes a context file of a job, which runs on as before unless the request has a signal for it or a policy decides otherwise.
pub fn checkpoint(request: &CheckpointRequest, policies: &mut Stack, observer: &mut dyn Observer) -> Result<CheckpointReport, Failure> {
    let mut notes = Notes::default();
    let deadline = Deadline::after(request.time_limit);
    policies.limit(deadline.instant());
    let result = Flow { request, policies, deadline, begun: Instant::now(), user: None }.run(observer, &mut notes);
    // What scripts hear of the end is not part of what was limited.
    policies.limit(None);
    // Whoever is waited for when the request to give up comes fails in its own way; what counts is that request.
    let result = result.map_err(|failure| match interruption::came() {
        Some(why) => Failure::new(failure.stage, TraceeError::GivenUp { why }),
        None => failure,
    });
    notes.take().into_iter().for_each(|message| observer.message(message));
    let (hooks, frozen_hooks) = policies.time();
    result.map(|report| CheckpointReport {
        hook_us: microseconds(hooks),
        hook_frozen_us: microseconds(frozen_hooks),
        decisions: policies.decisions().to_vec(),
        ..report
    })
}

/// One checkpoint under way.
struct Flow<'a> {
    request: &'a CheckpointRequest,
    policies: &'a mut Stack,
    deadline: Deadline,
    begun: Instant,
    /// As root, the user of the job.
    user: Option<Account>,
}

/// A job that is saved and still stopped.
struct Saved {
    frozen: Frozen,
    snapshot: Snapshot,
    /// Whether it could be restarted.
    proof: Result<(), Failure>,
    /// What is done right before the job is ended for good.
    partings: Vec<Box<dyn Parting>>,
}

impl Flow<'_> {
    fn run(&mut self, observer: &mut dyn Observer, notes: &mut Notes) -> Result<CheckpointReport, Failure> {
        let deadline = self.deadline;
        observer.stage(Stage::Select);
        let mut selection = Selection::new(self.request).at(Stage::Select)?;
        let members = selection.members().at(Stage::Select)?;
        if self.is_skipped(members.clone())? {
            return Ok(CheckpointReport { is_skipped: true, total_us: self.elapsed_us(), ..CheckpointReport::default() });
        }
        let mut losses = Losses::new(self.request.home.clone());
        // Where scripts may leave processes out, nothing is known before they have been asked about each.
        if !self.policies.hears(Name::Process) {
            losses.look(&members, self.policies, Stage::Select)?;
        }
        self.user = user_of(selection.lead().or(members.first().copied()));
        let mut output = if self.policies.dry_run { None } else { Some(Output::open(self.request, self.user.as_ref())?) };

        let mut parley = Parley::hold(self.request, &mut selection, deadline)?;
        let saved = self.save(&selection, losses, output.as_mut(), observer, notes);
        let (report, stopped) = match saved {
            Ok(saved) => saved,
            Err(failure) => {
                parley.call_off(failure.code);
                return Err(failure);
            }
        };
        let report = self.finish(report, stopped, output, (parley, &selection), notes)?;
        Ok(CheckpointReport { total_us: self.elapsed_us(), ..report })
    }

    /// From the stop to the last byte. The job is still stopped afterwards.
    fn save(
        &mut self,
        selection: &Selection<'_>,
        losses: Losses,
        output: Option<&mut Output>,
        observer: &mut dyn Observer,
        notes: &mut Notes,
    ) -> Result<(CheckpointReport, Saved), Failure> {
        let deadline = self.deadline;
        observer.stage(Stage::Freeze);
        let mut frozen = freeze::<SelectError>(deadline, || selection.members()).at(Stage::Freeze)?;
        self.tell_frozen(&frozen)?;
        deadline.check().at(Stage::Freeze)?;
        observer.stage(Stage::Survey);
        let mut draft = survey(&mut frozen, self.policies, losses, output.as_deref().and_then(Output::inode), notes)?;
        deadline.check().at(Stage::Survey)?;
        self.complete(&mut draft.snapshot, selection.targets())?;

        let proof = self.prove(&draft.snapshot)?;

        let mut report = CheckpointReport::of(&draft.snapshot);
        let Some(output) = output else {
            report.is_dry_run = true;
            let snapshot = std::mem::take(&mut draft.snapshot);
            return Ok((report, Saved { frozen, snapshot, proof, partings: Vec::new() }));
        };
        observer.stage(Stage::Write);
        output.give(self.request.owner, self.user.as_ref(), &draft.snapshot)?;
        let saved = output.write(&mut draft, deadline, observer)?;
        let (snapshot, partings) = (std::mem::take(&mut draft.snapshot), std::mem::take(&mut draft.partings));
        drop(draft);
        (report.bytes, report.page_bytes) = (saved.bytes, saved.page_bytes);
        deadline.check().at(Stage::Write)?;
        if let Some(why) = interruption::last_chance() {
            return Err(TraceeError::GivenUp { why }).at(Stage::Write);
        }
        Ok((report, Saved { frozen, snapshot, proof, partings }))
    }

    /// The file becomes complete and the job goes on. A signal comes after the file is safe, and so does the answer of a script that may want one; without
    /// either the job need not wait for the disk.
    fn finish(
        &mut self,
        mut report: CheckpointReport,
        saved: Saved,
        output: Option<Output>,
        (mut parley, selection): (Parley, &Selection<'_>),
        notes: &mut Notes,
    ) -> Result<CheckpointReport, Failure> {
        let Saved { frozen, snapshot, proof, partings } = saved;
        let Some(output) = output else {
            report.frozen_us = microseconds(release(frozen, &snapshot, None, partings)?);
            return Ok(report);
        };
        if self.request.signal.is_none() && !self.policies.hears(Name::PostCheckpoint) {
            parley.settle();
            report.frozen_us = microseconds(release(frozen, &snapshot, None, partings)?);
            report.path = output.finish(self.request.sync)?;
            parley.conclude(selection, self.deadline, notes)?;
            return Ok(report);
        }
        report.path = match output.finish(self.request.sync) {
            Ok(path) => path,
            Err(failure) => {
                parley.call_off(failure.code);
                return Err(failure);
            }
        };
        let signal = self.signal_afterwards(&report, &snapshot, &frozen, proof);
        parley.settle();
        let frozen =
            if parley.is_empty() || signal.is_none() { frozen } else { parley.let_finish(frozen, selection, self.deadline, notes)? };
        report.frozen_us = microseconds(release(frozen, &snapshot, signal, partings)?);
        parley.conclude(selection, self.deadline, notes)?;
        Ok(report)
    }

    fn is_skipped(&mut self, members: Vec<i32>) -> Result<bool, Failure> {
        if !self.policies.hears(Name::PreCheckpoint) {
            return Ok(false);
        }
        let opinion = self.policies.ask(&Event::PreCheckpoint(self.job_event(members))).at(Stage::Review)?;
        if let Some(opinion) = &opinion {
            self.policies.decided("checkpoint", opinion);
        }
        Ok(opinion.is_some_and(|opinion| opinion.verdict == Verdict::Skip))
    }

    fn tell_frozen(&mut self, frozen: &Frozen) -> Result<(), Failure> {
        if !self.policies.hears(Name::Frozen) {
            return Ok(());
        }
        let members = frozen.processes.iter().map(|process| process.pid).collect();
        let freeze_us = Some(microseconds(frozen.since.elapsed()));
        let event = JobEvent { freeze_us, ..self.job_event(members) };
        self.policies.ask(&Event::Frozen(event)).at(Stage::Review).map(drop)
    }

    fn job_event(&self, members: Vec<i32>) -> JobEvent {
        let name = |pid: i32| ProcDir::open(pid).and_then(|dir| dir.stat()).map(|stat| stat.comm.to_string_lossy().into_owned());
        let path = match &self.request.destination {
            Destination::File(path) | Destination::Dir(path) => Some(std::path::absolute(path).unwrap_or_else(|_| path.clone())),
            Destination::Fd(_) => None,
        };
        JobEvent {
            ids: self.request.targets.iter().map(|target| target.id).collect(),
            scope: self.request.targets.first().map(|target| target.scope).unwrap_or_default().word().into(),
            processes: members.into_iter().map(|pid| Member { pid, name: name(pid).unwrap_or_default() }).collect(),
            options: Options {
                path: path.map(|path| path.display().to_string()),
                signal: self.request.signal,
                time_limit: self.request.time_limit.map(|limit| limit.as_secs_f64()),
                sync: self.request.sync,
                dry_run: self.policies.dry_run,
            },
            freeze_us: None,
        }
    }

    /// Makes sure that the job can be restarted before it gets a signal: one of the request ends the checkpoint here when it cannot, one that a
    /// script may ask for later is not sent then.
    fn prove(&self, snapshot: &Snapshot) -> Result<Result<(), Failure>, Failure> {
        if self.request.unproven || self.request.signal.is_none() && !self.policies.hears(Name::PostCheckpoint) {
            return Ok(Ok(()));
        }
        match prove(snapshot) {
            Err(failure) if self.request.signal.is_some() => Err(failure),
            proof => Ok(proof),
        }
    }

    /// What the survey does not know: the machine, the request, and what policies decided and keep.
    fn complete(&mut self, snapshot: &mut Snapshot, targets: &[Target]) -> Result<(), Failure> {
        // The clocks are those that the job saw.
        let Origin { monotonic_ns, boottime_ns, .. } = snapshot.origin;
        snapshot.origin = Origin { monotonic_ns, boottime_ns, ..origin::here() };
        snapshot.scope = targets.first().map(|target| target.scope).unwrap_or_default();
        snapshot.ids = targets.iter().map(|target| target.id).collect();
        if targets.iter().any(|target| target.scope != snapshot.scope) {
            snapshot.scopes = targets.iter().map(|target| target.scope).collect();
        }
        snapshot.decisions = self.policies.decisions().to_vec();
        snapshot.annotations = self.policies.annotations().clone().into_iter().collect();
        snapshot.kept = self.policies.keep().at(Stage::Review)?.unwrap_or_default();
        Ok(())
    }

    /// Tells everybody that the file is complete. A signal of the request counts more than any answer; a script that fails here changes
    /// nothing.
    fn signal_afterwards(
        &mut self,
        report: &CheckpointReport,
        snapshot: &Snapshot,
        frozen: &Frozen,
        proof: Result<(), Failure>,
    ) -> Option<i32> {
        if !self.policies.hears(Name::PostCheckpoint) {
            return self.request.signal;
        }
        let event = Event::PostCheckpoint(SavedEvent {
            path: report.path.as_ref().map(|path| path.display().to_string()),
            bytes: report.bytes,
            page_bytes: report.page_bytes,
            processes: report.processes,
            threads: report.threads,
            frozen: self.request.signal.is_none(),
            timings: Timings { frozen_us: microseconds(frozen.since.elapsed()), total_us: self.elapsed_us() },
            annotations: snapshot.annotations.iter().cloned().collect(),
        });
        let opinion = self.policies.tell(&event).unwrap_or_else(|error| {
            self.policies.warn("post-checkpoint", error.to_string());
            None
        });
        let Some(opinion) = opinion else { return self.request.signal };
        if self.request.signal.is_some() {
            self.policies.warn(&opinion.by, format!("\"{}\" does not count: the command line has a signal", opinion.verdict.word()));
            return self.request.signal;
        }
        if let (Err(failure), Verdict::Afterwards(Afterwards::Stop | Afterwards::Kill)) = (proof, &opinion.verdict) {
            self.policies.warn(&opinion.by, format!("\"{}\" does not count: {failure}", opinion.verdict.word()));
            return None;
        }
        self.policies.decided("afterwards", &opinion);
        match opinion.verdict {
            Verdict::Afterwards(Afterwards::Stop) => Some(libc::SIGSTOP),
            Verdict::Afterwards(Afterwards::Kill) => Some(libc::SIGKILL),
            _ => None,
        }
    }

    fn elapsed_us(&self) -> u64 {
        microseconds(self.begun.elapsed())
    }
}

/// As root, the user of the job, whose the context file may become. Groups and sessions may have no process of their number.
fn user_of(lead: Option<i32>) -> Option<Account> {
    let is_root = nix::unistd::geteuid().is_root() && maps_everybody();
    let lead = lead.filter(|_| is_root)?;
    let status = ProcDir::open(lead).and_then(|dir| dir.status()).ok()?;
    Some(status.uids.real).filter(|uid| *uid != 0).map(Account::of)
}

impl CheckpointReport {
    /// What is known before anything is written.
    fn of(snapshot: &Snapshot) -> CheckpointReport {
        let alive = snapshot.processes.iter().filter(|process| !matches!(process.state, State::Zombie(_)));
        let threads = alive.map(|process| process.threads.len()).sum();
        CheckpointReport { processes: snapshot.processes.len(), threads, ..CheckpointReport::default() }
    }
}

fn microseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
