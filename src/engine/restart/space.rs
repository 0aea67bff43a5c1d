//! Finding room in address spaces: a range that no process of the job uses, for scratch, parked memory and the vdso on its way.
//!
//! Pure; relies on the areas of the snapshot being sorted, which `image::check` has verified.

use crate::image::Memory;
use crate::tracee::stub::TASK_SIZE;

/// Lowest address worth using: below it stand programs linked at fixed addresses.
const LOWEST: u64 = 0x1_0000_0000;
/// Distance kept from areas, so that stacks can grow during the restart and guard gaps stay.
const MARGIN: u64 = 16 << 20;

/// The start of a free range of `bytes` in all of `memories` and outside `own` (our own areas, which the first stub begins with).
pub fn find_room(memories: &[Memory], own: &[(u64, u64)], bytes: u64) -> Option<u64> {
    let areas = memories.iter().flat_map(|memory| &memory.areas).map(|area| (area.start, area.end));
    // The vsyscall page stands above everything a process may map.
    let mut used: Vec<(u64, u64)> = areas.chain(own.iter().copied()).filter(|area| area.0 < TASK_SIZE).collect();
    used.sort_unstable();
    let mut at = LOWEST;
    let mut best: Option<(u64, u64)> = None;
    for (start, end) in used.into_iter().chain([(TASK_SIZE, TASK_SIZE)]) {
        let gap = start.saturating_sub(at);
        if best.is_none_or(|(_, size)| size < gap) {
            best = Some((at, gap));
        }
        at = at.max(end);
    }
    let (start, gap) = best?;
    let start = (start + MARGIN).next_multiple_of(2 << 20);
    (bytes + 2 * MARGIN + (2 << 20) <= gap).then_some(start)
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::image::Area;

    fn memory(ranges: &[(u64, u64)]) -> Memory {
        let area = |&(start, end): &(u64, u64)| Area { start, end, ..Area::default() };
        Memory { areas: ranges.iter().map(area).collect(), ..Memory::default() }
    }

    #[test]
    fn room_is_free_in_every_process() {
        let memories = [memory(&[(0x5555_0000_0000, 0x5555_1000_0000)]), memory(&[(0x7f00_0000_0000, 0x7fff_0000_0000)])];
        let start = find_room(&memories, &[], 1 << 30).unwrap();
        for area in memories.iter().flat_map(|memory| &memory.areas) {
            assert!(start + (1 << 30) <= area.start || area.end <= start, "{start:#x}");
        }
    }

    #[test]
    fn no_room_is_said() {
        let memories = [memory(&[(LOWEST, TASK_SIZE - 0x1000)])];
        assert_eq!(find_room(&memories, &[], 1 << 20), None);
    }
}
