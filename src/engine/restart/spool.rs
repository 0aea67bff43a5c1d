//! A stream that is kept until it can be used: its blocks in an unnamed temporary file.
//!
//! On one machine, `cr_checkpoint -F 1 --kill PID | cr_restart -F 0` reads a job that holds its ids until its last page has been taken. Relies
//! on `image`, which verifies every block on its way in. Leaves the question when that is needed to the plan.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::error::{At, Failure, Stage};
use crate::image::{Block, Reader};
use crate::resource::KindError;
use crate::resource::actor::Actor;
use crate::resource::file::open;
use crate::sys::Errno;

/// All blocks of a stream, in its order.
pub struct Spool {
    file: File,
    /// Blocks and how many bytes of contents each has.
    blocks: Vec<(Block, usize)>,
    next: usize,
    /// Where the contents of the next block begin, in bytes.
    at: u64,
}

impl Spool {
    /// Reads a stream to its end.
    pub fn fill(reader: &mut Reader) -> Result<Spool, Failure> {
        let file = File::from(open::unnamed(&Arc::new(Actor::ours()), &std::env::temp_dir(), false).at(Stage::Load)?);
        let mut spool = Spool { file, blocks: Vec::new(), next: 0, at: 0 };
        let mut data = Vec::new();
        while let Some(block) = reader.next_block(&mut data).at(Stage::Load)? {
            spool
                .file
                .write_all_at(&data, spool.at)
                .map_err(|error| host("keep the stream in a temporary file", &error))
                .at(Stage::Load)?;
            spool.at += data.len() as u64;
            spool.blocks.push((block, data.len()));
        }
        spool.rewind();
        Ok(spool)
    }

    /// Begins again.
    pub fn rewind(&mut self) {
        (self.next, self.at) = (0, 0);
    }

    /// The next block and its contents, or none at the end.
    pub fn next_block(&mut self, data: &mut Vec<u8>) -> Result<Option<Block>, KindError> {
        let Some((block, bytes)) = self.blocks.get(self.next) else { return Ok(None) };
        data.resize(*bytes, 0);
        self.file.read_exact_at(data, self.at).map_err(|error| host("read the stream from a temporary file", &error))?;
        self.next += 1;
        self.at += *bytes as u64;
        Ok(Some(block.clone()))
    }
}

fn host(attempt: &str, error: &std::io::Error) -> KindError {
    KindError::host(attempt, Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
}
