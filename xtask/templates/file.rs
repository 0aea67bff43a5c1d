//! NAME: what it is, in one line.
//!
//! Kept: what comes back, in one sentence.
//! Lost: what does not, and what the user is told. Refused: what a checkpoint refuses, and why.

use serde::{Deserialize, Serialize};

use crate::image::{Description, Object, ObjectId, Tag};
use crate::resource::{Build, Built, Capture, FileKind, KindError, Opened, Probe};

/// The kind.
pub struct TYPE;

/// What is saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TYPEV1 {}

impl FileKind for TYPE {
    type State = TYPEV1;
    const TAG: Tag = Tag::new("NAME", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        probe.link.as_os_str() == "anon_inode:[NAME]"
    }

    fn capture(&self, _probes: &[&Probe<'_>], _cx: &mut Capture) -> Result<TYPEV1, KindError> {
        Ok(TYPEV1 {})
    }

    fn build(&self, _state: &TYPEV1, _object: (ObjectId, &Object), _cx: &mut Build<'_>) -> Result<Built, KindError> {
        Err(KindError::Unrestorable { what: "NAME".into(), remedy: "write this kind".into() })
    }

    fn open(&self, _state: &TYPEV1, _built: &Built, _description: &Description, _cx: &mut Build<'_>) -> Result<Opened, KindError> {
        Err(KindError::Unrestorable { what: "NAME".into(), remedy: "write this kind".into() })
    }
}
