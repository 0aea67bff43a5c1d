//! Machine code that runs in a live job: a stub for one call, in bytes of the job that nobody uses, and the call loop of a shared slot.
//!
//! Relies on the System V and system call conventions of x86-64. Both end by themselves when nobody is left to end them: at `home` they load
//! the task's own registers from the words behind the code and jump to where the task was, without a system call, a mask or a frame. They keep
//! the task's stack pointer, so a signal finds the stack it expects, and write only below its red zone. Nothing but general registers and flags is
//! used, so nothing else has to be restored.

use libc::user_regs_struct;

use super::arch;

/// The stub. rax and the arguments are those of the call. It makes the call while the time stamp counter is before [`stub::UNTIL`], which the tracer
/// puts off again and again: a task whose tracer has died does not make a call that its filters forbid. That time is read before the counter, so that a task
/// that loses its processor in between reads a counter that is too late. It waits for that rcx turns at most; and once the
/// call is made it waits to be interrupted, [`stub::PATIENCE`] turns at most.
#[rustfmt::skip]
pub const STUB: [u8; 208] = [
    0x49, 0x89, 0xc4, // start: mov r12,rax
    0x49, 0x89, 0xd5, // mov r13,rdx
    0x4c, 0x8b, 0x35, 0xcb, 0x00, 0x00, 0x00, // spin: mov r14,[rip+until]
    0x0f, 0x31, // ticks: rdtsc
    0x48, 0xc1, 0xe2, 0x20, // shl rdx,32
    0x48, 0x09, 0xd0, // or rax,rdx
    0x4c, 0x39, 0xf0, // cmp rax,r14
    0x72, 0x09, // jb made
    0xf3, 0x90, // pause
    0x48, 0xff, 0xc9, // dec rcx
    0x75, 0xe4, // jne spin
    0xeb, 0x16, // jmp home
    0x4c, 0x89, 0xe0, // made: mov rax,r12
    0x4c, 0x89, 0xea, // mov rdx,r13
    0x0f, 0x05, // syscall
    0x48, 0x8b, 0x0d, 0x9d, 0x00, 0x00, 0x00, // called: mov rcx,[rip+patience]
    0xf3, 0x90, // park: pause
    0x48, 0xff, 0xc9, // dec rcx
    0x75, 0xf9, // jne park
    0x48, 0x8b, 0x25, 0x17, 0x01, 0x00, 0x00, // home: mov rsp,[rip+own_rsp]
    0x48, 0x8d, 0x64, 0x24, 0x80, // lea rsp,[rsp-0x80]
    0xff, 0x35, 0x1c, 0x01, 0x00, 0x00, // push [rip+own_flags]
    0x9d, // popfq
    0x4c, 0x8b, 0x3d, 0x8c, 0x00, 0x00, 0x00, // mov r15,[rip+own]
    0x4c, 0x8b, 0x35, 0x8d, 0x00, 0x00, 0x00, // mov r14,[rip+own+8]
    0x4c, 0x8b, 0x2d, 0x8e, 0x00, 0x00, 0x00, // mov r13,[rip+own+16]
    0x4c, 0x8b, 0x25, 0x8f, 0x00, 0x00, 0x00, // mov r12,[rip+own+24]
    0x48, 0x8b, 0x2d, 0x90, 0x00, 0x00, 0x00, // mov rbp,[rip+own+32]
    0x48, 0x8b, 0x1d, 0x91, 0x00, 0x00, 0x00, // mov rbx,[rip+own+40]
    0x4c, 0x8b, 0x1d, 0x92, 0x00, 0x00, 0x00, // mov r11,[rip+own+48]
    0x4c, 0x8b, 0x15, 0x93, 0x00, 0x00, 0x00, // mov r10,[rip+own+56]
    0x4c, 0x8b, 0x0d, 0x94, 0x00, 0x00, 0x00, // mov r9,[rip+own+64]
    0x4c, 0x8b, 0x05, 0x95, 0x00, 0x00, 0x00, // mov r8,[rip+own+72]
    0x48, 0x8b, 0x05, 0x96, 0x00, 0x00, 0x00, // mov rax,[rip+own+80]
    0x48, 0x8b, 0x0d, 0x97, 0x00, 0x00, 0x00, // mov rcx,[rip+own+88]
    0x48, 0x8b, 0x15, 0x98, 0x00, 0x00, 0x00, // mov rdx,[rip+own+96]
    0x48, 0x8b, 0x35, 0x99, 0x00, 0x00, 0x00, // mov rsi,[rip+own+104]
    0x48, 0x8b, 0x3d, 0x9a, 0x00, 0x00, 0x00, // mov rdi,[rip+own+112]
    0x48, 0x8b, 0x25, 0x9b, 0x00, 0x00, 0x00, // mov rsp,[rip+own_rsp]
    0xff, 0x25, 0x9d, 0x00, 0x00, 0x00, // jmp [rip+own_rip]
    0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00, 0x66, 0x90, // up to the words
];

/// Words behind the stub, by offset from its start.
pub mod stub {
    /// Where it reads the time stamp counter.
    pub const TICKS: usize = 0x0d;
    /// Where it goes on to the call.
    pub const MADE: usize = 0x24;
    /// Where the call has been made.
    pub const CALLED: usize = 0x2c;
    /// Where the stub goes on by itself.
    pub const HOME: usize = 0x3a;
    /// How long it waits to be interrupted, 8 bytes.
    pub const PATIENCE: usize = 0xd0;
    /// Until when it may make the call, in ticks of the time stamp counter, 8 bytes.
    pub const UNTIL: usize = 0xd8;
    /// The task's own registers, see [`super::own_words`].
    pub const OWN: usize = 0xe0;
    /// Bytes of code and words.
    pub const END: usize = 0x170;
}

/// The call loop. rbx is the first row, rbp the end of the rows. Before every call it compares [`slot::OWNER`], which the kernel changes when the
/// tracer dies, with [`slot::ALIVE`]; a restartable sequence (rseq(2)) makes comparison and call one. At the end of the rows, or at a row that fails
/// and must not, it says where it stands, sets [`slot::DONE`], and waits in futex(2) to be interrupted.
#[rustfmt::skip]
pub const LOOP: [u8; 320] = [
    0x48, 0x39, 0xeb, // start: cmp rbx,rbp
    0x73, 0x56, // jae ended
    0x48, 0x8b, 0x7b, 0x08, // mov rdi,[rbx+0x8]
    0x48, 0x8b, 0x73, 0x10, // mov rsi,[rbx+0x10]
    0x48, 0x8b, 0x53, 0x18, // mov rdx,[rbx+0x18]
    0x4c, 0x8b, 0x53, 0x20, // mov r10,[rbx+0x20]
    0x4c, 0x8b, 0x43, 0x28, // mov r8,[rbx+0x28]
    0x4c, 0x8b, 0x4b, 0x30, // mov r9,[rbx+0x30]
    0x8b, 0x03, // mov eax,[rbx]
    0x44, 0x8b, 0x25, 0xde, 0x01, 0x00, 0x00, // mov r12d,[rip+alive]
    0x4c, 0x8b, 0x2d, 0xb3, 0x01, 0x00, 0x00, // mov r13,[rip+rseq_cs]
    0x4c, 0x8d, 0x35, 0x8c, 0x01, 0x00, 0x00, // lea r14,[rip+section]
    0x4d, 0x89, 0x75, 0x00, // again: mov [r13+0x0],r14
    0x44, 0x39, 0x25, 0xc1, 0x01, 0x00, 0x00, // check: cmp [rip+owner],r12d
    0x75, 0x50, // jne home
    0x0f, 0x05, // syscall
    0x48, 0x89, 0x43, 0x38, // after: mov [rbx+0x38],rax
    0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, // cmp rax,-4095
    0x72, 0x06, // jb next
    0xf6, 0x43, 0x04, 0x01, // test BYTE PTR [rbx+0x4],0x1
    0x74, 0x06, // je ended
    0x48, 0x83, 0xc3, 0x40, // next: add rbx,0x40
    0xeb, 0xa5, // jmp start
    0x83, 0x3d, 0xa6, 0x01, 0x00, 0x00, 0x00, // ended: cmp [rip+done],0x0
    0x75, 0x11, // jne wait
    0x48, 0x89, 0x1d, 0x85, 0x01, 0x00, 0x00, // mov [rip+stands],rbx
    0xc7, 0x05, 0x93, 0x01, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, // mov [rip+done],0x1
    0x48, 0x8d, 0x1d, 0xc4, 0x00, 0x00, 0x00, // wait: lea rbx,[rip+rows]
    0x48, 0x8d, 0x2d, 0x3d, 0x01, 0x00, 0x00, // lea rbp,[rip+section]
    0xe9, 0x78, 0xff, 0xff, 0xff, // jmp start
    0x0f, // .byte 0xf
    0xb9, // .byte 0xb9
    0x3d, // .byte 0x3d
    0x00, 0x00, // signature: add BYTE PTR [rax],al
    0x00, 0x00, // add BYTE PTR [rax],al
    0xeb, 0xa3, // abort: jmp again
    0x4c, 0x8b, 0x2d, 0x48, 0x01, 0x00, 0x00, // home: mov r13,[rip+rseq_cs]
    0x49, 0xc7, 0x45, 0x00, 0x00, 0x00, 0x00, 0x00, // mov [r13+0x0],0x0
    0x48, 0x8b, 0x25, 0xe1, 0x01, 0x00, 0x00, // mov rsp,[rip+own_rsp]
    0x48, 0x8d, 0x64, 0x24, 0x80, // lea rsp,[rsp-0x80]
    0xff, 0x35, 0xe6, 0x01, 0x00, 0x00, // push [rip+own_flags]
    0x9d, // popfq
    0x4c, 0x8b, 0x3d, 0x56, 0x01, 0x00, 0x00, // mov r15,[rip+own]
    0x4c, 0x8b, 0x35, 0x57, 0x01, 0x00, 0x00, // mov r14,[rip+own+8]
    0x4c, 0x8b, 0x2d, 0x58, 0x01, 0x00, 0x00, // mov r13,[rip+own+16]
    0x4c, 0x8b, 0x25, 0x59, 0x01, 0x00, 0x00, // mov r12,[rip+own+24]
    0x48, 0x8b, 0x2d, 0x5a, 0x01, 0x00, 0x00, // mov rbp,[rip+own+32]
    0x48, 0x8b, 0x1d, 0x5b, 0x01, 0x00, 0x00, // mov rbx,[rip+own+40]
    0x4c, 0x8b, 0x1d, 0x5c, 0x01, 0x00, 0x00, // mov r11,[rip+own+48]
    0x4c, 0x8b, 0x15, 0x5d, 0x01, 0x00, 0x00, // mov r10,[rip+own+56]
    0x4c, 0x8b, 0x0d, 0x5e, 0x01, 0x00, 0x00, // mov r9,[rip+own+64]
    0x4c, 0x8b, 0x05, 0x5f, 0x01, 0x00, 0x00, // mov r8,[rip+own+72]
    0x48, 0x8b, 0x05, 0x60, 0x01, 0x00, 0x00, // mov rax,[rip+own+80]
    0x48, 0x8b, 0x0d, 0x61, 0x01, 0x00, 0x00, // mov rcx,[rip+own+88]
    0x48, 0x8b, 0x15, 0x62, 0x01, 0x00, 0x00, // mov rdx,[rip+own+96]
    0x48, 0x8b, 0x35, 0x63, 0x01, 0x00, 0x00, // mov rsi,[rip+own+104]
    0x48, 0x8b, 0x3d, 0x64, 0x01, 0x00, 0x00, // mov rdi,[rip+own+112]
    0x48, 0x8b, 0x25, 0x65, 0x01, 0x00, 0x00, // mov rsp,[rip+own_rsp]
    0xff, 0x25, 0x67, 0x01, 0x00, 0x00, // jmp [rip+own_rip]
    0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00, 0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00, 0x90, // up to the words
];

/// Words behind the loop, by offset from its start.
pub mod slot {
    /// Where the restartable sequence is entered.
    pub const AGAIN: usize = 0x34;
    /// Where it begins.
    pub const CHECK: usize = 0x38;
    /// Where it ends.
    pub const AFTER: usize = 0x43;
    /// The signature that the kernel looks for before the abort address, 4 bytes.
    pub const SIGNATURE: usize = 0x8b;
    /// Where the kernel goes on when it has interrupted the sequence.
    pub const ABORT: usize = 0x8f;
    /// The two rows with which it waits: wake the tracer, wait to be interrupted.
    pub const ROWS: usize = 0x140;
    /// `struct rseq_cs`, 32 bytes.
    pub const SECTION: usize = 0x1c0;
    /// Address of the word that tells the kernel of the sequence, 8 bytes.
    pub const RSEQ_CS: usize = 0x1e0;
    /// That word of a thread that has none, 8 bytes.
    pub const DUMMY: usize = 0x1e8;
    /// Address of the row after the last one made, or of the one that failed, 8 bytes.
    pub const STANDS: usize = 0x1f0;
    /// An entry of the tracer's robust list, 8 bytes.
    pub const NODE: usize = 0x1f8;
    /// The tracer's robust futex, 4 bytes.
    pub const OWNER: usize = 0x200;
    /// Its value while the tracer lives, 4 bytes.
    pub const ALIVE: usize = 0x204;
    /// Whether the loop has ended, 4 bytes.
    pub const DONE: usize = 0x208;
    /// The task's own registers, see [`super::own_words`].
    pub const OWN: usize = 0x210;
}

/// The words from which a task gets its own registers back: in the order of the code at `home`. An interrupted call is made again.
pub fn own_words(own: &user_regs_struct) -> [u8; 144] {
    const TRAP: u64 = 1 << 8;
    let r = arch::restarted(own);
    let words = [
        r.r15,
        r.r14,
        r.r13,
        r.r12,
        r.rbp,
        r.rbx,
        r.r11,
        r.r10,
        r.r9,
        r.r8,
        r.rax,
        r.rcx,
        r.rdx,
        r.rsi,
        r.rdi,
        r.rsp,
        r.rip,
        r.eflags & !TRAP,
    ];
    let mut bytes = [0; 144];
    for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// Registers of a task that a tracer has left in our code, as they are when it has come home; `None` when it is not there. `read` reads the task's
/// memory.
pub fn home(at: &user_regs_struct, read: impl Fn(u64, &mut [u8]) -> bool) -> Option<user_regs_struct> {
    let own = in_stub(at.rip, &read).or_else(|| in_loop(at.rip, &read))?;
    let mut bytes = [0; 144];
    if !read(own, &mut bytes) {
        return None;
    }
    let mut r = *at;
    let words = [
        &mut r.r15,
        &mut r.r14,
        &mut r.r13,
        &mut r.r12,
        &mut r.rbp,
        &mut r.rbx,
        &mut r.r11,
        &mut r.r10,
        &mut r.r9,
        &mut r.r8,
        &mut r.rax,
        &mut r.rcx,
        &mut r.rdx,
        &mut r.rsi,
        &mut r.rdi,
        &mut r.rsp,
        &mut r.rip,
        &mut r.eflags,
    ];
    for (word, bytes) in words.into_iter().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    r.orig_rax = u64::MAX;
    Some(r)
}

/// The address of the own registers, if `rip` is in a stub.
fn in_stub(rip: u64, read: impl Fn(u64, &mut [u8]) -> bool) -> Option<u64> {
    // The stub lies within one page.
    let mut page = [0; 4096];
    let start = rip & !4095;
    if !read(start, &mut page) {
        return None;
    }
    // Others may have been left there before.
    let mut stubs = memchr::memmem::find_iter(&page, &STUB).map(|offset| start + offset as u64);
    stubs.find(|at| (*at..at + STUB.len() as u64).contains(&rip)).map(|at| at + stub::OWN as u64)
}

/// The address of the own registers, if `rip` is in a call loop.
fn in_loop(rip: u64, read: impl Fn(u64, &mut [u8]) -> bool) -> Option<u64> {
    let start = rip & !4095;
    let mut code = [0; LOOP.len()];
    let found = rip - start < LOOP.len() as u64 && read(start, &mut code) && is_loop(&code);
    found.then_some(start + slot::OWN as u64)
}

/// Whether these bytes are a call loop, whatever its signature.
pub fn is_loop(code: &[u8; LOOP.len()]) -> bool {
    code[..slot::SIGNATURE] == LOOP[..slot::SIGNATURE] && code[slot::ABORT..] == LOOP[slot::ABORT..]
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_task_left_in_our_code_is_brought_home() {
        let mut own = arch::registers_from_bytes(&[7; 27 * 8]).unwrap();
        (own.orig_rax, own.rip, own.eflags) = (u64::MAX, 0x1234, 0x246);
        let mut page = [0; 4096];
        page[96..96 + STUB.len()].copy_from_slice(&STUB);
        page[2048..2048 + STUB.len()].copy_from_slice(&STUB);
        page[2048 + stub::OWN..2048 + stub::OWN + 144].copy_from_slice(&own_words(&user_regs_struct { rip: 0x5678, ..own }));
        page[96 + stub::OWN..96 + stub::OWN + 144].copy_from_slice(&own_words(&own));
        let read = |address: u64, bytes: &mut [u8]| {
            let at = usize::try_from(address - 0x5000).unwrap();
            bytes.copy_from_slice(&page[at..at + bytes.len()]);
            true
        };
        let at = |rip: u64| user_regs_struct { rip, rbx: 1, ..own };
        let home = |rip: u64| home(&at(rip), read).map(|registers| (registers.rip, registers.rbx, registers.eflags));
        assert_eq!(home(0x5060 + stub::CALLED as u64), Some((0x1234, own.rbx, 0x246)));
        assert_eq!(home(0x5800 + stub::TICKS as u64), Some((0x5678, own.rbx, 0x246)), "the second of two");
        assert_eq!(home(0x5060 + STUB.len() as u64), None);
        assert_eq!(home(0x5000), None);
    }

    /// The displacement of the instruction that ends at `end` leads to this offset.
    fn leads_to(code: &[u8], end: usize) -> usize {
        let displacement = i32::from_le_bytes(code[end - 4..end].try_into().unwrap());
        end.checked_add_signed(isize::try_from(displacement).unwrap()).unwrap()
    }

    #[test]
    fn the_words_are_where_the_code_looks_for_them() {
        assert_eq!(STUB[stub::CALLED - 2..stub::CALLED], arch::SYSCALL);
        assert_eq!(leads_to(&STUB, stub::CALLED + 7), stub::PATIENCE);
        assert_eq!(STUB[stub::TICKS..stub::TICKS + 2], [0x0f, 0x31], "rdtsc");
        assert_eq!(leads_to(&STUB, stub::TICKS), stub::UNTIL);
        assert_eq!(stub::TICKS + 14 + usize::from(STUB[stub::TICKS + 13]), stub::MADE);
        assert_eq!(leads_to(&STUB, stub::HOME + 7), stub::OWN + 15 * 8);
        assert_eq!(leads_to(&STUB, STUB.iter().rposition(|byte| *byte == 0x25).unwrap() + 5), stub::OWN + 16 * 8);
        assert_eq!(LOOP[slot::AFTER - 2..slot::AFTER], arch::SYSCALL);
        assert_eq!(leads_to(&LOOP, slot::CHECK + 7), slot::OWNER);
        assert_eq!(leads_to(&LOOP, slot::AGAIN), slot::SECTION);
        assert_eq!(leads_to(&LOOP, slot::ABORT + 2 + 7), slot::RSEQ_CS);
        assert_eq!(slot::SIGNATURE + 4, slot::ABORT);
        assert_eq!(LOOP[slot::SIGNATURE - 3..slot::SIGNATURE], [0x0f, 0xb9, 0x3d]);
    }

    #[test]
    fn own_registers_are_those_before_an_interrupted_call() {
        let mut own = arch::registers_from_bytes(&[0; 27 * 8]).unwrap();
        (own.rip, own.rax, own.orig_rax, own.eflags) = (100, (-512i64).cast_unsigned(), 35, 0x346);
        let words = own_words(&own);
        let word = |index: usize| u64::from_le_bytes(words[index * 8..index * 8 + 8].try_into().unwrap());
        assert_eq!((word(10), word(16), word(17)), (35, 98, 0x246));
    }
}
