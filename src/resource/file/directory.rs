//! Directories.
//!
//! **Kept:** path, offset (the next name to be read), flags.
//! **Lost:** names that were added or removed since the checkpoint show as the file system pleases.
//! **Refused:** a directory that was removed while open; at restart, one that is missing or something else.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::name::{self, Name};
use super::open;
use crate::image::{Description, Object, ObjectId, Tag};
use crate::resource::{Build, Built, Capture, FileKind, Identity, KindError, Opened, Plan, Probe, Question};

/// Directories.
pub struct Directory;

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryV1 {
    /// Its path.
    #[serde(with = "crate::image::path")]
    pub path: PathBuf,
    /// Device it is on.
    #[serde(default)]
    pub dev: u64,
    /// Inode number.
    #[serde(default)]
    pub ino: u64,
}

impl FileKind for Directory {
    type State = DirectoryV1;
    const TAG: Tag = Tag::new("directory", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        probe.file_type() == libc::S_IFDIR && probe.link.is_absolute()
    }

    fn identity(&self, probe: &Probe<'_>) -> Identity {
        Identity::Path(probe.stat.dev, probe.stat.ino, probe.link.to_owned())
    }

    fn capture(&self, probes: &[&Probe<'_>], _: &mut Capture) -> Result<DirectoryV1, KindError> {
        match Name::of(probes[0].link, probes[0].stat) {
            Name::Here(path) | Name::Elsewhere(path) => Ok(DirectoryV1 { path, dev: probes[0].stat.dev, ino: probes[0].stat.ino }),
            Name::Gone(path) => Err(KindError::Unsupported {
                what: format!("the removed directory {}", path.display()),
                remedy: "let the program close it first".into(),
            }),
        }
    }

    fn question(&self) -> Question {
        Question::Nothing
    }

    fn plan(&self, state: &DirectoryV1, _: (ObjectId, &Object), cx: &mut Plan<'_>) -> Result<(), KindError> {
        let path = (cx.path)(&state.path);
        let found = cx.actor.look(&path).map_err(|errno| cx.actor.refusal("find the directory", &path, errno))?;
        if found.mode & libc::S_IFMT != libc::S_IFDIR {
            let what = format!("it was a directory and is {} now", name::type_word(found.mode));
            return Err(KindError::Changed { path, what });
        }
        Ok(())
    }

    fn build(&self, _: &DirectoryV1, _: (ObjectId, &Object), _: &mut Build<'_>) -> Result<Built, KindError> {
        Ok(Built::default())
    }

    fn open(&self, state: &DirectoryV1, _: &Built, description: &Description, cx: &mut Build<'_>) -> Result<Opened, KindError> {
        let path = (cx.path)(&state.path);
        let known = Some((state.dev, state.ino));
        let fd = open::open_path(cx.actor, &path, description.flags | libc::O_DIRECTORY, known, &mut cx.warnings)?;
        read_once(&fd);
        Ok(Opened::New(fd))
    }

    fn seeks(&self) -> bool {
        true
    }
}

/// Reads a name from the start. ext4 remembers the hash of a reader's first position, and would find nothing after a `rewinddir` if
/// that were the position where the job was. A directory that may not be read has no reader.
fn read_once(fd: &OwnedFd) {
    let names = fd.try_clone().ok().and_then(|copy| nix::dir::Dir::from_fd(copy).ok());
    names.into_iter().for_each(|mut names| drop(names.iter().next()));
}

#[cfg(test)]
mod test {
    use std::fs::File;

    use super::super::test::{Round, probe_of, with_plan};
    use super::*;

    #[test]
    fn reading_goes_on_where_it_was() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            File::create(directory.path().join(name)).unwrap();
        }
        let mut reader = nix::dir::Dir::open(directory.path(), nix::fcntl::OFlag::O_DIRECTORY, nix::sys::stat::Mode::empty()).unwrap();
        let mut names = reader.iter();
        assert_eq!(names.by_ref().count(), 5);
        // Dropping it would go back to the start.
        std::mem::forget(names);
        let opened = Round::of(&Directory, &[&reader]).open(0);
        let mut again = nix::dir::Dir::from_fd(opened).unwrap();
        assert_eq!(again.iter().count(), 0, "all names were read before");
    }

    #[test]
    fn a_removed_one_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = File::open(directory.path()).unwrap();
        directory.close().unwrap();
        let error = probe_of(&file, |probe| Directory.capture(&[probe], &mut Capture::default())).unwrap_err();
        assert!(error.to_string().starts_with("the removed directory /tmp/"), "{error}");
    }

    #[test]
    fn a_file_in_its_place_is_refused() {
        let place = tempfile::NamedTempFile::new().unwrap();
        let state = DirectoryV1 { path: place.path().to_owned(), dev: 0, ino: 0 };
        let (complaint, _) = with_plan(&Directory, &state);
        assert!(complaint.unwrap().ends_with("it was a directory and is a regular file now"));
    }
}
