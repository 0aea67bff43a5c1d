//! The context file: what is in it ([`snapshot`]), how its bytes lie ([`layout`]), writing ([`save`]) and reading ([`load`]).
//!
//! Relies on `error` only. Knows no kind and no process: everything a kind saves travels as a [`Record`].
//! `FORMAT.md` beside this file describes every byte.

pub mod record;
pub mod snapshot;

pub use record::{Record, RecordError, Tag};
pub use snapshot::*;
