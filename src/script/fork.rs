//! The process that hook scripts run in: a fork that has nothing of ours but one end of a socket.
//!
//! It has no terminal, blocks all signals and stands in a process group of its own, so that `^C` is for the program alone. It ends when the other end of
//! the socket is shut or closed, when the process that forked it ends, and by SIGTERM, whatever a script does meanwhile: a second thread watches, and ends
//! the commands of the script first. The memory of the whole process is limited, not that of the Lua state alone.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getpid, getppid, setpgid};

use super::{Launched, Launcher, Options, Running, brood, serve};
use crate::proc::system_file;
use crate::sys::cli_support::{die_with_parent, exit_at_once, fork_single_threaded, keep_only, kill_by, pidfd};

/// The name by which checkpoints know it and leave it out.
const SCRIPT_PROCESS: &std::ffi::CStr = c"cr_hook_script";
/// How long a process may take to end its commands and itself before it is killed, and to be gone then.
const PATIENCE: Duration = Duration::from_secs(2);
/// Memory beyond that of the Lua state: arguments and answers on their way, output of commands, bytes.
const BESIDES: u64 = 32 << 20;
/// Stack of the thread that watches, bytes.
const SMALL_STACK: usize = 256 << 10;
/// The limit of the process that forked us, for the commands of scripts: soft and hard, bytes.
static CALLERS_DATA_LIMIT: OnceLock<(u64, u64)> = OnceLock::new();
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
    die_with_parent(libc::SIGTERM)?;
    nix::sys::prctl::set_name(SCRIPT_PROCESS)?;
    SigSet::all().thread_set_mask()?;
    if getppid() != parent {
        return Err(Errno::ESRCH.into());
    }
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    let stream =
        UnixStream::from(keep_only(OwnedFd::from(stream), OwnedFd::from(File::options().read(true).write(true).open("/dev/null")?))?);
    brood::adopt()?;
    limit_memory(options.limits.memory_bytes as u64)?;
    let watched = stream.try_clone()?;
    let mut end = SigSet::empty();
    end.add(Signal::SIGTERM);
    let signals = SignalFd::with_flags(&end, SfdFlags::SFD_CLOEXEC)?;
    let watch = move || {
        let status = watch(&watched, &signals);
        brood::end_all();
        exit_at_once(status)
    };
    thread::Builder::new().stack_size(SMALL_STACK).spawn(watch)?;
    let served = serve(stream, options);
    brood::end_all();
    served
}

/// What is allocated from now on, in Lua or not, is limited; what there is already does not count.
fn limit_memory(lua_bytes: u64) -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_DATA)?;
    CALLERS_DATA_LIMIT.get_or_init(|| (soft, hard));
    let status = system_file("self/status").map_err(io::Error::other)?;
    let status = String::from_utf8_lossy(&status);
    let field = status.lines().find_map(|line| line.strip_prefix("VmData:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let used = field.ok_or_else(|| io::Error::other("/proc/self/status does not say how much memory is used"))?;
    let limit = (used << 10) + lua_bytes + BESIDES;
    Ok(setrlimit(Resource::RLIMIT_DATA, limit.min(soft), hard)?)
}

/// The limit that commands of scripts get back; none where scripts have no process of their own.
pub fn callers_data_limit() -> Option<(u64, u64)> {
    CALLERS_DATA_LIMIT.get().copied()
}

/// Returns when the other end of the stream is shut or closed, or when the process is asked to end.
fn watch(stream: &UnixStream, signals: &SignalFd) -> i32 {
    loop {
        // The end is told whether asked for or not; requests are not for this thread.
        let mut ends = [PollFd::new(stream.as_fd(), PollFlags::empty()), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ends, PollTimeout::NONE) {
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
        if by_itself.is_none() && self.waited(PATIENCE).is_none() {
            // Refused to a process in another pid namespace; there the end of the stream does the work.
            drop(kill_by(self.pidfd.as_fd()));
            self.waited(PATIENCE);
        }
        by_itself
    }
}

impl Fork {
    /// Waits for its end, and says how it ended if this process is its parent. In another pid namespace nobody can wait.
    fn waited(&self, patience: Duration) -> Option<String> {
        let begun = Instant::now();
        loop {
            // By descriptor: in another pid namespace the number would be somebody else's.
            match waitid(Id::PIDFd(self.pidfd.as_fd()), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG) {
                Ok(WaitStatus::Signaled(_, Signal::SIGABRT, _)) => {
                    return Some("it was ended by signal 6, most likely for want of memory: see --hook-memory".into());
                }
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
