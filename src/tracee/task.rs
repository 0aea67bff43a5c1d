//! One task in a ptrace stop.
//!
//! Relies on `sys::ptrace`. A [`Stopped`] is made by freezing a live task or by raising a stub, and nowhere else; it remembers the
//! task's own registers and signal mask, which are the task's whenever no batch runs. Dropping it lets a live task go as it was,
//! and kills a stub.

use std::cell::Cell;

use libc::user_regs_struct;

use super::{TraceeError, arch};
use crate::sys::process::Change;
use crate::sys::ptrace::SyscallUserDispatch;
use crate::sys::{Errno, process, ptrace};

/// What happens to a task when its tracer is done with it, or dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It runs on as it was: a live job.
    Release,
    /// It is killed: a stub, a twin.
    Kill,
}

/// A task in a ptrace stop.
#[derive(Debug)]
pub struct Stopped {
    /// Thread group id.
    pub pid: i32,
    /// Thread id.
    pub tid: i32,
    /// Thread group id as the task itself sees it, in its own pid namespace.
    pub inner_pid: i32,
    /// Thread id as the task itself sees it.
    pub inner_tid: i32,
    /// The job control signal that had stopped it before we came.
    pub group_stop: Option<i32>,
    registers: user_regs_struct,
    mask: u64,
    /// Signals that came in our way and have to be pending again when the task goes on, in order of arrival, each `siginfo_t`.
    held: Vec<[u8; 128]>,
    /// Its syscall user dispatch if that is on: off while a batch runs, whose calls would become signals.
    dispatch: Option<SyscallUserDispatch>,
    /// Whether it has seccomp filters.
    filtered: bool,
    /// Whether a batch has blocked signals: the mask must be put back.
    mask_is_lent: Cell<bool>,
    ending: Ending,
    released: bool,
}

impl Stopped {
    /// Takes stock of a task that has just been seen to stop.
    pub(super) fn new(pid: i32, tid: i32, ending: Ending) -> Result<Stopped, TraceeError> {
        let registers = ptrace::registers(tid).map_err(|e| TraceeError::request("read the registers", tid, e))?;
        Stopped::with(pid, tid, ending, registers, false)
    }

    /// The same for a live task, which may have filters. They may kill it for restart_syscall(2), with which the kernel goes on with some calls:
    /// it is made to repeat the call itself, before anything else.
    pub(super) fn seized(pid: i32, tid: i32, filtered: bool) -> Result<Stopped, TraceeError> {
        let mut registers = ptrace::registers(tid).map_err(|e| TraceeError::request("read the registers", tid, e))?;
        if let Some(repeating) = filtered.then(|| arch::repeating(&registers)).flatten() {
            ptrace::set_registers(tid, &repeating).map_err(|e| TraceeError::request("set the registers", tid, e))?;
            registers = repeating;
        }
        Stopped::with(pid, tid, Ending::Release, registers, filtered)
    }

    fn with(pid: i32, tid: i32, ending: Ending, registers: user_regs_struct, filtered: bool) -> Result<Stopped, TraceeError> {
        let mask = ptrace::signal_mask(tid).map_err(|e| TraceeError::request("read the signal mask", tid, e))?;
        // Before Linux 6.4 the setting is not shown.
        let dispatch = ptrace::syscall_user_dispatch(tid).ok().filter(|dispatch| dispatch.mode != 0);
        let mut stopped = Stopped {
            pid,
            tid,
            inner_pid: pid,
            inner_tid: tid,
            group_stop: None,
            registers,
            mask,
            held: Vec::new(),
            dispatch,
            filtered,
            mask_is_lent: Cell::new(false),
            ending,
            released: false,
        };
        if ending == Ending::Release {
            if !arch::is_64_bit(&registers) {
                return Err(TraceeError::Compat { tid });
            }
            stopped.come_home()?;
            stopped.leave_restartable_sequence()?;
        }
        Ok(stopped)
    }

    /// Its own general registers.
    pub fn registers(&self) -> &user_regs_struct {
        &self.registers
    }

    /// Makes the kernel repeat the call that our request to stop has interrupted, where it would not do so by itself. Where it would, but
    /// by restart_syscall(2), it repeats the call itself in a task with filters.
    pub(super) fn hide_interruption(&mut self) -> Result<(), TraceeError> {
        let by_restart_call = || if self.filtered { arch::repeating(&self.registers) } else { None };
        let Some(registers) = arch::uninterrupted(&self.registers).or_else(by_restart_call) else { return Ok(()) };
        ptrace::set_registers(self.tid, &registers).map_err(|e| TraceeError::request("set the registers", self.tid, e))?;
        self.registers = registers;
        Ok(())
    }

    /// Whether it has seccomp filters.
    pub(super) fn is_filtered(&self) -> bool {
        self.filtered
    }

    /// Its own blocked signals, bit `n - 1` for signal `n`.
    pub fn mask(&self) -> u64 {
        self.mask
    }

    /// Its own extended processor state.
    pub fn xstate(&self) -> Result<Vec<u8>, TraceeError> {
        ptrace::xstate(self.tid).map_err(|e| TraceeError::request("read the extended registers", self.tid, e))
    }

    /// Gives it other registers and another mask to go on with: a stub becomes the saved task.
    pub fn become_task(&mut self, registers: user_regs_struct, xstate: &[u8], mask: u64) -> Result<(), TraceeError> {
        self.registers = registers;
        self.mask = mask;
        ptrace::set_xstate(self.tid, xstate).map_err(|e| TraceeError::request("set the extended registers", self.tid, e))?;
        self.mask_is_lent.set(true);
        self.settle()
    }

    /// Takes notice of a syscall user dispatch that was set from outside since it stopped.
    pub fn look_again(&mut self) {
        self.dispatch = ptrace::syscall_user_dispatch(self.tid).ok().filter(|dispatch| dispatch.mode != 0);
    }

    fn set_dispatch(&self, dispatch: &SyscallUserDispatch) -> Result<(), TraceeError> {
        let failed = |errno| TraceeError::request("set the syscall user dispatch", self.tid, errno);
        ptrace::set_syscall_user_dispatch(self.tid, dispatch).map_err(failed)
    }

    /// Gives it registers for calls of ours. Code of ours must be able to bring the task back from there by itself. Ends with
    /// [`Stopped::settle`].
    pub(super) fn lend(&self, registers: &user_regs_struct) -> Result<(), TraceeError> {
        if self.dispatch.is_some() {
            self.set_dispatch(&SyscallUserDispatch::default())?;
        }
        ptrace::set_registers(self.tid, registers).map_err(|e| TraceeError::request("set the registers", self.tid, e))
    }

    /// The same, and blocks `mask`. Registers first: from then on a task left alone comes back by itself, with its own mask.
    pub(super) fn borrow(&self, registers: &user_regs_struct, mask: u64) -> Result<(), TraceeError> {
        self.lend(registers)?;
        self.mask_is_lent.set(true);
        ptrace::set_signal_mask(self.tid, mask).map_err(|e| TraceeError::request("block the signals", self.tid, e))
    }

    /// Puts the task's own dispatch, mask and registers back. Registers last: as long as they are those of a call, a task left alone comes
    /// back by itself.
    pub(super) fn settle(&self) -> Result<(), TraceeError> {
        if let Some(dispatch) = &self.dispatch {
            self.set_dispatch(dispatch)?;
        }
        if self.mask_is_lent.get() {
            ptrace::set_signal_mask(self.tid, self.mask).map_err(|e| TraceeError::request("set the signal mask", self.tid, e))?;
        }
        ptrace::set_registers(self.tid, &self.registers).map_err(|e| TraceeError::request("set the registers", self.tid, e))?;
        self.mask_is_lent.set(false);
        Ok(())
    }

    /// Lets it run.
    pub(super) fn cont(&self) -> Result<(), TraceeError> {
        ptrace::cont(self.tid, 0).map_err(|e| TraceeError::request("continue", self.tid, e))
    }

    /// Whether the signal it has stopped for comes of what it has just done, and not from somebody else.
    pub(super) fn is_fault(&self, signal: i32) -> Result<bool, TraceeError> {
        if !matches!(signal, libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP | libc::SIGSYS) {
            return Ok(false);
        }
        let info = ptrace::signal_info(self.tid).map_err(|e| TraceeError::request("read the signal", self.tid, e))?;
        Ok(0 < i32::from_le_bytes([info[8], info[9], info[10], info[11]]))
    }

    /// It has stopped for a signal amid calls of ours: it takes the signal as itself, and then stands at the first instruction of the handler, or
    /// where it was. Its registers are its own again, and other ones than before.
    pub(super) fn take_signal(&mut self, signal: i32) -> Result<(), TraceeError> {
        self.settle()?;
        ptrace::interrupt(self.tid).map_err(|e| TraceeError::request("interrupt", self.tid, e))?;
        let mut pass = signal;
        loop {
            ptrace::cont(self.tid, pass).map_err(|e| TraceeError::request("pass on a signal", self.tid, e))?;
            match self.wait()? {
                (_, ptrace::EVENT_STOP) => break,
                (another, 0) => pass = another,
                _ => pass = 0,
            }
        }
        self.registers = ptrace::registers(self.tid).map_err(|e| TraceeError::request("read the registers", self.tid, e))?;
        self.mask = ptrace::signal_mask(self.tid).map_err(|e| TraceeError::request("read the signal mask", self.tid, e))?;
        self.leave_restartable_sequence()?;
        self.hide_interruption()
    }

    /// It has run on by itself, because it was not interrupted for a long time: it is not where we had it.
    pub(super) fn escaped(&mut self, registers: user_regs_struct) -> TraceeError {
        self.registers = registers;
        TraceeError::Escaped { tid: self.tid }
    }

    /// Lets it go on as it is. Running on success; on failure it is gone.
    pub fn release(mut self) -> Result<(), TraceeError> {
        self.let_go()
    }

    fn let_go(&mut self) -> Result<(), TraceeError> {
        self.released = true;
        self.settle()?;
        let signal = self.return_signals()?;
        ptrace::detach(self.tid, signal).map_err(|e| TraceeError::request("let go", self.tid, e))
    }

    /// Keeps a signal that arrived during a batch, to be delivered when the task goes on. Signals of this sort are pending once at most.
    pub(super) fn hold(&mut self, info: [u8; 128]) {
        if !self.held.iter().any(|have| number(have) == number(&info)) {
            self.held.push(info);
        }
    }

    /// Makes the signals held pending again, but the first one: that is returned, to be delivered with all that came with it. The others
    /// say that they come from us.
    fn return_signals(&mut self) -> Result<i32, TraceeError> {
        let held = std::mem::take(&mut self.held);
        let Some((first, others)) = held.split_first() else { return Ok(0) };
        for info in others {
            let sent = process::thread_kill(self.pid, self.tid, number(info));
            sent.map_err(|e| TraceeError::request("make a signal pending again", self.tid, e))?;
        }
        // At the exit from a system call the number alone is taken.
        let _other_stop = ptrace::set_signal_info(self.tid, first);
        Ok(number(first))
    }

    /// A tracer that died may have left it in code of ours: it would come home by itself, but somebody else looks at it now.
    fn come_home(&mut self) -> Result<(), TraceeError> {
        let read = |address: u64, bytes: &mut [u8]| super::memory::read(self.tid, address, bytes).is_ok();
        let Some(registers) = super::code::home(&self.registers, read) else { return Ok(()) };
        ptrace::set_registers(self.tid, &registers).map_err(|e| TraceeError::request("set the registers", self.tid, e))?;
        self.registers = registers;
        Ok(())
    }

    /// A restartable sequence that was interrupted must start over, because batches run on its thread in between: continue at
    /// its abort handler, as the kernel would after preemption (rseq(2)).
    fn leave_restartable_sequence(&mut self) -> Result<(), TraceeError> {
        let Ok(rseq) = ptrace::rseq_configuration(self.tid) else { return Ok(()) };
        if rseq.address == 0 {
            return Ok(());
        }
        const RSEQ_CS: u64 = 8;
        let descriptor = super::memory::read_word(self.tid, rseq.address + RSEQ_CS)?;
        if descriptor == 0 {
            return Ok(());
        }
        let [start, length, abort] = [8, 16, 24].map(|offset| super::memory::read_word(self.tid, descriptor + offset));
        if self.registers.rip.wrapping_sub(start?) < length? {
            self.registers.rip = abort?;
        }
        Ok(())
    }

    /// Waits until the task stops again; returns the signal and the event of the stop, which the kernel keeps until the task goes on.
    pub(super) fn wait(&self) -> Result<(i32, i32), TraceeError> {
        match process::look(self.tid, true) {
            Ok(Some(Change::Stopped { signal, event })) => Ok((signal, event)),
            Ok(Some(Change::Ended) | None) => Err(bury(self.tid)),
            Err(Errno::ECHILD) => Err(TraceeError::Gone { tid: self.tid }),
            Err(errno) => Err(TraceeError::request("wait for a stop", self.tid, errno)),
        }
    }
}

/// Takes note of the end of a task: until its tracer has, nobody else sees it.
pub(super) fn bury(tid: i32) -> TraceeError {
    // It may be somebody else's by now; both ways it is gone.
    let _status = process::poll_wait(tid);
    TraceeError::Gone { tid }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if self.released {
            return;
        }
        // The task may be gone already, which is what both endings accept.
        match self.ending {
            Ending::Release => drop(self.let_go()),
            Ending::Kill => drop(process::kill(self.pid, libc::SIGKILL)),
        }
    }
}

/// The signal of a `siginfo_t`.
fn number(info: &[u8; 128]) -> i32 {
    i32::from_le_bytes([info[0], info[1], info[2], info[3]])
}

#[cfg(test)]
mod test {
    use super::*;

    fn info(signal: i32) -> [u8; 128] {
        let mut info = [0; 128];
        info[..4].copy_from_slice(&signal.to_le_bytes());
        info
    }

    /// A child in the stop in which a batch leaves it.
    fn about_to_take_a_signal(ending: Ending) -> Stopped {
        let pid = process::fork_paused().unwrap();
        ptrace::seize(pid, 0).and_then(|()| process::thread_kill(pid, pid, libc::SIGWINCH)).unwrap();
        process::wait_all(pid).unwrap();
        Stopped::new(pid, pid, ending).unwrap()
    }

    #[test]
    fn every_signal_that_came_in_our_way_arrives() {
        for signals in [&[libc::SIGTERM][..], &[libc::SIGWINCH, libc::SIGTERM], &[libc::SIGWINCH, libc::SIGURG, libc::SIGTERM]] {
            let mut stopped = about_to_take_a_signal(Ending::Release);
            let pid = stopped.pid;
            signals.iter().for_each(|signal| stopped.hold(info(*signal)));
            stopped.release().unwrap();
            let (_, status) = process::wait_all(pid).unwrap();
            assert_eq!(libc::WTERMSIG(status), libc::SIGTERM, "{signals:?}");
        }
    }

    #[test]
    fn a_signal_is_held_once() {
        let mut stopped = about_to_take_a_signal(Ending::Kill);
        let pid = stopped.pid;
        [libc::SIGWINCH, libc::SIGURG, libc::SIGWINCH].into_iter().for_each(|signal| stopped.hold(info(signal)));
        assert_eq!(stopped.held.iter().map(number).collect::<Vec<_>>(), [libc::SIGWINCH, libc::SIGURG]);
        drop(stopped);
        process::wait_all(pid).unwrap();
    }
}
