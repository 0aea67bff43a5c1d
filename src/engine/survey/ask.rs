//! What only the tasks themselves can tell: one batch of calls in every process and every thread.
//!
//! Relies on frozen tasks. Every task is itself again afterwards, whatever happens; on failure the scratch memory is taken out too.

use super::Seen;
use crate::error::{At, Failure, Stage, Subject};
use crate::image::{Record, Snapshot, Thread};
use crate::proc::ProcError;
use crate::resource::ipc::undo;
use crate::resource::memory::{fields, key};
use crate::resource::{Adjustment, AnyTaskKind, KindError, Later, PROCESS_KINDS, THREAD_KINDS, TaskProbe};
use crate::tracee::freeze::{Frozen, FrozenProcess};
use crate::tracee::{Answers, Batch, Buffer, Row, Scratch, Stopped, TraceeError, arch};

/// Most threads of a process that are asked at the same time.
const MOST_SLOTS: usize = 64;

/// Fills in the records of processes and threads, and the fields of address spaces. Returns what the ends of processes would do to semaphores.
pub fn ask(seen: &[Seen], frozen: &mut Frozen, snapshot: &mut Snapshot) -> Result<Vec<Adjustment>, Failure> {
    let sets = undo::sets();
    let mut adjustments = Vec::new();
    for (index, one) in seen.iter().enumerate().filter(|(_, one)| !one.zombie) {
        let process = &mut frozen.processes[one.position];
        let asked = ask_process(one, process, &sets).at(Stage::Capture).map_err(|failure| failure.about(Subject::pid(one.pid)))?;
        if snapshot.origin.monotonic_ns == 0 {
            (snapshot.origin.monotonic_ns, snapshot.origin.boottime_ns) = asked.clocks;
        }
        adjustments.extend(asked.adjustments);
        let described = &mut snapshot.processes[index];
        described.records = asked.records;
        described.threads = asked.threads;
        if let Some(memory) = described.memory {
            let memory = &mut snapshot.memories[memory as usize];
            memory.fields = fields::of(&one.stat, asked.brk);
            memory.lock_future = asked.lock_future;
            memory.keys = asked.keys;
        }
    }
    Ok(adjustments)
}

struct Asked {
    records: Vec<Record>,
    threads: Vec<Thread>,
    brk: u64,
    lock_future: i32,
    keys: u16,
    /// CLOCK_MONOTONIC and CLOCK_BOOTTIME as the process sees them, nanoseconds.
    clocks: (u64, u64),
    adjustments: Vec<Adjustment>,
}

/// The questions to one task, and how their answers are read.
struct Asking {
    batch: Batch,
    later: Vec<Later<Record>>,
}

/// What a process has answered.
struct Heard {
    process: (Vec<Later<Record>>, Answers),
    /// In the order of its living threads.
    threads: Vec<OneAsked>,
    brk: u64,
    lock_future: i32,
    keys: u16,
    clocks: (u64, u64),
    adjustments: Vec<Adjustment>,
}

fn ask_process(one: &Seen, process: &mut FrozenProcess, sets: &[(i32, usize)]) -> Result<Asked, KindError> {
    let mut batch = Batch::new();
    let later = questions(PROCESS_KINDS, &probe(one, process.threads[0].tid, &one.status), &mut batch)?;
    let asking = process.threads.iter().map(|thread| asking(one, thread.tid)).collect::<Result<Vec<_>, _>>()?;
    let slots = process.threads.len().min(MOST_SLOTS);
    let scratch = Scratch::plant_live(&mut process.threads[0], slots, Scratch::SMALL)?;
    let heard = ask_through(&scratch, one, process, Asking { batch, later }, asking).and_then(|heard| {
        let adjustments = ask_undo(&scratch, one.pid, &mut process.threads[0], sets)?;
        Ok(Heard { adjustments, ..heard })
    });
    let uprooted = scratch.uproot(&mut process.threads[0]);
    let heard = heard?;
    uprooted?;
    describe(heard, one, process)
}

/// Reads the answers, and what a signal changes: a task may have taken some while it answered, and takes none from here on. So registers and
/// masks are those of the same moment as what is pending.
fn describe(heard: Heard, one: &Seen, process: &FrozenProcess) -> Result<Asked, KindError> {
    let Heard { process: (later, answers), threads: heard_threads, brk, lock_future, keys, clocks, adjustments } = heard;
    let records = answered(later, &answers)?;
    let mut threads = Vec::with_capacity(process.threads.len() + 1);
    if process.leader_dead {
        threads.push(Thread { tid: one.pid, dead: true, ..Thread::default() });
    }
    for (thread, (later, answers)) in process.threads.iter().zip(heard_threads) {
        threads.push(Thread {
            tid: thread.tid,
            dead: false,
            mask: thread.mask(),
            registers: arch::registers_to_bytes(thread.registers()),
            xstate: thread.xstate()?,
            records: answered(later, &answers)?,
        });
    }
    Ok(Asked { records, threads, brk, lock_future, keys, clocks, adjustments })
}

fn ask_through(
    scratch: &Scratch,
    one: &Seen,
    process: &mut FrozenProcess,
    Asking { mut batch, later }: Asking,
    mut asking: Vec<Asking>,
) -> Result<Heard, KindError> {
    let brk: Row = fields::ask_break(&mut batch);
    let keys = key::ask(&mut batch);
    let clocks = [libc::CLOCK_MONOTONIC, libc::CLOCK_BOOTTIME].map(|clock| ask_clock(clock, &mut batch));
    let answers = scratch.run(&mut process.threads[0], &batch)?;
    let clocks = clocks.map(|buffer| answers.word(buffer, 0).saturating_mul(1_000_000_000).saturating_add(answers.word(buffer, 1)));
    let brk = fields::read_break(&answers, brk);
    let keys = key::read(&answers, &keys);
    let mut threads = Vec::with_capacity(process.threads.len());
    for wave in process.threads.chunks_mut(MOST_SLOTS) {
        let asking = asking.drain(..wave.len()).collect();
        threads.extend(ask_wave(scratch, wave, asking)?);
    }
    let (lock_future, clocks, adjustments) = (lock_future(one, scratch)?, clocks.into(), Vec::new());
    Ok(Heard { process: (later, answers), threads, brk, lock_future, keys, clocks, adjustments })
}

/// What the end of a process would do to semaphores: found in several batches, but only where there are any.
fn ask_undo(scratch: &Scratch, pid: i32, task: &mut Stopped, sets: &[(i32, usize)]) -> Result<Vec<Adjustment>, KindError> {
    let mut search = undo::Search::new(pid, sets);
    while let Some(batch) = search.ask() {
        search.hear(&scratch.run(task, &batch)?);
    }
    Ok(search.finish())
}

/// The time of a clock: in a time namespace it is another than ours.
fn ask_clock(clock: libc::clockid_t, batch: &mut Batch) -> Buffer {
    let room = batch.room(size_of::<libc::timespec>());
    batch.call("read a clock", libc::SYS_clock_gettime, [clock.into(), room.into()]);
    room
}

/// Whether memory to come is locked (mlockall(2), MCL_FUTURE): the kernel shows it nowhere, but the scratch has just been mapped.
fn lock_future(one: &Seen, scratch: &Scratch) -> Result<i32, KindError> {
    if !one.maps.iter().any(|entry| entry.flags.has("lo")) {
        return Ok(0);
    }
    let (start, _) = scratch.ranges()[0];
    let maps = one.dir.smaps()?;
    let flags = maps.iter().find(|entry| entry.start <= start && start < entry.end).map(|entry| &entry.flags);
    Ok(match flags {
        Some(flags) if flags.has("lf") => libc::MCL_FUTURE | libc::MCL_ONFAULT,
        Some(flags) if flags.has("lo") => libc::MCL_FUTURE,
        Some(_) | None => 0,
    })
}

fn probe<'a>(one: &'a Seen, tid: i32, status: &'a crate::proc::Status) -> TaskProbe<'a> {
    TaskProbe { pid: one.pid, tid, dir: &one.dir, status }
}

fn asking(one: &Seen, tid: i32) -> Result<Asking, KindError> {
    let dir = match one.dir.task(tid) {
        Ok(dir) => dir,
        // The directory of a process with a dead leader is that of a thread already.
        Err(_) => crate::proc::ProcDir::open(tid)?,
    };
    let status = dir.status().map_err(|error| gone(error, tid))?;
    let mut batch = Batch::new();
    let later = questions(THREAD_KINDS, &TaskProbe { pid: one.pid, tid, dir: &dir, status: &status }, &mut batch)?;
    Ok(Asking { batch, later })
}

/// What a thread was asked, and what it answered.
type OneAsked = (Vec<Later<Record>>, Answers);

/// Asks some threads at the same time.
fn ask_wave(scratch: &Scratch, wave: &mut [Stopped], asking: Vec<Asking>) -> Result<Vec<OneAsked>, KindError> {
    let mut work: Vec<(&mut Stopped, &Batch)> = wave.iter_mut().zip(asking.iter().map(|one| &one.batch)).collect();
    let answers = scratch.run_each(&mut work)?;
    Ok(asking.into_iter().map(|one| one.later).zip(answers).collect())
}

fn gone(error: ProcError, tid: i32) -> KindError {
    match error {
        ProcError::Gone { .. } => TraceeError::Gone { tid }.into(),
        other => other.into(),
    }
}

fn questions(kinds: &[&'static dyn AnyTaskKind], probe: &TaskProbe<'_>, batch: &mut Batch) -> Result<Vec<Later<Record>>, KindError> {
    kinds.iter().map(|kind| kind.capture(probe, batch)).collect()
}

fn answered(later: Vec<Later<Record>>, answers: &Answers) -> Result<Vec<Record>, KindError> {
    later.into_iter().map(|read| read(answers)).collect()
}
