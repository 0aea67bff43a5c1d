//! Where the control page of this process is: made by whichever library comes first, found by the others.
//!
//! Relies on `libcr-wire` for its form and places. The page is never unmapped: a library that was closed must not take away what another uses.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use libcr_wire::{Control, MAGIC, PAGE_BYTES, PLACES, VERSION};

/// The page of this process; `None` if no place for it is left.
pub fn get() -> Option<&'static Control> {
    PLACES.iter().find_map(|&place| found(place).or_else(|| made(place)))
}

fn made(place: u64) -> Option<&'static Control> {
    let at = usize::try_from(place).ok()? as *mut libc::c_void;
    let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE);
    // SAFETY: with MAP_FIXED_NOREPLACE nothing that is mapped changes; old kernels take the address for a hint.
    let got = unsafe { libc::mmap(at, PAGE_BYTES, access, flags, -1, 0) };
    if got == libc::MAP_FAILED {
        return None;
    }
    if got != at {
        // SAFETY: the mapping was made above and nobody knows it.
        unsafe { libc::munmap(got, PAGE_BYTES) };
        return None;
    }
    let page = control(place);
    page.version.store(VERSION, Relaxed);
    // SAFETY: getpid takes nothing and cannot fail.
    page.pid.store(unsafe { libc::getpid() }, Relaxed);
    page.magic.store(MAGIC, Release);
    Some(page)
}

fn found(place: u64) -> Option<&'static Control> {
    let mut magic = 0u64;
    let local = libc::iovec { iov_base: (&raw mut magic).cast(), iov_len: 8 };
    let remote = libc::iovec { iov_base: usize::try_from(place).ok()? as *mut libc::c_void, iov_len: 8 };
    // SAFETY: `local` is exactly `magic`; what is remote need not be mapped.
    let read = unsafe { libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) };
    let page = (read == 8 && magic == MAGIC).then(|| control(place))?;
    (page.version.load(Acquire) == VERSION).then_some(page)
}

fn control(place: u64) -> &'static Control {
    // SAFETY: a page of ours is mapped there, as both callers know; it holds atomics only, for which all bytes are valid, and stays for ever.
    unsafe { &*(place as *const Control) }
}
