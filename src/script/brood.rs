//! The commands of `cr.exec` and all that descends from them: found, ended and collected, also in sessions of their own.
//!
//! The script's process is their subreaper, so that whoever loses its parent becomes its child and is found below it in `/proc`. A variable in the
//! environment tells to which command a process belongs. Commands in the background, and what descends from them, are left to themselves.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getpid};

use crate::proc::{ProcDir, Stat, all_pids};
use crate::sys::cli_support::{kill_by, pidfd};

/// The variable that tells to which command a process belongs.
pub const VARIABLE: &str = "REPRISE_HOOK_COMMAND";
/// How long to look for processes that are still there.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(1);

/// Set when the script's process ends: nothing is started any more.
static IS_OVER: AtomicBool = AtomicBool::new(false);

/// What a command is marked with.
pub fn mark(number: u64, is_background: bool) -> String {
    let word = if is_background { "background" } else { "command" };
    format!("{word} {number} of {}", getpid())
}

/// Whether the script's process is about to end.
pub fn is_over() -> bool {
    IS_OVER.load(Ordering::SeqCst)
}

/// Ends the command with this mark and all that descends from it.
pub fn end(mark: &str) {
    end_those(|found| found.is_none_or(|found| found == mark));
}

/// Ends every command that is not in the background. Nothing is started afterwards.
pub fn end_all() {
    IS_OVER.store(true, Ordering::SeqCst);
    end_those(|_| true);
}

/// Kills until nobody is left; `is_meant` judges by the mark, which those that cleared their environment lack. Bounded: what the kernel holds
/// uninterruptibly ends when it comes back.
fn end_those(is_meant: impl Fn(Option<&str>) -> bool) {
    let begun = Instant::now();
    loop {
        let killed = victims(&is_meant).iter().filter(|stat| kill(stat)).count();
        if killed == 0 || PATIENCE < begun.elapsed() {
            return;
        }
        thread::sleep(PAUSE);
    }
}

/// Everybody below this process who is meant and lives.
fn victims(is_meant: &impl Fn(Option<&str>) -> bool) -> Vec<Stat> {
    let mut children: HashMap<i32, Vec<Stat>> = HashMap::new();
    for stat in all_pids().unwrap_or_default().into_iter().filter_map(|pid| ProcDir::open(pid).and_then(|dir| dir.stat()).ok()) {
        children.entry(stat.ppid).or_default().push(stat);
    }
    let mut victims = Vec::new();
    // Each with whether its parent is a victim; an orphan without a mark is one.
    let mut open: Vec<(Stat, bool)> = children.remove(&getpid().as_raw()).into_iter().flatten().map(|stat| (stat, true)).collect();
    while let Some((stat, by_parent)) = open.pop() {
        let is_victim = match mark_of(stat.pid) {
            Some(mark) if mark.starts_with("background") => false,
            Some(mark) => is_meant(Some(&mark)),
            None => by_parent && is_meant(None),
        };
        open.extend(children.remove(&stat.pid).into_iter().flatten().map(|child| (child, is_victim)));
        if is_victim && stat.state != 'Z' {
            victims.push(stat);
        }
    }
    victims
}

fn mark_of(pid: i32) -> Option<String> {
    let environment = ProcDir::open(pid).and_then(|dir| dir.read("environ")).ok()?;
    let value = |entry: &[u8]| Some(entry.strip_prefix(VARIABLE.as_bytes())?.strip_prefix(b"=")?.to_owned());
    let value = environment.split(|byte| *byte == 0).find_map(value)?;
    Some(String::from_utf8_lossy(&value).into_owned())
}

/// Kills a process that was seen, and not another that has its id by now.
fn kill(seen: &Stat) -> bool {
    let Ok(target) = pidfd(seen.pid) else { return false };
    let is_it = ProcDir::open(seen.pid).is_ok_and(|dir| dir.start_ticks() == seen.start_ticks);
    is_it && kill_by(std::os::fd::AsFd::as_fd(&target)).is_ok()
}

/// Collects children that have ended; those in `kept` are left to their owners.
pub fn collect(kept: &HashSet<i32>) {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
    while let Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) = waitid(Id::All, flags | WaitPidFlag::WNOWAIT) {
        if kept.contains(&pid.as_raw()) || waitpid(pid, Some(WaitPidFlag::WNOHANG)).is_err() {
            return;
        }
    }
}

/// Makes this process the parent of all who lose theirs below it.
pub fn adopt() -> nix::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)
}

/// The id of a child as the kernel counts.
pub fn id(child: &std::process::Child) -> i32 {
    Pid::from_raw(child.id().cast_signed()).as_raw()
}
