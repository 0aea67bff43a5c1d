//! `cr_checkpoint` of a job that lives in namespaces of its own: the worker goes there first.
//!
//! What the tasks of such a job know of each other are the ids of its own pid namespace, so these are the ones to save. The worker enters the
//! user, pid and IPC namespaces of the job; its child, which alone is in the pid namespace, enters the mount namespace, where `/proc` shows the job's
//! ids, and takes the checkpoint as if the job had asked for it. The working directory is the same as before, by its name.
//!
//! Relies on being called before any thread exists.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::cli::exit::Ending;
use crate::cli::worker::{self, Principal, WorkerError};
use crate::engine::elsewhere::Elsewhere;
use crate::error::{Class, Classified, Subject};
use crate::sys::Errno;
use crate::sys::namespace::{Namespace, Sort};
use crate::sys::process::has_capability;

/// Why the namespaces of a job cannot be entered.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields are named in the messages")]
pub enum VisitError {
    /// The kernel says no.
    #[error("process {pid} is in another pid namespace, and we cannot {attempt}")]
    Refused { pid: i32, attempt: &'static str, source: Errno },
    /// Its mounts are others.
    #[error("process {pid} is in another mount namespace, where our working directory {path} is another")]
    Directory { pid: i32, path: String },
}

impl Classified for VisitError {
    fn class(&self) -> Class {
        Class::Env
    }

    fn errno(&self) -> Option<i32> {
        Some(match self {
            VisitError::Refused { source, .. } => *source as i32,
            VisitError::Directory { .. } => libc::ENOENT,
        })
    }

    fn subject(&self) -> Subject {
        match self {
            VisitError::Refused { pid, .. } | VisitError::Directory { pid, .. } => Subject::pid(*pid),
        }
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            VisitError::Refused { .. } => "run cr_checkpoint as the user who restarted the job, or as root".into(),
            VisitError::Directory { .. } => "run cr_checkpoint in a directory that the job can see, too".into(),
        })
    }
}

/// Enters the namespaces of the job and runs `work` there, or tells it why not; returns how it ended. Changes this process for good.
pub fn visit(job: &Elsewhere, limit: Option<Duration>, work: impl FnOnce(Result<(), VisitError>) -> Ending) -> Result<Ending, WorkerError> {
    let pid = job.by;
    match enter(pid) {
        Ok(mounts) => worker::supervise(Principal::Worker, limit, || work(arrive(pid, mounts.as_ref()))),
        Err(error) => Ok(work(Err(error))),
    }
}

fn refused(pid: i32, attempt: &'static str) -> impl FnOnce(io::Error) -> VisitError {
    move |error| VisitError::Refused { pid, attempt, source: Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)) }
}

/// What is done before the fork, while `/proc` still shows us. Returns the mount namespace if it is another.
fn enter(pid: i32) -> Result<Option<Namespace>, VisitError> {
    const CAP_SYS_ADMIN: u32 = 21;
    let other = |sort| -> io::Result<Option<Namespace>> {
        let namespace = Namespace::of(pid, sort)?;
        Ok(if namespace.is_own()? { None } else { Some(namespace) })
    };
    // Whoever may enter the others anyway keeps its own users and rights.
    let users = if has_capability(CAP_SYS_ADMIN) { Ok(None) } else { other(Sort::User) };
    let users = users.map_err(refused(pid, "open its user namespace"))?;
    let pids = other(Sort::Pid).map_err(refused(pid, "open its pid namespace"))?;
    let mounts = other(Sort::Mount).map_err(refused(pid, "open its mount namespace"))?;
    let objects = other(Sort::Ipc).map_err(refused(pid, "open its IPC namespace"))?;
    for namespace in users.iter().chain(&pids).chain(&objects) {
        namespace.enter().map_err(|errno| refused(pid, "enter its namespaces")(errno.into()))?;
    }
    Ok(mounts)
}

/// What is done after the fork, in the pid namespace of the job.
fn arrive(pid: i32, mounts: Option<&Namespace>) -> Result<(), VisitError> {
    let Some(mounts) = mounts else { return Ok(()) };
    let directory = std::env::current_dir().map_err(refused(pid, "tell our working directory"))?;
    let identity = |directory: &Path| std::fs::metadata(directory).map(|data| (data.dev(), data.ino()));
    let before = identity(&directory).map_err(refused(pid, "look at our working directory"))?;
    mounts.enter().map_err(|errno| refused(pid, "enter its mount namespace")(errno.into()))?;
    match std::env::set_current_dir(&directory).and_then(|()| identity(&directory)) {
        Ok(after) if before == after => Ok(()),
        Ok(_) | Err(_) => Err(VisitError::Directory { pid, path: directory.display().to_string() }),
    }
}
