//! Policies: verdicts on plain data.
//!
//! Relies on `image` data and `error` only, never on processes, system calls or kinds.

pub mod relocate;
