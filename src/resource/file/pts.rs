//! Numbers of pseudo-terminals: which one a descriptor reaches, who else has it, and how to get one with a certain number.
//!
//! Relies on devpts, which gives every new one the lowest free number, and on `/proc` for others. A number belongs to a mount of devpts; the
//! multiplexor stands in it (`/dev/pts/ptmx`) or beside it (`/dev/ptmx`).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::stat::{fstat, stat};
use nix::sys::statfs::{FsType, fstatfs};

use crate::proc::{self, Device, ProcDir};
use crate::resource::actor::Actor;
use crate::resource::{KindError, Probe};
use crate::sys::{Errno, terminal};

/// `/dev/ptmx`: masters.
pub const MULTIPLEXOR: Device = Device { major: 5, minor: 2 };
/// `/dev/tty`: the terminal of whoever opens it.
pub const OWN: Device = Device { major: 5, minor: 0 };
/// Slaves; the minor is the number.
pub const SLAVES: u32 = 136;
const DEVPTS: FsType = FsType(0x1cd1);

/// The mount of devpts, by its device number, and the number in it.
pub type Number = (u64, u32);

/// What a probe of a pseudo-terminal reaches.
pub fn number(probe: &Probe<'_>) -> Option<Number> {
    match probe.stat.special() {
        MULTIPLEXOR => {
            let copy = probe.copy().ok()?;
            let mount = if fstatfs(copy).is_ok_and(|found| found.filesystem_type() == DEVPTS) {
                probe.stat.dev
            } else {
                mount_beside(probe, probe.link)?
            };
            Some((mount, terminal::index(copy).ok()?))
        }
        OWN => {
            let real = Device::from_dev_t(terminal::device(probe.copy().ok()?).ok()?);
            (real.major == SLAVES).then_some((mount_beside(probe, Path::new("/dev/tty"))?, real.minor))
        }
        Device { major: SLAVES, minor } => Some((probe.stat.dev, minor)),
        _ => None,
    }
}

/// The directory `pts` beside a path, as the probed process sees it.
fn mount_beside(probe: &Probe<'_>, path: &Path) -> Option<u64> {
    let beside = path.parent()?.join("pts");
    let seen = PathBuf::from(format!("/proc/{}/root{}", probe.pid, beside.display()));
    stat(&seen).or_else(|_| stat(&beside)).ok().map(|found| found.st_dev)
}

/// A terminal that somebody outside of the job has open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub pid: i32,
    /// What it has open: mount and number of a slave; of a master the number alone.
    slave: Option<Number>,
    master: Option<u32>,
}

impl Holder {
    /// Whether it has this one.
    pub fn has(&self, number: Number) -> bool {
        self.slave == Some(number) || self.master == Some(number.1)
    }
}

/// Waits a moment for those who still put back what they have taken out of terminals, for checkpoints that were killed.
fn wait_for_visitors() {
    const PATIENCE: Duration = Duration::from_secs(5);
    let begun = Instant::now();
    let name = terminal::APART.to_bytes();
    let is_one = |pid: i32| std::fs::read(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.strip_suffix(b"\n") == Some(name));
    while begun.elapsed() < PATIENCE && proc::all_pids().unwrap_or_default().into_iter().any(is_one) {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Who has pseudo-terminals open and is neither of the job nor one of us, as far as we may see. Processes come and go while we look.
pub fn holders(is_member: impl Fn(i32) -> bool) -> Vec<Holder> {
    wait_for_visitors();
    let us = [std::process::id().cast_signed(), nix::unistd::getppid().as_raw()];
    let mut found = Vec::new();
    for pid in proc::all_pids().unwrap_or_default().into_iter().filter(|pid| !us.contains(pid) && !is_member(*pid)) {
        let Ok(dir) = ProcDir::open(pid) else { continue };
        for fd in dir.descriptors().unwrap_or_default() {
            let Ok(link) = dir.link(&format!("fd/{fd}")) else { continue };
            let link = link.to_string_lossy();
            if link.ends_with("/ptmx") {
                let master = dir.fdinfo(fd).ok().and_then(|info| info.other("tty-index")?.parse().ok());
                found.extend(master.map(|index| Holder { pid, slave: None, master: Some(index) }));
            } else if link.contains("/pts/")
                && let Ok(stat) = dir.stat_link(&format!("fd/{fd}"))
                && stat.special().major == SLAVES
            {
                found.push(Holder { pid, slave: Some((stat.dev, stat.special().minor)), master: None });
            }
        }
    }
    found
}

/// Where masters come from now: the saved path, or one of the usual ones.
pub fn multiplexor(saved: &Path, actor: &Actor) -> Result<PathBuf, KindError> {
    let usual = ["/dev/ptmx", "/dev/pts/ptmx"].map(PathBuf::from);
    let is_it =
        |path: &PathBuf| actor.look(path).is_ok_and(|found| found.mode & libc::S_IFMT == libc::S_IFCHR && found.special() == MULTIPLEXOR);
    let found = [saved.to_owned()].into_iter().chain(usual).find(is_it);
    found.ok_or_else(|| KindError::path("find the pseudo-terminal multiplexor", saved, Errno::ENOENT))
}

/// Opens a master with this number, or, if somebody has that, with one that is not `wanted` by another. Its slave is unlocked.
pub fn open(path: &Path, actor: &Actor, flags: i32, number: u32, wanted: &[u32]) -> Result<(OwnedFd, u32), KindError> {
    let attempt = |errno| actor.refusal("open a pseudo-terminal by", path, errno);
    let is_taken = slave_beside(path, number).exists();
    let mut others: Vec<OwnedFd> = Vec::new();
    let (master, now) = loop {
        let master = match actor.open(path, flags, None) {
            // What was passed over is room for another.
            Err(Errno::EMFILE | Errno::ENFILE | Errno::ENOSPC) if !others.is_empty() => {
                let last = others.remove(0);
                let now = terminal::index(last.as_fd()).map_err(attempt)?;
                break (last, now);
            }
            opened => opened.map_err(attempt)?,
        };
        let now = terminal::index(master.as_fd()).map_err(attempt)?;
        // The lowest free number comes first: one beyond it means that the wanted one was taken meanwhile.
        if now == number || (is_taken || now > number) && !wanted.contains(&now) {
            break (master, now);
        }
        others.push(master);
    };
    terminal::set_locked(master.as_fd(), false).map_err(attempt)?;
    Ok((master, now))
}

/// The path of a slave, by that of the multiplexor.
pub fn slave_beside(multiplexor: &Path, number: u32) -> PathBuf {
    let directory = multiplexor.parent().unwrap_or(Path::new("/dev"));
    let directory = if directory.ends_with("pts") { directory.to_owned() } else { directory.join("pts") };
    directory.join(number.to_string())
}

/// Gives a slave its owner, group and mode. Returns what could not be given.
pub fn give(slave: BorrowedFd<'_>, (uid, gid, mode): (u32, u32, u32)) -> Result<Option<String>, Errno> {
    use nix::sys::stat::{Mode, fchmod};
    use nix::unistd::{Gid, Uid, fchown};
    let now = fstat(slave)?;
    if now.st_mode & 0o7777 != mode {
        fchmod(slave, Mode::from_bits_truncate(mode))?;
    }
    if (now.st_uid, now.st_gid) == (uid, gid) {
        return Ok(None);
    }
    match fchown(slave, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))) {
        Ok(()) => fchmod(slave, Mode::from_bits_truncate(mode)).map(|()| None),
        Err(Errno::EPERM | Errno::EINVAL) => {
            Ok(Some(format!("it belongs to user {} and group {}, not {uid} and {gid}", now.st_uid, now.st_gid)))
        }
        Err(errno) => Err(errno),
    }
}
