//! Statefiles of cpr: directories with the context files of one checkpoint. What they hold, whose they are, and removing them.
//!
//! Relies on [`super::saved`] for the contents and on the kernel for rights. Names are followed once: what is removed is what was looked at, and nothing
//! in a directory that holds anything else is touched.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, geteuid, getuid, unlinkat};

use super::saved::Saved;
use crate::error::{Class, Classified, Failure, Stage, Subject};
use crate::image::{Descriptor, Process, Snapshot, Tag};
use crate::resource::task::credential::{Credential, CredentialV1};
use crate::resource::task::cwd::{Cwd, CwdV1};
use crate::resource::{KindError, TaskKind};

/// Why a statefile is refused.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields are named in the messages")]
pub enum StatefileError {
    /// The kernel says no.
    #[error("cannot {attempt} {}", path.display())]
    Host { attempt: &'static str, path: PathBuf, source: std::io::Error },
    /// It is not what it should be.
    #[error("{} is no statefile: {why}", path.display())]
    Other { path: PathBuf, why: String },
    /// It belongs to somebody else.
    #[error("{} belongs to user {owner}: only the checkpoint owner and the superuser may {attempt} it", path.display())]
    Owner { path: PathBuf, owner: u32, attempt: &'static str },
    /// Processes of another user are in it.
    #[error("process {pid} of {} ran as user {saved}, and you are user {caller}", path.display())]
    User { path: PathBuf, pid: i32, saved: u32, caller: u32 },
}

impl Classified for StatefileError {
    fn class(&self) -> Class {
        match self {
            StatefileError::Host { .. } | StatefileError::Other { .. } => Class::Args,
            StatefileError::Owner { .. } | StatefileError::User { .. } => Class::Perm,
        }
    }

    fn errno(&self) -> Option<i32> {
        Some(match self {
            StatefileError::Host { source, .. } => source.raw_os_error().unwrap_or(libc::EIO),
            StatefileError::Other { .. } => libc::EINVAL,
            StatefileError::Owner { .. } | StatefileError::User { .. } => libc::EPERM,
        })
    }

    fn subject(&self) -> Subject {
        let (StatefileError::Host { path, .. }
        | StatefileError::Other { path, .. }
        | StatefileError::Owner { path, .. }
        | StatefileError::User { path, .. }) = self;
        Subject::path(path)
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            StatefileError::Host { .. } => "check its name and its permissions".into(),
            StatefileError::Other { .. } => "name a directory that cpr -c has made".into(),
            StatefileError::Owner { owner, .. } => format!("let user {owner} or root do it"),
            StatefileError::User { saved, .. } => format!("let user {saved} or root do it"),
        })
    }
}

/// A statefile that was looked at.
pub struct Statefile {
    path: PathBuf,
    directory: File,
    owner: u32,
}

impl Statefile {
    /// Opens a statefile without reading it.
    pub fn open(path: &Path) -> Result<Statefile, StatefileError> {
        let failed = |source| StatefileError::Host { attempt: "open", path: path.to_owned(), source };
        let directory = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).map_err(failed)?;
        let found = directory.metadata().map_err(failed)?;
        if !found.is_dir() {
            return Err(StatefileError::Other { path: path.to_owned(), why: "it is not a directory".into() });
        }
        Ok(Statefile { path: path.to_owned(), directory, owner: found.uid() })
    }

    /// The description of the job in it.
    pub fn read(&self) -> Result<Arc<Snapshot>, Failure> {
        Ok(Saved::open(&self.path)?.snapshot().clone())
    }

    /// Whether the caller may restart what is in it: the superuser, or its owner if all processes were his.
    pub fn may_restart(&self, snapshot: &Snapshot) -> Result<(), StatefileError> {
        let caller = getuid().as_raw();
        if geteuid().is_root() {
            return Ok(());
        }
        self.is_ours("restart")?;
        match snapshot.processes.iter().find(|process| process.uid != caller) {
            Some(other) => Err(StatefileError::User { path: self.path.clone(), pid: other.pid, saved: other.uid, caller }),
            None => Ok(()),
        }
    }

    fn is_ours(&self, attempt: &'static str) -> Result<(), StatefileError> {
        let is_ours = geteuid().is_root() || self.owner == geteuid().as_raw();
        if is_ours { Ok(()) } else { Err(StatefileError::Owner { path: self.path.clone(), owner: self.owner, attempt }) }
    }

    /// Removes it with everything in it; nothing if there is anything that is not a context file.
    pub fn remove(self) -> Result<(), StatefileError> {
        self.is_ours("remove")?;
        let failed = |errno: nix::errno::Errno| StatefileError::Host { attempt: "remove", path: self.path.clone(), source: errno.into() };
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut listing = Dir::openat(self.directory.as_fd(), ".", flags, Mode::empty()).map_err(failed)?;
        let mut names = Vec::new();
        for entry in listing.iter() {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if !name.starts_with(b"context.") {
                let why = format!("it holds {}", String::from_utf8_lossy(name));
                return Err(StatefileError::Other { path: self.path.clone(), why });
            }
            names.push(entry.file_name().to_owned());
        }
        if names.is_empty() {
            return Err(StatefileError::Other { path: self.path.clone(), why: "it holds no context file".into() });
        }
        for name in names {
            unlinkat(self.directory.as_fd(), name.as_c_str(), UnlinkatFlags::NoRemoveDir).map_err(failed)?;
        }
        let path = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        std::fs::remove_dir(&path).map_err(|source| StatefileError::Host { attempt: "remove", path: self.path.clone(), source })
    }
}

/// A process in a statefile, in the words of `cpr -i` and `ckpt_stat`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saying {
    /// Command line.
    pub command: String,
    /// Process id.
    pub pid: i32,
    /// Parent.
    pub ppid: i32,
    /// Process group.
    pub pgrp: i32,
    /// Session.
    pub sid: i32,
    /// Real, effective and saved user ids; none for a zombie.
    pub users: Option<[u32; 3]>,
    /// Real, effective and saved group ids; none for a zombie.
    pub groups: Option<[u32; 3]>,
    /// Supplementary groups.
    pub others: Vec<u32>,
    /// Working directory; empty for a zombie.
    pub cwd: PathBuf,
    /// Root directory.
    pub root: PathBuf,
    /// What is open.
    pub files: Vec<OpenFile>,
}

/// A descriptor of a process in a statefile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenFile {
    /// Its number.
    pub fd: i32,
    /// What it leads to.
    pub path: PathBuf,
    /// The kind of that.
    pub kind: String,
    /// Status flags and access mode.
    pub flags: i32,
    /// Where it stands, bytes.
    pub offset: u64,
    /// What was decided about it, if anybody decided anything.
    pub decision: Option<String>,
}

/// Says what is in a statefile, a process at a time.
pub fn say(snapshot: &Snapshot) -> Result<Vec<Saying>, Failure> {
    snapshot.processes.iter().map(|process| say_one(snapshot, process)).collect()
}

fn say_one(snapshot: &Snapshot, process: &Process) -> Result<Saying, Failure> {
    let failed = |error: crate::image::RecordError| Failure::new(Stage::Load, KindError::from(error)).about(Subject::pid(process.pid));
    let thread = process.threads.first().map(|thread| thread.records.as_slice()).unwrap_or_default();
    let find = |tag: Tag| process.records.iter().chain(thread).find(|record| record.kind == tag.kind);
    let credential = find(Credential::TAG).map(|record| record.decode::<CredentialV1>(Credential::TAG)).transpose().map_err(failed)?;
    let directories = find(Cwd::TAG).map(|record| record.decode::<CwdV1>(Cwd::TAG)).transpose().map_err(failed)?;
    let three = |ids: [u32; 4]| [ids[0], ids[1], ids[2]];
    let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
    let (cwd, root) = directories.map(|found| (path(&found.cwd), path(&found.root))).unwrap_or_default();
    Ok(Saying {
        command: if process.command.is_empty() { format!("[{}]", process.name) } else { process.command.clone() },
        pid: process.pid,
        ppid: process.ppid,
        pgrp: process.pgid,
        sid: process.sid,
        users: credential.as_ref().map(|found| three(found.uids)),
        groups: credential.as_ref().map(|found| three(found.gids)),
        others: credential.map(|found| found.groups).unwrap_or_default(),
        cwd,
        root,
        files: open_files(snapshot, process),
    })
}

fn open_files(snapshot: &Snapshot, process: &Process) -> Vec<OpenFile> {
    let Some(table) = process.table.and_then(|table| snapshot.tables.get(table as usize)) else { return Vec::new() };
    let one = |descriptor: &Descriptor| {
        let description = &snapshot.descriptions[descriptor.description as usize];
        let object = &snapshot.objects[description.object as usize];
        let about = object.path.display().to_string();
        let decided = snapshot.decisions.iter().rfind(|decision| !about.is_empty() && decision.about == about);
        OpenFile {
            fd: descriptor.fd,
            path: object.path.clone(),
            kind: object.record.kind.clone(),
            flags: description.flags,
            offset: description.offset,
            decision: decided.map(|decision| decision.verdict.clone()),
        }
    };
    table.descriptors.iter().map(one).collect()
}

/// A statefile as a failure of whoever looks at it.
pub fn failure(error: StatefileError) -> Failure {
    Failure::new(Stage::Load, error)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn what_is_no_statefile_is_not_removed() {
        let here = tempfile::tempdir().unwrap();
        let refused = |path: &Path| Statefile::open(path).and_then(Statefile::remove).unwrap_err();
        let missing = refused(&here.path().join("none"));
        assert_eq!(missing.errno(), Some(libc::ENOENT));
        let directory = here.path().join("state");
        std::fs::create_dir(&directory).unwrap();
        assert!(refused(&directory).to_string().ends_with("is no statefile: it holds no context file"));
        for name in ["context.1", "diary"] {
            std::fs::write(directory.join(name), "x").unwrap();
        }
        assert!(refused(&directory).to_string().ends_with("is no statefile: it holds diary"));
        assert!(refused(&directory.join("diary")).to_string().ends_with("is no statefile: it is not a directory"));
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 2);
        std::fs::remove_file(directory.join("diary")).unwrap();
        Statefile::open(&directory).unwrap().remove().unwrap();
        assert!(!directory.exists());
    }
}
