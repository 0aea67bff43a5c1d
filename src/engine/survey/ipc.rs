//! System V objects that the job uses without being attached to them: semaphores, message queues, segments. No kind keeps them, and a process
//! holds nothing that a survey would see. So whoever has used one last, or waits for one now, tells.
//!
//! Relies on `/proc/sysvipc`, which shows our own IPC namespace: the warning about another one is `warn_of_places`.

use std::collections::{BTreeMap, HashSet};

use crate::engine::note::Notes;
use crate::error::Subject;
use crate::proc::sysvipc::{self, SysvObject};
use crate::sys::ipc;
use crate::tracee::arch;
use crate::tracee::freeze::Frozen;

/// A sort of object: its file, the column of its id, the columns that name processes, and what is lost.
struct Sort {
    file: &'static str,
    id: &'static str,
    users: &'static [&'static str],
    word: &'static str,
    lost: &'static str,
    calls: &'static [i64],
}

const SORTS: [Sort; 3] = [
    Sort {
        file: "/proc/sysvipc/sem",
        id: "semid",
        users: &[],
        word: "semaphore set",
        lost: "nor are its adjustments for the end of a process (SEM_UNDO)",
        calls: &[libc::SYS_semop, libc::SYS_semtimedop],
    },
    Sort {
        file: "/proc/sysvipc/msg",
        id: "msqid",
        users: &["lspid", "lrpid"],
        word: "message queue",
        lost: "nor are the messages in it",
        calls: &[libc::SYS_msgsnd, libc::SYS_msgrcv],
    },
    Sort {
        file: "/proc/sysvipc/shm",
        id: "shmid",
        users: &["cpid", "lpid"],
        word: "shared memory segment",
        lost: "nor are its contents",
        calls: &[],
    },
];

/// Says which of them the job uses.
pub fn name_lost(frozen: &Frozen, notes: &mut Notes) {
    let members: HashSet<i32> = frozen.processes.iter().map(|process| process.pid).collect();
    for sort in &SORTS {
        // Kernels without System V IPC have no such file.
        let objects = sysvipc::parse(&std::fs::read_to_string(sort.file).unwrap_or_default());
        let mut used: BTreeMap<i32, i32> = waited_for(frozen, sort).collect();
        for object in &objects {
            let user = user_of(object, sort, |pid| members.contains(&pid));
            if let (Some(id), Some(pid)) = (object.column(sort.id), user) {
                used.insert(id, pid);
            }
        }
        for (id, pid) in used {
            let text = format!("uses System V {} {id}, which is not saved, {}: the restart needs it as it is then", sort.word, sort.lost);
            notes.lose(Subject::pid(pid), text);
        }
    }
}

/// The member that has used an object last.
fn user_of(object: &SysvObject, sort: &Sort, is_member: impl Fn(i32) -> bool) -> Option<i32> {
    /// A set with more is not looked through: the job stands still meanwhile.
    const MOST_SEMAPHORES: i32 = 4096;
    let named = sort.users.iter().find_map(|column| object.names(column, &is_member));
    let set = object.column("semid");
    let numbers = 0..object.column("nsems").unwrap_or(0).min(MOST_SEMAPHORES);
    named.or_else(|| numbers.filter_map(|number| ipc::semaphore_pid(set?, number).ok()).find(|pid| is_member(*pid)))
}

/// Objects that threads of the job wait for, each with the process.
fn waited_for(frozen: &Frozen, sort: &Sort) -> impl Iterator<Item = (i32, i32)> {
    let threads = frozen.processes.iter().flat_map(|process| &process.threads);
    threads.filter_map(|thread| {
        let (call, first) = arch::current_call(thread.registers())?;
        sort.calls.contains(&call).then_some((i32::try_from(first).ok()?, thread.pid))
    })
}
