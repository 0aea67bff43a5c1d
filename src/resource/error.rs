//! Why a kind could not capture, plan, build or bind something.
//!
//! Relies on the errors of the layers below. The engine adds process, descriptor and path where a kind cannot know them.

use std::path::PathBuf;

use crate::error::{Class, Classified, Subject};
use crate::image::{OTHER_RELEASE, RecordError};
use crate::proc::ProcError;
use crate::sys::Errno;
use crate::tracee::TraceeError;

/// Why a kind failed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields are named in the messages")]
pub enum KindError {
    /// Something that no kind can save or rebuild.
    #[error("{what} cannot be checkpointed")]
    Unsupported { what: String, remedy: String },
    /// Something that was saved and cannot be made again here.
    #[error("{what} cannot be restored")]
    Unrestorable { what: String, remedy: String },
    /// A record of a kind that this release does not have.
    #[error("the context file holds a record of the unknown kind {kind}")]
    UnknownKind { kind: String },
    /// The machine said no.
    #[error("cannot {attempt}{}", path.as_ref().map(|p| format!(" {}", p.display())).unwrap_or_default())]
    Host { attempt: String, path: Option<PathBuf>, source: Errno },
    /// A file is not what it was at the checkpoint.
    #[error("{} has changed since the checkpoint: {what}", path.display())]
    Changed { path: PathBuf, what: String },
    /// A file that the job reads is not what it was at the checkpoint.
    #[error("{}, which the job reads, has changed since the checkpoint: {what}", path.display())]
    OtherInput { path: PathBuf, what: String },
    /// A file that the job writes lacks what it had.
    #[error("{} has {now} bytes, and had {was} at the checkpoint, in the middle of which the job writes", path.display())]
    Shorter { path: PathBuf, was: u64, now: u64 },
    /// A link was put on the way to a file.
    #[error("a symbolic link stands in the path {}, which had none at the checkpoint", path.display())]
    Link { path: PathBuf },
    /// The job has no longer the rights with which it once got something, and it is not safe to use ours.
    #[error("cannot {attempt} {} as user {uid}, with whose rights the job runs", path.display())]
    NotTheJobs { attempt: String, path: PathBuf, uid: u32, source: Errno },
    /// Somebody has what the job needs.
    #[error("{what} is taken{}", by.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    Taken { what: String, by: Option<i32>, remedy: String },
    /// Somebody has an id of the job, or had it a moment ago.
    #[error("process id {id} is in use")]
    IdTaken { id: i32 },
    /// Rights that the user of the restart does not have.
    #[error("{what}")]
    Denied { what: String, remedy: String },
    /// The context file says something that cannot be true.
    #[error("the context file contradicts itself: {what}")]
    Inconsistent { what: String },
    /// `/proc` could not be read.
    #[error(transparent)]
    Proc(#[from] ProcError),
    /// The stopped task could not be worked on.
    #[error(transparent)]
    Tracee(#[from] TraceeError),
    /// A record could not be made or understood.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl KindError {
    /// What to do when an id of the job is in use.
    pub const ID_REMEDY: &str = "wait until it is free (hooks/wait_for_pid.lua does), restart in namespaces where it is free: --namespace, or with new ids: --no-restore-pid";

    /// Whether a release that knows more kinds or versions would not fail like this.
    pub fn needs_other_release(&self) -> bool {
        matches!(self, KindError::UnknownKind { .. } | KindError::Record(RecordError::Version { .. }))
    }

    /// A failed call about no particular file.
    pub fn host(attempt: impl Into<String>, source: Errno) -> KindError {
        KindError::Host { attempt: attempt.into(), path: None, source }
    }

    /// A failed call about a file.
    pub fn path(attempt: impl Into<String>, path: impl Into<PathBuf>, source: Errno) -> KindError {
        KindError::Host { attempt: attempt.into(), path: Some(path.into()), source }
    }
}

impl Classified for KindError {
    fn class(&self) -> Class {
        match self {
            KindError::Unsupported { .. }
            | KindError::Unrestorable { .. }
            | KindError::UnknownKind { .. }
            | KindError::Inconsistent { .. } => Class::Perm,
            KindError::Host { source: Errno::EMFILE | Errno::ENFILE | Errno::ENOSPC | Errno::EDQUOT | Errno::EROFS, .. } => Class::Env,
            KindError::Host { source, .. } => Class::of_errno(*source as i32),
            KindError::Changed { .. }
            | KindError::OtherInput { .. }
            | KindError::Shorter { .. }
            | KindError::Link { .. }
            | KindError::NotTheJobs { .. } => Class::Env,
            KindError::Taken { .. } | KindError::IdTaken { .. } => Class::Temp,
            KindError::Denied { .. } => Class::Env,
            KindError::Proc(error) => error.class(),
            KindError::Tracee(error) => error.class(),
            KindError::Record(error) => error.class(),
        }
    }

    fn errno(&self) -> Option<i32> {
        match self {
            KindError::Unsupported { .. } | KindError::Unrestorable { .. } => Some(libc::EOPNOTSUPP),
            KindError::UnknownKind { .. } | KindError::Inconsistent { .. } => Some(libc::EINVAL),
            KindError::Host { source, .. } => Some(*source as i32),
            KindError::Changed { .. } | KindError::OtherInput { .. } | KindError::Shorter { .. } => Some(libc::ESTALE),
            KindError::Link { .. } => Some(libc::ELOOP),
            KindError::NotTheJobs { source, .. } => Some(*source as i32),
            KindError::Taken { .. } | KindError::IdTaken { .. } => Some(libc::EBUSY),
            KindError::Denied { .. } => Some(libc::EPERM),
            KindError::Proc(error) => error.errno(),
            KindError::Tracee(error) => error.errno(),
            KindError::Record(error) => error.errno(),
        }
    }

    fn subject(&self) -> Subject {
        match self {
            KindError::Host { path: Some(path), .. }
            | KindError::Changed { path, .. }
            | KindError::OtherInput { path, .. }
            | KindError::Shorter { path, .. }
            | KindError::Link { path }
            | KindError::NotTheJobs { path, .. } => Subject::path(path),
            KindError::IdTaken { id } => Subject::pid(*id),
            KindError::Proc(error) => error.subject(),
            KindError::Tracee(error) => error.subject(),
            KindError::Record(error) => error.subject(),
            KindError::Unsupported { .. }
            | KindError::Unrestorable { .. }
            | KindError::UnknownKind { .. }
            | KindError::Inconsistent { .. }
            | KindError::Host { path: None, .. }
            | KindError::Taken { .. }
            | KindError::Denied { .. } => Subject::default(),
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            KindError::Unsupported { remedy, .. }
            | KindError::Unrestorable { remedy, .. }
            | KindError::Taken { remedy, .. }
            | KindError::Denied { remedy, .. } => Some(remedy.clone()),
            KindError::IdTaken { .. } => Some(KindError::ID_REMEDY.into()),
            KindError::UnknownKind { .. } => Some(OTHER_RELEASE.into()),
            KindError::Host { path: Some(_), source: Errno::ENOENT, .. } => {
                Some("put the file back, or say where it is now with --relocate OLD=NEW".into())
            }
            KindError::Host { path: Some(_), source: Errno::EACCES | Errno::EPERM, .. } => {
                Some("give the user of the restart access to it".into())
            }
            KindError::Host { source: Errno::EMFILE, .. } => {
                Some("raise the limit on open files with ulimit -n: a restart needs up to two for each descriptor of the job".into())
            }
            KindError::Host { source: Errno::EROFS, .. } => Some("choose another place, or make this one writable".into()),
            KindError::Host { source: Errno::ENOSPC | Errno::EDQUOT, .. } => Some("make room there".into()),
            KindError::Host { source: Errno::ENFILE, .. } => Some("raise /proc/sys/fs/file-max".into()),
            KindError::Host { .. } | KindError::Inconsistent { .. } => None,
            KindError::Changed { .. } => {
                Some("put the file back as it was; next time, take it along with --save-all at the checkpoint".into())
            }
            KindError::OtherInput { path, .. } => Some(format!(
                "put the file back as it was, or go on reading it as it is with --file '{0}=merge', from its start with --file '{0}=ignore'; \
                 next time, take it along with --file '{0}=replace' at the checkpoint",
                path.display()
            )),
            KindError::Shorter { path, .. } => {
                Some(format!("put the file back as it was, or let the job go on at its end with --file '{}=append'", path.display()))
            }
            KindError::Link { .. } => Some("say where the file is now with --relocate OLD=NEW: links in NEW are followed".into()),
            KindError::NotTheJobs { uid, .. } => Some(format!(
                "give user {uid} access to it, or close it before the checkpoint: what only root could open is opened for the job only if it \
                 is the same file and nobody but root can write to the directories on the way"
            )),
            KindError::Proc(error) => error.remedy(),
            KindError::Tracee(error) => error.remedy(),
            KindError::Record(error) => error.remedy(),
        }
    }
}
