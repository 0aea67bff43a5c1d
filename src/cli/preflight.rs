//! What can be known about the files of a command line before the engine is asked: a target that cannot be written and a context
//! file that cannot be read are refused while the job still runs undisturbed.
//!
//! Looks only, opens nothing (opening a pipe would disturb its other end); the engine finds out for sure.
//! Messages and codes are BLCR's: "Unable to open file ..." for targets, "Failed to open(...)" for sources.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::{AccessFlags, faccessat};

use super::exit::{Reason, Refusal};
use super::high::parent;
use super::text::strerror;
use crate::engine::request::{Creation, Destination, Source};
use crate::error::{Class, Classified, Failure, Stage, Subject};

/// Why a target cannot be written.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are named in the messages")]
pub enum TargetError {
    /// The kernel says no.
    #[error("cannot write {}: {}", path.display(), strerror(*errno))]
    Closed { path: PathBuf, errno: i32 },
    /// It is a directory.
    #[error("{} is a directory", path.display())]
    Directory { path: PathBuf },
    /// It exists and `--noclobber` was given.
    #[error("{} exists and --noclobber was given", path.display())]
    Exists { path: PathBuf },
    /// It is a block device.
    #[error("{} is a block device", path.display())]
    BlockDevice { path: PathBuf },
    /// It has other names, which would change with it.
    #[error("{} has {names} names (hard links) that would all change", path.display())]
    HardLinks { path: PathBuf, names: u64 },
}

impl TargetError {
    fn path(&self) -> &Path {
        match self {
            TargetError::Closed { path, .. }
            | TargetError::Directory { path }
            | TargetError::Exists { path }
            | TargetError::BlockDevice { path }
            | TargetError::HardLinks { path, .. } => path,
        }
    }

    fn number(&self) -> i32 {
        match self {
            TargetError::Closed { errno, .. } => *errno,
            TargetError::Directory { .. } => libc::EISDIR,
            TargetError::Exists { .. } => libc::EEXIST,
            TargetError::BlockDevice { .. } => libc::EINVAL,
            TargetError::HardLinks { .. } => libc::EMLINK,
        }
    }

    /// The lines that scripts know from BLCR.
    pub fn headline(&self) -> String {
        let path = self.path().display();
        match self {
            TargetError::Directory { .. } => {
                format!("File '{path}' is a directory: use the '--dir' flag to write one file a process into a new directory")
            }
            _ => format!("Unable to open file '{path}': {}\nFailed to open checkpoint file '{path}'", strerror(self.number())),
        }
    }
}

impl Classified for TargetError {
    fn class(&self) -> Class {
        match self {
            TargetError::Closed { errno: libc::EROFS, .. } => Class::Env,
            TargetError::Closed { errno, .. } => Class::of_errno(*errno),
            TargetError::Directory { .. } | TargetError::BlockDevice { .. } => Class::Args,
            TargetError::Exists { .. } | TargetError::HardLinks { .. } => Class::Env,
        }
    }
    fn errno(&self) -> Option<i32> {
        Some(self.number())
    }
    fn subject(&self) -> Subject {
        Subject::path(self.path())
    }
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            TargetError::Closed { errno: libc::ENOENT, path } => {
                return Some(format!("make the directory {} first, or choose another place with -f", parent(path).display()));
            }
            TargetError::Closed { errno: libc::ENOTDIR, .. } => "check the name, or choose another place with -f",
            TargetError::Closed { .. } => "choose another place with -f, or make this one writable",
            TargetError::Directory { .. } => "name a file with -f, or a new directory with -d",
            TargetError::Exists { .. } => "choose another name, or use --atomic or --backup",
            TargetError::BlockDevice { .. } => "name a file, or use -F with an open descriptor",
            TargetError::HardLinks { .. } => "use --atomic, which leaves the other names alone",
        };
        Some(remedy.into())
    }
}

/// Refuses a target that cannot be written.
pub fn target(destination: &Destination, creation: &Creation) -> Result<(), Failure> {
    match destination {
        Destination::File(path) => target_file(path, creation).map_err(|error| Failure::new(Stage::Request, error)),
        Destination::Fd(_) | Destination::Dir(_) => Ok(()),
    }
}

fn target_file(path: &Path, creation: &Creation) -> Result<(), TargetError> {
    let path_buf = || path.to_owned();
    let beside = |path: &Path| {
        let access = faccessat(nix::fcntl::AT_FDCWD, parent(path), AccessFlags::W_OK | AccessFlags::X_OK, AtFlags::AT_EACCESS);
        access.map_err(|errno| TargetError::Closed { path: path.to_owned(), errno: errno as i32 })
    };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return beside(path),
        Err(error) => {
            return Err(TargetError::Closed { path: path_buf(), errno: error.raw_os_error().unwrap_or(libc::EIO) });
        }
    };
    let kind = metadata.file_type();
    match creation {
        _ if kind.is_dir() => Err(TargetError::Directory { path: path_buf() }),
        Creation::NoClobber => Err(TargetError::Exists { path: path_buf() }),
        _ if kind.is_block_device() => Err(TargetError::BlockDevice { path: path_buf() }),
        _ if !kind.is_file() => Ok(()),
        Creation::Clobber if metadata.nlink() > 1 => Err(TargetError::HardLinks { path: path_buf(), names: metadata.nlink() }),
        Creation::Clobber => Ok(()),
        Creation::Atomic | Creation::Backup(_) => beside(path),
    }
}

/// Refuses a context file that is missing or unreadable: among the arguments, as the manual counts it.
pub fn source(source: &Source) -> Result<(), Refusal> {
    let (path, directory) = match source {
        Source::Fd(_) => return Ok(()),
        Source::File(path) => (path, false),
        Source::Dir(path) => (path, true),
    };
    let readable = faccessat(nix::fcntl::AT_FDCWD, path, AccessFlags::R_OK, AtFlags::AT_EACCESS);
    let readable = readable.and_then(|()| if directory && !path.is_dir() { Err(Errno::ENOTDIR) } else { Ok(()) });
    readable.map_err(|errno| unreadable(path, errno as i32))
}

/// The refusal of a context file that cannot be opened.
pub fn unreadable(path: &Path, errno: i32) -> Refusal {
    let remedy = match errno {
        libc::ENOENT => "check the name of the context file",
        libc::EACCES => "run it as a user who may read the context file",
        libc::ENOTDIR => "name a directory that cr_checkpoint --dir made, or leave out --dir",
        _ => "check the context file",
    };
    let text = format!("Failed to open({}, O_RDONLY): {}", path.display(), strerror(errno));
    Refusal { reason: Reason::Source(errno), text, path: Some(path.to_owned()), remedy: Some(remedy.into()) }
}

#[cfg(test)]
mod test {
    use super::*;

    fn refused(path: &Path, creation: &Creation) -> (i32, String) {
        let failure = target(&Destination::File(path.into()), creation).unwrap_err();
        let headline = failure.cause.downcast_ref::<TargetError>().unwrap().headline();
        (failure.code, headline.replace(path.to_str().unwrap(), "T"))
    }

    #[test]
    fn targets_that_cannot_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let there = dir.path().join("there");
        std::fs::write(&there, "").unwrap();
        std::fs::hard_link(&there, dir.path().join("other")).unwrap();
        for (path, creation, code, headline) in [
            (
                dir.path().to_owned(),
                Creation::Atomic,
                21,
                "File 'T' is a directory: use the '--dir' flag to write one file a process into a new directory",
            ),
            (there.clone(), Creation::NoClobber, 17, "Unable to open file 'T': File exists\nFailed to open checkpoint file 'T'"),
            (there.clone(), Creation::Clobber, 31, "Unable to open file 'T': Too many links\nFailed to open checkpoint file 'T'"),
            (
                dir.path().join("no/x"),
                Creation::Atomic,
                2,
                "Unable to open file 'T': No such file or directory\nFailed to open checkpoint file 'T'",
            ),
            (there.join("x"), Creation::Clobber, 20, "Unable to open file 'T': Not a directory\nFailed to open checkpoint file 'T'"),
        ] {
            assert_eq!(refused(&path, &creation), (code, headline.to_owned()), "{path:?} {creation:?}");
        }
    }

    #[test]
    fn targets_that_can() {
        let dir = tempfile::tempdir().unwrap();
        let there = dir.path().join("there");
        std::fs::write(&there, "").unwrap();
        for (path, creation) in [
            (dir.path().join("new"), Creation::NoClobber),
            (there.clone(), Creation::Atomic),
            (there.clone(), Creation::Backup(None)),
            (there, Creation::Clobber),
            ("/dev/null".into(), Creation::Atomic),
        ] {
            assert!(target(&Destination::File(path.clone()), &creation).is_ok(), "{path:?} {creation:?}");
        }
    }

    #[test]
    fn a_missing_context_file_is_an_argument_error_with_255() {
        let refusal = source(&Source::File("/nonexistent/c".into())).unwrap_err();
        assert_eq!(refusal.status(), 255);
        assert_eq!(refusal.text, "Failed to open(/nonexistent/c, O_RDONLY): No such file or directory");
        assert_eq!(refusal.remedy.as_deref(), Some("check the name of the context file"));
        assert_eq!(refusal.path.as_deref(), Some(Path::new("/nonexistent/c")));
        assert_eq!(source(&Source::Dir("/dev/null".into())).unwrap_err().errno(), libc::ENOTDIR);
        assert_eq!(source(&Source::Fd(0)), Ok(()));
    }
}
