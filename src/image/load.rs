//! Reading a context file: from a seekable file any block at any time, from anything else block by block in order.
//!
//! Relies on `layout`, `block`, `trailer` and `metadata` for the bytes and on `check` for the description. Nothing is handed out
//! before its checksum has been compared. Leaves the end of the file to `ending`, reading by offset to `seek`, and
//! the meaning of records and pages to the engine.

use std::fs::File;
use std::sync::Arc;

use super::block::{BLOCK_MAGIC, Block, BlockEntry, BlockHeader};
use super::bounds::Bounds;
use super::check::check;
use super::checksum::{Running, checksum};
use super::error::ImageError;
use super::layout::{Header, MAGIC, PAGE_BYTES, Page, padded, seal_of, what_it_is};
use super::metadata;
use super::snapshot::{Area, MmId, Snapshot};
use super::source::Source;

/// A context file being read. Header and description are verified.
pub struct Reader {
    pub(super) source: Source,
    pub(super) header: Header,
    pub(super) header_crc: u64,
    snapshot: Arc<Snapshot>,
    pub(super) bounds: Bounds,
    /// All blocks of a seekable file, by space and then by offset.
    pub(super) entries: Vec<BlockEntry>,
    /// What has been read in order.
    pub(super) seen: Seen,
    state: Reading,
}

/// Whether more blocks come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Blocks,
    Ended,
    Failed,
}

/// The blocks that went by, to be compared with index and trailer.
#[derive(Default)]
pub(super) struct Seen {
    pub blocks: u64,
    pub data_pages: u64,
    /// Of the index entries they must have.
    pub crc: Running,
}

impl Seen {
    fn add(&mut self, entry: BlockEntry) {
        self.blocks += 1;
        self.data_pages += u64::from(entry.data_pages);
        self.crc.add(&entry.to_bytes());
    }
}

impl Reader {
    /// Reads and verifies header and description; of a regular file at its beginning also trailer and index.
    pub fn open(file: File) -> Result<Reader, ImageError> {
        let mut source = Source::new(file)?;
        let mut page: Page = [0; PAGE_BYTES];
        match source.read_most(&mut page)? {
            0 => return Err(ImageError::NotAContextFile { reason: "it is empty" }),
            PAGE_BYTES => {}
            at if page.starts_with(&MAGIC[..at.min(MAGIC.len())]) => {
                return Err(ImageError::Truncated { what: "inside its header", at: at as u64 });
            }
            _ => return Err(ImageError::NotAContextFile { reason: what_it_is(&page) }),
        }
        let header = Header::from_page(&page)?;
        let snapshot = metadata::decode(&mut source, header.metadata_bytes, header.metadata_crc)?;
        skip_padding(&mut source)?;
        check(&snapshot)?;
        let mut reader = Reader {
            source,
            header,
            header_crc: seal_of(&page),
            bounds: Bounds::of(&snapshot),
            snapshot: Arc::new(snapshot),
            entries: Vec::new(),
            seen: Seen::default(),
            state: Reading::Blocks,
        };
        if let Some(bytes) = reader.source.bytes() {
            reader.entries = reader.read_entries(bytes)?;
        }
        Ok(reader)
    }

    /// What the first page says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The description of the job. Clone the `Arc` to keep it while blocks are read.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Says which areas a memory has whose description stands in another file: pages outside of them are refused.
    pub fn confine(&mut self, memory: MmId, areas: &[Area]) {
        self.bounds.confine(memory, areas);
    }

    /// Whether blocks can be read by their entries.
    pub fn is_seekable(&self) -> bool {
        self.source.bytes().is_some()
    }

    /// The file. Its position is of no meaning.
    pub fn into_file(self) -> File {
        self.source.into_file()
    }

    /// The next block in the order of the file, verified; the contents of its data pages go into `data`. After the last block the
    /// rest of the file is verified, and `None` means that the file is complete.
    pub fn next_block(&mut self, data: &mut Vec<u8>) -> Result<Option<Block>, ImageError> {
        match self.state {
            Reading::Blocks => {}
            Reading::Ended => return Ok(None),
            Reading::Failed => return Err(ImageError::inconsistent("it was read on after an error")),
        }
        self.state = Reading::Failed;
        let block = self.read_on(data)?;
        self.state = if block.is_some() { Reading::Blocks } else { Reading::Ended };
        Ok(block)
    }

    fn read_on(&mut self, data: &mut Vec<u8>) -> Result<Option<Block>, ImageError> {
        let at = self.source.position();
        let mut page: Page = [0; PAGE_BYTES];
        self.source.read(&mut page, "without its trailer")?;
        if !page.starts_with(BLOCK_MAGIC) {
            data.clear();
            return self.read_end(&page, at).map(|()| None);
        }
        let header = BlockHeader::from_page(&page, at, &self.header.id)?;
        self.bounds.admit(header.space, &header.runs)?;
        resize(data, header.stored_pages);
        self.source.read(data, "inside a block")?;
        verify_data(&header, data)?;
        self.seen.add(header.entry(&page));
        Ok(Some(Block { space: header.space, runs: header.runs }))
    }
}

/// Makes `data` as long as `pages` pages; what is in it is overwritten by the caller.
pub(super) fn resize(data: &mut Vec<u8>, pages: u32) {
    data.resize(pages as usize * PAGE_BYTES, 0);
}

/// Compares a block's data with the checksum in its header.
pub(super) fn verify_data(header: &BlockHeader, data: &[u8]) -> Result<(), ImageError> {
    if checksum(data) == header.data_crc {
        return Ok(());
    }
    Err(ImageError::Damaged { what: "the checksum of a block's pages does not match", at: header.at + PAGE_BYTES as u64 })
}

/// Reads up to the next page boundary, all zeros.
pub(super) fn skip_padding(source: &mut Source) -> Result<(), ImageError> {
    let at = source.position();
    let impossible = ImageError::Damaged { what: "a length is impossible", at };
    let missing = padded(at).ok_or(impossible)? - at;
    let mut padding: Page = [0; PAGE_BYTES];
    let padding = &mut padding[..usize::try_from(missing).expect("less than a page")];
    source.read(padding, "inside padding")?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(ImageError::Damaged { what: "padding is not zero", at });
    }
    Ok(())
}
