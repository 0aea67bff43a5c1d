//! What /proc shows of a job: who belongs to it, and a picture of its state to compare before and after.
//!
//! A picture leaves out what changes by itself: the harness takes two before it does anything, and only what was the
//! same in both must be the same afterwards. Relies on the harness being the root of every process of the case.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use nix::unistd::{Pid, getpid};

/// Every process below this one.
pub fn descendants() -> Vec<Pid> {
    let parents: BTreeMap<i32, i32> = numbers("/proc").into_iter().filter_map(|pid| Some((pid, parent_of(pid)?))).collect();
    let me = getpid().as_raw();
    let below_me = |start: i32| {
        let mut at = start;
        // Bounded, because parents are read one after another while processes come and go.
        for _ in 0..parents.len() {
            match parents.get(&at) {
                Some(parent) if *parent == me => return true,
                Some(parent) => at = *parent,
                None => return false,
            }
        }
        false
    };
    parents.keys().copied().filter(|pid| *pid != me && below_me(*pid)).map(Pid::from_raw).collect()
}

/// The parent of a process that exists.
pub fn parent(pid: Pid) -> Option<Pid> {
    parent_of(pid.as_raw()).map(Pid::from_raw)
}

/// The file that a process runs.
pub fn image(pid: Pid) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// Its id in the innermost pid namespace that it is in.
pub fn inner_pid(pid: Pid) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    value(&status, "NSpid")?.split_whitespace().last()?.parse().ok().map(Pid::from_raw)
}

/// Whether no tracer holds the process.
pub fn is_untraced(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    value(&status, "TracerPid").is_none_or(|tracer| tracer == "0")
}

/// Whether the process is stopped, by a signal or a tracer.
pub fn is_stopped(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    value(&status, "State").is_some_and(|state| state.starts_with(['T', 't']))
}

/// Pid, parent, state and command line, for messages.
pub fn one_line(pid: Pid) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = after_name(&stat).and_then(|rest| rest.split_whitespace().next()).unwrap_or("gone");
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&words).replace('\0', " ");
    let waits = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
    let parent = parent_of(pid.as_raw()).unwrap_or(0);
    format!("process {pid} (parent {parent}) {state} {waits}: {}", line.trim_end())
}

/// The state of several processes, one entry a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    facts: BTreeMap<String, String>,
}

impl Picture {
    /// The state now.
    pub fn take(pids: &[Pid]) -> Picture {
        let mut picture = Picture { facts: BTreeMap::new() };
        for pid in pids {
            picture.add_process(*pid);
        }
        picture
    }

    /// What two pictures, taken a moment apart, agree about.
    pub fn steady(pids: &[Pid]) -> (Picture, BTreeSet<String>) {
        let (first, second) = (Picture::take(pids), {
            sleep(Duration::from_millis(30));
            Picture::take(pids)
        });
        let restless = first.differing_keys(&second).into_iter().collect();
        (second, restless)
    }

    /// What is different now, one line a fact, but for what was restless before.
    pub fn changes(&self, now: &Picture, restless: &BTreeSet<String>) -> Vec<String> {
        let keys = self.differing_keys(now).into_iter().filter(|key| !restless.contains(key));
        let show = |picture: &Picture, key: &str| picture.facts.get(key).cloned().unwrap_or_else(|| "nothing".to_owned());
        keys.map(|key| format!("{key}: {} before, {} after", show(self, &key), show(now, &key))).collect()
    }

    fn differing_keys(&self, other: &Picture) -> Vec<String> {
        let keys: BTreeSet<&String> = self.facts.keys().chain(other.facts.keys()).collect();
        keys.into_iter().filter(|key| self.facts.get(*key) != other.facts.get(*key)).cloned().collect()
    }

    fn add(&mut self, pid: Pid, name: &str, text: &str) {
        self.facts.insert(format!("{pid} {name}"), text.trim().to_owned());
    }

    fn add_process(&mut self, pid: Pid) {
        let proc = format!("/proc/{pid}");
        for line in fs::read_to_string(format!("{proc}/maps")).unwrap_or_default().lines() {
            let (range, rest) = line.split_once(' ').unwrap_or((line, ""));
            // The heap and the stack grow whenever a program likes.
            if !rest.ends_with("[heap]") && !rest.ends_with("[stack]") {
                self.add(pid, &format!("area {range}"), rest);
            }
        }
        for number in numbers(&format!("{proc}/fd")) {
            let target = fs::read_link(format!("{proc}/fd/{number}")).unwrap_or_default();
            self.add(pid, &format!("descriptor {number}"), &target.display().to_string());
            let about = fs::read_to_string(format!("{proc}/fdinfo/{number}")).unwrap_or_default();
            // A look at a timer that has expired starts its next period, as the kernel has it.
            let lines = about.lines().filter(|line| !line.starts_with("it_value"));
            self.add(pid, &format!("fdinfo {number}"), &lines.collect::<Vec<_>>().join(" "));
        }
        for link in ["cwd", "root", "exe"] {
            self.add(pid, link, &fs::read_link(format!("{proc}/{link}")).unwrap_or_default().display().to_string());
        }
        for file in ["limits", "personality", "oom_score_adj", "timerslack_ns", "timers"] {
            self.add(pid, file, &fs::read_to_string(format!("{proc}/{file}")).unwrap_or_default());
        }
        for task in numbers(&format!("{proc}/task")) {
            self.add_task(pid, task);
        }
    }

    fn add_task(&mut self, pid: Pid, task: i32) {
        let status = fs::read_to_string(format!("/proc/{pid}/task/{task}/status")).unwrap_or_default();
        let kept = [
            "Name",
            "Umask",
            "Tgid",
            "PPid",
            "TracerPid",
            "Uid",
            "Gid",
            "Groups",
            "Threads",
            "SigPnd",
            "ShdPnd",
            "SigBlk",
            "SigIgn",
            "SigCgt",
            "CapInh",
            "CapPrm",
            "CapEff",
            "CapBnd",
            "CapAmb",
            "NoNewPrivs",
            "Seccomp",
            "Cpus_allowed",
        ];
        for key in kept {
            self.add(pid, &format!("task {task} {key}"), value(&status, key).unwrap_or("missing"));
        }
        // Running and sleeping alternate; stopped, traced and dead are news.
        let state = value(&status, "State").unwrap_or("missing");
        let state = if state.starts_with(['R', 'S', 'D']) { "alive" } else { state };
        self.add(pid, &format!("task {task} state"), state);
    }
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    after_name(&stat)?.split_whitespace().nth(1)?.parse().ok()
}

/// The fields after the name, which may hold spaces and parentheses itself.
fn after_name(stat: &str) -> Option<&str> {
    stat.rsplit_once(')').map(|(_, rest)| rest.trim_start())
}

fn value<'a>(status: &'a str, key: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).map(str::trim)
}

fn numbers(directory: &str) -> Vec<i32> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut numbers: Vec<i32> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}
