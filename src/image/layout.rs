//! The fixed pages of a context file: how fields lie in a page, how a page is sealed, and the first page, the header.
//!
//! Relies on `checksum`. Numbers are little endian. Every fixed page is 4096 bytes, its last 8 are the checksum of the others, so
//! that also its unused bytes are covered. `FORMAT.md` describes every byte.

use std::collections::hash_map::RandomState;
use std::env::consts::ARCH;
use std::hash::BuildHasher;
use std::time::{SystemTime, UNIX_EPOCH};

use super::checksum::checksum;
use super::error::ImageError;

/// Bytes in a page, of memory and of the file.
pub const PAGE_BYTES: usize = 4096;
/// The format this release writes, and the latest it reads.
pub const FORMAT: u32 = 1;
/// First line of every context file.
pub const MAGIC: &[u8; 32] = b"Reprise context file\n\0\0\0\0\0\0\0\0\0\0\0";

/// One page as it lies in the file.
pub(super) type Page = [u8; PAGE_BYTES];
/// A page's checksum begins here.
pub(super) const SEAL_AT: usize = PAGE_BYTES - 8;

/// Tells one context file from all others; random.
pub type FileId = [u8; 16];

/// Bytes up to the next page boundary. `None` when that is beyond 64 bits.
pub(super) fn padded(bytes: u64) -> Option<u64> {
    bytes.checked_next_multiple_of(PAGE_BYTES as u64)
}

/// Fills a page field by field.
pub(super) struct PageWriter {
    page: Page,
    at: usize,
}

impl PageWriter {
    /// An empty page that begins with `magic`.
    pub fn new(magic: &[u8]) -> PageWriter {
        PageWriter { page: [0; PAGE_BYTES], at: 0 }.bytes(magic)
    }

    pub fn bytes(mut self, field: &[u8]) -> PageWriter {
        self.page[self.at..self.at + field.len()].copy_from_slice(field);
        self.at += field.len();
        self
    }

    pub fn u32(self, field: u32) -> PageWriter {
        self.bytes(&field.to_le_bytes())
    }

    pub fn u64(self, field: u64) -> PageWriter {
        self.bytes(&field.to_le_bytes())
    }

    /// The page with its checksum.
    pub fn seal(mut self) -> Page {
        assert!(self.at <= SEAL_AT, "{} bytes of fields do not fit in a page", self.at);
        let seal = checksum(&self.page[..SEAL_AT]);
        self.page[SEAL_AT..].copy_from_slice(&seal.to_le_bytes());
        self.page
    }
}

/// Takes fields from bytes of known length, in order.
pub(super) struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().expect("the fields of a page are within it");
        self.0 = rest;
        *field
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }
}

/// The checksum a page carries.
pub(super) fn seal_of(page: &Page) -> u64 {
    Fields(&page[SEAL_AT..]).u64()
}

/// Whether a page is as it was sealed.
pub(super) fn is_intact(page: &Page) -> bool {
    checksum(&page[..SEAL_AT]) == seal_of(page)
}

/// The first page: what can be told of a context file without knowing any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Format version.
    pub version: u32,
    /// Page size in bytes of the machine that made it.
    pub page_bytes: u32,
    /// Its architecture, as Rust calls it: `x86_64`.
    pub architecture: String,
    /// Features a reader must know; none so far.
    pub flags: u64,
    /// Tells this context file from all others.
    pub id: FileId,
    /// When it was begun, nanoseconds since 1970.
    pub created_ns: u64,
    /// Length in bytes of the metadata, without padding.
    pub metadata_bytes: u64,
    /// Checksum of the metadata, without padding.
    pub metadata_crc: u64,
}

impl Header {
    /// The header of a new context file of this machine.
    pub(super) fn new(metadata_bytes: u64, metadata_crc: u64) -> Header {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Header {
            version: FORMAT,
            page_bytes: u32::try_from(PAGE_BYTES).expect("a page is small"),
            architecture: ARCH.into(),
            flags: 0,
            id: random_id(),
            created_ns: u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX),
            metadata_bytes,
            metadata_crc,
        }
    }

    pub(super) fn to_page(&self) -> Page {
        let mut architecture = [0; 16];
        architecture[..self.architecture.len()].copy_from_slice(self.architecture.as_bytes());
        PageWriter::new(MAGIC)
            .u32(self.version)
            .u32(self.page_bytes)
            .bytes(&architecture)
            .u64(self.flags)
            .bytes(&self.id)
            .u64(self.created_ns)
            .u64(self.metadata_bytes)
            .u64(self.metadata_crc)
            .seal()
    }

    /// Reads the first page. The order of the checks makes the message say the most useful thing: a foreign file first, damage
    /// before the version, the version before anything a later version may have changed.
    pub(super) fn from_page(page: &Page) -> Result<Header, ImageError> {
        let Some(fields) = page.strip_prefix(MAGIC) else {
            return Err(ImageError::NotAContextFile { reason: what_it_is(page) });
        };
        if !is_intact(page) {
            return Err(ImageError::Damaged { what: "the checksum of its header does not match", at: 0 });
        }
        let mut fields = Fields(fields);
        let version = fields.u32();
        if version == 0 || version > FORMAT {
            return Err(ImageError::Version { found: version, known: FORMAT });
        }
        let page_bytes = fields.u32();
        let architecture: [u8; 16] = fields.bytes();
        let header = Header {
            version,
            page_bytes,
            architecture: String::from_utf8_lossy(&architecture).trim_end_matches('\0').into(),
            flags: fields.u64(),
            id: fields.bytes(),
            created_ns: fields.u64(),
            metadata_bytes: fields.u64(),
            metadata_crc: fields.u64(),
        };
        header.suits_this_machine().and(Ok(header))
    }

    fn suits_this_machine(&self) -> Result<(), ImageError> {
        if self.architecture != ARCH || self.page_bytes as usize != PAGE_BYTES {
            let found = format!("{} with pages of {} bytes", self.architecture, self.page_bytes);
            return Err(ImageError::Architecture { found, machine: format!("{ARCH} with pages of {PAGE_BYTES} bytes") });
        }
        if self.flags != 0 {
            return Err(ImageError::Feature { what: format!("features {:#x}", self.flags) });
        }
        Ok(())
    }
}

/// 64 bits nobody can predict: std seeds a `RandomState` from the kernel.
pub fn random() -> u64 {
    RandomState::new().hash_one((std::process::id(), SystemTime::now()))
}

fn random_id() -> FileId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&random().to_le_bytes());
    id[8..].copy_from_slice(&random().to_le_bytes());
    id
}

/// What a file is that is no context file, as far as its first bytes tell.
pub(super) fn what_it_is(page: &Page) -> &'static str {
    const PACKED: [(&[u8], &str); 4] = [
        (b"\x1f\x8b", "it is packed: unpack it, or restart with zcat FILE | cr_restart -F 0"),
        (b"\x28\xb5\x2f\xfd", "it is packed: unpack it, or restart with zstdcat FILE | cr_restart -F 0"),
        (b"\xfd7zXZ", "it is packed: unpack it, or restart with xzcat FILE | cr_restart -F 0"),
        (b"\x04\x22\x4d\x18", "it is packed: unpack it, or restart with lz4cat FILE | cr_restart -F 0"),
    ];
    PACKED.iter().find(|(magic, _)| page.starts_with(magic)).map_or("it does not begin like one", |(_, what)| what)
}

#[cfg(test)]
mod test {
    use super::*;

    fn sealed(change: impl FnOnce(&mut Header)) -> Page {
        let mut header = Header::new(10, 20);
        change(&mut header);
        header.to_page()
    }

    #[test]
    fn a_header_comes_back_equal_and_begins_with_a_readable_line() {
        let header = Header::new(10, 20);
        let page = header.to_page();
        assert!(page.starts_with(b"Reprise context file\n"));
        assert_eq!(Header::from_page(&page).unwrap(), header);
    }

    #[test]
    fn each_wrong_header_is_refused_for_its_own_reason() {
        let mut foreign = sealed(|_| ());
        foreign[0] = b'X';
        let mut packed = sealed(|_| ());
        packed[..4].copy_from_slice(b"\x28\xb5\x2f\xfd");
        let mut flipped = sealed(|_| ());
        flipped[3000] ^= 1;
        for (page, reason) in [
            (foreign, "not a context file: it does not begin like one"),
            (packed, "not a context file: it is packed: unpack it, or restart with zstdcat FILE | cr_restart -F 0"),
            (flipped, "the context file is damaged at byte 0: the checksum of its header does not match"),
            (sealed(|h| h.version = 2), "the context file has format 2, this release reads formats up to 1"),
            (
                sealed(|h| h.architecture = "riscv64".into()),
                "the context file was made on riscv64 with pages of 4096 bytes, this machine is x86_64 with pages of 4096 bytes",
            ),
            (sealed(|h| h.flags = 4), "the context file uses features 0x4, which this release does not know"),
        ] {
            assert_eq!(Header::from_page(&page).unwrap_err().to_string(), reason);
        }
    }

    #[test]
    fn ids_differ() {
        assert_ne!(random_id(), random_id());
    }
}
