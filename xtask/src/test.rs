//! `cargo xtask test`: every test of the workspace, the end-to-end suite among them.
//!
//! Relies on the end-to-end suite being a test target, so that this is one call of cargo.

use crate::Outcome;
use crate::place::{cargo, run};
use crate::testprogs;

/// Builds the test programs and passes all tests.
pub fn run_all(words: &[String]) -> Outcome {
    testprogs::build()?;
    // The rest still runs after a failure: one report is worth more than the first line of it.
    run(cargo(&["test", "--workspace", "--no-fail-fast"]).args(words))
}
