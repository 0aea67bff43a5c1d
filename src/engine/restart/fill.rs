//! *fill*: page contents from the context file into objects and address spaces.
//!
//! Relies on `image` for verified blocks. From a seekable file several threads fill at once; from a pipe blocks come in the order in which
//! they are needed. A child's pages that equal its parent's came with the fork; what the child no longer had is dropped again.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::build::{Objects, writes};
use super::load::Pages;
use super::plan::Plan;
use super::raise::Raised;
use crate::engine::observe::Observer;
use crate::error::{At, Failure, Stage};
use crate::image::{Area, Backing, Block, MmId, Reader, Run, RunKind, Snapshot, Space};
use crate::resource::KindError;
use crate::resource::memory::{area, special};
use crate::sys::{Errno, procvm};
use crate::tracee::{Batch, Scratch, memory};

const PAGE: u64 = 4096;

/// Runs of pages, ascending once sorted: first page, count.
type PageRuns = Vec<(u64, u64)>;

/// The filling of one job.
pub struct Fill<'a> {
    snapshot: &'a Snapshot,
    pages: &'a mut Pages,
    observer: &'a mut dyn Observer,
    /// The address spaces that have been filled: a process that has each, and which pages it had.
    filled: HashMap<MmId, (i32, PageRuns)>,
    /// The block after the last one that was wanted, when reading a stream.
    ahead: Option<(Block, Vec<u8>)>,
    done: u64,
}

/// Where the pages of one space go.
enum Sink<'a> {
    /// A file of this many bytes.
    File(&'a File, u64),
    /// Memory of a process.
    Memory(Target<'a>),
}

/// Memory of a process that is being filled.
#[derive(Default)]
struct Target<'a> {
    pid: i32,
    /// Distance from a page's own address.
    shift: u64,
    /// A process with the address space that *same* pages are equal to.
    parent: Option<i32>,
    /// Whether the inherited areas are those of that address space, so that *same* pages are there.
    is_fork_of_parent: bool,
    /// Areas that came from the maker.
    inherited: &'a [(u64, u64)],
    /// Areas where a page that nobody wrote shows a file.
    private_files: &'a [(u64, u64)],
}

impl<'a> Fill<'a> {
    /// Prepares to fill from `pages`.
    pub fn new(snapshot: &'a Snapshot, pages: &'a mut Pages, observer: &'a mut dyn Observer) -> Fill<'a> {
        Fill { snapshot, pages, observer, filled: HashMap::new(), ahead: None, done: 0 }
    }

    /// Fills every object that travels with its contents. `seed` has those that wait in its memory.
    pub fn objects(&mut self, objects: &Objects, plan: &Plan, seed: i32) -> Result<(), Failure> {
        for (id, object) in (0..).zip(&self.snapshot.objects).filter(|(_, object)| 0 < object.content_bytes) {
            let shared = plan.parked.get(&id).map(|(address, _)| *address);
            let built = &objects.built[id as usize];
            let file = match (shared, built.contents) {
                (None, Some(position)) => Some(duplicate(&built.descriptors[position]).at(Stage::Fill)?),
                (Some(_), _) => None,
                // The kind found that the contents are not needed on this machine.
                (None, None) => None,
            };
            let sink = match (&file, shared) {
                (Some(file), _) => Some(Sink::File(file, object.content_bytes)),
                (None, Some(shift)) => Some(Sink::Memory(Target { pid: seed, shift, ..Target::default() })),
                (None, None) => None,
            };
            self.space(Space::Object(id), sink.as_ref())?;
        }
        Ok(())
    }

    /// Maps and fills an address space in `raised`. `from` is the address space it was copied from, and a process that has it.
    pub fn memory(
        &mut self,
        id: MmId,
        from: Option<(MmId, i32)>,
        raised: &mut Raised,
        scratch: &Scratch,
        plan: &Plan,
        objects: &Objects,
    ) -> Result<(), Failure> {
        let areas = &self.snapshot.memories[id as usize].areas;
        let before: &[Area] = from.map_or(&[], |(parent, _)| &self.snapshot.memories[parent as usize].areas);
        let inherited: Vec<&Area> = areas.iter().filter(|area| at(before, area.start).is_some_and(|have| inherits(area, have))).collect();
        let kept: HashSet<u64> = inherited.iter().map(|area| area.start).collect();
        let mut batch = Batch::new();
        for area in before.iter().filter(|have| !kept.contains(&have.start) && !matches!(have.backing, Backing::Special(_))) {
            batch.call("unmap memory", libc::SYS_munmap, [area.start.into(), area.bytes().into()]);
        }
        place_special(areas, raised, plan, &mut batch).at(Stage::Fill)?;
        for area in areas.iter().filter(|area| !kept.contains(&area.start)) {
            map(area, plan, objects, &mut batch);
        }
        scratch.run(&mut raised.threads[0], &batch).at(Stage::Fill)?;

        let ranges: PageRuns = inherited.iter().map(|area| (area.start, area.end)).collect();
        let private_files: PageRuns = areas
            .iter()
            .filter(|area| !area.shared && matches!(area.backing, Backing::Object { .. }))
            .map(|area| (area.start, area.end))
            .collect();
        let parent = self.snapshot.memories[id as usize].parent;
        let sink = Sink::Memory(Target {
            pid: raised.pid,
            shift: 0,
            parent: parent.and_then(|parent| self.filled.get(&parent)).map(|(pid, _)| *pid),
            is_fork_of_parent: parent == from.map(|(maker, _)| maker),
            inherited: &ranges,
            private_files: &private_files,
        });
        let had = self.space(Space::Memory(id), Some(&sink))?;
        if let Some((parent, _)) = from {
            let mut batch = Batch::new();
            let parent_had = self.filled.get(&parent).map_or(&[] as &[_], |(_, had)| had.as_slice());
            for (start, end) in dropped(parent_had, &had, &ranges) {
                batch.call("drop pages", libc::SYS_madvise, [start.into(), (end - start).into(), libc::MADV_DONTNEED.into()]);
            }
            if !batch.is_empty() {
                scratch.run(&mut raised.threads[0], &batch).at(Stage::Fill)?;
            }
        }
        self.filled.insert(id, (raised.pid, had));
        Ok(())
    }

    /// Reads the file to its end, where a stream is checked as a whole. Returns how many bytes of pages were put back.
    pub fn finish(self) -> Result<u64, Failure> {
        if !self.pages.is_seekable() {
            if self.ahead.is_some() {
                return Err(super::PlanError::Inconsistent { what: "it holds pages of nobody".into() }).at(Stage::Fill);
            }
            let mut data = Vec::new();
            if self.pages.next_block(&mut data)?.is_some() {
                return Err(super::PlanError::Inconsistent { what: "it holds pages of nobody".into() }).at(Stage::Fill);
            }
        }
        Ok(self.done)
    }

    /// Fills one space; without a sink its blocks are only passed over. Returns which pages it had, sorted.
    fn space(&mut self, space: Space, sink: Option<&Sink<'_>>) -> Result<PageRuns, Failure> {
        let mut runs = if self.pages.is_seekable() {
            match sink {
                Some(sink) => self.seek(space, sink)?,
                None => PageRuns::new(),
            }
        } else {
            self.stream(space, sink)?
        };
        runs.sort_unstable();
        Ok(runs)
    }

    fn stream(&mut self, space: Space, sink: Option<&Sink<'_>>) -> Result<PageRuns, Failure> {
        let mut runs = PageRuns::new();
        loop {
            let (block, data) = match self.ahead.take() {
                Some(ahead) => ahead,
                None => {
                    let mut data = Vec::new();
                    match self.pages.next_block(&mut data)? {
                        Some(block) => (block, data),
                        None => return Ok(runs),
                    }
                }
            };
            if block.space != space {
                self.ahead = Some((block, data));
                return Ok(runs);
            }
            if let Some(sink) = sink {
                put(&block, &data, sink).at(Stage::Fill)?;
            }
            self.done += data.len() as u64;
            runs.extend(block.runs.iter().map(|run| (run.page, u64::from(run.count))));
            self.observer.progress(self.done, 0);
        }
    }

    fn seek(&mut self, space: Space, sink: &Sink<'_>) -> Result<PageRuns, Failure> {
        let (reader, space) = self.pages.reader_of(space);
        let reader: &Reader = reader;
        let entries = reader.blocks_of(space);
        let next = AtomicUsize::new(0);
        let collected = Mutex::new((PageRuns::new(), 0u64));
        let work = || -> Result<(), Failure> {
            let mut data = Vec::new();
            while let Some(entry) = entries.get(next.fetch_add(1, Ordering::Relaxed)) {
                let block = reader.read_block(entry, &mut data).at(Stage::Fill)?;
                if let Err(failure) = put(&block, &data, sink).at(Stage::Fill) {
                    next.store(usize::MAX / 2, Ordering::Relaxed);
                    return Err(failure);
                }
                let mut collected = collected.lock().expect("no reader panics");
                collected.0.extend(block.runs.iter().map(|run| (run.page, u64::from(run.count))));
                collected.1 += data.len() as u64;
            }
            Ok(())
        };
        let helpers = if entries.len() < 4 { 0 } else { crate::sys::processors().min(8) - 1 };
        std::thread::scope(|scope| {
            let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(work)).collect();
            let own = work();
            helpers.into_iter().fold(own, |result, helper| result.and(helper.join().expect("no reader panics")))
        })?;
        let (runs, bytes) = collected.into_inner().expect("no reader panics");
        self.done += bytes;
        self.observer.progress(self.done, 0);
        Ok(runs)
    }
}

/// The area that begins at this address.
fn at(areas: &[Area], start: u64) -> Option<&Area> {
    areas.binary_search_by_key(&start, |area| area.start).ok().map(|index| &areas[index])
}

/// Whether a freshly forked child has `area` already, because its parent has it.
fn inherits(area: &Area, have: &Area) -> bool {
    let special = matches!(area.backing, Backing::Special(_));
    let kept = |flag: &str| area.has(flag) == have.has(flag);
    !special
        && (area.start, area.end, area.shared, area.page_bytes) == (have.start, have.end, have.shared, have.page_bytes)
        && area.backing == have.backing
        && ["gd", "nr", "ht", "dp", "mw"].into_iter().all(kept)
        && (!area.shared || area.prot == have.prot)
}

/// The special areas go where the job had them. What the job did not have waits in the parking place until the process is finished.
fn place_special(areas: &[Area], raised: &mut Raised, plan: &Plan, batch: &mut Batch) -> Result<(), super::PlanError> {
    let saved = special::group(areas);
    let mut wanted = saved.clone();
    let mut at = plan.vdso_parking;
    for (name, start, end) in &raised.special {
        if !saved.iter().any(|have| have.0 == *name) {
            wanted.push((name.clone(), at, at + (end - start)));
        }
        at += end - start;
    }
    // By way of the upper half of the parking room, which nobody stays in.
    const HALF: u64 = 512 << 10;
    let (moves, unmapped) =
        special::moves(&raised.special, &wanted, plan.vdso_parking + HALF).map_err(|what| super::PlanError::Machine { what })?;
    special::apply(&moves, &unmapped, batch);
    raised.special = wanted;
    Ok(())
}

fn map(area: &Area, plan: &Plan, objects: &Objects, batch: &mut Batch) {
    let from = match &area.backing {
        Backing::Special(_) => return,
        Backing::Anonymous => area::From::Nothing,
        Backing::Object { object, .. } => match plan.maps_file(&area.backing) {
            Some(file) => area::From::Descriptor(objects.file_of(file, writes(area)).unwrap_or(-1)),
            None => {
                let (address, room) = plan.parked[object];
                area::From::Parked(address + room.read_only_at.filter(|_| !writes(area)).unwrap_or(0))
            }
        },
    };
    area::map(area, from, batch);
}

/// What the parent had inside inherited areas and the child has not: address ranges.
fn dropped(parent: &[(u64, u64)], child: &[(u64, u64)], inherited: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut ranges = Vec::new();
    let mut rest = child.iter().copied().peekable();
    for &(page, count) in parent {
        let mut at = page;
        while at < page + count {
            while rest.peek().is_some_and(|run| run.0 + run.1 <= at) {
                rest.next();
            }
            let gap_end = rest.peek().map_or(u64::MAX, |run| run.0).min(page + count);
            if at < gap_end {
                ranges.push((at * PAGE, gap_end * PAGE));
            }
            at = rest.peek().filter(|run| run.0 <= gap_end).map_or(gap_end, |run| run.0 + run.1).max(gap_end);
        }
    }
    let cut = |&(start, end): &(u64, u64)| {
        let first = inherited.partition_point(|area| area.1 <= start);
        inherited[first..].iter().take_while(move |area| area.0 < end).map(move |area| (start.max(area.0), end.min(area.1)))
    };
    ranges.iter().flat_map(cut).collect()
}

/// Puts one block where it belongs.
fn put(block: &Block, data: &[u8], sink: &Sink<'_>) -> Result<(), KindError> {
    match sink {
        Sink::File(file, bytes) => {
            let mut rest = data;
            for run in block.runs.iter().filter(|run| run.kind == RunKind::Data) {
                let (now, later) = rest.split_at(bytes_of(run.count));
                // The last page of a file is rarely full.
                let real = usize::try_from(bytes.saturating_sub(run.page * PAGE)).unwrap_or(usize::MAX).min(now.len());
                file.write_all_at(&now[..real], run.page * PAGE).map_err(|error| {
                    KindError::host("write the contents of a file", Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
                })?;
                rest = later;
            }
            Ok(())
        }
        Sink::Memory(target) => target.put(block, data),
    }
}

impl Target<'_> {
    fn put(&self, block: &Block, data: &[u8]) -> Result<(), KindError> {
        let data_runs: Vec<(u64, usize)> = block
            .runs
            .iter()
            .filter(|run| run.kind == RunKind::Data)
            .map(|run| (run.page * PAGE + self.shift, bytes_of(run.count)))
            .collect();
        if procvm::write_many(self.pid, &data_runs, data) != Ok(data.len()) {
            let mut rest = data;
            for (address, bytes) in data_runs {
                let (now, later) = rest.split_at(bytes);
                memory::write(self.pid, address, now)?;
                rest = later;
            }
        }
        block.runs.iter().filter(|run| run.kind != RunKind::Data).try_for_each(|run| self.put_without_data(run))
    }

    /// Pages whose contents do not stand in the block: page by page, for a run may reach over several areas.
    fn put_without_data(&self, run: &Run) -> Result<(), KindError> {
        let mut buffer = Vec::new();
        let mut at = run.page * PAGE;
        let end = at + u64::from(run.count) * PAGE;
        while at < end {
            let (here, next) = reach(self.inherited, at);
            let (file, next_file) = reach(self.private_files, at);
            let piece = end.min(next).min(next_file).min(at + MOST_AT_ONCE) - at;
            let bytes = usize::try_from(piece).expect("at most a megabyte");
            match (run.kind, self.parent) {
                (RunKind::Same, Some(parent)) if !(here && self.is_fork_of_parent) => copy(parent, self.pid, at, &mut buffer, bytes)?,
                (RunKind::Same, None) => {
                    return Err(KindError::Inconsistent { what: format!("the page at {at:#x} is said to equal one of nobody") });
                }
                (RunKind::Zero, _) if here || file => {
                    buffer.clear();
                    buffer.resize(bytes, 0);
                    memory::write(self.pid, at, &buffer)?;
                }
                (RunKind::Same | RunKind::Zero | RunKind::Data, _) => {
                    at = end.min(next).min(next_file);
                    continue;
                }
            }
            at += piece;
        }
        Ok(())
    }
}

/// Most bytes that are moved at once where no block limits it.
const MOST_AT_ONCE: u64 = 1 << 20;

/// Whether one of the ranges (ascending) covers `address`, and up to where that answer holds.
fn reach(ranges: &[(u64, u64)], address: u64) -> (bool, u64) {
    let after = ranges.partition_point(|range| range.0 <= address);
    match after.checked_sub(1).map(|at| ranges[at].1).filter(|end| address < *end) {
        Some(end) => (true, end),
        None => (false, ranges.get(after).map_or(u64::MAX, |next| next.0)),
    }
}

fn copy(from: i32, to: i32, address: u64, buffer: &mut Vec<u8>, bytes: usize) -> Result<(), KindError> {
    buffer.resize(bytes, 0);
    memory::read(from, address, buffer)?;
    Ok(memory::write(to, address, buffer)?)
}

fn bytes_of(pages: u32) -> usize {
    pages as usize * 4096
}

fn duplicate(fd: &impl AsFd) -> Result<File, KindError> {
    let copy = fd.as_fd().try_clone_to_owned();
    copy.map(File::from)
        .map_err(|error| KindError::host("duplicate a descriptor", Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))))
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_range_says_how_far_its_answer_reaches() {
        let ranges = [(0x2000, 0x5000), (0x5000, 0x6000), (0x9000, 0xa000)];
        let found = [0, 0x2000, 0x4fff, 0x5000, 0x6000, 0x9000, 0xa000].map(|address| reach(&ranges, address));
        let (yes, no) = (|end| (true, end), |end| (false, end));
        assert_eq!(found, [no(0x2000), yes(0x5000), yes(0x5000), yes(0x6000), no(0x9000), yes(0xa000), no(u64::MAX)]);
    }

    #[test]
    fn a_page_that_equals_one_of_nobody_is_refused() {
        let target = Target { pid: std::process::id().cast_signed(), ..Target::default() };
        let same = |count| Run { page: 16, count, kind: RunKind::Same };
        assert!(matches!(target.put_without_data(&same(1)), Err(KindError::Inconsistent { .. })));
        // Zero pages of memory that is new cost nothing, however many they are said to be.
        target.put_without_data(&Run { page: 16, count: u32::MAX, kind: RunKind::Zero }).unwrap();
    }

    #[test]
    fn pages_that_only_the_parent_has_are_dropped_from_inherited_areas() {
        let parent = [(1, 4), (10, 2)];
        for (child, expected) in [
            (vec![(1, 4), (10, 2)], vec![]),
            (vec![], vec![(0x1000, 0x5000), (0xa000, 0xc000)]),
            (vec![(2, 1), (11, 1)], vec![(0x1000, 0x2000), (0x3000, 0x5000), (0xa000, 0xb000)]),
            (vec![(0, 2), (4, 8)], vec![(0x2000, 0x4000)]),
        ] {
            assert_eq!(dropped(&parent, &child, &[(0, 0x100_0000)]), expected, "{child:?}");
        }
        assert_eq!(dropped(&parent, &[], &[(0x2000, 0x3000)]), [(0x2000, 0x3000)]);
    }
}
