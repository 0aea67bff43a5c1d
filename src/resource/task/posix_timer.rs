//! POSIX timers of a process (timer_create(2)).
//!
//! Kept: ids with their gaps, clock, notification, interval, the time that remained, and that a timer has expired and its signal waits.
//! Lost: the overrun count of the last delivery; that a timer was set to a point of time (it keeps the time that remained); which thread's
//! processor time a timer measures, unless it notifies that thread.
//! Refused: ids above 100,000 at a restart before Linux 6.15, where they can only be reached by counting.
//!
//! Relies on the process having no timers yet, and on signals of timers being left out of the pending ones.

use serde::{Deserialize, Serialize};

use super::siginfo::expired_timers;
use super::warn;
use crate::image::Tag;
use crate::proc::ProcError;
use crate::proc::timers::{Notify, PosixTimer as Shown, Target};
use crate::resource::{Bind, KindError, Later, Plan, Step, TaskKind, TaskProbe};
use crate::sys::process;
use crate::tracee::{Answers, Batch, Buffer};

/// See the module.
pub struct PosixTimer;

/// The timers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PosixTimerV1 {
    /// In ascending order of ids.
    pub timers: Vec<Timer>,
}

/// A timer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// The kernel's id.
    pub id: i32,
    /// `CLOCK_*`, or a clock of processor time.
    pub clock: i32,
    /// `sigev_notify`: SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD_ID.
    pub notify: i32,
    /// `sigev_signo`.
    pub signal: i32,
    /// `sigev_value`.
    pub value: u64,
    /// The thread that gets the signal, with SIGEV_THREAD_ID.
    pub thread: Option<i32>,
    /// Period in nanoseconds; 0 for a timer that fires once.
    pub interval_ns: u64,
    /// Until it fires next, in nanoseconds; 0 when it is off.
    pub remaining_ns: u64,
    /// Whether it has expired and its signal has not been delivered.
    pub is_pending: bool,
}

const SECOND_NS: u64 = 1_000_000_000;
const SIGEV_THREAD: i32 = 2;
const PR_TIMER_CREATE_RESTORE_IDS: i32 = 77;
/// Beyond that the counting of old kernels takes too long.
const MOST_COUNTED: i32 = 100_000;
const CAP_WAKE_ALARM: u32 = 35;

impl TaskKind for PosixTimer {
    type State = PosixTimerV1;
    const TAG: Tag = Tag::new("posix_timer", 1);
    const STEP: Step = Step::Timers;

    fn capture(&self, probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<PosixTimerV1>, KindError> {
        let shown = match probe.dir.timers() {
            Ok(shown) => shown,
            // A kernel without CONFIG_CHECKPOINT_RESTORE.
            Err(ProcError::Absent { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let mut rooms = Vec::with_capacity(shown.len());
        for timer in &shown {
            let room = ask.room(32);
            ask.call("read a POSIX timer", libc::SYS_timer_gettime, [timer.id.into(), room.into()]);
            rooms.push(room);
        }
        let tid = probe.tid;
        Ok(Box::new(move |answers| {
            // After the batch: what has expired in between is seen.
            let shared = if shown.is_empty() { Vec::new() } else { expired_timers(tid, true)? };
            let timer = |(shown, room): (&Shown, &Buffer)| Timer::new(shown, *room, answers, &shared);
            Ok(PosixTimerV1 { timers: shown.iter().zip(&rooms).map(timer).collect::<Result<_, _>>()? })
        }))
    }

    fn plan(&self, state: &PosixTimerV1, _cx: &mut Plan<'_>) -> Result<(), KindError> {
        let most = state.timers.iter().map(|timer| timer.id).max().unwrap_or(0);
        if MOST_COUNTED < most && !process::timer_ids_can_be_chosen() {
            return Err(KindError::Unsupported {
                what: format!("a POSIX timer with the id {most} on this kernel"),
                remedy: "restart it on Linux 6.15 or newer".into(),
            });
        }
        Ok(())
    }

    fn apply(&self, state: &PosixTimerV1, cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        if !state.timers.is_empty() {
            rows(state, process::timer_ids_can_be_chosen(), cx, batch);
        }
        Ok(())
    }
}

impl Timer {
    fn new(shown: &Shown, room: Buffer, answers: &Answers, shared: &[i32]) -> Result<Timer, KindError> {
        let (notify, thread) = match (shown.notify, shown.target) {
            (Notify::None, _) => (libc::SIGEV_NONE, None),
            (Notify::Signal, Target::Process(_)) => (libc::SIGEV_SIGNAL, None),
            (Notify::Thread, Target::Process(_)) => (SIGEV_THREAD, None),
            (Notify::Signal | Notify::Thread, Target::Thread(tid)) => (libc::SIGEV_THREAD_ID, Some(tid)),
        };
        let is_pending = match thread {
            None => shared.contains(&shown.id),
            // A thread that has ended has no queue any more.
            Some(tid) => expired_timers(tid, false).is_ok_and(|expired| expired.contains(&shown.id)),
        };
        let time = |at: usize| answers.word(room, at).saturating_mul(SECOND_NS).saturating_add(answers.word(room, at + 1));
        Ok(Timer {
            id: shown.id,
            clock: shown.clock,
            notify,
            signal: shown.signal,
            value: shown.value,
            thread,
            interval_ns: time(0),
            remaining_ns: time(2),
            is_pending,
        })
    }

    /// Its clock for timer_create(2): clocks of processor time hold an id (`posix-timers_types.h` of the kernel).
    fn clock_now(&self, id: &dyn Fn(i32) -> i32) -> i32 {
        const KIND: i32 = 7;
        const CLOCK_FD: i32 = 3;
        const OF_THREAD: i32 = 4;
        if 0 <= self.clock || self.clock & CLOCK_FD == CLOCK_FD {
            return self.clock;
        }
        let owner = match (!(self.clock >> 3), self.thread) {
            // The calling thread, which would now be the leader.
            (0, Some(thread)) if self.clock & OF_THREAD != 0 => thread,
            (0, _) => return self.clock,
            (owner, _) => owner,
        };
        !id(owner) << 3 | self.clock & KIND
    }
}

fn rows(state: &PosixTimerV1, can_choose: bool, cx: &mut Bind<'_>, batch: &mut Batch) {
    if can_choose {
        batch.call("choose timer ids", libc::SYS_prctl, [PR_TIMER_CREATE_RESTORE_IDS.into(), 1.into()]);
    }
    let mut next = 0;
    for timer in &state.timers {
        while !can_choose && next < timer.id {
            // Ids count up from 0; one that was not in use is passed over.
            let event = event(libc::SIGEV_NONE, 0, 0, 0, batch);
            create(libc::CLOCK_MONOTONIC, event, next, batch);
            batch.call("delete a POSIX timer", libc::SYS_timer_delete, [next.into()]);
            next += 1;
        }
        next = timer.id + 1;
        let thread = timer.thread.map_or(0, cx.id);
        let event = event(timer.notify, timer.signal, timer.value, thread, batch);
        create(possible(timer.clock_now(cx.id), &mut cx.warnings), event, timer.id, batch);
        // An expired timer expires again at once: its signal is pending as it was, and overruns are counted on.
        let remaining = if timer.is_pending { 1 } else { timer.remaining_ns };
        let split = |ns: u64| [ns / SECOND_NS, ns % SECOND_NS];
        let times = batch.words(&[split(timer.interval_ns), split(remaining)].concat());
        batch.call("set a POSIX timer", libc::SYS_timer_settime, [timer.id.into(), 0.into(), times.into(), 0.into()]);
    }
    if can_choose {
        batch.call("let the kernel choose timer ids", libc::SYS_prctl, [PR_TIMER_CREATE_RESTORE_IDS.into(), 0.into()]);
    }
}

fn create(clock: i32, event: Buffer, id: i32, batch: &mut Batch) {
    let id = batch.bytes(&id.to_le_bytes());
    batch.call("create a POSIX timer", libc::SYS_timer_create, [clock.into(), event.into(), id.into()]);
}

/// `struct sigevent`.
fn event(notify: i32, signal: i32, value: u64, thread: i32, batch: &mut Batch) -> Buffer {
    let mut bytes = [0; 64];
    bytes[..8].copy_from_slice(&value.to_le_bytes());
    bytes[8..12].copy_from_slice(&signal.to_le_bytes());
    bytes[12..16].copy_from_slice(&notify.to_le_bytes());
    bytes[16..20].copy_from_slice(&thread.to_le_bytes());
    batch.bytes(&bytes)
}

/// A clock that wakes the machine needs a capability; without it its plain sister must do.
fn possible(clock: i32, warnings: &mut Vec<String>) -> i32 {
    let plain = match clock {
        libc::CLOCK_REALTIME_ALARM => libc::CLOCK_REALTIME,
        libc::CLOCK_BOOTTIME_ALARM => libc::CLOCK_BOOTTIME,
        _ => return clock,
    };
    if super::has_host_capability(CAP_WAKE_ALARM) {
        return clock;
    }
    warn(warnings, "a timer will not wake the machine from sleep: that needs CAP_WAKE_ALARM".into());
    plain
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    fn timer(id: i32, clock: i32) -> Timer {
        let (notify, signal, value) = (libc::SIGEV_SIGNAL, 40, 0x1234);
        Timer { id, clock, notify, signal, value, thread: None, interval_ns: 5, remaining_ns: 3600 * SECOND_NS, is_pending: false }
    }

    #[test]
    fn timers_come_back_under_their_ids() {
        let mut child = bench::Child::new();
        let to_thread = Timer { notify: libc::SIGEV_THREAD_ID, thread: Some(child.pid), interval_ns: 60 * SECOND_NS, ..timer(5, 7) };
        let off = Timer { remaining_ns: 0, interval_ns: 0, ..timer(9, 1) };
        let silent = Timer { notify: libc::SIGEV_NONE, ..timer(2, 0) };
        let expired = Timer { is_pending: true, interval_ns: 0, ..timer(11, 1) };
        let wanted = vec![silent, to_thread, timer(7, -6), off, expired];
        child.apply(&PosixTimer, &PosixTimerV1 { timers: wanted.clone() }).unwrap();
        let found = child.capture(&PosixTimer).unwrap().timers;
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.into_iter().zip(wanted) {
            let late = wanted.remaining_ns.saturating_sub(found.remaining_ns);
            assert!(late < 60 * SECOND_NS || wanted.is_pending, "{found:?}");
            let remaining_ns = wanted.remaining_ns;
            assert_eq!(Timer { remaining_ns, ..found }, wanted);
        }
    }

    #[test]
    fn clocks_of_processor_time_name_their_owner_by_its_new_id() {
        let of_thread = |thread| Timer { thread, ..timer(0, -2) };
        for (what, timer, clock) in [
            ("monotonic", timer(0, 1), 1),
            ("of the process", timer(0, -6), -6),
            ("of process 77", timer(0, !77 << 3 | 2), !1077 << 3 | 2),
            ("of the leader", of_thread(None), -2),
            ("of the thread that is told", of_thread(Some(77)), !1077 << 3 | 6),
        ] {
            assert_eq!(timer.clock_now(&|id| id + 1000), clock, "{what}");
        }
    }

    #[test]
    fn old_kernels_count_up_to_the_id() {
        let snapshot = bench::empty_job();
        let (id, path) = (|id| id, |path: &std::path::Path| path.to_owned());
        let mut cx = Bind {
            snapshot: &snapshot,
            pid: 1,
            tid: 1,
            id: &id,
            path: &path,
            directories: crate::resource::Directories::default(),
            same_ids: true,
            keeps_surroundings: false,
            warnings: Vec::new(),
        };
        let state = PosixTimerV1 { timers: vec![timer(2, 1), timer(4, 1)] };
        for (can_choose, n_rows) in [(true, 6), (false, 10)] {
            let mut batch = Batch::new();
            rows(&state, can_choose, &mut cx, &mut batch);
            assert_eq!(batch.len(), n_rows, "{can_choose}");
        }
    }
}
