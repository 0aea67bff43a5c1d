//! Every case runs in private pid, mount, network and IPC namespaces with pseudo-terminals of its own, and with the harness as their first process.
//!
//! Two steps, because a pid namespace begins with the next child: `outer` makes the namespaces and starts the suite
//! again, and that one calls `enter`. Killing the first process kills everything in the namespace, so nothing outlives
//! a case. Without root a user namespace is made too; where even that is forbidden the case runs bare, as a subreaper,
//! and what needs original pids is skipped. Relies on nothing of the suite; leaves time limits to `runner`.

use std::fs;
use std::os::fd::AsRawFd;
use std::process::{Command, ExitCode};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use nix::unistd::{getegid, geteuid, getpid, setsid};

/// Makes the namespaces and runs this same program inside them with other arguments.
pub fn outer(arguments: &[&str]) -> ExitCode {
    die_with_parent();
    isolate().expect("make namespaces, as was tried before");
    let program = std::env::current_exe().expect("the path of the running program");
    let status = Command::new(program).args(arguments).status().expect("start the suite inside its sandbox");
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether namespaces can be had here. Containers often hide parts of /proc, and then no other may be mounted.
pub fn is_possible() -> bool {
    let mut unshare = Command::new("unshare");
    if !geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.args(["--pid", "--mount", "--fork", "mount", "-t", "proc", "proc", "/proc"]);
    unshare.output().is_ok_and(|output| output.status.success())
}

/// Makes this process the root of everything it will start. Says whether the pids are its own.
pub fn enter() -> bool {
    die_with_parent();
    // Ids of sessions and groups outside the namespace read as 0, which no job ever sees in real life.
    setsid().expect("a new session for the case");
    let namespaced = getpid().as_raw() == 1;
    if namespaced {
        mount(Some("proc"), "/proc", Some("proc"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, None::<&str>)
            .expect("mount /proc, as was tried before the namespace was made");
    } else {
        prctl::set_child_subreaper(true).expect("become a subreaper");
    }
    namespaced
}

fn die_with_parent() {
    prctl::set_pdeathsig(Signal::SIGKILL).expect("ask to die with the parent");
}

fn isolate() -> Result<(), Errno> {
    let (uid, gid) = (geteuid(), getegid());
    let mut flags = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWNET;
    if !uid.is_root() {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    unshare(flags)?;
    if !uid.is_root() {
        // The order is the kernel's: a gid map may be written only after setgroups is given up.
        let maps = [("setgroups", "deny".to_owned()), ("uid_map", format!("0 {uid} 1")), ("gid_map", format!("0 {gid} 1"))];
        for (file, text) in maps {
            fs::write(format!("/proc/self/{file}"), text).map_err(|_| Errno::EACCES)?;
        }
    }
    raise_loopback()?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    separate_terminals()
}

/// Pseudo-terminals of the case's own: no other case takes the number of one that is about to come back.
fn separate_terminals() -> Result<(), Errno> {
    let options = Some("newinstance,ptmxmode=0666,mode=0620");
    mount(Some("devpts"), "/dev/pts", Some("devpts"), MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC, options)?;
    mount(Some("/dev/pts/ptmx"), "/dev/ptmx", None::<&str>, MsFlags::MS_BIND, None::<&str>)
}

/// A network namespace has a loopback device, which is down: one message to the kernel (rtnetlink(7)) changes that. Ports and addresses of
/// cases are their own then.
fn raise_loopback() -> Result<(), Errno> {
    const LOOPBACK: i32 = 1;
    const UP: u32 = 1;
    let header = [32u32.to_ne_bytes(), [16, 0, 5, 0], 1u32.to_ne_bytes(), [0; 4]];
    // struct ifinfomsg: family and type, index, flags, which of them change.
    let link = [[0; 4], LOOPBACK.to_ne_bytes(), UP.to_ne_bytes(), UP.to_ne_bytes()];
    let kernel = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
    send(kernel.as_raw_fd(), &[header, link].concat().concat(), MsgFlags::empty())?;
    let mut answer = [0; 64];
    recv(kernel.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    match i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]) {
        0 => Ok(()),
        errno => Err(Errno::from_raw(-errno)),
    }
}
