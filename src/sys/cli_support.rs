//! The few system calls of the command lines that `nix` does not offer safely: fork and what a fork needs, signal
//! dispositions, real-time signals, pidfds.
//!
//! One call a function. Relies on libc; what the calls are for is written where they are used, in `cli::wait` and `cli::worker`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// Turns -1 into the error that errno names.
fn checked<N: Copy + PartialEq + From<i8>>(result: N) -> io::Result<N> {
    if result == N::from(-1) { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// `fork(2)` — the child's id in the parent, `None` in the child. Fails with EBUSY if this process has several threads.
///
/// In a child of a process with several threads, locks held by the others stay locked for ever; that is why such a process is refused.
pub fn fork_single_threaded() -> io::Result<Option<i32>> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    // SAFETY: fork takes no pointers. Its hazard is state that other threads hold at this moment; we are the only thread, as just
    // counted, and only we could start another, so that the child is a whole copy and may run any code.
    let pid = checked(unsafe { libc::fork() })?;
    Ok(Some(pid).filter(|pid| *pid != 0))
}

/// `sigaction(2)` — gives a signal its default action.
pub fn default_action(signal: i32) -> io::Result<()> {
    // SAFETY: sigaction is plain data for which all zero bytes are valid: SIG_DFL, no flags, an empty mask.
    let action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the first pointer is to a live sigaction that the kernel only reads, the second may be null. The default action runs
    // no code of ours.
    checked(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }).map(drop)
}

/// `sigaction(2)` — ignores a signal.
pub fn ignore(signal: i32) -> io::Result<()> {
    // SAFETY: sigaction is plain data for which all zero bytes are valid: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = libc::SIG_IGN;
    // SAFETY: the first pointer is to a live sigaction that the kernel only reads, the second may be null.
    checked(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }).map(drop)
}

/// `sigaction(2)` — whether a signal is ignored.
pub fn is_ignored(signal: i32) -> bool {
    // SAFETY: sigaction is plain data for which all zero bytes are valid.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the first pointer may be null, the second is to a live sigaction that the kernel fills.
    let asked = checked(unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) });
    asked.is_ok() && action.sa_sigaction == libc::SIG_IGN
}

/// `sigtimedwait(2)` — takes a blocked signal that is pending, or waits for one; `None` when none has come in time.
pub fn take_signal(signals: &nix::sys::signal::SigSet, patience: Duration) -> io::Result<Option<i32>> {
    let seconds = libc::time_t::try_from(patience.as_secs()).map_err(io::Error::other)?;
    let patience = libc::timespec { tv_sec: seconds, tv_nsec: patience.subsec_nanos().into() };
    let set: *const libc::sigset_t = signals.as_ref();
    // SAFETY: both pointers are to live structs that the kernel only reads; the second may be null, which means that nothing but the number is wanted.
    match checked(unsafe { libc::sigtimedwait(set, std::ptr::null_mut(), &raw const patience) }) {
        Ok(signal) => Ok(Some(signal)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `kill(2)` — sends any signal, real-time ones too. ESRCH: the process is gone.
pub fn send(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill takes two numbers and no pointers.
    checked(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// `waitpid(2)` with WNOHANG and __WALL — the raw wait status of a child, `None` while it lives. ECHILD: not our child.
pub fn wait_status(pid: i32) -> io::Result<Option<i32>> {
    let mut status = 0;
    // SAFETY: the pointer is to a live i32 that nobody else uses during the call.
    let waited = checked(unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG | libc::__WALL) })?;
    Ok((waited != 0).then_some(status))
}

/// A signal that has been taken from the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Its number.
    pub number: i32,
    /// The kernel sent it by itself (SI_KERNEL).
    pub by_kernel: bool,
    /// The process that sent it, where a process did: kill(2), tgkill(2), sigqueue(3).
    pub sender: Option<i32>,
}

/// `rt_sigtimedwait(2)` without a limit, for every signal — takes the next pending one; all must be blocked. EINTR: this process was stopped
/// and continued, or saved and restarted.
pub fn next_signal() -> io::Result<Arrived> {
    let every = u64::MAX;
    // SAFETY: siginfo_t is plain data for which all zero bytes are valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let no_limit = std::ptr::null::<libc::timespec>();
    // SAFETY: the pointers are to a live set of 8 bytes, as the last argument says, and to a live siginfo_t that nobody else uses; the limit
    // may be null.
    let number = checked(unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, &raw const every, &raw mut info, no_limit, size_of::<u64>()) })?;
    let by_process = matches!(info.si_code, libc::SI_USER | libc::SI_TKILL | libc::SI_QUEUE);
    // SAFETY: signals that a process sends come with its id in this field.
    let sender = by_process.then(|| unsafe { info.si_pid() });
    Ok(Arrived { number: i32::try_from(number).map_err(io::Error::other)?, by_kernel: info.si_code == libc::SI_KERNEL, sender })
}

/// `pidfd_open(2)` — a descriptor that polls readable when the process ends, whatever signal it sends its parent. Close-on-exec.
pub fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two numbers and no pointers.
    let fd = checked(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `sigprocmask(2)` in a command before it starts — it begins with no signal blocked, whatever this thread blocks.
pub fn with_clean_mask(command: &mut Command) -> &mut Command {
    let clean = || Ok(nix::sys::signal::SigSet::empty().thread_set_mask()?);
    // SAFETY: the closure runs between fork and exec. It fills a set on its stack and makes one system call, allocates nothing and
    // takes no lock, which is what signal-safety(7) asks for.
    unsafe { command.pre_exec(clean) }
}

/// `setsid(2)` in a command before it starts — it has no controlling terminal, and no signal of ours reaches it.
pub fn in_new_session(command: &mut Command) -> &mut Command {
    let leave = || Ok(nix::unistd::setsid().map(drop)?);
    // SAFETY: the closure runs between fork and exec. It makes one system call, allocates nothing and takes no lock.
    unsafe { command.pre_exec(leave) }
}

/// `prctl(2)` PR_SET_PDEATHSIG in a command before it starts — it is killed when the thread that starts it ends.
pub fn killed_with_parent(command: &mut Command) -> &mut Command {
    let parent = nix::unistd::getpid();
    let tie = move || {
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
        // A parent that ended before that sends no signal any more.
        if nix::unistd::getppid() == parent { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
    };
    // SAFETY: the closure runs between fork and exec. It makes two system calls, allocates nothing and takes no lock.
    unsafe { command.pre_exec(tie) }
}

/// `setrlimit(2)` RLIMIT_DATA in a command before it starts — its soft and hard limit, bytes.
pub fn with_data_limit(command: &mut Command, (soft, hard): (u64, u64)) -> &mut Command {
    let limit = move || Ok(nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_DATA, soft, hard)?);
    // SAFETY: the closure runs between fork and exec. It makes one system call, allocates nothing and takes no lock.
    unsafe { command.pre_exec(limit) }
}

/// `prctl(2)` PR_SET_PDEATHSIG — this process gets the signal when the thread that forked it ends. Lost by exec of a set-user-id program.
pub fn die_with_parent(signal: i32) -> io::Result<()> {
    let signal = libc::c_ulong::try_from(signal).map_err(io::Error::other)?;
    // SAFETY: PR_SET_PDEATHSIG takes a number and no pointers.
    checked(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) }).map(drop)
}

/// `dup3(2)` and `close_range(2)` — leaves only `keep` open, and 0 to 2, which lead to `null`; returns `keep` as descriptor 3, close-on-exec.
///
/// For a child that returns nowhere: owners of the closed descriptors elsewhere in the program must not use them again.
pub fn keep_only(keep: OwnedFd, null: OwnedFd) -> io::Result<OwnedFd> {
    const FIRST: i32 = 3;
    // Above all that is overwritten below: a caller may have closed 0 to 2, so that ours have these numbers.
    let above = |fd: OwnedFd| {
        // SAFETY: fcntl takes numbers. The duplicated descriptor is closed below with all others, so its owner is dissolved.
        checked(unsafe { libc::fcntl(fd.into_raw_fd(), libc::F_DUPFD_CLOEXEC, FIRST + 1) })
    };
    let (keep, null) = (above(keep)?, above(null)?);
    for standard in 0..FIRST {
        // SAFETY: dup2 takes two numbers; the standard descriptors have no owner that closes them.
        checked(unsafe { libc::dup2(null, standard) })?;
    }
    // SAFETY: dup3 takes three numbers. What was open as descriptor 3 is closed as all others are just below, which the contract of this
    // function says.
    checked(unsafe { libc::dup3(keep, FIRST, libc::O_CLOEXEC) })?;
    // SAFETY: close_range takes three numbers; the contract of this function says what is closed.
    checked(unsafe { libc::syscall(libc::SYS_close_range, FIRST + 1, u32::MAX, 0) })?;
    // SAFETY: descriptor 3 was made above, or was `keep` itself; its former owner was dissolved.
    Ok(unsafe { OwnedFd::from_raw_fd(FIRST) })
}

/// `_exit(2)` — ends the process at once: nothing is flushed, no destructor and no exit handler runs.
pub fn exit_at_once(status: i32) -> ! {
    // SAFETY: _exit takes a number and does not return; nothing in this process is used afterwards.
    unsafe { libc::_exit(status) }
}

/// `pidfd_send_signal(2)` — SIGKILL for the process of a pidfd. EINVAL: it lives in a pid namespace that is not below ours.
pub fn kill_by(pidfd: BorrowedFd<'_>) -> io::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the third argument may be null, the others are numbers.
    checked(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), libc::SIGKILL, no_info, 0) }).map(drop)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_process_with_threads_is_not_forked() {
        let thread = std::thread::spawn(std::thread::park);
        let error = fork_single_threaded().unwrap_err();
        thread.thread().unpark();
        thread.join().unwrap();
        assert_eq!(error.raw_os_error(), Some(libc::EBUSY));
    }

    #[test]
    fn failures_carry_their_errno() {
        assert_eq!(send(i32::MAX, 0).unwrap_err().raw_os_error(), Some(libc::ESRCH));
        assert_eq!(wait_status(i32::MAX).unwrap_err().raw_os_error(), Some(libc::ECHILD));
        assert_eq!(pidfd(i32::MAX).unwrap_err().raw_os_error(), Some(libc::ESRCH));
        assert_eq!(default_action(libc::SIGKILL).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }
}
