//! The restart: load, plan, build, raise and fill, bind, release.
//!
//! Reads like a table of contents. Until the release any failure kills every stub, and nothing is left behind.

mod bind;
mod build;
mod error;
mod fill;
mod load;
mod plan;
mod raise;
mod space;
mod table;

use std::time::{Duration, Instant};

pub use error::PlanError;

use super::note::Notes;
use super::observe::{Observer, RestartReport};
use super::request::{RestartRequest, Source};
use crate::error::{At, Failure, Stage};
use crate::image::State;
use crate::sys::process;

/// Brings a job back. Its processes run when this returns; the caller waits for [`RestartReport::lead`].
pub fn restart(request: &RestartRequest, observer: &mut dyn Observer) -> Result<RestartReport, Failure> {
    const MOST_ATTEMPTS: u32 = 5;
    const PAUSE: Duration = Duration::from_millis(30);
    let mut notes = Notes::default();
    let mut attempt = 1;
    let result = loop {
        let result = run(request, observer, &mut notes);
        if result.is_err() {
            // Every stub has been killed: none may keep its id as a zombie of ours.
            process::reap_killed();
        }
        // Ids of a job that has just been killed are invisible in /proc a moment before the kernel has freed them.
        let id_taken = |failure: &Failure| failure.stage == Stage::Raise && failure.code == libc::EBUSY;
        let again = attempt < MOST_ATTEMPTS && matches!(request.source, Source::File(_)) && result.as_ref().is_err_and(id_taken);
        if !again {
            break result;
        }
        attempt += 1;
        std::thread::sleep(PAUSE);
    };
    notes.take().into_iter().for_each(|message| observer.message(message));
    result
}

fn run(request: &RestartRequest, observer: &mut dyn Observer, notes: &mut Notes) -> Result<RestartReport, Failure> {
    let begun = Instant::now();
    observer.stage(Stage::Load);
    let mut pages = load::open(&request.source)?;
    let snapshot = pages.snapshot().clone();

    if request.verify && pages.is_seekable() {
        pages.verify(observer)?;
    }

    observer.stage(Stage::Plan);
    let plan = plan::plan(&snapshot, request, notes)?;

    observer.stage(Stage::Build);
    let mut built = build::build(&snapshot, &plan, notes)?;

    observer.stage(Stage::Raise);
    let mut fill = fill::Fill::new(&snapshot, &mut pages, observer);
    let mut job = raise::raise(&snapshot, &plan, &mut built, &mut fill, notes)?;
    let page_bytes = fill.finish()?;

    observer.stage(Stage::Bind);
    bind::bind(&snapshot, &plan, &built, &mut job, notes)?;

    observer.stage(Stage::Release);
    let report = RestartReport {
        lead: plan.lead(&snapshot).map(|index| job.pid_of(index)),
        pids: snapshot.processes.iter().enumerate().map(|(index, saved)| (saved.pid, job.pid_of(index))).collect(),
        threads: job.n_threads(),
        page_bytes,
        ..RestartReport::default()
    };
    release(job, &snapshot.processes, request.signal)?;
    built.keep();
    let total_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(RestartReport { total_us, ..report })
}

/// Lets the job go on: stopped processes stay stopped unless a signal was asked for.
fn release(job: raise::Job, saved: &[crate::image::Process], signal: Option<i32>) -> Result<(), Failure> {
    for (process, saved) in job.processes.iter().zip(saved).filter(|(process, _)| process.is_alive()) {
        let signal = match (signal, saved.state) {
            (Some(signal), _) => Some(signal),
            (None, State::Stopped(stop)) => Some(stop),
            (None, State::Running | State::Zombie(_)) => None,
        };
        // The process is stopped by ptrace: the signal waits until it is let go.
        if let Some(signal) = signal {
            let error = |errno| crate::resource::KindError::host(format!("send signal {signal}"), errno);
            process::kill(process.pid, signal).map_err(error).at(Stage::Release)?;
        }
    }
    job.release()
}
