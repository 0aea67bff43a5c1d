//! The two processes of `cr_checkpoint`: a worker that does everything, and its parent in front that waits, passes signals on and watches the time.
//!
//! The one in front may be part of the job: a script that checkpoints itself. It is saved while it waits, so it holds no descriptor of its own. In its next
//! life the worker does not exist; that wait fails with ECHILD, and the right answer to the script is success. The worker never is part of the job: the
//! engine leaves its own process out.
//!
//! The worker owns the checkpoint. What would end it makes it give up instead ([`interruption`]): the job runs on, and what was made is removed. The one in
//! front ends it with SIGKILL only when it does not answer; that does the job no harm, because the kernel lets go of what a dead tracer held.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};

use super::exit::Ending;
use super::wait::ending;
use crate::error::{Class, Classified};
use crate::sys::cli_support::{default_action, die_with_parent, fork_single_threaded, pidfd, send, take_signal, wait_status};
use crate::sys::interruption::{self, Interruption};

/// How long a worker may take to give up, beyond its time limit or after a signal. Syncing what was written to a slow disk is in it.
const GRACE: Duration = Duration::from_secs(10);
/// How long the one in front sleeps at most between two looks.
const TICK: Duration = Duration::from_millis(100);

/// What went wrong between the two.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields are named in the messages")]
pub enum WorkerError {
    /// There is no worker.
    #[error("cannot {attempt}")]
    Start { attempt: &'static str, source: io::Error },
    /// Somebody ended it.
    #[error("child killed by signal {signal} ({})", name(*.signal))]
    Killed { signal: i32 },
    /// It did not see that its time was over: it was stopped, or stood in a call about a process that somebody has frozen.
    #[error("the time allowed for the checkpoint is over, and its worker process did not answer")]
    TimeOver,
    /// It did not give up when it was asked to.
    #[error("the worker process did not give up within {} s of signal {signal} ({}) and was ended", GRACE.as_secs(), name(*.signal))]
    Deaf { signal: i32 },
    /// It is gone, and nobody has told how it ended.
    #[error("the worker process is gone and its exit code with it")]
    Gone,
}

fn name(signal: i32) -> &'static str {
    Signal::try_from(signal).map_or("a real-time signal", Signal::as_str)
}

impl Classified for WorkerError {
    fn class(&self) -> Class {
        Class::Temp
    }

    fn errno(&self) -> Option<i32> {
        match self {
            WorkerError::Start { source, .. } => source.raw_os_error(),
            // The exit code of BLCR's front for a child that was killed.
            WorkerError::Killed { .. } | WorkerError::Gone => Some(libc::EPERM),
            WorkerError::TimeOver => Some(libc::ETIME),
            WorkerError::Deaf { .. } => Some(libc::EINTR),
        }
    }

    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            WorkerError::Start { source, .. } if source.raw_os_error() == Some(libc::EAGAIN) => {
                "the limit of processes is reached (ulimit -u, pids.max): end some, or raise it"
            }
            WorkerError::Start { .. } => return None,
            WorkerError::Killed { .. } | WorkerError::Gone => {
                "the job runs on unless the signal of the checkpoint had been sent; try again"
            }
            WorkerError::TimeOver => "the job runs on unchanged; continue what is stopped or frozen, or allow more with --time",
            WorkerError::Deaf { .. } => "the job runs on unchanged",
        };
        Some(remedy.into())
    }
}

/// Whom a worker works for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    /// The process that the user started: job control stops and continues it.
    Front,
    /// A worker itself, which only waits for another in its place.
    Worker,
}

/// Runs `work` in a child and returns how it ended, in the parent and in the child. The child gives up when asked to, and is ended when it still runs well
/// after `limit`.
///
/// Relies on being called before any thread exists.
pub fn supervise(principal: Principal, limit: Option<Duration>, work: impl FnOnce() -> Ending) -> Result<Ending, WorkerError> {
    let failed = |attempt| move |source| WorkerError::Start { attempt, source };
    // A caller that ignores SIGCHLD would leave us without the worker's exit code.
    default_action(libc::SIGCHLD).map_err(failed("give SIGCHLD its default action"))?;
    let this_life = Life::now();
    let parent = nix::unistd::getpid();
    let own = pidfd(parent.as_raw()).map_err(failed("open a pidfd of this process"))?;
    let blocked = Blocked::for_(principal).map_err(failed("block signals"))?;
    match fork_single_threaded().map_err(failed("start the worker process"))? {
        None => {
            std::mem::forget(blocked);
            // A worker that somebody has stopped must see the end of its parent, too.
            let watches = die_with_parent(libc::SIGCONT).and_then(|()| interruption::watch(own));
            watches.map_err(failed("watch for signals"))?;
            Ok(work())
        }
        Some(child) => {
            drop(own);
            Front { child, principal, limit, begun: Instant::now(), asked: None, is_woken: false }.wait(&blocked.taken, &this_life)
        }
    }
}

/// Signals wait until they are taken; dropping it lets them act again. Those of job control go on to stop the process that the user started.
struct Blocked {
    taken: SigSet,
    inherited: SigSet,
}

impl Blocked {
    fn for_(principal: Principal) -> io::Result<Blocked> {
        let mut taken = SigSet::all();
        if principal == Principal::Front {
            [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU].into_iter().for_each(|stop| taken.remove(stop));
        }
        let inherited = taken.thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        Ok(Blocked { taken, inherited })
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // Cannot fail: the mask was read from the kernel.
        let _ = self.inherited.thread_set_mask();
    }
}

/// The process in front while it waits.
struct Front {
    child: i32,
    principal: Principal,
    limit: Option<Duration>,
    begun: Instant,
    /// The signal that asked to give up, and when it was passed on.
    asked: Option<(i32, Instant)>,
    /// Whether the worker was continued at the end of its time.
    is_woken: bool,
}

impl Front {
    fn wait(mut self, signals: &SigSet, this_life: &Life) -> Result<Ending, WorkerError> {
        let failed = |attempt| move |source| WorkerError::Start { attempt, source };
        loop {
            match wait_status(self.child) {
                Ok(Some(status)) => return ended(status),
                Ok(None) => {}
                // Restarted from the checkpoint that this very call waited for.
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) && Life::now() != *this_life => return Ok(Ending::Status(0)),
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Err(WorkerError::Gone),
                Err(source) => return Err(failed("wait for the worker process")(source)),
            }
            match take_signal(signals, TICK).map_err(failed("wait for signals"))? {
                // Whether the worker is still ours is looked at first: its number may be another's in this life.
                Some(libc::SIGCHLD) => continue,
                Some(signal) if interruption::is_request(signal) && matches!(wait_status(self.child), Ok(None)) => self.pass_on(signal),
                Some(_) => continue,
                None => {}
            }
            if self.principal == Principal::Worker {
                self.stand_in();
            }
            self.look_at_the_time()?;
        }
    }

    /// Asks the worker to give up. One that is stopped could not.
    fn pass_on(&mut self, signal: i32) {
        // It cannot be gone, only ended: we have not waited for it.
        let _ = send(self.child, signal).and_then(|()| send(self.child, libc::SIGCONT));
        self.asked.get_or_insert((signal, Instant::now()));
    }

    /// What the process in front must know of the worker that does the work, this one shows it; and the other way round.
    fn stand_in(&mut self) {
        match interruption::came() {
            Some(Interruption::Signal(signal)) if self.asked.is_none() => self.pass_on(signal),
            Some(Interruption::Orphaned) if self.asked.is_none() => self.pass_on(libc::SIGTERM),
            _ => {}
        }
        if is_finishing(self.child) {
            // It is only for the one in front, who finds out in the end.
            let _ = prctl::set_name(interruption::FINISHING);
        }
    }

    /// Ends a worker that answers neither a signal nor its own clock, unless it has got so far that nothing must be given up any more.
    fn look_at_the_time(&mut self) -> Result<(), WorkerError> {
        // The one closer to the work acts first.
        let grace = if self.principal == Principal::Worker { GRACE / 2 } else { GRACE };
        let over = |since: Instant, limit: Duration| since.elapsed() >= limit;
        let deaf = self.asked.filter(|(_, since)| over(*since, grace)).map(|(signal, _)| WorkerError::Deaf { signal });
        let late = self.limit.filter(|limit| over(self.begun, *limit + grace)).map(|_| WorkerError::TimeOver);
        if !self.is_woken && self.limit.is_some_and(|limit| over(self.begun, limit)) {
            self.is_woken = true;
            let _ = send(self.child, libc::SIGCONT);
        }
        match deaf.or(late) {
            Some(error) if !is_finishing(self.child) => {
                // As above: it is there until we have waited for it, which takes as long as its end takes.
                let _ = send(self.child, libc::SIGKILL);
                let status = self.await_end();
                // It may have been done in the very moment.
                if status.is_some_and(|status| libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0) { Ok(()) } else { Err(error) }
            }
            _ => Ok(()),
        }
    }

    /// Waits a bounded time for a killed worker; the kernel lets go of the job when it ends.
    fn await_end(&self) -> Option<i32> {
        let begun = Instant::now();
        while begun.elapsed() < GRACE {
            match wait_status(self.child) {
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Ok(status) => return status,
                Err(_) => return None,
            }
        }
        None
    }
}

/// What the worker's end means for ours: the same, if it was meant.
fn ended(status: i32) -> Result<Ending, WorkerError> {
    match ending(status) {
        Ending::Signal(signal) if !interruption::is_request(signal) => Err(WorkerError::Killed { signal }),
        ending => Ok(ending),
    }
}

fn is_finishing(pid: i32) -> bool {
    std::fs::read(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim_ascii_end() == interruption::FINISHING.to_bytes())
}

/// What tells one life of a process from the next, in which it was restarted: when it began, and the number of its process descriptor, which the kernel
/// gives once (since Linux 6.9).
#[derive(Debug, PartialEq, Eq)]
struct Life {
    began: Option<String>,
    number: Option<u64>,
}

impl Life {
    fn now() -> Life {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // Field 22 of proc_pid_stat(5); the name in parentheses may hold anything.
        let began = stat.rsplit_once(')').and_then(|(_, fields)| fields.split_whitespace().nth(19).map(str::to_owned));
        let own = pidfd(nix::unistd::getpid().as_raw()).map(std::fs::File::from);
        let number = own.and_then(|own| own.metadata()).map(|metadata| metadata.ino()).ok();
        Life { began, number }
    }
}

#[cfg(test)]
#[allow(clippy::zombie_processes, reason = "what is tested waits for the child")]
mod test {
    use super::*;
    use crate::sys::cli_support::with_clean_mask;
    use std::process::Command;

    fn front(child: i32) -> Front {
        Front { child, principal: Principal::Front, limit: None, begun: Instant::now(), asked: None, is_woken: false }
    }

    fn waited(script: &str) -> Result<Ending, String> {
        let blocked = Blocked::for_(Principal::Front).unwrap();
        let child = with_clean_mask(Command::new("/bin/sh").args(["-c", script])).spawn().unwrap();
        let front = front(i32::try_from(child.id()).unwrap());
        front.wait(&blocked.taken, &Life::now()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_parent_ends_as_the_worker_did() {
        assert_eq!(waited("exit 0"), Ok(Ending::Status(0)));
        assert_eq!(waited("exit 52"), Ok(Ending::Status(52)));
        assert_eq!(waited("kill -TERM $$"), Ok(Ending::Signal(libc::SIGTERM)));
        assert_eq!(waited("kill -9 $$"), Err("child killed by signal 9 (SIGKILL)".into()));
    }

    #[test]
    fn a_parent_that_was_restarted_has_no_worker_and_succeeds() {
        let another = Life { began: Some("1".into()), number: Some(1) };
        assert_eq!(front(i32::MAX).wait(&SigSet::empty(), &another).unwrap(), Ending::Status(0));
    }

    #[test]
    fn a_parent_that_was_not_restarted_does_not_take_a_lost_worker_for_success() {
        let error = front(i32::MAX).wait(&SigSet::empty(), &Life::now()).unwrap_err();
        assert!(matches!(error, WorkerError::Gone), "{error}");
    }

    #[test]
    fn a_signal_in_front_reaches_the_worker_even_if_it_is_stopped() {
        let blocked = Blocked::for_(Principal::Front).unwrap();
        let mut child = with_clean_mask(Command::new("/bin/sh").args(["-c", "kill -STOP $$"])).spawn().unwrap();
        let mut front = front(i32::try_from(child.id()).unwrap());
        front.pass_on(libc::SIGTERM);
        let ended = front.wait(&blocked.taken, &Life::now());
        drop(child.try_wait());
        assert_eq!(ended.unwrap(), Ending::Signal(libc::SIGTERM));
    }
}
