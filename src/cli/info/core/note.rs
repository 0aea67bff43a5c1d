//! The notes of a core file: what the process was, its threads and their registers, the files it had mapped.
//!
//! Layouts are those of the kernel for x86-64 (`struct elf_prpsinfo`, `struct elf_prstatus`, `fs/binfmt_elf.c`), which debuggers read. Plain
//! functions from the description to bytes.

use object::elf;

use crate::image::{Backing, Memory, PAGE_BYTES, Process, Snapshot, State, Thread};

/// Bytes of `struct elf_prpsinfo`.
const PSINFO_BYTES: usize = 136;
/// Bytes of `struct elf_prstatus`.
const STATUS_BYTES: usize = 336;
/// Bytes of the part of the extended state that is the old floating-point state (FXSAVE).
const FXSAVE_BYTES: usize = 512;

/// All notes of a process, in the order of the kernel's core files.
pub fn all(snapshot: &Snapshot, process: &Process, memory: &Memory) -> Vec<u8> {
    let mut notes = Vec::new();
    for (index, thread) in process.threads.iter().filter(|thread| !thread.dead).enumerate() {
        add(&mut notes, "CORE", elf::NT_PRSTATUS, &status(process, thread));
        if index == 0 {
            add(&mut notes, "CORE", elf::NT_PRPSINFO, &process_info(process));
            add(&mut notes, "CORE", elf::NT_AUXV, &memory.auxv);
            add(&mut notes, "CORE", elf::NT_FILE, &files(snapshot, memory));
        }
        if FXSAVE_BYTES <= thread.xstate.len() {
            add(&mut notes, "CORE", elf::NT_PRFPREG, &thread.xstate[..FXSAVE_BYTES]);
            add(&mut notes, "LINUX", elf::NT_X86_XSTATE, &thread.xstate);
        }
    }
    notes
}

fn add(notes: &mut Vec<u8>, owner: &str, kind: elf::NoteType, bytes: &[u8]) {
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let pad = |notes: &mut Vec<u8>| notes.resize(notes.len().next_multiple_of(4), 0);
    for word in [length(owner.len() + 1), length(bytes.len()), kind.0] {
        notes.extend_from_slice(&word.to_le_bytes());
    }
    notes.extend_from_slice(owner.as_bytes());
    notes.push(0);
    pad(notes);
    notes.extend_from_slice(bytes);
    pad(notes);
}

/// Writes numbers at their offsets into a structure of `N` bytes.
fn structure<const N: usize>(fields: &[(usize, &[u8])]) -> [u8; N] {
    let mut bytes = [0; N];
    for (at, field) in fields {
        bytes[*at..*at + field.len()].copy_from_slice(field);
    }
    bytes
}

fn process_info(process: &Process) -> [u8; PSINFO_BYTES] {
    let (state, letter) = match process.state {
        State::Running => (0u8, b'R'),
        State::Stopped(_) => (3, b'T'),
        State::Zombie(_) => (4, b'Z'),
    };
    let cut = |text: &str, most: usize| text.bytes().take(most).collect::<Vec<u8>>();
    structure(&[
        (0, &[state, letter]),
        (16, &process.uid.to_le_bytes()),
        (24, &process.pid.to_le_bytes()),
        (28, &process.ppid.to_le_bytes()),
        (32, &process.pgid.to_le_bytes()),
        (36, &process.sid.to_le_bytes()),
        (40, &cut(&process.name, 15)),
        (56, &cut(&process.command, 79)),
    ])
}

fn status(process: &Process, thread: &Thread) -> [u8; STATUS_BYTES] {
    let registers = &thread.registers[..thread.registers.len().min(216)];
    structure(&[
        (24, &thread.mask.to_le_bytes()),
        (32, &thread.tid.to_le_bytes()),
        (36, &process.ppid.to_le_bytes()),
        (40, &process.pgid.to_le_bytes()),
        (44, &process.sid.to_le_bytes()),
        (112, registers),
        (328, &1i32.to_le_bytes()),
    ])
}

/// Which files are mapped where: the debugger reads from them what the core file does not hold.
fn files(snapshot: &Snapshot, memory: &Memory) -> Vec<u8> {
    let page = PAGE_BYTES as u64;
    let mut rows = Vec::new();
    let mut names = Vec::new();
    let mut count = 0u64;
    for area in &memory.areas {
        let Backing::Object { object, offset } = area.backing else { continue };
        let object = &snapshot.objects[object as usize];
        if object.path.as_os_str().is_empty() {
            continue;
        }
        count += 1;
        [area.start, area.end, offset / page].iter().for_each(|word| rows.extend_from_slice(&word.to_le_bytes()));
        names.extend_from_slice(object.path.as_os_str().as_encoded_bytes());
        names.push(0);
    }
    [count.to_le_bytes().to_vec(), page.to_le_bytes().to_vec(), rows, names].concat()
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn notes_are_padded_to_words() {
        let mut notes = Vec::new();
        add(&mut notes, "CORE", elf::NT_AUXV, &[7; 5]);
        assert_eq!(notes.len(), 12 + 8 + 8);
        assert_eq!(&notes[..12], [5, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0]);
        assert_eq!(&notes[12..], [b'C', b'O', b'R', b'E', 0, 0, 0, 0, 7, 7, 7, 7, 7, 0, 0, 0]);
    }
}
