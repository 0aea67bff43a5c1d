//! Why a restart is refused, or fails on its way.
//!
//! Relies on `error`. Everything that can be known in advance is found by `plan`, together, before any process exists.

use std::path::PathBuf;
use std::time::Duration;

use crate::engine::holder::Holder;
use crate::engine::obstacle::listed;
use crate::error::{Class, Classified, Subject};
use crate::image::CR_EBADARCH;
use crate::resource::KindError;
use crate::sys::Errno;

/// Why a restart is refused.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields are named in the messages")]
pub enum PlanError {
    /// A process, thread, group or session id of the job is in use.
    #[error("{what} {id} is in use: {by}")]
    IdTaken { what: &'static str, id: i32, by: Holder },
    /// We may not choose ids.
    #[error("process ids can only be restored with the capability CAP_CHECKPOINT_RESTORE")]
    IdForbidden,
    /// Sharing that no clone(2) can make again.
    #[error("process {pid} shares memory or descriptors with a process that is neither its parent nor a child of its parent")]
    Lineage { pid: i32 },
    /// The processor or kernel is another.
    #[error("this machine differs from the one of the checkpoint: {what}")]
    Machine { what: String },
    /// We cannot even look at ourselves.
    #[error("cannot read our own {what}")]
    Own { what: &'static str, source: Errno },
    /// A clock would go back.
    #[error("our clocks are {behind:?} behind those of the job, and {why}")]
    Clock { behind: Duration, why: &'static str },
    /// A limit of ours is too low.
    #[error("the job needs {needed} open descriptors and the limit is {limit}")]
    Descriptors { needed: u64, limit: u64 },
    /// A descriptor that is inherited has nothing to inherit.
    #[error("descriptor {fd} leads to a pipe whose other end is not in the job, and the restarter has no {name}")]
    NoStandard { fd: i32, name: &'static str },
    /// No room in the address space.
    #[error("no free range of {bytes} bytes is common to all processes of the job")]
    NoRoom { bytes: u64 },
    /// The context file cannot be opened.
    #[error("cannot open {}", path.display())]
    Open { path: PathBuf, source: Errno },
    /// As root: the context file is somebody else's, or others may write to it.
    #[error("the context file {} is not to be trusted: {why}", path.display())]
    Untrusted { path: PathBuf, why: String },
    /// The descriptor with the context file cannot be used.
    #[error("cannot use descriptor {fd}")]
    Descriptor { fd: i32, source: Errno },
    /// One file of a job that was saved with one file a process.
    #[error("the context file is part {index} of {count} of a job in a directory")]
    OnePart { index: u32, count: u32 },
    /// A directory that does not hold one whole job.
    #[error("{} does not hold all files of one job: {found} found that begin with context.", path.display())]
    Parts { path: PathBuf, found: usize },
    /// Something else than a file among the files of a job in a directory.
    #[error("{} is not a regular file", path.display())]
    NoPart { path: PathBuf },
    /// Several files need attention.
    #[error("{} things stand in the way: {}", .problems.len(), listed(.problems))]
    Several { class: Class, code: i32, problems: Vec<String>, remedy: Option<String>, needs_release: bool },
    /// The context file contradicts itself.
    #[error("the context file is inconsistent: {what}")]
    Inconsistent { what: String },
}

impl Classified for PlanError {
    fn class(&self) -> Class {
        match self {
            PlanError::IdTaken { .. } => Class::Temp,
            PlanError::Untrusted { .. }
            | PlanError::IdForbidden
            | PlanError::Clock { .. }
            | PlanError::Descriptors { .. }
            | PlanError::NoStandard { .. } => Class::Env,
            PlanError::Lineage { .. } | PlanError::NoRoom { .. } | PlanError::Inconsistent { .. } => Class::Perm,
            PlanError::Machine { .. } | PlanError::Own { .. } => Class::Env,
            PlanError::Open { .. }
            | PlanError::Descriptor { .. }
            | PlanError::OnePart { .. }
            | PlanError::Parts { .. }
            | PlanError::NoPart { .. } => Class::Args,
            PlanError::Several { class, .. } => *class,
        }
    }

    fn errno(&self) -> Option<i32> {
        Some(match self {
            PlanError::IdTaken { .. } => libc::EBUSY,
            PlanError::IdForbidden | PlanError::Untrusted { .. } | PlanError::Clock { .. } => libc::EPERM,
            PlanError::Lineage { .. }
            | PlanError::Inconsistent { .. }
            | PlanError::OnePart { .. }
            | PlanError::Parts { .. }
            | PlanError::NoPart { .. } => libc::EINVAL,
            PlanError::Machine { .. } => CR_EBADARCH,
            PlanError::Descriptors { .. } => libc::EMFILE,
            PlanError::NoStandard { .. } => libc::EBADF,
            PlanError::NoRoom { .. } => libc::ENOMEM,
            PlanError::Open { source, .. } | PlanError::Descriptor { source, .. } | PlanError::Own { source, .. } => *source as i32,
            PlanError::Several { code, .. } => *code,
        })
    }

    fn subject(&self) -> Subject {
        match self {
            PlanError::IdTaken { id, .. } => Subject::pid(*id),
            PlanError::Lineage { pid } => Subject::pid(*pid),
            PlanError::Open { path, .. }
            | PlanError::Untrusted { path, .. }
            | PlanError::Parts { path, .. }
            | PlanError::NoPart { path } => Subject::path(path),
            PlanError::NoStandard { fd, .. } | PlanError::Descriptor { fd, .. } => Subject { fd: Some(*fd), ..Subject::default() },
            PlanError::IdForbidden
            | PlanError::Clock { .. }
            | PlanError::OnePart { .. }
            | PlanError::Machine { .. }
            | PlanError::Own { .. }
            | PlanError::Descriptors { .. }
            | PlanError::NoRoom { .. }
            | PlanError::Several { .. }
            | PlanError::Inconsistent { .. } => Subject::default(),
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            PlanError::IdTaken { what: "session", .. } => Some("leave out --restore-sid, or restart in namespaces: --namespace".into()),
            PlanError::IdTaken { what: "process group", .. } => {
                Some("leave out --restore-pgid, or restart in namespaces: --namespace".into())
            }
            PlanError::IdTaken { by, .. } => Some(match by.zombie_of() {
                None => KindError::ID_REMEDY.into(),
                Some(parent) => format!("end process {parent} or let it wait for its children; or {}", KindError::ID_REMEDY),
            }),
            PlanError::IdForbidden => Some(
                "run as root, allow user namespaces (cr_restart --verbose says what is missing), or restart with new ids: --no-restore-pid"
                    .into(),
            ),
            PlanError::Own { source: Errno::EMFILE, .. } => Some("raise the limit on open files with ulimit -n".into()),
            PlanError::Machine { .. } => {
                Some("restart on a machine with the same kernel and a processor that has the same features".into())
            }
            PlanError::Clock { .. } => {
                Some("restart as root or with --namespace, or let the clocks of the job go back: --clock jump".into())
            }
            PlanError::Descriptors { .. } => Some("raise it with ulimit -n".into()),
            PlanError::NoStandard { .. } => Some("give cr_restart standard input and output".into()),
            PlanError::Open { .. } => Some("check the name of the context file".into()),
            PlanError::Untrusted { .. } => Some(
                "look at it with cr_info; if it can be trusted, say so with --trust-file, or make it root's own: chown root, chmod go-w"
                    .into(),
            ),
            PlanError::Descriptor { .. } => Some("give the number of a descriptor that is open for reading".into()),
            PlanError::OnePart { .. } => Some("restart the whole job: cr_restart --dir DIR".into()),
            PlanError::Parts { .. } | PlanError::NoPart { .. } => {
                Some("keep all files of one checkpoint, and no others, in the directory".into())
            }
            PlanError::Several { remedy, .. } => remedy.clone(),
            PlanError::NoRoom { .. } | PlanError::Inconsistent { .. } | PlanError::Lineage { .. } | PlanError::Own { .. } => None,
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_long_list_is_cut_short_and_says_so() {
        let several = |count: usize| {
            let problems = (1..=count).map(|number| format!("cannot find /{number}")).collect();
            PlanError::Several { class: Class::Env, code: libc::ENOENT, problems, remedy: None, needs_release: false }.to_string()
        };
        assert_eq!(several(2), "2 things stand in the way: cannot find /1; cannot find /2");
        assert!(several(20).ends_with("cannot find /20"));
        assert!(several(100_000).starts_with("100000 things stand in the way: cannot find /1; "));
        assert!(several(100_000).ends_with("; cannot find /20; and 99980 more"));
    }
}
