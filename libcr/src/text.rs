//! `cr_strerror`: libcr's error numbers in words, and those of C.

use core::ffi::{CStr, c_char};

use libcr_wire::code;

/// `cr_strerror(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_strerror(errno: i32) -> *const c_char {
    match words(errno) {
        Some(text) => text.as_ptr(),
        // SAFETY: strerror takes a number and returns a text.
        None => unsafe { libc::strerror(errno) },
    }
}

fn words(errno: i32) -> Option<&'static CStr> {
    Some(match errno {
        code::TEMPFAIL => c"Checkpoint cancelled by application: try again later",
        code::PERMFAIL => c"Checkpoint cancelled by application: unable to checkpoint",
        code::NOSUPPORT => c"Application has no checkpoint support (libcr)",
        code::VERSION => c"Versions of libcr and of the checkpointer do not match",
        code::OMITTED => c"Process left out of the checkpoint at its own request",
        code::BADARCH => c"Context file does not match this architecture",
        code::PTRACED => c"A process is being traced",
        code::PTRACER => c"A process is tracing others",
        code::RSTRTABRT => c"Restart aborted by application",
        code::RESTARTED => c"Process was restarted from this checkpoint",
        code::NOTCB => c"Only allowed in a checkpoint callback",
        code::NOINIT => c"Thread has not called cr_init()",
        _ => return None,
    })
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn every_number_of_the_library_has_words() {
        for errno in code::TEMPFAIL..=code::NOINIT {
            assert!(words(errno).is_some(), "{errno}");
        }
        assert!(words(libc::ENOENT).is_none());
    }
}
