//! What the kernel tells about Internet sockets beyond their options (sock_diag(7), `INET_DIAG`).
//!
//! Relies on [`Diag`] for the conversation. Needs no right, and tells about the sockets of everybody in the network namespace of the caller.

use std::net::{IpAddr, SocketAddr};

use super::Errno;
use super::diag::{Diag, attributes, word};

/// Bytes of `struct inet_diag_msg`.
const ANSWER_BYTES: usize = 72;
const INET_DIAG_SHUTDOWN: u16 = 8;

/// An Internet socket, as the kernel shows it to anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InetSocket {
    /// Its inode number; 0 when no process has it yet, or any more.
    pub inode: u64,
    /// TCP_ESTABLISHED (1) … TCP_LISTEN (10), TCP_NEW_SYN_RECV (12): of `net/tcp_states.h`.
    pub state: u8,
    /// Its own end; mapped addresses of IPv4 are those of IPv4.
    pub local: SocketAddr,
    /// The other end; port 0 without one.
    pub peer: SocketAddr,
    /// Bytes to read; of a listening one: connections that wait to be accepted.
    pub unread: u32,
    /// Bytes that are not acknowledged; of a listening one: how many connections may wait.
    pub unsent: u32,
    /// Bits of what is shut down: 1 receiving, 2 sending.
    pub shut: u8,
}

/// All sockets of a family and a protocol, or of every state but closed ones.
pub fn all(diag: &Diag, family: i32, protocol: i32) -> Result<Vec<InetSocket>, Errno> {
    let byte = |number: i32| u8::try_from(number).map_err(|_| Errno::EINVAL);
    // struct inet_diag_req_v2: family, protocol, no extensions; every state; no socket in particular.
    let request = [&[byte(family)?, byte(protocol)?, 0, 0][..], &u32::MAX.to_ne_bytes(), &[0; 48]].concat();
    match diag.ask(&request, true) {
        // Nobody here has such a protocol.
        Err(Errno::ENOENT) => Ok(Vec::new()),
        answers => Ok(answers?.iter().filter_map(|answer| parse(answer)).collect()),
    }
}

/// The socket with this connection. ENOENT: there is none.
pub fn one(diag: &Diag, protocol: i32, local: SocketAddr, peer: SocketAddr) -> Result<InetSocket, Errno> {
    let byte = |number: i32| u8::try_from(number).map_err(|_| Errno::EINVAL);
    let family = if local.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let address = |ip: IpAddr| match ip {
        IpAddr::V4(four) => [&four.octets()[..], &[0; 12]].concat(),
        IpAddr::V6(six) => six.octets().to_vec(),
    };
    let no_cookie = u64::MAX.to_ne_bytes();
    let ports = [local.port().to_be_bytes(), peer.port().to_be_bytes()].concat();
    let request = [
        &[byte(family)?, byte(protocol)?, 0, 0][..],
        &u32::MAX.to_ne_bytes(),
        &ports,
        &address(local.ip()),
        &address(peer.ip()),
        &[0; 4],
        &no_cookie,
    ];
    let answers = diag.ask(&request.concat(), false)?;
    answers.first().and_then(|answer| parse(answer)).ok_or(Errno::EPROTO)
}

/// Reads `struct inet_diag_msg` and what is behind it.
fn parse(answer: &[u8]) -> Option<InetSocket> {
    let (family, state) = (i32::from(*answer.first()?), *answer.get(1)?);
    let port = |at: usize| Some(u16::from_be_bytes(answer.get(at..at + 2)?.try_into().ok()?));
    let address = |at: usize| -> Option<IpAddr> {
        let bytes: [u8; 16] = answer.get(at..at + 16)?.try_into().ok()?;
        Some(match family {
            libc::AF_INET => IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]),
            _ => IpAddr::from(bytes).to_canonical(),
        })
    };
    let shut = attributes(answer, ANSWER_BYTES).find(|(kind, _)| *kind == INET_DIAG_SHUTDOWN);
    Some(InetSocket {
        inode: word(answer, 68).into(),
        state,
        local: SocketAddr::new(address(8)?, port(4)?),
        peer: SocketAddr::new(address(24)?, port(6)?),
        unread: word(answer, 56),
        unsent: word(answer, 60),
        shut: shut.and_then(|(_, data)| data.first().copied()).unwrap_or(0),
    })
}

#[cfg(test)]
mod test {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsFd;

    use super::*;

    fn inode(fd: &impl AsFd) -> u64 {
        nix::sys::stat::fstat(fd.as_fd()).unwrap().st_ino
    }

    #[test]
    fn sockets_show_both_ends_and_what_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(b"five!").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let diag = Diag::open().unwrap();
        let tcp = all(&diag, libc::AF_INET, libc::IPPROTO_TCP).unwrap();
        let of = |inode: u64| tcp.iter().find(|one| one.inode == inode).unwrap();
        assert_eq!((of(inode(&listener)).state, of(inode(&listener)).unread), (10, 1));
        let shown = of(inode(&client));
        assert_eq!((shown.state, shown.local, shown.peer), (1, client.local_addr().unwrap(), listener.local_addr().unwrap()));
        let waiting = tcp.iter().find(|one| one.peer == shown.local).unwrap();
        assert_eq!((waiting.inode, waiting.unread), (0, 5));
        assert_eq!(one(&diag, libc::IPPROTO_TCP, shown.local, shown.peer), Ok(shown.clone()));
        assert_eq!(one(&diag, libc::IPPROTO_TCP, shown.local, shown.local), Err(Errno::ENOENT));
        let udps = all(&diag, libc::AF_INET, libc::IPPROTO_UDP).unwrap();
        let shown = udps.iter().find(|one| one.inode == inode(&udp)).unwrap();
        assert_eq!((shown.local, shown.peer.port(), shown.shut), (udp.local_addr().unwrap(), 0, 0));
    }
}
