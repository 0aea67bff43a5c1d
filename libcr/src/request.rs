//! Requests of this process, for checkpoints and restarts of itself and of others: started, waited for, read, reaped.
//!
//! A request is a slot of a table, in which the tool that works on it writes what becomes of it ([`libcr_wire::Request`]); a handle is the slot's number with a count, so
//! that an old one is known. No descriptor is involved. A slot from before a restart belongs to another life: that it exists means that its checkpoint
//! has succeeded. Relies on [`crate::tool`] for the process; what the command says is the callers'.

use core::sync::atomic::{
    AtomicI32, AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use libcr_wire::{ASKED, OVER, Request, STARTED, code};

use crate::thread::control;
use crate::tool::{self, Words};
use crate::{round, sys};

const MOST: usize = 32;
const FREE: u32 = 0;

struct Slot {
    /// Counts uses; even: free.
    uses: AtomicU32,
    tool: AtomicI32,
    /// How often the process had been restarted.
    life: AtomicU32,
    /// What the host had for PR_SET_CHILD_SUBREAPER, plus one; 0: nothing was changed.
    subreaper: AtomicI32,
    request: Request,
}

static SLOTS: [Slot; MOST] = [const {
    Slot {
        uses: AtomicU32::new(FREE),
        tool: AtomicI32::new(0),
        life: AtomicU32::new(0),
        subreaper: AtomicI32::new(0),
        request: Request {
            state: AtomicU32::new(STARTED),
            code: AtomicI32::new(0),
            lead: AtomicI32::new(0),
            log: [const { core::sync::atomic::AtomicU8::new(0) }; libcr_wire::LOG_BYTES],
        },
    }
}; MOST];

/// Guards starting tools.
static LOCK: sys::Lock = sys::Lock::new();

/// A request under way.
#[derive(Clone, Copy)]
pub struct Handle(&'static Slot, u64);

/// How a request ended.
pub enum Outcome {
    /// It has succeeded; the lead of a restart, else 0.
    Success(i32),
    /// It has failed.
    Failure(i32),
}

impl Handle {
    /// Takes a slot.
    pub fn take() -> Result<Handle, i32> {
        for (index, slot) in SLOTS.iter().enumerate() {
            let uses = slot.uses.load(Acquire);
            let is_ours = uses % 2 == 0 && slot.uses.compare_exchange(uses, uses + 1, AcqRel, Relaxed).is_ok();
            if !is_ours {
                continue;
            }
            let request = &slot.request;
            request.code.store(0, Relaxed);
            request.lead.store(0, Relaxed);
            request.log[0].store(0, Relaxed);
            slot.tool.store(0, Relaxed);
            slot.subreaper.store(0, Relaxed);
            slot.life.store(life(), Relaxed);
            request.state.store(STARTED, Release);
            return Ok(Handle(slot, u64::from(uses + 1) << 8 | index as u64));
        }
        Err(libc::EAGAIN)
    }

    /// The request of a handle as programs have it.
    pub fn of(number: u64) -> Option<Handle> {
        let slot = SLOTS.get(usize::try_from(number & 0xff).ok()?)?;
        (u64::from(slot.uses.load(Acquire)) == number >> 8 && number >> 8 & 1 == 1).then_some(Handle(slot, number))
    }

    /// The handle as programs have it.
    pub fn number(self) -> u64 {
        self.1
    }

    /// Gives the slot back.
    pub fn free(self) {
        self.0.uses.fetch_add(1, AcqRel);
    }

    /// Adds to a command where the tool writes: `--asker PID:ADDRESS`.
    pub fn name_asker(self, words: &mut Words) {
        words.word(b"--asker");
        words.begin();
        words.number(u64::from(sys::own_pid().unsigned_abs()));
        words.text(b":");
        words.number((&raw const self.0.request).addr() as u64);
        words.end();
    }

    /// Starts the tool. A restart leaves its processes to us when it ends: they become our children.
    pub fn start(self, words: &Words, context: i32, is_restart: bool) -> Result<(), i32> {
        const SET_PTRACER: i32 = libc::PR_SET_PTRACER;
        LOCK.acquire();
        if is_restart {
            let mut is_set: i32 = 0;
            // SAFETY: the number is ours to fill.
            unsafe { libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut is_set) };
            // SAFETY: takes numbers only.
            unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
            self.0.subreaper.store(is_set + 1, Relaxed);
        }
        let started = tool::start(words, context, !is_restart);
        LOCK.release();
        match started {
            Ok(pid) => {
                // Where attaching is restricted to descendants, as by Yama. Elsewhere it fails and does not matter.
                // SAFETY: takes numbers only.
                unsafe { libc::prctl(SET_PTRACER, pid, 0, 0, 0) };
                self.0.tool.store(pid, Release);
                Ok(())
            }
            Err(errno) => {
                self.put_back();
                self.free();
                Err(errno)
            }
        }
    }

    fn put_back(self) {
        let old = self.0.subreaper.swap(0, AcqRel);
        if old > 0 {
            // SAFETY: takes numbers only.
            unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, old - 1, 0, 0, 0) };
        }
    }

    /// Whether this process was restarted since, from this checkpoint or an earlier one.
    pub fn is_of_another_life(self) -> bool {
        self.0.life.load(Acquire) != life()
    }

    /// Whether it is over.
    pub fn is_over(self) -> bool {
        if self.is_of_another_life() {
            return true;
        }
        // The tool says so a moment before it ends; a restart's lead becomes our child with that end.
        !matches!(tool::look(self.0.tool.load(Acquire), false), Ok(None))
    }

    /// Waits until everybody has been asked, or it is over.
    pub fn until_asked(self) {
        while self.0.request.state.load(Acquire) != ASKED && !self.is_over() {
            round::attend();
            sys::sleep(200_000);
        }
    }

    /// Whether it has failed already.
    pub fn failure(self) -> Option<i32> {
        if self.is_of_another_life() || !self.is_over() {
            return None;
        }
        match self.outcome() {
            Outcome::Failure(errno) => Some(errno),
            Outcome::Success(_) => None,
        }
    }

    fn outcome(self) -> Outcome {
        let request = &self.0.request;
        if request.state.load(Acquire) == OVER {
            return match request.code.load(Acquire) {
                0 => Outcome::Success(request.lead.load(Acquire)),
                errno => Outcome::Failure(errno),
            };
        }
        Outcome::Failure(libc::ECANCELED)
    }

    /// Takes the result and gives the slot back. It must be over.
    pub fn reap(self) -> Outcome {
        if self.is_of_another_life() {
            self.free();
            return Outcome::Failure(code::RESTARTED);
        }
        let status = tool::look(self.0.tool.load(Acquire), true);
        self.put_back();
        let not_found = matches!(status, Ok(Some(status)) if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == tool::NOT_FOUND);
        let outcome = match self.outcome() {
            Outcome::Failure(libc::ECANCELED) if not_found => Outcome::Failure(libc::ENOSYS),
            outcome => outcome,
        };
        self.free();
        outcome
    }

    /// Copies the messages; how many bytes they are with their end, 0 if there are none.
    pub fn log(self, into: *mut u8, room: usize) -> usize {
        let log = &self.0.request.log;
        if self.is_of_another_life() {
            return 0;
        }
        let length = log.iter().position(|byte| byte.load(Relaxed) == 0).unwrap_or(0);
        if length == 0 {
            return 0;
        }
        if !into.is_null() && room > 0 {
            let copied = length.min(room - 1);
            for (index, byte) in log.iter().take(copied).enumerate() {
                // SAFETY: the caller has room for `room` bytes, as the header asks.
                unsafe { into.add(index).write(byte.load(Relaxed)) };
            }
            // SAFETY: as above.
            unsafe { into.add(copied).write(0) };
        }
        length + 1
    }
}

/// How often this process was restarted.
fn life() -> u32 {
    control().map_or(0, |page| page.restarts.load(Acquire))
}

/// In the child of a fork: its parent's requests are not its own.
pub fn reset() {
    for slot in SLOTS.iter().filter(|slot| slot.uses.load(Relaxed) % 2 == 1) {
        slot.uses.fetch_add(1, Relaxed);
    }
}
