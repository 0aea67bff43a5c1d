//! Reading blocks of a seekable context file by their index entries, from several threads if the caller likes.
//!
//! Part of [`Reader`]. Relies on the index, which is verified when the file is opened: its entries follow each other without a gap
//! from the description to the index.

use std::io::IoSliceMut;

use super::block::{BLOCK_PAGES, Block, BlockEntry, BlockHeader, Space};
use super::error::ImageError;
use super::layout::{PAGE_BYTES, Page};
use super::load::{Reader, resize, verify_data};
use super::trailer::Trailer;

impl Reader {
    /// The blocks of one space in the order of the file. Empty when the file is not seekable.
    pub fn blocks_of(&self, space: Space) -> &[BlockEntry] {
        let first = self.entries.partition_point(|entry| entry.space < space);
        let after = self.entries.partition_point(|entry| entry.space <= space);
        &self.entries[first..after]
    }

    /// Reads a block, verified; the contents of its data pages go into `data`.
    pub fn read_block(&self, entry: &BlockEntry, data: &mut Vec<u8>) -> Result<Block, ImageError> {
        let mut page: Page = [0; PAGE_BYTES];
        resize(data, entry.stored_pages);
        let mut parts = [IoSliceMut::new(&mut page), IoSliceMut::new(data)];
        self.source.read_at(entry.at, &mut parts, "inside a block")?;
        let header = self.header_of(entry, &page)?;
        verify_data(&header, data)?;
        Ok(Block { space: header.space, runs: header.runs })
    }

    /// Reads what a block holds without its contents, for a caller that maps them from [`BlockEntry::data_at`]. Only the runs are
    /// verified.
    pub fn read_runs(&self, entry: &BlockEntry) -> Result<Block, ImageError> {
        let mut page: Page = [0; PAGE_BYTES];
        self.source.read_at(entry.at, &mut [IoSliceMut::new(&mut page)], "inside a block")?;
        let header = self.header_of(entry, &page)?;
        Ok(Block { space: header.space, runs: header.runs })
    }

    fn header_of(&self, entry: &BlockEntry, page: &Page) -> Result<BlockHeader, ImageError> {
        let header = BlockHeader::from_page(page, entry.at, &self.header.id)?;
        if header.entry(page) != *entry {
            return Err(ImageError::Damaged { what: "the block is not the one in the index", at: entry.at });
        }
        self.bounds.admit(header.space, &header.runs)?;
        Ok(header)
    }

    /// Reads trailer and index of a seekable file of `bytes` bytes and leaves the position before the first block.
    pub(super) fn read_entries(&mut self, bytes: u64) -> Result<Vec<BlockEntry>, ImageError> {
        let first = self.source.position();
        let what = "without its trailer: it was cut short, or something was appended to it";
        let cut_short = ImageError::Truncated { what, at: bytes };
        let mut page: Page = [0; PAGE_BYTES];
        let Some(at) = bytes.checked_sub(PAGE_BYTES as u64).filter(|at| *at >= first) else { return Err(cut_short) };
        self.source.read_at(at, &mut [IoSliceMut::new(&mut page)], "inside its trailer")?;
        let trailer_page = page;
        let Some(trailer) = Trailer::from_page(&page) else { return Err(cut_short) };
        if trailer.index_at < first || trailer.index_at >= at {
            return Err(ImageError::Damaged { what: "the trailer is not that of this file", at });
        }
        self.source.set_position(trailer.index_at);
        self.source.read(&mut page, "inside its index")?;
        let index = self.index_of(&page, trailer.index_at)?;
        if index.end() != Some(at) {
            return Err(ImageError::Damaged { what: "the index does not end at the trailer", at: index.at });
        }
        let (mut next, mut data_pages, mut entries) = (first, 0, Vec::new());
        self.each_entry(&index, |entry| {
            let end = entry.end().filter(|_| entry.at == next && entry.stored_pages as usize <= BLOCK_PAGES);
            next = end.ok_or(ImageError::Damaged { what: "the index does not fit the blocks", at: index.at })?;
            data_pages += u64::from(entry.data_pages);
            entries.push(entry);
            Ok(())
        })?;
        if next != index.at {
            return Err(ImageError::Damaged { what: "the index does not fit the blocks", at: index.at });
        }
        self.verify_trailer(&trailer_page, at, &index, data_pages)?;
        self.source.set_position(first);
        entries.sort_by_key(|entry| entry.space);
        Ok(entries)
    }
}
