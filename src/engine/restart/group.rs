//! Process groups inside a job that are kept apart although the groups of the job are not restored.
//!
//! Without `--restore-pgid` the job comes back in the process group of the restarter, so that `^C` and `^Z` reach it. What the job itself had put
//! aside stays aside, in groups of today's ids: a signal to such a group, as timeout(1) sends it to its own, must not reach the script that
//! called the restarter. The foreground group of a terminal is none of these: it goes where the terminal is.
//! Pure: computes who joins whom.

use crate::image::Snapshot;

/// Processes by position, each with the leader of the group it belongs in; leaders before the others.
pub fn apart(snapshot: &Snapshot) -> Vec<(usize, usize)> {
    let processes = &snapshot.processes;
    let Some(main) = processes.first().map(|lead| lead.pgid) else { return Vec::new() };
    let leader_of = |group: i32| processes.iter().position(|process| process.pid == group);
    let is_foreground = |group: i32| processes.iter().any(|process| process.pgid == group && process.foreground);
    let belongs = |(index, group): (usize, i32)| {
        let leader = leader_of(group).filter(|leader| processes[*leader].pgid == group)?;
        (group != main && !is_foreground(group)).then_some((index, leader))
    };
    let mut all: Vec<(usize, usize)> = processes.iter().map(|process| process.pgid).enumerate().filter_map(belongs).collect();
    all.sort_by_key(|(index, leader)| index != leader);
    all
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::image::Process;

    fn process(pid: i32, pgid: i32, foreground: bool) -> Process {
        Process { pid, ppid: 1, pgid, sid: 1, foreground, ..Process::default() }
    }

    #[test]
    fn groups_that_the_job_made_stay_apart() {
        for (what, processes, expected) in [
            ("one group", vec![(10, 10, false), (11, 10, false)], vec![]),
            ("led from outside", vec![(10, 5, false), (11, 5, false)], vec![]),
            ("timeout in a script", vec![(10, 10, false), (11, 11, false), (12, 11, false)], vec![(1, 1), (2, 1)]),
            ("a child before its leader", vec![(10, 5, false), (11, 12, false), (12, 12, false)], vec![(2, 2), (1, 2)]),
            ("the leader has ended", vec![(10, 10, false), (12, 11, false)], vec![]),
            ("in the foreground", vec![(10, 10, false), (11, 11, true), (12, 12, false)], vec![(2, 2)]),
        ] {
            let processes = processes.into_iter().map(|(pid, pgid, foreground)| process(pid, pgid, foreground)).collect();
            assert_eq!(apart(&Snapshot { processes, ..Snapshot::default() }), expected, "{what}");
        }
        assert_eq!(apart(&Snapshot::default()), []);
    }
}
