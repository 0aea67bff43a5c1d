//! `cargo xtask integration`: the end-to-end suite, or a part of it.
//!
//! Relies on the suite to build the tools and test programs it drives. Leaves everything else to `integration/`.

use crate::Outcome;
use crate::place::{cargo, run};

/// Passes words on to the suite.
pub fn run_suite(words: &[String], release: bool) -> Outcome {
    let mut command = cargo(&["test", "--quiet", "--package", "integration", "--test", "journeys"]);
    if release {
        command.arg("--release");
    }
    run(command.arg("--").args(words))
}
