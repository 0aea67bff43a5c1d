//! What asks a checkpoint to be given up: a signal that would end this process, or the end of the process that it works for.
//!
//! All signals are blocked and looked for where giving up does no harm. Signals that the caller ignores stay ignored, as nohup(1) wants it. Relies on nix
//! for the signalfd; the state is one a process, because signals are. What giving up means is left to those who ask [`came`].

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::cli_support::is_ignored;

/// Why a checkpoint is to be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// A signal came that would have ended this process.
    Signal(i32),
    /// The process that this one works for has ended.
    Orphaned,
}

/// Signals that end nobody who does not handle them, or that mean something else: stops are for the process in front, SIGXFSZ and SIGPIPE come back as
/// an error of the write.
const HARMLESS: [i32; 9] =
    [libc::SIGCHLD, libc::SIGCONT, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU, libc::SIGURG, libc::SIGWINCH, libc::SIGPIPE, libc::SIGXFSZ];

/// Signals that cannot be held back, or that tell of an error of the program itself.
const FATAL: [i32; 9] =
    [libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS, libc::SIGABRT];

/// Whether a signal asks to give up.
pub fn is_request(signal: i32) -> bool {
    !HARMLESS.contains(&signal) && !FATAL.contains(&signal) && !is_ignored(signal)
}

/// The name of a process that gives up no more (proc_pid_comm(5)), for whoever waits for it.
pub const FINISHING: &CStr = c"cr_ckpt_finish";

struct Watched {
    signals: SignalFd,
    principal: OwnedFd,
    seen: Option<Interruption>,
}

static WATCHED: Mutex<Option<Watched>> = Mutex::new(None);

/// Blocks all signals of this thread, and of those that it starts, and watches for those that ask to give up and for the end of `principal`, a pidfd.
pub fn watch(principal: OwnedFd) -> io::Result<()> {
    let all = SigSet::all();
    all.thread_set_mask()?;
    let signals = SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    *WATCHED.lock().unwrap_or_else(PoisonError::into_inner) = Some(Watched { signals, principal, seen: None });
    Ok(())
}

/// Whether to give up, and why. Once it has said so it says so for ever. Nothing ever came where nobody watches.
pub fn came() -> Option<Interruption> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner).as_mut().and_then(Watched::look)
}

/// From here on there is no giving up, and the name of this process says so: what came until now counts, what comes later does not.
pub fn last_chance() -> Option<Interruption> {
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    let came = watched.as_mut().and_then(Watched::look);
    if came.is_none() && watched.take().is_some() {
        // Without it nothing goes wrong here; only somebody who waits may lose patience too soon.
        let _ = prctl::set_name(FINISHING);
    }
    came
}

impl Watched {
    fn look(&mut self) -> Option<Interruption> {
        while self.seen.is_none()
            && let Ok(Some(signal)) = self.signals.read_signal()
        {
            self.seen = i32::try_from(signal.ssi_signo).ok().filter(|signal| is_request(*signal)).map(Interruption::Signal);
        }
        if self.seen.is_none() {
            let mut end = [PollFd::new(self.principal.as_fd(), PollFlags::POLLIN)];
            // A descriptor that cannot be polled tells of no end.
            let has_ended = poll(&mut end, PollTimeout::ZERO).is_ok_and(|ready| 0 < ready);
            self.seen = has_ended.then_some(Interruption::Orphaned);
        }
        self.seen
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn signals_that_end_a_process_ask_to_give_up() {
        for (signal, expected) in [
            (libc::SIGTERM, true),
            (libc::SIGHUP, true),
            (libc::SIGINT, true),
            (libc::SIGQUIT, true),
            (libc::SIGUSR1, true),
            (libc::SIGXCPU, true),
            (libc::SIGRTMIN() + 1, true),
            (libc::SIGKILL, false),
            (libc::SIGSEGV, false),
            (libc::SIGCHLD, false),
            (libc::SIGTSTP, false),
            (libc::SIGWINCH, false),
            (libc::SIGXFSZ, false),
        ] {
            assert_eq!(is_request(signal), expected && !is_ignored(signal), "signal {signal}");
        }
    }

    #[test]
    fn where_nobody_watches_nothing_comes() {
        assert_eq!(came(), None);
        assert_eq!(last_chance(), None);
    }
}
