//! The processors a thread may run on (sched_setaffinity(2)).
//!
//! Kept: the set that a thread has chosen. One that it had from its surroundings, the processors that a batch system gave the job for example, becomes that of
//! the restarter's surroundings (with a message; `--affinity saved` keeps it); a thread that may use every processor may do so on a larger or smaller machine, too.
//! Lost: processors that the machine or the cpuset of the restart does not have (with a warning when none is left).
//! Refused: nothing.

use serde::{Deserialize, Serialize};

use super::{known, warn};
use crate::image::Tag;
use crate::proc::ProcDir;
use crate::resource::{Bind, KindError, Later, Plan, Step, TaskKind, TaskProbe};
use crate::sys::{Errno, process};
use crate::tracee::Batch;

/// See the module.
pub struct Affinity;

/// The set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AffinityV1 {
    /// Bit N for processor N, without zero bytes at its end.
    #[serde(with = "serde_bytes")]
    pub mask: Vec<u8>,
    /// Whether these were all processors of the machine: the thread was not bound.
    pub is_everywhere: bool,
    /// Whether these were those of whoever is above the job: nobody in it has chosen them.
    #[serde(default)]
    pub is_inherited: bool,
}

/// Bytes of a mask for every processor that a kernel can have.
const MASK_BYTES: usize = 1024;

impl TaskKind for Affinity {
    type State = AffinityV1;
    const TAG: Tag = Tag::new("affinity", 1);
    const STEP: Step = Step::Scheduling;

    fn capture(&self, probe: &TaskProbe<'_>, _ask: &mut Batch) -> Result<Later<AffinityV1>, KindError> {
        let mask = mask_of(probe.tid).map_err(|errno| KindError::host(format!("read the processors of thread {}", probe.tid), errno))?;
        // Processors usually have the numbers from 0 on; only a set of that form can be the whole machine.
        let is_everywhere = is_prefix(&mask) && mask == online();
        let is_inherited = above(probe.status.ppid).is_some_and(|pid| mask_of(pid).is_ok_and(|above| above == mask));
        Ok(known(AffinityV1 { mask, is_everywhere, is_inherited }))
    }

    fn plan(&self, state: &AffinityV1, _cx: &mut Plan<'_>) -> Result<(), KindError> {
        if MASK_BYTES < state.mask.len() {
            return Err(KindError::Inconsistent { what: format!("a thread has a mask of {} processors", 8 * state.mask.len()) });
        }
        Ok(())
    }

    fn apply(&self, state: &AffinityV1, cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        if state.is_inherited && !cx.keeps_surroundings {
            // It has those of the restarter from its birth.
            let now = mask_of(0).map_err(|errno| KindError::host("read our own processors", errno))?;
            if now != state.mask {
                let (now, saved) = (list(&now), list(&state.mask));
                warn(
                    &mut cx.warnings,
                    format!("runs on processors {now}, as cr_restart does, and not on {saved}: --affinity saved keeps them"),
                );
            }
            return Ok(());
        }
        let everywhere = [0xff; MASK_BYTES];
        let mask = if state.is_everywhere { &everywhere[..] } else { &state.mask };
        let mut padded = mask.to_vec();
        padded.resize(padded.len().next_multiple_of(8), 0);
        let room = batch.bytes(&padded);
        batch.attempt(libc::SYS_sched_setaffinity, [0.into(), room.bytes.into(), room.into()]);
        if !state.is_everywhere {
            let online = online();
            if !online.is_empty() && mask.iter().zip(&online).all(|(a, b)| a & b == 0) {
                warn(&mut cx.warnings, "a thread was bound to processors that this machine does not have; it runs on any".into());
            }
        }
        Ok(())
    }
}

/// The processors of a thread; of this one for 0.
fn mask_of(tid: i32) -> Result<Vec<u8>, Errno> {
    let mut mask = process::affinity(tid)?;
    while mask.last() == Some(&0) {
        mask.pop();
    }
    Ok(mask)
}

/// The first process above that is not of the job, which we hold.
fn above(ppid: i32) -> Option<i32> {
    let us = std::process::id().cast_signed();
    let mut pid = ppid;
    while 0 < pid {
        let status = ProcDir::open(pid).and_then(|dir| dir.status()).ok()?;
        if status.tracer_pid != us {
            return Some(pid);
        }
        pid = status.ppid;
    }
    None
}

/// Whether the set is that of processors 0 to some N.
fn is_prefix(mask: &[u8]) -> bool {
    let Some((last, rest)) = mask.split_last() else {
        return false;
    };
    rest.iter().all(|&byte| byte == 0xff) && last.trailing_ones() == 8 - last.leading_zeros()
}

/// The processors that the machine has now, empty when that cannot be read.
fn online() -> Vec<u8> {
    parse_list(&std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default()).unwrap_or_default()
}

/// A set in the kernel's list format.
fn list(mask: &[u8]) -> String {
    let has = |processor: usize| mask.get(processor / 8).is_some_and(|byte| byte >> (processor % 8) & 1 == 1);
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for processor in (0..8 * mask.len()).filter(|processor| has(*processor)) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == processor => *last = processor,
            _ => runs.push((processor, processor)),
        }
    }
    let text = |(first, last): (usize, usize)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    runs.into_iter().map(text).collect::<Vec<_>>().join(",")
}

/// The kernel's list format, for example `0-3,8` (cpuset(7)).
fn parse_list(text: &str) -> Option<Vec<u8>> {
    let mut mask = Vec::new();
    for run in text.trim().split(',') {
        let (first, last) = run.split_once('-').unwrap_or((run, run));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        for processor in first..=last.min(8 * MASK_BYTES - 1) {
            if mask.len() <= processor / 8 {
                mask.resize(processor / 8 + 1, 0);
            }
            mask[processor / 8] |= 1 << (processor % 8);
        }
    }
    Some(mask)
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn lists_of_processors_become_masks() {
        for (text, mask) in
            [("0-1\n", Some(vec![3])), ("0-3,8", Some(vec![0xf, 1])), ("0-7,9-10", Some(vec![0xff, 6])), ("", None), ("0-", None)]
        {
            assert_eq!(parse_list(text), mask, "{text:?}");
            let again = mask.map(|mask| list(&mask));
            assert_eq!(again.unwrap_or_default(), if text == "0-" { "" } else { text.trim() });
        }
    }

    #[test]
    fn the_whole_machine_is_a_run_from_the_first_processor() {
        for (mask, is) in
            [(vec![3], true), (vec![0xff, 1], true), (vec![2], false), (vec![0xfe, 1], false), (vec![0xff], true), (vec![], false)]
        {
            assert_eq!(is_prefix(&mask), is, "{mask:x?}");
        }
    }

    #[test]
    fn a_thread_bound_to_missing_processors_runs_on_any() {
        let mut mask = vec![0; 1000];
        mask[999] = 1;
        let (batch, warnings) = bench::apply(&Affinity, &AffinityV1 { mask, is_everywhere: false, is_inherited: false });
        assert_eq!((batch.len(), warnings.len()), (1, 1));
        let (_, warnings) = bench::apply(&Affinity, &AffinityV1 { mask: vec![1], is_everywhere: false, is_inherited: false });
        assert_eq!(warnings, [""; 0]);
    }

    #[test]
    fn a_bound_thread_stays_bound_and_another_does_not() {
        bench::round_trip(
            &Affinity,
            &AffinityV1 { mask: vec![1], is_everywhere: online() == [1], is_inherited: mask_of(0).unwrap() == [1] },
        );
        let mut child = bench::Child::new();
        assert!(child.capture(&Affinity).unwrap().is_inherited);
        let before = child.capture(&Affinity).unwrap();
        child.apply(&Affinity, &AffinityV1 { mask: vec![1], is_everywhere: true, is_inherited: false }).unwrap();
        assert_eq!(child.capture(&Affinity).unwrap().is_everywhere, before.is_everywhere);
    }
}
