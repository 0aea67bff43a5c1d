//! Writing a context file: header and description first, then blocks from several threads, index and trailer last.
//!
//! Relies on `layout`, `block`, `trailer` and `metadata` for the bytes, and on the caller for what they are. Never seeks back: what
//! goes into a file and what goes into a pipe is the same. Leaves creating, syncing and naming the file to `file`.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFlags, PollTimeout};

use super::block::{BlockEntry, BlockHeader, Run, Space, data_pages_of};
use super::bounds::Bounds;
use super::checksum::{Running, checksum};
use super::error::ImageError;
use super::layout::{FileId, Header, PAGE_BYTES, Page, padded, seal_of};
use super::metadata;
use super::snapshot::Snapshot;
use super::source::is_ready;
use super::trailer::{Index, Trailer};

/// Says how much longer a reader may be waited for; `None`: without end. It is asked again and again.
pub type TimeLeft = Box<dyn Fn() -> Option<Duration> + Send + Sync>;

/// How long to wait for a reader before the time is asked for again.
const LOOK: Duration = Duration::from_millis(50);

/// Index entries encoded at a time.
const INDEX_PIECE: usize = 4096;

/// What a complete context file came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Saved {
    /// Bytes of the whole file.
    pub bytes: u64,
    /// Bytes of page contents in it.
    pub page_bytes: u64,
    /// Number of blocks.
    pub blocks: u64,
}

/// A context file being written. Dropping it leaves an incomplete file, which no reader accepts.
pub struct Writer {
    out: Out,
    id: FileId,
    header_crc: u64,
    bounds: Bounds,
    /// Held from the choice of an offset until the bytes are out, when the order of writes is the order in the file.
    turn: Mutex<()>,
    /// Offset in bytes of the next block.
    next: AtomicU64,
    written: AtomicU64,
    spoiled: AtomicBool,
    entries: Mutex<Vec<BlockEntry>>,
}

impl Writer {
    /// Writes header and description. A regular file at its beginning gets positioned writes from several threads at a time, and
    /// loses whatever it held before; anything else (pipe, socket, device, append mode, a file further on) is written in order.
    pub fn begin(file: File, snapshot: &Snapshot) -> Result<Writer, ImageError> {
        Writer::begin_until(file, snapshot, Box::new(|| None))
    }

    /// Like [`Writer::begin`]; what has to wait for a reader fails with [`ImageError::TimeOver`] when `left` says that no time is left.
    pub fn begin_until(file: File, snapshot: &Snapshot, left: TimeLeft) -> Result<Writer, ImageError> {
        let (metadata_bytes, metadata_crc) = metadata::measure(snapshot)?;
        let header = Header::new(metadata_bytes, metadata_crc);
        let page = header.to_page();
        let out = Out::new(file, left)?;
        out.write(0, &page, &[])?;
        let mut at = PAGE_BYTES as u64;
        metadata::encode(snapshot, |piece| {
            out.write(at, piece, &[])?;
            at += piece.len() as u64;
            Ok(())
        })?;
        let next = out.pad(at)?;
        Ok(Writer {
            out,
            id: header.id,
            header_crc: seal_of(&page),
            bounds: Bounds::of(snapshot),
            turn: Mutex::new(()),
            next: AtomicU64::new(next),
            written: AtomicU64::new(next),
            spoiled: AtomicBool::new(false),
            entries: Mutex::default(),
        })
    }

    /// Writes a block: `runs` of one space in ascending order (at most [`MAX_RUNS`](super::MAX_RUNS)), and the contents of its data
    /// runs one after the other (at most [`BLOCK_PAGES`](super::BLOCK_PAGES) pages). Blocks may be put from several threads, in any order.
    pub fn put(&self, space: Space, runs: &[Run], data: &[u8]) -> Result<(), ImageError> {
        let data_pages = data_pages_of(runs)?;
        self.bounds.admit(space, runs)?;
        if data.len() != data_pages as usize * PAGE_BYTES {
            let what = format!("a block of {data_pages} data pages came with {} bytes", data.len());
            return Err(ImageError::Inconsistent { what });
        }
        let mut header =
            BlockHeader { space, data_pages, stored_pages: data_pages, data_crc: checksum(data), at: 0, id: self.id, runs: runs.to_vec() };
        let entry = self.place(&mut header, data)?;
        self.written.fetch_add((PAGE_BYTES + data.len()) as u64, Ordering::Relaxed);
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        Ok(())
    }

    /// Gives the block its place and writes it there.
    fn place(&self, header: &mut BlockHeader, data: &[u8]) -> Result<BlockEntry, ImageError> {
        let _turn = (self.out.how != How::Positioned).then(|| self.turn.lock().unwrap_or_else(PoisonError::into_inner));
        if self.spoiled.load(Ordering::Acquire) {
            return Err(ImageError::Spoiled);
        }
        header.at = self.next.fetch_add((PAGE_BYTES + data.len()) as u64, Ordering::Relaxed);
        let page = header.to_page();
        let written = self.out.write(header.at, &page, data);
        if written.is_err() {
            self.spoiled.store(true, Ordering::Release);
        }
        written.map(|()| header.entry(&page))
    }

    /// Bytes written so far.
    pub fn bytes_written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Writes index and trailer. Returns the totals and the file, complete but not synced.
    pub fn finish(self) -> Result<(Saved, File), ImageError> {
        if self.spoiled.into_inner() {
            return Err(ImageError::Spoiled);
        }
        let mut entries = self.entries.into_inner().unwrap_or_else(PoisonError::into_inner);
        entries.sort_unstable_by_key(|entry| entry.at);
        let data_pages: u64 = entries.iter().map(|entry| u64::from(entry.data_pages)).sum();
        let index_at = self.next.into_inner();
        let index = write_index(&self.out, &entries, index_at, self.id)?;
        let trailer_at = index.end().expect("the index is in memory");
        let trailer = Trailer {
            file_bytes: trailer_at + PAGE_BYTES as u64,
            index_at,
            blocks: index.blocks,
            index_crc: index.crc,
            data_pages,
            header_crc: self.header_crc,
            id: self.id,
        };
        self.out.write(trailer_at, &trailer.to_page(), &[])?;
        let saved = Saved { bytes: trailer.file_bytes, page_bytes: data_pages * PAGE_BYTES as u64, blocks: index.blocks };
        Ok((saved, self.out.close(trailer.file_bytes)?))
    }
}

/// Writes the index at offset `at`, piece by piece.
fn write_index(out: &Out, entries: &[BlockEntry], at: u64, id: FileId) -> Result<Index, ImageError> {
    let encode = |piece: &[BlockEntry]| piece.iter().flat_map(|entry| entry.to_bytes()).collect::<Vec<u8>>();
    let mut crc = Running::default();
    entries.chunks(INDEX_PIECE).for_each(|piece| crc.add(&encode(piece)));
    let index = Index { blocks: entries.len() as u64, crc: crc.value(), at, id };
    out.write(at, &index.to_page(), &[])?;
    let mut at = at + PAGE_BYTES as u64;
    for piece in entries.chunks(INDEX_PIECE) {
        let bytes = encode(piece);
        out.write(at, &bytes, &[])?;
        at += bytes.len() as u64;
    }
    out.pad(at)?;
    Ok(index)
}

/// The file behind a writer.
struct Out {
    file: File,
    how: How,
    left: TimeLeft,
}

/// How it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// By offset.
    Positioned,
    /// In order, and offsets only count. Nobody has to be waited for.
    InOrder,
    /// In order, through a description of our own that does not block.
    Unblocked,
    /// In order, as much at a time as does not block when poll(2) says so: the description may be shared with others, who have not asked for
    /// O_NONBLOCK.
    Careful,
}

/// What a pipe takes without waiting when poll(2) says that it takes anything: it has a free page (pipe(7)).
const PIPE_PAGE: usize = 4096;

impl Out {
    fn new(mut file: File, left: TimeLeft) -> Result<Out, ImageError> {
        let failed = |source| ImageError::Io { attempt: "look at the destination of the context file", source };
        let kind = file.metadata().map_err(failed)?.file_type();
        let how = if !kind.is_file() {
            How::Careful
        } else if file.stream_position().map_err(failed)? == 0 && !appends(&file).map_err(failed)? {
            How::Positioned
        } else {
            How::InOrder
        };
        // A pipe can be opened once more by those who may; whoever may not takes small steps.
        if kind.is_fifo()
            && let Ok(own) = unblocked(&file)
        {
            return Ok(Out { file: own, how: How::Unblocked, left });
        }
        Ok(Out { file, how, left })
    }

    /// Writes two buffers one after the other, at offset `at` or next.
    fn write(&self, mut at: u64, first: &[u8], second: &[u8]) -> Result<(), ImageError> {
        let mut parts = &mut [IoSlice::new(first), IoSlice::new(second)][..];
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            if self.how == How::Careful {
                self.wait()?;
            }
            match self.write_some(at, parts) {
                Ok(0) => return Err(cannot_write(io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    at += n as u64;
                    IoSlice::advance_slices(&mut parts, n);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait()?;
                }
                Err(error) => return Err(cannot_write(error)),
            }
        }
        Ok(())
    }

    /// Waits until more can be written, at most as long as we may.
    fn wait(&self) -> Result<(), ImageError> {
        loop {
            let left = (self.left)();
            let look = i32::try_from(left.unwrap_or(LOOK).min(LOOK).as_millis()).unwrap_or_default();
            if is_ready(&self.file, PollFlags::POLLOUT, PollTimeout::try_from(look).unwrap_or(PollTimeout::ZERO))? {
                return Ok(());
            }
            if left.is_some_and(|left| left.is_zero()) {
                return Err(ImageError::TimeOver);
            }
        }
    }

    fn write_some(&self, at: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.how {
            How::Careful => {
                let first = &parts[0];
                (&self.file).write(&first[..first.len().min(PIPE_PAGE)])
            }
            How::InOrder | How::Unblocked => (&self.file).write_vectored(parts),
            How::Positioned => {
                let at = i64::try_from(at).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
                Ok(nix::sys::uio::pwritev(&self.file, parts, at)?)
            }
        }
    }

    /// Writes zeros from `at` to the next page boundary, whose offset it returns.
    fn pad(&self, at: u64) -> Result<u64, ImageError> {
        const ZEROS: Page = [0; PAGE_BYTES];
        let end = padded(at).expect("what is before it has been written");
        let missing = usize::try_from(end - at).expect("less than a page");
        self.write(at, &ZEROS[..missing], &[])?;
        Ok(end)
    }

    /// Leaves a positioned file as a written one: nothing after its end, and its offset there.
    fn close(mut self, bytes: u64) -> Result<File, ImageError> {
        if self.how == How::Positioned {
            let longer = self.file.metadata().map_err(cannot_write)?.len() > bytes;
            if longer {
                self.file.set_len(bytes).map_err(cannot_write)?;
            }
            self.file.seek(SeekFrom::Start(bytes)).map_err(cannot_write)?;
        }
        Ok(self.file)
    }
}

/// The same pipe, with a description that does not block.
fn unblocked(file: &File) -> io::Result<File> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path)
}

fn appends(file: &File) -> io::Result<bool> {
    let flags = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL)?);
    Ok(flags.contains(OFlag::O_APPEND))
}

fn cannot_write(source: io::Error) -> ImageError {
    let attempt = match source.raw_os_error() {
        Some(libc::EPIPE) => "write the context file: its reader has gone away",
        _ => "write the context file",
    };
    ImageError::Io { attempt, source }
}
