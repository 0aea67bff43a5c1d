//! What can be wrong with the place a context file is written to.
//!
//! Relies on `crate::error` for the classes. The messages are BLCR's, reason included, because scripts look for them.

use std::io;
use std::path::PathBuf;

use crate::error::{Class, Classified, Subject};

/// Why a context file could not come into being at its place.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The file cannot be opened or made.
    #[error("Unable to open file '{}': {}", path.display(), plain(reason))]
    Open {
        /// Where.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// A directory stands there.
    #[error("File '{}' is a directory: use the '--dir' flag to write context files into a directory", path.display())]
    Directory {
        /// Where.
        path: PathBuf,
    },
    /// Context files are not written to block devices.
    #[error("Unable to open file '{}': it is a block device", path.display())]
    BlockDevice {
        /// Where.
        path: PathBuf,
    },
    /// Writing would change the file under its other names too.
    #[error("Unable to open file '{}': it has {links} names (hard links)", path.display())]
    HardLinked {
        /// Where.
        path: PathBuf,
        /// How many names it has.
        links: u64,
    },
    /// The descriptor given cannot be written to.
    #[error("Unable to write to the given descriptor: it is not open for writing")]
    NotWritable,
    /// The permission bits cannot be set.
    #[error("Unable to set the mode of '{}': {}", path.display(), plain(reason))]
    Mode {
        /// Of which file.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// The complete file, or the backup, cannot get its name.
    #[error("Unable to rename '{}' to '{}': {}", from.display(), to.display(), plain(reason))]
    Rename {
        /// The old name.
        from: PathBuf,
        /// The new name.
        to: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// All numbered backup names are taken.
    #[error("Unable to back up '{}': all names up to '.~{last}~' are taken. This is absurd", path.display())]
    NoBackupName {
        /// Of which file.
        path: PathBuf,
        /// The last number tried.
        last: u32,
    },
    /// The disk did not confirm.
    #[error("Error syncing checkpoint to disk: {}", plain(reason))]
    Sync {
        /// Why not.
        reason: io::Error,
    },
}

/// The text of a kernel error without the number that `io::Error` appends.
fn plain(reason: &io::Error) -> String {
    let text = reason.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].into(),
        None => text,
    }
}

impl Classified for TargetError {
    fn class(&self) -> Class {
        match self {
            TargetError::Directory { .. } | TargetError::NotWritable => Class::Args,
            TargetError::BlockDevice { .. } | TargetError::HardLinked { .. } | TargetError::NoBackupName { .. } => Class::Perm,
            TargetError::Open { reason, .. }
            | TargetError::Mode { reason, .. }
            | TargetError::Rename { reason, .. }
            | TargetError::Sync { reason } => Class::of_errno(reason.raw_os_error().unwrap_or(libc::EIO)),
        }
    }

    fn errno(&self) -> Option<i32> {
        Some(match self {
            TargetError::Directory { .. } => libc::EISDIR,
            TargetError::BlockDevice { .. } => libc::EINVAL,
            TargetError::HardLinked { .. } => libc::EMLINK,
            TargetError::NotWritable => libc::EBADF,
            // Not an errno: the exit status BLCR has for it.
            TargetError::NoBackupName { .. } => 255,
            TargetError::Open { reason, .. }
            | TargetError::Mode { reason, .. }
            | TargetError::Rename { reason, .. }
            | TargetError::Sync { reason } => reason.raw_os_error().unwrap_or(libc::EIO),
        })
    }

    fn subject(&self) -> Subject {
        match self {
            TargetError::Open { path, .. }
            | TargetError::Directory { path }
            | TargetError::BlockDevice { path }
            | TargetError::HardLinked { path, .. }
            | TargetError::Mode { path, .. }
            | TargetError::NoBackupName { path, .. } => Subject::path(path),
            TargetError::Rename { to, .. } => Subject::path(to),
            TargetError::NotWritable | TargetError::Sync { .. } => Subject::default(),
        }
    }

    fn remedy(&self) -> Option<String> {
        let advice = match self {
            TargetError::Open { reason, .. } => match reason.raw_os_error()? {
                libc::EEXIST => "choose another name, or leave out --noclobber",
                libc::ENXIO => "start the reader of the FIFO first",
                libc::ENOENT => "make the directory it is to stand in",
                _ => return None,
            },
            TargetError::HardLinked { .. } => "choose another name, or leave out --clobber",
            TargetError::NoBackupName { .. } => "remove old backups",
            TargetError::Directory { .. }
            | TargetError::BlockDevice { .. }
            | TargetError::NotWritable
            | TargetError::Mode { .. }
            | TargetError::Rename { .. }
            | TargetError::Sync { .. } => return None,
        };
        Some(advice.into())
    }
}
