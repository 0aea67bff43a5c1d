//! Ids in a pid namespace that was made for the restart: which sessions and groups stay the restarter's, and which numbers to leave free.
//!
//! Relies on the snapshot; only the functions at the end of the page look at the machine. In such a namespace every number is free, but what stands outside it
//! reads as 0, and a session that the restarter does not make anew keeps the restarter's terminal.

use std::io;
use std::time::Duration;

use crate::engine::holder::{Holder, wait_while};
use crate::engine::origin;
use crate::engine::request::Place;
use crate::image::{Process, Snapshot};
use crate::sys::process::has_capability;

/// Whether the session of a process is led from outside the job. An id of 0 was outside already when the job was saved.
pub fn is_led_from_outside(snapshot: &Snapshot, process: &Process) -> bool {
    process.sid == 0 || !snapshot.processes.iter().any(|other| other.pid == process.sid)
}

/// Whether a process without a maker in the job stays in the session of the restarter: so do all in a namespace whose leader is not
/// in the job, so that they keep a terminal, and those whose session was not to be seen when they were saved.
pub fn stays_in_session(snapshot: &Snapshot, process: &Process, place: Place) -> bool {
    process.sid == 0 || place != Place::Host && is_led_from_outside(snapshot, process)
}

/// Whether a process stays in the process group of the restarter, so that `^C` and `^Z` reach it; or was in one that could not be
/// seen, or whose number the restarter itself has in the namespace.
pub fn stays_in_group(snapshot: &Snapshot, process: &Process, place: Place) -> bool {
    let is_restarters = process.pgid == 1 && place != Place::Host;
    process.pgid == 0 || is_restarters || place == (Place::Namespace { foreground: true }) && is_led_from_outside(snapshot, process)
}

/// Whether the ids of the job are in use by the job itself, which a tracer holds: it is being saved, and may be killed when all has been read.
pub fn are_still_the_jobs(snapshot: &Snapshot) -> bool {
    let is_held = |process: &Process| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid)).unwrap_or_default();
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        line("TracerPid:").is_some_and(|tracer| tracer != "0")
    };
    let saved = &snapshot.origin;
    saved.boot_id == origin::here().boot_id && snapshot.processes.iter().any(is_held)
}

/// How long a restart waits for ids of the job that are about to become free.
const PATIENCE: Duration = Duration::from_secs(3);

/// Waits a moment for processes of the job to end, and for their parents to have noticed.
pub fn wait_until_free(snapshot: &Snapshot) {
    wait_while(&of_tasks(snapshot), PATIENCE, |_| true);
}

/// Waits a moment for those who have ids of the job and have ended already: init may be slow, and takes them away some time after a kill.
pub fn wait_for_zombies(snapshot: &Snapshot) {
    wait_while(&of_tasks(snapshot), PATIENCE, Holder::is_zombie);
}

/// Whether the saved ids may be chosen here, and nobody who lives has one of them.
pub fn can_be_had(snapshot: &Snapshot) -> bool {
    const CAP_SYS_ADMIN: u32 = 21;
    const CAP_CHECKPOINT_RESTORE: u32 = 40;
    let is_dead = |pid: i32| Holder::of(pid).is_none_or(|holder| holder.is_zombie());
    [CAP_SYS_ADMIN, CAP_CHECKPOINT_RESTORE].into_iter().any(has_capability) && of_tasks(snapshot).into_iter().all(is_dead)
}

/// Makes the kernel hand out numbers that the job does not need, to the restarter's threads and stubs first of all.
pub fn leave_free(snapshot: &Snapshot) -> io::Result<()> {
    let most: i32 = std::fs::read_to_string("/proc/sys/kernel/pid_max")?.trim().parse().map_err(io::Error::other)?;
    std::fs::write("/proc/sys/kernel/ns_last_pid", widest_gap(all(snapshot), most).to_string())
}

/// The ids of processes and threads.
fn of_tasks(snapshot: &Snapshot) -> Vec<i32> {
    let threads = snapshot.processes.iter().flat_map(|process| process.threads.iter().map(|thread| thread.tid));
    snapshot.processes.iter().map(|process| process.pid).chain(threads).collect()
}

fn all(snapshot: &Snapshot) -> Vec<i32> {
    let of_process = |process: &Process| {
        let threads: Vec<i32> = process.threads.iter().map(|thread| thread.tid).collect();
        [process.pid, process.pgid, process.sid].into_iter().chain(threads)
    };
    snapshot.processes.iter().flat_map(of_process).collect()
}

/// The number before the longest run of numbers below `most` that are not among `ids`. The first 300 are left to whoever comes early.
fn widest_gap(mut ids: Vec<i32>, most: i32) -> i32 {
    const EARLY: i32 = 300;
    ids.retain(|id| EARLY < *id && *id < most);
    ids.push(EARLY);
    ids.sort_unstable();
    let ends = ids.iter().copied().skip(1).chain([most]);
    let gaps = ids.iter().copied().zip(ends).map(|(start, end)| (end - start, start));
    gaps.max().map_or(EARLY, |(_, start)| start)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn new_numbers_come_from_where_the_job_has_none() {
        for (ids, most, start) in [
            (vec![], 4_194_304, 300),
            (vec![2, 3, 0, 40], 32_768, 300),
            (vec![4242, 4243, 4300], 32_768, 4300),
            (vec![30_000, 32_767], 32_768, 300),
            (vec![5, 400_000], 32_768, 300),
        ] {
            assert_eq!(widest_gap(ids.clone(), most), start, "{ids:?}");
        }
    }

    fn process(pid: i32, pgid: i32, sid: i32) -> Process {
        Process { pid, ppid: 1, pgid, sid, ..Process::default() }
    }

    #[test]
    fn who_stays_with_the_restarter() {
        let snapshot = |pid, pgid, sid| Snapshot { processes: vec![process(pid, pgid, sid)], ..Snapshot::default() };
        let (batch, terminal) = (Place::Namespace { foreground: false }, Place::Namespace { foreground: true });
        for (pid, pgid, sid, place, session, group) in [
            (10, 10, 10, batch, false, false),
            (10, 10, 10, terminal, false, false),
            (10, 10, 7, batch, true, false),
            (10, 10, 7, terminal, true, true),
            (10, 10, 7, Place::Host, false, false),
            (10, 0, 0, Place::Host, true, true),
            (10, 10, 0, batch, true, false),
            (10, 1, 1, batch, true, true),
            (10, 1, 1, Place::Host, false, false),
        ] {
            let snapshot = snapshot(pid, pgid, sid);
            let only = &snapshot.processes[0];
            let stays = (stays_in_session(&snapshot, only, place), stays_in_group(&snapshot, only, place));
            assert_eq!(stays, (session, group), "{pid} {pgid} {sid} {place:?}");
        }
    }
}
