//! A pending signal as the kernel shows it: the 128 bytes of `siginfo_t` (sigaction(2)).
//!
//! Not a kind: what the two kinds of pending signals have in common. Relies on the layout of x86-64.

use serde::{Deserialize, Serialize};

use crate::proc::ProcDir;
use crate::resource::{Bind, KindError};
use crate::sys::ptrace;
use crate::tracee::TraceeError;

/// One pending signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Siginfo {
    /// `siginfo_t`, without zero bytes at its end.
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
}

const SIGINFO_BYTES: usize = 128;
const CODE: usize = 8;
/// si_pid, or si_timerid of a timer's signal.
const ID: usize = 16;

const SI_USER: i32 = 0;
const SI_QUEUE: i32 = -1;
const SI_TIMER: i32 = -2;
const SI_TKILL: i32 = -6;

impl Siginfo {
    fn new(bytes: [u8; SIGINFO_BYTES]) -> Siginfo {
        let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        Siginfo { bytes: bytes[..used].to_vec() }
    }

    fn word(&self, at: usize) -> i32 {
        let mut bytes = self.bytes.clone();
        bytes.resize(SIGINFO_BYTES, 0);
        i32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
    }

    /// Its number.
    pub(super) fn signal(&self) -> i32 {
        self.word(0)
    }

    /// The id of the timer that sent it.
    fn timer(&self) -> Option<i32> {
        (self.word(CODE) == SI_TIMER).then(|| self.word(ID))
    }

    /// The bytes for a restored task: the sender is named by its id now.
    pub(super) fn now(&self, cx: &Bind<'_>) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes.resize(SIGINFO_BYTES, 0);
        let names_sender = match self.word(CODE) {
            SI_USER | SI_QUEUE | SI_TKILL => true,
            // CLD_EXITED … CLD_CONTINUED: the child.
            code => self.signal() == libc::SIGCHLD && (1..=6).contains(&code),
        };
        if names_sender {
            bytes[ID..ID + 4].copy_from_slice(&(cx.id)(self.word(ID)).to_le_bytes());
        }
        bytes
    }
}

/// The pending signals of a process (`shared`) or a thread, in order of arrival. A signal of a timer that still exists is left out: the
/// timer sends it again when it is set.
pub(super) fn pending(pid: i32, tid: i32, shared: bool) -> Result<Vec<Siginfo>, KindError> {
    let mut signals = all(tid, shared)?;
    if signals.iter().any(|signal| signal.timer().is_some()) {
        let timers = ProcDir::open(pid)?.timers().unwrap_or_default();
        signals.retain(|signal| signal.timer().is_none_or(|id| timers.iter().all(|timer| timer.id != id)));
    }
    Ok(signals)
}

/// The ids of the timers whose signals are pending.
pub(super) fn expired_timers(tid: i32, shared: bool) -> Result<Vec<i32>, KindError> {
    Ok(all(tid, shared)?.iter().filter_map(Siginfo::timer).collect())
}

fn all(tid: i32, shared: bool) -> Result<Vec<Siginfo>, KindError> {
    let found = ptrace::pending_signals(tid, shared).map_err(|e| TraceeError::request("read the pending signals", tid, e))?;
    Ok(found.into_iter().map(Siginfo::new).collect())
}

#[cfg(test)]
pub(super) fn sample(signal: i32, code: i32, id: i32) -> Siginfo {
    let mut bytes = [0; SIGINFO_BYTES];
    bytes[..4].copy_from_slice(&signal.to_le_bytes());
    bytes[CODE..CODE + 4].copy_from_slice(&code.to_le_bytes());
    bytes[ID..ID + 4].copy_from_slice(&id.to_le_bytes());
    Siginfo::new(bytes)
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;
    use crate::image::Snapshot;

    #[test]
    fn a_sender_gets_its_new_id_and_nothing_else_does() {
        let snapshot: Snapshot = bench::empty_job();
        let cx = Bind {
            snapshot: &snapshot,
            pid: 1,
            tid: 1,
            id: &|id| id + 1000,
            path: &|path| path.to_owned(),
            directories: crate::resource::Directories::default(),
            same_ids: false,
            keeps_surroundings: false,
            warnings: Vec::new(),
        };
        for (what, info, id) in [
            ("kill", sample(libc::SIGTERM, SI_USER, 5), 1005),
            ("tgkill", sample(libc::SIGTERM, SI_TKILL, 5), 1005),
            ("sigqueue", sample(40, SI_QUEUE, 5), 1005),
            ("a child's end", sample(libc::SIGCHLD, 1, 5), 1005),
            ("a fault", sample(libc::SIGSEGV, 1, 5), 5),
            ("a timer", sample(40, SI_TIMER, 5), 5),
            ("a code of the program's own", sample(40, -1001, 5), 5),
        ] {
            let bytes = info.now(&cx);
            assert_eq!((bytes.len(), bytes[..4].to_vec()), (128, info.signal().to_le_bytes().to_vec()), "{what}");
            assert_eq!(i32::from_le_bytes(bytes[16..20].try_into().unwrap()), id, "{what}");
        }
    }
}
