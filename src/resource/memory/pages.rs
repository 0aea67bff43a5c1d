//! Which pages of an area have to be saved, and where its guard regions are.
//!
//! Relies on PAGEMAP_SCAN (Linux 6.7), else on the plain pagemap. Pages that were never touched, that still equal the file below
//! them, that are the shared zero page or that are guards are not saved (Documentation/admin-guide/mm/pagemap.rst).

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::image::{Area, Backing};
use crate::resource::KindError;
use crate::sys::Errno;
use crate::sys::pagemap::{self, Filter, category};

/// Bytes of a page of the smallest size.
pub const PAGE: u64 = 4096;

/// What an area holds: address ranges whose pages are to be saved, and guard regions. Ascending, disjoint, exclusive ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pages {
    /// Ranges with contents.
    pub saved: Vec<(u64, u64)>,
    /// Guard regions (MADV_GUARD_INSTALL).
    pub guards: Vec<(u64, u64)>,
}

impl Pages {
    /// All of an area, guards apart: what it maps will not be there.
    pub fn whole(area: &Area, guards: Vec<(u64, u64)>) -> Pages {
        let ends = guards.iter().map(|guard| guard.0).chain([area.end]);
        let starts = [area.start].into_iter().chain(guards.iter().map(|guard| guard.1));
        let saved = starts.zip(ends).filter(|(start, end)| start < end).collect();
        Pages { saved, guards }
    }
}

/// Finds the private contents of an area. Shared areas have none of their own: their object is saved once.
pub fn contents(file: &File, area: &Area) -> Result<Pages, KindError> {
    if matches!(area.backing, Backing::Special(_)) {
        return Ok(Pages::default());
    }
    match scan(file, area) {
        Err(Errno::ENOTTY | Errno::EINVAL) => plain(file, area),
        Err(errno) => Err(KindError::host(format!("scan the pages at {:#x}", area.start), errno)),
        Ok(pages) => Ok(pages),
    }
}

fn scan(file: &File, area: &Area) -> Result<Pages, Errno> {
    let filter = Filter {
        any_of: category::PRESENT | category::SWAPPED | category::GUARD,
        none_of: category::PFNZERO,
        report: category::GUARD | category::FILE,
    };
    let regions = match pagemap::scan(file, area.start, area.end, filter) {
        // Guard regions are reported since Linux 6.15; before that there were none to see.
        Err(Errno::EINVAL) => {
            let any_of = category::PRESENT | category::SWAPPED;
            pagemap::scan(file, area.start, area.end, Filter { any_of, report: category::FILE, ..filter })?
        }
        other => other?,
    };
    let mut pages = Pages::default();
    for region in regions {
        if region.categories & category::GUARD != 0 {
            push(&mut pages.guards, region.start, region.end);
        } else if !area.shared && region.categories & category::FILE == 0 {
            push(&mut pages.saved, region.start, region.end);
        }
    }
    Ok(pages)
}

fn push(ranges: &mut Vec<(u64, u64)>, start: u64, end: u64) {
    match ranges.last_mut() {
        // A scan that fills its buffer may report its last pages again.
        Some(last) if start <= last.1 => last.1 = last.1.max(end),
        Some(_) | None => ranges.push((start, end)),
    }
}

const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const FILE: u64 = 1 << 61;
const GUARD: u64 = 1 << 58;

/// The same from the eight bytes a page of `/proc/PID/pagemap`, for kernels before 6.7.
fn plain(file: &File, area: &Area) -> Result<Pages, KindError> {
    let mut pages = Pages::default();
    let mut entries = vec![0u8; 64 * 1024];
    let mut address = area.start;
    while address < area.end {
        let wanted = usize::try_from((area.end - address) / PAGE * 8).unwrap_or(usize::MAX).min(entries.len());
        file.read_exact_at(&mut entries[..wanted], address / PAGE * 8).map_err(|error| {
            let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
            KindError::host(format!("read the page map at {address:#x}"), errno)
        })?;
        for entry in entries[..wanted].as_chunks::<8>().0 {
            let entry = u64::from_le_bytes(*entry);
            if entry & GUARD != 0 {
                push(&mut pages.guards, address, address + PAGE);
            } else if !area.shared && entry & (PRESENT | SWAPPED) != 0 && entry & FILE == 0 {
                push(&mut pages.saved, address, address + PAGE);
            }
            address += PAGE;
        }
    }
    Ok(pages)
}
