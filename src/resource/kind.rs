//! The two traits of kinds, and the same traits without their types for the registry.
//!
//! Relies on `Record` for going between a kind's state struct and the context file.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::actor::Place;
use super::file::cut::Cut;
use super::file::replace::Replacement;
use super::file::terminal::ModesV1;
use super::ipc::Made;
use super::object::{Difference, Disposed, FileFacts, Live, LiveObject, Numbered, Question, When};
use super::{Bind, Build, Capture, Facts, KindError, Plan, Probe, TaskProbe};
use crate::image::{Description, FileAction, Object, ObjectAction, ObjectId, Record, Snapshot, Tag};
use crate::tracee::{Answers, Batch};

/// What makes two open file descriptions reach the same object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// The same inode (device, inode number): pipes, memfds, files.
    Inode(u64, u64),
    /// The same inode under the same path: files by reference.
    Path(u64, u64, PathBuf),
    /// Nothing: every description has an object of its own.
    Description,
    /// The number by which programs know it.
    Number(i32),
}

/// An object that the job uses although no descriptor and no area leads to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The number by which programs know it.
    pub number: i32,
    /// A process that uses it.
    pub pid: i32,
    /// What to call it.
    pub name: PathBuf,
}

/// An object that has been made again: the descriptors that lead to it, in the restarter.
#[derive(Debug, Default)]
pub struct Built {
    /// Descriptors that keep the object alive and from which descriptions are opened; their meaning is the kind's.
    pub descriptors: Vec<OwnedFd>,
    /// Which of them takes the saved contents, by position.
    pub contents: Option<usize>,
    /// Other descriptors that the kind needs until the job runs; their meaning is the kind's.
    pub beside: Vec<OwnedFd>,
    /// Files that had to be made by name; a restart that fails removes them.
    pub made: Vec<Place>,
    /// Descriptions that write go on at its end, wherever that is.
    pub at_end: bool,
    /// The number by which programs know it, if no descriptor leads to it.
    pub number: Option<i32>,
    /// What had to be made by number, or by a name that is no path; a restart that fails removes it.
    pub made_numbers: Vec<Made>,
    /// Which of them is the terminal of the session that [`FileKind::control`] names, by position.
    pub terminal: Option<usize>,
}

/// How an open file description comes back.
#[derive(Debug)]
pub enum Opened {
    /// By this descriptor, whose status flags and offset the engine sets.
    New(OwnedFd),
    /// As descriptor N of the restarter, for each number N at which a process holds it; else by this rule.
    Inherited(Fallback),
    /// Not yet: its object needs the processes of the job.
    Later,
}

/// A change that others can see: prepared by [`FileKind::commit`], made right before the job runs, undone if it does not.
#[derive(Debug)]
pub enum Change {
    /// A file takes the place of another.
    Replace(Replacement),
    /// A file goes back to its saved length.
    Cut(Cut),
}

impl Change {
    /// Makes it.
    pub fn make(&mut self) -> Result<(), KindError> {
        match self {
            Change::Replace(replacement) => replacement.make(),
            Change::Cut(cut) => cut.make(),
        }
    }

    /// The job runs.
    pub fn keep(self) -> Result<(), KindError> {
        match self {
            Change::Replace(replacement) => replacement.keep(),
            Change::Cut(_) => Ok(()),
        }
    }

    /// The job does not run. A change that was not made leaves nothing.
    pub fn undo(self) -> Result<(), KindError> {
        match self {
            Change::Replace(replacement) => replacement.undo(),
            Change::Cut(cut) => cut.undo(),
        }
    }
}

/// What a terminal controls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Control {
    /// The session, by its saved id.
    pub session: i32,
    /// The foreground process group, by its saved id.
    pub foreground: i32,
}

/// How the terminal was that a job was at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnTerminal {
    /// Its modes.
    pub modes: ModesV1,
    /// Rows and columns, if it said.
    pub window: Option<(u16, u16)>,
}

/// What is done to an object right before the job is ended for good, when its context file is safe and death can no longer be avoided: the end of
/// the program that does it is the end of the job, too. Dropped when the job runs on.
pub trait Parting {
    /// Does it.
    fn part(self: Box<Self>) -> Result<(), KindError>;
}

/// What stands at descriptor N when the restarter has no descriptor N to hand on (`cr_restart(1)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// The restarter's controlling terminal; without one the descriptor stays closed.
    Terminal,
    /// The restarter's standard input; EBADF without it.
    Stdin,
    /// The restarter's standard output; EBADF without it.
    Stdout,
}

/// The code that knows one sort of object behind descriptors.
pub trait FileKind: Sync + 'static {
    /// What is saved.
    type State: Serialize + DeserializeOwned;
    /// Name and version of the state.
    const TAG: Tag;

    /// Is this descriptor mine? Looks only at the probe. Kinds of objects to which nothing leads ([`FileKind::named`]) claim nothing.
    fn claims(&self, _probe: &Probe<'_>) -> bool {
        false
    }

    /// What makes two descriptions reach the same object.
    fn identity(&self, probe: &Probe<'_>) -> Identity {
        Identity::Inode(probe.stat.dev, probe.stat.ino)
    }

    /// Whether all that reaches an object, together, is something that this kind keeps. Otherwise the next kind that claims it is asked.
    fn accepts(&self, _probes: &[&Probe<'_>]) -> bool {
        true
    }

    /// Our own copies of the descriptors that wait in the queue of what the probe shows, in order. They are surveyed like those that
    /// processes hold, and their numbers come back in [`Capture::queues`].
    fn discover(&self, _probe: &Probe<'_>) -> Result<Vec<OwnedFd>, KindError> {
        Ok(Vec::new())
    }

    /// Objects that the job uses although nothing leads to them: programs know them by a number. One that an area has led to is not looked at twice.
    fn named(&self, _facts: &Facts) -> Vec<Named> {
        Vec::new()
    }

    /// Describes the object without disturbing it. `probes` are all descriptions that reach it, one probe each, never empty.
    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<Self::State, KindError>;

    /// What policies call such an object.
    fn word(&self) -> &'static str {
        Self::TAG.kind
    }

    /// What policies are asked about such an object.
    fn question(&self) -> Question {
        Question::Object
    }

    /// Whether the object can be saved, as far as that shows before it is captured: policies are told.
    fn is_restorable(&self, _probe: &Probe<'_>, _facts: &Facts) -> bool {
        true
    }

    /// Why such an object cannot be saved unless a policy decides what becomes of it. The sockets in `facts` have no numbers yet.
    fn obstacle(&self, _probe: &Probe<'_>, _facts: &Facts) -> Option<KindError> {
        None
    }

    /// Whether it carries out this decision about an object: it finds it in [`Capture::action`].
    fn takes(&self, _action: ObjectAction) -> bool {
        false
    }

    /// Of a kind with [`Question::File`]: what policies are told about the file.
    fn facts(&self, _state: &Self::State) -> Option<FileFacts> {
        None
    }

    /// Of a kind with [`Question::File`]: how what is at `path` now differs from the file that was saved; `None` when it does not.
    fn difference(&self, _state: &Self::State, _path: &Path) -> Option<Difference> {
        None
    }

    /// Of a kind with [`Question::File`]: carries out what policies have decided at the restart about the file, which is at `path` then.
    fn dispose(&self, _state: &mut Self::State, _action: FileAction, _path: &Path) -> Result<Disposed, KindError> {
        Ok(Disposed::default())
    }

    /// Where and when the object is made again.
    fn when(&self, _state: &Self::State) -> When {
        When::Restarter
    }

    /// Other objects of the job that must be made before this one, by the numbers that [`Capture::queues`] and descriptions name. Objects that
    /// need each other in a circle are refused.
    fn needs(&self, _state: &Self::State, _snapshot: &Snapshot) -> Vec<ObjectId> {
        Vec::new()
    }

    /// The session that the object controls as its terminal: made again whatever was asked for, as its leader could not go on without.
    fn control(&self, _state: &Self::State) -> Option<Control> {
        None
    }

    /// Of the terminal that the job was at: what that of the restarter gets while the job has it for itself.
    fn own_terminal(&self, _state: &Self::State) -> Option<OwnTerminal> {
        None
    }

    /// Everything that can be known to be wrong before anything is made. All complaints are reported together.
    fn plan(&self, _state: &Self::State, _object: (ObjectId, &Object), _cx: &mut Plan<'_>) -> Result<(), KindError> {
        Ok(())
    }

    /// Makes the object again, in the restarter.
    fn build(&self, _state: &Self::State, _object: (ObjectId, &Object), _cx: &mut Build<'_>) -> Result<Built, KindError> {
        Ok(Built::default())
    }

    /// Of an object in the memory of the first stub ([`When::FirstStub`]): adds the calls that make it there, at `address`.
    fn seed(&self, _state: &Self::State, _built: &Built, _address: u64, _batch: &mut Batch) {}

    /// Opens one of the descriptions that reach the object.
    fn open(&self, state: &Self::State, built: &Built, description: &Description, cx: &mut Build<'_>) -> Result<Opened, KindError>;

    /// Whether a description has an offset that means something: the engine puts it back.
    fn seeks(&self) -> bool {
        false
    }

    /// What comes after all descriptions are open and the contents are in place, and before anything is mapped: modes, times, seals,
    /// lengths.
    fn settle(&self, _state: &Self::State, _built: &Built, _object: (ObjectId, &Object), _cx: &mut Build<'_>) -> Result<(), KindError> {
        Ok(())
    }

    /// What can be put back only when everything is open and all processes are there: what waits in a queue, with descriptors on their way.
    fn refill(&self, _state: &Self::State, _built: &mut Built, _object: (ObjectId, &Object), _cx: &mut Build<'_>) -> Result<(), KindError> {
        Ok(())
    }

    /// Prepares what changes files that others can see, too: called when every process is ready. The engine makes all changes at once when
    /// nothing else can fail, right before the job runs.
    fn commit(
        &self,
        _state: &Self::State,
        _built: &Built,
        _object: (ObjectId, &Object),
        _cx: &mut Build<'_>,
    ) -> Result<Option<Change>, KindError> {
        Ok(None)
    }

    /// Whether an object that programs know by a number can have it on this machine. Asked before a restart moves into namespaces.
    fn numbered(&self, _state: &Self::State, _snapshot: &Snapshot) -> Numbered {
        Numbered::No
    }

    /// What certain processes of the job have to do themselves when all are there, in this order: the saved process, and its calls.
    fn acts(&self, _state: &Self::State, _built: &Built) -> Vec<(i32, Batch)> {
        Vec::new()
    }

    /// Rows for the batch of every process that has a descriptor of it, `fd`, when descriptors are in their places.
    fn bind_each(&self, _state: &Self::State, _fd: i32, _cx: &mut Bind<'_>, _batch: &mut Batch) {}

    /// A last touch in a process that holds the description as descriptor `fd`, when all ids are known and its descriptors are in place:
    /// rows for its batch. Asked for every descriptor of every table.
    fn bind(&self, _state: &Self::State, _fd: i32, _cx: &mut Bind<'_>, _batch: &mut Batch) -> Result<(), KindError> {
        Ok(())
    }
}

/// Reads a state out of the answers of a batch, once it has run.
pub type Later<S> = Box<dyn FnOnce(&Answers) -> Result<S, KindError>>;

/// When a kind's state is put into a process, and why then. The order of the variants is the order of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Working directory, root, umask: while we still have every right to enter them.
    Place,
    /// Signal handlers: before timers, which send signals.
    Signals,
    /// Names, personality, flags: in no particular order.
    Flags,
    /// Priorities and processors: they may need rights that the credentials take away.
    Scheduling,
    /// Record locks and leases, which belong to the process: after its descriptors are in place.
    Locks,
    /// Resource limits: after everything that a limit could forbid.
    Limits,
    /// Filters of system calls: while we may still install them. They are suspended until the release.
    Filters,
    /// Users, groups, capabilities: last of all that needs rights.
    Credentials,
    /// What a change of credentials resets: dumpable, parent-death signal.
    AfterCredentials,
    /// Owners of descriptors: with the credentials of the job, which the kernel remembers.
    Owners,
    /// Registrations that belong to a thread: rseq, robust list, alternate stack, clear_child_tid.
    Registrations,
    /// Timers: as late as possible, so that little time is lost.
    Timers,
    /// Pending signals: last.
    Pending,
}

/// The code that knows one sort of state of a process or a thread.
pub trait TaskKind: Sync + 'static {
    /// What is saved.
    type State: Serialize + DeserializeOwned;
    /// Name and version of the state.
    const TAG: Tag;
    /// When it is put back.
    const STEP: Step;

    /// Describes the state: from `/proc`, or with questions added to `ask`, whose answers the returned function reads.
    fn capture(&self, probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<Self::State>, KindError>;

    /// Whether it keeps the task from making system calls: the restart has to suspend it.
    fn filters_calls(&self) -> bool {
        false
    }

    /// Everything that can be known to be wrong before anything is made.
    fn plan(&self, _state: &Self::State, _cx: &mut Plan<'_>) -> Result<(), KindError> {
        Ok(())
    }

    /// Adds the calls that put the state back to `batch`, which runs in the task.
    fn apply(&self, state: &Self::State, cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError>;

    /// What can only be done from outside, through `/proc` or ptrace, after the batch has run and while the task is stopped.
    fn apply_outside(&self, _state: &Self::State, _cx: &mut Bind<'_>) -> Result<(), KindError> {
        Ok(())
    }
}

/// A [`FileKind`] without its state type.
#[allow(missing_docs, reason = "as in FileKind")]
pub trait AnyFileKind: Sync {
    fn tag(&self) -> Tag;
    fn word(&self) -> &'static str;
    fn claims(&self, probe: &Probe<'_>) -> bool;
    fn identity(&self, probe: &Probe<'_>) -> Identity;
    fn question(&self) -> Question;
    fn accepts(&self, probes: &[&Probe<'_>]) -> bool;
    fn is_restorable(&self, probe: &Probe<'_>, facts: &Facts) -> bool;
    fn obstacle(&self, probe: &Probe<'_>, facts: &Facts) -> Option<KindError>;
    fn takes(&self, action: ObjectAction) -> bool;
    fn discover(&self, probe: &Probe<'_>) -> Result<Vec<OwnedFd>, KindError>;
    fn named(&self, facts: &Facts) -> Vec<Named>;
    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<Record, KindError>;
    /// The object that a record describes.
    fn load(&'static self, record: &Record) -> Result<Box<dyn LiveObject>, KindError>;
}

impl<K: FileKind> AnyFileKind for K {
    fn tag(&self) -> Tag {
        K::TAG
    }
    fn word(&self) -> &'static str {
        FileKind::word(self)
    }
    fn claims(&self, probe: &Probe<'_>) -> bool {
        FileKind::claims(self, probe)
    }
    fn identity(&self, probe: &Probe<'_>) -> Identity {
        FileKind::identity(self, probe)
    }
    fn question(&self) -> Question {
        FileKind::question(self)
    }
    fn accepts(&self, probes: &[&Probe<'_>]) -> bool {
        FileKind::accepts(self, probes)
    }
    fn is_restorable(&self, probe: &Probe<'_>, facts: &Facts) -> bool {
        FileKind::is_restorable(self, probe, facts)
    }
    fn obstacle(&self, probe: &Probe<'_>, facts: &Facts) -> Option<KindError> {
        FileKind::obstacle(self, probe, facts)
    }
    fn takes(&self, action: ObjectAction) -> bool {
        FileKind::takes(self, action)
    }
    fn discover(&self, probe: &Probe<'_>) -> Result<Vec<OwnedFd>, KindError> {
        FileKind::discover(self, probe)
    }
    fn named(&self, facts: &Facts) -> Vec<Named> {
        FileKind::named(self, facts)
    }
    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<Record, KindError> {
        let state = FileKind::capture(self, probes, cx)?;
        Ok(Record::encode(K::TAG, &state)?)
    }
    fn load(&'static self, record: &Record) -> Result<Box<dyn LiveObject>, KindError> {
        Ok(Box::new(Live { kind: self, state: record.decode(K::TAG)? }))
    }
}

/// A [`TaskKind`] without its state type.
#[allow(missing_docs, reason = "as in TaskKind")]
pub trait AnyTaskKind: Sync {
    fn tag(&self) -> Tag;
    fn step(&self) -> Step;
    fn filters_calls(&self) -> bool;
    fn capture(&self, probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<Record>, KindError>;
    fn plan(&self, record: &Record, cx: &mut Plan<'_>) -> Result<(), KindError>;
    fn apply(&self, record: &Record, cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError>;
    fn apply_outside(&self, record: &Record, cx: &mut Bind<'_>) -> Result<(), KindError>;
}

impl<K: TaskKind> AnyTaskKind for K {
    fn tag(&self) -> Tag {
        K::TAG
    }
    fn step(&self) -> Step {
        K::STEP
    }
    fn filters_calls(&self) -> bool {
        TaskKind::filters_calls(self)
    }
    fn capture(&self, probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<Record>, KindError> {
        let later = TaskKind::capture(self, probe, ask)?;
        Ok(Box::new(move |answers| Ok(Record::encode(K::TAG, &later(answers)?)?)))
    }
    fn plan(&self, record: &Record, cx: &mut Plan<'_>) -> Result<(), KindError> {
        TaskKind::plan(self, &record.decode(K::TAG)?, cx)
    }
    fn apply(&self, record: &Record, cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        TaskKind::apply(self, &record.decode(K::TAG)?, cx, batch)
    }
    fn apply_outside(&self, record: &Record, cx: &mut Bind<'_>) -> Result<(), KindError> {
        TaskKind::apply_outside(self, &record.decode(K::TAG)?, cx)
    }
}
