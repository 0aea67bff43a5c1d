//! One task in a ptrace stop.
//!
//! Relies on `sys::ptrace`. A [`Stopped`] is made by freezing a live task or by raising a stub, and nowhere else; it remembers the
//! task's own registers and signal mask, which are the task's whenever no batch runs. Dropping it lets a live task go as it was,
//! and kills a stub.

use libc::user_regs_struct;

use super::{TraceeError, arch};
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
    /// A signal that came in our way and has to be pending again when the task goes on.
    held: Option<[u8; 128]>,
    /// Its syscall user dispatch if that is on: off while a batch runs, whose calls would become signals.
    dispatch: Option<SyscallUserDispatch>,
    ending: Ending,
    released: bool,
}

impl Stopped {
    /// Takes stock of a task that has just been seen to stop.
    pub(super) fn new(pid: i32, tid: i32, ending: Ending) -> Result<Stopped, TraceeError> {
        let registers = ptrace::registers(tid).map_err(|e| TraceeError::request("read the registers", tid, e))?;
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
            held: None,
            dispatch,
            ending,
            released: false,
        };
        if ending == Ending::Release {
            if !arch::is_64_bit(&registers) {
                return Err(TraceeError::Compat { tid });
            }
            stopped.leave_restartable_sequence()?;
        }
        Ok(stopped)
    }

    /// Its own general registers.
    pub fn registers(&self) -> &user_regs_struct {
        &self.registers
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
        self.settle()
    }

    fn set_dispatch(&self, dispatch: &SyscallUserDispatch) -> Result<(), TraceeError> {
        let failed = |errno| TraceeError::request("set the syscall user dispatch", self.tid, errno);
        ptrace::set_syscall_user_dispatch(self.tid, dispatch).map_err(failed)
    }

    /// What drops do from now on: a finished stub becomes a live task.
    pub fn set_ending(&mut self, ending: Ending) {
        self.ending = ending;
    }

    /// Gives it the registers for calls of ours, and blocks `mask`. Registers first: from then on a task left alone comes back by itself,
    /// with its own mask. Ends with [`Stopped::settle`].
    pub(super) fn borrow(&self, registers: &user_regs_struct, mask: u64) -> Result<(), TraceeError> {
        if self.dispatch.is_some() {
            self.set_dispatch(&SyscallUserDispatch::default())?;
        }
        ptrace::set_registers(self.tid, registers).map_err(|e| TraceeError::request("set the registers", self.tid, e))?;
        ptrace::set_signal_mask(self.tid, mask).map_err(|e| TraceeError::request("block the signals", self.tid, e))
    }

    /// Puts the task's own dispatch, mask and registers back. Registers last: as long as they are those of a call, a task left alone comes
    /// back by itself.
    pub(super) fn settle(&self) -> Result<(), TraceeError> {
        if let Some(dispatch) = &self.dispatch {
            self.set_dispatch(dispatch)?;
        }
        ptrace::set_signal_mask(self.tid, self.mask).map_err(|e| TraceeError::request("set the signal mask", self.tid, e))?;
        ptrace::set_registers(self.tid, &self.registers).map_err(|e| TraceeError::request("set the registers", self.tid, e))
    }

    /// Lets it go on as it is. Running on success; on failure it is gone.
    pub fn release(mut self) -> Result<(), TraceeError> {
        self.let_go()
    }

    fn let_go(&mut self) -> Result<(), TraceeError> {
        self.released = true;
        self.settle()?;
        let signal = match self.held.take() {
            Some(info) if ptrace::set_signal_info(self.tid, &info).is_ok() => i32::from_le_bytes([info[0], info[1], info[2], info[3]]),
            Some(_) | None => 0,
        };
        ptrace::detach(self.tid, signal).map_err(|e| TraceeError::request("let go", self.tid, e))
    }

    /// Keeps a signal that arrived during a batch, to be delivered when the task goes on.
    pub(super) fn hold(&mut self, info: [u8; 128]) {
        self.held.get_or_insert(info);
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

    /// Waits until the task stops again; returns the signal and the event of the stop.
    pub(super) fn wait(&self) -> Result<(i32, i32), TraceeError> {
        let (_, status) = process::wait_all(self.tid).map_err(|e| match e {
            Errno::ECHILD => TraceeError::Gone { tid: self.tid },
            errno => TraceeError::request("wait for a stop", self.tid, errno),
        })?;
        if !libc::WIFSTOPPED(status) {
            return Err(TraceeError::Gone { tid: self.tid });
        }
        Ok((libc::WSTOPSIG(status), status >> 16))
    }
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
