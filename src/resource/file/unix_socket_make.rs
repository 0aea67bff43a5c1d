//! Making Unix sockets again: pairs by whoever made them, and what waits in them.
//!
//! Relies on `persona` for the credentials that the kernel remembers of whoever makes a connection, and on everything being open before
//! queues are filled, because descriptors may be on their way in them.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::{Shutdown, shutdown};

use super::open;
use super::socket_option;
use super::unix_socket::{Link, Peer, UnixSocket, UnixSocketV1};
use super::unix_socket_queue::Way;
use crate::image::{DescriptionId, ObjectId, Snapshot};
use crate::resource::{Build, Built, FileKind, KindError};
use crate::sys::persona::{self, Persona, Refused};
use crate::sys::{Errno, socket};

/// The object of a description.
pub fn object_of(snapshot: &Snapshot, id: DescriptionId) -> Option<ObjectId> {
    snapshot.descriptions.get(id as usize).map(|description| description.object)
}

/// The state of another Unix socket of the job.
fn state_of(snapshot: &Snapshot, id: DescriptionId) -> Result<Option<UnixSocketV1>, KindError> {
    let object = object_of(snapshot, id).and_then(|object| snapshot.objects.get(object as usize));
    let record = object.map(|object| &object.record).filter(|record| record.kind == UnixSocket::TAG.kind);
    record.map(|record| record.decode(UnixSocket::TAG)).transpose().map_err(KindError::from)
}

/// Makes a socket; behind it stands the other end, where that is made along with it.
pub fn make(state: &UnixSocketV1, cx: &mut Build<'_>) -> Result<Vec<OwnedFd>, KindError> {
    match state.link {
        Link::Alone => {
            let made = socket::socket(libc::AF_UNIX, state.kind, 0);
            made.map(|made| vec![made]).map_err(|errno| KindError::host("make a Unix socket", errno))
        }
        Link::Pair { other, is_first: false } => {
            let first = object_of(cx.snapshot, other).and_then(|object| cx.made.get(object as usize));
            match first.and_then(|first| first.descriptors.get(1)) {
                Some(end) => open::duplicate(end).map(|end| vec![end]),
                // A policy has put something else in its place.
                None => pair(state, cx),
            }
        }
        Link::Pair { .. } | Link::Closed => pair(state, cx),
    }
}

fn pair(state: &UnixSocketV1, cx: &mut Build<'_>) -> Result<Vec<OwnedFd>, KindError> {
    let kind = state.kind;
    as_maker(&state.peer, cx, &|| persona::pair(kind)).map_err(|errno| KindError::host("make a pair of Unix sockets", errno))
}

/// Makes descriptors as somebody, as far as that can be had.
fn as_maker(maker: &Peer, cx: &mut Build<'_>, calls: &dyn Fn() -> Result<[RawFd; 2], Errno>) -> Result<Vec<OwnedFd>, Errno> {
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

/// Puts back what waits in a socket, shuts down and closes what was shut down and closed, and sets what would have been in the way.
pub fn refill(state: &UnixSocketV1, built: &mut Built, cx: &mut Build<'_>) -> Result<(), KindError> {
    let second = match state.link {
        // The first has done it.
        Link::Pair { is_first: false, .. } if built.descriptors.len() == 1 => return Ok(()),
        Link::Pair { other, .. } => state_of(cx.snapshot, other)?,
        Link::Alone | Link::Closed => None,
    };
    let [own, end @ ..] = &built.descriptors[..] else { return Ok(()) };
    if let Some(end) = end.first() {
        fill(state, end.as_fd(), second.as_ref(), cx)?;
    }
    match (&second, end.first()) {
        (Some(second), Some(end)) => {
            fill(second, own.as_fd(), Some(state), cx)?;
            shut(end.as_fd(), second.shut)?;
            cx.warnings.extend(socket_option::restore_loud(end.as_fd(), &second.options)?);
        }
        // What the other end has not read when it is closed is an error at this one.
        (None, Some(_)) if state.is_reset => {
            socket::send(own.as_fd(), b"x", b"", (&[], None), libc::MSG_DONTWAIT)
                .map_err(|errno| KindError::host("reset a socket", errno))?;
        }
        _ => {}
    }
    if second.is_none() {
        built.descriptors.truncate(1);
    }
    let own = built.descriptors[0].as_fd();
    shut(own, state.shut)?;
    cx.warnings.extend(socket_option::restore_loud(own, &state.options)?);
    Ok(())
}

/// Sends what waits in a socket again, from its other end.
fn fill(state: &UnixSocketV1, from: BorrowedFd<'_>, sender: Option<&UnixSocketV1>, cx: &mut Build<'_>) -> Result<(), KindError> {
    if state.queue.is_empty() {
        return Ok(());
    }
    socket_option::make_room(from, sender.map_or(&[], |sender| &sender.options))?;
    let room = |sender: &UnixSocketV1| socket_option::number(&sender.options, libc::SO_SNDBUF);
    let full_at = sender.filter(|sender| sender.is_full).map(room);
    let way = Way { opened: cx.opened, id: cx.id, full_at };
    let result = if state.kind == libc::SOCK_STREAM {
        way.stream(from, &state.queue)
    } else {
        state.queue.iter().try_fold(true, |named, message| way.send(from, message, b"").map(|(_, is_named)| named & is_named))
    };
    match result {
        Ok(true) => Ok(()),
        Ok(false) => {
            cx.warnings.push("a message in a socket names cr_restart as the process that sent it".to_owned());
            Ok(())
        }
        Err(Errno::EAGAIN) => Err(KindError::Unrestorable {
            what: "the data that waits in a Unix socket, which is more than one takes here,".into(),
            remedy: "raise /proc/sys/net/core/wmem_max, or restart as root".into(),
        }),
        Err(errno) => Err(KindError::host("put back what waits in a Unix socket", errno)),
    }
}

/// shutdown(2), by the bits of what is shut.
fn shut(fd: BorrowedFd<'_>, bits: u8) -> Result<(), KindError> {
    let how = match bits & 3 {
        0 => return Ok(()),
        1 => Shutdown::Read,
        2 => Shutdown::Write,
        _ => Shutdown::Both,
    };
    shutdown(fd.as_raw_fd(), how).map_err(|errno| KindError::host("shut down a Unix socket", errno))
}
