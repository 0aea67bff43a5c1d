//! What a process does with each signal (sigaction(2)).
//!
//! Kept: handler, flags, restorer and mask of all 64 signals, as the kernel has them.
//! Lost: nothing.
//! Refused: nothing.
//!
//! Leaves to the engine which processes share one table (CLONE_SIGHAND).

use serde::{Deserialize, Serialize};

use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::tracee::{Batch, Buffer};

/// See the module.
pub struct Handler;

/// Every signal that is not at its default; all others are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandlerV1 {
    /// In ascending order of signals.
    pub actions: Vec<Action>,
}

/// `struct sigaction` of the kernel, with its signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named in sigaction(2)")]
pub struct Action {
    pub signal: i32,
    pub handler: u64,
    pub flags: u64,
    pub restorer: u64,
    pub mask: u64,
}

/// Signals are numbered from 1 to this.
const N_SIGNALS: i32 = 64;
const ACTION_BYTES: usize = 32;
const MASK_BYTES: i32 = 8;

impl TaskKind for Handler {
    type State = HandlerV1;
    const TAG: Tag = Tag::new("handler", 1);
    const STEP: Step = Step::Signals;

    fn capture(&self, _probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<HandlerV1>, KindError> {
        let mut rooms: Vec<(i32, Buffer)> = Vec::new();
        for signal in 1..=N_SIGNALS {
            let room = ask.room(ACTION_BYTES);
            ask.call("read a signal handler", libc::SYS_rt_sigaction, [signal.into(), 0.into(), room.into(), MASK_BYTES.into()]);
            rooms.push((signal, room));
        }
        Ok(Box::new(move |answers| {
            let action = |(signal, room): (i32, Buffer)| {
                let [handler, flags, restorer, mask] = [0, 1, 2, 3].map(|index| answers.word(room, index));
                Action { signal, handler, flags, restorer, mask }
            };
            let actions = rooms.into_iter().map(action).filter(|action| !action.is_default()).collect();
            Ok(HandlerV1 { actions })
        }))
    }

    fn apply(&self, state: &HandlerV1, _cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        let default = batch.room(ACTION_BYTES);
        for signal in (1..=N_SIGNALS).filter(|signal| !matches!(*signal, libc::SIGKILL | libc::SIGSTOP)) {
            let saved = state.actions.iter().find(|action| action.signal == signal);
            let action = saved.map_or(default, |a| batch.words(&[a.handler, a.flags, a.restorer, a.mask]));
            batch.call("set a signal handler", libc::SYS_rt_sigaction, [signal.into(), action.into(), 0.into(), MASK_BYTES.into()]);
        }
        Ok(())
    }
}

impl Action {
    fn is_default(&self) -> bool {
        self.handler == 0 && self.flags == 0 && self.restorer == 0 && self.mask == 0
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn every_signal_but_two_is_set_also_those_at_their_default() {
        let action = Action { signal: 10, handler: 0x1000, flags: 4, restorer: 0x2000, mask: 3 };
        let (batch, _) = bench::apply(&Handler, &HandlerV1 { actions: vec![action] });
        assert_eq!((batch.len(), batch.data_bytes()), (62, 64));
    }

    #[test]
    fn handlers_come_back() {
        let action = |signal| Action { signal, handler: 0x1000, flags: 0x0400_0004, restorer: 0x2000, mask: 3 };
        bench::round_trip(&Handler, &HandlerV1 { actions: vec![action(1), action(32), action(64)] });
    }
}
