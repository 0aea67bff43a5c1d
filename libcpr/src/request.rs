//! `ckpt_create`, `ckpt_restart`, `ckpt_remove`, `ckpt_setup` and `cpr_flags`.

use core::ffi::CStr;
use core::sync::atomic::{AtomicI32, Ordering::Relaxed};

use libc::{c_char, c_int, c_longlong, c_ulong, c_void};

use super::text::{Text, number};
use super::tool::{Command, End, Heard, fail};

/// `cpr_flags`: options for the next calls.
#[unsafe(no_mangle)]
pub static cpr_flags: AtomicI32 = AtomicI32::new(0);

const KILL: i32 = 0x01;
const CONT: i32 = 0x02;
const UPGRADE: i32 = 0x04;
const DISTRIBUTE: i32 = 0x08;
const INTERACTIVE: i32 = 0x10;
const KNOWN: i32 = KILL | CONT | UPGRADE | DISTRIBUTE | INTERACTIVE;

/// The types of ids in `ckpt.h`, and their words on command lines.
const TYPES: &[(c_ulong, &[u8])] =
    &[(1, b":PID"), (2, b":GID"), (0x11, b":SID"), (0x12, b":ASH"), (0x13, b":HID"), (0x14, b":SGP"), (0x15, b":JID")];

/// The path of a call; an error number if there is none.
pub fn path<'a>(path: *const c_char) -> Result<&'a CStr, c_int> {
    if path.is_null() {
        return Err(libc::EFAULT);
    }
    // SAFETY: it ends with a NUL, as the interface asks of the caller.
    let path = unsafe { CStr::from_ptr(path) };
    if path.is_empty() { Err(libc::ENOENT) } else { Ok(path) }
}

/// A path that no option can be mistaken for.
fn safe_path(path: &CStr) -> Text<4200> {
    let text = Text::new();
    let text = if path.to_bytes().starts_with(b"-") { text.add(b"./") } else { text };
    text.add(path.to_bytes())
}

/// The result of a run as C has it: exit codes are error numbers.
pub fn result(end: End) -> c_int {
    match end {
        End::Code(0) | End::Restarted => 0,
        // What it says about a command line is about our arguments.
        End::Code(255) => fail(libc::EINVAL),
        End::Code(errno) | End::Lost(errno) => fail(errno),
    }
}

/// `ckpt_create(3)`
///
/// # Safety
/// `name` is a null pointer or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ckpt_create(name: *const c_char, id: c_longlong, kind: c_ulong, _: *mut c_void, _: usize) -> c_int {
    let flags = cpr_flags.load(Relaxed);
    let contradict = flags & KILL != 0 && flags & CONT != 0;
    let word = TYPES.iter().find(|(number, _)| *number == kind & 0xff).map(|(_, word)| *word);
    let (name, word) = match (path(name), word) {
        (Err(errno), _) => return fail(errno),
        (_, None) => return fail(libc::EINVAL),
        _ if flags & !KNOWN != 0 || contradict => return fail(libc::EINVAL),
        _ if flags & DISTRIBUTE != 0 => return fail(libc::ENOTSUP),
        (Ok(name), Some(word)) => (name, word),
    };
    let (name, id) = (safe_path(name), Text::<32>::new().hexadecimal(id.cast_unsigned()).add(word));
    let (Some(name), Some(id)) = (name.as_c(), id.as_c()) else { return fail(libc::ENAMETOOLONG) };
    let mut command = Command::new().word(c"-c").word(name).word(c"-p").word(id);
    for (flag, option) in [(KILL, c"-k"), (CONT, c"-g"), (UPGRADE, c"-u")] {
        command = if flags & flag != 0 { command.word(option) } else { command };
    }
    result(command.run())
}

/// `ckpt_restart(3)`
///
/// # Safety
/// As [`ckpt_create`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ckpt_restart(name: *const c_char, _: *mut c_void, _: usize) -> c_longlong {
    let name = match path(name) {
        Ok(name) => safe_path(name),
        Err(errno) => return fail(errno).into(),
    };
    let Some(name) = name.as_c() else { return fail(libc::ENAMETOOLONG).into() };
    let mut command = Command::new().word(c"--json").word(c"-r").word(name);
    if cpr_flags.load(Relaxed) & INTERACTIVE != 0 {
        command = command.word(c"-j");
    }
    let mut finder = Finder::new();
    let end = command.run_and_hear(&mut |bytes| if finder.hear(bytes) { Heard::Enough } else { Heard::More });
    match finder.lead {
        Some(lead) => lead,
        None if result(end) == 0 => fail(libc::ESRCH).into(),
        None => -1,
    }
}

/// Finds `"lead":4711` in what is printed.
struct Finder {
    matched: usize,
    digits: [u8; 12],
    count: usize,
    lead: Option<i64>,
}

impl Finder {
    const SOUGHT: &'static [u8] = b"\"lead\":";

    fn new() -> Finder {
        Finder { matched: 0, digits: [0; 12], count: 0, lead: None }
    }

    /// Whether it was found.
    fn hear(&mut self, bytes: &[u8]) -> bool {
        for &byte in bytes {
            if self.lead.is_some() {
                break;
            }
            if self.matched < Finder::SOUGHT.len() {
                let is_next = byte == Finder::SOUGHT[self.matched];
                self.matched = if is_next { self.matched + 1 } else { usize::from(byte == Finder::SOUGHT[0]) };
            } else if byte.is_ascii_digit() && self.count < self.digits.len() {
                self.digits[self.count] = byte;
                self.count += 1;
            } else {
                self.lead = number(&self.digits[..self.count]);
                (self.matched, self.count) = (0, 0);
            }
        }
        self.lead.is_some()
    }
}

/// `ckpt_remove(3)`
///
/// # Safety
/// As [`ckpt_create`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ckpt_remove(name: *const c_char) -> c_int {
    let name = match path(name) {
        Ok(name) => safe_path(name),
        Err(errno) => return fail(errno),
    };
    let Some(name) = name.as_c() else { return fail(libc::ENAMETOOLONG) };
    result(Command::new().word(c"-D").word(name).run())
}

/// `ckpt_setup(3)`: nothing to do.
#[unsafe(no_mangle)]
pub extern "C" fn ckpt_setup(_: *mut c_void, _: usize) -> c_int {
    0
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn the_lead_is_found_wherever_the_pieces_end() {
        let text = b"{\"ok\":true,\"\"lead\":4711,\"pids\":[[4711,4711]]}";
        for cut in 0..text.len() {
            let mut finder = Finder::new();
            finder.hear(&text[..cut]);
            finder.hear(&text[cut..]);
            assert_eq!(finder.lead, Some(4711), "cut at {cut}");
        }
        let mut none = Finder::new();
        assert!(!none.hear(b"{\"lead\":null}"));
    }
}
