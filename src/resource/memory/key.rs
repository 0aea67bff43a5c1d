//! Memory protection keys (pkeys(7)): which keys are taken, and which areas have which.
//!
//! Kept: the key of every area, which keys are taken, and the kernel's own key of memory that may only be executed. The rights are in each
//! thread's PKRU register, which is part of its extended state.
//! Lost: the kernel's own key while no area has it.
//! Refused: nothing; the restart needs a processor with protection keys.

use crate::image::{Area, Memory};
use crate::sys::Errno;
use crate::tracee::{Answers, Batch, Row};

/// How many keys x86-64 has.
pub const KEYS: u8 = 16;
/// A page that no process can map, with any depth of page tables.
const NOWHERE: u64 = 0xffff_ffff_ffff_0000;
const PAGE: u64 = 4096;

/// Adds the question which keys are taken. Nothing shows it, but a change of memory that is not there fails in another way for a key that
/// is not taken than for one that is (mprotect(2)).
pub fn ask(batch: &mut Batch) -> Vec<Row> {
    let row = |key: u8| {
        let args = [NOWHERE.into(), PAGE.into(), libc::PROT_NONE.into(), u32::from(key).into()];
        batch.attempt(libc::SYS_pkey_mprotect, args)
    };
    (0..KEYS).map(row).collect()
}

/// The answer to [`ask`]: bit `n` is set if key `n` is taken; 0 without protection keys. The kernel's own key counts as free.
pub fn read(answers: &Answers, rows: &[Row]) -> u16 {
    let taken = |(_, row): &(u16, &Row)| answers.value(**row) == Err(Errno::ENOMEM);
    (0..).zip(rows).filter(taken).map(|(key, _)| 1 << key).sum()
}

/// What has to be done about the keys of an address space.
#[derive(Debug, PartialEq, Eq)]
pub struct Keys {
    /// The kernel's own key, for areas that may only be executed.
    own: Option<u8>,
    /// The highest key that anything needs.
    highest: u8,
    /// Keys that are needed only as long as areas are given theirs.
    freed: Vec<u8>,
}

impl Keys {
    /// From the saved areas and taken keys. `None`: this job has nothing to do with keys.
    pub fn of(memory: &Memory) -> Option<Keys> {
        let is_taken = |key: u8| memory.keys >> key & 1 == 1;
        // A key that is not taken, on memory that may only be executed, is the one that the kernel gave it.
        let own = memory.areas.iter().find(|area| executes_only(area) && area.key != 0 && !is_taken(area.key)).map(|area| area.key);
        let highest_taken = (0..KEYS).rev().find(|key| is_taken(*key)).unwrap_or(0);
        let highest = memory.areas.iter().map(|area| area.key).max().unwrap_or(0).max(highest_taken);
        // Key 0 is everybody's, taken from the start; without any other question about keys it is not even asked for.
        let freed: Vec<u8> = (0..=highest).filter(|key| memory.keys != 0 && !is_taken(*key) && own != Some(*key)).collect();
        (0 < highest || !freed.is_empty()).then_some(Keys { own, highest, freed })
    }

    /// Adds the calls that take the keys below the kernel's own one, so that the kernel gives itself the same as before. To be followed by
    /// the protection of all areas: the kernel takes its key with the first that may only be executed.
    pub fn before_protection(&self, batch: &mut Batch) {
        (1..self.own.unwrap_or(1)).for_each(|_| allocate(batch));
    }

    /// Adds the calls that give every area its key, and free what was free.
    pub fn after_protection(&self, areas: &[Area], batch: &mut Batch) {
        let first = self.own.map_or(1, |own| own + 1);
        (first..=self.highest).for_each(|_| allocate(batch));
        for area in areas.iter().filter(|area| area.key != 0 && !(executes_only(area) && Some(area.key) == self.own)) {
            let args = [area.start.into(), area.bytes().into(), area.prot.into(), u32::from(area.key).into()];
            batch.call("give memory its protection key", libc::SYS_pkey_mprotect, args);
        }
        for key in &self.freed {
            batch.call("free a protection key", libc::SYS_pkey_free, [u32::from(*key).into()]);
        }
    }
}

/// The kernel gives the lowest free key.
fn allocate(batch: &mut Batch) {
    batch.call("allocate a memory protection key", libc::SYS_pkey_alloc, [0u32.into(), 0u32.into()]);
}

/// Whether the kernel keeps an area from being read by a key of its own.
pub fn executes_only(area: &Area) -> bool {
    area.prot == libc::PROT_EXEC
}

#[cfg(test)]
mod test {
    use super::*;

    fn memory(keys: u16, areas: &[(i32, u8)]) -> Memory {
        let area = |&(prot, key): &(i32, u8)| Area { prot, key, ..Area::default() };
        Memory { keys, areas: areas.iter().map(area).collect(), ..Memory::default() }
    }

    #[test]
    fn a_job_without_keys_makes_no_calls() {
        assert_eq!(Keys::of(&memory(0, &[(3, 0), (4, 0)])), None);
        assert_eq!(Keys::of(&memory(1, &[(3, 0)])), None);
    }

    #[test]
    fn the_kernels_key_is_told_from_the_jobs() {
        for (keys, areas, expected) in [
            (0b0011, vec![(3, 1)], Keys { own: None, highest: 1, freed: vec![] }),
            (0b0001, vec![(4, 1)], Keys { own: Some(1), highest: 1, freed: vec![] }),
            (0b1011, vec![(3, 1), (4, 2), (3, 3)], Keys { own: Some(2), highest: 3, freed: vec![] }),
            // Given to executable memory by the program itself.
            (0b0011, vec![(4, 1)], Keys { own: None, highest: 1, freed: vec![] }),
            // Freed while memory had it, and taken without any memory.
            (0b1001, vec![(3, 2)], Keys { own: None, highest: 3, freed: vec![1, 2] }),
        ] {
            assert_eq!(Keys::of(&memory(keys, &areas)), Some(expected), "{keys:#b} {areas:?}");
        }
    }

    #[test]
    fn the_kernel_gets_its_key_between_two_rounds_of_allocation() {
        let memory = memory(0b1_0011, &[(3, 1), (4, 3), (3, 4)]);
        let keys = Keys::of(&memory).unwrap();
        let mut batch = Batch::new();
        keys.before_protection(&mut batch);
        assert_eq!(batch.len(), 2);
        keys.after_protection(&memory.areas, &mut batch);
        // One more key, two areas, and key 2, which was only in the way.
        assert_eq!(batch.len(), 2 + 1 + 2 + 1);
    }
}
