//! The options of Internet protocols (ip(7), ipv6(7), tcp(7), udp(7)). Not a kind: kinds of Internet sockets keep them beside those that every
//! socket has.
//!
//! Relies on the kernel for what a socket has from its birth: an option is set only where a new socket differs from the saved one.

use std::os::fd::BorrowedFd;

use super::socket_option::{Known, SocketOption};
use crate::resource::KindError;
use crate::sys::{Errno, socket};

/// Options of one protocol.
pub type Table = (i32, &'static [Known]);

/// Of IPv4, which sockets of IPv6 have as well.
pub const IP: Table = (
    libc::IPPROTO_IP,
    &[
        (libc::IP_TOS, "IP_TOS", 4),
        (libc::IP_TTL, "IP_TTL", 4),
        (libc::IP_OPTIONS, "IP_OPTIONS", 40),
        (libc::IP_RECVOPTS, "IP_RECVOPTS", 4),
        (libc::IP_RETOPTS, "IP_RETOPTS", 4),
        (libc::IP_PKTINFO, "IP_PKTINFO", 4),
        (libc::IP_MTU_DISCOVER, "IP_MTU_DISCOVER", 4),
        (libc::IP_RECVERR, "IP_RECVERR", 4),
        (libc::IP_RECVTTL, "IP_RECVTTL", 4),
        (libc::IP_RECVTOS, "IP_RECVTOS", 4),
        (libc::IP_FREEBIND, "IP_FREEBIND", 4),
        (18, "IP_PASSSEC", 4),
        (libc::IP_TRANSPARENT, "IP_TRANSPARENT", 4),
        (20, "IP_RECVORIGDSTADDR", 4),
        (21, "IP_MINTTL", 4),
        (23, "IP_CHECKSUM", 4),
        (24, "IP_BIND_ADDRESS_NO_PORT", 4),
        (25, "IP_RECVFRAGSIZE", 4),
        (26, "IP_RECVERR_RFC4884", 4),
        (50, "IP_UNICAST_IF", 4),
        (51, "IP_LOCAL_PORT_RANGE", 4),
    ],
);

/// Of IPv6.
pub const IPV6: Table = (
    libc::IPPROTO_IPV6,
    &[
        (2, "IPV6_2292PKTINFO", 4),
        (3, "IPV6_2292HOPOPTS", 4),
        (4, "IPV6_2292DSTOPTS", 4),
        (5, "IPV6_2292RTHDR", 4),
        (8, "IPV6_2292HOPLIMIT", 4),
        (11, "IPV6_FLOWINFO", 4),
        (libc::IPV6_UNICAST_HOPS, "IPV6_UNICAST_HOPS", 4),
        (libc::IPV6_MTU_DISCOVER, "IPV6_MTU_DISCOVER", 4),
        (25, "IPV6_RECVERR", 4),
        (libc::IPV6_V6ONLY, "IPV6_V6ONLY", 4),
        (30, "IPV6_ROUTER_ALERT_ISOLATE", 4),
        (31, "IPV6_RECVERR_RFC4884", 4),
        (33, "IPV6_FLOWINFO_SEND", 4),
        (libc::IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO", 4),
        (51, "IPV6_RECVHOPLIMIT", 4),
        (53, "IPV6_RECVHOPOPTS", 4),
        (54, "IPV6_HOPOPTS", 512),
        (55, "IPV6_RTHDRDSTOPTS", 512),
        (56, "IPV6_RECVRTHDR", 4),
        (57, "IPV6_RTHDR", 512),
        (58, "IPV6_RECVDSTOPTS", 4),
        (59, "IPV6_DSTOPTS", 512),
        (60, "IPV6_RECVPATHMTU", 4),
        (62, "IPV6_DONTFRAG", 4),
        (libc::IPV6_RECVTCLASS, "IPV6_RECVTCLASS", 4),
        (libc::IPV6_TCLASS, "IPV6_TCLASS", 4),
        (70, "IPV6_AUTOFLOWLABEL", 4),
        (72, "IPV6_ADDR_PREFERENCES", 4),
        (73, "IPV6_MINHOPCOUNT", 4),
        (74, "IPV6_RECVORIGDSTADDR", 4),
        (75, "IPV6_TRANSPARENT", 4),
        (76, "IPV6_UNICAST_IF", 4),
        (77, "IPV6_RECVFRAGSIZE", 4),
        (78, "IPV6_FREEBIND", 4),
    ],
);

/// Of IPv4, for sockets that send to groups: of connections the kernel uses them for something else.
pub const IP_MULTICAST: Table = (
    libc::IPPROTO_IP,
    &[
        (libc::IP_MULTICAST_IF, "IP_MULTICAST_IF", 4),
        (libc::IP_MULTICAST_TTL, "IP_MULTICAST_TTL", 4),
        (libc::IP_MULTICAST_LOOP, "IP_MULTICAST_LOOP", 4),
        (49, "IP_MULTICAST_ALL", 4),
    ],
);

/// Of IPv6, for sockets that send to groups.
pub const IPV6_MULTICAST: Table = (
    libc::IPPROTO_IPV6,
    &[
        (libc::IPV6_MULTICAST_IF, "IPV6_MULTICAST_IF", 4),
        (libc::IPV6_MULTICAST_HOPS, "IPV6_MULTICAST_HOPS", 4),
        (libc::IPV6_MULTICAST_LOOP, "IPV6_MULTICAST_LOOP", 4),
        (29, "IPV6_MULTICAST_ALL", 4),
    ],
);

/// Of UDP, but for UDP_CORK, which holds data back.
pub const UDP: Table = (
    libc::IPPROTO_UDP,
    &[(100, "UDP_ENCAP", 4), (101, "UDP_NO_CHECK6_TX", 4), (102, "UDP_NO_CHECK6_RX", 4), (103, "UDP_SEGMENT", 4), (104, "UDP_GRO", 4)],
);

/// What holds datagrams of UDP back: set when everything else is in place.
pub const UDP_CORK: Table = (libc::IPPROTO_UDP, &[(1, "UDP_CORK", 4)]);

/// Of UDP-Lite (udplite(7)).
pub const UDP_LITE: Table = (libc::IPPROTO_UDPLITE, &[(10, "UDPLITE_SEND_CSCOV", 4), (11, "UDPLITE_RECV_CSCOV", 4)]);

/// Of TCP, for sockets in every state.
pub const TCP: Table = (
    libc::IPPROTO_TCP,
    &[
        (libc::TCP_NODELAY, "TCP_NODELAY", 4),
        (libc::TCP_KEEPIDLE, "TCP_KEEPIDLE", 4),
        (libc::TCP_KEEPINTVL, "TCP_KEEPINTVL", 4),
        (libc::TCP_KEEPCNT, "TCP_KEEPCNT", 4),
        (libc::TCP_SYNCNT, "TCP_SYNCNT", 4),
        (libc::TCP_LINGER2, "TCP_LINGER2", 4),
        (libc::TCP_CONGESTION, "TCP_CONGESTION", 16),
        (16, "TCP_THIN_LINEAR_TIMEOUTS", 4),
        (17, "TCP_THIN_DUPACK", 4),
        (libc::TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT", 4),
        (25, "TCP_NOTSENT_LOWAT", 4),
        (36, "TCP_INQ", 4),
        (37, "TCP_TX_DELAY", 4),
    ],
);

/// Of TCP, for sockets without a connection: of others they tell what was agreed upon.
pub const TCP_UNCONNECTED: Table = (
    libc::IPPROTO_TCP,
    &[
        (libc::TCP_MAXSEG, "TCP_MAXSEG", 4),
        (libc::TCP_DEFER_ACCEPT, "TCP_DEFER_ACCEPT", 4),
        (libc::TCP_WINDOW_CLAMP, "TCP_WINDOW_CLAMP", 4),
        (libc::TCP_FASTOPEN, "TCP_FASTOPEN", 4),
        (27, "TCP_SAVE_SYN", 4),
        (30, "TCP_FASTOPEN_CONNECT", 4),
        (34, "TCP_FASTOPEN_NO_COOKIE", 4),
    ],
);

/// What holds data of TCP back: set when everything else is in place.
pub const TCP_CORK: Table = (libc::IPPROTO_TCP, &[(libc::TCP_CORK, "TCP_CORK", 4)]);

/// The tables that hold for sockets of a family.
pub fn of_family(family: i32) -> &'static [Table] {
    if family == libc::AF_INET6 { &[IPV6, IP] } else { &[IP] }
}

/// The tables that hold for sockets of a family that send to groups.
pub fn of_sender(family: i32) -> &'static [Table] {
    if family == libc::AF_INET6 { &[IPV6, IP, IPV6_MULTICAST, IP_MULTICAST] } else { &[IP, IP_MULTICAST] }
}

/// Reads the options of these protocols.
pub fn capture(fd: BorrowedFd<'_>, tables: &[Table]) -> Result<Vec<SocketOption>, KindError> {
    let mut options = Vec::new();
    for (level, known) in tables {
        for (option, name, room) in *known {
            match socket::option(fd, *level, *option, *room) {
                Ok(value) => options.push(SocketOption { level: *level, option: *option, value }),
                Err(errno) if is_missing(errno) => {}
                Err(errno) => return Err(KindError::host(format!("read the socket option {name}"), errno)),
            }
        }
    }
    Ok(options)
}

/// What the kernel says of an option that a sort of socket, or this kernel, does not have, or only when it is connected.
fn is_missing(errno: Errno) -> bool {
    matches!(errno, Errno::EOPNOTSUPP | Errno::ENOPROTOOPT | Errno::EINVAL | Errno::ENOTCONN)
}

/// Sets the options that differ. Each sentence is about one that could not be set.
pub fn restore(fd: BorrowedFd<'_>, options: &[SocketOption], tables: &[Table]) -> Result<Vec<String>, KindError> {
    let mut warnings = Vec::new();
    for (level, known) in tables {
        for (option, name, room) in *known {
            let Some(saved) = options.iter().find(|one| (one.level, one.option) == (*level, *option)) else { continue };
            if socket::option(fd, *level, *option, *room).as_ref() == Ok(&saved.value) {
                continue;
            }
            match socket::set_option(fd, *level, *option, &saved.value) {
                Ok(()) => {}
                Err(errno @ (Errno::EPERM | Errno::EACCES | Errno::ENODEV | Errno::EADDRNOTAVAIL | Errno::ENOENT)) => {
                    warnings.push(format!("the socket option {name} cannot be set again here: {}", errno.desc()));
                }
                Err(errno) if is_missing(errno) => warnings.push(format!("this kernel does not take the socket option {name}")),
                Err(errno) => return Err(KindError::host(format!("set the socket option {name}"), errno)),
            }
        }
    }
    Ok(warnings)
}

#[cfg(test)]
mod test {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_new_socket_gets_what_differs() {
        let (one, other) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let tables = [IP, IP_MULTICAST, UDP];
        let value = |option: i32| socket::option(other.as_fd(), libc::IPPROTO_IP, option, 4).unwrap();
        for (option, value) in [(libc::IP_TTL, 9i32), (libc::IP_PKTINFO, 1), (libc::IP_MULTICAST_TTL, 3)] {
            socket::set_option(one.as_fd(), libc::IPPROTO_IP, option, &value.to_ne_bytes()).unwrap();
        }
        let saved = capture(one.as_fd(), &tables).unwrap();
        assert_eq!(restore(other.as_fd(), &saved, &tables).unwrap(), Vec::<String>::new());
        assert_eq!(capture(other.as_fd(), &tables).unwrap(), saved);
        assert_eq!(value(libc::IP_TTL), 9i32.to_ne_bytes());
    }
}
