//! The execution domain of a thread (personality(2)): address layout, emulated kernel version and the like.
//!
//! Kept: all bits.
//! Lost: nothing.
//! Refused: nothing.
//!
//! Relies on the memory being mapped already: READ_IMPLIES_EXEC changes what mmap(2) does.

use serde::{Deserialize, Serialize};

use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::tracee::Batch;

/// See the module.
pub struct Personality;

/// The execution domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonalityV1 {
    /// Domain and flags.
    pub persona: u32,
}

/// Asks without changing anything.
const QUERY: u32 = 0xffff_ffff;

impl TaskKind for Personality {
    type State = PersonalityV1;
    const TAG: Tag = Tag::new("personality", 1);
    const STEP: Step = Step::Flags;

    fn capture(&self, _probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<PersonalityV1>, KindError> {
        let row = ask.call("read the personality", libc::SYS_personality, [QUERY.into()]);
        Ok(Box::new(move |answers| {
            let persona = answers.value(row).map_err(|errno| KindError::host("read the personality", errno))?;
            Ok(PersonalityV1 { persona: u32::try_from(persona).unwrap_or(0) })
        }))
    }

    fn apply(&self, state: &PersonalityV1, _cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        batch.call("set the personality", libc::SYS_personality, [state.persona.into()]);
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn a_personality_comes_back() {
        for persona in [0x0024_0000, 0] {
            bench::round_trip(&Personality, &PersonalityV1 { persona });
        }
    }
}
