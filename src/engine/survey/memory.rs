//! Address spaces: areas, what they map, and where the contents of their pages are.
//!
//! Relies on smaps and the page map of frozen processes. A mapped file goes through the same kinds as an open one, so that a file
//! that is both open and mapped is one object.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::object::Objects;
use super::reach::{By, Found, stat_of_memory};
use super::sharing::Sharing;
use super::{Contents, Findings, Seen, Source};
use crate::engine::obstacle::Obstacles;
use crate::error::{At, Failure, Stage, Subject};
use crate::image::{Area, AreaAction, Backing, Memory, ObjectId, Snapshot, Space};
use crate::proc::{Device, Fdinfo, FileStat, MapEntry, MapName, ProcDir};
use crate::resource::KindError;
use crate::resource::file::name::Name;
use crate::resource::memory::{Mapped, Pages, areas, contents, is_copy_of_shared};

/// An address space as `/proc` shows it: areas, each with its position in the maps and, if it leads to an object, its position among all
/// that was found.
pub struct Layout {
    seen: usize,
    program: Option<usize>,
    areas: Vec<Laid>,
}

struct Laid {
    area: Area,
    mapped: Mapped,
    entry: usize,
    found: Option<usize>,
}

/// Looks at every address space, and adds what its areas and programs lead to.
pub fn look(seen: &[Seen], sharing: &Sharing, found: &mut Vec<Found>) -> Result<Vec<Layout>, Failure> {
    let mut obstacles = Obstacles::default();
    let mut layouts = Vec::new();
    for &index in &sharing.memories {
        let about = |failure: Failure| failure.about(Subject::pid(seen[index].pid));
        layouts.extend(obstacles.note(look_at(index, &seen[index], found).map_err(about)));
    }
    obstacles.clear()?;
    Ok(layouts)
}

fn look_at(seen: usize, one: &Seen, found: &mut Vec<Found>) -> Result<Layout, Failure> {
    let mut add = |by, link: &Path, stat, write: bool| {
        let info = Fdinfo { flags: if write { libc::O_RDWR } else { libc::O_RDONLY }, ..Fdinfo::default() };
        found.push(Found { seen, link: link.to_owned(), stat, info, by });
        found.len() - 1
    };
    let program = match one.dir.link("exe") {
        Ok(link) => Some(add(By::Program, Path::new(&link), one.dir.stat_link("exe").at(Stage::Survey)?, false)),
        Err(_) => None,
    };
    let mut laid = Vec::new();
    for (entry, area, mapped) in areas(one.pid, &one.maps).at(Stage::Capture)? {
        let shown = &one.maps[entry];
        let found = match &mapped {
            Mapped::File(link) => {
                let write = shown.perms.shared && shown.flags.has("mw");
                let link = &other_name(&one.dir, shown, link);
                Some(add(By::Area(entry), link, stat_of(&one.dir, shown, link)?, write))
            }
            Mapped::Shared => Some(add(By::Area(entry), Path::new(&shown.name.to_string()), stat_of_memory(shown), true)),
            Mapped::Anonymous | Mapped::Special(_) => None,
        };
        laid.push(Laid { area, mapped, entry, found });
    }
    Ok(Layout { seen, program, areas: laid })
}

/// Fills in address spaces and the contents of their pages, once their objects are known.
pub fn describe(
    seen: &[Seen],
    sharing: &Sharing,
    layouts: Vec<Layout>,
    objects: &Objects,
    findings: &mut Findings<'_, '_>,
) -> Result<(), Failure> {
    // Whoever forked from a memory with skipped areas has no pages to share with it.
    let mut incomplete = HashSet::new();
    for (id, layout) in (0..).zip(layouts) {
        let index = layout.seen;
        let one = &seen[index];
        let described = describe_one(one, layout, objects, findings).map_err(|failure| failure.about(Subject::pid(one.pid)))?;
        save_vdso(one.dir.pid(), &described.memory.areas, &mut findings.snapshot)?;
        findings.snapshot.memories.push(described.memory);
        if described.is_incomplete {
            incomplete.insert(index);
        }
        let parent = forked_from(seen, sharing, index).filter(|parent| !incomplete.contains(parent)).map(|parent| seen[parent].dir.pid());
        let source = Source::Memory { pid: one.dir.pid(), parent, ranges: described.ranges };
        findings.contents.push(Contents { space: Space::Memory(id), source });
    }
    Ok(())
}

/// One address space, and what of it is saved.
struct Described {
    memory: Memory,
    ranges: Vec<(u64, u64)>,
    /// Policies left out the contents of an area.
    is_incomplete: bool,
}

fn describe_one(one: &Seen, layout: Layout, objects: &Objects, findings: &mut Findings<'_, '_>) -> Result<Described, Failure> {
    let object_of = |found: Option<usize>| found.and_then(|found| objects.ids[found]);
    let memory = Memory { exe: object_of(layout.program), auxv: one.dir.read("auxv").at(Stage::Survey)?, ..Memory::default() };
    let mut described = Described { memory, ranges: Vec::new(), is_incomplete: false };
    let pagemap = one.dir.open_file("pagemap", false).at(Stage::Survey)?;
    for Laid { mut area, mapped, entry, found } in layout.areas {
        let mut pages = contents(&pagemap, &area).at(Stage::Survey)?;
        if is_copy_of_shared(&one.maps[entry]) {
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
        let is_saved = findings.review.area(one.pid, &one.maps[entry], file.as_deref(), bytes)? != AreaAction::Skip;
        described.is_incomplete |= !is_saved;
        if is_saved {
            described.ranges.extend(pages.saved);
        }
        if let (Backing::Object { object, .. }, Some(id)) = (&mut area.backing, object_of(found)) {
            *object = id;
            if is_shared && !is_saved {
                skip(id, findings);
            }
        }
        described.memory.areas.push(area);
    }
    Ok(described)
}

/// Leaves out the contents of an object.
fn skip(id: ObjectId, findings: &mut Findings<'_, '_>) {
    findings.snapshot.objects[id as usize].content_bytes = 0;
    findings.contents.retain(|content| content.space != Space::Object(id));
}

/// The process, by position, from whose address space this one was forked, if it is in the job and has one of its own.
fn forked_from(seen: &[Seen], sharing: &Sharing, index: usize) -> Option<usize> {
    let parent = seen.iter().position(|other| other.pid == seen[index].stat.ppid)?;
    let owner = sharing.memories[sharing.memory[parent]? as usize];
    (owner != index).then_some(owner)
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

/// Another name of a mapped file whose own is gone: sem_open(3) maps its files before they get their names. Otherwise its link as it is.
fn other_name(dir: &ProcDir, entry: &MapEntry, link: &Path) -> PathBuf {
    let is_gone = matches!(&entry.name, MapName::File { path, deleted: true } if path.parent() != Some(Path::new("/")));
    if !is_gone {
        return link.to_owned();
    }
    let unseen = || FileStat { dev: entry.device.to_dev_t(), ino: entry.inode, nlink: 1, ..FileStat::default() };
    match Name::of(link, &dir.stat_link(&entry.map_file()).unwrap_or_else(|_| unseen())) {
        Name::Elsewhere(path) => path,
        Name::Here(_) | Name::Gone(_) => link.to_owned(),
    }
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
