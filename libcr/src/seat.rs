//! Who takes part in a round: a seat for each thread that is called with the reserved signal and waits with the others.
//!
//! Threads with callbacks in signal context always have one. If there is anything to run in the process at all, all other threads have one, too, as with
//! BLCR: none goes on before what the callbacks care for is in order again. Threads that block the signal and have nothing to run are left alone.
//! Relies on `/proc/self/task`, read under the registry's lock, which keeps forks away from the descriptor that this takes for a moment.

use core::sync::atomic::{
    AtomicPtr, AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use libcr_wire::{Control, SIGNAL};

use crate::callback::PROCESS;
use crate::thread::{self, LOCK};
use crate::{hook, round, section, sys};

/// States of a seat, in the high half of its word; the low half is the thread's id.
const EXPECTED: u64 = 1 << 32;
const TAKEN: u64 = 2 << 32;
const GONE: u64 = 3 << 32;

/// Enough for most programs: they need no memory when they are asked.
static USUAL: [AtomicU64; 512] = [const { AtomicU64::new(0) }; 512];
/// Null: the usual table.
static SEATS: AtomicPtr<AtomicU64> = AtomicPtr::new(core::ptr::null_mut());
static ROOM: AtomicUsize = AtomicUsize::new(USUAL.len());
static COUNT: AtomicUsize = AtomicUsize::new(0);

fn seats() -> &'static [AtomicU64] {
    let (first, count) = (SEATS.load(Acquire), COUNT.load(Acquire));
    if first.is_null() {
        return USUAL.get(..count).unwrap_or(&[]);
    }
    // SAFETY: `add` maps room for more than `COUNT` words before it counts them; older tables stay mapped.
    unsafe { core::slice::from_raw_parts(first, count) }
}

/// In the child of a fork.
pub fn reset() {
    COUNT.store(0, Release);
}

/// Makes the seats, tells the caller how many, and calls everybody.
pub fn call_all(page: &Control, may_go_on: bool, prepare: impl FnOnce(i32)) {
    LOCK.acquire();
    COUNT.store(0, Release);
    if may_go_on && has_anything_to_run() {
        fill(page);
    }
    let count = COUNT.load(Acquire);
    prepare(i32::try_from(count).unwrap_or(0));
    LOCK.release();
    let gone = |seat: &&AtomicU64| !sys::signal_thread(tid_of(seat.load(Acquire)), SIGNAL);
    seats().iter().take(count).filter(gone).for_each(give_up);
}

fn has_anything_to_run() -> bool {
    PROCESS.len() > 0 || hook::any() || thread::all().any(|thread| thread.callbacks.len() > 0)
}

fn fill(page: &Control) {
    let helper = page.helper.load(Acquire);
    let listed = for_each_thread(|tid| {
        if tid != helper && (has_callbacks(tid) || tid == sys::own_tid() || !blocks_signal(tid)) {
            add(tid);
        }
    });
    if !listed {
        thread::all().filter(|thread| thread.callbacks.len() > 0).for_each(|thread| add(thread.tid.load(Acquire)));
    }
}

fn has_callbacks(tid: i32) -> bool {
    thread::all().any(|thread| thread.tid.load(Acquire) == tid && thread.callbacks.len() > 0)
}

fn add(tid: i32) {
    let (count, room) = (COUNT.load(Acquire), ROOM.load(Acquire));
    if count == room {
        let more = room * 2;
        let Some(fresh) = sys::map(more * size_of::<AtomicU64>()) else { return };
        let fresh: *mut AtomicU64 = fresh.cast();
        for (index, seat) in seats().iter().enumerate() {
            // SAFETY: the new table has room for more words than the old one, zeroed, which is a valid word.
            unsafe { &*fresh.add(index) }.store(seat.load(Relaxed), Relaxed);
        }
        SEATS.store(fresh, Release);
        ROOM.store(more, Release);
    }
    COUNT.store(count + 1, Release);
    if let Some(seat) = seats().get(count) {
        seat.store(EXPECTED | u64::from(tid.cast_unsigned()), Release);
    }
}

fn tid_of(seat: u64) -> i32 {
    u32::try_from(seat & 0xffff_ffff).unwrap_or(0).cast_signed()
}

/// Takes the seat of a thread, if it is expected.
pub fn claim(tid: i32) -> bool {
    let expected = EXPECTED | u64::from(tid.cast_unsigned());
    let taken = TAKEN | u64::from(tid.cast_unsigned());
    seats().iter().any(|seat| seat.compare_exchange(expected, taken, AcqRel, Acquire).is_ok())
}

fn give_up(seat: &AtomicU64) {
    let old = seat.load(Acquire);
    if old & !0xffff_ffff == EXPECTED && seat.compare_exchange(old, GONE, AcqRel, Acquire).is_ok() {
        round::arrive();
        round::depart();
    }
}

/// Gives up those who have ended on their way.
pub fn sweep() {
    let is_gone = |seat: &&AtomicU64| {
        let seat = seat.load(Acquire);
        seat & !0xffff_ffff == EXPECTED && !sys::signal_thread(tid_of(seat), 0)
    };
    seats().iter().filter(is_gone).for_each(give_up);
}

/// Lets those out of their critical sections who have ended in one without the C library's knowledge.
pub fn sweep_sections() {
    let is_gone = |thread: &&thread::Thread| thread.depth.load(Relaxed) > 0 && !sys::signal_thread(thread.tid.load(Acquire), 0);
    if let Some(thread) = LOCK.hold(|| thread::all().find(is_gone).inspect(|thread| thread::retire(thread))) {
        section::leave_all(thread);
    }
}

/// Calls `act` with every thread of this process; whether they could be listed.
fn for_each_thread(mut act: impl FnMut(i32)) -> bool {
    let fd = sys::open(c"/proc/self/task", libc::O_RDONLY | libc::O_DIRECTORY);
    if fd < 0 {
        return false;
    }
    let mut buffer = [0u8; 4096];
    loop {
        let got = sys::entries(fd, &mut buffer);
        if got == 0 {
            break;
        }
        let mut rest = &buffer[..got];
        // getdents64(2): inode, offset, length, type, name.
        while let Some(length) = rest.get(16..18).map(|bytes| usize::from(u16::from_ne_bytes([bytes[0], bytes[1]]))) {
            let name = rest.get(19..length).unwrap_or_default();
            if let Some(tid) = number(name) {
                act(tid);
            }
            rest = rest.get(length.max(1)..).unwrap_or_default();
        }
    }
    sys::close(fd);
    true
}

/// The number that a text begins with.
fn number(text: &[u8]) -> Option<i32> {
    let mut value = None;
    for digit in text.iter().take_while(|byte| byte.is_ascii_digit()) {
        value = Some(value.unwrap_or(0i32).checked_mul(10)?.checked_add(i32::from(digit - b'0'))?);
    }
    value
}

/// Whether a thread blocks the reserved signal: the line `SigBlk:` of its status.
fn blocks_signal(tid: i32) -> bool {
    let mut path = *b"/proc/self/task/\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    write_number(&mut path[16..], tid, b"/status");
    let Ok(path) = core::ffi::CStr::from_bytes_until_nul(&path) else { return false };
    let fd = sys::open(path, libc::O_RDONLY);
    if fd < 0 {
        return true;
    }
    let mut text = [0u8; 4096];
    let mut length = 0;
    while length < text.len() {
        match sys::read(fd, &mut text[length..]) {
            0 => break,
            more => length += more,
        }
    }
    sys::close(fd);
    let line = text[..length].windows(8).position(|window| window == b"\nSigBlk:");
    // Sixteen hexadecimal digits follow a tab; the reserved signal is the highest bit of the first.
    let digit = line.and_then(|at| text.get(at + 9)).copied().unwrap_or(b'0');
    !(b'0'..=b'7').contains(&digit)
}

fn write_number(into: &mut [u8], value: i32, then: &[u8]) {
    let mut digits = [0u8; 10];
    let mut rest = value.unsigned_abs();
    let mut count = 0;
    loop {
        digits[count] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        count += 1;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let text = digits[..count].iter().rev().chain(then);
    into.iter_mut().zip(text).for_each(|(place, byte)| *place = *byte);
}

/// Whether the helper of this process is one of its threads still.
pub fn is_there(tid: i32) -> bool {
    tid != 0 && sys::signal_thread(tid, 0)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn threads_are_listed_and_asked_what_they_block() {
        let own = sys::own_tid();
        let mut found = false;
        assert!(for_each_thread(|tid| found |= tid == own));
        assert!(found);
        let before = sys::set_mask(0);
        sys::set_mask(before & !sys::bit(SIGNAL));
        assert!(!blocks_signal(own));
        sys::set_mask(before | sys::bit(SIGNAL));
        assert!(blocks_signal(own));
        sys::set_mask(before);
        assert!(blocks_signal(i32::MAX), "who is gone need not be called");
    }

    #[test]
    fn numbers_are_read_and_written() {
        assert_eq!(number(b"4194304\0x"), Some(4_194_304));
        assert_eq!(number(b"..\0"), None);
        let mut text = [0u8; 12];
        write_number(&mut text, 4_194_304, b"/s");
        assert_eq!(&text, b"4194304/s\0\0\0");
    }
}
