//! The process that hook scripts run in: a fork that has nothing of ours but one end of a socket.
//!
//! It reads no terminal, blocks all signals and stands in a process group of its own, so that `^C` is for the program alone. It ends when the other end of
//! the socket is shut or closed, whatever a script does meanwhile: a second thread watches. It dies with the process that forked it, too.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::SigSet;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getpid, getppid, setpgid};

use super::{Launched, Launcher, Options, Running, serve};
use crate::sys::cli_support::{die_with_parent, exit_at_once, fork_single_threaded, keep_only, kill_by, pidfd};

/// The name by which checkpoints know it and leave it out.
const SCRIPT_PROCESS: &std::ffi::CStr = c"cr_hook_script";
/// How long a killed process may take to be gone before nobody waits for it any more.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(1);

/// Runs scripts in forks of this process.
///
/// Relies on being used before any thread exists: [`fork_single_threaded`] refuses otherwise.
pub struct Forked;

impl Launcher for Forked {
    fn launch(&self, options: &Options) -> io::Result<Launched> {
        let (ours, theirs) = UnixStream::pair()?;
        let parent = getpid();
        match fork_single_threaded()? {
            Some(pid) => {
                let pidfd = pidfd(pid)?;
                Ok(Launched { stream: ours, process: Box::new(Fork { pid, pidfd }) })
            }
            None => {
                drop(ours);
                // The parent hears of a failure by the end of the stream, and of its cause by the status.
                let status = live(theirs, options, parent).map_or_else(|error| error.raw_os_error().unwrap_or(libc::EIO), |()| 0);
                exit_at_once(status)
            }
        }
    }
}

/// The whole life of the script's process.
fn live(stream: UnixStream, options: &Options, parent: Pid) -> io::Result<()> {
    die_with_parent(libc::SIGKILL)?;
    nix::sys::prctl::set_name(SCRIPT_PROCESS)?;
    if getppid() != parent {
        return Err(Errno::ESRCH.into());
    }
    SigSet::all().thread_set_mask()?;
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    let stream = UnixStream::from(keep_only(OwnedFd::from(stream), OwnedFd::from(File::open("/dev/null")?))?);
    let watched = stream.try_clone()?;
    thread::Builder::new().spawn(move || exit_at_once(watch(&watched)))?;
    serve(stream, options)
}

/// Returns when the other end of the stream is shut or closed.
fn watch(stream: &UnixStream) -> i32 {
    loop {
        // The end is told whether asked for or not; requests are not for this thread.
        let mut end = [PollFd::new(stream.as_fd(), PollFlags::empty())];
        match poll(&mut end, PollTimeout::NONE) {
            Ok(_) => return 0,
            Err(Errno::EINTR) => {}
            Err(error) => return error as i32,
        }
    }
}

/// A script's process as its parent sees it.
struct Fork {
    pid: i32,
    pidfd: OwnedFd,
}

impl Running for Fork {
    fn pid(&self) -> Option<i32> {
        Some(self.pid)
    }

    fn end(&mut self) -> Option<String> {
        // Before the kill: a process that has ended by itself says why.
        let by_itself = self.waited(Duration::ZERO);
        if by_itself.is_none() {
            // Refused to a process in another pid namespace; there the end of the stream does the work.
            drop(kill_by(self.pidfd.as_fd()));
            self.waited(PATIENCE);
        }
        by_itself
    }
}

impl Fork {
    /// Waits for its end, and says how it ended if this process is its parent.
    fn waited(&self, patience: Duration) -> Option<String> {
        let begun = Instant::now();
        loop {
            // By descriptor: in another pid namespace the number would be somebody else's.
            match waitid(Id::PIDFd(self.pidfd.as_fd()), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG) {
                Ok(WaitStatus::Signaled(_, signal, _)) => return Some(format!("it was ended by signal {}", signal as i32)),
                Ok(WaitStatus::Exited(_, status)) => return Some(described(status)),
                Ok(_) if begun.elapsed() < patience => thread::sleep(PAUSE),
                Ok(_) | Err(_) => return None,
            }
        }
    }
}

fn described(status: i32) -> String {
    match status {
        0 => "it ended".into(),
        errno => format!("it ended: {}", io::Error::from_raw_os_error(errno)),
    }
}
