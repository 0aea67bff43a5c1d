//! Whether memory that can be written can never be made executable (PR_SET_MDWE, prctl(2)).
//!
//! Kept: the flags.
//! Lost: that they are off, when they are on in the restarter and children inherit them (with a warning).
//! Refused: nothing.
//!
//! Relies on every area being mapped already: nothing takes the flags away again.

use serde::{Deserialize, Serialize};

use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::tracee::Batch;

/// See the module.
pub struct Mdwe;

/// The flags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MdweV1 {
    /// `PR_MDWE_*`.
    pub flags: u32,
}

impl TaskKind for Mdwe {
    type State = MdweV1;
    const TAG: Tag = Tag::new("mdwe", 1);
    const STEP: Step = Step::AfterCredentials;

    fn capture(&self, _probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<MdweV1>, KindError> {
        let row = ask.attempt(libc::SYS_prctl, [libc::PR_GET_MDWE.into()]);
        Ok(Box::new(move |answers| Ok(MdweV1 { flags: answers.value(row).ok().and_then(|value| u32::try_from(value).ok()).unwrap_or(0) })))
    }

    fn apply(&self, state: &MdweV1, _cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        if state.flags != 0 {
            batch.call("forbid writable memory to become executable", libc::SYS_prctl, [libc::PR_SET_MDWE.into(), state.flags.into()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn flags_come_back() {
        if bench::Child::new().capture(&Mdwe).unwrap().flags != 0 {
            return;
        }
        for flags in [0, 1, 3] {
            bench::round_trip(&Mdwe, &MdweV1 { flags });
        }
    }
}
