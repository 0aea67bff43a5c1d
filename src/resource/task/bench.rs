//! What tests of kinds need: contexts without a job, and a paused child into which a state is put and from which it is read again.
//!
//! Relies on `tracee` as the engine does; so a round trip here goes through the very rows that a checkpoint and a restart make.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::image::Snapshot;
use crate::proc::ProcDir;
use crate::resource::actor::Actor;
use crate::resource::outside::Outside;
use crate::resource::{Bind, Directories, KindError, Plan, TaskKind, TaskProbe};
use crate::sys::process;
use crate::tracee::freeze::{Deadline, Frozen, freeze};
use crate::tracee::{Batch, Scratch, TraceeError};

/// A job without processes.
pub fn empty_job() -> Snapshot {
    Snapshot::default()
}

fn same_path(path: &Path) -> PathBuf {
    path.to_owned()
}

/// Plans a state; returns the warnings.
pub fn plan<K: TaskKind>(kind: &K, state: &K::State) -> Result<Vec<String>, KindError> {
    let snapshot = empty_job();
    let actor = Arc::new(Actor::ours());
    let mut cx = Plan {
        snapshot: &snapshot,
        path: &same_path,
        uses: &[],
        actor: &actor,
        outside: &Outside::default(),
        is_proof: false,
        warnings: Vec::new(),
    };
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
        directories: Directories::default(),
        same_ids: false,
        keeps_surroundings: false,
        warnings: Vec::new(),
    };
    kind.apply(state, &mut cx, &mut batch).unwrap();
    (batch, cx.warnings)
}

/// A paused child of the test, stopped; it is killed at the end.
pub struct Child {
    /// Its id.
    pub pid: i32,
    frozen: Frozen,
    scratch: Scratch,
}

impl Child {
    /// Makes one.
    pub fn new() -> Child {
        let pid = process::fork_paused().unwrap();
        let mut frozen = freeze(Deadline::after(None), || Ok::<_, TraceeError>(vec![pid])).unwrap();
        let scratch = Scratch::plant(&mut frozen.processes[0].threads[0], 1, Scratch::LARGE, None).unwrap();
        Child { pid, frozen, scratch }
    }

    /// Reads a kind's state from it.
    pub fn capture<K: TaskKind>(&mut self, kind: &K) -> Result<K::State, KindError> {
        let dir = ProcDir::open(self.pid)?;
        let status = dir.status()?;
        let probe = TaskProbe { pid: self.pid, tid: self.pid, dir: &dir, status: &status };
        let mut ask = Batch::new();
        let later = kind.capture(&probe, &mut ask)?;
        let answers = self.scratch.run(&mut self.frozen.processes[0].threads[0], &ask)?;
        later(&answers)
    }

    /// Puts a state into it; returns the warnings.
    pub fn apply<K: TaskKind>(&mut self, kind: &K, state: &K::State) -> Result<Vec<String>, KindError> {
        let snapshot = empty_job();
        let mut batch = Batch::new();
        let mut cx = Bind {
            snapshot: &snapshot,
            pid: self.pid,
            tid: self.pid,
            id: &|id| id,
            path: &same_path,
            directories: Directories::default(),
            same_ids: true,
            keeps_surroundings: false,
            warnings: Vec::new(),
        };
        kind.apply(state, &mut cx, &mut batch)?;
        self.scratch.run(&mut self.frozen.processes[0].threads[0], &batch)?;
        kind.apply_outside(state, &mut cx)?;
        Ok(cx.warnings)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        process::kill(self.pid, libc::SIGKILL).unwrap();
        while process::wait_all(self.pid).is_ok_and(|(_, status)| libc::WIFSTOPPED(status)) {}
    }
}

/// Puts a state into a child and asserts that what is read back is the same.
#[track_caller]
pub fn round_trip<K: TaskKind>(kind: &K, state: &K::State)
where
    K::State: std::fmt::Debug + PartialEq,
{
    let mut child = Child::new();
    let warnings = child.apply(kind, state).unwrap();
    assert_eq!(warnings, [""; 0]);
    assert_eq!(child.capture(kind).unwrap(), *state);
}
