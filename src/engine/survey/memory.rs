//! Address spaces: areas, the objects they map, and where the contents of their pages are.
//!
//! Relies on smaps and the page map of frozen processes. A mapped file goes through the same kinds as an open one, so that a file
//! that is both open and mapped is one object.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::descriptor::{Known, capture, claim};
use super::sharing::groups;
use super::{Contents, Findings, Seen, Source};
use crate::error::{At, Failure, Stage, Subject};
use crate::image::{Area, AreaAction, Backing, FileChoice, Memory, Object, ObjectId, Snapshot, Space};
use crate::proc::{Device, Fdinfo, FileStat, MapEntry, ProcDir};
use crate::resource::memory::{Mapped, Pages, areas, contents, is_copy_of_shared, shared_memory as shared};
use crate::resource::{AnyFileKind, Identity, KindError, Probe, Question};
use crate::sys::{Errno, process};

/// Fills in address spaces, the objects they map, and the contents of their pages.
pub fn describe(seen: &[Seen], known: Known, findings: &mut Findings<'_, '_>) -> Result<(), Failure> {
    let first = groups(seen, process::compare_memory)?;
    let mut files = Files { known };
    let mut shared_memory = SharedMemory::default();
    // Whoever forked from a memory with skipped areas has no pages to share with it.
    let mut incomplete = HashSet::new();
    for (index, one) in seen.iter().enumerate().filter(|(index, _)| first[*index] == Some(*index)) {
        let about = |failure: Failure| failure.about(Subject::pid(one.pid));
        let described = describe_one(one, &mut files, &mut shared_memory, findings).map_err(about)?;
        save_vdso(one.dir.pid(), &described.memory.areas, &mut findings.snapshot)?;
        let id = u32::try_from(findings.snapshot.memories.len()).unwrap_or(u32::MAX);
        findings.snapshot.memories.push(described.memory);
        if described.is_incomplete {
            incomplete.insert(one.dir.pid());
        }
        let parent = forked_from(seen, &first, index).filter(|parent| !incomplete.contains(parent));
        let source = Source::Memory { pid: one.dir.pid(), parent, ranges: described.ranges };
        findings.contents.push(Contents { space: Space::Memory(id), source });
    }
    shared_memory.finish(&mut findings.snapshot, &mut findings.contents)
}

/// One address space, and what of it is saved.
struct Described {
    memory: Memory,
    ranges: Vec<(u64, u64)>,
    /// Policies left out the contents of an area.
    is_incomplete: bool,
}

fn describe_one(
    one: &Seen,
    files: &mut Files,
    shared_memory: &mut SharedMemory,
    findings: &mut Findings<'_, '_>,
) -> Result<Described, Failure> {
    let exe = exe_of(one, files, findings)?;
    let memory = Memory { exe, auxv: one.dir.read("auxv").at(Stage::Survey)?, ..Memory::default() };
    let mut described = Described { memory, ranges: Vec::new(), is_incomplete: false };
    let pagemap = one.dir.open_file("pagemap", false).at(Stage::Survey)?;
    for ((mut area, mapped), entry) in areas(one.pid, &one.maps).at(Stage::Capture)?.into_iter().zip(mapped_entries(one)) {
        let mut pages = contents(&pagemap, &area).at(Stage::Survey)?;
        if is_copy_of_shared(entry) {
            pages = Pages::whole(&area, pages.guards);
        }
        if area.has("dp") {
            // Memory that the kernel may drop at any time (MAP_DROPPABLE): what it is for must not come back twice.
            pages.saved.clear();
        }
        area.guards = pages.guards;
        let is_shared = mapped == Mapped::Shared;
        let bytes = if is_shared { area.bytes() } else { pages.saved.iter().map(|range| range.1 - range.0).sum() };
        let file = if let Mapped::File(link) = &mapped { Some(link.to_string_lossy()) } else { None };
        let is_saved = findings.review.area(one.pid, entry, file.as_deref(), bytes)? != AreaAction::Skip;
        described.is_incomplete |= !is_saved;
        if is_saved {
            described.ranges.extend(pages.saved);
        }
        if let Backing::Object { object, offset } = &mut area.backing {
            *object = match &mapped {
                Mapped::Shared => shared_memory.object(entry, area.page_bytes, &mut findings.snapshot),
                Mapped::File(link) => files.object(one, entry, link, findings)?,
                Mapped::Anonymous | Mapped::Special(_) => unreachable!("only files and shared memory are objects"),
            };
            if is_shared {
                shared_memory.piece(*object, (one.dir.pid(), area.start, *offset, area.end - area.start), is_saved);
            }
        }
        described.memory.areas.push(area);
    }
    Ok(described)
}

/// The entries that [`areas`] takes, in the same order.
fn mapped_entries(one: &Seen) -> impl Iterator<Item = &MapEntry> {
    one.maps.iter().filter(|entry| entry.name != crate::proc::MapName::Vsyscall)
}

/// The pid of the process whose address space this one was forked from, if it is in the job and has one of its own.
fn forked_from(seen: &[Seen], first: &[Option<usize>], index: usize) -> Option<i32> {
    let parent = seen.iter().position(|other| other.pid == seen[index].stat.ppid)?;
    let owner = first[parent]?;
    (owner != index).then(|| seen[owner].dir.pid())
}

/// Keeps the first vdso there is: all processes of a kernel have the same.
fn save_vdso(pid: i32, areas: &[Area], snapshot: &mut Snapshot) -> Result<(), Failure> {
    let vdso = areas.iter().find(|area| area.backing == Backing::Special("[vdso]".into()));
    if let Some(area) = vdso.filter(|_| snapshot.vdso.is_empty()) {
        let mut bytes = vec![0; usize::try_from(area.bytes()).unwrap_or(0)];
        crate::tracee::memory::read(pid, area.start, &mut bytes).at(Stage::Survey)?;
        snapshot.vdso = bytes;
    }
    Ok(())
}

fn exe_of(one: &Seen, files: &mut Files, findings: &mut Findings<'_, '_>) -> Result<Option<ObjectId>, Failure> {
    let Ok(link) = one.dir.link("exe") else { return Ok(None) };
    let stat = one.dir.stat_link("exe").at(Stage::Survey)?;
    let link = PathBuf::from(link);
    let probe = FileProbe { pid: one.dir.pid(), map_file: "exe".into(), link: &link, stat, write: false };
    files.find_or_capture(&probe, findings).map(Some)
}

/// A file behind a mapping, or the program itself.
struct FileProbe<'a> {
    pid: i32,
    map_file: String,
    link: &'a Path,
    stat: FileStat,
    write: bool,
}

/// The objects of files found so far.
struct Files {
    known: Known,
}

impl Files {
    fn object(&mut self, one: &Seen, entry: &MapEntry, link: &Path, findings: &mut Findings<'_, '_>) -> Result<ObjectId, Failure> {
        let stat = stat_of(&one.dir, entry, link)?;
        let write = entry.perms.shared && entry.flags.has("mw");
        let probe = FileProbe { pid: one.dir.pid(), map_file: entry.map_file(), link, stat, write };
        self.find_or_capture(&probe, findings)
    }

    fn find_or_capture(&mut self, file: &FileProbe<'_>, findings: &mut Findings<'_, '_>) -> Result<ObjectId, Failure> {
        let flags = if file.write { libc::O_RDWR } else { libc::O_RDONLY };
        let info = Fdinfo { flags, ..Fdinfo::default() };
        let open = || open_mapped(file);
        let probe = Probe::mapped(file.pid, file.link, &file.stat, &info, &open);
        let kind: &dyn AnyFileKind = claim(&probe).at(Stage::Capture).map_err(|failure| failure.about(Subject::path(file.link)))?;
        let key = (kind.tag().kind, file.stat.dev, file.stat.ino);
        if let (Some(id), true) = (self.known.get(&key), kind.identity(&probe) != Identity::Description) {
            return Ok(*id);
        }
        let is_asked = kind.question() == Question::File;
        let choice = if is_asked { findings.review.file(&[&probe], kind.tag().kind)? } else { FileChoice::default() };
        let id = capture(kind, &[&probe], choice, findings)?;
        self.known.insert(key, id);
        Ok(id)
    }
}

/// The file behind a mapping, for reading: through `map_files`, which needs CAP_CHECKPOINT_RESTORE, else by its path.
fn open_mapped(file: &FileProbe<'_>) -> Result<OwnedFd, KindError> {
    let link = PathBuf::from(format!("/proc/{}/{}", file.pid, file.map_file));
    let opened = std::fs::File::open(&link).or_else(|_| std::fs::File::open(file.link));
    opened.map(OwnedFd::from).map_err(|error| {
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
        KindError::path("open the mapped file", file.link, errno)
    })
}

/// stat(2) of a mapped file: through `map_files`, which needs CAP_CHECKPOINT_RESTORE, else through its path if that still leads there.
fn stat_of(dir: &ProcDir, entry: &MapEntry, link: &Path) -> Result<FileStat, Failure> {
    if let Ok(stat) = dir.stat_link(&entry.map_file()) {
        return Ok(stat);
    }
    let by_path = nix::sys::stat::stat(link).map(FileStat::from);
    match by_path {
        // On overlay file systems smaps shows another device number than stat(2); the inode number decides.
        Ok(stat) if stat.ino == entry.inode || Device::from_dev_t(stat.dev) == entry.device => Ok(stat),
        Ok(_) | Err(_) => {
            let error = KindError::Unsupported {
                what: format!("the mapped file {}, which its path does not lead to any more,", link.display()),
                remedy: "run the checkpoint with CAP_CHECKPOINT_RESTORE, or as root".into(),
            };
            Err(error).at(Stage::Survey)
        }
    }
}

/// Shared anonymous memory by inode, and the pieces of it that processes map.
#[derive(Default)]
struct SharedMemory {
    by_inode: HashMap<(Device, u64), ObjectId>,
    pieces: BTreeMap<ObjectId, Vec<(i32, u64, u64, u64)>>,
    page_bytes: HashMap<ObjectId, u64>,
    /// Objects whose contents policies left out.
    skipped: HashSet<ObjectId>,
}

impl SharedMemory {
    fn object(&mut self, entry: &MapEntry, page_bytes: u64, snapshot: &mut Snapshot) -> ObjectId {
        *self.by_inode.entry((entry.device, entry.inode)).or_insert_with(|| {
            let id = ObjectId::try_from(snapshot.objects.len()).unwrap_or(ObjectId::MAX);
            self.page_bytes.insert(id, page_bytes);
            let path = PathBuf::from("shared anonymous memory");
            snapshot.objects.push(Object { path, ..Object::default() });
            id
        })
    }

    fn piece(&mut self, object: ObjectId, piece: (i32, u64, u64, u64), is_saved: bool) {
        self.pieces.entry(object).or_default().push(piece);
        if !is_saved {
            self.skipped.insert(object);
        }
    }

    /// Once all pieces are known: sizes and sources. The file behind is read where we may open it, else every piece through a process.
    fn finish(self, snapshot: &mut Snapshot, contents_of: &mut Vec<Contents>) -> Result<(), Failure> {
        for (id, pieces) in self.pieces {
            let (pid, start, _, bytes) = pieces[0];
            let file = std::fs::File::open(format!("/proc/{pid}/map_files/{start:x}-{:x}", start + bytes)).ok();
            let mapped = pieces.iter().map(|piece| piece.2 + piece.3).max().unwrap_or(0);
            let real = file.as_ref().and_then(|file| file.metadata().ok()).map(|meta| meta.len());
            let bytes = real.unwrap_or(mapped).max(mapped);
            let object = &mut snapshot.objects[id as usize];
            object.record = shared::record(bytes, self.page_bytes[&id]).at(Stage::Capture)?;
            if self.skipped.contains(&id) {
                continue;
            }
            object.content_bytes = bytes;
            let source = match file {
                Some(file) => Source::File { file: file.into(), bytes },
                None => Source::Pieces(without_overlap(pieces)),
            };
            contents_of.push(Contents { space: Space::Object(id), source });
        }
        Ok(())
    }
}

/// Leaves out what another piece covers already.
fn without_overlap(mut pieces: Vec<(i32, u64, u64, u64)>) -> Vec<(i32, u64, u64, u64)> {
    pieces.sort_by_key(|piece| piece.2);
    let mut covered = 0;
    let mut kept = Vec::new();
    for (pid, address, offset, bytes) in pieces {
        let skip = u64::saturating_sub(covered, offset).min(bytes);
        if skip < bytes {
            kept.push((pid, address + skip, offset + skip, bytes - skip));
            covered = offset + bytes;
        }
    }
    kept
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn overlapping_pieces_are_read_once() {
        let pieces = vec![(1, 0x5000, 0, 0x2000), (2, 0x9000, 0x1000, 0x3000), (3, 0x100, 0, 0x1000)];
        assert_eq!(without_overlap(pieces), [(1, 0x5000, 0, 0x2000), (2, 0xa000, 0x2000, 0x2000)]);
    }
}
