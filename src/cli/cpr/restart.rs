//! `cpr -r`: one or several statefiles, all or nothing.
//!
//! Relies on [`crate::cli::restart`] for everything after the request. Without `-j` nobody waits: what was restarted belongs to init, in its own
//! process groups where all their leaders were saved. With `-j` it is in the group of cpr, which stands before it as `cr_restart` does.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::{Pid, getpgrp, getpid, setpgid};

use super::said::CprSaid;
use crate::cli::engine_calls::Engine;
use crate::cli::exit::{self, Ending};
use crate::cli::flag::script::Scripting;
use crate::cli::low::RestartSaid;
use crate::cli::report::Reporter;
use crate::cli::text::Attempt;
use crate::cli::{attributes, policies, restart as cr_restart};
use crate::engine::request::{Affinity, Clock, Omit, Place, RestartRequest, Source};
use crate::engine::statefile::{Statefile, failure};
use crate::error::Failure;
use crate::image::Snapshot;

/// Brings back what is in these statefiles.
pub fn restart(said: &CprSaid, files: &[PathBuf], engine: &mut dyn Engine, reporter: &mut Reporter<'_, '_>) -> Ending {
    let mut requests = Vec::new();
    let mut is_interactive = said.interactive;
    for file in files {
        reporter.about_statefile(&file.display().to_string());
        let snapshot = match look(file) {
            Ok(snapshot) => snapshot,
            Err(failure) => return failed(&failure, reporter),
        };
        is_interactive &= had_terminal(&snapshot);
        requests.push((request(file, &snapshot), snapshot));
    }
    if said.interactive && !is_interactive {
        reporter.complain("without a terminal at the checkpoint there is no job control now: -j changes nothing");
    }
    let mut requests: Vec<RestartRequest> = requests.into_iter().map(|(request, _)| request).collect();
    for request in &mut requests {
        request.detach = !is_interactive;
        request.restore_pgid &= !is_interactive;
        request.restore_sid &= !is_interactive;
    }
    if !is_interactive && requests.iter().any(|request| !request.restore_pgid) && getpgrp() != getpid() {
        // What keeps no group of its own does not belong in that of whoever called us. Fails for the leader of a session only, which is in its own.
        let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
    }
    let low = RestartSaid {
        general: said.general,
        detach: !is_interactive,
        scripting: Scripting { dry_run: said.dry_run, ..Scripting::default() },
        ..RestartSaid::default()
    };
    match attributes::named_and_of_user(said.attributes.as_deref()) {
        Ok(attributes) => cr_restart::carry_out(&low, &requests, policies::for_statefiles(&low, attributes), engine, reporter),
        Err(failure) => failed(&failure, reporter),
    }
}

fn failed(failure: &Failure, reporter: &mut Reporter<'_, '_>) -> Ending {
    let status = exit::of_checkpoint(failure);
    reporter.failure(Attempt::Restart, failure, status, &[]);
    Ending::Status(status)
}

/// What is in a statefile that the caller may restart.
fn look(file: &Path) -> Result<Arc<Snapshot>, Failure> {
    let statefile = Statefile::open(file).map_err(failure)?;
    let snapshot = statefile.read()?;
    statefile.may_restart(&snapshot).map_err(failure)?;
    Ok(snapshot)
}

/// Process groups and sessions come back where their leaders do. Others may be in use, and would be those of strangers.
fn request(file: &Path, snapshot: &Snapshot) -> RestartRequest {
    let is_saved = |id: i32| snapshot.processes.iter().any(|process| process.pid == id);
    RestartRequest {
        asker: None,
        source: Source::Dir(file.to_owned()),
        signal: None,
        restore_pgid: snapshot.processes.iter().all(|process| is_saved(process.pgid)),
        restore_sid: snapshot.processes.iter().all(|process| is_saved(process.sid)),
        omit: Omit::Maybe,
        trust_file: false,
        verify: false,
        compare: false,
        detach: false,
        place: Place::Host,
        clock: Clock::default(),
        affinity: Affinity::default(),
    }
}

/// Whether the job had a terminal: something of it leads to one.
fn had_terminal(snapshot: &Snapshot) -> bool {
    snapshot.processes.iter().any(|process| process.foreground) || snapshot.objects.iter().any(|object| object.record.kind == "tty")
}
