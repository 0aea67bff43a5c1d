//! What the end of a process would add to semaphores (semop(2), SEM_UNDO), which the kernel shows nowhere.
//!
//! It is found without changing anything. The kernel keeps each adjustment within 16 bits, and looks at that before it looks whether an operation has to
//! wait. So operations that would move the adjustment by `n`, followed by one that must wait and may not, fail with ERANGE if the adjustment is too
//! far, and with EAGAIN if it is not, and in both cases leave everything as it was. Two such questions tell whether there is an adjustment,
//! sixteen more tell which. One trace is left: the kernel has made room for adjustments, so that the end of the process counts as an operation on the set
//! (its sem_otime), though it changes no value.
//!
//! Relies on the process being stopped, and asks it. Others may change a value meanwhile: then the answers are not believed, and asked for again.

use super::all;
use crate::resource::Adjustment;
use crate::sys::Errno;
use crate::sys::ipc::Sort;
use crate::tracee::{Answers, Batch, Buffer, Row};

/// Largest value of a semaphore, and smallest and largest adjustment.
const MOST: i32 = 32767;
/// A set is asked about if all before it have no more than so many semaphores together: the job stands still meanwhile.
const MOST_SEMAPHORES: usize = 32_000;
const ROUNDS: usize = 40;
const UNDO: i32 = libc::SEM_UNDO | libc::IPC_NOWAIT;

/// The sets on which anybody has ever operated, with the number of their semaphores.
pub fn sets() -> Vec<(i32, usize)> {
    let mut total = 0;
    let operated = all(Sort::Semaphores).into_iter().filter(|(_, object)| object.wide("otime") != Some(0));
    let sets = operated.filter_map(|(id, object)| Some((id, usize::try_from(object.column("nsems")?).ok()?)));
    sets.take_while(|(_, count)| {
        total += count;
        total <= MOST_SEMAPHORES
    })
    .collect()
}

/// The search for all adjustments of one process.
pub struct Search {
    pid: i32,
    sets: Vec<(i32, usize)>,
    /// Semaphores whose adjustment is not known yet.
    open: Vec<Open>,
    found: Vec<Adjustment>,
    asked: Asked,
    rounds: usize,
}

/// One semaphore: its value, and the adjustment, which is at least `least` and at most `most`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Open {
    set: i32,
    number: u16,
    value: i32,
    least: i32,
    most: i32,
}

/// What the last batch asked.
enum Asked {
    Nothing,
    Values(Vec<(i32, Row, Buffer)>),
    Limits(Vec<(Row, Row)>),
    Middles(Vec<(Row, Middle)>),
}

impl Search {
    /// Prepares to ask process `pid` about these sets.
    pub fn new(pid: i32, sets: &[(i32, usize)]) -> Search {
        Search { pid, sets: sets.to_vec(), open: Vec::new(), found: Vec::new(), asked: Asked::Nothing, rounds: 0 }
    }

    /// The next questions; `None` when all is known, or when somebody else does not let the semaphores alone.
    pub fn ask(&mut self) -> Option<Batch> {
        let mut batch = Batch::new();
        self.rounds += 1;
        if self.rounds == 1 {
            if self.sets.is_empty() {
                return None;
            }
            let mut rows = Vec::new();
            for (set, count) in &self.sets {
                let room = batch.room(2 * count);
                let row = batch.attempt(libc::SYS_semctl, [(*set).into(), 0i32.into(), libc::GETALL.into(), room.into()]);
                rows.push((*set, row, room));
            }
            self.asked = Asked::Values(rows);
            return Some(batch);
        }
        if self.rounds == 2 {
            let open = &self.open;
            self.asked = Asked::Limits(open.iter().map(|one| (one.at_least(0, &mut batch), one.at_most(0, &mut batch))).collect());
        } else {
            let rows: Vec<(Row, Middle)> = self.open.iter().map(|one| one.halve(&mut batch)).collect();
            self.asked = Asked::Middles(rows);
        }
        (!batch.is_empty() && self.rounds < ROUNDS).then_some(batch)
    }

    /// Takes the answers to the last questions.
    pub fn hear(&mut self, answers: &Answers) {
        match std::mem::replace(&mut self.asked, Asked::Nothing) {
            Asked::Nothing => {}
            Asked::Values(rows) => {
                for (set, row, room) in rows {
                    // A set that the process may not read it cannot have changed.
                    if answers.value(row).is_ok() {
                        let values = answers.bytes(room).as_chunks::<2>().0.iter().map(|value| u16::from_ne_bytes(*value));
                        self.open.extend((0..).zip(values).map(|(number, value)| Open::new(set, number, value)));
                    }
                }
            }
            Asked::Limits(rows) => {
                let mut open = std::mem::take(&mut self.open);
                for (one, (least, most)) in open.iter_mut().zip(rows) {
                    let (not_below, not_above) = (within(answers.value(least)), within(answers.value(most)));
                    (one.least, one.most) = match (not_below, not_above) {
                        (Some(false), Some(true)) => (-MOST - 1, -1),
                        (Some(true), Some(false)) => (1, MOST),
                        // Neither, or a set that the process may not change.
                        _ => (0, 0),
                    };
                }
                open.retain(|one| one.least != 0 || one.most != 0);
                self.open = open;
                self.settle();
            }
            Asked::Middles(rows) => {
                for (one, (row, middle)) in self.open.iter_mut().zip(rows) {
                    match (within(answers.value(row)), middle) {
                        (Some(true), Middle::AtLeast(by)) => one.least = by,
                        (Some(false), Middle::AtLeast(by)) => one.most = by - 1,
                        (Some(true), Middle::AtMost(by)) => one.most = by,
                        (Some(false), Middle::AtMost(by)) => one.least = by + 1,
                        (None, _) => {}
                    }
                }
                self.settle();
            }
        }
    }

    /// What is known for sure is no question any more.
    fn settle(&mut self) {
        let pid = self.pid;
        let (known, open): (Vec<Open>, Vec<Open>) = self.open.drain(..).partition(|one| one.least >= one.most);
        self.found.extend(known.into_iter().map(|one| Adjustment { pid, set: one.set, number: one.number, by: one.least }));
        self.open = open;
    }

    /// The adjustments.
    pub fn finish(self) -> Vec<Adjustment> {
        self.found
    }
}

/// Whether an adjustment stayed within its limits; `None`: the call was not made.
fn within(answer: Result<i64, Errno>) -> Option<bool> {
    match answer {
        Err(Errno::EAGAIN) => Some(true),
        Err(Errno::ERANGE) => Some(false),
        _ => None,
    }
}

/// A question: is the adjustment at least, or at most, this?
#[derive(Debug, Clone, Copy)]
enum Middle {
    AtLeast(i32),
    AtMost(i32),
}

impl Open {
    fn new(set: i32, number: u16, value: u16) -> Open {
        Open { set, number, value: value.into(), least: -MOST - 1, most: MOST }
    }

    /// Asks about the middle of what is possible.
    fn halve(&self, batch: &mut Batch) -> (Row, Middle) {
        let middle = self.least + (self.most - self.least) / 2;
        if self.least < 0 {
            let middle = middle.max(self.least + 1);
            (self.at_least(middle, batch), Middle::AtLeast(middle))
        } else {
            let middle = middle.min(self.most - 1);
            (self.at_most(middle, batch), Middle::AtMost(middle))
        }
    }

    /// Asks whether the adjustment is at least `by`, which is from -32767 to 0: taking 32768 + `by` from it stays within the limits then.
    fn at_least(&self, by: i32, batch: &mut Batch) -> Row {
        let less = MOST + 1 + by;
        // From 0 a value can be raised by 32767 at most, so it is done in two steps.
        self.operate(&[(-self.value, libc::IPC_NOWAIT), (1, UNDO), (-1, libc::IPC_NOWAIT), (less - 1, UNDO)], batch)
    }

    /// Asks whether the adjustment is at most `by`, which is from 0 to 32766: adding 32767 - `by` stays within the limits then.
    fn at_most(&self, by: i32, batch: &mut Batch) -> Row {
        self.operate(&[(MOST - self.value, libc::IPC_NOWAIT), (by - MOST, UNDO)], batch)
    }

    /// Operations, and one that can never be done: they all are not done.
    fn operate(&self, operations: &[(i32, i32)], batch: &mut Batch) -> Row {
        const NEVER: (i32, i32) = (-MOST - 1, libc::IPC_NOWAIT);
        let some = operations.iter().filter(|(by, _)| *by != 0).chain([&NEVER]);
        let operations: Vec<u8> = some.clone().flat_map(|(by, flags)| operation(self.number, *by, *flags)).collect();
        let buffer = batch.bytes(&operations);
        batch.attempt(libc::SYS_semop, [self.set.into(), buffer.into(), some.count().into()])
    }
}

/// `struct sembuf` (semop(2)).
pub fn operation(number: u16, by: i32, flags: i32) -> [u8; 6] {
    let (by, flags) = (i16::try_from(by).unwrap_or(0), i16::try_from(flags).unwrap_or(0));
    let words = [number.to_ne_bytes(), by.to_ne_bytes(), flags.to_ne_bytes()];
    [words[0][0], words[0][1], words[1][0], words[1][1], words[2][0], words[2][1]]
}
