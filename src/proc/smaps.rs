//! `/proc/PID/smaps` (proc_pid_smaps(5)): the areas of `maps` with page sizes, resident amounts and attributes.
//!
//! Relies on `maps.rs` for the first line of each area. About 1 KB of text an area: one pass, and no allocation for a line.

use super::dir::ProcDir;
use super::error::{Malformed, ProcError};
use super::maps::MapEntry;
use super::text::{Words, lines};
use super::vmflags::VmFlags;

impl MapEntry {
    /// Parses `smaps`. Lines of newer kernels are passed over.
    pub fn parse_smaps(text: &[u8]) -> Result<Vec<MapEntry>, Malformed> {
        let mut areas: Vec<MapEntry> = Vec::new();
        // VmFlags is the last line of every area.
        let mut is_whole = true;
        let mut n_lines = 0;
        for (line, text) in lines(text) {
            n_lines = line;
            // An area begins with `START-END perms`, its fields with `Key:`.
            let end = text.iter().position(|&byte| byte == b':' || byte == b' ');
            let end = end.ok_or(Malformed { line, expected: "an area or a field" })?;
            if text[end] == b':' {
                let area = areas.last_mut().ok_or(Malformed { line, expected: "an area before its fields" })?;
                is_whole |= area.take_field(&text[..end], Words::new(line, &text[end + 1..]))?;
            } else if is_whole {
                areas.push(MapEntry::parse_line(line, text)?);
                is_whole = false;
            } else {
                return Err(Malformed { line, expected: "VmFlags before the next area" });
            }
        }
        if is_whole { Ok(areas) } else { Err(Malformed { line: n_lines, expected: "VmFlags before the end" }) }
    }

    /// Returns whether it was the last field.
    fn take_field(&mut self, key: &[u8], mut value: Words<'_>) -> Result<bool, Malformed> {
        match key {
            b"KernelPageSize" => self.page_bytes = value.unsigned::<u32>(10, "a page size in kB").map(u64::from)? * 1024,
            b"Rss" => self.rss_kb = value.unsigned(10, "a size in kB")?,
            b"Anonymous" => self.anonymous_kb = value.unsigned(10, "a size in kB")?,
            b"Swap" => self.swap_kb = value.unsigned(10, "a size in kB")?,
            b"ProtectionKey" => self.protection_key = value.unsigned(10, "a protection key")?,
            b"VmFlags" => {
                self.flags = VmFlags::parse(value.rest()).ok_or(value.expected("flags of two letters"))?;
                return Ok(true);
            }
            _ => {}
        }
        Ok(false)
    }
}

impl ProcDir {
    /// `/proc/PID/smaps`. Slower than `maps` for the kernel: it walks the page tables. Empty in a zombie.
    pub fn smaps(&self) -> Result<Vec<MapEntry>, ProcError> {
        self.parsed("smaps", MapEntry::parse_smaps)
    }
}

#[cfg(test)]
mod test {
    use super::super::text::survives_cuts;
    use super::*;

    #[rustfmt::skip]
    const TWO_AREAS: &[u8] = b"7f5361c53000-7f5361c54000 rw-p 00000000 00:00 0 
Size:                  4 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                   0 kB
Pss:                   0 kB
Pss_Dirty:             0 kB
Shared_Clean:          0 kB
Shared_Dirty:          0 kB
Private_Clean:         0 kB
Private_Dirty:         0 kB
Referenced:            0 kB
Anonymous:             0 kB
KSM:                   0 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
ShmemPmdMapped:        0 kB
FilePmdMapped:         0 kB
Shared_Hugetlb:        0 kB
Private_Hugetlb:       0 kB
Swap:                  0 kB
SwapPss:               0 kB
Locked:                0 kB
THPeligible:           0
ProtectionKey:         0
VmFlags: rd wr mr mw me nr wf dd dp 
7f5361c58000-7f5361c59000 rw-s 00000000 fe:00 10035411                   /tmp/gone file (deleted)
Size:                  4 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                   0 kB
Pss:                   0 kB
Pss_Dirty:             0 kB
Shared_Clean:          0 kB
Shared_Dirty:          0 kB
Private_Clean:         0 kB
Private_Dirty:         0 kB
Referenced:            0 kB
Anonymous:             0 kB
KSM:                   0 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
ShmemPmdMapped:        0 kB
FilePmdMapped:         0 kB
Shared_Hugetlb:        0 kB
Private_Hugetlb:       0 kB
Swap:                  0 kB
SwapPss:               0 kB
Locked:                0 kB
THPeligible:           0
ProtectionKey:         0
VmFlags: rd wr sh mr mw me ms 
";

    #[test]
    fn areas_with_their_fields() {
        insta::assert_debug_snapshot!(MapEntry::parse_smaps(TWO_AREAS), @r#"
        Ok(
            [
                MapEntry {
                    start: 139996099325952,
                    end: 139996099330048,
                    perms: rw-p,
                    offset: 0,
                    device: 0:0,
                    inode: 0,
                    name: Anonymous,
                    page_bytes: 4096,
                    rss_kb: 0,
                    anonymous_kb: 0,
                    swap_kb: 0,
                    protection_key: 0,
                    flags: VmFlags(rd wr mr mw me nr wf dd dp),
                },
                MapEntry {
                    start: 139996099346432,
                    end: 139996099350528,
                    perms: rw-s,
                    offset: 0,
                    device: 254:0,
                    inode: 10035411,
                    name: File {
                        path: "/tmp/gone file",
                        deleted: true,
                    },
                    page_bytes: 4096,
                    rss_kb: 0,
                    anonymous_kb: 0,
                    swap_kb: 0,
                    protection_key: 0,
                    flags: VmFlags(rd wr sh mr mw me ms),
                },
            ],
        )
        "#);
    }

    #[test]
    fn a_line_of_a_newer_kernel_is_passed_over() {
        let text = b"1000-2000 rw-p 00000000 00:00 0 \nRss: 4 kB\nColour_of_it: blue\nVmFlags: rd zz \n";
        let areas = MapEntry::parse_smaps(text).unwrap();
        assert_eq!((areas[0].rss_kb, areas[0].flags.to_string().as_str()), (4, "rd zz"));
    }

    #[test]
    fn our_own_areas_are_those_of_maps() {
        let dir = ProcDir::open(std::process::id().cast_signed()).unwrap();
        let areas = dir.smaps().unwrap();
        assert!(areas.iter().all(|area| area.page_bytes >= 4096));
        assert!(areas.is_sorted_by_key(|area| area.start));
    }

    #[test]
    fn a_cut_text_is_refused_without_panic() {
        survives_cuts(TWO_AREAS, MapEntry::parse_smaps);
        assert_eq!(MapEntry::parse_smaps(b"Rss: 1 kB\n"), Err(Malformed { line: 1, expected: "an area before its fields" }));
        let huge = b"1000-2000 rw-p 0 0:0 0 \nKernelPageSize: 99999999999 kB\n";
        assert_eq!(MapEntry::parse_smaps(huge), Err(Malformed { line: 2, expected: "a page size in kB" }));
        let cut = b"1000-2000 rw-p 0 0:0 0 \nRss: 4 kB\n";
        assert_eq!(MapEntry::parse_smaps(cut), Err(Malformed { line: 2, expected: "VmFlags before the end" }));
    }
}
