//! A context file taken apart and put together again with right checksums, whatever has been changed in between.
//!
//! Relies on `src/image/FORMAT.md` and not on the library: what a stranger writes may differ from what our own writer would.

use crc_fast::{CrcAlgorithm, checksum};
use rmpv::Value;

use crate::Outcome;

const PAGE: usize = 4096;
const SEAL: usize = PAGE - 8;

/// The parts of a context file.
#[derive(Clone)]
pub struct Image {
    header: Vec<u8>,
    /// The description as a tree of values.
    pub description: Value,
    /// Header page and data of each block.
    pub blocks: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Image {
    /// Takes a right context file apart.
    pub fn parse(bytes: &[u8]) -> Outcome<Image> {
        let wrong = |what: &str| format!("not a context file: {what}");
        let header = bytes.get(..PAGE).ok_or_else(|| wrong("no header"))?.to_vec();
        let length = usize::try_from(word(&header, 88)).map_err(|_| wrong("its length"))?;
        let mut text = bytes.get(PAGE..PAGE + length).ok_or_else(|| wrong("no description"))?;
        let description = rmpv::decode::read_value(&mut text).map_err(|error| wrong(&error.to_string()))?;
        let mut at = PAGE + length.next_multiple_of(PAGE);
        let mut blocks = Vec::new();
        while let Some(page) = bytes.get(at..at + PAGE).filter(|page| page.starts_with(b"RprBlock")) {
            let data = half(page, 24) as usize * PAGE;
            let contents = bytes.get(at + PAGE..at + PAGE + data).ok_or_else(|| wrong("a short block"))?;
            blocks.push((page.to_vec(), contents.to_vec()));
            at += PAGE + data;
        }
        Ok(Image { header, description, blocks })
    }

    /// An image without blocks.
    #[cfg(test)]
    pub fn with(header: Vec<u8>, description: Value) -> Image {
        Image { header, description, blocks: Vec::new() }
    }

    /// The bytes of the file, every length, place and checksum in it right.
    pub fn to_bytes(&self) -> Outcome<Vec<u8>> {
        let mut text = Vec::new();
        rmpv::encode::write_value(&mut text, &self.description).map_err(|error| error.to_string())?;
        let mut header = self.header.clone();
        put(&mut header, 88, text.len() as u64);
        put(&mut header, 96, crc(&text));
        seal(&mut header);
        let id = header[64..80].to_vec();
        let mut bytes = header.clone();
        pad(&mut bytes, &text);
        let mut entries = Vec::new();
        let mut pages = 0;
        for (page, data) in &self.blocks {
            let mut page = page.clone();
            put(&mut page, 32, crc(data));
            put(&mut page, 40, bytes.len() as u64);
            seal(&mut page);
            entries.extend((bytes.len() as u64).to_le_bytes());
            entries.extend(&page[8..16]);
            entries.extend(&page[20..28]);
            entries.extend(&page[SEAL..]);
            pages += u64::from(half(&page, 20));
            bytes.extend(&page);
            bytes.extend(data);
        }
        let index_at = bytes.len() as u64;
        let page = sealed(b"RprIndex", &[self.blocks.len() as u64, crc(&entries), index_at], &[], &id);
        bytes.extend(page);
        pad(&mut bytes, &entries);
        let length = (bytes.len() + PAGE) as u64;
        let words = [length, index_at, self.blocks.len() as u64, crc(&entries), pages];
        bytes.extend(sealed(b"RprTrail", &words, &header[SEAL..], &id));
        Ok(bytes)
    }
}

/// The 64-bit word at this offset.
pub fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// The 32-bit word at this offset.
pub fn half(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn put(page: &mut [u8], at: usize, value: u64) {
    page[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn crc(bytes: &[u8]) -> u64 {
    checksum(CrcAlgorithm::Crc64Nvme, bytes)
}

fn seal(page: &mut [u8]) {
    let seal = crc(&page[..SEAL]);
    put(page, SEAL, seal);
}

fn sealed(magic: &[u8; 8], words: &[u64], more: &[u8], id: &[u8]) -> Vec<u8> {
    let words: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut page = [&magic[..], &words, more, id].concat();
    page.resize(PAGE, 0);
    seal(&mut page);
    page
}

fn pad(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend(part);
    bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
}
