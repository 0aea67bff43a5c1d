//! The file creation mask of a process (umask(2)).
//!
//! Kept: the mask.
//! Lost: nothing.
//! Refused: nothing.

use serde::{Deserialize, Serialize};

use super::known;
use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::tracee::Batch;

/// See the module.
pub struct Umask;

/// The mask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UmaskV1 {
    /// Permission bits that new files do not get.
    pub mask: u32,
}

impl TaskKind for Umask {
    type State = UmaskV1;
    const TAG: Tag = Tag::new("umask", 1);
    const STEP: Step = Step::Place;

    fn capture(&self, probe: &TaskProbe<'_>, _ask: &mut Batch) -> Result<Later<UmaskV1>, KindError> {
        // A leader that has ended has no mask any more; the thread that is asked has.
        let own = match probe.status.umask {
            None if probe.tid != probe.pid => probe.dir.task(probe.tid)?.status()?.umask,
            own => own,
        };
        let mask = own.ok_or_else(|| KindError::Unsupported {
            what: format!("process {}, whose umask the kernel does not show,", probe.pid),
            remedy: "use Linux 4.7 or newer".into(),
        })?;
        Ok(known(UmaskV1 { mask }))
    }

    fn apply(&self, state: &UmaskV1, _cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        batch.call("set the umask", libc::SYS_umask, [state.mask.into()]);
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn a_mask_comes_back() {
        bench::round_trip(&Umask, &UmaskV1 { mask: 0o135 });
    }
}
