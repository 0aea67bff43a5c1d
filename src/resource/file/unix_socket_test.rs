//! Round trips of Unix sockets of our own.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use super::super::test::Round;
use super::*;

#[test]
fn a_socket_whose_peer_is_closed_has_what_was_left() {
    let (mut one, other) = UnixStream::pair().unwrap();
    let mut other = other;
    std::io::Write::write_all(&mut other, b"left").unwrap();
    std::io::Write::write_all(&mut one, b"never read").unwrap();
    drop(other);
    let round = Round::capture(&UnixSocket, &[&one]);
    assert_eq!((&round.state.link, round.state.is_reset, round.state.shut), (&Link::Closed { name: vec![] }, true, 3));
    assert_eq!(round.state.queue, [Message { data: b"left".to_vec(), ..Message::default() }]);
    assert_eq!(round.state.peer.pid, std::process::id().cast_signed());
    assert_eq!(socket::option(one.as_fd(), libc::SOL_SOCKET, libc::SO_PEEK_OFF, 4).unwrap(), (-1i32).to_ne_bytes());
    assert_eq!(socket::option(one.as_fd(), libc::SOL_SOCKET, libc::SO_PASSCRED, 4).unwrap(), 0i32.to_ne_bytes());
}
