//! Putting a file that has no name yet in the place of whatever is at a path, in one step that can be undone.
//!
//! Relies on linkat(2) of unnamed files and renameat2(2). On file systems without RENAME_EXCHANGE the old file is gone at once.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags, RenameFlags, renameat2};
use nix::unistd::linkat;

use super::open;
use crate::resource::KindError;
use crate::sys::Errno;

/// A file that has been put in its place.
#[derive(Debug)]
pub struct Replaced {
    path: PathBuf,
    /// Where the file that was there waits.
    old: Option<PathBuf>,
}

impl Replaced {
    /// Makes the file that will be put at `path`, in its directory: without a name where that can be, else with the one returned.
    pub fn prepare(path: &Path) -> Result<(OwnedFd, Option<PathBuf>), KindError> {
        let directory = path.parent().unwrap_or(Path::new("/"));
        let error = |errno: Errno| KindError::path("make a file beside", path, errno);
        match open::nameless(directory) {
            Ok(file) => Ok((file, None)),
            Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => {
                open::named(directory).map(|(file, name)| (file, Some(name))).map_err(error)
            }
            Err(errno) => Err(error(errno)),
        }
    }

    /// Gives `file` the name `path`. `file` and `name` come from [`Replaced::prepare`].
    pub fn put(file: &OwnedFd, name: Option<&Path>, path: &Path) -> Result<Replaced, KindError> {
        let error = |errno: Errno| KindError::path("put the saved contents back at", path, errno);
        let temporary = match name {
            Some(name) => name.to_owned(),
            None => {
                let temporary = open::spare_name(path.parent().unwrap_or(Path::new("/")));
                let source = format!("/proc/self/fd/{}", file.as_raw_fd());
                linkat(AT_FDCWD, source.as_str(), AT_FDCWD, &temporary, AtFlags::AT_SYMLINK_FOLLOW).map_err(error)?;
                temporary
            }
        };
        let rename = |flags| renameat2(AT_FDCWD, &temporary, AT_FDCWD, path, flags);
        let renamed = match rename(RenameFlags::RENAME_EXCHANGE) {
            Ok(()) => Ok(Some(temporary.clone())),
            Err(Errno::ENOENT) => rename(RenameFlags::RENAME_NOREPLACE).map(|()| None),
            Err(Errno::EINVAL | Errno::ENOSYS) => rename(RenameFlags::empty()).map(|()| None),
            Err(errno) => Err(errno),
        };
        match renamed {
            Ok(old) => Ok(Replaced { path: path.to_owned(), old }),
            Err(errno) => {
                // The error that matters is the first one; the name is ours alone.
                let _ = fs::remove_file(&temporary);
                Err(error(errno))
            }
        }
    }

    /// Drops the file that was there before.
    pub fn keep(self) -> Result<(), KindError> {
        match &self.old {
            Some(old) => fs::remove_file(old).map_err(|error| KindError::path("remove the replaced file", old, errno(&error))),
            None => Ok(()),
        }
    }

    /// Brings back the file that was there before, or no file.
    pub fn undo(self) -> Result<(), KindError> {
        let undone = match &self.old {
            Some(old) => fs::rename(old, &self.path),
            None => fs::remove_file(&self.path),
        };
        undone.map_err(|error| KindError::path("bring back", &self.path, errno(&error)))
    }
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod test {
    use super::*;
    use std::io::Write;

    fn prepared(path: &Path) -> (OwnedFd, Option<PathBuf>) {
        let (file, name) = Replaced::prepare(path).unwrap();
        fs::File::from(file.try_clone().unwrap()).write_all(b"saved").unwrap();
        (file, name)
    }

    #[test]
    fn it_takes_the_place_and_gives_it_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        let names = || fs::read_dir(directory.path()).unwrap().count();
        fs::write(&path, "old").unwrap();
        let (file, name) = prepared(&path);
        let replaced = Replaced::put(&file, name.as_deref(), &path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "saved");
        replaced.undo().unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names()), ("old", 1));
        let (file, name) = prepared(&path);
        Replaced::put(&file, name.as_deref(), &path).unwrap().keep().unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names()), ("saved", 1));
    }

    #[test]
    fn where_nothing_was_nothing_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        let (file, name) = prepared(&path);
        let replaced = Replaced::put(&file, name.as_deref(), &path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "saved");
        replaced.undo().unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        let error = Replaced::prepare(&directory.path().join("no/data")).unwrap_err().to_string();
        assert!(error.contains("make a file beside"), "{error}");
    }
}
