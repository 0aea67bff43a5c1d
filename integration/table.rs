//! The table: one row a test program, the journeys it makes, and what is special about it.
//!
//! Plain data. A program whose row says nothing makes every journey. `xtask tidy` checks that every program has a row
//! and that every row has a program. Leaves what a journey is to `journeys`.

use Journey::{Again, Continue, Elsewhere, Namespace, NewPids, Restart, Stay, Unprivileged};

/// What is done to a program between READY and `go`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Journey {
    /// Nothing: the program itself is right.
    Stay,
    /// It is checkpointed and runs on.
    Continue,
    /// It is checkpointed, killed and restarted.
    Restart,
    /// The restarted job is checkpointed, killed and restarted.
    Again,
    /// It is restarted after its directory has moved.
    Elsewhere,
    /// It is restarted under other pids.
    NewPids,
    /// It and the tools run as nobody, and the pids are new.
    Unprivileged,
    /// It and the tools run as nobody, somebody else has its pid, and it comes back in namespaces of its own.
    Namespace,
    /// The checkpoint is refused, and the program runs on.
    Refused,
}

/// The journeys of a program that the tools can handle.
pub const JOURNEYS: &[Journey] = &[Stay, Continue, Restart, Again, Elsewhere, NewPids, Unprivileged, Namespace];

impl Journey {
    /// As on the command line and in the file `go`.
    pub fn name(self) -> &'static str {
        match self {
            Journey::Stay => "stay",
            Journey::Continue => "continue",
            Journey::Restart => "restart",
            Journey::Again => "again",
            Journey::Elsewhere => "elsewhere",
            Journey::NewPids => "new-pids",
            Journey::Unprivileged => "unprivileged",
            Journey::Namespace => "namespace",
            Journey::Refused => "refused",
        }
    }
}

/// Whether a checkpoint of a program is refused, in which case the program must run on unharmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It must succeed.
    Never,
    /// It may, because the kernel does not show or take all of the state.
    Allowed,
    /// It must, and the message must contain this text.
    Expected(&'static str),
}

/// One program of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The row's name; also the program's, unless `program` says otherwise.
    pub name: &'static str,
    /// The program in `testprogs/`, without `.c`.
    pub program: &'static str,
    /// Its arguments.
    pub arguments: &'static [&'static str],
    /// More flags for cr_checkpoint.
    pub checkpoint: &'static [&'static str],
    /// More flags for cr_restart.
    pub restart: &'static [&'static str],
    /// Journeys it does not make, each with the reason. They are counted as skipped.
    pub not: &'static [(Journey, &'static str)],
    /// Whether a checkpoint is refused.
    pub refusal: Refusal,
    /// Set when nobody's checkpoint must be refused for want of a right: what the message must contain.
    pub refused_to_nobody: Option<&'static str>,
    /// Whether its threads, processes or areas come and go all the time, so that no two moments look the same.
    pub restless: bool,
    /// Whether the program starts as the leader of its own session.
    pub leads_session: bool,
}

const fn row(name: &'static str) -> Row {
    Row {
        name,
        program: name,
        arguments: &[],
        checkpoint: &[],
        restart: &[],
        not: &[],
        refusal: Refusal::Never,
        refused_to_nobody: None,
        restless: false,
        leads_session: false,
    }
}

#[allow(dead_code, reason = "the vocabulary of the table is larger than what today's rows need")]
impl Row {
    const fn program(mut self, program: &'static str) -> Row {
        self.program = program;
        self
    }

    const fn arguments(mut self, arguments: &'static [&'static str]) -> Row {
        self.arguments = arguments;
        self
    }

    const fn checkpoint(mut self, flags: &'static [&'static str]) -> Row {
        self.checkpoint = flags;
        self
    }

    const fn restart(mut self, flags: &'static [&'static str]) -> Row {
        self.restart = flags;
        self
    }

    const fn not(mut self, journeys: &'static [(Journey, &'static str)]) -> Row {
        self.not = journeys;
        self
    }

    const fn refused(mut self, text: &'static str) -> Row {
        self.refusal = Refusal::Expected(text);
        self
    }

    const fn may_be_refused(mut self) -> Row {
        self.refusal = Refusal::Allowed;
        self
    }

    const fn refused_to_nobody(mut self, text: &'static str) -> Row {
        self.refused_to_nobody = Some(text);
        self
    }

    const fn restless(mut self) -> Row {
        self.restless = true;
        self
    }

    const fn leads_session(mut self) -> Row {
        self.leads_session = true;
        self
    }
}

/// Why a program that sends itself signals does not come back under other ids.
const SENDS_TO_IDS: &[(Journey, &str)] =
    &[(NewPids, "it sends signals to ids that are new"), (Unprivileged, "it sends signals to ids that are new")];

/// Why programs that run themselves by `/proc/self/exe` do not make these journeys.
const EXE_OF_NOBODY: &[(Journey, &str)] = &[(Unprivileged, "nobody may not set /proc/PID/exe; it stays cr_restart")];
const EXE_MOVES: &[(Journey, &str)] =
    &[(Unprivileged, "nobody may not set /proc/PID/exe; it stays cr_restart"), (Elsewhere, "its own file moves, and it says so")];

/// Why a program that restarts a child of its own with its id does not make these journeys.
const LIBCR_IDS: &[(Journey, &str)] = &[
    (Unprivileged, "it restarts a child with its id, which nobody may not choose"),
    (Namespace, "it restarts a child with its id, which nobody may not choose"),
];

/// Every row, by name.
pub const ROWS: &[Row] = &[
    row("accept"),
    row("affinity"),
    row("alarm"),
    row("alternate_stack"),
    row("anonymous"),
    row("append"),
    row("area_action"),
    row("area_name"),
    row("async"),
    row("auxv"),
    row("bare"),
    row("big_reservation"),
    row("blocked_pipe"),
    row("busy").restless(),
    row("capability"),
    row("chroot"),
    row("clear_child_tid"),
    row("clone"),
    row("clone_files"),
    row("clone_fs"),
    row("clone_sighand"),
    row("clone_vm"),
    row("close_on_exec").not(EXE_OF_NOBODY),
    row("command_line"),
    row("connection").refused("descriptor"),
    row("copy_of_shared"),
    row("copy_on_write"),
    row("credential"),
    row("cwd"),
    row("dead_leader"),
    row("death_signal"),
    row("deep_tree"),
    row("deleted"),
    row("deleted_exe").refused_to_nobody("CAP_CHECKPOINT_RESTORE"),
    row("deleted_fifo"),
    row("deleted_map").refused_to_nobody("CAP_CHECKPOINT_RESTORE"),
    row("dev_zero"),
    row("device"),
    row("direct_io"),
    row("directory"),
    row("droppable"),
    row("dumpable").refused_to_nobody("permission denied"),
    row("dup"),
    row("environment"),
    row("epoll"),
    row("epoll_wait"),
    row("eventfd"),
    row("exe").not(EXE_MOVES),
    row("exit_signal"),
    row("exit_threads"),
    row("fifo"),
    row("fifo_open"),
    row("file_action"),
    row("flock"),
    row("forking").restless(),
    row("futex"),
    row("growsdown"),
    row("guard_gap"),
    row("guard_region"),
    row("handler"),
    row("hard_link"),
    row("heap"),
    row("hugetlb").refused("huge pages"),
    row("in_handler"),
    row("inet_socket"),
    row("inotify").refused("descriptor"),
    row("inotify_queue").refused("descriptor"),
    row("interval_timer"),
    row("io_priority"),
    row("jit").refused_to_nobody("CAP_CHECKPOINT_RESTORE"),
    row("large"),
    row("lease"),
    row("ckpt_handlers"),
    row("libcr_basics"),
    row("libcr_callback"),
    row("libcr_cxx").restless(),
    row("libcr_dlopen"),
    row("libcr_odd").restless(),
    row("libcr_request").not(LIBCR_IDS),
    row("libcr_static"),
    row("limit"),
    row("lock_wait"),
    row("locked"),
    row("madvise"),
    row("many_areas"),
    row("many_descriptors"),
    row("many_groups"),
    row("many_locks"),
    row("many_pending"),
    row("many_processes"),
    row("many_threads"),
    row("many_timers"),
    row("map_file").refused("shared anonymous memory"),
    row("mdwe"),
    row("membarrier"),
    row("memfd").refused_to_nobody("CAP_CHECKPOINT_RESTORE"),
    row("mempolicy"),
    row("message_queue"),
    row("mlockall"),
    row("mm_fields"),
    row("mutex"),
    row("name"),
    row("named_memory"),
    row("never_restarted"),
    row("netlink_queue").refused("nobody has read"),
    row("netlink_socket"),
    row("nice"),
    row("no_new_privs"),
    row("ofd_lock"),
    row("oom_score"),
    row("open_flag"),
    row("orphan").checkpoint(&["--group"]).not(&[(Again, "the restarted job is in the group of cr_restart")]),
    row("outputs"),
    row("owner").restart(&["--restore-pgid"]).not(&[(Unprivileged, "a saved group id takes the right to choose ids")]),
    row("packet_pipe"),
    row("passed_descriptor"),
    row("path_only"),
    row("pause"),
    row("pending"),
    row("personality"),
    row("pgroup")
        .restart(&["--restore-pgid"])
        .not(&[(NewPids, "its groups are named by pids that are new"), (Unprivileged, "a saved group id takes the right to choose ids")]),
    row("pidfd"),
    row("pipe"),
    row("pipe_capacity"),
    row("pipe_end"),
    row("pipeline"),
    row("pkey"),
    row("pkey_execute"),
    row("poll"),
    row("posix_lock"),
    row("posix_queue"),
    row("posix_shared_memory").refused_to_nobody("CAP_CHECKPOINT_RESTORE"),
    row("posix_timer"),
    row("private_file"),
    row("proc_file"),
    row("process"),
    row("process_flag"),
    row("protection"),
    row("pty"),
    row("pty_hangup").checkpoint(&["--process"]).refused("outside of the job"),
    row("pty_line"),
    row("pty_session"),
    row("pty_state"),
    row("queued_signal"),
    row("raw_socket"),
    row("realtime"),
    row("regular"),
    row("removed_cwd"),
    row("replaced"),
    row("restart_call"),
    row("robust_file"),
    row("robust_list"),
    row("rseq"),
    row("running_timer"),
    row("saved_exe").checkpoint(&["--save-exe"]).not(EXE_OF_NOBODY),
    row("scheduling"),
    row("sealed"),
    row("seccomp").refused_to_nobody("CAP_SYS_ADMIN"),
    row("seccomp_filter").refused_to_nobody("CAP_SYS_ADMIN"),
    row("seccomp_kill").refused_to_nobody("CAP_SYS_ADMIN"),
    row("seccomp_sleep").refused_to_nobody("CAP_SYS_ADMIN"),
    row("seccomp_strict").refused_to_nobody("CAP_SYS_ADMIN"),
    row("seccomp_thread").refused_to_nobody("CAP_SYS_ADMIN"),
    row("securebits"),
    row("select"),
    row("semaphore"),
    row("semaphore_undo"),
    row("session")
        .leads_session()
        .restart(&["--restore-pgid", "--restore-sid"])
        .not(&[(Unprivileged, "a saved group id takes the right to choose ids")]),
    row("shared_file"),
    row("shared_memory"),
    row("signal_stream").restless().not(SENDS_TO_IDS),
    row("signalfd"),
    row("sigtimedwait"),
    row("sleep"),
    row("socket_timeout").refused("aio"),
    row("sparse"),
    row("sparse_descriptor"),
    row("stack"),
    row("stand_in"),
    row("static"),
    row("steady").restless(),
    row("steady_filtered").program("steady").arguments(&["filter"]).restless().refused_to_nobody("CAP_SYS_ADMIN"),
    row("stop_report"),
    row("stopped"),
    row("stripped"),
    row("subreaper"),
    row("syscall_dispatch"),
    row("syscall_dispatch_on"),
    row("sysv_memory"),
    row("table_around_parent").checkpoint(&["--kill"]).refused("could not be restarted"),
    row("tcp"),
    row("tcp_listener"),
    row("tcp_pair"),
    row("tcp_pending"),
    row("thread"),
    row("thread_credential"),
    row("thread_files").refused("descriptor table of its own"),
    row("thread_flag"),
    row("thread_signal"),
    row("timer_overrun"),
    row("timer_slack"),
    row("timer_thread"),
    row("timerfd"),
    row("tls"),
    row("tmpfile"),
    row("tree"),
    row("tty"),
    row("udp"),
    row("udp_cork").refused("still being put together"),
    row("udp_option"),
    row("umask"),
    row("unix_backlog").refused("not accepted yet"),
    row("unix_flight"),
    row("unix_listener"),
    row("unix_name"),
    row("unix_outside"),
    row("unix_pair"),
    row("unix_pending"),
    row("unix_urgent").refused("out-of-band"),
    row("unix_socket"),
    row("vdso"),
    row("vdso_moved"),
    row("vdso_unmapped"),
    row("vfork"),
    row("vfork_wait").may_be_refused(),
    row("wait"),
    row("xstate"),
    row("zero_page"),
    row("zombie"),
];
