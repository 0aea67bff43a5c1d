//! System V shared memory that tells those who share it when this thread ends, by robust futexes (get_robust_list(2)).
//!
//! Relies on the kernel: when a thread ends it goes through its robust list and marks every futex that holds the thread's id, before its tracees
//! are let go. The bytes are shared with other processes, so they are copied in and out, never borrowed.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use libc::{c_int, c_long};

use super::{Errno, check, fault};

/// A segment of ours, mapped for reading and writing. It goes when nobody maps it any more.
#[derive(Debug)]
pub struct Segment {
    id: c_int,
    base: usize,
    bytes: usize,
    mourned: Option<Mourned>,
}

/// The head of a robust list while it is this thread's, and the list that was before.
#[derive(Debug)]
struct Mourned {
    _head: Box<Head>,
    before: (usize, usize),
}

/// `struct robust_list_head` (linux/futex.h).
#[repr(C)]
#[derive(Debug)]
struct Head {
    list: usize,
    distance: isize,
    pending: usize,
}
const _: () = assert!(size_of::<Head>() == 24);

impl Segment {
    /// `shmget(2)`, `shmat(2)`, `shmctl(2)` — a segment that a user may map, executable too, and that has no name. ENOSYS, ENOSPC, EPERM: there is none to be had.
    pub fn new(bytes: usize, uid: u32, gid: u32) -> Result<Segment, Errno> {
        const OWNER_ALL: c_int = 0o700;
        let flags = libc::IPC_CREAT | libc::SHM_NORESERVE | OWNER_ALL;
        // SAFETY: shmget(2) takes numbers only.
        let id = check(c_long::from(unsafe { libc::shmget(libc::IPC_PRIVATE, bytes, flags) }))?;
        let id = c_int::try_from(id).map_err(|_| Errno::EOVERFLOW)?;
        // SAFETY: the kernel chooses free addresses.
        let base = unsafe { libc::shmat(id, std::ptr::null(), 0) };
        let mapped = check(base as c_long).and_then(|_| give(id, uid, gid));
        // SAFETY: the command has no argument. It cannot fail for a segment of ours.
        unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
        if base as isize != -1 {
            let segment = Segment { id, base: base as usize, bytes, mourned: None };
            return mapped.map(|()| segment);
        }
        mapped.and(Err(Errno::EINVAL))
    }

    /// Its id, by which others map it while somebody does.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Copies bytes in.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(
            offset.checked_add(bytes.len()).is_some_and(|end| end <= self.bytes),
            "{} bytes at {offset} of {}",
            bytes.len(),
            self.bytes
        );
        fault::mark("tracee");
        // SAFETY: the range lies in our mapping, and `bytes` is no part of it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), (self.base + offset) as *mut u8, bytes.len()) };
    }

    /// Copies bytes out.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) {
        assert!(
            offset.checked_add(bytes.len()).is_some_and(|end| end <= self.bytes),
            "{} bytes at {offset} of {}",
            bytes.len(),
            self.bytes
        );
        // SAFETY: as in `write`.
        unsafe { std::ptr::copy_nonoverlapping((self.base + offset) as *const u8, bytes.as_mut_ptr(), bytes.len()) };
    }

    /// A 32-bit word.
    pub fn word(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4) && offset + 4 <= self.bytes, "a word at {offset} of {}", self.bytes);
        // SAFETY: the word lies in our mapping for as long as `self` lives, is aligned, and only atomics look at it as a word.
        unsafe { AtomicU32::from_ptr((self.base + offset) as *mut u32) }
    }

    /// `futex(2)` FUTEX_WAIT — waits while a word has this value, until somebody wakes us or the time is over.
    pub fn wait(&self, offset: usize, value: u32, limit: Duration) {
        let limit = libc::timespec { tv_sec: 0, tv_nsec: c_long::from(limit.subsec_nanos()) };
        let word = self.word(offset);
        // SAFETY: the word and the time live through the call. Whatever it returns, the caller looks again.
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, &raw const limit, 0, 0) };
    }

    /// `set_robust_list(2)` — from now on, when this thread ends, the kernel marks the futexes that lie `distance` bytes behind these places; each
    /// place is a list entry of 8 bytes. Returns what the futexes must hold: our thread id, and that somebody waits. The thread's list is put
    /// back when the segment goes.
    pub fn mourn(&mut self, places: &[usize], distance: isize) -> Result<u32, Errno> {
        let mut before = (0usize, 0usize);
        // SAFETY: the kernel writes two words to live locals; 0 is this thread.
        check(unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut before.0, &raw mut before.1) })?;
        let mut head = Box::new(Head { list: 0, distance, pending: 0 });
        let mut next = std::ptr::from_ref::<Head>(&head) as usize;
        for place in places.iter().rev() {
            self.write(*place, &next.to_le_bytes());
            next = self.base + place;
        }
        head.list = next;
        let address = std::ptr::from_ref::<Head>(&head);
        // SAFETY: the head stays where it is until the list is put back; the kernel reads the entries with care.
        check(unsafe { libc::syscall(libc::SYS_set_robust_list, address, size_of::<Head>()) })?;
        self.mourned = Some(Mourned { _head: head, before });
        // SAFETY: takes no arguments.
        let tid = check(unsafe { libc::syscall(libc::SYS_gettid) })?;
        Ok(u32::try_from(tid).map_err(|_| Errno::EOVERFLOW)? | libc::FUTEX_WAITERS)
    }
}

/// `shmctl(2)` IPC_SET — the user who may map it.
fn give(id: c_int, uid: u32, gid: u32) -> Result<(), Errno> {
    // SAFETY: all zeros is a valid shmid_ds.
    let mut state: libc::shmid_ds = unsafe { std::mem::zeroed() };
    (state.shm_perm.uid, state.shm_perm.gid, state.shm_perm.mode) = (uid, gid, 0o700);
    // SAFETY: the kernel reads the live struct.
    check(c_long::from(unsafe { libc::shmctl(id, libc::IPC_SET, &mut state) })).map(drop)
}

impl Drop for Segment {
    fn drop(&mut self) {
        if let Some(mourned) = &self.mourned {
            // SAFETY: the list that this thread had from libc, which lives as long as the thread.
            unsafe { libc::syscall(libc::SYS_set_robust_list, mourned.before.0, mourned.before.1) };
        }
        // SAFETY: the address came from shmat(2), and nothing borrows from the mapping any more.
        unsafe { libc::shmdt(self.base as *const libc::c_void) };
    }
}

/// Sets a word that others look at.
pub fn set(word: &AtomicU32, value: u32) {
    word.store(value, Ordering::Release);
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_thread_that_ends_marks_its_words() {
        let own = nix::unistd::geteuid().as_raw();
        let mut segment = Segment::new(8192, own, nix::unistd::getegid().as_raw()).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let alive = segment.mourn(&[64, 4096], 8).unwrap();
                set(segment.word(72), alive);
                set(segment.word(4104), alive);
                // The list must still be there when the thread ends.
                std::mem::forget(segment.mourned.take());
            });
            thread.join().unwrap();
        });
        for at in [72, 4104] {
            assert_eq!(segment.word(at).load(Ordering::Acquire) & libc::FUTEX_OWNER_DIED, libc::FUTEX_OWNER_DIED);
        }
    }

    #[test]
    fn bytes_go_in_and_come_out() {
        let segment = Segment::new(4096, nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw()).unwrap();
        segment.write(100, b"abc");
        let mut back = [0; 3];
        segment.read(100, &mut back);
        assert_eq!(&back, b"abc");
    }
}
