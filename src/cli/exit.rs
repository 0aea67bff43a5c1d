//! All exit codes, and the ways a program ends before or after its work.
//!
//! Codes are those of BLCR: errno values and libcr's `CR_E*` codes modulo 256, 255 for usage errors and for a context file that
//! cannot be opened, 22 for option values out of range. Relies on `error`; printing is left to [`super::report`].

use std::process::ExitCode;

use clap_complete::Shell;

use crate::error::{Class, Failure, Stage};

/// Usage errors, a context file that cannot be opened, a hook killed by a signal, an unexpected wait status.
pub const USAGE: u8 = 255;
/// A value out of range, or options that exclude each other: EINVAL.
pub const INVALID: u8 = 22;
/// A program with rights that its caller does not have: EPERM.
const NOT_PERMITTED: u8 = 1;
/// A helper process could not be started or was killed.
pub const HELPER: u8 = 1;
/// `cr_run`: the command was not found.
pub const NOT_FOUND: u8 = 127;
/// `cr_run`: the command was found and could not be run.
pub const NOT_EXECUTABLE: u8 = 126;

/// Why a program ends while it still reads its command line.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// It was asked to say something about itself.
    Show(Show),
    /// The command line is wrong.
    Refuse(Refusal),
}

/// What a program says about itself, on stdout, with exit code 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// The help text.
    Help,
    /// Name and version.
    Version,
    /// The manual page, as roff.
    Man,
    /// A completion script.
    Completions(Shell),
}

/// A command line that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong with it.
    pub reason: Reason,
    /// The message.
    pub text: String,
    /// What it is about.
    pub path: Option<std::path::PathBuf>,
    /// What the user can do, which the message does not say.
    pub remedy: Option<String>,
}

/// The sorts of wrong command lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its form is wrong: the usage line follows the message.
    Usage,
    /// As [`Reason::Usage`], and the text has the usage line already.
    UsageShown,
    /// A value is out of range, or two options exclude each other.
    Value,
    /// The context file cannot be opened (`cr_restart` counts that among the arguments); the error number.
    Source(i32),
}

impl Refusal {
    /// A command line whose form is wrong.
    pub fn usage(text: impl Into<String>) -> Refusal {
        Refusal { reason: Reason::Usage, text: text.into(), path: None, remedy: None }
    }

    /// A value that is out of range, or options that exclude each other.
    pub fn value(text: impl Into<String>) -> Refusal {
        Refusal { reason: Reason::Value, text: text.into(), path: None, remedy: None }
    }

    /// The error number that `--json` shows.
    pub fn errno(&self) -> i32 {
        match self.reason {
            Reason::Usage | Reason::UsageShown | Reason::Value => libc::EINVAL,
            Reason::Source(errno) => errno,
        }
    }

    /// The exit code.
    pub fn status(&self) -> u8 {
        match self.reason {
            Reason::Usage | Reason::UsageShown | Reason::Source(_) => USAGE,
            Reason::Value => INVALID,
        }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refuse(refusal)
    }
}

/// The way `cr_restart` leaves: with a code, or by the signal that killed the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Exit with this code.
    Status(u8),
    /// Die of this signal, as the job did.
    Signal(i32),
}

/// The exit code of a failed checkpoint: the code's low byte, and never 0.
pub fn of_checkpoint(failure: &Failure) -> u8 {
    low_byte(failure.code)
}

/// The exit code that shells show for a program that died of a signal.
pub fn of_signal(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(USAGE)
}

/// The exit code of a failed restart: 255 when the context file could not be opened, else the code's low byte.
pub fn of_restart(failure: &Failure) -> u8 {
    if is_unopened_source(failure) { USAGE } else { low_byte(failure.code) }
}

/// Whether a restart failed because the context file could not be opened: the engine calls that args at load. So it does with a directory
/// that does not hold one whole job, which has EINVAL, a number that open(2) has no use for here.
pub fn is_unopened_source(failure: &Failure) -> bool {
    failure.class == Class::Args && failure.stage == Stage::Load && failure.code != libc::EINVAL && failure.subject.path.is_some()
}

fn low_byte(code: i32) -> u8 {
    match code.to_le_bytes()[0] {
        0 => USAGE,
        byte => byte,
    }
}

/// Refuses to run with rights of its own file instead of its caller's: the programs do as they are told. Call it first. The exit code, if it is refused.
pub fn refuse_borrowed_rights(program: &str) -> Option<ExitCode> {
    if !crate::sys::inherited::has_rights_of_its_file() {
        return None;
    }
    eprintln!(
        "{program}: refused: it was executed set-user-id, set-group-id or with file capabilities, and would do whatever its caller says with those \
         rights\n  class env (the machine must be put right): remove them (chmod ug-s, setcap -r), and use sudo or ambient capabilities"
    );
    Some(ExitCode::from(NOT_PERMITTED))
}

/// An exit code as `main` returns it.
pub fn code(status: u8) -> ExitCode {
    ExitCode::from(status)
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::error::Subject;

    fn failure(class: Class, stage: Stage, code: i32) -> Failure {
        Failure { class, stage, subject: Subject::path("/c"), code, cause: "reason".into(), remedy: None }
    }

    #[test]
    fn codes_are_those_of_the_manuals() {
        for (code, status) in [
            (libc::EBUSY, 16),
            (libc::EPERM, 1),
            (libc::ESRCH, 3),
            (libc::EEXIST, 17),
            (libc::ENOSPC, 28),
            (libc::ENOSYS, 38),
            (2354, 50),
            (2355, 51),
            (2356, 52),
            (2360, 56),
            (2361, 57),
            (256, 255),
        ] {
            assert_eq!(of_checkpoint(&failure(Class::Perm, Stage::Write, code)), status, "code {code}");
        }
    }

    #[test]
    fn a_context_file_that_cannot_be_opened_counts_as_usage() {
        assert_eq!(of_restart(&failure(Class::Args, Stage::Load, libc::ENOENT)), 255);
        assert_eq!(of_restart(&failure(Class::Args, Stage::Load, libc::EINVAL)), 22, "a directory without all files of a job");
        assert_eq!(of_restart(&failure(Class::Env, Stage::Plan, libc::ENOENT)), 2);
        assert_eq!(of_restart(&failure(Class::Perm, Stage::Load, libc::EINVAL)), 22);
    }

    #[test]
    fn refusals_are_255_or_22() {
        assert_eq!(Refusal::usage("x").status(), 255);
        assert_eq!(Refusal::value("x").status(), 22);
        assert_eq!(Refusal { reason: Reason::Source(2), ..Refusal::value("") }.status(), 255);
    }
}
