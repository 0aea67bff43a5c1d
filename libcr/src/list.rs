//! A list of callbacks that grows and never moves: readers need no copy, and memory is asked for when a callback is registered only.
//!
//! Relies on its caller to hold the lock that guards all lists. The k-th segment has twice the room of the one before.

use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{
    AtomicPtr, AtomicU32, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

use crate::sys;

/// `cr_callback_t`.
pub type Function = extern "C" fn(*mut c_void) -> i32;

/// A callback: a function, none for a placeholder, and its argument.
#[derive(Clone, Copy)]
pub struct Callback {
    /// The function.
    pub function: Option<Function>,
    /// What it is called with.
    pub argument: *mut c_void,
}

/// Room for one callback.
struct Cell {
    function: AtomicUsize,
    argument: AtomicPtr<c_void>,
}

const FIRST: u32 = 64;
const SEGMENTS: usize = 20;

/// Most callbacks of one list (`CR_MAX_CALLBACKS`).
pub const MOST: u32 = 0x01ff_ffff;

/// The callbacks of the process, or of one thread.
pub struct List {
    segments: [AtomicPtr<Cell>; SEGMENTS],
    length: AtomicU32,
}

impl List {
    /// An empty list.
    pub const fn new() -> List {
        List { segments: [const { AtomicPtr::new(null_mut()) }; SEGMENTS], length: AtomicU32::new(0) }
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        self.length.load(Acquire)
    }

    /// Forgets all of them; the room stays.
    pub fn clear(&self) {
        self.length.store(0, Release);
    }

    /// Adds one at the end; its index, or an error number.
    pub fn push(&self, callback: Callback) -> Result<u32, i32> {
        let index = self.len();
        if index >= MOST {
            return Err(libc::ENOSPC);
        }
        let (segment, _) = place(index);
        let room = self.segments.get(segment).ok_or(libc::ENOSPC)?;
        if room.load(Acquire).is_null() {
            let bytes = (FIRST as usize) << segment;
            room.store(sys::map(bytes * size_of::<Cell>()).ok_or(libc::ENOMEM)?.cast(), Release);
        }
        self.put(index, callback);
        self.length.store(index + 1, Release);
        Ok(index)
    }

    /// Puts another callback in the place of one.
    pub fn put(&self, index: u32, callback: Callback) {
        let Some(cell) = self.cell(index) else { return };
        cell.function.store(callback.function.map_or(0, |function| function as usize), Relaxed);
        cell.argument.store(callback.argument, Relaxed);
    }

    /// One of them.
    pub fn get(&self, index: u32) -> Option<Callback> {
        if index >= self.len() {
            return None;
        }
        let cell = self.cell(index)?;
        let function = match cell.function.load(Relaxed) {
            0 => None,
            // SAFETY: the number was made of such a function in `put`.
            address => Some(unsafe { core::mem::transmute::<usize, Function>(address) }),
        };
        Some(Callback { function, argument: cell.argument.load(Relaxed) })
    }

    fn cell(&self, index: u32) -> Option<&Cell> {
        let (segment, offset) = place(index);
        let first = self.segments.get(segment)?.load(Acquire);
        // SAFETY: a segment that is not null was mapped by `push` with room for FIRST << segment cells, of which zero bytes are valid ones.
        (!first.is_null()).then(|| unsafe { &*first.add(offset) })
    }
}

/// The segment of an index, and where in it.
fn place(index: u32) -> (usize, usize) {
    let segment = (index / FIRST + 1).ilog2();
    let before = FIRST * ((1 << segment) - 1);
    (segment as usize, (index - before) as usize)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn every_index_has_a_place_of_its_own() {
        assert_eq!(place(0), (0, 0));
        assert_eq!(place(63), (0, 63));
        assert_eq!(place(64), (1, 0));
        assert_eq!(place(191), (1, 127));
        assert_eq!(place(192), (2, 0));
        assert!(place(MOST).0 < SEGMENTS);
    }

    extern "C" fn nothing(_: *mut c_void) -> i32 {
        0
    }

    #[test]
    fn what_was_put_is_got_back() {
        let list = List::new();
        for index in 0..1000 {
            let argument = index as usize as *mut c_void;
            assert_eq!(list.push(Callback { function: (index % 3 != 0).then_some(nothing as Function), argument }), Ok(index));
        }
        for index in 0..1000 {
            let callback = list.get(index).unwrap();
            assert_eq!(callback.function.is_some(), index % 3 != 0);
            assert_eq!(callback.argument as usize, index as usize);
        }
        assert!(list.get(1000).is_none());
        list.clear();
        assert!(list.get(0).is_none());
    }
}
