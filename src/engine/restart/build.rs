//! *build*: every object and every open file description is made once, in the restarter, in the order of the context file.
//!
//! Relies on the kinds. The first stub inherits all of these descriptors when it is forked, so that no descriptor is ever passed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use super::PlanError;
use super::deliver::Channel;
use super::graph::Graph;
use super::plan::Plan;
use crate::engine::note::Notes;
use crate::error::{At, Classified, Failure, Stage, Subject};
use crate::image::{Description, DescriptionId, Descriptor, Object, ObjectId, Snapshot};
use crate::resource::file::{self, lock};
use crate::resource::ipc::Made;
use crate::resource::task::cwd;
use crate::resource::{Build, Built, Change, Directories, Fallback, KindError, LiveObject, Opened, TaskKind, When};
use crate::sys::{descriptor, fault, process};
use crate::tracee::{Scratch, Stopped};

/// Everything the stubs will inherit. Dropping it removes what was made by name or number, until the job needs it.
pub struct Objects {
    /// Made objects, by position.
    pub built: Vec<Built>,
    /// Open file descriptions, by position.
    pub opened: Vec<Opened>,
    /// Descriptions that were opened after the stubs were forked, and the way by which processes get them.
    late: HashMap<DescriptionId, OwnedFd>,
    channel: Option<Channel>,
    /// Files for mappings and programs, by object and whether they are open for writing.
    pub mapped: HashMap<(ObjectId, bool), OwnedFd>,
    /// Descriptors that we were started with and that pass on.
    own: HashSet<RawFd>,
    /// Working and root directories, by process.
    entered: Vec<Option<cwd::Entered>>,
    /// Our controlling terminal, if anything needs it.
    terminal: Option<OwnedFd>,
    /// Whether the job runs: its files stay.
    is_kept: bool,
}

/// Makes every object and opens every description.
pub fn build(snapshot: &Snapshot, graph: &Graph, plan: &Plan, notes: &mut Notes) -> Result<Objects, Failure> {
    let own = inherited_descriptors();
    check_descriptors(snapshot).at(Stage::Plan)?;
    let mut objects = Objects::new(own);
    objects.built.resize_with(snapshot.objects.len(), Built::default);
    for &id in graph.order() {
        let (object, live) = (&snapshot.objects[id as usize], graph.live(id));
        let build = |cx: &mut Build<'_>| if live.when() == When::Births { Ok(Built::default()) } else { live.build((id, object), cx) };
        let made = with_context((snapshot, plan, (id, object)), (&objects.built, &|id| id, None), notes, build);
        objects.built[id as usize] = made.at(Stage::Build).map_err(|failure| failure.about(Subject::path(&object.path)))?;
    }
    for description in &snapshot.descriptions {
        if graph.live(description.object).when() == When::Births {
            objects.opened.push(Opened::Later);
            continue;
        }
        let about = Subject::path(&snapshot.objects[description.object as usize].path);
        let opened =
            objects.open((snapshot, graph, plan), &|id| id, description, notes).at(Stage::Build).map_err(|failure| failure.about(about))?;
        objects.opened.push(opened);
    }
    objects.open_mapped(snapshot, graph, plan, notes)?;
    if objects.opened.iter().any(|opened| matches!(opened, Opened::Later)) {
        objects.channel = Some(Channel::new().at(Stage::Build)?);
    }
    objects.enter(snapshot, plan, notes)?;
    let fallen_back = |opened: &Opened| matches!(opened, Opened::Inherited(Fallback::Terminal));
    if objects.opened.iter().any(fallen_back) {
        objects.terminal = std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty").ok().map(OwnedFd::from);
    }
    Ok(objects)
}

/// Calls a kind with what it has at this time, and takes its warnings.
fn with_context<T>(
    what: (&Snapshot, &Plan, (ObjectId, &Object)),
    with: (&[Built], &dyn Fn(i32) -> i32, Option<BorrowedFd<'_>>),
    notes: &mut Notes,
    act: impl FnOnce(&mut Build<'_>) -> Result<T, KindError>,
) -> Result<T, KindError> {
    with_opened(what, with, &|_| None, notes, act)
}

/// The same, when descriptions are open.
fn with_opened<T>(
    (snapshot, plan, (number, object)): (&Snapshot, &Plan, (ObjectId, &Object)),
    (made, id, writer): (&[Built], &dyn Fn(i32) -> i32, Option<BorrowedFd<'_>>),
    opened: &dyn Fn(DescriptionId) -> Option<RawFd>,
    notes: &mut Notes,
    act: impl FnOnce(&mut Build<'_>) -> Result<T, KindError>,
) -> Result<T, KindError> {
    let path = |saved: &Path| plan.path(saved);
    let (actor, outside, same_ids) = (plan.actors.object(number), &plan.outside, plan.restore_pid);
    let (uses, warnings) = (&plan.uses, Vec::new());
    let mut cx = Build { snapshot, path: &path, object, made, id, same_ids, opened, uses, actor, outside, writer, warnings };
    let result = act(&mut cx);
    notes.lose_all(&Subject::path(&object.path), cx.warnings);
    result
}

/// Makes the objects that need the processes of the job, and opens their descriptions. `ids`: those that saved processes have now.
pub fn after_births(
    snapshot: &Snapshot,
    graph: &Graph,
    plan: &Plan,
    objects: &mut Objects,
    ids: &HashMap<i32, i32>,
    notes: &mut Notes,
) -> Result<(), Failure> {
    let now = |id: i32| ids.get(&id).copied().unwrap_or(id);
    for id in graph.order().iter().copied().filter(|id| graph.live(*id).when() == When::Births) {
        let (object, live) = (&snapshot.objects[id as usize], graph.live(id));
        let about = |failure: Failure| failure.about(Subject::path(&object.path));
        let made = with_context((snapshot, plan, (id, object)), (&objects.built, &now, None), notes, |cx| live.build((id, object), cx));
        objects.built[id as usize] = made.at(Stage::Build).map_err(about)?;
        for (number, description) in (0..).zip(&snapshot.descriptions).filter(|(_, description)| description.object == id) {
            let opened = objects.open((snapshot, graph, plan), &now, description, notes).at(Stage::Build).map_err(about)?;
            if let Opened::New(fd) = opened {
                objects.late.insert(number, fd);
            }
        }
        let built = &objects.built[id as usize];
        let with = (&objects.built[..], &now as &dyn Fn(i32) -> i32, None);
        let settled = with_context((snapshot, plan, (id, object)), with, notes, |cx| live.settle((id, object), built, cx));
        settled.at(Stage::Build).map_err(about)?;
    }
    refill(snapshot, graph, plan, objects, &now, notes)
}

/// Puts back what waits in the queues of objects.
fn refill(
    snapshot: &Snapshot,
    graph: &Graph,
    plan: &Plan,
    objects: &mut Objects,
    now: &dyn Fn(i32) -> i32,
    notes: &mut Notes,
) -> Result<(), Failure> {
    for &id in graph.order() {
        let (object, live) = (&snapshot.objects[id as usize], graph.live(id));
        let mut built = std::mem::take(&mut objects.built[id as usize]);
        let opened = |description| objects.number_of(description);
        let what = (snapshot, plan, (id, object));
        let refilled = with_opened(what, (&objects.built, now, None), &opened, notes, |cx| live.refill((id, object), &mut built, cx));
        objects.built[id as usize] = built;
        refilled.at(Stage::Build).map_err(|failure| failure.about(Subject::path(&object.path)))?;
    }
    Ok(())
}

/// Last touches on objects once their contents are in place: seals, for example.
pub fn settle(snapshot: &Snapshot, graph: &Graph, plan: &Plan, objects: &Objects, notes: &mut Notes) -> Result<(), Failure> {
    let early = graph.objects(snapshot).zip(&objects.built).filter(|((_, _, live), _)| live.when() != When::Births);
    for ((id, object, live), built) in early {
        let with = (&objects.built[..], &(|id| id) as &dyn Fn(i32) -> i32, None);
        let settled = with_context((snapshot, plan, (id, object)), with, notes, |cx| live.settle((id, object), built, cx));
        settled.at(Stage::Build).map_err(|failure| failure.about(Subject::path(&object.path)))?;
    }
    Ok(())
}

/// Changes that others can see: prepared, and in part made.
#[derive(Default)]
pub struct Commits(Vec<Change>);

impl Commits {
    /// Makes all of them, or none: the last thing before the job runs.
    pub fn make(mut self, notes: &mut Notes) -> Result<Commits, Failure> {
        for change in &mut self.0 {
            let fault = fault::point("release").map_err(|errno| KindError::host("take this step (fault point)", errno));
            if let Err(error) = fault.and_then(|()| change.make()) {
                self.undo(notes);
                return Err(error).at(Stage::Release);
            }
        }
        Ok(self)
    }

    /// The job runs: what was there before goes.
    pub fn keep(self, notes: &mut Notes) {
        for error in self.0.into_iter().filter_map(|change| change.keep().err()) {
            notes.warn(error.subject(), error.to_string());
        }
    }

    /// The job does not run: what was there before comes back.
    pub fn undo(self, notes: &mut Notes) {
        for error in self.0.into_iter().rev().filter_map(|change| change.undo().err()) {
            notes.warn(error.subject(), error.to_string());
        }
    }
}

/// Prepares what changes files that others can see, too. Nothing is changed yet.
pub fn commit(snapshot: &Snapshot, graph: &Graph, plan: &Plan, objects: &Objects, notes: &mut Notes) -> Result<Commits, Failure> {
    let mut commits = Commits::default();
    for ((id, object, live), built) in graph.objects(snapshot).zip(&objects.built) {
        let with = (&objects.built[..], &(|id| id) as &dyn Fn(i32) -> i32, objects.writer(snapshot, id));
        let change = with_context((snapshot, plan, (id, object)), with, notes, |cx| live.commit((id, object), built, cx));
        commits.0.extend(change.at(Stage::Release).map_err(|failure| failure.about(Subject::path(&object.path)))?);
    }
    Ok(commits)
}

impl Objects {
    /// Nothing yet. `own`: the descriptors that we were started with.
    fn new(own: HashSet<RawFd>) -> Objects {
        Objects {
            built: Vec::new(),
            opened: Vec::new(),
            late: HashMap::new(),
            channel: None,
            mapped: HashMap::new(),
            own,
            entered: Vec::new(),
            terminal: None,
            is_kept: false,
        }
    }

    fn open(
        &self,
        (snapshot, graph, plan): (&Snapshot, &Graph, &Plan),
        id: &dyn Fn(i32) -> i32,
        description: &Description,
        notes: &mut Notes,
    ) -> Result<Opened, KindError> {
        let object = &snapshot.objects[description.object as usize];
        let live: &dyn LiveObject = graph.live(description.object);
        let built = &self.built[description.object as usize];
        let at = (description.object, object);
        let opened = with_context((snapshot, plan, at), (&self.built, id, None), notes, |cx| live.open(built, description, cx))?;
        if let Opened::New(fd) = &opened {
            file::open::dress(fd.as_fd(), description, live.seeks(), built.at_end && writes_through(description.flags))?;
            lock::restore_on_description(fd.as_fd(), &description.locks)?;
            lock::check_free(fd.as_fd(), &description.locks)?;
        }
        Ok(opened)
    }

    /// Opens a file for every way in which it is mapped, and every program.
    fn open_mapped(&mut self, snapshot: &Snapshot, graph: &Graph, plan: &Plan, notes: &mut Notes) -> Result<(), Failure> {
        for memory in &snapshot.memories {
            let areas = memory.areas.iter().filter_map(|area| Some((plan.maps_file(&area.backing)?, writes(area))));
            for (object, write) in areas.chain(memory.exe.map(|exe| (exe, false))) {
                if self.mapped.contains_key(&(object, write)) {
                    continue;
                }
                let flags = if write { libc::O_RDWR } else { libc::O_RDONLY };
                let description = Description { object, flags, ..Description::default() };
                let about = Subject::path(&snapshot.objects[object as usize].path);
                let opened = self
                    .open((snapshot, graph, plan), &|id| id, &description, notes)
                    .at(Stage::Build)
                    .map_err(|failure| failure.about(about))?;
                if let Opened::New(fd) = opened {
                    self.mapped.insert((object, write), fd);
                }
            }
        }
        Ok(())
    }

    /// Our own descriptor of a description, if we have one.
    fn number_of(&self, description: DescriptionId) -> Option<RawFd> {
        let standard = |number: RawFd| Some(number).filter(|number| self.own.contains(number));
        match self.opened.get(description as usize)? {
            Opened::New(fd) => Some(fd.as_raw_fd()),
            Opened::Later => self.late.get(&description).map(AsRawFd::as_raw_fd),
            Opened::Inherited(Fallback::Terminal) => self.terminal.as_ref().map(AsRawFd::as_raw_fd),
            Opened::Inherited(Fallback::Stdin) => standard(0),
            Opened::Inherited(Fallback::Stdout) => standard(1),
        }
    }

    /// A descriptor of an object that is open for writing.
    fn writer(&self, snapshot: &Snapshot, id: ObjectId) -> Option<BorrowedFd<'_>> {
        let mut opened = self.opened.iter().zip(&snapshot.descriptions);
        let descriptor = opened.find_map(|(opened, description)| match opened {
            Opened::New(fd) if description.object == id && writes_through(description.flags) => Some(fd.as_fd()),
            Opened::New(_) | Opened::Inherited(_) | Opened::Later => None,
        });
        descriptor.or_else(|| self.mapped.get(&(id, true)).map(AsFd::as_fd))
    }

    /// Opens working and root directory of every process that has them.
    fn enter(&mut self, snapshot: &Snapshot, plan: &Plan, notes: &mut Notes) -> Result<(), Failure> {
        let path = |saved: &Path| plan.path(saved);
        for (index, process) in snapshot.processes.iter().enumerate() {
            let Some(record) = process.records.iter().find(|record| record.kind == cwd::Cwd::TAG.kind) else {
                self.entered.push(None);
                continue;
            };
            let mut warnings = Vec::new();
            let entered = cwd::enter((record, snapshot), plan.actors.process(index), &path, &mut warnings);
            notes.lose_all(&Subject::pid(process.pid), warnings);
            self.entered.push(Some(entered.at(Stage::Build).map_err(|failure| failure.about(Subject::pid(process.pid)))?));
        }
        Ok(())
    }

    /// The numbers that working and root directory of a process have in every stub.
    pub fn directories(&self, index: usize) -> Directories {
        let entered = self.entered.get(index).and_then(Option::as_ref);
        let number = |fd: &OwnedFd| fd.as_raw_fd();
        Directories {
            cwd: entered.and_then(|entered| entered.cwd.as_ref().map(number)),
            root: entered.and_then(|entered| entered.root.as_ref().map(number)),
        }
    }

    /// The job runs and needs its files.
    pub fn keep(mut self) {
        self.is_kept = true;
    }

    /// Programs that came with the context file, once they are complete: from now on we have them open for reading only. Returns the numbers
    /// of the writable descriptors, which the first stub still has. The kernel takes no file as `/proc/PID/exe` that anybody has open for
    /// writing.
    pub fn close_programs(&mut self, snapshot: &Snapshot) -> Result<Vec<RawFd>, KindError> {
        let programs: HashSet<ObjectId> = snapshot.memories.iter().filter_map(|memory| memory.exe).collect();
        let mut numbers = Vec::new();
        for id in programs {
            for fd in &mut self.built[id as usize].descriptors {
                let path = &snapshot.objects[id as usize].path;
                let to_read = file::open::reopen(fd.as_fd(), libc::O_RDONLY);
                let to_read = to_read.map_err(|errno| KindError::path("open for reading a copy of", path, errno))?;
                numbers.push(std::mem::replace(fd, to_read).as_raw_fd());
            }
        }
        Ok(numbers)
    }

    /// The descriptor number in the restarter, and so in every stub, that stands for a descriptor of the job. `None`: it stays closed.
    /// `delivered`: what the process has got by [`Objects::deliver`].
    pub fn source(&self, descriptor: &Descriptor, delivered: &HashMap<DescriptionId, RawFd>) -> Result<Option<RawFd>, PlanError> {
        let fd = descriptor.fd;
        let standard = |number: RawFd, name: &'static str| {
            if self.own.contains(&number) { Ok(Some(number)) } else { Err(PlanError::NoStandard { fd, name }) }
        };
        match &self.opened[descriptor.description as usize] {
            Opened::New(opened) => Ok(Some(opened.as_raw_fd())),
            Opened::Later => Ok(delivered.get(&descriptor.description).copied()),
            Opened::Inherited(_) if self.own.contains(&fd) => Ok(Some(fd)),
            Opened::Inherited(Fallback::Terminal) => Ok(self.terminal.as_ref().map(AsRawFd::as_raw_fd)),
            Opened::Inherited(Fallback::Stdin) => standard(0, "standard input"),
            Opened::Inherited(Fallback::Stdout) => standard(1, "standard output"),
        }
    }

    /// Hands a process those of its descriptions that were opened after it was born; their numbers there.
    pub fn deliver(
        &self,
        descriptors: &[Descriptor],
        stopped: &mut Stopped,
        scratch: &Scratch,
    ) -> Result<HashMap<DescriptionId, RawFd>, KindError> {
        let wanted: BTreeSet<DescriptionId> =
            descriptors.iter().map(|descriptor| descriptor.description).filter(|id| self.late.contains_key(id)).collect();
        let Some(channel) = self.channel.as_ref().filter(|_| !wanted.is_empty()) else { return Ok(HashMap::new()) };
        let files: Vec<BorrowedFd<'_>> = wanted.iter().map(|id| self.late[id].as_fd()).collect();
        let numbers = channel.deliver(&files, stopped, scratch)?;
        Ok(wanted.into_iter().zip(numbers).collect())
    }

    /// The file for an area, by descriptor number.
    pub fn file_of(&self, object: ObjectId, write: bool) -> Option<RawFd> {
        self.mapped.get(&(object, write)).map(AsRawFd::as_raw_fd)
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        if !self.is_kept {
            let made = self.built.iter().flat_map(|built| &built.made);
            // Somebody else may have removed it, which is as good.
            for place in made {
                let _gone = place.remove();
            }
            self.built.iter().flat_map(|built| &built.made_numbers).for_each(Made::remove);
        }
    }
}

/// Whether an area needs its file open for writing: it is shared and may be made writable.
pub fn writes(area: &crate::image::Area) -> bool {
    area.shared && area.has("mw")
}

fn writes_through(flags: i32) -> bool {
    flags & libc::O_PATH == 0 && flags & libc::O_ACCMODE != libc::O_RDONLY
}

/// Descriptors that we were started with and that are not close-on-exec.
fn inherited_descriptors() -> HashSet<RawFd> {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return HashSet::new() };
    let numbers: Vec<RawFd> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    numbers.into_iter().filter(|fd| descriptor::passes_on(*fd)).collect()
}

/// Whether we may have as many descriptors as the restart needs; our limit is raised as far as it goes.
pub fn check_descriptors(snapshot: &Snapshot) -> Result<(), PlanError> {
    let limit = process::raise_soft_limit(libc::RLIMIT_NOFILE).unwrap_or(1024);
    let highest = snapshot.tables.iter().flat_map(|table| &table.descriptors).map(|descriptor| descriptor.fd).max().unwrap_or(0);
    let made = snapshot.descriptions.len() + 2 * snapshot.processes.len() + 64;
    let needed = (u64::try_from(highest).unwrap_or(0) + 1).max(made as u64);
    if needed <= limit { Ok(()) } else { Err(PlanError::Descriptors { needed, limit }) }
}

#[cfg(test)]
mod test {
    use std::sync::Arc;

    use super::*;
    use crate::resource::actor::Actor;

    #[test]
    fn what_was_made_by_name_goes_unless_the_job_runs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        for is_kept in [false, true] {
            std::fs::write(&path, "").unwrap();
            let place = Arc::new(Actor::ours()).place(&path).unwrap();
            let built = vec![Built { made: vec![place], ..Built::default() }];
            let mut objects = Objects::new(HashSet::new());
            objects.built = built;
            if is_kept {
                objects.keep()
            } else {
                drop(objects)
            }
            assert_eq!(path.exists(), is_kept);
        }
    }
}
