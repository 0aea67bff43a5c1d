//! A scratch that a live task shares with us: batches that end by themselves, without a tracer and without a system call.
//!
//! Relies on System V shared memory, which one call in the task maps, and on robust futexes: when we die, the kernel marks a word of every slot before it
//! lets the tasks go, and their loops see that before the next call ([`super::code`]). No signal is blocked meanwhile and none is needed: a loop that has
//! ended waits in futex(2) and is interrupted. Where the memory cannot be had (another IPC namespace, no execution of what can be
//! written), [`super::scratch`] has a way without.

use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::arch::{self, ROW_BYTES};
use super::code::{self, LOOP, slot};
use super::slack;
use super::task::Stopped;
use super::{Answers, Batch, TraceeError, memory};
use crate::sys::process::{self, Change};
use crate::sys::shm::{self, Segment};
use crate::sys::{Errno, ptrace};

/// The loop and its words; the data and the rows of a slot come behind.
const HEAD: u64 = 4096;
/// Offset in `struct rseq` of the word that names the sequence.
const RSEQ_CS: u64 = 8;

/// The scratch of one address space.
#[derive(Debug)]
pub(super) struct Live {
    segment: Segment,
    /// Its address in the task.
    base: u64,
    slot_bytes: u64,
    n_slots: usize,
    /// What the robust words hold while we live.
    alive: u32,
}

impl Live {
    /// Maps it into the address space of `task`. `None`: it cannot be had here, and the task is as it was.
    pub(super) fn plant(task: &mut Stopped, n_slots: usize, room: u64) -> Result<Option<Live>, TraceeError> {
        let slot_bytes = HEAD + room.next_multiple_of(HEAD);
        let Some((mut segment, offsets)) = segment(task, n_slots, slot_bytes) else { return Ok(None) };
        let nodes: Vec<usize> = offsets.iter().map(|offset| offset + slot::NODE).collect();
        let Ok(alive) = segment.mourn(&nodes, slot::OWNER as isize - slot::NODE as isize) else { return Ok(None) };
        for offset in &offsets {
            segment.write(*offset, &LOOP);
            segment.write(offset + slot::ALIVE, &alive.to_le_bytes());
            shm::set(segment.word(offset + slot::OWNER), alive);
        }
        const SHM_EXEC: u64 = 0o100_000;
        let id = u64::try_from(segment.id()).unwrap_or(0);
        match slack::call(task, &[], libc::SYS_shmat, [id, 0, SHM_EXEC, 0, 0, 0], "map shared memory") {
            Ok(base) => Ok(Some(Live { segment, base, slot_bytes, n_slots, alive })),
            Err(TraceeError::Call { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The address ranges it occupies: its first page, and the rest.
    pub(super) fn ranges(&self) -> [(u64, u64); 2] {
        let end = self.base + self.slot_bytes * self.n_slots as u64;
        [(self.base, self.base + HEAD), (self.base + HEAD, end)]
    }

    /// Bytes for the rows and data of one slot.
    pub(super) fn room(&self) -> u64 {
        self.slot_bytes - HEAD
    }

    /// Unmaps it; the task is as it was before.
    pub(super) fn uproot(self, task: &mut Stopped) -> Result<(), TraceeError> {
        slack::call(task, &self.ranges(), libc::SYS_shmdt, [self.base, 0, 0, 0, 0, 0], "unmap shared memory").map(drop)
    }

    /// Makes the calls of one batch a task, all tasks at the same time, a slot each.
    pub(super) fn run(&self, work: &mut [(&mut Stopped, &Batch)]) -> Result<Vec<Answers>, TraceeError> {
        let mut runs = Vec::with_capacity(work.len());
        let mut failure = None;
        for (number, (task, batch)) in work.iter_mut().enumerate() {
            match Run::start(self, number, task, batch) {
                Ok(run) => runs.push(run),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        // A failure in one task must not leave the loops of the others running.
        let mut answers = Vec::with_capacity(work.len());
        for (run, (task, batch)) in runs.iter_mut().zip(work.iter_mut()) {
            match run.finish(task, batch) {
                Ok(answer) => answers.push(answer),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(answers), Err)
    }
}

/// Takes out what tracers that died have left behind in the address space of a task, all of whose threads are stopped.
pub(super) fn clear(task: &mut Stopped) -> Result<(), TraceeError> {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", task.tid)).map_err(|_| TraceeError::Gone { tid: task.tid })?;
    let shared = maps.lines().filter(|line| line.contains(" /SYSV00000000 (deleted)"));
    let areas: Vec<(u64, u64)> = shared
        .filter_map(|line| {
            let (start, end) = line.split_once(' ')?.0.split_once('-')?;
            Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
        })
        .collect();
    for (start, end) in areas {
        let mut code = [0; LOOP.len()];
        if memory::read(task.tid, start, &mut code).is_ok() && code::is_loop(&code) {
            slack::call(task, &[(start, end)], libc::SYS_shmdt, [start, 0, 0, 0, 0, 0], "unmap shared memory")?;
        }
    }
    Ok(())
}

/// Whether there is any segment that such a tracer may have left behind: one without a name that goes when nobody maps it any more.
pub(super) fn is_any_left() -> bool {
    let Ok(text) = std::fs::read_to_string("/proc/sysvipc/shm") else { return false };
    // Mode 1700 is that of ours: SHM_DEST, and everything for the owner.
    text.lines().skip(1).any(|line| line.split_whitespace().nth(2) == Some("1700"))
}

/// Memory that the task may map, and the offsets of the slots in it.
fn segment(task: &Stopped, n_slots: usize, slot_bytes: u64) -> Option<(Segment, Vec<usize>)> {
    let ipc = |whose: String| std::fs::metadata(format!("/proc/{whose}/ns/ipc")).ok().map(|file| (file.dev(), file.ino()));
    if ipc("self".into())? != ipc(task.pid.to_string())? {
        return None;
    }
    // The owner of the directory is the effective user of the process, or root if it is not dumpable: then look closer.
    let status = std::fs::read_to_string(format!("/proc/{}/status", task.tid)).ok()?;
    let effective =
        |name: &str| -> Option<u32> { status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().nth(1)?.parse().ok() };
    let slot_bytes = usize::try_from(slot_bytes).ok()?;
    let segment = Segment::new(slot_bytes * n_slots, effective("Uid:")?, effective("Gid:")?).ok()?;
    Some((segment, (0..n_slots).map(|number| number * slot_bytes).collect()))
}

/// One batch on its way in one task.
struct Run<'a> {
    live: &'a Live,
    /// Offset of the slot in the segment.
    at: usize,
    /// Offset of the rows in the segment.
    rows: usize,
    /// Address of the task's word for restartable sequences, if it has one.
    rseq_cs: Option<u64>,
    results: Vec<i64>,
    in_flight: Range<usize>,
}

impl<'a> Run<'a> {
    fn start(live: &'a Live, number: usize, task: &mut Stopped, batch: &Batch) -> Result<Run<'a>, TraceeError> {
        let at = number * usize::try_from(live.slot_bytes).expect("small");
        let data = at + usize::try_from(HEAD).expect("small");
        let rows = data + batch.data_bytes().next_multiple_of(64);
        let rseq = ptrace::rseq_configuration(task.tid).unwrap_or_default();
        let rseq_cs = (rseq.address != 0).then_some(rseq.address + RSEQ_CS);
        let run = Run { live, at, rows, rseq_cs, results: Vec::with_capacity(batch.len()), in_flight: 0..0 };
        live.segment.write(at + slot::SIGNATURE, &rseq.signature.to_le_bytes());
        run.write_words(task.is_filtered());
        live.segment.write(data, &batch.data(run.address(data)));
        let mut run = run;
        run.send(task, batch)?;
        Ok(run)
    }

    /// The address in the task of an offset in the segment.
    fn address(&self, offset: usize) -> u64 {
        self.live.base + offset as u64
    }

    fn put(&self, offset: usize, words: &[u64]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.live.segment.write(self.at + offset, &bytes);
    }

    /// The words that are the same for the whole batch.
    fn write_words(&self, is_filtered: bool) {
        let here = |offset: usize| self.address(self.at + offset);
        let tolerant = |number: i64| number.cast_unsigned() | 1 << 32;
        let futex = |operation: libc::c_int, word: usize, value: u64| {
            [tolerant(libc::SYS_futex), here(word), u64::try_from(operation).unwrap_or(0), value, 0, 0, 0, 0]
        };
        self.put(slot::ROWS, &futex(libc::FUTEX_WAKE, slot::DONE, 1));
        let wait = futex(libc::FUTEX_WAIT, slot::OWNER, u64::from(self.live.alive));
        // Without a sequence the kernel would make an interrupted call again without a look at us; this one is never interrupted.
        let yields = [tolerant(libc::SYS_sched_yield), 0, 0, 0, 0, 0, 0, 0];
        self.put(slot::ROWS + ROW_BYTES, if self.rseq_cs.is_none() && is_filtered { &yields } else { &wait });
        let bytes = (slot::AFTER - slot::CHECK) as u64;
        self.put(slot::SECTION, &[0, here(slot::CHECK), bytes, here(slot::ABORT)]);
        self.put(slot::RSEQ_CS, &[self.rseq_cs.unwrap_or(here(slot::DUMMY))]);
    }

    /// Writes the next rows and lets the task run.
    fn send(&mut self, task: &mut Stopped, batch: &Batch) -> Result<(), TraceeError> {
        let end = self.at + usize::try_from(self.live.slot_bytes).expect("small");
        let first = self.results.len();
        self.in_flight = first..batch.len().min(first + (end - self.rows) / ROW_BYTES);
        let data = self.address(self.at) + HEAD;
        let rows = batch.rows(self.in_flight.clone(), data);
        self.live.segment.write(self.rows, &rows);
        self.live.segment.write(self.at + slot::OWN, &code::own_words(task.registers()));
        shm::set(self.live.segment.word(self.at + slot::DONE), 0);
        let mut registers = arch::for_code(task.registers(), self.address(self.at));
        registers.rbx = self.address(self.rows);
        registers.rbp = registers.rbx + rows.len() as u64;
        task.lend(&registers)?;
        task.cont()
    }

    /// Waits for the end of the rows, sends the next ones if there are, and collects the answers. The task is itself again.
    fn finish(&mut self, task: &mut Stopped, batch: &Batch) -> Result<Answers, TraceeError> {
        loop {
            self.wait(task)?;
            self.hold(task)?;
            let mut stands = [0; 8];
            self.live.segment.read(self.at + slot::STANDS, &mut stands);
            let done = usize::try_from(u64::from_le_bytes(stands).wrapping_sub(self.address(self.rows))).unwrap_or(usize::MAX) / ROW_BYTES;
            let mut rows = vec![0u8; self.in_flight.len() * ROW_BYTES];
            self.live.segment.read(self.rows, &mut rows);
            let result = |row: &[u8]| i64::from_le_bytes(row[56..64].try_into().expect("eight bytes"));
            self.results.extend(rows.chunks(ROW_BYTES).take(done).map(result));
            if let Some(row) = rows.chunks(ROW_BYTES).nth(done) {
                let source = Errno::from_raw(i32::try_from(-result(row)).unwrap_or(0));
                let attempt = batch.attempt_of(self.in_flight.start + done);
                return Err(TraceeError::Call { attempt, tid: task.tid, source });
            }
            if self.results.len() == batch.len() {
                break;
            }
            self.send(task, batch)?;
        }
        let mut data = vec![0u8; batch.data_bytes()];
        self.live.segment.read(self.at + usize::try_from(HEAD).expect("small"), &mut data);
        Ok(Answers { results: std::mem::take(&mut self.results), data })
    }

    /// Waits until the loop has ended. Signals that come meanwhile are the task's own affair.
    fn wait(&self, task: &mut Stopped) -> Result<(), TraceeError> {
        const MOMENT: Duration = Duration::from_millis(1);
        let done = self.live.segment.word(self.at + slot::DONE);
        while done.load(Ordering::Acquire) == 0 {
            match process::look(task.tid, false) {
                Ok(None) => self.live.segment.wait(self.at + slot::DONE, 0, MOMENT),
                Ok(Some(Change::Stopped { signal, event: 0 })) => {
                    let again = self.take_signal(task, signal)?;
                    task.lend(&again)?;
                    task.cont()?;
                }
                // A stop that was asked for before the batch.
                Ok(Some(Change::Stopped { .. })) => task.cont()?,
                Ok(Some(Change::Ended)) => return Err(super::task::bury(task.tid)),
                Err(_) => return Err(TraceeError::Gone { tid: task.tid }),
            }
        }
        Ok(())
    }

    /// Interrupts the loop, which has ended, and makes the task itself again.
    fn hold(&self, task: &mut Stopped) -> Result<(), TraceeError> {
        ptrace::interrupt(task.tid).map_err(|e| TraceeError::request("interrupt", task.tid, e))?;
        if let (signal, 0) = task.wait()? {
            self.take_signal(task, signal)?;
        }
        self.settle(task)
    }

    /// Makes the task itself again. Registers first: as long as they are those of the loop, a task left alone must find its sequence, or it would make the
    /// call in which it waits once more without a look at us.
    fn settle(&self, task: &Stopped) -> Result<(), TraceeError> {
        task.settle()?;
        self.forget_sequence(task)
    }

    /// Lets the task take a signal; returns the registers with which the loop goes on.
    fn take_signal(&self, task: &mut Stopped, signal: i32) -> Result<libc::user_regs_struct, TraceeError> {
        let before = ptrace::registers(task.tid).map_err(|e| TraceeError::request("read the registers", task.tid, e))?;
        let is_fault = task.is_fault(signal)?;
        self.settle(task)?;
        if is_fault {
            return Err(TraceeError::Crashed { tid: task.tid, signal, address: before.rip });
        }
        task.take_signal(signal)?;
        self.live.segment.write(self.at + slot::OWN, &code::own_words(task.registers()));
        let mut again = arch::restarted(&before);
        // Amid the sequence it begins anew, and looks again.
        let offset = |rip: u64| rip.wrapping_sub(self.address(self.at));
        if (slot::CHECK as u64..slot::AFTER as u64).contains(&offset(again.rip)) {
            again.rip = self.address(self.at + slot::AGAIN);
        }
        again.rsp = task.registers().rsp;
        Ok(again)
    }

    /// Before the task runs as itself, the kernel must not look for our sequence, which may be unmapped by then.
    fn forget_sequence(&self, task: &Stopped) -> Result<(), TraceeError> {
        match self.rseq_cs {
            Some(address) => memory::write(task.tid, address, &[0; 8]),
            None => Ok(()),
        }
    }
}
