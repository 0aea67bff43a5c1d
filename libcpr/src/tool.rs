//! Starting `cpr`, reading what it says, and waiting for it.
//!
//! The program is that beside the libraries if they were installed (`REPRISE_BINDIR` at build time), else the first in `PATH`; never the latter in a process
//! with rights that its caller lacks. Exit codes of `cpr` are error numbers.

use core::ffi::CStr;
use core::ptr::{null, null_mut};

use libc::{c_char, c_int};

/// Most words of a command line.
const MOST_WORDS: usize = 10;

unsafe extern "C" {
    static environ: *const *mut c_char;
}

/// What became of a run.
pub enum End {
    /// It ended with this code.
    Code(c_int),
    /// We are another life of the process that waited: what it waited for was saved, and we with it.
    Restarted,
    /// It could not be started or waited for; the error number.
    Lost(c_int),
}

/// `errno(3)`.
pub fn errno() -> c_int {
    // SAFETY: the C library gives every thread a valid address.
    unsafe { *libc::__errno_location() }
}

/// Sets errno and returns -1, as C has it.
pub fn fail(errno: c_int) -> c_int {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
    -1
}

/// A command line of `cpr`.
pub struct Command<'a> {
    words: [*const c_char; MOST_WORDS + 1],
    count: usize,
    _words: core::marker::PhantomData<&'a CStr>,
}

impl<'a> Command<'a> {
    /// `cpr -q`, which says nothing to the terminal of its host.
    pub fn new() -> Command<'a> {
        Command { words: [null(); MOST_WORDS + 1], count: 0, _words: core::marker::PhantomData }.word(c"cpr").word(c"-q")
    }

    /// Adds a word.
    pub fn word(mut self, word: &'a CStr) -> Command<'a> {
        if self.count < MOST_WORDS {
            self.words[self.count] = word.as_ptr();
            self.count += 1;
        }
        self
    }

    /// Starts it with its standard output in `out`, if there is one. The process, or an error number.
    fn start(&self, out: Option<c_int>) -> Result<libc::pid_t, c_int> {
        // SAFETY: all zero is a valid value, and init fills it.
        let mut actions: libc::posix_spawn_file_actions_t = unsafe { core::mem::zeroed() };
        // SAFETY: the structure is ours and is destroyed below.
        unsafe { libc::posix_spawn_file_actions_init(&raw mut actions) };
        if let Some(out) = out {
            // SAFETY: as above.
            unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut actions, out, 1) };
        }
        let mut pid = 0;
        let words = self.words.as_ptr().cast::<*mut c_char>();
        // SAFETY: getauxval takes a number.
        let is_trusted = unsafe { libc::getauxval(libc::AT_SECURE) } == 0;
        let mut result = libc::ENOENT;
        if let Some(installed) = INSTALLED {
            // SAFETY: the words end with a null pointer, and so does the environment.
            result = unsafe { libc::posix_spawn(&raw mut pid, installed.as_ptr(), &raw const actions, null(), words, environ) };
        }
        if result == libc::ENOENT && is_trusted {
            // SAFETY: as above.
            result = unsafe { libc::posix_spawnp(&raw mut pid, c"cpr".as_ptr(), &raw const actions, null(), words, environ) };
        }
        // SAFETY: it was initialized above.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut actions) };
        if result == 0 { Ok(pid) } else { Err(result) }
    }

    /// Runs it to its end.
    pub fn run(&self) -> End {
        let children = Children::awaited();
        let end = match self.start(None) {
            Ok(pid) => wait(pid),
            Err(errno) => End::Lost(errno),
        };
        children.put_back();
        end
    }

    /// Runs it and hands what it prints to `hear`, a piece at a time, until that has heard enough. It is waited for if it ends by then.
    pub fn run_and_hear(&self, hear: &mut dyn FnMut(&[u8]) -> Heard) -> End {
        let mut ends = [0; 2];
        // SAFETY: the array has two places.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
            return End::Lost(errno());
        }
        let children = Children::awaited();
        let started = self.start(Some(ends[1]));
        // SAFETY: the descriptor is ours.
        unsafe { libc::close(ends[1]) };
        let end = match started {
            Ok(pid) => listen(ends[0], pid, hear),
            Err(errno) => End::Lost(errno),
        };
        // SAFETY: as above.
        unsafe { libc::close(ends[0]) };
        children.put_back();
        end
    }
}

/// Whether what was printed is enough.
#[derive(PartialEq, Eq)]
pub enum Heard {
    /// More is to come.
    More,
    /// It may go on without us.
    Enough,
}

fn listen(from: c_int, pid: libc::pid_t, hear: &mut dyn FnMut(&[u8]) -> Heard) -> End {
    let mut bytes = [0u8; 1024];
    loop {
        // SAFETY: the buffer is as long as is said.
        let count = unsafe { libc::read(from, bytes.as_mut_ptr().cast(), bytes.len()) };
        match usize::try_from(count) {
            Ok(0) => return wait(pid),
            Ok(count) if hear(&bytes[..count]) == Heard::Enough => return End::Code(0),
            Ok(_) => {}
            Err(_) if errno() == libc::EINTR => {}
            Err(_) => return wait(pid),
        }
    }
}

fn wait(pid: libc::pid_t) -> End {
    let mut status = 0;
    loop {
        // SAFETY: the status is ours to fill.
        if unsafe { libc::waitpid(pid, &raw mut status, 0) } == pid {
            return if libc::WIFEXITED(status) { End::Code(libc::WEXITSTATUS(status)) } else { End::Lost(libc::ECANCELED) };
        }
        match errno() {
            libc::EINTR => {}
            // The child that is waited for is not there in another life.
            libc::ECHILD => return End::Restarted,
            other => return End::Lost(other),
        }
    }
}

/// A host that ignores its children would leave us without the end of ours.
struct Children(Option<libc::sigaction>);

impl Children {
    fn awaited() -> Children {
        // SAFETY: all zero is a valid value.
        let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
        // SAFETY: the structure is ours to fill.
        unsafe { libc::sigaction(libc::SIGCHLD, null(), &raw mut action) };
        if action.sa_sigaction != libc::SIG_IGN && action.sa_flags & libc::SA_NOCLDWAIT == 0 {
            return Children(None);
        }
        // SAFETY: all zero is the default action.
        let usual: libc::sigaction = unsafe { core::mem::zeroed() };
        // SAFETY: both are valid.
        unsafe { libc::sigaction(libc::SIGCHLD, &raw const usual, null_mut()) };
        Children(Some(action))
    }

    fn put_back(self) {
        if let Some(action) = self.0 {
            // SAFETY: it is what the kernel gave.
            unsafe { libc::sigaction(libc::SIGCHLD, &raw const action, null_mut()) };
        }
    }
}

/// `cpr` where it was installed.
const INSTALLED: Option<&CStr> = match option_env!("REPRISE_BINDIR") {
    Some(_) => match CStr::from_bytes_with_nul(concat_installed().as_slice()) {
        Ok(path) => Some(path),
        Err(_) => None,
    },
    None => None,
};

const LENGTH: usize = match option_env!("REPRISE_BINDIR") {
    Some(directory) => directory.len() + 5,
    None => 0,
};

static INSTALLED_BYTES: [u8; LENGTH] = joined();

const fn concat_installed() -> &'static [u8; LENGTH] {
    &INSTALLED_BYTES
}

const fn joined() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    if let Some(directory) = option_env!("REPRISE_BINDIR") {
        let (directory, name) = (directory.as_bytes(), b"/cpr");
        let mut at = 0;
        while at < directory.len() {
            bytes[at] = directory[at];
            at += 1;
        }
        let mut place = 0;
        while place < name.len() {
            bytes[at + place] = name[place];
            place += 1;
        }
    }
    bytes
}
