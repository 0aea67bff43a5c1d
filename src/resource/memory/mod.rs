//! Address spaces: their areas, the pages that hold something, the pages the kernel provides, the fields of `struct mm`.
//!
//! Relies on frozen tasks (maps are torn while threads run) and on `image` for the words. Leaves moving of bytes to the engine.

pub mod area;
pub mod fields;
pub mod key;
pub mod pages;
pub mod shared_memory;
pub mod special;

pub use area::{Mapped, areas, is_copy_of_shared};
pub use pages::{Pages, contents};
