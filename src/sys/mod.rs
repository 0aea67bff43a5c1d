//! System calls, one a function: the only place with `unsafe`.
//!
//! Relies on libc and nix. Safe calls that nix has are used from nix directly, elsewhere; here stand those it lacks.
//! Every function says what the call does, which manual page describes it, and argues its safety from types and lengths.

pub mod act;
pub mod cli_support;
pub mod descriptor;
pub mod diag;
pub mod fault;
pub mod inet_diag;
pub mod inherited;
pub mod interruption;
pub mod ipc;
pub mod mqueue;
pub mod namespace;
pub mod pagemap;
pub mod persona;
pub mod process;
pub mod processor;
pub mod procvm;
pub mod ptrace;
pub mod shm;
pub mod socket;
pub mod terminal;
pub mod trust;

pub use nix::errno::Errno;

/// Turns the -1/errno convention of libc into a result.
fn check(value: libc::c_long) -> Result<libc::c_long, Errno> {
    let result = if value == -1 { Err(Errno::last()) } else { Ok(value) };
    fault::mark("sys");
    result
}

/// Number of processors this process may run on, at least 1 (sched_getaffinity(2)).
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
