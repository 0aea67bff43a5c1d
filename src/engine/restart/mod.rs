//! The restart: load, review, plan, build, raise and fill, bind, commit, release.
//!
//! Reads like a table of contents. Until the release any failure kills every stub, and nothing is left behind. Three steps: [`open`] reads and
//! decides; then the caller may have to move into namespaces of its own; [`prepare`] makes a job that stands [`Ready`]; [`release`] lets
//! one or several of them run.

mod bind;
mod build;
mod clock;
mod compare;
mod deliver;
mod error;
mod fill;
mod graph;
mod group;
mod ids;
pub(super) mod load;
mod plan;
mod prove;
mod raise;
mod ready;
mod session;
mod space;
mod spool;
mod table;
mod terminal;
mod trust;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use error::PlanError;
pub use graph::Graph;
pub use prove::prove;
use ready::Standing;
pub use ready::{Ready, release};

use super::note::Notes;
use super::observe::Observer;
use super::request::{Place, RestartRequest, Source};
use super::review;
use crate::error::{At, Failure, Stage};
use crate::image::Snapshot;
use crate::policy::relocate::{Relocation, Relocations};
use crate::policy::verdict::Ids;
use crate::policy::{Event, Name, Stack};
use crate::resource::{KindError, Numbered};
use crate::sys::process;

/// A context file that has been read, and what was decided about its restart.
pub struct Opened {
    pages: Option<load::Pages>,
    snapshot: Arc<Snapshot>,
    graph: Graph,
    /// Which ids the job gets.
    pub ids: Ids,
    /// Whether others will do if the ids turn out to be taken.
    any_ids: bool,
    relocations: Relocations,
    begun: Instant,
}

impl Opened {
    /// Whether objects that programs know by numbers can have them in no IPC namespace but one of their own, where nobody shares them.
    pub fn needs_own_numbers(&self) -> bool {
        let numbered: Vec<Numbered> = self.graph.objects(&self.snapshot).map(|(_, _, live)| live.numbered(&self.snapshot)).collect();
        numbered.contains(&Numbered::Elsewhere) && !numbered.contains(&Numbered::Shared)
    }
}

/// Reads a context file and asks policies how it is to be restarted. Nothing is made.
pub fn open(request: &RestartRequest, policies: &mut Stack, observer: &mut dyn Observer) -> Result<Opened, Failure> {
    let begun = Instant::now();
    observer.stage(Stage::Load);
    let mut pages = load::open(&request.source)?;
    if request.verify && pages.is_seekable() {
        pages.verify(observer)?;
    }
    let mut snapshot = pages.snapshot().clone();
    policies.opened(&snapshot);
    if !request.trust_file && nix::unistd::geteuid().is_root() {
        pages.check_trust().at(Stage::Load)?;
    }
    if !snapshot.kept.is_empty() {
        policies.recall(&snapshot.kept).at(Stage::Review)?;
    }
    let graph = Graph::load(&snapshot).map_err(|failure| naming_release(failure, &snapshot))?;
    let mut choice = Default::default();
    if policies.hears(Name::PreRestart) {
        let path = match &request.source {
            Source::File(path) | Source::Dir(path) => Some(path.as_path()),
            Source::Fd(_) => None,
        };
        choice = policies.ask_restart(&Event::PreRestart(Box::new(review::restart_event(&snapshot, &graph, path)))).at(Stage::Review)?;
    }
    review::directories(&mut snapshot, &choice).at(Stage::Review)?;
    let any_ids = choice.ids == Some(Ids::Any);
    let ids = match choice.ids.unwrap_or(Ids::Keep) {
        Ids::Any if ids::can_be_had(&snapshot) => Ids::Keep,
        Ids::Any => Ids::New,
        ids => ids,
    };
    Ok(Opened { pages: Some(pages), snapshot, graph, ids, any_ids, relocations: relocations(&choice.relocate), begun })
}

/// Who restarts says where files are now, with his own rights: links in that are followed, once.
fn relocations(rules: &[Relocation]) -> Relocations {
    let resolved = |rule: &Relocation| Relocation { new: review::resolved(&rule.new), ..rule.clone() };
    Relocations::new(&rules.iter().map(resolved).collect::<Vec<_>>())
}

/// Makes a job of which every process stands ready, or in a dry run only decides how.
pub fn prepare(mut opened: Opened, request: &RestartRequest, policies: &mut Stack, observer: &mut dyn Observer) -> Result<Ready, Failure> {
    const MOST_ATTEMPTS: u32 = 5;
    const PAUSE: Duration = Duration::from_millis(30);
    let mut notes = Notes::default();
    let mut attempt = 1;
    let reviewed = review::review(&mut opened.snapshot, &mut opened.graph, &mut opened.relocations, policies, &mut notes);
    let result = reviewed.and_then(|()| {
        let mut pages = opened.pages.take().expect("nobody has used it");
        loop {
            let result = make(&mut pages, &opened, request, policies.dry_run, observer, &mut notes);
            if result.is_err() {
                // Every stub has been killed: none may keep its id as a zombie of ours.
                process::reap_killed();
            }
            // Ids of a job that has just been killed are invisible in /proc a moment before the kernel has freed them.
            let id_taken = |failure: &Failure| matches!(failure.cause.downcast_ref(), Some(KindError::IdTaken { .. }));
            let failure = match result {
                Ok(standing) => break Ok((standing, pages)),
                Err(failure) if attempt == MOST_ATTEMPTS || !id_taken(&failure) => break Err(failure),
                Err(failure) => failure,
            };
            if opened.any_ids {
                opened.ids = Ids::New;
            }
            let Some(again) = pages.again(&request.source) else { break Err(failure) };
            pages = again?;
            attempt += 1;
            std::thread::sleep(PAUSE);
        }
    });
    let made = result.map(|(standing, pages)| Ready::new(opened, standing, pages, request));
    notes.take().into_iter().for_each(|message| observer.message(message));
    made
}

/// Everything up to processes that wait for their release; nothing in a dry run.
fn make(
    pages: &mut load::Pages,
    opened: &Opened,
    request: &RestartRequest,
    is_dry_run: bool,
    observer: &mut dyn Observer,
    notes: &mut Notes,
) -> Result<Option<Standing>, Failure> {
    let (snapshot, graph) = (opened.snapshot.as_ref(), &opened.graph);
    let _too_large = process::FileSizeIgnored::begin();

    observer.stage(Stage::Plan);
    if opened.ids != Ids::New && !pages.is_seekable() && ids::are_still_the_jobs(snapshot) {
        pages.spool()?;
        ids::wait_until_free(snapshot);
    }
    if opened.ids != Ids::New && request.place == Place::Host && !is_dry_run {
        ids::wait_for_zombies(snapshot);
    }
    let plan = plan::plan(snapshot, graph, request, opened.ids, &opened.relocations, notes);
    let plan = plan.map_err(|failure| naming_release(failure, snapshot))?;
    if is_dry_run {
        return Ok(None);
    }

    observer.stage(Stage::Build);
    let mut built = build::build(snapshot, graph, &plan, notes)?;

    observer.stage(Stage::Raise);
    let mut fill = fill::Fill::new(snapshot, pages, observer);
    let mut job = raise::raise((snapshot, graph), &plan, &mut built, &mut fill, notes)?;
    let page_bytes = fill.finish()?;

    observer.stage(Stage::Bind);
    build::after_births(snapshot, graph, &plan, &mut built, &job.ids(snapshot), notes)?;
    bind::bind((snapshot, graph), &plan, &built, &mut job, notes)?;
    Ok(Some(Standing { job, built, plan, page_bytes }))
}

/// Where another release is needed, says which.
fn naming_release(mut failure: Failure, snapshot: &Snapshot) -> Failure {
    let needs_release = match (failure.cause.downcast_ref(), failure.cause.downcast_ref()) {
        (Some(error), _) => KindError::needs_other_release(error),
        (_, Some(PlanError::Several { needs_release, .. })) => *needs_release,
        _ => false,
    };
    if needs_release {
        failure.remedy = Some(format!("restart it with release {}, which wrote it, or a newer one", snapshot.origin.program));
    }
    failure
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::image::{Origin, Record, RecordError, Tag};

    #[test]
    fn a_record_of_a_later_release_names_that_release() {
        let snapshot = Snapshot { origin: Origin { program: "7.8.9".into(), ..Origin::default() }, ..Snapshot::default() };
        let record = Record { kind: "sample".into(), version: 2, state: vec![] };
        let version: Result<(), RecordError> = record.decode(Tag::new("sample", 1));
        for error in [KindError::Record(version.unwrap_err()), KindError::UnknownKind { kind: "new".into() }] {
            let failure = naming_release(Failure::new(Stage::Plan, error), &snapshot);
            assert_eq!(failure.remedy.as_deref(), Some("restart it with release 7.8.9, which wrote it, or a newer one"));
        }
    }
}
