//! What `/proc` says: pure parsers of bytes, and [`ProcDir`], which opens one process and cannot be fooled by a reused number.
//!
//! Every parser takes the bytes of one file and returns plain data or [`Malformed`], never panics, keeps names as bytes and
//! leaves no field out because it does not know it. Methods of [`ProcDir`] stand beside the parser of the file they read.
//! The parsers are our own because procfs-core replaces bytes that are not UTF-8, drops what a checkpoint needs (unknown
//! smaps flags, lock and watch lines of fdinfo, `Seccomp_filters` …) and panics on some cut texts; tests compare the two.
//! Relies on: `error` only. Leaves to others: what the numbers mean for a checkpoint, and every ioctl on these files.

//args pub mod args;
pub mod device;
pub mod dir;
pub mod error;
pub mod fdinfo;
//limits pub mod limits;
pub mod locks;
pub mod maps;
//mountinfo pub mod mountinfo;
//pagemap pub mod pagemap;
pub mod smaps;
pub mod stat;
pub mod status;
//syscall pub mod syscall;
mod text;
//timers pub mod timers;
pub mod vmflags;
pub mod watch;

//args pub use args::{Auxv, Environ};
pub use device::{Device, FileStat};
pub use dir::{ProcDir, all_pids, system_file};
pub use error::{Malformed, ProcError};
pub use fdinfo::Fdinfo;
//limits pub use limits::{Limit, Limits};
pub use locks::{Access, LeaseState, Lock, LockKind};
pub use maps::{MapEntry, MapName, Perms};
//mountinfo pub use mountinfo::Mount;
//pagemap pub use pagemap::PageEntry;
pub use stat::Stat;
pub use status::Status;
//syscall pub use syscall::Syscall;
//timers pub use timers::{Notify, PosixTimer, Target};
pub use vmflags::VmFlags;
pub use watch::{EpollTarget, FileHandle, InotifyWatch};
