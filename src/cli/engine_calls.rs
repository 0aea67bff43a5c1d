//! The engine as the command lines see it: two calls, behind a trait so that the tests can put something else in its place.

use crate::engine;
use crate::engine::observe::{CheckpointReport, Observer, RestartReport};
use crate::engine::request::{CheckpointRequest, Place, RestartRequest};
use crate::error::Failure;
use crate::policy::Stack;
use crate::policy::verdict::Ids;
use crate::sys::process::reap_killed;

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

    /// Puts jobs back, all or none; returns when they run, or with nothing when `between` said so.
    fn restart(
        &mut self,
        requests: &[RestartRequest],
        policies: &mut Stack,
        between: Between<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Option<Vec<RestartReport>>, Failure>;
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
        engine::checkpoint(request, policies, observer)
    }

    fn restart(
        &mut self,
        requests: &[RestartRequest],
        policies: &mut Stack,
        between: Between<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Option<Vec<RestartReport>>, Failure> {
        let mut opened = Vec::new();
        for request in requests {
            observer.source(&request.source);
            opened.push(engine::open_restart(request, policies, observer)?);
        }
        // A dry run makes nothing, no namespaces either.
        let ids = together(opened.iter().map(|one| one.ids));
        let needs_own_numbers = opened.iter().any(engine::Opened::needs_own_numbers);
        let place = if policies.dry_run { Some(Place::Host) } else { between(ids, needs_own_numbers)? };
        let Some(place) = place else { return Ok(None) };
        let mut ready = Vec::new();
        for (opened, request) in opened.into_iter().zip(requests) {
            observer.source(&request.source);
            match engine::prepare_restart(opened, &request.clone().at(place), policies, observer) {
                Ok(one) => ready.push(one),
                Err(failure) => {
                    // Those that stand ready die, and none may keep its id as a zombie of ours.
                    drop(ready);
                    reap_killed();
                    return Err(failure);
                }
            }
        }
        engine::release_restart(ready, policies, observer).map(Some)
    }
}

/// Where several jobs go together: where the one goes that is hardest to please.
fn together(ids: impl Iterator<Item = Ids>) -> Ids {
    let difficulty = |ids: &Ids| match ids {
        Ids::Namespace => 2,
        Ids::Keep => 1,
        Ids::New | Ids::Any => 0,
    };
    ids.max_by_key(difficulty).unwrap_or(Ids::Keep)
}
