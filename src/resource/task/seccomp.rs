//! The system calls a thread may make (seccomp(2)).
//!
//! Kept: strict mode; filters with their log flag, oldest first.
//! Lost: that threads share one filter, which nobody can tell; filters that `cr_checkpoint` runs under itself, as in a container: they are
//! taken for those of the surroundings, and the job gets those of the restart (with a warning when their number is another).
//! Refused: filters of the job's own, without CAP_SYS_ADMIN or by somebody who runs under filters: the kernel shows them none.
//!
//! Relies on filters being suspended in stopped tasks (PTRACE_O_SUSPEND_SECCOMP), here and in the stubs.

use serde::{Deserialize, Serialize};

use super::{known, warn};
use crate::image::Tag;
use crate::proc::{ProcDir, Status};
use crate::resource::{Bind, KindError, Later, Plan, Step, TaskKind, TaskProbe};
use crate::sys::{Errno, process, ptrace};
use crate::tracee::{Batch, TraceeError};

/// See the module.
pub struct Seccomp;

/// What the thread runs under.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeccompV1 {
    /// 0 nothing, 1 strict, 2 filters.
    pub mode: u32,
    /// Filters of its own, oldest first.
    pub filters: Vec<Filter>,
    /// How many older ones it has from its surroundings.
    pub inherited: u32,
    /// Whether filters may be installed by anybody.
    pub no_new_privs: bool,
}

/// A filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// `struct sock_filter`, 8 bytes an instruction.
    #[serde(with = "serde_bytes")]
    pub program: Vec<u8>,
    /// `SECCOMP_FILTER_FLAG_*`.
    pub flags: u64,
}

const STRICT: u32 = 1;
const SET_MODE_FILTER: u32 = 1;
const FLAG_LOG: u64 = 1 << 1;
const CAP_SYS_ADMIN: u32 = 21;

impl TaskKind for Seccomp {
    type State = SeccompV1;
    const TAG: Tag = Tag::new("seccomp", 1);
    const STEP: Step = Step::Filters;

    fn filters_calls(&self) -> bool {
        true
    }

    fn capture(&self, probe: &TaskProbe<'_>, _ask: &mut Batch) -> Result<Later<SeccompV1>, KindError> {
        let (mode, no_new_privs) = (probe.status.seccomp, probe.status.no_new_privs);
        let mut state = SeccompV1 { mode, no_new_privs, ..SeccompV1::default() };
        if mode == libc::SECCOMP_MODE_FILTER {
            state.inherited = our_filters()?.min(probe.status.seccomp_filters);
            // Before Linux 5.9 the number is not shown, and the end is found by asking.
            if state.inherited < probe.status.seccomp_filters || probe.status.seccomp_filters == 0 {
                state.filters = filters(probe, state.inherited)?;
            }
        }
        Ok(known(state))
    }

    fn plan(&self, state: &SeccompV1, cx: &mut Plan<'_>) -> Result<(), KindError> {
        if state.mode != libc::SECCOMP_MODE_FILTER {
            return Ok(());
        }
        let ours = our_filters()?;
        if ours != state.inherited {
            let text = format!("the job had {} seccomp filters from its surroundings, it gets our {ours} instead", state.inherited);
            warn(&mut cx.warnings, text);
        }
        if !state.filters.is_empty() && (0 < ours || !process::has_capability(CAP_SYS_ADMIN)) {
            return Err(KindError::Denied {
                what: "the job has seccomp filters, which only root without filters of its own can hold back during a restart".into(),
                remedy: "restart it as root, with CAP_SYS_ADMIN, and outside of any container".into(),
            });
        }
        Ok(())
    }

    fn apply(&self, state: &SeccompV1, _cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        if state.mode == STRICT {
            batch.call("enter strict seccomp mode", libc::SYS_prctl, [libc::PR_SET_SECCOMP.into(), STRICT.into()]);
        }
        if state.no_new_privs && !state.filters.is_empty() {
            batch.call("set no_new_privs", libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS.into(), 1.into()]);
        }
        for filter in &state.filters {
            let program = batch.bytes(&filter.program);
            // struct sock_fprog: the number of instructions, and where they are.
            let header = batch.words(&[filter.program.len() as u64 / 8, 0]);
            batch.pointer(header, 8, program);
            let args = [SET_MODE_FILTER.into(), (filter.flags & FLAG_LOG).into(), header.into()];
            batch.call("install a seccomp filter", libc::SYS_seccomp, args);
        }
        Ok(())
    }
}

/// How many filters we run under.
fn our_filters() -> Result<u32, KindError> {
    let Status { seccomp, seccomp_filters, .. } = ProcDir::open(std::process::id().cast_signed())?.status()?;
    Ok(if seccomp == libc::SECCOMP_MODE_FILTER { seccomp_filters } else { 0 })
}

/// The filters of a thread but the `inherited` oldest. The kernel counts from the oldest, whatever ptrace(2) says.
fn filters(probe: &TaskProbe<'_>, inherited: u32) -> Result<Vec<Filter>, KindError> {
    let mut filters = Vec::new();
    for index in inherited.. {
        let program = match ptrace::seccomp_filter(probe.tid, index as usize) {
            Ok(program) => program,
            Err(Errno::ENOENT) => break,
            Err(Errno::EACCES | Errno::EPERM) => {
                return Err(KindError::Denied {
                    what: format!("process {} has seccomp filters, which only root without filters of its own can read", probe.pid),
                    remedy: "make the checkpoint as root, with CAP_SYS_ADMIN, and outside of any container".into(),
                });
            }
            Err(errno) => {
                return Err(TraceeError::request("read a seccomp filter", probe.tid, errno).into());
            }
        };
        // Linux 4.14 and later tell the flags.
        let flags = ptrace::seccomp_flags(probe.tid, u64::from(index)).unwrap_or(0);
        filters.push(Filter { program, flags });
    }
    Ok(filters)
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    /// A filter that returns an errno for one call and allows all others.
    fn filter(number: u32, errno: u32, flags: u64) -> Filter {
        let instruction = |code: u16, jump_true: u8, jump_false: u8, value: u32| {
            [&code.to_le_bytes()[..], &[jump_true, jump_false], &value.to_le_bytes()].concat()
        };
        let load = instruction(0x20, 0, 0, 0);
        let compare = instruction(0x15, 0, 1, number);
        let refuse = instruction(0x06, 0, 0, 0x0005_0000 | errno);
        let allow = instruction(0x06, 0, 0, 0x7fff_0000);
        Filter { program: [load, compare, refuse, allow].concat(), flags }
    }

    #[test]
    fn filters_come_back_in_order() {
        if !process::has_capability(CAP_SYS_ADMIN) || our_filters().unwrap() != 0 {
            return;
        }
        let filters = vec![filter(140, 71, 0), filter(162, 72, FLAG_LOG)];
        let inherited = our_filters().unwrap();
        bench::round_trip(&Seccomp, &SeccompV1 { mode: 2, filters, inherited, no_new_privs: true });
        bench::round_trip(&Seccomp, &SeccompV1 { mode: 2, filters: vec![filter(140, 71, 0)], inherited, no_new_privs: false });
    }

    #[test]
    fn a_thread_without_filters_needs_no_rows() {
        assert_eq!(bench::apply(&Seccomp, &SeccompV1::default()).0.len(), 0);
        assert_eq!(bench::apply(&Seccomp, &SeccompV1 { mode: STRICT, ..SeccompV1::default() }).0.len(), 1);
    }

    #[test]
    fn other_surroundings_are_named() {
        let inherited = our_filters().unwrap() + 1;
        let warnings = bench::plan(&Seccomp, &SeccompV1 { mode: 2, inherited, ..SeccompV1::default() }).unwrap();
        assert_eq!(warnings.len(), 1);
    }
}
