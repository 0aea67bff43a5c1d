//! Whether the pages of a block are pages of the job: checked when they are written and again when they are read.
//!
//! Relies on the description, and on runs that are fit for a block (`block`).

use super::block::{PAGE_LIMIT, Run, RunKind, Space};
use super::error::ImageError;
use super::layout::PAGE_BYTES;
use super::snapshot::{Object, ObjectId, Snapshot};

/// Which pages the description allows for: the memories it has, and the contents of its objects.
#[derive(Debug)]
pub(super) struct Bounds {
    /// Whether each memory has a parent.
    memories: Vec<bool>,
    /// Pages of contents of the objects that have some, ascending.
    objects: Vec<(ObjectId, u64)>,
}

impl Bounds {
    pub fn of(snapshot: &Snapshot) -> Bounds {
        let contents = |object: &Object| object.content_bytes.div_ceil(PAGE_BYTES as u64);
        let objects = (0..).zip(snapshot.objects.iter().map(contents)).filter(|(_, pages)| *pages > 0);
        Bounds { memories: snapshot.memories.iter().map(|memory| memory.parent.is_some()).collect(), objects: objects.collect() }
    }

    /// Refuses runs (fit for a block) of a space that does not have them.
    pub fn admit(&self, space: Space, runs: &[Run]) -> Result<(), ImageError> {
        let end = runs.last().map_or(0, |run| run.page + u64::from(run.count));
        let (limit, has_parent) = match space {
            Space::Memory(id) => match self.memories.get(id as usize) {
                Some(has_parent) => (PAGE_LIMIT, *has_parent),
                None => (0, false),
            },
            Space::Object(id) => match self.objects.binary_search_by_key(&id, |(object, _)| *object) {
                Ok(found) => (self.objects[found].1, false),
                Err(_) => (0, false),
            },
        };
        if end > limit {
            return Err(ImageError::inconsistent(format!("pages up to {end} of {space}, which has {limit}")));
        }
        if !has_parent && runs.iter().any(|run| run.kind == RunKind::Same) {
            return Err(ImageError::inconsistent(format!("{space} refers to pages of a parent it does not have")));
        }
        Ok(())
    }
}
