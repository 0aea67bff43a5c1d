//! `/proc/PID/cmdline`, `environ`, `auxv` and `comm` (proc_pid_cmdline(5), proc_pid_environ(5), proc_pid_auxv(5),
//! proc_pid_comm(5)): what a program was started with, as it is now.
//!
//! Relies on nothing. The process may have overwritten all of them but `auxv`; they are read from its memory.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::dir::ProcDir;
use super::error::{Malformed, ProcError};

/// The environment as the process was given it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environ {
    text: Vec<u8>,
}

/// The auxiliary vector (getauxval(3)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Auxv {
    entries: Vec<(u64, u64)>,
}

/// The arguments in `cmdline`: each ends with a NUL, the last perhaps not, if the process wrote over them (setproctitle).
pub fn parse_cmdline(text: &[u8]) -> Vec<OsString> {
    let text = text.strip_suffix(b"\0").unwrap_or(text);
    if text.is_empty() {
        return Vec::new();
    }
    text.split(|&byte| byte == 0).map(|argument| OsString::from_vec(argument.to_vec())).collect()
}

impl Environ {
    /// Takes the text of `environ`: any bytes are good.
    pub fn new(text: Vec<u8>) -> Environ {
        Environ { text }
    }

    /// The value of the first variable of that name, as getenv(3) finds it.
    pub fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.iter().find(|(have, _)| *have == name.as_ref()).map(|(_, value)| value)
    }

    /// Names and values in their order; strings without `=` are left out.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.text.split(|&byte| byte == 0).filter_map(|entry| {
            let equals = entry.iter().position(|&byte| byte == b'=')?;
            Some((OsStr::from_bytes(&entry[..equals]), OsStr::from_bytes(&entry[equals + 1..])))
        })
    }
}

impl Auxv {
    /// Parses `auxv`: pairs of 64-bit words up to AT_NULL. Empty in a thread of the kernel.
    pub fn parse(text: &[u8]) -> Result<Auxv, Malformed> {
        let (words, []) = text.as_chunks::<8>() else {
            return Err(Malformed { line: 1, expected: "whole 64-bit words" });
        };
        let (pairs, []) = words.as_chunks::<2>() else {
            return Err(Malformed { line: 1, expected: "pairs of words" });
        };
        let entries = pairs.iter().map(|&[key, value]| (u64::from_ne_bytes(key), u64::from_ne_bytes(value)));
        Ok(Auxv { entries: entries.take_while(|&(key, _)| key != libc::AT_NULL).collect() })
    }

    /// The value of an entry, for example `libc::AT_SYSINFO_EHDR`.
    pub fn get(&self, key: u64) -> Option<u64> {
        self.entries.iter().find(|(have, _)| *have == key).map(|&(_, value)| value)
    }

    /// Keys and values in their order, without the closing AT_NULL.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.entries.iter().copied()
    }
}

impl ProcDir {
    /// `/proc/PID/cmdline`. Empty in a zombie and in a thread of the kernel.
    pub fn cmdline(&self) -> Result<Vec<OsString>, ProcError> {
        Ok(parse_cmdline(&self.read("cmdline")?))
    }

    /// `/proc/PID/environ`.
    pub fn environ(&self) -> Result<Environ, ProcError> {
        Ok(Environ::new(self.read("environ")?))
    }

    /// `/proc/PID/auxv`.
    pub fn auxv(&self) -> Result<Auxv, ProcError> {
        self.parsed("auxv", Auxv::parse)
    }

    /// `/proc/PID/comm`: the name of the thread, up to 15 bytes of anything but NUL.
    pub fn comm(&self) -> Result<OsString, ProcError> {
        let mut name = self.read("comm")?;
        name.pop_if(|byte| *byte == b'\n');
        Ok(OsString::from_vec(name))
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn arguments_are_split_at_nul() {
        for (text, arguments) in
            [(&b""[..], &[][..]), (b"./s\0", &["./s"][..]), (b"sh\0-c\0\0", &["sh", "-c", ""]), (b"server: idle", &["server: idle"])]
        {
            assert_eq!(parse_cmdline(text), arguments);
        }
    }

    #[test]
    fn the_first_variable_of_a_name_counts() {
        let environ = Environ::new(b"A=1\0PATH=/bin:/usr=x\0junk\0A=2\0EMPTY=\0".to_vec());
        assert_eq!(environ.get("A"), Some(OsStr::new("1")));
        assert_eq!(environ.get("PATH"), Some(OsStr::new("/bin:/usr=x")));
        assert_eq!(environ.get("EMPTY"), Some(OsStr::new("")));
        assert_eq!(environ.get("junk"), None);
        assert_eq!(environ.iter().count(), 4);
    }

    #[test]
    fn the_auxiliary_vector_ends_at_at_null() {
        let words = [33_u64, 0x7f53_61c6_4000, 6, 4096, 0, 0, 9, 9];
        let text: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let auxv = Auxv::parse(&text).unwrap();
        assert_eq!(auxv.get(libc::AT_SYSINFO_EHDR), Some(0x7f53_61c6_4000));
        assert_eq!((auxv.get(libc::AT_PAGESZ), auxv.get(9)), (Some(4096), None));
        assert_eq!(Auxv::parse(&text[..15]).unwrap_err().expected, "whole 64-bit words");
        assert_eq!(Auxv::parse(&text[..8]).unwrap_err().expected, "pairs of words");
    }

    #[test]
    fn our_own_files_are_understood() {
        let dir = ProcDir::open(std::process::id().cast_signed()).unwrap();
        assert_eq!(dir.cmdline().unwrap(), std::env::args_os().collect::<Vec<_>>());
        assert_eq!(dir.environ().unwrap().get("PATH"), std::env::var_os("PATH").as_deref());
        assert_eq!(dir.auxv().unwrap().get(libc::AT_PAGESZ), Some(4096));
        assert_eq!(dir.comm().unwrap(), dir.stat().unwrap().comm);
    }
}
