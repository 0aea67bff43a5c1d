//! How a case ends: it passes, it fails, or it is skipped with a reason.
//!
//! Relies on nothing. Leaves counting and printing to `runner`.

use std::fmt::Display;

/// Why a case stopped before its end.
#[derive(Debug)]
pub enum Stop {
    /// Something is wrong; the text says what was attempted and what came of it.
    Failed(String),
    /// The machine cannot run this case; the text says what it lacks.
    Skipped(String),
}

/// What every step of a case returns.
pub type Verdict<T = ()> = Result<T, Stop>;

/// A failure with this text.
pub fn failed(text: impl Display) -> Stop {
    Stop::Failed(text.to_string())
}

/// A skip with this reason.
pub fn skipped(reason: impl Display) -> Stop {
    Stop::Skipped(reason.to_string())
}

/// Fails with the text unless the condition holds.
pub fn ensure(condition: bool, text: impl FnOnce() -> String) -> Verdict {
    if condition { Ok(()) } else { Err(Stop::Failed(text())) }
}

/// Fails unless the text has these words.
pub fn says(text: &str, words: &str) -> Verdict {
    ensure(text.contains(words), || format!("does not say {words:?}:\n{text}"))
}

/// Fails unless the text has all of these words, one after the other.
pub fn in_order(text: &str, words: &[&str]) -> Verdict {
    let mut rest = text;
    for word in words {
        let at = rest.find(word);
        ensure(at.is_some(), || format!("{word} is missing, or too early:\n{text}"))?;
        rest = &rest[at.unwrap_or(0) + word.len()..];
    }
    Ok(())
}

/// Turns the errors of the standard library and of nix into failures that say what was attempted.
pub trait Attempt<T> {
    /// "cannot WHAT: reason".
    fn attempt(self, what: impl Display) -> Verdict<T>;
}

impl<T, E: Display> Attempt<T> for Result<T, E> {
    fn attempt(self, what: impl Display) -> Verdict<T> {
        self.map_err(|error| Stop::Failed(format!("cannot {what}: {error}")))
    }
}
