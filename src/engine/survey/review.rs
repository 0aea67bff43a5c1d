//! What the survey asks policies about processes, and what it knows about mappings before any is described.
//!
//! Relies on what `/proc` showed. The questions about files, other objects and areas are [`crate::engine::review`]'s.

use std::collections::{HashMap, HashSet};

use super::Seen;
use crate::engine::review::Mapping;
use crate::error::{At, Failure, Stage, Subject};
use crate::policy::event::ProcessEvent;
use crate::policy::{Event, Name, Stack, Verdict};
use crate::proc::MapName;
use crate::resource::{KindError, outside};
use crate::tracee::freeze::FrozenProcess;

/// Leaves out the processes that policies omit, with all that descend from them. Parents stand before their children.
pub fn processes(seen: Vec<Seen>, frozen: &[FrozenProcess], policies: &mut Stack) -> Result<Vec<Seen>, Failure> {
    if !policies.hears(Name::Process) {
        return Ok(seen);
    }
    let mut omitted = HashSet::new();
    let mut kept = Vec::new();
    for one in seen {
        let about = |failure: Failure| failure.about(Subject::pid(one.pid));
        let is_below = omitted.contains(&one.stat.ppid);
        let opinion = if is_below {
            None
        } else {
            policies.ask(&Event::Process(event(&one, &frozen[one.position]))).at(Stage::Review).map_err(about)?
        };
        let is_omitted = opinion.as_ref().is_some_and(|opinion| opinion.verdict == Verdict::Omit);
        match opinion {
            Some(opinion) => policies.decided(format!("process {}", one.pid), &opinion),
            None => policies.stays(format!("process {}", one.pid), if is_below { "omit" } else { "save" }, "default"),
        }
        if is_below || is_omitted {
            omitted.insert(one.pid);
        } else {
            kept.push(one);
        }
    }
    if kept.is_empty() {
        let error =
            KindError::Unsupported { what: "a job of which every process is omitted".into(), remedy: "omit fewer processes".into() };
        return Err(error).at(Stage::Review);
    }
    Ok(kept)
}

fn event(one: &Seen, frozen: &FrozenProcess) -> ProcessEvent {
    let resident: u64 = one.maps.iter().map(|area| area.rss_kb + area.swap_kb).sum();
    ProcessEvent {
        pid: one.pid,
        ppid: one.stat.ppid,
        pgid: one.stat.pgrp,
        sid: one.stat.session,
        uid: one.status.uids.real,
        name: one.stat.comm.to_string_lossy().into_owned(),
        command: super::command_of(one),
        threads: frozen.threads.len(),
        bytes: resident * 1024,
    }
}

/// Where shm_open(3) and sem_open(3) make their files.
const SHARED_MEMORY: &str = "/dev/shm";

/// How the job maps files, by inode number and path: known before the first file is described.
pub fn mappings(seen: &[Seen]) -> HashMap<u64, Mapping> {
    let mut mappings: HashMap<u64, Mapping> = HashMap::new();
    for one in seen {
        for area in one.maps.iter().filter(|area| matches!(area.name, MapName::File { .. })) {
            let mapping = mappings.entry(area.inode).or_default();
            mapping.shared |= area.perms.shared;
            mapping.writable |= area.perms.shared && area.flags.has("mw");
            let is_memory = matches!(&area.name, MapName::File { path, .. } if path.starts_with(SHARED_MEMORY));
            if is_memory && mapping.writable && !mapping.is_own_memory {
                let user = outside::user_of((area.device.to_dev_t(), area.inode), |pid| seen.iter().any(|one| one.pid == pid));
                mapping.is_own_memory = user.is_none();
            }
        }
        if let Ok(stat) = one.dir.stat_link("exe") {
            mappings.entry(stat.ino).or_default().executable = true;
        }
    }
    mappings
}
