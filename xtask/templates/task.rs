//! NAME: what it is, in one line.
//!
//! Kept: what comes back, in one sentence.
//! Lost: what does not, and what the user is told. Refused: what a checkpoint refuses, and why.

use serde::{Deserialize, Serialize};

use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::tracee::Batch;

/// The kind.
pub struct TYPE;

/// What is saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TYPEV1 {}

impl TaskKind for TYPE {
    type State = TYPEV1;
    const TAG: Tag = Tag::new("NAME", 1);
    const STEP: Step = Step::Flags;

    fn capture(&self, _probe: &TaskProbe<'_>, _ask: &mut Batch) -> Result<Later<TYPEV1>, KindError> {
        Ok(Box::new(|_answers| Ok(TYPEV1 {})))
    }

    fn apply(&self, _state: &TYPEV1, _cx: &mut Bind<'_>, _batch: &mut Batch) -> Result<(), KindError> {
        Ok(())
    }
}
