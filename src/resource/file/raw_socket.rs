//! Raw and ping sockets, over IPv4 and IPv6 (raw(7), icmp(7)).
//!
//! **Kept:** protocol, addresses, the identifier of a ping socket, options of all levels, classic filters and those of ICMP, multicast groups.
//! **Lost:** packets that nobody has read, with a warning.
//! **Refused:** eBPF filters; at restart, without CAP_NET_RAW, raw sockets, and ping sockets outside of net.ipv4.ping_group_range.

use std::os::fd::AsFd;

use serde::{Deserialize, Serialize};

use super::inet::{self, Address};
use super::inet_option::{self, Table};
use super::multicast::{self, Group};
use super::open;
use super::socket_option::{self, SocketOption};
use crate::image::{Description, Object, ObjectId, Tag};
use crate::resource::{Build, Built, Capture, FileKind, KindError, Opened, Plan, Probe};
use crate::sys::{Errno, descriptor, socket};

/// Raw and ping sockets.
pub struct RawSocket;

/// A socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawSocketV1 {
    /// AF_INET or AF_INET6.
    pub family: i32,
    /// SOCK_RAW, or SOCK_DGRAM of a ping socket.
    pub kind: i32,
    /// IPPROTO_ICMP …
    pub protocol: i32,
    /// Whose it is: user and group.
    pub owner: (u32, u32),
    /// Where it is bound; the port of a ping socket is its identifier.
    pub local: Option<Address>,
    /// Whom it is connected to.
    pub peer: Option<Address>,
    /// Options of all levels.
    pub options: Vec<SocketOption>,
    /// Multicast groups.
    pub groups: Vec<Group>,
}

const ICMP: Table = (255, &[(1, "ICMP_FILTER", 4), (7, "IPV6_CHECKSUM", 4)]);
const ICMPV6: Table = (libc::IPPROTO_ICMPV6, &[(1, "ICMPV6_FILTER", 32)]);
const HEADERS: Table = (libc::IPPROTO_IP, &[(libc::IP_HDRINCL, "IP_HDRINCL", 4)]);
const HEADERS_6: Table = (libc::IPPROTO_IPV6, &[(36, "IPV6_HDRINCL", 4)]);

impl RawSocketV1 {
    fn tables(&self) -> Vec<Table> {
        [inet_option::of_sender(self.family), &[ICMP, ICMPV6, HEADERS, HEADERS_6]].concat()
    }
}

impl FileKind for RawSocket {
    type State = RawSocketV1;
    const TAG: Tag = Tag::new("raw_socket", 1);

    fn word(&self) -> &'static str {
        "socket"
    }

    fn claims(&self, probe: &Probe<'_>) -> bool {
        let is_ping = |protocol| matches!(protocol, libc::IPPROTO_ICMP | libc::IPPROTO_ICMPV6);
        inet::sort(probe).is_some_and(|(family, kind, protocol)| {
            inet::is_inet(family) && (kind == libc::SOCK_RAW || kind == libc::SOCK_DGRAM && is_ping(protocol))
        })
    }

    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<RawSocketV1, KindError> {
        let (probe, fd) = (probes[0], probes[0].copy()?);
        let (family, kind, protocol) = inet::sort(probe).unwrap_or_default();
        let mut state = RawSocketV1 {
            family,
            kind,
            protocol,
            owner: (probe.stat.uid, probe.stat.gid),
            local: inet::local_of(fd)?,
            peer: inet::peer_of(fd)?,
            options: Vec::new(),
            groups: multicast::capture(fd, family)?,
        };
        state.options = inet::options(fd, state.local.as_ref(), state.peer.is_some(), &state.tables())?;
        if descriptor::readable_bytes(fd).is_ok_and(|bytes| bytes > 0) {
            cx.warnings.push("packets that nobody has read from a raw socket are not kept".into());
        }
        Ok(state)
    }

    fn plan(&self, state: &RawSocketV1, _: (ObjectId, &Object), _: &mut Plan<'_>) -> Result<(), KindError> {
        match socket::socket(state.family, state.kind, state.protocol) {
            Err(Errno::EPERM | Errno::EACCES) => {
                let (what, remedy) = if state.kind == libc::SOCK_RAW {
                    ("a raw socket needs CAP_NET_RAW", "restart as root")
                } else {
                    ("a ping socket is not for this group", "restart as root, or widen net.ipv4.ping_group_range")
                };
                Err(KindError::Denied { what: what.into(), remedy: remedy.into() })
            }
            made => made.map(drop).map_err(|errno| KindError::host("make a raw socket", errno)),
        }
    }

    fn build(&self, state: &RawSocketV1, _: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<Built, KindError> {
        let made = inet::create((state.family, state.kind, state.protocol), state.owner)?;
        let fd = made.as_fd();
        cx.warnings.extend(inet_option::restore(fd, &state.options, &state.tables())?);
        cx.warnings.extend(socket_option::restore_quiet(fd, &state.options)?);
        if let Some(local) = &state.local {
            inet::bind(fd, local, "local")?;
        }
        if let Some(peer) = &state.peer {
            socket::connect(fd, &peer.0).map_err(|errno| KindError::host(format!("connect a raw socket to {}", peer.shown()), errno))?;
        }
        cx.warnings.extend(multicast::restore(fd, &state.groups)?);
        cx.warnings.extend(socket_option::restore_loud(fd, &state.options)?);
        Ok(Built { descriptors: vec![made], ..Built::default() })
    }

    fn open(&self, _: &RawSocketV1, built: &Built, _: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        open::duplicate(&built.descriptors[0]).map(Opened::New)
    }
}

#[cfg(test)]
mod test {
    use super::super::test::Round;
    use super::*;

    #[test]
    fn a_raw_socket_comes_back_where_it_may_be_made() {
        // Only root may make one.
        let Ok(one) = socket::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP) else { return };
        socket::bind(one.as_fd(), &Address::of(libc::AF_INET, std::net::SocketAddr::from(([127, 0, 0, 1], 0))).0).unwrap();
        socket::set_option(one.as_fd(), 255, 1, &0xfff0u32.to_ne_bytes()).unwrap();
        let round = Round::of(&RawSocket, &[&one]);
        let made = round.open(0);
        assert_eq!(socket::option(made.as_fd(), 255, 1, 4).unwrap(), 0xfff0u32.to_ne_bytes());
        assert_eq!(inet::local_of(made.as_fd()).unwrap().and_then(|at| at.end()).map(|end| end.ip().is_loopback()), Some(true));
        assert_eq!(round.warnings, Vec::<String>::new());
    }
}
