//! One command-line flag: its names, its help and what it changes. The submodules define them, one file a topic.
//!
//! Relies on nothing but the standard library; [`super::program`] turns a table of flags into a parser, a help text and a man page.
//! A flag is generic over the value it changes, so that `cr_checkpoint` and `cr_restart` share the topics they have in common.

pub mod clock;
pub mod creation;
pub mod destination;
pub mod general;
pub mod hook;
pub mod ids;
pub mod kmsg;
pub mod lost;
pub mod omit;
pub mod participation;
pub mod relocation;
pub mod save;
pub mod scope;
pub mod script;
pub mod signal;
pub mod source;
pub mod timing;
pub mod trace;

use std::ffi::OsStr;

use super::exit::{Refusal, Stop};

/// What applying a flag leads to: go on, or stop at once.
pub type Outcome = Result<(), Stop>;

/// A flag of a program that collects what was said in an `S`.
pub struct Flag<S> {
    /// The name after `--`; also the flag's identity.
    pub long: &'static str,
    /// The letter after `-`.
    pub short: Option<char>,
    /// Another letter with the same meaning.
    pub other_short: Option<char>,
    /// Other long names, shown in the help.
    pub aliases: &'static [&'static str],
    /// Other long names that are accepted and not shown.
    pub hidden_aliases: &'static [&'static str],
    /// Accepted and not shown at all.
    pub hidden: bool,
    /// One or two sentences for the help text and the man page.
    pub help: &'static str,
    /// Heading under which it stands.
    pub heading: &'static str,
    /// Whether it takes a value, and what it changes.
    pub takes: Takes<S>,
}

/// Whether a flag takes a value, and what it changes.
pub enum Takes<S> {
    /// `--flag`
    Nothing(fn(&mut S) -> Outcome),
    /// `--flag NAME` or `--flag=NAME`
    Value(&'static str, fn(&mut S, &OsStr) -> Outcome),
    /// `--flag` or `--flag=NAME`
    Maybe(&'static str, fn(&mut S, Option<&OsStr>) -> Outcome),
}

impl<S> Flag<S> {
    fn new(long: &'static str, takes: Takes<S>) -> Flag<S> {
        Flag { long, short: None, other_short: None, aliases: &[], hidden_aliases: &[], hidden: false, help: "", heading: "Options", takes }
    }

    /// A flag without a value.
    pub fn switch(long: &'static str, apply: fn(&mut S) -> Outcome) -> Flag<S> {
        Flag::new(long, Takes::Nothing(apply))
    }

    /// A flag with a value, which the help calls `name`.
    pub fn value(long: &'static str, name: &'static str, apply: fn(&mut S, &OsStr) -> Outcome) -> Flag<S> {
        Flag::new(long, Takes::Value(name, apply))
    }

    /// A flag whose value may be left out and must be attached with `=`.
    pub fn maybe(long: &'static str, name: &'static str, apply: fn(&mut S, Option<&OsStr>) -> Outcome) -> Flag<S> {
        Flag::new(long, Takes::Maybe(name, apply))
    }

    /// Gives it a letter.
    pub fn short(self, short: char) -> Flag<S> {
        Flag { short: Some(short), ..self }
    }

    /// Gives it a second letter, shown with the first.
    pub fn other_short(self, other: char) -> Flag<S> {
        Flag { other_short: Some(other), ..self }
    }

    /// Gives it further long names.
    pub fn aliases(self, aliases: &'static [&'static str]) -> Flag<S> {
        Flag { aliases, ..self }
    }

    /// Gives it further long names that the help does not show.
    pub fn hidden_aliases(self, hidden_aliases: &'static [&'static str]) -> Flag<S> {
        Flag { hidden_aliases, ..self }
    }

    /// Keeps it out of the help text.
    pub fn hidden(self) -> Flag<S> {
        Flag { hidden: true, ..self }
    }

    /// Says what it does.
    pub fn help(self, help: &'static str) -> Flag<S> {
        Flag { help, ..self }
    }
}

/// Puts flags under a heading.
pub fn under<S>(heading: &'static str, flags: impl IntoIterator<Item = Flag<S>>) -> Vec<Flag<S>> {
    flags.into_iter().map(|flag| Flag { heading, ..flag }).collect()
}

/// Reads a decimal number as the manuals mean it; anything else is a usage error.
pub fn integer(flag: &str, value: &OsStr) -> Result<i32, Stop> {
    value
        .to_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Refusal::usage(format!("{flag} takes a decimal number, not '{}'", value.display())).into())
}
