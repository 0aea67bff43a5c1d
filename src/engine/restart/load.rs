//! *load*: opening context files and finding the page blocks that belong to one space.
//!
//! Relies on `image`, which verifies every byte before it hands it out. A job in a directory is one description with the pages of each
//! process in a file of its own.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::PlanError;
use super::spool::Spool;
use crate::engine::observe::Observer;
use crate::engine::output::PART_MEMORY;
use crate::engine::request::Source;
use crate::error::{At, Failure, Stage, Subject};
use crate::image::{Block, Part, Reader, Snapshot, Space};
use crate::sys::{Errno, descriptor};

/// The open context files of a job.
pub struct Pages {
    main: Reader,
    /// Parts 1 and up, by position less one.
    parts: Vec<Reader>,
    /// The blocks of a stream that has been read to its end.
    spool: Option<Spool>,
}

impl Pages {
    /// The description of the job.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        self.main.snapshot()
    }

    /// Whether blocks can be read in any order.
    pub fn is_seekable(&self) -> bool {
        self.main.is_seekable()
    }

    /// The reader that has the pages of a space, and the name of the space in its file.
    pub fn reader_of(&mut self, space: Space) -> (&mut Reader, Space) {
        match self.part_of(space) {
            Some(part) => (&mut self.parts[part], Space::Memory(PART_MEMORY)),
            None => (&mut self.main, space),
        }
    }

    /// As [`Pages::reader_of`], to look into a file that can be read anywhere.
    pub fn reader_at(&self, space: Space) -> (&Reader, Space) {
        match self.part_of(space) {
            Some(part) => (&self.parts[part], Space::Memory(PART_MEMORY)),
            None => (&self.main, space),
        }
    }

    /// Which later part has the pages of a space, by position.
    fn part_of(&self, space: Space) -> Option<usize> {
        let Space::Memory(id) = space else { return None };
        let owner = self.main.snapshot().processes.iter().position(|process| process.memory == Some(id));
        owner.and_then(|owner| owner.checked_sub(1)).filter(|_| !self.parts.is_empty())
    }

    /// Checks every byte of all files before anything is made. A stream is checked on its way.
    pub fn verify(&mut self, observer: &mut dyn Observer) -> Result<(), Failure> {
        for reader in std::iter::once(&mut self.main).chain(&mut self.parts) {
            reader.verify(&mut |done, total| observer.progress(done, total)).at(Stage::Load)?;
        }
        Ok(())
    }

    /// Reads a stream to its end and keeps it, so that its writer can end.
    pub fn spool(&mut self) -> Result<(), Failure> {
        self.spool = Some(Spool::fill(&mut self.main)?);
        Ok(())
    }

    /// The same pages once more; `None` if they went by in a stream.
    pub fn again(mut self, source: &Source) -> Option<Result<Pages, Failure>> {
        if let Some(spool) = &mut self.spool {
            spool.rewind();
            return Some(Ok(self));
        }
        matches!(source, Source::File(_)).then(|| open(source))
    }

    /// The next block of a stream and its contents.
    pub fn next_block(&mut self, data: &mut Vec<u8>) -> Result<Option<Block>, Failure> {
        match &mut self.spool {
            Some(spool) => spool.next_block(data).at(Stage::Fill),
            None => self.main.next_block(data).at(Stage::Fill),
        }
    }
}

/// Opens and verifies what a request names.
pub fn open(source: &Source) -> Result<Pages, Failure> {
    let main = match source {
        Source::File(path) => open_file(path)?,
        Source::Fd(fd) => {
            let file = descriptor::duplicate_inherited(*fd).map(File::from);
            let file = file.map_err(|source| PlanError::Open { path: format!("descriptor {fd}").into(), source });
            Reader::open(file.at(Stage::Load)?).at(Stage::Load)?
        }
        Source::Dir(path) => return open_directory(path),
    };
    match &main.snapshot().part {
        None | Some(Part { count: 1, .. }) => Ok(Pages { main, parts: Vec::new(), spool: None }),
        Some(Part { index, count, .. }) => Err(PlanError::OnePart { index: index + 1, count: *count }).at(Stage::Load),
    }
}

fn open_file(path: &Path) -> Result<Reader, Failure> {
    let file = File::open(path).map_err(|error| PlanError::Open { path: path.to_owned(), source: errno(&error) });
    Reader::open(file.at(Stage::Load)?).at(Stage::Load).map_err(|failure| failure.about(Subject::path(path)))
}

/// Opens all parts in a directory; they must be of one job, and complete.
fn open_directory(path: &Path) -> Result<Pages, Failure> {
    let entries =
        std::fs::read_dir(path).map_err(|error| PlanError::Open { path: path.to_owned(), source: errno(&error) }).at(Stage::Load)?;
    let mut found: Vec<(Part, Reader)> = Vec::new();
    for entry in entries.filter_map(Result::ok).filter(|entry| entry.file_name().to_string_lossy().starts_with("context.")) {
        let reader = open_file(&entry.path())?;
        let Some(part) = reader.snapshot().part.clone() else {
            let what = format!("{} is not a part of a job in a directory", entry.path().display());
            return Err(PlanError::Inconsistent { what }).at(Stage::Load);
        };
        found.push((part, reader));
    }
    found.sort_by_key(|(part, _)| part.index);
    let whole = found.first().is_some_and(|(first, _)| {
        first.count as usize == found.len() && (0..).zip(&found).all(|(index, (part, _))| part.index == index && part.job == first.job)
    });
    if !whole {
        return Err(PlanError::Parts { path: path.to_owned(), found: found.len() }).at(Stage::Load);
    }
    let mut readers = found.into_iter().map(|(_, reader)| reader);
    let main = readers.next().expect("a whole job has a first part");
    Ok(Pages { main, parts: readers.collect(), spool: None })
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}
