//! What a process has registered for with membarrier(2); Java and other runtimes with collectors do.
//!
//! Kept: the registrations.
//! Lost: nothing; where the kernel does not tell them (before Linux 6.3), every one that it has is made.
//! Refused: nothing.

use serde::{Deserialize, Serialize};

use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::tracee::Batch;

/// See the module.
pub struct Membarrier;

/// The registrations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembarrierV1 {
    /// `MEMBARRIER_CMD_REGISTER_*`, one bit each.
    pub registered: u32,
}

const GET_REGISTRATIONS: i32 = 1 << 9;
/// Global, private, private with core serialisation, private with rseq.
const EVERY: [u32; 4] = [1 << 2, 1 << 4, 1 << 6, 1 << 8];

impl TaskKind for Membarrier {
    type State = MembarrierV1;
    const TAG: Tag = Tag::new("membarrier", 1);
    const STEP: Step = Step::Flags;

    fn capture(&self, _probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<MembarrierV1>, KindError> {
        let row = ask.attempt(libc::SYS_membarrier, [GET_REGISTRATIONS.into()]);
        Ok(Box::new(move |answers| {
            let told = answers.value(row).ok().and_then(|value| u32::try_from(value).ok());
            Ok(MembarrierV1 { registered: told.unwrap_or(EVERY.iter().sum()) })
        }))
    }

    fn apply(&self, state: &MembarrierV1, _cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        // A registration that this kernel does not have is one that the job, if it looks, does not find.
        for command in EVERY.into_iter().filter(|command| state.registered & command != 0) {
            batch.attempt(libc::SYS_membarrier, [command.into()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn registrations_come_back() {
        for registered in [0, EVERY[1], EVERY[0] | EVERY[1]] {
            bench::round_trip(&Membarrier, &MembarrierV1 { registered });
        }
    }
}
