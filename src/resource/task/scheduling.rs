//! Scheduling of a thread (sched(7)): policy, nice value, real-time priority, deadline, utilisation clamps, reset-on-fork.
//!
//! Kept: everything sched_getattr(2) shows.
//! Lost: a better priority than the user of the restart may have (with a warning); autogroup and cgroup weights.
//! Refused: nothing.

use serde::{Deserialize, Serialize};

use super::{has_host_capability, known, warn};
use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::sys::process::{self, SchedAttr};
use crate::tracee::Batch;

/// See the module.
pub struct Scheduling;

/// The attributes as `struct sched_attr`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulingV1 {
    /// `runtime` is 0 in a thread of a fair policy that has not chosen a slice of its own.
    pub attr: SchedAttr,
}

const CAP_SYS_NICE: u32 = 23;
const RESET_ON_FORK: u64 = 1;
const CLAMPS: u64 = 0x20 | 0x40;
const FULL_CLAMP: u32 = 1024;

impl TaskKind for Scheduling {
    type State = SchedulingV1;
    const TAG: Tag = Tag::new("scheduling", 1);
    const STEP: Step = Step::Scheduling;

    fn capture(&self, probe: &TaskProbe<'_>, _ask: &mut Batch) -> Result<Later<SchedulingV1>, KindError> {
        let failed = |errno| KindError::host(format!("read the scheduling of thread {}", probe.tid), errno);
        let mut attr = process::sched_attr(probe.tid).map_err(failed)?;
        // Since Linux 6.12 the slice of a fair thread is shown, also the default one, which depends on the machine.
        if is_fair(attr.policy) && attr.runtime == process::sched_attr(0).map_err(failed)?.runtime {
            attr.runtime = 0;
        }
        Ok(known(SchedulingV1 { attr }))
    }

    fn apply(&self, state: &SchedulingV1, cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        let mut attr = Rights::ours()?.best(state.attr);
        if attr != state.attr && has_host_capability(CAP_SYS_NICE) {
            attr = state.attr;
        }
        if attr != state.attr {
            let text = format!("a thread of the job had {}, it gets {}: the rest needs CAP_SYS_NICE", shown(&state.attr), shown(&attr));
            warn(&mut cx.warnings, text);
        }
        let room = batch.bytes(&encode(&attr));
        batch.attempt(libc::SYS_sched_setattr, [0.into(), room.into()]);
        Ok(())
    }
}

/// What sched(7) lets a user without CAP_SYS_NICE do to his own threads.
struct Rights {
    policy: u32,
    nice: i32,
    least_nice: i32,
    most_priority: u64,
}

impl Rights {
    fn ours() -> Result<Rights, KindError> {
        let failed = |errno| KindError::host("read our own scheduling", errno);
        let own = process::sched_attr(0).map_err(failed)?;
        let nice_limit = process::own_limit(libc::RLIMIT_NICE).map_err(failed)?.0;
        let most_priority = process::own_limit(libc::RLIMIT_RTPRIO).map_err(failed)?.0;
        let least_nice = 20 - i32::try_from(nice_limit.min(40)).unwrap_or(0);
        let (policy, nice) = (own.policy, own.nice);
        Ok(Rights { policy, nice, least_nice, most_priority })
    }

    /// The wanted attributes, or the nearest that are allowed.
    fn best(&self, wanted: SchedAttr) -> SchedAttr {
        let mut attr = wanted;
        let is_allowed = match attr.policy.cast_signed() {
            libc::SCHED_FIFO | libc::SCHED_RR => attr.policy == self.policy || u64::from(attr.priority) <= self.most_priority,
            libc::SCHED_DEADLINE => false,
            _ => true,
        };
        if !is_allowed {
            (attr.policy, attr.priority) = (libc::SCHED_OTHER.cast_unsigned(), 0);
            (attr.runtime, attr.deadline, attr.period) = (0, 0, 0);
            attr.flags &= RESET_ON_FORK;
        }
        if is_fair(attr.policy) {
            attr.nice = attr.nice.max(self.nice.min(self.least_nice));
        }
        attr
    }
}

fn is_fair(policy: u32) -> bool {
    matches!(policy.cast_signed(), libc::SCHED_OTHER | libc::SCHED_BATCH | libc::SCHED_IDLE)
}

fn encode(attr: &SchedAttr) -> Vec<u8> {
    /// What kernels before 5.3 know.
    const SIZE_WITHOUT_CLAMPS: u32 = 48;
    let has_clamps = attr.util_min != 0 || (attr.util_max != 0 && attr.util_max != FULL_CLAMP);
    let size = if has_clamps { 56 } else { SIZE_WITHOUT_CLAMPS };
    let flags = attr.flags & !CLAMPS | if has_clamps { CLAMPS } else { 0 };
    let mut bytes = Vec::with_capacity(56);
    bytes.extend(size.to_le_bytes());
    bytes.extend(attr.policy.to_le_bytes());
    bytes.extend(flags.to_le_bytes());
    bytes.extend(attr.nice.to_le_bytes());
    bytes.extend(attr.priority.to_le_bytes());
    for word in [attr.runtime, attr.deadline, attr.period] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(attr.util_min.to_le_bytes());
    bytes.extend(attr.util_max.to_le_bytes());
    bytes
}

fn shown(attr: &SchedAttr) -> String {
    match attr.policy.cast_signed() {
        libc::SCHED_FIFO => format!("SCHED_FIFO priority {}", attr.priority),
        libc::SCHED_RR => format!("SCHED_RR priority {}", attr.priority),
        libc::SCHED_DEADLINE => "SCHED_DEADLINE".into(),
        _ => format!("nice value {}", attr.nice),
    }
}

#[cfg(test)]
mod test {
    use super::*;

    fn attr(policy: i32, nice: i32, priority: u32) -> SchedAttr {
        SchedAttr { policy: policy.cast_unsigned(), nice, priority, ..SchedAttr::default() }
    }

    #[test]
    fn without_rights_the_nearest_is_chosen() {
        let user = |nice, least_nice, most_priority| Rights { policy: 0, nice, least_nice, most_priority };
        for (what, rights, wanted, best) in [
            ("nicer is always allowed", user(0, 20, 0), attr(0, 5, 0), attr(0, 5, 0)),
            ("less nice is not", user(7, 20, 0), attr(0, 5, 0), attr(0, 7, 0)),
            ("unless the limit says so", user(7, 4, 0), attr(0, 5, 0), attr(0, 5, 0)),
            ("and then as far as it goes", user(7, 6, 0), attr(0, 5, 0), attr(0, 6, 0)),
            ("idle", user(0, 20, 0), attr(libc::SCHED_IDLE, 0, 0), attr(libc::SCHED_IDLE, 0, 0)),
            ("real-time", user(0, 20, 0), attr(libc::SCHED_FIFO, 0, 9), attr(0, 0, 0)),
            ("real-time with a limit", user(0, 20, 10), attr(libc::SCHED_FIFO, 0, 9), attr(libc::SCHED_FIFO, 0, 9)),
            ("deadline", user(0, 20, 99), attr(libc::SCHED_DEADLINE, 0, 0), attr(0, 0, 0)),
        ] {
            assert_eq!(rights.best(wanted), best, "{what}");
        }
    }

    #[test]
    fn clamps_are_given_only_when_there_are_any() {
        let bytes = encode(&SchedAttr { util_max: FULL_CLAMP, nice: -1, ..attr(3, 0, 0) });
        assert_eq!((bytes.len(), bytes[0], bytes[4], bytes[8], &bytes[16..20]), (56, 48, 3, 0, &[0xff; 4][..]));
        let bytes = encode(&SchedAttr { util_max: 500, ..attr(0, 0, 0) });
        assert_eq!((bytes[0], bytes[8]), (56, 0x60));
    }

    #[test]
    fn scheduling_comes_back() {
        let mut child = super::super::bench::Child::new();
        for wanted in [attr(libc::SCHED_BATCH, 7, 0), SchedAttr { flags: RESET_ON_FORK, ..attr(libc::SCHED_IDLE, 7, 0) }] {
            child.apply(&Scheduling, &SchedulingV1 { attr: wanted }).unwrap();
            let SchedAttr { policy, flags, nice, priority, runtime, .. } = child.capture(&Scheduling).unwrap().attr;
            assert_eq!((policy, flags, nice, priority), (wanted.policy, wanted.flags, wanted.nice, wanted.priority));
            assert_eq!(runtime, 0, "no slice of its own");
        }
    }
}
