//! Who has an id on this machine, and waiting until those have gone that have ended already.
//!
//! Relies on `/proc`. The id of a process that has ended stays taken until its parent has waited for it.

use std::fmt;
use std::time::{Duration, Instant};

/// A task that has an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    id: i32,
    name: String,
    /// Its process, if it is another thread than the first.
    group: Option<i32>,
    /// The parent for which it waits, if it has ended.
    zombie_of: Option<i32>,
}

impl Holder {
    /// Who has this id as a process or thread; nobody if it is free.
    pub fn of(id: i32) -> Option<Holder> {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map_or("", str::trim);
        let number = |name: &str| line(name).parse::<i32>().ok();
        let has_ended = line("State:").starts_with(['Z', 'X']);
        Some(Holder {
            id,
            name: line("Name:").to_owned(),
            group: number("Tgid:").filter(|group| *group != id),
            zombie_of: if has_ended { number("PPid:") } else { None },
        })
    }

    /// Whether it has ended, and only its parent keeps the id.
    pub fn is_zombie(&self) -> bool {
        self.zombie_of.is_some()
    }

    /// The parent for which it waits, if it has ended.
    pub fn zombie_of(&self) -> Option<i32> {
        self.zombie_of
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group {
            Some(group) => write!(f, "a thread of process {group} ({})", self.name)?,
            None => write!(f, "process {} ({})", self.id, self.name)?,
        }
        self.zombie_of.map_or(Ok(()), |parent| write!(f, ", which has ended and waits for its parent {parent}"))
    }
}

/// Waits, at most as long as `patience`, while holders of `ids` are there for which it is `worth` waiting.
pub fn wait_while(ids: &[i32], patience: Duration, worth: impl Fn(&Holder) -> bool) {
    const PAUSE: Duration = Duration::from_millis(5);
    let begun = Instant::now();
    let mut held = ids.to_vec();
    loop {
        held.retain(|id| Holder::of(*id).is_some_and(|holder| worth(&holder)));
        if held.is_empty() || patience <= begun.elapsed() {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_zombie_is_told_from_a_process_and_a_free_id() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id().cast_signed();
        wait_while(&[pid], Duration::from_secs(60), |holder| !holder.is_zombie());
        let own = std::process::id();
        let zombie = Holder::of(pid).unwrap();
        assert_eq!(zombie.to_string(), format!("process {pid} (true), which has ended and waits for its parent {own}"));
        child.wait().unwrap();
        assert_eq!(Holder::of(pid), None);
        assert!(!Holder::of(own.cast_signed()).unwrap().is_zombie());
    }
}
