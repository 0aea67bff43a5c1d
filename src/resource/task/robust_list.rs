//! The list of robust futexes of a thread (get_robust_list(2)).
//!
//! Kept: its address and size.
//! Lost: nothing; the locks themselves are memory, and name their owner by thread id.
//! Refused: nothing.

use serde::{Deserialize, Serialize};

use super::known;
use crate::image::{Record, Tag};
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::sys::process;
use crate::tracee::Batch;

/// See the module.
pub struct RobustList;

/// The registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RobustListV1 {
    /// Address of the head; 0 when none is registered.
    pub head: u64,
    /// Size of the head in bytes.
    pub bytes: u64,
}

/// Where the head of a thread's list is; `None` without one.
pub fn head(records: &[Record]) -> Option<u64> {
    let record = records.iter().find(|record| record.kind == RobustList::TAG.kind)?;
    record.decode::<RobustListV1>(RobustList::TAG).ok().map(|state| state.head)
}

impl TaskKind for RobustList {
    type State = RobustListV1;
    const TAG: Tag = Tag::new("robust_list", 1);
    const STEP: Step = Step::Registrations;

    fn capture(&self, probe: &TaskProbe<'_>, _ask: &mut Batch) -> Result<Later<RobustListV1>, KindError> {
        let list = process::robust_list(probe.tid)
            .map_err(|errno| KindError::host(format!("read the robust futex list of thread {}", probe.tid), errno))?;
        Ok(known(RobustListV1 { head: list.head, bytes: list.bytes }))
    }

    fn apply(&self, state: &RobustListV1, _cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        batch.call("register the robust futex list", libc::SYS_set_robust_list, [state.head.into(), state.bytes.into()]);
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn a_list_comes_back() {
        for head in [0x1000, 0] {
            bench::round_trip(&RobustList, &RobustListV1 { head, bytes: 24 });
        }
    }
}
