//! What happens to the job after its checkpoint: the signal that was asked for, then everybody is let go.
//!
//! A signal that ends a process ends it for the kernel only: the context file is complete, and the job is to go on from it as if it had never
//! died. So its robust lists are taken out of the way first ([`robust`]), in a process at a time and right before its signal. If this program
//! dies in between, the kernel kills the process (PTRACE_O_EXITKILL), which is what was to be done.
//! Relies on the job being frozen, and on the file being safe if there is a signal.

use std::collections::HashSet;
use std::time::Duration;

use super::holder::wait_while;
use crate::error::{At, Failure, Stage, Subject};
use crate::image::Snapshot;
use crate::proc::ProcDir;
use crate::resource::{KindError, Parting};
use crate::sys::{Errno, process, ptrace};
use crate::tracee::TraceeError;
use crate::tracee::freeze::{Frozen, FrozenProcess};
use crate::tracee::robust::{self, Disarmed};

/// Sends the signal to every process that was saved, lets everybody go, and tells for how long they were stopped.
/// `partings`: what is done first when everybody will die of it.
pub fn release(frozen: Frozen, snapshot: &Snapshot, signal: Option<i32>, partings: Vec<Box<dyn Parting>>) -> Result<Duration, Failure> {
    let saved: HashSet<i32> = snapshot.processes.iter().map(|process| process.pid).collect();
    let alive: Vec<&FrozenProcess> =
        frozen.processes.iter().filter(|process| !process.threads.is_empty() && saved.contains(&process.pid)).collect();
    if signal.is_some_and(|signal| alive.iter().all(|process| is_deadly(process, signal))) {
        part(&alive, partings)?;
    } else {
        drop(partings);
    }
    for process in alive {
        let Some(signal) = signal else { continue };
        let about = |failure: Failure| failure.about(Subject::pid(process.pid));
        let disarmed = if is_deadly(process, signal) { Some(disarm(process).at(Stage::Release).map_err(about)?) } else { None };
        if let Err(failure) = send_to(process, signal).at(Stage::Release).map_err(about) {
            disarmed.map_or(Ok(()), |disarmed| disarmed.rearm()).at(Stage::Release).map_err(about)?;
            return Err(failure);
        }
    }
    let since = frozen.since;
    frozen.release().at(Stage::Release)?;
    let stood_still = since.elapsed();
    if signal == Some(libc::SIGKILL) && !is_moved() {
        wait_for_the_end(&saved);
    }
    Ok(stood_still)
}

/// From here on the job dies with us, and objects are made ready for that.
fn part(alive: &[&FrozenProcess], partings: Vec<Box<dyn Parting>>) -> Result<(), Failure> {
    if partings.is_empty() {
        return Ok(());
    }
    for process in alive {
        bind_fate(process).at(Stage::Release).map_err(|failure| failure.about(Subject::pid(process.pid)))?;
    }
    partings.into_iter().try_for_each(|parting| parting.part()).at(Stage::Release)
}

/// Whether we have been moved into the pid namespace of the job, away from our parent: it may end with the job, and we with it.
fn is_moved() -> bool {
    nix::unistd::getppid().as_raw() == 0
}

/// Whoever reads that the job was killed may want its ids: waits a bounded time until they are free. A parent other than init may never wait
/// for its child, or wait for us right now: the child's end is enough then.
fn wait_for_the_end(saved: &HashSet<i32>) {
    const PATIENCE: Duration = Duration::from_secs(2);
    const INIT: i32 = 1;
    let ids: Vec<i32> = saved.iter().copied().collect();
    wait_while(&ids, PATIENCE, |holder| holder.zombie_of().is_none_or(|parent| parent == INIT));
}

fn send_to(process: &FrozenProcess, signal: i32) -> Result<(), KindError> {
    let stops = matches!(signal, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU);
    if process.group_stop.is_some() && !stops && signal != libc::SIGCONT {
        send(process.pid, libc::SIGCONT)?;
    }
    send(process.pid, signal)
}

fn send(pid: i32, signal: i32) -> Result<(), KindError> {
    match process::kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(KindError::host(format!("send signal {signal} to process {pid}"), errno)),
    }
}

/// Whether a process ends of this signal, and runs nothing of its own any more: it neither catches, ignores nor blocks it.
fn is_deadly(process: &FrozenProcess, signal: i32) -> bool {
    const HARMLESS: [i32; 8] =
        [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH, libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    if signal == libc::SIGKILL {
        return true;
    }
    let bit = 1u64 << (signal - 1);
    let has_plans = |pid: i32| {
        let status = ProcDir::open(pid).and_then(|dir| dir.status());
        status.is_ok_and(|status| (status.signals.caught | status.signals.ignored) & bit != 0)
    };
    // The first process of a pid namespace takes only what it has a handler for.
    let is_init = process.threads.iter().any(|thread| thread.inner_pid == 1);
    let is_blocked = process.threads.iter().all(|thread| thread.mask() & bit != 0);
    !(HARMLESS.contains(&signal) || is_init || is_blocked || process.threads.iter().any(|thread| has_plans(thread.tid)))
}

/// From here on the process dies with us.
fn bind_fate(process: &FrozenProcess) -> Result<(), TraceeError> {
    for thread in &process.threads {
        let options = ptrace::O_TRACESYSGOOD | ptrace::O_EXITKILL;
        match ptrace::set_options(thread.tid, options) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => return Err(TraceeError::request("set the options of", thread.tid, errno)),
        }
    }
    Ok(())
}

/// The process dies with us, and the kernel finds no locks in its robust lists.
fn disarm(process: &FrozenProcess) -> Result<Disarmed, TraceeError> {
    bind_fate(process)?;
    let heads = process.threads.iter().map(|thread| process::robust_list(thread.tid).map_or(0, |list| list.head));
    robust::disarm(process.pid, heads)
}
