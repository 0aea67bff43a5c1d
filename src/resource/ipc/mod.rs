//! System V objects and POSIX message queues: what kinds of them share. No descriptor leads to the former; programs know them by an id, and find them by a
//! key.
//!
//! An object that only the job uses is the job's *own*: it is saved with its contents. At a restart it is made again with its id, key, creator and
//! owner, or, if it is still there and nobody uses it, taken over and set back: a job that is killed leaves its objects behind. What somebody else
//! uses, too, is left to them and kept *by reference*: it must be there at the restart, and is taken as it is then.
//!
//! Relies on `/proc/sysvipc` and on the calls of `sys::ipc`. Leaves to the engine when a process of the job has to do something itself.

pub mod message_queue;
pub mod posix_queue;
pub mod semaphore;
pub mod sysv_memory;
pub mod undo;

use std::ffi::CString;

use serde::{Deserialize, Serialize};

use super::{KindError, Numbered, Plan};
use crate::image::Snapshot;
use crate::proc::ProcDir;
use crate::proc::sysvipc::{self, SysvObject};
use crate::sys::ipc::{self, Perm, Sort};
use crate::sys::{Errno, mqueue};

/// Whether an object is the job's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// With its contents.
    #[default]
    Own,
    /// Others use it, too.
    Reference,
}

/// Id, key and rights of an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameV1 {
    /// By which programs know it.
    pub id: i32,
    /// By which programs find it; 0: IPC_PRIVATE.
    pub key: i32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Creator and group.
    pub creator: (u32, u32),
    /// Permissions.
    pub mode: u32,
}

impl NameV1 {
    /// What IPC_STAT says of object `id`.
    pub fn of(id: i32, perm: &Perm) -> NameV1 {
        let Perm { key, uid, gid, cuid, cgid, mode } = *perm;
        NameV1 { id, key, owner: (uid, gid), creator: (cuid, cgid), mode: mode & 0o777 }
    }

    fn perm(&self) -> Perm {
        let NameV1 { key, owner: (uid, gid), creator: (cuid, cgid), mode, .. } = *self;
        Perm { key, uid, gid, cuid, cgid, mode }
    }

    /// Whether an object of today has the key and the creator.
    fn is(&self, object: &SysvObject) -> bool {
        let id = |column: &str, id: u32| object.wide(column).is_none_or(|now| now == i64::from(id));
        object.wide("key").is_none_or(|key| i32::try_from(key) == Ok(self.key)) && id("cuid", self.creator.0) && id("cgid", self.creator.1)
    }
}

/// An object that has been made by us: a restart that fails removes it.
#[derive(Debug)]
pub enum Made {
    /// A System V object, by its id.
    Numbered(Sort, i32),
    /// A POSIX message queue, by its name.
    Queue(CString),
}

impl Made {
    /// Removes it. Somebody else may have done so.
    pub fn remove(&self) {
        let _gone = match self {
            Made::Numbered(sort, id) => ipc::remove(*sort, *id),
            Made::Queue(name) => mqueue::unlink(name),
        };
    }
}

fn word(sort: Sort) -> &'static str {
    match sort {
        Sort::Memory => "shared memory segment",
        Sort::Semaphores => "semaphore set",
        Sort::Messages => "message queue",
    }
}

/// What messages call it.
pub fn call(sort: Sort, id: i32) -> String {
    format!("System V {} {id}", word(sort))
}

fn column(sort: Sort) -> &'static str {
    match sort {
        Sort::Memory => "shmid",
        Sort::Semaphores => "semid",
        Sort::Messages => "msqid",
    }
}

/// All objects of a sort, with their ids. Kernels without System V IPC have none.
pub fn all(sort: Sort) -> Vec<(i32, SysvObject)> {
    let objects = sysvipc::parse(&std::fs::read_to_string(sort.table()).unwrap_or_default());
    objects.into_iter().filter_map(|object| Some((object.column(column(sort))?, object))).collect()
}

/// Of processes that have used an object: one that is alive. One that began after the last `change` (seconds since 1970) only has the number.
pub fn alive(pids: impl IntoIterator<Item = i32>, change: i64) -> Option<i32> {
    pids.into_iter().find(|pid| *pid != 0 && is_alive(*pid) && begun(*pid).is_none_or(|begun| begun <= change))
}

fn is_alive(pid: i32) -> bool {
    ProcDir::open(pid).and_then(|dir| dir.stat()).is_ok_and(|stat| stat.state != 'Z' && stat.state != 'X')
}

/// When a process began, seconds since 1970.
fn begun(pid: i32) -> Option<i64> {
    let ticks = ProcDir::open(pid).ok()?.start_ticks();
    let booted = std::fs::read_to_string("/proc/stat").ok()?;
    let booted: i64 = booted.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(booted + i64::try_from(ticks).ok()? / 100)
}

/// A process of the saved job that still runs. A job that was killed has none.
fn still_runs(snapshot: &Snapshot) -> Option<i32> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    if boot.trim() != snapshot.origin.boot_id.trim() {
        return None;
    }
    let saved = i64::try_from(snapshot.origin.realtime_ns / 1_000_000_000).unwrap_or(0);
    let mut alive = snapshot.processes.iter().map(|process| process.pid).filter(|pid| is_alive(*pid));
    alive.find(|pid| begun(*pid).is_some_and(|begun| begun <= saved))
}

/// Whether an object that is there can be taken over, or one that is not there can be made. `busy` says who uses one that is there.
/// `needs_id`: programs can do nothing with it if it gets another id.
pub fn plan(
    (sort, name, keep): (Sort, &NameV1, Keep),
    needs_id: bool,
    busy: impl Fn(&SysvObject) -> Option<String>,
    cx: &mut Plan<'_>,
) -> Result<(), KindError> {
    if cx.is_proof {
        return Ok(());
    }
    let what = call(sort, name.id);
    let objects = all(sort);
    let there = objects.iter().find(|(id, _)| *id == name.id).map(|(_, object)| object);
    let free = || "remove it if nobody needs it (ipcrm), or restart in namespaces of its own: --namespace".to_owned();
    match (there, keep) {
        (Some(object), Keep::Reference) if name.is(object) => Ok(()),
        (_, Keep::Reference) => {
            let remedy = "others had it, too, so it was not saved; start them first".into();
            Err(KindError::Unrestorable { what: format!("{what}, which is gone,"), remedy })
        }
        (Some(object), Keep::Own) if name.is(object) => {
            match still_runs(cx.snapshot).map(|pid| format!("process {pid} of the saved job, which still runs")).or_else(|| busy(object)) {
                Some(by) => Err(KindError::Taken { what: format!("{what}, which {by} uses,"), by: None, remedy: free() }),
                None => Ok(()),
            }
        }
        (Some(_), Keep::Own) => Err(KindError::Taken { what: format!("the id of {what}"), by: None, remedy: free() }),
        (None, Keep::Own) => {
            let same_key = |object: &SysvObject| object.wide("key").is_some_and(|key| key != 0 && i32::try_from(key) == Ok(name.key));
            if let Some((id, _)) = objects.iter().find(|(_, object)| same_key(object)) {
                let what = format!("the key {:#x} of {what}", name.key);
                return Err(KindError::Taken { what: format!("{what}, which {} has,", call(sort, *id)), by: None, remedy: free() });
            }
            if needs_id && name.key == 0 && !ipc::may_choose(sort) {
                let what = format!("{what} is gone, and its id cannot be chosen without CAP_CHECKPOINT_RESTORE");
                return Err(KindError::Denied { what, remedy: "restart in namespaces of its own: --namespace, or as root".into() });
            }
            Ok(())
        }
    }
}

/// Whether an object can have its id in this namespace.
pub fn numbered((sort, name, keep): (Sort, &NameV1, Keep), busy: impl Fn(&SysvObject) -> Option<String>, snapshot: &Snapshot) -> Numbered {
    let there = all(sort).into_iter().find(|(id, object)| *id == name.id && name.is(object));
    match there {
        _ if keep == Keep::Reference => Numbered::Shared,
        Some((_, object)) if still_runs(snapshot).is_none() && busy(&object).is_none() => Numbered::Here,
        _ => Numbered::Elsewhere,
    }
}

/// An object that the job has again.
#[derive(Debug)]
pub struct Obtained {
    /// Its id.
    pub id: i32,
    /// It was made, not taken over.
    pub made: Option<Made>,
}

/// Takes over the object that is there, or makes it with `make`, by key. Without the right to choose ids it may get another, which is said.
pub fn obtain(
    (sort, name, keep): (Sort, &NameV1, Keep),
    make: impl Fn(i32) -> Result<i32, Errno>,
    warnings: &mut Vec<String>,
) -> Result<Obtained, KindError> {
    let is_there = all(sort).iter().any(|(id, object)| *id == name.id && name.is(object));
    if is_there || keep == Keep::Reference {
        return Ok(Obtained { id: name.id, made: None });
    }
    let what = call(sort, name.id);
    let may_choose = ipc::may_choose(sort);
    if may_choose {
        ipc::choose(sort, name.id).map_err(|errno| KindError::host(format!("choose the id of {what}"), errno))?;
    }
    let made = ipc::acting_as(name.creator.0, name.creator.1, || make(name.key));
    let id = made.map_err(|errno| KindError::host(format!("make {what} again"), errno))?;
    let made = Made::Numbered(sort, id);
    if id != name.id && may_choose {
        made.remove();
        return Err(KindError::Taken { what: format!("the id of {what}"), by: None, remedy: "try again".into() });
    }
    if id != name.id {
        warnings.push(format!(
            "{what} has the id {id} now, because choosing ids needs CAP_CHECKPOINT_RESTORE: programs find it by its key only"
        ));
    }
    Ok(Obtained { id, made: Some(made) })
}
