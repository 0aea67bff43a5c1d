//! The context file: what is in it ([`snapshot`]), how its bytes lie (`layout`), writing (`save`), reading (`load`),
//! and how it comes into being at its place ([`file`]).
//!
//! Relies on `error` only. Knows no kind and no process: everything a kind saves travels as a [`Record`].
//! `FORMAT.md` beside this file describes every byte.

mod check;
pub mod disposition;
pub mod facts;
pub mod file;
pub mod path;
pub mod record;
pub mod snapshot;
pub mod unpack;

mod backup;
mod block;
mod bounds;
mod checksum;
mod ending;
mod error;
mod layout;
mod load;
mod metadata;
mod save;
mod seek;
mod source;
mod target_error;
mod temporary;
mod trailer;
mod verify;

pub use block::{BLOCK_PAGES, Block, BlockEntry, MAX_RUNS, Run, RunKind, Space};
pub use check::check;
pub use checksum::checksum;
pub use disposition::{AreaAction, FileAction, FileChoice, LostSort, ObjectAction, ObjectChoice};
pub use error::{CR_EBADARCH, ImageError};
pub use file::{Creation, Owner, Target};
pub use layout::{FORMAT, FileId, Header, PAGE_BYTES, random};
pub use load::Reader;
pub use record::{OTHER_RELEASE, Record, RecordError, Tag};
pub use save::{Saved, TimeLeft, Writer};
pub use snapshot::*;
pub use target_error::TargetError;
pub use verify::Verified;

#[cfg(test)]
mod test;
