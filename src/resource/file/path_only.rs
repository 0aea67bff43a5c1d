//! Descriptors made with O_PATH, which only name a place: a file of any type, a directory, a symbolic link itself.
//!
//! **Kept:** path and flags.
//! **Lost:** nothing.
//! **Refused:** at restart, a place that is missing or of another type. (Deleted regular files belong to the kind `regular`.)

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::name::{self, Name};
use super::open;
use crate::image::{Description, Object, ObjectId, Tag};
use crate::resource::{Build, Built, Capture, FileKind, Identity, KindError, Opened, Plan, Probe};

/// Descriptors made with O_PATH.
pub struct PathOnly;

/// A place that a descriptor names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathOnlyV1 {
    /// Its path.
    #[serde(with = "crate::image::path")]
    pub path: PathBuf,
    /// Type and permissions.
    pub mode: u32,
    /// Device it is on.
    #[serde(default)]
    pub dev: u64,
    /// Inode number.
    #[serde(default)]
    pub ino: u64,
}

impl FileKind for PathOnly {
    type State = PathOnlyV1;
    const TAG: Tag = Tag::new("path_only", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        probe.info.flags & libc::O_PATH != 0 && probe.link.is_absolute() && !probe.is_deleted()
    }

    fn identity(&self, probe: &Probe<'_>) -> Identity {
        Identity::Path(probe.stat.dev, probe.stat.ino, probe.link.to_owned())
    }

    fn capture(&self, probes: &[&Probe<'_>], _: &mut Capture) -> Result<PathOnlyV1, KindError> {
        match Name::of(probes[0].link, probes[0].stat) {
            Name::Here(path) | Name::Elsewhere(path) => {
                let stat = probes[0].stat;
                Ok(PathOnlyV1 { path, mode: stat.mode, dev: stat.dev, ino: stat.ino })
            }
            Name::Gone(path) => Err(KindError::Unsupported {
                what: format!("an O_PATH descriptor of {}, whose name is gone,", path.display()),
                remedy: "let the program close it first".into(),
            }),
        }
    }

    fn plan(&self, state: &PathOnlyV1, _: (ObjectId, &Object), cx: &mut Plan<'_>) -> Result<(), KindError> {
        let path = (cx.path)(&state.path);
        let found = cx.actor.look(&path).map_err(|errno| cx.actor.refusal("find", &path, errno))?;
        let (was, is) = (name::type_word(state.mode), name::type_word(found.mode));
        if was != is {
            return Err(KindError::Changed { path, what: format!("it was {was} and is {is} now") });
        }
        Ok(())
    }

    fn build(&self, _: &PathOnlyV1, _: (ObjectId, &Object), _: &mut Build<'_>) -> Result<Built, KindError> {
        Ok(Built::default())
    }

    fn open(&self, state: &PathOnlyV1, _: &Built, description: &Description, cx: &mut Build<'_>) -> Result<Opened, KindError> {
        let path = (cx.path)(&state.path);
        let is_link = state.mode & libc::S_IFMT == libc::S_IFLNK;
        let flags = description.flags | libc::O_PATH | if is_link { libc::O_NOFOLLOW } else { 0 };
        let known = Some((state.dev, state.ino));
        open::open_path(cx.actor, &path, flags, known, &mut cx.warnings).map(Opened::New)
    }
}

#[cfg(test)]
mod test {
    use std::fs::File;
    use std::os::unix::fs::OpenOptionsExt;

    use super::super::test::Round;
    use super::*;

    #[test]
    fn a_link_itself_and_a_file_come_back_without_access() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        File::create(&file).unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        for (path, mode) in [(&file, libc::S_IFREG), (&link, libc::S_IFLNK)] {
            let opened = File::options().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(path).unwrap();
            let again = Round::of(&PathOnly, &[&opened]).open(0);
            assert_eq!(nix::sys::stat::fstat(&again).unwrap().st_mode & libc::S_IFMT, mode);
            assert!(crate::sys::descriptor::status_flags(std::os::fd::AsFd::as_fd(&again)).unwrap() & libc::O_PATH != 0);
        }
    }
}
