//! Putting a file that has no name yet in the place of whatever is at a path, in one step that can be undone.
//!
//! Relies on linkat(2) of unnamed files and renameat2(2), inside a directory that is held from the first look on. On file systems without
//! RENAME_EXCHANGE the old file is gone at once.

use std::os::fd::{AsFd, OwnedFd};

use super::{name, open};
use crate::resource::KindError;
use crate::resource::actor::Place;
use crate::sys::Errno;

/// A file that has been put in its place.
#[derive(Debug)]
pub struct Replaced {
    place: Place,
    /// Where the file that was there waits.
    old: Option<Place>,
}

/// A file that is to be put in its place.
#[derive(Debug)]
pub struct Replacement {
    file: OwnedFd,
    name: Option<Place>,
    place: Place,
    replaced: Option<Replaced>,
}

impl Replacement {
    /// `file` and `name` come from [`Replaced::prepare`].
    pub fn new(file: OwnedFd, name: Option<Place>, place: Place) -> Replacement {
        Replacement { file, name, place, replaced: None }
    }

    /// Puts it there.
    pub fn make(&mut self) -> Result<(), KindError> {
        self.replaced = Some(Replaced::put(&self.file, self.name.as_ref(), &self.place)?);
        Ok(())
    }

    /// Drops what was there before.
    pub fn keep(self) -> Result<(), KindError> {
        self.replaced.map_or(Ok(()), Replaced::keep)
    }

    /// Brings back what was there before.
    pub fn undo(self) -> Result<(), KindError> {
        self.replaced.map_or(Ok(()), Replaced::undo)
    }
}

impl Replaced {
    /// Makes the file that will be put at `place`, beside it: without a name where that can be, else with the one returned.
    pub fn prepare(place: &Place) -> Result<(OwnedFd, Option<Place>), KindError> {
        open::fresh(place).map_err(|errno| place.refusal("make a file beside", errno))
    }

    /// Gives `file` the name `place`. `file` and `name` come from [`Replaced::prepare`].
    pub fn put(file: &OwnedFd, name: Option<&Place>, place: &Place) -> Result<Replaced, KindError> {
        let error = |errno: Errno| place.refusal("put the saved contents back at", errno);
        let temporary = match name {
            Some(name) => name.clone(),
            None => {
                let temporary = place.spare();
                temporary.link(file.as_fd()).map_err(error)?;
                temporary
            }
        };
        let renamed = match temporary.rename(place, libc::RENAME_EXCHANGE) {
            Ok(()) => return Replaced { place: place.clone(), old: Some(temporary) }.only_a_file(),
            Err(Errno::ENOENT) => temporary.rename(place, libc::RENAME_NOREPLACE),
            Err(Errno::EINVAL | Errno::ENOSYS) => temporary.rename(place, 0),
            Err(errno) => Err(errno),
        };
        match renamed {
            Ok(()) => Ok(Replaced { place: place.clone(), old: None }),
            Err(errno) => {
                // The error that matters is the first one; the name is ours alone.
                let _ = temporary.remove();
                Err(error(errno))
            }
        }
    }

    /// What came out must be a regular file: anything else is put back.
    fn only_a_file(self) -> Result<Replaced, KindError> {
        let Some(found) = self.old.as_ref().and_then(|old| old.look().ok()) else { return Ok(self) };
        if found.mode & libc::S_IFMT == libc::S_IFREG {
            return Ok(self);
        }
        let (path, what) = (self.place.path().to_owned(), format!("it was a regular file and is {} now", name::type_word(found.mode)));
        self.undo()?;
        Err(KindError::Changed { path, what })
    }

    /// Drops the file that was there before.
    pub fn keep(self) -> Result<(), KindError> {
        match &self.old {
            Some(old) => old.remove().map_err(|errno| old.refusal("remove the replaced file", errno)),
            None => Ok(()),
        }
    }

    /// Brings back what was there before, or nothing.
    pub fn undo(self) -> Result<(), KindError> {
        let undone = match &self.old {
            Some(old) => old.rename(&self.place, libc::RENAME_EXCHANGE).and_then(|()| old.remove()),
            None => self.place.remove(),
        };
        undone.map_err(|errno| self.place.refusal("bring back", errno))
    }
}

#[cfg(test)]
mod test {
    use std::fs;
    use std::io::Write;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::resource::actor::Actor;

    fn place(path: &Path) -> Place {
        Arc::new(Actor::ours()).place(path).unwrap()
    }

    fn prepared(path: &Path) -> (OwnedFd, Option<Place>) {
        let (file, name) = Replaced::prepare(&place(path)).unwrap();
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
        let replaced = Replaced::put(&file, name.as_ref(), &place(&path)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "saved");
        replaced.undo().unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names()), ("old", 1));
        let (file, name) = prepared(&path);
        Replaced::put(&file, name.as_ref(), &place(&path)).unwrap().keep().unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names()), ("saved", 1));
    }

    #[test]
    fn where_nothing_was_nothing_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        let (file, name) = prepared(&path);
        let replaced = Replaced::put(&file, name.as_ref(), &place(&path)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "saved");
        replaced.undo().unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_is_moved_on_the_way_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (real, moved) = (directory.path().join("real"), directory.path().join("moved"));
        fs::create_dir(&real).unwrap();
        let place = place(&real.join("data"));
        fs::rename(&real, &moved).unwrap();
        fs::create_dir(&real).unwrap();
        fs::write(real.join("data"), "of somebody else").unwrap();
        let (file, name) = Replaced::prepare(&place).unwrap();
        Replaced::put(&file, name.as_ref(), &place).unwrap().keep().unwrap();
        assert_eq!(fs::read_to_string(real.join("data")).unwrap(), "of somebody else");
        assert!(moved.join("data").exists());
    }

    #[test]
    fn a_link_and_a_directory_are_put_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        fs::create_dir(&path).unwrap();
        let (file, name) = prepared(&path);
        let error = Replaced::put(&file, name.as_ref(), &place(&path)).unwrap_err().to_string();
        assert!(error.ends_with("it was a regular file and is a directory now"), "{error}");
        fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        let (file, name) = prepared(&path);
        Replaced::put(&file, name.as_ref(), &place(&path)).unwrap_err();
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("/etc/passwd"));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
