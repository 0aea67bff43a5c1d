//! The restartable sequences area of a thread (rseq(2)).
//!
//! Kept: address, size and signature of the registration.
//! Lost: the slice extension (PR_RSEQ_SLICE_EXTENSION), which no interface shows.
//! Refused: nothing; before Linux 5.13 nothing is shown and nothing is kept.
//!
//! Relies on the stub having no registration of its own, and on the engine restarting a sequence that was interrupted.

use serde::{Deserialize, Serialize};

use super::known;
use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::sys::{Errno, ptrace};
use crate::tracee::{Batch, TraceeError};

/// See the module.
pub struct Rseq;

/// The registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RseqV1 {
    /// 0 when there is none.
    pub address: u64,
    /// Size given at registration.
    pub bytes: u32,
    /// What stands before abort handlers.
    pub signature: u32,
}

impl TaskKind for Rseq {
    type State = RseqV1;
    const TAG: Tag = Tag::new("rseq", 1);
    const STEP: Step = Step::Registrations;

    fn capture(&self, probe: &TaskProbe<'_>, _ask: &mut Batch) -> Result<Later<RseqV1>, KindError> {
        let found = match ptrace::rseq_configuration(probe.tid) {
            Ok(found) => found,
            Err(Errno::EIO | Errno::EINVAL) => ptrace::RseqConfiguration::default(),
            Err(errno) => {
                return Err(TraceeError::request("read the rseq area", probe.tid, errno).into());
            }
        };
        Ok(known(RseqV1 { address: found.address, bytes: found.bytes, signature: found.signature }))
    }

    fn apply(&self, state: &RseqV1, _cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        if state.address != 0 {
            let args = [state.address.into(), state.bytes.into(), 0.into(), state.signature.into()];
            batch.call("register the rseq area", libc::SYS_rseq, args);
        }
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn libc_has_registered_an_area_and_it_needs_one_row() {
        let state = bench::Child::new().capture(&Rseq).unwrap();
        assert_eq!(bench::apply(&Rseq, &state).0.len(), usize::from(state.address != 0));
        assert_eq!(bench::apply(&Rseq, &RseqV1 { address: 0, ..state }).0.len(), 0);
    }
}
