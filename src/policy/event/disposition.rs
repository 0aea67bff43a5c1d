//! What scripts are asked about files, other objects and memory areas.
//!
//! Plain data; the same structs on both sides of a checkpoint.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether a disposition is decided for a checkpoint or for a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the words say it")]
pub enum Side {
    #[default]
    Checkpoint,
    Restart,
}

/// A descriptor of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DescriptorRef {
    /// Process id.
    pub pid: i32,
    /// Descriptor number.
    pub fd: i32,
}

/// `file-disposition`: a regular file that is open or mapped.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileEvent {
    /// `checkpoint` or `restart`.
    pub side: Side,
    /// The first process that has it.
    pub pid: i32,
    /// All descriptors that lead to it; empty for a file that is only mapped.
    pub descriptors: Vec<DescriptorRef>,
    /// Its path; at restart after relocation.
    pub path: String,
    /// Its kind: `regular`.
    pub kind: String,
    /// Open flags of the first descriptor in the words of open(2), for example `O_RDWR`, `O_APPEND`.
    pub flags: Vec<String>,
    /// Whether the job can write to it.
    pub writable: bool,
    /// File offset of the first descriptor, bytes.
    pub offset: u64,
    /// Size at the checkpoint, bytes.
    pub size: u64,
    /// Inode number at the checkpoint.
    pub inode: u64,
    /// Last change of the contents before the checkpoint, seconds since 1970.
    pub mtime: i64,
    /// Whether the job maps it.
    pub mapped: bool,
    /// Whether a mapping of it is shared: what is written there goes into the file.
    pub shared: bool,
    /// Whether it is the program of a process.
    pub executable: bool,
    /// Whether it has no name any more; its contents are always saved.
    pub deleted: bool,
    /// Whether the context file has its contents: replace and substitute are possible at restart.
    pub saved: bool,
    /// What was decided at the checkpoint; nil at the checkpoint itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<String>,
    /// How the file differs from what it was at the checkpoint; nil when it does not, and at the checkpoint itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Changed>,
}

/// What is different about a file since the checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// It is not there any more.
    pub missing: bool,
    /// Its size is another.
    pub size: bool,
    /// Its time of last change is another.
    pub mtime: bool,
    /// Its contents are known to be others: of small files, programs and libraries.
    pub content: bool,
}

/// `object-disposition`: something open, or another thing that a process has, that may not be restorable.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectEvent {
    /// `checkpoint` or `restart`.
    pub side: Side,
    /// The first process that has it.
    pub pid: i32,
    /// All descriptors that lead to it; none for `namespaces`.
    pub descriptors: Vec<DescriptorRef>,
    /// Its kind, for example `socket`, `device`, `tty`, `fifo`; `unknown` when no kind knows it. `namespaces`: a namespace of
    /// the process's own, which it will come back without.
    pub kind: String,
    /// What the link in /proc/PID/fd says: a path, or for example `socket:[4711]`; of a namespace the link in
    /// /proc/PID/ns, for example `net:[4026532000]`.
    pub path: String,
    /// Whether Reprise can restore it: nobody needs to decide.
    pub restorable: bool,
    /// Address family of a socket: `unix`, `inet`, `inet6`, `netlink` …; nil for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Type of a socket: `stream`, `datagram`, `seqpacket`, `raw`; nil for others.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub socket_type: Option<String>,
    /// State of a socket: `listening`, `connected`, `unconnected` …; nil for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Local address of a socket; nil when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// Address of the other end of a socket; nil when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Process at the other end of a local socket; nil when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_pid: Option<i32>,
}

/// `area-disposition`: a memory area whose contents would be saved.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AreaEvent {
    /// The process.
    pub pid: i32,
    /// `[heap]`, `[stack]`, `[anon:NAME]`, the path of a mapped file, or empty for plain anonymous memory.
    pub name: String,
    /// Its first address, and the address after its last byte.
    pub range: (u64, u64),
    /// Access as /proc/PID/maps shows it, for example `rw-p`.
    pub perms: String,
    /// The two-letter attributes of /proc/PID/smaps, for example `dd` (not in core dumps), `wf` (wiped on fork).
    pub flags: Vec<String>,
    /// Bytes that would be saved.
    pub bytes: u64,
    /// The file it maps; nil for anonymous memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}
