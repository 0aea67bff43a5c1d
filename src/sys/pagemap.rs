//! `PAGEMAP_SCAN` (Linux 6.7): which pages of an address range hold something, in one call.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::AsRawFd;

use super::{Errno, check};

/// Page categories (`PAGE_IS_*` in linux/fs.h).
#[allow(missing_docs, reason = "named in Documentation/admin-guide/mm/pagemap.rst")]
pub mod category {
    pub const FILE: u64 = 1 << 2;
    pub const PRESENT: u64 = 1 << 3;
    pub const SWAPPED: u64 = 1 << 4;
    pub const PFNZERO: u64 = 1 << 5;
    pub const HUGE: u64 = 1 << 6;
    pub const GUARD: u64 = 1 << 8;
}

/// A run of pages of the same categories; `end` is exclusive.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub start: u64,
    /// Address after the last byte.
    pub end: u64,
    /// Which of the asked categories hold.
    pub categories: u64,
}

#[repr(C)]
#[derive(Default)]
struct ScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}
const _: () = assert!(size_of::<ScanArg>() == 96);

/// `ioctl(PAGEMAP_SCAN)` of linux/fs.h: `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: u64 = 0xc060_6610;

/// What a scan looks for.
#[derive(Debug, Clone, Copy)]
pub struct Filter {
    /// At least one of these must hold (0: no such condition).
    pub any_of: u64,
    /// None of these may hold.
    pub none_of: u64,
    /// Categories to report; runs are split where they differ.
    pub report: u64,
}

/// Runs of pages in `start..end` that pass `filter`, in ascending order. ENOTTY: the kernel is older than 6.7.
pub fn scan(pagemap: &File, start: u64, end: u64, filter: Filter) -> Result<Vec<Region>, Errno> {
    let mut found = Vec::new();
    let mut page = vec![Region::default(); 1024];
    let mut from = start;
    while from < end {
        let mut arg = ScanArg {
            size: size_of::<ScanArg>() as u64,
            start: from,
            end,
            vec: page.as_mut_ptr() as u64,
            vec_len: page.len() as u64,
            category_inverted: filter.none_of,
            category_mask: filter.none_of,
            category_anyof_mask: filter.any_of,
            return_mask: filter.report,
            ..ScanArg::default()
        };
        // SAFETY: `arg` is a live struct of the size it states, and `vec` points to `vec_len` regions that outlive the call.
        let count = check(i64::from(unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, &mut arg) }))?;
        found.extend_from_slice(&page[..usize::try_from(count).unwrap_or(0).min(page.len())]);
        if arg.walk_end <= from {
            break;
        }
        from = arg.walk_end;
    }
    Ok(found)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn finds_the_touched_pages_of_our_own_memory() {
        let mut memory = vec![0u8; 16 * 4096];
        let start = (memory.as_ptr() as u64).next_multiple_of(4096);
        let offset = usize::try_from(start - memory.as_ptr() as u64).unwrap();
        memory[offset + 4096] = 1;
        let pagemap = File::open("/proc/self/pagemap").unwrap();
        let filter = Filter { any_of: category::PRESENT | category::SWAPPED, none_of: category::PFNZERO, report: category::PRESENT };
        let runs = scan(&pagemap, start, start + 4 * 4096, filter).unwrap();
        assert!(runs.iter().any(|run| run.start <= start + 4096 && start + 8192 <= run.end), "{runs:?}");
    }
}
