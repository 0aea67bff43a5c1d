//! Jobs that the machine itself keeps books of: what an IRIX job (JID) and an array session (ASH) are here.
//!
//! A seam: a [`Books`] tells the number of the job that a process belongs to, and the rest follows from it. An IRIX job, which all descendants of
//! a point of entry belong to whatever session they make, is a control group; its number is that of the group's directory. An array session, which
//! spans machines and has a number of its own, is a job of a batch system; its number is in the environment that the batch system
//! started it with. Relies on `/proc`. Stops nobody.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::image::Scope;
use crate::proc::{ProcDir, system_file};

/// Knows to which jobs of one sort a process belongs.
pub trait Books {
    /// The numbers of its jobs, the innermost first. None if it cannot be seen.
    fn jobs_of(&mut self, process: &ProcDir) -> Vec<i64>;
}

/// The books for a scope that names a job.
pub fn books(scope: Scope) -> Option<Box<dyn Books>> {
    match scope {
        Scope::Cgroup => Some(Box::new(ControlGroups::new())),
        Scope::Batch => Some(Box::new(BatchJobs)),
        Scope::Tree | Scope::Process | Scope::Group | Scope::Session | Scope::Share => None,
    }
}

/// Control groups, version 2.
pub struct ControlGroups {
    mount: Option<PathBuf>,
    known: HashMap<String, Vec<i64>>,
}

impl ControlGroups {
    /// Finds where they are mounted.
    pub fn new() -> ControlGroups {
        let mounts = system_file("self/mounts").unwrap_or_default();
        let mounts = String::from_utf8_lossy(&mounts).into_owned();
        let mount = mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (path, kind) = (words.next()?, words.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(path))
        });
        ControlGroups { mount, known: HashMap::new() }
    }
}

impl Default for ControlGroups {
    fn default() -> ControlGroups {
        ControlGroups::new()
    }
}

impl Books for ControlGroups {
    fn jobs_of(&mut self, process: &ProcDir) -> Vec<i64> {
        let Some(mount) = &self.mount else { return Vec::new() };
        let Some(path) = process.read("cgroup").ok().and_then(|text| group_path(&text)) else { return Vec::new() };
        self.known.entry(path).or_insert_with_key(|path| numbers(mount, path)).clone()
    }
}

/// The group in the hierarchy of version 2, which has number 0 and no controllers.
fn group_path(text: &[u8]) -> Option<String> {
    String::from_utf8_lossy(text).lines().find_map(|line| line.strip_prefix("0::").map(str::to_owned))
}

/// The numbers of a group and of those above it; not that of the root, which everybody is in.
fn numbers(mount: &Path, group: &str) -> Vec<i64> {
    let relative = Path::new(group.trim_start_matches('/'));
    let groups = relative.ancestors().filter(|above| !above.as_os_str().is_empty());
    groups.filter_map(|above| std::fs::metadata(mount.join(above)).ok()).map(|found| found.ino().cast_signed()).collect()
}

/// Jobs of batch systems.
pub struct BatchJobs;

/// Where batch systems leave the number of a job in its environment: Slurm, PBS, LSF, Grid Engine.
pub const BATCH_VARIABLES: &[&str] = &["SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID"];

impl Books for BatchJobs {
    fn jobs_of(&mut self, process: &ProcDir) -> Vec<i64> {
        let environ = process.read("environ").unwrap_or_default();
        batch_job(&environ).into_iter().collect()
    }
}

/// The number of the batch job in an environment. PBS writes the name of its server behind it.
fn batch_job(environ: &[u8]) -> Option<i64> {
    let value = |variable: &str| {
        environ.split(|byte| *byte == 0).find_map(|entry| {
            let text = std::str::from_utf8(entry).ok()?.strip_prefix(variable)?.strip_prefix('=')?;
            let digits = text.split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse().ok()
        })
    };
    BATCH_VARIABLES.iter().find_map(|variable| value(variable))
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn batch_jobs_are_known_by_their_environment() {
        for (environ, number) in [
            (&b"A=1\0SLURM_JOB_ID=4711\0"[..], Some(4711)),
            (b"PBS_JOBID=42.server\0", Some(42)),
            (b"XSLURM_JOB_ID=1\0LSB_JOBID=7", Some(7)),
            (b"JOB_ID=undefined\0", None),
            (b"", None),
        ] {
            assert_eq!(batch_job(environ), number, "{}", String::from_utf8_lossy(environ));
        }
    }

    #[test]
    fn the_group_of_version_2_counts_and_all_above_it_but_the_root() {
        assert_eq!(group_path(b"12:pids:/x\n0::/user.slice/a\n").as_deref(), Some("/user.slice/a"));
        let here = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(here.path().join("a/b")).unwrap();
        let found = numbers(here.path(), "/a/b");
        let number = |path: &str| std::fs::metadata(here.path().join(path)).unwrap().ino().cast_signed();
        assert_eq!(found, [number("a/b"), number("a")]);
        assert!(numbers(here.path(), "/").is_empty());
    }
}
