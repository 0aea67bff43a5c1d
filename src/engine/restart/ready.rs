//! *commit* and *release*: jobs that stand ready, and what happens to them together.
//!
//! Relies on stubs dying with us: a job that is dropped before its release leaves nothing behind. What others can see is changed when
//! every process of every job stands ready, and undone if one of them cannot be let go.

use std::path::PathBuf;
use std::time::Instant;

use super::build::{self, Commits, Objects};
use super::plan::Plan;
use super::{Opened, compare, load, raise, terminal};
use crate::engine::note::Notes;
use crate::engine::observe::{Observer, RestartReport};
use crate::engine::participant::{self, Restarted};
use crate::engine::request::{RestartRequest, Source};
use crate::error::{At, Classified, Failure, Stage};
use crate::image::{Process, State};
use crate::policy::event::{PidPair, RunningEvent, Timings};
use crate::policy::{Event, Name, Stack};
use crate::resource::KindError;
use crate::sys::{fault, process};

/// A job that was made and does not run yet: [`release`] lets it go, dropping it kills every process. In a dry run there is none.
pub struct Ready {
    opened: Opened,
    standing: Option<Standing>,
    pages: load::Pages,
    report: RestartReport,
    /// The signal that every process gets first.
    signal: Option<i32>,
    compare: bool,
    /// The context file, for programs that take part.
    path: PathBuf,
    /// Who restarts it, as its programs are told.
    restarter: i32,
    /// Programs whose callbacks go on.
    restarted: Vec<Restarted>,
}

/// What was made. The order matters when it is dropped: first the stubs, then what they have been given, then who acts for them.
pub(super) struct Standing {
    pub job: raise::Job,
    pub built: Objects,
    pub plan: Plan,
    pub page_bytes: u64,
}

impl Ready {
    pub(super) fn new(opened: Opened, standing: Option<Standing>, pages: load::Pages, request: &RestartRequest) -> Ready {
        let report = standing.as_ref().map_or_else(RestartReport::default, |standing| standing.report(&opened, request.signal));
        let report = RestartReport { is_dry_run: standing.is_none(), total_us: microseconds(opened.begun), ..report };
        let path = match &request.source {
            Source::File(path) | Source::Dir(path) => std::path::absolute(path).unwrap_or_default(),
            Source::Fd(fd) => std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default(),
        };
        let path = if path.has_root() { path } else { PathBuf::new() };
        let restarter = request.asker.map_or_else(|| nix::unistd::getpid().as_raw(), |asker| asker.pid);
        Ready { opened, standing, pages, report, signal: request.signal, compare: request.compare, path, restarter, restarted: Vec::new() }
    }

    /// What was made, as it stands now.
    pub fn report(&self) -> &RestartReport {
        &self.report
    }

    /// The last look: scripts, and the comparison with the context file. Then everything is prepared that others will see.
    fn commit(&mut self, policies: &mut Stack, notes: &mut Notes) -> Result<Option<Commits>, Failure> {
        let Some(Standing { job, built, plan, .. }) = &mut self.standing else { return Ok(None) };
        if policies.hears(Name::PreResume) {
            policies.ask(&Event::PreResume(self.report.event())).at(Stage::Review)?;
        }
        let (snapshot, graph) = (self.opened.snapshot.as_ref(), &self.opened.graph);
        if self.compare {
            compare::compare(snapshot, plan, &self.pages, job, notes)?;
        }
        let prepared = build::commit(snapshot, graph, plan, built, notes)?;
        send_signals(job, &snapshot.processes, self.signal)?;
        Ok(Some(prepared))
    }

    /// Lets it run. `alone`: no other job is let go with it.
    fn go(&mut self, alone: bool, notes: &mut Notes) -> Result<(), Failure> {
        let Some(Standing { job, built, plan, .. }) = self.standing.take() else { return Ok(()) };
        let snapshot = self.opened.snapshot.as_ref();
        let restarter = self.restarter;
        let path = self.path.as_os_str().as_encoded_bytes();
        for (saved, raised) in snapshot.processes.iter().zip(&job.processes) {
            if let Some(memory) = saved.memory.and_then(|id| snapshot.memories.get(id as usize)) {
                let own = raised.threads.first().map_or(raised.pid, |thread| thread.inner_pid);
                self.restarted.extend(participant::tell((saved.pid, raised.pid, own), memory, restarter, path));
            }
        }
        if alone && !plan.detach {
            terminal::hand_over(snapshot, &self.opened.graph, &job, notes);
        }
        job.release(self.report.lead)?;
        built.keep();
        drop(plan);
        self.report.total_us = microseconds(self.opened.begun);
        Ok(())
    }
}

impl Standing {
    fn report(&self, opened: &Opened, signal: Option<i32>) -> RestartReport {
        let snapshot = opened.snapshot.as_ref();
        let lead = self.plan.lead(snapshot);
        let stop = lead.and_then(|index| signal_of(&snapshot.processes[index], signal));
        RestartReport {
            lead: lead.map(|index| self.job.pid_of(index)),
            is_stopped: matches!(stop, Some(libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU)),
            pids: snapshot.processes.iter().enumerate().map(|(index, saved)| (saved.pid, self.job.pid_of(index))).collect(),
            threads: self.job.n_threads(),
            page_bytes: self.page_bytes,
            ..RestartReport::default()
        }
    }
}

/// Lets jobs run, all or none: each is looked at and committed before the first of them goes. The caller waits for the leads.
pub fn release(mut jobs: Vec<Ready>, policies: &mut Stack, observer: &mut dyn Observer) -> Result<Vec<RestartReport>, Failure> {
    let _too_large = process::FileSizeIgnored::begin();
    observer.stage(Stage::Release);
    let mut notes = Notes::default();
    let result = release_all(&mut jobs, policies, &mut notes);
    if result.is_err() {
        jobs.clear();
        process::reap_killed();
    }
    notes.take().into_iter().for_each(|message| observer.message(message));
    result?;
    let decisions = policies.decisions();
    Ok(jobs.into_iter().map(|job| RestartReport { decisions: decisions.to_vec(), ..job.report }).collect())
}

fn release_all(jobs: &mut [Ready], policies: &mut Stack, notes: &mut Notes) -> Result<(), Failure> {
    let prepared = jobs.iter_mut().map(|job| job.commit(policies, notes)).collect::<Result<Vec<_>, _>>()?;
    let window = fault::window();
    let mut committed: Vec<Commits> = Vec::new();
    let mut failure = None;
    for commits in prepared {
        match commits.unwrap_or_default().make(notes) {
            Ok(made) => committed.push(made),
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    let (mut n_gone, alone) = (0, jobs.len() == 1);
    while failure.is_none() && n_gone < jobs.len() {
        failure = jobs[n_gone].go(alone, notes).err();
        n_gone += usize::from(failure.is_none());
    }
    drop(window);
    committed.drain(n_gone..).rev().for_each(|made| made.undo(notes));
    committed.into_iter().for_each(|made| made.keep(notes));
    failure.map_or(Ok(()), Err)?;
    await_callbacks(jobs, notes)
}

/// A job has come back when its programs have done what they do after a restart. One of them may still refuse: then nothing runs.
fn await_callbacks(jobs: &mut [Ready], notes: &mut Notes) -> Result<(), Failure> {
    let pids: Vec<i32> = jobs.iter().flat_map(|job| &job.report.pids).map(|(_, new)| *new).collect();
    let restarted = jobs.iter_mut().flat_map(|job| std::mem::take(&mut job.restarted)).collect();
    if let Some(late) = Restarted::await_all(restarted, &pids).at(Stage::Release)? {
        notes.warn(late.subject(), late.to_string());
    }
    Ok(())
}

impl RestartReport {
    /// One report about several jobs that were released together; the lead is that of the first.
    pub fn of_all(reports: &[RestartReport]) -> RestartReport {
        let mut all = reports.first().cloned().unwrap_or_default();
        for report in reports.iter().skip(1) {
            all.pids.extend(&report.pids);
            all.threads += report.threads;
            all.page_bytes += report.page_bytes;
            all.total_us = all.total_us.max(report.total_us);
        }
        all
    }

    /// The report as policies see it.
    pub fn event(&self) -> RunningEvent {
        RunningEvent {
            pids: self.pids.iter().map(|(old, new)| PidPair { old: *old, new: *new, inner: None }).collect(),
            lead: self.lead,
            threads: self.threads,
            page_bytes: self.page_bytes,
            timings: Timings { frozen_us: 0, total_us: self.total_us },
        }
    }
}

fn microseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// The signal that a process gets before it runs.
fn signal_of(saved: &Process, asked: Option<i32>) -> Option<i32> {
    match (asked, saved.state) {
        (Some(signal), _) => Some(signal),
        (None, State::Stopped(stop)) => Some(stop),
        (None, State::Running | State::Zombie(_)) => None,
    }
}

/// Stopped processes stay stopped unless a signal was asked for. They are stopped by ptrace: the signal waits until they are let go.
fn send_signals(job: &raise::Job, saved: &[Process], signal: Option<i32>) -> Result<(), Failure> {
    for (process, saved) in job.processes.iter().zip(saved).filter(|(process, _)| process.is_alive()) {
        if let Some(signal) = signal_of(saved, signal) {
            let error = |errno| KindError::host(format!("send signal {signal}"), errno);
            process::kill(process.pid, signal).map_err(error).at(Stage::Release)?;
        }
    }
    Ok(())
}
