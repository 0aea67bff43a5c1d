//! Event counters (eventfd(2)).
//!
//! **Kept:** the counter, semaphore mode, flags.
//! **Lost:** semaphore mode on kernels before 6.5, which do not show it.
//! **Refused:** nothing.

use std::os::fd::AsFd;

use nix::unistd;
use serde::{Deserialize, Serialize};

use super::open;
use crate::image::{Description, Object, ObjectId, Tag};
use crate::resource::{Build, Built, Capture, FileKind, Identity, KindError, Opened, Probe};
use crate::sys::descriptor;

/// Event counters.
pub struct Eventfd;

/// An event counter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventfdV1 {
    /// The counter.
    pub count: u64,
    /// EFD_SEMAPHORE: each read takes one.
    pub is_semaphore: bool,
}

impl FileKind for Eventfd {
    type State = EventfdV1;
    const TAG: Tag = Tag::new("eventfd", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        probe.link.as_os_str() == "anon_inode:[eventfd]"
    }

    /// Anonymous inodes are all one, and cannot be opened again: a description and its object are the same thing.
    fn identity(&self, _: &Probe<'_>) -> Identity {
        Identity::Description
    }

    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<EventfdV1, KindError> {
        let shown = probes[0].info.eventfd.unwrap_or_default();
        if shown.semaphore.is_none() {
            cx.warnings.push("this kernel does not tell whether an eventfd counts as a semaphore: it will not".to_owned());
        }
        Ok(EventfdV1 { count: shown.count, is_semaphore: shown.semaphore.unwrap_or(false) })
    }

    fn build(&self, state: &EventfdV1, _: (ObjectId, &Object), _: &mut Build<'_>) -> Result<Built, KindError> {
        let attempt = |errno| KindError::host(format!("make an eventfd that counts {}", state.count), errno);
        let counter = descriptor::eventfd(state.is_semaphore).map_err(attempt)?;
        if state.count > 0 {
            unistd::write(counter.as_fd(), &state.count.to_ne_bytes()).map_err(attempt)?;
        }
        Ok(Built { descriptors: vec![counter], ..Built::default() })
    }

    fn open(&self, _: &EventfdV1, built: &Built, _: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        open::duplicate(&built.descriptors[0]).map(Opened::New)
    }
}

#[cfg(test)]
mod test {
    use super::super::test::Round;
    use super::*;
    use crate::sys::Errno;

    fn read(counter: &impl AsFd) -> Result<u64, Errno> {
        let mut value = [0; 8];
        unistd::read(counter, &mut value).map(|_| u64::from_ne_bytes(value))
    }

    #[test]
    fn counters_and_semaphores_come_back() {
        for (is_semaphore, count, first) in
            [(false, 1_000_000_000_042, 1_000_000_000_042), (true, 3, 1), (false, u64::MAX - 1, u64::MAX - 1)]
        {
            let counter = descriptor::eventfd(is_semaphore).unwrap();
            unistd::write(&counter, &u64::to_ne_bytes(count)).unwrap();
            let again = Round::of(&Eventfd, &[&counter]).open(0);
            assert_eq!(read(&again), Ok(first));
            assert_eq!(read(&again), if is_semaphore { Ok(1) } else { Err(Errno::EAGAIN) });
            assert_eq!(read(&counter), Ok(first), "the capture has changed the original");
        }
    }
}
