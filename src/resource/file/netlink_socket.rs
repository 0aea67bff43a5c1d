//! Netlink sockets (netlink(7)): to the routing tables, devices, generic families, sock_diag and among programs.
//!
//! **Kept:** type and protocol, port id, multicast groups, a connected destination, options of all levels, classic filters.
//! **Lost:** the port id, with a warning, when somebody has it; groups that need a right that is missing at the restart.
//! **Refused:** messages that nobody has read and answers under way; protocols whose sockets have more in the kernel than is shown (netfilter, audit, xfrm,
//! connector and others), eBPF filters.

use std::os::fd::{AsFd, BorrowedFd};

use serde::{Deserialize, Serialize};

use super::inet_option::{self, Table};
use super::socket_option::{self, SocketOption};
use super::{inet, open};
use crate::image::{Description, Object, ObjectId, Tag};
use crate::resource::{Build, Built, Capture, FileKind, KindError, Opened, Probe};
use crate::sys::{Errno, socket};

/// Netlink sockets.
pub struct NetlinkSocket;

/// A socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetlinkSocketV1 {
    /// SOCK_RAW or SOCK_DGRAM.
    pub kind: i32,
    /// NETLINK_ROUTE …
    pub protocol: i32,
    /// Whose it is: user and group.
    pub owner: (u32, u32),
    /// Its port id; 0: it has none yet.
    pub port: u32,
    /// Port id and groups of the destination, if it is connected.
    pub peer: Option<(u32, u32)>,
    /// The groups that it hears.
    pub groups: Vec<u32>,
    /// Options of all levels.
    pub options: Vec<SocketOption>,
}

const SOL_NETLINK: i32 = 270;
const ADD_MEMBERSHIP: i32 = 1;
const LIST_MEMBERSHIPS: i32 = 9;
const OPTIONS: Table = (
    SOL_NETLINK,
    &[
        (3, "NETLINK_PKTINFO", 4),
        (4, "NETLINK_BROADCAST_ERROR", 4),
        (5, "NETLINK_NO_ENOBUFS", 4),
        (8, "NETLINK_LISTEN_ALL_NSID", 4),
        (10, "NETLINK_CAP_ACK", 4),
        (11, "NETLINK_EXT_ACK", 4),
        (12, "NETLINK_GET_STRICT_CHK", 4),
    ],
);

/// Protocols whose sockets have nothing in the kernel that is not shown.
const KNOWN: &[i32] =
    &[libc::NETLINK_ROUTE, libc::NETLINK_USERSOCK, libc::NETLINK_SOCK_DIAG, libc::NETLINK_KOBJECT_UEVENT, libc::NETLINK_GENERIC];

impl FileKind for NetlinkSocket {
    type State = NetlinkSocketV1;
    const TAG: Tag = Tag::new("netlink_socket", 1);

    fn word(&self) -> &'static str {
        "socket"
    }

    fn claims(&self, probe: &Probe<'_>) -> bool {
        inet::sort(probe).is_some_and(|(family, _, protocol)| family == libc::AF_NETLINK && KNOWN.contains(&protocol))
    }

    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<NetlinkSocketV1, KindError> {
        let (probe, fd) = (probes[0], probes[0].copy()?);
        let (_, kind, protocol) = inet::sort(probe).unwrap_or_default();
        let attempt = |errno| KindError::host("look at a netlink socket", errno);
        let table = std::fs::read_to_string("/proc/self/net/netlink").unwrap_or_default();
        if is_dumping(&table, probe.stat.ino) || has_message(fd).map_err(attempt)? {
            let remedy = "try again when the program has read what the kernel told it".into();
            return Err(KindError::Unsupported { what: "a netlink socket with messages that nobody has read".into(), remedy });
        }
        if socket::events(fd).is_ok_and(|now| now & libc::POLLERR != 0) {
            cx.warnings.push("that a netlink socket has missed messages is not kept".into());
        }
        let port = address(&socket::local_address(fd).map_err(attempt)?).0;
        let peer = socket::peer_address(fd).ok().map(|peer| address(&peer)).filter(|peer| *peer != (0, 0));
        let options = [socket_option::capture(fd)?, inet_option::capture(fd, &[OPTIONS])?].concat();
        let owner = (probe.stat.uid, probe.stat.gid);
        Ok(NetlinkSocketV1 { kind, protocol, owner, port, peer, groups: groups(fd).map_err(attempt)?, options })
    }

    fn build(&self, state: &NetlinkSocketV1, _: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<Built, KindError> {
        let made = inet::create((libc::AF_NETLINK, state.kind, state.protocol), state.owner)?;
        let fd = made.as_fd();
        cx.warnings.extend(inet_option::restore(fd, &state.options, &[OPTIONS])?);
        cx.warnings.extend(socket_option::restore_quiet(fd, &state.options)?);
        let attempt = |errno| KindError::host("bind a netlink socket", errno);
        if state.port != 0 {
            match socket::bind(fd, &bytes(state.port, 0)) {
                Err(Errno::EADDRINUSE) => {
                    cx.warnings.push(format!("port id {} of a netlink socket is in use: it has another one", state.port));
                    socket::bind(fd, &bytes(0, 0)).map_err(attempt)?;
                }
                bound => bound.map_err(attempt)?,
            }
        }
        for group in &state.groups {
            match socket::set_option(fd, SOL_NETLINK, ADD_MEMBERSHIP, &group.to_ne_bytes()) {
                Err(errno @ (Errno::EPERM | Errno::EINVAL | Errno::ENOENT)) => {
                    cx.warnings.push(format!("a netlink socket does not hear group {group} any more: {}", errno.desc()));
                }
                joined => joined.map_err(|errno| KindError::host("join a netlink group", errno))?,
            }
        }
        if let Some((port, groups)) = state.peer {
            socket::connect(fd, &bytes(port, groups)).map_err(|errno| KindError::host("connect a netlink socket", errno))?;
        }
        cx.warnings.extend(socket_option::restore_loud(fd, &state.options)?);
        Ok(Built { descriptors: vec![made], ..Built::default() })
    }

    fn open(&self, _: &NetlinkSocketV1, built: &Built, _: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        open::duplicate(&built.descriptors[0]).map(Opened::New)
    }
}

/// `struct sockaddr_nl`: port id and groups.
fn bytes(port: u32, groups: u32) -> Vec<u8> {
    let family = u16::try_from(libc::AF_NETLINK).unwrap_or(0);
    [&family.to_ne_bytes()[..], &[0; 2], &port.to_ne_bytes(), &groups.to_ne_bytes()].concat()
}

fn address(bytes: &[u8]) -> (u32, u32) {
    let word = |at: usize| bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map_or(0, u32::from_ne_bytes);
    (word(4), word(8))
}

/// The groups that a socket hears, from their bits.
fn groups(fd: BorrowedFd<'_>) -> Result<Vec<u32>, Errno> {
    let bits = socket::option(fd, SOL_NETLINK, LIST_MEMBERSHIPS, 512)?;
    let is_set = |group: &u32| bits.get((group / 8) as usize).is_some_and(|byte| byte & (1 << (group % 8)) != 0);
    Ok((0..4096u32).filter(is_set).map(|bit| bit + 1).collect())
}

fn has_message(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    match socket::receive(fd, &mut [0; 1], libc::MSG_PEEK | libc::MSG_DONTWAIT) {
        Err(Errno::EAGAIN) => Ok(false),
        // It was looked for before.
        Err(Errno::ENOBUFS) => Ok(false),
        received => received.map(|_| true),
    }
}

/// Whether the kernel is giving a socket an answer of many parts, by the column Dump of `/proc/net/netlink`.
fn is_dumping(table: &str, inode: u64) -> bool {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mut rows = table.lines().skip(1).map(words);
    rows.any(|row| row.get(9).is_some_and(|last| *last == inode.to_string()) && row.get(6).is_some_and(|dump| dump != "0"))
}

#[cfg(test)]
mod test {
    use super::super::test::Round;
    use super::*;

    #[test]
    fn a_socket_hears_the_same_groups_under_the_same_port() {
        let one = socket::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE).unwrap();
        socket::bind(one.as_fd(), &bytes(0x7ee7_0001, 0)).unwrap();
        for group in [1u32, 5, 33] {
            socket::set_option(one.as_fd(), SOL_NETLINK, ADD_MEMBERSHIP, &group.to_ne_bytes()).unwrap();
        }
        let captured = Round::capture(&NetlinkSocket, &[&one]);
        assert_eq!((captured.state.port, &captured.state.groups[..]), (0x7ee7_0001, &[1, 5, 33][..]));
        drop(one);
        let round = captured.build();
        assert_eq!(round.warnings, Vec::<String>::new());
        let made = round.open(0);
        assert_eq!(address(&socket::local_address(made.as_fd()).unwrap()).0, 0x7ee7_0001);
        assert_eq!(groups(made.as_fd()).unwrap(), [1, 5, 33]);
    }

    #[test]
    fn an_answer_of_many_parts_shows_in_the_table() {
        let table = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n\
                     0000000000000000 0   4711       00000000 0        0        1     2        0        77\n\
                     0000000000000000 0   4712       00000000 0        0        0     2        0        78\n";
        assert!(is_dumping(table, 77) && !is_dumping(table, 78) && !is_dumping(table, 79));
    }
}
