//! What is special to x86-64: the call loop, the frame that brings a task back without a tracer, restarting system calls.
//!
//! Relies on the layouts of the kernel's `struct rt_sigframe` and of the XSAVE area (Intel SDM volume 1, chapter 13).

use libc::user_regs_struct;

/// Size in bytes of one row of the call loop: number and tolerance, six arguments, result.
pub const ROW_BYTES: usize = 64;

/// The call loop. Registers: rbx first row, rbp end of rows, r12 thread group, r13 thread, r14 the signal that ends it.
/// It makes the calls row by row, stops early at a failure that the row does not tolerate, then sends itself the signal,
/// which its tracer sees as a stop. Without a tracer the signal is ignored and `rt_sigreturn` puts the task back.
pub const CALL_LOOP: [u8; 80] = [
    0x48, 0x39, 0xeb, // start: cmp rbx, rbp
    0x73, 0x34, //        jae end
    0x8b, 0x03, //        mov eax, [rbx]
    0x48, 0x8b, 0x7b, 0x08, // mov rdi, [rbx+8]
    0x48, 0x8b, 0x73, 0x10, // mov rsi, [rbx+16]
    0x48, 0x8b, 0x53, 0x18, // mov rdx, [rbx+24]
    0x4c, 0x8b, 0x53, 0x20, // mov r10, [rbx+32]
    0x4c, 0x8b, 0x43, 0x28, // mov r8, [rbx+40]
    0x4c, 0x8b, 0x4b, 0x30, // mov r9, [rbx+48]
    0x0f, 0x05, //        syscall
    0x48, 0x89, 0x43, 0x38, // mov [rbx+56], rax
    0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, // cmp rax, -4095
    0x72, 0x06, //        jb next
    0xf6, 0x43, 0x04, 0x01, // test byte [rbx+4], 1
    0x74, 0x06, //        jz end
    0x48, 0x83, 0xc3, 0x40, // next: add rbx, 64
    0xeb, 0xc7, //        jmp start
    0x44, 0x89, 0xe7, //  end: mov edi, r12d
    0x44, 0x89, 0xee, //  mov esi, r13d
    0x44, 0x89, 0xf2, //  mov edx, r14d
    0xb8, 0xea, 0x00, 0x00, 0x00, // mov eax, SYS_tgkill
    0x0f, 0x05, //        syscall
    0xb8, 0x0f, 0x00, 0x00, 0x00, // ended: mov eax, SYS_rt_sigreturn
    0x0f, 0x05, //        syscall
];

/// Offset in [`CALL_LOOP`] of the instruction after the signal: where a finished loop stands.
pub const LOOP_ENDED: u64 = 0x49;
/// Offset in [`CALL_LOOP`] of a bare `syscall` instruction.
pub const LOOP_SYSCALL: u64 = 0x1f;
/// The two bytes of the `syscall` instruction.
pub const SYSCALL: [u8; 2] = [0x0f, 0x05];

/// Where the loop's data lies in the task.
#[derive(Debug, Clone, Copy)]
pub struct LoopPlace {
    /// Address of [`CALL_LOOP`].
    pub code: u64,
    /// Address of the first row.
    pub rows: u64,
    /// Address after the last row.
    pub rows_end: u64,
    /// Address of the frame made by [`return_frame`].
    pub frame: u64,
    /// The thread group as the task itself sees it.
    pub pid: i32,
    /// The thread as the task itself sees it.
    pub tid: i32,
    /// The signal that ends the loop.
    pub signal: i32,
}

/// Registers for running the loop; everything not needed is kept from `own`.
pub fn loop_registers(own: &user_regs_struct, place: &LoopPlace) -> user_regs_struct {
    let mut registers = *own;
    registers.rip = place.code;
    registers.rbx = place.rows;
    registers.rbp = place.rows_end;
    registers.r12 = u64::from(place.pid.cast_unsigned());
    registers.r13 = u64::from(place.tid.cast_unsigned());
    registers.r14 = u64::from(place.signal.cast_unsigned());
    registers.rsp = place.frame + 8;
    registers.orig_rax = u64::MAX;
    registers.eflags &= !EFLAGS_TRAP;
    registers
}

/// Registers for code of ours at an address; everything else, the stack pointer too, is kept from `own`.
pub fn for_code(own: &user_regs_struct, address: u64) -> user_regs_struct {
    user_regs_struct { rip: address, orig_rax: u64::MAX, eflags: own.eflags & !EFLAGS_TRAP, ..*own }
}

const EFLAGS_TRAP: u64 = 1 << 8;
const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;
const FP_XSTATE_MAGIC2: u32 = 0x4650_5845;
/// Offset of `sw_reserved` in the legacy area, where the kernel keeps the frame's own description.
const SOFTWARE_BYTES: usize = 464;
/// `pretcode`, `struct ucontext` and `siginfo_t`, rounded up so that the extended state behind it is aligned.
const FRAME_HEAD: usize = 512;

/// Room in bytes that [`return_frame`] needs for an extended state of this size.
pub fn frame_bytes(xstate: usize) -> usize {
    (FRAME_HEAD + xstate + 4).next_multiple_of(64)
}

/// A signal frame at `address` (64-byte aligned) with which `rt_sigreturn` brings the task back to exactly where it was,
/// interrupted system call included.
pub fn return_frame(address: u64, own: &user_regs_struct, xstate: &[u8], mask: u64) -> Vec<u8> {
    let mut frame = vec![0u8; frame_bytes(xstate.len())];
    let own = restarted(own);
    let mut put = |offset: usize, value: u64| frame[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
    const UC: usize = 8;
    put(UC, 7); // UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS
    put(UC + 24, 0x40); // a stack mode that does not exist: the alternate stack stays as it is
    const MCONTEXT: usize = UC + 40;
    let general = [
        own.r8, own.r9, own.r10, own.r11, own.r12, own.r13, own.r14, own.r15, own.rdi, own.rsi, own.rbp, own.rbx, own.rdx, own.rax,
        own.rcx, own.rsp, own.rip, own.eflags,
    ];
    for (index, value) in general.into_iter().enumerate() {
        put(MCONTEXT + index * 8, value);
    }
    put(MCONTEXT + 144, own.cs | own.ss << 48);
    put(MCONTEXT + 184, address + FRAME_HEAD as u64);
    put(UC + 296, mask);
    frame[FRAME_HEAD..FRAME_HEAD + xstate.len()].copy_from_slice(xstate);
    let bytes = u32::try_from(xstate.len()).unwrap_or(0);
    let features: [u8; 8] = xstate[SOFTWARE_BYTES..SOFTWARE_BYTES + 8].try_into().expect("eight bytes");
    let software = FRAME_HEAD + SOFTWARE_BYTES;
    frame[software..software + 4].copy_from_slice(&FP_XSTATE_MAGIC1.to_le_bytes());
    frame[software + 4..software + 8].copy_from_slice(&(bytes + 4).to_le_bytes());
    frame[software + 8..software + 16].copy_from_slice(&features);
    frame[software + 16..software + 20].copy_from_slice(&bytes.to_le_bytes());
    let magic2 = FRAME_HEAD + xstate.len();
    frame[magic2..magic2 + 4].copy_from_slice(&FP_XSTATE_MAGIC2.to_le_bytes());
    frame
}

const ERESTARTSYS: i64 = -512;
const ERESTARTNOINTR: i64 = -513;
const ERESTARTNOHAND: i64 = -514;
const ERESTART_RESTARTBLOCK: i64 = -516;
/// Length in bytes of the `syscall` instruction.
const SYSCALL_BYTES: u64 = 2;

/// The interrupted system call of a stopped task, if it is in one that the kernel would restart.
pub fn interrupted_call(registers: &user_regs_struct) -> Option<i64> {
    let number = registers.orig_rax.cast_signed();
    let restarts = matches!(registers.rax.cast_signed(), ERESTARTSYS | ERESTARTNOINTR | ERESTARTNOHAND | ERESTART_RESTARTBLOCK);
    (0 <= number && restarts).then_some(number)
}

const SYS_IO_PGETEVENTS: i64 = 333;

/// Calls that the kernel ends with EINTR at any stop, also where no signal comes of it (signal(7)); they have done nothing then, and can be
/// made again. close(2) is none of them: what it closes is gone.
const NEVER_RESTARTED: &[i64] = &[
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_io_getevents,
    SYS_IO_PGETEVENTS,
    libc::SYS_io_uring_enter,
    // These on sockets with SO_RCVTIMEO or SO_SNDTIMEO.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_connect,
];

/// Registers with which the kernel makes a call again that the request to stop has ended with EINTR; `None`: the task is not in such a call.
/// Where a signal with a handler turns out to be due, the kernel still makes it EINTR. A relative time limit starts again from the whole:
/// nothing shows how much of it is over.
pub fn uninterrupted(own: &user_regs_struct) -> Option<user_regs_struct> {
    const EINTR: i64 = -4;
    let is_ours = own.rax.cast_signed() == EINTR && NEVER_RESTARTED.contains(&own.orig_rax.cast_signed());
    is_ours.then_some(user_regs_struct { rax: ERESTARTNOHAND.cast_unsigned(), ..*own })
}

/// Registers with which the kernel makes an interrupted call again where it would make restart_syscall(2) otherwise; `None` where it would
/// not. A relative time limit starts again from the whole.
pub fn repeating(own: &user_regs_struct) -> Option<user_regs_struct> {
    let by_restart_call = interrupted_call(own).is_some() && own.rax.cast_signed() == ERESTART_RESTARTBLOCK;
    by_restart_call.then_some(user_regs_struct { rax: ERESTARTNOINTR.cast_unsigned(), ..*own })
}

/// The system call that a stopped task is in, whatever will come of it, and its first argument.
pub fn current_call(registers: &user_regs_struct) -> Option<(i64, u64)> {
    let number = registers.orig_rax.cast_signed();
    (0 <= number).then_some((number, registers.rdi))
}

/// Registers that make an interrupted system call again instead of relying on the kernel, which has no memory of it in a
/// restored task. Relative sleeps whose remaining time the kernel wrote over their request (as libc's `sleep` asks it to) go on
/// with what remained; other calls with a relative time limit wait for the whole of it again.
pub fn restarted(own: &user_regs_struct) -> user_regs_struct {
    let mut registers = *own;
    if let Some(number) = interrupted_call(own) {
        registers.rax = number.cast_unsigned();
        registers.rip -= SYSCALL_BYTES;
    }
    registers.orig_rax = u64::MAX;
    registers
}

/// Writes out what an extended state leaves unsaid, so that two of the same meaning have the same bytes: a component that is in its initial state need
/// not be filled in (Intel SDM, "XSAVE-managed state"), and the bytes that the format leaves to software mean nothing.
pub fn spell_out_xstate(xstate: &mut [u8]) {
    const SOFTWARE: std::ops::Range<usize> = 464..512;
    const PRESENT: std::ops::Range<usize> = 512..520;
    /// x87 without MXCSR, SSE and AVX: bit in the header, and where the component stands.
    /// x87 without MXCSR, SSE, AVX: bit in the header, first byte, and byte after the last.
    const COMPONENTS: [(u64, usize, usize); 4] = [(1, 0, 24), (1, 32, 160), (2, 160, 416), (4, 576, 832)];
    const INITIAL_CONTROL_WORD: [u8; 2] = [0x7f, 0x03];
    if xstate.len() < PRESENT.end {
        return;
    }
    let mut present = u64::from_le_bytes(xstate[PRESENT].try_into().expect("eight bytes"));
    for (_, start, end) in COMPONENTS.iter().filter(|(bit, ..)| present & bit == 0) {
        let end = (*end).min(xstate.len());
        xstate[(*start).min(end)..end].fill(0);
    }
    if present & 1 == 0 {
        xstate[..2].copy_from_slice(&INITIAL_CONTROL_WORD);
    }
    present |= 7;
    xstate[PRESENT].copy_from_slice(&present.to_le_bytes());
    xstate[SOFTWARE].fill(0);
}

/// Whether the registers are those of 64-bit user code.
pub fn is_64_bit(registers: &user_regs_struct) -> bool {
    const USER_CS: u64 = 0x33;
    registers.cs == USER_CS
}

/// Bytes of a `struct user_regs_struct`, as context files keep it: 27 words in the order of sys/user.h.
pub fn registers_to_bytes(r: &user_regs_struct) -> Vec<u8> {
    let words = [
        r.r15, r.r14, r.r13, r.r12, r.rbp, r.rbx, r.r11, r.r10, r.r9, r.r8, r.rax, r.rcx, r.rdx, r.rsi, r.rdi, r.orig_rax, r.rip, r.cs,
        r.eflags, r.rsp, r.ss, r.fs_base, r.gs_base, r.ds, r.es, r.fs, r.gs,
    ];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The reverse of [`registers_to_bytes`]; `None` when the length is wrong.
pub fn registers_from_bytes(bytes: &[u8]) -> Option<user_regs_struct> {
    let words: Vec<u64> = bytes.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect();
    let [
        r15,
        r14,
        r13,
        r12,
        rbp,
        rbx,
        r11,
        r10,
        r9,
        r8,
        rax,
        rcx,
        rdx,
        rsi,
        rdi,
        orig_rax,
        rip,
        cs,
        eflags,
        rsp,
        ss,
        fs_base,
        gs_base,
        ds,
        es,
        fs,
        gs,
    ] = words[..]
    else {
        return None;
    };
    Some(user_regs_struct {
        r15,
        r14,
        r13,
        r12,
        rbp,
        rbx,
        r11,
        r10,
        r9,
        r8,
        rax,
        rcx,
        rdx,
        rsi,
        rdi,
        orig_rax,
        rip,
        cs,
        eflags,
        rsp,
        ss,
        fs_base,
        gs_base,
        ds,
        es,
        fs,
        gs,
    })
}

#[cfg(test)]
mod test {
    use super::*;

    fn blank() -> user_regs_struct {
        registers_from_bytes(&[0; 27 * 8]).unwrap()
    }

    #[test]
    fn registers_survive_the_trip_through_bytes() {
        let bytes: Vec<u8> = (0..27 * 8).map(|n| u8::try_from(n).unwrap()).collect();
        assert_eq!(registers_to_bytes(&registers_from_bytes(&bytes).unwrap()), bytes);
        assert!(registers_from_bytes(&bytes[1..]).is_none());
    }

    #[test]
    fn interrupted_calls_are_made_again_and_finished_ones_are_not() {
        for (rax, rip, expected_rax, expected_rip) in [
            (ERESTARTSYS, 100, 7, 98),
            (ERESTARTNOINTR, 100, 7, 98),
            (ERESTARTNOHAND, 100, 7, 98),
            (ERESTART_RESTARTBLOCK, 100, 7, 98),
            (-4, 100, -4i64, 100),
            (12, 100, 12, 100),
        ] {
            let registers = user_regs_struct { orig_rax: 7, rax: rax.cast_unsigned(), rip, ..blank() };
            let after = restarted(&registers);
            assert_eq!((after.rax.cast_signed(), after.rip), (expected_rax, expected_rip), "rax {rax}");
            assert_eq!(after.orig_rax, u64::MAX);
        }
    }

    #[test]
    fn a_call_that_only_our_stop_interrupted_is_made_again() {
        let stopped =
            |orig_rax: i64, rax: i64| user_regs_struct { orig_rax: orig_rax.cast_unsigned(), rax: rax.cast_unsigned(), ..blank() };
        let again = uninterrupted(&stopped(libc::SYS_epoll_wait, -4)).unwrap();
        assert_eq!((again.rax.cast_signed(), again.orig_rax.cast_signed()), (ERESTARTNOHAND, libc::SYS_epoll_wait));
        // What it closed is gone; an answer is an answer; and outside of calls -4 is a number.
        for other in [stopped(libc::SYS_close, -4), stopped(libc::SYS_epoll_wait, 1), stopped(-1, -4)] {
            assert!(uninterrupted(&other).is_none());
        }
    }

    #[test]
    fn the_loop_has_a_syscall_where_we_say() {
        let at = usize::try_from(LOOP_SYSCALL).unwrap();
        assert_eq!(CALL_LOOP[at..at + 2], SYSCALL);
        assert_eq!(CALL_LOOP[usize::try_from(LOOP_ENDED).unwrap()], 0xb8);
    }
}
