//! Starting processes and collecting the ends of all of them.
//!
//! The harness is the first process of a pid namespace (or a subreaper), so it inherits every orphan: it must collect
//! whatever ends, not only what it started. Relies on being the only code of the process that waits for children.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::verdict::{Attempt, Verdict, failed};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Code(code) => write!(f, "exit {code}"),
            End::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// The processes that have this one for a parent, by birth or by adoption.
#[derive(Default)]
pub struct Children {
    ended: RefCell<HashMap<i32, End>>,
}

impl Children {
    /// Starts a command; its end is collected here.
    pub fn start(&self, command: &mut Command) -> Verdict<Pid> {
        let child = command.spawn().attempt(format_args!("start {}", command.get_program().display()))?;
        let pid = i32::try_from(child.id()).attempt("read a pid")?;
        // A number that the kernel hands out again must not meet the end of its previous holder.
        self.ended.borrow_mut().remove(&pid);
        Ok(Pid::from_raw(pid))
    }

    /// Collects everything that has ended by now.
    pub fn collect(&self) {
        loop {
            let (pid, end) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, End::Code(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, End::Signal(signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
                // Others report a stop or a continuation, which nobody asked for.
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(error) => panic!("waitpid(-1) failed with {error}"),
            };
            self.ended.borrow_mut().insert(pid.as_raw(), end);
        }
    }

    /// How it ended, if it has.
    pub fn end_of(&self, pid: Pid) -> Option<End> {
        self.collect();
        self.ended.borrow().get(&pid.as_raw()).copied()
    }

    /// Waits for the end of one of them.
    pub fn wait(&self, pid: Pid, patience: Duration) -> Verdict<End> {
        let mut end = None;
        wait_until(patience, || {
            end = self.end_of(pid);
            end.is_some()
        });
        end.ok_or_else(|| failed(format_args!("process {pid} did not end within {} s", patience.as_secs())))
    }
}

/// Looks again and again until the condition holds; says whether it ever did.
pub fn wait_until(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    let mut pause = Duration::from_micros(500);
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() > patience {
            return false;
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}
