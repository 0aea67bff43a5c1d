//! Single system calls in a task that has no scratch yet, or no longer: made by a stub in bytes of the task's code that nobody uses.
//!
//! Relies on such bytes: the vdso has them, and so has the last page of nearly every program and library. They are written through
//! `/proc/PID/mem`, which gives the process a page of its own, and put back afterwards. When the tracer dies, the stub ends by itself and the task is
//! where it was, with any program, library or filter ([`super::code`]); only the stub's bytes stay behind.

use std::time::{Duration, Instant};

use super::code::{self, STUB, stub};
use super::task::Stopped;
use super::{TraceeError, arch, memory};
use crate::sys::process::{self, Change};
use crate::sys::{Errno, processor, ptrace};

/// How long the stub waits, in turns of about 15 to 70 ns: for leave to make the call, and to be interrupted. Enough for a busy machine; who is
/// stopped for longer has lost the task.
const PATIENCE: u64 = 1 << 24;
/// How long it may make the call once we said so, in ticks: some 20 us.
const WINDOW: u64 = 1 << 16;
const MOST_TICKS: u64 = 1 << 28;
/// Longest time between two looks at the stub: less than its patience.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
const PAGE: usize = 4096;

/// Makes one call. The task is itself again afterwards, also when the call failed. Code that starts in `not` is not used.
pub(super) fn call(task: &mut Stopped, not: &[(u64, u64)], number: i64, args: [u64; 6], attempt: &'static str) -> Result<u64, TraceeError> {
    let at = find(task, not)?;
    write_stub(task, at)?;
    let result = make(task, at, number, args);
    // A task that is gone has nothing to clean.
    memory::write(task.tid, at, &[0; stub::END])?;
    let value = result?.cast_signed();
    if (-4095..0).contains(&value) {
        let source = Errno::from_raw(i32::try_from(-value).unwrap_or(0));
        return Err(TraceeError::Call { attempt, tid: task.tid, source });
    }
    Ok(value.cast_unsigned())
}

fn write_stub(task: &Stopped, at: u64) -> Result<(), TraceeError> {
    let mut bytes = [0; stub::END];
    bytes[..STUB.len()].copy_from_slice(&STUB);
    bytes[stub::PATIENCE..stub::PATIENCE + 8].copy_from_slice(&PATIENCE.to_le_bytes());
    bytes[stub::OWN..].copy_from_slice(&code::own_words(task.registers()));
    memory::write(task.tid, at, &bytes)
}

/// Lets the task run the stub; returns what the call returned.
fn make(task: &mut Stopped, at: u64, number: i64, args: [u64; 6]) -> Result<u64, TraceeError> {
    let mut registers = arch::for_code(task.registers(), at);
    let [rdi, rsi, rdx, r10, r8, r9] = args;
    (registers.rdi, registers.rsi, registers.rdx) = (rdi, rsi, rdx);
    (registers.r10, registers.r8, registers.r9) = (r10, r8, r9);
    (registers.rax, registers.rcx) = (number.cast_unsigned(), PATIENCE);
    task.lend(&registers)?;
    task.cont()?;
    let mut pause = Duration::from_micros(10);
    let mut window = WINDOW;
    loop {
        allow(task, at, window, pause)?;
        // Where the processors' counters differ, or everybody waits long for a processor, more is needed.
        window = (window + window / 16).min(MOST_TICKS);
        // Who waits longer for a processor than that is interrupted before it has done anything.
        pause = (pause * 2).min(LONGEST_PAUSE);
        let registers = interrupted(task, at)?;
        match registers.rip.wrapping_sub(at) {
            inside if inside < stub::CALLED as u64 => task.cont()?,
            inside if inside < stub::HOME as u64 => {
                task.settle()?;
                return Ok(registers.rax);
            }
            _ => return Err(task.escaped(registers)),
        }
    }
}

/// For a time, lets the stub make its call as soon as it has a processor. Who dies meanwhile takes the permission along: it holds for `window` ticks, less
/// than the kernel takes to end a process and let go of its tasks.
fn allow(task: &Stopped, at: u64, window: u64, time: Duration) -> Result<(), TraceeError> {
    const STEP: Duration = Duration::from_micros(40);
    let begun = Instant::now();
    loop {
        let until = processor::ticks().wrapping_add(window);
        memory::write(task.tid, at + stub::UNTIL as u64, &until.to_le_bytes())?;
        let rest = time.saturating_sub(begun.elapsed());
        if rest.is_zero() {
            return Ok(());
        }
        std::thread::sleep(rest.min(STEP));
    }
}

/// Interrupts the stub; returns its registers. A signal that comes meanwhile is the task's own affair.
fn interrupted(task: &mut Stopped, at: u64) -> Result<libc::user_regs_struct, TraceeError> {
    // One that has stopped already, as a task that a signal has stopped does, would stop again for it as soon as it goes on, and so for ever.
    if !matches!(process::look(task.tid, false), Ok(Some(Change::Stopped { event: ptrace::EVENT_STOP, .. }))) {
        ptrace::interrupt(task.tid).map_err(|e| TraceeError::request("interrupt", task.tid, e))?;
    }
    let (signal, event) = task.wait()?;
    let registers = ptrace::registers(task.tid).map_err(|e| TraceeError::request("read the registers", task.tid, e))?;
    if event != 0 {
        return Ok(registers);
    }
    if stub::HOME as u64 <= registers.rip.wrapping_sub(at) {
        return Err(task.escaped(registers));
    }
    if task.is_fault(signal)? {
        if registers.rip == at + stub::TICKS as u64 {
            return without_ticks(task, at, registers);
        }
        task.settle()?;
        return Err(TraceeError::Crashed { tid: task.tid, signal, address: registers.rip });
    }
    task.take_signal(signal)?;
    write_stub(task, at)?;
    let mut again = arch::restarted(&registers);
    again.rsp = task.registers().rsp;
    task.lend(&again)?;
    // It is stopped, at the stub: as good as interrupted.
    Ok(again)
}

/// A task that may not read the time stamp counter (PR_SET_TSC, strict seccomp) makes the call when it goes on, whoever lives then.
fn without_ticks(task: &Stopped, at: u64, mut registers: libc::user_regs_struct) -> Result<libc::user_regs_struct, TraceeError> {
    registers.rip = at + stub::MADE as u64;
    task.lend(&registers)?;
    // Our request to stop is still due, and comes before anything else.
    task.cont()?;
    task.wait()?;
    Ok(registers)
}

/// Where the stub fits: at the end of executable areas that end in zeros. The vdso comes first. A stub that was left behind stays where it is: the
/// frame of a signal handler may still lead there.
fn find(task: &Stopped, not: &[(u64, u64)]) -> Result<u64, TraceeError> {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", task.tid)).map_err(|_| TraceeError::Gone { tid: task.tid })?;
    let mut areas: Vec<(u64, u64, bool)> = maps.lines().filter_map(executable_area).collect();
    areas.retain(|area| !not.iter().any(|range| range.0 < area.1 && area.0 < range.1));
    areas.sort_by_key(|area| (!area.2, std::cmp::Reverse(area.0)));
    for (_, end, _) in areas {
        let mut page = [0; PAGE];
        if memory::read(task.tid, end - PAGE as u64, &mut page).is_ok()
            && let Some(offset) = room(&page)
        {
            return Ok(end - PAGE as u64 + offset as u64);
        }
    }
    Err(TraceeError::Request { attempt: "find room for a stub in the code", tid: task.tid, source: Errno::ENOEXEC })
}

fn room(page: &[u8]) -> Option<usize> {
    let zeros = page.iter().rev().take_while(|byte| **byte == 0).count();
    // A few bytes of the zeros may still be the end of something, a terminated table for example.
    let at = (page.len() - zeros + 64).next_multiple_of(16);
    (at + stub::END <= page.len()).then_some(at)
}

/// Start and end of an area of code, and whether it is the vdso.
fn executable_area(line: &str) -> Option<(u64, u64, bool)> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let (start, end) = (u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
    (rest.as_bytes().get(2) == Some(&b'x') && !rest.ends_with("[vsyscall]")).then_some((start, end, rest.ends_with("[vdso]")))
}

/// Address of a `syscall` instruction of the task's own, outside of `not`.
pub(super) fn syscall_instruction(task: &Stopped, not: &[(u64, u64)]) -> Result<u64, TraceeError> {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", task.tid)).map_err(|_| TraceeError::Gone { tid: task.tid })?;
    let areas = maps.lines().filter_map(executable_area).filter(|area| !not.iter().any(|range| range.0 < area.1 && area.0 < range.1));
    for (start, end, _) in areas.collect::<Vec<_>>().into_iter().rev() {
        let mut code = vec![0u8; usize::try_from((end - start).min(16 << 20)).unwrap_or(0)];
        if memory::read(task.tid, start, &mut code).is_ok()
            && let Some(at) = memchr::memmem::find(&code, &arch::SYSCALL)
        {
            return Ok(start + at as u64);
        }
    }
    Err(TraceeError::Request { attempt: "find a syscall instruction", tid: task.tid, source: Errno::ENOEXEC })
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn room_is_at_the_end_of_a_page_that_ends_in_zeros() {
        assert_eq!(room(&[0; 4096]), Some(64));
        assert_eq!(room(&[1; 4096]), None);
        let mut page = [1; 4096];
        page[3000..].fill(0);
        assert_eq!(room(&page), Some(3072));
        page[3072..3072 + stub::END].fill(1);
        assert_eq!(room(&page), Some(3072 + stub::END + 64));
        page[3900..].fill(0);
        page[3800..3900].fill(1);
        assert_eq!(room(&page), None, "too little room");
    }
}
