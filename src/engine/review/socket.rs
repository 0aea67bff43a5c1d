//! What a socket is, for the event about it.
//!
//! Relies on a duplicate of its descriptor, which only answers questions: nothing about the socket changes. What cannot be found out
//! stays empty.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::socket::{AddressFamily, SockType, SockaddrLike, SockaddrStorage, getpeername, getsockname, getsockopt, sockopt};

use crate::policy::event::ObjectEvent;

/// Fills in the fields about sockets.
pub fn describe(socket: BorrowedFd<'_>, event: &mut ObjectEvent) {
    let local = getsockname::<SockaddrStorage>(socket.as_raw_fd()).ok();
    let peer = getpeername::<SockaddrStorage>(socket.as_raw_fd()).ok();
    let listens = getsockopt(&socket.as_fd(), sockopt::AcceptConn).unwrap_or(false);
    event.family = local.as_ref().and_then(SockaddrLike::family).map(family);
    event.socket_type = getsockopt(&socket.as_fd(), sockopt::SockType).ok().map(|kind| type_word(kind).to_owned());
    let state = if listens {
        "listening"
    } else if peer.is_some() {
        "connected"
    } else {
        "unconnected"
    };
    event.state = Some(state.into());
    event.local = local.as_ref().and_then(address);
    event.peer = peer.as_ref().and_then(address);
    let is_local = event.family.as_deref() == Some("unix");
    event.peer_pid = getsockopt(&socket, sockopt::PeerCredentials).ok().map(|peer| peer.pid()).filter(|pid| is_local && *pid > 0);
}

/// An address in its usual form; none for a socket without one.
fn address(address: &SockaddrStorage) -> Option<String> {
    if let Some(inet) = address.as_sockaddr_in() {
        return Some(inet.to_string());
    }
    if let Some(inet6) = address.as_sockaddr_in6() {
        return Some(inet6.to_string());
    }
    let unix = address.as_unix_addr()?;
    let path = unix.path().map(|path| path.display().to_string());
    path.or_else(|| unix.as_abstract().map(|name| format!("@{}", String::from_utf8_lossy(name))))
}

fn family(family: AddressFamily) -> String {
    match family {
        AddressFamily::Unix => "unix".into(),
        AddressFamily::Inet => "inet".into(),
        AddressFamily::Inet6 => "inet6".into(),
        AddressFamily::Netlink => "netlink".into(),
        AddressFamily::Packet => "packet".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn type_word(kind: SockType) -> &'static str {
    match kind {
        SockType::Stream => "stream",
        SockType::Datagram => "datagram",
        SockType::SeqPacket => "seqpacket",
        SockType::Raw => "raw",
        SockType::Rdm => "rdm",
        _ => "other",
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn sockets_tell_family_type_state_and_addresses() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut event = ObjectEvent::default();
        describe(listener.as_fd(), &mut event);
        let local = listener.local_addr().unwrap().to_string();
        assert_eq!((event.family.as_deref(), event.socket_type.as_deref()), (Some("inet"), Some("stream")));
        assert_eq!((event.state.as_deref(), event.local), (Some("listening"), Some(local)));
        assert_eq!((event.peer, event.peer_pid), (None, None));

        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut event = ObjectEvent::default();
        describe(one.as_fd(), &mut event);
        assert_eq!((event.family.as_deref(), event.state.as_deref()), (Some("unix"), Some("connected")));
        assert_eq!((event.local, event.peer), (None, None));
        assert_eq!(event.peer_pid, i32::try_from(std::process::id()).ok());
    }
}
