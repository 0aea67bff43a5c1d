//! Checking every byte of a context file.
//!
//! Part of [`Reader`]. Header, description, index and trailer of a seekable file were verified when it was opened, and the index
//! leaves no gap, so the blocks are what remains: several threads read them. A stream is read to its end in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use super::block::BlockEntry;
use super::error::ImageError;
use super::layout::PAGE_BYTES;
use super::load::Reader;

/// Most threads: each has a buffer of a block (1 MiB).
const MAX_THREADS: usize = 4;

/// What a verified context file came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verified {
    /// Bytes of the whole file.
    pub bytes: u64,
    /// Number of blocks.
    pub blocks: u64,
    /// Bytes of page contents in it.
    pub page_bytes: u64,
}

impl Reader {
    /// Verifies every byte. `progress` hears of bytes done and bytes in all (0 while that is unknown, as in a stream).
    pub fn verify(&mut self, progress: &mut dyn FnMut(u64, u64)) -> Result<Verified, ImageError> {
        match self.source.bytes() {
            Some(bytes) => self.verify_blocks(bytes, progress),
            None => self.verify_stream(progress),
        }
    }

    fn verify_stream(&mut self, progress: &mut dyn FnMut(u64, u64)) -> Result<Verified, ImageError> {
        let mut data = Vec::new();
        while self.next_block(&mut data)?.is_some() {
            progress(self.source.position(), 0);
        }
        Ok(Verified { bytes: self.source.position(), blocks: self.seen.blocks, page_bytes: self.seen.data_pages * PAGE_BYTES as u64 })
    }

    fn verify_blocks(&self, bytes: u64, progress: &mut dyn FnMut(u64, u64)) -> Result<Verified, ImageError> {
        let size = |entry: &BlockEntry| (1 + u64::from(entry.stored_pages)) * PAGE_BYTES as u64;
        let data_pages: u64 = self.entries.iter().map(|entry| u64::from(entry.data_pages)).sum();
        let mut done = bytes - self.entries.iter().map(size).sum::<u64>();
        let next = AtomicUsize::new(0);
        let n_threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
        let first_error = thread::scope(|scope| {
            let (results, verified) = channel();
            for _ in 0..n_threads {
                let (results, next) = (results.clone(), &next);
                scope.spawn(move || self.verify_some(next, &results));
            }
            drop(results);
            let mut first_error: Option<(u64, ImageError)> = None;
            for (entry, result) in verified {
                done += size(&entry);
                progress(done, bytes);
                if let Err(error) = result
                    && first_error.as_ref().is_none_or(|(at, _)| entry.at < *at)
                {
                    next.store(self.entries.len(), Ordering::Relaxed);
                    first_error = Some((entry.at, error));
                }
            }
            first_error
        });
        match first_error {
            Some((_, error)) => Err(error),
            None => Ok(Verified { bytes, blocks: self.entries.len() as u64, page_bytes: data_pages * PAGE_BYTES as u64 }),
        }
    }

    /// Verifies one block after the other, as long as `next` has some.
    fn verify_some(&self, next: &AtomicUsize, results: &Sender<(BlockEntry, Result<(), ImageError>)>) {
        let mut data = Vec::new();
        while let Some(entry) = self.entries.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = self.read_block(entry, &mut data).map(drop);
            if results.send((*entry, result)).is_err() {
                return;
            }
        }
    }
}
