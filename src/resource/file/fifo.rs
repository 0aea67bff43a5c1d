//! FIFOs with a name.
//!
//! **Kept:** path, permissions, capacity, flags of each description, and the data in flight when the job holds a reading end.
//! **Lost:** data in flight that only a reader outside the job could have read; other processes must open the FIFO again themselves.
//! **Refused:** at restart, a path that leads to something else.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::stat::{self, Mode};
use serde::{Deserialize, Serialize};

use super::flight::Flight;
use super::name::{self, Name};
use super::open;
use crate::image::{Description, Object, ObjectId, Tag};
use crate::proc::FileStat;
use crate::resource::actor::{Actor, Place};
use crate::resource::{Build, Built, Capture, FileKind, KindError, Opened, Plan, Probe};
use crate::sys::{Errno, descriptor};

/// FIFOs with a name.
pub struct Fifo;

/// A FIFO.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FifoV1 {
    /// Its path, or the one it had.
    #[serde(with = "crate::image::path")]
    pub path: PathBuf,
    /// Whether its name is gone.
    pub is_deleted: bool,
    /// Type and permissions.
    pub mode: u32,
    /// What is in it.
    pub flight: Flight,
    /// Device it is on.
    #[serde(default)]
    pub dev: u64,
    /// Inode number.
    #[serde(default)]
    pub ino: u64,
}

impl FileKind for Fifo {
    type State = FifoV1;
    const TAG: Tag = Tag::new("fifo", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        probe.file_type() == libc::S_IFIFO && probe.link.is_absolute()
    }

    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<FifoV1, KindError> {
        let (link, stat) = (probes[0].link, probes[0].stat);
        let (path, is_deleted) = match Name::of(link, stat) {
            Name::Here(path) | Name::Elsewhere(path) => (path, false),
            Name::Gone(path) => (path, true),
        };
        let is_packets = probes.iter().any(|probe| probe.info.flags & libc::O_DIRECT != 0);
        let flight = match probes.iter().find(|probe| probe.is_readable()) {
            Some(reader) => {
                Flight::capture(reader.copy()?, is_packets).map_err(|errno| KindError::path("copy the data in flight of", &path, errno))?
            }
            None => {
                let copy = probes[0].copy()?;
                if let bytes @ 1.. = descriptor::readable_bytes(copy).unwrap_or(0) {
                    cx.warnings.push(format!("{bytes} bytes in {}, which nobody of the job reads, are not kept", path.display()));
                }
                Flight { capacity: descriptor::pipe_capacity(copy).unwrap_or(0), ..Flight::default() }
            }
        };
        Ok(FifoV1 { path, is_deleted, mode: stat.mode, flight, dev: stat.dev, ino: stat.ino })
    }

    fn plan(&self, state: &FifoV1, _: (ObjectId, &Object), cx: &mut Plan<'_>) -> Result<(), KindError> {
        let path = (cx.path)(&state.path);
        if state.is_deleted {
            return Ok(());
        }
        match cx.actor.look(&path) {
            Ok(found) => check_type(&path, &found),
            // It is made again, if its directory is there.
            Err(Errno::ENOENT) => {
                let directory = path.parent().unwrap_or(Path::new("/"));
                let found = cx.actor.look(directory);
                found.map(drop).map_err(|errno| cx.actor.refusal("find the directory of a FIFO,", directory, errno))
            }
            Err(errno) => Err(cx.actor.refusal("find the FIFO", path, errno)),
        }
    }

    fn build(&self, state: &FifoV1, _: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<Built, KindError> {
        let path = (cx.path)(&state.path);
        let pinned = if state.is_deleted { nameless(cx.actor, &path)? } else { named(cx.actor, &path, state)? };
        // Both ends, so that no open waits. It writes nothing that the job could not write.
        let keeper = open::reopen(pinned.fd.as_fd(), libc::O_RDWR | libc::O_NONBLOCK)
            .map_err(|errno| cx.actor.refusal("open the FIFO", &path, errno))?;
        let to_fill = || may_write(cx.actor, &pinned, &path, state).map_err(|errno| cx.actor.refusal("fill the FIFO", &path, errno));
        if !state.flight.is_empty() {
            to_fill()?;
        }
        fill(state, &path, &keeper, cx)?;
        Ok(Built { descriptors: vec![keeper, pinned.fd], contents: None, made: pinned.made.into_iter().collect(), ..Built::default() })
    }

    fn open(&self, state: &FifoV1, built: &Built, description: &Description, cx: &mut Build<'_>) -> Result<Opened, KindError> {
        // The keeper counts as a reader and a writer, so that no open waits for the other end.
        let pinned = built.descriptors[1].as_fd();
        let opened = match open::reopen_as(cx.actor, pinned, description.flags) {
            Err(Errno::EACCES) => cx.actor.open(&(cx.path)(&state.path), description.flags, Some((state.dev, state.ino))),
            opened => opened,
        };
        opened.map(Opened::New).map_err(|errno| cx.actor.refusal("open the FIFO", &state.path, errno))
    }
}

/// A FIFO that is held without being open, and its name if it had to be made.
struct Pinned {
    fd: OwnedFd,
    made: Option<Place>,
}

fn check_type(path: &Path, found: &FileStat) -> Result<(), KindError> {
    if found.mode & libc::S_IFMT == libc::S_IFIFO {
        return Ok(());
    }
    let what = format!("it was a FIFO and is {} now", name::type_word(found.mode));
    Err(KindError::Changed { path: path.to_owned(), what })
}

/// Holds the FIFO; makes it first if it is missing.
fn named(actor: &Arc<Actor>, path: &Path, state: &FifoV1) -> Result<Pinned, KindError> {
    let refused = |errno| actor.refusal("open the FIFO", path, errno);
    let (fd, made) = match actor.open(path, libc::O_PATH | libc::O_NOFOLLOW, Some((state.dev, state.ino))) {
        Err(Errno::ENOENT) => {
            let made = make(&actor.place(path).map_err(refused)?, state.mode)?;
            (made.open(libc::O_PATH | libc::O_NOFOLLOW, 0).map_err(refused)?, Some(made))
        }
        found => (found.map_err(refused)?, None),
    };
    let found = stat::fstat(&fd).map_err(|errno| KindError::path("look at the FIFO", path, errno))?;
    check_type(path, &FileStat::from(found))?;
    Ok(Pinned { fd, made })
}

/// Makes a FIFO; apart from mkfifo(3), so that the umask has no say.
fn make(place: &Place, mode: u32) -> Result<Place, KindError> {
    place.make_fifo(0o600).map_err(|errno| place.refusal("make the FIFO", errno))?;
    let file = place.open(libc::O_RDWR | libc::O_NONBLOCK, 0);
    let _unchanged = file.map(|file| stat::fchmod(&file, Mode::from_bits_truncate(mode & 0o7777)));
    Ok(place.clone())
}

/// A FIFO whose name is gone again: beside its old place, or in /tmp.
fn nameless(actor: &Arc<Actor>, path: &Path) -> Result<Pinned, KindError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let try_in = |directory: &Path| {
        let spare = actor.place(&open::spare_name(directory))?;
        spare.make_fifo(0o600)?;
        let pinned = spare.open(libc::O_PATH | libc::O_NOFOLLOW, 0);
        let removed = spare.remove();
        pinned.and_then(|fd| removed.map(|()| Pinned { fd, made: None }))
    };
    let made = try_in(directory).or_else(|_| try_in(Path::new("/tmp")));
    made.map_err(|errno| actor.refusal("make a FIFO in", directory, errno))
}

/// Whether the job may write into it, or once might and it is the same. Data that we put into somebody else's FIFO would be commands.
fn may_write(actor: &Actor, pinned: &Pinned, path: &Path, state: &FifoV1) -> Result<(), Errno> {
    let flags = libc::O_RDWR | libc::O_NONBLOCK;
    let by_the_job = actor.reopen(pinned.fd.as_fd(), libc::O_WRONLY | libc::O_NONBLOCK);
    by_the_job.or_else(|_| actor.open(path, flags, Some((state.dev, state.ino)))).map(drop)
}

/// Puts back what was in it, unless somebody else's data is there.
fn fill(state: &FifoV1, path: &Path, keeper: &OwnedFd, cx: &mut Build<'_>) -> Result<(), KindError> {
    let held = descriptor::readable_bytes(keeper.as_fd()).unwrap_or(0);
    if held > 0 && !state.flight.is_empty() {
        let (path, saved) = (path.display(), state.flight.data.len());
        cx.warnings.push(format!("{path} holds {held} bytes of somebody else: the {saved} saved bytes are not put back"));
    }
    let host = |errno| KindError::path("fill the FIFO", path, errno);
    if state.flight.capacity > 0
        && let Some(capacity) = state.flight.restore(keeper.as_fd(), held == 0).map_err(host)?
    {
        cx.warnings.push(format!("{} holds {capacity} bytes at most instead of {}", path.display(), state.flight.capacity));
    }
    Ok(())
}

#[cfg(test)]
mod test {
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

    use nix::unistd;

    use super::super::test::{Round, with_plan};
    use super::*;

    fn fifo(directory: &Path) -> (PathBuf, File, File) {
        let path = directory.join("fifo");
        unistd::mkfifo(&path, Mode::from_bits_truncate(0o640)).unwrap();
        let reader = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
        let writer = File::options().write(true).open(&path).unwrap();
        unistd::write(&writer, b"in flight").unwrap();
        (path, reader, writer)
    }

    fn check_flight(round: Round<'_, Fifo>) {
        let (reader, writer) = (round.open(0), round.open(1));
        drop(round);
        unistd::write(&writer, b"!").unwrap();
        drop(writer);
        let mut text = [0; 20];
        assert_eq!(unistd::read(&reader, &mut text), Ok(10));
        assert_eq!(&text[..10], b"in flight!");
        assert_eq!(unistd::read(&reader, &mut text), Ok(0), "no writer is left");
    }

    #[test]
    fn a_missing_one_is_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let (path, reader, writer) = fifo(directory.path());
        let capture = Round::capture(&Fifo, &[&reader, &writer]);
        drop((reader, writer));
        fs::remove_file(&path).unwrap();
        let round = capture.build();
        assert_eq!(round.built.made[0].path(), path);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        check_flight(round);
    }

    #[test]
    fn a_deleted_one_stays_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let (path, reader, writer) = fifo(directory.path());
        fs::remove_file(&path).unwrap();
        check_flight(Round::of(&Fifo, &[&reader, &writer]));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn data_of_somebody_else_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (_, reader, writer) = fifo(directory.path());
        let round = Round::of(&Fifo, &[&reader, &writer]);
        assert_eq!(descriptor::readable_bytes(reader.as_fd()), Ok(9));
        assert!(round.warnings[0].ends_with("holds 9 bytes of somebody else: the 9 saved bytes are not put back"));
    }

    #[test]
    fn another_file_in_its_place_is_refused() {
        let place = tempfile::NamedTempFile::new().unwrap();
        let state = FifoV1 { path: place.path().to_owned(), is_deleted: false, mode: 0, flight: Flight::default(), dev: 0, ino: 0 };
        assert!(with_plan(&Fifo, &state).0.unwrap().ends_with("it was a FIFO and is a regular file now"));
        let state = FifoV1 { path: "/no/such/fifo".into(), ..state };
        assert_eq!(with_plan(&Fifo, &state).0.unwrap(), "cannot find the directory of a FIFO, /no/such");
    }
}
