//! Whether the pages of a block are pages of the job: checked when they are written and again when they are read.
//!
//! Relies on the description, which `check` has looked at, and on runs that are fit for a block (`block`).

use super::block::{PAGE_LIMIT, Run, RunKind, Space};
use super::error::ImageError;
use super::layout::PAGE_BYTES;
use super::snapshot::{Area, Backing, Memory, MmId, Object, ObjectId, Snapshot};

/// Which pages the description allows for: those of areas of the memories it has, and the contents of its objects.
#[derive(Debug)]
pub(super) struct Bounds {
    memories: Vec<Pages>,
    /// Pages of contents of the objects that have some, ascending.
    objects: Vec<(ObjectId, u64)>,
}

/// What is known of the pages of a memory.
#[derive(Debug)]
struct Pages {
    has_parent: bool,
    /// First page and page after the last one, ascending, not touching; none when the areas stand in another file (a later part of a job).
    ranges: Option<Vec<(u64, u64)>>,
}

impl Bounds {
    pub fn of(snapshot: &Snapshot) -> Bounds {
        let contents = |object: &Object| object.content_bytes.div_ceil(PAGE_BYTES as u64);
        let objects = (0..).zip(snapshot.objects.iter().map(contents)).filter(|(_, pages)| *pages > 0);
        let is_whole = snapshot.part.as_ref().is_none_or(|part| part.index == 0);
        let pages = |memory: &Memory| Pages { has_parent: memory.parent.is_some(), ranges: is_whole.then(|| ranges(&memory.areas)) };
        Bounds { memories: snapshot.memories.iter().map(pages).collect(), objects: objects.collect() }
    }

    /// Says which areas a memory has whose description stands in another file.
    pub fn confine(&mut self, id: MmId, areas: &[Area]) {
        if let Some(memory) = self.memories.get_mut(id as usize) {
            memory.ranges = Some(ranges(areas));
        }
    }

    /// Refuses runs (fit for a block) of a space that does not have them.
    pub fn admit(&self, space: Space, runs: &[Run]) -> Result<(), ImageError> {
        match space {
            Space::Memory(id) => self.admit_memory(id, runs),
            Space::Object(id) => {
                let found = self.objects.binary_search_by_key(&id, |(object, _)| *object);
                let limit = found.map_or(0, |found| self.objects[found].1);
                let end = runs.last().map_or(0, |run| run.page + u64::from(run.count));
                if limit < end {
                    return Err(ImageError::inconsistent(format!("pages up to {end} of {space}, which has {limit}")));
                }
                if runs.iter().any(|run| run.kind == RunKind::Same) { Err(no_parent(space)) } else { Ok(()) }
            }
        }
    }

    fn admit_memory(&self, id: MmId, runs: &[Run]) -> Result<(), ImageError> {
        let space = Space::Memory(id);
        let Some(memory) = self.memories.get(id as usize) else {
            return Err(ImageError::inconsistent(format!("pages of {space}, which it does not have")));
        };
        let whole = [(0, PAGE_LIMIT)];
        let ranges = memory.ranges.as_deref().unwrap_or(&whole);
        for run in runs {
            let end = run.page + u64::from(run.count);
            let after = ranges.partition_point(|range| range.0 <= run.page);
            if after == 0 || ranges[after - 1].1 < end {
                let what = format!("pages {:#x} to {end:#x} of {space} belong to no area", run.page);
                return Err(ImageError::inconsistent(what));
            }
        }
        if !memory.has_parent && runs.iter().any(|run| run.kind == RunKind::Same) { Err(no_parent(space)) } else { Ok(()) }
    }
}

fn no_parent(space: Space) -> ImageError {
    ImageError::inconsistent(format!("{space} refers to pages of a parent it does not have"))
}

/// The page numbers of areas that can have contents, those that touch put together.
fn ranges(areas: &[Area]) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for area in areas.iter().filter(|area| !matches!(area.backing, Backing::Special(_))) {
        let (start, end) = (area.start / PAGE_BYTES as u64, area.end / PAGE_BYTES as u64);
        match ranges.last_mut() {
            Some(last) if last.1 == start => last.1 = end,
            Some(_) | None => ranges.push((start, end)),
        }
    }
    ranges
}
