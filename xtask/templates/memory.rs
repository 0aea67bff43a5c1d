//! NAME: what it is, in one line.
//!
//! Kept: what comes back, in one sentence.
//! Lost: what does not, and what the user is told. Refused: what a checkpoint refuses, and why.

use serde::{Deserialize, Serialize};

use crate::image::{Description, Tag};
use crate::resource::{Build, Built, Capture, FileKind, KindError, Opened, Probe, Question, Room, When};
use crate::tracee::Batch;

/// The kind.
pub struct TYPE;

/// What is saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TYPEV1 {
    /// Size in bytes.
    pub bytes: u64,
}

impl FileKind for TYPE {
    type State = TYPEV1;
    const TAG: Tag = Tag::new("NAME", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        probe.area().is_some_and(|area| area.name.to_string() == "[NAME]")
    }

    fn question(&self) -> Question {
        Question::Nothing
    }

    fn capture(&self, probes: &[&Probe<'_>], _cx: &mut Capture) -> Result<TYPEV1, KindError> {
        let bytes = probes.iter().filter_map(|probe| probe.area()).map(|area| area.offset + area.bytes()).max().unwrap_or(0);
        Ok(TYPEV1 { bytes })
    }

    fn when(&self, state: &TYPEV1) -> When {
        When::FirstStub(Room { bytes: state.bytes, align: 4096 })
    }

    fn seed(&self, _state: &TYPEV1, _address: u64, _batch: &mut Batch) {}

    fn open(&self, _state: &TYPEV1, _built: &Built, _description: &Description, _cx: &mut Build<'_>) -> Result<Opened, KindError> {
        Err(KindError::Unrestorable { what: "a descriptor of NAME".into(), remedy: "write this kind".into() })
    }
}
