//! Recorded status files.

use super::super::text::survives_cuts;
use super::*;

#[rustfmt::skip]
const SLEEPING: &[u8] = b"Name:\ta) (b :c
Umask:\t0022
State:\tS (sleeping)
Tgid:\t8425
Ngid:\t0
Pid:\t8425
PPid:\t8417
TracerPid:\t0
Uid:\t1000\t0\t0\t0
Gid:\t100\t0\t0\t0
FDSize:\t256
Groups:\t4 24 1000 
NStgid:\t8425\t12
NSpid:\t8425\t12
NSpgid:\t8425\t0
NSsid:\t8425\t0
Kthread:\t0
VmPeak:\t   10780 kB
VmLck:\t       4 kB
HugetlbPages:\t       0 kB
CoreDumping:\t0
THP_enabled:\t1
untag_mask:\t0xffffffffffffffff
Threads:\t2
SigQ:\t6/96365
SigPnd:\t0000000000000000
ShdPnd:\t0000000000000000
SigBlk:\t8000000000000200
SigIgn:\t0000000010000006
SigCgt:\t0000000100000000
CapInh:\t0000000000000000
CapPrm:\t000001fffeffffff
CapEff:\t000001fffeffffff
CapBnd:\t000001fffeffffff
CapAmb:\t0000000000000000
NoNewPrivs:\t0
Seccomp:\t2
Seccomp_filters:\t1
Speculation_Store_Bypass:\tthread vulnerable
SpeculationIndirectBranch:\tconditional enabled
Cpus_allowed:\t3
x86_Thread_features:\tshstk wrss 
x86_Thread_features_locked:\tshstk 
voluntary_ctxt_switches:\t2
";

#[test]
fn every_field_of_a_sleeping_process() {
    insta::assert_debug_snapshot!(Status::parse(SLEEPING), @r#"
    Ok(
        Status {
            umask: Some(
                18,
            ),
            state: 'S',
            tgid: 8425,
            pid: 8425,
            ppid: 8417,
            tracer_pid: 0,
            uids: Ids {
                real: 1000,
                effective: 0,
                saved: 0,
                fs: 0,
            },
            gids: Ids {
                real: 100,
                effective: 0,
                saved: 0,
                fs: 0,
            },
            fd_size: 256,
            groups: [
                4,
                24,
                1000,
            ],
            ns_tgid: [
                8425,
                12,
            ],
            ns_pid: [
                8425,
                12,
            ],
            ns_pgid: [
                8425,
                0,
            ],
            ns_sid: [
                8425,
                0,
            ],
            kthread: false,
            locked_kb: 4,
            core_dumping: false,
            thp_enabled: Some(
                true,
            ),
            threads: 2,
            signals: Signals {
                pending: 0,
                shared_pending: 0,
                blocked: 9223372036854776320,
                ignored: 268435462,
                caught: 4294967296,
            },
            capabilities: Capabilities {
                inheritable: 0,
                permitted: 2199006478335,
                effective: 2199006478335,
                bounding: 2199006478335,
                ambient: 0,
            },
            no_new_privs: false,
            seccomp: 2,
            seccomp_filters: 1,
            x86_thread_features: [
                "shstk",
                "wrss",
            ],
            x86_thread_features_locked: [
                "shstk",
            ],
        },
    )
    "#);
}

#[test]
fn a_zombie_has_no_umask_and_no_memory() {
    let is_kept = |line: &&str| !["Umask", "Vm", "THP", "Core"].iter().any(|key| line.starts_with(key));
    let sleeping = String::from_utf8_lossy(SLEEPING).replace("S (sleeping)", "Z (zombie)");
    let zombie = sleeping.lines().filter(is_kept).collect::<Vec<_>>().join("\n");
    let status = Status::parse(zombie.as_bytes()).unwrap();
    assert_eq!((status.state, status.umask, status.thp_enabled), ('Z', None, None));
}

#[test]
fn a_text_without_user_ids_is_not_taken_for_root() {
    let text = String::from_utf8_lossy(SLEEPING).replace("Uid:", "Xid:");
    let expected = "ids, signals and capabilities before the end";
    assert_eq!(Status::parse(text.as_bytes()), Err(Malformed { line: 44, expected }));
}

#[test]
fn a_cut_text_is_refused_without_panic() {
    survives_cuts(SLEEPING, Status::parse);
    assert_eq!(Status::parse(b"Name:\tx\nUid:\t1\t2\n"), Err(Malformed { line: 2, expected: "four ids" }));
}
