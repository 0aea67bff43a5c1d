//! Shared anonymous memory: mmap(2) with MAP_SHARED and MAP_ANONYMOUS, also shared mappings of `/dev/zero`.
//!
//! Kept: contents, sharing between processes, offsets of partial mappings. It is made again in the first stub and parked where no
//! process of the job has anything, and every process takes its pieces from there by mremap(2) with an old size of 0, which needs
//! no privilege and no descriptor.
//! Lost: pages that no process maps any more, when the checkpoint may not open `/proc/PID/map_files`. Refused: nothing.

use serde::{Deserialize, Serialize};

use super::area::huge;
use crate::image::{Area, Backing, Description, Object, ObjectId, Record, RecordError, Tag};
use crate::resource::{Build, Built, Capture, FileKind, KindError, Opened, Plan, Probe, Question, Room, When};
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

/// Largest page that a processor knows.
const MOST_PAGE_BYTES: u64 = 1 << 34;

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

    /// It is as large as its contents, and as what is mapped of it.
    fn plan(&self, state: &SharedMemoryV1, (id, object): (ObjectId, &Object), cx: &mut Plan<'_>) -> Result<(), KindError> {
        let SharedMemoryV1 { bytes, page_bytes } = *state;
        let is_page = page_bytes.is_power_of_two() && (super::pages::PAGE..=MOST_PAGE_BYTES).contains(&page_bytes);
        let whole = Some(bytes).filter(|_| is_page).and_then(|bytes| bytes.checked_next_multiple_of(page_bytes));
        if bytes == 0 || whole.is_none() || bytes < object.content_bytes {
            let has = object.content_bytes;
            let what = format!("shared memory of {bytes} bytes in pages of {page_bytes} has {has} bytes of contents");
            return Err(KindError::Inconsistent { what });
        }
        let is_beyond = |area: &&Area| {
            let end = |offset: u64| offset.checked_add(area.bytes());
            matches!(area.backing, Backing::Object { object, offset } if object == id && whole < end(offset))
        };
        match cx.snapshot.memories.iter().flat_map(|memory| &memory.areas).find(is_beyond) {
            None => Ok(()),
            Some(Area { start, end, .. }) => {
                let what = format!("the area {start:x}-{end:x} reaches beyond its shared memory of {bytes} bytes");
                Err(KindError::Inconsistent { what })
            }
        }
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
