//! Standing between the shell and the restarted job: signals sent to `cr_restart` go to the job's lead process, and the lead's end
//! becomes `cr_restart`'s own (`cr_restart(1)`: "it is largely invisible").
//!
//! All signals are blocked from before the restart until the end and taken one by one with sigwaitinfo(2), so that none is lost. The end of
//! the lead is one of them: a child of the restarter has SIGCHLD as its exit signal, whatever it had in its first life. So this process
//! holds nothing while it waits that a checkpoint could not save: a tree that contains `cr_restart` can be saved as any other.
//! Relies on the engine having made the lead a child of this process.

use std::io;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::siginfo;
use nix::unistd::{Pid, getpgid, getpgrp, getpid};

use super::exit::{self, Ending};
use crate::sys::cli_support::{Arrived, default_action, ignore, is_ignored, next_signal, send, wait_status};

/// Signals are held back: they wait until [`Held::until_end`] forwards them. Dropping it lets them act again.
#[derive(Debug)]
pub struct Held {
    inherited: SigSet,
    ignores_file_size: bool,
}

impl Held {
    /// Blocks every signal that can be blocked.
    pub fn hold() -> io::Result<Held> {
        // Inherited "ignore" settings must not keep us from stopping with the job, or from learning of its end.
        for signal in [libc::SIGCHLD, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
            default_action(signal)?;
        }
        // A file beyond our limit is an error of the write (EFBIG), and no signal of ours is the job's. One that is blocked would wait in spite of this.
        let ignores_file_size = is_ignored(libc::SIGXFSZ);
        ignore(libc::SIGXFSZ)?;
        let mut held = SigSet::all();
        held.remove(Signal::SIGXFSZ);
        Ok(Held { inherited: held.thread_swap_mask(SigmaskHow::SIG_SETMASK)?, ignores_file_size })
    }

    /// The same for several leads, one after the other; how the first ended that did not end well, or else the last.
    pub fn until_all_end(&self, leads: &[i32]) -> io::Result<Ending> {
        let mut all = Ending::Status(0);
        for lead in leads {
            let ended = self.until_end(*lead)?;
            all = if all == Ending::Status(0) { ended } else { all };
        }
        Ok(all)
    }

    /// Forwards signals to the lead until it ends, and says how it ended.
    pub fn until_end(&self, lead: i32) -> io::Result<Ending> {
        let mut lead = Lead { pid: lead, parent: getpid() };
        loop {
            if let Some(status) = wait_status(lead.now()?)? {
                return Ok(ending(status));
            }
            match next_signal() {
                Ok(signal) => pass_on(lead.now()?, &signal)?,
                // A restart of this process itself ends the call.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The process that is waited for.
struct Lead {
    pid: i32,
    /// Our own id when `pid` was right.
    parent: Pid,
}

impl Lead {
    /// Its id. This process may have been saved and restarted together with the job, with new ids for both: then it is our eldest child.
    fn now(&mut self) -> io::Result<i32> {
        let own = getpid();
        if own != self.parent {
            let children = std::fs::read_to_string(format!("/proc/self/task/{own}/children"))?;
            let eldest = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
            *self = Lead { pid: eldest.ok_or_else(|| io::Error::from_raw_os_error(libc::ECHILD))?, parent: own };
        }
        Ok(self.pid)
    }
}

/// What one signal leads to.
fn pass_on(lead: i32, signal: &Arrived) -> io::Result<()> {
    let number = signal.number;
    // Blocked signals arrive even if they are ignored: nohup(1) means the job, too.
    if is_ignored(number) {
        return Ok(());
    }
    let reached = signal.by_kernel && getpgid(Some(Pid::from_raw(lead))) == Ok(getpgrp());
    let own = signal.sender == Some(getpid().as_raw());
    match step(number, reached || own) {
        Step::Nothing => {}
        Step::Forward => forward(lead, number)?,
        Step::Stop => stop(number)?,
        Step::ForwardAndStop => {
            forward(lead, number)?;
            stop(number)?;
        }
    }
    Ok(())
}

impl Drop for Held {
    fn drop(&mut self) {
        // Cannot fail: the mask was read from the kernel.
        let _ = self.inherited.thread_set_mask();
        if !self.ignores_file_size {
            let _ = default_action(libc::SIGXFSZ);
        }
    }
}

/// What to do about a signal.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    Forward,
    Stop,
    ForwardAndStop,
}

/// The rule. `reached`: the lead has had the signal already, and a second one could mean something else to it (`^C` twice).
fn step(signal: i32, reached: bool) -> Step {
    match (signal, reached) {
        (libc::SIGCHLD, _) => Step::Nothing,
        (libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU, false) => Step::ForwardAndStop,
        (libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU, true) => Step::Stop,
        (_, false) => Step::Forward,
        (_, true) => Step::Nothing,
    }
}

/// Whether the kernel sent it, which it does to whole process groups: `^C`, `^Z`, a new window size, the end of a terminal.
pub(super) fn is_group_signal(signal: &siginfo) -> bool {
    signal.ssi_code == libc::SI_KERNEL
}

/// A lead that has just ended is no failure: its end is seen next.
pub(super) fn forward(lead: i32, signal: i32) -> io::Result<()> {
    match send(lead, signal) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        // A lead that changed its user id cannot be signalled; the sender would have been told the same.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(()),
        result => result,
    }
}

/// Stops this process with the signal's default action, as the shell expects; returns when it is continued.
pub(super) fn stop(signal: i32) -> io::Result<()> {
    let mut only = SigSet::empty();
    only.add(Signal::try_from(signal)?);
    send(getpid().as_raw(), signal)?;
    only.thread_unblock()?;
    only.thread_block()?;
    Ok(())
}

/// What a raw wait status means for our own end.
pub(super) fn ending(status: i32) -> Ending {
    if libc::WIFEXITED(status) {
        Ending::Status(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(exit::USAGE))
    } else if libc::WIFSIGNALED(status) {
        Ending::Signal(libc::WTERMSIG(status))
    } else {
        Ending::Status(exit::USAGE)
    }
}

/// Dies of the signal that killed the job, without a second core file. Returns an exit code for the case that it survives.
pub fn die_of(signal: i32) -> u8 {
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = default_action(signal);
    let mut others = SigSet::all();
    match Signal::try_from(signal) {
        Ok(signal) => others.remove(signal),
        Err(_) => others = SigSet::empty(),
    }
    let _ = send(getpid().as_raw(), signal);
    let _ = others.thread_set_mask();
    exit::of_signal(signal)
}

#[cfg(test)]
#[allow(clippy::zombie_processes, reason = "what is tested waits for the child")]
mod test {
    use super::*;
    use crate::sys::cli_support::with_clean_mask;
    use std::process::Command;

    #[test]
    fn each_signal_has_its_step() {
        for (signal, reached, expected) in [
            (libc::SIGTERM, false, Step::Forward),
            (libc::SIGINT, true, Step::Nothing),
            (libc::SIGINT, false, Step::Forward),
            (libc::SIGCONT, false, Step::Forward),
            (libc::SIGTSTP, false, Step::ForwardAndStop),
            (libc::SIGTSTP, true, Step::Stop),
            (libc::SIGTTIN, false, Step::ForwardAndStop),
            (libc::SIGTTOU, true, Step::Stop),
            (libc::SIGCHLD, false, Step::Nothing),
            (libc::SIGWINCH, true, Step::Nothing),
            (40, false, Step::Forward),
        ] {
            assert_eq!(step(signal, reached), expected, "signal {signal}, reached {reached}");
        }
    }

    #[test]
    fn the_lead_s_end_becomes_ours_and_signals_reach_it() {
        let real_time = libc::SIGRTMIN() + 3;
        for (script, signal, expected) in [
            ("exit 7", None, Ending::Status(7)),
            ("kill -9 $$", None, Ending::Signal(9)),
            ("exec sleep 60", Some(libc::SIGTERM), Ending::Signal(libc::SIGTERM)),
            ("exec sleep 60", Some(real_time), Ending::Signal(real_time)),
        ] {
            let held = Held::hold().unwrap();
            let child = with_clean_mask(Command::new("/bin/sh").args(["-c", script])).spawn().unwrap();
            let lead = i32::try_from(child.id()).unwrap();
            signal.into_iter().for_each(|signal| forward(lead, signal).unwrap());
            assert_eq!(held.until_end(lead).unwrap(), expected, "{script}");
            forward(lead, libc::SIGTERM).unwrap();
        }
    }

    #[test]
    fn dropping_it_restores_the_inherited_mask() {
        let before = SigSet::thread_get_mask().unwrap();
        drop(Held::hold().unwrap());
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }
}
