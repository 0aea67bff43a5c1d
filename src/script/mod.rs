//! Hook scripts in Lua 5.4.
//!
//! The Lua state lives in a process of its own ([`serve`]), started before any process of the job is touched. [`LuaPolicy`] is the engine's side: it
//! evaluates filters, asks the script's process about events that match, and ends that process when it does not answer in time. So a script
//! that loops inside a C function, exhausts memory or crashes the state never holds up the job. The process is
//! made by a [`Launcher`]: [`Forked`] in the programs, a thread in tests.

mod brood;
mod client;
mod date;
mod effect;
mod exec;
mod filter;
mod fork;
mod host;
mod meter;
mod native;
mod serve;
mod shape;
mod source;
mod text;
pub mod trial;
mod value;
mod view;
pub mod vm;
pub mod wire;

#[cfg(test)]
pub(crate) mod test;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use client::{Handler, Launched, Launcher, LuaPolicy, Running};
pub use fork::Forked;
pub use serve::serve;

/// What to load, and what it may cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The scripts, in order.
    pub files: Vec<PathBuf>,
    /// `cr.args`.
    pub args: BTreeMap<String, String>,
    /// Effects are refused.
    pub pure: bool,
    /// Nothing will be changed: effects are refused.
    pub dry_run: bool,
    /// What scripts may cost.
    pub limits: Limits,
}

/// What scripts may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory of the Lua state, bytes.
    pub memory_bytes: usize,
    /// Instructions of the Lua machine a call.
    pub instructions: u64,
    /// Time a call, and for loading a script.
    pub call: Duration,
    /// Time of all calls of a request together while a job stands still that would run otherwise.
    pub frozen: Duration,
    /// Text logged in a request, with the places, bytes.
    pub log_bytes: usize,
    /// What scripts keep in `cr.state` from the checkpoint to the restart, bytes of JSON.
    pub state_bytes: usize,
    /// Notes for the context file in all, bytes.
    pub annotation_bytes: usize,
    /// How long beyond its budget an answer is waited for before the script's process is ended.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory_bytes: 64 << 20,
            instructions: 10_000_000,
            call: Duration::from_secs(5),
            frozen: Duration::from_secs(1),
            log_bytes: 64 << 10,
            state_bytes: 1 << 20,
            annotation_bytes: 256 << 10,
            grace: Duration::from_millis(250),
        }
    }
}
