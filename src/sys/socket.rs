//! Calls on sockets that nix lacks, or whose arguments it takes apart: options as bytes, addresses as bytes, messages with all that goes
//! with them.
//!
//! Relies on callers for what the bytes mean: socket(7), unix(7), ip(7).
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::{Errno, check};

/// Most descriptors in a message (unix(7), SCM_MAX_FD).
pub const MOST_RIGHTS: usize = 253;
/// `struct cmsghdr` before its data (cmsg(3)).
const HEADER_BYTES: usize = 16;
const SCM_CREDENTIALS: i32 = 2;

/// Who sent a message: process, user, group (unix(7), `struct ucred`).
pub type Credentials = (i32, u32, u32);

/// `getsockopt(2)` — an option as the kernel gives it, at most `room` bytes.
pub fn option(fd: BorrowedFd<'_>, level: i32, option: i32, room: usize) -> Result<Vec<u8>, Errno> {
    let mut value = vec![0u8; room];
    let mut bytes = libc::socklen_t::try_from(room).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel writes at most as many bytes to the live buffer as it has, and the length to the live length.
    check(i64::from(unsafe { libc::getsockopt(fd.as_raw_fd(), level, option, value.as_mut_ptr().cast(), &mut bytes) }))?;
    value.truncate(usize::try_from(bytes).unwrap_or(0));
    Ok(value)
}

/// `getsockopt(2)` of an option whose value holds a question that the kernel answers in place; the bytes it has then.
pub fn answer(fd: BorrowedFd<'_>, level: i32, option: i32, value: &mut [u8]) -> Result<usize, Errno> {
    let mut bytes = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel reads and writes at most as many bytes of the live buffer as it has, and the length in the live length.
    check(i64::from(unsafe { libc::getsockopt(fd.as_raw_fd(), level, option, value.as_mut_ptr().cast(), &mut bytes) }))?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// `setsockopt(2)` — an option from its bytes.
pub fn set_option(fd: BorrowedFd<'_>, level: i32, option: i32, value: &[u8]) -> Result<(), Errno> {
    let bytes = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel reads the live bytes, whose number is passed.
    check(i64::from(unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, value.as_ptr().cast(), bytes) })).map(drop)
}

/// Instructions of a classic packet filter, 8 bytes each (SO_ATTACH_FILTER, socket(7)).
pub fn filter(fd: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    const SO_GET_FILTER: i32 = 26;
    let mut count: libc::socklen_t = 0;
    // SAFETY: with room for nothing the kernel only writes the number of instructions to the live length.
    check(i64::from(unsafe { libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, SO_GET_FILTER, std::ptr::null_mut(), &mut count) }))?;
    let mut code = vec![0u8; 8 * usize::try_from(count).unwrap_or(0)];
    if !code.is_empty() {
        // SAFETY: the kernel writes at most `count` instructions of 8 bytes to the live buffer.
        check(i64::from(unsafe {
            libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, SO_GET_FILTER, code.as_mut_ptr().cast(), &mut count)
        }))?;
    }
    Ok(code)
}

/// Attaches a classic packet filter of instructions of 8 bytes.
pub fn attach_filter(fd: BorrowedFd<'_>, code: &[u8]) -> Result<(), Errno> {
    let len = u16::try_from(code.len() / 8).map_err(|_| Errno::EINVAL)?;
    let program = libc::sock_fprog { len, filter: code.as_ptr().cast_mut().cast() };
    let (value, bytes) = (std::ptr::from_ref(&program).cast(), 16);
    const _: () = assert!(size_of::<libc::sock_fprog>() == 16);
    // SAFETY: the kernel reads the live struct, and the instructions behind it, whose number it has.
    check(i64::from(unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, value, bytes) })).map(drop)
}

/// Room for the longest address (`struct sockaddr_storage`).
const ADDRESS_BYTES: usize = 128;

type GetName = unsafe extern "C" fn(libc::c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int;

fn address(fd: BorrowedFd<'_>, get: GetName) -> Result<Vec<u8>, Errno> {
    let mut address = vec![0u8; ADDRESS_BYTES];
    let mut bytes: libc::socklen_t = 128;
    // SAFETY: the kernel writes at most 128 bytes to the live buffer, and the length to the live length.
    check(i64::from(unsafe { get(fd.as_raw_fd(), address.as_mut_ptr().cast(), &mut bytes) }))?;
    address.truncate(usize::try_from(bytes).unwrap_or(0));
    Ok(address)
}

/// `getsockname(2)` — the address a socket is bound to, family first.
pub fn local_address(fd: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    address(fd, libc::getsockname)
}

/// `getpeername(2)` — the address a socket is connected to. ENOTCONN: to none.
pub fn peer_address(fd: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    address(fd, libc::getpeername)
}

/// `bind(2)`.
pub fn bind(fd: BorrowedFd<'_>, address: &[u8]) -> Result<(), Errno> {
    let bytes = libc::socklen_t::try_from(address.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel reads the live bytes, whose number is passed.
    check(i64::from(unsafe { libc::bind(fd.as_raw_fd(), address.as_ptr().cast(), bytes) })).map(drop)
}

/// `connect(2)`.
pub fn connect(fd: BorrowedFd<'_>, address: &[u8]) -> Result<(), Errno> {
    let bytes = libc::socklen_t::try_from(address.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel reads the live bytes, whose number is passed.
    check(i64::from(unsafe { libc::connect(fd.as_raw_fd(), address.as_ptr().cast(), bytes) })).map(drop)
}

/// `poll(2)` — what is so at this moment: POLLIN, POLLOUT, POLLPRI, POLLRDHUP, POLLHUP, POLLERR.
pub fn events(fd: BorrowedFd<'_>) -> Result<i16, Errno> {
    let wanted = libc::POLLIN | libc::POLLOUT | libc::POLLPRI | libc::POLLRDHUP;
    let mut one = libc::pollfd { fd: fd.as_raw_fd(), events: wanted, revents: 0 };
    // SAFETY: the kernel reads and writes the one live struct whose number is passed.
    check(i64::from(unsafe { libc::poll(&mut one, 1, 0) }))?;
    Ok(one.revents)
}

/// `listen(2)` — with room for so many clients that wait; the kernel has a limit of its own.
pub fn listen(fd: BorrowedFd<'_>, backlog: i32) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    check(i64::from(unsafe { libc::listen(fd.as_raw_fd(), backlog) })).map(drop)
}

/// `accept4(2)` — the next client that waits; close-on-exec.
pub fn accept(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let (no_address, no_length) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: null pointers mean that the client's address is not wanted.
    let accepted = check(i64::from(unsafe { libc::accept4(fd.as_raw_fd(), no_address, no_length, libc::SOCK_CLOEXEC) }))?;
    // SAFETY: the kernel has just returned this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(RawFd::try_from(accepted).unwrap_or(-1)) })
}

/// `ioctl(SIOCUNIXFILE)` — the node that the name of a Unix socket stands for, with O_PATH. EPERM: without CAP_NET_ADMIN. ENOENT: none.
pub fn node(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    const SIOCUNIXFILE: libc::c_ulong = 0x89e0;
    // SAFETY: takes numbers only.
    let node = check(i64::from(unsafe { libc::ioctl(fd.as_raw_fd(), SIOCUNIXFILE, 0) }))?;
    // SAFETY: the kernel has just returned this descriptor and nobody else knows it. It is not close-on-exec, and we run nobody.
    Ok(unsafe { OwnedFd::from_raw_fd(RawFd::try_from(node).unwrap_or(-1)) })
}

/// `socket(2)` — close-on-exec.
pub fn socket(domain: i32, kind: i32, protocol: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: takes numbers only.
    let fd = check(i64::from(unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol) }))?;
    // SAFETY: the kernel has just returned this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(RawFd::try_from(fd).unwrap_or(-1)) })
}

/// `ioctl(SIOCOUTQ)` — what this socket has sent and nobody has read: bytes, or memory for them, as the protocol has it.
pub fn unsent(fd: BorrowedFd<'_>) -> Result<usize, Errno> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the kernel writes one int to the live local.
    check(i64::from(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &mut bytes) }))?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// `ioctl(SIOCATMARK)` — whether what is read next is behind, or is, an urgent byte (tcp(7)).
pub fn is_at_mark(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    const SIOCATMARK: libc::c_ulong = 0x8905;
    let mut mark: libc::c_int = 0;
    // SAFETY: the kernel writes one int to the live local.
    check(i64::from(unsafe { libc::ioctl(fd.as_raw_fd(), SIOCATMARK, &mut mark) }))?;
    Ok(mark != 0)
}

/// What recvmsg(2) gives.
#[derive(Debug, Default)]
pub struct Received {
    /// How long the data is; with MSG_TRUNC how long the message was.
    pub bytes: usize,
    /// MSG_EOR, MSG_TRUNC, MSG_CTRUNC, MSG_OOB.
    pub flags: i32,
    /// The address of the sender, as bytes; empty for none.
    pub address: Vec<u8>,
    /// Descriptors that came along.
    pub rights: Vec<OwnedFd>,
    /// The sender, if the socket asks for that.
    pub credentials: Option<Credentials>,
    /// Everything else that came along: level, type, data.
    pub others: Vec<(i32, i32, Vec<u8>)>,
}

/// `recvmsg(2)` — a message with all that goes with it. Descriptors are close-on-exec. EAGAIN: none is there, with MSG_DONTWAIT.
pub fn receive(fd: BorrowedFd<'_>, data: &mut [u8], flags: i32) -> Result<Received, Errno> {
    let mut control = [0u64; (2048 + 8 * MOST_RIGHTS) / 8];
    let mut address = [0u8; ADDRESS_BYTES];
    let mut part = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    // SAFETY: zeros are a message without anything.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&mut part, 1);
    (message.msg_control, message.msg_controllen) = (control.as_mut_ptr().cast(), size_of_val(&control));
    (message.msg_name, message.msg_namelen) = (address.as_mut_ptr().cast(), 128);
    // SAFETY: the message points to live memory of the lengths it says.
    let bytes = check(unsafe { libc::recvmsg(fd.as_raw_fd(), &mut message, flags | libc::MSG_CMSG_CLOEXEC) } as i64)?;
    let address = address[..usize::try_from(message.msg_namelen).unwrap_or(0).min(ADDRESS_BYTES)].to_vec();
    let mut received = Received { bytes: usize::try_from(bytes).unwrap_or(0), flags: message.msg_flags, address, ..Received::default() };
    let used: Vec<u8> = control.iter().flat_map(|word| word.to_ne_bytes()).take(message.msg_controllen).collect();
    received.unpack(&used);
    Ok(received)
}

impl Received {
    /// Takes control messages apart.
    fn unpack(&mut self, control: &[u8]) {
        let int = |bytes: &[u8]| bytes.try_into().map_or(0, i32::from_ne_bytes);
        let mut rest = control;
        while rest.len() >= HEADER_BYTES {
            let length = rest[..8].try_into().map_or(0, u64::from_ne_bytes);
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let Some(data) = rest.get(HEADER_BYTES..length) else { return };
            let (level, kind) = (int(&rest[8..12]), int(&rest[12..16]));
            match (level, kind) {
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    // SAFETY: the kernel has just put these descriptors into our table and nobody else knows them.
                    self.rights.extend(data.chunks_exact(4).map(|fd| unsafe { OwnedFd::from_raw_fd(int(fd)) }));
                }
                (libc::SOL_SOCKET, SCM_CREDENTIALS) if data.len() >= 12 => {
                    let [pid, uid, gid] = [0, 4, 8].map(|at| int(&data[at..at + 4]));
                    self.credentials = Some((pid, uid.cast_unsigned(), gid.cast_unsigned()));
                }
                _ => self.others.push((level, kind, data.to_vec())),
            }
            rest = rest.get(length.next_multiple_of(8)..).unwrap_or_default();
        }
    }
}

/// `sendmsg(2)` — data with descriptors and the name of a sender; never a SIGPIPE. `to`: an address, as bytes; empty for the peer.
pub fn send(
    fd: BorrowedFd<'_>,
    data: &[u8],
    to: &[u8],
    (rights, credentials): (&[RawFd], Option<Credentials>),
    flags: i32,
) -> Result<usize, Errno> {
    let mut control: Vec<u8> = Vec::new();
    let mut add = |kind: i32, data: &[u8]| {
        control.extend_from_slice(&((HEADER_BYTES + data.len()) as u64).to_ne_bytes());
        control.extend_from_slice(&libc::SOL_SOCKET.to_ne_bytes());
        control.extend_from_slice(&kind.to_ne_bytes());
        control.extend_from_slice(data);
        control.resize(control.len().next_multiple_of(8), 0);
    };
    if let Some((pid, uid, gid)) = credentials {
        add(SCM_CREDENTIALS, &[pid.cast_unsigned(), uid, gid].map(u32::to_ne_bytes).concat());
    }
    if !rights.is_empty() {
        add(libc::SCM_RIGHTS, &rights.iter().flat_map(|fd| fd.to_ne_bytes()).collect::<Vec<u8>>());
    }
    let mut aligned: Vec<u64> = control.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_ne_bytes)).collect();
    let mut part = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
    // SAFETY: zeros are a message without anything.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&mut part, 1);
    if !aligned.is_empty() {
        (message.msg_control, message.msg_controllen) = (aligned.as_mut_ptr().cast(), control.len());
    }
    if !to.is_empty() {
        message.msg_name = to.as_ptr().cast_mut().cast();
        message.msg_namelen = libc::socklen_t::try_from(to.len()).map_err(|_| Errno::EINVAL)?;
    }
    // SAFETY: the message points to live memory of the lengths it says, which the kernel only reads.
    let sent = check(unsafe { libc::sendmsg(fd.as_raw_fd(), &message, flags | libc::MSG_NOSIGNAL) } as i64)?;
    Ok(usize::try_from(sent).unwrap_or(0))
}

#[cfg(test)]
mod test {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn a_message_comes_with_its_descriptors_and_its_sender() {
        let (one, other) = UnixDatagram::pair().unwrap();
        set_option(other.as_fd(), libc::SOL_SOCKET, libc::SO_PASSCRED, &1i32.to_ne_bytes()).unwrap();
        let (pid, uid, gid) = (std::process::id().cast_signed(), nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
        let rights = [one.as_raw_fd(), other.as_raw_fd(), one.as_raw_fd()];
        assert_eq!(send(one.as_fd(), b"data", b"", (&rights, Some((pid, uid, gid))), libc::MSG_DONTWAIT), Ok(4));
        for flags in [libc::MSG_PEEK, 0] {
            let mut data = [0; 10];
            let received = receive(other.as_fd(), &mut data, libc::MSG_DONTWAIT | flags).unwrap();
            assert_eq!((received.bytes, &data[..4], received.rights.len()), (4, &b"data"[..], 3));
            assert_eq!((received.credentials, received.others.len()), (Some((pid, uid, gid)), 0));
        }
        assert_eq!(receive(other.as_fd(), &mut [], libc::MSG_DONTWAIT).unwrap_err(), Errno::EAGAIN);
    }

    #[test]
    fn filters_and_options_are_bytes() {
        let (one, _other) = UnixDatagram::pair().unwrap();
        assert_eq!(filter(one.as_fd()), Ok(vec![]));
        // A single instruction: take at most 2 bytes.
        let code = [6, 0, 0, 0, 2, 0, 0, 0];
        attach_filter(one.as_fd(), &code).unwrap();
        assert_eq!(filter(one.as_fd()), Ok(code.to_vec()));
        assert_eq!(option(one.as_fd(), libc::SOL_SOCKET, libc::SO_TYPE, 4), Ok(libc::SOCK_DGRAM.to_ne_bytes().to_vec()));
    }
}
