//! *bind*: what needs the final process: protection, descriptors in their places, the state of the kinds, registers.
//!
//! Relies on every process being there, so that ids are known. Every process gets one batch, and every further thread one.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::build::Objects;
use super::graph::Graph;
use super::plan::Plan;
use super::raise::{Job, first_with_memory};
use super::table::{Move, Place, arrange};
use crate::engine::note::Notes;
use crate::error::{At, Failure, Stage, Subject};
use crate::image::{DescriptionId, Record, Snapshot, Thread};
use crate::resource::file::{lock, owner};
use crate::resource::memory::key::Keys;
use crate::resource::memory::{area, fields, special};
use crate::resource::task::death_signal::DeathSignal;
use crate::resource::task::robust_list;
use crate::resource::{Bind, Directories, KindError, Step, TaskKind, task_kind};
use crate::sys::Errno;
use crate::tracee::{Answers, Batch, Row, Stopped, arch, robust, stub};

/// Puts everything into place. Every task is what it was, and stopped.
pub fn bind(
    (snapshot, graph): (&Snapshot, &Graph),
    plan: &Plan,
    objects: &Objects,
    job: &mut Job,
    notes: &mut Notes,
) -> Result<(), Failure> {
    let ids = job.ids(snapshot);
    let mut binder = Binder { snapshot, graph, plan, objects, ids, owned: HashSet::new(), placed: HashSet::new(), notes };
    binder.acts(job)?;
    binder.sharers(job)?;
    for index in (0..job.processes.len()).filter(|index| !snapshot.processes[*index].threads.is_empty()) {
        let about = |failure: Failure| failure.about(Subject::pid(snapshot.processes[index].pid));
        binder.process(index, job).at(Stage::Bind).map_err(about)?;
    }
    for index in (0..job.processes.len()).filter(|index| !snapshot.processes[*index].threads.is_empty()) {
        let about = |failure: Failure| failure.about(Subject::pid(snapshot.processes[index].pid));
        binder.finish(index, job).at(Stage::Bind).map_err(about)?;
    }
    Ok(())
}

struct Binder<'a> {
    snapshot: &'a Snapshot,
    graph: &'a Graph,
    plan: &'a Plan,
    objects: &'a Objects,
    ids: HashMap<i32, i32>,
    /// Descriptions whose owner and kind have been seen to.
    owned: HashSet<DescriptionId>,
    /// Processes that are done with what needs our descriptors.
    placed: HashSet<usize>,
    notes: &'a mut Notes,
}

impl Binder<'_> {
    /// Everything that batches do.
    fn process(&mut self, index: usize, job: &mut Job) -> Result<(), KindError> {
        let saved = &self.snapshot.processes[index];
        let pid = job.processes[index].pid;
        let heads = saved.threads.iter().filter_map(|thread| robust_list::head(&thread.records));
        job.processes[index].robust = robust::disarm(pid, heads)?;
        // Other threads first: what the leader sets for the whole process may forbid what they need.
        for (thread, stopped) in saved.threads.iter().zip(&mut job.processes[index].threads).skip(1) {
            let mut batch = Batch::new();
            self.records(pid, stopped.tid, records(thread)?, &mut batch)?;
            job.scratch.run(stopped, &batch)?;
        }
        let mut batch = Batch::new();
        let exe = self.place(index, job, &mut batch)?;
        forget_children(&mut batch);
        if self.first_with_table(index) {
            self.table(index, job, &mut batch)?;
        }
        let mut all: Vec<(Step, &Record)> = records_of(&saved.records)?;
        all.retain(|(step, _)| *step != Step::Place);
        if !saved.threads[0].dead {
            all.extend(records(&saved.threads[0])?);
        }
        self.process_records(index, pid, all, &mut batch)?;
        let answers = job.scratch.run(&mut job.processes[index].threads[0], &batch)?;
        self.said_of_program(index, exe, &answers);
        Ok(())
    }

    /// What objects need to be done by certain processes, while all have our rights. For one that has ended another does it.
    fn acts(&mut self, job: &mut Job) -> Result<(), Failure> {
        for (id, object, live) in self.graph.objects(self.snapshot) {
            for (pid, batch) in live.acts(&self.objects.built[id as usize]) {
                let of_pid = |index: &usize| self.snapshot.processes[*index].pid == pid;
                let alive = || (0..job.processes.len()).filter(|index| job.processes[*index].is_alive());
                let Some(index) = alive().find(of_pid).or_else(|| alive().next()) else { continue };
                let ran = job.scratch.run(&mut job.processes[index].threads[0], &batch);
                ran.at(Stage::Bind).map_err(|failure| failure.about(Subject::path(&object.path)))?;
            }
        }
        Ok(())
    }

    /// Processes that share a descriptor table with an earlier one: that one closes the descriptors by which they get their program and their
    /// directories, so they get them first.
    fn sharers(&mut self, job: &mut Job) -> Result<(), Failure> {
        let alive = (0..job.processes.len()).filter(|index| !self.snapshot.processes[*index].threads.is_empty());
        for index in alive.filter(|index| !self.first_with_table(*index)).collect::<Vec<_>>() {
            let about = |failure: Failure| failure.about(Subject::pid(self.snapshot.processes[index].pid));
            let mut batch = Batch::new();
            let exe = self.place(index, job, &mut batch).at(Stage::Bind).map_err(about)?;
            let answers = job.scratch.run(&mut job.processes[index].threads[0], &batch).at(Stage::Bind).map_err(about)?;
            self.said_of_program(index, exe, &answers);
        }
        Ok(())
    }

    /// What needs descriptors of ours: program and memory, working and root directory.
    fn place(&mut self, index: usize, job: &Job, batch: &mut Batch) -> Result<Option<Row>, KindError> {
        if !self.placed.insert(index) {
            return Ok(None);
        }
        let raised = &job.processes[index];
        let exe = if first_with_memory(self.snapshot, index) { self.memory(index, &raised.special, batch) } else { None };
        for (_, record) in records_of(&self.snapshot.processes[index].records)?.into_iter().filter(|(step, _)| *step == Step::Place) {
            let directories = self.objects.directories(index);
            self.with_context(raised.pid, raised.pid, |cx| {
                cx.directories = directories;
                task_kind(record)?.apply(record, cx, batch)
            })?;
        }
        Ok(exe)
    }

    fn said_of_program(&mut self, index: usize, exe: Option<Row>, answers: &Answers) {
        if let Some(Err(errno)) = exe.map(|row| answers.value(row)) {
            let reason = if errno == Errno::EPERM { "setting it needs CAP_CHECKPOINT_RESTORE" } else { errno.desc() };
            let about = Subject::pid(self.snapshot.processes[index].pid);
            self.notes.lose(about, format!("/proc/PID/exe shows the restarter: {reason}"));
        }
    }

    fn memory(&self, index: usize, special: &[(String, u64, u64)], batch: &mut Batch) -> Option<Row> {
        let id = self.snapshot.processes[index].memory.expect("a live process has memory");
        let memory = &self.snapshot.memories[id as usize];
        let keys = Keys::of(memory);
        keys.iter().for_each(|keys| keys.before_protection(batch));
        for area in memory.areas.iter().filter(|area| !matches!(area.backing, crate::image::Backing::Special(_))) {
            area::protect(area, !area.shared, batch);
        }
        keys.iter().for_each(|keys| keys.after_protection(&memory.areas, batch));
        for (address, room) in self.plan.parked.values() {
            batch.call("unmap memory", libc::SYS_munmap, [(*address).into(), room.bytes.next_multiple_of(4096).into()]);
        }
        let saved = special::group(&memory.areas);
        for (name, start, end) in special {
            if !saved.iter().any(|have| have.0 == *name) {
                batch.call("unmap memory", libc::SYS_munmap, [(*start).into(), (end - start).into()]);
            }
        }
        let exe = memory.exe.and_then(|exe| self.objects.file_of(exe, false));
        let row = fields::set(&memory.fields, &memory.auxv, exe, batch);
        memory.areas.iter().for_each(|area| area::seal(area, batch));
        if memory.lock_future != 0 {
            batch.call("lock memory to come", libc::SYS_mlockall, [memory.lock_future.into()]);
        }
        row
    }

    fn first_with_table(&self, index: usize) -> bool {
        let table = self.snapshot.processes[index].table;
        self.snapshot.processes[..index].iter().all(|other| other.table != table)
    }

    /// Descriptors go to their numbers; all others are closed.
    fn table(&mut self, index: usize, job: &mut Job, batch: &mut Batch) -> Result<(), KindError> {
        let table = self.snapshot.processes[index].table.expect("a live process has a table");
        let descriptors = &self.snapshot.tables[table as usize].descriptors;
        let delivered = self.objects.deliver(descriptors, &mut job.processes[index].threads[0], &job.scratch)?;
        let mut places = Vec::new();
        for descriptor in descriptors {
            let source = self.objects.source(descriptor, &delivered).map_err(|error| KindError::Denied {
                what: error.to_string(),
                remedy: "give cr_restart standard input and output".into(),
            })?;
            if source.is_none() {
                let saved = &self.snapshot.processes[index];
                let object = &self.snapshot.objects[self.snapshot.descriptions[descriptor.description as usize].object as usize];
                let about = Subject::descriptor(saved.pid, descriptor.fd, &object.path);
                self.notes.lose(about, "the descriptor is closed: cr_restart has none of this number, and no terminal".to_owned());
            }
            places.extend(source.map(|source| Place { target: descriptor.fd, source, cloexec: descriptor.cloexec }));
        }
        for step in arrange(&places) {
            match step {
                Move::Copy { from, to, cloexec } => {
                    let flags = if cloexec { libc::O_CLOEXEC } else { 0 };
                    batch.call("put a descriptor in its place", libc::SYS_dup3, [from.into(), to.into(), flags.into()]);
                }
                Move::Keep { fd, cloexec } => {
                    let flags = if cloexec { libc::FD_CLOEXEC } else { 0 };
                    batch.call("keep a descriptor", libc::SYS_fcntl, [fd.into(), libc::F_SETFD.into(), flags.into()]);
                }
                Move::Close { first, last } => {
                    batch.call("close descriptors", libc::SYS_close_range, [first.into(), last.into(), 0i32.into()]);
                }
            }
        }
        Ok(())
    }

    /// The state of the process and of its leader, and what belongs to its descriptors, in the order of the steps.
    fn process_records(&mut self, index: usize, pid: i32, mut all: Vec<(Step, &Record)>, batch: &mut Batch) -> Result<(), KindError> {
        all.sort_by_key(|(step, _)| *step);
        let before = |step: Step| all.iter().position(|(have, _)| step < *have).unwrap_or(all.len());
        let (locks_at, owners_at) = (before(Step::Locks), before(Step::Owners));
        for (position, (_, record)) in all.iter().enumerate() {
            if position == locks_at {
                self.descriptors(index, batch, Touch::Locks)?;
            }
            if position == owners_at {
                self.descriptors(index, batch, Touch::Owners)?;
            }
            self.record(pid, pid, record, batch)?;
        }
        if locks_at == all.len() {
            self.descriptors(index, batch, Touch::Locks)?;
        }
        if owners_at == all.len() {
            self.descriptors(index, batch, Touch::Owners)?;
        }
        Ok(())
    }

    fn descriptors(&mut self, index: usize, batch: &mut Batch, touch: Touch) -> Result<(), KindError> {
        let saved = &self.snapshot.processes[index];
        let Some(table) = saved.table.filter(|_| self.first_with_table(index)) else { return Ok(()) };
        let path = |saved: &Path| self.plan.path(saved);
        let id = |saved: i32| self.ids.get(&saved).copied().unwrap_or(saved);
        let pid = id(saved.pid);
        let (same_ids, keeps_surroundings) = (self.plan.restore_pid, self.plan.keeps_surroundings);
        let directories = Directories::default();
        let mut cx = Bind {
            snapshot: self.snapshot,
            pid,
            tid: pid,
            id: &id,
            path: &path,
            directories,
            same_ids,
            keeps_surroundings,
            warnings: Vec::new(),
        };
        let mut seen = HashSet::new();
        for descriptor in &self.snapshot.tables[table as usize].descriptors {
            let description = &self.snapshot.descriptions[descriptor.description as usize];
            match touch {
                Touch::Locks if seen.insert(descriptor.description) => {
                    lock::rows(descriptor.fd, &description.locks, saved.pid, batch)?;
                    if self.owned.insert(descriptor.description) {
                        self.graph.live(description.object).bind(descriptor.fd, &mut cx, batch)?;
                    }
                    self.graph.live(description.object).bind_each(descriptor.fd, &mut cx, batch);
                }
                Touch::Owners if seen.insert(descriptor.description) => owner::rows(descriptor.fd, description, &mut cx, batch),
                Touch::Locks | Touch::Owners => {}
            }
        }
        let warnings = cx.warnings;
        self.notes.lose_all(&Subject::pid(saved.pid), warnings);
        Ok(())
    }

    fn records(&mut self, pid: i32, tid: i32, mut all: Vec<(Step, &Record)>, batch: &mut Batch) -> Result<(), KindError> {
        all.sort_by_key(|(step, _)| *step);
        all.into_iter().try_for_each(|(_, record)| self.record(pid, tid, record, batch))
    }

    fn record(&mut self, pid: i32, tid: i32, record: &Record, batch: &mut Batch) -> Result<(), KindError> {
        if record.kind == DeathSignal::TAG.kind && self.plan.detach && self.is_child_of_restarter(pid) {
            // The end of a restarter that leaves is not the end of the parent that the signal is about.
            return Ok(());
        }
        self.with_context(pid, tid, |cx| task_kind(record)?.apply(record, cx, batch))
    }

    fn is_child_of_restarter(&self, pid: i32) -> bool {
        let is_it = |index: &usize| self.ids.get(&self.snapshot.processes[*index].pid) == Some(&pid);
        (0..self.snapshot.processes.len()).find(is_it).is_some_and(|index| self.plan.is_child_of_restarter(index))
    }

    fn with_context(&mut self, pid: i32, tid: i32, act: impl FnOnce(&mut Bind<'_>) -> Result<(), KindError>) -> Result<(), KindError> {
        let path = |saved: &Path| self.plan.path(saved);
        let id = |saved: i32| self.ids.get(&saved).copied().unwrap_or(saved);
        let (same_ids, keeps_surroundings) = (self.plan.restore_pid, self.plan.keeps_surroundings);
        let directories = Directories::default();
        let mut cx = Bind {
            snapshot: self.snapshot,
            pid,
            tid,
            id: &id,
            path: &path,
            directories,
            same_ids,
            keeps_surroundings,
            warnings: Vec::new(),
        };
        let result = act(&mut cx);
        let warnings = cx.warnings;
        self.notes.lose_all(&Subject::pid(pid), warnings);
        result
    }

    /// What comes after the last batch: registers, the scratch goes, what can only be done from outside.
    fn finish(&mut self, index: usize, job: &mut Job) -> Result<(), KindError> {
        let saved = &self.snapshot.processes[index];
        let living = usize::from(saved.threads[0].dead);
        if saved.threads[0].dead {
            stub::doom(&mut job.processes[index].threads[0], &job.scratch, &saved.name)?;
        }
        for (thread, stopped) in saved.threads.iter().zip(&mut job.processes[index].threads).skip(living) {
            registers(thread, stopped)?;
        }
        if self.last_with_memory(index) {
            let scratch = job.scratch.inherited();
            scratch.uproot(&mut job.processes[index].threads[living])?;
        }
        let pid = job.processes[index].pid;
        for record in &saved.records {
            self.with_context(pid, pid, |cx| task_kind(record)?.apply_outside(record, cx))?;
        }
        for (thread, stopped) in saved.threads.iter().zip(&job.processes[index].threads).skip(living) {
            for record in &thread.records {
                self.with_context(pid, stopped.tid, |cx| task_kind(record)?.apply_outside(record, cx))?;
            }
        }
        Ok(())
    }

    fn last_with_memory(&self, index: usize) -> bool {
        let memory = self.snapshot.processes[index].memory;
        self.snapshot.processes[index + 1..].iter().all(|other| other.memory != memory)
    }
}

/// What [`Binder::descriptors`] sees to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Touch {
    /// Record locks, leases, and the last touches of the kinds.
    Locks,
    /// Who gets signals.
    Owners,
}

/// Children that ended while the job was raised have left a SIGCHLD, which ignoring the signal for a moment takes away.
fn forget_children(batch: &mut Batch) {
    let mut ignore = [0u64; 4];
    ignore[0] = 1; // SIG_IGN
    let action = batch.words(&ignore);
    batch.call("ignore SIGCHLD", libc::SYS_rt_sigaction, [libc::SIGCHLD.into(), action.into(), 0u64.into(), 8u64.into()]);
}

fn records(thread: &Thread) -> Result<Vec<(Step, &Record)>, KindError> {
    records_of(&thread.records)
}

fn records_of(records: &[Record]) -> Result<Vec<(Step, &Record)>, KindError> {
    records.iter().map(|record| Ok((task_kind(record)?.step(), record))).collect()
}

/// The task's own registers; an interrupted system call is made again.
fn registers(thread: &Thread, stopped: &mut Stopped) -> Result<(), KindError> {
    let registers = arch::registers_from_bytes(&thread.registers).ok_or_else(|| KindError::Unsupported {
        what: format!("a set of registers of {} bytes", thread.registers.len()),
        remedy: "the context file is of another architecture".into(),
    })?;
    let here = stopped.xstate()?;
    let mut xstate = thread.xstate.clone();
    // Another processor may have a larger area; what the smaller one has not is in its initial state.
    xstate.resize(here.len(), 0);
    stopped.become_task(arch::restarted(&registers), &xstate, thread.mask)?;
    Ok(())
}
