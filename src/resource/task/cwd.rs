//! The working directory and the root directory of a process.
//!
//! Kept: both, as paths, in `/proc` with the ids that processes of the job have by then; so that `--relocate` applies to them; also a working directory that has been removed: one is made and removed again.
//! Lost: that a directory was renamed between checkpoint and restart: the path counts; the mode of a removed one.
//! Refused: a root directory that has been removed; a directory that our mount namespace does not reach.
//!
//! Relies on the restarter having the root directory of `cr_checkpoint`. Sharing (CLONE_FS) is left to the engine.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::known;
use crate::image::{Record, Snapshot, Tag};
use crate::resource::actor::{self, Actor, Place};
use crate::resource::file::open;
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
        if !state.is_removed && of_the_job(&state.cwd, cx.snapshot).is_none() {
            check(cx.actor, &cwd, "enter the working directory")?;
        }
        check(cx.actor, &(cx.path)(as_path(&state.root)), "enter the root directory")
    }

    fn apply(&self, state: &CwdV1, cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        // chroot(2) leaves the working directory alone, so that goes last, unless it is found by a path.
        if let Some(cwd) = of_the_job(&state.cwd, cx.snapshot) {
            let path = batch.string(cwd.now(cx.id).as_os_str().as_bytes());
            batch.call("enter the working directory", libc::SYS_chdir, [path.into()]);
        }
        if let Some(root) = cx.directories.root {
            let here = batch.string(b".");
            batch.call("enter the root directory", libc::SYS_fchdir, [root.into()]);
            batch.call("change the root directory", libc::SYS_chroot, [here.into()]);
        }
        if let Some(cwd) = cx.directories.cwd {
            batch.call("enter the working directory", libc::SYS_fchdir, [cwd.into()]);
        }
        Ok(())
    }
}

/// Working and root directory of a process, open: the root only if it is another than ours.
pub struct Entered {
    /// Working directory; none if only the job's processes have it.
    pub cwd: Option<OwnedFd>,
    /// Root directory.
    pub root: Option<OwnedFd>,
}

/// Opens the directories of a process as `actor`, in the restarter. Done before the process exists, which inherits the descriptors.
pub fn enter(
    (record, snapshot): (&Record, &Snapshot),
    actor: &Arc<Actor>,
    path: &dyn Fn(&Path) -> PathBuf,
    warnings: &mut Vec<String>,
) -> Result<Entered, KindError> {
    let state: CwdV1 = record.decode(Cwd::TAG)?;
    let (cwd, root) = (path(as_path(&state.cwd)), path(as_path(&state.root)));
    let mut open = || if state.is_removed { removed(actor, &cwd, warnings) } else { actor.enter(&cwd) };
    let opened = of_the_job(&state.cwd, snapshot).is_none().then(&mut open).transpose();
    let cwd = opened.map_err(|errno| actor.refusal("enter the working directory", &cwd, errno))?;
    let is_other = root != Path::new("/");
    let root = is_other.then(|| actor.enter(&root).map_err(|errno| actor.refusal("enter the root directory", &root, errno)));
    Ok(Entered { cwd, root: root.transpose()? })
}

/// Puts other directories in the place of those that were saved.
pub fn instead(record: &mut Record, cwd: Option<&Path>, root: Option<&Path>) -> Result<(), KindError> {
    let mut state: CwdV1 = record.decode(Cwd::TAG)?;
    if let Some(cwd) = cwd {
        (state.cwd, state.is_removed) = (cwd.as_os_str().as_bytes().to_vec(), false);
    }
    if let Some(root) = root {
        state.root = root.as_os_str().as_bytes().to_vec();
    }
    *record = Record::encode(Cwd::TAG, &state)?;
    Ok(())
}

/// A directory that has been removed again: with its old path if that is free and its actor may make it, else in /tmp.
fn removed(actor: &Arc<Actor>, path: &Path, warnings: &mut Vec<String>) -> Result<OwnedFd, Errno> {
    let base = path.ancestors().skip(1).find(|above| actor.enter(above).is_ok()).unwrap_or(Path::new("/"));
    let rest = path.strip_prefix(base).unwrap_or(path);
    make_and_remove(actor, base, rest).or_else(|errno| {
        warnings.push(format!("the removed working directory {} is in /tmp now: {}", path.display(), errno.desc()));
        let name = open::spare_name(Path::new("/tmp"));
        make_and_remove(actor, Path::new("/tmp"), name.strip_prefix("/tmp").unwrap_or(&name))
    })
}

fn make_and_remove(actor: &Arc<Actor>, base: &Path, rest: &Path) -> Result<OwnedFd, Errno> {
    let mut places: Vec<Place> = Vec::new();
    let mut innermost = Err(Errno::ENOENT);
    for name in rest.components() {
        let next = match (places.last(), &innermost) {
            (Some(place), Ok(dir)) => actor::keep(AsFd::as_fd(dir)).and_then(|dir| place.within(dir, Path::new(name.as_os_str()))),
            _ => actor.place(&base.join(name)),
        };
        let made = next.and_then(|place| place.make_directory(0o700).map(|()| place));
        innermost = made.and_then(|place| {
            let opened = place.open(libc::O_PATH | libc::O_DIRECTORY, 0);
            places.push(place);
            opened
        });
        if innermost.is_err() {
            break;
        }
    }
    // What cannot be removed has been filled by somebody else.
    places.iter().rev().try_for_each(Place::remove_directory)?;
    innermost
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// A directory below `/proc/PID` of a process of the job, which is not there before the job is.
fn of_the_job(saved: &[u8], snapshot: &Snapshot) -> Option<ProcPath> {
    ProcPath::of(as_path(saved)).filter(|path| is_member(snapshot, path.pid))
}

fn check(actor: &Arc<Actor>, path: &Path, attempt: &str) -> Result<(), KindError> {
    actor.enter(path).map(drop).map_err(|errno| actor.refusal(attempt, path, errno))
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
    use std::os::fd::AsRawFd;

    use super::super::bench;
    use super::*;

    fn state(cwd: &str, root: &str) -> CwdV1 {
        CwdV1 { cwd: cwd.into(), is_removed: false, root: root.into() }
    }

    fn entered(state: &CwdV1) -> (Entered, Vec<String>) {
        let record = Record::encode(Cwd::TAG, state).unwrap();
        let mut warnings = vec![];
        let entered = enter((&record, &Snapshot::default()), &Arc::new(Actor::ours()), &|path| path.to_owned(), &mut warnings).unwrap();
        (entered, warnings)
    }

    #[test]
    fn the_root_is_changed_only_when_it_is_another() {
        for (root, is_other) in [("/", false), ("/tmp", true)] {
            assert_eq!(entered(&state("/tmp", root)).0.root.is_some(), is_other, "{root}");
        }
    }

    #[test]
    fn others_take_the_place_of_what_was_saved() {
        let mut record = Record::encode(Cwd::TAG, &CwdV1 { is_removed: true, ..state("/gone", "/jail") }).unwrap();
        instead(&mut record, None, Some(Path::new("/"))).unwrap();
        assert_eq!(record.decode::<CwdV1>(Cwd::TAG).unwrap(), CwdV1 { is_removed: true, ..state("/gone", "/") });
        instead(&mut record, Some(Path::new("/tmp")), None).unwrap();
        assert_eq!(record.decode::<CwdV1>(Cwd::TAG).unwrap(), state("/tmp", "/"));
    }

    #[test]
    fn a_missing_directory_is_refused_in_the_plan() {
        assert!(bench::plan(&Cwd, &state("/", "/")).unwrap().is_empty());
        let error = bench::plan(&Cwd, &state("/no/such", "/")).unwrap_err();
        assert_eq!(error.to_string(), "cannot enter the working directory /no/such");
        let error = bench::plan(&Cwd, &state("/", "/etc/passwd")).unwrap_err();
        assert_eq!(error.to_string(), "cannot enter the root directory /etc/passwd");
    }

    #[test]
    fn a_working_directory_comes_back_also_a_removed_one() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("there (deleted)/deep");
        std::fs::create_dir_all(&path).unwrap();
        let there = state(path.to_str().unwrap(), "/");
        let shown = |entered: &Entered| std::fs::read_link(format!("/proc/self/fd/{}", entered.cwd.as_ref().unwrap().as_raw_fd())).unwrap();
        assert_eq!(shown(&entered(&there).0), path);
        let removed = CwdV1 { is_removed: true, ..there.clone() };
        for missing in [path.clone(), path.parent().unwrap().to_owned()] {
            std::fs::remove_dir(&missing).unwrap();
            assert!(bench::plan(&Cwd, &removed).unwrap().is_empty());
            let (entered, warnings) = entered(&removed);
            assert_eq!(shown(&entered).to_str().unwrap(), format!("{} (deleted)", path.display()), "it has its old name");
            assert_eq!(warnings, [""; 0]);
            let left = std::fs::read_dir(missing.parent().unwrap()).unwrap().count();
            assert_eq!(left, 0, "nothing is left behind");
        }
    }
}
