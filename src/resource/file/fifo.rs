//! FIFOs with a name.
//!
//! **Kept:** path, permissions, capacity, flags of each description, and the data in flight when the job holds a reading end.
//! **Lost:** data in flight that only a reader outside the job could have read; other processes must open the FIFO again themselves.
//! **Refused:** at restart, a path that leads to something else.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{self, Mode};
use nix::unistd;
use serde::{Deserialize, Serialize};

use super::flight::Flight;
use super::name::{self, Name};
use super::open;
use crate::image::{Description, Object, ObjectId, Tag};
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
        Ok(FifoV1 { path, is_deleted, mode: stat.mode, flight })
    }

    fn plan(&self, state: &FifoV1, _: (ObjectId, &Object), cx: &mut Plan<'_>) -> Result<(), KindError> {
        let path = (cx.path)(&state.path);
        if state.is_deleted {
            return Ok(());
        }
        match fs::metadata(&path) {
            Ok(found) if found.file_type().is_fifo() => Ok(()),
            Ok(found) => {
                let what = format!("it was a FIFO and is {} now", name::type_word(found.mode()));
                Err(KindError::Changed { path, what })
            }
            // It is made again, if its directory is there.
            Err(_) => {
                let directory = path.parent().unwrap_or(Path::new("/"));
                fs::metadata(directory).map(drop).map_err(|error| {
                    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
                    KindError::path("find the directory of a FIFO,", directory, errno)
                })
            }
        }
    }

    fn build(&self, state: &FifoV1, _: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<Built, KindError> {
        let path = (cx.path)(&state.path);
        let (keeper, made) = if state.is_deleted { (nameless(&path)?, vec![]) } else { named(&path, state.mode)? };
        // Whoever else has it open now may have put something in.
        let held = descriptor::readable_bytes(keeper.as_fd()).unwrap_or(0);
        if held > 0 && !state.flight.is_empty() {
            let (path, saved) = (path.display(), state.flight.data.len());
            cx.warnings.push(format!("{path} holds {held} bytes of somebody else: the {saved} saved bytes are not put back"));
        }
        let host = |errno| KindError::path("fill the FIFO", &path, errno);
        if state.flight.capacity > 0
            && let Some(capacity) = state.flight.restore(keeper.as_fd(), held == 0).map_err(host)?
        {
            cx.warnings.push(format!("{} holds {capacity} bytes at most instead of {}", path.display(), state.flight.capacity));
        }
        Ok(Built { descriptors: vec![keeper], contents: None, made })
    }

    fn open(&self, state: &FifoV1, built: &Built, description: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        // The keeper counts as a reader and a writer, so that no open waits for the other end.
        open::reopen(built.descriptors[0].as_fd(), description.flags)
            .map(Opened::New)
            .map_err(|errno| KindError::path("open the FIFO", &state.path, errno))
    }
}

/// Opens the FIFO both ways, which never waits; makes it first if it is missing.
fn named(path: &Path, mode: u32) -> Result<(OwnedFd, Vec<PathBuf>), KindError> {
    let made = match unistd::mkfifo(path, Mode::from_bits_truncate(0o600)) {
        Err(Errno::EEXIST) => return Ok((keeper(path)?, vec![])),
        result => result.map(|()| vec![path.to_owned()]),
    };
    let made = made.map_err(|errno| KindError::path("make the FIFO", path, errno))?;
    let keeper = keeper(path).inspect_err(|_| drop(fs::remove_file(path)))?;
    // Apart from mkfifo(3), so that the umask has no say.
    let _unchanged = stat::fchmod(&keeper, Mode::from_bits_truncate(mode & 0o7777));
    Ok((keeper, made))
}

/// A FIFO whose name is gone again: beside its old place, or in /tmp.
fn nameless(path: &Path) -> Result<OwnedFd, KindError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut result = Err(KindError::path("make a FIFO in", directory, Errno::ENOENT));
    for directory in [directory, Path::new("/tmp")] {
        let spare = open::spare_name(directory);
        result = unistd::mkfifo(&spare, Mode::from_bits_truncate(0o600))
            .map_err(|errno| KindError::path("make a FIFO in", directory, errno))
            .and_then(|()| keeper(&spare));
        let _missing = fs::remove_file(&spare);
        if result.is_ok() {
            break;
        }
    }
    result
}

fn keeper(path: &Path) -> Result<OwnedFd, KindError> {
    open::open_path(path, libc::O_RDWR | libc::O_NONBLOCK, &mut vec![])
}

#[cfg(test)]
mod test {
    use std::fs::File;
    use std::os::unix::fs::OpenOptionsExt;

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
        assert_eq!(round.built.made, std::slice::from_ref(&path));
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
        let state = FifoV1 { path: place.path().to_owned(), is_deleted: false, mode: 0, flight: Flight::default() };
        assert!(with_plan(&Fifo, &state).0.unwrap().ends_with("it was a FIFO and is a regular file now"));
        let state = FifoV1 { path: "/no/such/fifo".into(), ..state };
        assert_eq!(with_plan(&Fifo, &state).0.unwrap(), "cannot find the directory of a FIFO, /no/such");
    }
}
