//! Recorded fdinfo files, one of each kind.

use super::super::text::survives_cuts;
use super::*;

/// `pos`, `flags`, `mnt_id` and `ino`, which every file begins with.
const HEAD: &str = "pos:\t0\nflags:\t02000002\nmnt_id:\t17\nino:\t1039\n";

/// What the lines after the common four become; each beginning of the text is parsed too.
fn parse(lines: &str) -> Fdinfo {
    let text = format!("{HEAD}{lines}");
    survives_cuts(text.as_bytes(), Fdinfo::parse);
    Fdinfo::parse(text.as_bytes()).unwrap()
}

#[test]
fn a_file_has_offset_flags_and_locks() {
    let text = "pos:\t154\nflags:\t0100002\nmnt_id:\t27\nino:\t10036004\n\
        lock:\t1: POSIX  ADVISORY  WRITE 8425 fe:00:10036004 10 14\n\
        lock:\t2: LEASE  BREAKING  UNLCK 8425 fe:00:10036004 0 EOF\n";
    survives_cuts(text.as_bytes(), Fdinfo::parse);
    insta::assert_debug_snapshot!(Fdinfo::parse(text.as_bytes()), @"
    Ok(
        Fdinfo {
            pos: 154,
            flags: 32770,
            mnt_id: 27,
            inode: Some(
                10036004,
            ),
            locks: [
                Lock {
                    number: 1,
                    waiting: false,
                    kind: Posix,
                    access: Write,
                    pid: 8425,
                    file: Some(
                        (
                            254:0,
                            10036004,
                        ),
                    ),
                    start: 10,
                    end: Some(
                        14,
                    ),
                },
                Lock {
                    number: 2,
                    waiting: false,
                    kind: Lease(
                        Breaking,
                    ),
                    access: Unlock,
                    pid: 8425,
                    file: Some(
                        (
                            254:0,
                            10036004,
                        ),
                    ),
                    start: 0,
                    end: None,
                },
            ],
            eventfd: None,
            timerfd: None,
            sigmask: None,
            epoll: [],
            inotify: [],
            pid: None,
            others: [],
        },
    )
    ");
}

#[test]
fn close_on_exec_is_told_from_the_descriptions_flags() {
    let fdinfo = parse("");
    assert!(fdinfo.cloexec());
    assert_eq!(fdinfo.status_flags(), libc::O_RDWR);
}

#[test]
fn an_eventfd() {
    let fdinfo = parse("eventfd-count:               4d\neventfd-id: 1\neventfd-semaphore: 1\n");
    insta::assert_debug_snapshot!(fdinfo.eventfd, @"
    Some(
        Eventfd {
            count: 77,
            id: Some(
                1,
            ),
            semaphore: Some(
                true,
            ),
        },
    )
    ");
}

#[test]
fn a_timerfd() {
    let lines = "clockid: 7\nticks: 0\nsettime flags: 01\nit_value: (998, 868682743)\nit_interval: (5, 500000000)\n";
    insta::assert_debug_snapshot!(parse(lines).timerfd, @"
    Some(
        Timerfd {
            clock: 7,
            ticks: 0,
            settime_flags: 1,
            value: (
                998,
                868682743,
            ),
            interval: (
                5,
                500000000,
            ),
        },
    )
    ");
}

#[test]
fn a_signalfd_and_a_pidfd() {
    assert_eq!(parse("sigmask:\t8000000000000200\n").sigmask, Some(1 << 63 | 1 << 9));
    let pidfd = parse("Pid:\t-1\nNSpid:\t-1\n");
    assert_eq!((pidfd.pid, pidfd.other("NSpid")), (Some(-1), Some("-1")));
}

#[test]
fn an_epoll_instance() {
    let fdinfo = parse(
        "tfd:        7 events: 4000001c data:                5  pos:0 ino:40f sdev:10\n\
         tfd:        6 events: 80000019 data:     deadbeefcafe  pos:0 ino:40f sdev:fe00001\n",
    );
    insta::assert_debug_snapshot!(fdinfo.epoll, @"
    [
        EpollTarget {
            fd: 7,
            events: 1073741852,
            data: 5,
            pos: 0,
            inode: 1039,
            device: 0:16,
        },
        EpollTarget {
            fd: 6,
            events: 2147483673,
            data: 244837814094590,
            pos: 0,
            inode: 1039,
            device: 254:1,
        },
    ]
    ");
}

#[test]
fn an_inotify_instance() {
    let fdinfo = parse(
        "inotify wd:e ino:992323 sdev:fe00000 mask:20 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:23239900837969e8\n\
         inotify wd:2 ino:2e1 sdev:2a mask:80000002 ignored_mask:0 \n",
    );
    insta::assert_debug_snapshot!(fdinfo.inotify, @"
    [
        InotifyWatch {
            wd: 14,
            inode: 10036003,
            device: 254:0,
            mask: 32,
            ignored_mask: 0,
            handle: Some(
                FileHandle {
                    kind: 1,
                    bytes: [
                        35,
                        35,
                        153,
                        0,
                        131,
                        121,
                        105,
                        232,
                    ],
                },
            ),
        },
        InotifyWatch {
            wd: 2,
            inode: 737,
            device: 0:42,
            mask: 2147483650,
            ignored_mask: 0,
            handle: None,
        },
    ]
    ");
}

#[test]
fn lines_of_other_kinds_are_kept() {
    let fdinfo = parse("tty-index:\t0\nscm_fds: 3\nfanotify flags:0 event-flags:8000\nUserFiles:\t\n");
    insta::assert_debug_snapshot!(fdinfo.others, @r#"
    [
        (
            "tty-index",
            "0",
        ),
        (
            "scm_fds",
            "3",
        ),
        (
            "fanotify flags:0 event-flags:8000",
            "",
        ),
        (
            "UserFiles",
            "",
        ),
    ]
    "#);
}

#[test]
fn a_wrong_value_is_refused_with_its_line() {
    for (lines, expected) in [
        ("it_value: (998 868682743)\n", "(seconds, nanoseconds)"),
        ("tfd:        7 events: 4000001c\n", "data:"),
        ("inotify wd:e ino:1 sdev:1 mask:20 fhandle-bytes:8 fhandle-type:1 f_handle:23\n", "a file handle"),
        ("eventfd-count: xyz\n", "a counter in hexadecimal"),
    ] {
        assert_eq!(Fdinfo::parse(format!("{HEAD}{lines}").as_bytes()), Err(Malformed { line: 5, expected }));
    }
    let expected = "pos, flags and mnt_id before the end";
    assert_eq!(Fdinfo::parse(&HEAD.as_bytes()[..23]), Err(Malformed { line: 2, expected }));
}

#[test]
fn our_own_descriptors_are_understood() {
    let dir = ProcDir::open(std::process::id().cast_signed()).unwrap();
    let file = tempfile::tempfile().unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
    let fdinfo = dir.fdinfo(fd).unwrap();
    assert_eq!(fdinfo.inode, Some(dir.stat_link(&format!("fd/{fd}")).unwrap().ino));
    assert!(fdinfo.cloexec());
}
