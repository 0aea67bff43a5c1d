//! `/proc/PID/uid_map` and `gid_map` (user_namespaces(7)): which ids of users or groups exist in a user namespace.
//!
//! Relies on nothing. Read by a process of that namespace itself, as we do, the first column is what its own calls take and show.

use super::error::Malformed;
use super::text::{Words, lines};

/// The kernel shows an id that is not in the map as this one, unless `/proc/sys/kernel/overflowuid` and `overflowgid` were changed.
pub const OVERFLOW: u32 = 65534;

/// The ids that exist, as ranges: first id, number of ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMap {
    ranges: Vec<(u32, u32)>,
}

impl IdMap {
    /// Reads the whole file.
    pub fn parse(text: &[u8]) -> Result<IdMap, Malformed> {
        let mut ranges = Vec::new();
        for (number, line) in lines(text) {
            let mut words = Words::new(number, line);
            let first = words.unsigned(10, "the first id inside")?;
            let _outside: u32 = words.unsigned(10, "the first id outside")?;
            ranges.push((first, words.unsigned(10, "the number of ids")?));
        }
        Ok(IdMap { ranges })
    }

    /// Whether the namespace has this id.
    pub fn has(&self, id: u32) -> bool {
        self.ranges.iter().any(|(first, count)| id.checked_sub(*first).is_some_and(|distance| distance < *count))
    }

    /// Whether there is no more than one id.
    pub fn is_single(&self) -> bool {
        self.ranges.iter().map(|(_, count)| u64::from(*count)).sum::<u64>() <= 1
    }

    /// How an id of a wider namespace in which it means the same is shown here.
    pub fn shown(&self, id: u32) -> u32 {
        if self.has(id) { id } else { OVERFLOW }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_file() {
        let all = IdMap::parse(b"         0          0 4294967295\n").unwrap();
        assert!(all.has(0) && all.has(4_294_967_294) && !all.has(u32::MAX));
        let one = IdMap::parse(b"      1000       1000          1\n").unwrap();
        assert_eq!([999, 1000, 1001].map(|id| one.shown(id)), [OVERFLOW, 1000, OVERFLOW]);
        let two = IdMap::parse(b"0 1000 1\n1 100000 65536\n").unwrap();
        assert!(two.has(0) && two.has(65536) && !two.has(65537));
        assert!(!IdMap::parse(b"").unwrap().has(0));
    }

    #[test]
    fn our_own_map_has_ourselves() {
        let map = IdMap::parse(&std::fs::read("/proc/self/uid_map").unwrap()).unwrap();
        assert!(map.has(nix::unistd::geteuid().as_raw()));
    }

    #[test]
    fn other_text_is_malformed() {
        for text in ["0 0", "0 x 1", "-1 0 1", "0 0 99999999999"] {
            assert!(IdMap::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
