//! Newborn processes on their way to become the saved ones.
//!
//! Relies on `CLONE_PTRACE`: a traced task's children and threads are born traced and stopped, without an event for their parent, so
//! that a thousand of them are one batch. Every stub dies with its tracer (PTRACE_O_EXITKILL) until it is finished.

use super::scratch::Scratch;
use super::slack;
use super::task::{Ending, Stopped};
use super::{Answers, Batch, Row, TraceeError};
use crate::sys::{Errno, process, ptrace};

const CLONE_PTRACE: u64 = 0x2000;
/// Flags of a thread as pthread_create(3) makes it.
const THREAD_FLAGS: u64 = 0x0001_0000 | 0x100 | 0x200 | 0x400 | 0x800 | 0x0004_0000;
/// Size of `struct clone_args` up to `set_tid_size` (clone3(2)).
const CLONE_ARGS_BYTES: usize = 80;
/// Threads made in one batch: what fits the data of a large slot with room to spare.
const THREADS_A_BATCH: usize = 2000;

/// What a newborn process shares with the one that makes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Birth {
    /// Its parent is the maker's parent (CLONE_PARENT).
    pub sibling: bool,
    /// It shares the maker's address space (CLONE_VM).
    pub share_memory: bool,
    /// It shares the maker's signal handlers (CLONE_SIGHAND); the address space too, then.
    pub share_handlers: bool,
    /// It shares the maker's descriptor table (CLONE_FILES).
    pub share_table: bool,
    /// It shares the maker's working directory, root and umask (CLONE_FS).
    pub share_fs: bool,
    /// Signal to its parent when it ends; a sibling has the maker's.
    pub exit_signal: i32,
    /// The id it must have; none: any.
    pub pid: Option<i32>,
}

impl Birth {
    fn flags(self) -> u64 {
        let flag = |on: bool, value: u64| if on { value } else { 0 };
        CLONE_PTRACE
            | flag(self.sibling, 0x8000)
            | flag(self.share_memory, 0x100)
            | flag(self.share_handlers, 0x800)
            | flag(self.share_table, 0x400)
            | flag(self.share_fs, 0x200)
    }
}

/// Makes the first stub: a copy of ourselves that never runs a line of our code again. It holds our descriptors and nothing else:
/// its memory is the scratch, planted at `address`, and the pages the kernel provides.
pub fn seed(address: u64, suspend_seccomp: bool) -> Result<(Stopped, Scratch), TraceeError> {
    let own = std::process::id().cast_signed();
    let pid = process::fork_paused().map_err(|source| TraceeError::Request { attempt: "fork a child", tid: own, source })?;
    let options = ptrace::O_TRACESYSGOOD | ptrace::O_EXITKILL | if suspend_seccomp { ptrace::O_SUSPEND_SECCOMP } else { 0 };
    let seized = ptrace::seize(pid, options).and_then(|()| ptrace::interrupt(pid));
    if let Err(errno) = seized {
        // Nobody else knows it: killed and reaped here.
        let _reaped = process::kill(pid, libc::SIGKILL).and_then(|()| process::wait_all(pid));
        return Err(TraceeError::request("trace the first stub", pid, errno));
    }
    let mut stub = adopt(pid, pid)?;
    let rseq = ptrace::rseq_configuration(pid).unwrap_or_default();
    let scratch = Scratch::plant(&mut stub, 1, Scratch::LARGE, Some(address))?;
    let mut batch = Batch::new();
    if rseq.address != 0 {
        const UNREGISTER: i32 = 1;
        let args = [rseq.address.into(), rseq.bytes.into(), UNREGISTER.into(), rseq.signature.into()];
        batch.call("unregister restartable sequences", libc::SYS_rseq, args);
    }
    for (start, end) in gaps(kept_ranges(pid, &scratch)?) {
        batch.call("unmap memory", libc::SYS_munmap, [start.into(), (end - start).into()]);
    }
    scratch.run(&mut stub, &batch)?;
    Ok((stub, scratch))
}

/// Takes hold of a task that was born traced.
fn adopt(pid: i32, tid: i32) -> Result<Stopped, TraceeError> {
    loop {
        let (_, status) = process::wait_all(tid).map_err(|errno| TraceeError::request("wait for a stub", tid, errno))?;
        if !libc::WIFSTOPPED(status) {
            return Err(TraceeError::Gone { tid });
        }
        if status >> 16 == ptrace::EVENT_STOP {
            return Stopped::new(pid, tid, Ending::Kill);
        }
        ptrace::cont(tid, 0).map_err(|errno| TraceeError::request("continue", tid, errno))?;
    }
}

/// Address ranges of the scratch and the special areas.
fn kept_ranges(pid: i32, scratch: &Scratch) -> Result<Vec<(u64, u64)>, TraceeError> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).map_err(|_| TraceeError::Gone { tid: pid })?;
    let special = maps.lines().filter(|line| line.contains(" [v") || line.ends_with("[uprobes]")).filter_map(|line| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
    });
    let mut kept: Vec<(u64, u64)> = special.chain(scratch.ranges()).collect();
    kept.sort_unstable();
    Ok(kept)
}

/// First address after those a process may map (x86-64, four levels of page tables).
pub const TASK_SIZE: u64 = 0x7fff_ffff_f000;

fn gaps(kept: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    let mut gaps = Vec::new();
    let mut at = 0;
    for (start, end) in kept {
        if at < start.min(TASK_SIZE) {
            gaps.push((at, start.min(TASK_SIZE)));
        }
        at = end;
    }
    if at < TASK_SIZE {
        gaps.push((at, TASK_SIZE));
    }
    gaps
}

/// Makes a process from `maker`. ESRCH-like failures mean that the maker died; EEXIST that the wanted id is taken.
pub fn spawn(maker: &mut Stopped, scratch: &Scratch, birth: Birth) -> Result<Stopped, TraceeError> {
    let mut batch = Batch::new();
    let exit_signal = if birth.sibling { 0 } else { birth.exit_signal };
    let row = clone_row(&mut batch, "make a process", birth.flags(), exit_signal, birth.pid);
    let answers = scratch.run(maker, &batch)?;
    let pid = id(&answers, row);
    adopt(pid, pid)
}

/// Makes threads in the process of `leader`, with the ids given, or any ids for `None`.
pub fn spawn_threads(leader: &mut Stopped, scratch: &Scratch, ids: &[Option<i32>]) -> Result<Vec<Stopped>, TraceeError> {
    let mut threads = Vec::with_capacity(ids.len());
    for some in ids.chunks(THREADS_A_BATCH) {
        let mut batch = Batch::new();
        let flags = CLONE_PTRACE | THREAD_FLAGS;
        let rows: Vec<Row> = some.iter().map(|wanted| clone_row(&mut batch, "make a thread", flags, 0, *wanted)).collect();
        let answers = scratch.run(leader, &batch)?;
        for row in rows {
            threads.push(adopt(leader.pid, id(&answers, row))?);
        }
    }
    Ok(threads)
}

fn id(answers: &Answers, row: Row) -> i32 {
    answers.value(row).ok().and_then(|value| i32::try_from(value).ok()).unwrap_or(0)
}

fn clone_row(batch: &mut Batch, attempt: &'static str, flags: u64, exit_signal: i32, wanted: Option<i32>) -> Row {
    let args = batch.room(CLONE_ARGS_BYTES);
    let wanted = wanted.map(|pid| batch.bytes(&pid.to_le_bytes()));
    let mut words = [0u64; CLONE_ARGS_BYTES / 8];
    words[0] = flags;
    words[4] = u64::from(exit_signal.cast_unsigned());
    words[9] = u64::from(wanted.is_some());
    batch.fill(args, &words);
    if let Some(wanted) = wanted {
        batch.pointer(args, 64, wanted);
    }
    batch.call(attempt, libc::SYS_clone3, [args.into(), CLONE_ARGS_BYTES.into()])
}

/// Lets a stub end with this raw wait status: it becomes a zombie of its parent. A core dump is not made again.
pub fn end(mut stub: Stopped, scratch: &Scratch, status: i32) -> Result<(), TraceeError> {
    let pid = stub.pid;
    if libc::WIFEXITED(status) {
        let mut batch = Batch::new();
        batch.call("exit", libc::SYS_exit_group, [libc::WEXITSTATUS(status).into()]);
        return match scratch.run(&mut stub, &batch) {
            Err(TraceeError::Gone { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(TraceeError::Gone { tid: pid }),
        };
    }
    let signal = libc::WTERMSIG(status);
    let failed = |errno| TraceeError::request("end a stub", pid, errno);
    ptrace::set_signal_mask(pid, 0).map_err(failed)?;
    process::thread_kill(pid, pid, signal).map_err(failed)?;
    if signal != libc::SIGKILL {
        ptrace::cont(pid, 0).map_err(failed)?;
    }
    loop {
        let (_, status) = process::wait_all(pid).map_err(failed)?;
        if !libc::WIFSTOPPED(status) {
            return Ok(());
        }
        let deliver = if status >> 16 == 0 { libc::WSTOPSIG(status) } else { 0 };
        ptrace::cont(pid, deliver).map_err(failed)?;
    }
}

/// Makes a stub end by itself as soon as it is let go, while the other threads of its process stay: a leader that had ended before them.
/// Ending it now would leave a zombie that its tracer can neither reap nor let go.
pub fn doom(stub: &mut Stopped, scratch: &Scratch, name: &str) -> Result<(), TraceeError> {
    let mut batch = Batch::new();
    let text = batch.string(name.as_bytes());
    batch.attempt(libc::SYS_prctl, [libc::PR_SET_NAME.into(), text.into()]);
    scratch.run(stub, &batch)?;
    let mut registers = *stub.registers();
    registers.rip = slack::syscall_instruction(stub, &scratch.ranges())?;
    registers.rax = libc::SYS_exit.cast_unsigned();
    registers.rdi = 0;
    registers.orig_rax = u64::MAX;
    let xstate = stub.xstate()?;
    stub.become_task(registers, &xstate, u64::MAX)
}

/// Whether an error says that the id a stub was to have is in use.
pub fn is_id_taken(error: &TraceeError) -> bool {
    matches!(error, TraceeError::Call { source: Errno::EEXIST, .. })
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn gaps_are_what_is_not_kept() {
        assert_eq!(
            gaps(vec![(0x1000, 0x2000), (0x5000, 0x6000), (0xffff_ffff_ff60_0000, 0xffff_ffff_ff60_1000)]),
            [(0, 0x1000), (0x2000, 0x5000), (0x6000, TASK_SIZE)]
        );
    }
}
