//! The two flows of Reprise, each a straight line of phases.

pub mod observe;
pub mod request;
pub mod tree;
