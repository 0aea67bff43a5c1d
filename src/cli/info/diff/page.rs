//! How the contents of memory differ between two context files: pages changed, new and gone, by what the memory is used for.

use serde::Serialize;

use crate::cli::info::tally::{self, ByKind, MemoryKind};
use crate::engine::saved::{Contents, Saved};
use crate::error::Failure;
use crate::image::{Memory, MmId, PAGE_BYTES, Space};

/// Differences in bytes (whole pages), by kind of memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PageChange {
    /// Saved in both with other contents.
    #[serde(serialize_with = "tally::by_name")]
    pub changed: ByKind,
    /// Saved in the second only.
    #[serde(serialize_with = "tally::by_name")]
    pub new: ByKind,
    /// Saved in the first only.
    #[serde(serialize_with = "tally::by_name")]
    pub gone: ByKind,
}

impl PageChange {
    /// All that differs, bytes.
    pub fn total(&self) -> u64 {
        [self.changed, self.new, self.gone].iter().flatten().sum()
    }
}

/// Compares two address spaces.
pub fn compare(first: (&Saved, MmId), second: (&Saved, MmId)) -> Result<PageChange, Failure> {
    let open = |(saved, id): (&Saved, MmId)| saved.snapshot().memories[id as usize].clone();
    let (memory_a, memory_b) = (open(first), open(second));
    let mut a = first.0.contents(Space::Memory(first.1))?;
    let mut b = second.0.contents(Space::Memory(second.1))?;
    let mut change = PageChange::default();
    for (page, count) in a.runs() {
        for page in page..page + count {
            let counted = match differs(&mut a, &mut b, page)? {
                Some(true) => &mut change.changed,
                Some(false) => continue,
                None => &mut change.gone,
            };
            count_page(counted, &memory_a, page);
        }
    }
    let mut bytes = [0; PAGE_BYTES];
    for (page, count) in b.runs() {
        for page in page..page + count {
            if a.read(page, &mut bytes)?.is_none() {
                count_page(&mut change.new, &memory_b, page);
            }
        }
    }
    Ok(change)
}

/// Whether a page of `a` has other contents in `b`; `None` if it is not there.
fn differs(a: &mut Contents<'_>, b: &mut Contents<'_>, page: u64) -> Result<Option<bool>, Failure> {
    let (mut one, mut other) = ([0; PAGE_BYTES], [0; PAGE_BYTES]);
    a.read(page, &mut one)?;
    Ok(b.read(page, &mut other)?.map(|_| one != other))
}

fn count_page(bytes: &mut ByKind, memory: &Memory, page: u64) {
    let address = page * PAGE_BYTES as u64;
    let index = memory.areas.partition_point(|area| area.end <= address);
    let kind = memory.areas.get(index).map_or(MemoryKind::Anonymous, |area| MemoryKind::of(area, memory));
    bytes[kind as usize] += PAGE_BYTES as u64;
}
