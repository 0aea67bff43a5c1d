//! The checkpoint: select, freeze, survey and capture, write, release.
//!
//! Reads like a table of contents; details are in the modules of the phases. On any error, dropping `Frozen` lets the job go unchanged
//! and dropping the target removes what was written.

use std::time::Instant;

use super::note::Notes;
use super::observe::{CheckpointReport, Observer};
use super::origin;
use super::output::Output;
use super::request::CheckpointRequest;
use super::survey::survey;
use super::tree::{SelectError, Selection};
use crate::error::{At, Failure, Stage};
use crate::image::{Snapshot, State};
use crate::resource::KindError;
use crate::sys::{Errno, process};
use crate::tracee::freeze::{Deadline, Frozen, freeze};

/// Writes a context file of a job, which runs on as before unless the request has a signal for it.
pub fn checkpoint(request: &CheckpointRequest, observer: &mut dyn Observer) -> Result<CheckpointReport, Failure> {
    let mut notes = Notes::default();
    let result = run(request, observer, &mut notes);
    notes.take().into_iter().for_each(|message| observer.message(message));
    result
}

fn run(request: &CheckpointRequest, observer: &mut dyn Observer, notes: &mut Notes) -> Result<CheckpointReport, Failure> {
    let begun = Instant::now();
    let deadline = Deadline::after(request.time_limit);
    observer.stage(Stage::Select);
    let selection = Selection::new(request).at(Stage::Select)?;
    selection.members().at(Stage::Select)?;
    let mut output = Output::open(request)?;

    observer.stage(Stage::Freeze);
    let mut frozen = freeze::<SelectError>(deadline, || selection.members()).at(Stage::Freeze)?;
    observer.stage(Stage::Survey);
    let mut draft = survey(&mut frozen, request.save, notes)?;
    draft.snapshot.origin = origin::here();
    draft.snapshot.scope = request.scope;
    draft.snapshot.ids = selection.ids().to_vec();

    observer.stage(Stage::Write);
    let saved = output.write(&mut draft, deadline, observer)?;
    let (processes, threads) = counts(&draft.snapshot);
    drop(draft);
    let mut report =
        CheckpointReport { processes, threads, bytes: saved.bytes, page_bytes: saved.page_bytes, ..CheckpointReport::default() };
    // A signal comes after the file is safe; without one the job need not wait for the disk.
    if request.signal.is_none() {
        report.frozen_us = release(frozen, None)?;
        report.path = output.finish(request.sync)?;
    } else {
        report.path = output.finish(request.sync)?;
        report.frozen_us = release(frozen, request.signal)?;
    }
    report.total_us = microseconds(begun);
    Ok(report)
}

/// Sends the signal, lets everybody go, and tells for how many microseconds they were stopped.
fn release(frozen: Frozen, signal: Option<i32>) -> Result<u64, Failure> {
    for process in frozen.processes.iter().filter(|process| !process.threads.is_empty()) {
        let Some(signal) = signal else { continue };
        let stops = matches!(signal, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU);
        if process.group_stop.is_some() && !stops && signal != libc::SIGCONT {
            send(process.pid, libc::SIGCONT)?;
        }
        send(process.pid, signal)?;
    }
    let since = frozen.since;
    frozen.release().at(Stage::Release)?;
    Ok(microseconds(since))
}

fn send(pid: i32, signal: i32) -> Result<(), Failure> {
    match process::kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(KindError::host(format!("send signal {signal} to process {pid}"), errno)).at(Stage::Release),
    }
}

fn counts(snapshot: &Snapshot) -> (usize, usize) {
    let alive = snapshot.processes.iter().filter(|process| !matches!(process.state, State::Zombie(_)));
    (snapshot.processes.len(), alive.map(|process| process.threads.len()).sum())
}

fn microseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
