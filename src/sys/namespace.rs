//! Namespaces (namespaces(7)): making new ones for a job that is restarted, and entering those of a job that is checkpointed.
//!
//! Relies on libc, and on nix for what it offers safely. Leaves who becomes whose parent, and why, to `cli::namespace`.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs::{self, File};
use std::io;

use nix::sched::{CloneFlags, setns, unshare};

use super::{Errno, check};

/// The sorts of namespaces that we make, enter or look at, as `/proc/PID/ns` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sort {
    /// Users and capabilities.
    User,
    /// Process ids.
    Pid,
    /// Mounts.
    Mount,
    /// Interfaces, addresses, ports.
    Network,
    /// The host name.
    Uts,
    /// System V and POSIX objects for communication.
    Ipc,
    /// The root of control groups.
    Cgroup,
    /// Offsets of the monotonic and the boot time clock.
    Time,
    /// The pid namespace of children to come.
    PidForChildren,
    /// The time namespace of children to come.
    TimeForChildren,
}

impl Sort {
    /// The word in messages.
    pub fn word(self) -> &'static str {
        match self {
            Sort::User => "user",
            Sort::Pid => "pid",
            Sort::Mount => "mount",
            Sort::Network => "network",
            Sort::Uts => "UTS",
            Sort::Ipc => "IPC",
            Sort::Cgroup => "cgroup",
            Sort::Time => "time",
            Sort::PidForChildren => "pid (for children)",
            Sort::TimeForChildren => "time (for children)",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Sort::User => "user",
            Sort::Pid => "pid",
            Sort::Mount => "mnt",
            Sort::Network => "net",
            Sort::Uts => "uts",
            Sort::Ipc => "ipc",
            Sort::Cgroup => "cgroup",
            Sort::Time => "time",
            Sort::PidForChildren => "pid_for_children",
            Sort::TimeForChildren => "time_for_children",
        }
    }

    fn flag(self) -> CloneFlags {
        match self {
            Sort::User => CloneFlags::CLONE_NEWUSER,
            Sort::Pid | Sort::PidForChildren => CloneFlags::CLONE_NEWPID,
            Sort::Mount => CloneFlags::CLONE_NEWNS,
            Sort::Network => CloneFlags::CLONE_NEWNET,
            Sort::Uts => CloneFlags::CLONE_NEWUTS,
            Sort::Ipc => CloneFlags::CLONE_NEWIPC,
            Sort::Cgroup => CloneFlags::CLONE_NEWCGROUP,
            Sort::Time | Sort::TimeForChildren => CloneFlags::from_bits_retain(libc::CLONE_NEWTIME),
        }
    }
}

/// `unshare(2)` — this process gets a new mount namespace, its next child is the first process of a new pid namespace. With `user` they
/// belong to a new user namespace, which takes no privilege; with `ipc` there is a new one for System V objects and message queues, too. Needs to be
/// the only thread.
pub fn separate(user: bool, ipc: bool) -> Result<(), Errno> {
    let flags = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
    let flags = if ipc { flags | CloneFlags::CLONE_NEWIPC } else { flags };
    unshare(if user { flags | CloneFlags::CLONE_NEWUSER } else { flags })
}

/// Writes `/proc/self/{setgroups,uid_map,gid_map}` — in our new user namespace these two ids are themselves, and there are no others.
pub fn map_to_itself(uid: u32, gid: u32) -> io::Result<()> {
    // The order is the kernel's: without privilege a group may be mapped only after setgroups(2) is given up.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

/// `mount(2)` — `/proc` shows our own pid namespace. No mount of ours reaches the namespace we came from; its later ones reach us.
pub fn mount_own_proc() -> Result<(), Errno> {
    mount(c"none", c"/", c"", libc::MS_REC | libc::MS_SLAVE)?;
    mount(c"proc", c"/proc", c"proc", libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC)
}

fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: u64) -> Result<(), Errno> {
    // SAFETY: three strings that end with a zero byte and live during the call; the data pointer may be null.
    check(unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, std::ptr::null()) }.into()).map(drop)
}

/// `readlink(2)` of `/proc/PID/ns/…` — names the namespace of a process; equal names mean the same namespace.
pub fn name_of(pid: i32, sort: Sort) -> io::Result<std::path::PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/{}", sort.name()))
}

/// A namespace of another process, held open.
#[derive(Debug)]
pub struct Namespace {
    sort: Sort,
    file: File,
}

impl Namespace {
    /// Opens `/proc/PID/ns/…`; needs the right to trace the process.
    pub fn of(pid: i32, sort: Sort) -> io::Result<Namespace> {
        Ok(Namespace { sort, file: File::open(format!("/proc/{pid}/ns/{}", sort.name()))? })
    }

    /// Whether it is ours, too.
    pub fn is_own(&self) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt;
        let own = fs::metadata(format!("/proc/self/ns/{}", self.sort.name()))?;
        let there = self.file.metadata()?;
        Ok((own.dev(), own.ino()) == (there.dev(), there.ino()))
    }

    /// `setns(2)` — enters it; a pid namespace is entered by the next child.
    pub fn enter(&self) -> Result<(), Errno> {
        setns(&self.file, self.sort.flag())
    }
}

/// `close_range(2)` — closes every descriptor from `first` on. What owns one of them must never be used or dropped afterwards.
pub fn close_from(first: u32) -> Result<(), Errno> {
    // SAFETY: takes numbers only. Owners of the descriptors are the caller's concern, as said above.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(drop)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn our_own_namespaces_are_our_own() {
        let pid = std::process::id().cast_signed();
        for sort in [Sort::User, Sort::Pid, Sort::Mount, Sort::Network, Sort::Uts, Sort::Ipc, Sort::Cgroup] {
            assert!(name_of(pid, sort).unwrap().to_string_lossy().starts_with(sort.name()));
            assert!(Namespace::of(pid, sort).unwrap().is_own().unwrap(), "{sort:?}");
        }
    }

    #[test]
    fn a_process_with_threads_gets_no_user_namespace() {
        let thread = std::thread::spawn(std::thread::park);
        assert_eq!(separate(true, false), Err(Errno::EINVAL));
        thread.thread().unpark();
        thread.join().unwrap();
    }
}
