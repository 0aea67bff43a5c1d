//! Restarts in namespaces of their own, where the saved ids are free whatever runs on the machine, and may be chosen without privilege.
//!
//! ```text
//! cr_restart (outer) ── middle ── first process of the pid namespace (inner) ── the job
//! ```
//!
//! `unshare(2)` moves only the next child into a new pid namespace, and moves the caller into the new user namespace. So a child of
//! `cr_restart` does it and forks the first process. Then the middle one ends, and its child passes to `cr_restart`, which is a
//! "subreaper" for that moment. The inner process is a whole copy of `cr_restart` and goes on with the restart; see `inner` for its life and
//! `outer` for what stays outside.
//!
//! Relies on being called before any thread exists, with all signals held. Network, cgroup, time and host name stay the host's, and so does IPC, unless
//! System V objects of the job can have their ids only in a namespace of their own.

mod inner;
mod link;
mod outer;
mod outside;
pub mod visit;

use std::fs::File;
use std::io;
use std::process::exit;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, getegid, geteuid};

pub use inner::Inner;
use link::{Link, Message};
pub use outside::Outside;

use super::exit::Ending;
use super::wait::Held;
use crate::engine::request::{Place, RestartRequest};
use crate::error::{Class, Classified};
use crate::sys::cli_support::fork_single_threaded;
use crate::sys::process::has_capability;
use crate::sys::{Errno, namespace};

const CAP_SYS_ADMIN: u32 = 21;
const CAP_CHECKPOINT_RESTORE: u32 = 40;

/// Whether this process may choose process ids outside of a namespace of its own.
pub fn may_choose_ids() -> bool {
    has_capability(CAP_CHECKPOINT_RESTORE) || has_capability(CAP_SYS_ADMIN)
}

/// Where the first process of the namespace restarts the job. With a terminal at hand, what was not the job's own session stays in our
/// process group, so that the terminal's job control goes on to work.
pub fn place(request: &RestartRequest) -> Place {
    let has_terminal = File::open("/dev/tty").is_ok();
    Place::Namespace { foreground: has_terminal && !request.restore_pgid }
}

/// Where [`enter`] returns.
#[derive(Debug)]
pub enum Entered {
    /// In the first process of the new pid namespace.
    Inside(Inner),
    /// In `cr_restart`, when everything is over: how it has to end.
    Over(Ending),
}

/// The steps that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// fork(2), prctl(2), a pair of sockets.
    Prepare,
    /// unshare(2).
    Make,
    /// Writing the maps of the user namespace.
    Map,
    /// Mounting `/proc`.
    Mount,
    /// The processes between fail to say what happened.
    Vanish,
}

const STEPS: [Step; 5] = [Step::Prepare, Step::Make, Step::Map, Step::Mount, Step::Vanish];

/// Namespaces cannot be had here. Nothing of them is left, and the restart may go on without.
#[derive(Debug, thiserror::Error)]
#[error("cannot restore the ids in namespaces of the job's own: {}", self.attempt())]
pub struct Unavailable {
    step: Step,
    source: Errno,
}

impl Unavailable {
    fn attempt(&self) -> &'static str {
        match self.step {
            Step::Prepare => "the process for them cannot be made",
            Step::Make => "they cannot be made",
            Step::Map => "our user cannot be mapped into the new user namespace",
            Step::Mount => "/proc cannot be mounted in them",
            Step::Vanish => "their first process ended before it began",
        }
    }

    /// The error of the call that failed.
    pub fn reason(&self) -> Errno {
        self.source
    }

    fn new(step: Step, error: &io::Error) -> Unavailable {
        Unavailable { step, source: Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)) }
    }

    fn message(&self) -> Message {
        let step = STEPS.iter().zip(0..).find(|(step, _)| **step == self.step).map_or(0, |(_, number)| number);
        Message::Refused { step, errno: self.source as i32 }
    }

    fn from_numbers(step: i32, errno: i32) -> Unavailable {
        let step = usize::try_from(step).ok().and_then(|step| STEPS.get(step)).copied();
        Unavailable { step: step.unwrap_or(Step::Vanish), source: Errno::from_raw(errno) }
    }
}

impl Classified for Unavailable {
    fn class(&self) -> Class {
        match self.source {
            Errno::ENOMEM | Errno::EAGAIN => Class::Temp,
            _ => Class::Env,
        }
    }

    fn errno(&self) -> Option<i32> {
        Some(self.source as i32)
    }

    fn remedy(&self) -> Option<String> {
        let allow = match (self.step, self.source) {
            (Step::Make, Errno::ENOSPC | Errno::EUSERS) => "allow more of them in /proc/sys/user/max_user_namespaces and its neighbors",
            (Step::Make | Step::Map, _) => {
                "allow user namespaces (sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)"
            }
            (Step::Mount, _) => "run it where all of /proc is visible, which containers often prevent",
            (Step::Prepare | Step::Vanish, _) => "try again",
        };
        Some(format!("{allow}; or restart as root, or with new ids: --no-restore-pid"))
    }
}

/// Makes the namespaces, a user namespace among them unless we may do without and an IPC namespace for `own_numbers`, and their first process. In `cr_restart` itself it returns
/// when all is over.
pub fn enter(held: &Held, own_numbers: bool) -> Result<Entered, Unavailable> {
    let prepare = |error: io::Error| Unavailable::new(Step::Prepare, &error);
    let (mut near, far) = Link::pair().map_err(prepare)?;
    let was_subreaper = prctl::get_child_subreaper().map_err(|errno| prepare(errno.into()))?;
    prctl::set_child_subreaper(true).map_err(|errno| prepare(errno.into()))?;
    let middle = match fork_single_threaded() {
        Ok(Some(middle)) => middle,
        Ok(None) => {
            drop(near);
            return Ok(Entered::Inside(between(far, own_numbers)));
        }
        Err(error) => {
            let _ = prctl::set_child_subreaper(was_subreaper);
            return Err(prepare(error));
        }
    };
    drop(far);
    let born = near.receive();
    reap(middle);
    // The first process has become our child, if there is one.
    let _ = prctl::set_child_subreaper(was_subreaper);
    let first = match born.map_err(prepare)? {
        Some(Message::Born(pid)) => pid,
        other => return Err(refusal(other)),
    };
    let ready = near.send(Message::Go).and_then(|()| near.receive()).map_err(prepare)?;
    match ready {
        Some(Message::Ready) => {}
        other => {
            reap(first);
            return Err(refusal(other));
        }
    }
    outer::stand_for(near, first, held).map(Entered::Over).map_err(|error| Unavailable::new(Step::Vanish, &error))
}

fn refusal(message: Option<Message>) -> Unavailable {
    match message {
        Some(Message::Refused { step, errno }) => Unavailable::from_numbers(step, errno),
        _ => Unavailable { step: Step::Vanish, source: Errno::ECHILD },
    }
}

/// Collects a child; its status says nothing that it has not told us.
fn reap(child: i32) {
    while let Err(Errno::EINTR) | Ok(WaitStatus::Stopped(..)) = waitpid(Pid::from_raw(child), None) {}
}

/// The middle process: makes the namespaces and forks the first process, in which it returns.
fn between(mut link: Link, own_numbers: bool) -> Inner {
    let born = prctl::set_pdeathsig(Signal::SIGKILL).map_err(|errno| Unavailable { step: Step::Prepare, source: errno });
    let born = born.and_then(|()| make(own_numbers)).and_then(|()| {
        let prepare = |error: io::Error| Unavailable::new(Step::Prepare, &error);
        fork_single_threaded().map_err(prepare)
    });
    match born {
        Ok(None) => Inner::begin(link),
        Ok(Some(first)) => {
            // If nobody listens any more the first process learns that as we do.
            let _ = link.send(Message::Born(first));
            exit(0);
        }
        Err(unavailable) => {
            let _ = link.send(unavailable.message());
            exit(0);
        }
    }
}

/// Whoever is CAP_SYS_ADMIN already keeps its users: mapping a single one would lose the others.
fn make(own_numbers: bool) -> Result<(), Unavailable> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let user = !has_capability(CAP_SYS_ADMIN);
    namespace::separate(user, own_numbers).map_err(|source| Unavailable { step: Step::Make, source })?;
    if user {
        namespace::map_to_itself(uid, gid).map_err(|error| Unavailable::new(Step::Map, &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn refusals_cross_the_link_and_say_what_to_do() {
        for (step, source, text, remedy) in [
            (Step::Make, Errno::ENOSPC, "they cannot be made", "max_user_namespaces"),
            (Step::Map, Errno::EPERM, "mapped", "allow user namespaces"),
            (Step::Mount, Errno::EPERM, "/proc cannot be mounted", "all of /proc"),
            (Step::Prepare, Errno::EAGAIN, "cannot be made", "try again"),
            (Step::Vanish, Errno::ECHILD, "ended before it began", "try again"),
        ] {
            let Message::Refused { step: number, errno } = (Unavailable { step, source }).message() else { panic!("{step:?}") };
            let arrived = Unavailable::from_numbers(number, errno);
            assert_eq!((arrived.step, arrived.source), (step, source));
            assert!(arrived.to_string().contains(text), "{arrived}");
            let said = arrived.remedy().unwrap();
            assert!(said.contains(remedy) && said.contains("--no-restore-pid"), "{said}");
        }
    }

    #[test]
    fn a_process_with_threads_is_refused_and_goes_on() {
        let thread = std::thread::spawn(std::thread::park);
        let held = Held::hold().unwrap();
        let refused = enter(&held, false).unwrap_err();
        thread.thread().unpark();
        thread.join().unwrap();
        assert_eq!((refused.step, refused.source), (Step::Prepare, Errno::EBUSY));
        assert!(!prctl::get_child_subreaper().unwrap());
    }
}
