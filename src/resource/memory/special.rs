//! Pages the kernel provides: vdso, vvar, vvar_vclock and whatever comes next.
//!
//! Kept: their addresses, also when the program has moved or unmapped them. Programs hold pointers into the vdso, so the one of this
//! kernel must equal the saved one. They move as a group, because the vdso finds its data by distance.
//! Lost: nothing. Refused: a restart on a kernel with another vdso.

use crate::image::{Area, Backing};
use crate::tracee::Batch;

/// The special areas among `areas`, ascending, without those that every process has at the same place.
pub fn group(areas: &[Area]) -> Vec<(String, u64, u64)> {
    areas
        .iter()
        .filter_map(|area| match &area.backing {
            Backing::Special(name) if name != "[vsyscall]" && name != "[uprobes]" => Some((name.clone(), area.start, area.end)),
            Backing::Special(_) | Backing::Anonymous | Backing::Object { .. } => None,
        })
        .collect()
}

/// One step of moving the group: from, size, to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// Address now.
    pub from: u64,
    /// Bytes.
    pub bytes: u64,
    /// Address afterwards.
    pub to: u64,
}

/// Moves in their order, and ranges (address, bytes) to be unmapped.
pub type Relocation = (Vec<Move>, Vec<(u64, u64)>);

/// The moves that bring the stub's special areas from where they are to where the saved job had them, by way of `parking` (free in
/// both), so that no step overlaps another. Areas that the job had unmapped are unmapped. `Err` names an area that this kernel lacks
/// or has with another size.
pub fn moves(now: &[(String, u64, u64)], saved: &[(String, u64, u64)], parking: u64) -> Result<Relocation, String> {
    let mut unmapped = Vec::new();
    let (mut out, mut back) = (Vec::new(), Vec::new());
    let mut free = parking;
    for (name, start, end) in now {
        let bytes = end - start;
        let Some((_, to, to_end)) = saved.iter().find(|have| have.0 == *name) else {
            unmapped.push((*start, bytes));
            continue;
        };
        if to_end - to != bytes {
            return Err(format!("{name} has {bytes} bytes on this kernel and had {}", to_end - to));
        }
        if start != to {
            out.push(Move { from: *start, bytes, to: free });
            back.push(Move { from: free, bytes, to: *to });
        }
        free += bytes;
    }
    if let Some((name, ..)) = saved.iter().find(|have| !now.iter().any(|is| is.0 == have.0)) {
        return Err(format!("this kernel has no {name}"));
    }
    out.extend(back);
    Ok((out, unmapped))
}

/// Adds the calls for [`moves`].
pub fn apply(moves: &[Move], unmapped: &[(u64, u64)], batch: &mut Batch) {
    for &(start, bytes) in unmapped {
        batch.call("unmap memory", libc::SYS_munmap, [start.into(), bytes.into()]);
    }
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    for step in moves {
        let args = [step.from.into(), step.bytes.into(), step.bytes.into(), flags.into(), step.to.into()];
        batch.call("move the vdso", libc::SYS_mremap, args);
    }
}

#[cfg(test)]
mod test {
    use super::*;

    fn at(name: &str, start: u64, end: u64) -> (String, u64, u64) {
        (name.into(), start, end)
    }

    #[test]
    fn the_group_moves_by_way_of_the_parking_place() {
        let now = [at("[vvar]", 0x1000, 0x3000), at("[vdso]", 0x3000, 0x5000)];
        let saved = [at("[vvar]", 0x2000, 0x4000), at("[vdso]", 0x4000, 0x6000)];
        let (steps, unmapped) = moves(&now, &saved, 0x10000).unwrap();
        assert_eq!(
            steps.iter().map(|step| (step.from, step.to)).collect::<Vec<_>>(),
            [(0x1000, 0x10000), (0x3000, 0x12000), (0x10000, 0x2000), (0x12000, 0x4000),]
        );
        assert!(unmapped.is_empty());
    }

    #[test]
    fn a_job_without_vdso_gets_none_and_a_missing_one_is_named() {
        let now = [at("[vdso]", 0x3000, 0x5000)];
        assert_eq!(moves(&now, &[], 0x10000).unwrap(), (vec![], vec![(0x3000, 0x2000)]));
        let saved = [at("[vdso]", 0x3000, 0x5000), at("[vnew]", 0x9000, 0xa000)];
        assert_eq!(moves(&now, &saved, 0x10000).unwrap_err(), "this kernel has no [vnew]");
        assert_eq!(moves(&now, &[at("[vdso]", 0, 0x1000)], 0x10000).unwrap_err(), "[vdso] has 8192 bytes on this kernel and had 4096");
    }
}
