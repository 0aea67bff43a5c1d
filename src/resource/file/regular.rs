//! Regular files: by reference, or with their contents when the name is gone or the user wants them kept.
//!
//! **Kept:** path, length, access mode, flags, offset; the contents of deleted files, and of those that `--save-*`, `--file` or a script
//! wants replaced or substituted; sharing of one file by several descriptions. A file opened for writing goes back to its saved length,
//! unless it is to go on at its end or from its start; it is gone on with at its end, too, if `cr_restart` writes to it, if somebody else
//! appends to it as the job does, or if it has become shorter and the job writes at its end. Shared memory with a name (files in `/dev/shm` that the job
//! maps to write: shm_open(3), sem_open(3)) goes with its contents unless somebody outside of the job has it, too.
//! **Lost:** what was written into a file by reference after the checkpoint stays there, within that length; other hard links of a deleted
//! file; owner and times of a deleted file where we lack the right.
//! **Refused:** at restart, named shared memory of the job's own that somebody uses; a file that is missing or of another type; a mapped program, library or data file whose contents changed; a file
//! that is read and has changed, other than by growing; one that has become shorter and is written in its middle.

#[path = "regular_changed.rs"]
mod changed;

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::stat::{self, Mode};
use nix::sys::time::TimeSpec;
use nix::unistd::{self, Gid, Uid};
use serde::{Deserialize, Serialize};

use self::changed::{Now, judge};
use super::cut::Cut;
use super::evidence::{self, Evidence};
use super::length::{self, Fate, Writers};
use super::name::{self, Name};
use super::open;
use super::replace::{Replaced, Replacement};
use crate::image::{Description, FileAction, Object, ObjectId, Tag};
use crate::proc::FileStat;
use crate::resource::actor::{Actor, Place};
use crate::resource::outside::{Outside, user_of};
use crate::resource::{
    Build, Built, Capture, Change, Difference, Disposed, FileFacts, FileKind, Identity, KindError, Opened, Plan, Probe, Question, Uses,
};
use crate::sys::{Errno, descriptor};

/// Regular files.
pub struct Regular;

/// A regular file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegularV1 {
    /// Its path, or the one it had.
    #[serde(with = "crate::image::path")]
    pub path: PathBuf,
    /// How it is kept.
    pub keep: Keep,
    /// Device it is on.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Bytes.
    pub size: u64,
    /// Last change of its contents: seconds and nanoseconds since 1970.
    pub mtime: (i64, i64),
    /// Type and permissions.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// What proves its contents, if anything does.
    pub evidence: Option<Evidence>,
    /// What was decided about it.
    #[serde(default)]
    pub action: FileAction,
    /// Whether somebody decided at the restart that it is taken as it is.
    #[serde(default)]
    pub is_accepted: bool,
    /// It is shared memory by a name, which the job writes in its memory: no time of change tells whether it was.
    #[serde(default)]
    pub in_memory: bool,
}

/// Files of one process in `/proc` have the mode of regular files, but not their nature.
fn refuse_what_only_looks_regular(probe: &Probe<'_>) -> Result<(), KindError> {
    let text = probe.link.to_string_lossy();
    let of_process = text.strip_prefix("/proc/").is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
    if !of_process {
        return Ok(());
    }
    Err(KindError::Unsupported { what: "a file of one process in /proc".into(), remedy: "close it before the checkpoint".into() })
}

/// How a file is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// By its path.
    Reference,
    /// With its contents, because no name leads to it.
    Deleted,
    /// With its contents, because the user wants it.
    Saved,
}

impl FileKind for Regular {
    type State = RegularV1;
    const TAG: Tag = Tag::new("regular", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        // memfd_secret(2) files look like deleted files in the root directory, but cannot be read.
        probe.file_type() == libc::S_IFREG
            && probe.link.is_absolute()
            && !probe.link.starts_with("/secretmem (deleted)")
            && !super::is_shared_memory(probe)
    }

    fn identity(&self, probe: &Probe<'_>) -> Identity {
        if probe.is_deleted() {
            return Identity::Inode(probe.stat.dev, probe.stat.ino);
        }
        Identity::Path(probe.stat.dev, probe.stat.ino, probe.link.to_owned())
    }

    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<RegularV1, KindError> {
        let first = probes[0];
        refuse_what_only_looks_regular(first)?;
        let is_written = probes.iter().any(|probe| probe.is_writable());
        let open =
            || open::reopen_to_read(first.copy()?).map_err(|errno| KindError::path("open for its contents", first.link.to_owned(), errno));
        let state = capture_path(first.link, first.stat, open, is_written, cx)?;
        let in_memory = |probe: &Probe<'_>| probe.link.starts_with("/dev/shm") && probe.area().is_some_and(|area| area.flags.has("mw"));
        Ok(RegularV1 { in_memory: probes.iter().any(|probe| in_memory(probe)), ..state })
    }

    fn question(&self) -> Question {
        Question::File
    }

    fn facts(&self, state: &RegularV1) -> Option<FileFacts> {
        Some(FileFacts {
            path: state.path.clone(),
            size: state.size,
            inode: state.ino,
            mtime_s: state.mtime.0,
            is_deleted: state.keep == Keep::Deleted,
            is_saved: state.keep != Keep::Reference,
            action: state.action,
        })
    }

    fn difference(&self, state: &RegularV1, path: &Path) -> Option<Difference> {
        state.difference(path)
    }

    fn dispose(&self, state: &mut RegularV1, action: FileAction, path: &Path) -> Result<Disposed, KindError> {
        let mut disposed = Disposed::default();
        match (action, state.keep) {
            (FileAction::Replace | FileAction::Substitute, Keep::Reference) => {
                return Err(KindError::Denied {
                    what: format!("{} cannot be {}d: the context file does not have its contents", path.display(), action.word()),
                    remedy: format!("decide \"{}\" at the checkpoint, too", action.word()),
                });
            }
            (FileAction::Merge | FileAction::Ignore | FileAction::Append, Keep::Saved) => state.keep = Keep::Reference,
            (FileAction::Replace, Keep::Saved | Keep::Deleted) => match state.difference(path) {
                None if state.keep == Keep::Saved && !state.in_memory => {
                    state.keep = Keep::Reference;
                    state.action = FileAction::Merge;
                    return Ok(disposed);
                }
                None => {}
                Some(difference) if difference.is_missing || state.in_memory => {}
                Some(_) => {
                    let text = format!("{} has changed since the checkpoint: the saved contents take its place", path.display());
                    disposed.warnings.push(text);
                }
            },
            _ => {}
        }
        state.action = action;
        // Who says that it is opened as it was takes it as it is.
        state.is_accepted = action == FileAction::Merge;
        disposed.offset = match action {
            FileAction::Ignore => Some(0),
            FileAction::Append => Some(Actor::ours().look(path).map_or(0, |found| u64::try_from(found.size).unwrap_or(0))),
            _ => None,
        };
        Ok(disposed)
    }

    fn plan(&self, state: &RegularV1, (id, _): (ObjectId, &Object), cx: &mut Plan<'_>) -> Result<(), KindError> {
        let path = (cx.path)(&state.path);
        if state.keep != Keep::Reference {
            return if state.takes_place_of_memory() && !cx.is_proof { free_of_writers(&path, cx.actor) } else { Ok(()) };
        }
        let uses = cx.uses[id as usize];
        let found = match cx.actor.look(&path) {
            Err(Errno::ENOENT) if state.is_made_when_missing(uses) => return parent_exists(&path, cx.actor),
            found => found.map_err(|errno| cx.actor.refusal("find", &path, errno))?,
        };
        if found.mode & libc::S_IFMT != libc::S_IFREG {
            let what = format!("it was a regular file and is {} now", name::type_word(found.mode));
            return Err(KindError::Changed { path, what });
        }
        let now = Now::of(&found, state);
        if now.is_untouched(state) {
            return Ok(());
        }
        if uses.is_written && !uses.is_memory {
            let fate = state.fate(id, &found, &cx.snapshot.descriptions, cx.outside);
            return said_of_fate(state, fate, path, now.size, &mut cx.warnings);
        }
        match judge(state, &now, uses, || state.evidence_at(&path, cx.actor)) {
            Some(what) if uses.is_memory => Err(KindError::Changed { path, what }),
            Some(what) if !state.is_made_up(&path, cx.actor) => Err(KindError::OtherInput { path, what }),
            Some(_) | None => Ok(()),
        }
    }

    fn build(&self, state: &RegularV1, (id, _): (ObjectId, &Object), cx: &mut Build<'_>) -> Result<Built, KindError> {
        let path = (cx.path)(&state.path);
        if state.keep == Keep::Reference {
            let is_missing = state.is_made_when_missing(cx.uses[id as usize]) && cx.actor.look(&path) == Err(Errno::ENOENT);
            let made = if is_missing { Some(make(&path, state.mode, cx.actor)?) } else { None };
            let uses = cx.uses[id as usize];
            let found = cx.actor.look(&path).ok().filter(|_| uses.is_written && !uses.is_memory);
            let fate = found.map(|found| state.fate(id, &found, &cx.snapshot.descriptions, cx.outside));
            return Ok(Built { made: made.into_iter().collect(), at_end: matches!(fate, Some(Fate::GoesOn(_))), ..Built::default() });
        }
        let directory = path.parent().unwrap_or(Path::new("/"));
        let (file, made) = match state.action {
            FileAction::Replace => {
                let place = cx.actor.place(&path).map_err(|errno| cx.actor.refusal("make a file beside", &path, errno))?;
                Replaced::prepare(&place)?
            }
            _ => (open::unnamed(cx.actor, directory, state.mode & 0o111 != 0)?, None),
        };
        let size = i64::try_from(state.size).unwrap_or(i64::MAX);
        unistd::ftruncate(&file, size).map_err(|errno| KindError::path("set the length of a copy of", &path, errno))?;
        Ok(Built { descriptors: vec![file], contents: Some(0), made: made.into_iter().collect(), ..Built::default() })
    }

    fn open(&self, state: &RegularV1, built: &Built, description: &Description, cx: &mut Build<'_>) -> Result<Opened, KindError> {
        let path = (cx.path)(&state.path);
        let opened = match built.descriptors.first() {
            None => open::open_path(cx.actor, &path, description.flags, Some((state.dev, state.ino)), &mut cx.warnings)?,
            Some(file) => {
                open::reopen(file.as_fd(), description.flags).map_err(|errno| KindError::path("reopen a copy of", path, errno))?
            }
        };
        Ok(Opened::New(opened))
    }

    fn seeks(&self) -> bool {
        true
    }

    fn settle(&self, state: &RegularV1, built: &Built, _: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<(), KindError> {
        let path = (cx.path)(&state.path);
        match built.descriptors.first() {
            None => Ok(()),
            Some(file) => finish_copy(state, &path, file, cx),
        }
    }

    fn commit(
        &self,
        state: &RegularV1,
        built: &Built,
        (id, _): (ObjectId, &Object),
        cx: &mut Build<'_>,
    ) -> Result<Option<Change>, KindError> {
        let path = (cx.path)(&state.path);
        match built.descriptors.first() {
            None if built.at_end => Ok(None),
            None => Ok(cut(state, &path, id, cx)?.map(Change::Cut)),
            Some(file) if state.action == FileAction::Replace => {
                let place = cx.actor.place(&path).map_err(|errno| cx.actor.refusal("find the directory of", &path, errno))?;
                Ok(Some(Change::Replace(Replacement::new(open::duplicate(file)?, built.made.first().cloned(), place))))
            }
            Some(_) => Ok(None),
        }
    }
}

impl RegularV1 {
    /// Whether the memory of the job takes the place of what is at the path, which others might have in theirs.
    fn takes_place_of_memory(&self) -> bool {
        self.in_memory && self.keep == Keep::Saved && self.action == FileAction::Replace
    }

    /// Whether it goes back to its saved length when the job can write it.
    fn goes_back(&self) -> bool {
        !matches!(self.action, FileAction::Ignore | FileAction::Append)
    }

    /// Whether it may be missing at restart: it is opened as it was at first, or written at its end.
    fn is_made_when_missing(&self, uses: Uses) -> bool {
        self.keep == Keep::Reference && !self.goes_back() && uses.is_written
    }

    /// What becomes of the file, which the job writes, for its length.
    fn fate(&self, id: ObjectId, found: &FileStat, descriptions: &[Description], outside: &Outside) -> Fate {
        if !self.goes_back() {
            return Fate::Stays;
        }
        let (now, inode) = (u64::try_from(found.size).unwrap_or(0), (found.dev, found.ino));
        let writers = Writers::of(descriptions, id, self.size);
        length::decide(self.size, now, writers, outside.is_our_output(inode), || outside.appended_by(inode))
    }

    fn to_read(&self, path: &Path, actor: &Actor) -> Option<fs::File> {
        let open = |flags| actor.open(path, libc::O_RDONLY | flags, Some((self.dev, self.ino)));
        open(libc::O_NOATIME).or_else(|_| open(0)).ok().map(fs::File::from)
    }

    /// What proves that the file at `path` has the saved contents, at least up to the saved length.
    fn evidence_at(&self, path: &Path, actor: &Actor) -> Option<Evidence> {
        Evidence::within(&self.to_read(path, actor)?, self.size)
    }

    fn is_made_up(&self, path: &Path, actor: &Actor) -> bool {
        self.to_read(path, actor).is_some_and(|file| evidence::is_made_up(&file))
    }

    /// How the file at `path` differs from the one that was saved; `None` when it does not.
    fn difference(&self, path: &Path) -> Option<Difference> {
        let Ok(found) = Actor::ours().look(path) else { return Some(Difference { is_missing: true, ..Difference::default() }) };
        let now = Now::of(&found, self);
        if now.is_untouched(self) {
            return None;
        }
        let proof = self.evidence.as_ref().and_then(|_| self.evidence_at(path, &Actor::ours()));
        // Contents of another length are others.
        let other_content = proof.is_some() && proof != self.evidence || now.size != self.size;
        let same_content = now.size == self.size && proof == self.evidence && proof.is_some_and(|proof| proof.is_whole());
        let difference = Difference {
            is_missing: false,
            size: now.size != self.size,
            mtime: now.mtime != self.mtime && !same_content,
            content: other_content,
        };
        Some(difference).filter(|difference| *difference != Difference::default())
    }
}

/// Describes a file by its path, for descriptors as well as for mapped files without one. `open` makes a readable descriptor of it, of its
/// own; it is called only when contents are kept.
pub fn capture_path(
    link: &Path,
    stat: &FileStat,
    open: impl Fn() -> Result<OwnedFd, KindError>,
    is_written: bool,
    cx: &mut Capture,
) -> Result<RegularV1, KindError> {
    let size = u64::try_from(stat.size).unwrap_or(0);
    let action = cx.choice.action;
    let is_saved = matches!(action, FileAction::Replace | FileAction::Substitute);
    let (path, keep) = match Name::of(link, stat) {
        Name::Here(path) | Name::Elsewhere(path) if is_saved => (path, Keep::Saved),
        Name::Here(path) | Name::Elsewhere(path) => (path, Keep::Reference),
        Name::Gone(path) => (path, Keep::Deleted),
    };
    if keep == Keep::Deleted && stat.nlink > 0 {
        cx.warnings.push(format!("{} is kept as a deleted file: its other names are not known and will not follow it", path.display()));
    }
    let mut evidence = None;
    match keep {
        Keep::Deleted => cx.keep_contents(open()?, size),
        Keep::Saved => {
            let file = open()?;
            evidence = file.try_clone().ok().and_then(|file| Evidence::within(&fs::File::from(file), size));
            cx.keep_contents(file, size);
        }
        Keep::Reference if is_written => {}
        Keep::Reference => evidence = Evidence::of(&path),
    }
    let (mtime, owner) = ((stat.mtime_s, stat.mtime_ns), (stat.uid, stat.gid));
    let path = cx.choice.path.take().unwrap_or(path);
    Ok(RegularV1 {
        path,
        keep,
        dev: stat.dev,
        ino: stat.ino,
        size,
        mtime,
        mode: stat.mode,
        owner,
        evidence,
        action,
        is_accepted: false,
        in_memory: false,
    })
}

/// Says what becomes of a file that the job writes, or refuses it.
fn said_of_fate(state: &RegularV1, fate: Fate, path: PathBuf, now: u64, warnings: &mut Vec<String>) -> Result<(), KindError> {
    let name = path.display();
    match fate {
        Fate::Stays => {}
        Fate::Cut(bytes) => {
            warnings.push(format!("{name} goes back to its saved length of {} bytes (was {now}): {bytes} are cut off", state.size));
        }
        Fate::GoesOn(why) => warnings.push(format!("{name} {why}: the job goes on at its end, nothing is cut off")),
        Fate::Short => return Err(KindError::Shorter { path, was: state.size, now }),
    }
    Ok(())
}

/// Puts a file that the job can write back to its saved length.
fn cut(state: &RegularV1, path: &Path, id: ObjectId, cx: &mut Build<'_>) -> Result<Option<Cut>, KindError> {
    let Some(writer) = cx.writer.filter(|_| state.goes_back() && cx.uses[id as usize].is_written) else { return Ok(None) };
    let found = stat::fstat(writer).map_err(|errno| KindError::path("look at", path, errno))?;
    let now = u64::try_from(found.st_size).unwrap_or(0);
    if now < state.size {
        return Err(KindError::Shorter { path: path.to_owned(), was: state.size, now });
    }
    if now == state.size {
        return Ok(None);
    }
    Cut::prepare(cx.actor, path, writer, state.size).map(Some)
}

/// Makes an empty file that the job will write.
fn make(path: &Path, mode: u32, actor: &Arc<Actor>) -> Result<Place, KindError> {
    let place = actor.place(path).map_err(|errno| actor.refusal("make", path, errno))?;
    let made = place.open(libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY, mode & 0o7777);
    made.map(|_| place).map_err(|errno| actor.refusal("make", path, errno))
}

/// Refuses to take memory away under somebody's feet: whoever opens the name from then on would have other memory than those who have it already.
fn free_of_writers(path: &Path, actor: &Actor) -> Result<(), KindError> {
    let Ok(file) = actor.open(path, libc::O_RDONLY | libc::O_NONBLOCK, None) else { return Ok(()) };
    if !descriptor::is_open_to_write(file.as_fd()) {
        return Ok(());
    }
    let user = stat::fstat(&file).ok().and_then(|found| user_of((found.st_dev, found.st_ino), |_| false));
    let name = path.display();
    let remedy = format!(
        "end who uses it; or give the job a copy without a name: --file '{name}=substitute', or the memory as it is: --file '{name}=merge'"
    );
    Err(KindError::Taken { what: format!("the shared memory {name}"), by: user, remedy })
}

fn parent_exists(path: &Path, actor: &Actor) -> Result<(), KindError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    actor.look(directory).map(drop).map_err(|errno| actor.refusal("find the directory", directory, errno))
}

/// Owner, permissions and time of a copy, when nothing is written to it any more.
fn finish_copy(state: &RegularV1, path: &Path, file: &OwnedFd, cx: &mut Build<'_>) -> Result<(), KindError> {
    let now = stat::fstat(file).map_err(|errno| KindError::path("look at a copy of", path, errno))?;
    let may_own = state.keep == Keep::Deleted || cx.actor.may_own(state.owner.0, state.owner.1);
    if (now.st_uid, now.st_gid) != state.owner && !may_own {
        let (uid, owner, path) = (now.st_uid, state.owner.0, path.display());
        cx.warnings.push(format!("{path} belongs to user {uid} now: the job may not give it back to user {owner}"));
    } else if (now.st_uid, now.st_gid) != state.owner {
        let (uid, gid) = (Uid::from_raw(state.owner.0), Gid::from_raw(state.owner.1));
        if let Err(errno) = unistd::fchown(file, Some(uid), Some(gid)) {
            let (uid, path) = (now.st_uid, path.display());
            cx.warnings.push(format!("the deleted file {path} belongs to user {uid} now: {}", errno.desc()));
        }
    }
    let mode = Mode::from_bits_truncate(state.mode & 0o7777);
    stat::fchmod(file, mode).map_err(|errno| KindError::path("set the permissions of a copy of", path, errno))?;
    let mtime = TimeSpec::new(state.mtime.0, state.mtime.1);
    stat::futimens(file, &TimeSpec::UTIME_OMIT, &mtime).map_err(|errno| KindError::path("set the time of a copy of", path, errno))
}

#[cfg(test)]
#[path = "regular_test.rs"]
mod test;
