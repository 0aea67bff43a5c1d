//! Where a context file is read from: a seekable file by offset, anything else in order.
//!
//! Relies on nix for `preadv` and `poll`. Knows nothing of what the bytes mean.

use std::fs::File;
use std::io::{self, IoSliceMut, Read, Seek};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::error::ImageError;

/// How long to wait for the end of a stream after its trailer, milliseconds. A writer that keeps its end open longer than that (a
/// shell with the FIFO open) does not hold up the restart.
const END_WAIT_MS: u16 = 200;

/// A context file being read.
pub(super) struct Source {
    file: File,
    /// Length in bytes, when it can be read at any offset.
    bytes: Option<u64>,
    /// Offset in bytes of the next byte in order.
    at: u64,
}

impl Source {
    /// A regular file at its beginning is read by offset, everything else in order from where it stands.
    pub fn new(mut file: File) -> Result<Source, ImageError> {
        let failed = |source| ImageError::Io { attempt: "look at the context file", source };
        let metadata = file.metadata().map_err(failed)?;
        let is_seekable = metadata.is_file() && file.stream_position().map_err(failed)? == 0;
        Ok(Source { file, bytes: is_seekable.then_some(metadata.len()), at: 0 })
    }

    /// Length in bytes of a seekable file.
    pub fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// Offset in bytes of what [`Source::read`] reads next.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Moves to another offset of a seekable file.
    pub fn set_position(&mut self, at: u64) {
        self.at = at;
    }

    pub fn into_file(self) -> File {
        self.file
    }

    /// Fills `buffer` with what comes next. `what` says in which part the file ends if it ends.
    pub fn read(&mut self, buffer: &mut [u8], what: &'static str) -> Result<(), ImageError> {
        let done = self.read_most(buffer)?;
        if done < buffer.len() { Err(ImageError::Truncated { what, at: self.at }) } else { Ok(()) }
    }

    /// Fills `buffer` as far as the file goes; returns how many bytes.
    pub fn read_most(&mut self, buffer: &mut [u8]) -> Result<usize, ImageError> {
        let done = if self.bytes.is_some() {
            self.read_most_at(self.at, &mut [IoSliceMut::new(buffer)])?
        } else {
            fill(&self.file, &mut [IoSliceMut::new(buffer)], |_, parts| (&self.file).read_vectored(parts))?
        };
        self.at += done as u64;
        Ok(done)
    }

    /// Fills `parts` with what stands at offset `at` of a seekable file.
    pub fn read_at(&self, at: u64, parts: &mut [IoSliceMut<'_>], what: &'static str) -> Result<(), ImageError> {
        let wanted: usize = parts.iter().map(|part| part.len()).sum();
        let done = self.read_most_at(at, parts)?;
        if done < wanted { Err(ImageError::Truncated { what, at: at + done as u64 }) } else { Ok(()) }
    }

    fn read_most_at(&self, at: u64, parts: &mut [IoSliceMut<'_>]) -> Result<usize, ImageError> {
        fill(&self.file, parts, |done, parts| {
            let at = at.checked_add(done as u64).and_then(|at| i64::try_from(at).ok());
            let at = at.ok_or(io::Error::from_raw_os_error(libc::EOVERFLOW))?;
            Ok(nix::sys::uio::preadv(&self.file, parts, at)?)
        })
    }

    /// Makes sure that nothing follows.
    pub fn expect_end(&mut self) -> Result<(), ImageError> {
        if self.bytes.is_none() && !is_ready(&self.file, PollFlags::POLLIN, END_WAIT_MS.into())? {
            return Ok(());
        }
        let at = self.at;
        match self.read_most(&mut [0])? {
            0 => Ok(()),
            _ => Err(ImageError::Damaged { what: "something follows after its end", at }),
        }
    }
}

/// Reads with `read(bytes so far, parts)` until all parts are full or the file ends.
fn fill(
    file: &File,
    mut parts: &mut [IoSliceMut<'_>],
    read: impl Fn(usize, &mut [IoSliceMut<'_>]) -> io::Result<usize>,
) -> Result<usize, ImageError> {
    let mut done = 0;
    IoSliceMut::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        match read(done, parts) {
            Ok(0) => break,
            Ok(n) => {
                done += n;
                IoSliceMut::advance_slices(&mut parts, n);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                is_ready(file, PollFlags::POLLIN, PollTimeout::NONE)?;
            }
            Err(source) => return Err(ImageError::Io { attempt: "read the context file", source }),
        }
    }
    Ok(done)
}

/// Waits until `file` can be read or written (or has been hung up).
pub(super) fn is_ready(file: &File, events: PollFlags, timeout: PollTimeout) -> Result<bool, ImageError> {
    loop {
        match poll(&mut [PollFd::new(file.as_fd(), events)], timeout) {
            Ok(n) => return Ok(n > 0),
            Err(nix::Error::EINTR) => {}
            Err(errno) => return Err(ImageError::Io { attempt: "wait for the context file", source: errno.into() }),
        }
    }
}
