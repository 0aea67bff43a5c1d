//! How likely a process is to be killed when memory runs out (`/proc/PID/oom_score_adj`, proc_pid_oom_score_adj(5)).
//!
//! Kept: the adjustment.
//! Lost: an adjustment below ours, when the user of the restart may not set it (with a warning).
//! Refused: nothing.

use std::io::Write;

use serde::{Deserialize, Serialize};

use super::{known, warn};
use crate::image::Tag;
use crate::proc::ProcDir;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::tracee::Batch;

/// See the module.
pub struct OomScore;

/// The adjustment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OomScoreV1 {
    /// From -1000, never, to 1000, first.
    pub adjustment: i32,
}

const FILE: &str = "oom_score_adj";

impl TaskKind for OomScore {
    type State = OomScoreV1;
    const TAG: Tag = Tag::new("oom_score", 1);
    const STEP: Step = Step::Flags;

    fn capture(&self, probe: &TaskProbe<'_>, _ask: &mut Batch) -> Result<Later<OomScoreV1>, KindError> {
        Ok(known(OomScoreV1 { adjustment: read(probe.dir).unwrap_or(0) }))
    }

    fn apply(&self, _state: &OomScoreV1, _cx: &mut Bind<'_>, _batch: &mut Batch) -> Result<(), KindError> {
        Ok(())
    }

    fn apply_outside(&self, state: &OomScoreV1, cx: &mut Bind<'_>) -> Result<(), KindError> {
        let dir = ProcDir::open(cx.pid)?;
        let now = read(&dir);
        if now == Some(state.adjustment) {
            return Ok(());
        }
        let written = dir.open_file(FILE, true).map(|mut file| file.write_all(state.adjustment.to_string().as_bytes()));
        if !matches!(written, Ok(Ok(()))) {
            let (wanted, now) = (state.adjustment, now.unwrap_or(0));
            warn(&mut cx.warnings, format!("the OOM score adjustment is {now}, the job had {wanted}: lowering it needs CAP_SYS_RESOURCE"));
        }
        Ok(())
    }
}

fn read(dir: &ProcDir) -> Option<i32> {
    std::str::from_utf8(&dir.read(FILE).ok()?).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn a_higher_score_comes_back() {
        bench::round_trip(&OomScore, &OomScoreV1 { adjustment: 777 });
    }
}
