//! System V semaphores: semget(2), semop(2).
//!
//! **Kept:** values, id, key, owner, creator, permissions; what the end of a process adjusts (SEM_UNDO); the process that operated on each semaphore
//! last, if it is one of the job; waiting processes go on to wait. Of a set that others use, too, what a process has taken with SEM_UNDO is taken
//! again.
//! **Lost:** times of the last change; adjustments of threads that were made to have their own (clone(2) without CLONE_SYSVSEM); the id, where a
//! set that is gone is made again without CAP_CHECKPOINT_RESTORE.
//! **Refused:** at a restart, a set of the job that somebody uses, whose id or key somebody else has, or that was used by others, too, and is gone,
//! or of which they have taken what the job had; sets whose values may not be read.

use serde::{Deserialize, Serialize};

use super::undo::operation;
use super::{Keep, NameV1};
use crate::image::{Description, Object, ObjectId, Snapshot, Tag};
use crate::proc::sysvipc::SysvObject;
use crate::resource::{Build, Built, Capture, Facts, FileKind, Identity, KindError, Named, Numbered, Opened, Plan, Probe};
use crate::sys::Errno;
use crate::sys::ipc::{self, Sort};
use crate::tracee::Batch;

/// Sets of System V semaphores.
pub struct Semaphore;

/// A set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SemaphoreV1 {
    /// Id, key, rights.
    pub name: NameV1,
    /// Whether it is the job's own.
    pub keep: Keep,
    /// The value of each semaphore.
    pub values: Vec<u16>,
    /// The process of the job that operated on each semaphore last; 0: somebody else.
    pub last: Vec<i32>,
    /// Whether semop(2) has been called on it.
    pub was_operated: bool,
    /// What the ends of processes would change.
    pub adjustments: Vec<AdjustmentV1>,
}

/// What the end of a process adds to a semaphore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdjustmentV1 {
    /// The process.
    pub pid: i32,
    /// The semaphore in its set.
    pub number: u16,
    /// What is added.
    pub by: i32,
}

/// Largest value of a semaphore.
const MOST: i32 = 32767;

impl FileKind for Semaphore {
    type State = SemaphoreV1;
    const TAG: Tag = Tag::new("semaphore", 1);

    fn identity(&self, probe: &Probe<'_>) -> Identity {
        Identity::Number(probe.number())
    }

    fn named(&self, facts: &Facts) -> Vec<Named> {
        let user = |id: i32, object: &SysvObject| {
            let waiter = facts.waiter(&[libc::SYS_semop, libc::SYS_semtimedop], id);
            let adjusts = || facts.adjustments.iter().find(|one| one.set == id).map(|one| one.pid);
            waiter.or_else(adjusts).or_else(|| last_of(id, object).into_iter().find(|pid| facts.is_member(*pid)))
        };
        let used = super::all(Sort::Semaphores).into_iter().filter_map(|(id, object)| Some((id, user(id, &object)?)));
        used.map(|(id, pid)| Named { number: id, pid, name: super::call(Sort::Semaphores, id).into() }).collect()
    }

    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<SemaphoreV1, KindError> {
        let id = probes[0].number();
        let what = super::call(Sort::Semaphores, id);
        let failed = |errno| KindError::host(format!("read {what}"), errno);
        let stat = ipc::semaphores(id).map_err(failed)?;
        let count = usize::try_from(stat.count).map_err(|_| failed(Errno::EOVERFLOW))?;
        let values = ipc::values(id, count).map_err(failed)?;
        let last = (0..count).map(|number| ipc::semaphore_pid(id, i32::try_from(number).unwrap_or(0))).collect::<Result<Vec<_>, _>>();
        let last = last.map_err(failed)?;
        let strangers = last.iter().copied().filter(|pid| !cx.facts.is_member(*pid));
        let outsider = super::alive(strangers, stat.operated.max(changed(id)));
        let of_set = cx.facts.adjustments.iter().filter(|one| one.set == id);
        let state = SemaphoreV1 {
            name: NameV1::of(id, &stat.perm),
            keep: if outsider.is_some() { Keep::Reference } else { Keep::Own },
            values,
            last: last.into_iter().map(|pid| if cx.facts.is_member(pid) { pid } else { 0 }).collect(),
            was_operated: stat.operated != 0,
            adjustments: of_set.map(|one| AdjustmentV1 { pid: one.pid, number: one.number, by: one.by }).collect(),
        };
        if let Some(pid) = outsider {
            let text = format!("{what} is used by process {pid}, too, and not saved: the restart needs it, and takes it as it is then");
            cx.warnings.push(text);
        }
        Ok(state)
    }

    fn plan(&self, state: &SemaphoreV1, _: (ObjectId, &Object), cx: &mut Plan<'_>) -> Result<(), KindError> {
        let count = state.values.len();
        let fits = |one: &AdjustmentV1| usize::from(one.number) < count && (-MOST - 1..=MOST).contains(&one.by);
        if state.last.len() != count || count == 0 || !state.adjustments.iter().all(fits) {
            let what =
                format!("{} has {count} values and {} last processes", super::call(Sort::Semaphores, state.name.id), state.last.len());
            return Err(KindError::Inconsistent { what });
        }
        super::plan((Sort::Semaphores, &state.name, state.keep), true, |object| state.busy(object), cx)
    }

    fn numbered(&self, state: &SemaphoreV1, snapshot: &Snapshot) -> Numbered {
        super::numbered((Sort::Semaphores, &state.name, state.keep), |object| state.busy(object), snapshot)
    }

    fn build(&self, state: &SemaphoreV1, _: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<Built, KindError> {
        let make = |key: i32| ipc::make_semaphores(key, state.values.len(), state.name.mode);
        let obtained = super::obtain((Sort::Semaphores, &state.name, state.keep), make, &mut cx.warnings)?;
        let id = obtained.id;
        let built = Built { number: Some(id), made_numbers: obtained.made.into_iter().collect(), ..Built::default() };
        if state.keep == Keep::Own {
            let what = super::call(Sort::Semaphores, id);
            // Who sets a value is the last one that used it: what is right already is left alone.
            let set = ipc::values(id, state.values.len()).and_then(|now| {
                let others = (0..).zip(now.iter().zip(&state.values)).filter(|(_, (now, saved))| now != saved);
                others.map(|(number, (_, saved))| ipc::set_value(id, number, *saved)).collect::<Result<Vec<()>, Errno>>()
            });
            set.map_err(|errno| KindError::host(format!("set the values of {what}"), errno))?;
            let now = ipc::semaphores(id).map_err(|errno| KindError::host(format!("look at {what}"), errno))?;
            let perm = state.name.perm();
            if NameV1::of(id, &now.perm) != NameV1::of(id, &perm) && ipc::set_semaphores(id, &perm).is_err() {
                cx.warnings.push(format!("{what} has another owner or other permissions than before"));
            }
        }
        Ok(built)
    }

    fn open(&self, _: &SemaphoreV1, _: &Built, _: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        let remedy = "the context file is damaged".into();
        Err(KindError::Unsupported { what: "a descriptor of System V semaphores".into(), remedy })
    }

    fn acts(&self, state: &SemaphoreV1, built: &Built) -> Vec<(i32, Batch)> {
        let id = built.number.unwrap_or(-1);
        let mut acts: Vec<(i32, Batch)> = state.adjustments.iter().map(|one| (one.pid, state.adjust(id, one))).collect();
        if state.keep == Keep::Own {
            // Adjusting makes a process the last one, and setting a value forgets adjustments: so this is last.
            let last = (0..).zip(&state.last).zip(&state.values).filter(|((_, pid), _)| **pid != 0);
            acts.extend(last.map(|((number, pid), value)| (*pid, state.touch(id, number, *value))));
        }
        acts
    }
}

impl SemaphoreV1 {
    /// Who has a set of today.
    fn busy(&self, object: &SysvObject) -> Option<String> {
        if object.wide("nsems").is_some_and(|now| usize::try_from(now) != Ok(self.values.len())) {
            return Some("somebody with another number of semaphores".to_owned());
        }
        let change = object.wide("otime").unwrap_or(0).max(object.wide("ctime").unwrap_or(0));
        super::alive(last_of(self.name.id, object), change).map(|pid| format!("process {pid}"))
    }

    /// In a process: has an adjustment from now on. The values are what they were, or, with others, what the process had taken is taken again.
    fn adjust(&self, id: i32, one: &AdjustmentV1) -> Batch {
        let value = i32::from(self.values[usize::from(one.number)]);
        let operations = match self.keep {
            Keep::Reference => vec![(-one.by, libc::SEM_UNDO)],
            Keep::Own if one.by < 0 && value < -one.by => vec![(-one.by, libc::SEM_UNDO), (one.by, 0)],
            Keep::Own if one.by > 0 && value + one.by > MOST => vec![(-one.by, libc::SEM_UNDO), (one.by, 0)],
            Keep::Own => vec![(one.by, 0), (-one.by, libc::SEM_UNDO)],
        };
        let mut batch = Batch::new();
        operate("take what the job had of System V semaphores", id, one.number, &operations, &mut batch);
        batch
    }

    /// In a process: is the last one that has used a semaphore.
    fn touch(&self, id: i32, number: u16, value: u16) -> Batch {
        let mut batch = Batch::new();
        if self.was_operated {
            let up = if i32::from(value) < MOST { 1 } else { -1 };
            operate("use System V semaphores", id, number, &[(up, 0), (-up, 0)], &mut batch);
        } else {
            let args = [id.into(), u32::from(number).into(), libc::SETVAL.into(), u32::from(value).into()];
            batch.call("set a System V semaphore", libc::SYS_semctl, args);
        }
        batch
    }
}

fn operate(attempt: &'static str, id: i32, number: u16, operations: &[(i32, i32)], batch: &mut Batch) {
    let bytes: Vec<u8> = operations.iter().flat_map(|(by, flags)| operation(number, *by, flags | libc::IPC_NOWAIT)).collect();
    let buffer = batch.bytes(&bytes);
    batch.call(attempt, libc::SYS_semop, [id.into(), buffer.into(), operations.len().into()]);
}

/// The processes that have used the semaphores of a set last, as far as we may see.
fn last_of(id: i32, object: &SysvObject) -> Vec<i32> {
    /// A set with more is not looked through: the job stands still meanwhile.
    const MOST_SEMAPHORES: i32 = 32_000;
    let numbers = 0..object.column("nsems").unwrap_or(0).min(MOST_SEMAPHORES);
    numbers.map_while(|number| ipc::semaphore_pid(id, number).ok()).collect()
}

/// Last change of a set, seconds since 1970.
fn changed(id: i32) -> i64 {
    super::all(Sort::Semaphores).into_iter().find(|(known, _)| *known == id).and_then(|(_, object)| object.wide("ctime")).unwrap_or(0)
}
