//! `/proc/PID/maps` (proc_pid_maps(5)): the memory areas of a process, one a line.
//!
//! Relies on nothing; trustworthy only while every thread is stopped. The lines of `smaps` under each of these lines are
//! `smaps.rs`'s. Paths are bytes. Two things the text cannot tell apart: a deleted `x` and a file named `x (deleted)`, and a
//! newline and the four characters `\012` in a name. Where it matters, ask the link in `map_files` and its link count.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::device::Device;
use super::dir::ProcDir;
use super::error::{Malformed, ProcError};
use super::text::{Words, lines, unescape, unsigned};
use super::vmflags::VmFlags;

/// A memory area. The fields from `page_bytes` on come from `smaps` and are zero or empty when only `maps` was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapEntry {
    /// First address.
    pub start: u64,
    /// Address after the last byte.
    pub end: u64,
    /// Access and sharing.
    pub perms: Perms,
    /// Offset of the first byte in the file, bytes.
    pub offset: u64,
    /// Device the file is on; 0:0 without a file.
    pub device: Device,
    /// Inode number; 0 without a file.
    pub inode: u64,
    /// What it is.
    pub name: MapName,
    /// KernelPageSize in bytes: 4096, or that of the hugetlb pool.
    pub page_bytes: u64,
    /// Pages in memory, kB.
    pub rss_kb: u64,
    /// Pages in memory that no file has: written privately, or without a file; kB.
    pub anonymous_kb: u64,
    /// Pages in swap, kB.
    pub swap_kb: u64,
    /// Memory protection key (pkeys(7)); 0 is everybody's.
    pub protection_key: u8,
    /// Attributes.
    pub flags: VmFlags,
}

/// `rwxp` of a line of maps.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Perms {
    /// PROT_READ.
    pub read: bool,
    /// PROT_WRITE.
    pub write: bool,
    /// PROT_EXEC.
    pub execute: bool,
    /// MAP_SHARED (`s`) rather than MAP_PRIVATE (`p`).
    pub shared: bool,
}

/// What the last column says an area is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MapName {
    /// Nothing: private anonymous memory.
    Anonymous,
    /// `[anon:NAME]`: private anonymous memory named by prctl(PR_SET_VMA_ANON_NAME).
    Anon(String),
    /// `[anon_shmem:NAME]`: shared anonymous memory named likewise.
    AnonShmem(String),
    /// A file: on disk, in tmpfs (`/memfd:…`, `/SYSV…`, `/dev/zero`), or without any path (`anon_inode:…`, `socket:…`).
    File {
        /// Its name without ` (deleted)`.
        path: PathBuf,
        /// Whether the kernel appended ` (deleted)`.
        deleted: bool,
    },
    /// `[heap]`: the break.
    Heap,
    /// `[stack]`: the first thread's stack.
    Stack,
    /// `[vdso]`.
    Vdso,
    /// `[vvar]`.
    Vvar,
    /// `[vvar_vclock]` (since Linux 6.13).
    VvarVclock,
    /// `[vsyscall]`: not really mapped.
    Vsyscall,
    /// Any other name in brackets, brackets included.
    Special(String),
}

impl MapEntry {
    /// Parses `maps`.
    pub fn parse_maps(text: &[u8]) -> Result<Vec<MapEntry>, Malformed> {
        lines(text).map(|(line, text)| MapEntry::parse_line(line, text)).collect()
    }

    /// Size in bytes.
    pub fn bytes(&self) -> u64 {
        self.end - self.start
    }

    /// The name of its link in `map_files`: `map_files/START-END`.
    pub fn map_file(&self) -> String {
        format!("map_files/{:x}-{:x}", self.start, self.end)
    }

    /// Parses one line of `maps`, which is also the first line of an area in `smaps`.
    pub(super) fn parse_line(line: usize, text: &[u8]) -> Result<MapEntry, Malformed> {
        let mut words = Words::new(line, text);
        let range = words.word("a range of addresses")?;
        let (start, end) = parse_range(range).ok_or(words.expected("a range of addresses"))?;
        let perms = Perms::parse(words.word("permissions")?).ok_or(words.expected("permissions"))?;
        let offset = words.unsigned(16, "an offset")?;
        let device = Device::parse(words.word("a device")?, 16).ok_or(words.expected("a device"))?;
        let inode = words.unsigned(10, "an inode")?;
        let name = MapName::parse(words.rest());
        let flags = VmFlags::default();
        let (page_bytes, rss_kb, anonymous_kb, swap_kb, protection_key) = (0, 0, 0, 0, 0);
        Ok(MapEntry { start, end, perms, offset, device, inode, name, page_bytes, rss_kb, anonymous_kb, swap_kb, protection_key, flags })
    }
}

fn parse_range(word: &[u8]) -> Option<(u64, u64)> {
    let dash = word.iter().position(|&byte| byte == b'-')?;
    let (start, end) = (unsigned(&word[..dash], 16)?, unsigned(&word[dash + 1..], 16)?);
    (start < end).then_some((start, end))
}

impl Perms {
    fn parse(word: &[u8]) -> Option<Perms> {
        let &[read @ (b'r' | b'-'), write @ (b'w' | b'-'), execute @ (b'x' | b'-'), sharing @ (b's' | b'p')] = word else {
            return None;
        };
        Some(Perms { read: read == b'r', write: write == b'w', execute: execute == b'x', shared: sharing == b's' })
    }
}

impl fmt::Display for Perms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |is_set: bool, letter: char| if is_set { letter } else { '-' };
        let (read, write, execute) = (letter(self.read, 'r'), letter(self.write, 'w'), letter(self.execute, 'x'));
        write!(f, "{read}{write}{execute}{}", if self.shared { 's' } else { 'p' })
    }
}

impl fmt::Debug for Perms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl MapName {
    /// Takes the last column apart. Names in brackets are the kernel's: no path begins with one.
    fn parse(text: &[u8]) -> MapName {
        let bracketed = text.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]"));
        let text_of = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        match bracketed {
            _ if text.is_empty() => MapName::Anonymous,
            Some(b"heap") => MapName::Heap,
            Some(b"stack") => MapName::Stack,
            Some(b"vdso") => MapName::Vdso,
            Some(b"vvar") => MapName::Vvar,
            Some(b"vvar_vclock") => MapName::VvarVclock,
            Some(b"vsyscall") => MapName::Vsyscall,
            Some(name) => match (name.strip_prefix(b"anon:"), name.strip_prefix(b"anon_shmem:")) {
                (Some(name), _) => MapName::Anon(text_of(name)),
                (_, Some(name)) => MapName::AnonShmem(text_of(name)),
                _ => MapName::Special(text_of(text)),
            },
            None => {
                let (path, deleted) = text.strip_suffix(b" (deleted)").map_or((text, false), |path| (path, true));
                MapName::File { path: PathBuf::from(OsString::from_vec(unescape(path, b"\n"))), deleted }
            }
        }
    }
}

impl fmt::Display for MapName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MapName::Anonymous => Ok(()),
            MapName::Anon(name) => write!(f, "[anon:{name}]"),
            MapName::AnonShmem(name) => write!(f, "[anon_shmem:{name}]"),
            MapName::File { path, deleted } => write!(f, "{}{}", path.display(), if *deleted { " (deleted)" } else { "" }),
            MapName::Heap => f.write_str("[heap]"),
            MapName::Stack => f.write_str("[stack]"),
            MapName::Vdso => f.write_str("[vdso]"),
            MapName::Vvar => f.write_str("[vvar]"),
            MapName::VvarVclock => f.write_str("[vvar_vclock]"),
            MapName::Vsyscall => f.write_str("[vsyscall]"),
            MapName::Special(name) => f.write_str(name),
        }
    }
}

impl ProcDir {
    /// `/proc/PID/maps`. Empty in a zombie and in a thread of the kernel.
    pub fn maps(&self) -> Result<Vec<MapEntry>, ProcError> {
        self.parsed("maps", MapEntry::parse_maps)
    }
}

#[cfg(test)]
mod test {
    use super::super::text::survives_cuts;
    use super::*;

    #[rustfmt::skip]
    const AREAS: &[u8] = b"5562defef000-5562deff1000 r--p 00000000 fe:00 10035396                   /tmp/s
55631b108000-55631b129000 rw-p 00000000 00:00 0                          [heap]
7f5361a68000-7f5361a69000 rw-p 00000000 00:00 0 
7f5361a69000-7f5361a6a000 rw-p 00000000 00:00 0                          [anon:my heap: a b]
7f5361c54000-7f5361c56000 rw-s 00000000 00:01 1030                       /dev/zero (deleted)
7f5361c56000-7f5361c57000 rw-s 00000000 00:01 1                          /SYSV00000000 (deleted)
7f5361c57000-7f5361c58000 rw-s 00000000 00:01 1028                       /memfd:mem fd (deleted)
7f5361c58000-7f5361c59000 rw-s 00000000 00:01 1029                       [anon_shmem:shared]
7f5361c59000-7f5361c5a000 r--p 00001000 fe:00 10035990                   /tmp/a\\012b c (x)
7f5361c5a000-7f5361c5b000 rw-s 00000000 00:0f 1041                       anon_inode:[io_uring]
7f5361c5e000-7f5361c62000 r--p 00000000 00:00 0                          [vvar]
7f5361c62000-7f5361c64000 r--p 00000000 00:00 0                          [vvar_vclock]
7f5361c64000-7f5361c66000 r-xp 00000000 00:00 0                          [vdso]
7f5361c66000-7f5361c67000 --xp 00000000 00:00 0                          [uprobes]
7ffc3b895000-7ffc3b8b6000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";

    fn row(area: &MapEntry) -> String {
        let MapEntry { start, perms, offset, device, inode, name, .. } = area;
        format!("{start:x} {}K {perms} {offset:x} {device} {inode} {name:?}", area.bytes() / 1024)
    }

    #[test]
    fn every_sort_of_area() {
        let rows: Vec<String> = MapEntry::parse_maps(AREAS).unwrap().iter().map(row).collect();
        insta::assert_snapshot!(rows.join("\n"), @r#"
        5562defef000 8K r--p 0 254:0 10035396 File { path: "/tmp/s", deleted: false }
        55631b108000 132K rw-p 0 0:0 0 Heap
        7f5361a68000 4K rw-p 0 0:0 0 Anonymous
        7f5361a69000 4K rw-p 0 0:0 0 Anon("my heap: a b")
        7f5361c54000 8K rw-s 0 0:1 1030 File { path: "/dev/zero", deleted: true }
        7f5361c56000 4K rw-s 0 0:1 1 File { path: "/SYSV00000000", deleted: true }
        7f5361c57000 4K rw-s 0 0:1 1028 File { path: "/memfd:mem fd", deleted: true }
        7f5361c58000 4K rw-s 0 0:1 1029 AnonShmem("shared")
        7f5361c59000 4K r--p 1000 254:0 10035990 File { path: "/tmp/a\nb c (x)", deleted: false }
        7f5361c5a000 4K rw-s 0 0:15 1041 File { path: "anon_inode:[io_uring]", deleted: false }
        7f5361c5e000 16K r--p 0 0:0 0 Vvar
        7f5361c62000 8K r--p 0 0:0 0 VvarVclock
        7f5361c64000 8K r-xp 0 0:0 0 Vdso
        7f5361c66000 4K --xp 0 0:0 0 Special("[uprobes]")
        7ffc3b895000 132K rw-p 0 0:0 0 Stack
        ffffffffff600000 4K --xp 0 0:0 0 Vsyscall
        "#);
    }

    #[test]
    fn our_own_areas_have_links() {
        let dir = ProcDir::open(std::process::id().cast_signed()).unwrap();
        let exe = std::env::current_exe().unwrap();
        let areas = dir.maps().unwrap();
        let area = areas.iter().find(|area| matches!(&area.name, MapName::File { path, .. } if *path == exe)).unwrap();
        let stat = dir.stat_link("exe").unwrap();
        assert_eq!((area.inode, area.device), (stat.ino, stat.device()));
        assert_eq!(dir.link(&area.map_file()).unwrap(), exe);
    }

    #[test]
    fn a_cut_text_is_refused_without_panic() {
        survives_cuts(AREAS, MapEntry::parse_maps);
        let complaint = |text: &str| MapEntry::parse_maps(text.as_bytes()).unwrap_err();
        assert_eq!(complaint("2000-1000 rw-p 0 0:0 0"), Malformed { line: 1, expected: "a range of addresses" });
        assert_eq!(complaint("1000-2000 rw-p 0 0:0 0\n2000-3000 rw-z"), Malformed { line: 2, expected: "permissions" });
    }
}
