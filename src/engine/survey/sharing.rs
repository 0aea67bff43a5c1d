//! Which processes share an address space, a descriptor table, or working directory and umask.
//!
//! Relies on kcmp(2), whose answers order what it compares, so that groups are found by sorting.

use std::cmp::Ordering;

use super::Seen;
use crate::error::{At, Failure, Stage};
use crate::image::{MmId, Snapshot, TableId};
use crate::resource::KindError;
use crate::sys::{Errno, process};
use crate::tracee::freeze::FrozenProcess;

/// For every process, by position: which address space, table and fs state it has.
pub struct Sharing {
    pub memory: Vec<Option<MmId>>,
    pub table: Vec<Option<TableId>>,
    /// The first process of each address space, by its number.
    pub memories: Vec<usize>,
    /// The first process of each descriptor table, by its number.
    pub tables: Vec<usize>,
    /// The earlier process with which it shares its fs state.
    pub fs: Vec<Option<u32>>,
    /// The earlier process with which it shares its signal handlers.
    pub handlers: Vec<Option<u32>>,
}

/// Finds out who shares what.
pub fn of(seen: &[Seen]) -> Result<Sharing, Failure> {
    let (memory, memories) = numbers(&groups(seen, process::compare_memory)?);
    let (table, tables) = numbers(&groups(seen, process::compare_tables)?);
    let fs = earlier(&groups(seen, process::compare_fs)?);
    let handlers = earlier(&groups(seen, process::compare_handlers)?);
    Ok(Sharing { memory, table, memories, tables, fs, handlers })
}

fn earlier(groups: &[Option<usize>]) -> Vec<Option<u32>> {
    let other = |(index, first): (usize, &Option<usize>)| first.filter(|first| *first != index).and_then(|first| u32::try_from(first).ok());
    groups.iter().enumerate().map(other).collect()
}

/// Threads share descriptors and directories with their process, unless they called unshare(2): such ones are refused.
pub fn check_threads(frozen: &FrozenProcess) -> Result<(), KindError> {
    let Some((first, others)) = frozen.threads.split_first() else { return Ok(()) };
    for thread in others {
        let differs =
            |order: Result<Ordering, Errno>| order.map(Ordering::is_ne).map_err(|errno| KindError::host("compare threads", errno));
        let what = if differs(process::compare_tables(first.tid, thread.tid))? {
            "descriptor table"
        } else if differs(process::compare_fs(first.tid, thread.tid))? {
            "working directory"
        } else {
            continue;
        };
        return Err(KindError::Unsupported {
            what: format!("thread {} of process {}, which has a {what} of its own,", thread.tid, frozen.pid),
            remedy: "wait until the thread has ended".into(),
        });
    }
    Ok(())
}

/// For every process the position of the first one that shares with it (often itself); `None` for zombies.
fn groups(seen: &[Seen], compare: impl Fn(i32, i32) -> Result<Ordering, Errno>) -> Result<Vec<Option<usize>>, Failure> {
    let task = |index: usize| seen[index].dir.pid();
    let mut order: Vec<usize> = (0..seen.len()).filter(|index| !seen[*index].zombie).collect();
    let mut failure = None;
    let mut check = |a: usize, b: usize| {
        compare(task(a), task(b)).unwrap_or_else(|errno| {
            failure = failure.or(Some(errno));
            a.cmp(&b)
        })
    };
    order.sort_by(|a, b| check(*a, *b));
    let mut first = vec![None; seen.len()];
    for run in order.chunk_by(|a, b| check(*a, *b).is_eq()) {
        let least = run.iter().min().copied();
        run.iter().for_each(|index| first[*index] = least);
    }
    match failure {
        None => Ok(first),
        Some(errno) => Err(KindError::host("compare processes", errno)).at(Stage::Survey),
    }
}

/// Numbers groups in the order of their first members; and who those are.
fn numbers(groups: &[Option<usize>]) -> (Vec<Option<u32>>, Vec<usize>) {
    let mut next = 0;
    let mut given = vec![None; groups.len()];
    let mut firsts = Vec::new();
    for (index, first) in groups.iter().enumerate() {
        let Some(first) = *first else { continue };
        if first == index {
            given[index] = Some(next);
            firsts.push(index);
            next += 1;
        } else {
            given[index] = given[first];
        }
    }
    (given, firsts)
}

/// Tells each address space which one it was forked from: that of its first process's parent, if that is another one.
pub fn apply(sharing: &Sharing, snapshot: &mut Snapshot) {
    for (memory, first) in (0..).zip(&sharing.memories) {
        snapshot.memories[memory as usize].parent = parent_memory(snapshot, *first).filter(|parent| *parent < memory);
    }
}

/// The address space of a process's parent.
fn parent_memory(snapshot: &Snapshot, index: usize) -> Option<MmId> {
    let ppid = snapshot.processes[index].ppid;
    snapshot.processes.iter().find(|process| process.pid == ppid)?.memory
}
