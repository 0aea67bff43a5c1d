//! The working directory and the root directory of a process.
//!
//! Kept: both, as paths, in `/proc` with the ids that processes of the job have by then; so that `--relocate` applies to them; also a working directory that has been removed: one is made and removed again.
//! Lost: that a directory was renamed between checkpoint and restart: the path counts; the mode of a removed one.
//! Refused: a root directory that has been removed; a directory that our mount namespace does not reach.
//!
//! Relies on the restarter having the root directory of `cr_checkpoint`. Sharing (CLONE_FS) is left to the engine.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};
use serde::{Deserialize, Serialize};

use super::known;
use crate::image::{Snapshot, Tag};
use crate::resource::process::{ProcPath, is_member};
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
    /// Whether that has been removed.
    pub is_removed: bool,
    /// Root directory, seen from our root.
    #[serde(with = "serde_bytes")]
    pub root: Vec<u8>,
}

impl TaskKind for Cwd {
    type State = CwdV1;
    const TAG: Tag = Tag::new("cwd", 1);
    const STEP: Step = Step::Place;

    fn capture(&self, probe: &TaskProbe<'_>, _ask: &mut Batch) -> Result<Later<CwdV1>, KindError> {
        let (cwd, is_removed) = directory(probe, "cwd")?;
        let (root, root_is_removed) = directory(probe, "root")?;
        for (what, path, refused) in
            [("working", &cwd, !cwd.starts_with(b"/")), ("root", &root, root_is_removed || !root.starts_with(b"/"))]
        {
            if refused {
                return Err(KindError::Unsupported {
                    what: format!("process {}, whose {what} directory is {},", probe.pid, String::from_utf8_lossy(path)),
                    remedy: "let it change to a directory that exists and that the checkpoint can reach".into(),
                });
            }
        }
        Ok(known(CwdV1 { cwd, is_removed, root }))
    }

    fn plan(&self, state: &CwdV1, cx: &mut Plan<'_>) -> Result<(), KindError> {
        let cwd = (cx.path)(as_path(&state.cwd));
        if state.is_removed {
            let parent = nearest(&cwd);
            let may_make = access(parent, AccessFlags::W_OK | AccessFlags::X_OK);
            may_make.map_err(|errno| KindError::path("make a working directory that is then removed in", parent, errno))?;
        } else if of_the_job(&state.cwd, cx.snapshot).is_none() {
            check(&cwd, "enter the working directory")?;
        }
        check(&(cx.path)(as_path(&state.root)), "enter the root directory")
    }

    fn apply(&self, state: &CwdV1, cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        let cwd = now(&state.cwd, cx);
        let root = now(&state.root, cx);
        // chroot(2) leaves the working directory alone, so that goes first, while its path is still the one we know.
        let passing = nearest(&cwd).join(format!(".removed-{}", cx.pid));
        let path = batch.string(if state.is_removed { &passing } else { &cwd }.as_os_str().as_bytes());
        if state.is_removed {
            batch.call("make a directory", libc::SYS_mkdir, [path.into(), 0o700.into()]);
        }
        batch.call("enter the working directory", libc::SYS_chdir, [path.into()]);
        if state.is_removed {
            batch.call("remove the working directory", libc::SYS_rmdir, [path.into()]);
        }
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
    match of_the_job(saved, cx.snapshot) {
        Some(path) => path.now(cx.id),
        None => (cx.path)(as_path(saved)),
    }
}

/// A directory below `/proc/PID` of a process of the job, which is not there before the job is.
fn of_the_job(saved: &[u8], snapshot: &Snapshot) -> Option<ProcPath> {
    ProcPath::of(as_path(saved)).filter(|path| is_member(snapshot, path.pid))
}

fn check(path: &Path, attempt: &str) -> Result<(), KindError> {
    let failed = |errno| KindError::path(attempt, path, errno);
    let found = std::fs::metadata(path).map_err(|error| failed(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))))?;
    if found.is_dir() { Ok(()) } else { Err(failed(Errno::ENOTDIR)) }
}

/// The nearest directory above a path that exists.
fn nearest(path: &Path) -> &Path {
    path.ancestors().skip(1).find(|above| above.is_dir()).unwrap_or(Path::new("/"))
}

/// Where a link of the process leads, and whether the directory there has been removed.
fn directory(probe: &TaskProbe<'_>, link: &str) -> Result<(Vec<u8>, bool), KindError> {
    // A leader that has ended has no directories any more; the thread that is asked has.
    let thread = if probe.tid == probe.pid { None } else { Some(probe.dir.task(probe.tid)?) };
    let dir = thread.as_ref().unwrap_or(probe.dir);
    let path = dir.link(link)?.into_vec();
    match path.strip_suffix(b" (deleted)") {
        Some(name) if dir.stat_link(link)?.nlink == 0 || !as_path(&path).exists() => Ok((name.to_vec(), true)),
        Some(_) | None => Ok((path, false)),
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    fn state(cwd: &str, root: &str) -> CwdV1 {
        CwdV1 { cwd: cwd.into(), is_removed: false, root: root.into() }
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

    #[test]
    fn a_working_directory_comes_back_also_a_removed_one() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("there (deleted)/deep");
        std::fs::create_dir_all(&path).unwrap();
        let there = state(path.to_str().unwrap(), "/");
        bench::round_trip(&Cwd, &there);
        let removed = CwdV1 { is_removed: true, ..there.clone() };
        std::fs::remove_dir(&path).unwrap();
        let mut child = bench::Child::new();
        assert!(bench::plan(&Cwd, &removed).unwrap().is_empty());
        child.apply(&Cwd, &removed).unwrap();
        let found = child.capture(&Cwd).unwrap();
        assert!(found.is_removed && as_path(&found.cwd).parent() == path.parent(), "{found:?}");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 0, "nothing is left behind");
    }
}
