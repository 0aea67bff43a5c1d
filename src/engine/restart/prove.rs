//! Whether a job that has just been described could be restarted here: the plan of its restart, made before anything is saved and anybody ended.
//!
//! Relies on the phases of a restart that change nothing, with no policy to ask. The ids of the job are its own and count as free, and what a
//! restart will warn about is left to the restart.

use std::error::Error;
use std::sync::Arc;

use super::graph::Graph;
use super::{build, naming_release, plan};
use crate::engine::note::Notes;
use crate::engine::review;
use crate::error::{At, Failure, Stage};
use crate::image::{Snapshot, check};
use crate::policy::Stack;
use crate::policy::relocate::Relocations;

/// Why a job is left alone although a signal was to follow its checkpoint.
#[derive(Debug, thiserror::Error)]
#[error("the job runs on and was not saved, because it could not be restarted")]
struct Unproven {
    source: Box<dyn Error + Send + Sync>,
}

/// Says what would stand in the way of a restart on this machine, as far as it can tell now.
pub fn prove(snapshot: &Snapshot) -> Result<(), Failure> {
    plan_restart(snapshot).map_err(|failure| {
        let way_out = "save it without a signal, or send the signal all the same: --unproven";
        let remedy = failure.remedy.map_or(way_out.to_owned(), |remedy| format!("{remedy}; or {way_out}"));
        Failure { stage: Stage::Plan, cause: Box::new(Unproven { source: failure.cause }), remedy: Some(remedy), ..failure }
    })
}

fn plan_restart(snapshot: &Snapshot) -> Result<(), Failure> {
    check(snapshot).at(Stage::Plan)?;
    let mut snapshot = Arc::new(snapshot.clone());
    let mut graph = Graph::load(&snapshot).map_err(|failure| naming_release(failure, &snapshot))?;
    let (mut relocations, mut notes) = (Relocations::default(), Notes::default());
    review::review(&mut snapshot, &mut graph, &mut relocations, &mut Stack::default(), &mut notes)?;
    plan::check((&snapshot, &graph), true, &relocations, &mut notes)?;
    build::check_descriptors(&snapshot).at(Stage::Plan)
}
