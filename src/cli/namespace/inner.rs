//! The first process of the job's pid namespace: it restarts the job, is the parent of its orphans, and reports the end.
//!
//! When it ends, the kernel kills whatever is left in the namespace. So:
//!
//! - While `cr_restart` stands for the job, the end of one is the end of the other: this process dies with its parent
//!   (PR_SET_PDEATHSIG). `kill -9` of `cr_restart` leaves nothing behind.
//! - Once the lead has ended, or the job is detached, `cr_restart` goes and this process stays, out of sight, for as long as there is
//!   anybody in the namespace, as the init of a machine would.
//!
//! Relies on all signals being blocked. Signals that are sent to this process itself are not for the job and are dropped.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::exit;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, getpgid, getpgrp};

use super::link::{Link, Message};
use super::{Step, Unavailable};
use crate::cli::exit::{self, Ending};
use crate::cli::wait;
use crate::engine::elsewhere;
use crate::sys::cli_support::pidfd;
use crate::sys::{namespace, process};

/// The first process, as the code of the restart sees it.
#[derive(Debug)]
pub struct Inner {
    link: Link,
}

impl Inner {
    /// Waits for its place below `cr_restart` and makes `/proc` its own. Does not return if that fails, or when nobody waits any more.
    pub(super) fn begin(mut link: Link) -> Inner {
        if !matches!(link.receive(), Ok(Some(Message::Go))) {
            exit(exit::HELPER.into());
        }
        let result = prctl::set_pdeathsig(Signal::SIGKILL).map_err(|source| Unavailable { step: Step::Prepare, source });
        let result = result.and_then(|()| namespace::mount_own_proc().map_err(|source| Unavailable { step: Step::Mount, source }));
        let said = match &result {
            Ok(()) => link.send(Message::Ready),
            Err(unavailable) => link.send(unavailable.message()),
        };
        if said.is_err() || result.is_err() {
            exit(exit::HELPER.into());
        }
        Inner { link }
    }

    /// Serves the job until its leads have ended: signals go to the first that lives, orphans that end are collected. Says how the first ended that
    /// did not end well, or else the last.
    pub fn until_end(&mut self, leads: &[i32]) -> io::Result<Ending> {
        let mut endings: Vec<Option<i32>> = vec![None; leads.len()];
        let ended = leads.iter().map(|lead| pidfd(*lead)).collect::<io::Result<Vec<_>>>()?;
        let signals = SignalFd::with_flags(&SigSet::all(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        self.tell(Message::Running);
        loop {
            for (lead, status) in collect()? {
                leads.iter().zip(&mut endings).filter(|(one, _)| **one == lead).for_each(|(_, ending)| *ending = Some(status));
            }
            let Some(first) = endings.iter().position(Option::is_none) else {
                let bad = endings.iter().flatten().find(|status| **status != 0);
                return Ok(wait::ending(bad.copied().unwrap_or_default()));
            };
            let living = ended.iter().zip(&endings).filter(|(_, ending)| ending.is_none()).map(|(ended, _)| ended.as_fd());
            let mut sources: Vec<PollFd<'_>> =
                [signals.as_fd(), self.link.as_fd()].into_iter().chain(living).map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            match poll(&mut sources, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let has_message = sources[1].any() == Some(true);
            while signals.read_signal()?.is_some() {}
            if has_message {
                self.hear(leads[first])?;
            }
        }
    }

    /// One message from outside.
    fn hear(&mut self, lead: i32) -> io::Result<()> {
        match self.link.receive()? {
            Some(Message::Signal { number, group }) => {
                let reached = group && getpgid(Some(Pid::from_raw(lead))) == Ok(getpgrp());
                if reached { Ok(()) } else { wait::forward(lead, number) }
            }
            Some(message) => Err(io::Error::other(format!("{message:?} is not expected"))),
            // cr_restart has been killed.
            None => exit(exit::HELPER.into()),
        }
    }

    /// Tells `cr_restart` how to end, and stays for the others of the job.
    pub fn leave(mut self, ending: Ending) -> ! {
        let stays = prctl::set_pdeathsig(None).is_ok();
        self.tell(Message::Ended(ending));
        drop(self);
        if stays && let Err(error) = stand_aside() {
            // What holds the terminal or a pipe of cr_restart is a nuisance; ending now would kill the others.
            eprintln!("cr_restart: cannot let go of what it inherited: {error}");
        }
        // Fails when there is nobody left.
        while process::wait_all(-1).is_ok() {}
        let_visitors_finish();
        exit(0);
    }

    /// Nobody to talk to means that cr_restart was killed, and so are we.
    fn tell(&mut self, message: Message) {
        if self.link.send(message).is_err() {
            exit(exit::HELPER.into());
        }
    }
}

/// A worker from outside that has saved and killed the job is in this namespace, too, and has yet to say so: it gets a moment before the kernel kills
/// it with us.
fn let_visitors_finish() {
    const PATIENCE: Duration = Duration::from_secs(5);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && elsewhere::has_finishing_visitor() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Collects whatever has ended among our children, with raw statuses.
fn collect() -> io::Result<Vec<(i32, i32)>> {
    let mut ended = Vec::new();
    loop {
        match process::poll_wait(-1) {
            Ok(Some(one)) => ended.push(one),
            Ok(None) | Err(Errno::ECHILD) => return Ok(ended),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Lets go of terminal, pipes, directories and files, so that others do not wait for us.
fn stand_aside() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    drop(null);
    chdir("/")?;
    // Nothing that owns a descriptor is used from here on.
    Ok(namespace::close_from(3)?)
}
