//! What can go wrong, in one vocabulary: who can fix it (class), where it happened (stage), on what (subject).
//!
//! Relies on the standard library only.
//! Each layer keeps an error enum of its own and classifies every variant by implementing [`Classified`]; the engine turns it
//! into a [`Failure`] by adding the stage. Printing is left to `cli::report`, exit codes to `cli::exit`.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

/// Who can fix a failure (`cr_restart(1)`, "Error handling").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// The request is wrong: the caller must change it.
    Args,
    /// The same request may succeed later.
    Temp,
    /// The machine must be put right: a file, a permission, a kernel feature.
    Env,
    /// It will never succeed.
    Perm,
}

impl Class {
    /// BLCR's table from errno to class, for failures nobody classified closer to their cause.
    pub fn of_errno(errno: i32) -> Class {
        match errno {
            libc::ENOMEM | libc::EBUSY | libc::EAGAIN => Class::Temp,
            libc::EACCES | libc::EPERM | libc::ENOENT | libc::EEXIST | libc::EISDIR | libc::ENOTDIR => Class::Env,
            _ => Class::Perm,
        }
    }

    /// The word used in messages, `--json` and event names (`fail-temp` …).
    pub fn word(self) -> &'static str {
        match self {
            Class::Args => "args",
            Class::Temp => "temp",
            Class::Env => "env",
            Class::Perm => "perm",
        }
    }
}

/// The phase of a checkpoint or a restart in which a failure happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant is the phase of the same name in lib.rs")]
pub enum Stage {
    Request,
    Select,
    Freeze,
    Survey,
    Capture,
    Review,
    Write,
    Release,
    Load,
    Plan,
    Build,
    Raise,
    Fill,
    Bind,
    Wait,
}

impl Stage {
    /// The word used in messages and `--json`.
    pub fn word(self) -> &'static str {
        match self {
            Stage::Request => "request",
            Stage::Select => "select",
            Stage::Freeze => "freeze",
            Stage::Survey => "survey",
            Stage::Capture => "capture",
            Stage::Review => "review",
            Stage::Write => "write",
            Stage::Release => "release",
            Stage::Load => "load",
            Stage::Plan => "plan",
            Stage::Build => "build",
            Stage::Raise => "raise",
            Stage::Fill => "fill",
            Stage::Bind => "bind",
            Stage::Wait => "wait",
        }
    }
}

/// What a failure is about. Empty fields are simply not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Subject {
    /// Process or thread id.
    pub pid: Option<i32>,
    /// Descriptor number in that process.
    pub fd: Option<i32>,
    /// Path of the file concerned.
    pub path: Option<PathBuf>,
}

impl Subject {
    /// A process or thread.
    pub fn pid(pid: i32) -> Subject {
        Subject { pid: Some(pid), ..Subject::default() }
    }

    /// A descriptor of a process, and where it leads.
    pub fn descriptor(pid: i32, fd: i32, path: impl Into<PathBuf>) -> Subject {
        Subject { pid: Some(pid), fd: Some(fd), path: Some(path.into()) }
    }

    /// A file.
    pub fn path(path: impl Into<PathBuf>) -> Subject {
        Subject { path: Some(path.into()), ..Subject::default() }
    }

    /// Fills in what `self` does not know from `other`.
    pub fn or(self, other: Subject) -> Subject {
        Subject { pid: self.pid.or(other.pid), fd: self.fd.or(other.fd), path: self.path.or(other.path) }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if let Some(pid) = self.pid {
            write!(f, "process {pid}")?;
            separator = ", ";
        }
        if let Some(fd) = self.fd {
            write!(f, "{separator}descriptor {fd}")?;
            separator = ", ";
        }
        if let Some(path) = &self.path {
            write!(f, "{separator}{}", path.display())?;
        }
        Ok(())
    }
}

/// An error that knows its class. Every layer's enum implements it with exhaustive matches.
pub trait Classified: Error + Send + Sync + 'static {
    /// Who can fix it.
    fn class(&self) -> Class;
    /// The error number that becomes the exit status, when there is one.
    fn errno(&self) -> Option<i32> {
        None
    }
    /// What it is about.
    fn subject(&self) -> Subject {
        Subject::default()
    }
    /// What the user can do next.
    fn remedy(&self) -> Option<String> {
        None
    }
}

/// One failed checkpoint or restart: everything a message, a `--json` object or a hook needs.
#[derive(Debug)]
pub struct Failure {
    /// Who can fix it.
    pub class: Class,
    /// Where it happened.
    pub stage: Stage,
    /// On what.
    pub subject: Subject,
    /// An errno, or one of libcr's `CR_E*` codes (2354 to 2365); the exit status is its low byte.
    pub code: i32,
    /// What was attempted and why it failed.
    pub cause: Box<dyn Error + Send + Sync>,
    /// What to do next.
    pub remedy: Option<String>,
}

impl Failure {
    /// Adds the stage to a classified error.
    pub fn new(stage: Stage, error: impl Classified) -> Failure {
        let class = error.class();
        let code = error.errno().unwrap_or(match class {
            Class::Args => libc::EINVAL,
            Class::Temp => libc::EBUSY,
            Class::Env => libc::ENOENT,
            Class::Perm => libc::EINVAL,
        });
        Failure { class, stage, subject: error.subject(), code, remedy: error.remedy(), cause: Box::new(error) }
    }

    /// Adds what the failing layer could not know about the subject.
    pub fn about(mut self, subject: Subject) -> Failure {
        self.subject = self.subject.or(subject);
        self
    }

    /// The messages of the whole chain of causes, outermost first.
    pub fn chain(&self) -> Vec<String> {
        let mut messages = vec![self.cause.to_string()];
        let mut source = self.cause.source();
        while let Some(error) = source {
            messages.push(error.to_string());
            source = error.source();
        }
        messages
    }

    /// The causes as people read them: without numbers of errors, and without those that their predecessor already quotes.
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        for link in self.chain() {
            let link = without_number(&link);
            if !words.last().is_some_and(|last| last.contains(&link)) {
                words.push(link);
            }
        }
        words
    }
}

/// Where the texts of nix are not those that users know from the C library.
const KNOWN_WORDS: [(&str, &str); 4] = [
    ("Bad file number", "Bad file descriptor"),
    ("Try again", "Resource temporarily unavailable"),
    ("Not a typewriter", "Inappropriate ioctl for device"),
    ("Operation not supported on transport endpoint", "Operation not supported"),
];

/// A message of the standard library without its "(os error 2)", one of nix without the name of the error.
pub fn without_number(text: &str) -> String {
    let is_name = |word: &str| word.starts_with('E') && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    let text = text.split_once(": ").filter(|(name, _)| is_name(name)).map_or(text, |(_, words)| words);
    let text = KNOWN_WORDS.iter().find(|(words, _)| *words == text).map_or(text, |(_, known)| known);
    match text.rsplit_once(" (os error ") {
        Some((words, number)) if number.trim_end_matches(')').parse::<i32>().is_ok() => words.to_owned(),
        _ => text.to_owned(),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.chain().join(": "))
    }
}

impl Error for Failure {}

/// Gives a classified error its stage: `kind.capture(…).at(Stage::Capture)?`.
pub trait At<T> {
    /// Turns the error into a [`Failure`] of that stage.
    fn at(self, stage: Stage) -> Result<T, Failure>;
}

impl<T, E: Classified> At<T> for Result<T, E> {
    fn at(self, stage: Stage) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(stage, error))
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn errno_falls_back_to_the_classes_of_the_manual() {
        for (errno, class) in [
            (libc::EBUSY, Class::Temp),
            (libc::ENOENT, Class::Env),
            (libc::EACCES, Class::Env),
            (libc::EINVAL, Class::Perm),
            (libc::EIO, Class::Perm),
        ] {
            assert_eq!(Class::of_errno(errno), class, "errno {errno}");
        }
    }

    #[test]
    fn subject_names_what_is_known() {
        assert_eq!(Subject::descriptor(12, 3, "/a b").to_string(), "process 12, descriptor 3, /a b");
        assert_eq!(Subject::pid(7).to_string(), "process 7");
        assert_eq!(Subject::default().to_string(), "");
    }
}
