//! Whether a process may leave a core dump and be traced by its user (PR_SET_DUMPABLE, prctl(2)).
//!
//! Kept: on or off.
//! Lost: "readable by root only", which no call sets: such a process comes back with the flag off (with a warning).
//! Refused: nothing.
//!
//! Relies on no thread changing its credentials afterwards, which resets the flag.

use serde::{Deserialize, Serialize};

use super::warn;
use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::tracee::Batch;

/// See the module.
pub struct Dumpable;

/// The flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpableV1 {
    /// 0 off, 1 on, 2 readable by root only (`suid_dumpable`, proc_sys_fs(5)).
    pub mode: u8,
}

const ROOT_ONLY: u8 = 2;

impl TaskKind for Dumpable {
    type State = DumpableV1;
    const TAG: Tag = Tag::new("dumpable", 1);
    const STEP: Step = Step::AfterCredentials;

    fn capture(&self, _probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<DumpableV1>, KindError> {
        let row = ask.call("read the dumpable flag", libc::SYS_prctl, [libc::PR_GET_DUMPABLE.into()]);
        Ok(Box::new(move |answers| {
            let mode = answers.value(row).map_err(|errno| KindError::host("read the dumpable flag", errno))?;
            Ok(DumpableV1 { mode: u8::try_from(mode).unwrap_or(0) })
        }))
    }

    fn apply(&self, state: &DumpableV1, cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        if state.mode == ROOT_ONLY {
            warn(&mut cx.warnings, "core dumps of the job were for root only; now there are none".into());
        }
        let mode = u32::from(state.mode == 1);
        batch.call("set the dumpable flag", libc::SYS_prctl, [libc::PR_SET_DUMPABLE.into(), mode.into()]);
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn on_and_off_come_back_and_root_only_is_off() {
        for mode in [0, 1] {
            bench::round_trip(&Dumpable, &DumpableV1 { mode });
        }
        let mut child = bench::Child::new();
        assert_eq!(child.apply(&Dumpable, &DumpableV1 { mode: ROOT_ONLY }).unwrap().len(), 1);
        assert_eq!(child.capture(&Dumpable).unwrap().mode, 0);
    }
}
