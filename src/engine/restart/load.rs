//! *load*: opening context files and finding the page blocks that belong to one space.
//!
//! Relies on `image`, which verifies every byte before it hands it out. A job in a directory is one description with the pages of each
//! process in a file of its own.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use super::PlanError;
use super::spool::Spool;
use super::trust::Origin;
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
    /// Where all of it comes from.
    origins: Vec<Origin>,
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

    /// As root: refuses files that could give somebody more rights than he has.
    pub fn check_trust(&self) -> Result<(), PlanError> {
        self.origins.iter().try_for_each(|origin| origin.check(self.snapshot()))
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
        let again = || {
            let pages = open(source)?;
            // What was decided about the first must hold for what is read now.
            let is_same =
                self.origins.len() == pages.origins.len() && self.origins.iter().zip(&pages.origins).all(|(one, other)| one.is(other));
            if is_same { Ok(pages) } else { Err(PlanError::Inconsistent { what: "another file has its name now".into() }).at(Stage::Load) }
        };
        matches!(source, Source::File(_)).then(again)
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
    let (origin, main) = match source {
        Source::File(path) => open_file(path)?,
        Source::Fd(fd) => {
            let file = descriptor::duplicate_inherited(*fd).map(File::from);
            let file = file.map_err(|source| PlanError::Descriptor { fd: *fd, source });
            read(file.at(Stage::Load)?, Path::new(&format!("of descriptor {fd}")))?
        }
        Source::Dir(path) => return open_directory(path),
    };
    match &main.snapshot().part {
        None | Some(Part { count: 1, .. }) => Ok(Pages { main, parts: Vec::new(), spool: None, origins: vec![origin] }),
        Some(Part { index, count, .. }) => Err(PlanError::OnePart { index: index + 1, count: *count }).at(Stage::Load),
    }
}

fn open_file(path: &Path) -> Result<(Origin, Reader), Failure> {
    let file = File::open(path).map_err(|error| PlanError::Open { path: path.to_owned(), source: errno(&error) });
    read(file.at(Stage::Load)?, path).map_err(|failure| failure.about(Subject::path(path)))
}

/// Looks at an open file and reads its description.
fn read(file: File, path: &Path) -> Result<(Origin, Reader), Failure> {
    let origin = Origin::of(&file, path).map_err(|error| PlanError::Open { path: path.to_owned(), source: errno(&error) });
    Ok((origin.at(Stage::Load)?, Reader::open(file).at(Stage::Load)?))
}

/// Opens all parts in a directory; they must be of one job, and complete.
fn open_directory(path: &Path) -> Result<Pages, Failure> {
    let entries =
        std::fs::read_dir(path).map_err(|error| PlanError::Open { path: path.to_owned(), source: errno(&error) }).at(Stage::Load)?;
    let mut found: Vec<(Part, Reader)> = Vec::new();
    let mut origins = Vec::new();
    for entry in entries.filter_map(Result::ok).filter(|entry| entry.file_name().to_string_lossy().starts_with("context.")) {
        let (origin, reader) = open_part(&entry.path())?;
        origins.push(origin);
        let Some(part) = reader.snapshot().part.clone() else {
            let what = format!("{} is not a part of a job in a directory", entry.path().display());
            return Err(PlanError::Inconsistent { what }).at(Stage::Load);
        };
        found.push((part, reader));
    }
    found.sort_by_key(|(part, _)| part.index);
    let whole = found.first().is_some_and(|(first, main)| {
        let count = main.snapshot().processes.len();
        first.count as usize == count
            && found.len() == count
            && (0..).zip(&found).all(|(index, (part, _))| part.index == index && part.count == first.count && part.job == first.job)
    });
    if !whole {
        return Err(PlanError::Parts { path: path.to_owned(), found: found.len() }).at(Stage::Load);
    }
    let mut readers = found.into_iter().map(|(_, reader)| reader);
    let main = readers.next().expect("a whole job has a first part");
    let mut parts: Vec<Reader> = readers.collect();
    confine(&main, &mut parts).at(Stage::Load)?;
    Ok(Pages { main, parts, spool: None, origins })
}

/// Opens one of the files in a directory: what is not a regular file is none, and nobody waits for it.
fn open_part(path: &Path) -> Result<(Origin, Reader), Failure> {
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_NOCTTY;
    let opened = File::options().read(true).custom_flags(flags).open(path).and_then(|file| Ok((file.metadata()?.is_file(), file)));
    let read = match opened {
        Ok((true, file)) => read(file, path),
        Ok((false, _)) => Err(PlanError::NoPart { path: path.to_owned() }).at(Stage::Load),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => Err(PlanError::NoPart { path: path.to_owned() }).at(Stage::Load),
        Err(error) => Err(PlanError::Open { path: path.to_owned(), source: errno(&error) }).at(Stage::Load),
    };
    read.map_err(|failure| failure.about(Subject::path(path)))
}

/// Each later part has the pages of the process at its place, which the first part describes.
fn confine(main: &Reader, parts: &mut [Reader]) -> Result<(), PlanError> {
    let whole = main.snapshot();
    for (process, part) in whole.processes.iter().skip(1).zip(parts) {
        let found = part.snapshot().processes.first().map(|process| process.pid);
        if found != Some(process.pid) {
            let what = format!("the file of process {} has process {}", process.pid, found.unwrap_or(0));
            return Err(PlanError::Inconsistent { what });
        }
        if let Some(memory) = process.memory {
            part.confine(PART_MEMORY, &whole.memories[memory as usize].areas);
        }
    }
    Ok(())
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn nobody_waits_for_what_is_no_file_in_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("context.1");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let refusal = || open_directory(directory.path()).err().unwrap().to_string();
        assert!(refusal().ends_with("context.1 is not a regular file"), "{}", refusal());
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(refusal().ends_with("context.1 is not a regular file"), "{}", refusal());
    }
}
