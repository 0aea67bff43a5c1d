//! *survey* and *capture*: from a frozen job to its description.
//!
//! Relies on the tree being frozen. Looks through `/proc` and kcmp(2) first, then asks every task with one batch of calls. Reads
//! everything, changes nothing; which bytes will be written is decided here, moving them is left to `write`.

mod ask;
mod descriptor;
mod memory;
mod object;
mod reach;
mod review;
mod sharing;

use std::os::fd::OwnedFd;

use super::lost::Losses;
use super::note::Notes;
use super::review::Review;
use crate::error::{At, Failure, Stage, Subject};
use crate::image::{Process, Snapshot, Space, State};
use crate::policy::Stack;
use crate::proc::{MapEntry, ProcDir, Stat, Status};
use crate::resource::{KindError, Parting, Piece};
use crate::sys::ipc::View;
use crate::sys::process;
use crate::tracee::freeze::{Frozen, FrozenProcess};

/// The description of a job, and where the bytes are that go with it.
pub struct Draft {
    /// Everything but page contents.
    pub snapshot: Snapshot,
    /// Page contents, in the order in which they are written: objects first, then memories.
    pub contents: Vec<Contents>,
    /// What is done right before the job is ended for good.
    pub partings: Vec<Box<dyn Parting>>,
}

/// Page contents of one object or address space.
pub struct Contents {
    /// Whose they are.
    pub space: Space,
    /// Where they come from.
    pub source: Source,
}

/// Where page contents are read.
pub enum Source {
    /// The first bytes of a file.
    File { file: OwnedFd, bytes: u64 },
    /// Address ranges of a frozen process; pages equal to those of `parent` at the same address need not be written.
    Memory { pid: i32, parent: Option<i32>, ranges: Vec<(u64, u64)> },
    /// Pieces of memory that processes share.
    Pieces(Vec<Piece>),
    /// So many bytes that we have attached.
    View { view: View, bytes: u64 },
}

impl Contents {
    /// How many bytes have to be looked at, at most.
    pub fn bytes(&self) -> u64 {
        match &self.source {
            Source::File { bytes, .. } => *bytes,
            Source::Memory { ranges, .. } => ranges.iter().map(|range| range.1 - range.0).sum(),
            Source::Pieces(pieces) => pieces.iter().map(|piece| piece.bytes).sum(),
            Source::View { bytes, .. } => *bytes,
        }
    }
}

/// Device and number of a file.
pub type Inode = (u64, u64);

/// What `/proc` says about one process of the job.
struct Seen {
    /// Position in [`Frozen::processes`].
    position: usize,
    pid: i32,
    dir: ProcDir,
    stat: Stat,
    status: Status,
    pidfd: Option<OwnedFd>,
    maps: Vec<MapEntry>,
    zombie: bool,
}

/// What the survey has found so far, and who is asked where there is a choice.
pub struct Findings<'a, 'p> {
    /// The description, growing.
    pub snapshot: Snapshot,
    /// Page contents, in no order.
    pub contents: Vec<Contents>,
    /// What is done right before the job is ended for good.
    pub partings: Vec<Box<dyn Parting>>,
    /// What the user should know.
    pub notes: &'a mut Notes,
    /// Asks the policies.
    pub review: Review<'p>,
}

/// Describes a frozen job. Processes that policies leave out stay frozen, and are not in the description.
pub fn survey(
    frozen: &mut Frozen,
    policies: &mut Stack,
    mut losses: Losses,
    context: Option<Inode>,
    notes: &mut Notes,
) -> Result<Draft, Failure> {
    let mut seen = Vec::new();
    for (position, process) in frozen.processes.iter().enumerate() {
        let about = |failure: Failure| failure.about(Subject::pid(process.pid));
        sharing::check_threads(process).at(Stage::Survey).map_err(about)?;
        seen.push(look(position, process).at(Stage::Survey).map_err(about)?);
    }
    parents_first(&mut seen);
    let seen = review::processes(seen, &frozen.processes, policies)?;
    let alive: Vec<i32> = seen.iter().filter(|one| !one.zombie).map(|one| one.pid).collect();
    losses.look(&alive, policies, Stage::Survey)?;
    let sharing = sharing::of(&seen)?;
    let mut findings = Findings {
        snapshot: Snapshot::default(),
        contents: Vec::new(),
        partings: Vec::new(),
        notes,
        review: Review::new(policies, review::mappings(&seen)),
    };
    let (tables, mut found) = descriptor::tables(&seen, &sharing, context)?;
    let layouts = memory::look(&seen, &sharing, &mut found)?;
    let queued = reach::discover(&seen, &mut found, object::claim)?;
    let mut facts = object::facts(&seen, &frozen.processes);
    let objects = object::describe(&seen, &facts, (&found, &queued), &mut findings)?;
    descriptor::describe(&seen, (tables, &found), &objects, &mut findings)?;
    memory::describe(&seen, &sharing, layouts, &objects, &mut findings)?;
    for (index, one) in seen.iter().enumerate() {
        let process = describe_process(one, index, &sharing, &frozen.processes[one.position], findings.notes);
        findings.snapshot.processes.push(process);
    }
    sharing::apply(&sharing, &mut findings.snapshot);
    losses.describe(&mut findings.snapshot, findings.notes);
    facts.adjustments = ask::ask(&seen, frozen, &mut findings.snapshot)?;
    // What nobody leads to is known last, because tasks have to be asked who uses it.
    object::describe_named(&seen, &facts, &objects, &mut findings)?;
    let Findings { snapshot, mut contents, partings, .. } = findings;
    contents.sort_by_key(|content| match content.space {
        Space::Object(id) => (0, id),
        Space::Memory(id) => (1, id),
    });
    Ok(Draft { snapshot, contents, partings })
}

fn look(position: usize, process: &FrozenProcess) -> Result<Seen, KindError> {
    let dir = ProcDir::open(process.pid)?;
    let exit_signal = dir.stat()?.exit_signal;
    let zombie = process.threads.is_empty();
    // The files of a dead leader are empty: any live thread shows the same, but for the exit signal.
    let dir = match process.threads.first() {
        Some(thread) if process.leader_dead => ProcDir::open(thread.tid)?,
        Some(_) | None => dir,
    };
    let (stat, status) = (Stat { exit_signal, ..dir.stat()? }, dir.status()?);
    let maps = if zombie { Vec::new() } else { dir.smaps()? };
    let pidfd = match (zombie, dir.pid() == process.pid) {
        (true, _) => None,
        (false, true) => process::pidfd_open(process.pid).ok(),
        (false, false) => process::pidfd_open_thread(dir.pid()).ok(),
    };
    Ok(Seen { position, pid: process.pid, dir, stat, status, pidfd, maps, zombie })
}

/// Orders processes so that every parent stands before its children.
fn parents_first(seen: &mut Vec<Seen>) {
    let mut rest = std::mem::take(seen);
    let mut placed = std::collections::HashSet::new();
    let all: std::collections::HashSet<i32> = rest.iter().map(|one| one.pid).collect();
    while !rest.is_empty() {
        let (ready, later): (Vec<Seen>, Vec<Seen>) =
            rest.into_iter().partition(|one| !all.contains(&one.stat.ppid) || placed.contains(&one.stat.ppid));
        assert!(!ready.is_empty(), "processes are their own ancestors");
        placed.extend(ready.iter().map(|one| one.pid));
        seen.extend(ready);
        rest = later;
    }
}

fn describe_process(one: &Seen, index: usize, sharing: &sharing::Sharing, process: &FrozenProcess, notes: &mut Notes) -> Process {
    let state = match (one.zombie, process.group_stop) {
        (true, _) => State::Zombie(one.stat.exit_code),
        (false, Some(signal)) => State::Stopped(signal),
        (false, None) => State::Running,
    };
    if one.zombie {
        notes.warn(Subject::pid(one.pid), "has ended and nobody has waited for it; its exit status is kept");
    }
    Process {
        pid: one.pid,
        ppid: one.stat.ppid,
        pgid: one.stat.pgrp,
        sid: one.stat.session,
        foreground: one.stat.tpgid == one.stat.pgrp,
        exit_signal: one.stat.exit_signal,
        state,
        name: one.stat.comm.to_string_lossy().into_owned(),
        command: command_of(one),
        uid: one.status.uids.real,
        memory: sharing.memory[index],
        table: sharing.table[index],
        records: Vec::new(),
        threads: Vec::new(),
        shares_fs_with: sharing.fs[index],
        shares_handlers_with: sharing.handlers[index],
    }
}

/// The command line with its words joined, for people.
fn command_of(one: &Seen) -> String {
    let arguments = one.dir.read("cmdline").unwrap_or_default();
    let words = arguments.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    words.collect::<Vec<_>>().join(" ").trim_end().to_owned()
}
