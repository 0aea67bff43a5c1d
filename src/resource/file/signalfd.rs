//! Signals that are read (signalfd(2)).
//!
//! **Kept:** the set of signals, flags. Pending signals belong to the process, not to this.
//! **Lost:** nothing.
//! **Refused:** nothing.

use serde::{Deserialize, Serialize};

use super::open;
use crate::image::{Description, Object, ObjectId, Tag};
use crate::resource::{Build, Built, Capture, FileKind, Identity, KindError, Opened, Probe};
use crate::sys::descriptor;

/// Signals that are read.
pub struct Signalfd;

/// Which signals are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalfdV1 {
    /// Bit N-1 for signal N.
    pub signals: u64,
}

impl FileKind for Signalfd {
    type State = SignalfdV1;
    const TAG: Tag = Tag::new("signalfd", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        probe.link.as_os_str() == "anon_inode:[signalfd]"
    }

    fn identity(&self, _: &Probe<'_>) -> Identity {
        Identity::Description
    }

    fn capture(&self, probes: &[&Probe<'_>], _: &mut Capture) -> Result<SignalfdV1, KindError> {
        Ok(SignalfdV1 { signals: probes[0].info.sigmask.unwrap_or(0) })
    }

    fn build(&self, state: &SignalfdV1, _: (ObjectId, &Object), _: &mut Build<'_>) -> Result<Built, KindError> {
        let reader = descriptor::signalfd(state.signals).map_err(|errno| KindError::host("make a signalfd", errno))?;
        Ok(Built { descriptors: vec![reader], ..Built::default() })
    }

    fn open(&self, _: &SignalfdV1, built: &Built, _: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        open::duplicate(&built.descriptors[0]).map(Opened::New)
    }
}

#[cfg(test)]
mod test {
    use super::super::test::{Round, probe_of};
    use super::*;

    #[test]
    fn the_set_comes_back() {
        let signals = 1 << 9 | 1 << 38;
        let reader = descriptor::signalfd(signals).unwrap();
        let again = Round::of(&Signalfd, &[&reader]).open(0);
        assert_eq!(probe_of(&again, |probe| probe.info.sigmask), Some(signals));
    }
}
