//! Whether a description can be true: references within bounds, order, overlaps, plausible sizes.
//!
//! A description with the right checksum may still come from a faulty or malicious writer; nothing after this check has to doubt an
//! index again. Relies on the rules written in `snapshot`; leaves the contents of records to their kinds.

use std::collections::HashMap;

use super::error::ImageError;
use super::layout::PAGE_BYTES;
use super::snapshot::{Area, Backing, Memory, Process, Snapshot, State, Table, Thread};

/// Most bytes of general registers; x86-64 has 216.
const MAX_REGISTER_BYTES: usize = 4096;
/// Most bytes of extended state; AMX brings it to 11 KiB.
const MAX_XSTATE_BYTES: usize = 1 << 20;
/// Most bytes of an auxiliary vector; Linux has some 400.
const MAX_AUXV_BYTES: usize = 64 << 10;

/// Refuses a description that contradicts itself.
pub fn check(snapshot: &Snapshot) -> Result<(), ImageError> {
    if snapshot.processes.is_empty() {
        return Err(ImageError::inconsistent("it has no process"));
    }
    check_ids(&snapshot.processes)?;
    for (index, process) in snapshot.processes.iter().enumerate() {
        check_process(snapshot, index, process)?;
    }
    for (index, memory) in snapshot.memories.iter().enumerate() {
        check_memory(snapshot, index, memory)?;
    }
    for (index, table) in snapshot.tables.iter().enumerate() {
        check_table(snapshot, index, table)?;
    }
    for (index, description) in snapshot.descriptions.iter().enumerate() {
        let who = || format!("description {index}");
        within(description.object, snapshot.objects.len(), who, "object")?;
    }
    for (index, object) in snapshot.objects.iter().enumerate() {
        let bytes = object.content_bytes;
        that(i64::try_from(bytes).is_ok(), || format!("object {index} has {bytes} bytes of contents"))?;
    }
    Ok(())
}

fn that(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), ImageError> {
    if holds { Ok(()) } else { Err(ImageError::inconsistent(otherwise())) }
}

/// Refuses a reference of `who` to the `index`th of `len` things called `what`.
fn within(index: u32, len: usize, who: impl FnOnce() -> String, what: &str) -> Result<(), ImageError> {
    that((index as usize) < len, || format!("{} refers to {what} {index} of {len}", who()))
}

/// Every pid and tid is there once, and parents stand before their children.
fn check_ids(processes: &[Process]) -> Result<(), ImageError> {
    let mut places: HashMap<i32, usize> = HashMap::new();
    for (index, process) in processes.iter().enumerate() {
        let others = process.threads.iter().map(|thread| thread.tid).filter(|tid| *tid != process.pid);
        for id in [process.pid].into_iter().chain(others) {
            that(id > 0, || format!("process {} has the id {id}", process.pid))?;
            that(places.insert(id, index).is_none(), || format!("the id {id} occurs twice"))?;
        }
    }
    for (index, process) in processes.iter().enumerate() {
        let parent = places.get(&process.ppid);
        that(parent.is_none_or(|parent| *parent < index), || format!("process {} stands before its parent", process.pid))?;
    }
    Ok(())
}

fn check_process(snapshot: &Snapshot, index: usize, process: &Process) -> Result<(), ImageError> {
    let who = || format!("process {}", process.pid);
    if let Some(memory) = process.memory {
        within(memory, snapshot.memories.len(), who, "memory")?;
    }
    if let Some(table) = process.table {
        within(table, snapshot.tables.len(), who, "table")?;
    }
    if let Some(other) = process.shares_fs_with {
        that((other as usize) < index, || format!("{} shares its directories with a later process", who()))?;
    }
    if matches!(process.state, State::Zombie(_)) {
        let is_empty = process.memory.is_none() && process.table.is_none() && process.threads.is_empty();
        return that(is_empty, || format!("{} is a zombie with memory, descriptors or threads", who()));
    }
    let is_whole = process.memory.is_some() && process.table.is_some();
    that(is_whole, || format!("{} has no memory or no descriptor table", who()))?;
    let leader = process.threads.first().map(|thread| thread.tid);
    that(leader == Some(process.pid), || format!("the first thread of {} is not its leader", who()))?;
    let leaders = process.threads.iter().filter(|thread| thread.tid == process.pid).count();
    that(leaders == 1, || format!("the leader of {} occurs twice", who()))?;
    process.threads.iter().try_for_each(check_thread)
}

fn check_thread(thread: &Thread) -> Result<(), ImageError> {
    let (registers, xstate) = (thread.registers.len(), thread.xstate.len());
    let is_plausible = (thread.dead || registers > 0) && registers <= MAX_REGISTER_BYTES && xstate <= MAX_XSTATE_BYTES;
    that(is_plausible, || format!("thread {} has {registers} and {xstate} bytes of registers", thread.tid))
}

fn check_memory(snapshot: &Snapshot, index: usize, memory: &Memory) -> Result<(), ImageError> {
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
        that(free <= area.start && area.start < area.end, || format!("{} is empty or in a wrong place", place()))?;
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
    let mut free = area.start;
    for (start, end) in &area.guards {
        let fits = free <= *start && start < end && *end <= area.end && is_aligned(*start) && is_aligned(*end);
        that(fits, || format!("{} has a guard region {start:x}-{end:x}", place()))?;
        free = *end;
    }
    match &area.backing {
        Backing::Anonymous | Backing::Special(_) => Ok(()),
        Backing::Object { object, offset } => {
            that(is_aligned(*offset), || format!("{} maps its object from byte {offset}", place()))?;
            within(*object, snapshot.objects.len(), place, "object")
        }
    }
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
