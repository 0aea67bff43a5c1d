//! The tools under strange callers: those that send signals in the middle, close descriptors, ignore signals, set limits.
//!
//! Whatever the caller does, the job is unharmed and nothing is left behind. Relies on the test program `process`. Leaves rights of context files to
//! `rights`.

mod given_up;
mod surroundings;

use std::path::PathBuf;

use nix::unistd::Pid;

use crate::case::{Case, Scene};
use crate::job::Job;
use crate::observe;
use crate::site::Site;
use crate::verdict::{Attempt, Verdict, ensure, skipped};

/// Every strange caller.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[
        ("signal-during-hook", given_up::during_hook),
        ("signal-during-write", given_up::during_write),
        ("signal-ignored", given_up::ignored),
        ("front-killed", given_up::front_killed),
        ("worker-stopped", given_up::worker_stopped),
        ("closed-descriptors", surroundings::closed_descriptors),
        ("descriptors-of-the-job", surroundings::descriptors_of_the_job),
        ("sigchld-ignored", surroundings::sigchld_ignored),
        ("file-size", surroundings::file_size),
        ("tiny-limits", surroundings::tiny_limits),
        ("setuid", surroundings::setuid),
        ("nohup", surroundings::nohup),
    ];
    scenes.iter().map(|(journey, scene)| Case::new("caller", journey, *scene).patient(180)).collect()
}

/// A job that has got ready, under ids of its own.
fn start(site: &Site) -> Verdict<Job> {
    if !site.namespaced {
        return Err(skipped("needs its own pids"));
    }
    let job = site.start(site.command(site.program("process")))?;
    site.wait_ready(&job)?;
    Ok(job)
}

fn context(site: &Site) -> PathBuf {
    site.context("job.ctx")
}

/// The process that does the work of a cr_checkpoint.
fn worker(front: Pid) -> Option<Pid> {
    observe::descendants().into_iter().find(|pid| observe::parent(*pid) == Some(front))
}

/// No file was made, hidden or not, whose name begins with that of the context file.
fn nothing_made(site: &Site) -> Verdict {
    let entries = std::fs::read_dir(&site.dir).attempt("list the case's directory")?;
    let names = entries.flatten().map(|entry| entry.file_name().display().to_string());
    let made: Vec<String> = names.filter(|name| name.trim_start_matches('.').starts_with("job.ctx")).collect();
    ensure(made.is_empty(), || format!("left behind: {}", made.join(" ")))
}
