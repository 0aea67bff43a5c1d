//! Address spaces: their areas, the pages that hold something, the pages the kernel provides, the fields of `struct mm`.
//!
//! Relies on frozen tasks (maps are torn while threads run) and on `image` for the words. Leaves moving of bytes to the engine.

pub mod area;
pub mod fields;
pub mod key;
pub mod pages;
pub mod shared;
pub mod shared_memory;
pub mod special;

pub use area::{Mapped, areas, huge, is_copy_of_shared};
pub use pages::{PAGE, Pages, contents};
pub use shared::{plausible, without_overlap};
