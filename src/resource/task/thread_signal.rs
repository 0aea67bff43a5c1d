//! Signals that are pending for one thread.
//!
//! Kept: all of them in order, with their siginfo; senders that belong to the job are named by their new ids.
//! Lost: nothing. The signal of a timer comes from the timer again.
//! Refused: nothing.

use serde::{Deserialize, Serialize};

use super::known;
use super::siginfo::{self, Siginfo};
use crate::image::Tag;
use crate::proc::ProcDir;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::tracee::Batch;

/// See the module.
pub struct ThreadSignal;

/// The queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadSignalV1 {
    /// In order of arrival.
    signals: Vec<Siginfo>,
}

impl TaskKind for ThreadSignal {
    type State = ThreadSignalV1;
    const TAG: Tag = Tag::new("thread_signal", 1);
    const STEP: Step = Step::Pending;

    fn capture(&self, probe: &TaskProbe<'_>, _ask: &mut Batch) -> Result<Later<ThreadSignalV1>, KindError> {
        if probe.status.signals.pending == 0 {
            return Ok(known(ThreadSignalV1 { signals: Vec::new() }));
        }
        // The list of timers is a file of the process only.
        let process = ProcDir::open(probe.pid)?;
        Ok(known(ThreadSignalV1 { signals: siginfo::pending(probe.tid, false, &process)? }))
    }

    fn apply(&self, state: &ThreadSignalV1, cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        for signal in &state.signals {
            let info = batch.bytes(&signal.now(cx));
            let args = [cx.pid.into(), cx.tid.into(), signal.signal().into(), info.into()];
            batch.call("queue a pending signal of the thread", libc::SYS_rt_tgsigqueueinfo, args);
        }
        Ok(())
    }
}
