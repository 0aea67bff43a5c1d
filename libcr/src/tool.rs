//! Starting `cr_checkpoint` and `cr_restart` for a request: a child that the host does not notice.
//!
//! It shares our memory until it calls exec, so that nothing is copied; its end sends no signal, and only who asks for such children (`__WALL`) can wait for it. It
//! keeps none of our descriptors but the one of the context file. Relies on the caller to hold the lock of requests: the child's stack is one for all.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::{null, null_mut};

use crate::sys;

/// Where the context file is in the tool.
pub const CONTEXT_FD: c_int = 3;
/// Exit code of a child that has found no tool.
pub const NOT_FOUND: c_int = 127;

const STACK_BYTES: usize = 64 * 1024;
const WORDS: usize = 96;
const TEXT_BYTES: usize = 4096 + 16 * 2 * 4200;

#[repr(align(16))]
struct Stack(UnsafeCell<[u8; STACK_BYTES]>);
// SAFETY: only the child uses it, while the thread that has made it waits with the lock of requests.
unsafe impl Sync for Stack {}
static STACK: Stack = Stack(UnsafeCell::new([0; STACK_BYTES]));

/// The words of a command, one after the other, in memory of their own.
pub struct Words {
    text: *mut u8,
    used: usize,
    starts: [*const c_char; WORDS],
    count: usize,
    is_too_long: bool,
}

impl Words {
    /// No words; `None` without memory.
    pub fn new() -> Option<Words> {
        let text = sys::map(TEXT_BYTES)?.cast();
        Some(Words { text, used: 0, starts: [null(); WORDS], count: 0, is_too_long: false })
    }

    /// Begins a word.
    pub fn begin(&mut self) {
        if self.count + 1 >= WORDS {
            self.is_too_long = true;
            return;
        }
        // SAFETY: `used` is less than the room, as `byte` sees to.
        self.starts[self.count] = unsafe { self.text.add(self.used) }.cast();
        self.count += 1;
    }

    fn byte(&mut self, byte: u8) {
        if self.used + 1 >= TEXT_BYTES {
            self.is_too_long = true;
            return;
        }
        // SAFETY: within the room, as was just seen.
        unsafe { self.text.add(self.used).write(byte) };
        self.used += 1;
    }

    /// Adds to the word.
    pub fn text(&mut self, text: &[u8]) {
        text.iter().for_each(|byte| self.byte(*byte));
    }

    /// Adds a number to the word.
    pub fn number(&mut self, value: u64) {
        if value >= 10 {
            self.number(value / 10);
        }
        self.byte(b'0' + u8::try_from(value % 10).unwrap_or(0));
    }

    /// Ends the word.
    pub fn end(&mut self) {
        self.byte(0);
    }

    /// A whole word.
    pub fn word(&mut self, text: &[u8]) {
        self.begin();
        self.text(text);
        self.end();
    }

    /// A flag with a number.
    pub fn flag(&mut self, name: &[u8], value: u64) {
        self.word(name);
        self.begin();
        self.number(value);
        self.end();
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, and the child that read it has called exec or ended.
        unsafe { libc::munmap(self.text.cast(), TEXT_BYTES) };
    }
}

/// What the child needs to know.
struct Child {
    words: *const *const c_char,
    context: c_int,
    is_session: bool,
}

/// Starts the tool that the first word names; its process, or an error number.
pub fn start(words: &Words, context: c_int, is_session: bool) -> Result<i32, c_int> {
    if words.is_too_long {
        return Err(libc::E2BIG);
    }
    let child = Child { words: words.starts.as_ptr(), context, is_session };
    let mask = sys::set_mask(sys::EVERYTHING);
    // SAFETY: the top of the stack is its end, which is aligned; `child` outlives the call, from which we return when the child has called exec or ended.
    let pid = unsafe {
        let top = STACK.0.get().cast::<u8>().add(STACK_BYTES).cast();
        libc::clone(in_child, top, libc::CLONE_VM | libc::CLONE_VFORK, (&raw const child).cast_mut().cast())
    };
    let errno = sys::errno();
    sys::set_mask(mask);
    if pid < 0 { Err(errno) } else { Ok(pid) }
}

extern "C" fn in_child(argument: *mut c_void) -> c_int {
    // SAFETY: `start` passes it, and waits.
    let child = unsafe { &*argument.cast::<Child>() };
    // Our handlers must not run here, where the memory is the host's.
    let default = [0u64; 4];
    for signal in 1..=64 {
        let mut old = [0u64; 4];
        const IGNORED: u64 = 1;
        // SAFETY: the kernel's structure is four words.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, null::<u64>(), old.as_mut_ptr(), 8usize) };
        if old[0] != IGNORED {
            // SAFETY: as above; the default action is all zero.
            unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), null_mut::<u64>(), 8usize) };
        }
    }
    sys::set_mask(0);
    if child.is_session {
        // SAFETY: takes nothing.
        unsafe { libc::syscall(libc::SYS_setsid) };
    }
    if !take_descriptors(child.context) {
        return NOT_FOUND;
    }
    // SAFETY: `start` passes words that end with a null.
    unsafe { find_and_run(child.words) };
    NOT_FOUND
}

/// Keeps the context file as [`CONTEXT_FD`]; standard input and output lead nowhere; everything else is closed.
fn take_descriptors(context: c_int) -> bool {
    // SAFETY: these take numbers only.
    unsafe {
        if context == CONTEXT_FD {
            libc::syscall(libc::SYS_fcntl, context, libc::F_SETFD, 0);
        } else if libc::syscall(libc::SYS_dup2, context, CONTEXT_FD) < 0 {
            return false;
        }
        libc::syscall(libc::SYS_close_range, CONTEXT_FD + 1, c_int::MAX, 0);
        for fd in 0..CONTEXT_FD {
            libc::syscall(libc::SYS_close, fd);
        }
    }
    // The lowest numbers are free: these become 0, 1 and 2.
    for _ in 0..CONTEXT_FD {
        // SAFETY: the path ends with a NUL.
        unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, c"/dev/null".as_ptr(), libc::O_RDWR, 0) };
    }
    true
}

/// Tries the directory that the environment names, that of the installation, and those of `$PATH`.
///
/// # Safety
/// `words` is an array of texts that ends with a null.
unsafe fn find_and_run(words: *const *const c_char) {
    // SAFETY: the first word is there.
    let name = unsafe { CStr::from_ptr(*words) }.to_bytes();
    // A program with rights of its own must not run what its caller names.
    // SAFETY: takes a number.
    let trusts_caller = unsafe { libc::getauxval(libc::AT_SECURE) } == 0;
    if trusts_caller && let Some(directory) = variable(c"REPRISE_BINDIR") {
        // SAFETY: as for this function.
        unsafe { run(directory, name, words) };
    }
    if let Some(directory) = option_env!("REPRISE_BINDIR") {
        // SAFETY: as for this function.
        unsafe { run(directory.as_bytes(), name, words) };
    }
    let path = if trusts_caller { variable(c"PATH") } else { None };
    for directory in path.unwrap_or(b"/usr/local/bin:/usr/bin:/bin").split(|byte| *byte == b':') {
        // SAFETY: as for this function.
        unsafe { run(if directory.is_empty() { b"." } else { directory }, name, words) };
    }
}

fn variable(name: &CStr) -> Option<&'static [u8]> {
    // SAFETY: the name ends with a NUL; the host keeps its environment still while it calls us, as for any function that reads it.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    // SAFETY: values end with a NUL.
    (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }.to_bytes())
}

/// # Safety
/// `words` is an array of texts that ends with a null.
unsafe fn run(directory: &[u8], name: &[u8], words: *const *const c_char) {
    let mut path = [0u8; 4200];
    let length = directory.len() + 1 + name.len();
    if length >= path.len() {
        return;
    }
    let bytes = directory.iter().chain(b"/").chain(name);
    path.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: path and words end as execve wants them; it returns only if it fails.
    unsafe { libc::execve(path.as_ptr().cast(), words, environ) };
}

/// How a child ended: its wait status; `None` while it runs, an error if there is no such child.
pub fn look(pid: i32, is_last: bool) -> Result<Option<c_int>, c_int> {
    let mut status = 0;
    let flags = libc::__WALL | libc::WNOHANG;
    if !is_last {
        // SAFETY: siginfo is plain data for which zero bytes are valid.
        let mut info: libc::siginfo_t = unsafe { core::mem::zeroed() };
        let id = libc::id_t::try_from(pid).unwrap_or(0);
        // SAFETY: the structure is ours to fill.
        let got = unsafe { libc::waitid(libc::P_PID, id, &raw mut info, libc::WEXITED | libc::WNOWAIT | flags) };
        // SAFETY: the kernel has filled it, with zero if there was nothing.
        let ended = got == 0 && unsafe { info.si_pid() } == pid;
        return if got < 0 { Err(sys::errno()) } else { Ok(ended.then_some(0)) };
    }
    // SAFETY: the status is ours to fill.
    match unsafe { libc::wait4(pid, &raw mut status, libc::__WALL, null_mut()) } {
        got if got == pid => Ok(Some(status)),
        _ => Err(sys::errno()),
    }
}
