//! The working directory and the root directory of a process.
//!
//! Kept: both, as paths, so that `--relocate` applies to them.
//! Lost: that a directory was renamed between checkpoint and restart: the path counts.
//! Refused: a directory that has been removed, or that our mount namespace does not reach.
//!
//! Relies on the restarter having the root directory of `cr_checkpoint`. Sharing (CLONE_FS) is left to the engine.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::known;
use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Plan, Step, TaskKind, TaskProbe};
use crate::sys::Errno;
use crate::tracee::Batch;

/// See the module.
pub struct Cwd;

/// Paths as bytes: they need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CwdV1 {
    /// Working directory, seen from our root.
    #[serde(with = "serde_bytes")]
    pub cwd: Vec<u8>,
    /// Root directory, seen from our root.
    #[serde(with = "serde_bytes")]
    pub root: Vec<u8>,
}

impl TaskKind for Cwd {
    type State = CwdV1;
    const TAG: Tag = Tag::new("cwd", 1);
    const STEP: Step = Step::Place;

    fn capture(&self, probe: &TaskProbe<'_>, _ask: &mut Batch) -> Result<Later<CwdV1>, KindError> {
        let cwd = directory(probe, "cwd", "working directory")?;
        let root = directory(probe, "root", "root directory")?;
        Ok(known(CwdV1 { cwd, root }))
    }

    fn plan(&self, state: &CwdV1, cx: &mut Plan<'_>) -> Result<(), KindError> {
        for (saved, attempt) in [(&state.cwd, "enter the working directory"), (&state.root, "enter the root directory")] {
            let path = (cx.path)(as_path(saved));
            let found = std::fs::metadata(&path).map_err(|error| {
                KindError::path(attempt, &path, Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
            })?;
            if !found.is_dir() {
                return Err(KindError::path(attempt, path, Errno::ENOTDIR));
            }
        }
        Ok(())
    }

    fn apply(&self, state: &CwdV1, cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        let cwd = now(&state.cwd, cx);
        let root = now(&state.root, cx);
        // chroot(2) leaves the working directory alone, so that goes first, while its path is still the one we know.
        let path = batch.string(cwd.as_os_str().as_bytes());
        batch.call("enter the working directory", libc::SYS_chdir, [path.into()]);
        if root != Path::new("/") {
            let path = batch.string(root.as_os_str().as_bytes());
            batch.call("change the root directory", libc::SYS_chroot, [path.into()]);
        }
        Ok(())
    }
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn now(saved: &[u8], cx: &Bind<'_>) -> PathBuf {
    (cx.path)(as_path(saved))
}

fn directory(probe: &TaskProbe<'_>, link: &str, what: &str) -> Result<Vec<u8>, KindError> {
    let path = probe.dir.link(link)?.into_vec();
    let shown = String::from_utf8_lossy(&path);
    let removed = probe.dir.stat_link(link)?.nlink == 0;
    if removed || !path.starts_with(b"/") {
        return Err(KindError::Unsupported {
            what: format!("process {}, whose {what} is {shown},", probe.pid),
            remedy: "let it change to a directory that exists".into(),
        });
    }
    Ok(path)
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    fn state(cwd: &str, root: &str) -> CwdV1 {
        CwdV1 { cwd: cwd.into(), root: root.into() }
    }

    #[test]
    fn the_root_is_changed_only_when_it_is_another() {
        for (root, n_rows) in [("/", 1), ("/srv", 2)] {
            assert_eq!(bench::apply(&Cwd, &state("/tmp", root)).0.len(), n_rows, "{root}");
        }
    }

    #[test]
    fn a_missing_directory_is_refused_in_the_plan() {
        assert!(bench::plan(&Cwd, &state("/", "/")).unwrap().is_empty());
        let error = bench::plan(&Cwd, &state("/no/such", "/")).unwrap_err();
        assert_eq!(error.to_string(), "cannot enter the working directory /no/such");
        let error = bench::plan(&Cwd, &state("/", "/proc/self/status")).unwrap_err();
        assert_eq!(error.to_string(), "cannot enter the root directory /proc/self/status");
    }
}
