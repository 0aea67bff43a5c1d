//! Programs that take part in their checkpoints: asked before the job is stopped, told afterwards what has become of it.
//!
//! ```text
//! select ── ASK ── freeze ── survey ── … ── write ── SETTLE ── release ── CONCLUDE
//! ```
//!
//! Relies on the page that libcr keeps in each of them ([`libcr_wire`]). A process without one costs a few microseconds and is not touched. A [`Parley`] that is
//! dropped tells everybody that nothing came of it; if this program dies, libcr finds out by itself. What programs say is believed about themselves only.

pub mod asker;
mod error;
mod page;
mod restarted;

use std::collections::BTreeSet;
use std::fs::File;
use std::mem::offset_of;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use libcr_wire::{Control, SIGNAL, code};
use nix::fcntl::Flock;
use nix::time::{ClockId, clock_gettime};

pub use error::ParticipantError;
use error::name_of;
use page::{Part, View};
pub use restarted::{Restarted, tell};

use super::note::Notes;
use super::request::{CheckpointRequest, Destination};
use super::tree::{SelectError, Selection};
use crate::error::{At, Classified, Failure, Stage, Subject};
use crate::image::Scope;
use crate::proc::ProcDir;
use crate::sys::{Errno, process};
use crate::tracee::freeze::{Deadline, Frozen, freeze};

/// How long a program may take to answer if the request sets no limit, and for its callbacks afterwards.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a page may be busy before the request is refused: who held it may just be done.
const BUSY_PATIENCE: Duration = Duration::from_secs(1);
/// How long a process without libcr is given to bring it: it may be between exec and its constructors.
const SUPPORT_PATIENCE: Duration = Duration::from_millis(500);
/// Between two calls of a program that has not answered.
const CALL_AGAIN: Duration = Duration::from_millis(100);

/// One program that was asked.
struct Participant {
    pid: i32,
    place: u64,
    generation: u32,
    /// How many of its requests to forward have been answered.
    forwarded: u32,
    called: Instant,
    is_told: bool,
    _lock: Flock<File>,
}

/// Everybody who was asked in one checkpoint.
pub struct Parley {
    participants: Vec<Participant>,
    /// What everybody is told unless it turns out otherwise.
    result: i32,
}

/// What the question says about the checkpoint.
struct Question {
    requester: i32,
    target: i32,
    scope: i32,
    signal: i32,
    path: Vec<u8>,
}

impl Question {
    fn of(request: &CheckpointRequest, selection: &Selection<'_>) -> Question {
        let path = match &request.destination {
            Destination::File(path) | Destination::Dir(path) => std::path::absolute(path).unwrap_or_else(|_| path.clone()),
            Destination::Fd(fd) => std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default(),
        };
        let path = if path.has_root() { path } else { PathBuf::new() };
        let mut path = path.into_os_string().into_encoded_bytes();
        if matches!(request.destination, Destination::Dir(_)) && !path.is_empty() {
            path.extend(b"/.");
        }
        Question {
            requester: request.requester,
            target: selection.lead().unwrap_or(0),
            scope: request.targets.first().map_or(0, |target| number_of(target.scope)),
            signal: request.signal.unwrap_or(0),
            path,
        }
    }
}

fn number_of(scope: Scope) -> i32 {
    match scope {
        // What BLCR has no number for is told as processes.
        Scope::Process | Scope::Share | Scope::Cgroup | Scope::Batch => 0,
        Scope::Group => 1,
        Scope::Session => 2,
        Scope::Tree => 3,
    }
}

fn scope_of(number: i32) -> Option<Scope> {
    [Scope::Process, Scope::Group, Scope::Session, Scope::Tree].into_iter().find(|scope| number_of(*scope) == number)
}

impl Parley {
    /// Asks everybody who takes part, and waits for all answers. Those who want to be left out are taken out of the selection.
    pub fn hold(request: &CheckpointRequest, selection: &mut Selection<'_>, deadline: Deadline) -> Result<Parley, Failure> {
        let mut parley = Parley { participants: Vec::new(), result: -code::TEMPFAIL };
        let result = parley.converse(request, selection, deadline);
        if let Err(failure) = result {
            parley.result = -failure.code;
            return Err(failure);
        }
        Ok(parley)
    }

    fn converse(&mut self, request: &CheckpointRequest, selection: &mut Selection<'_>, deadline: Deadline) -> Result<(), Failure> {
        let question = Question::of(request, selection);
        let begun = Instant::now();
        let mut seen = BTreeSet::new();
        let mut answered = BTreeSet::new();
        loop {
            let is_first = seen.is_empty();
            let fresh = self.enlist(request, selection, &question, &mut seen)?;
            if is_first && let Some(asker) = &request.participation.asker {
                asker::asked(asker);
            }
            let grown = self.answer_forwards(selection)?;
            if grown {
                continue;
            }
            let waiting = self.look_for_answers(selection, &mut answered)?;
            if waiting.is_none() && !fresh {
                return Ok(());
            }
            let Some((pid, view)) = waiting else { continue };
            deadline.check().map_err(|error| over(error, pid, &view))?;
            if deadline.instant().is_none() && begun.elapsed() > PATIENCE {
                return Err(silent(pid, &view)).at(Stage::Select);
            }
            std::thread::sleep(pause(begun.elapsed()));
        }
    }

    /// Asks those who have not been asked; whether there was anybody new.
    fn enlist(
        &mut self,
        request: &CheckpointRequest,
        selection: &mut Selection<'_>,
        question: &Question,
        seen: &mut BTreeSet<i32>,
    ) -> Result<bool, Failure> {
        let mut any = false;
        let members = selection.members().at(Stage::Select)?;
        if request.participation.prohibits_requester && members.contains(&request.requester) {
            return Err(ParticipantError::Oneself { pid: request.requester }).at(Stage::Select);
        }
        for pid in members {
            if !seen.insert(pid) {
                continue;
            }
            any = true;
            match part_of(pid, request).at(Stage::Select)? {
                Part::None | Part::Ready => {}
                Part::Omitted => selection.leave_out(pid),
                Part::Asked(place) => {
                    if let Some(participant) = ask(pid, place, question).at(Stage::Select)? {
                        self.participants.push(participant);
                    }
                }
            }
        }
        Ok(any)
    }

    /// Adds what callbacks forward to; whether there was anything.
    fn answer_forwards(&mut self, selection: &mut Selection<'_>) -> Result<bool, Failure> {
        let mut any = false;
        for one in &mut self.participants {
            let Ok(view) = page::view(one.pid, one.place) else { continue };
            let number = view.word(offset_of!(Control, forward));
            if number == one.forwarded {
                continue;
            }
            any = true;
            one.forwarded = number;
            let (scope, id) = (view.number(offset_of!(Control, forward_scope)), view.number(offset_of!(Control, forward_target)));
            let added = scope_of(scope).map_or(Err(libc::EINVAL), |scope| add(selection, scope, id, one.pid));
            let errno = added.err().unwrap_or(0);
            let _ = one.put(offset_of!(Control, forward_error), errno.cast_unsigned());
            let _ = one.put(offset_of!(Control, forwarded), number);
        }
        Ok(any)
    }

    /// Looks at everybody; somebody who has not answered, if there is one. Whoever refuses ends the checkpoint.
    fn look_for_answers(&mut self, selection: &mut Selection<'_>, answered: &mut BTreeSet<i32>) -> Result<Option<(i32, View)>, Failure> {
        let mut waiting = None;
        let mut refusal = None;
        self.participants.retain(|one| one.here().is_some());
        for one in &mut self.participants {
            let Ok(view) = page::view(one.pid, one.place) else { continue };
            if view.word(offset_of!(Control, answered)) != one.generation {
                one.call_again(&view);
                waiting = Some((one.pid, view));
                continue;
            }
            if !answered.insert(one.pid) {
                continue;
            }
            let code = view.number(offset_of!(Control, code));
            match view.word(offset_of!(Control, answer)) {
                libcr_wire::READY => {}
                libcr_wire::OMIT => {
                    selection.leave_out(one.pid);
                    one.tell(-code::OMITTED);
                }
                libcr_wire::TEMPORARY => {
                    refusal = refusal.or(Some(ParticipantError::Temporary { pid: one.pid, name: name_of(one.pid), code }));
                }
                _ => refusal = Some(ParticipantError::Permanent { pid: one.pid, name: name_of(one.pid), code }),
            }
            if let Some(error @ ParticipantError::Permanent { .. }) = refusal {
                kill_all(selection);
                return Err(error).at(Stage::Select);
            }
        }
        // Everybody has come to the bottom before anybody hears that nothing comes of it.
        match refusal {
            Some(error) => Err(error).at(Stage::Select),
            None => Ok(waiting),
        }
    }

    /// Whether nobody takes part.
    pub fn is_empty(&self) -> bool {
        self.participants.is_empty()
    }

    /// Whether a process takes part.
    pub fn has(&self, pid: i32) -> bool {
        self.participants.iter().any(|one| one.pid == pid)
    }

    /// Tells everybody that the checkpoint has succeeded. They are stopped, and go on with this when they are let go.
    pub fn settle(&mut self) {
        self.tell_all(0);
    }

    /// What everybody is told who has not been told yet.
    pub fn call_off(&mut self, code: i32) {
        self.result = if code > 0 { -code } else { -code::TEMPFAIL };
    }

    fn tell_all(&mut self, result: i32) {
        self.participants.iter_mut().filter(|one| !one.is_told).for_each(|one| one.tell(result));
    }

    /// Lets those who take part do what they do after a checkpoint, while everybody else stays stopped, and stops them again.
    pub fn let_finish(
        &mut self,
        frozen: Frozen,
        selection: &Selection<'_>,
        deadline: Deadline,
        notes: &mut Notes,
    ) -> Result<Frozen, Failure> {
        let since = frozen.since;
        let (asked, mut others): (Vec<_>, Vec<_>) = frozen.processes.into_iter().partition(|process| self.has(process.pid));
        let pids: Vec<i32> = asked.iter().map(|process| process.pid).collect();
        Frozen { processes: asked, since }.release().at(Stage::Release)?;
        let concluded = self.await_all(selection, deadline, notes);
        let stopped = freeze::<SelectError>(deadline, || Ok(pids.iter().copied().filter(|pid| is_alive(*pid)).collect()));
        others.extend(stopped.at(Stage::Release)?.processes);
        others.sort_by_key(|process| process.pid);
        concluded?;
        Ok(Frozen { processes: others, since })
    }

    /// Waits until the callbacks of everybody are done. One that failed ends the job, as BLCR has it.
    pub fn conclude(mut self, selection: &Selection<'_>, deadline: Deadline, notes: &mut Notes) -> Result<(), Failure> {
        self.await_all(selection, deadline, notes)
    }

    fn await_all(&mut self, selection: &Selection<'_>, deadline: Deadline, notes: &mut Notes) -> Result<(), Failure> {
        let begun = Instant::now();
        for one in std::mem::take(&mut self.participants) {
            while let Some(view) = one.here() {
                if view.word(offset_of!(Control, done)) == one.generation {
                    let returned = view.number(offset_of!(Control, done_code));
                    if returned != 0 {
                        kill_all(selection);
                        return Err(ParticipantError::Spoilt { pid: one.pid, name: name_of(one.pid), returned }).at(Stage::Release);
                    }
                    break;
                }
                if deadline.check().is_err() || begun.elapsed() > PATIENCE {
                    // The context file is complete: that they still run is no failure of it.
                    notes.warn(Subject::pid(one.pid), silent(one.pid, &view).to_string());
                    return Ok(());
                }
                std::thread::sleep(pause(begun.elapsed()));
            }
        }
        Ok(())
    }
}

impl Drop for Parley {
    fn drop(&mut self) {
        self.tell_all(self.result);
    }
}

impl Participant {
    fn put(&self, offset: usize, word: u32) -> Result<(), Errno> {
        page::put(self.pid, self.place, offset, &word.to_ne_bytes())
    }

    /// The verdict, the result first. Who is gone does not need it.
    fn tell(&mut self, result: i32) {
        self.is_told = true;
        let told = self.put(offset_of!(Control, result), result.cast_unsigned());
        let _ = told.and_then(|()| self.put(offset_of!(Control, verdict), self.generation));
        if result < 0
            && let Ok(view) = page::view(self.pid, self.place)
        {
            page::call(self.pid, &view);
        }
    }

    /// Whether it is still the program that was asked: one that has called exec is another.
    fn here(&self) -> Option<View> {
        let view = page::view(self.pid, self.place).ok()?;
        let is_same = view.number(offset_of!(Control, pid)) == self.pid && view.word(offset_of!(Control, ask)) == self.generation;
        is_same.then_some(view)
    }

    /// A call may have come too early, or have found no thread. One that waits to be taken is not doubled.
    fn call_again(&mut self, view: &View) {
        if self.called.elapsed() < CALL_AGAIN {
            return;
        }
        self.called = Instant::now();
        let helper = view.number(offset_of!(Control, helper));
        let status = ProcDir::open(if helper > 0 { helper } else { self.pid }).and_then(|dir| dir.status());
        let is_pending = |status: &crate::proc::Status| (status.signals.pending | status.signals.shared_pending) >> (SIGNAL - 1) & 1 != 0;
        if !status.is_ok_and(|status| is_pending(&status)) {
            page::call(self.pid, view);
        }
    }
}

/// How a process takes part, and whether it has to.
fn part_of(pid: i32, request: &CheckpointRequest) -> Result<Part, ParticipantError> {
    let begun = Instant::now();
    loop {
        match page::look(pid)? {
            Part::None if request.participation.is_required && !super::tree::is_a_program_of_ours(pid) && is_alive(pid) => {
                if begun.elapsed() > SUPPORT_PATIENCE {
                    return Err(ParticipantError::Unsupported { pid, name: name_of(pid) });
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            part => return Ok(part),
        }
    }
}

fn is_alive(pid: i32) -> bool {
    ProcDir::open(pid).and_then(|dir| dir.stat()).is_ok_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}

/// Puts the question to one process; `None` if it is gone.
fn ask(pid: i32, place: u64, question: &Question) -> Result<Option<Participant>, ParticipantError> {
    let begun = Instant::now();
    let (lock, view) = loop {
        let Ok(view) = page::view(pid, place) else { return Ok(None) };
        let is_over = view.word(offset_of!(Control, ask)) == view.word(offset_of!(Control, done));
        if let Some(lock) = page::lock(pid).filter(|_| is_over) {
            break (lock, view);
        }
        if begun.elapsed() > BUSY_PATIENCE {
            return if is_alive(pid) { Err(ParticipantError::Busy { pid, name: name_of(pid) }) } else { Ok(None) };
        }
        // Whoever asked last may have died: the program finds out when it looks.
        page::call(pid, &view);
        std::thread::sleep(Duration::from_millis(20));
    };
    let generation = view.word(offset_of!(Control, ask)).wrapping_add(1).max(1);
    let words = [
        (offset_of!(Control, requester), question.requester),
        (offset_of!(Control, target), question.target),
        (offset_of!(Control, scope), question.scope),
        (offset_of!(Control, signal), question.signal),
        (offset_of!(Control, engine), nix::unistd::getpid().as_raw()),
    ];
    let used = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec());
    let written = page::put_path(pid, place, &question.path)
        .and_then(|()| words.iter().try_for_each(|(offset, number)| page::put(pid, place, *offset, &number.to_ne_bytes())))
        .and_then(|()| page::put(pid, place, offset_of!(Control, engine_cpu_ns), &used.to_ne_bytes()))
        .and_then(|()| page::put(pid, place, offset_of!(Control, ask), &generation.to_ne_bytes()));
    if written.is_err() {
        return Ok(None);
    }
    page::call(pid, &view);
    let forwarded = view.word(offset_of!(Control, forward));
    Ok(Some(Participant { pid, place, generation, forwarded, called: Instant::now(), is_told: false, _lock: lock }))
}

/// Adds to the request what a callback asks for; the error number it gets.
fn add(selection: &mut Selection<'_>, scope: Scope, id: i32, by: i32) -> Result<(), i32> {
    selection.add(scope, id, by).map_err(|error| error.errno().unwrap_or(libc::EINVAL))?;
    match selection.members() {
        Ok(_) => Ok(()),
        Err(error) => {
            selection.take_back();
            Err(error.errno().unwrap_or(libc::EINVAL))
        }
    }
}

/// Ends the job, as programs that refuse for good ask for.
fn kill_all(selection: &Selection<'_>) {
    let members: Result<Vec<i32>, SelectError> = selection.members();
    // Whoever is gone needs no signal, and whoever may not be signalled is not ours to end.
    for pid in members.unwrap_or_default() {
        let _ = process::kill(pid, libc::SIGKILL);
    }
}

fn silent(pid: i32, view: &View) -> ParticipantError {
    let holders = view.word(offset_of!(Control, holders));
    let what = match view.word(offset_of!(Control, phase)) {
        libcr_wire::PENDING if holders > 0 => format!("{holders} of its threads are in critical sections"),
        libcr_wire::THREADS => "its callbacks in thread context run".into(),
        libcr_wire::SIGNALS => "its callbacks in signal context run, or wait for a thread that takes no signal".into(),
        libcr_wire::PARKED | libcr_wire::RESUMING => "its callbacks have not come back from cr_checkpoint".into(),
        _ => "it has not taken the signal".into(),
    };
    ParticipantError::Silent { pid, name: name_of(pid), what }
}

/// The time is over: who was waited for is the reason, unless somebody has asked to give up.
fn over(error: crate::tracee::TraceeError, pid: i32, view: &View) -> Failure {
    match error {
        crate::tracee::TraceeError::TimeOver => Failure::new(Stage::Select, silent(pid, view)),
        other => Failure::new(Stage::Select, other),
    }
}

/// Short at first, when most answers come.
fn pause(waited: Duration) -> Duration {
    (waited / 20).clamp(Duration::from_micros(50), Duration::from_millis(5))
}
