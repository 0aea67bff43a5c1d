//! `cr_request_checkpoint` and its companions: the words of the command, and what its end means.
//!
//! Relies on [`Handle`]. A request of oneself is taken before the call returns, unless one is in a critical section.

use core::ffi::{c_char, c_int, c_uint, c_ulong};
use core::ptr::null_mut;
use core::sync::atomic::Ordering::Relaxed;

use crate::poll::{self, Timeout};
use crate::request::{Handle, Outcome};
use crate::tool::Words;
use crate::{round, sys, thread};

/// `cr_checkpoint_args_t`.
#[repr(C)]
pub struct Arguments {
    version: c_uint,
    scope: c_int,
    target: c_int,
    fd: c_int,
    signal: c_int,
    timeout: c_uint,
    flags: c_uint,
}

const _: () = assert!(size_of::<Arguments>() == 28);

const VERSION: c_uint = 1;
const DEST_CWD: c_int = -4096;
const PROHIBIT_SELF: c_uint = 0x1;
const ASYNC_ERR: c_uint = 0x10;
/// Flags with the option each becomes.
const OPTIONS: [(c_uint, &[u8]); 7] = [
    (PROHIBIT_SELF, b"--prohibit-requester"),
    (0x2, b"--ptraced-allow"),
    (0x4, b"--ptraced-skip"),
    (0x8, b"--ptracer-skip"),
    (0x200, b"--save-exe"),
    (0x400, b"--save-private"),
    (0x800, b"--save-shared"),
];
const SCOPES: [&[u8]; 4] = [b"--pid", b"--pgid", b"--sid", b"--tree"];

/// `cr_initialize_checkpoint_args_t(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cri_init_checkpoint_args_t(version: c_uint, arguments: *mut Arguments) -> c_int {
    if version != VERSION {
        return sys::fail(libc::EINVAL);
    }
    // SAFETY: callers pass their structure, as the header asks, or null.
    let Some(arguments) = (unsafe { arguments.as_mut() }) else { return sys::fail(libc::EFAULT) };
    *arguments = Arguments { version, scope: -1, target: 0, fd: -1, signal: 0, timeout: 0, flags: 0 };
    0
}

/// `cr_request_checkpoint(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_request_checkpoint(arguments: *mut Arguments, handle: *mut c_ulong) -> c_int {
    // SAFETY: callers pass their structures, as the header asks, or null.
    let arguments = unsafe { arguments.as_ref() };
    let Some(arguments) = arguments.filter(|_| !handle.is_null()) else { return sys::fail(libc::EFAULT) };
    match request(arguments) {
        Ok(number) => {
            // SAFETY: as above; not kept as a reference while callbacks ran.
            unsafe { *handle = number };
            0
        }
        Err(errno) => sys::fail(errno),
    }
}

fn request(arguments: &Arguments) -> Result<c_ulong, c_int> {
    thread::set_up()?;
    let scope = usize::try_from(arguments.scope).ok().and_then(|scope| SCOPES.get(scope)).ok_or(libc::EINVAL)?;
    let is_signal = |signal: c_int| (0..=64).contains(&signal.unsigned_abs().cast_signed());
    if arguments.version != VERSION || arguments.target < 0 || !is_signal(arguments.signal) {
        return Err(libc::EINVAL);
    }
    let has_file = arguments.fd != DEST_CWD;
    if has_file && !is_writable(arguments.fd) {
        return Err(libc::EBADF);
    }
    let handle = Handle::take()?;
    let Some(words) = command(arguments, scope, has_file, handle) else {
        handle.free();
        return Err(libc::ENOMEM);
    };
    handle.start(&words, if has_file { arguments.fd } else { 0 }, false)?;
    drop(words);
    handle.until_asked();
    if let Some(errno) = handle.failure().filter(|_| arguments.flags & ASYNC_ERR == 0) {
        return Err(match handle.reap() {
            Outcome::Failure(errno) => errno,
            Outcome::Success(_) => errno,
        });
    }
    let may_be_taken = thread::current().is_none_or(|own| own.depth.load(Relaxed) == 0 && own.group.load(Relaxed).is_null());
    if may_be_taken {
        round::until_over();
    }
    Ok(handle.number())
}

/// Whether a descriptor is open for writing.
fn is_writable(fd: c_int) -> bool {
    // SAFETY: takes numbers only.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    flags >= 0 && flags & libc::O_ACCMODE != libc::O_RDONLY
}

fn command(arguments: &Arguments, scope: &[u8], has_file: bool, handle: Handle) -> Option<Words> {
    let mut words = Words::new()?;
    words.word(b"cr_checkpoint");
    handle.name_asker(&mut words);
    words.word(scope);
    if has_file {
        words.flag(b"-F", 3);
        words.word(b"--nosync");
    }
    if arguments.signal != 0 {
        words.flag(b"-S", u64::from(arguments.signal.unsigned_abs()));
    }
    if arguments.timeout != 0 {
        words.flag(b"--time", u64::from(arguments.timeout));
    }
    for (flag, option) in OPTIONS {
        if arguments.flags & flag != 0 {
            words.word(option);
        }
    }
    words.begin();
    words.number(u64::from(arguments.target.unsigned_abs()));
    words.end();
    Some(words)
}

/// `cr_wait_checkpoint(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_wait_checkpoint(handle: *mut c_ulong, timeout: *const libc::timeval) -> c_int {
    poll::wait(handle, timeout)
}

/// `cr_log_checkpoint(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_log_checkpoint(handle: *mut c_ulong, length: c_uint, buffer: *mut c_char) -> c_int {
    poll::log(handle, length, buffer)
}

/// `cr_reap_checkpoint(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_reap_checkpoint(handle: *mut c_ulong) -> c_int {
    poll::reap(handle, |_| 1)
}

/// `cr_poll_checkpoint(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_poll_checkpoint(handle: *mut c_ulong, timeout: *const libc::timeval) -> c_int {
    poll::poll(handle, timeout, null_mut(), |_| 1)
}

/// `cr_poll_checkpoint_msg(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_poll_checkpoint_msg(handle: *mut c_ulong, timeout: *const libc::timeval, message: *mut *mut c_char) -> c_int {
    poll::poll(handle, timeout, message, |_| 1)
}

/// `cr_request(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_request() {
    oneself(DEST_CWD);
}

/// `cr_request_file(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_request_file(name: *const c_char) {
    if name.is_null() {
        return;
    }
    // SAFETY: callers pass a text that ends, as the header asks.
    let fd = unsafe { libc::open(name, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC, 0o600) };
    if fd >= 0 {
        oneself(fd);
        sys::close(fd);
    }
}

/// `cr_request_fd(3)`.
#[unsafe(no_mangle)]
pub extern "C" fn cr_request_fd(fd: c_int) {
    oneself(fd);
}

/// Checkpoints this process, and waits for it. There is nobody to tell of a failure.
fn oneself(fd: c_int) {
    let arguments = Arguments { version: VERSION, scope: 0, target: sys::own_pid(), fd, signal: 0, timeout: 0, flags: 0 };
    if let Ok(number) = request(&arguments)
        && let Some(handle) = Handle::of(number)
    {
        while !handle.is_over() {
            round::attend();
            sys::sleep(Timeout::PAUSE_NS);
        }
        let _ = handle.reap();
    }
}
