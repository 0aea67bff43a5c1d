//! What is on its way in a TCP connection: read without being taken, and put back. Not a kind.
//!
//! Relies on both ends standing still. What one end has sent and the other has no room for cannot be looked at; so the other gets more room for
//! the moment, and the kernel brings it over. Nothing leaves the connection meanwhile: whoever dies in between has changed the size of a buffer.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::resource::KindError;
use crate::sys::diag::Diag;
use crate::sys::{Errno, descriptor, inet_diag, socket};

/// Bytes that one end has sent and the other has not read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// All of them, oldest first.
    #[serde(with = "serde_bytes")]
    pub data: Vec<u8>,
    /// Which of them is urgent (MSG_OOB).
    pub urgent: Option<u64>,
}

/// How long nothing may come before it is said that it does not come.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(1);
/// Added to what buffers must have room for: the kernel counts more than bytes.
const SLACK_BYTES: usize = 1 << 20;
const SO_BUF_LOCK: i32 = 72;

/// Whether poll(2) reports one of these events of a socket now.
pub fn has(fd: BorrowedFd<'_>, events: i16) -> Result<bool, Errno> {
    socket::events(fd).map(|now| now & events != 0)
}

/// Waits until something is so; whether it became so in time.
pub fn wait_until(patience: Duration, mut is_so: impl FnMut() -> Result<bool, Errno>) -> Result<bool, Errno> {
    let until = Instant::now() + patience;
    while !is_so()? {
        if Instant::now() > until {
            return Ok(false);
        }
        std::thread::sleep(PAUSE);
    }
    Ok(true)
}

/// Brings over what the other end of a connection has sent.
pub fn pull(fd: BorrowedFd<'_>, local: SocketAddr, peer: SocketAddr) -> Result<(), KindError> {
    let attempt = |errno| KindError::host("bring over what a TCP connection has sent", errno);
    let diag = Diag::open().map_err(attempt)?;
    let unsent = || match inet_diag::one(&diag, libc::IPPROTO_TCP, peer, local) {
        // It has closed its end, and everything has come.
        Err(Errno::ENOENT) => Ok(0),
        shown => shown.map(|shown| shown.unsent),
    };
    let (mut left, mut moved) = (unsent().map_err(attempt)?, Instant::now());
    if left == 0 {
        return Ok(());
    }
    let room = Room::more(fd, usize::try_from(left).unwrap_or(0)).map_err(attempt)?;
    while left > 0 && moved.elapsed() < PATIENCE {
        // The kernel tells the other end of room when something is read, be it only looked at.
        let _data = socket::receive(fd, &mut [0; 1], libc::MSG_PEEK | libc::MSG_DONTWAIT);
        std::thread::sleep(PAUSE);
        let now = unsent().map_err(attempt)?;
        if now != left {
            (left, moved) = (now, Instant::now());
        }
    }
    room.give_back().map_err(attempt)?;
    if left == 0 {
        return Ok(());
    }
    let what = format!("a TCP connection from {peer} to {local} of whose data {left} bytes have not arrived");
    let remedy = "try again when the reader has read more, as root, or with a larger net.core.rmem_max".into();
    Err(KindError::Unsupported { what, remedy })
}

/// More room than a socket had.
struct Room<'a> {
    fd: BorrowedFd<'a>,
    size: u32,
    clamp: Vec<u8>,
    lock: Vec<u8>,
}

impl Room<'_> {
    fn more(fd: BorrowedFd<'_>, bytes: usize) -> Result<Room<'_>, Errno> {
        let size = descriptor::socket_option(fd, libc::SO_RCVBUF)?.cast_unsigned();
        let clamp = socket::option(fd, libc::IPPROTO_TCP, libc::TCP_WINDOW_CLAMP, 4)?;
        let lock = socket::option(fd, libc::SOL_SOCKET, SO_BUF_LOCK, 4).unwrap_or_default();
        widen(fd, bytes + usize::try_from(size).unwrap_or(0))?;
        Ok(Room { fd, size, clamp, lock })
    }

    fn give_back(self) -> Result<(), Errno> {
        socket::set_option(self.fd, libc::IPPROTO_TCP, libc::TCP_WINDOW_CLAMP, &self.clamp)?;
        narrow(self.fd, self.size)?;
        if !self.lock.is_empty() {
            socket::set_option(self.fd, libc::SOL_SOCKET, SO_BUF_LOCK, &self.lock)?;
        }
        Ok(())
    }
}

/// Gives a socket room for this many bytes to be read, as far as we may.
pub fn widen(fd: BorrowedFd<'_>, bytes: usize) -> Result<(), Errno> {
    let wanted = u32::try_from(4 * bytes + SLACK_BYTES).unwrap_or(i32::MAX.cast_unsigned()).min(i32::MAX.cast_unsigned() / 2).to_ne_bytes();
    socket::set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &wanted)
        .or_else(|_| socket::set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, &wanted))?;
    socket::set_option(fd, libc::IPPROTO_TCP, libc::TCP_WINDOW_CLAMP, &wanted)
}

/// Gives a socket a buffer of this size, which getsockopt(2) shows.
pub fn narrow(fd: BorrowedFd<'_>, size: u32) -> Result<(), Errno> {
    let half = (size / 2).to_ne_bytes();
    socket::set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &half)
        .or_else(|_| socket::set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, &half))
}

/// Looks at everything that can be read. `total`: how much there is, an urgent byte included.
pub fn peek(fd: BorrowedFd<'_>, total: usize, inline: bool) -> Result<Stream, KindError> {
    let attempt = |errno| KindError::host("look at what a TCP connection has to read", errno);
    let mut first = look(fd, total).map_err(attempt)?;
    if first.len() == total {
        return Ok(Stream { data: first, urgent: None });
    }
    // A read ends before an urgent byte; beginning there it passes over the byte.
    let hole = usize::from(!inline);
    let mut byte = [0; 1];
    let urgent = match socket::receive(fd, &mut byte, libc::MSG_OOB | libc::MSG_PEEK | libc::MSG_DONTWAIT) {
        Ok(_) => Some(byte[0]),
        // It is in its place, or has been read, or has not come yet.
        Err(_) => None,
    };
    let (at, rest) = if first.len() + hole == total && hole > 0 && socket::is_at_mark(fd).map_err(attempt)? {
        (0, std::mem::take(&mut first))
    } else {
        (first.len(), look_behind(fd, first.len(), total).map_err(attempt)?)
    };
    if at + hole + rest.len() != total {
        let remedy = "checkpoint when the urgent byte (MSG_OOB) has been read; Linux 6.9 or newer shows what is behind it".into();
        return Err(KindError::Unsupported { what: "a TCP connection with urgent data".into(), remedy });
    }
    let is_there = inline || urgent.is_some();
    let data = [&first[..], urgent.as_slice(), &rest].concat();
    Ok(Stream { data, urgent: is_there.then_some(at as u64) })
}

fn look(fd: BorrowedFd<'_>, total: usize) -> Result<Vec<u8>, Errno> {
    if total == 0 {
        return Ok(Vec::new());
    }
    let mut data = vec![0; total];
    match socket::receive(fd, &mut data, libc::MSG_PEEK | libc::MSG_DONTWAIT) {
        Err(Errno::EAGAIN) => Ok(Vec::new()),
        received => {
            data.truncate(received?.bytes);
            Ok(data)
        }
    }
}

/// What is behind the first bytes.
fn look_behind(fd: BorrowedFd<'_>, bytes: usize, total: usize) -> Result<Vec<u8>, Errno> {
    let before = socket::option(fd, libc::SOL_SOCKET, libc::SO_PEEK_OFF, 4)?;
    let behind = i32::try_from(bytes).map_err(|_| Errno::EOVERFLOW)?;
    match socket::set_option(fd, libc::SOL_SOCKET, libc::SO_PEEK_OFF, &behind.to_ne_bytes()) {
        Err(Errno::EOPNOTSUPP) => return Ok(Vec::new()),
        set => set?,
    }
    let seen = look(fd, total);
    socket::set_option(fd, libc::SOL_SOCKET, libc::SO_PEEK_OFF, &before)?;
    seen
}

/// Sends a stream into one end of a connection, for the other to read. ETIMEDOUT: it does not fit.
pub fn pour(from: BorrowedFd<'_>, to: BorrowedFd<'_>, stream: &Stream) -> Result<(), Errno> {
    let at = stream.urgent.and_then(|at| usize::try_from(at).ok()).filter(|at| *at < stream.data.len());
    let (before, rest) = stream.data.split_at(at.unwrap_or(stream.data.len()));
    let (urgent, behind) = rest.split_at(usize::from(!rest.is_empty()));
    for (data, flags) in [(before, 0), (urgent, libc::MSG_OOB), (behind, 0)] {
        send_all(from, to, data, flags)?;
    }
    Ok(())
}

fn send_all(from: BorrowedFd<'_>, to: BorrowedFd<'_>, mut data: &[u8], flags: i32) -> Result<(), Errno> {
    let mut moved = Instant::now();
    while !data.is_empty() {
        match socket::send(from, data, &[], (&[], None), flags | libc::MSG_DONTWAIT) {
            Ok(bytes) => (data, moved) = (&data[bytes..], Instant::now()),
            Err(Errno::EAGAIN) if moved.elapsed() < PATIENCE => {
                let _data = socket::receive(to, &mut [0; 1], libc::MSG_PEEK | libc::MSG_DONTWAIT);
                std::thread::sleep(PAUSE);
            }
            Err(Errno::EAGAIN) => return Err(Errno::ETIMEDOUT),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
