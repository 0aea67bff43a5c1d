//! *compare*: the restored job, still stopped, is described once more and compared with what was saved (`cr_restart --compare`).
//!
//! Relies on the survey of a checkpoint for the second description and on [`facts`] for the comparison: whatever a checkpoint can see is compared, and
//! a kind needs no code for it. Saved pages are compared byte by byte. Leaves alone what is known to be another in a second life; each has its reason
//! below. Comes before *commit*, so that a difference changes no file.
//!
//! The survey makes calls in the processes, and a signal that comes meanwhile, of a timer that runs, is taken as it would be at a checkpoint: such a
//! process differs then, and the restart ends. That is why comparing is not the default.

use std::borrow::Cow;
use std::collections::HashMap;

use super::load::Pages;
use super::plan::Plan;
use super::raise::Job;
use crate::engine::lost::Losses;
use crate::engine::note::Notes;
use crate::engine::obstacle::listed;
use crate::engine::saved::Contents;
use crate::engine::survey::survey;
use crate::error::{At, Class, Classified, Failure, Stage, Subject};
use crate::image::facts::{self, Change, Facts, changes};
use crate::image::{BLOCK_PAGES, Memory, PAGE_BYTES, Process, Snapshot, Space, State};
use crate::policy::Stack;
use crate::resource::TaskKind;
use crate::resource::task::cwd::Cwd;
use crate::resource::task::robust_list;
use crate::sys::ptrace;
use crate::tracee::freeze::{Frozen, FrozenProcess};
use crate::tracee::{arch, memory as tracee_memory};

const PAGE: u64 = PAGE_BYTES as u64;
/// Bytes of `struct robust_list_head`.
const HEAD_BYTES: u64 = 24;

/// The restored job is not what was saved.
#[derive(Debug, thiserror::Error)]
#[error("the restored process {pid} differs from the saved one: {}", listed(.differences))]
pub struct CompareError {
    /// Its saved id.
    pid: i32,
    /// What differs.
    differences: Vec<String>,
}

impl Classified for CompareError {
    fn class(&self) -> Class {
        Class::Perm
    }

    fn errno(&self) -> Option<i32> {
        Some(libc::EILSEQ)
    }

    fn subject(&self) -> Subject {
        Subject::pid(self.pid)
    }

    fn remedy(&self) -> Option<String> {
        Some("please report this: it is a fault of the restart, or of --compare. Without --compare the job runs all the same".into())
    }
}

/// Compares the job with the snapshot that it was made from. It is as it was afterwards.
pub fn compare(snapshot: &Snapshot, plan: &Plan, pages: &Pages, job: &mut Job, notes: &mut Notes) -> Result<(), Failure> {
    let relocated = relocated(snapshot, plan);
    let pids: HashMap<i32, i32> = snapshot.processes.iter().enumerate().map(|(index, saved)| (job.pid_of(index), saved.pid)).collect();
    let renumbered = pids.iter().any(|(now, saved)| now != saved);
    let mut frozen = lend(snapshot, job);
    for stopped in frozen.processes.iter_mut().flat_map(|process| &mut process.threads) {
        stopped.look_again();
    }
    // Policies have decided about the saved job; the comparison asks nobody, and says nothing about what it sees on the way.
    let described = survey(&mut frozen, &mut Stack::default(), Losses::new(None), None, &mut Notes::default());
    give_back(frozen, job);
    let found = described?.snapshot;
    for (index, saved) in snapshot.processes.iter().enumerate() {
        let now = found.processes.iter().find(|process| process.pid == job.pid_of(index));
        let mut differences = match now {
            Some(now) => state(&expected(&relocated, saved), &facts::of_process(&found, &alive(saved, now)), renumbered),
            None => vec!["it is not there".to_owned()],
        };
        if pages.is_seekable() && saved.memory.is_some() {
            let sharing = snapshot.processes.iter().enumerate().filter(|(_, other)| other.memory == saved.memory);
            let tids: Vec<i32> = sharing.flat_map(|(index, _)| job.processes[index].threads.iter().map(|task| task.tid)).collect();
            differences.extend(memory(snapshot, pages, saved, &tids)?);
        }
        if !differences.is_empty() {
            return Err(CompareError { pid: saved.pid, differences }).at(Stage::Release);
        }
    }
    if !pages.is_seekable() {
        notes.warn(Subject::default(), "the contents of memory were not compared: the context file is a stream");
    }
    Ok(())
}

/// The snapshot with the paths of this restart.
fn relocated<'a>(snapshot: &'a Snapshot, plan: &Plan) -> Cow<'a, Snapshot> {
    if snapshot.objects.iter().all(|object| plan.path(&object.path) == object.path) {
        return Cow::Borrowed(snapshot);
    }
    let mut relocated = snapshot.clone();
    relocated.objects.iter_mut().for_each(|object| object.path = plan.path(&object.path));
    Cow::Owned(relocated)
}

/// The job as a checkpoint would have frozen it.
fn lend(snapshot: &Snapshot, job: &mut Job) -> Frozen {
    let processes = job.processes.iter_mut().zip(&snapshot.processes).map(|(process, saved)| FrozenProcess {
        pid: process.pid,
        threads: std::mem::take(&mut process.threads),
        leader_dead: saved.threads.first().is_some_and(|leader| leader.dead),
        group_stop: match saved.state {
            State::Stopped(signal) => Some(signal),
            State::Running | State::Zombie(_) => None,
        },
    });
    let mut processes: Vec<FrozenProcess> = processes.collect();
    processes.sort_by_key(|process| process.pid);
    Frozen { processes, since: std::time::Instant::now() }
}

fn give_back(frozen: Frozen, job: &mut Job) {
    for lent in frozen.processes {
        let owner = job.processes.iter_mut().find(|process| process.pid == lent.pid);
        owner.expect("lent from the job").threads = lent.threads;
    }
}

/// The saved facts, with the registers that a restart sets: an interrupted call is made again.
fn expected(snapshot: &Snapshot, saved: &Process) -> Facts {
    let mut saved = saved.clone();
    // A thread that had ended, the leader, ends again at the release.
    saved.threads.retain(|thread| !thread.dead);
    for thread in &mut saved.threads {
        if let Some(registers) = arch::registers_from_bytes(&thread.registers) {
            thread.registers = arch::registers_to_bytes(&arch::restarted(&registers));
        }
        arch::spell_out_xstate(&mut thread.xstate);
    }
    facts::of_process(snapshot, &saved)
}

/// The process without the leader that ends at the release.
fn alive(saved: &Process, now: &Process) -> Process {
    let mut now = now.clone();
    now.threads.iter_mut().for_each(|thread| arch::spell_out_xstate(&mut thread.xstate));
    if saved.threads.first().is_some_and(|leader| leader.dead) {
        now.threads.retain(|thread| thread.tid != now.pid);
    }
    now
}

/// Differences of state that should not be.
fn state(saved: &Facts, now: &Facts, renumbered: bool) -> Vec<String> {
    let changed = changes(saved, now).into_iter().filter(|change| !is_expected(change) && !is_about_a_file(saved, change));
    let changed = changed.filter(|change| !(renumbered && is_id(change)));
    changed.map(|change| change.to_string()).collect()
}

/// Whether it is about what stands at a path: policies decide about that, and others may have changed it.
fn is_about_a_file(saved: &Facts, change: &Change) -> bool {
    let Some((descriptor, fact)) = change.what.strip_prefix("descriptors.").and_then(|rest| rest.split_once('.')) else { return false };
    let has_path = saved.get(&format!("descriptors.{descriptor}.object")).is_some_and(|object| object.contains(" /"));
    has_path && (fact == "saved_bytes" || fact.starts_with("state."))
}

/// What may be another in a second life.
fn is_expected(change: &Change) -> bool {
    let parts: Vec<&str> = change.what.split('.').collect();
    match parts[..] {
        // Whoever restarts is the parent, and may have another session and group.
        ["ppid" | "pgid" | "sid"] => true,
        // Flags of open(2) that mean nothing once a file is open.
        ["descriptors", _, "flags"] => meaningful(&change.from) == meaningful(&change.to),
        // A removed directory gets another name, a relocated one has another; programs see it by what is in it.
        [kind, _] if kind == Cwd::TAG.kind => true,
        // Time goes on while a job is restored.
        [.., "remaining_ns" | "remaining_us"] | ["descriptors", _, "state", "value"] => true,
        // Whoever held the other end of a pipe that leads out of the job may have gone.
        ["descriptors", _, "state", "reader" | "writer"] => true,
        // Numbers of inodes that were made anew, and the names of what has none.
        ["descriptors", _, "state", "ino" | "path"] => true,
        // What a file by reference is like is compared before it is opened, and others may write to it.
        ["descriptors", _, "state", "mtime" | "size" | "dev"] => true,
        // What is said about the owner of flock(2) locks is whoever took them: us.
        ["descriptors", _, "locks", _, "state", "pid"] => true,
        // A file that had no name, or gets its saved contents, has another name or none; that it is the right one is seen by its contents.
        ["descriptors", _, "object"] | ["areas", _, "maps"] => is_nameless(&change.from) || is_nameless(&change.to),
        // A one-shot entry that has fired reports errors again: epoll_ctl(2) cannot ask for anything else.
        ["descriptors", _, "state", "targets", _, "events"] => fired(&change.from) && fired(&change.to),
        // Shared memory comes from one mapping that is never counted twice.
        ["areas", _, "flags"] => words(&change.from) == words(&change.to),
        _ => false,
    }
}

/// Status flags of a description but for those that only say how it was opened.
fn meaningful(flags: &Option<String>) -> Option<i32> {
    const OPENING: i32 = 0o100000 | libc::O_NOFOLLOW | libc::O_TMPFILE;
    let flags = flags.as_ref()?.strip_prefix("0o")?;
    i32::from_str_radix(flags, 8).ok().map(|flags| flags & !OPENING)
}

fn is_nameless(object: &Option<String>) -> bool {
    object.as_ref().is_some_and(|object| object.contains(" without a name"))
}

/// Whether these are the events of a disarmed EPOLLONESHOT entry, with or without the two that are always reported.
fn fired(events: &Option<String>) -> bool {
    let always = (libc::EPOLLERR | libc::EPOLLHUP).cast_unsigned();
    let events = events.as_ref().and_then(|events| events.parse::<u32>().ok());
    events.is_some_and(|events| events & !always & !(libc::EPOLLET.cast_unsigned()) == libc::EPOLLONESHOT.cast_unsigned())
}

/// The flags of an area but for `nr`.
fn words(flags: &Option<String>) -> Vec<&str> {
    flags.iter().flat_map(|flags| flags.split(' ')).filter(|flag| *flag != "nr").collect()
}

/// Facts that are ids, in a job that got new ones.
fn is_id(change: &Change) -> bool {
    let last = change.what.rsplit('.').next().unwrap_or_default();
    matches!(last, "pid" | "tid" | "owner" | "member") || change.what.starts_with("threads.") || change.what.starts_with("pending.")
}

/// Saved pages that are not what was saved.
fn memory(snapshot: &Snapshot, pages: &Pages, saved: &Process, tids: &[i32]) -> Result<Vec<String>, Failure> {
    let id = saved.memory.expect("a process with memory");
    let Some(tid) = tids.first() else { return Ok(Vec::new()) };
    let mut contents = Contents::of(pages, Space::Memory(id))?;
    let heads = saved.threads.iter().filter_map(|thread| robust_list::head(&thread.records));
    // Lists of robust locks are out of the way until the release, so that a restart that fails breaks none.
    let heads = heads.map(|head| (head, head + HEAD_BYTES));
    let kernels_own: Vec<(u64, u64)> = tids.iter().filter_map(|tid| rseq_area(*tid)).chain(heads).collect();
    let mut differences = Vec::new();
    let (mut there, mut here) = (Vec::new(), Vec::new());
    for (first, count) in contents.runs() {
        for page in (first..first + count).step_by(BLOCK_PAGES) {
            let address = page * PAGE;
            let bytes = usize::try_from((first + count - page) * PAGE).unwrap_or(usize::MAX).min(BLOCK_PAGES * PAGE_BYTES);
            there.resize(bytes, 0);
            here.resize(bytes, 0);
            for (number, page_there) in (page..).zip(there.as_chunks_mut::<PAGE_BYTES>().0) {
                if contents.read(number, page_there)?.is_none() {
                    page_there.fill(0);
                }
            }
            if tracee_memory::read(*tid, address, &mut here).is_err() {
                differences.push(format!("memory at {address:#x} cannot be read"));
                continue;
            }
            for (start, end) in &kernels_own {
                for at in (*start).max(address)..(*end).min(address + bytes as u64) {
                    let offset = usize::try_from(at - address).expect("within a block");
                    here[offset] = there[offset];
                }
            }
            if there != here {
                differences.push(first_difference(&snapshot.memories[id as usize], address, &there, &here));
            }
        }
    }
    Ok(differences)
}

/// Says where two pieces of memory at `address` begin to differ.
fn first_difference(memory: &Memory, address: u64, there: &[u8], here: &[u8]) -> String {
    let offset = there.iter().zip(here).position(|(there, here)| there != here).unwrap_or(0);
    let at = address + offset as u64;
    let area = memory.areas.iter().find(|area| area.start <= at && at < area.end);
    let name = area.map_or("no area".to_owned(), |area| format!("{:x}-{:x}", area.start, area.end));
    format!("memory at {at:#x} (in {name}) is {:#x}, was {:#x}", here[offset], there[offset])
}

/// The area that the kernel writes to whenever a thread has moved to another processor (rseq(2)): start and end.
fn rseq_area(tid: i32) -> Option<(u64, u64)> {
    let area = ptrace::rseq_configuration(tid).ok().filter(|area| area.address != 0)?;
    Some((area.address, area.address + u64::from(area.bytes)))
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_difference_names_the_fact_and_both_values() {
        let facts = |rows: &[(&str, &str)]| -> Facts { rows.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect() };
        let saved = facts(&[("ppid", "7"), ("descriptors.3.offset", "5"), ("threads.9.mask", "0x0")]);
        let now = facts(&[("ppid", "8"), ("descriptors.3.offset", "6"), ("threads.11.mask", "0x0")]);
        assert_eq!(state(&saved, &now, true), ["descriptors.3.offset: 5 → 6"]);
        assert_eq!(state(&saved, &now, false).len(), 3);
    }
}
