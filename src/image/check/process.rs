//! Rules about processes and threads: ids, relations, states, signals, registers.
//!
//! Part of `check`. Whether a tree of processes can be made again on this machine is the plan of a restart to say.

use std::collections::HashMap;

use super::{MAX_SIGNAL, that, within};
use crate::image::error::ImageError;
use crate::image::snapshot::{Process, Snapshot, State, Thread};

/// Most bytes of general registers; x86-64 has 216.
const MAX_REGISTER_BYTES: usize = 4096;
/// Most bytes of extended state; AMX brings it to 11 KiB.
const MAX_XSTATE_BYTES: usize = 1 << 20;
/// Ids end before it (`PID_MAX_LIMIT`, proc_sys_kernel(5)).
const MAX_ID: i32 = 1 << 22;

/// Every pid and tid is there once, parents stand before their children, and groups and sessions are ids, too; 0 is one that could not be seen.
pub(super) fn check_ids(processes: &[Process]) -> Result<(), ImageError> {
    let mut places: HashMap<i32, usize> = HashMap::new();
    for (index, process) in processes.iter().enumerate() {
        let others = process.threads.iter().map(|thread| thread.tid).filter(|tid| *tid != process.pid);
        for id in [process.pid].into_iter().chain(others) {
            that(0 < id && id < MAX_ID, || format!("process {} has the id {id}", process.pid))?;
            that(places.insert(id, index).is_none(), || format!("the id {id} occurs twice"))?;
        }
        for (what, id) in [("parent", process.ppid), ("process group", process.pgid), ("session", process.sid)] {
            that((0..MAX_ID).contains(&id), || format!("process {} has the {what} {id}", process.pid))?;
        }
    }
    for (index, process) in processes.iter().enumerate() {
        let parent = places.get(&process.ppid);
        that(parent.is_none_or(|parent| *parent < index), || format!("process {} stands before its parent", process.pid))?;
    }
    Ok(())
}

pub(super) fn check_process(snapshot: &Snapshot, index: usize, process: &Process) -> Result<(), ImageError> {
    let who = || format!("process {}", process.pid);
    if let Some(memory) = process.memory {
        within(memory, snapshot.memories.len(), who, "memory")?;
    }
    if let Some(table) = process.table {
        within(table, snapshot.tables.len(), who, "table")?;
    }
    for (what, other) in [("directories", process.shares_fs_with), ("signal handlers", process.shares_handlers_with)] {
        that(other.is_none_or(|other| (other as usize) < index), || format!("{} shares its {what} with a later process", who()))?;
    }
    let exit_signal = process.exit_signal;
    that((-1..=MAX_SIGNAL).contains(&exit_signal), || format!("{} sends signal {exit_signal} when it ends", who()))?;
    check_state(process)?;
    if matches!(process.state, State::Zombie(_)) {
        let is_empty = process.memory.is_none() && process.table.is_none() && process.threads.is_empty();
        return that(is_empty, || format!("{} is a zombie with memory, descriptors or threads", who()));
    }
    let is_whole = process.memory.is_some() && process.table.is_some();
    that(is_whole, || format!("{} has no memory or no descriptor table", who()))?;
    let leader = process.threads.first().map(|thread| thread.tid);
    that(leader == Some(process.pid), || format!("the first thread of {} is not its leader", who()))?;
    let leaders = process.threads.iter().filter(|thread| thread.tid == process.pid).count();
    that(leaders == 1, || format!("the leader of {} occurs twice", who()))?;
    that(process.threads.iter().any(|thread| !thread.dead), || format!("{} has only threads that have ended", who()))?;
    let dead = process.threads.iter().skip(1).find(|thread| thread.dead);
    that(dead.is_none(), || format!("{} has a thread that has ended and is not its leader", who()))?;
    process.threads.iter().try_for_each(check_thread)
}

/// A process is stopped by the signals that stop, and a zombie has ended in a way in which one can end.
fn check_state(process: &Process) -> Result<(), ImageError> {
    match process.state {
        State::Running => Ok(()),
        State::Stopped(signal) => {
            let stops = matches!(signal, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU);
            that(stops, || format!("process {} is stopped by signal {signal}", process.pid))
        }
        State::Zombie(status) => that(is_end(status), || format!("process {} is a zombie with the status {status:#x}", process.pid)),
    }
}

/// Whether a wait status says that a process exited, or was killed by a signal that kills.
fn is_end(status: i32) -> bool {
    let harmless = [libc::SIGCHLD, libc::SIGCONT, libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU, libc::SIGURG, libc::SIGWINCH];
    let (signal, code) = (status & 0x7f, status >> 8);
    if signal == 0 {
        (0..=0xff).contains(&code) && status & 0x80 == 0
    } else {
        code == 0 && signal <= MAX_SIGNAL && !harmless.contains(&signal)
    }
}

fn check_thread(thread: &Thread) -> Result<(), ImageError> {
    let (registers, xstate) = (thread.registers.len(), thread.xstate.len());
    let is_plausible = (thread.dead || registers > 0) && registers <= MAX_REGISTER_BYTES && xstate <= MAX_XSTATE_BYTES;
    that(is_plausible, || format!("thread {} has {registers} and {xstate} bytes of registers", thread.tid))
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn processes_end_by_exiting_or_by_a_signal_that_kills() {
        let ends = [0, 0x100, 0xff00, 9, 11 | 0x80, 64, libc::SIGSYS];
        let others = [-1, 0x1_0000, 0x80, 0x7f, 0xffff, 0x109, 65, libc::SIGSTOP, libc::SIGCHLD, libc::SIGCONT, libc::SIGWINCH];
        assert_eq!(ends.map(is_end), [true; 7]);
        assert_eq!(others.map(is_end), [false; 11]);
    }
}
