//! Unix sockets (unix(7)).
//!
//! **Kept:** type, both ends of a connection and who holds them, data in both directions with its boundaries, descriptors and credentials
//! on their way, ends shut down or closed, errors not yet reported, the credentials of the peer (SO_PEERCRED), all options that can be read.
//! **Lost:** where in a stream descriptors begin when several pieces wait with them (they come with the last byte of their piece); the
//! process in SO_PEERCRED and in credentials on their way when ids are new or may not be chosen; peers as processes (SO_PEERPIDFD).
//! **Refused:** sockets whose other end somebody outside of the job holds, names, and listening.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::poll::PollFlags;
use serde::{Deserialize, Serialize};

use super::open;
use super::socket_option::{self, SocketOption};
use super::unix_socket_make as make;
use super::unix_socket_queue::{self as queue, Message};
use crate::image::{Description, DescriptionId, Object, ObjectId, Snapshot, Tag};
use crate::resource::{Build, Built, Capture, FileKind, KindError, Opened, Probe};
use crate::sys::diag::{self, Diag};
use crate::sys::{Errno, descriptor, socket};

/// Unix sockets.
pub struct UnixSocket;

/// A Unix socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnixSocketV1 {
    /// SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET.
    pub kind: i32,
    /// What it is connected to.
    pub link: Link,
    /// What waits to be read.
    pub queue: Vec<Message>,
    /// It can send nothing until somebody reads.
    pub is_full: bool,
    /// Bits of what is shut down: 1 receiving, 2 sending.
    pub shut: u8,
    /// An error waits to be reported: the peer was closed with data that it had not read.
    pub is_reset: bool,
    /// Whom it has for a peer.
    pub peer: Peer,
    /// Its options.
    pub options: Vec<SocketOption>,
}

/// Who is at the other end (SO_PEERCRED, SO_PEERGROUPS). Process 0: nobody, or nobody we can see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "as in struct ucred, unix(7)")]
pub struct Peer {
    pub pid: i32,
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

/// What a socket is connected to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// To nothing.
    Alone,
    /// To another socket of the job, and that to it.
    Pair {
        /// The other one.
        other: DescriptionId,
        /// Whether this one makes both.
        is_first: bool,
    },
    /// To one that was closed.
    Closed,
}

impl FileKind for UnixSocket {
    type State = UnixSocketV1;
    const TAG: Tag = Tag::new("unix_socket", 1);

    fn word(&self) -> &'static str {
        "socket"
    }

    fn claims(&self, probe: &Probe<'_>) -> bool {
        let is_socket = probe.file_type() == libc::S_IFSOCK && !probe.link.is_absolute() && !probe.is_mapping();
        let domain = || descriptor::socket_option(probe.copy().ok()?, libc::SO_DOMAIN).ok();
        is_socket && domain() == Some(libc::AF_UNIX)
    }

    fn discover(&self, probe: &Probe<'_>) -> Result<Vec<OwnedFd>, KindError> {
        let shown = shown(probe)?;
        Ok(peek(probe, &shown)?.into_iter().flat_map(|peeked| peeked.rights).collect())
    }

    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<UnixSocketV1, KindError> {
        let (probe, shown) = (probes[0], shown(probes[0])?);
        let link = link(probe, &shown, cx)?;
        let copy = probe.copy()?;
        let host = |what: &str, errno| KindError::path(format!("read the {what} of"), probe.link, errno);
        let mut rights = cx.queues.first().cloned().unwrap_or_default().into_iter();
        let with_rights = |peeked: queue::Peeked| {
            let rights = rights.by_ref().take(peeked.rights.len()).flatten().collect();
            Message { rights, ..peeked.message }
        };
        let mut queue: Vec<Message> = peek(probe, &shown)?.into_iter().map(with_rights).collect();
        if let (Link::Pair { .. }, libc::SOCK_STREAM, Some(other)) = (&link, shown.kind, shown.peer) {
            let memory = Diag::open().and_then(|diag| diag.unix(other)).map_err(|errno| host("peer", errno))?.sent_memory;
            queue = queue::place_rights(queue, memory).map_err(|errno| host("queue", errno))?;
        }
        let options = socket_option::capture(copy)?;
        Ok(UnixSocketV1 {
            kind: shown.kind,
            link,
            queue,
            is_full: shown.sent_memory >= socket_option::number(&options, libc::SO_SNDBUF),
            shut: shown.shut,
            is_reset: queue::has_event(copy, PollFlags::POLLERR).map_err(|errno| host("events", errno))?,
            peer: Peer::of(copy).map_err(|errno| host("peer", errno))?,
            options,
        })
    }

    fn needs(&self, state: &UnixSocketV1, snapshot: &Snapshot) -> Vec<ObjectId> {
        match state.link {
            Link::Pair { other, is_first: false } => make::object_of(snapshot, other).into_iter().collect(),
            Link::Pair { .. } | Link::Alone | Link::Closed => Vec::new(),
        }
    }

    fn build(&self, state: &UnixSocketV1, _: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<Built, KindError> {
        let descriptors = make::make(state, cx)?;
        cx.warnings.extend(socket_option::restore_quiet(descriptors[0].as_fd(), &state.options)?);
        Ok(Built { descriptors, ..Built::default() })
    }

    fn open(&self, _: &UnixSocketV1, built: &Built, _: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        open::duplicate(&built.descriptors[0]).map(Opened::New)
    }

    fn refill(&self, state: &UnixSocketV1, built: &mut Built, _: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<(), KindError> {
        make::refill(state, built, cx)
    }
}

/// What the kernel shows of a socket.
fn shown(probe: &Probe<'_>) -> Result<diag::UnixSocket, KindError> {
    let shown = Diag::open().and_then(|diag| diag.unix(probe.stat.ino));
    shown.map_err(|errno| match errno {
        Errno::ENOENT => KindError::Unsupported {
            what: "a Unix socket of another network namespace".into(),
            remedy: "run cr_checkpoint in the network namespace of the job".into(),
        },
        errno => KindError::path("look at", probe.link, errno),
    })
}

fn peek(probe: &Probe<'_>, shown: &diag::UnixSocket) -> Result<Vec<queue::Peeked>, KindError> {
    if shown.state == diag::LISTENING {
        return Ok(Vec::new());
    }
    let peeked = queue::peek(probe.copy()?, shown.kind, shown.shut & 1 != 0);
    peeked.map_err(|errno| match errno {
        Errno::EBUSY => KindError::Unsupported {
            what: "a Unix socket with data, and with an error that comes first and would be lost by looking at it,".into(),
            remedy: "let the job read it before the checkpoint".into(),
        },
        errno => KindError::path("look at the data in", probe.link, errno),
    })
}

/// What a socket is connected to.
fn link(probe: &Probe<'_>, shown: &diag::UnixSocket, cx: &Capture) -> Result<Link, KindError> {
    let refused = |what: &str, remedy: &str| Err(KindError::Unsupported { what: what.into(), remedy: remedy.into() });
    let decide = "close it before the checkpoint, or let a script decide in object-disposition";
    if shown.state == diag::LISTENING || !shown.name.is_empty() {
        return refused("a Unix socket with a name", decide);
    }
    let number = |inode: u64| cx.facts.sockets.get(&inode).copied();
    match shown.peer {
        None => Ok(Link::Alone),
        Some(0) => Ok(Link::Closed),
        Some(other) => match (number(other), number(probe.stat.ino)) {
            (Some(Some(other)), Some(Some(own))) => Ok(Link::Pair { other, is_first: own < other }),
            // A policy has closed it.
            (Some(None), _) => Ok(Link::Closed),
            _ => refused("a Unix socket whose other end is not part of the job", decide),
        },
    }
}

impl Peer {
    fn of(fd: BorrowedFd<'_>) -> Result<Peer, Errno> {
        const SO_PEERGROUPS: i32 = 59;
        const MOST_GROUPS: usize = 65536;
        let bytes = socket::option(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, 12)?;
        let [pid, uid, gid] = [0, 4, 8].map(|at| diag::word(&bytes, at));
        let mut peer = Peer { pid: pid.cast_signed(), uid, gid, groups: Vec::new() };
        if peer.is_known() {
            let groups = socket::option(fd, libc::SOL_SOCKET, SO_PEERGROUPS, 4 * MOST_GROUPS)?;
            peer.groups = (0..groups.len() / 4).map(|index| diag::word(&groups, 4 * index)).collect();
        }
        Ok(peer)
    }

    /// Whether there was ever anybody.
    pub fn is_known(&self) -> bool {
        self.uid != u32::MAX
    }
}

#[cfg(test)]
#[path = "unix_socket_test.rs"]
mod test;
