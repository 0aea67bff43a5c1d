//! The `VmFlags` line of `/proc/PID/smaps` (proc_pid_smaps(5)): two letters for each attribute of a memory area.
//!
//! Relies on nothing. Known codes are bits of one word, so that an area needs no allocation; codes of newer kernels, and the `??`
//! of flags without a name, are kept beside them.

use std::fmt;

/// Codes in the order in which the kernel prints them (the bits of `vm_flags`, `show_smap_vma_flags` of `fs/proc/task_mmu.c`).
const CODES: [[u8; 2]; 37] = [
    *b"rd", *b"wr", *b"ex", *b"sh", *b"mr", *b"mw", *b"me", *b"ms", *b"gd", *b"um", *b"pf", *b"gu", *b"uw", *b"lo", *b"io", *b"sr", *b"rr",
    *b"dc", *b"de", *b"lf", *b"ac", *b"nr", *b"ht", *b"sf", *b"ar", *b"wf", *b"dd", *b"sd", *b"mm", *b"hg", *b"nh", *b"mg", *b"ss", *b"mt",
    *b"ui", *b"dp", *b"sl",
];

/// The attributes of a memory area.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct VmFlags {
    known: u64,
    others: Vec<[u8; 2]>,
}

impl VmFlags {
    /// Whether the area has the attribute with this code, known to us or not.
    pub fn has(&self, code: &str) -> bool {
        let Ok(code) = <[u8; 2]>::try_from(code.as_bytes()) else { return false };
        match index(code) {
            Some(index) => self.known & 1 << index != 0,
            None => self.others.contains(&code),
        }
    }

    /// The codes: those we know in the kernel's order, then the others.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        let known = CODES.iter().enumerate().filter(|(index, _)| self.known & 1 << index != 0).map(|(_, code)| code);
        known.chain(&self.others).map(|code| std::str::from_utf8(code).unwrap_or("??"))
    }

    /// Codes that we do not know: a newer kernel's.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        self.others.iter().map(|code| std::str::from_utf8(code).unwrap_or("??"))
    }

    /// Parses the value of the line, two letters a word. None when a word is of another length.
    pub(super) fn parse(value: &[u8]) -> Option<VmFlags> {
        let mut flags = VmFlags::default();
        for word in value.split(|&byte| byte == b' ').filter(|word| !word.is_empty()) {
            let code = <[u8; 2]>::try_from(word).ok()?;
            match index(code) {
                Some(index) => flags.known |= 1 << index,
                None => flags.others.push(code),
            }
        }
        Some(flags)
    }
}

fn index(code: [u8; 2]) -> Option<usize> {
    CODES.iter().position(|known| *known == code)
}

impl fmt::Display for VmFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for code in self.codes() {
            write!(f, "{separator}{code}")?;
            separator = " ";
        }
        Ok(())
    }
}

impl fmt::Debug for VmFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VmFlags({self})")
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn codes_come_back_in_the_kernels_order() {
        for line in ["rd wr mr mw me nr wf dd dp", "rd mr pf io de dd", "rd wr sh mr mw me ms", "rd wr mr mw me gd ac sl", ""] {
            assert_eq!(VmFlags::parse(line.as_bytes()).unwrap().to_string(), line);
        }
    }

    #[test]
    fn codes_of_a_newer_kernel_are_kept() {
        let flags = VmFlags::parse(b"rd zz ex ?? ").unwrap();
        assert!(flags.has("zz") && flags.has("rd") && !flags.has("wr") && !flags.has("rdx"));
        assert_eq!(flags.to_string(), "rd ex zz ??");
        assert_eq!(flags.unknown().collect::<Vec<_>>(), ["zz", "??"]);
    }

    #[test]
    fn a_cut_code_is_refused() {
        assert_eq!(VmFlags::parse(b"rd w"), None);
        assert!(!VmFlags::parse(b"\xff\xff").unwrap().has("rd"), "not text, but two bytes");
    }
}
