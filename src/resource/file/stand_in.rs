//! What stands in for an object that cannot be saved: a path that is opened in its place, as a policy decided.
//!
//! **Kept:** the path to open, access mode and flags of the descriptor.
//! **Lost:** the object: nothing of it is in the context file.
//! **Refused:** at restart, a path that cannot be opened.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::open;
use crate::image::{Description, Object, ObjectId, Record, RecordError, Tag};
use crate::resource::{Build, Built, Capture, FileKind, KindError, Opened, Plan, Probe};

/// Paths in the place of objects.
pub struct StandIn;

/// What is opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandInV1 {
    /// Its path.
    #[serde(with = "crate::image::path")]
    pub path: PathBuf,
}

/// The record of a path that stands in for something.
pub fn record(path: PathBuf) -> Result<Record, RecordError> {
    Record::encode(StandIn::TAG, &StandInV1 { path })
}

impl FileKind for StandIn {
    type State = StandInV1;
    const TAG: Tag = Tag::new("stand_in", 1);

    /// Nothing is one by itself: policies decide.
    fn claims(&self, _: &Probe<'_>) -> bool {
        false
    }

    fn capture(&self, probes: &[&Probe<'_>], _: &mut Capture) -> Result<StandInV1, KindError> {
        Ok(StandInV1 { path: probes[0].link.to_owned() })
    }

    fn plan(&self, state: &StandInV1, _: (ObjectId, &Object), cx: &mut Plan<'_>) -> Result<(), KindError> {
        let path = (cx.path)(&state.path);
        cx.actor.look(&path).map(drop).map_err(|errno| cx.actor.refusal("find", &path, errno))
    }

    fn build(&self, _: &StandInV1, _: (ObjectId, &Object), _: &mut Build<'_>) -> Result<Built, KindError> {
        Ok(Built::default())
    }

    fn open(&self, state: &StandInV1, _: &Built, description: &Description, cx: &mut Build<'_>) -> Result<Opened, KindError> {
        let path = (cx.path)(&state.path);
        open::open_path(cx.actor, &path, description.flags, None, &mut cx.warnings).map(Opened::New)
    }
}
