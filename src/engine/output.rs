//! Where a checkpoint goes: a file, a descriptor, or a directory with one file a process.
//!
//! Relies on `image` for files that are complete or absent, and on `write` for the pages. Dropping an output before it is finished removes
//! what it made.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::confined::Account;
use super::observe::Observer;
use super::request::{CheckpointRequest, Creation, Destination};
use super::survey::{Contents, Draft};
use super::write::write;
use crate::error::{At, Class, Failure, Stage, Subject};
use crate::image::file::{give, is_kept};
use crate::image::{Memory, Owner, Part, Process, Saved, Snapshot, Space, Table, Target, TargetError, Writer, random};
use crate::resource::KindError;
use crate::sys::{Errno, descriptor};
use crate::tracee::freeze::Deadline;

/// Where the context file goes.
pub enum Output {
    /// A file that appears when it is complete.
    Target(Target),
    /// A descriptor that we were given.
    Descriptor(File),
    /// A directory that appears when all its files are complete.
    Directory(Directory),
}

/// A directory being filled.
pub struct Directory {
    /// Its final name.
    path: PathBuf,
    /// Where it is until then, beside the final name.
    temporary: PathBuf,
    /// The directory itself, whatever happens to its name.
    handle: File,
    owner: Option<Owner>,
    /// As for a [`Target`].
    may_keep: bool,
    creation: Creation,
    mode: u32,
    targets: Vec<Target>,
    is_finished: bool,
}

impl Output {
    /// Prepares the destination of a request. Nothing that is there already is touched yet.
    ///
    /// `user` is the user of the job, if its files may become his.
    pub fn open(request: &CheckpointRequest, user: Option<&Account>) -> Result<Output, Failure> {
        match &request.destination {
            Destination::File(path) => {
                let another = user.map(|user| user.uid);
                Target::open_as(path, &request.creation, request.mode, another).at(Stage::Request).map(Output::Target)
            }
            Destination::Fd(fd) => {
                let file = descriptor::duplicate_inherited(*fd).map(File::from);
                let file = file.map_err(|errno| KindError::host(format!("use descriptor {fd}"), errno)).at(Stage::Request);
                let remedy = || Some("give the number of a descriptor that is open for writing".into());
                let file = file.map_err(|failure| Failure { class: Class::Args, remedy: remedy(), ..failure })?;
                Ok(Output::Descriptor(file))
            }
            Destination::Dir(path) => Directory::open(path, &request.creation, request.mode).at(Stage::Request).map(Output::Directory),
        }
    }

    /// Settles to whom it will belong: to whom the request says, else to the user of the job if that is all it is. Nothing has been written yet.
    pub fn give(&mut self, owner: Option<Owner>, user: Option<&Account>, snapshot: &Snapshot) -> Result<(), Failure> {
        let exceeded = user.and_then(|user| user.exceeded_by(snapshot));
        let of_the_job = user.filter(|_| exceeded.is_none()).map(|user| Owner { uid: user.uid, gid: user.gid });
        let may_keep = owner.is_none();
        let owner = owner.or(of_the_job);
        match self {
            Output::Target(target) => {
                let found = target.belongs_to().map_err(|error| host("look at the context file", &error)).at(Stage::Write)?;
                let readers = [geteuid().as_raw()].into_iter().chain(owner.map(|owner| owner.uid));
                if readers.clone().all(|reader| reader != found) && user.is_some_and(|user| user.uid == found) {
                    return Err(TargetError::Foreign { path: target.path().to_owned(), owner: found }).at(Stage::Write);
                }
                owner.into_iter().for_each(|owner| target.give_to(owner, may_keep));
            }
            Output::Directory(directory) => (directory.owner, directory.may_keep) = (owner, may_keep),
            Output::Descriptor(_) => {}
        }
        Ok(())
    }

    /// Writes the whole job. Returns the sizes of all files together.
    pub fn write(&mut self, draft: &mut Draft, deadline: Deadline, observer: &mut dyn Observer) -> Result<Saved, Failure> {
        let file = match self {
            Output::Target(target) => {
                target.file().map_err(|error| host("duplicate the context file's descriptor", &error)).at(Stage::Write)?
            }
            Output::Descriptor(file) => file.try_clone().map_err(|error| host("duplicate a descriptor", &error)).at(Stage::Write)?,
            Output::Directory(directory) => return directory.write(draft, deadline, observer),
        };
        let written = write_file(file, &draft.snapshot, &draft.contents, deadline, observer);
        written.map_err(|failure| match self {
            Output::Target(target) if failure.subject == Subject::default() => failure.about(Subject::path(target.path())),
            Output::Target(_) | Output::Descriptor(_) | Output::Directory(_) => failure,
        })
    }

    /// The file behind a descriptor that we were given. The job may have it open, too; a file of our own it does not know.
    pub fn inode(&self) -> Option<(u64, u64)> {
        let Output::Descriptor(file) = self else { return None };
        file.metadata().ok().filter(|metadata| metadata.is_file()).map(|metadata| (metadata.dev(), metadata.ino()))
    }

    /// Makes it appear, and durable if asked for. Returns its absolute path, or none for a descriptor.
    pub fn finish(self, sync: bool) -> Result<Option<PathBuf>, Failure> {
        match self {
            Output::Target(target) => target.finish(sync).at(Stage::Write).map(Some),
            Output::Directory(directory) => directory.finish(sync).map(Some),
            Output::Descriptor(_) if !sync => Ok(None),
            // Pipes and sockets have nothing to sync.
            Output::Descriptor(file) => match file.sync_all().map_err(|error| errno(&error)) {
                Ok(()) | Err(Errno::EINVAL | Errno::EROFS | Errno::ENOTSUP) => Ok(None),
                Err(errno) => Err(KindError::host("sync the context file to disk", errno)).at(Stage::Write),
            },
        }
    }
}

fn write_file(
    file: File,
    snapshot: &Snapshot,
    contents: &[Contents],
    deadline: Deadline,
    observer: &mut dyn Observer,
) -> Result<Saved, Failure> {
    let writer = Writer::begin_until(file, snapshot, Box::new(move || deadline.left())).at(Stage::Write)?;
    write(contents, &writer, deadline, observer)?;
    writer.finish().at(Stage::Write).map(|(saved, _)| saved)
}

impl Directory {
    fn open(path: &Path, creation: &Creation, mode: u32) -> Result<Directory, KindError> {
        let path = std::path::absolute(path).map_err(|error| KindError::path("use the directory", path, errno(&error)))?;
        if *creation == Creation::NoClobber && path.exists() {
            return Err(KindError::path("make the directory", path, Errno::EEXIST));
        }
        if path.exists() && !holds_only_context_files(&path) {
            return Err(KindError::path("replace the directory, which holds other things,", path, Errno::ENOTEMPTY));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let temporary = path.with_file_name(format!(".{name}.{:016x}.tmp", random()));
        let failed = |error: std::io::Error| KindError::path("make the directory", &temporary, errno(&error));
        std::fs::DirBuilder::new().mode(0o700).create(&temporary).map_err(failed)?;
        let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
        let handle = File::options().read(true).custom_flags(flags).open(&temporary).map_err(failed)?;
        let (owner, may_keep) = (None, false);
        Ok(Directory {
            path,
            temporary,
            handle,
            owner,
            may_keep,
            creation: creation.clone(),
            mode,
            targets: Vec::new(),
            is_finished: false,
        })
    }

    fn write(&mut self, draft: &mut Draft, deadline: Deadline, observer: &mut dyn Observer) -> Result<Saved, Failure> {
        let count = u32::try_from(draft.snapshot.processes.len()).unwrap_or(u32::MAX);
        let job = format!("{}-{}-{}", draft.snapshot.origin.realtime_ns, std::process::id(), draft.snapshot.processes[0].pid);
        draft.snapshot.part = Some(Part { job: job.clone(), index: 0, count });
        let mut total = Saved::default();
        let mut contents = std::mem::take(&mut draft.contents);
        for index in 0..count {
            let process = &draft.snapshot.processes[index as usize];
            let is_first_owner = draft.snapshot.processes[..index as usize].iter().all(|other| other.memory != process.memory);
            let own = |content: &Contents| match content.space {
                Space::Object(_) => index == 0,
                Space::Memory(id) => is_first_owner && process.memory == Some(id),
            };
            let (mut mine, others): (Vec<Contents>, Vec<Contents>) = contents.into_iter().partition(own);
            contents = others;
            let part = (index > 0).then(|| part_of(process, Part { job: job.clone(), index, count }));
            if index > 0 {
                mine.iter_mut().for_each(|content| content.space = Space::Memory(PART_MEMORY));
            }
            // By the directory itself: its name may lead elsewhere by now.
            let path = PathBuf::from(format!("/proc/self/fd/{}/context.{}", self.handle.as_raw_fd(), process.pid));
            let mut target = Target::open(&path, &Creation::NoClobber, self.mode).at(Stage::Write)?;
            self.owner.into_iter().for_each(|owner| target.give_to(owner, self.may_keep));
            let file = target.file().map_err(|error| host("duplicate the context file's descriptor", &error)).at(Stage::Write)?;
            let saved = write_file(file, part.as_ref().unwrap_or(&draft.snapshot), &mine, deadline, observer);
            let saved = saved.map_err(|failure| failure.about(Subject::path(&self.path)))?;
            total.bytes += saved.bytes;
            total.page_bytes += saved.page_bytes;
            total.blocks += saved.blocks;
            self.targets.push(target);
        }
        Ok(total)
    }

    fn finish(mut self, sync: bool) -> Result<PathBuf, Failure> {
        for target in std::mem::take(&mut self.targets) {
            target.finish(sync).at(Stage::Write)?;
        }
        self.open_up().at(Stage::Write)?;
        self.appear().at(Stage::Write)?;
        self.is_finished = true;
        if sync && let Some(parent) = self.path.parent() {
            // Some file systems cannot sync directories; the files themselves are safe.
            let _unsupported = File::open(parent).and_then(|directory| directory.sync_all());
        }
        Ok(self.path.clone())
    }

    /// Lets those search the directory who may read its files.
    fn open_up(&self) -> Result<(), KindError> {
        let failed = |attempt: &str, error: std::io::Error| KindError::path(attempt, &self.path, errno(&error));
        match self.owner.map_or(Ok(()), |owner| give(&self.handle, owner)) {
            Err(error) if !(self.may_keep && is_kept(&error)) => return Err(failed("give away the directory", error)),
            _ => {}
        }
        let readers = self.mode & 0o444;
        let mode = std::fs::Permissions::from_mode(0o700 | readers | readers >> 2);
        self.handle.set_permissions(mode).map_err(|error| failed("set the mode of the directory", error))
    }

    /// Puts the directory at its place; what was there is kept as a backup or removed.
    fn appear(&self) -> Result<(), KindError> {
        let failed = |attempt: &str, path: &Path, error: &std::io::Error| KindError::path(attempt, path, errno(error));
        if self.path.exists() {
            let old = match &self.creation {
                Creation::Backup(Some(name)) => name.clone(),
                Creation::Backup(None) => numbered(&self.path),
                Creation::Atomic | Creation::Clobber | Creation::NoClobber => self.temporary.with_extension("old"),
            };
            std::fs::rename(&self.path, &old).map_err(|error| failed("rename", &self.path, &error))?;
            if let Err(error) = std::fs::rename(&self.temporary, &self.path) {
                // Put back what was there: the caller is told about the first failure.
                let _restored = std::fs::rename(&old, &self.path);
                return Err(failed("rename", &self.temporary, &error));
            }
            if !matches!(self.creation, Creation::Backup(_)) {
                std::fs::remove_dir_all(&old).map_err(|error| failed("remove", &old, &error))?;
            }
            return Ok(());
        }
        std::fs::rename(&self.temporary, &self.path).map_err(|error| failed("rename", &self.temporary, &error))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.is_finished {
            self.targets.clear();
            // Nothing more can be done about a directory that cannot be removed.
            let _left = std::fs::remove_dir_all(&self.temporary);
        }
    }
}

/// The memory of a part's process in that part; memory 0 stands for its parent.
pub const PART_MEMORY: u32 = 1;

/// The description in a later part: enough to say what it is.
fn part_of(process: &Process, part: Part) -> Snapshot {
    let alive = process.memory.is_some();
    let threads = if alive { process.threads.iter().take(1).cloned().collect() } else { Vec::new() };
    let process = Process {
        memory: process.memory.map(|_| PART_MEMORY),
        table: process.table.map(|_| 0),
        records: Vec::new(),
        shares_fs_with: None,
        shares_handlers_with: None,
        threads,
        ..process.clone()
    };
    let memories = vec![Memory::default(), Memory { parent: Some(0), ..Memory::default() }];
    Snapshot { processes: vec![process], memories, tables: vec![Table::default()], part: Some(part), ..Snapshot::default() }
}

fn holds_only_context_files(path: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(path) else { return false };
    let mut names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
    names.all(|name| name.to_string_lossy().starts_with("context."))
}

/// The first free `NAME.~N~`.
fn numbered(path: &Path) -> PathBuf {
    let name = |number: u32| PathBuf::from(format!("{}.~{number}~", path.display()));
    (1..).map(name).find(|path| !path.exists()).expect("numbers do not run out")
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

fn host(attempt: &str, error: &std::io::Error) -> KindError {
    KindError::host(attempt, errno(error))
}
