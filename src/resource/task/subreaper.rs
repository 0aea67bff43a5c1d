//! Whether orphans among the descendants of a process become its children (PR_SET_CHILD_SUBREAPER, prctl(2)).
//!
//! Kept: the flag.
//! Lost: nothing.
//! Refused: nothing.

use serde::{Deserialize, Serialize};

use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::tracee::Batch;

/// See the module.
pub struct Subreaper;

/// The flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubreaperV1 {
    /// Whether it is set.
    pub is_set: bool,
}

impl TaskKind for Subreaper {
    type State = SubreaperV1;
    const TAG: Tag = Tag::new("subreaper", 1);
    const STEP: Step = Step::Flags;

    fn capture(&self, _probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<SubreaperV1>, KindError> {
        let room = ask.room(4);
        ask.call("read the subreaper flag", libc::SYS_prctl, [libc::PR_GET_CHILD_SUBREAPER.into(), room.into()]);
        Ok(Box::new(move |answers| Ok(SubreaperV1 { is_set: answers.half(room, 0) != 0 })))
    }

    fn apply(&self, state: &SubreaperV1, _cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        let args = [libc::PR_SET_CHILD_SUBREAPER.into(), u32::from(state.is_set).into()];
        batch.call("set the subreaper flag", libc::SYS_prctl, args);
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn the_flag_comes_back() {
        for is_set in [true, false] {
            bench::round_trip(&Subreaper, &SubreaperV1 { is_set });
        }
    }
}
