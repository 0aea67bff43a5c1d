//! libcpr: the C interface of IRIX Checkpoint and Restart, over the programs of Reprise.
//!
//! The interface is that of `include/ckpt.h`. Requests are carried out by `cpr`, which is started for each ([`tool`]): what saves a process cannot be that
//! process. Handlers ([`handler`]) take part in checkpoints through libcr, loaded when it is there; there is no second mechanism. Relies on libc.
#![cfg_attr(panic = "abort", no_std)]
#![allow(unsafe_code)]
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "an address is computed and read in one expression")]
#![allow(non_upper_case_globals, reason = "names of the C interface")]

mod handler;
mod list;
mod request;
mod runtime;
mod text;
mod tool;

// SAFETY: the section is an array of functions that the loader calls with C's convention; ours needs no argument.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = handler::at_load;
