//! The engine as the command lines see it: two calls, behind a trait so that the tests can put something else in its place.

use crate::engine::observe::{CheckpointReport, Observer, RestartReport};
use crate::engine::request::{CheckpointRequest, RestartRequest};
use crate::error::Failure;

/// Who does the work.
pub trait Engine {
    /// Writes a context file.
    fn checkpoint(&mut self, request: &CheckpointRequest, observer: &mut dyn Observer) -> Result<CheckpointReport, Failure>;
    /// Puts a job back; returns when it runs.
    fn restart(&mut self, request: &RestartRequest, observer: &mut dyn Observer) -> Result<RestartReport, Failure>;
}

/// The engine of this package.
#[derive(Debug, Default)]
pub struct Reprise;

impl Engine for Reprise {
    fn checkpoint(&mut self, request: &CheckpointRequest, observer: &mut dyn Observer) -> Result<CheckpointReport, Failure> {
        crate::engine::checkpoint(request, observer)
    }

    fn restart(&mut self, request: &RestartRequest, observer: &mut dyn Observer) -> Result<RestartReport, Failure> {
        crate::engine::restart(request, observer)
    }
}
