//! What kinds of Internet sockets share: addresses, new sockets, what the kernel shows of all sockets at once. Not a kind.
//!
//! Relies on the job being in our network namespace: the survey refuses other jobs unless the loss is allowed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Uid, fchown};
use serde::{Deserialize, Serialize};

use super::inet_option::{self, Table};
use super::socket_option::{self, SocketOption};
use crate::resource::{KindError, Probe};
use crate::sys::diag::Diag;
use crate::sys::inet_diag::{self, InetSocket};
use crate::sys::{Errno, descriptor, socket};

/// An address as the kernel has it (`struct sockaddr_in`, `sockaddr_in6`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Address(#[serde(with = "serde_bytes")] pub Vec<u8>);

impl Address {
    /// Address and port; those of mapped IPv4 addresses are IPv4. `None`: it is of another family.
    pub fn end(&self) -> Option<SocketAddr> {
        let bytes = &self.0;
        let family = u16::from_ne_bytes([*bytes.first()?, *bytes.get(1)?]);
        let port = u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]);
        let ip = match i32::from(family) {
            libc::AF_INET => IpAddr::from(<[u8; 4]>::try_from(bytes.get(4..8)?).ok()?),
            libc::AF_INET6 => IpAddr::from(<[u8; 16]>::try_from(bytes.get(8..24)?).ok()?).to_canonical(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, port))
    }

    /// The bytes of an address for sockets of a family.
    pub fn of(family: i32, end: SocketAddr) -> Address {
        let kind = u16::try_from(family).unwrap_or(0).to_ne_bytes();
        let port = end.port().to_be_bytes();
        let bytes = match (family, end.ip()) {
            (libc::AF_INET, IpAddr::V4(four)) => [&kind[..], &port, &four.octets(), &[0; 8]].concat(),
            (_, ip) => {
                let six = match ip {
                    IpAddr::V4(four) => four.to_ipv6_mapped(),
                    IpAddr::V6(six) => six,
                };
                [&kind[..], &port, &[0; 4], &six.octets(), &[0; 4]].concat()
            }
        };
        Address(bytes)
    }

    /// The port; 0 for none.
    pub fn port(&self) -> u16 {
        self.0.get(2..4).and_then(|port| port.try_into().ok()).map_or(0, u16::from_be_bytes)
    }

    /// The same address with another port.
    pub fn with_port(&self, port: u16) -> Address {
        let mut other = self.clone();
        if let Some(place) = other.0.get_mut(2..4) {
            place.copy_from_slice(&port.to_be_bytes());
        }
        other
    }

    /// For messages.
    pub fn shown(&self) -> String {
        self.end().map_or_else(|| "an unknown address".to_owned(), |end| end.to_string())
    }
}

/// Whether two ends of a connection can be reached without leaving the machine: loopback addresses.
pub fn is_loopback(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(four) => four.is_loopback(),
        IpAddr::V6(six) => six == Ipv6Addr::LOCALHOST,
    }
}

/// Whether it is the address that stands for all.
pub fn is_any(ip: IpAddr) -> bool {
    ip == IpAddr::V4(Ipv4Addr::UNSPECIFIED) || ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
}

/// Family, type and protocol of a socket; `None` for anything else.
pub fn sort(probe: &Probe<'_>) -> Option<(i32, i32, i32)> {
    if probe.file_type() != libc::S_IFSOCK || probe.is_mapping() {
        return None;
    }
    let copy = probe.copy().ok()?;
    let option = |option: i32| descriptor::socket_option(copy, option).ok();
    Some((option(libc::SO_DOMAIN)?, option(libc::SO_TYPE)?, option(libc::SO_PROTOCOL)?))
}

/// Whether a family is one of the Internet's.
pub fn is_inet(family: i32) -> bool {
    matches!(family, libc::AF_INET | libc::AF_INET6)
}

/// The address a socket is bound to; `None`: to none.
pub fn local_of(fd: BorrowedFd<'_>) -> Result<Option<Address>, KindError> {
    let address = socket::local_address(fd).map_err(|errno| KindError::host("read the address of a socket", errno))?;
    Ok(Some(Address(address)).filter(|address| address.port() != 0))
}

/// The address a socket is connected to; `None`: to none.
pub fn peer_of(fd: BorrowedFd<'_>) -> Result<Option<Address>, KindError> {
    match socket::peer_address(fd) {
        Ok(address) => Ok(Some(Address(address))),
        Err(Errno::ENOTCONN | Errno::EINVAL) => Ok(None),
        Err(errno) => Err(KindError::host("read the peer of a socket", errno)),
    }
}

/// All options of a socket, but for what binding alone decides, that a socket with a single address of IPv6 is of that family only, and what the
/// kernel notes of connections: the processor on which the last packet came.
pub fn options(fd: BorrowedFd<'_>, local: Option<&Address>, has_peer: bool, tables: &[Table]) -> Result<Vec<SocketOption>, KindError> {
    const SO_INCOMING_CPU: i32 = 49;
    let mut options = [socket_option::capture(fd)?, inet_option::capture(fd, tables)?].concat();
    if local.and_then(Address::end).is_some_and(|end| !is_any(end.ip())) {
        options.retain(|one| (one.level, one.option) != (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY));
    }
    if has_peer {
        options.retain(|one| (one.level, one.option) != (libc::SOL_SOCKET, SO_INCOMING_CPU));
    }
    Ok(options)
}

/// A new socket that belongs to the user of the saved one, as far as we may decide that.
pub fn create((family, kind, protocol): (i32, i32, i32), owner: (u32, u32)) -> Result<OwnedFd, KindError> {
    let made = socket::socket(family, kind, protocol).map_err(|errno| KindError::host("make a socket", errno))?;
    give(made.as_fd(), owner);
    Ok(made)
}

/// Makes a socket belong to a user and a group, as far as we may decide that.
pub fn give(fd: BorrowedFd<'_>, (uid, gid): (u32, u32)) {
    // Only root can; users are themselves.
    let _unchanged = fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
}

/// Binds a socket, or says in words why it cannot be. The kernel gives the addresses of whoever has just ended back a moment later.
pub fn bind(fd: BorrowedFd<'_>, address: &Address, what: &str) -> Result<(), KindError> {
    const PATIENCE: Duration = Duration::from_secs(2);
    let begun = Instant::now();
    loop {
        match socket::bind(fd, &address.0) {
            Err(Errno::EADDRINUSE) if address.port() != 0 && begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(20)),
            bound => return bound.map_err(|errno| refusal(what, address, errno)),
        }
    }
}

/// Why an address cannot be had.
pub fn refusal(what: &str, address: &Address, errno: Errno) -> KindError {
    let shown = address.shown();
    match errno {
        Errno::EADDRINUSE => {
            let remedy = format!("end whoever uses port {}; \"ss -anp\" tells who", address.port());
            KindError::Taken { what: format!("the {what} address {shown}"), by: None, remedy }
        }
        Errno::EADDRNOTAVAIL | Errno::ENODEV => KindError::Unrestorable {
            what: format!("a socket with the {what} address {shown}, which this machine does not have,"),
            remedy: "give the machine this address, or let a script decide \"close\" for the socket".into(),
        },
        Errno::EACCES | Errno::EPERM => KindError::Denied {
            what: format!("the {what} address {shown} needs CAP_NET_BIND_SERVICE"),
            remedy: "restart as root, or lower net.ipv4.ip_unprivileged_port_start".into(),
        },
        errno => KindError::host(format!("bind a socket to {shown}"), errno),
    }
}

/// Complains before anything is made when an address cannot be had here for a reason that will not go away.
pub fn check(sort: (i32, i32, i32), address: &Address, options: &[SocketOption], what: &str) -> Result<(), KindError> {
    let trial = socket::socket(sort.0, sort.1, sort.2).map_err(|errno| KindError::host("make a socket", errno))?;
    // Some decide which addresses it may have.
    inet_option::restore(trial.as_fd(), options, inet_option::of_family(sort.0))?;
    match socket::bind(trial.as_fd(), &address.0) {
        Ok(()) | Err(Errno::EADDRINUSE) => Ok(()),
        Err(errno) => Err(refusal(what, address, errno)),
    }
}

/// What the kernel shows of all sockets: read once for a job, family and protocol, while the job stands still.
#[derive(Debug, Clone, Default)]
pub struct Network(RefCell<HashMap<FamilyAndProtocol, Rc<Vec<InetSocket>>>>);

/// `AF_*` and `IPPROTO_*`.
type FamilyAndProtocol = (i32, i32);

impl Network {
    /// All sockets of a family and a protocol.
    pub fn all(&self, family: i32, protocol: i32) -> Result<Rc<Vec<InetSocket>>, KindError> {
        if let Some(known) = self.0.borrow().get(&(family, protocol)) {
            return Ok(known.clone());
        }
        let read = Diag::open().and_then(|diag| inet_diag::all(&diag, family, protocol));
        let found = Rc::new(read.map_err(|errno| KindError::host("ask the kernel about sockets (sock_diag)", errno))?);
        self.0.borrow_mut().insert((family, protocol), found.clone());
        Ok(found)
    }

    /// The socket with this inode number; `None`: the kernel does not show it.
    pub fn find(&self, family: i32, protocol: i32, inode: u64) -> Result<Option<InetSocket>, KindError> {
        Ok(self.all(family, protocol)?.iter().find(|one| one.inode == inode).cloned())
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn addresses_are_bytes_with_a_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = local_of(listener.as_fd()).unwrap().unwrap();
        assert_eq!(address.end(), listener.local_addr().ok());
        assert_eq!(address.with_port(80).shown(), "127.0.0.1:80");
        assert_eq!(Address::of(libc::AF_INET, listener.local_addr().unwrap()), address);
        assert_eq!(Address::of(libc::AF_INET6, listener.local_addr().unwrap()).end(), listener.local_addr().ok());
        assert_eq!(peer_of(listener.as_fd()).unwrap(), None);
        let taken = bind(create((libc::AF_INET, libc::SOCK_STREAM, 0), (0, 0)).unwrap().as_fd(), &address, "TCP").unwrap_err();
        assert!(matches!(taken, KindError::Taken { .. }), "{taken}");
    }
}
