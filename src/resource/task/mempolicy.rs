//! From which memory nodes a thread gets new pages (set_mempolicy(2)).
//!
//! Kept: mode, mode flags and nodes.
//! Lost: nodes that the machine of the restart does not have; without any of them the thread has the default policy (with a warning).
//! Refused: nothing.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::warn;
use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::tracee::Batch;

/// See the module.
pub struct Mempolicy;

/// The policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MempolicyV1 {
    /// `MPOL_*` with its flags; 0 is the default.
    pub mode: u32,
    /// Nodes, ascending.
    pub nodes: Vec<u32>,
}

/// More nodes than any kernel is built for.
const MOST_NODES: usize = 1024;

impl TaskKind for Mempolicy {
    type State = MempolicyV1;
    const TAG: Tag = Tag::new("mempolicy", 1);
    const STEP: Step = Step::Scheduling;

    fn capture(&self, _probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<MempolicyV1>, KindError> {
        let (mode, mask) = (ask.room(8), ask.room(MOST_NODES / 8));
        // ENOSYS: a kernel without NUMA.
        let row = ask.attempt(libc::SYS_get_mempolicy, [mode.into(), mask.into(), MOST_NODES.into(), 0.into(), 0.into()]);
        Ok(Box::new(move |answers| {
            if answers.value(row).is_err() {
                return Ok(MempolicyV1 { mode: 0, nodes: Vec::new() });
            }
            let nodes = (0u32..)
                .zip(answers.bytes(mask))
                .flat_map(|(at, byte)| (0..8).filter(move |bit| byte >> bit & 1 == 1).map(move |bit| at * 8 + bit));
            Ok(MempolicyV1 { mode: answers.half(mode, 0), nodes: nodes.collect() })
        }))
    }

    fn apply(&self, state: &MempolicyV1, cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        let exists = |node: &u32| Path::new(&format!("/sys/devices/system/node/node{node}")).exists();
        if !state.nodes.is_empty() && !state.nodes.iter().any(exists) {
            warn(&mut cx.warnings, "a thread was bound to memory nodes that this machine does not have".into());
        }
        if state.nodes.is_empty() {
            batch.attempt(libc::SYS_set_mempolicy, [state.mode.into(), 0.into(), 0.into()]);
            return Ok(());
        }
        let mut words = [0u64; MOST_NODES / 64];
        for &node in state.nodes.iter().filter(|node| (**node as usize) < MOST_NODES) {
            words[node as usize / 64] |= 1 << (node % 64);
        }
        let mask = batch.words(&words);
        batch.attempt(libc::SYS_set_mempolicy, [state.mode.into(), mask.into(), MOST_NODES.into()]);
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn policies_come_back() {
        const MPOL_BIND: u32 = 2;
        const MPOL_LOCAL: u32 = 4;
        if !Path::new("/sys/devices/system/node/node0").exists() {
            return;
        }
        for (mode, nodes) in [(0, vec![]), (MPOL_BIND, vec![0]), (MPOL_LOCAL, vec![])] {
            bench::round_trip(&Mempolicy, &MempolicyV1 { mode, nodes });
        }
    }
}
