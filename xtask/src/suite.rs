//! `cargo xtask chaos|soak|damage|fuzz`: the suites that are never done, for as long as one likes.
//!
//! Each has a short run in `cargo test` and `cargo xtask ci`. Chaos and soak are cases of the end-to-end suite, whose line in the report says how many rounds
//! they made; damage and the targets of fuzz are test programs of the library (`tests/damage.rs`, `tests/fuzz.rs`). Relies on their words for time and seed.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::place::{cargo, output, run};
use crate::{Outcome, fuzz, testprogs};

/// How long, and where to begin.
#[derive(clap::Args)]
pub struct Options {
    /// The same seed makes the same choices; a report names it
    #[arg(long)]
    seed: Option<u64>,
    /// How long
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
}

impl Options {
    fn seed(&self) -> u64 {
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.subsec_nanos().into());
        self.seed.unwrap_or_else(clock)
    }
}

/// Cases that run at a time.
const JOBS: f64 = 2.0;

/// The cases `name` of the end-to-end suite, which share the time.
pub fn cases(name: &str, options: &Options) -> Outcome {
    let suite = ["test", "--quiet", "--package", "integration", "--test", "journeys", "--", name];
    let n_cases = output(cargo(&suite).arg("--list"))?.lines().count().max(1);
    let (seed, seconds) = (options.seed(), options.minutes * 60.0 * JOBS / n_cases as f64);
    println!("{name}: {n_cases} cases, {seconds:.0} s each, seed {seed}");
    let mut command = cargo(&suite);
    command.args(["--jobs", &JOBS.to_string()]).env("REPRISE_SEED", seed.to_string());
    run(command.env("REPRISE_SECONDS", format!("{seconds:.0}")))
}

/// Every byte of three files flipped, every length.
pub fn damage(options: &Options) -> Outcome {
    let seconds = (options.minutes * 60.0).to_string();
    run(&mut cargo(&["test", "--quiet", "--package", "reprise", "--test", "damage", "--", "--seconds", &seconds]))
}

/// Inputs for the readers in one process for a quarter of the time, then changed images for real restarts.
pub fn fuzz(options: &fuzz::Options) -> Outcome {
    if options.is_inside() {
        return fuzz::run(options);
    }
    testprogs::build()?;
    let (seconds, seed) = ((options.minutes * 15.0).to_string(), options.seed.to_string());
    let targets = ["test", "--quiet", "--package", "reprise", "--test", "fuzz", "--", "--seconds", &seconds, "--seed", &seed];
    let in_process = run(&mut cargo(&targets));
    let restarts = fuzz::Options { minutes: options.minutes * 0.75, seed: options.seed, count: options.count, inside: None, worker: None };
    fuzz::run(&restarts).and(in_process)
}
