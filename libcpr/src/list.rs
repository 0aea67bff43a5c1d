//! `ckpt_stat`: what is in a statefile, as a list that the caller frees.
//!
//! `cpr -i --records` prints a line a process: numbers and texts with tabs between them, odd bytes as `\ooo`.

use core::ptr::null_mut;

use libc::{c_char, c_int, pid_t};

use super::request::{path, result};
use super::text::number;
use super::tool::{Command, End, Heard, fail};

const PSARGS: usize = 1024;
const PATH: usize = 4096;
const COMM: usize = 32;
/// Numbers before the texts of a line.
const NUMBERS: usize = 7;

/// `ckpt_stat_t` of `ckpt.h`.
#[repr(C)]
pub struct Stat {
    next: *mut Stat,
    revision: c_int,
    pid: pid_t,
    ppid: pid_t,
    pgrp: pid_t,
    sid: pid_t,
    n_files: c_int,
    stat: libc::stat,
    comm: [u8; COMM],
    psargs: [u8; PSARGS],
    cdir: [u8; PATH],
}

/// `ckpt_stat(3)`
///
/// # Safety
/// `name` is a null pointer or ends with a NUL; `list` is a null pointer or ours to fill.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ckpt_stat(name: *const c_char, list: *mut *mut Stat) -> c_int {
    if list.is_null() {
        return fail(libc::EFAULT);
    }
    // SAFETY: as the interface asks of the caller.
    unsafe { *list = null_mut() };
    let name = match path(name) {
        Ok(name) => name,
        Err(errno) => return fail(errno),
    };
    // SAFETY: all zero is a valid value.
    let mut stat: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: the structure is ours to fill, the name ends with a NUL.
    if unsafe { libc::stat(name.as_ptr(), &raw mut stat) } != 0 {
        return -1;
    }
    let mut lines = Lines { stat, first: null_mut(), last: null_mut(), current: null_mut(), field: 0, text: Field::new(), errno: 0 };
    let end = Command::new().word(c"--records").word(c"-i").word(c"--").word(name).run_and_hear(&mut |bytes| lines.hear(bytes));
    if lines.errno != 0
        || result(match end {
            End::Restarted => End::Lost(libc::ECANCELED),
            end => end,
        }) != 0
    {
        let errno = if lines.errno != 0 { lines.errno } else { super::tool::errno() };
        lines.free();
        return fail(errno);
    }
    // SAFETY: as above.
    unsafe { *list = lines.first };
    0
}

/// A field while it is read.
struct Field {
    bytes: [u8; PATH],
    length: usize,
    /// Octal digits that are still to come, and their value so far.
    escape: (u8, u8),
}

impl Field {
    fn new() -> Field {
        Field { bytes: [0; PATH], length: 0, escape: (0, 0) }
    }

    fn add(&mut self, byte: u8) {
        match self.escape {
            (0, _) if byte == b'\\' => self.escape = (3, 0),
            (0, _) => self.put(byte),
            (left, value) => {
                let value = value.wrapping_mul(8).wrapping_add(byte.wrapping_sub(b'0') & 7);
                self.escape = (left - 1, value);
                if left == 1 {
                    self.put(value);
                }
            }
        }
    }

    fn put(&mut self, byte: u8) {
        // One place is left for the NUL; what is longer is cut.
        if self.length + 1 < PATH {
            self.bytes[self.length] = byte;
            self.length += 1;
        }
    }
}

/// The list while it is made.
struct Lines {
    stat: libc::stat,
    first: *mut Stat,
    last: *mut Stat,
    current: *mut Stat,
    field: usize,
    text: Field,
    errno: c_int,
}

impl Lines {
    fn hear(&mut self, bytes: &[u8]) -> Heard {
        for &byte in bytes {
            match byte {
                b'\t' | b'\n' => {
                    self.end_field();
                    if byte == b'\n' {
                        (self.field, self.current) = (0, null_mut());
                    }
                }
                byte => self.text.add(byte),
            }
        }
        Heard::More
    }

    fn end_field(&mut self) {
        if self.current.is_null() && !self.begin() {
            return;
        }
        // SAFETY: it was made by `begin` and is in our list only.
        let one = unsafe { &mut *self.current };
        let text = &self.text.bytes[..self.text.length];
        if self.field < NUMBERS {
            let value = number(text).unwrap_or(0);
            let small = c_int::try_from(value).unwrap_or(c_int::MAX);
            match self.field {
                0 => one.revision = small,
                1 => one.pid = small,
                2 => one.ppid = small,
                3 => one.pgrp = small,
                4 => one.sid = small,
                5 => one.n_files = small,
                _ => one.stat.st_mtime = value,
            }
        } else if self.field == NUMBERS {
            copy(&mut one.psargs, text);
            copy(&mut one.comm, text.split(|byte| *byte == b' ').next().unwrap_or_default());
        } else {
            copy(&mut one.cdir, text);
        }
        self.field += 1;
        self.text = Field::new();
    }

    fn begin(&mut self) -> bool {
        // SAFETY: takes numbers; all zero is a valid value of what is made.
        let one = unsafe { libc::calloc(1, size_of::<Stat>()) }.cast::<Stat>();
        if one.is_null() {
            self.errno = libc::ENOMEM;
            return false;
        }
        // SAFETY: it was just made.
        unsafe { (*one).stat = self.stat };
        if self.last.is_null() {
            self.first = one;
        } else {
            // SAFETY: it is in our list only.
            unsafe { (*self.last).next = one };
        }
        (self.last, self.current) = (one, one);
        true
    }

    fn free(&mut self) {
        while !self.first.is_null() {
            // SAFETY: it is in our list only.
            let next = unsafe { (*self.first).next };
            // SAFETY: it was made by calloc and nobody has it any more.
            unsafe { libc::free(self.first.cast()) };
            self.first = next;
        }
    }
}

fn copy(into: &mut [u8], text: &[u8]) {
    let length = text.len().min(into.len() - 1);
    into[..length].copy_from_slice(&text[..length]);
    into[length] = 0;
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_line_a_process_wherever_the_pieces_end() {
        let text = b"1000\t7\t1\t7\t5\t3\t99\tsh -c a\\011b\t/tmp/x\n1000\t8\t7\t7\t5\t0\t99\t[sort]\t\n";
        for cut in 0..text.len() {
            // SAFETY: all zero is a valid value.
            let stat = unsafe { core::mem::zeroed() };
            let mut lines =
                Lines { stat, first: null_mut(), last: null_mut(), current: null_mut(), field: 0, text: Field::new(), errno: 0 };
            lines.hear(&text[..cut]);
            lines.hear(&text[cut..]);
            // SAFETY: both were made above.
            let (one, two) = unsafe { (&*lines.first, &*(*lines.first).next) };
            let of = |text: &[u8]| core::ffi::CStr::from_bytes_until_nul(text).unwrap().to_str().unwrap().to_owned();
            assert_eq!((one.pid, one.ppid, one.n_files, one.stat.st_mtime), (7, 1, 3, 99), "cut at {cut}");
            assert_eq!((of(&one.psargs), of(&one.comm), of(&one.cdir)), ("sh -c a\tb".into(), "sh".into(), "/tmp/x".into()));
            assert_eq!((two.pid, of(&two.psargs), of(&two.cdir), two.next.is_null()), (8, "[sort]".into(), String::new(), true));
            lines.free();
        }
    }
}
