//! Names of Unix sockets: the string that was given to bind(2), and the node that it made in a file system.
//!
//! The string is kept as it was given, whatever has become of the node since; so it is bound where nothing is in the way, in directories of
//! our own that look like those of the string, and the node is renamed to where it was, or removed. Relies on `persona` for changing into
//! such a directory, or into a root of our own for an absolute string. Acts by path with the rights of the job.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirEntryExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use nix::sys::stat::{Mode, fchmod};
use serde::{Deserialize, Serialize};

use super::name::type_word;
use super::unix_socket;
use crate::proc::FileStat;
use crate::resource::actor::{Actor, Place};
use crate::resource::{Facts, KindError, Plan, Probe};
use crate::sys::diag::{self, Diag};
use crate::sys::persona::{self, Persona, Refused};
use crate::sys::{Errno, socket};

/// A name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// What was given to bind(2), without the family; it begins with 0 when it is abstract.
    #[serde(with = "serde_bytes")]
    pub string: Vec<u8>,
    /// Where its node is, or was; none without one.
    #[serde(default)]
    pub node: Option<Node>,
    /// Others have the same: it was accepted, and has its name from the one that listens.
    #[serde(default)]
    pub is_shared: bool,
}

/// The node of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its path, if it is there.
    #[serde(with = "crate::image::path")]
    pub path: PathBuf,
    /// It is not there any more: removed, replaced, or nobody can tell where.
    pub is_gone: bool,
    /// Type and permissions.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// A socket that has its name again.
pub struct Rebound {
    /// Its node, held with O_PATH: whoever connects by it reaches the socket, wherever the node is. None for an abstract name.
    pub node: Option<OwnedFd>,
    /// The node's place, if it stands there.
    pub made: Option<Place>,
}

impl Bound {
    /// The name of a socket of the job; none without one.
    pub fn of(probe: &Probe<'_>, shown: &diag::UnixSocket, facts: &Facts) -> Result<Option<Bound>, KindError> {
        if shown.name.is_empty() {
            return Ok(None);
        }
        // Nobody reaches a connection by its name: the node is that of the one that listens, or leads nowhere.
        if shown.kind != libc::SOCK_DGRAM && shown.state == diag::ESTABLISHED {
            let is_same = |one: &diag::UnixSocket| one.name == shown.name && one.inode != shown.inode;
            let is_shared = unix_socket::all(facts)?.iter().any(is_same);
            return Ok(Bound::gone(&shown.name).map(|name| Bound { is_shared, ..name }));
        }
        let node = shown.node.map(|numbers| Node::of(probe, &shown.name, numbers)).transpose()?;
        Ok(Some(Bound { string: shown.name.clone(), node, is_shared: false }))
    }

    /// The name of a socket that is gone, or was accepted: no node of it stands anywhere.
    pub fn gone(string: &[u8]) -> Option<Bound> {
        let has_node = string.first().is_some_and(|first| *first != 0);
        let node = has_node.then(Node::gone);
        (!string.is_empty()).then(|| Bound { string: string.to_vec(), node, is_shared: false })
    }

    /// The string for people.
    pub fn text(&self) -> String {
        match self.string.split_first() {
            Some((0, rest)) => format!("@{}", String::from_utf8_lossy(rest)),
            _ => self.path().display().to_string(),
        }
    }

    /// The string as a path.
    fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.string.split(|byte| *byte == 0).next().unwrap_or_default()))
    }

    /// The string as an address.
    pub fn address(&self) -> Vec<u8> {
        address(&self.string)
    }

    /// What can be known to be in its way.
    pub fn plan(&self, cx: &Plan<'_>) -> Result<(), KindError> {
        let Some(node) = self.node.as_ref().filter(|node| !node.is_gone) else { return Ok(()) };
        let path = (cx.path)(&node.path);
        match cx.actor.look(&path) {
            Ok(found) => check_type(&path, &found),
            Err(Errno::ENOENT) => {
                let directory = path.parent().unwrap_or(Path::new("/"));
                let found = cx.actor.look(directory);
                found.map(drop).map_err(|errno| cx.actor.refusal("find the directory of a socket,", directory, errno))
            }
            Err(errno) => Err(cx.actor.refusal("find the socket", path, errno)),
        }
    }
}

/// `struct sockaddr_un` with this name.
pub fn address(string: &[u8]) -> Vec<u8> {
    [&[u8::try_from(libc::AF_UNIX).unwrap_or(0), 0], string].concat()
}

/// The address by which a held node is reached.
pub fn address_of_node(node: BorrowedFd<'_>) -> Vec<u8> {
    address(format!("/proc/self/fd/{}\0", node.as_raw_fd()).as_bytes())
}

fn check_type(path: &Path, found: &FileStat) -> Result<(), KindError> {
    if found.mode & libc::S_IFMT == libc::S_IFSOCK {
        return Ok(());
    }
    let what = format!("it was a socket and is {} now", type_word(found.mode));
    Err(KindError::Changed { path: path.to_owned(), what })
}

impl Node {
    /// One that nobody can reach.
    fn gone() -> Node {
        Node { is_gone: true, mode: libc::S_IFSOCK | 0o777, ..Node::default() }
    }

    /// Finds it: the kernel tells root; others look where it should be, and beside that, and compare.
    fn of(probe: &Probe<'_>, string: &[u8], (inode, device): (u32, u32)) -> Result<Node, KindError> {
        let is_same = |stat: &FileStat| {
            let numbers = libc::makedev(device >> 20, device & 0xf_ffff);
            stat.ino & 0xffff_ffff == u64::from(inode) && stat.dev == numbers
        };
        let string = Path::new(OsStr::from_bytes(string.split(|byte| *byte == 0).next().unwrap_or_default()));
        let cwd = std::fs::read_link(format!("/proc/{}/cwd", probe.pid)).unwrap_or_default();
        let likely = resolved(&cwd.join(string));
        let held = socket::node(probe.copy()?).ok().map(|held| link_of(&held));
        let look = |path: PathBuf| {
            let stat = nix::sys::stat::lstat(&path).ok().map(FileStat::from).filter(is_same)?;
            Some(Node { path, is_gone: false, mode: stat.mode, uid: stat.uid, gid: stat.gid })
        };
        let found = held.into_iter().chain([likely.clone()]).find_map(look);
        // It may have been renamed, or bound before the working directory was another.
        let beside = || {
            let directories = likely.parent().into_iter().chain([cwd.as_path()]);
            let entries = directories.filter_map(|directory| std::fs::read_dir(directory).ok()).flatten().flatten();
            let mut same = entries.filter(|entry| entry.ino() & 0xffff_ffff == u64::from(inode));
            same.find_map(|entry| look(entry.path()))
        };
        Ok(found.or_else(beside).unwrap_or_else(Node::gone))
    }
}

/// The path of a held file, without what the kernel says of a removed one.
fn link_of(held: &OwnedFd) -> PathBuf {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", held.as_raw_fd())).unwrap_or_default();
    if std::fs::symlink_metadata(&link).is_ok() {
        return link;
    }
    let bytes = link.as_os_str().as_bytes();
    bytes.strip_suffix(b" (deleted)").map_or(link.clone(), |bytes| PathBuf::from(OsStr::from_bytes(bytes)))
}

/// A path whose directory has no links in it.
fn resolved(path: &Path) -> PathBuf {
    let directory = path.parent().and_then(|directory| std::fs::canonicalize(directory).ok());
    match (directory, path.file_name()) {
        (Some(directory), Some(name)) => directory.join(name),
        _ => path.to_owned(),
    }
}

/// Gives a socket its name, with its node at a path.
pub fn bind(fd: BorrowedFd<'_>, bound: &Bound, at: &Path, actor: &Arc<Actor>) -> Result<Rebound, KindError> {
    let Some(node) = &bound.node else {
        return match socket::bind(fd, &bound.address()) {
            Ok(()) => Ok(Rebound { node: None, made: None }),
            Err(Errno::EADDRINUSE) => Err(taken(bound, None)),
            Err(errno) => Err(KindError::host(format!("bind a socket to {}", bound.text()), errno)),
        };
    };
    let host = |attempt: &str, errno| actor.refusal(attempt, at, errno);
    let gone = node.is_gone.then(|| actor.place(Path::new("/tmp/x")));
    let place = gone.unwrap_or_else(|| actor.place(at)).map_err(|errno| host("find the directory of the socket", errno))?;
    if !node.is_gone {
        check_free(&place, bound)?;
    }
    let tree = Tree::make(&place, bound.path()).map_err(|errno| host("make a directory beside the socket", errno))?;
    let held = tree.bind(fd, bound, node).map_err(|errno| host("bind a socket in place of", errno))?;
    // Only root may give a node away; it was ours, or the job could not have been restarted.
    if !node.is_gone
        && let Err(errno) =
            nix::unistd::fchownat(&held, "", Some(node.uid.into()), Some(node.gid.into()), nix::fcntl::AtFlags::AT_EMPTY_PATH)
        && nix::unistd::geteuid().is_root()
    {
        return Err(host("give away the socket", errno));
    }
    let made = if node.is_gone {
        None
    } else {
        tree.node().and_then(|from| from.rename(&place, 0)).map_err(|errno| host("rename the socket to", errno))?;
        Some(place)
    };
    Ok(Rebound { node: Some(held), made })
}

/// Whether nobody uses the node that stands there: one that a killed job has left is nobody's.
fn check_free(place: &Place, bound: &Bound) -> Result<(), KindError> {
    let found = match place.look() {
        Err(Errno::ENOENT) => return Ok(()),
        found => found.map_err(|errno| place.refusal("look at the socket", errno))?,
    };
    check_type(place.path(), &found)?;
    let device = libc::major(found.dev) << 20 | libc::minor(found.dev);
    let all = Diag::open().and_then(|diag| diag.all_unix()).map_err(|errno| KindError::host("look for users of a socket", errno))?;
    let is_used = all.iter().any(|one| one.node.is_some_and(|node| (u64::from(node.0), node.1) == (found.ino & 0xffff_ffff, device)));
    if is_used { Err(taken(bound, Some(place.path()))) } else { Ok(()) }
}

fn taken(bound: &Bound, path: Option<&Path>) -> KindError {
    let what = format!("the socket name {}", path.map_or_else(|| bound.text(), |path| path.display().to_string()));
    KindError::Taken { what, by: None, remedy: "end the process that uses it".into() }
}

/// Directories in which a name can be bound. They go when this is dropped.
struct Tree {
    /// The directory for whoever binds: his working directory, or his root.
    from: OwnedFd,
    is_root: bool,
    /// Everything that was made, the first first.
    made: Vec<Place>,
    /// The directory in which the node will be.
    parent: OwnedFd,
    name: PathBuf,
    base: Place,
}

impl Tree {
    fn make(beside: &Place, string: &Path) -> Result<Tree, Errno> {
        let base = beside.spare();
        let name = PathBuf::from(string.file_name().ok_or(Errno::EINVAL)?);
        let mut tree = Tree {
            from: open_made(&base, 0o700)?,
            is_root: string.is_absolute(),
            made: vec![base.clone()],
            parent: open_dir(&base)?,
            name,
            base,
        };
        let mut directories = vec![open_dir(&tree.base)?];
        // Going up must be possible.
        let is_up = |component: &Component<'_>| *component == Component::ParentDir && string.is_relative();
        for _ in string.components().filter(is_up) {
            tree.enter(&mut directories, Path::new(".reprise-up"))?;
        }
        if let Some(last) = directories.last() {
            tree.from = last.try_clone().map_err(|_| Errno::EMFILE)?;
        }
        for component in string.parent().into_iter().flat_map(Path::components) {
            match component {
                Component::ParentDir if directories.len() > 1 => drop(directories.pop()),
                Component::Normal(name) => tree.enter(&mut directories, Path::new(name))?,
                _ => {}
            }
        }
        tree.parent = directories.pop().ok_or(Errno::EINVAL)?;
        Ok(tree)
    }

    fn enter(&mut self, directories: &mut Vec<OwnedFd>, name: &Path) -> Result<(), Errno> {
        let last = directories.last().ok_or(Errno::EINVAL)?;
        let place = self.base.within(last.try_clone().map_err(|_| Errno::EMFILE)?, name)?;
        match place.make_directory(0o700) {
            Ok(()) => self.made.push(place.clone()),
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno),
        }
        directories.push(open_dir(&place)?);
        Ok(())
    }

    /// The node.
    fn node(&self) -> Result<Place, Errno> {
        self.base.within(self.parent.try_clone().map_err(|_| Errno::EMFILE)?, &self.name)
    }

    /// Binds a socket, and holds its node.
    fn bind(&self, fd: BorrowedFd<'_>, bound: &Bound, node: &Node) -> Result<OwnedFd, Errno> {
        let own = nix::sys::stat::fstat(fd)?.st_mode;
        let mode = |bits: u32| Mode::from_bits_truncate(bits & 0o7777);
        // A node begins with the permissions of its socket.
        fchmod(fd, mode(node.mode))?;
        let place = Some(persona::Place { directory: self.from.as_raw_fd(), is_root: self.is_root });
        let address = bound.address();
        let made = persona::act(&Persona { place, ..Persona::default() }, || socket::bind(fd, &address).map(|()| [-1; 2]));
        let result = made.map_err(|refused| match refused {
            Refused::Birth(errno) | Refused::Identity(errno) | Refused::Call(errno) => errno,
        });
        fchmod(fd, mode(own))?;
        result?;
        let held = self.node()?.open(libc::O_PATH | libc::O_NOFOLLOW, 0)?;
        let (found, shown) = (nix::sys::stat::fstat(&held)?, Diag::open()?.unix(nix::sys::stat::fstat(fd)?.st_ino)?);
        // Nobody must have put another in its place.
        if shown.node.is_none_or(|node| u64::from(node.0) != found.st_ino & 0xffff_ffff) {
            return Err(Errno::ESTALE);
        }
        Ok(held)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // What has been renamed is not there any more.
        let _gone = self.node().and_then(|node| node.remove());
        for place in self.made.iter().rev() {
            let _left = place.remove_directory();
        }
    }
}

fn open_dir(place: &Place) -> Result<OwnedFd, Errno> {
    place.open(libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0)
}

fn open_made(place: &Place, mode: u32) -> Result<OwnedFd, Errno> {
    place.make_directory(mode)?;
    open_dir(place)
}
