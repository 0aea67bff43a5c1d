//! Signals that are pending for one thread.
//!
//! Kept: all of them in order, with their siginfo; senders that belong to the job are named by their new ids.
//! Lost: nothing. The signal of a timer comes from the timer again.
//! Refused: nothing.

use serde::{Deserialize, Serialize};

use super::siginfo::{self, Siginfo};
use crate::image::Tag;
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
        let (pid, tid) = (probe.pid, probe.tid);
        Ok(Box::new(move |_| Ok(ThreadSignalV1 { signals: siginfo::pending(pid, tid, false)? })))
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

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn signals_of_a_thread_come_back_and_are_not_those_of_the_process() {
        let mut child = bench::Child::new();
        let signals = vec![siginfo::sample(40, -1001, 1), siginfo::sample(40, -6, 3)];
        let state = ThreadSignalV1 { signals };
        child.apply(&ThreadSignal, &state).unwrap();
        assert_eq!(child.capture(&ThreadSignal).unwrap(), state);
        let status = crate::proc::ProcDir::open(child.pid).unwrap().status().unwrap();
        assert_eq!((status.signals.pending, status.signals.shared_pending), (1 << 39, 0));
    }
}
