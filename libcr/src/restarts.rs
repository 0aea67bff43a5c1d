//! `cr_request_restart` and its companions. The job's lead becomes a child of the caller when the tool has ended.
//!
//! Relies on [`Handle`], whose start makes this process the one that orphans below it go to.

use core::ffi::{CStr, c_char, c_int, c_uint, c_ulong};
use core::ptr::{null, null_mut};

use crate::poll;
use crate::request::{Handle, Outcome};
use crate::tool::Words;
use crate::{sys, thread};

/// `cr_restart_args_t`.
#[repr(C)]
pub struct Arguments {
    version: c_uint,
    fd: c_int,
    signal: c_int,
    flags: c_uint,
    relocate: *const Relocations,
}

/// `struct cr_rstrt_relocate`, followed by its pairs.
#[repr(C)]
pub struct Relocations {
    count: c_int,
    pairs: [Pair; 0],
}

#[repr(C)]
struct Pair {
    old: *const c_char,
    new: *const c_char,
}

const _: () = assert!(size_of::<Arguments>() == 24 && size_of::<Relocations>() == 8 && size_of::<Pair>() == 16);

const VERSION: c_uint = 1;
const ASYNC_ERR: c_uint = 1;
const RESTORE_PID: c_uint = 2;
const MOST_RELOCATIONS: c_int = 16;
/// Flags with the option each becomes, and without it.
const OPTIONS: [(c_uint, &[u8], &[u8]); 3] = [
    (RESTORE_PID, b"--restore-pid", b"--no-restore-pid"),
    (4, b"--restore-pgid", b"--no-restore-pgid"),
    (8, b"--restore-sid", b"--no-restore-sid"),
];

/// `cr_initialize_restart_args_t(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cri_init_restart_args_t(version: c_uint, arguments: *mut Arguments) -> c_int {
    if version != VERSION {
        return sys::fail(libc::EINVAL);
    }
    // SAFETY: callers pass their structure, as the header asks, or null.
    let Some(arguments) = (unsafe { arguments.as_mut() }) else { return sys::fail(libc::EFAULT) };
    *arguments = Arguments { version, fd: -1, signal: 0, flags: RESTORE_PID, relocate: null() };
    0
}

/// `cr_request_restart(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_request_restart(arguments: *mut Arguments, handle: *mut c_ulong) -> c_int {
    // SAFETY: callers pass their structures, as the header asks, or null.
    let (arguments, into) = unsafe { (arguments.as_ref(), handle.as_mut()) };
    let Some((arguments, into)) = arguments.zip(into) else { return sys::fail(libc::EFAULT) };
    match request(arguments) {
        Ok(number) => {
            *into = number;
            0
        }
        Err(errno) => sys::fail(errno),
    }
}

fn request(arguments: &Arguments) -> Result<c_ulong, c_int> {
    thread::set_up()?;
    if arguments.version != VERSION || !(0..=64).contains(&arguments.signal.unsigned_abs().cast_signed()) {
        return Err(libc::EINVAL);
    }
    // SAFETY: takes numbers only.
    let flags = unsafe { libc::fcntl(arguments.fd, libc::F_GETFL) };
    if flags < 0 || flags & libc::O_ACCMODE == libc::O_WRONLY {
        return Err(libc::EBADF);
    }
    let pairs = pairs_of(arguments)?;
    let handle = Handle::take()?;
    let Some(words) = command(arguments, pairs, handle) else {
        handle.free();
        return Err(libc::ENOMEM);
    };
    handle.start(&words, arguments.fd, true)?;
    if arguments.flags & ASYNC_ERR != 0 {
        return Ok(handle.number());
    }
    handle.until_asked();
    match handle.failure() {
        Some(errno) => Err(match handle.reap() {
            Outcome::Failure(errno) => errno,
            Outcome::Success(_) => errno,
        }),
        None => Ok(handle.number()),
    }
}

fn pairs_of(arguments: &Arguments) -> Result<&[Pair], c_int> {
    // SAFETY: callers pass a structure or null, as the header asks.
    let Some(relocations) = (unsafe { arguments.relocate.as_ref() }) else { return Ok(&[]) };
    if !(0..=MOST_RELOCATIONS).contains(&relocations.count) {
        return Err(libc::EINVAL);
    }
    let first = relocations.pairs.as_ptr();
    // SAFETY: so many pairs follow the count, as the header asks.
    let pairs = unsafe { core::slice::from_raw_parts(first, usize::try_from(relocations.count).unwrap_or(0)) };
    if pairs.iter().any(|pair| pair.old.is_null() || pair.new.is_null()) { Err(libc::EFAULT) } else { Ok(pairs) }
}

fn command(arguments: &Arguments, pairs: &[Pair], handle: Handle) -> Option<Words> {
    let mut words = Words::new()?;
    words.word(b"cr_restart");
    handle.name_asker(&mut words);
    words.word(b"--detach");
    words.flag(b"-F", 3);
    if arguments.signal != 0 {
        words.flag(b"-S", u64::from(arguments.signal.unsigned_abs()));
    }
    for (flag, yes, no) in OPTIONS {
        words.word(if arguments.flags & flag != 0 { yes } else { no });
    }
    for pair in pairs {
        words.word(b"--relocate");
        words.begin();
        escaped(&mut words, pair.old);
        words.text(b"=");
        escaped(&mut words, pair.new);
        words.end();
    }
    Some(words)
}

/// A path as `--relocate` takes it.
fn escaped(words: &mut Words, path: *const c_char) {
    // SAFETY: callers pass texts that end, as the header asks.
    for byte in unsafe { CStr::from_ptr(path) }.to_bytes() {
        if matches!(byte, b'=' | b'\\') {
            words.text(b"\\");
        }
        words.text(&[*byte]);
    }
}

/// `cr_wait_restart(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_wait_restart(handle: *mut c_ulong, timeout: *const libc::timeval) -> c_int {
    poll::wait(handle, timeout)
}

/// `cr_log_restart(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_log_restart(handle: *mut c_ulong, length: c_uint, buffer: *mut c_char) -> c_int {
    poll::log(handle, length, buffer)
}

/// `cr_reap_restart(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_reap_restart(handle: *mut c_ulong) -> c_int {
    poll::reap(handle, |lead| lead)
}

/// `cr_poll_restart(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_poll_restart(handle: *mut c_ulong, timeout: *const libc::timeval) -> c_int {
    poll::poll(handle, timeout, null_mut(), |lead| lead)
}

/// `cr_poll_restart_msg(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_poll_restart_msg(handle: *mut c_ulong, timeout: *const libc::timeval, message: *mut *mut c_char) -> c_int {
    poll::poll(handle, timeout, message, |lead| lead)
}
