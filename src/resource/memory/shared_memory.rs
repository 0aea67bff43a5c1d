//! Shared anonymous memory: mmap(2) with MAP_SHARED and MAP_ANONYMOUS, also shared mappings of `/dev/zero`.
//!
//! Kept: contents, sharing between processes, offsets of partial mappings. It is made again in the first stub and parked where no
//! process of the job has anything, and every process takes its pieces from there by mremap(2) with an old size of 0, which needs
//! no privilege and no descriptor.
//! Lost: pages that no process maps any more, when the checkpoint may not open `/proc/PID/map_files`. Refused: nothing.

use std::fs::File;

use serde::{Deserialize, Serialize};

use super::area::{huge, shows_shared_memory};
use crate::image::{Description, Object, ObjectId, Tag};
use crate::proc::MapEntry;
use crate::resource::{Build, Built, Capture, FileKind, KindError, Opened, Piece, Plan, Probe, Question, Room, When};
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

impl FileKind for SharedMemory {
    type State = SharedMemoryV1;
    const TAG: Tag = Tag::new("shared_memory", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        probe.area().is_some_and(shows_shared_memory)
    }

    fn question(&self) -> Question {
        Question::Nothing
    }

    /// The file behind is read where we may open it, else every piece through a process.
    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<SharedMemoryV1, KindError> {
        cx.name = Some("shared anonymous memory".into());
        let areas = probes.iter().filter_map(|probe| Some((probe.pid, probe.area()?)));
        let page_bytes = areas.clone().map(|(_, area)| area.page_bytes).max().unwrap_or(super::pages::PAGE);
        let piece = |(pid, area): (i32, &MapEntry)| Piece { pid, address: area.start, offset: area.offset, bytes: area.bytes() };
        let pieces: Vec<Piece> = areas.map(piece).collect();
        let mapped = pieces.iter().map(|piece| piece.offset + piece.bytes).max().unwrap_or(0);
        let file = probes[0].copy().ok().and_then(|copy| copy.try_clone_to_owned().ok()).map(File::from);
        let real = file.as_ref().and_then(|file| file.metadata().ok()).map_or(mapped, |metadata| metadata.len());
        let bytes = real.max(mapped);
        match file {
            Some(file) => cx.keep_contents(file.into(), bytes),
            None => cx.keep_pieces(super::without_overlap(pieces), bytes),
        }
        Ok(SharedMemoryV1 { bytes, page_bytes })
    }

    fn plan(&self, state: &SharedMemoryV1, (id, object): (ObjectId, &Object), cx: &mut Plan<'_>) -> Result<(), KindError> {
        super::plausible((state.bytes, state.page_bytes), (id, object), cx.snapshot)
    }

    fn when(&self, state: &SharedMemoryV1) -> When {
        // Huge pages want addresses of their alignment.
        When::FirstStub(Room { bytes: state.bytes, align: state.page_bytes, read_only_at: None })
    }

    fn seed(&self, state: &SharedMemoryV1, _: &Built, address: u64, batch: &mut Batch) {
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
