//! Multicast groups that a socket is a member of (ip(7), ipv6(7)). Not a kind.
//!
//! Relies on `/proc/net/igmp` and `igmp6`, which show the groups of devices. Which of them are those of a socket it says itself: it tells the
//! sources of a group that it is a member of (MCAST_MSFILTER, RFC 3678), and knows no other.

use std::ffi::CString;
use std::os::fd::BorrowedFd;

use serde::{Deserialize, Serialize};

use crate::resource::KindError;
use crate::sys::{Errno, socket};

const MCAST_JOIN_GROUP: i32 = 42;
const MCAST_BLOCK_SOURCE: i32 = 43;
const MCAST_JOIN_SOURCE_GROUP: i32 = 46;
const MCAST_MSFILTER: i32 = 48;
const MCAST_INCLUDE: u32 = 1;
/// `struct sockaddr_storage`.
const ADDRESS_BYTES: usize = 128;
/// `struct group_filter` before its sources.
const HEADER_BYTES: usize = 16 + ADDRESS_BYTES;
/// Sources of a group that are asked for; the kernel allows 10 by default (igmp_max_msf) to IPv4, 64 to IPv6.
const MOST_SOURCES: usize = 256;

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The name of the device.
    pub device: String,
    /// Its address, 4 or 16 bytes.
    #[serde(with = "serde_bytes")]
    pub address: Vec<u8>,
    /// Whether only the sources are heard; else all but those.
    pub only: bool,
    /// Addresses of sources, one behind the other.
    #[serde(with = "serde_bytes")]
    pub sources: Vec<u8>,
}

/// The groups that a socket of a family is a member of.
pub fn capture(fd: BorrowedFd<'_>, family: i32) -> Result<Vec<Group>, KindError> {
    let mut groups = Vec::new();
    let mut candidates = in_igmp(&text("/proc/self/net/igmp"));
    if family == libc::AF_INET6 {
        candidates.extend(in_igmp6(&text("/proc/self/net/igmp6")));
    }
    for (index, device, address) in candidates {
        let mut value = vec![0; HEADER_BYTES + MOST_SOURCES * ADDRESS_BYTES];
        value[..4].copy_from_slice(&index.to_ne_bytes());
        value[8..HEADER_BYTES - 8].copy_from_slice(&storage(&address));
        value[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&256u32.to_ne_bytes());
        match socket::answer(fd, level(&address), MCAST_MSFILTER, &mut value) {
            Ok(_) => groups.push(group(device, address, &value)),
            // It is no member. A socket of IPv6 that is bound to IPv6 only takes no question about IPv4.
            Err(Errno::EADDRNOTAVAIL | Errno::EINVAL | Errno::ENODEV | Errno::ENOPROTOOPT) => {}
            Err(errno) => return Err(KindError::host("ask a socket about a multicast group", errno)),
        }
    }
    Ok(groups)
}

/// Reads `struct group_filter`.
fn group(device: String, address: Vec<u8>, value: &[u8]) -> Group {
    let word = |at: usize| value[at..at + 4].try_into().map_or(0, u32::from_ne_bytes);
    let count = usize::try_from(word(HEADER_BYTES - 4)).unwrap_or(0).min(MOST_SOURCES);
    let place = if address.len() == 4 { 4 } else { 8 };
    let source = |index: usize| &value[HEADER_BYTES + index * ADDRESS_BYTES + place..][..address.len()];
    let sources = (0..count).flat_map(source).copied().collect();
    Group { device, only: word(HEADER_BYTES - 8) == MCAST_INCLUDE, sources, address }
}

/// Makes a socket a member of these groups; each sentence is about one that it is not a member of.
pub fn restore(fd: BorrowedFd<'_>, groups: &[Group]) -> Result<Vec<String>, KindError> {
    let mut warnings = Vec::new();
    for group in groups {
        let joined = device_index(&group.device).and_then(|index| join(fd, index, group));
        match joined {
            Ok(()) => {}
            Err(errno @ (Errno::ENODEV | Errno::ENXIO | Errno::EADDRNOTAVAIL)) => {
                warnings.push(format!("a multicast group on {} is lost: {}", group.device, errno.desc()));
            }
            Err(errno) => return Err(KindError::host(format!("join a multicast group on {}", group.device), errno)),
        }
    }
    Ok(warnings)
}

fn join(fd: BorrowedFd<'_>, index: u32, group: &Group) -> Result<(), Errno> {
    let request = [&u64::from(index).to_ne_bytes()[..], &storage(&group.address)].concat();
    if !group.only {
        socket::set_option(fd, level(&group.address), MCAST_JOIN_GROUP, &request)?;
    }
    let option = if group.only { MCAST_JOIN_SOURCE_GROUP } else { MCAST_BLOCK_SOURCE };
    for source in group.sources.chunks_exact(group.address.len().max(1)) {
        socket::set_option(fd, level(&group.address), option, &[&request[..], &storage(source)].concat())?;
    }
    Ok(())
}

fn device_index(name: &str) -> Result<u32, Errno> {
    let name = CString::new(name).map_err(|_| Errno::ENODEV)?;
    nix::net::if_::if_nametoindex(name.as_c_str())
}

fn level(address: &[u8]) -> i32 {
    if address.len() == 4 { libc::IPPROTO_IP } else { libc::IPPROTO_IPV6 }
}

/// `struct sockaddr_storage` with an address and no port.
fn storage(address: &[u8]) -> [u8; ADDRESS_BYTES] {
    let mut storage = [0; ADDRESS_BYTES];
    let (family, place) = if address.len() == 4 { (libc::AF_INET, 4) } else { (libc::AF_INET6, 8) };
    storage[..2].copy_from_slice(&u16::try_from(family).unwrap_or(0).to_ne_bytes());
    storage[place..place + address.len()].copy_from_slice(address);
    storage
}

fn text(path: &str) -> String {
    // Without the protocol there is no file, and no group.
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Index and name of a device with a group of it.
type Candidate = (u32, String, Vec<u8>);

/// A line for each device, below it one for each of its groups: the address as a number of this machine.
fn in_igmp(text: &str) -> Vec<Candidate> {
    let (mut found, mut device) = (Vec::new(), None);
    for line in text.lines().skip(1) {
        let mut words = line.split_whitespace();
        if line.starts_with(|first: char| first.is_ascii_digit()) {
            device = words.next().and_then(|index| index.parse().ok()).zip(words.next().map(|name| name.trim_end_matches(':').to_owned()));
        } else if let (Some((index, name)), Some(Ok(group))) = (&device, words.next().map(|group| u32::from_str_radix(group, 16))) {
            found.push((*index, name.clone(), group.to_ne_bytes().to_vec()));
        }
    }
    found
}

/// A line for each group: index and name of the device, the address in hexadecimal.
fn in_igmp6(text: &str) -> Vec<Candidate> {
    let candidate = |line: &str| {
        let mut words = line.split_whitespace();
        let (index, name, group) = (words.next()?.parse().ok()?, words.next()?.to_owned(), words.next()?);
        let address = u128::from_str_radix(group, 16).ok()?.to_be_bytes().to_vec();
        Some((index, name, address))
    };
    text.lines().filter_map(candidate).collect()
}

#[cfg(test)]
mod test {
    use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn groups_are_listed_below_their_devices() {
        let text = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n1\tlo        :     2      V3\n\t\t\t\t030201EF     1 0:00000000\t\t0\n\
                    \t\t\t\t010000E0     1 0:00000000\t\t0\n4\teth0      :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n";
        let found = in_igmp(text);
        assert_eq!(found[0], (1, "lo".into(), vec![239, 1, 2, 3]));
        assert_eq!((found.len(), found[2].clone()), (3, (4, "eth0".into(), vec![224, 0, 0, 1])));
        let six = in_igmp6("1    lo              ff020000000000000000000000000001     1 0000000C 0\n");
        assert_eq!(six, [(1, "lo".into(), "ff02::1".parse::<Ipv6Addr>().unwrap().octets().to_vec())]);
    }

    #[test]
    fn a_member_tells_its_groups_and_nobody_elses() {
        let (one, other) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let (mine, foreign) = (Ipv4Addr::new(239, 1, 2, 3), Ipv4Addr::new(239, 1, 2, 4));
        one.join_multicast_v4(&mine, &Ipv4Addr::LOCALHOST).unwrap();
        other.join_multicast_v4(&foreign, &Ipv4Addr::LOCALHOST).unwrap();
        let groups = capture(one.as_fd(), libc::AF_INET).unwrap();
        assert_eq!(groups, [Group { device: "lo".into(), address: mine.octets().to_vec(), only: false, sources: vec![] }]);
        let only = Group { device: "lo".into(), address: vec![239, 9, 9, 9], only: true, sources: vec![127, 0, 0, 1, 127, 0, 0, 2] };
        let blocking = Group { only: false, address: vec![239, 9, 9, 8], ..only.clone() };
        let made = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(restore(made.as_fd(), &[only.clone(), blocking.clone()]).unwrap().is_empty());
        let mut groups = capture(made.as_fd(), libc::AF_INET).unwrap();
        groups.sort_by_key(|group| group.only);
        assert_eq!(groups, [blocking, only]);
    }
}
