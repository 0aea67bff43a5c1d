//! Making Unix sockets again: pairs and connections by whoever made them, names, and who listens.
//!
//! Relies on `persona` for the credentials that the kernel remembers of whoever makes a connection, and on the kind's file for what is
//! saved. Leaves what comes when everything is open to `unix_socket_refill`.

use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::PathBuf;

use super::open;
use super::unix_socket::{Link, Peer, UnixSocket, UnixSocketV1};
use super::unix_socket_name::{self as name, Bound};
use super::unix_socket_refill as refill;
use crate::image::{DescriptionId, ObjectId, Snapshot};
use crate::resource::{Build, Built, FileKind, KindError};
use crate::sys::persona::{self, Persona, Refused};
use crate::sys::{Errno, descriptor, socket};

/// The object of a description.
pub fn object_of(snapshot: &Snapshot, id: DescriptionId) -> Option<ObjectId> {
    snapshot.descriptions.get(id as usize).map(|description| description.object)
}

/// What has been made for a description.
pub fn made_of<'a>(cx: &Build<'a>, id: DescriptionId) -> Option<&'a Built> {
    object_of(cx.snapshot, id).and_then(|object| cx.made.get(object as usize))
}

/// The state of another Unix socket of the job.
pub fn state_of(snapshot: &Snapshot, id: DescriptionId) -> Result<Option<UnixSocketV1>, KindError> {
    let object = object_of(snapshot, id).and_then(|object| snapshot.objects.get(object as usize));
    let record = object.map(|object| &object.record).filter(|record| record.kind == UnixSocket::TAG.kind);
    record.map(|record| record.decode(UnixSocket::TAG)).transpose().map_err(KindError::from)
}

/// Makes a socket; behind it stands the other end, where that is made along with it.
pub fn make(state: &UnixSocketV1, cx: &mut Build<'_>) -> Result<Vec<OwnedFd>, KindError> {
    match &state.link {
        Link::Pair { other, is_first: false } => match made_of(cx, *other).and_then(|first| first.descriptors.get(1)) {
            Some(end) => open::duplicate(end).map(|end| vec![end]),
            // A policy has put something else in its place.
            None => pair(state, None, cx),
        },
        Link::Pair { other, .. } => pair(state, state_of(cx.snapshot, *other)?.as_ref(), cx),
        Link::Closed { name } if state.kind != libc::SOCK_DGRAM => connection(state, (Bound::gone(name), &Peer::NOBODY), cx),
        Link::Closed { .. } if state.peer.is_known() => pair(state, None, cx),
        _ => alone(state.kind).map(|made| vec![made]),
    }
}

fn alone(kind: i32) -> Result<OwnedFd, KindError> {
    socket::socket(libc::AF_UNIX, kind, 0).map_err(|errno| KindError::host("make a Unix socket", errno))
}

/// Two ends that found each other by a name, or were born together.
fn pair(state: &UnixSocketV1, other: Option<&UnixSocketV1>, cx: &mut Build<'_>) -> Result<Vec<OwnedFd>, KindError> {
    let (name, peer) = other.map_or((None, &state.peer), |other| (other.name.clone(), &other.peer));
    if state.kind != libc::SOCK_DGRAM {
        return connection(state, (name, peer), cx);
    }
    born_together(state, cx)
}

fn born_together(state: &UnixSocketV1, cx: &mut Build<'_>) -> Result<Vec<OwnedFd>, KindError> {
    let kind = state.kind;
    as_maker(&state.peer, cx, &|| persona::pair(kind)).map_err(|errno| KindError::host("make a pair of Unix sockets", errno))
}

/// Both ends of a connection. The accepted one has its name from the one that listened, and nobody finds it by that: it shows whom it
/// was connected by, and the other one shows who listened.
fn connection(state: &UnixSocketV1, (other, others_peer): (Option<Bound>, &Peer), cx: &mut Build<'_>) -> Result<Vec<OwnedFd>, KindError> {
    let is_shared = state.name.as_ref().is_some_and(|name| name.is_shared);
    let (accepted, connected, is_own) = match (&state.name, &other) {
        (None, None) => return born_together(state, cx),
        (Some(own), None) => (own, None, true),
        (Some(own), Some(other)) if is_shared && !other.is_shared => (own, Some(other), true),
        (own, Some(other)) => (other, own.as_ref(), false),
    };
    let (accepted_peer, connected_peer) = if is_own { (&state.peer, others_peer) } else { (others_peer, &state.peer) };
    let host = |attempt: &'static str| move |errno| KindError::host(attempt, errno);
    let (listener, client) = (alone(state.kind)?, alone(state.kind)?);
    let without_node = Bound::gone(&accepted.string).unwrap_or_default();
    let rebound = name::bind(listener.as_fd(), &without_node, &PathBuf::new(), cx.actor)?;
    let none = [-1; 2];
    as_maker(connected_peer, cx, &|| socket::listen(listener.as_fd(), 1).map(|()| none)).map_err(host("listen with a Unix socket"))?;
    if let Some(connected) = connected {
        name::bind(client.as_fd(), connected, &path_of(connected, cx), cx.actor)?;
    }
    let address = rebound.node.as_ref().map_or_else(|| without_node.address(), |node| name::address_of_node(node.as_fd()));
    as_maker(accepted_peer, cx, &|| socket::connect(client.as_fd(), &address).map(|()| none)).map_err(host("connect Unix sockets"))?;
    let served = socket::accept(listener.as_fd()).map_err(host("accept a Unix socket"))?;
    Ok(if is_own { vec![served, client] } else { vec![client, served] })
}

/// Gives a socket its name, and lets it listen.
pub fn name(state: &UnixSocketV1, built: &mut Built, cx: &mut Build<'_>) -> Result<(), KindError> {
    let has_name = match &state.link {
        // A connection has had its names from its birth, and a client gets its own when it is connected.
        Link::Pair { .. } | Link::Closed { .. } => state.kind == libc::SOCK_DGRAM,
        Link::Waiting { .. } => false,
        _ => true,
    };
    if has_name && let Some(bound) = &state.name {
        let rebound = name::bind(built.descriptors[0].as_fd(), bound, &path_of(bound, cx), cx.actor)?;
        built.beside.extend(rebound.node);
        built.made.extend(rebound.made);
    }
    if let Link::Listening { backlog, clients, .. } = &state.link {
        serve(state, *backlog, built, cx)?;
        clients.iter().try_for_each(|client| wait(*client, state, built, cx))?;
    }
    Ok(())
}

/// Where the node of a name is now.
fn path_of(bound: &Bound, cx: &Build<'_>) -> PathBuf {
    bound.node.as_ref().map(|node| (cx.path)(&node.path)).unwrap_or_default()
}

/// Lets a socket listen, as whoever did.
fn serve(state: &UnixSocketV1, backlog: u32, built: &Built, cx: &mut Build<'_>) -> Result<(), KindError> {
    let own = &built.descriptors[0];
    let size = i32::try_from(backlog).unwrap_or(i32::MAX);
    let serving = as_maker(&state.peer, cx, &|| socket::listen(own.as_fd(), size).map(|()| [-1; 2]));
    serving.map(drop).map_err(|errno| KindError::host("listen with a Unix socket", errno))
}

/// Connects a client that waits to be accepted, when it is there.
fn wait(client: DescriptionId, listener: &UnixSocketV1, built: &Built, cx: &mut Build<'_>) -> Result<(), KindError> {
    let Some(state) = state_of(cx.snapshot, client)? else { return Ok(()) };
    let Some(own) = made_of(cx, client).and_then(|made| made.descriptors.first()) else { return Ok(()) };
    let own = own.as_fd();
    let host = |errno| KindError::host("connect a Unix socket that waits to be accepted", errno);
    if let Some(bound) = &state.name {
        name::bind(own, bound, &path_of(bound, cx), cx.actor)?;
    }
    let Some(address) = refill::address_of(listener.name.as_ref(), built) else { return Err(host(Errno::EDESTADDRREQ)) };
    let flags = descriptor::status_flags(own).map_err(host)?;
    descriptor::set_status_flags(own, flags | libc::O_NONBLOCK).map_err(host)?;
    let Link::Waiting { by } = &state.link else { return Err(host(Errno::EISCONN)) };
    let connected = as_maker(by, cx, &|| socket::connect(own, &address).map(|()| [-1; 2]));
    descriptor::set_status_flags(own, flags).map_err(host)?;
    connected.map(drop).map_err(host)
}

/// Makes calls as somebody, as far as that can be had; the descriptors that they made.
pub fn as_maker(maker: &Peer, cx: &mut Build<'_>, calls: &dyn Fn() -> Result<[RawFd; 2], Errno>) -> Result<Vec<OwnedFd>, Errno> {
    let own_groups: Vec<u32> = nix::unistd::getgroups()?.iter().map(|group| group.as_raw()).collect();
    let (own_uid, own_gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let mut somebody = Persona {
        pid: Some(maker.pid).filter(|pid| cx.same_ids && *pid > 0),
        uid: Some(maker.uid).filter(|uid| *uid != own_uid),
        gid: Some(maker.gid).filter(|gid| *gid != own_gid),
        groups: Some(maker.groups.clone()).filter(|groups| *groups != own_groups),
        place: None,
    };
    if !maker.is_known() {
        somebody = Persona::default();
    }
    loop {
        match persona::act(&somebody, calls) {
            Err(Refused::Birth(errno)) if somebody.pid.is_some() => {
                let why = errno.desc();
                cx.warnings.push(format!("the peer of a socket is no longer process {} for SO_PEERCRED: {why}", maker.pid));
                somebody.pid = None;
            }
            Err(Refused::Identity(_)) if somebody != Persona::default() => {
                let (uid, gid) = (maker.uid, maker.gid);
                cx.warnings.push(format!("the peer of a socket is no longer user {uid} and group {gid} for SO_PEERCRED"));
                somebody = Persona { pid: somebody.pid, ..Persona::default() };
            }
            Err(Refused::Birth(errno) | Refused::Identity(errno) | Refused::Call(errno)) => return Err(errno),
            Ok(made) => return Ok(made),
        }
    }
}
