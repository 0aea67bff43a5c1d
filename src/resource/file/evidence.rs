//! What proves that a file still has the contents it had: the build id of a program or library, or a checksum of a small file.
//!
//! Relies on the ELF layout of elf(5), 64-bit and little endian. A file that proves nothing is judged by size and time alone.

use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::sys::statfs::fstatfs;
use serde::{Deserialize, Serialize};

/// Of larger files without a build id only both ends are read.
const WHOLE_BYTES: u64 = 1 << 20;
/// Bytes of each end.
const END_BYTES: usize = 64 << 10;
/// File systems whose files are made up while they are read (statfs(2)): proc, sysfs, cgroup, cgroup2, debugfs, tracefs, configfs,
/// securityfs, bpf, pstore, efivarfs, nsfs. Reading them may do something.
const MADE_UP: &[i64] = &[
    0x9fa0,
    0x6265_6572,
    0x0027_e0eb,
    0x6367_7270,
    0x6462_6720,
    0x7472_6163,
    0x6265_6570,
    0x7363_6673,
    0xcafe_4a11,
    0x6165_676c,
    0xde5e_81e4,
    0x6e73_6673,
];

/// A proof of contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The note NT_GNU_BUILD_ID of an ELF file.
    BuildId(#[serde(with = "serde_bytes")] Vec<u8>),
    /// CRC-64/NVME of a file of at most 1 MiB.
    Checksum(u64),
    /// The same of the first and the last 64 KiB of a larger one.
    Ends(u64),
}

impl Evidence {
    /// Looks for a proof in the file at `path`; `None` when there is none, or it cannot be read.
    pub fn of(path: &Path) -> Option<Evidence> {
        let open = |flags| File::options().read(true).custom_flags(libc::O_NONBLOCK | flags).open(path);
        let file = open(libc::O_NOATIME).or_else(|_| open(0)).ok()?;
        let bytes = file.metadata().ok()?.len();
        Evidence::within(&file, bytes)
    }

    /// Looks for a proof of the first `bytes` bytes of an open file; what came behind them later does not count.
    pub fn within(file: &File, bytes: u64) -> Option<Evidence> {
        let metadata = file.metadata().ok()?;
        if !metadata.is_file() || bytes == 0 || metadata.len() < bytes || is_made_up(file) {
            return None;
        }
        let read = |offset: u64, bytes: usize| {
            let mut buffer = vec![0; bytes];
            file.read_exact_at(&mut buffer, offset).ok().map(|()| buffer)
        };
        if let Some(id) = build_id(read) {
            return Some(Evidence::BuildId(id));
        }
        let sum = |data: &[u8]| crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, data);
        if bytes <= WHOLE_BYTES {
            return Some(Evidence::Checksum(sum(&read(0, usize::try_from(bytes).ok()?)?)));
        }
        let ends = [read(0, END_BYTES)?, read(bytes - END_BYTES as u64, END_BYTES)?].concat();
        Some(Evidence::Ends(sum(&ends)))
    }

    /// Whether the same proof means the same contents.
    pub fn is_whole(&self) -> bool {
        !matches!(self, Evidence::Ends(_))
    }

    /// The proof for people.
    pub fn word(&self) -> String {
        match self {
            Evidence::BuildId(id) => format!("build id {}", id.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
            Evidence::Checksum(sum) => format!("checksum {sum:016x}"),
            Evidence::Ends(sum) => format!("checksum {sum:016x} of both ends"),
        }
    }
}

/// Whether a file is made up while it is read: it has no contents to be compared.
pub fn is_made_up(file: &File) -> bool {
    fstatfs(file).is_ok_and(|system| MADE_UP.contains(&system.filesystem_type().0))
}

/// The build id of an ELF file, through a function that reads some bytes at an offset.
fn build_id(read: impl Fn(u64, usize) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    const PT_NOTE: u32 = 4;
    let header = read(0, 64)?;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, entry_bytes, n_entries) = (u64_at(&header, 32)?, u16_at(&header, 54)?, u16_at(&header, 56)?);
    (0..n_entries).find_map(|index| {
        let entry = read(table.checked_add(u64::from(index) * u64::from(entry_bytes))?, 56)?;
        let bytes = usize::try_from(u64_at(&entry, 32)?).ok().filter(|&bytes| bytes <= END_BYTES)?;
        if u32_at(&entry, 0)? != PT_NOTE {
            return None;
        }
        build_id_note(&read(u64_at(&entry, 8)?, bytes)?)
    })
}

fn build_id_note(mut notes: &[u8]) -> Option<Vec<u8>> {
    const NT_GNU_BUILD_ID: u32 = 3;
    loop {
        let lengths = [u32_at(notes, 0)?, u32_at(notes, 4)?].map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        let kind = u32_at(notes, 8)?;
        let name = notes.get(12..12_usize.checked_add(lengths[0])?)?;
        let start = 12 + lengths[0].next_multiple_of(4);
        let end = start.checked_add(lengths[1])?;
        let value = notes.get(start..end)?;
        if kind == NT_GNU_BUILD_ID && name == b"GNU\0" {
            return Some(value.to_vec());
        }
        notes = notes.get(end.next_multiple_of(4)..)?;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn small_files_have_a_checksum_and_large_ones_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, b"123456789").unwrap();
        assert_eq!(Evidence::of(&path), Some(Evidence::Checksum(0xae8b_1486_0a79_9888)), "the check value of CRC-64/NVME");
        assert_eq!(Evidence::within(&File::open(&path).unwrap(), 10), None, "it is shorter");
        assert_eq!(Evidence::within(&File::open(&path).unwrap(), 4), Evidence::within(&File::open(&path).unwrap(), 4));
        let large = |middle: u8| {
            let mut bytes = vec![1; 2 << 20];
            bytes[1 << 20] = middle;
            std::fs::write(&path, bytes).unwrap();
            Evidence::of(&path).unwrap()
        };
        assert_eq!((large(1), large(1).is_whole()), (large(2), false));
        std::fs::write(&path, b"").unwrap();
        assert_eq!(Evidence::of(&path), None);
        assert_eq!(Evidence::of(Path::new("/proc/self/status")), None);
        assert_eq!(Evidence::of(Path::new("/no/such/file")), None);
    }

    #[test]
    fn notes_are_searched_with_their_padding() {
        let note = |kind: u8, name: &[u8], value: &[u8]| {
            let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
            let mut note = [length(name), length(value), [kind, 0, 0, 0]].concat();
            for part in [name, value] {
                note.extend_from_slice(part);
                note.resize(note.len().next_multiple_of(4), 0);
            }
            note
        };
        let notes = [note(1, b"GNU\0", &[7; 16]), note(3, b"Other\0", &[9; 5]), note(3, b"GNU\0", &[1, 2, 3])].concat();
        assert_eq!(build_id_note(&notes), Some(vec![1, 2, 3]));
        for end in 0..notes.len() - 1 {
            assert_eq!(build_id_note(&notes[..end]), None, "cut at {end}");
        }
        assert_eq!(build_id_note(&[0xff; 40]), None);
    }

    #[test]
    fn damaged_programs_prove_nothing_and_do_no_harm() {
        let mut bytes = vec![0xff; 4096];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let read = |offset: u64, count: usize| {
            let start = usize::try_from(offset).ok()?;
            bytes.get(start..start.checked_add(count)?).map(<[u8]>::to_vec)
        };
        assert_eq!(build_id(read), None);
    }
}
