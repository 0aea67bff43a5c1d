//! Unix sockets (unix(7)).
//!
//! **Kept:** type, both ends of a connection and who holds them, data in both directions with its boundaries, descriptors and credentials
//! on their way, ends shut down or closed, errors not yet reported, the credentials of the peer (SO_PEERCRED), all options that can be read;
//! names of every sort as they were given, also when their node has moved, is gone or was replaced, permissions and owner of the node;
//! listening with its backlog and clients that wait; datagrams from many, with the names of their senders.
//! **Lost:** where in a stream descriptors begin when several pieces wait with them (they come with the last byte of their piece); the
//! process in SO_PEERCRED and in credentials on their way when ids are new or may not be chosen, in the latter also when it has ended; peers as processes (SO_PEERPIDFD); which
//! socket sent a datagram, if it has no name; an empty datagram that an earlier checkpoint of the same life has seen; for others than root, a node that is neither where its name leads nor beside that, nor in the
//! working directory.
//! **Refused:** sockets whose other end somebody outside of the job holds, unless a policy decides that they are closed, hung up (the job sees the
//! end of file) or connected anew by name; clients that wait with data, or are gone; a name that somebody else
//! uses by now, or another file in its place; eBPF filters; packets behind an error that is not reported yet; an out-of-band byte that nobody has read.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::poll::PollFlags;
use serde::{Deserialize, Serialize};

use super::open;
use super::socket_option::{self, SocketOption};
use super::unix_socket_make as make;
use super::unix_socket_name::Bound;
use super::unix_socket_queue::{self as queue, Message};
use super::unix_socket_refill as refill;
use crate::image::{Description, DescriptionId, Object, ObjectAction, ObjectId, Snapshot, Tag};
use crate::proc::ProcDir;
use crate::resource::{Build, Built, Capture, Facts, FileKind, KindError, Opened, Plan, Probe};
use crate::sys::diag::{self, Diag};
use crate::sys::{Errno, descriptor, socket};

/// Unix sockets.
pub struct UnixSocket;

/// A Unix socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnixSocketV1 {
    /// SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET.
    pub kind: i32,
    /// Its name.
    #[serde(default)]
    pub name: Option<Bound>,
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
    /// Datagrams go to another socket of the job.
    To(DescriptionId),
    /// To one that was closed, which had this name.
    Closed {
        /// As [`Bound::string`].
        #[serde(with = "serde_bytes")]
        name: Vec<u8>,
    },
    /// To somebody outside of the job, by his name; it is connected anew.
    Anew {
        /// As [`Bound::string`].
        #[serde(with = "serde_bytes")]
        to: Vec<u8>,
        /// Who has it.
        by: Peer,
    },
    /// To a listening one of the job that has not accepted it.
    Waiting {
        /// Who has it.
        by: Peer,
    },
    /// To everybody who calls.
    Listening {
        /// How many may wait.
        backlog: u32,
        /// Who waits, first come first.
        clients: Vec<DescriptionId>,
        /// Those that it has accepted and that have its name: nobody must have that while they are made.
        accepted: Vec<DescriptionId>,
    },
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

    fn obstacle(&self, probe: &Probe<'_>, facts: &Facts) -> Option<KindError> {
        let shown = match shown(probe) {
            Ok(shown) => shown,
            Err(error) => return Some(error),
        };
        let is_outside = |inode: u64| inode != 0 && !facts.sockets.contains_key(&inode);
        shown.peer.is_some_and(is_outside).then(|| outside(probe))
    }

    fn takes(&self, action: ObjectAction) -> bool {
        matches!(action, ObjectAction::HangUp | ObjectAction::Reconnect)
    }

    fn discover(&self, probe: &Probe<'_>) -> Result<Vec<OwnedFd>, KindError> {
        let shown = shown(probe)?;
        Ok(peek(probe, &shown)?.into_iter().flat_map(|peeked| peeked.rights).collect())
    }

    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<UnixSocketV1, KindError> {
        let (probe, shown) = (probes[0], shown(probes[0])?);
        let link = link(probe, &shown, cx)?;
        let is_anew = matches!(link, Link::Anew { .. });
        let copy = probe.copy()?;
        let host = |what: &str, errno| KindError::path(format!("read the {what} of"), probe.link, errno);
        if queue::has_event(copy, PollFlags::POLLPRI).map_err(|errno| host("events", errno))? {
            let remedy = "let the program read it before the checkpoint (recv with MSG_OOB)".into();
            return Err(KindError::Unsupported { what: "a Unix socket with an out-of-band byte that nobody has read".into(), remedy });
        }
        let bound = Bound::of(probe, &shown, &cx.facts)?;
        let mut rights = cx.queues.first().cloned().unwrap_or_default().into_iter();
        let with_rights = |peeked: queue::Peeked| {
            let rights = rights.by_ref().take(peeked.rights.len()).flatten().collect();
            Message { rights, ..peeked.message }
        };
        let mut queue: Vec<Message> = peek(probe, &shown)?.into_iter().map(with_rights).collect();
        if is_anew {
            queue.clear();
        }
        for message in queue.iter_mut().filter(|message| !message.from.is_empty()) {
            message.by = sender(&message.from, &cx.facts)?;
        }
        if let (Link::Pair { .. }, libc::SOCK_STREAM, Some(other)) = (&link, shown.kind, shown.peer) {
            let memory = Diag::open().and_then(|diag| diag.unix(other)).map_err(|errno| host("peer", errno))?.sent_memory;
            queue = queue::place_rights(queue, memory).map_err(|errno| host("queue", errno))?;
        }
        let options = socket_option::capture(copy)?;
        Ok(UnixSocketV1 {
            kind: shown.kind,
            name: bound,
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
        let object = |id: &DescriptionId| make::object_of(snapshot, *id);
        match &state.link {
            Link::Pair { other, is_first: false } => object(other).into_iter().collect(),
            Link::Listening { clients, accepted, .. } => clients.iter().chain(accepted).filter_map(object).collect(),
            _ => Vec::new(),
        }
    }

    fn plan(&self, state: &UnixSocketV1, _: (ObjectId, &Object), cx: &mut Plan<'_>) -> Result<(), KindError> {
        state.name.as_ref().map_or(Ok(()), |name| name.plan(cx))
    }

    fn build(&self, state: &UnixSocketV1, _: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<Built, KindError> {
        let mut built = Built { descriptors: make::make(state, cx)?, ..Built::default() };
        cx.warnings.extend(socket_option::restore_quiet(built.descriptors[0].as_fd(), &state.options)?);
        make::name(state, &mut built, cx)?;
        Ok(built)
    }

    fn open(&self, _: &UnixSocketV1, built: &Built, _: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        open::duplicate(&built.descriptors[0]).map(Opened::New)
    }

    fn refill(&self, state: &UnixSocketV1, built: &mut Built, _: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<(), KindError> {
        refill::refill(state, built, cx)
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
fn link(probe: &Probe<'_>, shown: &diag::UnixSocket, cx: &mut Capture) -> Result<Link, KindError> {
    let number = |inode: u64| cx.facts.sockets.get(&inode).copied();
    let host = |errno| KindError::path("look at the peer of", probe.link, errno);
    if shown.state == diag::LISTENING {
        let clients = shown.clients.iter().map(|client| waiting(*client, cx)).collect::<Result<Vec<_>, _>>()?;
        let clients = clients.into_iter().flatten().collect();
        return Ok(Link::Listening { backlog: shown.queue.1, clients, accepted: accepted(shown, cx)? });
    }
    let closed = || match socket::peer_address(probe.copy()?) {
        Ok(address) => Ok(Link::Closed { name: address.get(2..).unwrap_or_default().to_vec() }),
        Err(errno) => Err(host(errno)),
    };
    match shown.peer {
        None => Ok(Link::Alone),
        _ if cx.action == Some(ObjectAction::HangUp) => closed(),
        Some(_) if cx.action == Some(ObjectAction::Reconnect) => anew(probe, cx),
        Some(0) if is_waiting(probe.stat.ino, cx)? => Ok(Link::Waiting { by: Peer::holding(probe)? }),
        Some(0) => closed(),
        Some(inode) => match (number(inode), number(probe.stat.ino)) {
            (Some(Some(other)), Some(Some(own))) => {
                let peer = Diag::open().and_then(|diag| diag.unix(inode)).map_err(host)?;
                let is_mutual = inode != probe.stat.ino && peer.peer == Some(probe.stat.ino);
                // Datagram sockets that found each other by name have no credentials of a peer.
                let was_born_so = shown.kind != libc::SOCK_DGRAM || Peer::of(probe.copy()?).map_err(host)?.is_known();
                Ok(if is_mutual && was_born_so { Link::Pair { other, is_first: own < other } } else { Link::To(other) })
            }
            // A policy has closed it.
            (Some(None), _) => closed(),
            _ => Err(outside(probe)),
        },
    }
}

/// A socket whose other end somebody else has: who, as far as the socket tells.
fn outside(probe: &Probe<'_>) -> KindError {
    let peer = probe.copy().ok().and_then(|copy| Peer::of(copy).ok()).filter(|peer| peer.pid > 0);
    let name = |pid: i32| ProcDir::open(pid).and_then(|dir| dir.stat()).map(|stat| stat.comm.to_string_lossy().into_owned());
    let who = peer.map_or(String::new(), |peer| match name(peer.pid) {
        Ok(name) => format!(" (made by process {}, {name})", peer.pid),
        Err(_) => format!(" (made by process {}, which has ended)", peer.pid),
    });
    KindError::Unsupported {
        what: format!("a Unix socket whose other end is not part of the job{who}"),
        remedy: "save both ends, or let a script decide \"hang_up\", \"reconnect\" or \"close\" in object-disposition".into(),
    }
}

/// A socket that is connected anew by the name of its peer.
fn anew(probe: &Probe<'_>, cx: &mut Capture) -> Result<Link, KindError> {
    let copy = probe.copy()?;
    let host = |errno| KindError::path("look at the peer of", probe.link, errno);
    let to = socket::peer_address(copy).map_err(host)?.get(2..).unwrap_or_default().to_vec();
    if !matches!(to.first(), Some(0 | b'/')) {
        let what = "a Unix socket whose peer has no name, or a relative one, and which is to be connected anew".into();
        return Err(KindError::Unsupported { what, remedy: "decide \"hang_up\" or \"close\"".into() });
    }
    if let bytes @ 1.. = descriptor::readable_bytes(copy).map_err(host)? {
        cx.warnings.push(format!("{bytes} bytes in it are lost, because it is connected anew"));
    }
    Ok(Link::Anew { to, by: Peer::holding(probe)? })
}

/// A client that waits to be accepted. What it has sent can be read by nobody before that.
fn waiting(client: u64, cx: &Capture) -> Result<Option<DescriptionId>, KindError> {
    let refused = |what: &str| KindError::Unsupported { what: what.into(), remedy: "try again when the job has accepted it".into() };
    if client == 0 {
        return Err(refused("a connection that is not accepted yet and whose client has gone"));
    }
    let Some(number) = cx.facts.sockets.get(&client) else {
        return Err(refused("a connection from outside of the job that is not accepted yet"));
    };
    let sent = Diag::open().and_then(|diag| diag.unix(client)).map_err(|errno| KindError::host("look at a client", errno))?.sent_memory;
    if sent > 0 { Err(refused("a connection that is not accepted yet and has data in it")) } else { Ok(*number) }
}

/// The sockets of the job that have their abstract name from a listening one.
fn accepted(shown: &diag::UnixSocket, cx: &Capture) -> Result<Vec<DescriptionId>, KindError> {
    if shown.name.first() != Some(&0) {
        return Ok(Vec::new());
    }
    let same = all(&cx.facts)?.iter().filter(|one| one.name == shown.name && one.inode != shown.inode);
    Ok(same.filter_map(|one| cx.facts.sockets.get(&one.inode).copied().flatten()).collect())
}

/// Whether a socket is connected to a listening one that has not accepted it.
fn is_waiting(inode: u64, cx: &Capture) -> Result<bool, KindError> {
    Ok(all(&cx.facts)?.iter().any(|one| one.clients.contains(&inode)))
}

/// All Unix sockets of the machine.
pub fn all(facts: &Facts) -> Result<&[diag::UnixSocket], KindError> {
    facts.unix().map_err(|errno| KindError::host("list the Unix sockets", errno))
}

/// The socket of the job that has this name and sends datagrams.
fn sender(string: &[u8], facts: &Facts) -> Result<Option<DescriptionId>, KindError> {
    let is_named = |one: &&diag::UnixSocket| one.kind == libc::SOCK_DGRAM && one.name == string;
    Ok(all(facts)?.iter().filter(is_named).find_map(|one| facts.sockets.get(&one.inode).copied().flatten()))
}

impl Peer {
    /// The peer of a socket that was never connected.
    pub const NOBODY: Peer = Peer { pid: 0, uid: u32::MAX, gid: u32::MAX, groups: Vec::new() };

    /// Whoever has a socket, and has made it as far as we know.
    fn holding(probe: &Probe<'_>) -> Result<Peer, KindError> {
        let groups = ProcDir::open(probe.pid)?.status()?.groups;
        Ok(Peer { pid: probe.pid, uid: probe.stat.uid, gid: probe.stat.gid, groups })
    }

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
