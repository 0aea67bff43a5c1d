//! `cpr -c`: the request, and handing it to what `cr_checkpoint` does.
//!
//! Relies on [`crate::cli::checkpoint`] for everything from the worker process to the messages.

use std::path::Path;

use nix::unistd::{geteuid, getpid};

use super::said::CprSaid;
use crate::cli::attributes;
use crate::cli::checkpoint::carry_out;
use crate::cli::engine_calls::Engine;
use crate::cli::exit::{self, Ending};
use crate::cli::flag::destination::Place;
use crate::cli::flag::script::Scripting;
use crate::cli::flag::signal::Afterwards;
use crate::cli::high::DEFAULT_MODE;
use crate::cli::low::CheckpointSaid;
use crate::cli::report::Reporter;
use crate::cli::text::Attempt;
use crate::engine::request::{CheckpointRequest, Creation, Destination, Owner, Participation, TraceRule};
use crate::policy::attribute::AtCheckpoint;
use crate::policy::rule::SaveFiles;

/// Saves what `-p` names in the directory `path`.
pub fn save(said: &CprSaid, path: &Path, engine: &mut dyn Engine, reporter: &mut Reporter<'_, '_>) -> Ending {
    reporter.about_statefile(&path.display().to_string());
    let rule = match attributes::named_and_of_user(said.attributes.as_deref()) {
        Ok(attributes) => AtCheckpoint::new(attributes, said.ids.clone()),
        Err(failure) => {
            let status = exit::of_checkpoint(&failure);
            reporter.failure(Attempt::Checkpoint, &failure, status, &[]);
            return Ending::Status(status);
        }
    };
    let low = low(said, path);
    let mut request = request(said, path, &low);
    attributes::settle(&mut request, &rule, low.afterwards.is_said);
    carry_out(&low, &request, &rule, engine, reporter)
}

/// The same in the words of `cr_checkpoint`.
fn low(said: &CprSaid, path: &Path) -> CheckpointSaid {
    CheckpointSaid {
        general: said.general,
        place: Some(Place::At(Destination::Dir(path.to_owned()))),
        afterwards: Afterwards { signal: (!said.go).then_some(libc::SIGKILL), is_said: said.go || said.kill },
        save: SaveFiles { exe: said.upgrade, private: said.upgrade, shared: false },
        scripting: Scripting { dry_run: said.dry_run, ..Scripting::default() },
        ..CheckpointSaid::default()
    }
}

fn request(said: &CprSaid, path: &Path, low: &CheckpointSaid) -> CheckpointRequest {
    CheckpointRequest {
        targets: said.targets(),
        requester: getpid().as_raw(),
        destination: Destination::Dir(path.to_owned()),
        creation: if said.force { Creation::Atomic } else { Creation::NoClobber },
        sync: true,
        mode: DEFAULT_MODE,
        // What the superuser has saved only the superuser may restart.
        owner: geteuid().is_root().then_some(Owner { uid: 0, gid: 0 }),
        signal: low.afterwards.signal,
        unproven: false,
        ptraced: TraceRule::Error,
        ptracer: TraceRule::Error,
        time_limit: None,
        home: None,
        participation: Participation::default(),
    }
}
