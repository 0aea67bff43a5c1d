//! The segments of a core file: which parts of an address space stand in it, and where their bytes come from.
//!
//! Relies on the description and on which pages are saved. Anonymous memory is whole (what was never touched is a hole in the file); of a private
//! mapping of a file only changed pages are there, the others are the file's own, which debuggers find by its name.

use crate::image::{Area, Backing, Memory, ObjectId, PAGE_BYTES, Snapshot};

/// Where the bytes of a segment come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The pages of the address space.
    Memory,
    /// The contents of an object, from this byte.
    Object(ObjectId, u64),
    /// The saved copy of the vdso.
    Vdso,
    /// Nothing is known of them, or they are in the file that is mapped.
    Elsewhere,
}

/// A part of an address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// First address.
    pub start: u64,
    /// Address after the last byte.
    pub end: u64,
    /// PROT_READ, PROT_WRITE, PROT_EXEC.
    pub prot: i32,
    /// Where its bytes come from.
    pub origin: Origin,
}

impl Segment {
    /// Bytes of it that stand in the core file.
    pub fn file_bytes(&self) -> u64 {
        match self.origin {
            Origin::Memory | Origin::Object(..) | Origin::Vdso => self.end - self.start,
            Origin::Elsewhere => 0,
        }
    }
}

/// The segments of an address space of which the pages in `saved` (first page and number, ascending) were saved.
pub fn all(snapshot: &Snapshot, memory: &Memory, saved: &[(u64, u64)]) -> Vec<Segment> {
    memory.areas.iter().flat_map(|area| of_area(snapshot, area, saved)).collect()
}

fn of_area(snapshot: &Snapshot, area: &Area, saved: &[(u64, u64)]) -> Vec<Segment> {
    let whole = |origin| vec![Segment { start: area.start, end: area.end, prot: area.prot, origin }];
    match &area.backing {
        Backing::Special(name) if name == "[vdso]" && area.bytes() <= snapshot.vdso.len() as u64 => whole(Origin::Vdso),
        Backing::Special(_) => whole(Origin::Elsewhere),
        Backing::Anonymous if saved_in(area, saved).next().is_none() => whole(Origin::Elsewhere),
        Backing::Anonymous => whole(Origin::Memory),
        Backing::Object { object, offset } if area.shared => match snapshot.objects[*object as usize].content_bytes {
            0 => whole(Origin::Elsewhere),
            _ => whole(Origin::Object(*object, *offset)),
        },
        Backing::Object { .. } => in_pieces(area, saved),
    }
}

/// A private mapping of a file: saved pages are segments of their own, and so is what lies between them.
fn in_pieces(area: &Area, saved: &[(u64, u64)]) -> Vec<Segment> {
    let mut pieces = Vec::new();
    let mut at = area.start;
    let piece = |start, end, origin| Segment { start, end, prot: area.prot, origin };
    for (start, end) in saved_in(area, saved) {
        if at < start {
            pieces.push(piece(at, start, Origin::Elsewhere));
        }
        pieces.push(piece(start, end, Origin::Memory));
        at = end;
    }
    if at < area.end {
        pieces.push(piece(at, area.end, Origin::Elsewhere));
    }
    pieces
}

/// The saved addresses in an area, ascending.
fn saved_in<'a>(area: &'a Area, saved: &'a [(u64, u64)]) -> impl Iterator<Item = (u64, u64)> + 'a {
    let page = PAGE_BYTES as u64;
    let from = saved.partition_point(|(first, count)| (first + count) * page <= area.start);
    let bytes = saved[from..].iter().map(move |(first, count)| (first * page, (first + count) * page));
    bytes.take_while(|(start, _)| *start < area.end).map(|(start, end)| (start.max(area.start), end.min(area.end)))
}

#[cfg(test)]
mod test {
    use super::super::super::test::{area, memory};
    use super::*;
    use serde_json::json;

    #[test]
    fn a_changed_file_is_in_pieces_and_untouched_memory_is_not_there() {
        let mut snapshot = Snapshot { vdso: vec![0; 4096], ..Snapshot::default() };
        snapshot.objects.resize_with(4, Default::default);
        snapshot.objects[3].content_bytes = 0x8000;
        let segments = all(&snapshot, &memory(), &[(0x9, 1), (0x11, 2)]);
        let rows: Vec<_> = segments.iter().map(|segment| (segment.start, segment.end, segment.origin)).collect();
        use Origin::{Elsewhere, Memory, Object, Vdso};
        assert_eq!(
            rows,
            [
                (0x8000, 0x9000, Elsewhere),
                (0x9000, 0xa000, Memory),
                (0x10000, 0x14000, Memory),
                (0x15000, 0x18000, Elsewhere),
                (0x20000, 0x28000, Object(3, 0)),
                (0x30000, 0x38000, Elsewhere),
                (0x40000, 0x41000, Vdso),
            ]
        );
        assert_eq!(segments.iter().map(Segment::file_bytes).sum::<u64>(), 0x1000 + 0x4000 + 0x8000 + 0x1000);
    }

    #[test]
    fn runs_are_cut_to_the_area() {
        let area = area(0x4000, 0x8000, json!({"object": {"object": 0, "offset": 0}}));
        assert_eq!(saved_in(&area, &[(1, 1), (2, 3), (7, 9)]).collect::<Vec<_>>(), [(0x4000, 0x5000), (0x7000, 0x8000)]);
    }
}
