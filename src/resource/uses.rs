//! What a job does with each of its objects.
//!
//! Found for all objects in one pass over the description of the job, because jobs may have a hundred thousand of them. Relies on the
//! references in the description being within bounds, which `image::check` has verified.

use crate::image::{Backing, Description, Snapshot};

/// What the job does with an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Uses {
    /// Pages of its memory are the object's: it maps it privately, or to run it.
    pub is_memory: bool,
    /// It can write to it.
    pub is_written: bool,
}

/// The uses of all objects, by position.
pub fn uses(snapshot: &Snapshot) -> Vec<Uses> {
    let mut all = vec![Uses::default(); snapshot.objects.len()];
    for description in &snapshot.descriptions {
        all[description.object as usize].is_written |= is_writable(description);
    }
    for memory in &snapshot.memories {
        if let Some(exe) = memory.exe {
            all[exe as usize].is_memory = true;
        }
        for area in &memory.areas {
            if let Backing::Object { object, .. } = area.backing {
                let uses = &mut all[object as usize];
                uses.is_memory |= !area.shared || area.prot & libc::PROT_EXEC != 0;
                uses.is_written |= area.shared && area.prot & libc::PROT_WRITE != 0;
            }
        }
    }
    all
}

fn is_writable(description: &Description) -> bool {
    description.flags & libc::O_PATH == 0 && description.flags & libc::O_ACCMODE != libc::O_RDONLY
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::image::{Area, Memory, Object};

    #[test]
    fn descriptions_areas_and_programs_count() {
        let description = |object, flags| Description { object, flags, ..Description::default() };
        let area = |object, shared, prot| Area { shared, prot, backing: Backing::Object { object, offset: 0 }, ..Area::default() };
        let areas = vec![area(2, true, libc::PROT_WRITE), area(3, false, libc::PROT_READ), area(4, true, libc::PROT_READ)];
        let snapshot = Snapshot {
            objects: vec![Object::default(); 6],
            descriptions: vec![description(0, libc::O_RDWR), description(1, libc::O_RDONLY), description(1, libc::O_PATH | libc::O_RDWR)],
            memories: vec![Memory { areas, exe: Some(5), ..Memory::default() }],
            ..Snapshot::default()
        };
        let found: Vec<(bool, bool)> = uses(&snapshot).iter().map(|uses| (uses.is_memory, uses.is_written)).collect();
        assert_eq!(found, [(false, true), (false, false), (false, true), (true, false), (false, false), (true, false)]);
    }
}
