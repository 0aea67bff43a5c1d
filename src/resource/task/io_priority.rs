//! The I/O priority of a thread (ioprio_set(2)).
//!
//! Kept: class and level.
//! Lost: the real-time class, when the user of the restart may not give it (with a warning).
//! Refused: nothing.

use serde::{Deserialize, Serialize};

use super::{has_host_capability, known, warn};
use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::sys::process;
use crate::tracee::Batch;

/// See the module.
pub struct IoPriority;

/// The priority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoPriorityV1 {
    /// Class in bits 13 to 15, level below, as the kernel has it.
    pub value: i32,
}

const CLASS_SHIFT: i32 = 13;
const CLASS_RT: i32 = 1;
const WHO_PROCESS: i32 = 1;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_SYS_NICE: u32 = 23;

impl TaskKind for IoPriority {
    type State = IoPriorityV1;
    const TAG: Tag = Tag::new("io_priority", 1);
    const STEP: Step = Step::Scheduling;

    fn capture(&self, probe: &TaskProbe<'_>, _ask: &mut Batch) -> Result<Later<IoPriorityV1>, KindError> {
        let value = process::io_priority(probe.tid)
            .map_err(|errno| KindError::host(format!("read the I/O priority of thread {}", probe.tid), errno))?;
        Ok(known(IoPriorityV1 { value }))
    }

    fn apply(&self, state: &IoPriorityV1, cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        let is_realtime = state.value >> CLASS_SHIFT & 7 == CLASS_RT;
        if is_realtime && !has_host_capability(CAP_SYS_NICE) && !has_host_capability(CAP_SYS_ADMIN) {
            warn(&mut cx.warnings, "the job had a real-time I/O priority, which needs CAP_SYS_NICE".into());
        }
        batch.attempt(libc::SYS_ioprio_set, [WHO_PROCESS.into(), 0.into(), state.value.into()]);
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn priorities_come_back() {
        for value in [2 << CLASS_SHIFT | 7, 3 << CLASS_SHIFT, 0] {
            let mut child = bench::Child::new();
            child.apply(&IoPriority, &IoPriorityV1 { value: 2 << CLASS_SHIFT | 1 }).unwrap();
            child.apply(&IoPriority, &IoPriorityV1 { value }).unwrap();
            assert_eq!(child.capture(&IoPriority).unwrap().value, value);
        }
    }
}
