//! Shared anonymous memory: mmap(2) with MAP_SHARED and MAP_ANONYMOUS, also shared mappings of `/dev/zero`.
//!
//! Kept: contents, sharing between processes, offsets of partial mappings. It is made again in the first stub and parked where no
//! process of the job has anything, and every process takes its pieces from there by mremap(2) with an old size of 0, which needs
//! no privilege and no descriptor.
//! Lost: pages that no process maps any more, when the checkpoint may not open `/proc/PID/map_files`. Refused: nothing.

use serde::{Deserialize, Serialize};

use super::area::huge;
use crate::image::{Description, Record, RecordError, Tag};
use crate::resource::{Build, Built, Capture, FileKind, KindError, Opened, Probe, Question, Room, When};
use crate::tracee::Batch;

/// Shared anonymous memory.
pub struct SharedMemory;

/// What is saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedMemoryV1 {
    /// Size in bytes.
    pub bytes: u64,
    /// 4096, or the size of its huge pages.
    pub page_bytes: u64,
}

/// A record of shared memory of this size.
pub fn record(bytes: u64, page_bytes: u64) -> Result<Record, RecordError> {
    Record::encode(SharedMemory::TAG, &SharedMemoryV1 { bytes, page_bytes })
}

impl FileKind for SharedMemory {
    type State = SharedMemoryV1;
    const TAG: Tag = Tag::new("shared_memory", 1);

    fn claims(&self, _: &Probe<'_>) -> bool {
        false
    }

    fn question(&self) -> Question {
        Question::Nothing
    }

    fn capture(&self, _: &[&Probe<'_>], _: &mut Capture) -> Result<SharedMemoryV1, KindError> {
        unreachable!("nothing is claimed")
    }

    fn when(&self, state: &SharedMemoryV1) -> When {
        // Huge pages want addresses of their alignment.
        When::FirstStub(Room { bytes: state.bytes, align: state.page_bytes })
    }

    fn seed(&self, state: &SharedMemoryV1, address: u64, batch: &mut Batch) {
        let mut flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE | libc::MAP_NORESERVE;
        if state.page_bytes > super::pages::PAGE {
            flags |= huge(state.page_bytes);
        }
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let args = [address.into(), state.bytes.into(), prot.into(), flags.into(), (-1i32).into(), 0u64.into()];
        batch.call("make shared memory", libc::SYS_mmap, args);
    }

    fn open(&self, _: &SharedMemoryV1, _: &Built, _: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        let remedy = "the context file is damaged".into();
        Err(KindError::Unsupported { what: "a descriptor of shared anonymous memory".into(), remedy })
    }
}
