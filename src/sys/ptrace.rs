//! `ptrace(2)`: one function a request. Addresses passed to the kernel are of live Rust values of the size the request wants.
#![allow(unsafe_code)]

use std::mem::{MaybeUninit, size_of, size_of_val};

use libc::{c_long, c_void, pid_t, siginfo_t, user_regs_struct};

use super::{Errno, check, fault};

/// `PTRACE_EVENT_STOP`: the event of stops that no signal caused (ptrace(2), "PTRACE_SEIZE").
pub const EVENT_STOP: i32 = 128;

const NT_X86_XSTATE: usize = 0x202;
const PTRACE_GET_RSEQ_CONFIGURATION: u32 = 0x420f;
const PTRACE_SECCOMP_GET_FILTER: u32 = 0x420c;
const PTRACE_SECCOMP_GET_METADATA: u32 = 0x420d;
const PTRACE_PEEKSIGINFO: u32 = 0x4209;
const PTRACE_GETSIGMASK: u32 = 0x420a;
const PTRACE_SETSIGMASK: u32 = 0x420b;
const PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG: u32 = 0x4210;
const PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG: u32 = 0x4211;

/// Options for [`seize`]: tell stops at system calls apart from SIGTRAP. Always wanted.
pub const O_TRACESYSGOOD: i32 = libc::PTRACE_O_TRACESYSGOOD;
/// The signal number of a stop at a system call.
pub const SYSCALL_STOP: i32 = libc::SIGTRAP | 0x80;
/// Options for [`seize`]: kill the tracee when the tracer ends. Never for a live job.
pub const O_EXITKILL: i32 = libc::PTRACE_O_EXITKILL;
/// Options for [`seize`]: suspend its seccomp filters while it is traced (needs CAP_SYS_ADMIN).
pub const O_SUSPEND_SECCOMP: i32 = 1 << 21;

fn request(request: u32, tid: pid_t, addr: usize, data: usize) -> Result<c_long, Errno> {
    fault::point("tracee")?;
    // SAFETY: callers pass either plain numbers or addresses of live values whose size the request or `addr` states.
    check(unsafe { libc::ptrace(request, tid, addr as *mut c_void, data as *mut c_void) })
}

/// `PTRACE_SEIZE` — attach without stopping. ESRCH: it ended; EPERM: not allowed or traced already.
pub fn seize(tid: pid_t, options: i32) -> Result<(), Errno> {
    request(libc::PTRACE_SEIZE, tid, 0, usize::try_from(options).unwrap_or(0)).map(drop)
}

/// `PTRACE_INTERRUPT` — ask a seized task to stop.
pub fn interrupt(tid: pid_t) -> Result<(), Errno> {
    request(libc::PTRACE_INTERRUPT, tid, 0, 0).map(drop)
}

/// `PTRACE_CONT` — let a stopped task run, delivering `signal` unless it is 0.
pub fn cont(tid: pid_t, signal: i32) -> Result<(), Errno> {
    request(libc::PTRACE_CONT, tid, 0, usize::try_from(signal).unwrap_or(0)).map(drop)
}

/// `PTRACE_SYSCALL` — let a stopped task run to the next entry to or exit from a system call.
pub fn cont_to_syscall(tid: pid_t) -> Result<(), Errno> {
    request(libc::PTRACE_SYSCALL, tid, 0, 0).map(drop)
}

/// `PTRACE_DETACH` — let go of a stopped task, delivering `signal` unless it is 0.
pub fn detach(tid: pid_t, signal: i32) -> Result<(), Errno> {
    request(libc::PTRACE_DETACH, tid, 0, usize::try_from(signal).unwrap_or(0)).map(drop)
}

/// `PTRACE_SETOPTIONS` — replace the options given to [`seize`].
pub fn set_options(tid: pid_t, options: i32) -> Result<(), Errno> {
    request(libc::PTRACE_SETOPTIONS, tid, 0, usize::try_from(options).unwrap_or(0)).map(drop)
}

/// `PTRACE_GETREGS` — general registers of a stopped task.
pub fn registers(tid: pid_t) -> Result<user_regs_struct, Errno> {
    let mut registers = MaybeUninit::<user_regs_struct>::uninit();
    request(libc::PTRACE_GETREGS, tid, 0, registers.as_mut_ptr() as usize)?;
    // SAFETY: the request succeeded, so the kernel filled the whole struct.
    Ok(unsafe { registers.assume_init() })
}

/// `PTRACE_SETREGS` — set the general registers of a stopped task.
pub fn set_registers(tid: pid_t, registers: &user_regs_struct) -> Result<(), Errno> {
    request(libc::PTRACE_SETREGS, tid, 0, std::ptr::from_ref(registers) as usize).map(drop)
}

/// `PTRACE_GETREGSET NT_X86_XSTATE` — extended processor state in the XSAVE standard format.
pub fn xstate(tid: pid_t) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0u8; 16 * 1024];
    let mut iovec = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    request(libc::PTRACE_GETREGSET, tid, NT_X86_XSTATE, std::ptr::from_mut(&mut iovec) as usize)?;
    bytes.truncate(iovec.iov_len);
    Ok(bytes)
}

/// `PTRACE_SETREGSET NT_X86_XSTATE` — set the extended processor state.
pub fn set_xstate(tid: pid_t, bytes: &[u8]) -> Result<(), Errno> {
    let mut iovec = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    request(libc::PTRACE_SETREGSET, tid, NT_X86_XSTATE, std::ptr::from_mut(&mut iovec) as usize).map(drop)
}

/// `PTRACE_GETSIGMASK` — blocked signals of a stopped task, bit `n - 1` for signal `n`.
pub fn signal_mask(tid: pid_t) -> Result<u64, Errno> {
    let mut mask = 0u64;
    request(PTRACE_GETSIGMASK, tid, size_of::<u64>(), std::ptr::from_mut(&mut mask) as usize)?;
    Ok(mask)
}

/// `PTRACE_SETSIGMASK` — set the blocked signals of a stopped task.
pub fn set_signal_mask(tid: pid_t, mask: u64) -> Result<(), Errno> {
    request(PTRACE_SETSIGMASK, tid, size_of::<u64>(), std::ptr::from_ref(&mask) as usize).map(drop)
}

/// `PTRACE_GETSIGINFO` — the signal a task stopped for. EINVAL: it stopped for another reason.
pub fn signal_info(tid: pid_t) -> Result<[u8; 128], Errno> {
    let mut info = [0u8; size_of::<siginfo_t>()];
    request(libc::PTRACE_GETSIGINFO, tid, 0, info.as_mut_ptr() as usize)?;
    Ok(info)
}

/// `PTRACE_SETSIGINFO` — replace the signal a task stopped for.
pub fn set_signal_info(tid: pid_t, info: &[u8; 128]) -> Result<(), Errno> {
    request(libc::PTRACE_SETSIGINFO, tid, 0, info.as_ptr() as usize).map(drop)
}

#[repr(C)]
struct PeekSigInfoArgs {
    offset: u64,
    flags: u32,
    count: i32,
}
const _: () = assert!(size_of::<PeekSigInfoArgs>() == 16);

/// `PTRACE_PEEKSIGINFO` — pending signals in order of arrival, of the process (`shared`) or the thread; each a `siginfo_t`.
pub fn pending_signals(tid: pid_t, shared: bool) -> Result<Vec<[u8; 128]>, Errno> {
    const BATCH: usize = 32;
    let mut pending = Vec::new();
    loop {
        let args = PeekSigInfoArgs { offset: pending.len() as u64, flags: u32::from(shared), count: 32 };
        let mut page = [[0u8; 128]; BATCH];
        let found = request(PTRACE_PEEKSIGINFO, tid, std::ptr::from_ref(&args) as usize, page.as_mut_ptr() as usize)?;
        let found = usize::try_from(found).unwrap_or(0);
        pending.extend_from_slice(&page[..found.min(BATCH)]);
        if found < BATCH {
            return Ok(pending);
        }
    }
}

/// The registration of a thread's restartable sequences area (rseq(2)).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RseqConfiguration {
    /// Address of `struct rseq`; 0 when none is registered.
    pub address: u64,
    /// Size it was registered with, bytes.
    pub bytes: u32,
    /// Abort handler signature.
    pub signature: u32,
    /// Flags given at registration.
    pub flags: u32,
    pad: u32,
}
const _: () = assert!(size_of::<RseqConfiguration>() == 24);

/// `PTRACE_GET_RSEQ_CONFIGURATION` (Linux 5.13) — the thread's rseq registration. EIO: the kernel has no such request.
pub fn rseq_configuration(tid: pid_t) -> Result<RseqConfiguration, Errno> {
    let mut configuration = RseqConfiguration::default();
    let address = std::ptr::from_mut(&mut configuration) as usize;
    request(PTRACE_GET_RSEQ_CONFIGURATION, tid, size_of::<RseqConfiguration>(), address)?;
    Ok(configuration)
}

/// `PTRACE_SECCOMP_GET_FILTER` — the `index`th filter, 0 being the oldest; 8 bytes an instruction. ENOENT: no such filter.
pub fn seccomp_filter(tid: pid_t, index: usize) -> Result<Vec<u8>, Errno> {
    let instructions = usize::try_from(request(PTRACE_SECCOMP_GET_FILTER, tid, index, 0)?).unwrap_or(0);
    let mut program = vec![0u8; instructions * 8];
    request(PTRACE_SECCOMP_GET_FILTER, tid, index, program.as_mut_ptr() as usize)?;
    Ok(program)
}

/// `PTRACE_SECCOMP_GET_METADATA` — flags of the `index`th filter, for example SECCOMP_FILTER_FLAG_LOG.
pub fn seccomp_flags(tid: pid_t, index: u64) -> Result<u64, Errno> {
    let mut metadata = [index, 0u64];
    request(PTRACE_SECCOMP_GET_METADATA, tid, size_of_val(&metadata), metadata.as_mut_ptr() as usize)?;
    Ok(metadata[1])
}

/// The syscall user dispatch settings of a thread (prctl(2), PR_SET_SYSCALL_USER_DISPATCH).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "named in the kernel's struct ptrace_sud_config")]
pub struct SyscallUserDispatch {
    pub mode: u64,
    pub selector: u64,
    pub offset: u64,
    pub len: u64,
}

/// `PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG` (Linux 6.4).
pub fn syscall_user_dispatch(tid: pid_t) -> Result<SyscallUserDispatch, Errno> {
    let mut config = SyscallUserDispatch::default();
    let address = std::ptr::from_mut(&mut config) as usize;
    request(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, tid, size_of::<SyscallUserDispatch>(), address)?;
    Ok(config)
}

/// `PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG` (Linux 6.4).
pub fn set_syscall_user_dispatch(tid: pid_t, config: &SyscallUserDispatch) -> Result<(), Errno> {
    let address = std::ptr::from_ref(config) as usize;
    request(PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG, tid, size_of::<SyscallUserDispatch>(), address).map(drop)
}

/// `PTRACE_GETEVENTMSG` — the number that belongs to the last event: a child's id, an exit status.
pub fn event_message(tid: pid_t) -> Result<u64, Errno> {
    let mut message = 0u64;
    request(libc::PTRACE_GETEVENTMSG, tid, 0, std::ptr::from_mut(&mut message) as usize)?;
    Ok(message)
}
