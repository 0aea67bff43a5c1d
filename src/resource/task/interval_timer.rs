//! The three interval timers of a process (getitimer(2)); alarm(2) is the first of them.
//!
//! Kept: interval and the time that remained when the job was stopped.
//! Lost: nothing; a timer stands still between checkpoint and restart.
//! Refused: nothing.

use serde::{Deserialize, Serialize};

use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::tracee::Batch;

/// See the module.
pub struct IntervalTimer;

/// ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntervalTimerV1 {
    /// In the order of the kernel's numbers.
    pub timers: [Timer; 3],
}

/// Times in microseconds; a timer with nothing remaining is off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// Period; 0 for a timer that fires once.
    pub interval_us: u64,
    /// Until it fires next.
    pub remaining_us: u64,
}

const SECOND_US: u64 = 1_000_000;

impl TaskKind for IntervalTimer {
    type State = IntervalTimerV1;
    const TAG: Tag = Tag::new("interval_timer", 1);
    const STEP: Step = Step::Timers;

    fn capture(&self, _probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<IntervalTimerV1>, KindError> {
        let rooms = [0i32, 1, 2].map(|which| {
            let room = ask.room(32);
            ask.call("read an interval timer", libc::SYS_getitimer, [which.into(), room.into()]);
            room
        });
        Ok(Box::new(move |answers| {
            let timers = rooms.map(|room| {
                let [second, micro, next_second, next_micro] = [0, 1, 2, 3].map(|index| answers.word(room, index));
                Timer { interval_us: second * SECOND_US + micro, remaining_us: next_second * SECOND_US + next_micro }
            });
            Ok(IntervalTimerV1 { timers })
        }))
    }

    fn apply(&self, state: &IntervalTimerV1, _cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        for (which, timer) in (0i32..).zip(state.timers) {
            let split = |us: u64| [us / SECOND_US, us % SECOND_US];
            // A periodic real-time timer with nothing remaining has fired: its next period begins when the pending SIGALRM is taken.
            let has_fired = which == 0 && timer.remaining_us == 0;
            let remaining_us = if has_fired { timer.interval_us } else { timer.remaining_us };
            let room = batch.words(&[split(timer.interval_us), split(remaining_us)].concat());
            batch.call("set an interval timer", libc::SYS_setitimer, [which.into(), room.into()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn timers_come_back_with_the_time_that_remained() {
        let wanted = Timer { interval_us: 60_000_001, remaining_us: 3_600_000_000 };
        let mut child = bench::Child::new();
        child.apply(&IntervalTimer, &IntervalTimerV1 { timers: [wanted, Timer::default(), wanted] }).unwrap();
        let [real, off, prof] = child.capture(&IntervalTimer).unwrap().timers;
        assert_eq!((real.interval_us, off, prof.interval_us), (60_000_001, Timer::default(), 60_000_001));
        assert!((3_590_000_000..=3_600_000_000).contains(&real.remaining_us), "{real:?}");
    }
}
