//! Room inside a task's address space for the call loop and its data, and the running of batches there.
//!
//! Relies on tasks being stopped. One scratch serves all threads of an address space, each in a slot of its own, so that batches of
//! many threads run at the same time. Between batches every task's registers are its own. Live tasks share it with us if they can ([`super::live`]). Elsewhere it is
//! private: if the tracer is killed while a batch runs, the loop ends by `rt_sigreturn` with a frame made beforehand, and the task goes on.

use super::arch::{self, LoopPlace, ROW_BYTES};
use super::batch::{Pieces, TooLarge};
use super::live::Live;
use super::slack;
use super::task::Stopped;
use super::{Answers, Batch, TraceeError, memory};
use crate::sys::{Errno, ptrace};

/// Bytes of a page.
const PAGE: u64 = 4096;
/// Room below the frame for a signal handler that runs after the tracer has died.
const STACK_BYTES: u64 = 48 * 1024;
/// Room for the frame: the extended state is at most about 11 KiB (AMX).
const FRAME_BYTES: u64 = 16 * 1024;

/// Signals that are ignored by default, in order of preference: one that is not pending ends a batch.
const QUIET_SIGNALS: [i32; 3] = [libc::SIGWINCH, libc::SIGURG, libc::SIGCHLD];

/// Room for the call loop inside an address space.
#[derive(Debug)]
pub struct Scratch {
    code: u64,
    slots: u64,
    slot_bytes: u64,
    n_slots: usize,
    /// The whole of it in a live task, where it is shared with us.
    live: Option<Live>,
}

impl Scratch {
    /// Room in bytes for rows and data of one slot.
    pub const SMALL: u64 = 64 * 1024;
    /// Room in bytes for rows and data of one slot of a stub, which makes thousands of calls.
    pub const LARGE: u64 = 1024 * 1024;

    /// Maps the loop and `n_slots` slots into the address space of a live task, shared with us if that can be had.
    /// On failure the task is as it was.
    pub fn plant_live(task: &mut Stopped, n_slots: usize, room: u64) -> Result<Scratch, TraceeError> {
        match Live::plant(task, n_slots, room)? {
            Some(live) => Ok(Scratch { code: 0, slots: 0, slot_bytes: 0, n_slots, live: Some(live) }),
            None => Scratch::plant(task, n_slots, room, None),
        }
    }

    /// Maps the loop and `n_slots` slots into the address space of `task`: anywhere, or at `address`, which must be free.
    /// On failure the task is as it was.
    pub fn plant(task: &mut Stopped, n_slots: usize, room: u64, address: Option<u64>) -> Result<Scratch, TraceeError> {
        let slot_bytes = STACK_BYTES + FRAME_BYTES + room;
        let bytes = slot_bytes * n_slots as u64;
        let fixed = if address.is_some() { libc::MAP_FIXED_NOREPLACE } else { 0 };
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | fixed;
        let mmap = |task: &mut Stopped, at: u64, bytes: u64, prot: i32| {
            let args = [at, bytes, number(prot), number(flags), u64::MAX, 0];
            slack::call(task, &[], libc::SYS_mmap, args, "map memory")
        };
        let slots = mmap(task, address.map_or(0, |at| at + PAGE), bytes, libc::PROT_READ | libc::PROT_WRITE)?;
        let code = match mmap(task, address.unwrap_or(0), PAGE, libc::PROT_READ | libc::PROT_EXEC) {
            Ok(code) => code,
            Err(error) => {
                slack::call(task, &[], libc::SYS_munmap, [slots, bytes, 0, 0, 0, 0], "unmap memory")?;
                return Err(error);
            }
        };
        let scratch = Scratch { code, slots, slot_bytes, n_slots, live: None };
        if let Err(error) = memory::write(task.tid, code, &arch::CALL_LOOP) {
            scratch.uproot(task)?;
            return Err(error);
        }
        Ok(scratch)
    }

    /// A scratch that a forked address space has inherited.
    pub fn inherited(&self) -> Scratch {
        Scratch { code: self.code, slots: self.slots, slot_bytes: self.slot_bytes, n_slots: self.n_slots, live: None }
    }

    /// Every address range it occupies, as `(start, end)`.
    pub fn ranges(&self) -> [(u64, u64); 2] {
        if let Some(live) = &self.live {
            return live.ranges();
        }
        let slots = (self.slots, self.slots + self.slot_bytes * self.n_slots as u64);
        [(self.code, self.code + PAGE), slots]
    }

    /// Number of slots.
    pub fn n_slots(&self) -> usize {
        self.n_slots
    }

    /// Bytes that a stub's scratch of one slot occupies, when it is planted at a chosen address.
    pub fn footprint(room: u64) -> u64 {
        PAGE + STACK_BYTES + FRAME_BYTES + room
    }

    /// Unmaps the scratch; the task is as it was before.
    pub fn uproot(self, task: &mut Stopped) -> Result<(), TraceeError> {
        if let Some(live) = self.live {
            return live.uproot(task);
        }
        let ranges = self.ranges();
        let bytes = self.slot_bytes * self.n_slots as u64;
        slack::call(task, &ranges, libc::SYS_munmap, [self.slots, bytes, 0, 0, 0, 0], "unmap memory")?;
        slack::call(task, &ranges, libc::SYS_munmap, [self.code, PAGE, 0, 0, 0, 0], "unmap memory").map(drop)
    }

    /// Makes the calls of `batch` in `task`, in pieces when there are many. Stopped and itself again afterwards.
    pub fn run(&self, task: &mut Stopped, batch: &Batch) -> Result<Answers, TraceeError> {
        let mut all = self.run_each(&mut [(task, batch)])?;
        Ok(all.pop().expect("one answer a batch"))
    }

    /// Makes the calls of one batch a task, all tasks at the same time, at most one a slot. What does not fit a slot goes in pieces.
    pub fn run_each(&self, work: &mut [(&mut Stopped, &Batch)]) -> Result<Vec<Answers>, TraceeError> {
        let room = usize::try_from(self.room()).unwrap_or(usize::MAX);
        if work.iter().all(|(_, batch)| batch.fits(room)) {
            return self.run_whole(work);
        }
        let mut all: Vec<Pieces<'_>> = work.iter().map(|(_, batch)| Pieces::new(batch, room)).collect();
        loop {
            let mut pieces = Vec::with_capacity(all.len());
            for (batch, (task, _)) in all.iter().zip(work.iter()) {
                pieces.push(batch.next().map_err(|error| too_large(error, task.tid))?);
            }
            let some = work.iter_mut().zip(&pieces).filter_map(|((task, _), piece)| Some((&mut **task, &piece.as_ref()?.batch)));
            let mut some: Vec<(&mut Stopped, &Batch)> = some.collect();
            if some.is_empty() {
                return Ok(all.into_iter().map(Pieces::finish).collect());
            }
            let mut answers = self.run_whole(&mut some)?.into_iter();
            for (batch, piece) in all.iter_mut().zip(&pieces) {
                if let Some((piece, answers)) = piece.as_ref().and_then(|piece| Some((piece, answers.next()?))) {
                    batch.done(piece, &answers);
                }
            }
        }
    }

    /// Bytes for the rows and data of one slot.
    fn room(&self) -> u64 {
        if let Some(live) = &self.live {
            return live.room();
        }
        self.slot_bytes - STACK_BYTES - FRAME_BYTES
    }

    fn run_whole(&self, work: &mut [(&mut Stopped, &Batch)]) -> Result<Vec<Answers>, TraceeError> {
        assert!(work.len() <= self.n_slots, "{} tasks for {} slots", work.len(), self.n_slots);
        if let Some(live) = &self.live {
            return live.run(work);
        }
        let mut answers: Vec<Answers> = Vec::with_capacity(work.len());
        let mut places = Vec::with_capacity(work.len());
        for (slot, (task, batch)) in work.iter_mut().enumerate() {
            let run = Run::start(self, slot, task, batch)?;
            places.push(run);
        }
        // A failure in one task must not leave the loops of the others running.
        let mut failure = None;
        for (run, (task, batch)) in places.iter_mut().zip(work.iter_mut()) {
            match run.finish(task, batch) {
                Ok(answer) => answers.push(answer),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(answers), Err)
    }
}

/// One batch on its way in one task.
struct Run {
    place: LoopPlace,
    data: u64,
    room: u64,
    results: Vec<i64>,
    in_flight: std::ops::Range<usize>,
}

impl Run {
    fn start(scratch: &Scratch, slot: usize, task: &mut Stopped, batch: &Batch) -> Result<Run, TraceeError> {
        let base = scratch.slots + scratch.slot_bytes * slot as u64;
        let frame = base + STACK_BYTES;
        let data = frame + FRAME_BYTES;
        let data_bytes = (batch.data_bytes() as u64).next_multiple_of(64);
        let room = scratch.room().saturating_sub(data_bytes);
        let rows = data + data_bytes;
        let signal = quiet_signal(task)?;
        let place = LoopPlace { code: scratch.code, rows, rows_end: rows, frame, pid: task.inner_pid, tid: task.inner_tid, signal };
        let xstate = task.xstate()?;
        memory::write(task.tid, frame, &arch::return_frame(frame, task.registers(), &xstate, task.mask()))?;
        if 0 < batch.data_bytes() {
            memory::write(task.tid, data, &batch.data(data))?;
        }
        let mut run = Run { place, data, room, results: Vec::with_capacity(batch.len()), in_flight: 0..0 };
        run.send(task, batch)?;
        Ok(run)
    }

    /// Writes the next rows and lets the task run.
    fn send(&mut self, task: &mut Stopped, batch: &Batch) -> Result<(), TraceeError> {
        let fit = usize::try_from(self.room).unwrap_or(0) / ROW_BYTES;
        let first = self.results.len();
        self.in_flight = first..batch.len().min(first + fit);
        let rows = batch.rows(self.in_flight.clone(), self.data);
        memory::write(task.tid, self.place.rows, &rows)?;
        self.place.rows_end = self.place.rows + rows.len() as u64;
        let registers = arch::loop_registers(task.registers(), &self.place);
        let quiet = !(1u64 << (self.place.signal - 1));
        task.borrow(&registers, quiet)?;
        ptrace::cont(task.tid, 0).map_err(|e| TraceeError::request("continue", task.tid, e))
    }

    /// Waits for the end of the rows, sends the next ones if there are, and collects the answers.
    fn finish(&mut self, task: &mut Stopped, batch: &Batch) -> Result<Answers, TraceeError> {
        loop {
            let done = self.wait(task)?;
            let mut rows = vec![0u8; self.in_flight.len() * ROW_BYTES];
            memory::read(task.tid, self.place.rows, &mut rows)?;
            for row in rows.chunks(ROW_BYTES).take(done.min(self.in_flight.len())) {
                self.results.push(i64::from_le_bytes(row[56..64].try_into().expect("eight bytes")));
            }
            if done < self.in_flight.len() {
                task.settle()?;
                let result = i64::from_le_bytes(rows[done * ROW_BYTES + 56..][..8].try_into().expect("eight bytes"));
                let source = Errno::from_raw(i32::try_from(-result).unwrap_or(0));
                let attempt = batch.attempt_of(self.in_flight.start + done);
                return Err(TraceeError::Call { attempt, tid: task.tid, source });
            }
            if self.results.len() == batch.len() {
                break;
            }
            self.send(task, batch)?;
        }
        task.settle()?;
        let mut data = vec![0u8; batch.data_bytes()];
        if !data.is_empty() {
            memory::read(task.tid, self.data, &mut data)?;
        }
        Ok(Answers { results: std::mem::take(&mut self.results), data })
    }

    /// Waits until the loop has ended; returns how many rows were made.
    fn wait(&self, task: &mut Stopped) -> Result<usize, TraceeError> {
        loop {
            let (signal, event) = task.wait()?;
            let registers = ptrace::registers(task.tid).map_err(|e| TraceeError::request("read the registers", task.tid, e))?;
            if event == 0 && registers.rip == self.place.code + arch::LOOP_ENDED {
                let info = ptrace::signal_info(task.tid).map_err(|e| TraceeError::request("read the signal", task.tid, e))?;
                if !is_ours(&info, task, self.place.signal) {
                    task.hold(info);
                }
                return Ok(usize::try_from(registers.rbx - self.place.rows).unwrap_or(0) / ROW_BYTES);
            }
            if event == 0 && matches!(signal, libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP | libc::SIGSYS) {
                task.settle()?;
                return Err(TraceeError::Crashed { tid: task.tid, signal, address: registers.rip });
            }
            if event == 0 {
                let info = ptrace::signal_info(task.tid).map_err(|e| TraceeError::request("read the signal", task.tid, e))?;
                task.hold(info);
            }
            ptrace::cont(task.tid, 0).map_err(|e| TraceeError::request("continue", task.tid, e))?;
        }
    }
}

/// Whether a signal is the one with which the loop says that it has ended.
fn is_ours(info: &[u8; 128], task: &Stopped, signal: i32) -> bool {
    const SI_TKILL: i32 = -6;
    let word = |at: usize| i32::from_le_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
    word(0) == signal && word(8) == SI_TKILL && word(16) == task.inner_pid
}

/// A signal that the task ignores when nobody traces it, and that is not pending already.
fn quiet_signal(task: &Stopped) -> Result<i32, TraceeError> {
    let mut pending = 0u64;
    for shared in [false, true] {
        let signals =
            ptrace::pending_signals(task.tid, shared).map_err(|e| TraceeError::request("read the pending signals", task.tid, e))?;
        for info in signals {
            let signal = i32::from_le_bytes([info[0], info[1], info[2], info[3]]);
            pending |= 1u64.checked_shl(signal.cast_unsigned().wrapping_sub(1)).unwrap_or(0);
        }
    }
    let free = QUIET_SIGNALS.into_iter().find(|signal| pending >> (signal - 1) & 1 == 0);
    Ok(free.unwrap_or(QUIET_SIGNALS[0]))
}

fn too_large(TooLarge { attempt, bytes }: TooLarge, tid: i32) -> TraceeError {
    TraceeError::TooLarge { attempt, tid, bytes }
}

fn number(flags: i32) -> u64 {
    u64::from(flags.cast_unsigned())
}
