//! Signals that are pending for a process, waiting for any thread that does not block them.
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
pub struct Pending;

/// The queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingV1 {
    /// In order of arrival.
    signals: Vec<Siginfo>,
}

impl TaskKind for Pending {
    type State = PendingV1;
    const TAG: Tag = Tag::new("pending", 1);
    const STEP: Step = Step::Pending;

    fn capture(&self, probe: &TaskProbe<'_>, _ask: &mut Batch) -> Result<Later<PendingV1>, KindError> {
        let (pid, tid) = (probe.pid, probe.tid);
        // After the batches, in which the task may take signals; they have read the timers, and what expires since is rather kept twice than lost.
        Ok(Box::new(move |_| Ok(PendingV1 { signals: siginfo::pending(pid, tid, true)? })))
    }

    fn apply(&self, state: &PendingV1, cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        for signal in &state.signals {
            let info = batch.bytes(&signal.now(cx));
            // To itself a thread may send a signal with any code: the caller is the leader.
            let args = [cx.pid.into(), signal.signal().into(), info.into()];
            batch.call("queue a pending signal", libc::SYS_rt_sigqueueinfo, args);
        }
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;
    use crate::image::Record;

    #[test]
    fn one_row_a_signal_and_the_record_comes_back() {
        let signals = vec![siginfo::sample(10, 0, 5), siginfo::sample(40, -1, 5), siginfo::sample(40, -1, 6)];
        let state = PendingV1 { signals };
        assert_eq!(bench::apply(&Pending, &state).0.len(), 3);
        let record = Record::encode(Pending::TAG, &state).unwrap();
        assert_eq!(record.decode::<PendingV1>(Pending::TAG).unwrap(), state);
    }

    #[test]
    fn signals_of_every_origin_come_back_in_order() {
        let mut child = bench::Child::new();
        let signals: Vec<Siginfo> = [(40, -1, 1), (40, 0, 2), (40, -6, 3), (40, -2, 9), (libc::SIGCHLD, 1, 5), (libc::SIGSEGV, 1, 0)]
            .map(|(signal, code, id)| siginfo::sample(signal, code, id))
            .to_vec();
        let state = PendingV1 { signals };
        // The child blocks nothing, but a signal is not delivered while it is stopped.
        child.apply(&Pending, &state).unwrap();
        let mut found = child.capture(&Pending).unwrap();
        found.signals.sort_by_key(Siginfo::signal);
        let mut wanted = state.clone();
        wanted.signals.sort_by_key(Siginfo::signal);
        assert_eq!(found, wanted);
    }
}
