//! Starting a load program, and ending everything there is.
//!
//! Relies on being the first process of a pid namespace.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::Case;
use crate::Outcome;
use crate::place::target;

/// A load program that is ready.
pub struct Job {
    /// Its first process.
    pub pid: u32,
}

impl Job {
    /// Starts the program of a case and waits until it says READY.
    pub fn start(case: &Case, dir: &Path) -> Outcome<Job> {
        let work = dir.join("work");
        fs::create_dir_all(&work).map_err(|error| format!("cannot make {}: {error}", work.display()))?;
        let out = work.join("out");
        let file = fs::File::create(&out).map_err(|error| format!("cannot make {}: {error}", out.display()))?;
        let mut command = Command::new("setsid");
        command.arg(target().join("testprogs/load").join(case.program)).args(case.arguments);
        command.current_dir(&work).stdin(Stdio::null()).stdout(file);
        let child = command.spawn().map_err(|error| format!("cannot start {}: {error}", case.program))?;
        while !is_ready(&out) {
            if fs::metadata(format!("/proc/{}/exe", child.id())).is_err() {
                return Err(format!("{} ended before it was ready", case.name));
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        Ok(Job { pid: child.id() })
    }
}

fn is_ready(out: &Path) -> bool {
    let first = fs::File::open(out).ok().and_then(|file| BufReader::new(file).lines().next());
    matches!(first, Some(Ok(line)) if line == "READY")
}

/// Kills and collects every process of the namespace but this one.
pub fn end_all() {
    // Nothing to kill is as good.
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    while waitpid(None, None).is_ok() {}
}
