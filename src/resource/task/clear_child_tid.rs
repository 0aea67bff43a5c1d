//! The word that the kernel clears and wakes when a thread ends (set_tid_address(2)); pthread_join waits for it.
//!
//! Kept: its address.
//! Lost: the address of a main thread, where nothing but other users of its memory could wait for it, on a kernel that does not show it.
//! Refused: another thread on a kernel that does not show it (built without CONFIG_CHECKPOINT_RESTORE).

use serde::{Deserialize, Serialize};

use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::tracee::Batch;

/// See the module.
pub struct ClearChildTid;

/// The registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearChildTidV1 {
    /// 0 when there is none.
    pub address: u64,
}

impl TaskKind for ClearChildTid {
    type State = ClearChildTidV1;
    const TAG: Tag = Tag::new("clear_child_tid", 1);
    const STEP: Step = Step::Registrations;

    fn capture(&self, probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<ClearChildTidV1>, KindError> {
        let room = ask.room(8);
        let row = ask.attempt(libc::SYS_prctl, [libc::PR_GET_TID_ADDRESS.into(), room.into()]);
        let (pid, tid) = (probe.pid, probe.tid);
        Ok(Box::new(move |answers| match answers.value(row) {
            Ok(_) => Ok(ClearChildTidV1 { address: answers.word(room, 0) }),
            Err(_) if pid == tid => Ok(ClearChildTidV1 { address: 0 }),
            Err(_) => Err(KindError::Unsupported {
                what: format!("process {pid}, which has several threads on a kernel without PR_GET_TID_ADDRESS,"),
                remedy: "use a kernel built with CONFIG_CHECKPOINT_RESTORE".into(),
            }),
        }))
    }

    fn apply(&self, state: &ClearChildTidV1, _cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        batch.call("register the word cleared at thread end", libc::SYS_set_tid_address, [state.address.into()]);
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn an_address_comes_back() {
        for address in [0x1000, 0] {
            bench::round_trip(&ClearChildTid, &ClearChildTidV1 { address });
        }
    }
}
