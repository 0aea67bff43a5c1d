//! The command line of `cargo xtask`: one word a task. The tasks are in the library, a file each.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{Outcome, bench, ci, demo, docs, fuzz, integration, new_kind, suite, test, testprogs, tidy};

/// The chores of the project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Compile the C programs of testprogs/ that are out of date
    Testprogs,
    /// Run the end-to-end suite, or the part of it that FILTER names
    Integration {
        /// Test the release build
        #[arg(long)]
        release: bool,
        /// [FILTER] [--journey J] [--list] [--keep] [--no-build] [--jobs N] [--tools DIR]
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Build the C test programs and pass all tests
    Test {
        /// Passed on to `cargo test`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Checkpoint, kill and restart a real job, showing every command
    Demo,
    /// Make the reference pages docs/kinds.md and docs/hooks.md from their sources
    Docs,
    /// Make the four places of a new kind
    NewKind {
        /// file, process or thread
        sort: String,
        /// Its name, the same everywhere
        name: String,
    },
    /// Measure checkpoints and restarts of big jobs, beside a plain write and beside CRIU
    Bench(bench::Options),
    /// Run a command and print what it cost (for bench)
    #[command(hide = true)]
    Measured {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Kill tools at their calls, and let calls fail: no job may be harmed, no half job be left
    Chaos(suite::Options),
    /// Flip every byte of real context files, and cut them at every length: all refused
    Damage(suite::Options),
    /// Save, kill and restart jobs again and again: nothing may grow or differ
    Soak(suite::Options),
    /// Feed all readers with inputs that are nearly right, and restart images with right checksums and wrong contents (as root)
    Fuzz(fuzz::Options),
    /// Check everything that must hold before a change lands
    Ci,
    /// Check the rules of the project that a machine can check
    Tidy,
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Outcome {
    match task {
        Task::Testprogs => testprogs::build().map(|n| {
            if n > 0 {
                println!("{n} compiled");
            }
        }),
        Task::Integration { release, words } => integration::run_suite(&words, release),
        Task::Test { words } => test::run_all(&words),
        Task::Demo => demo::play(),
        Task::Docs => docs::write(),
        Task::NewKind { sort, name } => new_kind::make(&sort, &name),
        Task::Bench(options) => bench::run(&options),
        Task::Measured { words } => bench::measure::measured(&words),
        Task::Chaos(options) => suite::cases("chaos", &options),
        Task::Damage(options) => suite::damage(&options),
        Task::Soak(options) => suite::cases("soak", &options),
        Task::Fuzz(options) => suite::fuzz(&options),
        Task::Ci => ci::run(),
        Task::Tidy => tidy::run(),
    }
}
