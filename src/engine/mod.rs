//! The two flows of Reprise, each a straight line of phases.

pub mod elsewhere;
pub mod look;
pub mod lost;
pub mod observe;
mod obstacle;
pub mod request;
pub mod saved;
pub mod statefile;

mod afterwards;
mod checkpoint;
mod confined;
mod holder;
mod jobs;
mod note;
mod origin;
mod output;
pub mod participant;
mod restart;
mod review;
mod survey;
mod traced;
mod tree;
mod write;

pub use checkpoint::checkpoint;
pub use restart::{Opened, Ready, open as open_restart, prepare as prepare_restart, release as release_restart};
