//! The alternate signal stack of a thread (sigaltstack(2)).
//!
//! Kept: address, size, and whether it disarms itself (SS_AUTODISARM).
//! Lost: nothing; whether the thread runs on it follows from its stack pointer.
//! Refused: nothing.
//!
//! Relies on batches running on a stack of their own: the kernel refuses to change the stack in use.

use serde::{Deserialize, Serialize};

use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::tracee::Batch;

/// See the module.
pub struct AlternateStack;

/// `stack_t`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlternateStackV1 {
    /// Lowest address.
    pub address: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// SS_DISABLE, SS_AUTODISARM.
    pub flags: u32,
}

impl TaskKind for AlternateStack {
    type State = AlternateStackV1;
    const TAG: Tag = Tag::new("alternate_stack", 1);
    const STEP: Step = Step::Registrations;

    fn capture(&self, _probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<AlternateStackV1>, KindError> {
        let room = ask.room(24);
        ask.call("read the alternate stack", libc::SYS_sigaltstack, [0.into(), room.into()]);
        Ok(Box::new(move |answers| {
            let flags = answers.half(room, 2) & !libc::SS_ONSTACK.cast_unsigned();
            Ok(AlternateStackV1 { address: answers.word(room, 0), bytes: answers.word(room, 2), flags })
        }))
    }

    fn apply(&self, state: &AlternateStackV1, _cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        let stack = batch.words(&[state.address, u64::from(state.flags), state.bytes]);
        batch.call("set the alternate stack", libc::SYS_sigaltstack, [stack.into(), 0.into()]);
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn a_stack_comes_back_also_one_that_is_off() {
        let autodisarm = 1 << 31;
        for (address, bytes, flags) in [(0x10000, 65536, autodisarm), (0x10000, 65536, 0), (0, 0, libc::SS_DISABLE.cast_unsigned())] {
            bench::round_trip(&AlternateStack, &AlternateStackV1 { address, bytes, flags });
        }
    }
}
