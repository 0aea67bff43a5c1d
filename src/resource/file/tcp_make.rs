//! Makes TCP sockets again. Not a kind.
//!
//! Relies on nobody else answering for the addresses of the job: every socket is bound with SO_REUSEADDR until all is settled, since the two ends
//! of a connection, and listeners of the same port, must stand side by side. A connection is made by its end that comes first; the other end is taken
//! from there.

use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::sys::socket::{Shutdown, shutdown};

use super::inet::{self, Address};
use super::inet_option::{self, TCP};
use super::open;
use super::socket_option;
use super::tcp::{Connection, End, Form, Partner, Tcp, TcpV1};
use super::tcp_queue::{self, Stream, wait_until};
use crate::image::ObjectId;
use crate::resource::{Build, FileKind, KindError};
use crate::sys::diag::Diag;
use crate::sys::{Errno, descriptor, inet_diag, socket};

const PATIENCE: Duration = Duration::from_secs(5);

/// Makes a socket, and behind it the other end of its connection if that is of the job and not there yet.
pub fn make(state: &TcpV1, id: ObjectId, cx: &mut Build<'_>) -> Result<Vec<OwnedFd>, KindError> {
    let mut made = vec![match &state.form {
        Form::Connected(connection) => return connected(state, connection, id, cx),
        Form::Idle => bound(state, 0, cx)?,
        Form::Listening { backlog, .. } => {
            let made = bound(state, 0, cx)?;
            listen(made.as_fd(), *backlog)?;
            made
        }
        Form::Calling(peer) => call(state, peer, cx)?,
        Form::Ended { unread, end } => ended(state, unread, *end, cx)?,
    }];
    late(&made[0], state, cx)?;
    made.truncate(1);
    Ok(made)
}

/// A socket with its early options and its address, and room for this many bytes to come.
fn bound(state: &TcpV1, room: usize, cx: &mut Build<'_>) -> Result<OwnedFd, KindError> {
    let made = inet::create(state.sort(), state.owner)?;
    let fd = made.as_fd();
    cx.warnings.extend(inet_option::restore(fd, &state.options, &state.early_tables())?);
    cx.warnings.extend(socket_option::restore_quiet(fd, &state.options)?);
    prepare(fd, room)?;
    let Some(local) = &state.local else { return Ok(made) };
    match inet::bind(fd, local, "TCP") {
        Err(taken @ KindError::Taken { .. }) if is_left_over(local)? => bind_again(fd, local).map_err(|_| taken)?,
        bound => bound?,
    }
    Ok(made)
}

/// Whether only connections have an address that are over and wait for their time to be forgotten (TIME_WAIT).
fn is_left_over(address: &Address) -> Result<bool, KindError> {
    const TIME_WAIT: u8 = 6;
    let diag = Diag::open().map_err(|errno| KindError::host("ask the kernel about sockets (sock_diag)", errno))?;
    for family in [libc::AF_INET, libc::AF_INET6] {
        let all = inet_diag::all(&diag, family, libc::IPPROTO_TCP);
        let all = all.map_err(|errno| KindError::host("ask the kernel about sockets (sock_diag)", errno))?;
        if all.iter().any(|one| one.local.port() == address.port() && one.inode != 0 && one.state != TIME_WAIT) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Binds a socket to an address of old connections. Root may do that as for a repair; a user's socket takes the port when it connects, which the
/// kernel lets it after a second.
fn bind_again(fd: BorrowedFd<'_>, address: &Address) -> Result<(), Errno> {
    const REPAIR_OFF_SILENTLY: i32 = -1;
    let repair = |value: i32| socket::set_option(fd, libc::IPPROTO_TCP, libc::TCP_REPAIR, &value.to_ne_bytes());
    if repair(1).is_ok() {
        let bound = socket::bind(fd, &address.0);
        repair(REPAIR_OFF_SILENTLY)?;
        socket::set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, &1i32.to_ne_bytes())?;
        return bound;
    }
    const IP_BIND_ADDRESS_NO_PORT: i32 = 24;
    const IP_LOCAL_PORT_RANGE: i32 = 51;
    let range = u32::from(address.port()) * 0x10001;
    socket::set_option(fd, libc::IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &1i32.to_ne_bytes())?;
    socket::set_option(fd, libc::IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range.to_ne_bytes())?;
    socket::bind(fd, &address.with_port(0).0)
}

/// Begins to connect. A port of an old connection may come free within moments.
fn connect(fd: BorrowedFd<'_>, peer: &Address) -> Result<(), Errno> {
    let mut result = Ok(());
    wait_until(PATIENCE, || {
        result = match socket::connect(fd, &peer.0) {
            Ok(()) | Err(Errno::EINPROGRESS) => Ok(()),
            Err(errno) => Err(errno),
        };
        Ok(result != Err(Errno::EADDRNOTAVAIL))
    })?;
    result
}

/// Nothing that is done to it blocks, its address can be shared, and it has room for this many bytes to come.
fn prepare(fd: BorrowedFd<'_>, room: usize) -> Result<(), KindError> {
    let attempt = |errno| KindError::host("prepare a TCP socket", errno);
    socket::set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, &1i32.to_ne_bytes()).map_err(attempt)?;
    descriptor::set_status_flags(fd, libc::O_RDWR | libc::O_NONBLOCK).map_err(attempt)?;
    if room > 0 { tcp_queue::widen(fd, room).map_err(attempt) } else { Ok(()) }
}

/// What comes when a socket has all it needs: it keeps its address shared until all is settled.
fn late(made: &OwnedFd, state: &TcpV1, cx: &mut Build<'_>) -> Result<(), KindError> {
    let fd = made.as_fd();
    cx.warnings.extend(inet_option::restore(fd, &state.options, &[&state.early_tables()[..], &[TCP]].concat())?);
    cx.warnings.extend(socket_option::restore_loud(fd, &state.options)?);
    let shared = socket::set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, &1i32.to_ne_bytes());
    shared.map_err(|errno| KindError::host("set the socket option SO_REUSEADDR", errno))
}

fn listen(fd: BorrowedFd<'_>, backlog: i32) -> Result<(), KindError> {
    socket::listen(fd, backlog).map_err(|errno| match errno {
        Errno::EADDRINUSE => KindError::Taken {
            what: "a port on which the job listens, without SO_REUSEADDR,".into(),
            by: None,
            remedy: "wait a minute: connections that are over have it as long; \"ss -an\" shows them as TIME-WAIT".into(),
        },
        errno => KindError::host("listen for TCP connections", errno),
    })
}

/// Calls somebody, without waiting for the answer.
fn call(state: &TcpV1, peer: &Address, cx: &mut Build<'_>) -> Result<OwnedFd, KindError> {
    let made = bound(state, 0, cx)?;
    connect(made.as_fd(), peer).map_err(|errno| KindError::host(format!("connect to {}", peer.shown()), errno))?;
    Ok(made)
}

/// One end of a connection, and behind it the other if that is of the job and made here.
fn connected(state: &TcpV1, connection: &Connection, id: ObjectId, cx: &mut Build<'_>) -> Result<Vec<OwnedFd>, KindError> {
    let other = match connection.partner {
        Partner::Inside(description) => cx.snapshot.descriptions.get(description as usize).map(|description| description.object),
        Partner::Waiting(_) => {
            let made = call(state, &connection.peer, cx)?;
            let is_answered = || tcp_queue::has(made.as_fd(), libc::POLLOUT | libc::POLLERR);
            wait_until(PATIENCE, is_answered).map_err(|errno| KindError::host("wait for a connection", errno))?;
            late(&made, state, cx)?;
            return Ok(vec![made]);
        }
        Partner::Gone => None,
    };
    // It may stand for something else by now: policies are asked at the restart, too.
    let partner = other.and_then(|other| cx.snapshot.objects.get(other as usize)).and_then(|object| object.record.decode(Tcp::TAG).ok());
    let partner: Option<TcpV1> = partner.filter(|partner: &TcpV1| matches!(partner.form, Form::Connected(_)));
    let (Some(other), Some(partner)) = (other, partner) else { return abandoned(state, connection, cx).map(|made| vec![made]) };
    if other == id {
        return Err(KindError::Inconsistent { what: "a connection has one end only".into() });
    }
    if let Some(made) = cx.made.get(other as usize).and_then(|built| built.descriptors.get(1)) {
        return open::duplicate(made).map(|made| vec![made]);
    }
    let Form::Connected(back) = &partner.form else { unreachable!("filtered above") };
    let (own, theirs) = pair((state, connection), (&partner, back), cx)?;
    Ok(vec![own, theirs])
}

/// An end whose other end is closed.
fn abandoned(state: &TcpV1, connection: &Connection, cx: &mut Build<'_>) -> Result<OwnedFd, KindError> {
    let family = if connection.peer.0.len() == 16 { libc::AF_INET } else { libc::AF_INET6 };
    let back = Connection {
        peer: state.local.clone().unwrap_or_default(),
        partner: Partner::Gone,
        unread: Stream::default(),
        said_last: false,
        heard_last: false,
        is_deaf: false,
    };
    let form = Form::Connected(back.clone());
    let other = TcpV1 { family, owner: state.owner, local: Some(connection.peer.clone()), options: Vec::new(), form };
    let elsewhere = TcpV1 { local: Some(connection.peer.with_port(0)), ..other.clone() };
    let made = match pair((&other, &back), (state, connection), cx) {
        Err(KindError::Taken { .. }) => {
            cx.warnings
                .push(format!("{}, the closed end of a connection, is in use: the port of the peer is another", connection.peer.shown()));
            pair((&elsewhere, &back), (state, connection), cx)?
        }
        made => made?,
    };
    let (gone, own) = made;
    drop(gone);
    let has_heard = || tcp_queue::has(own.as_fd(), libc::POLLRDHUP);
    wait_until(PATIENCE, has_heard).map_err(|errno| KindError::host("wait for the end of a connection", errno))?;
    Ok(own)
}

/// A connection between two sockets: the first calls the second.
fn pair(
    (first, there): (&TcpV1, &Connection),
    (second, here): (&TcpV1, &Connection),
    cx: &mut Build<'_>,
) -> Result<(OwnedFd, OwnedFd), KindError> {
    let attempt = |errno| KindError::host(format!("make a connection from {} to {}", here.peer.shown(), there.peer.shown()), errno);
    let listener = bound(second, here.unread.data.len(), cx)?;
    listen(listener.as_fd(), 16)?;
    let caller = bound(first, there.unread.data.len(), cx)?;
    connect(caller.as_fd(), &there.peer).map_err(attempt)?;
    let called = accept(listener, caller.as_fd()).map_err(attempt)?;
    prepare(called.as_fd(), here.unread.data.len())?;
    cx.warnings.extend(inet_option::restore(called.as_fd(), &second.options, inet_option::of_family(second.family))?);
    cx.warnings.extend(socket_option::restore_quiet(called.as_fd(), &second.options)?);
    inet::give(called.as_fd(), second.owner);
    for (from, to, stream) in [(&caller, &called, &here.unread), (&called, &caller, &there.unread)] {
        tcp_queue::pour(from.as_fd(), to.as_fd(), stream).map_err(|errno| does_not_fit(stream, errno))?;
    }
    for (own, other, state, connection) in [(&caller, &called, first, there), (&called, &caller, second, here)] {
        finish((own.as_fd(), other.as_fd()), state, connection).map_err(attempt)?;
        late(own, state, cx)?;
    }
    Ok((caller, called))
}

/// The connection of `caller`: others may call at the same moment.
fn accept(listener: OwnedFd, caller: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let expected = Address(socket::local_address(caller)?).end();
    let listener = TcpListener::from(listener);
    let mut found = None;
    wait_until(PATIENCE, || {
        match listener.accept() {
            Ok((stream, from)) if Some((from.ip().to_canonical(), from.port())) == expected.map(|end| (end.ip(), end.port())) => {
                found = Some(OwnedFd::from(stream));
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))),
        }
        Ok(found.is_some())
    })?;
    found.ok_or(Errno::ETIMEDOUT)
}

fn does_not_fit(stream: &Stream, errno: Errno) -> KindError {
    if errno != Errno::ETIMEDOUT {
        return KindError::host("put data back into a TCP connection", errno);
    }
    KindError::Unrestorable {
        what: format!("a TCP connection with {} bytes on their way, for which there is no room here,", stream.data.len()),
        remedy: "restart as root, or raise net.core.rmem_max and net.ipv4.tcp_wmem".into(),
    }
}

/// Its buffer has the saved size, and what was shut down is.
fn finish((own, other): (BorrowedFd<'_>, BorrowedFd<'_>), state: &TcpV1, connection: &Connection) -> Result<(), Errno> {
    if !connection.unread.data.is_empty() {
        let room = usize::try_from(socket_option::number(&state.options, libc::SO_RCVBUF)).unwrap_or(0);
        let has_come =
            || Ok(descriptor::readable_bytes(own)? >= connection.unread.data.len().min(room / 4) || connection.unread.urgent.is_some());
        wait_until(Duration::from_secs(1), has_come)?;
    }
    shrink(own, state, &connection.unread)?;
    if connection.said_last {
        shutdown(std::os::fd::AsRawFd::as_raw_fd(&own), Shutdown::Write)?;
        wait_until(PATIENCE, || tcp_queue::has(other, libc::POLLRDHUP))?;
    }
    if connection.is_deaf {
        shutdown(std::os::fd::AsRawFd::as_raw_fd(&own), Shutdown::Read)?;
    }
    Ok(())
}

/// Where there was made room for data, the buffer gets the saved size.
fn shrink(fd: BorrowedFd<'_>, state: &TcpV1, unread: &Stream) -> Result<(), Errno> {
    let size = socket_option::number(&state.options, libc::SO_RCVBUF);
    if size > 0 && !unread.data.is_empty() { tcp_queue::narrow(fd, size) } else { Ok(()) }
}

/// A socket whose connection is over: it has one to us, which we end.
fn ended(state: &TcpV1, unread: &Stream, end: End, cx: &mut Build<'_>) -> Result<OwnedFd, KindError> {
    let attempt = |errno| KindError::host("make a connection that has ended", errno);
    let own = bound(state, unread.data.len(), cx)?;
    let helper = helper(state)?;
    if end != End::Refused {
        listen(helper.as_fd(), 1)?;
    }
    let at = Address(socket::local_address(helper.as_fd()).map_err(attempt)?);
    connect(own.as_fd(), &at).map_err(attempt)?;
    let has = |event: i16| wait_until(PATIENCE, || tcp_queue::has(own.as_fd(), event)).map_err(attempt).map(drop);
    if end == End::Refused {
        has(libc::POLLERR)?;
        return Ok(own);
    }
    let other = accept(helper, own.as_fd()).map_err(attempt)?;
    tcp_queue::pour(other.as_fd(), own.as_fd(), unread).map_err(|errno| does_not_fit(unread, errno))?;
    shrink(own.as_fd(), state, unread).map_err(attempt)?;
    if end == End::Reset {
        let now = [1i32.to_ne_bytes(), 0i32.to_ne_bytes()].concat();
        socket::set_option(other.as_fd(), libc::SOL_SOCKET, libc::SO_LINGER, &now).map_err(attempt)?;
        drop(other);
        has(libc::POLLERR)?;
        return Ok(own);
    }
    drop(other);
    has(libc::POLLRDHUP)?;
    shutdown(std::os::fd::AsRawFd::as_raw_fd(&own), Shutdown::Both).map_err(attempt)?;
    has(libc::POLLHUP)?;
    Ok(own)
}

/// A socket that `state` can call, on the same address or on the loopback address.
fn helper(state: &TcpV1) -> Result<OwnedFd, KindError> {
    let own = state.local.as_ref().filter(|local| local.end().is_some_and(|end| !inet::is_any(end.ip())));
    let address =
        own.map_or_else(|| Address::of(state.family, std::net::SocketAddr::from(([127, 0, 0, 1], 0))), |local| local.with_port(0));
    let made = inet::create(state.sort(), state.owner)?;
    prepare(made.as_fd(), 0)?;
    inet::bind(made.as_fd(), &address, "TCP")?;
    Ok(made)
}
