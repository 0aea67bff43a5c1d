//! Kinds of per-process and per-thread state, one file each.
//!
//! Stubs inherit the state of the restarter, so a kind saves its state absolutely and always sets it. What several kinds need
//! stands here: kinds do not use each other.

pub mod affinity;
pub mod alternate_stack;
pub mod clear_child_tid;
pub mod credential;
pub mod cwd;
pub mod handler;
pub mod interval_timer;
pub mod limit;
pub mod name;
pub mod pending;
pub mod robust_list;
pub mod rseq;
pub mod scheduling;
mod siginfo;
pub mod thread_signal;
pub mod umask;

use super::Later;
use crate::sys::process;

/// The state of a kind that needs no answer from the task.
fn known<S: 'static>(state: S) -> Later<S> {
    Box::new(move |_| Ok(state))
}

/// Adds a sentence for the user, once.
fn warn(warnings: &mut Vec<String>, text: String) {
    if !warnings.contains(&text) {
        warnings.push(text);
    }
}

/// Whether we have a capability that the kernel honours only in the initial user namespace (user_namespaces(7)).
fn has_host_capability(capability: u32) -> bool {
    let effective = process::own_capabilities().map_or(0, |own| own.effective);
    let is_initial = || {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        map.split_whitespace().eq(["0", "0", "4294967295"])
    };
    effective >> capability & 1 == 1 && is_initial()
}

/// What tests of kinds need: contexts without a job, and a batch whose rows can be looked at.
#[cfg(test)]
mod bench {
    use std::path::{Path, PathBuf};

    use crate::image::{Origin, Scope, Snapshot};
    use crate::resource::{Bind, KindError, Plan, TaskKind};
    use crate::tracee::Batch;

    /// A job without processes.
    pub fn empty_job() -> Snapshot {
        Snapshot {
            origin: Origin::default(),
            scope: Scope::Tree,
            ids: Vec::new(),
            processes: Vec::new(),
            memories: Vec::new(),
            tables: Vec::new(),
            descriptions: Vec::new(),
            objects: Vec::new(),
            decisions: Vec::new(),
            annotations: Vec::new(),
        }
    }

    fn same_path(path: &Path) -> PathBuf {
        path.to_owned()
    }

    /// Plans a state; returns the warnings.
    pub fn plan<K: TaskKind>(kind: &K, state: &K::State) -> Result<Vec<String>, KindError> {
        let snapshot = empty_job();
        let mut cx = Plan { snapshot: &snapshot, path: &same_path, warnings: Vec::new() };
        kind.plan(state, &mut cx)?;
        Ok(cx.warnings)
    }

    /// Applies a state in process 4242, thread 4343, with ids moved by 1000; returns the rows and the warnings.
    pub fn apply<K: TaskKind>(kind: &K, state: &K::State) -> (Batch, Vec<String>) {
        let snapshot = empty_job();
        let mut batch = Batch::new();
        let mut cx = Bind {
            snapshot: &snapshot,
            pid: 4242,
            tid: 4343,
            id: &|id| id + 1000,
            path: &same_path,
            same_ids: false,
            warnings: Vec::new(),
        };
        kind.apply(state, &mut cx, &mut batch).unwrap();
        (batch, cx.warnings)
    }
}
