//! Reading the end of a context file: the index and the trailer, and comparing them with everything they repeat.
//!
//! Part of [`Reader`]. Relies on the position of the source; a stream gets here once, a seekable file when it is opened and again
//! when all its blocks were read in order.

use super::block::BlockEntry;
use super::checksum::Running;
use super::error::ImageError;
use super::layout::{PAGE_BYTES, Page};
use super::load::{Reader, skip_padding};
use super::trailer::{Index, Trailer};

/// Bytes of the index read at a time.
const INDEX_PIECE: usize = 128 << 10;

impl Reader {
    /// Reads index (whose first page is `page`) and trailer, and compares them with the blocks that went by.
    pub(super) fn read_end(&mut self, page: &Page, at: u64) -> Result<(), ImageError> {
        let index = self.index_of(page, at)?;
        if (index.blocks, index.crc) != (self.seen.blocks, self.seen.crc.value()) {
            return Err(ImageError::Damaged { what: "the index is not that of the blocks before it", at });
        }
        self.each_entry(&index, |_| Ok(()))?;
        let at = self.source.position();
        let mut page: Page = [0; PAGE_BYTES];
        self.source.read(&mut page, "inside its trailer")?;
        self.verify_trailer(&page, at, &index, self.seen.data_pages)?;
        self.source.expect_end()
    }

    pub(super) fn index_of(&self, page: &Page, at: u64) -> Result<Index, ImageError> {
        let index = Index::from_page(page, at)?;
        if index.at != at || index.id != self.header.id {
            return Err(ImageError::Damaged { what: "the index of another place or another file stands here", at });
        }
        Ok(index)
    }

    /// Hands out the entries of the index whose header page has just been read, then compares their checksum.
    pub(super) fn each_entry(
        &mut self,
        index: &Index,
        mut each: impl FnMut(BlockEntry) -> Result<(), ImageError>,
    ) -> Result<(), ImageError> {
        let at = self.source.position();
        let damaged = |what| ImageError::Damaged { what, at };
        let mut left = index.entry_bytes().ok_or(damaged("the length of the index is impossible"))?;
        let (mut crc, mut piece) = (Running::default(), Vec::new());
        while left > 0 {
            piece.resize(usize::try_from(left).unwrap_or(INDEX_PIECE).min(INDEX_PIECE), 0);
            self.source.read(&mut piece, "inside its index")?;
            crc.add(&piece);
            for bytes in piece.as_chunks().0 {
                each(BlockEntry::from_bytes(bytes).ok_or(damaged("the index has an impossible entry"))?)?;
            }
            left -= piece.len() as u64;
        }
        if crc.value() != index.crc {
            return Err(damaged("the checksum of the index does not match"));
        }
        skip_padding(&mut self.source)
    }

    /// Compares the trailer at offset `at` with everything it repeats.
    pub(super) fn verify_trailer(&self, page: &Page, at: u64, index: &Index, data_pages: u64) -> Result<(), ImageError> {
        let expected = Trailer {
            file_bytes: at.saturating_add(PAGE_BYTES as u64),
            index_at: index.at,
            blocks: index.blocks,
            index_crc: index.crc,
            data_pages,
            header_crc: self.header_crc,
            id: self.header.id,
        };
        match Trailer::from_page(page) {
            Some(trailer) if trailer == expected => Ok(()),
            Some(_) => Err(ImageError::Damaged { what: "the trailer is not that of this file", at }),
            None => Err(ImageError::Damaged { what: "the trailer is not intact", at }),
        }
    }
}
