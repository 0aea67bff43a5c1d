//! What `/proc` says: pure parsers of bytes, and [`ProcDir`], which opens one process and cannot be fooled by a reused number.
//!
//! Every parser takes the bytes of one file and returns plain data or [`Malformed`], never panics, keeps names as bytes and
//! leaves no field out because it does not know it. Methods of [`ProcDir`] stand beside the parser of the file they read.
//! The parsers are our own because procfs-core replaces bytes that are not UTF-8, drops what a checkpoint needs (unknown
//! smaps flags, lock and watch lines of fdinfo, `Seccomp_filters` …) and panics on some cut texts; tests compare the two.
//! Relies on: `error` only. Leaves to others: what the numbers mean for a checkpoint, and every ioctl on these files.

pub mod args;
pub mod device;
pub mod dir;
pub mod error;
pub mod fdinfo;
pub mod idmap;
pub mod limits;
pub mod locks;
pub mod maps;
pub mod mountinfo;
pub mod pagemap;
pub mod smaps;
pub mod stat;
pub mod status;
pub mod syscall;
pub mod sysvipc;
mod text;
pub mod timers;
pub mod vmflags;
pub mod watch;

pub use args::{Auxv, Environ};
pub use device::{Device, FileStat};
pub use dir::{ProcDir, all_pids, boot_id, system_file};
pub use error::{Malformed, ProcError};
pub use fdinfo::Fdinfo;
pub use idmap::IdMap;
pub use limits::{Limit, Limits};
pub use locks::{Access, LeaseState, Lock, LockKind};
pub use maps::{MapEntry, MapName, Perms};
pub use mountinfo::Mount;
pub use pagemap::PageEntry;
pub use stat::Stat;
pub use status::Status;
pub use syscall::Syscall;
pub use timers::{Notify, PosixTimer, Target};
pub use vmflags::VmFlags;
pub use watch::{EpollTarget, FileHandle, InotifyWatch};

#[cfg(test)]
mod test {
    use procfs_core::{FromBufRead, FromRead};

    use super::*;

    #[test]
    fn procfs_core_reads_the_same_in_ordinary_files() {
        let dir = ProcDir::open(std::process::id().cast_signed()).unwrap();
        let (stat, text) = (dir.stat().unwrap(), dir.read("stat").unwrap());
        let theirs = procfs_core::process::Stat::from_read(&text[..]).unwrap();
        assert_eq!((stat.start_ticks, stat.start_stack), (theirs.starttime, theirs.startstack));
        assert_eq!((Some(stat.env_end), stat.exit_signal), (theirs.env_end, theirs.exit_signal.unwrap()));
        let text = dir.read("status").unwrap();
        let (status, theirs) = (Status::parse(&text).unwrap(), procfs_core::process::Status::from_buf_read(&text[..]).unwrap());
        assert_eq!((status.uids.effective, &status.groups), (theirs.euid, &theirs.groups));
        assert_eq!((status.signals.ignored, Some(status.capabilities.bounding)), (theirs.sigign, theirs.capbnd));
        let ours = dir.mounts().unwrap();
        let theirs = procfs_core::process::MountInfos::from_buf_read(&dir.read("mountinfo").unwrap()[..]).unwrap();
        assert!(ours.iter().map(|mount| mount.id).eq(theirs.iter().map(|mount| mount.mnt_id)));
    }
}
