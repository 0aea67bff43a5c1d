//! Whether a file that is read, or that is memory, is still what it was at the checkpoint.
//!
//! Relies on size, times and evidence of both. Leaves to `length` what becomes of files that the job writes.

use super::{Evidence, RegularV1};
use crate::proc::FileStat;
use crate::resource::Uses;

/// What stands at the path at restart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// Bytes.
    pub size: u64,
    /// Last change of its contents: seconds and nanoseconds since 1970.
    pub mtime: (i64, i64),
    /// Whether it is the very file that was saved.
    pub is_same_inode: bool,
}

impl Now {
    pub fn of(found: &FileStat, state: &RegularV1) -> Now {
        Now {
            size: u64::try_from(found.size).unwrap_or(0),
            mtime: (found.mtime_s, found.mtime_ns),
            is_same_inode: (found.dev, found.ino) == (state.dev, state.ino),
        }
    }

    pub fn is_untouched(&self, state: &RegularV1) -> bool {
        self.is_same_inode && self.size == state.size && self.mtime == state.mtime
    }
}

/// Decides about files that are read, or that are memory, and are not what they were: what is wrong with them, or nothing. Memory that the job
/// believes in must not change under it. What it reads itself may have grown, and may be another if somebody said so.
pub(super) fn judge(state: &RegularV1, now: &Now, uses: Uses, evidence: impl FnOnce() -> Option<Evidence>) -> Option<String> {
    let is_asked_for = state.is_accepted || !state.goes_back();
    if !uses.is_memory && (is_asked_for || state.size == 0) {
        return None;
    }
    let looks_same = (now.size, now.mtime) == (state.size, state.mtime);
    let may_have_grown = !uses.is_memory && state.size <= now.size;
    let other_size = || format!("it had {} bytes and has {}", state.size, now.size);
    match (&state.evidence, state.evidence.as_ref().and_then(|_| evidence())) {
        (Some(old), Some(new)) if *old != new => Some(format!("it had {} and has {}", old.word(), new.word())),
        (Some(Evidence::BuildId(_)), Some(_)) => None,
        (Some(Evidence::Checksum(_)), Some(_)) if may_have_grown || now.size == state.size => None,
        (Some(Evidence::Ends(_)), Some(_)) if may_have_grown && now.size != state.size && now.is_same_inode => None,
        _ if looks_same => None,
        _ if now.size != state.size => Some(other_size()),
        _ => Some(format!("it was last written {}", later(state.mtime, now.mtime))),
    }
}

fn later(old: (i64, i64), new: (i64, i64)) -> String {
    let seconds = new.0.saturating_sub(old.0);
    match seconds {
        0 => "within the same second".to_owned(),
        1.. => format!("{seconds} seconds later"),
        _ => format!("{} seconds earlier", seconds.unsigned_abs()),
    }
}
