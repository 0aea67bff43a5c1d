//! How much later than asked the kernel may wake a thread (PR_SET_TIMERSLACK, prctl(2)).
//!
//! Kept: the slack in nanoseconds.
//! Lost: the default that writing 0 returns to.
//! Refused: nothing.

use serde::{Deserialize, Serialize};

use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::tracee::Batch;

/// See the module.
pub struct TimerSlack;

/// The slack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerSlackV1 {
    /// Nanoseconds; 0 in a real-time thread, which has none.
    pub ns: i64,
}

impl TaskKind for TimerSlack {
    type State = TimerSlackV1;
    const TAG: Tag = Tag::new("timer_slack", 1);
    const STEP: Step = Step::Flags;

    fn capture(&self, _probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<TimerSlackV1>, KindError> {
        let row = ask.call("read the timer slack", libc::SYS_prctl, [libc::PR_GET_TIMERSLACK.into()]);
        Ok(Box::new(move |answers| {
            let ns = answers.value(row).map_err(|errno| KindError::host("read the timer slack", errno))?;
            Ok(TimerSlackV1 { ns })
        }))
    }

    fn apply(&self, state: &TimerSlackV1, _cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        // 0 would mean the default; the policy that makes it 0 does so by itself.
        if 0 < state.ns {
            batch.call("set the timer slack", libc::SYS_prctl, [libc::PR_SET_TIMERSLACK.into(), state.ns.into()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn a_slack_comes_back() {
        bench::round_trip(&TimerSlack, &TimerSlackV1 { ns: 123_456 });
    }
}
