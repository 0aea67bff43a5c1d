//! Which ids a restarted job gets (`cr_restart(1)`, "PID and related identifiers"). The last flag of each pair wins.

use super::{Flag, under};
use crate::cli::low::RestartSaid;

/// `--restore-pid`, `--restore-pgid`, `--restore-sid` and their opposites.
pub fn flags() -> Vec<Flag<RestartSaid>> {
    let flags = [
        Flag::switch("restore-pid", |said: &mut RestartSaid| {
            said.restore_pid = Some(true);
            Ok(())
        })
        .help("Saved process and thread ids (default); fails if one is taken"),
        Flag::switch("no-restore-pid", |said: &mut RestartSaid| {
            said.restore_pid = Some(false);
            said.namespace = false;
            Ok(())
        })
        .help("New process and thread ids; programs that remember their own or each other's will be wrong"),
        Flag::switch("namespace", |said: &mut RestartSaid| {
            said.restore_pid = Some(true);
            said.namespace = true;
            Ok(())
        })
        .help("All saved ids, free or taken, in a pid namespace of the job's own; without privilege this is what --restore-pid does"),
        Flag::switch("restore-pgid", |said: &mut RestartSaid| {
            said.restore_pgid = true;
            Ok(())
        })
        .help("Saved process groups; the shell loses job control over the job"),
        Flag::switch("no-restore-pgid", |said: &mut RestartSaid| {
            said.restore_pgid = false;
            Ok(())
        })
        .help("The process group of cr_restart (default)"),
        Flag::switch("restore-sid", |said: &mut RestartSaid| {
            said.restore_sid = true;
            Ok(())
        })
        .help("Saved sessions; the job has no controlling terminal then"),
        Flag::switch("no-restore-sid", |said: &mut RestartSaid| {
            said.restore_sid = false;
            Ok(())
        })
        .help("The session of cr_restart (default)"),
    ];
    under("Ids of the restarted job (the last of each pair counts)", flags)
}

#[cfg(test)]
mod test {
    use crate::cli::low::test::restart;

    #[test]
    fn pids_come_back_by_default_and_groups_and_sessions_do_not() {
        for (line, ids) in [
            ("c", (true, false, false)),
            ("--no-restore-pid c", (false, false, false)),
            ("--no-restore-pid --restore-pid c", (true, false, false)),
            ("--restore-pgid c", (true, true, false)),
            ("--restore-pgid --no-restore-pgid c", (true, false, false)),
            ("--restore-sid c", (true, false, true)),
            ("--restore-sid --restore-pgid --no-restore-sid c", (true, true, false)),
        ] {
            let said = restart(line);
            assert_eq!((said.restore_pid.unwrap_or(true), said.restore_pgid, said.restore_sid), ids, "{line}");
        }
    }

    #[test]
    fn a_namespace_restores_pids_and_new_ids_need_none() {
        for (line, ids) in [
            ("c", (None, false)),
            ("--namespace c", (Some(true), true)),
            ("--no-restore-pid --namespace c", (Some(true), true)),
            ("--namespace --no-restore-pid c", (Some(false), false)),
            ("--namespace --restore-pid c", (Some(true), true)),
        ] {
            let said = restart(line);
            assert_eq!((said.restore_pid, said.namespace), ids, "{line}");
        }
    }
}
