//! The options that every sort of socket has (socket(7), level SOL_SOCKET). Not a kind: kinds of sockets keep them beside their own.
//!
//! Relies on the kernel for what a socket has from its birth: an option is set only where a new socket differs from the saved one. Leaves
//! the options of protocols to their kinds.

use std::os::fd::BorrowedFd;

use serde::{Deserialize, Serialize};

use crate::resource::KindError;
use crate::sys::{Errno, descriptor, socket};

/// An option with its value, as getsockopt(2) gives it and setsockopt(2) takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketOption {
    /// SOL_SOCKET, or the number of a protocol.
    pub level: i32,
    /// Its number.
    pub option: i32,
    /// Its value.
    #[serde(with = "serde_bytes")]
    pub value: Vec<u8>,
}

/// What is known of an option: its number, its name, and how many bytes it has at most.
pub type Known = (i32, &'static str, usize);

/// Numbers that libc does not have, or not everywhere.
const PASSRIGHTS: i32 = 83;
const PASSPIDFD: i32 = 76;
/// Which buffers have a size that somebody has chosen: set after the sizes.
const BUF_LOCK: i32 = 72;

/// Options that change neither what can be queued nor what can be read of the queue.
const QUIET: &[Known] = &[
    (libc::SO_DEBUG, "SO_DEBUG", 4),
    (libc::SO_REUSEADDR, "SO_REUSEADDR", 4),
    (libc::SO_REUSEPORT, "SO_REUSEPORT", 4),
    (libc::SO_KEEPALIVE, "SO_KEEPALIVE", 4),
    (libc::SO_DONTROUTE, "SO_DONTROUTE", 4),
    (libc::SO_BROADCAST, "SO_BROADCAST", 4),
    (libc::SO_OOBINLINE, "SO_OOBINLINE", 4),
    (libc::SO_NO_CHECK, "SO_NO_CHECK", 4),
    (libc::SO_PRIORITY, "SO_PRIORITY", 4),
    (libc::SO_LINGER, "SO_LINGER", 8),
    (libc::SO_RCVLOWAT, "SO_RCVLOWAT", 4),
    (libc::SO_RCVTIMEO, "SO_RCVTIMEO", 16),
    (libc::SO_SNDTIMEO, "SO_SNDTIMEO", 16),
    (libc::SO_BINDTODEVICE, "SO_BINDTODEVICE", 16),
    (libc::SO_MARK, "SO_MARK", 4),
    (libc::SO_RXQ_OVFL, "SO_RXQ_OVFL", 4),
    (libc::SO_WIFI_STATUS, "SO_WIFI_STATUS", 4),
    (libc::SO_NOFCS, "SO_NOFCS", 4),
    (libc::SO_SELECT_ERR_QUEUE, "SO_SELECT_ERR_QUEUE", 4),
    (libc::SO_BUSY_POLL, "SO_BUSY_POLL", 4),
    (69, "SO_PREFER_BUSY_POLL", 4),
    (70, "SO_BUSY_POLL_BUDGET", 4),
    (47, "SO_MAX_PACING_RATE", 8),
    (49, "SO_INCOMING_CPU", 4),
    (60, "SO_ZEROCOPY", 4),
    (61, "SO_TXTIME", 8),
    (74, "SO_TXREHASH", 4),
    (75, "SO_RCVMARK", 4),
    (82, "SO_RCVPRIORITY", 4),
    (libc::SO_TIMESTAMP, "SO_TIMESTAMP", 4),
    (libc::SO_TIMESTAMPNS, "SO_TIMESTAMPNS", 4),
    (63, "SO_TIMESTAMP_NEW", 4),
    (64, "SO_TIMESTAMPNS_NEW", 4),
    (libc::SO_TIMESTAMPING, "SO_TIMESTAMPING", 8),
];

/// Options that change what messages carry, or which are let in: set when the queue is full again.
const LOUD: &[Known] = &[
    (libc::SO_PASSCRED, "SO_PASSCRED", 4),
    (libc::SO_PASSSEC, "SO_PASSSEC", 4),
    (PASSPIDFD, "SO_PASSPIDFD", 4),
    (PASSRIGHTS, "SO_PASSRIGHTS", 4),
    (libc::SO_SNDBUF, "SO_SNDBUF", 4),
    (libc::SO_RCVBUF, "SO_RCVBUF", 4),
    (BUF_LOCK, "SO_BUF_LOCK", 4),
    (libc::SO_PEEK_OFF, "SO_PEEK_OFF", 4),
    (libc::SO_ATTACH_FILTER, "SO_ATTACH_FILTER", 0),
    (libc::SO_LOCK_FILTER, "SO_LOCK_FILTER", 4),
];

/// Reads all options of a socket.
pub fn capture(fd: BorrowedFd<'_>) -> Result<Vec<SocketOption>, KindError> {
    let mut options = Vec::new();
    for (option, name, room) in QUIET.iter().chain(LOUD) {
        match read(fd, *option, *room) {
            Ok(value) => options.push(SocketOption { level: libc::SOL_SOCKET, option: *option, value }),
            Err(errno) if is_missing(errno) => {}
            // A filter of the extended sort shows itself to nobody.
            Err(Errno::EACCES) if *option == libc::SO_ATTACH_FILTER => {
                let remedy = "attach a classic filter (SO_ATTACH_FILTER), or detach it before the checkpoint".into();
                return Err(KindError::Unsupported { what: "a socket with an eBPF filter".into(), remedy });
            }
            Err(errno) => return Err(KindError::host(format!("read the socket option {name}"), errno)),
        }
    }
    Ok(options)
}

/// What the kernel says of an option that a sort of socket, or this kernel, does not have.
fn is_missing(errno: Errno) -> bool {
    matches!(errno, Errno::EOPNOTSUPP | Errno::ENOPROTOOPT | Errno::EINVAL)
}

fn read(fd: BorrowedFd<'_>, option: i32, room: usize) -> Result<Vec<u8>, Errno> {
    match option {
        libc::SO_ATTACH_FILTER => socket::filter(fd),
        _ => socket::option(fd, libc::SOL_SOCKET, option, room),
    }
}

/// The number that an option has; 0 if it was not saved.
pub fn number(options: &[SocketOption], option: i32) -> u32 {
    let found = options.iter().find(|one| (one.level, one.option) == (libc::SOL_SOCKET, option));
    found.and_then(|one| one.value.first_chunk()).map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

/// Before a queue is filled: the options that do not matter to that.
pub fn restore_quiet(fd: BorrowedFd<'_>, options: &[SocketOption]) -> Result<Vec<String>, KindError> {
    restore(fd, options, QUIET)
}

/// Room to send twice what the socket could send when it was saved, or as much as we may have; until [`restore_loud`].
pub fn make_room(fd: BorrowedFd<'_>, options: &[SocketOption]) -> Result<(), KindError> {
    let now = descriptor::socket_option(fd, libc::SO_SNDBUF).map_or(0, i32::cast_unsigned);
    let wanted = number(options, libc::SO_SNDBUF).max(now).saturating_mul(2);
    set_buffer(fd, libc::SO_SNDBUF, wanted).map_err(|errno| attempt("SO_SNDBUF", errno))
}

/// Once the queue is filled: everything else. Each sentence is about something that could not be set.
pub fn restore_loud(fd: BorrowedFd<'_>, options: &[SocketOption]) -> Result<Vec<String>, KindError> {
    restore(fd, options, LOUD)
}

fn restore(fd: BorrowedFd<'_>, options: &[SocketOption], known: &[Known]) -> Result<Vec<String>, KindError> {
    let mut warnings = Vec::new();
    for (option, name, room) in known {
        let Some(saved) = options.iter().find(|one| (one.level, one.option) == (libc::SOL_SOCKET, *option)) else { continue };
        let now = read(fd, *option, *room);
        if now.as_ref() == Ok(&saved.value) {
            continue;
        }
        match set(fd, *option, &saved.value) {
            Ok(()) => {}
            Err(errno @ (Errno::EPERM | Errno::ENODEV | Errno::ENOPROTOOPT | Errno::EOPNOTSUPP)) => {
                warnings.push(format!("the socket option {name} cannot be set again here: {}", errno.desc()));
            }
            Err(errno) => return Err(attempt(name, errno)),
        }
        if matches!(*option, libc::SO_SNDBUF | libc::SO_RCVBUF) && number_of(read(fd, *option, *room)) != number(options, *option) {
            warnings.push(format!("{name} of a socket, which was {}, needs CAP_NET_ADMIN here", number(options, *option)));
        }
    }
    Ok(warnings)
}

fn attempt(name: &str, errno: Errno) -> KindError {
    KindError::host(format!("set the socket option {name}"), errno)
}

fn number_of(value: Result<Vec<u8>, Errno>) -> u32 {
    value.ok().and_then(|value| value.first_chunk().copied()).map_or(0, u32::from_ne_bytes)
}

fn set(fd: BorrowedFd<'_>, option: i32, value: &[u8]) -> Result<(), Errno> {
    match option {
        libc::SO_ATTACH_FILTER if value.is_empty() => Ok(()),
        libc::SO_ATTACH_FILTER => socket::attach_filter(fd, value),
        libc::SO_SNDBUF | libc::SO_RCVBUF => set_buffer(fd, option, number_of(Ok(value.to_vec()))),
        _ => socket::set_option(fd, libc::SOL_SOCKET, option, value),
    }
}

/// Sets the size of a buffer, which the kernel doubles; beyond the limit of the machine if we may, else up to it.
fn set_buffer(fd: BorrowedFd<'_>, option: i32, bytes: u32) -> Result<(), Errno> {
    let forced = if option == libc::SO_SNDBUF { libc::SO_SNDBUFFORCE } else { libc::SO_RCVBUFFORCE };
    let half = (bytes / 2).to_ne_bytes();
    socket::set_option(fd, libc::SOL_SOCKET, forced, &half).or_else(|_| socket::set_option(fd, libc::SOL_SOCKET, option, &half))
}

#[cfg(test)]
mod test {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn what_was_set_is_set_again_and_the_rest_left_alone() {
        let (one, _peer) = UnixDatagram::pair().unwrap();
        let hour = [3600i64.to_ne_bytes(), 0i64.to_ne_bytes()].concat();
        let on = 1i32.to_ne_bytes();
        for (option, value) in [
            (libc::SO_SNDBUF, &30_000i32.to_ne_bytes()[..]),
            (libc::SO_RCVTIMEO, &hour),
            (libc::SO_PASSCRED, &on),
            (libc::SO_LINGER, &[on, 7i32.to_ne_bytes()].concat()),
            (libc::SO_PEEK_OFF, &12i32.to_ne_bytes()),
            (libc::SO_TIMESTAMPNS, &on),
        ] {
            socket::set_option(one.as_fd(), libc::SOL_SOCKET, option, value).unwrap();
        }
        socket::attach_filter(one.as_fd(), &[6, 0, 0, 0, 0xff, 0xff, 0, 0]).unwrap();
        let saved = capture(one.as_fd()).unwrap();
        let (other, _peer) = UnixDatagram::pair().unwrap();
        assert_ne!(capture(other.as_fd()).unwrap(), saved);
        assert!(restore_quiet(other.as_fd(), &saved).unwrap().is_empty());
        assert!(restore_loud(other.as_fd(), &saved).unwrap().is_empty());
        assert_eq!(capture(other.as_fd()).unwrap(), saved);
        assert_eq!(number(&saved, libc::SO_SNDBUF), 60_000);
    }

    #[test]
    fn sockets_of_other_families_have_them_too() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let saved = capture(listener.as_fd()).unwrap();
        let other = socket::socket(libc::AF_INET, libc::SOCK_STREAM, 0).unwrap();
        restore_quiet(other.as_fd(), &saved).unwrap();
        restore_loud(other.as_fd(), &saved).unwrap();
        assert_eq!(capture(other.as_fd()).unwrap(), saved, "SO_REUSEADDR, for example");
    }
}
