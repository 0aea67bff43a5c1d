//! Calls about whole processes: comparing, waiting, signalling, making the first stub.
#![allow(unsafe_code)]

use std::cmp::Ordering;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use libc::{c_int, c_long, pid_t};

use super::{Errno, check, fault};

const KCMP_FILE: c_int = 0;
const KCMP_VM: c_int = 1;
const KCMP_FILES: c_int = 2;
const KCMP_FS: c_int = 3;
const KCMP_SIGHAND: c_int = 4;

fn kcmp(a: pid_t, b: pid_t, what: c_int, first: u64, second: u64) -> Result<Ordering, Errno> {
    // SAFETY: kcmp(2) takes numbers only.
    match check(unsafe { libc::syscall(libc::SYS_kcmp, a, b, what, first, second) })? {
        0 => Ok(Ordering::Equal),
        1 => Ok(Ordering::Less),
        _ => Ok(Ordering::Greater),
    }
}

/// `kcmp(2)` — do two descriptors share one description? The order is arbitrary, but fixed while both exist.
pub fn compare_descriptions(a: (pid_t, RawFd), b: (pid_t, RawFd)) -> Result<Ordering, Errno> {
    kcmp(a.0, b.0, KCMP_FILE, u64::try_from(a.1).unwrap_or(0), u64::try_from(b.1).unwrap_or(0))
}

/// `kcmp(2)` — do two processes share one address space (CLONE_VM)? An order as in [`compare_descriptions`].
pub fn compare_memory(a: pid_t, b: pid_t) -> Result<Ordering, Errno> {
    kcmp(a, b, KCMP_VM, 0, 0)
}

/// `kcmp(2)` — do two processes share one descriptor table (CLONE_FILES)? An order as in [`compare_descriptions`].
pub fn compare_tables(a: pid_t, b: pid_t) -> Result<Ordering, Errno> {
    kcmp(a, b, KCMP_FILES, 0, 0)
}

/// `kcmp(2)` — do two processes share working directory, root and umask (CLONE_FS)? An order as in [`compare_descriptions`].
pub fn compare_fs(a: pid_t, b: pid_t) -> Result<Ordering, Errno> {
    kcmp(a, b, KCMP_FS, 0, 0)
}

/// `kcmp(2)` — do two processes share signal handlers (CLONE_SIGHAND)? An order as in [`compare_descriptions`].
pub fn compare_handlers(a: pid_t, b: pid_t) -> Result<Ordering, Errno> {
    kcmp(a, b, KCMP_SIGHAND, 0, 0)
}

/// `pidfd_open(2)` — a descriptor that stays with this process, whatever happens to its number.
pub fn pidfd_open(pid: pid_t) -> Result<OwnedFd, Errno> {
    // SAFETY: takes numbers only.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    owned(fd)
}

/// `pidfd_open(2)` with PIDFD_THREAD (Linux 6.9) — the same for one thread, which may outlive its leader.
pub fn pidfd_open_thread(tid: pid_t) -> Result<OwnedFd, Errno> {
    const PIDFD_THREAD: c_int = libc::O_EXCL;
    // SAFETY: takes numbers only.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, tid, PIDFD_THREAD) })?;
    owned(fd)
}

/// `pidfd_getfd(2)` — a duplicate of descriptor `fd` of another process. Needs the right to trace it.
pub fn pidfd_getfd(pidfd: &OwnedFd, fd: RawFd) -> Result<OwnedFd, Errno> {
    use std::os::fd::AsRawFd;
    // SAFETY: takes numbers only; the pidfd is open for the call.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), fd, 0) })?;
    owned(fd)
}

fn owned(fd: c_long) -> Result<OwnedFd, Errno> {
    let fd = RawFd::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just returned this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The robust futex list of a thread (`get_robust_list(2)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RobustList {
    /// Address of the list head; 0 when none is registered.
    pub head: u64,
    /// Size in bytes given at registration.
    pub bytes: u64,
}

/// `get_robust_list(2)` — where a thread keeps its robust futexes.
pub fn robust_list(tid: pid_t) -> Result<RobustList, Errno> {
    let (mut head, mut bytes) = (0u64, 0u64);
    let (head_address, bytes_address) = (std::ptr::from_mut(&mut head), std::ptr::from_mut(&mut bytes));
    // SAFETY: the kernel writes one word through each pointer, both to live u64 values.
    check(unsafe { libc::syscall(libc::SYS_get_robust_list, tid, head_address, bytes_address) })?;
    Ok(RobustList { head, bytes })
}

/// `ioprio_get(2)` — I/O priority of a thread, class in the upper bits.
pub fn io_priority(tid: pid_t) -> Result<i32, Errno> {
    const IOPRIO_WHO_PROCESS: c_int = 1;
    // SAFETY: takes numbers only.
    let value = check(unsafe { libc::syscall(libc::SYS_ioprio_get, IOPRIO_WHO_PROCESS, tid) })?;
    Ok(i32::try_from(value).unwrap_or(0))
}

/// `struct sched_attr` of version 0 with the utilisation clamps of version 1 (sched_setattr(2)).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs, reason = "named in sched_setattr(2)")]
pub struct SchedAttr {
    pub size: u32,
    pub policy: u32,
    pub flags: u64,
    pub nice: i32,
    pub priority: u32,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
    pub util_min: u32,
    pub util_max: u32,
}
const _: () = assert!(size_of::<SchedAttr>() == 56);

/// `sched_getattr(2)` — scheduling policy and its parameters.
pub fn sched_attr(tid: pid_t) -> Result<SchedAttr, Errno> {
    let mut attr = SchedAttr::default();
    let size = size_of::<SchedAttr>();
    // SAFETY: the kernel writes at most `size` bytes to the live struct of that size.
    check(unsafe { libc::syscall(libc::SYS_sched_getattr, tid, std::ptr::from_mut(&mut attr), size, 0) })?;
    Ok(attr)
}

/// `sched_getaffinity(2)` — processors a thread may run on, as the kernel's bit mask in bytes.
pub fn affinity(tid: pid_t) -> Result<Vec<u8>, Errno> {
    let mut mask = vec![0u8; 1024];
    // SAFETY: the kernel writes at most `mask.len()` bytes into the vector.
    let bytes = check(unsafe { libc::syscall(libc::SYS_sched_getaffinity, tid, mask.len(), mask.as_mut_ptr()) })?;
    mask.truncate(usize::try_from(bytes).unwrap_or(0));
    Ok(mask)
}

/// `tgkill(2)` — send a signal to one thread.
pub fn thread_kill(pid: pid_t, tid: pid_t, signal: i32) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, signal) }).map(drop)
}

/// `kill(2)` — send a signal to a process; 0 only asks whether it exists.
pub fn kill(pid: pid_t, signal: i32) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    check(c_long::from(unsafe { libc::kill(pid, signal) })).map(drop)
}

/// `waitpid(2)` with `__WALL` — wait for a stop or the end of `pid` (-1: any child or tracee); returns its id and raw status.
pub fn wait_all(pid: pid_t) -> Result<(pid_t, i32), Errno> {
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes one int to the live local.
        match check(c_long::from(unsafe { libc::waitpid(pid, &mut status, libc::__WALL) })) {
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno),
            Ok(pid) => return Ok((pid_t::try_from(pid).unwrap_or(0), status)),
        }
    }
}

/// What has happened to a tracee or child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It has stopped: the signal and the event (`PTRACE_EVENT_*`, 0 for a signal or a system call).
    Stopped {
        /// The signal of the stop.
        signal: i32,
        /// The event of the stop.
        event: i32,
    },
    /// It has ended, and waits to be reaped.
    Ended,
}

/// `waitid(2)` with `WSTOPPED | WEXITED | __WALL | WNOWAIT` — look at the stop or the end of a task and leave it where it is. A wait that
/// takes the stop makes the kernel forget the signal that the task stopped for, which is then lost if the tracer dies before it
/// continues the task. `None`, when not `blocking`: nothing has happened yet. ECHILD: neither a child nor a tracee of ours.
pub fn look(tid: pid_t, blocking: bool) -> Result<Option<Change>, Errno> {
    let options = libc::WSTOPPED | libc::WEXITED | libc::__WALL | libc::WNOWAIT | if blocking { 0 } else { libc::WNOHANG };
    fault::point("tracee")?;
    let id = libc::id_t::try_from(tid).map_err(|_| Errno::EINVAL)?;
    loop {
        // SAFETY: all zeros is a valid siginfo_t.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes one siginfo_t to the live local.
        match check(c_long::from(unsafe { libc::waitid(libc::P_PID, id, &mut info, options) })) {
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno),
            Ok(_) => {}
        }
        // SAFETY: waitid(2) has filled in the fields of SIGCHLD, or left zeros.
        let pid = unsafe { info.si_pid() };
        // SAFETY: likewise.
        let status = unsafe { info.si_status() };
        return Ok(match info.si_code {
            _ if pid == 0 => None,
            libc::CLD_TRAPPED | libc::CLD_STOPPED => Some(Change::Stopped { signal: status & 0xff, event: status >> 8 }),
            _ => Some(Change::Ended),
        });
    }
}

/// `waitpid(2)` with `__WALL | WNOHANG` — like [`wait_all`], but returns `None` when nothing has happened yet.
pub fn poll_wait(pid: pid_t) -> Result<Option<(pid_t, i32)>, Errno> {
    fault::point("tracee")?;
    let mut status = 0;
    // SAFETY: the kernel writes one int to the live local.
    let pid = check(c_long::from(unsafe { libc::waitpid(pid, &mut status, libc::__WALL | libc::WNOHANG) }))?;
    Ok(if pid == 0 { None } else { Some((pid_t::try_from(pid).unwrap_or(0), status)) })
}

/// `waitpid(2)` — reap what has been killed among our children and tracees, and wait a moment for those that are about to end.
pub fn reap_killed() {
    for _ in 0..500 {
        match poll_wait(-1) {
            Err(_) => return,
            Ok(Some(_)) => {}
            Ok(None) => std::thread::sleep(std::time::Duration::from_millis(1)),
        }
    }
}

/// `fork(2)` — make a child that only pauses until it is traced or killed; returns its pid.
pub fn fork_paused() -> Result<pid_t, Errno> {
    let parent = std::process::id().cast_signed();
    // SAFETY: the child calls nothing but prctl(2), getppid(2), pause(2) and _exit(2), all async-signal-safe, and never returns.
    let pid = check(c_long::from(unsafe { libc::fork() }))?;
    if pid == 0 {
        pause_for_ever(parent);
    }
    Ok(pid_t::try_from(pid).unwrap_or(0))
}

/// Ends with `parent`, also before anybody traces it.
fn pause_for_ever(parent: pid_t) -> ! {
    // SAFETY: takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // SAFETY: getppid(2) has no arguments.
    if unsafe { libc::getppid() } != parent {
        // SAFETY: takes a number only.
        unsafe { libc::_exit(1) };
    }
    loop {
        // SAFETY: pause(2) has no arguments.
        unsafe { libc::pause() };
    }
}

/// Whether we have this effective capability (capabilities(7)), as `/proc/self/status` tells.
pub fn has_capability(capability: u32) -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return false };
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:\t"));
    effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).is_some_and(|set| set >> capability & 1 == 1)
}

/// `setrlimit(2)` — raise our own soft limit of `resource` as far as the hard limit lets us. Stubs inherit it.
pub fn raise_soft_limit(resource: libc::__rlimit_resource_t) -> Result<u64, Errno> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one struct to the live local.
    check(c_long::from(unsafe { libc::getrlimit(resource, &mut limit) }))?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the kernel reads the live struct.
    check(c_long::from(unsafe { libc::setrlimit(resource, &limit) }))?;
    Ok(limit.rlim_cur)
}

/// Ignores SIGXFSZ while it lives: a write beyond RLIMIT_FSIZE then fails with EFBIG (setrlimit(2)).
#[derive(Debug)]
pub struct FileSizeIgnored(libc::sighandler_t);

impl FileSizeIgnored {
    /// From now on.
    pub fn begin() -> FileSizeIgnored {
        // SAFETY: no handler is installed.
        FileSizeIgnored(unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) })
    }
}

impl Drop for FileSizeIgnored {
    fn drop(&mut self) {
        // A blocked signal waits although it is ignored; to ignore it anew drops it.
        for disposition in [libc::SIG_IGN, self.0] {
            if self.0 != libc::SIG_ERR {
                // SAFETY: no handler, or what was there before.
                unsafe { libc::signal(libc::SIGXFSZ, disposition) };
            }
        }
    }
}

/// `getrlimit(2)` — our own soft and hard limit of a resource.
pub fn own_limit(resource: u32) -> Result<(u64, u64), Errno> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one struct to the live local.
    check(c_long::from(unsafe { libc::getrlimit(resource, &mut limit) }))?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// Our own capability sets that capget(2) knows, bit N for capability N.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnCapabilities {
    /// In force.
    pub effective: u64,
    /// May be put in force.
    pub permitted: u64,
    /// Kept over execve(2) of a program that has them too.
    pub inheritable: u64,
}

/// `capget(2)` — our own capabilities.
pub fn own_capabilities() -> Result<OwnCapabilities, Errno> {
    const VERSION_3: u32 = 0x2008_0522;
    let mut header = [VERSION_3, 0];
    let mut sets = [0u32; 6];
    // SAFETY: version 3 means a header of two and data of six 32-bit words, which both arrays are.
    check(unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr()) })?;
    let join = |at: usize| u64::from(sets[at]) | u64::from(sets[at + 3]) << 32;
    Ok(OwnCapabilities { effective: join(0), permitted: join(1), inheritable: join(2) })
}

/// A question of `prctl(2)` that takes and returns a plain number.
fn ask(option: c_int, argument: u32, more: u32) -> Result<i32, Errno> {
    let (argument, more) = (libc::c_ulong::from(argument), libc::c_ulong::from(more));
    // SAFETY: the callers' options take numbers only.
    let answer = unsafe { libc::prctl(option, argument, more, 0 as libc::c_ulong, 0 as libc::c_ulong) };
    check(c_long::from(answer)).map(|_| answer)
}

/// `PR_CAPBSET_READ` (prctl(2)) — whether our bounding set has a capability. EINVAL: the kernel has no such capability.
pub fn bounding_has(capability: u32) -> Result<bool, Errno> {
    ask(libc::PR_CAPBSET_READ, capability, 0).map(|answer| answer == 1)
}

/// `PR_CAP_AMBIENT_IS_SET` (prctl(2)) — whether our ambient set has a capability.
pub fn ambient_has(capability: u32) -> Result<bool, Errno> {
    ask(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_IS_SET.cast_unsigned(), capability).map(|answer| answer == 1)
}

/// `PR_GET_SECUREBITS` (prctl(2)) — our own secure bits.
pub fn own_securebits() -> Result<i32, Errno> {
    ask(libc::PR_GET_SECUREBITS, 0, 0)
}

/// `PR_GET_NO_NEW_PRIVS` (prctl(2)) — whether execve(2) can no longer give us rights.
pub fn own_no_new_privs() -> Result<bool, Errno> {
    ask(libc::PR_GET_NO_NEW_PRIVS, 0, 0).map(|answer| answer == 1)
}

/// `PR_TIMER_CREATE_RESTORE_IDS` (Linux 6.15) — whether timer_create(2) can be told which id to give.
pub fn timer_ids_can_be_chosen() -> bool {
    const PR_TIMER_CREATE_RESTORE_IDS: c_int = 77;
    const GET: u32 = 2;
    ask(PR_TIMER_CREATE_RESTORE_IDS, GET, 0).is_ok()
}
