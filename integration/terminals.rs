//! stub
use crate::case::Case;
/// stub
pub fn cases() -> Vec<Case> { Vec::new() }
