//! What can be wrong with the place a context file is written to.
//!
//! Relies on `crate::error` for the classes. The messages are BLCR's, reason included, because scripts look for them.

use std::io;
use std::path::PathBuf;

use super::file::Owner;
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
    /// A link that leads elsewhere.
    #[error("Unable to open file '{}': it is a symbolic link, and --clobber writes into the file itself", path.display())]
    Link {
        /// Where.
        path: PathBuf,
    },
    /// A file of somebody else, who would get to read the job's memory.
    #[error("Unable to open file '{}': it belongs to user {owner}, and --clobber writes only into files of its own", path.display())]
    Foreign {
        /// Where.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// It cannot be given away.
    #[error("Unable to give '{}' to user {} and group {}: {}", path.display(), owner.uid, owner.gid, plain(reason))]
    Owner {
        /// Which file.
        path: PathBuf,
        /// To whom.
        owner: Owner,
        /// Why not.
        reason: io::Error,
    },
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
            TargetError::Link { .. } | TargetError::Foreign { .. } | TargetError::Owner { .. } => Class::Env,
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
            TargetError::Link { .. } => libc::ELOOP,
            TargetError::Foreign { .. } => libc::EPERM,
            // Not an errno: the exit status BLCR has for it.
            TargetError::NoBackupName { .. } => 255,
            TargetError::Open { reason, .. }
            | TargetError::Mode { reason, .. }
            | TargetError::Owner { reason, .. }
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
            | TargetError::Link { path }
            | TargetError::Foreign { path, .. }
            | TargetError::Owner { path, .. }
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
            TargetError::Link { .. } => "name the file itself, or leave out --clobber, which puts a new file in the place of the link",
            TargetError::Foreign { .. } => "choose another name, or leave out --clobber, which puts a new file in its place",
            TargetError::Owner { .. } => "only root may give files away: leave out --owner",
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
