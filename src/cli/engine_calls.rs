//! The engine as the command lines see it: two calls, behind a trait so that the tests can put something else in its place.

use crate::engine::observe::{CheckpointReport, Observer, RestartReport};
use crate::engine::request::{CheckpointRequest, Place, RestartRequest};
use crate::error::Failure;
use crate::policy::Stack;
use crate::policy::verdict::Ids;

/// Asked between the decisions of a restart and its work, with the ids that were decided: where this process goes on. `None`: it does not,
/// another one has done the work in its place.
pub type Between<'a> = &'a mut dyn FnMut(Ids, bool) -> Result<Option<Place>, Failure>;

/// Who does the work.
pub trait Engine {
    /// Writes a context file.
    fn checkpoint(
        &mut self,
        request: &CheckpointRequest,
        policies: &mut Stack,
        observer: &mut dyn Observer,
    ) -> Result<CheckpointReport, Failure>;

    /// Puts a job back; returns when it runs, or with nothing when `between` said so.
    fn restart(
        &mut self,
        request: &RestartRequest,
        policies: &mut Stack,
        between: Between<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Option<RestartReport>, Failure>;
}

/// The engine of this package.
#[derive(Debug, Default)]
pub struct Reprise;

impl Engine for Reprise {
    fn checkpoint(
        &mut self,
        request: &CheckpointRequest,
        policies: &mut Stack,
        observer: &mut dyn Observer,
    ) -> Result<CheckpointReport, Failure> {
        crate::engine::checkpoint(request, policies, observer)
    }

    fn restart(
        &mut self,
        request: &RestartRequest,
        policies: &mut Stack,
        between: Between<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Option<RestartReport>, Failure> {
        let opened = crate::engine::open_restart(request, policies, observer)?;
        // A dry run makes nothing, no namespaces either.
        let place = if policies.dry_run { Some(Place::Host) } else { between(opened.ids, opened.needs_own_numbers())? };
        let Some(place) = place else { return Ok(None) };
        let ready = crate::engine::prepare_restart(opened, &request.clone().at(place), policies, observer)?;
        Ok(crate::engine::release_restart(vec![ready], policies, observer)?.pop())
    }
}
