//! Address spaces: areas, the objects they map, and where the contents of their pages are.
//!
//! Relies on smaps and the page map of frozen processes. A mapped file goes through the same kinds as an open one, so that a file
//! that is both open and mapped is one object.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::descriptor::{Known, capture, claim};
use super::sharing::groups;
use super::{Contents, Seen, Source};
use crate::engine::note::Notes;
use crate::engine::request::SaveFiles;
use crate::error::{At, Failure, Stage, Subject};
use crate::image::{Area, Backing, Memory, Object, ObjectId, Snapshot, Space};
use crate::proc::{Device, Fdinfo, FileStat, MapEntry, ProcDir};
use crate::resource::memory::{Mapped, areas, contents, shared};
use crate::resource::{AnyFileKind, Capture, Identity, KindError, Probe};
use crate::sys::{Errno, process};

/// Fills in address spaces, the objects they map, and the contents of their pages.
pub fn describe(
    seen: &[Seen],
    save: SaveFiles,
    known: Known,
    snapshot: &mut Snapshot,
    contents_of: &mut Vec<Contents>,
    notes: &mut Notes,
) -> Result<(), Failure> {
    let first = groups(seen, process::compare_memory)?;
    let mut files = Files { known };
    let mut shared_memory = SharedMemory::default();
    for (index, one) in seen.iter().enumerate().filter(|(index, _)| first[*index] == Some(*index)) {
        let about = |failure: Failure| failure.about(Subject::pid(one.pid));
        let exe = exe_of(one, save, &mut files, snapshot, contents_of, notes).map_err(about)?;
        let mut memory = Memory { exe, auxv: one.dir.read("auxv").at(Stage::Survey).map_err(about)?, ..Memory::default() };
        let mut ranges = Vec::new();
        let pagemap = one.dir.open_file("pagemap", false).at(Stage::Survey).map_err(about)?;
        for ((mut area, mapped), entry) in areas(one.pid, &one.maps).at(Stage::Capture).map_err(about)?.into_iter().zip(mapped_entries(one))
        {
            let pages = contents(&pagemap, &area).at(Stage::Survey).map_err(about)?;
            area.guards = pages.guards;
            ranges.extend(pages.saved);
            if let Backing::Object { object, offset } = &mut area.backing {
                *object = match &mapped {
                    Mapped::Shared => shared_memory.object(entry, area.page_bytes, snapshot),
                    Mapped::File(link) => files.object(one, entry, link, exe, save, snapshot, contents_of, notes).map_err(about)?,
                    Mapped::Anonymous | Mapped::Special(_) => unreachable!("only files and shared memory are objects"),
                };
                if mapped == Mapped::Shared {
                    shared_memory.piece(*object, (one.dir.pid(), area.start, *offset, area.end - area.start));
                }
            }
            memory.areas.push(area);
        }
        save_vdso(one.dir.pid(), &memory.areas, snapshot)?;
        let id = u32::try_from(snapshot.memories.len()).unwrap_or(u32::MAX);
        snapshot.memories.push(memory);
        let parent = forked_from(seen, &first, index);
        contents_of.push(Contents { space: Space::Memory(id), source: Source::Memory { pid: one.dir.pid(), parent, ranges } });
    }
    shared_memory.finish(snapshot, contents_of)
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

fn exe_of(
    one: &Seen,
    save: SaveFiles,
    files: &mut Files,
    snapshot: &mut Snapshot,
    contents_of: &mut Vec<Contents>,
    notes: &mut Notes,
) -> Result<Option<ObjectId>, Failure> {
    let Ok(link) = one.dir.link("exe") else { return Ok(None) };
    let stat = one.dir.stat_link("exe").at(Stage::Survey)?;
    let link = PathBuf::from(link);
    let probe = FileProbe { pid: one.dir.pid(), map_file: "exe".into(), link: &link, stat, write: false };
    files.find_or_capture(&probe, save.exe || save.private, snapshot, contents_of, notes).map(Some)
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
    #[allow(clippy::too_many_arguments, reason = "the three outputs of the survey travel together")]
    fn object(
        &mut self,
        one: &Seen,
        entry: &MapEntry,
        link: &Path,
        exe: Option<ObjectId>,
        save: SaveFiles,
        snapshot: &mut Snapshot,
        contents_of: &mut Vec<Contents>,
        notes: &mut Notes,
    ) -> Result<ObjectId, Failure> {
        let stat = stat_of(&one.dir, entry, link)?;
        let write = entry.perms.shared && entry.flags.has("mw");
        let probe = FileProbe { pid: one.dir.pid(), map_file: entry.map_file(), link, stat, write };
        let is_exe = exe.is_some_and(|exe| snapshot.objects[exe as usize].path == link);
        let wanted = if entry.perms.shared { save.shared } else { save.private || save.exe && is_exe };
        self.find_or_capture(&probe, wanted, snapshot, contents_of, notes)
    }

    fn find_or_capture(
        &mut self,
        file: &FileProbe<'_>,
        save: bool,
        snapshot: &mut Snapshot,
        contents_of: &mut Vec<Contents>,
        notes: &mut Notes,
    ) -> Result<ObjectId, Failure> {
        let flags = if file.write { libc::O_RDWR } else { libc::O_RDONLY };
        let info = Fdinfo { flags, ..Fdinfo::default() };
        let open = || open_mapped(file);
        let probe = Probe::mapped(file.pid, file.link, &file.stat, &info, &open);
        let kind: &dyn AnyFileKind = claim(&probe).at(Stage::Capture).map_err(|failure| failure.about(Subject::path(file.link)))?;
        let key = (kind.tag().kind, file.stat.dev, file.stat.ino);
        if let (Some(id), true) = (self.known.get(&key), kind.identity(&probe) != Identity::Description) {
            return Ok(*id);
        }
        let id = capture(kind, &[&probe], Capture { save, ..Capture::default() }, snapshot, contents_of, notes)?;
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

    fn piece(&mut self, object: ObjectId, piece: (i32, u64, u64, u64)) {
        self.pieces.entry(object).or_default().push(piece);
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
