//! Files and directories below `/proc/PID`.
//!
//! **Kept:** path, offset and flags, with the ids that the processes and threads of the job have at the restart; those of processes outside of
//! the job if these are still there.
//! **Lost:** that a file was read in part: what is read next is what the kernel says then.
//! **Refused:** files of processes that have ended, and files of single descriptors and mappings (`fd/N`, `fdinfo/N`, `map_files/A-B`), which come
//! and go; at a restart, files of a process outside of the job that has ended, unless a script decides in `object-disposition`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::open;
use crate::image::{Description, Object, ObjectId, Tag};
use crate::proc::ProcError;
use crate::resource::process::{ProcPath, StrangerV1, is_member};
use crate::resource::{Build, Built, Capture, FileKind, Identity, KindError, Opened, Plan, Probe, When};

/// Files and directories below `/proc/PID`.
pub struct ProcFile;

/// A path below `/proc/PID`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcFileV1 {
    /// The path, with saved ids.
    pub path: ProcPath,
    /// The process, if it is not part of the job.
    pub stranger: Option<StrangerV1>,
}

impl ProcFileV1 {
    fn check(&self) -> Result<(), KindError> {
        let what = || format!("{} of", self.path.now(|id| id).display());
        self.stranger.as_ref().map_or(Ok(()), |stranger| stranger.check(&what()))
    }
}

impl FileKind for ProcFile {
    type State = ProcFileV1;
    const TAG: Tag = Tag::new("proc_file", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        ProcPath::of(probe.link).is_some()
    }

    fn identity(&self, probe: &Probe<'_>) -> Identity {
        Identity::Path(probe.stat.dev, probe.stat.ino, probe.link.to_owned())
    }

    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<ProcFileV1, KindError> {
        let link = probes[0].link;
        let refuse = |why: &str| {
            let remedy = "close it before the checkpoint, or let a script decide in object-disposition".into();
            Err(KindError::Unsupported { what: format!("{}, {why},", link.display()), remedy })
        };
        let path = ProcPath::of(link).expect("claimed by its path");
        let mut parts = path.rest.components();
        let directory = parts.next().and_then(|part| part.as_os_str().to_str()).unwrap_or_default();
        if ["fd", "fdinfo", "map_files"].contains(&directory) && parts.next().is_some() {
            return refuse("which is there only as long as the descriptor or mapping is");
        }
        let is_member = cx.facts.is_member(path.pid) && path.tid.is_none_or(|tid| cx.facts.is_member(tid));
        // The kernel marks the files of those that have ended like removed ones.
        if link.to_string_lossy().ends_with(" (deleted)") {
            return refuse("whose process or thread has ended");
        }
        match StrangerV1::of(path.tid.unwrap_or(path.pid)) {
            _ if is_member => Ok(ProcFileV1 { path, stranger: None }),
            Ok(stranger) => Ok(ProcFileV1 { path, stranger: Some(stranger) }),
            Err(ProcError::Gone { .. }) => refuse("whose process or thread has ended"),
            Err(error) => Err(error.into()),
        }
    }

    fn when(&self, _: &ProcFileV1) -> When {
        When::Births
    }

    fn plan(&self, state: &ProcFileV1, _: (ObjectId, &Object), cx: &mut Plan<'_>) -> Result<(), KindError> {
        let ids = [Some(state.path.pid), state.path.tid];
        if state.stranger.is_some() || ids.into_iter().flatten().all(|id| is_member(cx.snapshot, id)) {
            return state.check();
        }
        let what = format!("{}, whose process is not in the context file,", state.path.now(|id| id).display());
        Err(KindError::Unrestorable { what, remedy: "the context file is damaged".into() })
    }

    fn open(&self, state: &ProcFileV1, _: &Built, description: &Description, cx: &mut Build<'_>) -> Result<Opened, KindError> {
        let path: PathBuf = state.path.now(cx.id);
        let opened = open::open_own(&path, description.flags)?;
        // Only now is it certain whose it is.
        state.check()?;
        Ok(Opened::New(opened))
    }

    fn seeks(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod test {
    use std::fs::File;
    use std::io::{Read, Seek};

    use super::super::test::{Round, probe_of, with_plan};
    use super::*;

    #[test]
    fn a_file_of_a_stranger_goes_on_where_it_was() {
        let mut file = File::open("/proc/self/status").unwrap();
        file.read_exact(&mut [0; 10]).unwrap();
        let round = Round::of(&ProcFile, &[&file]);
        assert_eq!(round.state.stranger.as_ref().map(|stranger| stranger.pid), Some(std::process::id().cast_signed()));
        let mut again = File::from(round.open(0));
        assert_eq!(again.stream_position().unwrap(), 10);
        again.read_exact(&mut [0; 10]).unwrap();
    }

    #[test]
    fn what_comes_and_goes_is_refused() {
        for path in ["/proc/self/fdinfo/0", "/proc/self/fdinfo/1"] {
            let file = File::open(path).unwrap();
            let error = probe_of(&file, |probe| ProcFile.capture(&[probe], &mut Capture::default())).unwrap_err();
            assert!(error.to_string().contains("only as long as"), "{error}");
        }
    }

    #[test]
    fn a_file_of_a_process_that_has_ended_is_refused() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let file = File::open(format!("/proc/{}/status", child.id())).unwrap();
        let state = Round::capture(&ProcFile, &[&file]).state;
        child.kill().unwrap();
        child.wait().unwrap();
        let error = probe_of(&file, |probe| ProcFile.capture(&[probe], &mut Capture::default())).unwrap_err();
        assert!(error.to_string().contains("whose process or thread has ended"), "{error}");
        assert!(with_plan(&ProcFile, &state).0.unwrap().contains("(sleep), which is not part of the job and has ended"));
    }
}
