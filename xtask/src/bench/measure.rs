//! Running one command and reading off what it cost.
//!
//! The kernel adds up the use of all children, and keeps only the highest peak among them: so each measured command is the only child of a process of
//! its own, `xtask measured`. Relies on the command waiting for its own children.

use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

use super::expect;
use crate::Outcome;
use crate::place::spelled;

/// What a command cost.
#[derive(Clone, Copy)]
pub struct Measured {
    /// Wall time, in microseconds.
    pub wall: f64,
    /// Processor time in user and system mode, in microseconds.
    pub processor: f64,
    /// The most memory it ever had, in KiB.
    pub peak: f64,
}

/// Runs a command; what it cost, and what it printed.
pub fn run(command: &mut Command) -> Outcome<(Measured, String)> {
    let line = spelled(command);
    let this = std::env::current_exe().map_err(|error| format!("cannot find xtask: {error}"))?;
    let mut outer = Command::new(this);
    outer.arg("measured").arg(command.get_program()).args(command.get_args());
    let output = outer.stdin(Stdio::null()).stderr(Stdio::inherit()).output().map_err(|error| format!("cannot measure {line}: {error}"))?;
    expect(output.status, &line)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (answer, cost) = text.trim_end().rsplit_once('\n').unwrap_or(("", text.trim_end()));
    let cost: Value = serde_json::from_str(cost).map_err(|error| format!("cannot read the cost of {line}: {error}"))?;
    let figure = |name: &str| cost[name].as_f64().unwrap_or(f64::NAN);
    Ok((Measured { wall: figure("wall"), processor: figure("processor"), peak: figure("peak") }, answer.to_owned()))
}

/// `xtask measured COMMAND…`: runs the command, then prints what it cost as a last line.
pub fn measured(words: &[String]) -> Outcome {
    let (program, arguments) = words.split_first().ok_or("nothing to measure")?;
    let mut command = Command::new(program);
    let start = Instant::now();
    let status = command.args(arguments).status().map_err(|error| format!("cannot run {program}: {error}"))?;
    let wall = start.elapsed().as_secs_f64() * 1e6;
    expect(status, program)?;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| format!("getrusage: {error}"))?;
    let microseconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 * 1e6 + time.tv_usec() as f64;
    let processor = microseconds(usage.user_time()) + microseconds(usage.system_time());
    println!("\n{}", json!({ "wall": wall, "processor": processor, "peak": usage.max_rss() }));
    Ok(())
}
