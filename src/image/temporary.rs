//! The file a context file is written to before it is complete: without a name where the file system has such files, so that nothing
//! is left behind even when the program is killed; else hidden beside the target.
//!
//! Relies on /proc to give an unnamed file its name (open(2), O_TMPFILE). Part of `file`.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::linkat;

use super::file::PRIVATE_MODE;
use super::layout::random;

/// How often a name is drawn when others have taken it.
const ATTEMPTS: u32 = 100;
/// Longest file name in bytes.
const NAME_MAX: usize = 255;

/// A file that is not at its place yet; dropping it removes its name.
pub(super) struct Temporary {
    target: PathBuf,
    name: Option<PathBuf>,
}

impl Temporary {
    /// Makes a file, readable by the owner only, in the directory of `target`, an absolute path.
    pub fn create(target: &Path) -> io::Result<(File, Temporary)> {
        let directory = target.parent().ok_or(io::Error::from_raw_os_error(libc::EISDIR))?;
        let temporary = |name| Temporary { target: target.into(), name };
        if let Ok(file) = options().custom_flags(libc::O_TMPFILE).open(directory)
            && link_source(&file).exists()
        {
            return Ok((file, temporary(None)));
        }
        let (file, name) = draw(target, |name| options().create_new(true).open(name))?;
        Ok((file, temporary(Some(name))))
    }

    /// Gives the file a name beside the target if it has none yet.
    pub fn link(&mut self, file: &File) -> io::Result<()> {
        if self.name.is_none() {
            let link = |name: &Path| Ok(linkat(AT_FDCWD, &link_source(file), AT_FDCWD, name, AtFlags::AT_SYMLINK_FOLLOW)?);
            self.name = Some(draw(&self.target, link)?.1);
        }
        Ok(())
    }

    /// Its name, or one like it while it has none.
    pub fn name(&self) -> PathBuf {
        self.name.clone().unwrap_or_else(|| hidden_name(&self.target, "unnamed"))
    }

    /// After it was renamed: the name is no longer ours.
    pub fn forget(&mut self) {
        self.name = None;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Nobody else knows the name, and nobody is left to be told.
        if let Some(name) = &self.name {
            let _ = fs::remove_file(name);
        }
    }
}

fn options() -> OpenOptions {
    OpenOptions::new().write(true).mode(PRIVATE_MODE).to_owned()
}

fn link_source(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Calls `make` with hidden names beside `target` until one is free.
fn draw<T>(target: &Path, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<(T, PathBuf)> {
    let mut taken = io::Error::from_raw_os_error(libc::EEXIST);
    for _ in 0..ATTEMPTS {
        let name = hidden_name(target, &format!("{:08x}", random() & 0xffff_ffff));
        match make(&name) {
            Ok(made) => return Ok((made, name)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => taken = error,
            Err(error) => return Err(error),
        }
    }
    Err(taken)
}

/// `.NAME.WORD.tmp` beside `target`, shortened where NAME is too long for it.
fn hidden_name(target: &Path, word: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().as_bytes();
    let suffix = format!(".{word}.tmp");
    let kept = name.len().min(NAME_MAX - 1 - suffix.len());
    let hidden = [b".", &name[..kept], suffix.as_bytes()].concat();
    target.with_file_name(std::ffi::OsString::from_vec(hidden))
}

#[cfg(test)]
mod test {
    use super::*;
    use std::io::Write;

    #[test]
    fn hidden_names_stay_beside_the_target_and_within_limits() {
        assert_eq!(hidden_name(Path::new("/a/context.7"), "0a"), Path::new("/a/.context.7.0a.tmp"));
        let long = format!("/a/{}", "x".repeat(255));
        assert_eq!(hidden_name(Path::new(&long), "12345678").file_name().unwrap().len(), NAME_MAX);
    }

    #[test]
    fn a_dropped_file_leaves_no_name() {
        let directory = tempfile::tempdir().unwrap();
        let (mut file, mut temporary) = Temporary::create(&directory.path().join("context.1")).unwrap();
        file.write_all(b"x").unwrap();
        temporary.link(&file).unwrap();
        assert_eq!(fs::metadata(temporary.name()).unwrap().len(), 1);
        drop(temporary);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
