//! Putting descriptors into place: from the numbers they have in the restarter to the numbers of the job.
//!
//! Pure: computes a list of moves that never overwrites a descriptor that is still needed. `bind` turns the moves into calls.

use std::collections::{BTreeMap, BTreeSet};

/// One descriptor of the job: the number it must have, where it comes from, whether it closes on exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its number in the job.
    pub target: i32,
    /// Its number in the stub now.
    pub source: i32,
    /// Whether it closes on exec.
    pub cloexec: bool,
}

/// One call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// dup3(2) `from` to `to`; `cloexec` is set on the copy.
    Copy { from: i32, to: i32, cloexec: bool },
    /// The descriptor stands where it must: set its close-on-exec flag.
    Keep { fd: i32, cloexec: bool },
    /// close_range(2) `first..=last`.
    Close { first: u32, last: u32 },
}

/// The moves that make a table of exactly `places` (ascending targets) out of a table in which every source is open.
pub fn arrange(places: &[Place]) -> Vec<Move> {
    let targets: BTreeSet<i32> = places.iter().map(|place| place.target).collect();
    let sources: BTreeSet<i32> = places.iter().map(|place| place.source).collect();
    let mut moves = Vec::new();
    // Sources that stand on a number that another descriptor must have step aside first.
    let mut now: BTreeMap<i32, i32> = BTreeMap::new();
    let mut free = 0;
    for place in places {
        let in_the_way = place.source != place.target && targets.contains(&place.source);
        let serves_itself =
            places.binary_search_by_key(&place.source, |other| other.target).is_ok_and(|at| places[at].source == place.source);
        if in_the_way && !serves_itself && !now.contains_key(&place.source) {
            while targets.contains(&free) || sources.contains(&free) {
                free += 1;
            }
            moves.push(Move::Copy { from: place.source, to: free, cloexec: true });
            now.insert(place.source, free);
            free += 1;
        }
    }
    for place in places {
        let from = now.get(&place.source).copied().unwrap_or(place.source);
        moves.push(if from == place.target {
            Move::Keep { fd: place.target, cloexec: place.cloexec }
        } else {
            Move::Copy { from, to: place.target, cloexec: place.cloexec }
        });
    }
    moves.extend(closings(&targets));
    moves
}

/// Everything that is not a target is closed.
fn closings(targets: &BTreeSet<i32>) -> Vec<Move> {
    let mut moves = Vec::new();
    let mut first = 0u32;
    for target in targets.iter().map(|target| target.cast_unsigned()) {
        if first < target {
            moves.push(Move::Close { first, last: target - 1 });
        }
        first = target + 1;
    }
    moves.push(Move::Close { first, last: u32::MAX });
    moves
}

#[cfg(test)]
mod test {
    use super::*;

    /// Plays the moves on a table of labels.
    fn play(places: &[(i32, i32)]) -> BTreeMap<i32, i32> {
        let places: Vec<Place> = places.iter().map(|&(target, source)| Place { target, source, cloexec: false }).collect();
        let mut table: BTreeMap<i32, i32> = places.iter().map(|place| (place.source, place.source)).collect();
        for step in arrange(&places) {
            match step {
                Move::Copy { from, to, .. } => {
                    let label = table[&from];
                    table.insert(to, label);
                }
                Move::Keep { fd, .. } => assert!(table.contains_key(&fd)),
                Move::Close { first, last } => table.retain(|fd, _| fd.cast_unsigned() < first || last < fd.cast_unsigned()),
            }
        }
        table
    }

    #[test]
    fn every_descriptor_arrives_whatever_stands_in_the_way() {
        for places in [
            vec![(0, 10), (1, 11), (5, 12)],
            vec![(0, 1), (1, 0)],
            vec![(3, 4), (4, 5), (5, 3)],
            vec![(3, 3), (4, 3), (5, 3)],
            vec![(0, 3), (3, 0), (4, 3)],
            vec![(7, 8), (8, 8), (9, 7)],
        ] {
            let expected: BTreeMap<i32, i32> = places.iter().copied().collect();
            assert_eq!(play(&places), expected, "{places:?}");
        }
    }

    #[test]
    fn everything_else_is_closed() {
        let moves = arrange(&[Place { target: 2, source: 2, cloexec: true }]);
        assert_eq!(
            moves,
            [Move::Keep { fd: 2, cloexec: true }, Move::Close { first: 0, last: 1 }, Move::Close { first: 3, last: u32::MAX }]
        );
    }
}
