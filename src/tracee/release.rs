//! Letting go of many tasks, some of which die while it is done: a thread may end its whole process as soon as it runs, and a signal may
//! have killed it before.
//!
//! Relies on this: a dying task that is still traced is seen by nobody else before its tracer has waited for it, and its process does
//! not end before that. A leader's end shows only when all other threads have gone, so leaders come last.

use std::time::Duration;

use super::{Stopped, TraceeError};
use crate::sys::process::{self, Change};
use crate::sys::{Errno, ptrace};

/// Lets tasks go on as they are, and returns when nobody is left in our hands. `kept` is a child of ours whose end somebody else waits for.
/// On failure the tasks that are left end as their [`super::Ending`] says.
pub fn release(tasks: impl IntoIterator<Item = Stopped>, kept: Option<i32>) -> Result<(), TraceeError> {
    let mut dying = Vec::new();
    let mut failure = None;
    let mut tasks = tasks.into_iter();
    for stopped in tasks.by_ref() {
        let (pid, tid) = (stopped.pid, stopped.tid);
        match stopped.release() {
            Ok(()) => {}
            Err(TraceeError::Gone { .. }) => dying.push((pid, tid)),
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    drop(tasks);
    let (leaders, threads): (Vec<_>, Vec<_>) = dying.into_iter().partition(|(pid, tid)| pid == tid);
    threads.into_iter().for_each(|(_, tid)| see_off(tid));
    leaders.into_iter().filter(|(pid, _)| kept != Some(*pid)).for_each(|(_, tid)| see_off(tid));
    failure.map_or(Ok(()), Err)
}

/// Waits for the end of a task that could not be let go because it is dying.
fn see_off(tid: i32) {
    let mut pause = Duration::from_micros(20);
    loop {
        match process::look(tid, false) {
            // Another thread's exec has taken it away, or somebody has reaped it.
            Err(_) => return,
            Ok(Some(Change::Ended)) => {
                // Nobody else can have taken it since.
                let _status = process::poll_wait(tid);
                return;
            }
            // Stopped once more on its way: it may go.
            Ok(Some(Change::Stopped { .. })) => match ptrace::detach(tid, 0) {
                Ok(()) => return,
                Err(Errno::ESRCH) => {}
                Err(_) => return,
            },
            // A child of ours that nobody traces any more lives on under this id: another thread has called exec.
            Ok(None) if !is_ours(tid) => return,
            Ok(None) => {}
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(2));
    }
}

/// Whether a task is traced, which can only be by us.
fn is_ours(tid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{tid}/status")).unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("TracerPid:")).is_some_and(|tracer| tracer.trim() != "0")
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::tracee::Ending;

    fn stopped_child() -> Stopped {
        let pid = process::fork_paused().unwrap();
        ptrace::seize(pid, ptrace::O_TRACESYSGOOD).and_then(|()| ptrace::interrupt(pid)).unwrap();
        process::look(pid, true).unwrap();
        Stopped::new(pid, pid, Ending::Release).unwrap()
    }

    #[test]
    fn one_that_was_killed_meanwhile_is_reaped() {
        let stopped = stopped_child();
        let pid = stopped.pid;
        process::kill(pid, libc::SIGKILL).unwrap();
        release([stopped], None).unwrap();
        assert_eq!(process::poll_wait(pid), Err(Errno::ECHILD));
    }

    #[test]
    fn one_whose_end_somebody_waits_for_keeps_it() {
        let (kept, other) = (stopped_child(), stopped_child());
        let pid = kept.pid;
        process::kill(pid, libc::SIGKILL).unwrap();
        process::kill(other.pid, libc::SIGKILL).unwrap();
        release([kept, other], Some(pid)).unwrap();
        let (_, status) = process::wait_all(pid).unwrap();
        assert_eq!(libc::WTERMSIG(status), libc::SIGKILL);
    }
}
