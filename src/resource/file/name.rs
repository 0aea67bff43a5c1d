//! Whether the path of an open file still leads to it.
//!
//! Relies on stat(2) of paths in our own view of the file system: a job in another mount namespace is not looked through.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::proc::FileStat;

/// Where an open file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// This path leads to it.
    Here(PathBuf),
    /// The path it was opened by is gone, but this other hard link in the same directory leads to it.
    Elsewhere(PathBuf),
    /// It had this path; no name of it is known any more.
    Gone(PathBuf),
}

const DELETED: &[u8] = b" (deleted)";

impl Name {
    /// Finds out from the link in `/proc/PID/fd` and the stat of the open file.
    pub fn of(link: &Path, stat: &FileStat) -> Name {
        let bytes = link.as_os_str().as_bytes();
        let stripped = bytes.strip_suffix(DELETED).map(|bytes| PathBuf::from(OsStr::from_bytes(bytes)));
        if stat.nlink == 0 {
            return Name::Gone(stripped.unwrap_or_else(|| link.to_owned()));
        }
        // A name may really end in " (deleted)": so the path as it stands comes first.
        match fs::symlink_metadata(link) {
            Ok(found) if is_same(&found, stat) && !is_silly(link) => return Name::Here(link.to_owned()),
            Ok(_) => {}
            // Unknown is not gone: the restart may have the rights that we lack.
            Err(error) if stripped.is_none() && error.kind() == std::io::ErrorKind::PermissionDenied => {
                return Name::Here(link.to_owned());
            }
            Err(_) => {}
        }
        let path = stripped.unwrap_or_else(|| link.to_owned());
        if let Ok(found) = fs::symlink_metadata(&path)
            && is_same(&found, stat)
            && !is_silly(&path)
        {
            return Name::Here(path);
        }
        sibling(&path, stat).map_or(Name::Gone(path), Name::Elsewhere)
    }
}

fn is_same(found: &fs::Metadata, stat: &FileStat) -> bool {
    (found.dev(), found.ino()) == (stat.dev, stat.ino)
}

/// NFS renames a deleted file that is still open to `.nfs` and a number: it goes when the job closes it.
fn is_silly(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_bytes();
    name.strip_prefix(b".nfs").is_some_and(|digits| digits.len() >= 16 && digits.iter().all(u8::is_ascii_hexdigit))
}

/// Another name of the same file in its directory.
fn sibling(path: &Path, stat: &FileStat) -> Option<PathBuf> {
    let entries = fs::read_dir(path.parent()?).ok()?.flatten();
    let mut same = entries.filter(|entry| entry.ino() == stat.ino).map(|entry| entry.path());
    same.find(|path| fs::symlink_metadata(path).is_ok_and(|found| is_same(&found, stat)) && !is_silly(path))
}

/// What a file type is called, from its mode.
pub fn type_word(mode: u32) -> &'static str {
    match mode & libc::S_IFMT {
        libc::S_IFREG => "a regular file",
        libc::S_IFDIR => "a directory",
        libc::S_IFLNK => "a symbolic link",
        libc::S_IFIFO => "a FIFO",
        libc::S_IFSOCK => "a socket",
        libc::S_IFCHR => "a character device",
        libc::S_IFBLK => "a block device",
        _ => "a file of no known type",
    }
}

#[cfg(test)]
mod test {
    use std::fs::File;

    use super::*;

    fn stat(file: &File) -> FileStat {
        nix::sys::stat::fstat(file).unwrap().into()
    }

    #[test]
    fn names_are_told_by_inode() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let link = |name: &str| path(&format!("{name} (deleted)"));
        let file = File::create(path("a")).unwrap();
        assert_eq!(Name::of(&path("a"), &stat(&file)), Name::Here(path("a")));
        fs::hard_link(path("a"), path("b")).unwrap();
        fs::remove_file(path("a")).unwrap();
        assert_eq!(Name::of(&link("a"), &stat(&file)), Name::Elsewhere(path("b")));
        File::create(path("new")).unwrap();
        fs::rename(path("new"), path("b")).unwrap();
        assert_eq!(Name::of(&link("b"), &stat(&file)), Name::Gone(path("b")));
        let honest = File::create(link("c")).unwrap();
        assert_eq!(Name::of(&link("c"), &stat(&honest)), Name::Here(link("c")));
        let silly = File::create(path(".nfs0123456789abcdef00000001")).unwrap();
        assert!(matches!(Name::of(&path(".nfs0123456789abcdef00000001"), &stat(&silly)), Name::Gone(_)));
    }
}
