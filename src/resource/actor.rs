//! Acts by path at a restart: with the rights that a process of the job has on files, and never through a symbolic link.
//!
//! Saved paths have no links in them, so a link on the way was put there since. Whoever restarts with more rights than the job has (root, as
//! a rule) acts through a child that has only the job's. Relies on `sys::act`. Leaves to the kinds what is opened and made.
//!
//! What the job had opened with rights that it gave up later (a daemon's log) is opened with ours, if it is the very file by device and
//! inode, and nobody but root, or we, can have changed what the path leads to.

use std::ffi::CString;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::KindError;
use super::task::credential::{CredentialV1, OwnReach};
use crate::image::{Backing, ObjectId, Process, Snapshot};
use crate::proc::FileStat;
use crate::sys::act::{Act, FileRights, Helper, act};
use crate::sys::{Errno, descriptor};

/// Device and inode number of a file.
pub type Inode = (u64, u64);

/// Somebody with whose rights on files the restart acts.
pub struct Actor {
    rights: Option<FileRights>,
    helper: Option<Helper>,
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Actor({:?})", self.rights)
    }
}

/// The actors of a job: one for each set of rights.
pub struct Actors {
    all: Vec<Arc<Actor>>,
    of_process: Vec<usize>,
    of_object: Vec<usize>,
}

impl Actors {
    /// Reads who every process is, and who uses every object first. Forks a child for each set of rights that is smaller than ours.
    pub fn of(snapshot: &Snapshot) -> Result<Actors, KindError> {
        let reach = OwnReach::of_us()?;
        let mut all = vec![Arc::new(Actor::ours())];
        let mut of_process = Vec::with_capacity(snapshot.processes.len());
        for process in &snapshot.processes {
            of_process.push(match rights_of(process, &reach)? {
                None => 0,
                Some(rights) => match all.iter().position(|actor| actor.rights.as_ref() == Some(&rights)) {
                    Some(known) => known,
                    None => {
                        all.push(Arc::new(Actor::with(rights)?));
                        all.len() - 1
                    }
                },
            });
        }
        let of_object = users(snapshot).into_iter().map(|user| user.map_or(0, |process| of_process[process])).collect();
        Ok(Actors { all, of_process, of_object })
    }

    /// Who acts for a process, by position.
    pub fn process(&self, index: usize) -> &Arc<Actor> {
        &self.all[self.of_process.get(index).copied().unwrap_or(0)]
    }

    /// Who acts for an object: the first process that uses it.
    pub fn object(&self, id: ObjectId) -> &Arc<Actor> {
        &self.all[self.of_object.get(id as usize).copied().unwrap_or(0)]
    }
}

fn rights_of(process: &Process, reach: &OwnReach) -> Result<Option<FileRights>, KindError> {
    let mut records = process.threads.iter().flat_map(|thread| &thread.records);
    match records.find(|record| record.kind == CredentialV1::TAG.kind) {
        Some(record) => Ok(reach.smaller(&record.decode(CredentialV1::TAG)?)),
        None => Ok(None),
    }
}

/// The first process that has each object open, maps it or runs it.
fn users(snapshot: &Snapshot) -> Vec<Option<usize>> {
    let mut users = vec![None; snapshot.objects.len()];
    for (index, process) in snapshot.processes.iter().enumerate() {
        let table = process.table.and_then(|table| snapshot.tables.get(table as usize));
        let open = table.into_iter().flat_map(|table| &table.descriptors);
        let open = open.filter_map(|descriptor| Some(snapshot.descriptions.get(descriptor.description as usize)?.object));
        let memory = process.memory.and_then(|memory| snapshot.memories.get(memory as usize));
        let areas = memory.into_iter().flat_map(|memory| &memory.areas).filter_map(|area| match area.backing {
            Backing::Object { object, .. } => Some(object),
            Backing::Anonymous | Backing::Special(_) => None,
        });
        for object in open.chain(areas).chain(memory.and_then(|memory| memory.exe)) {
            if let Some(user) = users.get_mut(object as usize) {
                user.get_or_insert(index);
            }
        }
    }
    users
}

impl Actor {
    /// We ourselves.
    pub fn ours() -> Actor {
        Actor { rights: None, helper: None }
    }

    fn with(rights: FileRights) -> Result<Actor, KindError> {
        let attempt = || format!("start a helper with the rights of user {}", rights.uid);
        let helper = Helper::start(&rights).map_err(|errno| KindError::host(attempt(), errno))?;
        Ok(Actor { rights: Some(rights), helper: Some(helper) })
    }

    fn act(&self, what: &Act<'_>) -> Result<Option<OwnedFd>, Errno> {
        match &self.helper {
            Some(helper) => helper.act(what),
            None => act(what),
        }
    }

    fn opening(&self, what: &Act<'_>) -> Result<OwnedFd, Errno> {
        self.act(what)?.ok_or(Errno::EBADF)
    }

    /// Opens what is at `path`. It never waits, except for a lease to be given up: O_NONBLOCK may be set on the result although it was
    /// not asked for. `known` is the file that the job had open there.
    pub fn open(&self, path: &Path, flags: i32, known: Option<Inode>) -> Result<OwnedFd, Errno> {
        const PATIENCE: Duration = Duration::from_secs(60);
        let nonblocking = if flags & libc::O_PATH == 0 { libc::O_NONBLOCK } else { 0 };
        let begun = Instant::now();
        let text = c_path(path)?;
        loop {
            match self.opening(&Act::Open { dir: None, path: &text, flags: flags | nonblocking, mode: 0 }) {
                Err(Errno::EAGAIN) if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(50)),
                Err(Errno::EACCES) if self.helper.is_some() => return given_up(path, known, flags | nonblocking),
                result => return result,
            }
        }
    }

    /// What stands at `path` itself: a link there is a link.
    pub fn look(&self, path: &Path) -> Result<FileStat, Errno> {
        let text = c_path(path)?;
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        let pinned = match self.opening(&Act::Open { dir: None, path: &text, flags, mode: 0 }) {
            Err(Errno::EACCES) if self.helper.is_some() => kept_by_root(path)?,
            pinned => pinned?,
        };
        stat(pinned.as_fd())
    }

    /// A directory to be entered, whoever may read it.
    pub fn enter(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let text = c_path(path)?;
        match self.opening(&Act::Open { dir: None, path: &text, flags: libc::O_PATH | libc::O_DIRECTORY, mode: 0 }) {
            Err(Errno::EACCES) if self.helper.is_some() => {
                let pinned = kept_by_root(path)?;
                if stat(pinned.as_fd())?.mode & libc::S_IFMT == libc::S_IFDIR { Ok(pinned) } else { Err(Errno::ENOTDIR) }
            }
            result => result,
        }
    }

    /// A description of its own for what `fd` reaches, by the rights of the actor.
    pub fn reopen(&self, fd: BorrowedFd<'_>, flags: i32) -> Result<OwnedFd, Errno> {
        self.opening(&Act::Reopen { fd, flags })
    }

    /// The directory of `path`, held, and the last name.
    pub fn place(self: &Arc<Actor>, path: &Path) -> Result<Place, Errno> {
        let name = path.file_name().ok_or(Errno::EISDIR)?;
        let dir = self.enter(path.parent().unwrap_or(Path::new("/")))?;
        let name = CString::new(name.as_bytes()).map_err(|_| Errno::EINVAL)?;
        Ok(Place { dir: Arc::new(dir), name, path: path.to_owned(), actor: self.clone() })
    }

    /// What a failed act means for the user.
    pub fn refusal(&self, attempt: &str, path: impl Into<PathBuf>, errno: Errno) -> KindError {
        let path = path.into();
        match (errno, &self.rights) {
            (Errno::ELOOP, _) => KindError::Link { path },
            (Errno::EACCES | Errno::EPERM, Some(rights)) => {
                KindError::NotTheJobs { attempt: attempt.into(), path, uid: rights.uid, source: errno }
            }
            _ => KindError::path(attempt, path, errno),
        }
    }

    /// Whether files that this actor makes belong to this user and group, or can be given to them.
    pub fn may_own(&self, uid: u32, gid: u32) -> bool {
        let Some(rights) = &self.rights else { return true };
        rights.uid == uid && (rights.gid == gid || rights.groups.iter().flatten().any(|group| *group == gid))
    }
}

/// A name in a directory that is held: whatever becomes of the path, acts stay in that directory.
#[derive(Debug, Clone)]
pub struct Place {
    dir: Arc<OwnedFd>,
    name: CString,
    path: PathBuf,
    actor: Arc<Actor>,
}

impl Place {
    /// Its path when the directory was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A failed act here, for the user.
    pub fn refusal(&self, attempt: &str, errno: Errno) -> KindError {
        self.actor.refusal(attempt, &self.path, errno)
    }

    /// Another name in the same directory, which nobody uses.
    pub fn spare(&self) -> Place {
        let path = super::file::open::spare_name(self.path.parent().unwrap_or(Path::new("/")));
        let name = path.file_name().unwrap_or_default().as_bytes();
        Place { name: CString::new(name).unwrap_or_default(), path, ..self.clone() }
    }

    /// The same directory, which a name in it stands for.
    pub fn within(&self, dir: OwnedFd, name: &Path) -> Result<Place, Errno> {
        let text = CString::new(name.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
        Ok(Place { dir: Arc::new(dir), name: text, path: self.path.join(name), actor: self.actor.clone() })
    }

    /// Opens it; with O_CREAT it is made.
    pub fn open(&self, flags: i32, mode: u32) -> Result<OwnedFd, Errno> {
        self.actor.opening(&Act::Open { dir: Some(self.dir.as_fd()), path: &self.name, flags, mode })
    }

    /// A new file in the directory that has no name yet.
    pub fn nameless(&self, flags: i32) -> Result<OwnedFd, Errno> {
        self.actor.opening(&Act::Open {
            dir: Some(self.dir.as_fd()),
            path: c".",
            flags: libc::O_TMPFILE | libc::O_RDWR | flags,
            mode: 0o600,
        })
    }

    /// Makes a FIFO.
    pub fn make_fifo(&self, mode: u32) -> Result<(), Errno> {
        self.actor.act(&Act::MakeFifo { dir: self.dir.as_fd(), name: &self.name, mode }).map(drop)
    }

    /// Makes a directory.
    pub fn make_directory(&self, mode: u32) -> Result<(), Errno> {
        self.actor.act(&Act::MakeDirectory { dir: self.dir.as_fd(), name: &self.name, mode }).map(drop)
    }

    /// Removes a file.
    pub fn remove(&self) -> Result<(), Errno> {
        self.actor.act(&Act::Remove { dir: self.dir.as_fd(), name: &self.name, flags: 0 }).map(drop)
    }

    /// Removes an empty directory.
    pub fn remove_directory(&self) -> Result<(), Errno> {
        self.actor.act(&Act::Remove { dir: self.dir.as_fd(), name: &self.name, flags: libc::AT_REMOVEDIR }).map(drop)
    }

    /// Gives `file`, which has no name, this one.
    pub fn link(&self, file: BorrowedFd<'_>) -> Result<(), Errno> {
        self.actor.act(&Act::Link { file, dir: self.dir.as_fd(), name: &self.name }).map(drop)
    }

    /// renameat2(2) to another name, of the same file system.
    pub fn rename(&self, to: &Place, flags: u32) -> Result<(), Errno> {
        self.actor.act(&Act::Rename { dir: self.dir.as_fd(), from: &self.name, to_dir: to.dir.as_fd(), to: &to.name, flags }).map(drop)
    }

    /// What stands there; a link is a link.
    pub fn look(&self) -> Result<FileStat, Errno> {
        let pinned = self.open(libc::O_PATH | libc::O_NOFOLLOW, 0)?;
        stat(pinned.as_fd())
    }
}

fn c_path(path: &Path) -> Result<CString, Errno> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}

fn stat(fd: BorrowedFd<'_>) -> Result<FileStat, Errno> {
    nix::sys::stat::fstat(fd).map(FileStat::from)
}

/// Opens with our own rights what the job had opened with rights that it gave up.
fn given_up(path: &Path, known: Option<Inode>, flags: i32) -> Result<OwnedFd, Errno> {
    let pinned = kept_by_root(path)?;
    let found = stat(pinned.as_fd())?;
    if known != Some((found.dev, found.ino)) {
        return Err(Errno::EACCES);
    }
    if flags & libc::O_PATH != 0 {
        return Ok(pinned);
    }
    act(&Act::Reopen { fd: pinned.as_fd(), flags: flags & !libc::O_NOFOLLOW })?.ok_or(Errno::EBADF)
}

/// What a path leads to, if nobody but root and we can have changed that: EACCES otherwise.
fn kept_by_root(path: &Path) -> Result<OwnedFd, Errno> {
    let pass = |dir: Option<BorrowedFd<'_>>, name: &Path| {
        let name = c_path(name)?;
        act(&Act::Open { dir, path: &name, flags: libc::O_PATH | libc::O_NOFOLLOW, mode: 0 })?.ok_or(Errno::EBADF)
    };
    let us = nix::unistd::geteuid().as_raw();
    let is_trusted = |stat: &FileStat| stat.uid == 0 || stat.uid == us;
    let mut at = pass(None, Path::new("/"))?;
    for component in path.components().filter(|component| *component != Component::RootDir) {
        let next = pass(Some(at.as_fd()), Path::new(component.as_os_str()))?;
        let (dir, inside) = (stat(at.as_fd())?, stat(next.as_fd())?);
        let others_write = dir.mode & 0o002 != 0 || dir.mode & 0o020 != 0 && dir.gid != 0;
        let is_kept = !others_write || dir.mode & libc::S_ISVTX != 0 && is_trusted(&inside);
        if !is_trusted(&dir) || !is_kept || component == Component::ParentDir {
            return Err(Errno::EACCES);
        }
        at = next;
    }
    Ok(at)
}

/// Duplicates a descriptor for somebody who keeps it.
pub fn keep(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    descriptor::duplicate_from(fd, 3)
}
