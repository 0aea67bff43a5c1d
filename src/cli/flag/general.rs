//! Flags every program has: help, version, quiet, verbose, JSON, and the hidden ones that print man page and completions.
//!
//! `-v` means verbose in `cr_checkpoint(1)` and version in `cr_restart(1)`; both manuals are followed.

use clap_complete::Shell;

use super::{Flag, under};
use crate::cli::exit::{Refusal, Show, Stop};

/// How much a program says, and in which form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct General {
    /// Nothing on stderr.
    pub quiet: bool,
    /// How often `-v` was given.
    pub verbose: u8,
    /// The result as one JSON object on stdout.
    pub json: bool,
}

const HEADING: &str = "General";

/// `--quiet` and `--json`.
pub fn output<S: AsMut<General>>() -> Vec<Flag<S>> {
    let flags = [
        Flag::switch("quiet", |said: &mut S| {
            said.as_mut().quiet = true;
            Ok(())
        })
        .short('q')
        .help("Write nothing to stderr: no errors, no warnings, no usage"),
        Flag::switch("json", |said: &mut S| {
            said.as_mut().json = true;
            Ok(())
        })
        .help("Print the result, good or bad, as one JSON object on stdout"),
    ];
    under(HEADING, flags)
}

/// `--verbose`, with or without its letter.
pub fn verbose<S: AsMut<General>>(short: Option<char>) -> Vec<Flag<S>> {
    let flag = Flag::switch("verbose", |said: &mut S| {
        let verbose = &mut said.as_mut().verbose;
        *verbose = verbose.saturating_add(1);
        Ok(())
    })
    .help("Say what is being done, with a progress bar on a terminal; twice: every phase");
    under(HEADING, [Flag { short, ..flag }])
}

/// `--help`, `--version` and the hidden `--man` and `--completions`.
pub fn itself<S>(version: Option<char>) -> Vec<Flag<S>> {
    let flags = [
        Flag::switch("help", |_: &mut S| Err(Stop::Show(Show::Help))).short('h').other_short('?').help("Print this text and exit"),
        Flag { short: version, ..Flag::switch("version", |_: &mut S| Err(Stop::Show(Show::Version))).help("Print the version and exit") },
        Flag::switch("man", |_: &mut S| Err(Stop::Show(Show::Man))).hidden().help("Print the manual page and exit"),
        Flag::value("completions", "SHELL", |_: &mut S, value| {
            let shell = value.to_str().and_then(|name| name.parse::<Shell>().ok());
            let refusal = || Refusal::usage("--completions takes bash, zsh, fish, elvish or powershell").into();
            Err(shell.map(|shell| Stop::Show(Show::Completions(shell))).unwrap_or_else(refusal))
        })
        .hidden()
        .help("Print a completion script and exit"),
    ];
    under(HEADING, flags)
}
