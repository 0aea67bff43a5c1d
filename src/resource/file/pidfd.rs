//! Descriptors of processes and threads (pidfd_open(2)).
//!
//! **Kept:** which process of the job it is, also one that has ended and that nobody has waited for, under whatever id that has at the
//! restart; the flags. One of a process that is gone altogether leads to one that is gone. One of a process outside of the job is opened
//! again if that process is still there.
//! **Lost:** how a process that is gone had ended, where the kernel tells (PIDFD_GET_INFO).
//! **Refused:** at a checkpoint, one of a process that our pid namespace does not show; at a restart, one of a process outside of the job that
//! has ended, unless a script decides in `object-disposition`.

use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use crate::image::{Description, Object, ObjectId, Tag};
use crate::proc::ProcError;
use crate::resource::process::{StrangerV1, is_member};
use crate::resource::{Build, Built, Capture, FileKind, Identity, KindError, Opened, Plan, Probe, When};
use crate::sys::{Errno, process};

/// Descriptors of processes.
pub struct Pidfd;

/// Which process it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PidfdV1 {
    /// A process or thread of the job, by its saved id.
    Member(i32),
    /// One outside of the job.
    Stranger(StrangerV1),
    /// One that has ended and been waited for.
    Gone,
}

impl FileKind for Pidfd {
    type State = PidfdV1;
    const TAG: Tag = Tag::new("pidfd", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        probe.link.as_os_str() == "anon_inode:[pidfd]"
    }

    fn identity(&self, _: &Probe<'_>) -> Identity {
        Identity::Description
    }

    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<PidfdV1, KindError> {
        match probes[0].info.pid {
            Some(pid) if cx.facts.is_member(pid) => Ok(PidfdV1::Member(pid)),
            Some(-1) => Ok(PidfdV1::Gone),
            Some(pid) if 0 < pid => match StrangerV1::of(pid) {
                Ok(stranger) => Ok(PidfdV1::Stranger(stranger)),
                Err(ProcError::Gone { .. }) => Ok(PidfdV1::Gone),
                Err(error) => Err(error.into()),
            },
            Some(_) | None => Err(KindError::Unsupported {
                what: "a pidfd of a process that our pid namespace does not show".into(),
                remedy: "run cr_checkpoint where the process can be seen, or let a script decide in object-disposition".into(),
            }),
        }
    }

    fn when(&self, _: &PidfdV1) -> When {
        When::Births
    }

    fn plan(&self, state: &PidfdV1, _: (ObjectId, &Object), cx: &mut Plan<'_>) -> Result<(), KindError> {
        match state {
            PidfdV1::Gone => Ok(()),
            PidfdV1::Stranger(stranger) => stranger.check("a pidfd of"),
            PidfdV1::Member(pid) if is_member(cx.snapshot, *pid) => Ok(()),
            PidfdV1::Member(pid) => Err(KindError::Unrestorable {
                what: format!("a pidfd of process {pid} of the job, which is not in the context file,"),
                remedy: "the context file is damaged".into(),
            }),
        }
    }

    fn open(&self, state: &PidfdV1, _: &Built, description: &Description, cx: &mut Build<'_>) -> Result<Opened, KindError> {
        let is_thread = description.flags & libc::O_EXCL != 0;
        let opened = match state {
            PidfdV1::Member(pid) => open_one((cx.id)(*pid), is_thread)?,
            PidfdV1::Stranger(stranger) => {
                let opened = open_one(stranger.pid, is_thread)?;
                // Only now is it certain whose it is.
                stranger.check("a pidfd of")?;
                opened
            }
            PidfdV1::Gone => of_nobody()?,
        };
        Ok(Opened::New(opened))
    }
}

fn open_one(pid: i32, is_thread: bool) -> Result<OwnedFd, KindError> {
    let opened = if is_thread { process::pidfd_open_thread(pid) } else { process::pidfd_open(pid) };
    opened.map_err(|errno| KindError::host(format!("open a pidfd of process {pid}"), errno))
}

/// A pidfd of a process that has ended and been waited for.
fn of_nobody() -> Result<OwnedFd, KindError> {
    let attempt = |errno: Errno| KindError::host("make a process that ends at once", errno);
    let pid = process::fork_paused().map_err(attempt)?;
    let opened = process::pidfd_open(pid);
    process::kill(pid, libc::SIGKILL).map_err(attempt)?;
    process::wait_all(pid).map_err(attempt)?;
    opened.map_err(attempt)
}

#[cfg(test)]
mod test {
    use super::super::test::{Round, probe_of, with_plan};
    use super::*;

    #[test]
    fn a_stranger_is_opened_again() {
        let own = std::process::id().cast_signed();
        let fd = process::pidfd_open(own).unwrap();
        let round = Round::of(&Pidfd, &[&fd]);
        assert!(matches!(&round.state, PidfdV1::Stranger(stranger) if stranger.pid == own));
        assert_eq!(probe_of(&round.open(0), |probe| probe.info.pid), Some(own));
    }

    #[test]
    fn one_of_nobody_stays_one_of_nobody() {
        let fd = of_nobody().unwrap();
        let round = Round::of(&Pidfd, &[&fd]);
        assert_eq!(round.state, PidfdV1::Gone);
        assert_eq!(probe_of(&round.open(0), |probe| probe.info.pid), Some(-1));
    }

    #[test]
    fn a_stranger_that_has_ended_is_refused() {
        let own = StrangerV1::of(std::process::id().cast_signed()).unwrap();
        let ended = PidfdV1::Stranger(StrangerV1 { start_ticks: own.start_ticks + 1, name: "ended".into(), ..own });
        let (complaint, _) = with_plan(&Pidfd, &ended);
        assert!(complaint.unwrap().ends_with("(ended), which is not part of the job and has ended, cannot be restored"));
        assert_eq!(
            with_plan(&Pidfd, &PidfdV1::Member(7)).0.as_deref(),
            Some("a pidfd of process 7 of the job, which is not in the context file, cannot be restored")
        );
    }
}
