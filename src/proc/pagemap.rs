//! `/proc/PID/pagemap` (proc_pid_pagemap(5)): eight bytes for each virtual page.
//!
//! Relies on nothing. Entry N is at byte 8 N, for address N times the page size. The ioctl PAGEMAP_SCAN on the same file is
//! quicker and belongs to `sys`; this is the form that every kernel has.

use std::fmt;

/// What the kernel knows about one virtual page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PageEntry(pub u64);

impl PageEntry {
    /// The entries in what was read from the file. Bytes after the last whole entry are left out.
    pub fn all(bytes: &[u8]) -> impl ExactSizeIterator<Item = PageEntry> {
        bytes.as_chunks::<8>().0.iter().map(|&entry| PageEntry(u64::from_ne_bytes(entry)))
    }

    /// Whether it is in memory.
    pub fn is_present(self) -> bool {
        self.bit(63)
    }

    /// Whether it is in swap (or being migrated).
    pub fn is_swapped(self) -> bool {
        self.bit(62)
    }

    /// Whether it is a page of a file or of shared memory, rather than an anonymous one.
    pub fn is_file_or_shared(self) -> bool {
        self.bit(61)
    }

    /// Whether it is a guard region: touching it kills (since Linux 6.15).
    pub fn is_guard(self) -> bool {
        self.bit(58)
    }

    /// Whether userfaultfd protects it from writes (since Linux 5.13).
    pub fn is_write_protected(self) -> bool {
        self.bit(57)
    }

    /// Whether nobody else maps it (since Linux 4.2).
    pub fn is_exclusive(self) -> bool {
        self.bit(56)
    }

    /// Whether it was written since the bits were cleared. Always set where the kernel has no soft-dirty tracking.
    pub fn is_soft_dirty(self) -> bool {
        self.bit(55)
    }

    /// Page frame number, if it is in memory. 0 without CAP_SYS_ADMIN.
    pub fn frame(self) -> Option<u64> {
        self.is_present().then_some(self.0 & ((1 << 55) - 1))
    }

    /// Swap type and offset, if it is in swap. Zeros without CAP_SYS_ADMIN.
    pub fn swap(self) -> Option<(u64, u64)> {
        self.is_swapped().then_some((self.0 & 0x1f, (self.0 & ((1 << 55) - 1)) >> 5))
    }

    fn bit(self, number: u32) -> bool {
        self.0 >> number & 1 != 0
    }
}

impl fmt::Debug for PageEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (self.is_present(), "present"),
            (self.is_swapped(), "swapped"),
            (self.is_file_or_shared(), "file"),
            (self.is_guard(), "guard"),
            (self.is_write_protected(), "protected"),
            (self.is_exclusive(), "exclusive"),
            (self.is_soft_dirty(), "dirty"),
        ];
        f.write_str("PageEntry(")?;
        for (_, name) in names.into_iter().filter(|(is_set, _)| *is_set) {
            write!(f, "{name} ")?;
        }
        write!(f, "{:#x})", self.0 & ((1 << 55) - 1))
    }
}

#[cfg(test)]
mod test {
    use std::os::unix::fs::FileExt;

    use super::super::dir::ProcDir;
    use super::*;

    #[test]
    fn bits_have_their_names() {
        let words = [0x8180_0000_0012_3456_u64, 0x4080_0000_0000_0041, 0xa000_0000_0000_0001, 1 << 58, 0];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let rows: Vec<String> = PageEntry::all(&bytes[..39]).map(|entry| format!("{entry:?}")).collect();
        insta::assert_snapshot!(rows.join("\n"), @"
        PageEntry(present exclusive dirty 0x123456)
        PageEntry(swapped dirty 0x41)
        PageEntry(present file 0x1)
        PageEntry(guard 0x0)
        ");
        assert_eq!(PageEntry(words[0]).frame(), Some(0x12_3456));
        assert_eq!(PageEntry(words[1]).swap(), Some((1, 2)));
        assert_eq!((PageEntry(0).frame(), PageEntry(0).swap()), (None, None));
    }

    #[test]
    fn a_page_of_our_own_is_present() {
        let page = Box::new([1_u8; 8192]);
        let index = page.as_ptr().addr() as u64 / 4096 + 1;
        let mut bytes = [0; 8];
        let dir = ProcDir::open(std::process::id().cast_signed()).unwrap();
        dir.open_file("pagemap", false).unwrap().read_exact_at(&mut bytes, index * 8).unwrap();
        let entry = PageEntry::all(&bytes).next().unwrap();
        assert!(entry.is_present() && !entry.is_file_or_shared(), "{entry:?}");
    }
}
