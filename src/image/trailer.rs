//! The end of a context file: the page that opens the index, and the trailer, its very last page.
//!
//! Relies on `layout` for fields and seals. The trailer repeats id, lengths and checksums, so that a file without a matching
//! trailer in its last page is not complete.

use super::block::BlockEntry;
use super::error::ImageError;
use super::layout::{Fields, FileId, PAGE_BYTES, Page, PageWriter, is_intact, padded};

/// First bytes of the index.
pub(super) const INDEX_MAGIC: &[u8; 8] = b"RprIndex";
/// First bytes of the trailer.
const TRAILER_MAGIC: &[u8; 8] = b"RprTrail";

/// The page that opens the index; the entries follow, zero padded to a page boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    /// How many blocks.
    pub blocks: u64,
    /// Checksum of the entries, without padding.
    pub crc: u64,
    /// Offset of this page in the file.
    pub at: u64,
    pub id: FileId,
}

impl Index {
    pub fn to_page(&self) -> Page {
        PageWriter::new(INDEX_MAGIC).u64(self.blocks).u64(self.crc).u64(self.at).bytes(&self.id).seal()
    }

    /// Reads the page at offset `at`.
    pub fn from_page(page: &Page, at: u64) -> Result<Index, ImageError> {
        let Some(fields) = page.strip_prefix(INDEX_MAGIC) else {
            return Err(ImageError::Damaged { what: "neither a block nor the index begins here", at });
        };
        if !is_intact(page) {
            return Err(ImageError::Damaged { what: "the checksum of the index's header does not match", at });
        }
        let mut fields = Fields(fields);
        Ok(Index { blocks: fields.u64(), crc: fields.u64(), at: fields.u64(), id: fields.bytes() })
    }

    /// Bytes of the entries, without padding.
    pub fn entry_bytes(&self) -> Option<u64> {
        self.blocks.checked_mul(BlockEntry::BYTES as u64)
    }

    /// Offset in bytes of the trailer.
    pub fn end(&self) -> Option<u64> {
        padded(self.entry_bytes()?)?.checked_add(PAGE_BYTES as u64)?.checked_add(self.at)
    }
}

/// The last page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trailer {
    /// Bytes of the whole file, this page included.
    pub file_bytes: u64,
    /// Offset of the index.
    pub index_at: u64,
    /// Number of blocks.
    pub blocks: u64,
    /// Checksum of the index entries.
    pub index_crc: u64,
    /// Data pages of all blocks.
    pub data_pages: u64,
    /// Checksum of the header page.
    pub header_crc: u64,
    pub id: FileId,
}

impl Trailer {
    pub fn to_page(&self) -> Page {
        PageWriter::new(TRAILER_MAGIC)
            .u64(self.file_bytes)
            .u64(self.index_at)
            .u64(self.blocks)
            .u64(self.index_crc)
            .u64(self.data_pages)
            .u64(self.header_crc)
            .bytes(&self.id)
            .seal()
    }

    /// Reads the page at offset `at`; none when no intact trailer stands there.
    pub fn from_page(page: &Page) -> Option<Trailer> {
        let mut fields = Fields(page.strip_prefix(TRAILER_MAGIC)?);
        is_intact(page).then(|| Trailer {
            file_bytes: fields.u64(),
            index_at: fields.u64(),
            blocks: fields.u64(),
            index_crc: fields.u64(),
            data_pages: fields.u64(),
            header_crc: fields.u64(),
            id: fields.bytes(),
        })
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn both_pages_come_back_equal() {
        let index = Index { blocks: 129, crc: 5, at: 8192, id: [3; 16] };
        assert_eq!(Index::from_page(&index.to_page(), 8192).unwrap(), index);
        assert_eq!(index.end(), Some(8192 + 4096 + 2 * 4096));
        let trailer = Trailer { file_bytes: 1, index_at: 2, blocks: 3, index_crc: 4, data_pages: 5, header_crc: 6, id: [7; 16] };
        assert_eq!(Trailer::from_page(&trailer.to_page()), Some(trailer));
    }

    #[test]
    fn a_lying_number_of_blocks_does_not_overflow() {
        for blocks in [u64::MAX, u64::MAX / 32, u64::MAX / 32 - 200] {
            assert_eq!(Index { blocks, crc: 0, at: u64::MAX / 2, id: [0; 16] }.end(), None);
        }
    }
}
