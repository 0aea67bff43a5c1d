//! Single system calls in a task that has no scratch yet, or no longer: made with instructions that the task has anyway.
//!
//! Relies on the task's libc for two of them: `syscall; ret`, and the restorer of signal handlers, which calls rt_sigreturn(2). With a return
//! frame at the unused end of the main thread's stack, a call whose tracer dies half-way returns into the restorer and the task is itself
//! again. Where a program has no such instructions any `syscall` serves, and such a death would leave the task with wrong registers.

use super::arch;
use super::task::Stopped;
use super::{TraceeError, memory};
use crate::sys::{Errno, ptrace};

/// `syscall; ret`
const SYSCALL_RET: [u8; 3] = [0x0f, 0x05, 0xc3];
/// `mov $15, %rax; syscall`, as every libc has it for the end of signal handlers.
const RESTORER: [u8; 9] = [0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05];
/// Room for a return frame at the end of the stack.
const FRAME_ROOM: u64 = 16 * 1024;

/// Instructions of the task with which calls are made.
pub(super) struct Gadget {
    /// Address of a `syscall` instruction.
    pub(super) syscall: u64,
    /// What makes a call survive the tracer: the restorer, and where the frame goes.
    net: Option<Net>,
}

struct Net {
    restorer: u64,
    frame: u64,
}

/// Bytes of the job's stack that a frame has covered; dropping it puts them back.
pub(super) struct Borrowed {
    tid: i32,
    at: u64,
    bytes: Vec<u8>,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // Below the stack pointer: if the task has gone meanwhile there is nothing to put back.
        let _gone = memory::write(self.tid, self.at, &self.bytes);
    }
}

impl Gadget {
    /// Looks for instructions in the executable areas that start where `wanted` allows.
    pub(super) fn find(task: &Stopped, wanted: impl Fn(u64) -> bool) -> Result<Gadget, TraceeError> {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", task.tid)).map_err(|_| TraceeError::Gone { tid: task.tid })?;
        let mut areas: Vec<(u64, u64)> = maps.lines().filter_map(executable_area).filter(|area| wanted(area.0)).collect();
        // Libraries stand above programs, and the vdso above them.
        areas.reverse();
        let (mut syscall, mut syscall_ret, mut restorer) = (None, None, None);
        for (start, end) in areas {
            let mut code = vec![0u8; usize::try_from((end - start).min(16 << 20)).unwrap_or(0)];
            if memory::read(task.tid, start, &mut code).is_err() {
                continue;
            }
            let at = |pattern: &[u8]| memchr::memmem::find(&code, pattern).map(|at| start + at as u64);
            syscall = syscall.or_else(|| at(&arch::SYSCALL));
            syscall_ret = syscall_ret.or_else(|| at(&SYSCALL_RET));
            restorer = restorer.or_else(|| at(&RESTORER));
            if syscall_ret.is_some() && restorer.is_some() {
                break;
            }
        }
        let net = restorer.zip(syscall_ret).zip(stack_end(task, &maps)).map(|((restorer, _), frame)| Net { restorer, frame });
        let syscall = if net.is_some() { syscall_ret } else { syscall };
        let source = Errno::ENOEXEC;
        let missing = TraceeError::Request { attempt: "find a syscall instruction", tid: task.tid, source };
        Ok(Gadget { syscall: syscall.ok_or(missing)?, net })
    }

    /// Writes the return frame; the bytes under it come back when the result is dropped.
    pub(super) fn borrow_stack(&self, task: &Stopped) -> Result<Option<Borrowed>, TraceeError> {
        let Some(net) = &self.net else { return Ok(None) };
        let mut frame = arch::return_frame(net.frame, task.registers(), &task.xstate()?, task.mask());
        frame[..8].copy_from_slice(&net.restorer.to_le_bytes());
        let mut bytes = vec![0; frame.len()];
        memory::read(task.tid, net.frame, &mut bytes)?;
        let borrowed = Borrowed { tid: task.tid, at: net.frame, bytes };
        memory::write(task.tid, net.frame, &frame)?;
        Ok(Some(borrowed))
    }
}

/// Where a frame fits at the low end of the main thread's stack, with room to spare below every stack pointer in it.
fn stack_end(task: &Stopped, maps: &str) -> Option<u64> {
    let line = maps.lines().find(|line| line.ends_with("[stack]"))?;
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    let (start, end) = (u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
    let rsp = task.registers().rsp;
    let lowest = if (start..end).contains(&rsp) { rsp } else { end };
    (start + FRAME_ROOM + 4096 < lowest).then_some(start.next_multiple_of(64))
}

fn executable_area(line: &str) -> Option<(u64, u64)> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let area = (u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
    (rest.as_bytes().get(2) == Some(&b'x') && !rest.ends_with("[vsyscall]")).then_some(area)
}

/// Makes one call. The task is itself again afterwards, also when the call failed.
pub(super) fn bare_call(
    task: &mut Stopped,
    gadget: &Gadget,
    number: i64,
    args: [u64; 6],
    attempt: &'static str,
) -> Result<u64, TraceeError> {
    let mut registers = *task.registers();
    let [rdi, rsi, rdx, r10, r8, r9] = args;
    (registers.rdi, registers.rsi, registers.rdx) = (rdi, rsi, rdx);
    (registers.r10, registers.r8, registers.r9) = (r10, r8, r9);
    registers.rip = gadget.syscall;
    registers.rax = number.cast_unsigned();
    registers.orig_rax = u64::MAX;
    if let Some(net) = &gadget.net {
        registers.rsp = net.frame;
    }
    task.borrow(&registers, u64::MAX)?;
    let result = step(task);
    task.settle()?;
    let value = result?.cast_signed();
    if (-4095..0).contains(&value) {
        let source = Errno::from_raw(i32::try_from(-value).unwrap_or(0));
        return Err(TraceeError::Call { attempt, tid: task.tid, source });
    }
    Ok(value.cast_unsigned())
}

/// Lets the task make the call it is set up for, from one stop at its entry to one at its exit; returns rax. Single-stepping would be
/// shorter, but its trap resets a SIGTRAP that the job ignores or blocks to the default action.
fn step(task: &mut Stopped) -> Result<u64, TraceeError> {
    let mut stops = 0;
    loop {
        ptrace::cont_to_syscall(task.tid).map_err(|e| TraceeError::request("make a call", task.tid, e))?;
        let (signal, event) = task.wait()?;
        if event == 0 && signal == ptrace::SYSCALL_STOP {
            stops += 1;
        } else if event == 0 && matches!(signal, libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGSYS) {
            let rip = ptrace::registers(task.tid).map_or(0, |registers| registers.rip);
            return Err(TraceeError::Crashed { tid: task.tid, signal, address: rip });
        } else if event == 0 {
            let info = ptrace::signal_info(task.tid).map_err(|e| TraceeError::request("read the signal", task.tid, e))?;
            task.hold(info);
        }
        if stops == 2 {
            let registers = ptrace::registers(task.tid).map_err(|e| TraceeError::request("read the registers", task.tid, e))?;
            return Ok(registers.rax);
        }
    }
}
