//! UDP and UDP-Lite sockets, over IPv4 and IPv6 (udp(7), udplite(7)).
//!
//! **Kept:** both addresses, what is shut down, options of all levels, classic filters, multicast groups with their sources, and datagrams that
//! nobody has read, with their senders and boundaries.
//! **Lost:** errors that nobody has asked for; what else came with a datagram than its sender; at restart, with a warning, datagrams of senders
//! whose address is in use or, without CAP_NET_ADMIN, not one of this machine; an empty datagram that an earlier checkpoint of the same life has seen;
//! what no interface shows: encryption and encapsulation (xfrm), the index given to IP_MULTICAST_IF without an address.
//! **Refused:** datagrams that are still being put together (UDP_CORK, MSG_MORE), eBPF filters; at restart, addresses that cannot be had.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::inet::{self, Address};
use super::inet_option::{self, Table};
use super::multicast::{self, Group};
use super::open;
use super::socket_option::{self, SocketOption};
use crate::image::{Description, Object, ObjectId, Tag};
use crate::resource::{Build, Built, Capture, FileKind, KindError, Opened, Plan, Probe};
use crate::sys::{Errno, socket};

/// UDP and UDP-Lite sockets.
pub struct Udp;

/// A socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UdpV1 {
    /// AF_INET or AF_INET6.
    pub family: i32,
    /// IPPROTO_UDP or IPPROTO_UDPLITE.
    pub protocol: i32,
    /// Whose it is: user and group.
    pub owner: (u32, u32),
    /// Where it is bound.
    pub local: Option<Address>,
    /// Whom it is connected to.
    pub peer: Option<Address>,
    /// Bits of what is shut down: 1 receiving, 2 sending.
    pub shut: u8,
    /// Options of all levels.
    pub options: Vec<SocketOption>,
    /// Multicast groups.
    pub groups: Vec<Group>,
    /// What nobody has read, oldest first.
    pub queue: Vec<Datagram>,
}

/// A datagram.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Datagram {
    /// Who sent it.
    pub source: Address,
    /// What it says.
    #[serde(with = "serde_bytes")]
    pub data: Vec<u8>,
}

/// The largest datagram, and those that UDP_GRO puts together.
const MOST_BYTES: usize = 1 << 17;
/// The kernel delivers on this machine at once, or when it has time.
const PATIENCE: Duration = Duration::from_secs(2);
const UDP_GRO: i32 = 104;

impl UdpV1 {
    fn sort(&self) -> (i32, i32, i32) {
        (self.family, libc::SOCK_DGRAM, self.protocol)
    }

    fn tables(&self) -> Vec<Table> {
        let own = if self.protocol == libc::IPPROTO_UDPLITE { inet_option::UDP_LITE } else { inet_option::UDP };
        [inet_option::of_sender(self.family), &[own]].concat()
    }
}

impl FileKind for Udp {
    type State = UdpV1;
    const TAG: Tag = Tag::new("udp", 1);

    fn word(&self) -> &'static str {
        "socket"
    }

    fn claims(&self, probe: &Probe<'_>) -> bool {
        let is_ours = |protocol| matches!(protocol, libc::IPPROTO_UDP | libc::IPPROTO_UDPLITE);
        inet::sort(probe).is_some_and(|(family, kind, protocol)| inet::is_inet(family) && kind == libc::SOCK_DGRAM && is_ours(protocol))
    }

    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<UdpV1, KindError> {
        let (probe, fd) = (probes[0], probes[0].copy()?);
        let (family, _, protocol) = inet::sort(probe).unwrap_or_default();
        let shown = cx.facts.network.find(family, protocol, probe.stat.ino)?;
        let local = inet::local_of(fd)?;
        let mut state = UdpV1 {
            family,
            protocol,
            owner: (probe.stat.uid, probe.stat.gid),
            local,
            peer: inet::peer_of(fd)?,
            shut: shown.map_or(0, |shown| shown.shut),
            options: Vec::new(),
            groups: multicast::capture(fd, family)?,
            queue: Vec::new(),
        };
        let tables = [&state.tables()[..], &[inet_option::UDP_CORK]].concat();
        state.options = inet::options(fd, state.local.as_ref(), state.peer.is_some(), &tables)?;
        if !is_sent(fd).map_err(|errno| KindError::host("ask a socket what it has not sent", errno))? {
            let remedy = "let it send: without UDP_CORK, or without MSG_MORE".into();
            return Err(KindError::Unsupported { what: "a datagram that is still being put together".into(), remedy });
        }
        if socket::events(fd).is_ok_and(|now| now & libc::POLLERR != 0) {
            cx.warnings.push("an error that the network reported and the job has not asked for is not kept".into());
        }
        state.queue = peek(fd).map_err(|errno| KindError::host("look at datagrams", errno))?;
        Ok(state)
    }

    fn plan(&self, state: &UdpV1, _: (ObjectId, &Object), _: &mut Plan<'_>) -> Result<(), KindError> {
        state.local.as_ref().map_or(Ok(()), |local| inet::check(state.sort(), local, &state.options, "UDP"))
    }

    fn build(&self, state: &UdpV1, _: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<Built, KindError> {
        let made = inet::create(state.sort(), state.owner)?;
        let fd = made.as_fd();
        cx.warnings.extend(inet_option::restore(fd, &state.options, &state.tables())?);
        cx.warnings.extend(socket_option::restore_quiet(fd, &state.options)?);
        if let Some(local) = &state.local {
            inet::bind(fd, local, "UDP")?;
            // Until all is settled, what others of the job find in their queues may come from its address.
            share_address(fd, 1)?;
            fill(fd, state, &mut cx.warnings)?;
        }
        if let Some(peer) = &state.peer {
            socket::connect(fd, &peer.0).map_err(|errno| KindError::host(format!("connect a UDP socket to {}", peer.shown()), errno))?;
        }
        shut_down(fd, state.shut)?;
        cx.warnings.extend(multicast::restore(fd, &state.groups)?);
        cx.warnings.extend(socket_option::restore_loud(fd, &state.options)?);
        Ok(Built { descriptors: vec![made], ..Built::default() })
    }

    fn open(&self, _: &UdpV1, built: &Built, _: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        open::duplicate(&built.descriptors[0]).map(Opened::New)
    }

    fn settle(&self, state: &UdpV1, built: &Built, _: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<(), KindError> {
        let fd = built.descriptors[0].as_fd();
        share_address(fd, socket_option::number(&state.options, libc::SO_REUSEADDR))?;
        cx.warnings.extend(inet_option::restore(fd, &state.options, &[inet_option::UDP_CORK])?);
        // What arrived has changed SO_INCOMING_CPU.
        socket_option::restore_quiet(fd, &state.options).map(drop)
    }
}

fn share_address(fd: BorrowedFd<'_>, value: u32) -> Result<(), KindError> {
    let set = socket::set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, &value.to_ne_bytes());
    set.map_err(|errno| KindError::host("set the socket option SO_REUSEADDR", errno))
}

fn shut_down(fd: BorrowedFd<'_>, shut: u8) -> Result<(), KindError> {
    use nix::sys::socket::{Shutdown, shutdown};
    let how = match shut {
        0 => return Ok(()),
        1 => Shutdown::Read,
        2 => Shutdown::Write,
        _ => Shutdown::Both,
    };
    match shutdown(std::os::fd::AsRawFd::as_raw_fd(&fd), how) {
        // The kernel says so of sockets without a peer, and does it.
        Ok(()) | Err(Errno::ENOTCONN) => Ok(()),
        Err(errno) => Err(KindError::host("shut down a socket", errno)),
    }
}

/// Whether everything has left the socket. What is on its way to a device leaves within moments.
fn is_sent(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    const MOMENTS: u32 = 50;
    for _ in 0..MOMENTS {
        if socket::unsent(fd)? == 0 {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(false)
}

/// Every datagram in the queue, which stays as it is.
fn peek(fd: BorrowedFd<'_>) -> Result<Vec<Datagram>, Errno> {
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // Another error is a pending one: it was looked for before.
    if let Err(Errno::EAGAIN) = socket::receive(fd, &mut [0; 1], flags) {
        return Ok(Vec::new());
    }
    let offset = socket::option(fd, libc::SOL_SOCKET, libc::SO_PEEK_OFF, 4)?;
    socket::set_option(fd, libc::SOL_SOCKET, libc::SO_PEEK_OFF, &0i32.to_ne_bytes())?;
    let mut queue = Vec::new();
    let mut data = vec![0; MOST_BYTES];
    let seen = loop {
        match socket::receive(fd, &mut data, flags) {
            Ok(received) => queue.extend(datagrams(&data[..received.bytes], &received)),
            Err(Errno::EAGAIN) => break Ok(()),
            Err(errno) => break Err(errno),
        }
    };
    socket::set_option(fd, libc::SOL_SOCKET, libc::SO_PEEK_OFF, &offset)?;
    seen.map(|()| queue)
}

/// One datagram, or those that UDP_GRO has put together.
fn datagrams(data: &[u8], received: &socket::Received) -> Vec<Datagram> {
    let together = received.others.iter().find(|(level, kind, _)| (*level, *kind) == (libc::IPPROTO_UDP, UDP_GRO));
    let size = together.and_then(|(_, _, size)| size.first_chunk().copied()).map_or(0, i32::from_ne_bytes);
    let one = |data: &[u8]| Datagram { source: Address(received.address.clone()), data: data.to_vec() };
    match usize::try_from(size) {
        Ok(size @ 1..) => data.chunks(size).map(one).collect(),
        _ => vec![one(data)],
    }
}

/// Puts datagrams into the queue of a socket that is bound and has no peer yet: each is sent from the address of its sender.
fn fill(fd: BorrowedFd<'_>, state: &UdpV1, warnings: &mut Vec<String>) -> Result<(), KindError> {
    if state.queue.is_empty() {
        return Ok(());
    }
    make_room(fd, state);
    let mut senders: HashMap<&Address, Result<OwnedFd, Errno>> = HashMap::new();
    for datagram in &state.queue {
        let sender = senders.entry(&datagram.source).or_insert_with(|| sender(&datagram.source, state));
        let delivered = sender.as_ref().map_err(|errno| *errno).and_then(|sender| deliver(sender.as_fd(), fd, datagram));
        if let Err(errno) = delivered {
            let (bytes, source) = (datagram.data.len(), datagram.source.shown());
            warnings.push(format!("a datagram of {bytes} bytes from {source} is lost: its address cannot be used here: {}", errno.desc()));
        }
    }
    disconnect(fd).map_err(|errno| KindError::host("disconnect a UDP socket", errno))?;
    let size = socket_option::number(&state.options, libc::SO_RCVBUF) / 2;
    let set = socket::set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, &size.to_ne_bytes());
    set.map_err(|errno| KindError::host("set the socket option SO_RCVBUF", errno))
}

/// Room for more than what was there: what the kernel counts for each datagram differs by the way it came.
fn make_room(fd: BorrowedFd<'_>, state: &UdpV1) {
    let needed: usize = state.queue.iter().map(|datagram| 2 * datagram.data.len() + 4096).sum();
    let needed = u32::try_from(needed).unwrap_or(u32::MAX >> 1).max(socket_option::number(&state.options, libc::SO_RCVBUF));
    for option in [libc::SO_RCVBUF, libc::SO_RCVBUFFORCE] {
        // Without the right to have more, the limit of the machine is what there is; what does not fit is missed later.
        let _as_far_as_it_goes = socket::set_option(fd, libc::SOL_SOCKET, option, &needed.to_ne_bytes());
    }
}

/// A socket with the address of somebody who has sent something: whoever has it now is of this job, and shares it for the moment.
fn sender(source: &Address, state: &UdpV1) -> Result<OwnedFd, Errno> {
    const IPV6_TRANSPARENT: i32 = 75;
    let on = 1i32.to_ne_bytes();
    let made = socket::socket(state.family, libc::SOCK_DGRAM, state.protocol)?;
    socket::set_option(made.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, &on)?;
    for (level, option) in [(libc::IPPROTO_IP, libc::IP_TRANSPARENT), (libc::IPPROTO_IPV6, IPV6_TRANSPARENT)] {
        // The addresses of other machines are root's only.
        let _as_far_as_it_goes = socket::set_option(made.as_fd(), level, option, &on);
    }
    socket::bind(made.as_fd(), &source.0).map(|()| made)
}

/// Sends a datagram and waits until it has arrived. Of several sockets with one address, one that is connected to the sender gets it.
fn deliver(sender: BorrowedFd<'_>, to: BorrowedFd<'_>, datagram: &Datagram) -> Result<(), Errno> {
    disconnect(to)?;
    let bound = Address(socket::local_address(to)?);
    let address = match socket::connect(to, &datagram.source.0) {
        Ok(()) => Address(socket::local_address(to)?),
        Err(_) => reachable(bound),
    };
    let before = used(to)?;
    socket::send(sender, &datagram.data, &address.0, (&[], None), 0)?;
    let until = Instant::now() + PATIENCE;
    while used(to)? == before {
        if Instant::now() > until {
            return Err(Errno::ENOBUFS);
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(())
}

/// An address to send to: the loopback address for one that stands for all.
fn reachable(bound: Address) -> Address {
    let mut address = bound;
    if address.end().is_some_and(|end| inet::is_any(end.ip())) {
        match address.0.len() {
            16 => address.0[4..8].copy_from_slice(&[127, 0, 0, 1]),
            _ => address.0[8..24].copy_from_slice(&std::net::Ipv6Addr::LOCALHOST.octets()),
        }
    }
    address
}

fn disconnect(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    // AF_UNSPEC (connect(2)).
    socket::connect(fd, &[0; 16])
}

/// Memory of what is in the queue (SO_MEMINFO, SK_MEMINFO_RMEM_ALLOC).
fn used(fd: BorrowedFd<'_>) -> Result<u32, Errno> {
    const SO_MEMINFO: i32 = 55;
    let shown = socket::option(fd, libc::SOL_SOCKET, SO_MEMINFO, 36)?;
    Ok(shown.first_chunk().copied().map_or(0, u32::from_ne_bytes))
}

#[cfg(test)]
mod test {
    use std::net::UdpSocket;

    use super::super::test::Round;
    use super::*;

    #[test]
    fn datagrams_come_back_with_their_senders() {
        let (one, other) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let (at, from) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        for data in ["first", "", "third"] {
            other.send_to(data.as_bytes(), at).unwrap();
        }
        one.connect(from).unwrap();
        let captured = Round::capture(&Udp, &[&one]);
        assert_eq!(captured.state.queue.len(), 3);
        drop((one, other));
        let round = captured.build();
        assert_eq!(round.warnings, Vec::<String>::new());
        let made = UdpSocket::from(round.open(0));
        assert_eq!((made.local_addr().unwrap(), made.peer_addr().unwrap()), (at, from));
        let mut data = [0; 10];
        assert_eq!(made.recv_from(&mut data).unwrap(), (5, from));
        assert_eq!(made.recv_from(&mut data).unwrap(), (0, from));
        assert_eq!(made.recv_from(&mut data).unwrap(), (5, from));
        assert_eq!(&data[..5], b"third");
    }

    #[test]
    fn a_datagram_that_is_not_complete_is_refused() {
        let one = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = Address(socket::local_address(one.as_fd()).unwrap());
        socket::send(one.as_fd(), b"half", &at.0, (&[], None), libc::MSG_MORE).unwrap();
        assert!(!is_sent(one.as_fd()).unwrap());
    }
}
