//! Resource limits of a process (getrlimit(2)).
//!
//! Kept: soft and hard limits of all sixteen resources.
//! Lost: what counts against them so far, above all processor time; a hard limit above ours when we may not raise it (with a warning).
//! Refused: nothing.

use serde::{Deserialize, Serialize};

use super::{has_host_capability, warn};
use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::sys::process;
use crate::tracee::{Batch, Buffer};

/// See the module.
pub struct Limit;

/// The limits, by the kernel's numbers of resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitV1 {
    /// `limits[RLIMIT_…]`.
    pub limits: Vec<Pair>,
}

/// A soft and a hard limit; `u64::MAX` is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named in getrlimit(2)")]
pub struct Pair {
    pub soft: u64,
    pub hard: u64,
}

/// Names as in getrlimit(2), by number.
const NAMES: [&str; 16] = [
    "CPU",
    "FSIZE",
    "DATA",
    "STACK",
    "CORE",
    "RSS",
    "NPROC",
    "NOFILE",
    "MEMLOCK",
    "AS",
    "LOCKS",
    "SIGPENDING",
    "MSGQUEUE",
    "NICE",
    "RTPRIO",
    "RTTIME",
];
const CAP_SYS_RESOURCE: u32 = 24;

impl TaskKind for Limit {
    type State = LimitV1;
    const TAG: Tag = Tag::new("limit", 1);
    const STEP: Step = Step::Limits;

    fn capture(&self, _probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<LimitV1>, KindError> {
        let rooms: Vec<Buffer> = (0..NAMES.len())
            .map(|resource| {
                let room = ask.room(16);
                ask.call("read a resource limit", libc::SYS_prlimit64, [0.into(), resource.into(), 0.into(), room.into()]);
                room
            })
            .collect();
        Ok(Box::new(move |answers| {
            let pair = |room| Pair { soft: answers.word(room, 0), hard: answers.word(room, 1) };
            Ok(LimitV1 { limits: rooms.into_iter().map(pair).collect() })
        }))
    }

    fn apply(&self, state: &LimitV1, cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        let mut may_raise = None;
        for (resource, &wanted) in (0u32..).zip(&state.limits) {
            let (_, ours) = process::own_limit(resource).map_err(|errno| KindError::host("read our own resource limits", errno))?;
            let fits = wanted.within(ours);
            let room = batch.words(&[fits.soft, fits.hard]);
            batch.call("set a resource limit", libc::SYS_prlimit64, [0.into(), resource.into(), room.into()]);
            if fits == wanted {
                continue;
            }
            let room = batch.words(&[wanted.soft, wanted.hard]);
            batch.attempt(libc::SYS_prlimit64, [0.into(), resource.into(), room.into()]);
            if !*may_raise.get_or_insert_with(|| has_host_capability(CAP_SYS_RESOURCE)) {
                let name = NAMES.get(resource as usize).unwrap_or(&"?");
                warn(&mut cx.warnings, format!("the hard limit RLIMIT_{name} is {}, the job had {}", shown(ours), shown(wanted.hard)));
            }
        }
        Ok(())
    }
}

impl Pair {
    /// The nearest limits under a hard limit of ours.
    fn within(self, hard: u64) -> Pair {
        Pair { soft: self.soft.min(hard), hard: self.hard.min(hard) }
    }
}

fn shown(limit: u64) -> String {
    if limit == u64::MAX { "unlimited".into() } else { limit.to_string() }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn a_limit_is_cut_to_ours() {
        let pair = |soft, hard| Pair { soft, hard };
        for (wanted, ours, fits) in [
            (pair(1, 2), 3, pair(1, 2)),
            (pair(1, 4), 3, pair(1, 3)),
            (pair(u64::MAX, u64::MAX), 3, pair(3, 3)),
            (pair(u64::MAX, u64::MAX), u64::MAX, pair(u64::MAX, u64::MAX)),
        ] {
            assert_eq!(wanted.within(ours), fits, "{wanted:?} under {ours}");
        }
    }

    #[test]
    fn limits_like_ours_need_one_row_each_and_no_warning() {
        let limits = (0..16).map(|resource| process::own_limit(resource).unwrap()).map(|(soft, hard)| Pair { soft, hard });
        let (batch, warnings) = bench::apply(&Limit, &LimitV1 { limits: limits.collect() });
        assert_eq!((batch.len(), warnings), (16, vec![]));
    }

    #[test]
    fn lower_limits_come_back() {
        let mut limits: Vec<Pair> =
            (0..16).map(|resource| process::own_limit(resource).unwrap()).map(|(soft, hard)| Pair { soft, hard }).collect();
        limits[4] = Pair { soft: 4096, hard: 8192 };
        limits[7] = Pair { soft: 10, hard: 20 };
        bench::round_trip(&Limit, &LimitV1 { limits });
    }
}
