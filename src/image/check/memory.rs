//! Rules about address spaces: order and places of areas, what they map, plausible sizes.
//!
//! Part of `check`. Which pages may be saved of an address space is `bounds` to say.

use super::{that, within};
use crate::image::error::ImageError;
use crate::image::layout::PAGE_BYTES;
use crate::image::snapshot::{Area, Backing, Memory, Snapshot};

/// Most bytes of an auxiliary vector; Linux has some 400.
const MAX_AUXV_BYTES: usize = 64 << 10;
/// First address after those that a process may map (x86-64, four levels of page tables).
const ADDRESS_LIMIT: u64 = (1 << 47) - PAGE_BYTES as u64;
/// The only area above it, which nobody maps.
const VSYSCALL: &str = "[vsyscall]";
/// Most flags of an area; the kernel has some thirty, one bit each.
const MAX_FLAGS: usize = 64;
/// Most bytes of an area's name; the kernel takes 80.
const MAX_NAME_BYTES: usize = 255;

pub(super) fn check_memory(snapshot: &Snapshot, index: usize, memory: &Memory) -> Result<(), ImageError> {
    let who = || format!("memory {index}");
    if let Some(parent) = memory.parent {
        that((parent as usize) < index, || format!("{} stands before its parent", who()))?;
    }
    if let Some(exe) = memory.exe {
        within(exe, snapshot.objects.len(), who, "object")?;
    }
    that(memory.auxv.len() <= MAX_AUXV_BYTES, || format!("{} has an auxiliary vector of {} bytes", who(), memory.auxv.len()))?;
    let mut free = 0;
    for area in &memory.areas {
        let place = || format!("the area {:x}-{:x} of {}", area.start, area.end, who());
        let is_possible = area.end <= ADDRESS_LIMIT || area.backing == Backing::Special(VSYSCALL.into());
        that(free <= area.start && area.start < area.end && is_possible, || format!("{} is empty or in a wrong place", place()))?;
        free = area.end;
        check_area(snapshot, area, place)?;
    }
    Ok(())
}

fn check_area(snapshot: &Snapshot, area: &Area, place: impl Fn() -> String) -> Result<(), ImageError> {
    let page = PAGE_BYTES as u64;
    let is_page = area.page_bytes.is_power_of_two() && page <= area.page_bytes && area.page_bytes <= 1 << 34;
    that(is_page, || format!("{} has pages of {} bytes", place(), area.page_bytes))?;
    let is_aligned = |address: u64| address.is_multiple_of(page);
    that(is_aligned(area.start) && is_aligned(area.end), || format!("{} is not page aligned", place()))?;
    that((0..=7).contains(&area.prot), || format!("{} has protection {:#x}", place(), area.prot))?;
    that(area.key < 16, || format!("{} has protection key {}", place(), area.key))?;
    that(area.flags.len() <= MAX_FLAGS, || format!("{} has {} flags", place(), area.flags.len()))?;
    let name = area.name.as_ref().map_or(0, String::len);
    that(name <= MAX_NAME_BYTES, || format!("{} has a name of {name} bytes", place()))?;
    let mut free = area.start;
    for (start, end) in &area.guards {
        let fits = free <= *start && start < end && *end <= area.end && is_aligned(*start) && is_aligned(*end);
        that(fits, || format!("{} has a guard region {start:x}-{end:x}", place()))?;
        free = *end;
    }
    match &area.backing {
        Backing::Anonymous | Backing::Special(_) => Ok(()),
        Backing::Object { object, offset } => {
            let end = offset.checked_add(area.bytes()).filter(|end| i64::try_from(*end).is_ok());
            that(is_aligned(*offset) && end.is_some(), || format!("{} maps its object from byte {offset}", place()))?;
            within(*object, snapshot.objects.len(), place, "object")
        }
    }
}
