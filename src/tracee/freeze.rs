//! Stopping every thread of every process of a job, and letting all of them go again.
//!
//! Relies on `PTRACE_SEIZE` and `PTRACE_INTERRUPT`, which leave no trace in the job (no SIGSTOP, ptrace(2)). Which processes belong
//! to the job is the caller's question: it is asked again until it names nobody new.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use super::task::{Stopped, bury};
use super::{TraceeError, freezer, live, memory, release};
use crate::sys::process::Change;
use crate::sys::{Errno, interruption, process, ptrace};

/// When a checkpoint must be given up; `None` never.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// A deadline this far from now.
    pub fn after(limit: Option<Duration>) -> Deadline {
        Deadline(limit.map(|limit| Instant::now() + limit))
    }

    /// The moment it comes, for those who can wait no longer than that.
    pub fn instant(self) -> Option<Instant> {
        self.0
    }

    /// The time that is left: none of it once somebody has asked to give up. `None`: there is no end.
    pub fn left(self) -> Option<Duration> {
        match interruption::came() {
            Some(_) => Some(Duration::ZERO),
            None => self.0.map(|end| end.saturating_duration_since(Instant::now())),
        }
    }

    /// Fails once the time is over, or somebody has asked to give up.
    pub fn check(self) -> Result<(), TraceeError> {
        if let Some(why) = interruption::came() {
            return Err(TraceeError::GivenUp { why });
        }
        match self.0 {
            Some(end) if end <= Instant::now() => Err(TraceeError::TimeOver),
            Some(_) | None => Ok(()),
        }
    }
}

/// A process with every thread stopped.
#[derive(Debug)]
pub struct FrozenProcess {
    /// Its id.
    pub pid: i32,
    /// Its live threads, the leader first if it lives. Empty in a zombie.
    pub threads: Vec<Stopped>,
    /// Whether the leader has ended while other threads run on.
    pub leader_dead: bool,
    /// The job control signal that had stopped it before we came.
    pub group_stop: Option<i32>,
}

/// Every task of the job is stopped. Dropping it lets all of them go as they were.
#[derive(Debug)]
pub struct Frozen {
    /// The processes, ascending by id.
    pub processes: Vec<FrozenProcess>,
    /// When the first task was asked to stop.
    pub since: Instant,
}

impl Frozen {
    /// Lets everything run on. The job is unchanged.
    pub fn release(self) -> Result<(), TraceeError> {
        release::release(self.processes.into_iter().flat_map(|process| process.threads), None)
    }
}

/// How long a vfork in flight, a debugger or an uninterruptible sleep is waited for; a debugger for as long as the deadline allows.
const PATIENCE: Duration = Duration::from_secs(10);

/// Stops the job. `members` names its processes in ascending order; it is asked until two answers in a row bring nobody new.
/// Stopped on success, running as before on failure.
pub fn freeze<E: From<TraceeError>>(deadline: Deadline, mut members: impl FnMut() -> Result<Vec<i32>, E>) -> Result<Frozen, E> {
    let begun = Instant::now();
    let since = Instant::now();
    loop {
        match freeze_once(deadline, &mut members) {
            // The job runs meanwhile.
            Err(Stop::Wait(error)) => {
                deadline.check()?;
                let waits_on = matches!(error, TraceeError::Denied { .. }) && deadline.instant().is_some();
                if !waits_on && PATIENCE < begun.elapsed() {
                    return Err(error.into());
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(Stop::Failed(error)) => return Err(error),
            Ok(processes) => return Ok(Frozen { processes, since }),
        }
    }
}

enum Stop<E> {
    /// What passes by itself.
    Wait(TraceeError),
    Failed(E),
}

impl<E: From<TraceeError>> From<TraceeError> for Stop<E> {
    fn from(error: TraceeError) -> Self {
        match error {
            // Whoever asked for traced processes waits until the tracer lets go.
            TraceeError::Vfork { .. } => Stop::Wait(error),
            TraceeError::Denied { tracer, .. } if tracer != 0 => Stop::Wait(error),
            other => Stop::Failed(other.into()),
        }
    }
}

fn freeze_once<E: From<TraceeError>>(
    deadline: Deadline,
    members: &mut impl FnMut() -> Result<Vec<i32>, E>,
) -> Result<Vec<FrozenProcess>, Stop<E>> {
    const MOST_PASSES: usize = 1000;
    let mut frozen: BTreeMap<i32, FrozenProcess> = BTreeMap::new();
    for _ in 0..MOST_PASSES {
        deadline.check()?;
        let pids = members().map_err(Stop::Failed)?;
        // A process that ended between two answers is none of ours any more.
        frozen.retain(|pid, _| pids.binary_search(pid).is_ok());
        let mut news = false;
        for pid in pids {
            let process = frozen.entry(pid).or_insert_with(|| {
                news = true;
                FrozenProcess { pid, threads: Vec::new(), leader_dead: false, group_stop: None }
            });
            news |= freeze_threads(process, deadline)?;
        }
        if !news {
            let mut frozen: Vec<FrozenProcess> = frozen.into_values().collect();
            if live::is_any_left() {
                frozen.iter_mut().filter_map(|process| process.threads.first_mut()).try_for_each(live::clear)?;
            }
            return Ok(frozen);
        }
    }
    Err(TraceeError::Forking.into())
}

/// Stops the threads of a process that are not stopped yet, in passes until none is new. Returns whether there was a new one.
fn freeze_threads(frozen: &mut FrozenProcess, deadline: Deadline) -> Result<bool, TraceeError> {
    let pid = frozen.pid;
    let mut any = false;
    let mut stopped: HashSet<i32> = frozen.threads.iter().map(|thread| thread.tid).collect();
    loop {
        let mut fresh = Vec::new();
        for tid in thread_ids(pid).into_iter().filter(|tid| !stopped.contains(tid)) {
            match seize(pid, tid) {
                Ok(Seized::Yes) => fresh.push(tid),
                Ok(Seized::Dead) => frozen.leader_dead |= tid == pid,
                Err(error) => {
                    // Those on their way into their stop are caught and let go at once.
                    fresh.into_iter().for_each(|tid| drop(wait_stopped(pid, tid, deadline)));
                    return Err(error);
                }
            }
        }
        if fresh.is_empty() {
            if frozen.threads.is_empty() {
                frozen.leader_dead = false;
            }
            return Ok(any);
        }
        any = true;
        let mut failure = None;
        for tid in fresh {
            match wait_stopped(pid, tid, deadline) {
                Ok(thread) => {
                    stopped.insert(tid);
                    frozen.group_stop = frozen.group_stop.or(thread.group_stop);
                    frozen.threads.push(thread);
                }
                Err(TraceeError::Gone { .. }) => frozen.leader_dead |= tid == pid,
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        frozen.threads.sort_by_key(|thread| (thread.tid != pid, thread.tid));
    }
}

fn thread_ids(pid: i32) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

enum Seized {
    Yes,
    Dead,
}

fn seize(pid: i32, tid: i32) -> Result<Seized, TraceeError> {
    let Some(status) = Status::of(tid) else { return Ok(Seized::Dead) };
    if status.dead {
        return Ok(Seized::Dead);
    }
    // Where a frozen task is stopped by a signal as well, the request itself would wait for the thaw.
    if !status.running
        && let Some(group) = freezer::frozen_group(tid)
    {
        return Err(TraceeError::Frozen { pid, group });
    }
    let options = ptrace::O_TRACESYSGOOD | if status.seccomp { ptrace::O_SUSPEND_SECCOMP } else { 0 };
    match ptrace::seize(tid, options).and_then(|()| ptrace::interrupt(tid)) {
        Ok(()) => Ok(Seized::Yes),
        Err(Errno::ESRCH) => Ok(Seized::Dead),
        Err(Errno::EPERM) if Status::of(tid).is_none_or(|status| status.dead) => Ok(Seized::Dead),
        // Seized by an earlier pass in which it did not stop in time: it waits in vfork.
        Err(Errno::EPERM) if status.tracer == std::process::id().cast_signed() => Ok(Seized::Yes),
        // What may be attached to has memory that may be opened: only to suspend the filters was refused.
        Err(Errno::EPERM) if status.seccomp && status.tracer == 0 && std::fs::File::open(format!("/proc/{tid}/mem")).is_ok() => {
            Err(TraceeError::Filtered { pid })
        }
        // Whoever holds it may have come since the first look.
        Err(Errno::EPERM) => match Status::of(tid).map_or(status.tracer, |status| status.tracer) {
            tracer if is_ours(tracer) => Err(TraceeError::Busy { pid, tracer }),
            tracer => Err(TraceeError::Denied { pid, tracer }),
        },
        Err(errno) => Err(TraceeError::request("stop", tid, errno)),
    }
}

/// Whether a tracer is one of our own programs, and not a debugger: by its name, which anybody can read.
pub fn is_ours(tracer: i32) -> bool {
    let name = std::fs::read(format!("/proc/{tracer}/comm")).unwrap_or_default();
    matches!(name.trim_ascii(), b"cr_checkpoint" | b"cr_restart")
}

/// The lines of `/proc/TID/status` that matter before a task is stopped.
struct Status {
    dead: bool,
    /// Running or in interruptible sleep, and so not frozen.
    running: bool,
    sleeping: bool,
    tracer: i32,
    seccomp: bool,
    inner: Option<(i32, i32)>,
}

impl Status {
    fn of(tid: i32) -> Option<Status> {
        let text = String::from_utf8_lossy(&std::fs::read(format!("/proc/{tid}/status")).ok()?).into_owned();
        let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let last = |name: &str| line(name)?.split_whitespace().next_back()?.parse().ok();
        let state = line("State:")?;
        Some(Status {
            dead: state.starts_with(['Z', 'X']),
            running: state.starts_with(['R', 'S']),
            sleeping: state.starts_with('D'),
            tracer: line("TracerPid:").and_then(|value| value.parse().ok()).unwrap_or(0),
            seccomp: line("Seccomp:").is_some_and(|value| value != "0"),
            inner: last("NStgid:").zip(last("NSpid:")),
        })
    }
}

/// Waits until a seized task has stopped. A signal that it is about to take is passed on to it: the request to stop stays, and the
/// task stops again as soon as the kernel has delivered the signal, at the first instruction of its handler.
fn wait_stopped(pid: i32, tid: i32, deadline: Deadline) -> Result<Stopped, TraceeError> {
    let Some(status) = Status::of(tid) else { return Err(bury(tid)) };
    let begun = Instant::now();
    let mut pause = Duration::from_micros(20);
    loop {
        match process::look(tid, false) {
            Err(_) => return Err(TraceeError::Gone { tid }),
            Ok(None) => {
                deadline.check()?;
                check_stoppable(pid, tid, begun.elapsed())?;
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(5));
            }
            Ok(Some(Change::Ended)) => return Err(bury(tid)),
            Ok(Some(Change::Stopped { signal, event: ptrace::EVENT_STOP })) => {
                let mut stopped = Stopped::seized(pid, tid, status.seccomp)?;
                stopped.group_stop = (signal != libc::SIGTRAP).then_some(signal);
                // A task that a signal has stopped will see EINTR as it would without us.
                if stopped.group_stop.is_none() {
                    stopped.hide_interruption()?;
                }
                if let Some((inner_pid, inner_tid)) = status.inner {
                    (stopped.inner_pid, stopped.inner_tid) = (inner_pid, inner_tid);
                }
                return Ok(stopped);
            }
            Ok(Some(Change::Stopped { signal, event })) => {
                let signal = if event == 0 { signal } else { 0 };
                ptrace::cont(tid, signal).map_err(|e| TraceeError::request("pass on a signal", tid, e))?;
            }
        }
    }
}

/// Fails when a task cannot stop: it waits in vfork for a child that we have stopped, or sleeps uninterruptibly for long.
fn check_stoppable(pid: i32, tid: i32, waited: Duration) -> Result<(), TraceeError> {
    if waited < Duration::from_millis(2) {
        return Ok(());
    }
    let Some(status) = Status::of(tid) else { return Err(TraceeError::Gone { tid }) };
    if status.dead {
        return Err(TraceeError::Gone { tid });
    }
    if let Some(group) = freezer::frozen_group(tid) {
        return Err(TraceeError::Frozen { pid, group });
    }
    if status.sleeping && in_vfork(tid) {
        return Err(TraceeError::Vfork { pid });
    }
    if PATIENCE < waited { Err(TraceeError::Unstoppable { tid }) } else { Ok(()) }
}

fn in_vfork(tid: i32) -> bool {
    let Ok(text) = std::fs::read_to_string(format!("/proc/{tid}/syscall")) else { return false };
    let mut words = text.split_whitespace();
    let number: Option<i64> = words.next().and_then(|word| word.parse().ok());
    let first = words.next().and_then(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok()).unwrap_or(0);
    const CLONE_VFORK: u64 = 0x4000;
    match number {
        Some(libc::SYS_vfork) => true,
        Some(libc::SYS_clone) => first & CLONE_VFORK != 0,
        Some(libc::SYS_clone3) => memory::read_word(tid, first).is_ok_and(|flags| flags & CLONE_VFORK != 0),
        Some(_) | None => false,
    }
}
