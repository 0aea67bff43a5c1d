//! What root asks of a file that it follows: nobody else owns it or may write to it.
//!
//! Relies on nothing but what fstat(2) shows. What may be done about a file that fails is left to those who ask.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "fields are named in the messages")]
pub enum Distrust {
    /// It belongs to somebody else.
    #[error("it belongs to user {uid}")]
    Owner { uid: u32 },
    /// Its mode lets others write to it.
    #[error("others can write to it (mode {mode:o})")]
    Writable { mode: u32 },
}

/// The owner shown for users that the user namespace does not map.
pub const UNMAPPED: u32 = 65534;

/// Whether user ids mean what they say: in a user namespace that does not map everybody, the owners of many files are unknown.
pub fn maps_everybody() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Whether a file or directory belongs to somebody whom root does not follow.
pub fn is_foreign(owner: u32, maps_everybody: bool) -> bool {
    owner != 0 && (maps_everybody || owner != UNMAPPED)
}

/// Judges a file by what its descriptor shows. Who may write to it counts first: that is nobody's decision.
pub fn judge(file: &Metadata, maps_everybody: bool) -> Result<(), Distrust> {
    if file.mode() & 0o022 != 0 {
        return Err(Distrust::Writable { mode: file.mode() & 0o7777 });
    }
    if is_foreign(file.uid(), maps_everybody) { Err(Distrust::Owner { uid: file.uid() }) } else { Ok(()) }
}
