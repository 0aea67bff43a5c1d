//! libcr: the C interface of BLCR for programs that take part in their own checkpoints, over the engine of Reprise.
//!
//! The interface is that of `include/libcr.h`. The library brings nothing along that its host could notice: no thread before a callback in thread context is
//! registered, no descriptor, no symbol but those of the interface, no allocation in signal context. Relies on libc and on
//! [`libcr_wire`], the page through which it talks to the engine. Leaves stopping, saving and restoring to the programs.
#![cfg_attr(panic = "abort", no_std)]
#![allow(unsafe_code)]
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "an address is computed and read in one expression")]
#![allow(non_upper_case_globals, reason = "names of the C interface")]

mod callback;
mod checkpoints;
mod handler;
mod hook;
mod list;
mod page;
mod poll;
mod request;
mod restarts;
mod round;
mod run;
mod runtime;
mod seat;
mod section;
mod spin;
mod sys;
mod text;
mod thread;
mod tool;

/// `cri_signum`: the reserved signal.
#[unsafe(no_mangle)]
pub static cri_signum: i32 = libcr_wire::SIGNAL;

/// For `-Wl,-u,cr_link_me`.
#[unsafe(no_mangle)]
pub static cr_link_me: i32 = 0;

extern "C" fn at_load() {
    thread::reserve_signal();
    // Without a page the library is there and cr_init says what is wrong.
    let _ = thread::set_up();
}

// SAFETY: the section is an array of functions that the loader calls with C's convention; ours needs no argument.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = at_load;
