//! What leads to objects: descriptors, areas, programs, and descriptors that wait in the queues of other objects.
//!
//! Relies on frozen processes. Everything is found before anything is captured, so that a kind sees all that leads to an object; a kind that
//! finds descriptors in a queue adds them, until nothing is new.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

use super::Seen;
use crate::error::{At, Failure, Stage};
use crate::proc::{Fdinfo, FileStat, MapEntry, ProcDir, ProcError};
use crate::resource::{AnyFileKind, KindError, Probe};
use crate::sys::{Errno, process};

/// One thing that leads to an object.
pub struct Found {
    /// Position of the process.
    pub seen: usize,
    /// Where it leads, as `/proc` shows it.
    pub link: PathBuf,
    /// stat(2) of that.
    pub stat: FileStat,
    /// Flags and offset; of an area only whether it can write.
    pub info: Fdinfo,
    /// How it leads there.
    pub by: By,
}

/// How something leads to an object.
pub enum By {
    /// A descriptor, by its number; it stands for all that share its description.
    Descriptor(i32),
    /// An area, by its position in the maps of its process.
    Area(usize),
    /// The program of a process.
    Program,
    /// A descriptor in the queue of another object, as our own copy.
    Queue(OwnedFd),
    /// A process knows it by a number.
    Number(i32),
}

impl Found {
    /// Whether it is an open file description rather than a mapping.
    pub fn is_description(&self) -> bool {
        matches!(self.by, By::Descriptor(_) | By::Queue(_))
    }

    /// What a kind is shown of it.
    pub fn probe<'a>(&'a self, seen: &'a [Seen]) -> Probe<'a> {
        let one = &seen[self.seen];
        let pid = one.dir.pid();
        match &self.by {
            By::Descriptor(fd) => {
                let pidfd = one.pidfd.as_ref().expect("a process with descriptors has a pidfd");
                Probe::new(one.pid, *fd, &self.link, &self.stat, &self.info, pidfd)
            }
            By::Queue(copy) => Probe::queued(one.pid, &self.link, &self.stat, &self.info, copy.as_fd()),
            By::Area(index) => {
                let entry = &one.maps[*index];
                let open = move || open_mapped(pid, &entry.map_file(), self);
                Probe::mapped(pid, &self.link, &self.stat, &self.info, Some(entry), Box::new(open))
            }
            By::Number(pid) => Probe::named(*pid, &self.link, &self.stat, &self.info),
            By::Program => {
                let open = move || open_mapped(pid, "exe", self);
                Probe::mapped(pid, &self.link, &self.stat, &self.info, None, Box::new(open))
            }
        }
    }
}

/// The file behind a mapping, for reading: through `map_files`, which needs CAP_CHECKPOINT_RESTORE, else by its path.
fn open_mapped(pid: i32, name: &str, found: &Found) -> Result<OwnedFd, KindError> {
    let link = PathBuf::from(format!("/proc/{pid}/{name}"));
    let opened = std::fs::File::open(&link).or_else(|_| std::fs::File::open(&found.link));
    opened.map(OwnedFd::from).map_err(|error| {
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
        KindError::path("open the mapped file", &found.link, errno)
    })
}

/// For what descriptions lead to queues: the descriptions in them, by position.
pub type Queued = HashMap<usize, Vec<usize>>;

/// Asks kinds what waits in the queues of their objects, until nothing is new.
pub fn discover(
    seen: &[Seen],
    found: &mut Vec<Found>,
    claim: impl Fn(&Probe<'_>) -> Option<&'static dyn AnyFileKind>,
) -> Result<Queued, Failure> {
    let mut queued = Queued::new();
    let mut next = 0;
    while next < found.len() {
        let probe = found[next].probe(seen);
        let copies = claim(&probe).map_or(Ok(Vec::new()), |kind| kind.discover(&probe)).at(Stage::Survey)?;
        drop(probe);
        for copy in copies {
            let position = match known(seen, found, &copy).at(Stage::Survey)? {
                Some(position) => position,
                None => {
                    found.push(look(found[next].seen, copy).at(Stage::Survey)?);
                    found.len() - 1
                }
            };
            queued.entry(next).or_default().push(position);
        }
        next += 1;
    }
    Ok(queued)
}

/// The description that has been found already and that `copy` shares.
fn known(seen: &[Seen], found: &[Found], copy: &OwnedFd) -> Result<Option<usize>, KindError> {
    let own = (std::process::id().cast_signed(), copy.as_raw_fd());
    let stat = nix::sys::stat::fstat(copy).map_err(|errno| KindError::host("look at a descriptor in a queue", errno))?;
    for (position, one) in found.iter().enumerate().filter(|(_, one)| (one.stat.dev, one.stat.ino) == (stat.st_dev, stat.st_ino)) {
        let other = match &one.by {
            By::Descriptor(fd) => (seen[one.seen].dir.pid(), *fd),
            By::Queue(copy) => (own.0, copy.as_raw_fd()),
            By::Area(_) | By::Program | By::Number(_) => continue,
        };
        let order = process::compare_descriptions(own, other);
        if order.map_err(|errno| KindError::host("compare descriptors", errno))?.is_eq() {
            return Ok(Some(position));
        }
    }
    Ok(None)
}

/// Looks at a descriptor from a queue through our copy of it.
fn look(seen: usize, copy: OwnedFd) -> Result<Found, ProcError> {
    let own = ProcDir::open(std::process::id().cast_signed())?;
    let name = format!("fd/{}", copy.as_raw_fd());
    let (link, stat, info) = (own.link(&name)?, own.stat_link(&name)?, own.fdinfo(copy.as_raw_fd())?);
    Ok(Found { seen, link: link.into(), stat, info, by: By::Queue(copy) })
}

/// What stat(2) shows of memory without a name, as far as anybody needs to know.
pub fn stat_of_memory(entry: &MapEntry) -> FileStat {
    FileStat { dev: entry.device.to_dev_t(), ino: entry.inode, ..FileStat::default() }
}
