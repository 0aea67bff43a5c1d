//! What becomes of the context file that was there: kept under a name of the user's, or under the first free `NAME.~N~`.
//!
//! Part of `file`. A numbered backup is a second name for the old file, so that there is no moment without a context file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::target_error::TargetError;

/// The last number tried.
const LAST: u32 = 65536;

/// Where the old file goes.
pub(super) struct Backup {
    /// None is the first free number.
    name: Option<PathBuf>,
}

/// A backup that was made.
#[derive(Debug)]
pub(super) enum Kept {
    /// The old file has this name too.
    Linked(PathBuf),
    /// The old file has this name instead.
    Renamed(PathBuf),
}

impl Backup {
    pub fn new(name: Option<PathBuf>) -> Backup {
        Backup { name }
    }

    /// Keeps the file `old`. None when there is none.
    pub fn keep(&self, old: &Path) -> Result<Option<Kept>, TargetError> {
        if fs::symlink_metadata(old).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Ok(None);
        }
        match &self.name {
            Some(name) => match fs::rename(old, name) {
                Ok(()) => Ok(Some(Kept::Renamed(name.clone()))),
                Err(reason) => Err(TargetError::Rename { from: old.into(), to: name.clone(), reason }),
            },
            None => keep_numbered(old).map(Some),
        }
    }
}

impl Kept {
    /// The backup's name.
    pub fn name(&self) -> &Path {
        match self {
            Kept::Linked(name) | Kept::Renamed(name) => name,
        }
    }

    /// Puts the old file back, as far as that is possible.
    pub fn undo(&self, old: &Path) {
        // The caller is about to report why; the old file exists under one of its names in any case.
        let _ = match self {
            Kept::Linked(name) => fs::remove_file(name),
            Kept::Renamed(name) => fs::rename(name, old),
        };
    }
}

fn keep_numbered(old: &Path) -> Result<Kept, TargetError> {
    for number in 1..=LAST {
        let mut name = old.as_os_str().to_owned();
        name.push(format!(".~{number}~"));
        let name = PathBuf::from(name);
        match fs::hard_link(old, &name) {
            Ok(()) => return Ok(Kept::Linked(name)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(_) => return rename_numbered(old, name),
        }
    }
    Err(TargetError::NoBackupName { path: old.into(), last: LAST })
}

/// For file systems (and foreign files, proc_sys_fs(5) protected_hardlinks) without hard links. `name` was free a moment ago.
fn rename_numbered(old: &Path, name: PathBuf) -> Result<Kept, TargetError> {
    match fs::rename(old, &name) {
        Ok(()) => Ok(Kept::Renamed(name)),
        Err(reason) => Err(TargetError::Rename { from: old.into(), to: name, reason }),
    }
}
