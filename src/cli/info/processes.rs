//! The processes as a tree, each with state, threads and memory.

use std::collections::{BTreeMap, BTreeSet};

use super::layout::{maybe_size, size, table};
use super::tally::{Tally, sizes};
use crate::image::{Process, Snapshot, State};

/// The section.
pub fn lines(snapshot: &Snapshot, tallies: &[Option<Tally>]) -> Vec<String> {
    let mut tree = Tree { snapshot, tallies, children: BTreeMap::new(), rows: Vec::new() };
    let mut roots = Vec::new();
    let mut known = BTreeSet::new();
    for process in &snapshot.processes {
        // Parents stand before their children; a process whose parent is elsewhere is a root.
        if known.contains(&process.ppid) {
            tree.children.entry(process.ppid).or_default().push(process);
        } else {
            roots.push(process);
        }
        known.insert(process.pid);
    }
    roots.into_iter().for_each(|root| tree.add(root, "", ""));
    let mut lines = vec!["PROCESSES".to_owned()];
    lines.extend(table(&["PID", "STATE", "THREADS", "MEMORY", "SAVED", "COMMAND"], tree.rows));
    lines
}

/// The tree while its rows are made.
struct Tree<'a> {
    snapshot: &'a Snapshot,
    tallies: &'a [Option<Tally>],
    children: BTreeMap<i32, Vec<&'a Process>>,
    rows: Vec<Vec<String>>,
}

impl Tree<'_> {
    /// Adds a process and its descendants. `branch` stands before its command, `trunk` before those of its children.
    fn add(&mut self, process: &Process, branch: &str, trunk: &str) {
        self.rows.push(self.row(process, branch));
        let children = self.children.remove(&process.pid).unwrap_or_default();
        for (number, child) in children.iter().enumerate() {
            let is_last = number + 1 == children.len();
            let (own, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.add(child, &format!("{trunk}{own}"), &format!("{trunk}{below}"));
        }
    }

    fn row(&self, process: &Process, branch: &str) -> Vec<String> {
        let memory = process.memory.map(|id| id as usize);
        let bytes = memory.map_or(0, |id| sizes(&self.snapshot.memories[id]).iter().sum());
        let saved = memory.map_or(Some(0), |id| self.tallies.get(id).copied().flatten().map(|tally| tally.total()));
        vec![
            process.pid.to_string(),
            state(process.state),
            process.threads.len().to_string(),
            size(bytes),
            maybe_size(saved),
            format!("{branch}{}", command(process)),
        ]
    }
}

fn state(state: State) -> String {
    match state {
        State::Running => "running".into(),
        State::Stopped(_) => "stopped".into(),
        State::Zombie(status) if libc::WIFSIGNALED(status) => format!("died of {}", libc::WTERMSIG(status)),
        State::Zombie(status) => format!("ended with {}", libc::WEXITSTATUS(status)),
    }
}

/// The command line in one line; a process without one, as a zombie is, by its name in brackets.
fn command(process: &Process) -> String {
    let line = if process.command.is_empty() { format!("[{}]", process.name) } else { process.command.clone() };
    line.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
