//! A context file opened to be looked into: its description, and the contents of any saved page.
//!
//! Relies on `restart/load.rs` for the files, which verifies every block before its bytes are handed out. Makes nothing and starts nothing.

use std::path::Path;
use std::sync::Arc;

use super::request::Source;
use super::restart::load::{self, Pages};
use crate::error::{At, Failure, Stage};
use crate::image::{BlockEntry, ImageError, PAGE_BYTES, RunKind, Snapshot, Space};

/// An open context file, or the files of a job in a directory.
pub struct Saved {
    pages: Pages,
}

impl Saved {
    /// Opens a context file or a directory of them. A pipe is refused: its pages cannot be looked up.
    pub fn open(path: &Path) -> Result<Saved, Failure> {
        let source = if path.is_dir() { Source::Dir(path.to_owned()) } else { Source::File(path.to_owned()) };
        let pages = load::open(&source)?;
        let stream = std::io::Error::from_raw_os_error(libc::ESPIPE);
        match pages.is_seekable() {
            true => Ok(Saved { pages }),
            false => Err(ImageError::Io { attempt: "look up pages in a stream", source: stream }).at(Stage::Load),
        }
    }

    /// The description of the job.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        self.pages.snapshot()
    }

    /// The saved pages of a space.
    pub fn contents(&self, space: Space) -> Result<Contents<'_>, Failure> {
        Contents::of(&self.pages, space)
    }
}

/// Consecutive saved pages, and where they stand.
struct Placed {
    page: u64,
    count: u64,
    kind: RunKind,
    entry: BlockEntry,
    /// Position of the first among the data pages of the block.
    at: u64,
}

/// The saved pages of one space.
pub struct Contents<'a> {
    pages: &'a Pages,
    space: Space,
    /// Ascending.
    runs: Vec<Placed>,
    /// The pages that [`RunKind::Same`] refers to.
    parent: Option<Box<Contents<'a>>>,
    /// The block read last, by its place, and its contents.
    block: Option<(u64, Vec<u8>)>,
}

impl<'a> Contents<'a> {
    /// Finds out where the saved pages of a space stand; the files must be readable anywhere.
    pub(super) fn of(pages: &'a Pages, space: Space) -> Result<Contents<'a>, Failure> {
        let (reader, name) = pages.reader_at(space);
        let mut runs = Vec::new();
        for entry in reader.blocks_of(name) {
            let mut at = 0;
            for run in reader.read_runs(entry).at(Stage::Load)?.runs {
                let count = u64::from(run.count);
                runs.push(Placed { page: run.page, count, kind: run.kind, entry: *entry, at });
                at += if run.kind == RunKind::Data { count } else { 0 };
            }
        }
        runs.sort_by_key(|run| run.page);
        let parent = match space {
            Space::Memory(id) => pages.snapshot().memories[id as usize].parent,
            Space::Object(_) => None,
        };
        let parent = parent.filter(|_| runs.iter().any(|run| run.kind == RunKind::Same));
        let parent = parent.map(|id| Contents::of(pages, Space::Memory(id)).map(Box::new)).transpose()?;
        Ok(Contents { pages, space, runs, parent, block: None })
    }

    /// The saved pages, ascending: first page and number of pages. Neighbours are joined.
    pub fn runs(&self) -> Vec<(u64, u64)> {
        let mut joined: Vec<(u64, u64)> = Vec::new();
        for run in &self.runs {
            match joined.last_mut() {
                Some((first, count)) if *first + *count == run.page => *count += run.count,
                Some(_) | None => joined.push((run.page, run.count)),
            }
        }
        joined
    }

    /// Reads one page: `None` when it is not saved, and otherwise whether it has anything but zeros, with its bytes in `into`.
    pub fn read(&mut self, page: u64, into: &mut [u8; PAGE_BYTES]) -> Result<Option<bool>, Failure> {
        let after = self.runs.partition_point(|run| run.page <= page);
        let Some(run) = after.checked_sub(1).map(|index| &self.runs[index]).filter(|run| page - run.page < run.count) else {
            return Ok(None);
        };
        match (run.kind, &mut self.parent) {
            (RunKind::Data, _) => {
                let (entry, at) = (run.entry, run.at + page - run.page);
                self.load(&entry)?;
                let data = &self.block.as_ref().expect("just loaded").1;
                let start = usize::try_from(at).unwrap_or(usize::MAX).saturating_mul(PAGE_BYTES);
                into.copy_from_slice(&data[start..start + PAGE_BYTES]);
                Ok(Some(true))
            }
            (RunKind::Same, Some(parent)) => parent.read(page, into),
            (RunKind::Same, None) | (RunKind::Zero, _) => {
                into.fill(0);
                Ok(Some(false))
            }
        }
    }

    fn load(&mut self, entry: &BlockEntry) -> Result<(), Failure> {
        if self.block.as_ref().is_some_and(|(at, _)| *at == entry.at) {
            return Ok(());
        }
        let mut data = self.block.take().map(|(_, data)| data).unwrap_or_default();
        self.pages.reader_at(self.space).0.read_block(entry, &mut data).at(Stage::Load)?;
        self.block = Some((entry.at, data));
        Ok(())
    }
}
