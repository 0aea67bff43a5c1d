//! Processes that objects are about: those of the job, whose ids may be others at the restart, and strangers, who must still be the same.
//!
//! Relies on `/proc`. A stranger is known by its start time on the same boot of the same machine.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::KindError;
use crate::image::Snapshot;
use crate::proc::{ProcDir, ProcError, boot_id};

/// A process or thread that is not part of the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrangerV1 {
    /// Its id.
    pub pid: i32,
    /// When it was started: clock ticks since boot.
    pub start_ticks: u64,
    /// The boot of the machine on which it runs.
    pub boot_id: String,
    /// Its name, for messages.
    pub name: String,
}

impl StrangerV1 {
    /// The process that has this id now.
    pub fn of(pid: i32) -> Result<StrangerV1, ProcError> {
        let dir = ProcDir::open(pid)?;
        let name = dir.stat()?.comm.to_string_lossy().into_owned();
        Ok(StrangerV1 { pid, start_ticks: dir.start_ticks(), boot_id: boot_id()?, name })
    }

    /// Refuses `what`, which is about the stranger, unless it is still there.
    pub fn check(&self, what: &str) -> Result<(), KindError> {
        let is_same = ProcDir::open(self.pid).is_ok_and(|dir| dir.start_ticks() == self.start_ticks);
        if is_same && boot_id().is_ok_and(|now| now == self.boot_id) {
            return Ok(());
        }
        Err(KindError::Unrestorable {
            what: format!("{what} process {} ({}), which is not part of the job and has ended,", self.pid, self.name),
            remedy: "let a script decide \"close\" or another path in object-disposition".into(),
        })
    }
}

/// Whether an id is that of a process or thread of the job.
pub fn is_member(snapshot: &Snapshot, id: i32) -> bool {
    snapshot.processes.iter().any(|process| process.pid == id || process.threads.iter().any(|thread| thread.tid == id))
}

/// A path below `/proc/PID`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcPath {
    /// The process, or a thread.
    pub pid: i32,
    /// The thread whose directory in `/proc/PID/task` it is, or is in.
    pub tid: Option<i32>,
    /// The rest; empty for the directory itself.
    #[serde(with = "crate::image::path")]
    pub rest: PathBuf,
}

impl ProcPath {
    /// Takes a path apart; `None` if it is not below `/proc/PID`.
    pub fn of(path: &Path) -> Option<ProcPath> {
        let below = path.strip_prefix("/proc").ok()?;
        let (pid, rest) = number(below)?;
        match rest.strip_prefix("task").ok().and_then(number) {
            Some((tid, rest)) => Some(ProcPath { pid, tid: Some(tid), rest: rest.to_owned() }),
            None => Some(ProcPath { pid, tid: None, rest: rest.to_owned() }),
        }
    }

    /// The path when ids have changed.
    pub fn now(&self, id: impl Fn(i32) -> i32) -> PathBuf {
        let mut path = PathBuf::from("/proc").join(id(self.pid).to_string());
        if let Some(tid) = self.tid {
            path = path.join("task").join(id(tid).to_string());
        }
        // Joining nothing would leave a slash at the end.
        if self.rest.as_os_str().is_empty() { path } else { path.join(&self.rest) }
    }
}

/// The number that a path begins with, and the rest.
fn number(path: &Path) -> Option<(i32, &Path)> {
    let mut parts = path.components();
    let first = parts.next()?.as_os_str().to_str()?;
    let is_number = !first.starts_with('0') && first.bytes().all(|byte| byte.is_ascii_digit());
    first.parse().ok().filter(|_| is_number).map(|number| (number, parts.as_path()))
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn ids_in_paths_follow_the_processes() {
        for (path, now) in [
            ("/proc/12", Some("/proc/1012")),
            ("/proc/12/status", Some("/proc/1012/status")),
            ("/proc/12/task", Some("/proc/1012/task")),
            ("/proc/12/task/13", Some("/proc/1012/task/1013")),
            ("/proc/12/task/13/stat", Some("/proc/1012/task/1013/stat")),
            ("/proc/12/net/tcp", Some("/proc/1012/net/tcp")),
            ("/proc/meminfo", None),
            ("/proc/12x", None),
            ("/proc", None),
            ("/procession/12", None),
        ] {
            let found = ProcPath::of(Path::new(path)).map(|path| path.now(|id| id + 1000));
            assert_eq!(found.as_deref(), now.map(Path::new), "{path}");
        }
    }

    #[test]
    fn a_stranger_is_known_by_its_start() {
        let own = std::process::id().cast_signed();
        let stranger = StrangerV1::of(own).unwrap();
        stranger.check("a pidfd of").unwrap();
        let reused = StrangerV1 { start_ticks: stranger.start_ticks + 1, name: "made".into(), ..stranger.clone() };
        let text = format!("a pidfd of process {own} (made), which is not part of the job and has ended, cannot be restored");
        assert_eq!(reused.check("a pidfd of").unwrap_err().to_string(), text);
        assert!(StrangerV1 { boot_id: "another".into(), ..stranger }.check("a pidfd of").is_err());
    }
}
