//! System calls of a thread that become signals (PR_SET_SYSCALL_USER_DISPATCH, prctl(2)); emulators use it.
//!
//! Kept: mode, address range and selector.
//! Lost: nothing since Linux 6.4; before that nothing is shown and nothing is kept.
//! Refused: nothing.

use serde::{Deserialize, Serialize};

use super::known;
use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::sys::ptrace::{self, SyscallUserDispatch};
use crate::tracee::{Batch, TraceeError};

/// See the module.
pub struct SyscallDispatch;

/// The settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyscallDispatchV1 {
    /// `PR_SYS_DISPATCH_*`; 0 is off.
    pub mode: u64,
    /// First address from which calls always pass.
    pub offset: u64,
    /// Length of that range in bytes.
    pub bytes: u64,
    /// Address of the byte that decides about all others; 0 for none.
    pub selector: u64,
}

impl TaskKind for SyscallDispatch {
    type State = SyscallDispatchV1;
    const TAG: Tag = Tag::new("syscall_dispatch", 1);
    const STEP: Step = Step::Registrations;

    fn capture(&self, probe: &TaskProbe<'_>, _ask: &mut Batch) -> Result<Later<SyscallDispatchV1>, KindError> {
        let SyscallUserDispatch { mode, selector, offset, len } = ptrace::syscall_user_dispatch(probe.tid).unwrap_or_default();
        Ok(known(SyscallDispatchV1 { mode, offset, bytes: len, selector }))
    }

    fn apply(&self, _state: &SyscallDispatchV1, _cx: &mut Bind<'_>, _batch: &mut Batch) -> Result<(), KindError> {
        Ok(())
    }

    /// After the last batch, whose calls would be dispatched, too.
    fn apply_outside(&self, state: &SyscallDispatchV1, cx: &mut Bind<'_>) -> Result<(), KindError> {
        if state.mode == 0 {
            return Ok(());
        }
        let config = SyscallUserDispatch { mode: state.mode, selector: state.selector, offset: state.offset, len: state.bytes };
        let failed = |errno| TraceeError::request("set the system call dispatch", cx.tid, errno);
        Ok(ptrace::set_syscall_user_dispatch(cx.tid, &config).map_err(failed)?)
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn settings_come_back() {
        let state = SyscallDispatchV1 { mode: 1, offset: 0x1000, bytes: 0x2000, selector: 0 };
        let mut child = bench::Child::new();
        if ptrace::syscall_user_dispatch(child.pid).is_err() {
            return;
        }
        child.apply(&SyscallDispatch, &state).unwrap();
        let SyscallUserDispatch { mode, selector, offset, len } = ptrace::syscall_user_dispatch(child.pid).unwrap();
        assert_eq!(SyscallDispatchV1 { mode, offset, bytes: len, selector }, state);
    }
}
