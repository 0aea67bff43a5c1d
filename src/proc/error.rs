//! What can go wrong with `/proc`: the process ended, it may not be looked at, or the kernel wrote something unexpected.
//!
//! Relies on `error::Classified`. The stage is added by the engine.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::error::{Class, Classified, Subject};

/// Where a text stops making sense: the line, counted from 1, and what should have stood there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Line, counted from 1.
    pub line: usize,
    /// What was looked for.
    pub expected: &'static str,
}

/// A failure to read or understand a file below `/proc`. `pid` is none for files of the whole system.
#[derive(Debug, Error)]
pub enum ProcError {
    /// The process or thread ended, or (for its memory) is a zombie. Normal: a job may die at any time.
    #[error("process {pid} has ended")]
    Gone {
        /// The process it was.
        pid: i32,
    },
    /// Only the user of the process or root may do this.
    #[error("cannot {attempt} {}: permission denied", file.display())]
    Denied {
        /// Verb: read, open, list …
        attempt: &'static str,
        /// Process.
        pid: Option<i32>,
        /// Full path.
        file: PathBuf,
    },
    /// The process lives but has no such descriptor, area or thread, or the kernel has no such file.
    #[error("cannot {attempt} {}: it does not exist", file.display())]
    Absent {
        /// Verb: read, open, list …
        attempt: &'static str,
        /// Process.
        pid: Option<i32>,
        /// Full path.
        file: PathBuf,
    },
    /// Anything else the kernel refused.
    #[error("cannot {attempt} {}", file.display())]
    Io {
        /// Verb: read, open, list …
        attempt: &'static str,
        /// Process.
        pid: Option<i32>,
        /// Full path.
        file: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The text is not what proc(5) describes.
    #[error("cannot understand {}: line {line}: expected {expected}", file.display())]
    Malformed {
        /// Process.
        pid: Option<i32>,
        /// Full path.
        file: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What was looked for.
        expected: &'static str,
    },
}

impl Classified for ProcError {
    fn class(&self) -> Class {
        match self {
            ProcError::Gone { .. } => Class::Temp,
            ProcError::Denied { .. } | ProcError::Absent { .. } => Class::Env,
            ProcError::Io { source, .. } => source.raw_os_error().map_or(Class::Perm, Class::of_errno),
            ProcError::Malformed { .. } => Class::Perm,
        }
    }

    fn errno(&self) -> Option<i32> {
        match self {
            ProcError::Gone { .. } => Some(libc::ESRCH),
            ProcError::Denied { .. } => Some(libc::EACCES),
            ProcError::Absent { .. } => Some(libc::ENOENT),
            ProcError::Io { source, .. } => source.raw_os_error(),
            ProcError::Malformed { .. } => None,
        }
    }

    fn subject(&self) -> Subject {
        let (pid, file) = match self {
            ProcError::Gone { pid } => return Subject::pid(*pid),
            ProcError::Denied { pid, file, .. }
            | ProcError::Absent { pid, file, .. }
            | ProcError::Io { pid, file, .. }
            | ProcError::Malformed { pid, file, .. } => (*pid, file.clone()),
        };
        Subject { pid, path: Some(file), ..Subject::default() }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            ProcError::Denied { .. } => Some("run it as the user of the job, or as root".to_owned()),
            ProcError::Malformed { .. } => Some("report this text and the kernel version: the format is new to us".to_owned()),
            ProcError::Gone { .. } | ProcError::Absent { .. } | ProcError::Io { .. } => None,
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::error::{Failure, Stage};

    fn check(error: ProcError, class: Class, code: i32, text: &str) {
        let failure = Failure::new(Stage::Survey, error);
        assert_eq!((failure.class, failure.code, failure.to_string().as_str()), (class, code, text));
    }

    #[test]
    fn every_failure_names_the_attempt_the_object_and_the_reason() {
        let (pid, file) = (Some(12), PathBuf::from("/proc/12/smaps"));
        let reason = io::Error::from_raw_os_error(libc::ENOMEM);
        check(ProcError::Gone { pid: 12 }, Class::Temp, libc::ESRCH, "process 12 has ended");
        check(
            ProcError::Denied { attempt: "read", pid, file: file.clone() },
            Class::Env,
            libc::EACCES,
            "cannot read /proc/12/smaps: permission denied",
        );
        check(
            ProcError::Absent { attempt: "read", pid, file: file.clone() },
            Class::Env,
            libc::ENOENT,
            "cannot read /proc/12/smaps: it does not exist",
        );
        check(
            ProcError::Io { attempt: "read", pid, file: file.clone(), source: reason },
            Class::Temp,
            libc::ENOMEM,
            "cannot read /proc/12/smaps: Cannot allocate memory (os error 12)",
        );
        check(
            ProcError::Malformed { pid, file, line: 3, expected: "a device" },
            Class::Perm,
            libc::EINVAL,
            "cannot understand /proc/12/smaps: line 3: expected a device",
        );
    }

    #[test]
    fn a_denied_look_names_its_subject_and_a_remedy() {
        let error = ProcError::Denied { attempt: "open", pid: Some(7), file: "/proc/7/mem".into() };
        assert_eq!(error.subject().to_string(), "process 7, /proc/7/mem");
        assert_eq!(error.remedy().as_deref(), Some("run it as the user of the job, or as root"));
    }
}
