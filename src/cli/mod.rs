//! The command lines: flags, what they mean, all output and all exit codes. No other layer prints or chooses an exit code.
//!
//! A program runs through four steps, one file each: [`low`] (what was said), [`high`] (what it means: a request for the engine),
//! the program's own file (the call), and [`report`] with [`exit`] (what people, scripts and shells get to see).
//! Flags live in [`flag`], one file a topic, so that help texts, man pages and shell completions come from the same definitions.
//! Relies on `engine` for the work and on `sys` for the few calls that `nix` does not offer safely.

pub mod checkpoint;
pub mod engine_calls;
pub mod exit;
pub mod flag;
pub mod high;
pub mod hook;
pub mod low;
pub mod preflight;
pub mod program;
pub mod progress;
pub mod report;
pub mod restart;
pub mod run;
pub mod text;
pub mod wait;
pub mod worker;
