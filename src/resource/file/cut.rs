//! Putting a file back to its saved length, in a way that can be undone: what is cut off waits in a file without a name.
//!
//! Relies on a descriptor of the file that is open for writing: a path could lead elsewhere by now. Leaves to the engine when it is done.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;
use nix::unistd::ftruncate;

use super::open;
use crate::resource::KindError;
use crate::resource::actor::{self, Actor};
use crate::sys::Errno;

/// A file and the length it goes back to.
#[derive(Debug)]
pub struct Cut {
    path: PathBuf,
    /// Open for writing.
    file: File,
    /// Open for reading, and the copy of what is cut off; none where we may not read.
    tail: Option<(File, File)>,
    length: u64,
    /// Bytes that the copy has.
    kept: u64,
    mtime: (i64, i64),
    is_done: bool,
}

impl Cut {
    /// Copies what will be cut off. `writer` is the job's descriptor, `length` the saved length.
    pub fn prepare(actor: &Arc<Actor>, path: &Path, writer: BorrowedFd<'_>, length: u64) -> Result<Cut, KindError> {
        let host = |errno| KindError::path("look at", path, errno);
        let file = File::from(actor::keep(writer).map_err(host)?);
        let found = nix::sys::stat::fstat(&file).map_err(host)?;
        let directory = path.parent().unwrap_or(Path::new("/"));
        let tail = match open::reopen_to_read(writer) {
            Ok(reader) => Some((File::from(reader), File::from(open::unnamed(actor, directory, false)?))),
            Err(_) => None,
        };
        let mtime = (found.st_mtime, found.st_mtime_nsec);
        let mut cut = Cut { path: path.to_owned(), file, tail, length, kept: 0, mtime, is_done: false };
        cut.keep_tail()?;
        Ok(cut)
    }

    /// Copies what has come since, too.
    fn keep_tail(&mut self) -> Result<(), KindError> {
        let Some((reader, tail)) = &mut self.tail else { return Ok(()) };
        let copied = reader.seek(SeekFrom::Start(self.length + self.kept)).and_then(|_| io::copy(reader, tail));
        let attempt = "keep a copy of what is cut from the end of";
        self.kept += copied.map_err(|error| KindError::path(attempt, &self.path, errno(&error)))?;
        Ok(())
    }

    /// Bytes beyond the saved length, as far as they are known.
    pub fn bytes(&self) -> u64 {
        self.file.metadata().map_or(self.kept, |now| now.len().saturating_sub(self.length))
    }

    /// Cuts. Nothing that can fail may come between this and the release but what ends in [`Cut::undo`].
    pub fn make(&mut self) -> Result<(), KindError> {
        self.keep_tail()?;
        let length = i64::try_from(self.length).unwrap_or(i64::MAX);
        let attempt = || format!("set the length to {length} bytes of");
        ftruncate(&self.file, length).map_err(|errno| KindError::path(attempt(), &self.path, errno))?;
        self.is_done = true;
        Ok(())
    }

    /// Puts back what was cut off.
    pub fn undo(self) -> Result<(), KindError> {
        let Some((_, mut tail)) = self.tail.filter(|_| self.is_done) else { return Ok(()) };
        let mut file = self.file;
        // The offset belongs to the job's description, which ends with the failed restart.
        let written = tail.rewind().and_then(|()| file.seek(SeekFrom::Start(self.length))).and_then(|_| io::copy(&mut tail, &mut file));
        written.map_err(|error| KindError::path("put back what was cut from the end of", &self.path, errno(&error)))?;
        let (s, ns) = self.mtime;
        // A time that cannot be set back harms nobody.
        let _unchanged = futimens(file.as_fd(), &TimeSpec::UTIME_OMIT, &TimeSpec::new(s, ns));
        Ok(())
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod test {
    use std::fs;

    use super::*;

    fn cut(path: &Path, append: bool) -> Cut {
        let file = File::options().write(true).append(append).open(path).unwrap();
        Cut::prepare(&Arc::new(Actor::ours()), path, file.as_fd(), 4).unwrap()
    }

    #[test]
    fn what_is_cut_comes_back_also_what_came_at_the_last_moment() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        for append in [false, true] {
            fs::write(&path, "0123456789").unwrap();
            let before = fs::metadata(&path).unwrap().modified().unwrap();
            let mut cut = cut(&path, append);
            io::Write::write_all(&mut File::options().append(true).open(&path).unwrap(), b" late").unwrap();
            assert_eq!(cut.bytes(), 11);
            cut.make().unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"0123");
            cut.undo().unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"0123456789 late");
            assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_was_not_cut_is_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fs::write(&path, "0123456789").unwrap();
        cut(&path, false).undo().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"0123456789");
    }
}
