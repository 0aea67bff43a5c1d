//! Putting descriptors into place: from the numbers they have in the restarter to the numbers of the job.
//!
//! Pure: computes a list of moves that never overwrites a descriptor that is still needed. `bind` turns the moves into calls.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

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

/// The moves that make a table of exactly `places` (ascending targets) out of a table in which every source is open. A number is
/// overwritten only when nobody needs what it holds, and one free number is enough: a job may have nearly as many descriptors as it may.
pub fn arrange(places: &[Place]) -> Vec<Move> {
    let targets: BTreeSet<i32> = places.iter().map(|place| place.target).collect();
    let (kept, waiting): (Vec<Place>, Vec<Place>) = places.iter().partition(|place| place.source == place.target);
    let mut moves: Vec<Move> = kept.iter().map(|place| Move::Keep { fd: place.target, cloexec: place.cloexec }).collect();
    let mut needs: HashMap<i32, usize> = HashMap::new();
    waiting.iter().for_each(|place| *needs.entry(place.source).or_default() += 1);
    let mut ready: Vec<Place> = waiting.iter().filter(|place| !needs.contains_key(&place.target)).copied().collect();
    let mut waiting: BTreeMap<i32, Place> = waiting.into_iter().map(|place| (place.target, place)).collect();
    while let Some(Place { target, source, cloexec }) = ready.pop() {
        moves.push(Move::Copy { from: source, to: target, cloexec });
        waiting.remove(&target);
        let need = needs.get_mut(&source).expect("every source is counted");
        *need -= 1;
        if *need == 0 {
            ready.extend(waiting.get(&source));
        }
    }
    circles(waiting, spare_number(places), &mut moves);
    moves.extend(closings(&targets));
    moves
}

/// Moves what goes round in circles: in each, one descriptor waits at the number `aside`.
fn circles(mut waiting: BTreeMap<i32, Place>, aside: i32, moves: &mut Vec<Move>) {
    while let Some((first, mut place)) = waiting.pop_first() {
        moves.push(Move::Copy { from: first, to: aside, cloexec: true });
        while place.source != first {
            moves.push(Move::Copy { from: place.source, to: place.target, cloexec: place.cloexec });
            place = waiting.remove(&place.source).expect("a circle is whole");
        }
        moves.push(Move::Copy { from: aside, to: place.target, cloexec: place.cloexec });
    }
}

/// The lowest number that is neither a target nor a source.
fn spare_number(places: &[Place]) -> i32 {
    let used: HashSet<i32> = places.iter().flat_map(|place| [place.target, place.source]).collect();
    (0..).find(|number| !used.contains(number)).expect("numbers do not run out")
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
            vec![(0, 1), (1, 0), (2, 4), (4, 2), (5, 4), (9, 2)],
            vec![(0, 1), (1, 2), (2, 3), (3, 0), (4, 3)],
        ] {
            let expected: BTreeMap<i32, i32> = places.iter().copied().collect();
            assert_eq!(play(&places), expected, "{places:?}");
        }
    }

    #[test]
    fn one_free_number_is_enough() {
        let places: Vec<Place> = (3..1000).map(|target| Place { target, source: 1003 - target % 1000, cloexec: false }).collect();
        let highest = arrange(&places).into_iter().filter_map(|step| if let Move::Copy { to, .. } = step { Some(to) } else { None }).max();
        assert!(highest.unwrap() <= 1001, "{highest:?}");
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
