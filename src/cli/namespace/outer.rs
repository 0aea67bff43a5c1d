//! `cr_restart` while its job is in namespaces of its own: between the shell and the first process there.
//!
//! Signals are held back until the job runs, as they are without namespaces, and go in as messages: the first process of a pid namespace
//! cannot be stopped by a signal, and is not told who in the outer world has sent one. The job's end comes out as a message.
//!
//! Relies on `inner` at the other end.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::getpid;

use super::link::{Link, Message};
use crate::cli::exit::{self, Ending};
use crate::cli::wait::{self, Held};
use crate::sys::cli_support::is_ignored;
use crate::sys::process;

/// Passes signals on until the other side says how to end. They must have been held back from before the namespaces were made.
pub fn stand_for(mut link: Link, first: i32, _held: &Held) -> io::Result<Ending> {
    let signals = SignalFd::with_flags(&SigSet::all(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let mut runs = false;
    loop {
        let mut sources = vec![PollFd::new(link.as_fd(), PollFlags::POLLIN)];
        if runs {
            sources.push(PollFd::new(signals.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut sources, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let said = sources[0].any() == Some(true);
        if said {
            match link.receive()? {
                Some(Message::Running) => runs = true,
                Some(Message::Ended(ending)) => return Ok(ending),
                Some(message) => return Err(io::Error::other(format!("{message:?} is not expected"))),
                None => return vanished(first),
            }
        }
        while runs && let Some(signal) = signals.read_signal()? {
            pass_on(&mut link, &signal)?;
        }
        collect_others(first);
    }
}

/// Collects children other than the first process: that of hook scripts, which nobody inside can wait for.
fn collect_others(first: i32) {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
    while let Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) = waitid(Id::All, flags | WaitPidFlag::WNOWAIT) {
        if pid.as_raw() == first || waitid(Id::Pid(pid), flags).is_err() {
            return;
        }
    }
}

/// The first process has been killed, and the job with it.
fn vanished(first: i32) -> io::Result<Ending> {
    let (_, status) = process::wait_all(first)?;
    Ok(match wait::ending(status) {
        // It never ends well without a message.
        Ending::Status(0) => Ending::Status(exit::HELPER),
        ending => ending,
    })
}

/// What one signal leads to. Stopping is our own affair: the first process of a pid namespace cannot.
fn pass_on(link: &mut Link, signal: &siginfo) -> io::Result<()> {
    if i32::try_from(signal.ssi_signo).is_ok_and(is_ignored) {
        return Ok(());
    }
    let number = i32::try_from(signal.ssi_signo).unwrap_or_default();
    let own = u32::try_from(getpid().as_raw()) == Ok(signal.ssi_pid);
    if number == libc::SIGCHLD || own {
        return Ok(());
    }
    match link.send(Message::Signal { number, group: wait::is_group_signal(signal) }) {
        // Its last message is still to be read.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        sent => sent?,
    }
    if matches!(number, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU) { wait::stop(number) } else { Ok(()) }
}
