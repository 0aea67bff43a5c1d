//! The restarted job: its programs are told so before they run, and waited for until their callbacks are done.
//!
//! Relies on the page being memory like any other, which has come back with the question of the checkpoint open.

use std::mem::offset_of;
use std::time::{Duration, Instant};

use libcr_wire::{Control, KIND_LIBRARY, MAGIC, PLACES, VERSION};

use super::PATIENCE;
use super::error::{ParticipantError, name_of};
use super::page::{self, View};
use crate::image::{Backing, Memory};
use crate::sys::{Errno, process};

/// A program whose callbacks go on after the restart.
#[derive(Debug)]
pub struct Restarted {
    pid: i32,
    place: u64,
    generation: u32,
}

/// Tells a restored process that it was restarted, before it runs: by the ids that it had, has here and has for itself. `memory` is what it had: without a page nothing is looked at.
pub fn tell((saved_pid, pid, own_pid): (i32, i32, i32), memory: &Memory, restarter: i32, path: &[u8]) -> Option<Restarted> {
    let has_page = |place: &&u64| memory.areas.iter().any(|area| area.start == **place && matches!(area.backing, Backing::Anonymous));
    let place = *PLACES.iter().find(has_page)?;
    let view = page::view(pid, place).ok()?;
    let word = |offset| view.word(offset);
    let is_library = word(offset_of!(Control, version)) == VERSION && word(offset_of!(Control, kind)) == KIND_LIBRARY;
    if view.long(offset_of!(Control, magic)) != MAGIC || !is_library {
        return None;
    }
    // Who only shares the memory is not meant.
    if word(offset_of!(Control, pid)).cast_signed() != saved_pid {
        return None;
    }
    let generation = word(offset_of!(Control, ask));
    let is_open = generation != word(offset_of!(Control, done)) && word(offset_of!(Control, answered)) == generation;
    write(pid, place, &view, (own_pid, restarter), path).ok()?;
    is_open.then_some(Restarted { pid, place, generation })
}

fn write(pid: i32, place: u64, view: &View, (own, restarter): (i32, i32), path: &[u8]) -> Result<(), Errno> {
    let restarts = view.word(offset_of!(Control, restarts)).wrapping_add(1);
    let generation = view.word(offset_of!(Control, ask));
    page::put_path(pid, place, path)?;
    for (offset, word) in [
        (offset_of!(Control, pid), own.cast_unsigned()),
        (offset_of!(Control, restarter), restarter.cast_unsigned()),
        (offset_of!(Control, restarts), restarts),
        (offset_of!(Control, result), restarter.cast_unsigned()),
        (offset_of!(Control, verdict), generation),
    ] {
        page::put(pid, place, offset, &word.to_ne_bytes())?;
    }
    Ok(())
}

impl Restarted {
    /// Waits until everybody's callbacks are done. If one of them failed, all of `job` is killed.
    pub fn await_all(all: Vec<Restarted>, job: &[i32]) -> Result<Option<ParticipantError>, ParticipantError> {
        let begun = Instant::now();
        for one in all {
            while let Ok(view) = page::view(one.pid, one.place) {
                if view.word(offset_of!(Control, done)) == one.generation {
                    let returned = view.number(offset_of!(Control, done_code));
                    if returned != 0 {
                        for pid in job {
                            let _ = process::kill(*pid, libc::SIGKILL);
                        }
                        return Err(ParticipantError::Aborted { pid: one.pid, name: name_of(one.pid), returned });
                    }
                    break;
                }
                if begun.elapsed() > PATIENCE {
                    return Ok(Some(super::silent(one.pid, &view)));
                }
                std::thread::sleep((begun.elapsed() / 20).clamp(Duration::from_micros(50), Duration::from_millis(5)));
            }
        }
        Ok(None)
    }
}
