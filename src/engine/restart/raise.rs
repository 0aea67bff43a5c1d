//! *raise*: processes come into being, with their ids, groups, sessions and memory; threads follow.
//!
//! Relies on stubs dying with us: any failure here leaves nothing behind. A process is mapped and filled before its children are made,
//! so that they inherit its pages copy-on-write, as the job's own fork once did.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::os::fd::AsRawFd;

use super::build::{Objects, settle};
use super::clock;
use super::fill::Fill;
use super::graph::Graph;
use super::plan::{Maker, Plan};
use super::session::{self, Terminals};
use super::{group, ids};
use crate::engine::note::Notes;
use crate::engine::request::Place;
use crate::error::{At, Failure, Stage, Subject};
use crate::image::{ObjectId, Process, Snapshot, State};
use crate::resource::memory::special;
use crate::resource::{AnyTaskKind, Control, task_kind};
use crate::sys::{Errno, process};
use crate::tracee::robust::Disarmed;
use crate::tracee::stub::{self, Birth};
use crate::tracee::{Batch, Scratch, Stopped, TraceeError, release};

/// A process being restored.
pub struct Raised {
    /// Its id now.
    pub pid: i32,
    /// Its threads, the leader first; empty in a zombie.
    pub threads: Vec<Stopped>,
    /// Where its special areas are now.
    pub special: Vec<(String, u64, u64)>,
    /// Its robust lists, which are empty until it runs: if the restart fails no lock may look as if its owner had died.
    pub robust: Disarmed,
}

impl Raised {
    /// Whether it is a process rather than a zombie.
    pub fn is_alive(&self) -> bool {
        !self.threads.is_empty()
    }
}

/// The job while it is restored. Dropping it kills every stub.
pub struct Job {
    /// Processes in the order of the snapshot.
    pub processes: Vec<Raised>,
    /// The scratch that every stub has.
    pub scratch: Scratch,
}

impl Job {
    /// The id that a process has now.
    pub fn pid_of(&self, index: usize) -> i32 {
        self.processes[index].pid
    }

    /// The ids that saved processes and threads have now.
    pub fn ids(&self, snapshot: &Snapshot) -> HashMap<i32, i32> {
        let mut ids = HashMap::new();
        for (saved, raised) in snapshot.processes.iter().zip(&self.processes) {
            ids.insert(saved.pid, raised.pid);
            ids.extend(saved.threads.iter().zip(&raised.threads).map(|(thread, stopped)| (thread.tid, stopped.tid)));
        }
        ids
    }

    /// Number of threads.
    pub fn n_threads(&self) -> usize {
        self.processes.iter().map(|process| process.threads.len()).sum()
    }

    /// Lets every task go. Running on success. The end of `lead`, which may come at once, is left to whoever waits for it.
    pub fn release(self, lead: Option<i32>) -> Result<(), Failure> {
        for process in &self.processes {
            match process.robust.rearm() {
                // Somebody has killed it: its parent will see.
                Ok(()) | Err(TraceeError::Gone { .. }) => {}
                Err(error) => return Err(error).at(Stage::Release),
            }
        }
        let pids: Vec<i32> = self.processes.iter().filter(|process| process.is_alive()).map(|process| process.pid).collect();
        let released = release::release(self.processes.into_iter().flat_map(|process| process.threads), lead);
        if released.is_err() {
            // All of the job or nothing: also those that run already. One that has ended is as good.
            for pid in pids {
                let _ended = process::kill(pid, libc::SIGKILL);
            }
        }
        released.at(Stage::Release)
    }
}

/// Makes all processes and threads, with their memory filled. Nobody runs yet.
pub fn raise(
    (snapshot, graph): (&Snapshot, &Graph),
    plan: &Plan,
    objects: &mut Objects,
    fill: &mut Fill<'_>,
    notes: &mut Notes,
) -> Result<Job, Failure> {
    if plan.place != Place::Host
        && let Err(error) = ids::leave_free(snapshot)
    {
        notes.warn(Subject::default(), format!("the next process ids cannot be chosen, an id of the job may be taken: {error}"));
    }
    let filtered = snapshot
        .processes
        .iter()
        .flat_map(|process| &process.threads)
        .any(|thread| thread.records.iter().any(|record| task_kind(record).is_ok_and(AnyTaskKind::filters_calls)));
    let (mut seed, scratch) = first_stub(snapshot, plan, filtered).at(Stage::Raise)?;
    if plan.has_own_clocks {
        clock::enter(&snapshot.origin, &mut seed, &scratch).at(Stage::Raise)?;
    }
    let mut special = own_special(seed.pid).at(Stage::Raise)?;
    park((graph, objects), plan, &mut seed, &scratch, &mut special).at(Stage::Raise)?;
    fill.objects(objects, plan, seed.pid)?;
    settle(snapshot, graph, plan, objects, notes)?;
    let writable = objects.close_programs(snapshot).at(Stage::Build)?;
    close_in_stub(&writable, &mut seed, &scratch).at(Stage::Raise)?;
    let mut raising = Raising {
        snapshot,
        plan,
        scratch: &scratch,
        seed: &mut seed,
        seed_special: special,
        processes: Vec::new(),
        sessions: HashMap::new(),
        terminals: terminals(plan, objects),
    };
    for (index, saved) in snapshot.processes.iter().enumerate() {
        let about = |failure: Failure| failure.about(Subject::pid(saved.pid));
        let raised = raising.process(index).at(Stage::Raise).map_err(about)?;
        raising.processes.push(raised);
        if !matches!(saved.state, State::Zombie(_)) && first_with_memory(snapshot, index) {
            raising.memory(index, objects, fill)?;
        }
    }
    raising.groups().at(Stage::Raise)?;
    if !plan.restore_pgid {
        raising.groups_apart().at(Stage::Raise)?;
    }
    raising.sessions.drain().for_each(|(_, placeholder)| discard(placeholder));
    raising.threads()?;
    raising.zombies().at(Stage::Raise)?;
    let processes = raising.processes;
    end_first_stub(seed).at(Stage::Raise)?;
    Ok(Job { processes, scratch })
}

/// Closes descriptors of the first stub.
fn close_in_stub(descriptors: &[i32], seed: &mut Stopped, scratch: &Scratch) -> Result<(), TraceeError> {
    let mut batch = Batch::new();
    for fd in descriptors {
        batch.call("close a descriptor", libc::SYS_close, [(*fd).into()]);
    }
    scratch.run(seed, &batch).map(drop)
}

/// Whether this process is the first of those that share its address space: it maps and fills it.
pub fn first_with_memory(snapshot: &Snapshot, index: usize) -> bool {
    let memory = snapshot.processes[index].memory;
    memory.is_some() && snapshot.processes[..index].iter().all(|other| other.memory != memory)
}

/// Whether two processes belong to the same group of those that share something, which each names by its earliest member.
fn shared(snapshot: &Snapshot, index: usize, maker: usize, pick: fn(&Process) -> Option<u32>) -> bool {
    let with = pick(&snapshot.processes[index]);
    with.is_some() && (with == u32::try_from(maker).ok() || with == pick(&snapshot.processes[maker]))
}

/// Makes the first stub. An id of the job that it gets by chance is given back.
fn first_stub(snapshot: &Snapshot, plan: &Plan, suspend_seccomp: bool) -> Result<(Stopped, Scratch), TraceeError> {
    let wanted = |pid: i32| {
        plan.restore_pid
            && snapshot.processes.iter().any(|saved| {
                saved.pid == pid || saved.pgid == pid || saved.sid == pid || saved.threads.iter().any(|thread| thread.tid == pid)
            })
    };
    let mut unlucky = Vec::new();
    let found = loop {
        let made = match stub::seed(plan.scratch, suspend_seccomp) {
            Err(TraceeError::Request { source: Errno::EPERM, .. }) if suspend_seccomp => stub::seed(plan.scratch, false),
            made => made,
        };
        match made {
            Ok((seed, scratch)) if wanted(seed.pid) => unlucky.push((seed, scratch)),
            other => break other,
        }
    };
    unlucky.into_iter().try_for_each(|(seed, _)| end_first_stub(seed))?;
    found
}

/// Ends a stub of ours and reaps it, so that its id is free and its children have another parent.
fn end_first_stub(seed: Stopped) -> Result<(), TraceeError> {
    let pid = seed.pid;
    drop(seed);
    loop {
        match process::wait_all(pid) {
            Ok((_, status)) if libc::WIFSTOPPED(status) => {}
            Ok(_) | Err(Errno::ECHILD) => return Ok(()),
            Err(errno) => return Err(TraceeError::request("wait for the first stub", pid, errno)),
        }
    }
}

fn own_special(pid: i32) -> Result<Vec<(String, u64, u64)>, TraceeError> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).map_err(|_| TraceeError::Gone { tid: pid })?;
    let parse = |line: &str| {
        let name = line.split_whitespace().nth(5).filter(|name| name.starts_with("[v") && *name != "[vsyscall]")?;
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        Some((name.to_owned(), u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
    };
    Ok(maps.lines().filter_map(parse).collect())
}

/// In the first stub: what waits in its memory is made, and the special areas step out of every process's way.
fn park(
    (graph, objects): (&Graph, &Objects),
    plan: &Plan,
    seed: &mut Stopped,
    scratch: &Scratch,
    special: &mut [(String, u64, u64)],
) -> Result<(), TraceeError> {
    let mut batch = Batch::new();
    for (id, (address, _)) in &plan.parked {
        graph.live(*id).seed(&objects.built[*id as usize], *address, &mut batch);
    }
    let mut at = plan.vdso_parking;
    let mut moves = Vec::new();
    for (_, start, end) in special.iter_mut() {
        let bytes = *end - *start;
        moves.push(special::Move { from: *start, bytes, to: at });
        (*start, *end) = (at, at + bytes);
        at += bytes;
    }
    special::apply(&moves, &[], &mut batch);
    scratch.run(seed, &batch).map(drop)
}

struct Raising<'a> {
    snapshot: &'a Snapshot,
    plan: &'a Plan,
    scratch: &'a Scratch,
    seed: &'a mut Stopped,
    seed_special: Vec<(String, u64, u64)>,
    processes: Vec<Raised>,
    /// Placeholders of leaders that have ended, by session and maker.
    sessions: HashMap<(i32, Maker), Stopped>,
    /// Terminals that the job has made for sessions of its own.
    terminals: Terminals,
}

impl Raising<'_> {
    /// Makes one process; it is a copy of its maker.
    fn process(&mut self, index: usize) -> Result<Raised, crate::resource::KindError> {
        let saved = &self.snapshot.processes[index];
        let (maker, sibling) = match self.plan.makers[index] {
            Maker::Restarter => (None, true),
            Maker::Init => (None, false),
            Maker::Parent(parent) => (Some(parent), false),
            Maker::Sibling(other) => (Some(other), true),
        };
        let shares = |pick: fn(&Process) -> Option<u32>| {
            maker.is_some_and(|maker| pick(saved).is_some() && pick(saved) == pick(&self.snapshot.processes[maker]))
        };
        let birth = Birth {
            sibling,
            share_memory: shares(|process| process.memory),
            share_table: shares(|process| process.table),
            share_fs: maker.is_some_and(|maker| shared(self.snapshot, index, maker, |process| process.shares_fs_with)),
            share_handlers: maker.is_some_and(|maker| shared(self.snapshot, index, maker, |process| process.shares_handlers_with)),
            exit_signal: saved.exit_signal.max(0),
            pid: self.plan.restore_pid.then_some(saved.pid),
        };
        let special = maker.map_or_else(|| self.seed_special.clone(), |maker| self.processes[maker].special.clone());
        let leader = self.born(index, maker, birth)?;
        Ok(Raised { pid: leader.pid, threads: vec![leader], special, robust: Disarmed::default() })
    }

    /// Makes a process in the right session: its own, its maker's, or that of a short-lived placeholder.
    fn born(&mut self, index: usize, maker: Option<usize>, birth: Birth) -> Result<Stopped, crate::resource::KindError> {
        let saved = &self.snapshot.processes[index];
        let maker_session = maker.map(|maker| self.snapshot.processes[maker].sid);
        let scratch = self.scratch;
        let leader_is_ours = self.snapshot.processes.iter().any(|other| other.pid == saved.sid);
        let from = match maker {
            Some(maker) => &mut self.processes[maker].threads[0],
            None => &mut *self.seed,
        };
        let taken = |error: TraceeError| taken(error, saved.pid);
        let stays = maker.is_none() && ids::stays_in_session(self.snapshot, saved, self.plan.place);
        if !self.plan.sessions.keeps(saved.sid) || maker_session == Some(saved.sid) || stays {
            return stub::spawn(from, scratch, birth).map_err(taken);
        }
        if saved.sid == saved.pid {
            let mut leader = stub::spawn(from, scratch, birth).map_err(taken)?;
            session::lead(&mut leader, scratch, self.terminals.get(&saved.sid).copied())?;
            return Ok(leader);
        }
        if leader_is_ours {
            return Err(crate::resource::KindError::Unsupported {
                what: format!("session {} of process {}, which its leader did not make it in,", saved.sid, saved.pid),
                remedy: "leave out --restore-sid".into(),
            });
        }
        // The session's leader has ended: a placeholder with its id makes the session, and all of its processes that have the same maker.
        if let Some(placeholder) = self.sessions.get_mut(&(saved.sid, self.plan.makers[index])) {
            return stub::spawn(placeholder, scratch, Birth { sibling: true, ..birth }).map_err(taken);
        }
        let placeholder = Birth {
            pid: self.plan.restore_pid.then_some(saved.sid),
            share_memory: false,
            share_handlers: false,
            share_table: false,
            share_fs: false,
            ..birth
        };
        let leader_taken = |error: TraceeError| self::taken(error, saved.sid);
        let mut placeholder = stub::spawn(from, scratch, placeholder).map_err(leader_taken)?;
        session::lead(&mut placeholder, scratch, None)?;
        let made = stub::spawn(&mut placeholder, scratch, Birth { sibling: true, ..birth }).map_err(taken);
        self.sessions.insert((saved.sid, self.plan.makers[index]), placeholder);
        made
    }

    /// Maps and fills the address space of a process that has just been made.
    fn memory(&mut self, index: usize, objects: &Objects, fill: &mut Fill<'_>) -> Result<(), Failure> {
        let inherits = match self.plan.makers[index] {
            Maker::Parent(maker) | Maker::Sibling(maker) => self.snapshot.processes[maker].memory,
            Maker::Restarter | Maker::Init => None,
        };
        let source = match self.plan.makers[index] {
            Maker::Parent(maker) | Maker::Sibling(maker) => Some(self.processes[maker].pid),
            Maker::Restarter | Maker::Init => None,
        };
        let raised = &mut self.processes[index];
        let memory = self.snapshot.processes[index].memory.expect("only processes with memory are filled");
        let about = Subject::pid(self.snapshot.processes[index].pid);
        fill.memory(memory, inherits.zip(source), raised, self.scratch, self.plan, objects).map_err(|failure| failure.about(about))
    }

    /// Keeps groups of the job's own apart, with today's ids.
    fn groups_apart(&mut self) -> Result<(), TraceeError> {
        for (index, leader) in group::apart(self.snapshot) {
            let saved = &self.snapshot.processes[index];
            let leads_session = saved.sid == saved.pid && self.plan.sessions.keeps(saved.sid);
            if leads_session || self.plan.sessions.keeps_groups(saved.sid) {
                continue;
            }
            let number = self.processes[leader].pid;
            set_group(&mut self.processes[index].threads[0], self.scratch, number)?;
        }
        Ok(())
    }

    /// Puts every process that is to have it into its saved group, under the number that its leader has now. Leaders first; a group whose leader has
    /// ended is made by a placeholder. Then terminals of the job get their foreground groups.
    fn groups(&mut self) -> Result<(), crate::resource::KindError> {
        let saved = &self.snapshot.processes;
        let is_member = |index: &usize| {
            let session = saved[*index].sid;
            let leads_session = session == saved[*index].pid && self.plan.sessions.keeps(session);
            (self.plan.restore_pgid || self.plan.sessions.keeps_groups(session))
                && !leads_session
                && !ids::stays_in_group(self.snapshot, &saved[*index], self.plan.place)
        };
        let members: Vec<usize> = (0..self.processes.len()).filter(is_member).collect();
        let (leaders, others): (Vec<usize>, Vec<usize>) = members.into_iter().partition(|index| saved[*index].pid == saved[*index].pgid);
        // Leaders of sessions, and the placeholders of such, lead a group already.
        let mut numbers: HashMap<i32, i32> = saved.iter().zip(&self.processes).map(|(saved, raised)| (saved.pid, raised.pid)).collect();
        numbers.extend(self.sessions.iter().map(|((session, _), placeholder)| (*session, placeholder.pid)));
        for index in leaders {
            set_group(&mut self.processes[index].threads[0], self.scratch, 0)?;
        }
        let mut placeholders = Vec::new();
        for index in others {
            let group = saved[index].pgid;
            let member = &mut self.processes[index].threads[0];
            if let Entry::Vacant(vacant) = numbers.entry(group) {
                let birth = Birth { pid: self.plan.restore_pid.then_some(group), exit_signal: 0, ..Birth::default() };
                let mut placeholder = stub::spawn(member, self.scratch, birth).map_err(|error| taken(error, group))?;
                set_group(&mut placeholder, self.scratch, 0)?;
                vacant.insert(placeholder.pid);
                placeholders.push((index, placeholder));
            }
            set_group(member, self.scratch, numbers[&group])?;
        }
        self.foreground(&numbers)?;
        for (index, placeholder) in placeholders {
            let pid = placeholder.pid;
            discard(placeholder);
            forget(&mut self.processes[index].threads[0], self.scratch, pid)?;
        }
        Ok(())
    }

    /// Puts the groups into the foreground that were there. One that has ended leaves its place to the leader of the session.
    fn foreground(&mut self, numbers: &HashMap<i32, i32>) -> Result<(), TraceeError> {
        for (_, control) in &self.plan.sessions.controls {
            let leader = self.snapshot.processes.iter().position(|process| process.pid == control.session);
            let terminal = self.terminals.get(&control.session);
            if let (Some(leader), Some(terminal), Some(group)) = (leader, terminal, numbers.get(&control.foreground)) {
                session::put_foreground(&mut self.processes[leader].threads[0], self.scratch, *terminal, *group)?;
            }
        }
        Ok(())
    }

    fn threads(&mut self) -> Result<(), Failure> {
        for (raised, saved) in self.processes.iter_mut().zip(&self.snapshot.processes) {
            let ids: Vec<Option<i32>> = saved.threads.iter().skip(1).map(|thread| self.plan.restore_pid.then_some(thread.tid)).collect();
            if !ids.is_empty() {
                let about = |failure: Failure| failure.about(Subject::pid(saved.pid));
                let made = stub::spawn_threads(&mut raised.threads[0], self.scratch, &ids);
                let threads = made.map_err(|error| taken_thread(error, saved)).at(Stage::Raise).map_err(about)?;
                raised.threads.extend(threads);
            }
        }
        Ok(())
    }

    /// Lets those end that had ended, with the same status; their parents do not notice before they wait.
    fn zombies(&mut self) -> Result<(), crate::resource::KindError> {
        for (raised, saved) in self.processes.iter_mut().zip(&self.snapshot.processes) {
            if let State::Zombie(status) = saved.state {
                let mut stopped = raised.threads.remove(0);
                name(&mut stopped, self.scratch, &saved.name)?;
                stub::end(stopped, self.scratch, status)?;
            }
        }
        Ok(())
    }
}

fn name(stopped: &mut Stopped, scratch: &Scratch, name: &str) -> Result<(), TraceeError> {
    let mut batch = Batch::new();
    let text = batch.string(name.as_bytes());
    batch.attempt(libc::SYS_prctl, [libc::PR_SET_NAME.into(), text.into()]);
    scratch.run(stopped, &batch).map(drop)
}

/// The numbers of the descriptors, which every stub has, of terminals that the job made for sessions of its own.
fn terminals(plan: &Plan, objects: &Objects) -> Terminals {
    let terminal = |(id, control): &(ObjectId, Control)| {
        let built = &objects.built[*id as usize];
        Some((control.session, built.descriptors.get(built.terminal?)?.as_raw_fd()))
    };
    plan.sessions.controls.iter().filter_map(terminal).collect()
}

fn set_group(stopped: &mut Stopped, scratch: &Scratch, group: i32) -> Result<(), TraceeError> {
    let mut batch = Batch::new();
    batch.call("join the process group", libc::SYS_setpgid, [0i32.into(), group.into()]);
    scratch.run(stopped, &batch).map(drop)
}

/// Ends a placeholder; whoever is its parent reaps it here, as its tracer.
fn discard(placeholder: Stopped) {
    let pid = placeholder.pid;
    drop(placeholder);
    while let Ok((_, status)) = process::wait_all(pid) {
        if !libc::WIFSTOPPED(status) {
            break;
        }
    }
}

/// In the parent of a placeholder that has been discarded: takes the zombie away, which its tracer cannot.
fn forget(parent: &mut Stopped, scratch: &Scratch, pid: i32) -> Result<(), TraceeError> {
    let mut batch = Batch::new();
    let options = libc::WNOHANG | libc::__WALL;
    batch.call("forget a placeholder", libc::SYS_wait4, [pid.into(), 0u64.into(), options.into(), 0u64.into()]);
    scratch.run(parent, &batch).map(drop)
}

fn taken_thread(error: TraceeError, saved: &Process) -> crate::resource::KindError {
    let ids = || saved.threads.iter().skip(1).map(|thread| thread.tid);
    let id = ids().find(|tid| std::path::Path::new(&format!("/proc/{tid}")).exists()).or_else(|| ids().next());
    taken(error, id.unwrap_or(saved.pid))
}

fn taken(error: TraceeError, id: i32) -> crate::resource::KindError {
    if stub::is_id_taken(&error) {
        return crate::resource::KindError::IdTaken { id };
    }
    error.into()
}
