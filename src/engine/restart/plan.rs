//! *plan*: every decision of a restart, taken before anything exists.
//!
//! Relies on the snapshot, the request and what `/proc` says about this machine. Changes nothing. All complaints of the kinds are
//! reported together.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::PlanError;
use super::clock;
use super::graph::Graph;
use super::ids;
use super::session::Sessions;
use super::space::find_room;
use crate::engine::holder::Holder;
use crate::engine::lost;
use crate::engine::note::Notes;
use crate::engine::origin;
use crate::engine::request::{Affinity, Place, RestartRequest};
use crate::error::{At, Class, Classified, Failure, Stage, Subject};
use crate::image::{Backing, ObjectId, Process, Scope, Snapshot, State};
use crate::policy::relocate::Relocations;
use crate::policy::verdict::Ids;
use crate::resource::actor::Actors;
use crate::resource::outside::Outside;
use crate::resource::{KindError, Plan as KindPlan, Room, Uses, When, task_kind, uses};
use crate::sys::Errno;
use crate::sys::process::has_capability;
use crate::tracee::Scratch;

/// Who makes a process, and what its parent is then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Maker {
    /// The first stub, as a sibling: its parent is the restarter.
    Restarter,
    /// The first stub, as a child: its parent is init once the first stub has gone.
    Init,
    /// An earlier process of the job, its parent.
    Parent(usize),
    /// An earlier process of the job, as a sibling: they share something that only cloning can share.
    Sibling(usize),
}

/// Addresses of objects that wait in memory, and the room that each has.
pub type Parked = HashMap<ObjectId, (u64, Room)>;

/// Every decision of a restart.
pub struct Plan {
    /// Processes and threads get their saved ids.
    pub restore_pid: bool,
    /// Processes get their saved groups.
    pub restore_pgid: bool,
    /// Which saved sessions processes get.
    pub sessions: Sessions,
    /// Where the job comes to live.
    pub place: Place,
    /// The restarter leaves as soon as the job runs.
    pub detach: bool,
    /// Whether the job lives in a time namespace.
    pub has_own_clocks: bool,
    /// Whether what the job had from its surroundings, such as processors, comes back as it was saved.
    pub keeps_surroundings: bool,
    /// Who makes each process.
    pub makers: Vec<Maker>,
    /// Address of the scratch, free in every process.
    pub scratch: u64,
    /// Address where the vdso waits while areas are mapped.
    pub vdso_parking: u64,
    /// Where objects wait in the memory of the first stub and of everybody who is forked from it, and how much room they have.
    pub parked: Parked,
    /// Path rules.
    pub relocations: Relocations,
    /// What the job does with each object, by position.
    pub uses: Vec<Uses>,
    /// Who acts by path.
    pub actors: Actors,
    /// What others do with files.
    pub outside: Outside,
}

impl Plan {
    /// The process whose end the restarter waits for: the eldest whose parent it becomes.
    pub fn lead(&self, snapshot: &Snapshot) -> Option<usize> {
        let alive = |index: &usize| !matches!(snapshot.processes[*index].state, State::Zombie(_));
        (0..self.makers.len()).filter(alive).find(|index| self.is_child_of_restarter(*index))
    }

    /// Whether the restarter is the parent of this process.
    pub fn is_child_of_restarter(&self, index: usize) -> bool {
        match self.makers[index] {
            Maker::Restarter => true,
            Maker::Sibling(other) => self.is_child_of_restarter(other),
            Maker::Init | Maker::Parent(_) => false,
        }
    }

    /// Where a saved path is now.
    pub fn path(&self, saved: &Path) -> PathBuf {
        self.relocations.apply(saved)
    }

    /// The object that an area maps by a descriptor, rather than from where it waits.
    pub fn maps_file(&self, backing: &Backing) -> Option<ObjectId> {
        match backing {
            Backing::Object { object, .. } if !self.parked.contains_key(object) => Some(*object),
            Backing::Object { .. } | Backing::Anonymous | Backing::Special(_) => None,
        }
    }
}

/// Takes every decision, or says everything that stands in the way.
pub fn plan(
    snapshot: &Snapshot,
    graph: &Graph,
    request: &RestartRequest,
    ids: Ids,
    relocations: &Relocations,
    notes: &mut Notes,
) -> Result<Plan, Failure> {
    lost::remind(snapshot, notes);
    let has_own_clocks = clock::plan(&snapshot.origin, request.clock, notes).at(Stage::Plan)?;
    let restore_pid = ids != Ids::New;
    let sessions = Sessions::of(snapshot, graph, request.restore_sid);
    if restore_pid {
        check_ids(snapshot, &sessions, request).at(Stage::Plan)?;
    }
    let Possible { makers, scratch, vdso_parking, parked, uses, actors, outside } = check((snapshot, graph), false, relocations, notes)?;
    let restore_pgid = request.restore_pgid || restore_pid && request.restore_sid;
    if restore_pgid && !request.restore_pgid {
        notes.warn(Subject::default(), "a session leader keeps its process group: --restore-sid implies --restore-pgid here");
    }
    if !restore_pid && (request.restore_sid || request.restore_pgid) {
        notes.warn(Subject::default(), "with new ids, sessions and process groups come back under the new ids of their leaders");
    }
    Ok(Plan {
        restore_pid,
        restore_pgid,
        sessions,
        place: request.place,
        detach: request.detach,
        has_own_clocks,
        keeps_surroundings: request.affinity == Affinity::Saved,
        makers,
        scratch,
        vdso_parking,
        parked,
        relocations: relocations.clone(),
        uses,
        actors,
        outside,
    })
}

/// What is decided the same whatever ids the job gets.
pub struct Possible {
    makers: Vec<Maker>,
    scratch: u64,
    vdso_parking: u64,
    parked: Parked,
    uses: Vec<Uses>,
    actors: Actors,
    outside: Outside,
}

/// Takes the decisions that no id of this machine has a part in. `is_proof`: the job itself is there, and in nobody's way.
pub fn check(
    (snapshot, graph): (&Snapshot, &Graph),
    is_proof: bool,
    relocations: &Relocations,
    notes: &mut Notes,
) -> Result<Possible, Failure> {
    check_machine(snapshot).at(Stage::Plan)?;
    let uses = uses(snapshot);
    let actors = Actors::of(snapshot).at(Stage::Plan)?;
    let outside = Outside::look();
    check_kinds((snapshot, graph), is_proof, relocations, (&uses, &actors, &outside), notes)?;
    let (scratch, vdso_parking, parked) = lay_out(snapshot, graph).at(Stage::Plan)?;
    Ok(Possible { makers: makers(snapshot).at(Stage::Plan)?, scratch, vdso_parking, parked, uses, actors, outside })
}

/// The vdso must be this kernel's: programs hold addresses inside it. The processor must have what the job's registers hold.
fn check_machine(snapshot: &Snapshot) -> Result<(), PlanError> {
    let here = origin::here();
    let saved = &snapshot.origin;
    if saved.xcr0 & !here.xcr0 != 0 {
        let what = format!("the processor lacks extended state {:#x}", saved.xcr0 & !here.xcr0);
        return Err(PlanError::Machine { what });
    }
    if snapshot.vdso.is_empty() {
        return Ok(());
    }
    // Headers, symbols and notes fill the first page; the code behind them is patched for each processor.
    let compared = snapshot.vdso.len().min(4096);
    match own_vdso()? {
        Some(own) if own.len() == snapshot.vdso.len() && own[..compared] == snapshot.vdso[..compared] => Ok(()),
        Some(_) | None => {
            let what = format!("the vdso of kernel {} is not that of kernel {}", here.kernel, saved.kernel);
            Err(PlanError::Machine { what })
        }
    }
}

fn own_vdso() -> Result<Option<Vec<u8>>, PlanError> {
    use std::os::unix::fs::FileExt;
    let Some((start, end, _)) = own_areas()?.into_iter().find(|area| area.2.ends_with("[vdso]")) else { return Ok(None) };
    let mut bytes = vec![0; usize::try_from(end - start).unwrap_or(0)];
    let read = std::fs::File::open("/proc/self/mem").and_then(|file| file.read_exact_at(&mut bytes, start));
    read.map(|()| Some(bytes)).map_err(|error| own("vdso", &error))
}

fn own_areas() -> Result<Vec<(u64, u64, String)>, PlanError> {
    let maps = std::fs::read_to_string("/proc/self/maps").map_err(|error| own("memory map", &error))?;
    let parse = |line: &str| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?, line.to_owned()))
    };
    Ok(maps.lines().filter_map(parse).collect())
}

fn own(what: &'static str, error: &std::io::Error) -> PlanError {
    PlanError::Own { what, source: Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)) }
}

/// No id of the job may be in use, and we must be allowed to choose ids.
fn check_ids(snapshot: &Snapshot, sessions: &Sessions, request: &RestartRequest) -> Result<(), PlanError> {
    const CAP_SYS_ADMIN: u32 = 21;
    const CAP_CHECKPOINT_RESTORE: u32 = 40;
    let ours: HashSet<i32> = snapshot.processes.iter().map(|process| process.pid).collect();
    for process in &snapshot.processes {
        check_free("process id", process.pid)?;
        for thread in process.threads.iter().filter(|thread| thread.tid != process.pid) {
            check_free("thread id", thread.tid)?;
        }
        if request.restore_sid && !ours.contains(&process.sid) && !ids::stays_in_session(snapshot, process, request.place) {
            check_free("session", process.sid)?;
        }
        let keeps_group = request.restore_pgid || sessions.keeps_groups(process.sid);
        if keeps_group && !ours.contains(&process.pgid) && !ids::stays_in_group(snapshot, process, request.place) {
            check_free("process group", process.pgid)?;
        }
    }
    if has_capability(CAP_CHECKPOINT_RESTORE) || has_capability(CAP_SYS_ADMIN) { Ok(()) } else { Err(PlanError::IdForbidden) }
}

fn check_free(what: &'static str, id: i32) -> Result<(), PlanError> {
    Holder::of(id).map_or(Ok(()), |by| Err(PlanError::IdTaken { what, id, by }))
}

/// Asks every kind about everything; one complaint is reported as it is, several together.
fn check_kinds(
    (snapshot, graph): (&Snapshot, &Graph),
    is_proof: bool,
    relocations: &Relocations,
    (uses, actors, outside): (&[Uses], &Actors, &Outside),
    notes: &mut Notes,
) -> Result<(), Failure> {
    let path = |saved: &Path| relocations.apply(saved);
    let mut cx = KindPlan { snapshot, path: &path, uses, actor: actors.process(0), outside, is_proof, warnings: Vec::new() };
    let mut complaints: Vec<KindError> = Vec::new();
    for (id, object, live) in graph.objects(snapshot) {
        cx.actor = actors.object(id);
        complaints.extend(live.plan((id, object), &mut cx).err());
        notes.lose_all(&Subject::path(&object.path), std::mem::take(&mut cx.warnings));
    }
    for (index, process) in snapshot.processes.iter().enumerate() {
        cx.actor = actors.process(index);
        let records = process.records.iter().chain(process.threads.iter().flat_map(|thread| &thread.records));
        for record in records {
            let checked = task_kind(record).and_then(|kind| kind.plan(record, &mut cx));
            complaints.extend(checked.err().filter(|new| !complaints.iter().any(|have| have.to_string() == new.to_string())));
        }
        notes.lose_all(&Subject::pid(process.pid), std::mem::take(&mut cx.warnings));
    }
    together(complaints)
}

/// All that stands in the way as one failure; one complaint is reported as it is.
pub fn together(mut complaints: Vec<KindError>) -> Result<(), Failure> {
    match complaints.len() {
        0 => Ok(()),
        1 => Err(complaints.remove(0)).at(Stage::Plan),
        _ => Err(several(&complaints)).at(Stage::Plan),
    }
}

fn several(complaints: &[KindError]) -> PlanError {
    let worst = complaints.iter().max_by_key(|error| error.class()).expect("there are several");
    let whole = |error: &KindError| match (error, std::error::Error::source(error)) {
        // An errno by itself would begin with its number's name.
        (KindError::Host { source, .. }, _) => format!("{error}: {}", source.desc()),
        (_, Some(source)) => format!("{error}: {source}"),
        (_, None) => error.to_string(),
    };
    PlanError::Several {
        class: worst.class(),
        code: worst.errno().unwrap_or(match worst.class() {
            Class::Env => libc::ENOENT,
            Class::Args | Class::Temp | Class::Perm => libc::EINVAL,
        }),
        problems: complaints.iter().map(whole).collect(),
        remedy: worst.remedy(),
        needs_release: worst.needs_other_release(),
    }
}

/// Chooses addresses that are free in every process, and in ourselves, from whom the first stub is forked.
fn lay_out(snapshot: &Snapshot, graph: &Graph) -> Result<(u64, u64, Parked), PlanError> {
    const VDSO_ROOM: u64 = 1 << 20;
    const APART: u64 = 2 << 20;
    let align = |bytes: u64| bytes.next_multiple_of(APART) + APART;
    let waits = |when: When| if let When::FirstStub(room) = when { Some(room) } else { None };
    let rooms = graph.objects(snapshot).filter_map(|(id, _, live)| Some((id, waits(live.when())?)));
    let rooms: Vec<(ObjectId, Room)> = rooms.map(|(id, room)| (id, Room { align: room.align.max(APART), ..room })).collect();
    let scratch_room = align(Scratch::footprint(Scratch::LARGE)) + align(VDSO_ROOM);
    let added = |sum: u64, room: &Room| sum.checked_add(room.bytes.checked_next_multiple_of(room.align)?)?.checked_add(2 * room.align);
    let bytes = rooms.iter().try_fold(scratch_room, |sum, (_, room)| added(sum, room));
    let bytes = bytes.ok_or(PlanError::NoRoom { bytes: u64::MAX })?;
    let own: Vec<(u64, u64)> = own_areas()?.into_iter().map(|area| (area.0, area.1)).collect();
    let scratch = find_room(&snapshot.memories, &own, bytes).ok_or(PlanError::NoRoom { bytes })?;
    let vdso_parking = scratch + align(Scratch::footprint(Scratch::LARGE));
    let mut at = vdso_parking + align(VDSO_ROOM);
    let mut parked = Parked::new();
    for (id, room) in rooms {
        at = at.next_multiple_of(room.align);
        parked.insert(id, (at, room));
        at += room.bytes.next_multiple_of(room.align) + room.align;
    }
    Ok((scratch, vdso_parking, parked))
}

/// Who makes whom. A parent outside the job becomes the restarter; an orphan of a group or session stays one.
fn makers(snapshot: &Snapshot) -> Result<Vec<Maker>, PlanError> {
    let mut makers: Vec<Maker> = Vec::with_capacity(snapshot.processes.len());
    let mut places = HashMap::new();
    let (mut memories, mut tables) = (HashMap::new(), HashMap::new());
    for (index, process) in snapshot.processes.iter().enumerate() {
        let natural = match places.get(&process.ppid) {
            Some(parent) => Maker::Parent(*parent),
            None if is_orphan(snapshot, process) => Maker::Init,
            None => Maker::Restarter,
        };
        places.insert(process.pid, index);
        let mut shares_with = None;
        if process.memory.is_some() {
            let memory = *memories.entry(process.memory).or_insert(index);
            let table = *tables.entry(process.table).or_insert(index);
            shares_with = Some(memory.min(table)).filter(|first| *first < index);
        }
        makers.push(sharing_maker(snapshot, index, natural, shares_with, &makers)?);
    }
    Ok(makers)
}

/// A member of a group or session, other than its leader, whose parent was init: it stays a child of init.
fn is_orphan(snapshot: &Snapshot, process: &Process) -> bool {
    let is_asked_for = snapshot.ids.contains(&i64::from(process.pid));
    process.ppid == 1 && !is_asked_for && !snapshot.targets().all(|(scope, _)| matches!(scope, Scope::Tree | Scope::Process))
}

/// What is shared can only be shared by cloning one that has it: the parent, else a sibling.
/// `first` is the first process that it shares with.
fn sharing_maker(snapshot: &Snapshot, index: usize, natural: Maker, first: Option<usize>, makers: &[Maker]) -> Result<Maker, PlanError> {
    let process = &snapshot.processes[index];
    let shares = |other: usize| {
        let other = &snapshot.processes[other];
        process.memory.is_some() && (process.memory == other.memory || process.table == other.table)
    };
    match first {
        None => Ok(natural),
        Some(_) if matches!(natural, Maker::Parent(parent) if shares(parent)) => Ok(natural),
        Some(other) if makers[other] == natural => Ok(Maker::Sibling(other)),
        Some(_) => Err(PlanError::Lineage { pid: process.pid }),
    }
}
