//! Memory by kind: how large it is, and how much of it stands in the context file.
//!
//! What an area is follows from what it maps and where it lies; how much of it is saved follows from the runs of its page blocks.

use serde::{Serialize, Serializer};

use crate::image::{Area, Backing, ImageError, Memory, PAGE_BYTES, Reader, RunKind, Snapshot, Space};

/// What memory is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryKind {
    /// Below the break.
    Heap,
    /// Private and anonymous.
    Anonymous,
    /// Grows down, or holds the first stack.
    Stack,
    /// A private mapping of a file; what is saved of it was changed.
    Files,
    /// Shared with other processes or with a file.
    Shared,
    /// Pages the kernel provides.
    Kernel,
}

impl MemoryKind {
    /// All of them, in the order of the table.
    pub const ALL: [MemoryKind; 6] =
        [MemoryKind::Heap, MemoryKind::Anonymous, MemoryKind::Stack, MemoryKind::Files, MemoryKind::Shared, MemoryKind::Kernel];

    /// The word for it in JSON; in capitals the heading of its column.
    pub fn word(self) -> &'static str {
        match self {
            MemoryKind::Heap => "heap",
            MemoryKind::Anonymous => "anonymous",
            MemoryKind::Stack => "stack",
            MemoryKind::Files => "files",
            MemoryKind::Shared => "shared",
            MemoryKind::Kernel => "kernel",
        }
    }

    /// What an area of this address space is.
    pub fn of(area: &Area, memory: &Memory) -> MemoryKind {
        let fields = &memory.fields;
        match &area.backing {
            Backing::Special(_) => MemoryKind::Kernel,
            _ if area.shared => MemoryKind::Shared,
            Backing::Object { .. } => MemoryKind::Files,
            Backing::Anonymous if fields.start_brk <= area.start && area.start < fields.brk => MemoryKind::Heap,
            Backing::Anonymous if area.has("gd") => MemoryKind::Stack,
            Backing::Anonymous if area.start <= fields.start_stack && fields.start_stack < area.end => MemoryKind::Stack,
            Backing::Anonymous => MemoryKind::Anonymous,
        }
    }
}

/// Bytes by kind, in the order of [`MemoryKind::ALL`].
pub type ByKind = [u64; MemoryKind::ALL.len()];

/// Bytes by kind, written with the words for the kinds.
pub struct ByName(pub ByKind);

impl Serialize for ByName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        by_name(&self.0, serializer)
    }
}

/// Writes bytes by kind with the words for the kinds.
pub fn by_name<S: Serializer>(bytes: &ByKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(MemoryKind::ALL.iter().map(|kind| kind.word()).zip(bytes))
}

/// Bytes of one address space that stand in the context file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// By kind.
    pub saved: ByKind,
}

impl Tally {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.saved.iter().sum()
    }

    /// Adds pages `first..first + count`, which may span several areas.
    fn add(&mut self, memory: &Memory, first: u64, count: u64) {
        let page = PAGE_BYTES as u64;
        let (start, end) = (first * page, (first + count) * page);
        let from = memory.areas.partition_point(|area| area.end <= start);
        for area in memory.areas[from..].iter().take_while(|area| area.start < end) {
            let overlap = area.end.min(end) - area.start.max(start);
            self.saved[MemoryKind::of(area, memory) as usize] += overlap;
        }
    }
}

/// Sizes of an address space by kind.
pub fn sizes(memory: &Memory) -> ByKind {
    let mut sizes = ByKind::default();
    for area in &memory.areas {
        sizes[MemoryKind::of(area, memory) as usize] += area.bytes();
    }
    sizes
}

/// What is saved of every address space; nothing is known of a stream.
pub fn of(reader: &Reader) -> Result<Vec<Option<Tally>>, ImageError> {
    let snapshot: &Snapshot = reader.snapshot();
    if !reader.is_seekable() {
        return Ok(vec![None; snapshot.memories.len()]);
    }
    (0u32..).zip(&snapshot.memories).map(|(id, memory)| of_memory(reader, id, memory).map(Some)).collect()
}

fn of_memory(reader: &Reader, id: u32, memory: &Memory) -> Result<Tally, ImageError> {
    let mut tally = Tally::default();
    for entry in reader.blocks_of(Space::Memory(id)) {
        for run in reader.read_runs(entry)?.runs {
            if run.kind == RunKind::Data {
                tally.add(memory, run.page, u64::from(run.count));
            }
        }
    }
    Ok(tally)
}

#[cfg(test)]
mod test {
    use super::super::test::{area, memory};
    use super::*;

    #[test]
    fn kinds_follow_from_backing_and_place() {
        let memory = memory();
        let kinds: Vec<_> = memory.areas.iter().map(|area| MemoryKind::of(area, &memory)).collect();
        use MemoryKind::{Anonymous, Files, Heap, Kernel, Shared, Stack};
        assert_eq!(kinds, [Files, Heap, Anonymous, Shared, Stack, Kernel]);
        let grown = Area { flags: vec!["gd".into()], ..area(0x9000, 0xa000, "anonymous".into()) };
        assert_eq!(MemoryKind::of(&grown, &memory), Stack);
    }

    #[test]
    fn a_run_is_shared_out_among_the_areas_it_spans() {
        let memory = memory();
        let mut tally = Tally::default();
        tally.add(&memory, 0x13, 4);
        assert_eq!(tally.saved, [0x1000, 0x2000, 0, 0, 0, 0], "the heap's last page, a gap, two anonymous pages");
        assert_eq!(tally.total(), 0x3000);
    }
}
