//! What the engine hands to a kind in each phase.
//!
//! Relies on `proc` for what was read, on `sys` for duplicates of a job's descriptors. Contexts hold no policy: relocations and new
//! process ids reach a kind as functions.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::actor::Actor;
use super::file::inet::Network;
use super::file::pts;
use super::outside::Outside;
use super::{Built, KindError, Parting, Uses};
use crate::image::{DescriptionId, FileChoice, Object, ObjectAction, Snapshot};
use crate::proc::{Device, Fdinfo, FileStat, MapEntry, ProcDir, Status};
use crate::sys::diag::{Diag, UnixSocket};
use crate::sys::ipc::View;
use crate::sys::{Errno, process};

/// One descriptor of a frozen process, as far as it can be seen without disturbing anything.
pub struct Probe<'a> {
    /// The process.
    pub pid: i32,
    /// The descriptor number.
    pub fd: i32,
    /// `readlink /proc/PID/fd/N`, for example `/etc/passwd`, `/tmp/x (deleted)`, `pipe:[1234]`.
    pub link: &'a Path,
    /// stat(2) of what it reaches.
    pub stat: &'a FileStat,
    /// `/proc/PID/fdinfo/N`.
    pub info: &'a Fdinfo,
    reach: Reach<'a>,
    copy: OnceCell<OwnedFd>,
}

/// What led to a probed file.
enum Reach<'a> {
    /// A descriptor of the process behind this pidfd.
    Descriptor(&'a OwnedFd),
    /// A descriptor in the queue of another object, as our own copy.
    Queue(BorrowedFd<'a>),
    /// An area, or the program of a process, and what opens a descriptor of it.
    Mapping(Option<&'a MapEntry>, Box<dyn Fn() -> Result<OwnedFd, KindError> + 'a>),
    /// Nothing: it is known by its number.
    Number,
}

impl<'a> Probe<'a> {
    /// A probe of descriptor `fd` of the process behind `pidfd`.
    pub fn new(pid: i32, fd: i32, link: &'a Path, stat: &'a FileStat, info: &'a Fdinfo, pidfd: &'a OwnedFd) -> Probe<'a> {
        Probe { pid, fd, link, stat, info, reach: Reach::Descriptor(pidfd), copy: OnceCell::new() }
    }

    /// The number by which programs know the object, where it is one of those that have it in the place of an inode (System V IPC). One that is too large for
    /// any is -1, which no object has.
    pub fn number(&self) -> i32 {
        i32::try_from(self.stat.ino).unwrap_or(-1)
    }

    /// A probe of what process `pid` maps in an area, or runs; `fd` is -1. `open` makes a descriptor of it; it is called
    /// when the contents are needed. `info` says with its access mode whether the mapping can write to the file.
    pub fn mapped(
        pid: i32,
        link: &'a Path,
        stat: &'a FileStat,
        info: &'a Fdinfo,
        area: Option<&'a MapEntry>,
        open: Box<dyn Fn() -> Result<OwnedFd, KindError> + 'a>,
    ) -> Probe<'a> {
        Probe { pid, fd: -1, link, stat, info, reach: Reach::Mapping(area, open), copy: OnceCell::new() }
    }

    /// A probe of a descriptor that waits in the queue of another object, whose holder is process `pid`; `fd` is -1.
    pub fn queued(pid: i32, link: &'a Path, stat: &'a FileStat, info: &'a Fdinfo, copy: BorrowedFd<'a>) -> Probe<'a> {
        Probe { pid, fd: -1, link, stat, info, reach: Reach::Queue(copy), copy: OnceCell::new() }
    }

    /// A probe of what process `pid` knows by a number, which stands as inode in `stat`; `fd` is -1.
    pub fn named(pid: i32, link: &'a Path, stat: &'a FileStat, info: &'a Fdinfo) -> Probe<'a> {
        Probe { pid, fd: -1, link, stat, info, reach: Reach::Number, copy: OnceCell::new() }
    }

    /// Whether it is a mapping rather than a descriptor.
    pub fn is_mapping(&self) -> bool {
        matches!(self.reach, Reach::Mapping(..))
    }

    /// The area that maps it, if one does.
    pub fn area(&self) -> Option<&'a MapEntry> {
        if let Reach::Mapping(area, _) = self.reach { area } else { None }
    }

    /// Our own duplicate of the descriptor: the same open file description, so offset and flags must be left alone. Of a mapping:
    /// its file, opened anew for reading.
    pub fn copy(&self) -> Result<BorrowedFd<'_>, KindError> {
        if self.copy.get().is_none() {
            let attempt = || format!("duplicate descriptor {} of process {}", self.fd, self.pid);
            let copy = match &self.reach {
                Reach::Descriptor(pidfd) => process::pidfd_getfd(pidfd, self.fd).map_err(|errno| KindError::host(attempt(), errno))?,
                Reach::Queue(copy) => return Ok(*copy),
                Reach::Mapping(_, open) => open()?,
                Reach::Number => return Err(KindError::host(attempt(), Errno::EBADF)),
            };
            // The cell is empty: nobody else can have set it.
            let _unchanged = self.copy.set(copy);
        }
        Ok(self.copy.get().expect("set above").as_fd())
    }

    /// The file type bits of its mode (`S_IFREG` …); 0 for anonymous inodes.
    pub fn file_type(&self) -> u32 {
        self.stat.mode & libc::S_IFMT
    }

    /// Whether one can write through it.
    pub fn is_writable(&self) -> bool {
        self.info.flags & libc::O_PATH == 0 && self.info.flags & libc::O_ACCMODE != libc::O_RDONLY
    }

    /// Whether one can read through it.
    pub fn is_readable(&self) -> bool {
        self.info.flags & libc::O_PATH == 0 && self.info.flags & libc::O_ACCMODE != libc::O_WRONLY
    }

    /// Whether its last name was removed: no links are left.
    pub fn is_deleted(&self) -> bool {
        self.stat.nlink == 0
    }
}

/// What holds for a whole job at its checkpoint: found once, and shared by all kinds.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The ids of all processes and threads of the job.
    pub ids: HashSet<i32>,
    /// The system calls in which its threads wait.
    pub waiting: Vec<Waiting>,
    /// What the ends of its processes would do to semaphores.
    pub adjustments: Vec<Adjustment>,
    /// Terminals that control sessions in which processes of the job are.
    pub terminals: HashSet<Device>,
    /// Who else has pseudo-terminals open; looked at when it matters.
    pub holders: OnceCell<Vec<pts::Holder>>,
    /// The sockets of the job, by inode number, and the description of each; `None`: a policy has closed it.
    pub sockets: HashMap<u64, Option<DescriptionId>>,
    /// What the kernel shows of Internet sockets.
    pub network: Network,
    /// All Unix sockets of the machine; see [`Facts::unix`].
    pub unix: OnceCell<Vec<UnixSocket>>,
}

/// A thread that waits in a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Its process.
    pub pid: i32,
    /// Number of the call.
    pub call: i64,
    /// Its first argument.
    pub first: u64,
}

/// What the end of a process would add to a semaphore (semop(2), SEM_UNDO).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adjustment {
    /// The process.
    pub pid: i32,
    /// The set of semaphores.
    pub set: i32,
    /// The number in the set.
    pub number: u16,
    /// What is added.
    pub by: i32,
}

impl Facts {
    /// A process outside of the job that has a pseudo-terminal open.
    pub fn terminal_holder(&self, number: pts::Number) -> Option<i32> {
        let holders = self.holders.get_or_init(|| pts::holders(|pid| self.is_member(pid)));
        holders.iter().find(|holder| holder.has(number)).map(|holder| holder.pid)
    }

    /// The same, with the sockets of the job.
    pub fn with_sockets(&self, sockets: HashMap<u64, Option<DescriptionId>>) -> Facts {
        Facts { sockets, ..self.clone() }
    }

    /// Whether an id is that of a process or thread of the job.
    pub fn is_member(&self, id: i32) -> bool {
        self.ids.contains(&id)
    }

    /// A process that waits in one of these calls, the first argument of which is this number.
    pub fn waiter(&self, calls: &[i64], number: i32) -> Option<i32> {
        let is_it = |one: &&Waiting| calls.contains(&one.call) && i32::try_from(one.first) == Ok(number);
        self.waiting.iter().find(is_it).map(|one| one.pid)
    }

    /// All Unix sockets of the machine, looked for when somebody first asks.
    pub fn unix(&self) -> Result<&[UnixSocket], Errno> {
        if self.unix.get().is_none() {
            // The cell is empty: nobody else can have set it.
            let _unchanged = self.unix.set(Diag::open()?.all_unix()?);
        }
        Ok(self.unix.get().map(Vec::as_slice).unwrap_or_default())
    }
}

/// What a kind can ask for while it captures an object.
#[derive(Default)]
pub struct Capture {
    /// What holds for the whole job.
    pub facts: Rc<Facts>,
    /// The bytes that go into the context file as the object's contents, and how many.
    pub contents: Option<(Content, u64)>,
    /// What to call the object, if not by the link of its first probe.
    pub name: Option<PathBuf>,
    /// For each probe the descriptions that [`super::FileKind::discover`] has found, in that order; `None`: a policy has closed it.
    pub queues: Vec<Vec<Option<DescriptionId>>>,
    /// For each probe which part of the object it reaches ([`crate::image::Description::part`]); without any they reach part 0.
    pub parts: Vec<u32>,
    /// What is done to the object right before the job is ended for good.
    pub partings: Vec<Box<dyn Parting>>,
    /// What was decided about a regular file.
    pub choice: FileChoice,
    /// What was decided about another object, if anything.
    pub action: Option<ObjectAction>,
    /// Things the user should know although the checkpoint succeeds; one sentence each.
    pub warnings: Vec<String>,
}

impl Capture {
    /// Saves the first `bytes` bytes of `file` as the object's contents. Holes and zero pages cost nothing.
    pub fn keep_contents(&mut self, file: OwnedFd, bytes: u64) {
        self.contents = Some((Content::File(file), bytes));
    }

    /// Saves `bytes` bytes that processes map in these pieces, which do not overlap; what nobody maps reads as zeros.
    pub fn keep_pieces(&mut self, pieces: Vec<Piece>, bytes: u64) {
        self.contents = Some((Content::Pieces(pieces), bytes));
    }

    /// Saves `bytes` bytes of what we have attached.
    pub fn keep_view(&mut self, view: View, bytes: u64) {
        self.contents = Some((Content::View(view), bytes));
    }
}

/// Where the contents of an object are read.
#[derive(Debug)]
pub enum Content {
    /// In a file, from its start.
    File(OwnedFd),
    /// In the memory of processes.
    Pieces(Vec<Piece>),
    /// In our own memory, where it is attached.
    View(View),
}

/// A piece of an object in the memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The process.
    pub pid: i32,
    /// Its address there.
    pub address: u64,
    /// Its offset in the object, bytes.
    pub offset: u64,
    /// Its size.
    pub bytes: u64,
}

/// One process or thread while its state is captured. The task is stopped.
pub struct TaskProbe<'a> {
    /// Thread group id.
    pub pid: i32,
    /// Thread id; equal to `pid` for state of the process.
    pub tid: i32,
    /// `/proc/PID` or `/proc/PID/task/TID`.
    pub dir: &'a ProcDir,
    /// Its `status` file, parsed.
    pub status: &'a Status,
}

/// What a kind may ask while every decision of a restart is taken. Nothing is changed.
pub struct Plan<'a> {
    /// The whole job.
    pub snapshot: &'a Snapshot,
    /// Where a saved path is now.
    pub path: &'a dyn Fn(&Path) -> PathBuf,
    /// What the job does with each object, by position.
    pub uses: &'a [Uses],
    /// Who looks at paths.
    pub actor: &'a Arc<Actor>,
    /// What others do with files.
    pub outside: &'a Outside,
    /// The job is there and only shows that it could be restarted: what it has itself is in nobody's way.
    pub is_proof: bool,
    /// Things the user should know although the restart goes on; one sentence each.
    pub warnings: Vec<String>,
}

/// What a kind has while it makes its object again, in the restarter.
pub struct Build<'a> {
    /// The whole job.
    pub snapshot: &'a Snapshot,
    /// Where a saved path is now.
    pub path: &'a dyn Fn(&Path) -> PathBuf,
    /// The object being built, with its size and path.
    pub object: &'a Object,
    /// The objects that have been made so far, by position; the others are empty.
    pub made: &'a [Built],
    /// The id that a saved process or thread has now, once it is there ([`super::When::Births`]); any other id stays as it is.
    pub id: &'a dyn Fn(i32) -> i32,
    /// Whether processes get the ids that they had.
    pub same_ids: bool,
    /// In [`super::FileKind::refill`]: the descriptor that stands for a description here, if it has one.
    pub opened: &'a dyn Fn(DescriptionId) -> Option<RawFd>,
    /// What the job does with each object, by position.
    pub uses: &'a [Uses],
    /// Who acts by path.
    pub actor: &'a Arc<Actor>,
    /// What others do with files.
    pub outside: &'a Outside,
    /// In [`super::FileKind::commit`]: a descriptor of the object that is open for writing, if the job has one.
    pub writer: Option<BorrowedFd<'a>>,
    /// Things the user should know although the restart goes on; one sentence each.
    pub warnings: Vec<String>,
}

/// Working and root directory of a process, as numbers of descriptors that it has until its own are in place. `None`: it stays where it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Directories {
    /// Working directory.
    pub cwd: Option<i32>,
    /// Root directory.
    pub root: Option<i32>,
}

/// What a kind has while it puts state into a process that is being restored.
pub struct Bind<'a> {
    /// The whole job.
    pub snapshot: &'a Snapshot,
    /// The thread group being restored, by its id now.
    pub pid: i32,
    /// The thread being restored, by its id now.
    pub tid: i32,
    /// The id that a saved process or thread has now; an id outside the job stays as it is.
    pub id: &'a dyn Fn(i32) -> i32,
    /// Where a saved path is now.
    pub path: &'a dyn Fn(&Path) -> PathBuf,
    /// Working and root directory of the process, as descriptors that it has.
    pub directories: Directories,
    /// Whether ids were restored: with new ones, what names ids is translated.
    pub same_ids: bool,
    /// Whether what the job had from its surroundings comes back as it was saved, rather than from those of today.
    pub keeps_surroundings: bool,
    /// Things the user should know although the restart goes on; one sentence each.
    pub warnings: Vec<String>,
}
