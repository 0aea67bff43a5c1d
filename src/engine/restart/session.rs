//! Sessions inside a job that come back whatever was asked for, because a terminal of the job controls them.
//!
//! Without `--restore-sid` a job comes back in the session of the restarter, so that it has that terminal. What lives at a terminal that the job itself
//! made, the shells of a terminal multiplexer for example, has a session for it, which its leader cannot do without. Where there is one, the
//! other sessions that the job made inside stay apart as well: none may come into one that is not its own.

use std::collections::{HashMap, HashSet};

use super::graph::Graph;
use crate::image::{ObjectId, Snapshot};
use crate::resource::Control;
use crate::tracee::{Batch, Scratch, Stopped, TraceeError};

/// The sessions of a job that are made again.
#[derive(Debug, Default)]
pub struct Sessions {
    kept: HashSet<i32>,
    inner: HashSet<i32>,
    /// Terminals with the session that each controls.
    pub controls: Vec<(ObjectId, Control)>,
}

impl Sessions {
    /// Which they are. `all`: every session that was asked for.
    pub fn of(snapshot: &Snapshot, graph: &Graph, all: bool) -> Sessions {
        let controls = graph.objects(snapshot).filter_map(|(id, _, live)| Some((id, live.control()?)));
        Sessions::with(snapshot, controls.collect(), all)
    }

    fn with(snapshot: &Snapshot, mut controls: Vec<(ObjectId, Control)>, all: bool) -> Sessions {
        let led: HashSet<i32> = snapshot.processes.iter().filter(|process| process.sid == process.pid).map(|process| process.sid).collect();
        controls.retain(|(_, control)| led.contains(&control.session));
        let main = snapshot.processes.first().map(|lead| lead.sid);
        let mut inner: HashSet<i32> = controls.iter().map(|(_, control)| control.session).collect();
        if !inner.is_empty() {
            inner.extend(led.into_iter().filter(|session| Some(*session) != main));
        }
        let mut kept = inner.clone();
        if all {
            kept.extend(snapshot.processes.iter().map(|process| process.sid));
        }
        Sessions { kept, inner, controls }
    }

    /// Whether a session is made again, by its saved id.
    pub fn keeps(&self, session: i32) -> bool {
        self.kept.contains(&session)
    }

    /// Whether its process groups are made again, too, although nobody asked for groups.
    pub fn keeps_groups(&self, session: i32) -> bool {
        self.inner.contains(&session)
    }
}

/// The descriptor of each session's terminal, by session.
pub type Terminals = HashMap<i32, i32>;

/// Makes a session, and a terminal that of the session: before any child is born, for children inherit it.
pub fn lead(leader: &mut Stopped, scratch: &Scratch, terminal: Option<i32>) -> Result<(), TraceeError> {
    let mut batch = Batch::new();
    batch.call::<0>("make a session", libc::SYS_setsid, []);
    if let Some(fd) = terminal {
        batch.call("take a terminal for the session", libc::SYS_ioctl, [fd.into(), libc::TIOCSCTTY.into(), 0i32.into()]);
    }
    scratch.run(leader, &batch).map(drop)
}

/// Puts a process group into the foreground, by the leader of its session.
pub fn put_foreground(leader: &mut Stopped, scratch: &Scratch, terminal: i32, group: i32) -> Result<(), TraceeError> {
    let mut batch = Batch::new();
    let room = batch.bytes(&group.to_ne_bytes());
    batch.call("put a process group into the foreground", libc::SYS_ioctl, [terminal.into(), libc::TIOCSPGRP.into(), room.into()]);
    scratch.run(leader, &batch).map(drop)
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::image::Process;

    fn process(pid: i32, sid: i32) -> Process {
        Process { pid, ppid: 1, pgid: pid, sid, ..Process::default() }
    }

    #[test]
    fn sessions_with_a_terminal_of_the_job_are_made_again() {
        let control = |session| (0, Control { session, foreground: session });
        for (what, processes, controls, all, kept) in [
            ("no terminal", vec![(10, 10), (11, 11)], vec![], false, vec![]),
            ("all", vec![(10, 7), (11, 11)], vec![], true, vec![7, 11]),
            ("a shell in script(1)", vec![(10, 7), (11, 11), (12, 11)], vec![control(11)], false, vec![11]),
            ("a server with a shell", vec![(10, 10), (11, 11)], vec![control(11)], false, vec![11]),
            ("a daemon of a shell", vec![(10, 10), (11, 11), (12, 12)], vec![control(11)], false, vec![11, 12]),
            ("led by nobody here", vec![(10, 10), (12, 11)], vec![control(11)], false, vec![]),
        ] {
            let processes = processes.into_iter().map(|(pid, sid)| process(pid, sid)).collect();
            let found = Sessions::with(&Snapshot { processes, ..Snapshot::default() }, controls, all);
            let mut have: Vec<i32> = found.kept.into_iter().collect();
            have.sort_unstable();
            assert_eq!(have, kept, "{what}");
        }
    }
}
