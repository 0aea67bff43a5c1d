//! What kinds of shared memory have in common: which pieces are read through processes, and whether a size can be true.
//!
//! Pure.

use super::pages::PAGE;
use crate::image::{Area, Backing, Object, ObjectId, Snapshot};
use crate::resource::{KindError, Piece};

/// Largest page that a processor knows.
const MOST_PAGE_BYTES: u64 = 1 << 34;

/// Whether shared memory of `bytes` in pages of `page_bytes` is as large as its contents, and as what is mapped of it.
pub fn plausible((bytes, page_bytes): (u64, u64), (id, object): (ObjectId, &Object), snapshot: &Snapshot) -> Result<(), KindError> {
    let is_page = page_bytes.is_power_of_two() && (PAGE..=MOST_PAGE_BYTES).contains(&page_bytes);
    let whole = Some(bytes).filter(|_| is_page).and_then(|bytes| bytes.checked_next_multiple_of(page_bytes));
    if bytes == 0 || whole.is_none() || bytes < object.content_bytes {
        let has = object.content_bytes;
        let what = format!("shared memory of {bytes} bytes in pages of {page_bytes} has {has} bytes of contents");
        return Err(KindError::Inconsistent { what });
    }
    let is_beyond = |area: &&Area| {
        let end = |offset: u64| offset.checked_add(area.bytes());
        matches!(area.backing, Backing::Object { object, offset } if object == id && whole < end(offset))
    };
    match snapshot.memories.iter().flat_map(|memory| &memory.areas).find(is_beyond) {
        None => Ok(()),
        Some(Area { start, end, .. }) => {
            let what = format!("the area {start:x}-{end:x} reaches beyond its shared memory of {bytes} bytes");
            Err(KindError::Inconsistent { what })
        }
    }
}

/// Leaves out what another piece covers already.
pub fn without_overlap(mut pieces: Vec<Piece>) -> Vec<Piece> {
    pieces.sort_by_key(|piece| piece.offset);
    let mut covered = 0;
    let mut kept = Vec::new();
    for Piece { pid, address, offset, bytes } in pieces {
        let skip = u64::saturating_sub(covered, offset).min(bytes);
        if skip < bytes {
            kept.push(Piece { pid, address: address + skip, offset: offset + skip, bytes: bytes - skip });
            covered = offset + bytes;
        }
    }
    kept
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn overlapping_pieces_are_read_once() {
        let piece = |(pid, address, offset, bytes)| Piece { pid, address, offset, bytes };
        let pieces = [(1, 0x5000, 0, 0x2000), (2, 0x9000, 0x1000, 0x3000), (3, 0x100, 0, 0x1000)].map(piece);
        let kept = [(1, 0x5000, 0, 0x2000), (2, 0xa000, 0x2000, 0x2000)].map(piece);
        assert_eq!(without_overlap(pieces.to_vec()), kept);
    }
}
