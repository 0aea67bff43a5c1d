//! The program that has made a request through libcr: it waits in its own memory for what becomes of it.
//!
//! Relies on being allowed to write there, which libcr sees to (prctl(PR_SET_PTRACER)). A program that is gone needs no answer.

use std::mem::offset_of;

use libcr_wire::{ASKED, LOG_BYTES, OVER, Request};

use crate::engine::request::Asker;
use crate::sys::{Errno, procvm};

/// Everybody who takes part has been asked.
pub fn asked(asker: &Asker) {
    let _ = put(asker, offset_of!(Request, state), &ASKED.to_ne_bytes());
}

/// It is over: an error number or 0, the lead of a restart or 0, and what there was to say.
pub fn over(asker: &Asker, code: i32, lead: i32, log: &str) {
    let log = log.as_bytes();
    let text = [&log[..log.len().min(LOG_BYTES - 1)], &[0]].concat();
    let told = put(asker, offset_of!(Request, log), &text)
        .and_then(|()| put(asker, offset_of!(Request, code), &code.to_ne_bytes()))
        .and_then(|()| put(asker, offset_of!(Request, lead), &lead.to_ne_bytes()))
        .and_then(|()| put(asker, offset_of!(Request, state), &OVER.to_ne_bytes()));
    // It finds out from our end otherwise.
    let _ = told;
}

fn put(asker: &Asker, offset: usize, bytes: &[u8]) -> Result<(), Errno> {
    let n = procvm::write(asker.pid, asker.address + offset as u64, bytes)?;
    if n == bytes.len() { Ok(()) } else { Err(Errno::EFAULT) }
}
