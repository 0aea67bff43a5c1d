//! Whether a description can be true: references within bounds, order, overlaps, plausible sizes.
//!
//! A description with the right checksum may still come from a faulty or malicious writer; nothing after this check has to doubt an
//! index, an id, a signal or an address again. Relies on the rules written in `snapshot`; leaves the contents of records to their kinds,
//! and pages to `bounds`.

mod memory;
mod process;

use super::error::ImageError;
use super::snapshot::{Description, Snapshot, Table};

/// Highest signal number.
const MAX_SIGNAL: i32 = 64;

/// Refuses a description that contradicts itself.
pub fn check(snapshot: &Snapshot) -> Result<(), ImageError> {
    if snapshot.processes.is_empty() {
        return Err(ImageError::inconsistent("it has no process"));
    }
    process::check_ids(&snapshot.processes)?;
    for (index, process) in snapshot.processes.iter().enumerate() {
        process::check_process(snapshot, index, process)?;
    }
    for (index, memory) in snapshot.memories.iter().enumerate() {
        memory::check_memory(snapshot, index, memory)?;
    }
    for (index, table) in snapshot.tables.iter().enumerate() {
        check_table(snapshot, index, table)?;
    }
    for (index, description) in snapshot.descriptions.iter().enumerate() {
        check_description(snapshot, index, description)?;
    }
    for (index, object) in snapshot.objects.iter().enumerate() {
        let bytes = object.content_bytes;
        that(i64::try_from(bytes).is_ok(), || format!("object {index} has {bytes} bytes of contents"))?;
    }
    match &snapshot.part {
        Some(part) => that(part.index < part.count, || format!("it is part {} of {}", part.index, part.count)),
        None => Ok(()),
    }
}

fn check_description(snapshot: &Snapshot, index: usize, description: &Description) -> Result<(), ImageError> {
    let who = || format!("description {index}");
    within(description.object, snapshot.objects.len(), who, "object")?;
    that((0..=MAX_SIGNAL).contains(&description.signal), || format!("{} sends signal {}", who(), description.signal))?;
    that(i64::try_from(description.offset).is_ok(), || format!("{} stands at byte {}", who(), description.offset))
}

fn that(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), ImageError> {
    if holds { Ok(()) } else { Err(ImageError::inconsistent(otherwise())) }
}

/// Refuses a reference of `who` to the `index`th of `len` things called `what`.
fn within(index: u32, len: usize, who: impl FnOnce() -> String, what: &str) -> Result<(), ImageError> {
    that((index as usize) < len, || format!("{} refers to {what} {index} of {len}", who()))
}

fn check_table(snapshot: &Snapshot, index: usize, table: &Table) -> Result<(), ImageError> {
    let mut free = 0;
    for descriptor in &table.descriptors {
        let who = || format!("descriptor {} of table {index}", descriptor.fd);
        that(free <= descriptor.fd && descriptor.fd < i32::MAX, || format!("{} is in a wrong place", who()))?;
        free = descriptor.fd + 1;
        within(descriptor.description, snapshot.descriptions.len(), who, "description")?;
    }
    Ok(())
}
