//! `/proc/PID/status` (proc_pid_status(5)): ids, credentials, signals and seccomp of a process or thread.
//!
//! Relies on nothing. Lines we do not know, the statistics and the speculation lines are passed over. The name is not taken from
//! here, where it is escaped, but from `stat`.

use super::dir::ProcDir;
use super::error::{Malformed, ProcError};
use super::text::{Words, key_value, lines};

/// Real, effective, saved and file system id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ids {
    /// Real.
    pub real: u32,
    /// Effective.
    pub effective: u32,
    /// Saved set.
    pub saved: u32,
    /// Used for file access.
    pub fs: u32,
}

/// Capability sets (capabilities(7)), bit N for capability N.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// CapInh.
    pub inheritable: u64,
    /// CapPrm.
    pub permitted: u64,
    /// CapEff.
    pub effective: u64,
    /// CapBnd.
    pub bounding: u64,
    /// CapAmb.
    pub ambient: u64,
}

/// Signal sets, bit N-1 for signal N.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signals {
    /// SigPnd: pending for this thread.
    pub pending: u64,
    /// ShdPnd: pending for the process.
    pub shared_pending: u64,
    /// SigBlk: blocked by this thread.
    pub blocked: u64,
    /// SigIgn: ignored by the process.
    pub ignored: u64,
    /// SigCgt: caught by the process.
    pub caught: u64,
}

/// The fields that matter to a checkpoint. In a thread's file they are the thread's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// File mode creation mask; a zombie has none.
    pub umask: Option<u32>,
    /// One letter, as in `stat`.
    pub state: char,
    /// Thread group, that is the process id.
    pub tgid: i32,
    /// Thread id.
    pub pid: i32,
    /// Parent process.
    pub ppid: i32,
    /// Process that traces it, or 0.
    pub tracer_pid: i32,
    /// User ids.
    pub uids: Ids,
    /// Group ids.
    pub gids: Ids,
    /// Slots in the descriptor table; 0 in a zombie.
    pub fd_size: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Process id in each pid namespace, ours first, its own last.
    pub ns_tgid: Vec<i32>,
    /// Thread id in each pid namespace.
    pub ns_pid: Vec<i32>,
    /// Process group in each pid namespace.
    pub ns_pgid: Vec<i32>,
    /// Session in each pid namespace.
    pub ns_sid: Vec<i32>,
    /// Whether it is a thread of the kernel (since Linux 6.8).
    pub kthread: bool,
    /// Memory locked by mlock(2), kB.
    pub locked_kb: u64,
    /// Whether it is writing a core dump right now.
    pub core_dumping: bool,
    /// Whether transparent huge pages are allowed (prctl(PR_SET_THP_DISABLE)); a zombie does not say.
    pub thp_enabled: Option<bool>,
    /// Threads in the process.
    pub threads: u32,
    /// Signal sets.
    pub signals: Signals,
    /// Capability sets.
    pub capabilities: Capabilities,
    /// Whether prctl(PR_SET_NO_NEW_PRIVS) was called.
    pub no_new_privs: bool,
    /// 0 none, 1 strict, 2 filters (seccomp(2)).
    pub seccomp: u32,
    /// Installed filters (since Linux 5.9).
    pub seccomp_filters: u32,
    /// Extended thread features in use: `shstk`, `wrss` (x86, shadow stacks).
    pub x86_thread_features: Vec<String>,
    /// Of these, the ones that can no longer be turned off.
    pub x86_thread_features_locked: Vec<String>,
}

/// What every kernel we support writes, for zombies too: a missing one must not be taken for a zero, for example user 0.
const REQUIRED: [&[u8]; 20] = [
    b"State",
    b"Tgid",
    b"Pid",
    b"PPid",
    b"TracerPid",
    b"Uid",
    b"Gid",
    b"FDSize",
    b"Groups",
    b"Threads",
    b"SigPnd",
    b"ShdPnd",
    b"SigBlk",
    b"SigIgn",
    b"SigCgt",
    b"CapInh",
    b"CapPrm",
    b"CapEff",
    b"CapBnd",
    b"CapAmb",
];

impl Status {
    /// Parses the file.
    pub fn parse(text: &[u8]) -> Result<Status, Malformed> {
        let mut status = Status::default();
        let mut n_lines = 1;
        let mut missing = (1_u32 << REQUIRED.len()) - 1;
        for (line, text) in lines(text) {
            let (key, value) = key_value(text).ok_or(Malformed { line, expected: "a key and a colon" })?;
            status.take(key, Words::new(line, value))?;
            n_lines = line;
            if let Some(index) = REQUIRED.iter().position(|required| *required == key) {
                missing &= !(1 << index);
            }
        }
        let complaint = Malformed { line: n_lines, expected: "ids, signals and capabilities before the end" };
        if missing == 0 { Ok(status) } else { Err(complaint) }
    }

    fn take(&mut self, key: &[u8], mut value: Words<'_>) -> Result<(), Malformed> {
        match key {
            b"Umask" => self.umask = Some(value.unsigned(8, "an octal umask")?),
            b"State" => self.state = char::from(value.word("a state letter")?[0]),
            b"Tgid" => self.tgid = value.signed("a process id")?,
            b"Pid" => self.pid = value.signed("a thread id")?,
            b"PPid" => self.ppid = value.signed("a process id")?,
            b"TracerPid" => self.tracer_pid = value.signed("a process id")?,
            b"Uid" => self.uids = ids(&mut value)?,
            b"Gid" => self.gids = ids(&mut value)?,
            b"FDSize" => self.fd_size = value.unsigned(10, "a number of slots")?,
            b"Groups" => self.groups = all(value, |value| value.unsigned(10, "a group id"))?,
            b"NStgid" => self.ns_tgid = all(value, |value| value.signed("a process id"))?,
            b"NSpid" => self.ns_pid = all(value, |value| value.signed("a thread id"))?,
            b"NSpgid" => self.ns_pgid = all(value, |value| value.signed("a process group"))?,
            b"NSsid" => self.ns_sid = all(value, |value| value.signed("a session"))?,
            b"Kthread" => self.kthread = flag(&mut value)?,
            b"VmLck" => self.locked_kb = value.unsigned(10, "a size in kB")?,
            b"CoreDumping" => self.core_dumping = flag(&mut value)?,
            b"THP_enabled" => self.thp_enabled = Some(flag(&mut value)?),
            b"Threads" => self.threads = value.unsigned(10, "a number of threads")?,
            b"NoNewPrivs" => self.no_new_privs = flag(&mut value)?,
            b"Seccomp" => self.seccomp = value.unsigned(10, "a seccomp mode")?,
            b"Seccomp_filters" => self.seccomp_filters = value.unsigned(10, "a number of filters")?,
            b"x86_Thread_features" => self.x86_thread_features = names(value),
            b"x86_Thread_features_locked" => self.x86_thread_features_locked = names(value),
            _ => self.take_set(key, &mut value)?,
        }
        Ok(())
    }

    fn take_set(&mut self, key: &[u8], value: &mut Words<'_>) -> Result<(), Malformed> {
        let set = match key {
            b"SigPnd" => &mut self.signals.pending,
            b"ShdPnd" => &mut self.signals.shared_pending,
            b"SigBlk" => &mut self.signals.blocked,
            b"SigIgn" => &mut self.signals.ignored,
            b"SigCgt" => &mut self.signals.caught,
            b"CapInh" => &mut self.capabilities.inheritable,
            b"CapPrm" => &mut self.capabilities.permitted,
            b"CapEff" => &mut self.capabilities.effective,
            b"CapBnd" => &mut self.capabilities.bounding,
            b"CapAmb" => &mut self.capabilities.ambient,
            _ => return Ok(()),
        };
        *set = value.unsigned(16, "a set in hexadecimal")?;
        Ok(())
    }
}

fn ids(value: &mut Words<'_>) -> Result<Ids, Malformed> {
    let mut id = || value.unsigned(10, "four ids");
    Ok(Ids { real: id()?, effective: id()?, saved: id()?, fs: id()? })
}

fn flag(value: &mut Words<'_>) -> Result<bool, Malformed> {
    Ok(value.unsigned::<u32>(10, "0 or 1")? != 0)
}

fn all<T>(mut value: Words<'_>, one: impl Fn(&mut Words<'_>) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
    let mut items = Vec::new();
    while value.peek().is_some() {
        items.push(one(&mut value)?);
    }
    Ok(items)
}

fn names(value: Words<'_>) -> Vec<String> {
    value.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

impl ProcDir {
    /// `/proc/PID/status`.
    pub fn status(&self) -> Result<Status, ProcError> {
        self.parsed("status", Status::parse)
    }
}

#[cfg(test)]
#[path = "status_test.rs"]
mod test;
