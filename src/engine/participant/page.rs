//! The control page of one process, as the engine sees it: found, locked, read and written from outside.
//!
//! Relies on [`libcr_wire`] for its form. What is read was written by the program and is believed only as far as it concerns that program. The lock is
//! flock(2) on `/proc/PID/mem`, which only those can open who may trace the process, and which ends with its holder.

use std::fs::File;
use std::mem::offset_of;

use libcr_wire::{Control, KIND_LIBRARY, KIND_OMIT, KIND_RUN, MAGIC, PATH_BYTES, PLACES, SIGNAL, VERSION};
use nix::fcntl::{Flock, FlockArg};

use super::error::{ParticipantError, name_of};
use crate::proc::ProcDir;
use crate::sys::{Errno, process, procvm};

/// Everything of the page before the path.
const HEAD_BYTES: usize = offset_of!(Control, path);

/// How a process takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Not at all: it is saved as it is.
    None,
    /// It is ready at any time.
    Ready,
    /// It is left out.
    Omitted,
    /// It is asked, through its page at this address.
    Asked(u64),
}

/// What the page of a process says at one moment.
#[derive(Clone)]
pub struct View(Box<[u8; HEAD_BYTES]>);

impl View {
    /// A word, at the offset of its field.
    pub fn word(&self, offset: usize) -> u32 {
        self.0.get(offset..offset + 4).map_or(0, |bytes| u32::from_ne_bytes(bytes.try_into().expect("four bytes")))
    }

    /// A signed word.
    pub fn number(&self, offset: usize) -> i32 {
        self.word(offset).cast_signed()
    }

    /// Two words.
    pub fn long(&self, offset: usize) -> u64 {
        self.0.get(offset..offset + 8).map_or(0, |bytes| u64::from_ne_bytes(bytes.try_into().expect("eight bytes")))
    }
}

/// Finds out how a process takes part: a few microseconds in one that does not.
pub fn look(pid: i32) -> Result<Part, ParticipantError> {
    for place in PLACES {
        match view(pid, place) {
            Ok(view) if view.long(offset_of!(Control, magic)) == MAGIC => return part(pid, place, &view),
            Ok(_) | Err(Errno::EFAULT) => {}
            // Gone, or not ours to look at: the stop that follows says so.
            Err(_) => return Ok(Part::None),
        }
    }
    Ok(Part::None)
}

fn part(pid: i32, place: u64, view: &View) -> Result<Part, ParticipantError> {
    let version = view.word(offset_of!(Control, version));
    if version != VERSION {
        return Err(ParticipantError::Version { pid, name: name_of(pid), version });
    }
    if view.word(offset_of!(Control, omit)) != 0 {
        return Ok(Part::Omitted);
    }
    // A child of vfork(2) or of a bare clone(2) has the page of its parent, and libcr of its own not yet.
    let is_its_own = view.number(offset_of!(Control, pid)) == pid;
    let has_clients = view.word(offset_of!(Control, clients)) != 0;
    Ok(match view.word(offset_of!(Control, kind)) {
        KIND_RUN => Part::Ready,
        KIND_OMIT => Part::Omitted,
        KIND_LIBRARY if is_its_own && has_clients => Part::Asked(place),
        KIND_LIBRARY => Part::Ready,
        _ => Part::None,
    })
}

/// Reads the page.
pub fn view(pid: i32, place: u64) -> Result<View, Errno> {
    let mut bytes = Box::new([0; HEAD_BYTES]);
    let n = procvm::read(pid, place, &mut bytes[..])?;
    if n == HEAD_BYTES { Ok(View(bytes)) } else { Err(Errno::EFAULT) }
}

/// Writes a field.
pub fn put(pid: i32, place: u64, offset: usize, bytes: &[u8]) -> Result<(), Errno> {
    let n = procvm::write(pid, place + offset as u64, bytes)?;
    if n == bytes.len() { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Writes a path, cut to its room, with its end.
pub fn put_path(pid: i32, place: u64, path: &[u8]) -> Result<(), Errno> {
    let path = if path.len() < PATH_BYTES { path } else { &[] };
    put(pid, place, offset_of!(Control, path), &[path, &[0]].concat())
}

/// Locks the page until it is dropped; `None` if somebody else has it, or the process is gone.
pub fn lock(pid: i32) -> Option<Flock<File>> {
    let memory = ProcDir::open(pid).and_then(|dir| dir.open_file("mem", false)).ok()?;
    Flock::lock(memory, FlockArg::LockExclusiveNonblock).ok()
}

/// Sends the reserved signal to whoever waits for it.
pub fn call(pid: i32, view: &View) {
    let helper = view.number(offset_of!(Control, helper));
    // Who is gone is seen when its answer is looked for.
    let _ = if helper > 0 { process::thread_kill(pid, helper, SIGNAL) } else { process::kill(pid, SIGNAL) };
}
