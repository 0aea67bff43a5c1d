//! What is put back into Unix sockets when everything is open: what waits in them, who waits for them, ends that are shut down or closed.
//!
//! Relies on all sockets having been made, and datagram sockets having their names. A queue is filled before its socket is connected,
//! shut down, or has options that would be in the way.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::sys::socket::{Shutdown, shutdown};

use super::socket_option;
use super::unix_socket::{Link, Peer, UnixSocketV1};
use super::unix_socket_make as make;
use super::unix_socket_name::{self as name, Bound};
use super::unix_socket_queue::{Message, Way};
use crate::image::DescriptionId;
use crate::resource::{Build, Built, KindError};
use crate::sys::{Errno, descriptor, socket};

/// Finishes a socket.
pub fn refill(state: &UnixSocketV1, built: &mut Built, cx: &mut Build<'_>) -> Result<(), KindError> {
    match &state.link {
        // The first has done it.
        Link::Pair { is_first: false, .. } if built.descriptors.len() == 1 => return Ok(()),
        Link::Pair { other, .. } => {
            let second = make::state_of(cx.snapshot, *other)?;
            both(state, second.as_ref(), built, cx)?;
        }
        Link::Closed { .. } if built.descriptors.len() > 1 => both(state, None, built, cx)?,
        Link::Closed { name } => {
            datagrams(state, built, cx)?;
            connect_to_nobody(built.descriptors[0].as_fd(), name, cx)?;
        }
        Link::To(other) => {
            datagrams(state, built, cx)?;
            connect(built, *other, cx)?;
        }
        Link::Anew { to, by } => {
            connect_anew(built.descriptors[0].as_fd(), to, by, cx)?;
        }
        Link::Waiting { .. } | Link::Listening { .. } => {}
        Link::Alone => datagrams(state, built, cx)?,
    }
    finish(state, built.descriptors[0].as_fd(), cx)
}

/// Everything that would have been in the way.
fn finish(state: &UnixSocketV1, fd: BorrowedFd<'_>, cx: &mut Build<'_>) -> Result<(), KindError> {
    let how = match state.shut & 3 {
        0 => None,
        1 => Some(Shutdown::Read),
        2 => Some(Shutdown::Write),
        _ => Some(Shutdown::Both),
    };
    if let Some(how) = how {
        shutdown(fd.as_raw_fd(), how).map_err(|errno| KindError::host("shut down a Unix socket", errno))?;
    }
    cx.warnings.extend(socket_option::restore_loud(fd, &state.options)?);
    Ok(())
}

/// Fills both ends of a pair; the other end is closed if nobody has it.
fn both(state: &UnixSocketV1, second: Option<&UnixSocketV1>, built: &mut Built, cx: &mut Build<'_>) -> Result<(), KindError> {
    let [own, end, ..] = &built.descriptors[..] else { return Ok(()) };
    fill(state, end.as_fd(), second, cx)?;
    match second {
        Some(second) => {
            fill(second, own.as_fd(), Some(state), cx)?;
            finish(second, end.as_fd(), cx)?;
        }
        None => {
            // What the other end has not read when it is closed is an error at this one.
            if state.is_reset {
                let sent = socket::send(own.as_fd(), b"x", b"", (&[], None), libc::MSG_DONTWAIT);
                sent.map_err(|errno| KindError::host("reset a socket", errno))?;
            }
            built.descriptors.truncate(1);
        }
    }
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
    told(result, cx)
}

/// What came of a filling: whether senders could be named.
fn told(result: Result<bool, Errno>, cx: &mut Build<'_>) -> Result<(), KindError> {
    match result {
        Ok(true) => Ok(()),
        Ok(false) => {
            cx.warnings.push("a message in a socket names cr_restart as the process that sent it".to_owned());
            Ok(())
        }
        Err(Errno::EAGAIN) => Err(KindError::Unrestorable {
            what: "the data that waits in a Unix socket, which is more than one takes here,".into(),
            remedy: "raise /proc/sys/net/core/wmem_max and /proc/sys/net/unix/max_dgram_qlen, or restart as root".into(),
        }),
        Err(errno) => Err(KindError::host("put back what waits in a Unix socket", errno)),
    }
}

/// Sends datagrams again to a socket with a name: from whom they came, or from a socket of that name which goes at once.
fn datagrams(state: &UnixSocketV1, built: &Built, cx: &mut Build<'_>) -> Result<(), KindError> {
    if state.queue.is_empty() {
        return Ok(());
    }
    let Some(to) = address_of(state.name.as_ref(), built) else {
        let what = "datagrams in a socket that nobody can send to".into();
        return Err(KindError::Unrestorable { what, remedy: "let the job read them before the checkpoint".into() });
    };
    let mut named = true;
    for message in &state.queue {
        let sent = match message.by.and_then(|by| make::made_of(cx, by)).and_then(|made| made.descriptors.first()) {
            Some(sender) => send(sender.as_fd(), message, &to, cx),
            None => send(passing(message, cx)?.as_fd(), message, &to, cx),
        };
        named &= match sent {
            Ok(is_named) => is_named,
            Err(errno) => return told(Err(errno), cx),
        };
    }
    told(Ok(named), cx)
}

fn send(from: BorrowedFd<'_>, message: &Message, to: &[u8], cx: &Build<'_>) -> Result<bool, Errno> {
    let way = Way { opened: cx.opened, id: cx.id, full_at: None };
    way.send(from, message, to).map(|(_, is_named)| is_named)
}

/// A socket for one message.
fn passing(message: &Message, cx: &Build<'_>) -> Result<OwnedFd, KindError> {
    let made = socket::socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0).map_err(|errno| KindError::host("make a Unix socket", errno))?;
    if let Some(bound) = Bound::gone(&message.from) {
        name::bind(made.as_fd(), &bound, &PathBuf::new(), cx.actor)?;
    }
    socket_option::make_room(made.as_fd(), &[])?;
    Ok(made)
}

/// The address that leads to a socket with a name, whatever has become of its node.
pub fn address_of(name: Option<&Bound>, built: &Built) -> Option<Vec<u8>> {
    let name = name?;
    match (&name.node, built.beside.first()) {
        (Some(_), Some(node)) => Some(name::address_of_node(node.as_fd())),
        (Some(_), None) => None,
        (None, _) => Some(name.address()),
    }
}

/// Connects a datagram socket to another one of the job, or to itself.
fn connect(built: &Built, other: DescriptionId, cx: &Build<'_>) -> Result<(), KindError> {
    let Some(state) = make::state_of(cx.snapshot, other)? else { return Ok(()) };
    // Our own is not among those that are made while it is worked on.
    let made = make::made_of(cx, other).filter(|made| !made.descriptors.is_empty()).unwrap_or(built);
    let Some(address) = address_of(state.name.as_ref(), made) else {
        let what = "a Unix socket that is connected to one without a name".into();
        return Err(KindError::Unrestorable { what, remedy: "connect it by a name".into() });
    };
    let connected = socket::connect(built.descriptors[0].as_fd(), &address);
    connected.map_err(|errno| KindError::host(format!("connect a Unix socket to {}", state.name.unwrap_or_default().text()), errno))
}

/// Connects a datagram socket to one that is closed at once.
fn connect_to_nobody(fd: BorrowedFd<'_>, string: &[u8], cx: &mut Build<'_>) -> Result<(), KindError> {
    let made = socket::socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0).map_err(|errno| KindError::host("make a Unix socket", errno))?;
    let bound = Bound::gone(string).unwrap_or_default();
    let rebound = name::bind(made.as_fd(), &bound, &PathBuf::new(), cx.actor);
    let address = match &rebound {
        Ok(rebound) => rebound.node.as_ref().map_or_else(|| bound.address(), |node| name::address_of_node(node.as_fd())),
        // Somebody has the name by now. Sending must fail all the same.
        Err(KindError::Taken { .. }) => {
            cx.warnings.push(format!("the closed peer of a socket is no longer {}", bound.text()));
            socket::bind(made.as_fd(), &name::address(b"")).map_err(|errno| KindError::host("bind a Unix socket", errno))?;
            socket::local_address(made.as_fd()).map_err(|errno| KindError::host("look at a Unix socket", errno))?
        }
        Err(_) => return rebound.map(drop),
    };
    socket::connect(fd, &address).map_err(|errno| KindError::host("connect a Unix socket", errno))
}

/// Connects to somebody outside of the job, with the rights of whoever has the socket. It never waits.
fn connect_anew(fd: BorrowedFd<'_>, string: &[u8], by: &Peer, cx: &mut Build<'_>) -> Result<(), KindError> {
    let address = name::address(string);
    let text = Bound { string: string.to_vec(), ..Bound::default() }.text();
    let host = |errno| KindError::host(format!("connect again to {text}"), errno);
    let flags = descriptor::status_flags(fd).map_err(host)?;
    descriptor::set_status_flags(fd, flags | libc::O_NONBLOCK).map_err(host)?;
    let connected = make::as_maker(by, cx, &|| socket::connect(fd, &address).map(|()| [-1; 2]));
    descriptor::set_status_flags(fd, flags).map_err(host)?;
    connected.map(drop).map_err(host)
}
