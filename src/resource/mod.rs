//! The kinds: everything that knows one sort of object or one sort of per-process state, one file each.
//!
//! Relies on `tracee`, `proc`, `sys` and the records of `image`. Kinds do not use each other. Leaves to the engine when a kind is
//! asked, and in which order processes come.
//!
//! **Adding a kind** touches four places: its file (`file/NAME.rs`, `task/NAME.rs`), its test program (`testprogs/NAME.c`), its line in
//! [`FILE_KINDS`], [`PROCESS_KINDS`] or [`THREAD_KINDS`], and its row in `integration/table.rs`.

pub mod actor;
mod context;
mod error;
pub mod file;
pub mod ipc;
mod kind;
pub mod memory;
mod object;
pub mod outside;
pub mod process;
pub mod task;
mod uses;

pub use context::{Adjustment, Bind, Build, Capture, Content, Directories, Facts, Piece, Plan, Probe, TaskProbe, Waiting};
pub use error::KindError;
pub use kind::{
    AnyFileKind, AnyTaskKind, Built, Change, Control, Fallback, FileKind, Identity, Later, Named, Opened, OwnTerminal, Parting, Step,
    TaskKind,
};
pub use object::{Difference, Disposed, FileFacts, LiveObject, Numbered, Question, Room, When};
pub use uses::{Uses, uses};

use crate::image::Record;

/// Every kind of object that descriptors reach. The first claim wins: specific before general.
pub static FILE_KINDS: &[&dyn AnyFileKind] = &[
    &file::proc_file::ProcFile,
    &file::path_only::PathOnly,
    &file::memfd::Memfd,
    &ipc::posix_queue::PosixQueue,
    &file::regular::Regular,
    &file::directory::Directory,
    &file::pty::Pty,
    &file::tty::Tty,
    &file::device::Device,
    &file::pipe::Pipe,
    &file::fifo::Fifo,
    &file::eventfd::Eventfd,
    &file::timerfd::Timerfd,
    &file::signalfd::Signalfd,
    &file::epoll::Epoll,
    &file::pidfd::Pidfd,
    &file::unix_socket::UnixSocket,
    &file::udp::Udp,
    &file::tcp::Tcp,
    &file::raw_socket::RawSocket,
    &file::netlink_socket::NetlinkSocket,
    &file::stand_in::StandIn,
    &ipc::sysv_memory::SysvMemory,
    &ipc::semaphore::Semaphore,
    &ipc::message_queue::MessageQueue,
    &memory::shared_memory::SharedMemory,
];

/// State that a process has once, in the order of [`Step`].
pub static PROCESS_KINDS: &[&dyn AnyTaskKind] = &[
    &task::cwd::Cwd,
    &task::umask::Umask,
    &task::handler::Handler,
    &task::process_flag::ProcessFlag,
    &task::oom_score::OomScore,
    &task::subreaper::Subreaper,
    &task::membarrier::Membarrier,
    &task::limit::Limit,
    &task::dumpable::Dumpable,
    &task::mdwe::Mdwe,
    &task::interval_timer::IntervalTimer,
    &task::posix_timer::PosixTimer,
    &task::pending::Pending,
];

/// State that every thread has, in the order of [`Step`].
pub static THREAD_KINDS: &[&dyn AnyTaskKind] = &[
    &task::name::Name,
    &task::personality::Personality,
    &task::timer_slack::TimerSlack,
    &task::thread_flag::ThreadFlag,
    &task::scheduling::Scheduling,
    &task::affinity::Affinity,
    &task::io_priority::IoPriority,
    &task::mempolicy::Mempolicy,
    &task::seccomp::Seccomp,
    &task::credential::Credential,
    &task::death_signal::DeathSignal,
    &task::alternate_stack::AlternateStack,
    &task::robust_list::RobustList,
    &task::clear_child_tid::ClearChildTid,
    &task::rseq::Rseq,
    &task::syscall_dispatch::SyscallDispatch,
    &task::thread_signal::ThreadSignal,
];

/// The kind that wrote a record of an object.
pub fn file_kind(record: &Record) -> Result<&'static dyn AnyFileKind, KindError> {
    FILE_KINDS
        .iter()
        .copied()
        .find(|kind| kind.tag().kind == record.kind)
        .ok_or_else(|| KindError::UnknownKind { kind: record.kind.clone() })
}

/// The kind that wrote a record of per-process or per-thread state.
pub fn task_kind(record: &Record) -> Result<&'static dyn AnyTaskKind, KindError> {
    let mut all = PROCESS_KINDS.iter().chain(THREAD_KINDS).copied();
    all.find(|kind| kind.tag().kind == record.kind).ok_or_else(|| KindError::UnknownKind { kind: record.kind.clone() })
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn kinds_of_tasks_have_names_of_their_own_and_stand_in_the_order_of_their_steps() {
        for table in [PROCESS_KINDS, THREAD_KINDS] {
            assert!(table.is_sorted_by_key(|kind| kind.step()));
        }
        let mut names: Vec<&str> = PROCESS_KINDS.iter().chain(THREAD_KINDS).map(|kind| kind.tag().kind).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }
}
