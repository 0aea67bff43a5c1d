//! What the world around a restart does with files: which are our own output, and which other processes append to.
//!
//! Relies on `/proc`, as far as we may read it. Looked at once for a restart, and only when it matters.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use super::actor::Inode;
use crate::proc::{self, ProcDir};

/// Who else uses files.
#[derive(Debug, Default)]
pub struct Outside {
    ours: HashSet<Inode>,
    appended: OnceLock<HashMap<Inode, i32>>,
}

impl Outside {
    /// Looks at our own standard output and error; at others when asked.
    pub fn look() -> Outside {
        let own = [nix::sys::stat::fstat(std::io::stdout()), nix::sys::stat::fstat(std::io::stderr())];
        let regular = own.into_iter().flatten().filter(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFREG);
        Outside { ours: regular.map(|stat| (stat.st_dev, stat.st_ino)).collect(), appended: OnceLock::new() }
    }

    /// Whether our own standard output or error goes there.
    pub fn is_our_output(&self, file: Inode) -> bool {
        self.ours.contains(&file)
    }

    /// A process that has the file open to append to it.
    pub fn appended_by(&self, file: Inode) -> Option<i32> {
        self.appended.get_or_init(appended).get(&file).copied()
    }
}

/// Somebody who has a file open or mapped, as far as we may see: none of those, and not we.
pub fn user_of((dev, ino): Inode, is_one_of_those: impl Fn(i32) -> bool) -> Option<i32> {
    let us = std::process::id().cast_signed();
    let others = proc::all_pids().unwrap_or_default().into_iter().filter(|pid| *pid != us && !is_one_of_those(*pid));
    let has = |pid: &i32| {
        let Ok(dir) = ProcDir::open(*pid) else { return false };
        let mut open = dir.descriptors().unwrap_or_default().into_iter();
        open.any(|fd| dir.stat_link(&format!("fd/{fd}")).is_ok_and(|stat| (stat.dev, stat.ino) == (dev, ino))) || maps(&dir, (dev, ino))
    };
    others.into_iter().find(has)
}

/// Whether a process maps a file.
fn maps(dir: &ProcDir, (dev, ino): Inode) -> bool {
    let text = dir.read("maps").unwrap_or_default();
    let is_it = |line: &str| {
        let mut words = line.split_whitespace().skip(3);
        let device = words.next().and_then(|word| word.split_once(':'));
        let number = |hex: &str| u64::from_str_radix(hex, 16).ok();
        let device = device.and_then(|(major, minor)| Some((number(major)?, number(minor)?)));
        let at = (libc::major(dev).into(), libc::minor(dev).into());
        words.next().is_some_and(|word| word.parse() == Ok(ino)) && device == Some(at)
    };
    String::from_utf8_lossy(&text).lines().any(is_it)
}

/// Every file that somebody else has open with O_APPEND, as far as we may see. Processes come and go while we look.
fn appended() -> HashMap<Inode, i32> {
    let us = std::process::id().cast_signed();
    let mut found = HashMap::new();
    for pid in proc::all_pids().unwrap_or_default().into_iter().filter(|pid| *pid != us) {
        let Ok(dir) = ProcDir::open(pid) else { continue };
        for fd in dir.descriptors().unwrap_or_default() {
            let Ok(stat) = dir.stat_link(&format!("fd/{fd}")) else { continue };
            let appends = || dir.fdinfo(fd).is_ok_and(|info| info.flags & libc::O_APPEND != 0 && info.flags & libc::O_ACCMODE != 0);
            if stat.mode & libc::S_IFMT == libc::S_IFREG && appends() {
                found.entry((stat.dev, stat.ino)).or_insert(pid);
            }
        }
    }
    found
}

#[cfg(test)]
mod test {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn somebody_who_appends_is_found_and_a_reader_or_we_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let ours = File::options().create(true).append(true).open(&path).unwrap();
        let inode = ours.metadata().map(|found| (found.dev(), found.ino())).unwrap();
        assert_eq!(Outside::look().appended_by(inode), None);
        for (file, expected) in [(File::open(&path).unwrap(), false), (ours.try_clone().unwrap(), true)] {
            let mut child = Command::new("sleep").arg("60").stdin(file).spawn().unwrap();
            let found = Outside::look().appended_by(inode);
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(found, expected.then(|| child.id().cast_signed()));
        }
    }
}
