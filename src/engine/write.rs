//! *write*: page contents from a frozen job into the context file.
//!
//! Relies on process_vm_readv(2): a block is copied into a small buffer that stays in the processor's cache, looked at for zero pages,
//! checksummed and written from there, by as many threads as there are processors. Pages equal to the parent's page at the same address
//! are recorded, not copied. Leaves to `image` how blocks lie in the file.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::observe::Observer;
use super::survey::{Contents, Source};
use crate::error::{At, Failure, Stage};
use crate::image::{BLOCK_PAGES, ImageError, MAX_RUNS, Run, RunKind, Writer};
use crate::resource::KindError;
use crate::sys::{Errno, procvm};
use crate::tracee::freeze::Deadline;
use crate::tracee::memory;

const PAGE: usize = 4096;
const BLOCK: usize = BLOCK_PAGES * PAGE;

/// A piece of work: some runs of bytes that fill at most one block.
type Piece = Vec<(u64, u64)>;

/// Writes all contents. On failure nothing in the job has changed.
pub fn write(contents: &[Contents], writer: &Writer, deadline: Deadline, observer: &mut dyn Observer) -> Result<(), Failure> {
    let total: u64 = contents.iter().map(Contents::bytes).sum();
    let mut before = 0;
    for content in contents {
        let done = AtomicU64::new(0);
        write_one(content, writer, deadline, &done, &mut |done| observer.progress(before + done, total))?;
        before += content.bytes();
        observer.progress(before, total);
    }
    Ok(())
}

fn write_one(
    content: &Contents,
    writer: &Writer,
    deadline: Deadline,
    done: &AtomicU64,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Failure> {
    let pieces = Mutex::new(Pieces::of(&content.source).at(Stage::Write)?);
    let failed = AtomicBool::new(false);
    let work = |mut tell: Option<&mut dyn FnMut(u64)>| -> Result<(), Failure> {
        let mut buffers = Buffers::default();
        while !failed.load(Ordering::Relaxed) {
            let Some(piece) = pieces.lock().expect("no writer panics").next() else { return Ok(()) };
            let result = deadline.check().at(Stage::Write).and_then(|()| write_piece(content, &piece, writer, &mut buffers));
            if let Err(failure) = result {
                failed.store(true, Ordering::Relaxed);
                return Err(failure);
            }
            let bytes: u64 = piece.iter().map(|run| run.1 - run.0).sum();
            let now = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
            if let Some(tell) = tell.as_mut() {
                tell(now);
            }
        }
        Ok(())
    };
    // Small contents are not worth a thread.
    let helpers = if content.bytes() < 4 * BLOCK as u64 { 0 } else { crate::sys::processors().min(8) - 1 };
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(|| work(None))).collect();
        let own = work(Some(progress));
        helpers.into_iter().fold(own, |result, helper| first_cause(result, helper.join().expect("no writer panics")))
    })
}

/// The failure of two that tells the reason: the others only say that the file is spoiled.
fn first_cause(one: Result<(), Failure>, other: Result<(), Failure>) -> Result<(), Failure> {
    let is_spoiled = |failure: &Failure| matches!(failure.cause.downcast_ref(), Some(ImageError::Spoiled));
    match (one, other) {
        (Err(one), Err(other)) => Err(if is_spoiled(&one) { other } else { one }),
        (one, other) => one.and(other),
    }
}

/// Cuts contents into pieces of at most one block.
struct Pieces {
    ranges: std::vec::IntoIter<(u64, u64)>,
    rest: Option<(u64, u64)>,
}

impl Pieces {
    fn of(source: &Source) -> Result<Pieces, KindError> {
        let ranges = match source {
            Source::Memory { ranges, .. } => ranges.clone(),
            Source::File { file, bytes } => data_ranges(file.as_fd(), *bytes)?,
            Source::Pieces(pieces) => pieces.iter().map(|piece| (piece.offset, piece.offset + piece.bytes)).collect(),
            Source::View { bytes, .. } => vec![(0, *bytes)],
        };
        Ok(Pieces { ranges: ranges.into_iter(), rest: None })
    }

    fn next(&mut self) -> Option<Piece> {
        let mut piece = Piece::new();
        let mut room = BLOCK as u64;
        while 0 < room && piece.len() < MAX_RUNS {
            let Some((start, end)) = self.rest.take().or_else(|| self.ranges.next()) else { break };
            let cut = end.min(start + room);
            piece.push((start, cut));
            room -= (cut - start).next_multiple_of(PAGE as u64).min(room);
            self.rest = (cut < end).then_some((cut, end));
        }
        (!piece.is_empty()).then_some(piece)
    }
}

/// The parts of a file that are not holes, widened to whole pages (lseek(2), SEEK_DATA).
fn data_ranges(file: std::os::fd::BorrowedFd<'_>, bytes: u64) -> Result<Vec<(u64, u64)>, KindError> {
    use nix::unistd::{Whence, lseek};
    let page = PAGE as u64;
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    let mut at = 0u64;
    while at < bytes {
        let offset = i64::try_from(at).map_err(|_| KindError::host("save a file of that size", Errno::EFBIG))?;
        let data = match lseek(file, offset, Whence::SeekData) {
            Ok(data) => data.cast_unsigned(),
            Err(Errno::ENXIO) => break,
            // No such seek on this file system: everything is data.
            Err(_) => return Ok(vec![(0, bytes)]),
        };
        let hole = lseek(file, data.cast_signed(), Whence::SeekHole).map_or(bytes, i64::cast_unsigned).min(bytes);
        let start = data / page * page;
        match ranges.last_mut() {
            Some(last) if start <= last.1 => last.1 = hole.max(last.1),
            Some(_) | None if start < hole => ranges.push((start, hole)),
            Some(_) | None => {}
        }
        at = hole.next_multiple_of(page);
    }
    Ok(ranges)
}

#[derive(Default)]
struct Buffers {
    pages: Vec<u8>,
    parent: Vec<u8>,
    packed: Vec<u8>,
}

fn write_piece(content: &Contents, piece: &Piece, writer: &Writer, buffers: &mut Buffers) -> Result<(), Failure> {
    let bytes: usize = piece.iter().map(|run| page_bytes(*run)).sum();
    buffers.pages.clear();
    buffers.pages.resize(bytes, 0);
    read(&content.source, piece, &mut buffers.pages).at(Stage::Write)?;
    let same = same_as_parent(&content.source, piece, &buffers.pages, &mut buffers.parent);
    let runs = sort_pages(piece, &buffers.pages, &same, &mut buffers.packed);
    // Telling pages apart can make more runs than a block holds.
    let mut data = buffers.packed.as_slice();
    for part in runs.chunks(MAX_RUNS) {
        let pages: u32 = part.iter().filter(|run| run.kind == RunKind::Data).map(|run| run.count).sum();
        let (now, later) = data.split_at(pages as usize * PAGE);
        writer.put(content.space, part, now).at(Stage::Write)?;
        data = later;
    }
    Ok(())
}

/// Bytes of a run, up to whole pages.
fn page_bytes(run: (u64, u64)) -> usize {
    usize::try_from((run.1 - run.0).next_multiple_of(PAGE as u64)).expect("a piece is small")
}

fn read(source: &Source, piece: &Piece, buffer: &mut [u8]) -> Result<(), KindError> {
    match source {
        Source::Memory { pid, .. } => {
            let areas: Vec<(u64, usize)> = piece.iter().map(|run| (run.0, page_bytes(*run))).collect();
            if procvm::read_many(*pid, &areas, buffer) == Ok(buffer.len()) {
                return Ok(());
            }
            let mut rest = buffer;
            for (address, bytes) in areas {
                let (now, later) = rest.split_at_mut(bytes);
                memory::read(*pid, address, now)?;
                rest = later;
            }
            Ok(())
        }
        Source::File { file, .. } => {
            let file = File::from(file.try_clone().map_err(|error| host("duplicate a descriptor", &error))?);
            let mut rest = buffer;
            for &(start, end) in piece {
                let (now, later) = rest.split_at_mut(page_bytes((start, end)));
                let length = usize::try_from(end - start).expect("a piece is small");
                read_up_to(&file, start, &mut now[..length])?;
                rest = later;
            }
            Ok(())
        }
        Source::View { view, .. } => {
            let own = std::process::id().cast_signed();
            let mut rest = buffer;
            for &(start, end) in piece {
                let (now, later) = rest.split_at_mut(page_bytes((start, end)));
                memory::read(own, view.address() + start, now)?;
                rest = later;
            }
            Ok(())
        }
        Source::Pieces(pieces) => {
            let mut rest = buffer;
            for &(start, end) in piece {
                let (now, later) = rest.split_at_mut(page_bytes((start, end)));
                let holder = pieces.iter().find(|have| have.offset <= start && end <= have.offset + have.bytes);
                let holder = holder.expect("runs are cut from pieces");
                memory::read(holder.pid, holder.address + (start - holder.offset), now)?;
                rest = later;
            }
            Ok(())
        }
    }
}

/// Reads a file that may have become shorter meanwhile: what is missing stays zero.
fn read_up_to(file: &File, mut at: u64, mut buffer: &mut [u8]) -> Result<(), KindError> {
    while !buffer.is_empty() {
        match file.read_at(buffer, at) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                buffer = &mut buffer[count..];
                at += count as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(host(&format!("read descriptor {}", file.as_raw_fd()), &error)),
        }
    }
    Ok(())
}

fn host(attempt: &str, error: &std::io::Error) -> KindError {
    KindError::host(attempt, Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
}

/// For every page whether the parent has an equal one at the same address. Where the parent cannot be read, none is.
fn same_as_parent(source: &Source, piece: &Piece, pages: &[u8], parent_pages: &mut Vec<u8>) -> Vec<bool> {
    let mut same = vec![false; pages.len() / PAGE];
    let Source::Memory { parent: Some(parent), .. } = source else { return same };
    parent_pages.clear();
    parent_pages.resize(pages.len(), 0);
    let mut first = 0;
    for &run in piece {
        let bytes = page_bytes(run);
        let mut done = 0;
        // A hole in the parent ends a read: go on behind it.
        while done < bytes {
            let target = &mut parent_pages[first + done..first + bytes];
            let got = procvm::read(*parent, run.0 + done as u64, target).unwrap_or(0) / PAGE * PAGE;
            let pages_read = (first + done) / PAGE..(first + done + got) / PAGE;
            for (page, same) in pages_read.clone().zip(&mut same[pages_read]) {
                let at = page * PAGE..(page + 1) * PAGE;
                *same = pages[at.clone()] == parent_pages[at];
            }
            done += got.max(PAGE);
        }
        first += bytes;
    }
    same
}

fn is_zero(page: &[u8]) -> bool {
    page.as_chunks::<64>().0.iter().all(|chunk| *chunk == [0; 64])
}

/// Sorts pages into data, zeros and equal ones; data pages go to `packed`.
fn sort_pages(piece: &Piece, pages: &[u8], same: &[bool], packed: &mut Vec<u8>) -> Vec<Run> {
    packed.clear();
    let mut runs: Vec<Run> = Vec::new();
    let mut index = 0;
    for &(start, end) in piece {
        let first = start / PAGE as u64;
        for number in first..end.div_ceil(PAGE as u64) {
            let page = &pages[index * PAGE..(index + 1) * PAGE];
            let kind = match (same[index], is_zero(page)) {
                (true, _) => RunKind::Same,
                (false, true) => RunKind::Zero,
                (false, false) => RunKind::Data,
            };
            if kind == RunKind::Data {
                packed.extend_from_slice(page);
            }
            match runs.last_mut() {
                Some(run) if run.kind == kind && run.page + u64::from(run.count) == number => run.count += 1,
                Some(_) | None => runs.push(Run { page: number, count: 1, kind }),
            }
            index += 1;
        }
    }
    runs
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn pages_are_sorted_into_runs_and_data_is_packed() {
        let mut pages = vec![0u8; 5 * PAGE];
        pages[PAGE] = 1;
        pages[2 * PAGE] = 2;
        pages[4 * PAGE] = 4;
        let mut packed = Vec::new();
        let runs = sort_pages(&vec![(0x1000, 0x5000), (0x9000, 0xa000)], &pages, &[false, false, false, true, false], &mut packed);
        let short: Vec<_> = runs.iter().map(|run| (run.page, run.count, run.kind)).collect();
        assert_eq!(short, [(1, 1, RunKind::Zero), (2, 2, RunKind::Data), (4, 1, RunKind::Same), (9, 1, RunKind::Data)]);
        assert_eq!(packed.len(), 3 * PAGE);
    }

    #[test]
    fn pieces_fill_at_most_one_block() {
        let ranges = vec![(0, BLOCK as u64 + 0x1000), (0x4000_0000, 0x4000_2000)];
        let mut pieces = Pieces { ranges: ranges.into_iter(), rest: None };
        assert_eq!(pieces.next(), Some(vec![(0, BLOCK as u64)]));
        assert_eq!(pieces.next(), Some(vec![(BLOCK as u64, BLOCK as u64 + 0x1000), (0x4000_0000, 0x4000_2000)]));
        assert_eq!(pieces.next(), None);
    }
}
