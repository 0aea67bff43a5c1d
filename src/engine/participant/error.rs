//! Why a checkpoint or a restart failed because of programs that take part.

use libcr_wire::code;

use crate::error::{Class, Classified, Subject};
use crate::proc::ProcDir;

/// What went wrong with a program that takes part.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields are named in the messages")]
pub enum ParticipantError {
    /// A callback said: not now.
    #[error("process {pid} ({name}) cannot be checkpointed now: a callback of it said so{}", private(*.code, code::TEMPFAIL))]
    Temporary { pid: i32, name: String, code: i32 },
    /// A callback said: never.
    #[error("process {pid} ({name}) cannot be checkpointed: a callback of it said so, and the job was killed{}", private(*.code, code::PERMFAIL))]
    Permanent { pid: i32, name: String, code: i32 },
    /// A callback failed after a checkpoint.
    #[error("a callback of process {pid} ({name}) failed with {returned} after the checkpoint, and the job was killed")]
    Spoilt { pid: i32, name: String, returned: i32 },
    /// A callback failed after a restart.
    #[error("a callback of process {pid} ({name}) failed with {returned} after the restart, and the job was killed")]
    Aborted { pid: i32, name: String, returned: i32 },
    /// It has no libcr, and everybody must.
    #[error("process {pid} ({name}) has no libcr")]
    Unsupported { pid: i32, name: String },
    /// Its libcr is of another release.
    #[error("process {pid} ({name}) has a libcr of version {version} of the interface with the engine, not {}", libcr_wire::VERSION)]
    Version { pid: i32, name: String, version: u32 },
    /// It takes part in another checkpoint, or callbacks of its restart still run.
    #[error("process {pid} ({name}) takes part in another checkpoint or restart, which is not over")]
    Busy { pid: i32, name: String },
    /// The requester has said that it must not be part of the checkpoint.
    #[error("process {pid}, which asks for the checkpoint, would be part of it")]
    Oneself { pid: i32 },
    /// It has not answered.
    #[error("process {pid} ({name}) has not answered in time: {what}")]
    Silent { pid: i32, name: String, what: String },
}

fn private(code: i32, usual: i32) -> String {
    if code == usual { String::new() } else { format!(" (code {code})") }
}

/// The name of a process, for messages.
pub fn name_of(pid: i32) -> String {
    ProcDir::open(pid).and_then(|dir| dir.stat()).map(|stat| stat.comm.to_string_lossy().into_owned()).unwrap_or_default()
}

impl ParticipantError {
    fn pid(&self) -> i32 {
        match self {
            ParticipantError::Temporary { pid, .. }
            | ParticipantError::Permanent { pid, .. }
            | ParticipantError::Spoilt { pid, .. }
            | ParticipantError::Aborted { pid, .. }
            | ParticipantError::Unsupported { pid, .. }
            | ParticipantError::Version { pid, .. }
            | ParticipantError::Busy { pid, .. }
            | ParticipantError::Oneself { pid }
            | ParticipantError::Silent { pid, .. } => *pid,
        }
    }
}

impl Classified for ParticipantError {
    fn class(&self) -> Class {
        match self {
            ParticipantError::Temporary { .. } | ParticipantError::Busy { .. } | ParticipantError::Silent { .. } => Class::Temp,
            ParticipantError::Unsupported { .. } | ParticipantError::Version { .. } => Class::Env,
            ParticipantError::Oneself { .. } => Class::Args,
            ParticipantError::Permanent { .. } | ParticipantError::Spoilt { .. } | ParticipantError::Aborted { .. } => Class::Perm,
        }
    }

    fn errno(&self) -> Option<i32> {
        Some(match self {
            ParticipantError::Temporary { code, .. } | ParticipantError::Permanent { code, .. } => *code,
            ParticipantError::Spoilt { .. } => code::PERMFAIL,
            ParticipantError::Aborted { .. } => code::RSTRTABRT,
            ParticipantError::Unsupported { .. } => code::NOSUPPORT,
            ParticipantError::Version { .. } => code::VERSION,
            ParticipantError::Busy { .. } => libc::EBUSY,
            ParticipantError::Oneself { .. } => libc::EDEADLK,
            ParticipantError::Silent { .. } => libc::ETIME,
        })
    }

    fn subject(&self) -> Subject {
        Subject::pid(self.pid())
    }

    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            ParticipantError::Temporary { .. } => "try again later",
            ParticipantError::Busy { .. } => "wait until that is over, and try again",
            ParticipantError::Silent { .. } => "the job runs on; allow more with --time, or look at its callbacks and critical sections",
            ParticipantError::Unsupported { .. } => "start it with cr_run, link it with libcr, or leave --require-libcr out",
            ParticipantError::Version { .. } => "install libcr and the programs of the same release, and start the job again",
            ParticipantError::Oneself { .. } => "name others, or leave CR_CHKPT_PROHIBIT_SELF out",
            ParticipantError::Permanent { .. } | ParticipantError::Spoilt { .. } | ParticipantError::Aborted { .. } => return None,
        };
        Some(remedy.into())
    }
}
