//! `cargo xtask bench`: what checkpoints and restarts of big jobs cost, dump throughput first.
//!
//! In one run beside a plain write of as many bytes to the same directory, and beside CRIU if it is installed: machines differ and are noisy, so only
//! figures of one run may be compared. Runs as the first process of a pid namespace, where every pid is free and everything can be killed. Relies on
//! `testprogs/load` for the jobs and on unshare(1).

mod job;
pub mod measure;
mod peer;
mod report;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use clap::Args;
use nix::unistd::{geteuid, getpid};

use crate::place::{cargo, run as run_command, target};
use crate::{Outcome, testprogs};
use job::Job;
use measure::Measured;

/// What is measured, and how often.
#[derive(Args)]
pub struct Options {
    /// Only cases with this in their name
    filter: Option<String>,
    /// How often each case runs; the median counts
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Where context files are written, instead of the directory for temporary files
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Print the medians as JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Leave CRIU out
    #[arg(long)]
    no_criu: bool,
    /// Set when it runs inside its namespace
    #[arg(long, hide = true)]
    inside: bool,
}

/// A job to measure: its name, the load program and its arguments.
pub struct Case {
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
}

const fn case(name: &'static str, program: &'static str, arguments: &'static [&'static str]) -> Case {
    Case { name, program, arguments }
}

const CASES: &[Case] = &[
    case("64 MiB random", "hog", &["64", "random"]),
    case("1 GiB random", "hog", &["1024", "random"]),
    case("1 GiB zeros", "hog", &["1024", "zero"]),
    case("100 processes", "procs", &["100"]),
    case("500 processes", "procs", &["500"]),
    case("200 threads", "threads", &["200"]),
    case("1,000 threads", "threads", &["1000"]),
    case("10,000 files", "files", &["10000"]),
    case("5,000 areas", "areas", &["5000"]),
];

/// The figures of one run of one case.
pub struct Run {
    checkpoint: Measured,
    restart: Measured,
    /// How long the job was stopped, in microseconds.
    frozen: f64,
    /// The size of the context file.
    bytes: f64,
    /// How long a plain write of as many bytes takes, in microseconds.
    write: f64,
    criu: Option<peer::Criu>,
}

/// Measures the cases that were asked for and prints the report.
pub fn run(options: &Options) -> Outcome {
    if !options.inside {
        return enter();
    }
    if getpid().as_raw() != 1 {
        return Err("--inside is for the first process of a pid namespace".to_owned());
    }
    let parent = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let dir = tempfile::Builder::new()
        .prefix("reprise-bench-")
        .tempdir_in(&parent)
        .map_err(|error| format!("no directory in {}: {error}", parent.display()))?;
    let wanted = |case: &&Case| options.filter.as_ref().is_none_or(|part| case.name.contains(part.as_str()));
    let with_criu = !options.no_criu && peer::is_usable();
    let mut results = Vec::new();
    for case in CASES.iter().filter(wanted) {
        let mut runs = Vec::new();
        for number in 1..=options.runs.max(1) {
            show(&format!("{}: run {number} of {}", case.name, options.runs));
            runs.push(run_once(case, dir.path(), with_criu)?);
        }
        show("");
        results.push((case, runs));
    }
    report::print(&results, options.json);
    Ok(())
}

/// Replaces the line of progress, where somebody is watching.
fn show(text: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{text}");
    }
}

/// Builds what is needed and runs this same command line in a pid namespace of its own.
fn enter() -> Outcome {
    run_command(&mut cargo(&["build", "--quiet", "--release", "--package", "reprise", "--bins"]))?;
    testprogs::build()?;
    let mut command = Command::new("unshare");
    if !geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]);
    command.arg(std::env::current_exe().map_err(|error| format!("cannot find xtask: {error}"))?);
    run_command(command.args(std::env::args_os().skip(1)).arg("--inside"))
}

fn run_once(case: &Case, dir: &Path, with_criu: bool) -> Outcome<Run> {
    let tools = target().join("release");
    let context = dir.join("job.ctx");
    let job = Job::start(case, dir)?;
    let mut command = Command::new(tools.join("cr_checkpoint"));
    command.args(["--kill", "--nosync", "--json", "-f"]).arg(&context).arg(job.pid.to_string());
    let (checkpoint, answer) = measure::run(&mut command)?;
    job::end_all();
    let answer: serde_json::Value =
        serde_json::from_str(&answer).map_err(|error| format!("cannot read the answer of cr_checkpoint: {error}: {answer}"))?;
    let bytes = std::fs::metadata(&context).map_err(|error| format!("no context file: {error}"))?.len();
    let mut command = Command::new(tools.join("cr_restart"));
    let (restart, _) = measure::run(command.arg("--detach").arg(&context))?;
    job::end_all();
    let _ = std::fs::remove_file(&context);
    Ok(Run {
        checkpoint,
        restart,
        frozen: answer["frozen_us"].as_f64().unwrap_or(f64::NAN),
        bytes: bytes as f64,
        write: peer::plain_write(dir, bytes)?,
        criu: if with_criu { Some(peer::criu(case, dir)?) } else { None },
    })
}

/// Success, or what came instead.
fn expect(status: ExitStatus, what: &str) -> Outcome {
    if status.success() { Ok(()) } else { Err(format!("{what}: {status}")) }
}
