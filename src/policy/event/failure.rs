//! What scripts are told about a checkpoint or a restart that failed.
//!
//! Relies on [`Failure`], which has everything already.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Failure;

/// Codes from here on are libcr's own.
const FIRST_LIBCR_CODE: i32 = 2354;

/// `checkpoint-failed`, `fail-args`, `fail-temp`, `fail-env`, `fail-perm`: it did not succeed, and everything was put back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailureEvent {
    /// Who can fix it: `args`, `temp`, `env` or `perm`.
    pub class: String,
    /// Error number, or one of libcr's codes from 2354 up.
    pub code: i32,
    /// What was attempted and why it failed.
    pub message: String,
    /// The phase in which it failed, for example `plan`.
    pub stage: String,
    /// Process concerned; nil when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Descriptor concerned; nil when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<i32>,
    /// Path concerned; nil when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The error number; nil for libcr's own codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// What the user can do; nil when nothing helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Which attempt it was, from 1.
    pub attempt: u32,
}

impl FailureEvent {
    /// A failure as scripts see it.
    pub fn of(failure: &Failure, attempt: u32) -> FailureEvent {
        FailureEvent {
            class: failure.class.word().into(),
            code: failure.code,
            message: failure.words().join(": "),
            stage: failure.stage.word().into(),
            pid: failure.subject.pid,
            descriptor: failure.subject.fd,
            path: failure.subject.path.as_ref().map(|path| path.to_string_lossy().into_owned()),
            errno: Some(failure.code).filter(|code| *code < FIRST_LIBCR_CODE),
            remedy: failure.remedy.clone(),
            attempt,
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::error::{Class, Stage, Subject};

    #[test]
    fn the_message_is_the_one_that_people_see() {
        let cause = std::io::Error::from_raw_os_error(libc::ENOENT).into();
        let failure =
            Failure { class: Class::Env, stage: Stage::Plan, subject: Subject::default(), code: libc::ENOENT, cause, remedy: None };
        assert_eq!(FailureEvent::of(&failure, 1).message, "No such file or directory");
    }
}
