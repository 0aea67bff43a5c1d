//! The chores of the project, one file a task. `main.rs` only parses the command line.
//!
//! A library, so that a test can call what a task calls: `tidy` is one. Relies on cargo and a C compiler; must not depend on the library of
//! the project, which may not compile while it is being changed.

#![forbid(unsafe_code)]

pub mod bench;
pub mod ci;
pub mod demo;
pub mod docs;
pub mod fuzz;
pub mod integration;
pub mod new_kind;
pub mod place;
pub mod suite;
pub mod test;
pub mod testprogs;
pub mod tidy;

/// What a task returns: what went wrong, in words for the terminal.
pub type Outcome<T = ()> = Result<T, String>;
