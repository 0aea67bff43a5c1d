//! What the processes of a job in a pid namespace of its own are called outside, where hook scripts run.
//!
//! Relies on `/proc` having been opened before the namespaces were made: it goes on to show the processes as the world outside counts them.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use nix::dir::Dir;
use nix::fcntl::{OFlag, open, openat, readlinkat};
use nix::sys::stat::Mode;
use nix::unistd::getpid;

/// `/proc` as it was when this was made.
#[derive(Debug)]
pub struct Outside(OwnedFd);

impl Outside {
    /// Opens `/proc` of where we are now. Nothing can be told later where that fails.
    pub fn here() -> Option<Outside> {
        open("/proc", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).ok().map(Outside)
    }

    /// From each id in the pid namespace where we are now to the one outside; `None` while that is the same namespace.
    pub fn ids(&self) -> Option<HashMap<i32, i32>> {
        let own = readlinkat(&self.0, "self").ok()?;
        if own.to_str() == Some(&getpid().to_string()) {
            return None;
        }
        let namespace = |pid: &str| readlinkat(&self.0, format!("{pid}/ns/pid").as_str()).ok();
        let ours = namespace("self")?;
        let level = self.ids_of("self")?.len();
        let again = openat(&self.0, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
        let names = Dir::from_fd(again).ok()?.into_iter().filter_map(|entry| entry.ok()?.file_name().to_str().ok().map(str::to_owned));
        let inside = names.filter(|name| name.parse::<i32>().is_ok() && namespace(name).as_ref() == Some(&ours));
        Some(inside.filter_map(|name| Some((*self.ids_of(&name)?.get(level - 1)?, name.parse().ok()?))).collect())
    }

    /// The ids of a process from the namespace of this `/proc` inwards.
    fn ids_of(&self, pid: &str) -> Option<Vec<i32>> {
        let file = openat(&self.0, format!("{pid}/status").as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
        let status = std::io::read_to_string(std::fs::File::from(file)).ok()?;
        let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        ids.split_whitespace().map(|id| id.parse().ok()).collect()
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn ids_are_the_same_where_nothing_was_entered() {
        let outside = Outside::here().unwrap();
        assert_eq!(outside.ids(), None);
        assert_eq!(outside.ids_of("self").unwrap().first(), Some(&getpid().as_raw()));
    }
}
