//! What the kernel tells about sockets beyond their options (sock_diag(7)): a client of its netlink interface.
//!
//! Relies on nix for the netlink socket. Needs no right, and tells about the sockets of everybody in the network namespace of the caller.
//! Leaves to callers what a family's answer means, but for Unix sockets, which are here.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

use super::Errno;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
/// NLM_F_ROOT and NLM_F_MATCH (netlink(7)).
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const HEADER_BYTES: usize = 16;
/// The kernel fills messages up to this size at most.
const BUFFER_BYTES: usize = 1 << 16;

/// A connection to the kernel.
pub struct Diag {
    socket: OwnedFd,
}

impl Diag {
    /// Opens it.
    pub fn open() -> Result<Diag, Errno> {
        let kind = SockType::Raw;
        socket(AddressFamily::Netlink, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkSockDiag).map(|socket| Diag { socket })
    }

    /// Asks about one socket, or with `dump` about all that the request matches. `request` is the struct of the family, for example
    /// `struct inet_diag_req_v2`; answers are its answer struct with attributes behind. ENOENT: there is no such socket.
    pub fn ask(&self, request: &[u8], dump: bool) -> Result<Vec<Vec<u8>>, Errno> {
        let length = u32::try_from(HEADER_BYTES + request.len()).map_err(|_| Errno::EMSGSIZE)?;
        let flags = if dump { NLM_F_REQUEST | NLM_F_DUMP } else { NLM_F_REQUEST };
        let header = [&length.to_ne_bytes()[..], &SOCK_DIAG_BY_FAMILY.to_ne_bytes(), &flags.to_ne_bytes(), &[1, 0, 0, 0], &[0; 4]].concat();
        send(self.socket.as_raw_fd(), &[&header, request].concat(), MsgFlags::empty())?;
        let mut answers = Vec::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let bytes = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            if take(&buffer[..bytes], &mut answers)? || !dump {
                return Ok(answers);
            }
        }
    }

    /// Everything about the Unix socket with this inode number.
    pub fn unix(&self, inode: u64) -> Result<UnixSocket, Errno> {
        let inode = u32::try_from(inode).map_err(|_| Errno::EOVERFLOW)?;
        let answers = self.ask(&UnixSocket::request(inode), false)?;
        answers.first().and_then(|answer| UnixSocket::parse(answer)).ok_or(Errno::EPROTO)
    }

    /// Everything about all Unix sockets that are in a table of some process, or on their way to one.
    pub fn all_unix(&self) -> Result<Vec<UnixSocket>, Errno> {
        Ok(self.ask(&UnixSocket::request(0), true)?.iter().filter_map(|answer| UnixSocket::parse(answer)).collect())
    }
}

/// Takes the messages of a datagram apart; whether the last of a dump was among them.
fn take(mut rest: &[u8], answers: &mut Vec<Vec<u8>>) -> Result<bool, Errno> {
    while rest.len() >= HEADER_BYTES {
        let length = usize::try_from(word(rest, 0)).unwrap_or(0);
        let payload = rest.get(HEADER_BYTES..length).ok_or(Errno::EPROTO)?;
        match u16::from_ne_bytes([rest[4], rest[5]]) {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => match word(payload, 0).cast_signed() {
                0 => {}
                code => return Err(Errno::from_raw(-code)),
            },
            _ => answers.push(payload.to_vec()),
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// The number at a place of a message; 0 behind its end.
pub fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

/// The attributes behind the first `from` bytes of an answer: type and data (netlink(7)).
pub fn attributes(answer: &[u8], from: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = answer.get(from..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes([*rest.first()?, *rest.get(1)?]));
        let kind = u16::from_ne_bytes([*rest.get(2)?, *rest.get(3)?]);
        let data = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, data))
    })
}

/// A Unix socket, as the kernel shows it to anybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnixSocket {
    /// Its inode number; 0 when no process has it yet, or any more.
    pub inode: u64,
    /// SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET.
    pub kind: i32,
    /// TCP_ESTABLISHED (1), TCP_CLOSE (7) or TCP_LISTEN (10).
    pub state: u8,
    /// Its name as it was given to bind(2), without the family; empty without one, and beginning with 0 for an abstract one.
    pub name: Vec<u8>,
    /// Inode number and device of the node that its name stands for, if it has one; the device as the kernel encodes it, major and minor
    /// in 12 and 20 bits.
    pub node: Option<(u32, u32)>,
    /// Inode number of its peer; 0 when that is closed, or not accepted yet.
    pub peer: Option<u64>,
    /// Of a listening one: the inode numbers of the clients that wait to be accepted, first come first; 0 for those that are gone.
    pub clients: Vec<u64>,
    /// Of a listening one: clients that wait, and how many may; of others: bytes to read, and memory of what they have sent.
    pub queue: (u32, u32),
    /// Memory of what it has sent and nobody has read (SK_MEMINFO_WMEM_ALLOC).
    pub sent_memory: u32,
    /// Bits of what is shut down: 1 receiving, 2 sending.
    pub shut: u8,
}

/// TCP_LISTEN of the kernel, which Unix sockets use as well.
pub const LISTENING: u8 = 10;
/// TCP_ESTABLISHED of the kernel, which Unix sockets use as well.
pub const ESTABLISHED: u8 = 1;

impl UnixSocket {
    /// `struct unix_diag_req`.
    fn request(inode: u32) -> Vec<u8> {
        const EVERYTHING: u32 = 0x3f;
        let family = [u8::try_from(libc::AF_UNIX).unwrap_or(0), 0, 0, 0];
        let no_cookie = u32::MAX;
        [family, u32::MAX.to_ne_bytes(), inode.to_ne_bytes(), EVERYTHING.to_ne_bytes(), no_cookie.to_ne_bytes(), no_cookie.to_ne_bytes()]
            .concat()
    }

    /// Reads `struct unix_diag_msg` and what is behind it.
    fn parse(answer: &[u8]) -> Option<UnixSocket> {
        let [_, kind, state, ..] = *answer.get(..16)? else { return None };
        let mut socket = UnixSocket { inode: word(answer, 4).into(), kind: kind.into(), state, ..UnixSocket::default() };
        for (kind, data) in attributes(answer, 16) {
            match kind {
                0 => socket.name = data.to_vec(),
                1 => socket.node = Some((word(data, 0), word(data, 4))),
                2 => socket.peer = Some(word(data, 0).into()),
                3 => socket.clients = (0..data.len() / 4).map(|index| word(data, 4 * index).into()).collect(),
                4 => socket.queue = (word(data, 0), word(data, 4)),
                5 => socket.sent_memory = word(data, 8),
                6 => socket.shut = data.first().copied().unwrap_or(0),
                _ => {}
            }
        }
        Some(socket)
    }
}

#[cfg(test)]
mod test {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    fn inode(socket: &impl AsFd) -> u64 {
        nix::sys::stat::fstat(socket).unwrap().st_ino
    }

    #[test]
    fn a_pair_shows_its_peers_and_what_is_in_it() {
        let (mut one, other) = UnixStream::pair().unwrap();
        one.write_all(b"12345").unwrap();
        one.shutdown(std::net::Shutdown::Write).unwrap();
        let diag = Diag::open().unwrap();
        let (first, second) = (diag.unix(inode(&one)).unwrap(), diag.unix(inode(&other)).unwrap());
        assert_eq!((first.peer, second.peer), (Some(inode(&other)), Some(inode(&one))));
        assert_eq!((first.kind, first.state, first.name.len(), first.node), (libc::SOCK_STREAM, ESTABLISHED, 0, None));
        assert_eq!((second.queue.0, first.queue.0), (5, 0));
        assert_eq!((first.shut, second.shut), (2, 1));
        assert!(first.sent_memory > 5 && second.sent_memory == 0);
        drop(one);
        assert_eq!(diag.unix(inode(&other)).unwrap().peer, Some(0));
        assert_eq!(diag.unix(1), Err(Errno::ENOENT));
    }

    #[test]
    fn a_listener_shows_its_node_and_who_waits_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let clients: Vec<UnixStream> = (0..3).map(|_| UnixStream::connect(&path).unwrap()).collect();
        let diag = Diag::open().unwrap();
        let shown = diag.unix(inode(&listener)).unwrap();
        assert_eq!((shown.state, shown.queue.0), (LISTENING, 3));
        assert_eq!(shown.clients, clients.iter().map(inode).collect::<Vec<_>>());
        assert_eq!(shown.name.strip_suffix(&[0]), Some(path.as_os_str().as_encoded_bytes()));
        let node = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&path).unwrap());
        assert_eq!(shown.node.map(|node| u64::from(node.0)), Some(node & 0xffff_ffff));
        assert!(diag.all_unix().unwrap().contains(&shown));
    }
}
