//! Jobs in a pid namespace of their own, as `cr_restart` makes them: which namespace an id leads to, and what the job is called in it.
//!
//! Relies on `/proc`. Only looks; entering the namespace, where the checkpoint then is one like any other, is left to the caller.

use std::collections::BTreeMap;

use super::request::{CheckpointRequest, Target};
use crate::image::Scope;
use crate::proc::{ProcDir, ProcError, Status, all_pids};
use crate::sys::interruption;

/// A job in another pid namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// A process of that namespace, by its id here.
    pub by: i32,
    /// The ids to ask for there.
    pub ids: Vec<i32>,
}

/// Where the id of a request leads, if it leads into another pid namespace. The `cr_restart` that stands for a job there, and the first
/// process of its namespace, lead to all that is below. Groups and sessions are not looked for.
pub fn find(request: &CheckpointRequest) -> Result<Option<Elsewhere>, ProcError> {
    let &[Target { scope: scope @ (Scope::Tree | Scope::Process), id }] = &request.targets[..] else { return Ok(None) };
    let Some(id) = i32::try_from(id).ok().filter(|id| *id != 0) else { return Ok(None) };
    let status = match ProcDir::open(id).and_then(|dir| dir.status()) {
        Err(ProcError::Gone { .. }) => return Ok(None),
        status => status?,
    };
    if let Some(first) = first_process(id, &status, scope)? {
        return below(first).map(Some);
    }
    let is_elsewhere = 1 < status.ns_tgid.len();
    Ok(is_elsewhere.then(|| Elsewhere { by: id, ids: status.ns_tgid.last().copied().into_iter().collect() }))
}

/// The first process of a namespace that a `cr_restart` made, if the id is that process or the `cr_restart` itself.
fn first_process(id: i32, status: &Status, scope: Scope) -> Result<Option<i32>, ProcError> {
    let is_first = |status: &Status| 1 < status.ns_tgid.len() && status.ns_tgid.last() == Some(&1);
    if scope != Scope::Tree || !is_restarter(id) {
        return Ok(None);
    }
    if is_first(status) {
        return Ok(Some(id));
    }
    let children = children()?;
    let of_its_own = children.get(&id).into_iter().flatten();
    let found = of_its_own.filter(|(child, status)| is_first(status) && is_restarter(*child)).map(|(child, _)| *child).next();
    Ok(found)
}

/// Whether a process is a `cr_restart`.
pub fn is_restarter(pid: i32) -> bool {
    ProcDir::open(pid).and_then(|dir| dir.stat()).is_ok_and(|stat| stat.comm == "cr_restart")
}

/// All that the first process of a namespace has for children, by their ids in its namespace.
fn below(first: i32) -> Result<Elsewhere, ProcError> {
    let level = ProcDir::open(first)?.status()?.ns_tgid.len();
    let children = children()?;
    let living = children.get(&first).into_iter().flatten().filter(|(_, status)| status.state != 'Z');
    Ok(Elsewhere { by: first, ids: living.filter_map(|(_, status)| status.ns_tgid.get(level - 1).copied()).collect() })
}

/// Everybody by their parents.
fn children() -> Result<BTreeMap<i32, Vec<(i32, Status)>>, ProcError> {
    let mut children: BTreeMap<i32, Vec<(i32, Status)>> = BTreeMap::new();
    for pid in all_pids()? {
        match ProcDir::open(pid).and_then(|dir| dir.status()) {
            Ok(status) => children.entry(status.ppid).or_default().push((pid, status)),
            Err(ProcError::Gone { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(children)
}

/// Whether somebody who entered our pid namespace from outside has made a checkpoint in it and is about to say so.
pub fn has_finishing_visitor() -> bool {
    const OUTSIDE: i32 = 0;
    let is_finishing = |pid: i32| {
        let stat = ProcDir::open(pid).and_then(|dir| dir.stat());
        stat.is_ok_and(|stat| stat.ppid == OUTSIDE && stat.comm.as_encoded_bytes() == interruption::FINISHING.to_bytes())
    };
    all_pids().is_ok_and(|pids| pids.into_iter().any(is_finishing))
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::engine::request::{Creation, Destination, TraceRule};

    fn request(scope: Scope, id: i32) -> CheckpointRequest {
        CheckpointRequest {
            targets: vec![Target { scope, id: id.into() }],
            requester: 1,
            destination: Destination::Fd(1),
            creation: Creation::Atomic,
            sync: false,
            mode: 0o400,
            owner: None,
            signal: None,
            unproven: false,
            ptraced: TraceRule::Error,
            ptracer: TraceRule::Error,
            time_limit: None,
            home: None,
            participation: Default::default(),
        }
    }

    #[test]
    fn what_lives_here_is_not_elsewhere() {
        let own = std::process::id().cast_signed();
        for (scope, id) in [(Scope::Tree, own), (Scope::Process, own), (Scope::Tree, 0), (Scope::Group, own), (Scope::Tree, i32::MAX)] {
            assert_eq!(find(&request(scope, id)).unwrap(), None, "{scope:?} {id}");
        }
    }
}
