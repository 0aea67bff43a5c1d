//! What the caller gave this process: which of the descriptors 0 to 2 were open, and whether its rights are the caller's own.
//!
//! The Rust runtime opens /dev/null for descriptors 0 to 2 that are closed, before `main`. So they are looked at earlier still, by a function that the C
//! library calls while it starts the program (ELF, `.init_array`).
#![allow(unsafe_code)]

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU8, Ordering};

/// Bit N for descriptor N that was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);

// SAFETY: entries of this section are pointers to functions that take what `main` takes and return nothing; one that takes nothing is called in the same way.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

/// Runs before `main` and before the runtime of Rust: makes system calls only.
extern "C" fn look() {
    for fd in 0..3 {
        // SAFETY: F_GETFD takes numbers only.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1 {
            CLOSED.fetch_or(1 << fd, Ordering::Relaxed);
        }
    }
}

/// Whether the caller gave us this descriptor closed; what is open under its number now is not the caller's.
pub fn was_closed(fd: RawFd) -> bool {
    // The reference keeps the entry above in every program that asks.
    std::hint::black_box(&LOOK);
    (0..3).contains(&fd) && CLOSED.load(Ordering::Relaxed) >> fd & 1 == 1
}

/// Closes again, over exec, what the caller gave us closed: for a program that takes our place.
pub fn close_again_on_exec() {
    for fd in (0..3).filter(|fd| was_closed(*fd)) {
        // SAFETY: F_SETFD takes numbers only. A number that is not open stays so.
        let _ = unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// `getauxval(3)` AT_SECURE and the ids of the process — whether it runs with rights that its caller does not have.
pub fn has_rights_of_its_file() -> bool {
    // SAFETY: takes a number and reads memory that the kernel filled at the start.
    let secure = unsafe { libc::getauxval(libc::AT_SECURE) } != 0;
    let (user, group) = (nix::unistd::getuid() != nix::unistd::geteuid(), nix::unistd::getgid() != nix::unistd::getegid());
    secure || user || group
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_test_has_the_rights_of_its_caller_and_open_descriptors() {
        assert!(!has_rights_of_its_file());
        assert!(!was_closed(1) && !was_closed(2) && !was_closed(3) && !was_closed(-1));
    }
}
