//! The whole description of a checkpointed job in memory: processes, threads, memory areas, descriptors, objects.
//!
//! Plain data; relies on [`Record`] for everything that a kind owns. The order in the file is the order here, and page contents
//! follow it (see `FORMAT.md`). Indices (`MmId`, `TableId`, `DescriptionId`, `ObjectId`) are positions in the vectors of [`Snapshot`].

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::disposition::LostSort;
use super::record::Record;

/// Position of an address space in [`Snapshot::memories`].
pub type MmId = u32;
/// Position of a descriptor table in [`Snapshot::tables`].
pub type TableId = u32;
/// Position of an open file description in [`Snapshot::descriptions`].
pub type DescriptionId = u32;
/// Position of an object in [`Snapshot::objects`].
pub type ObjectId = u32;

/// Everything needed to put the job back, except the contents of its pages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The machine and the program that made it.
    pub origin: Origin,
    /// What was asked for.
    pub scope: Scope,
    /// The ids that were asked for, of the kind that `scope` says.
    pub ids: Vec<i64>,
    /// What each of the ids names, where they are of several kinds; else empty.
    #[serde(default)]
    pub scopes: Vec<Scope>,
    /// Processes, parents before their children.
    pub processes: Vec<Process>,
    /// Address spaces. Processes made with CLONE_VM share one.
    pub memories: Vec<Memory>,
    /// Descriptor tables. Processes made with CLONE_FILES share one.
    pub tables: Vec<Table>,
    /// Open file descriptions. Duplicated and inherited descriptors share one.
    pub descriptions: Vec<Description>,
    /// What descriptions and shared areas reach; an object stands after those it needs.
    pub objects: Vec<Object>,
    /// Who decided what, where there was a choice.
    pub decisions: Vec<Decision>,
    /// Notes left by hooks.
    #[serde(default)]
    pub annotations: Vec<(String, String)>,
    /// What hooks want to find again at the restart, as JSON; empty for nothing.
    #[serde(default)]
    pub kept: String,
    /// Which part of a job this is, when the job was saved with one file a process.
    #[serde(default)]
    pub part: Option<Part>,
    /// What the job comes back without.
    #[serde(default)]
    pub lost: Vec<Lost>,
    /// The vdso of the kernel that ran the job, as it is mapped; empty when no process had one.
    #[serde(default, with = "serde_bytes")]
    pub vdso: Vec<u8>,
}

/// Something that a process had, and that somebody allowed to be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// The process.
    pub pid: i32,
    /// What sort of state.
    pub sort: LostSort,
    /// Which, in words.
    pub what: String,
}

/// One file of a job that was saved into a directory (`cr_checkpoint --dir`). Part 0 describes the whole job; each part has the pages
/// of one process, part 0 those of all objects too. The pages of a later part are those of its memory 1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The same in all parts of a job, and in no other.
    pub job: String,
    /// Position among the parts: that of the process in part 0.
    pub index: u32,
    /// Number of parts.
    pub count: u32,
}

/// The machine and the program that made a context file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Version of the program.
    pub program: String,
    /// `uname` release, for example `6.18.44`.
    pub kernel: String,
    /// `uname` node name.
    pub host: String,
    /// `/proc/sys/kernel/random/boot_id`: tells a restart on the same boot from another.
    pub boot_id: String,
    /// Extended processor state components in use (the XCR0 register).
    pub xcr0: u64,
    /// Size in bytes of the extended state area.
    pub xstate_bytes: u32,
    /// Wall clock at the checkpoint, nanoseconds since 1970.
    pub realtime_ns: u64,
    /// CLOCK_MONOTONIC at the checkpoint as the job saw it, nanoseconds.
    pub monotonic_ns: u64,
    /// CLOCK_BOOTTIME at the checkpoint as the job saw it, nanoseconds.
    pub boottime_ns: u64,
}

/// What the ids of a request name (`cr_checkpoint(1)`, "scope").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// A process and its descendants that are not orphans.
    #[default]
    Tree,
    /// One process.
    Process,
    /// A process group.
    Group,
    /// A session.
    Session,
    /// All processes that share the address space of one.
    Share,
    /// A control group with all below it, by the number of its directory.
    Cgroup,
    /// A job of a batch system, by its number.
    Batch,
}

impl Scope {
    /// The word in messages, scripts and context files.
    pub fn word(self) -> &'static str {
        match self {
            Scope::Tree => "tree",
            Scope::Process => "process",
            Scope::Group => "group",
            Scope::Session => "session",
            Scope::Share => "share",
            Scope::Cgroup => "cgroup",
            Scope::Batch => "batch",
        }
    }

    /// What it names, for people.
    pub fn noun(self) -> &'static str {
        match self {
            Scope::Tree => "process tree",
            Scope::Process => "process",
            Scope::Group => "process group",
            Scope::Session => "session",
            Scope::Share => "share group",
            Scope::Cgroup => "control group",
            Scope::Batch => "batch job",
        }
    }
}

impl Snapshot {
    /// Every id that was asked for, and what it names.
    pub fn targets(&self) -> impl Iterator<Item = (Scope, i64)> + '_ {
        let scope = |index: usize| self.scopes.get(index).copied().unwrap_or(self.scope);
        self.ids.iter().enumerate().map(move |(index, id)| (scope(index), *id))
    }
}

/// A thread group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Process id, in the pid namespace of the checkpoint.
    pub pid: i32,
    /// Parent, also when it is not in the snapshot.
    pub ppid: i32,
    /// Process group.
    pub pgid: i32,
    /// Session.
    pub sid: i32,
    /// Whether its process group was the foreground group of its terminal (tcgetpgrp(3)).
    #[serde(default)]
    pub foreground: bool,
    /// Signal sent to the parent when it ends, usually SIGCHLD.
    pub exit_signal: i32,
    /// Running, stopped or a zombie at the time of the request.
    pub state: State,
    /// Name of the thread group leader, for people.
    pub name: String,
    /// Command line, for people; arguments are joined with blanks.
    pub command: String,
    /// Real user id, for people and policies.
    pub uid: u32,
    /// Its address space; none in a zombie.
    pub memory: Option<MmId>,
    /// Its descriptor table; none in a zombie.
    pub table: Option<TableId>,
    /// Per-process state, one record a kind.
    pub records: Vec<Record>,
    /// Threads, the leader first. Empty in a zombie.
    pub threads: Vec<Thread>,
    /// Index of the earlier process whose working directory, root and umask it shares (CLONE_FS).
    #[serde(default)]
    pub shares_fs_with: Option<u32>,
    /// Index of the earlier process whose signal handlers it shares (CLONE_SIGHAND).
    #[serde(default)]
    pub shares_handlers_with: Option<u32>,
}

/// Whether a process ran when the checkpoint was requested.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It ran or slept.
    #[default]
    Running,
    /// Stopped by this job control signal.
    Stopped(i32),
    /// It has ended and nobody has waited for it; the raw wait status.
    Zombie(i32),
}

/// A thread.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    /// Thread id.
    pub tid: i32,
    /// Whether it has ended already: a leader that called `pthread_exit` while other threads run on.
    #[serde(default)]
    pub dead: bool,
    /// Blocked signals, bit `n - 1` for signal `n`.
    #[serde(default)]
    pub mask: u64,
    /// General registers as `struct user_regs_struct` (216 bytes on x86-64).
    #[serde(with = "serde_bytes")]
    pub registers: Vec<u8>,
    /// Extended state as PTRACE_GETREGSET NT_X86_XSTATE gives it.
    #[serde(with = "serde_bytes")]
    pub xstate: Vec<u8>,
    /// Per-thread state, one record a kind.
    pub records: Vec<Record>,
}

/// An address space.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Index of the process whose address space this one was forked from, if it is in the snapshot: pages marked
    /// *same* are equal to that one's pages at the same address.
    pub parent: Option<MmId>,
    /// Virtual memory areas in ascending order.
    pub areas: Vec<Area>,
    /// Start and end of code, data, stack, arguments and environment, and the break.
    pub fields: MmFields,
    /// The auxiliary vector as `/proc/PID/auxv` gives it.
    #[serde(with = "serde_bytes")]
    pub auxv: Vec<u8>,
    /// The object whose file is `/proc/PID/exe`.
    pub exe: Option<ObjectId>,
    /// Flags of mlockall(2) for areas to come (MCL_FUTURE, MCL_ONFAULT); 0: they are not locked.
    #[serde(default)]
    pub lock_future: i32,
    /// Memory protection keys that are taken, bit `n` for key `n` (pkeys(7)); 0 without any.
    #[serde(default)]
    pub keys: u16,
}

/// The fields of `struct prctl_mm_map` (`PR_SET_MM_MAP`, prctl(2)); addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named in prctl(2)")]
pub struct MmFields {
    pub start_code: u64,
    pub end_code: u64,
    pub start_data: u64,
    pub end_data: u64,
    pub start_brk: u64,
    pub brk: u64,
    pub start_stack: u64,
    pub arg_start: u64,
    pub arg_end: u64,
    pub env_start: u64,
    pub env_end: u64,
}

/// A virtual memory area. Addresses are page aligned; `end` is exclusive.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Area {
    /// First address.
    pub start: u64,
    /// Address after the last byte.
    pub end: u64,
    /// PROT_READ, PROT_WRITE, PROT_EXEC.
    pub prot: i32,
    /// MAP_SHARED rather than MAP_PRIVATE.
    pub shared: bool,
    /// What it maps.
    pub backing: Backing,
    /// The two-letter flags of smaps that matter at restart, in the kernel's order (proc_pid_smaps(5)).
    pub flags: Vec<String>,
    /// Page size in bytes: 4096, or that of the hugetlb pool.
    pub page_bytes: u64,
    /// Name given with PR_SET_VMA_ANON_NAME.
    #[serde(default)]
    pub name: Option<String>,
    /// Guard regions inside it (MADV_GUARD_INSTALL), as pairs of addresses.
    #[serde(default)]
    pub guards: Vec<(u64, u64)>,
    /// Memory protection key (pkeys(7)); 0 is everybody's.
    #[serde(default)]
    pub key: u8,
}

impl Area {
    /// Size in bytes.
    pub fn bytes(&self) -> u64 {
        self.end - self.start
    }

    /// Whether smaps showed this two-letter flag.
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|have| have == flag)
    }
}

/// What an area maps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backing {
    /// Private anonymous memory.
    #[default]
    Anonymous,
    /// A file or shared memory object, from this byte offset.
    Object {
        /// What is mapped.
        object: ObjectId,
        /// Offset in bytes of the first page.
        offset: u64,
    },
    /// A page the kernel provides: `[vdso]`, `[vvar]`, `[vvar_vclock]` …
    Special(String),
}

/// A descriptor table: runs of descriptors, ascending, at most one a number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The descriptors.
    pub descriptors: Vec<Descriptor>,
}

/// A descriptor number of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// Its number.
    pub fd: i32,
    /// Whether it closes on exec.
    pub cloexec: bool,
    /// The description it refers to.
    pub description: DescriptionId,
}

/// An open file description.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// What it reaches.
    pub object: ObjectId,
    /// Which part of the object it reaches, as the kind of the object counts them.
    #[serde(default)]
    pub part: u32,
    /// Status flags and access mode as fdinfo shows them, without O_CLOEXEC.
    pub flags: i32,
    /// File offset in bytes.
    pub offset: u64,
    /// Who gets its signals (F_GETOWN_EX): type and id. None when nobody does.
    #[serde(default)]
    pub owner: Option<(i32, i32)>,
    /// Signal sent instead of SIGIO (F_GETSIG); 0 is the default.
    #[serde(default)]
    pub signal: i32,
    /// Locks that belong to the description or to processes through it, one record each.
    #[serde(default)]
    pub locks: Vec<Record>,
}

/// What a description or an area reaches.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// Its state.
    pub record: Record,
    /// Its path or name, for people, policies and messages.
    #[serde(with = "super::path")]
    pub path: PathBuf,
    /// Bytes of contents kept in the page section under this object; 0 when it is kept by reference.
    #[serde(default)]
    pub content_bytes: u64,
}

/// A choice that was made, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What it is about, for example a path.
    pub about: String,
    /// The verdict's word: merge, ignore, append, replace, substitute, fail, skip, save …
    pub verdict: String,
    /// `command line`, the script's name and line, the attribute file, or `default`.
    pub by: String,
}
