//! `cargo xtask tidy`: the rules of the project that a machine can check.
//!
//! Called by a test, so that `cargo test` green means tidy, too. Each check returns complaints and changes nothing. Relies on the layout that
//! docs/architecture.md describes; leaves formatting and lints to rustfmt and clippy.

pub mod arrow;
pub mod kind;
pub mod source;
pub mod text;

use crate::Outcome;
use source::Source;

/// Something that breaks a rule, as `PATH:LINE: what`.
pub type Complaint = String;

/// Every complaint about the tree.
pub fn complaints() -> Vec<Complaint> {
    let sources = Source::all();
    let mut complaints = text::check(&sources);
    complaints.extend(arrow::check(&sources));
    complaints.extend(kind::check(&sources));
    complaints
}

/// Prints the complaints; any is a failure.
pub fn run() -> Outcome {
    let complaints = complaints();
    for complaint in &complaints {
        println!("{complaint}");
    }
    match complaints.len() {
        0 => Ok(()),
        n => Err(format!("{n} complaints")),
    }
}
