//! Small settings of a process: what a core dump holds, no transparent huge pages, merging of equal pages (core(5), prctl(2)).
//!
//! Kept: all of them.
//! Lost: what the kernel of the restart does not have, or does not let us set (with a warning).
//! Refused: nothing.

use std::io::Write;

use serde::{Deserialize, Serialize};

use super::{has_host_capability, warn};
use crate::image::Tag;
use crate::proc::ProcDir;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::tracee::Batch;

/// See the module.
pub struct ProcessFlag;

/// The settings as the kernel shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessFlagV1 {
    /// `/proc/PID/coredump_filter`; none on a kernel without core dumps.
    pub core_filter: Option<u32>,
    /// PR_GET_THP_DISABLE: 0 allowed, 1 disabled, 3 disabled unless advised.
    pub no_huge_pages: u32,
    /// PR_GET_MEMORY_MERGE; none on a kernel that merges no pages.
    pub merge: Option<bool>,
}

const CORE_FILTER: &str = "coredump_filter";
const DISABLED: u32 = 1;
const CAP_SYS_RESOURCE: u32 = 24;

impl TaskKind for ProcessFlag {
    type State = ProcessFlagV1;
    const TAG: Tag = Tag::new("process_flag", 1);
    const STEP: Step = Step::Flags;

    fn capture(&self, probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<ProcessFlagV1>, KindError> {
        let huge = ask.attempt(libc::SYS_prctl, [libc::PR_GET_THP_DISABLE.into()]);
        let merge = ask.attempt(libc::SYS_prctl, [libc::PR_GET_MEMORY_MERGE.into()]);
        let core_filter = core_filter(probe.dir);
        Ok(Box::new(move |answers| {
            let no_huge_pages = answers.value(huge).ok().and_then(|value| u32::try_from(value).ok()).unwrap_or(0);
            Ok(ProcessFlagV1 { core_filter, no_huge_pages, merge: answers.value(merge).ok().map(|value| value == 1) })
        }))
    }

    fn apply(&self, state: &ProcessFlagV1, cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        let set = |option: i32, on: u32, flags: u32, batch: &mut Batch| {
            batch.attempt(libc::SYS_prctl, [option.into(), on.into(), flags.into()]);
        };
        set(libc::PR_SET_THP_DISABLE, state.no_huge_pages & DISABLED, state.no_huge_pages & !DISABLED, batch);
        if let Some(merge) = state.merge {
            set(libc::PR_SET_MEMORY_MERGE, u32::from(merge), 0, batch);
        }
        if state.merge == Some(true) && !has_host_capability(CAP_SYS_RESOURCE) {
            warn(&mut cx.warnings, "equal pages of the job may no longer be merged: that may need CAP_SYS_RESOURCE".into());
        }
        Ok(())
    }

    fn apply_outside(&self, state: &ProcessFlagV1, cx: &mut Bind<'_>) -> Result<(), KindError> {
        let dir = ProcDir::open(cx.pid)?;
        let Some(filter) = state.core_filter.filter(|filter| core_filter(&dir) != Some(*filter)) else {
            return Ok(());
        };
        let written = dir.open_file(CORE_FILTER, true).map(|mut file| file.write_all(format!("{filter:#x}").as_bytes()));
        if !matches!(written, Ok(Ok(()))) {
            warn(&mut cx.warnings, format!("the core dump filter {filter:#x} of the job cannot be set"));
        }
        Ok(())
    }
}

fn core_filter(dir: &ProcDir) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(&dir.read(CORE_FILTER).ok()?).ok()?.trim(), 16).ok()
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn settings_come_back() {
        let mut child = bench::Child::new();
        let before = child.capture(&ProcessFlag).unwrap();
        for (no_huge_pages, filter) in [(1, 0x7f), (0, 0x33)] {
            let state = ProcessFlagV1 { no_huge_pages, core_filter: before.core_filter.map(|_| filter), ..before.clone() };
            child.apply(&ProcessFlag, &state).unwrap();
            assert_eq!(child.capture(&ProcessFlag).unwrap(), state);
        }
    }
}
