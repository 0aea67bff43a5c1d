//! Where a context file comes into being: creation policies, hidden and unnamed files until it is complete, backups, permissions,
//! and the order that makes it durable (`cr_checkpoint(1)`, "File creation/replacement").
//!
//! Relies on nothing of the format. A [`Target`] that is dropped before [`Target::finish`] removes what it made.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::backup::{Backup, Kept};
use super::target_error::TargetError;
use super::temporary::Temporary;

/// How a context file comes into being (`cr_checkpoint(1)`, "File creation/replacement").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation {
    /// Written beside, renamed over the target.
    Atomic,
    /// As atomic; what was there is kept under this name, or as `NAME.~N~`.
    Backup(Option<PathBuf>),
    /// Written straight into the target; what was there is lost.
    Clobber,
    /// Fails when the target exists.
    NoClobber,
}

/// Permission bits while a file is being written, whatever they will be.
pub(super) const PRIVATE_MODE: u32 = 0o400;

/// A context file on its way to its place. Absolute, without links resolved.
pub struct Target {
    file: File,
    path: PathBuf,
    /// Permission bits it will have.
    mode: u32,
    /// User and group it will belong to, if they are to be set.
    owner: Option<Owner>,
    /// Whether it may stay where it is when it cannot be given away: on file systems without owners.
    may_keep: bool,
    place: Place,
}

/// To whom a context file is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// Where the bytes are until the target is finished.
enum Place {
    /// In a file that is not at its place yet.
    Beside { temporary: Temporary, backup: Option<Backup> },
    /// In the file itself, which is removed (under its real name) when the checkpoint fails.
    Direct(PathBuf),
    /// In something that was there before: a FIFO, a socket, a device. Nothing to name and nothing to remove.
    Foreign,
    /// At its place; nothing is left to be done.
    Finished,
}

impl Target {
    /// Prepares `path` for a context file that will have the permission bits `mode`. [`Creation::Clobber`] writes into a file of this user only.
    pub fn open(path: &Path, creation: &Creation, mode: u32) -> Result<Target, TargetError> {
        Target::open_as(path, creation, mode, None)
    }

    /// As [`Target::open`]; [`Creation::Clobber`] may write into a file of the user `another`, too.
    pub fn open_as(path: &Path, creation: &Creation, mode: u32, another: Option<u32>) -> Result<Target, TargetError> {
        let cannot_open = |reason| TargetError::Open { path: path.into(), reason };
        let found = match fs::metadata(path) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(cannot_open(error)),
        };
        let (file, place) = match found {
            Some(found) if found.is_dir() => return Err(TargetError::Directory { path: path.into() }),
            Some(found) if found.file_type().is_block_device() => {
                return Err(TargetError::BlockDevice { path: path.into() });
            }
            Some(found) if !found.is_file() || is_alias(path) => (open_foreign(path, &found)?, Place::Foreign),
            _ => match creation {
                Creation::Atomic => open_beside(path, None)?,
                Creation::Backup(name) => open_beside(path, Some(Backup::new(name.clone())))?,
                Creation::Clobber => open_over(path, another)?,
                Creation::NoClobber => open_new(path).map_err(cannot_open)?,
            },
        };
        let path = std::path::absolute(path).map_err(cannot_open)?;
        Ok(Target { file, path, mode, owner: None, may_keep: false, place })
    }

    /// The file to write to, at its beginning.
    pub fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// It will belong to this user and group once it is complete. The descriptor is given away, never a name, which others might have replaced.
    /// With `may_keep` it is no failure that a file system knows no owners, or that the server takes root for nobody.
    pub fn give_to(&mut self, owner: Owner, may_keep: bool) {
        (self.owner, self.may_keep) = (Some(owner), may_keep);
    }

    /// To whom the file belongs now.
    pub fn belongs_to(&self) -> io::Result<u32> {
        Ok(self.file.metadata()?.uid())
    }

    /// Where the context file will stand.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the complete file at its place, with its permission bits; with `sync` it is on the disk afterwards, name and backup
    /// included. On failure the target is as it was before [`Target::open`] (but for `Clobber`, where it is gone).
    pub fn finish(mut self, sync: bool) -> Result<PathBuf, TargetError> {
        if !matches!(self.place, Place::Foreign) {
            if let Some(owner) = self.owner {
                match give(&self.file, owner) {
                    Err(reason) if !(self.may_keep && is_kept(&reason)) => {
                        return Err(TargetError::Owner { path: self.path.clone(), owner, reason });
                    }
                    _ => {}
                }
            }
            self.set_mode()?;
        }
        if sync {
            sync_file(&self.file)?;
        }
        if let Place::Beside { temporary, backup } = &mut self.place {
            let kept = put_at_place(&self.file, temporary, backup.as_ref(), &self.path)?;
            if let Some(kept) = kept.filter(|_| sync) {
                sync_directory_of(kept.name());
            }
        }
        if sync && !matches!(self.place, Place::Foreign) {
            sync_directory_of(&self.path);
        }
        self.place = Place::Finished;
        Ok(std::mem::take(&mut self.path))
    }

    fn set_mode(&self) -> Result<(), TargetError> {
        let set = || {
            let has = self.file.metadata()?.mode() & 0o7777;
            if has == self.mode { Ok(()) } else { self.file.set_permissions(fs::Permissions::from_mode(self.mode)) }
        };
        match set() {
            // A file system without permission bits (vfat) shows those of its mount.
            Err(reason) if !matches!(reason.raw_os_error(), Some(libc::EPERM | libc::EOPNOTSUPP)) => {
                Err(TargetError::Mode { path: self.path.clone(), reason })
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // A temporary removes itself. A direct file goes unless someone put another one there meanwhile.
        if let Place::Direct(path) = &self.place
            && is_same(&self.file, path)
        {
            // Nobody is left to be told; the incomplete file is refused by every reader.
            let _ = fs::remove_file(path);
        }
    }
}

/// Names the complete file `path`; what was there is kept if a backup is asked for. Returns the backup.
fn put_at_place(file: &File, temporary: &mut Temporary, backup: Option<&Backup>, path: &Path) -> Result<Option<Kept>, TargetError> {
    let cannot_rename = |from, reason| TargetError::Rename { from, to: path.into(), reason };
    if let Err(reason) = temporary.link(file) {
        return Err(cannot_rename(temporary.name(), reason));
    }
    let kept = backup.map(|backup| backup.keep(path)).transpose()?.flatten();
    let Err(reason) = fs::rename(temporary.name(), path) else {
        temporary.forget();
        return Ok(kept);
    };
    if let Some(kept) = kept {
        kept.undo(path);
    }
    Err(cannot_rename(temporary.name(), reason))
}

/// Refuses a descriptor (`-F`) that no context file can be written to, as BLCR did.
pub fn check_descriptor(file: &File) -> Result<(), TargetError> {
    let path = PathBuf::from("(descriptor)");
    let flags = fcntl(file, FcntlArg::F_GETFL).map(OFlag::from_bits_retain).map_err(|_| TargetError::NotWritable)?;
    let access = flags & OFlag::O_ACCMODE;
    if access == OFlag::O_RDONLY || flags.contains(OFlag::O_PATH) {
        return Err(TargetError::NotWritable);
    }
    match file.metadata() {
        Ok(found) if found.file_type().is_block_device() => Err(TargetError::BlockDevice { path }),
        Ok(found) if found.is_file() && found.nlink() > 1 => Err(TargetError::HardLinked { path, links: found.nlink() }),
        Ok(_) => Ok(()),
        Err(reason) => Err(TargetError::Open { path, reason }),
    }
}

/// Whether `path` is only another word for an open descriptor (`/dev/stdout`): writing goes there, the word is never replaced.
fn is_alias(path: &Path) -> bool {
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
    is_link && parent.is_some_and(|parent| parent == Path::new("/dev") || parent.starts_with("/proc"))
}

/// Opens what is not a regular file. A FIFO without a reader is refused (ENXIO), as BLCR did, rather than waited for.
fn open_foreign(path: &Path, found: &Metadata) -> Result<File, TargetError> {
    let open = || {
        if found.file_type().is_socket() {
            return UnixStream::connect(path).map(|stream| File::from(OwnedFd::from(stream)));
        }
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = OpenOptions::new().write(true).custom_flags(flags.bits()).open(path)?;
        let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
        fcntl(&file, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
        Ok(file)
    };
    open().map_err(|reason| TargetError::Open { path: path.into(), reason })
}

fn open_beside(path: &Path, backup: Option<Backup>) -> Result<(File, Place), TargetError> {
    let made = std::path::absolute(path).and_then(|path| Temporary::create(&path));
    let (file, temporary) = made.map_err(|reason| TargetError::Open { path: path.into(), reason })?;
    Ok((file, Place::Beside { temporary, backup }))
}

fn open_new(path: &Path) -> io::Result<(File, Place)> {
    let file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE_MODE).open(path)?;
    Ok((file, Place::Direct(real_name(path))))
}

/// Whether a file cannot be given away where it is.
pub fn is_kept(reason: &io::Error) -> bool {
    matches!(reason.raw_os_error(), Some(libc::EPERM | libc::EOPNOTSUPP | libc::EINVAL | libc::ENOSYS))
}

/// Gives an open file to a user. One that is his already may stay so without the right to give.
pub fn give(file: &File, owner: Owner) -> io::Result<()> {
    let found = file.metadata()?;
    if (found.uid(), found.gid()) == (owner.uid, owner.gid) {
        return Ok(());
    }
    Ok(nix::unistd::fchown(file, Some(owner.uid.into()), Some(owner.gid.into()))?)
}

/// Opens the target itself and empties it: a regular file of this user, or of `another`, and no link that leads to one. One that cannot be written to, or
/// not be made private, is replaced by a new file.
fn open_over(path: &Path, another: Option<u32>) -> Result<(File, Place), TargetError> {
    let cannot_open = |reason| TargetError::Open { path: path.into(), reason };
    let options = OpenOptions::new().write(true).custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK | libc::O_NOFOLLOW).to_owned();
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => return Err(TargetError::Link { path: path.into() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return open_new(path).map_err(cannot_open),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return replace(path).map_err(cannot_open),
        Err(error) => return Err(cannot_open(error)),
    };
    let found = file.metadata().map_err(cannot_open)?;
    if !found.is_file() {
        // It took the place of the file that was there a moment ago.
        return Err(cannot_open(io::Error::from_raw_os_error(libc::ESTALE)));
    }
    if found.nlink() > 1 {
        return Err(TargetError::HardLinked { path: path.into(), links: found.nlink() });
    }
    let owner = found.uid();
    if owner != nix::unistd::geteuid().as_raw() && Some(owner) != another {
        return Err(TargetError::Foreign { path: path.into(), owner });
    }
    if file.set_permissions(fs::Permissions::from_mode(PRIVATE_MODE)).is_err() {
        return replace(path).map_err(cannot_open);
    }
    file.set_len(0).map_err(cannot_open)?;
    Ok((file, Place::Direct(real_name(path))))
}

fn replace(path: &Path) -> io::Result<(File, Place)> {
    fs::remove_file(path)?;
    open_new(path)
}

/// The name to remove later, also when the working directory has changed or `path` is a link.
fn real_name(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.into())
}

fn is_same(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// What cannot be synced (a pipe, a device, a read-only file system) needs no syncing.
fn sync_file(file: &File) -> Result<(), TargetError> {
    match file.sync_all() {
        Err(reason) if !matches!(reason.raw_os_error(), Some(libc::EINVAL | libc::EROFS)) => Err(TargetError::Sync { reason }),
        _ => Ok(()),
    }
}

/// Makes the name durable. The file is complete and at its place by now, so that a directory that cannot be opened or synced is no
/// reason to fail (as in BLCR).
fn sync_directory_of(path: &Path) {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
}
