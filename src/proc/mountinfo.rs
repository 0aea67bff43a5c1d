//! `/proc/PID/mountinfo` (proc_pid_mountinfo(5)): the mounts a process sees.
//!
//! Relies on nothing. Paths are bytes; the mount id is the `mnt_id` of fdinfo.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::device::Device;
use super::dir::ProcDir;
use super::error::{Malformed, ProcError};
use super::text::{Words, lines, unescape};

/// Characters the kernel writes in octal: blank, tab, newline, backslash and `#`.
const ESCAPED: &[u8] = b" \t\n\\#";

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its id, unique while it is mounted.
    pub id: i32,
    /// The mount it is on.
    pub parent: i32,
    /// `st_dev` of its files (btrfs shows another).
    pub device: Device,
    /// The directory of the file system that is mounted here.
    pub root: PathBuf,
    /// Where it is mounted, seen from the process's root.
    pub mount_point: PathBuf,
    /// Options of the mount: `rw,relatime`.
    pub options: OsString,
    /// Propagation: `shared:1`, `master:2`, `propagate_from:3`, `unbindable`.
    pub propagation: Vec<OsString>,
    /// Type, perhaps with a subtype: `ext4`, `fuse.sshfs`.
    pub fs_type: OsString,
    /// What is mounted: a device, a server's directory, or any word. May be empty.
    pub source: OsString,
    /// Options of the file system.
    pub super_options: OsString,
}

impl Mount {
    /// Parses the file.
    pub fn parse_all(text: &[u8]) -> Result<Vec<Mount>, Malformed> {
        lines(text).map(|(line, text)| Mount::parse(line, text)).collect()
    }

    fn parse(line: usize, text: &[u8]) -> Result<Mount, Malformed> {
        let mut words = Words::new(line, text);
        let id = words.signed("a mount id")?;
        let parent = words.signed("the parent's mount id")?;
        let device = Device::parse(words.word("a device")?, 10).ok_or(words.expected("a device"))?;
        let root = PathBuf::from(plain(words.word("a root")?));
        let mount_point = PathBuf::from(plain(words.word("a mount point")?));
        let options = plain(words.word("options")?);
        let mut propagation = Vec::new();
        loop {
            match words.word("a separator")? {
                b"-" => break,
                field => propagation.push(plain(field)),
            }
        }
        // The source may be empty, so that two blanks follow each other.
        let mut rest = words.rest().splitn(3, |&byte| byte == b' ');
        let mut field = |expected| rest.next().map(plain).ok_or(words.expected(expected));
        let fs_type = field("a file system type")?;
        let source = field("a source")?;
        let super_options = field("options of the file system")?;
        Ok(Mount { id, parent, device, root, mount_point, options, propagation, fs_type, source, super_options })
    }
}

fn plain(field: &[u8]) -> OsString {
    OsString::from_vec(unescape(field, ESCAPED))
}

impl ProcDir {
    /// `/proc/PID/mountinfo`. A zombie has none: EINVAL.
    pub fn mounts(&self) -> Result<Vec<Mount>, ProcError> {
        self.parsed("mountinfo", Mount::parse_all)
    }
}

#[cfg(test)]
mod test {
    use super::super::text::survives_cuts;
    use super::*;

    #[rustfmt::skip]
    const MOUNTS: &[u8] = b"22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard,resv_strict,resuid=65534,resgid=65534
63 43 0:39 /sub /tmp/m\\040n\\134 rw,relatime shared:1 master:2 - tmpfs sr\\040c rw
64 43 0:40 / /mnt ro - fuse.test  rw,user_id=0
";

    #[test]
    fn every_field_of_a_mount() {
        let rows: Vec<String> = Mount::parse_all(MOUNTS).unwrap().iter().map(|mount| format!("{mount:?}")).collect();
        insta::assert_snapshot!(rows.join("\n"), @r#"
        Mount { id: 22, parent: 27, device: 0:21, root: "/", mount_point: "/proc", options: "rw,relatime", propagation: [], fs_type: "proc", source: "proc", super_options: "rw" }
        Mount { id: 27, parent: 1, device: 254:0, root: "/", mount_point: "/", options: "rw,relatime", propagation: [], fs_type: "ext4", source: "/dev/vda", super_options: "rw,discard,resv_strict,resuid=65534,resgid=65534" }
        Mount { id: 63, parent: 43, device: 0:39, root: "/sub", mount_point: "/tmp/m n\\", options: "rw,relatime", propagation: ["shared:1", "master:2"], fs_type: "tmpfs", source: "sr c", super_options: "rw" }
        Mount { id: 64, parent: 43, device: 0:40, root: "/", mount_point: "/mnt", options: "ro", propagation: [], fs_type: "fuse.test", source: "", super_options: "rw,user_id=0" }
        "#);
    }

    #[test]
    fn our_own_root_is_the_one_fstat_shows() {
        let dir = ProcDir::open(std::process::id().cast_signed()).unwrap();
        let mounts = dir.mounts().unwrap();
        let root = mounts.iter().rfind(|mount| mount.mount_point.as_os_str() == "/").unwrap();
        assert_eq!(root.device, dir.stat_link("root").unwrap().device());
    }

    #[test]
    fn a_cut_text_is_refused_without_panic() {
        survives_cuts(MOUNTS, Mount::parse_all);
        assert_eq!(Mount::parse_all(&MOUNTS[..30]), Err(Malformed { line: 1, expected: "a separator" }));
    }
}
