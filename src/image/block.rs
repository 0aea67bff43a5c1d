//! Page blocks: up to 256 pages of one space, and the page before them that says where they belong.
//!
//! Relies on `layout` for fields and seals. Leaves order and place in the file to `save` and `load`.

use std::fmt;

use super::error::ImageError;
use super::layout::{Fields, FileId, PAGE_BYTES, Page, PageWriter, is_intact, seal_of};
use super::snapshot::{MmId, ObjectId};

/// First bytes of a block.
pub(super) const BLOCK_MAGIC: &[u8; 8] = b"RprBlock";
/// Most data pages in a block: 1 MiB.
pub const BLOCK_PAGES: usize = 256;
/// Most runs in a block: what fits in its header page.
pub const MAX_RUNS: usize = 250;
/// Encoding 0: data pages stand in the file as they are.
const PLAIN: u32 = 0;
/// Page numbers end here: 64 bits of address or offset.
pub(super) const PAGE_LIMIT: u64 = 1 << 52;

/// Whose pages: the numbering is address / 4096 in a memory, offset / 4096 in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Space {
    /// An address space.
    Memory(MmId),
    /// The contents of an object.
    Object(ObjectId),
}

impl Space {
    pub(super) fn code(self) -> u64 {
        match self {
            Space::Memory(id) => u64::from(id) << 32 | 1,
            Space::Object(id) => u64::from(id) << 32 | 2,
        }
    }

    pub(super) fn from_code(code: u64) -> Option<Space> {
        let id = u32::try_from(code >> 32).expect("32 bits are left");
        match code & 0xffff_ffff {
            1 => Some(Space::Memory(id)),
            2 => Some(Space::Object(id)),
            _ => None,
        }
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Space::Memory(id) => write!(f, "memory {id}"),
            Space::Object(id) => write!(f, "object {id}"),
        }
    }
}

/// What is known of the pages of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunKind {
    /// Their contents stand in the block.
    Data,
    /// Present, and all zero.
    Zero,
    /// Equal to the parent memory's pages at the same addresses (`Memory::parent`).
    Same,
}

impl RunKind {
    fn code(self) -> u32 {
        match self {
            RunKind::Data => 0,
            RunKind::Zero => 1,
            RunKind::Same => 2,
        }
    }

    fn from_code(code: u32) -> Option<RunKind> {
        match code {
            0 => Some(RunKind::Data),
            1 => Some(RunKind::Zero),
            2 => Some(RunKind::Same),
            _ => None,
        }
    }
}

/// Consecutive pages of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Run {
    /// Number of the first page.
    pub page: u64,
    /// How many pages.
    pub count: u32,
    /// What is known of them.
    pub kind: RunKind,
}

/// What a block holds; the contents of its data pages travel beside it, in the order of the runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Whose pages.
    pub space: Space,
    /// Ascending, not overlapping.
    pub runs: Vec<Run>,
}

/// Where a block stands in a seekable file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockEntry {
    /// Offset in bytes of its header page.
    pub at: u64,
    /// Whose pages.
    pub space: Space,
    /// Pages of contents, decoded.
    pub data_pages: u32,
    /// Pages they take in the file.
    pub stored_pages: u32,
    /// Checksum of the header page.
    pub header_crc: u64,
}

impl BlockEntry {
    /// Bytes of an entry in the index.
    pub(super) const BYTES: usize = 32;

    /// Offset in bytes of its first data page: page aligned, so that it can be mapped.
    pub fn data_at(&self) -> u64 {
        self.at + PAGE_BYTES as u64
    }

    /// Offset in bytes of whatever follows it.
    pub(super) fn end(&self) -> Option<u64> {
        self.at.checked_add((1 + u64::from(self.stored_pages)) * PAGE_BYTES as u64)
    }

    pub(super) fn to_bytes(self) -> [u8; BlockEntry::BYTES] {
        let mut bytes = [0; BlockEntry::BYTES];
        bytes[..8].copy_from_slice(&self.at.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.space.code().to_le_bytes());
        bytes[16..20].copy_from_slice(&self.data_pages.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.stored_pages.to_le_bytes());
        bytes[24..].copy_from_slice(&self.header_crc.to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; BlockEntry::BYTES]) -> Option<BlockEntry> {
        let mut fields = Fields(bytes);
        Some(BlockEntry {
            at: fields.u64(),
            space: Space::from_code(fields.u64())?,
            data_pages: fields.u32(),
            stored_pages: fields.u32(),
            header_crc: fields.u64(),
        })
    }
}

/// The page before the data pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlockHeader {
    pub space: Space,
    pub data_pages: u32,
    pub stored_pages: u32,
    pub data_crc: u64,
    /// Offset of this page in the file, so that a block in a wrong place is noticed.
    pub at: u64,
    /// The file it belongs to, so that a block of another file is noticed.
    pub id: FileId,
    pub runs: Vec<Run>,
}

impl BlockHeader {
    pub fn to_page(&self) -> Page {
        let n_runs = u32::try_from(self.runs.len()).expect("runs were counted");
        let page = PageWriter::new(BLOCK_MAGIC)
            .u64(self.space.code())
            .u32(n_runs)
            .u32(self.data_pages)
            .u32(self.stored_pages)
            .u32(PLAIN)
            .u64(self.data_crc)
            .u64(self.at)
            .bytes(&self.id);
        self.runs.iter().fold(page, |page, run| page.u64(run.page).u32(run.count).u32(run.kind.code())).seal()
    }

    /// Reads the header page at offset `at` of the file `id`.
    pub fn from_page(page: &Page, at: u64, id: &FileId) -> Result<BlockHeader, ImageError> {
        let Some(fields) = page.strip_prefix(BLOCK_MAGIC) else {
            return Err(ImageError::Damaged { what: "no block begins here", at });
        };
        if !is_intact(page) {
            return Err(ImageError::Damaged { what: "the checksum of a block's header does not match", at });
        }
        let mut fields = Fields(fields);
        let (space, n_runs) = (fields.u64(), fields.u32());
        let (data_pages, stored_pages, encoding) = (fields.u32(), fields.u32(), fields.u32());
        let (data_crc, own_at, own_id) = (fields.u64(), fields.u64(), fields.bytes());
        if own_at != at || own_id != *id {
            return Err(ImageError::Damaged { what: "a block of another place or another file stands here", at });
        }
        if encoding != PLAIN {
            return Err(ImageError::Feature { what: format!("page encoding {encoding}") });
        }
        let unknown = || ImageError::Feature { what: format!("pages of an unknown sort in the block at byte {at}") };
        let space = Space::from_code(space).ok_or_else(unknown)?;
        let runs = read_runs(&mut fields, n_runs, at)?;
        if data_pages_of(&runs)? != data_pages || stored_pages != data_pages {
            return Err(ImageError::inconsistent(format!("the block at byte {at} counts its pages wrongly")));
        }
        Ok(BlockHeader { space, data_pages, stored_pages, data_crc, at, id: own_id, runs })
    }

    /// The index entry of the block, whose header page is `page`.
    pub fn entry(&self, page: &Page) -> BlockEntry {
        BlockEntry {
            at: self.at,
            space: self.space,
            data_pages: self.data_pages,
            stored_pages: self.stored_pages,
            header_crc: seal_of(page),
        }
    }
}

fn read_runs(fields: &mut Fields<'_>, n_runs: u32, at: u64) -> Result<Vec<Run>, ImageError> {
    if n_runs as usize > MAX_RUNS {
        return Err(ImageError::inconsistent(format!("the block at byte {at} has {n_runs} runs")));
    }
    let run = |_| {
        let (page, count, kind) = (fields.u64(), fields.u32(), fields.u32());
        let unknown = || ImageError::Feature { what: format!("page runs of kind {kind}") };
        Ok(Run { page, count, kind: RunKind::from_code(kind).ok_or_else(unknown)? })
    };
    (0..n_runs).map(run).collect()
}

/// How many data pages the runs have, if they are fit for a block: some, ascending, not overlapping, not too many.
pub(super) fn data_pages_of(runs: &[Run]) -> Result<u32, ImageError> {
    if runs.is_empty() || runs.len() > MAX_RUNS {
        return Err(ImageError::inconsistent(format!("a block has {} runs", runs.len())));
    }
    let (mut next, mut data_pages) = (0, 0);
    for run in runs {
        let end = run.page.saturating_add(u64::from(run.count));
        if run.count == 0 || run.page < next || end > PAGE_LIMIT {
            return Err(ImageError::inconsistent(format!("a block has a run of {} pages at page {}", run.count, run.page)));
        }
        next = end;
        data_pages += if run.kind == RunKind::Data { u64::from(run.count) } else { 0 };
    }
    match u32::try_from(data_pages) {
        Ok(data_pages) if data_pages as usize <= BLOCK_PAGES => Ok(data_pages),
        _ => Err(ImageError::inconsistent(format!("a block has {data_pages} data pages"))),
    }
}

#[cfg(test)]
mod test {
    use super::*;

    fn run(page: u64, count: u32, kind: RunKind) -> Run {
        Run { page, count, kind }
    }

    #[test]
    fn the_fullest_header_fits_and_comes_back_equal() {
        let runs: Vec<Run> = (0..MAX_RUNS as u64).map(|n| run(2 * n, 1, RunKind::Data)).collect();
        let space = Space::Object(u32::MAX);
        let header = BlockHeader { space, data_pages: 250, stored_pages: 250, data_crc: 7, at: 8192, id: [9; 16], runs };
        assert_eq!(BlockHeader::from_page(&header.to_page(), 8192, &[9; 16]).unwrap(), header);
        let entry = header.entry(&header.to_page());
        assert_eq!(BlockEntry::from_bytes(&entry.to_bytes()), Some(entry));
        assert_eq!(entry.end(), Some(8192 + 251 * 4096));
        assert!(BlockHeader::from_page(&header.to_page(), 4096, &[9; 16]).is_err());
        assert!(BlockHeader::from_page(&header.to_page(), 8192, &[8; 16]).is_err());
    }

    #[test]
    fn runs_unfit_for_a_block_are_refused() {
        use RunKind::{Data, Same, Zero};
        for (runs, data_pages) in [
            (vec![run(0, 1, Data), run(1, u32::MAX, Zero), run(1 << 40, 255, Data)], Some(256)),
            (vec![run(5, 3, Same)], Some(0)),
            (vec![], None),
            (vec![run(5, 0, Data)], None),
            (vec![run(0, 257, Data)], None),
            (vec![run(5, 2, Data), run(6, 1, Data)], None),
            (vec![run(5, 1, Data), run(4, 1, Data)], None),
            (vec![run(PAGE_LIMIT - 1, 2, Zero)], None),
            (vec![run(u64::MAX, 2, Zero)], None),
            ((0..251).map(|page| run(page, 1, Zero)).collect(), None),
        ] {
            assert_eq!(data_pages_of(&runs).ok(), data_pages, "{runs:?}");
        }
    }
}
