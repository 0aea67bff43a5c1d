//! `libcr_omit.so.0`, which `cr_run` preloads: the program is left out of checkpoints, unless it brings libcr itself and says more.
//!
//! Relies on the loader calling its constructor. Exports nothing, installs nothing, needs no other library than libc.
#![cfg_attr(panic = "abort", no_std)]
#![allow(unsafe_code)]
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "an address is computed and read in one expression")]
#![allow(non_upper_case_globals, reason = "names of the C interface")]

#[path = "../src/page.rs"]
mod page;
#[path = "../src/runtime.rs"]
mod runtime;

use core::sync::atomic::Ordering::Relaxed;

extern "C" fn at_load() {
    let Some(page) = page::get() else { return };
    page.omit.store(1, Relaxed);
    // One that is there already says at least as much.
    let _ = page.kind.compare_exchange(0, libcr_wire::KIND_OMIT, Relaxed, Relaxed);
}

// SAFETY: the section is an array of functions that the loader calls with C's convention; ours needs no argument.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = at_load;

/// For `-Wl,-u,cr_omit_link_me`.
#[unsafe(no_mangle)]
pub static cr_omit_link_me: i32 = 0;
