//! Shared anonymous memory: mmap(2) with MAP_SHARED and MAP_ANONYMOUS, also shared mappings of `/dev/zero`.
//!
//! Kept: contents, sharing between processes, offsets of partial mappings. It is made again in the first stub and parked where no
//! process of the job has anything, and every process takes its pieces from there by mremap(2) with an old size of 0, which needs
//! no privilege and no descriptor.
//! Lost: pages that no process maps any more, when the checkpoint may not open `/proc/PID/map_files`. Refused: nothing.

use serde::{Deserialize, Serialize};

use super::area::huge;
use crate::image::{Record, RecordError, Tag};
use crate::tracee::Batch;

/// Name and version of the state.
pub const TAG: Tag = Tag::new("shared_memory", 1);

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
    Record::encode(TAG, &SharedMemoryV1 { bytes, page_bytes })
}

/// Adds the call that makes it at `address` of the first stub.
pub fn park(state: &SharedMemoryV1, address: u64, batch: &mut Batch) {
    let mut flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE | libc::MAP_NORESERVE;
    if state.page_bytes > super::pages::PAGE {
        flags |= huge(state.page_bytes);
    }
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let args = [address.into(), state.bytes.into(), prot.into(), flags.into(), (-1i32).into(), 0u64.into()];
    batch.call("make shared memory", libc::SYS_mmap, args);
}
