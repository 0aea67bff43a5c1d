//! The signal a thread gets when its parent ends (PR_SET_PDEATHSIG, prctl(2)).
//!
//! Kept: the signal.
//! Lost: the signal of a process whose parent is not in the job, when the restarter leaves (`--detach`): otherwise a parent that is not in the
//! job is replaced by the restarter.
//! Refused: nothing.

use serde::{Deserialize, Serialize};

use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::tracee::Batch;

/// See the module.
pub struct DeathSignal;

/// The signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeathSignalV1 {
    /// 0 for none.
    pub signal: u32,
}

impl TaskKind for DeathSignal {
    type State = DeathSignalV1;
    const TAG: Tag = Tag::new("death_signal", 1);
    const STEP: Step = Step::AfterCredentials;

    fn capture(&self, _probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<DeathSignalV1>, KindError> {
        let room = ask.room(4);
        ask.call("read the parent-death signal", libc::SYS_prctl, [libc::PR_GET_PDEATHSIG.into(), room.into()]);
        Ok(Box::new(move |answers| Ok(DeathSignalV1 { signal: answers.half(room, 0) })))
    }

    fn apply(&self, state: &DeathSignalV1, _cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        batch.call("set the parent-death signal", libc::SYS_prctl, [libc::PR_SET_PDEATHSIG.into(), state.signal.into()]);
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn a_signal_comes_back() {
        for signal in [15, 0] {
            bench::round_trip(&DeathSignal, &DeathSignalV1 { signal });
        }
    }
}
