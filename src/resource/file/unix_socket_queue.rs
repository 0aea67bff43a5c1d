//! What waits in a Unix socket: messages with their boundaries, senders, descriptors and credentials.
//!
//! Relies on peeking (MSG_PEEK with SO_PEEK_OFF, unix(7)), which takes nothing away. Two options are set for that and put back at once: the
//! job stands still. Leaves to the kind where messages come from when they are put back.

use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};

use crate::image::DescriptionId;
use crate::sys::diag::Diag;
use crate::sys::socket::{self, Credentials, Received};
use crate::sys::{Errno, descriptor};

/// What a sender shows who did not tell who he is: no process, nobody.
const NOBODY: Credentials = (0, 65534, 65534);

/// A message, or of a stream a piece of data that came along with something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The bytes.
    #[serde(with = "serde_bytes")]
    pub data: Vec<u8>,
    /// Of a datagram: the name of its sender, as [`crate::sys::diag::UnixSocket::name`]; empty without one.
    #[serde(default, with = "serde_bytes")]
    pub from: Vec<u8>,
    /// The socket of the job that has the name.
    #[serde(default)]
    pub by: Option<DescriptionId>,
    /// Descriptors on their way with its first byte.
    #[serde(default)]
    pub rights: Vec<DescriptionId>,
    /// Who sent it, as far as that is kept: process, user, group.
    #[serde(default)]
    pub sender: Option<Credentials>,
}

/// A message with copies of its descriptors.
pub struct Peeked {
    /// The message; it has no descriptors yet.
    pub message: Message,
    /// Our own copies of its descriptors.
    pub rights: Vec<OwnedFd>,
}

/// An option of a socket of the job that is changed for a moment.
struct Changed<'a> {
    socket: BorrowedFd<'a>,
    option: i32,
    saved: i32,
}

impl<'a> Changed<'a> {
    fn to(socket: BorrowedFd<'a>, option: i32, value: i32) -> Result<Changed<'a>, Errno> {
        let saved = descriptor::socket_option(socket, option)?;
        socket::set_option(socket, libc::SOL_SOCKET, option, &value.to_ne_bytes())?;
        Ok(Changed { socket, option, saved })
    }
}

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        // What could be set can be set again.
        let _unchanged = socket::set_option(self.socket, libc::SOL_SOCKET, self.option, &self.saved.to_ne_bytes());
    }
}

/// Looks at everything that waits in a socket. `is_shut`: nothing will come any more. EBUSY: an error waits to be reported, which looking
/// would take away.
pub fn peek(fd: BorrowedFd<'_>, kind: i32, is_shut: bool) -> Result<Vec<Peeked>, Errno> {
    let mut messages = Vec::new();
    let (is_stream, waiting) = (kind == libc::SOCK_STREAM, descriptor::readable_bytes(fd)?);
    if !has_event(fd, PollFlags::POLLIN)? || waiting == 0 && is_stream {
        return Ok(messages);
    }
    if !is_stream && has_event(fd, PollFlags::POLLERR)? {
        return if waiting == 0 { Ok(messages) } else { Err(Errno::EBUSY) };
    }
    let _offset = Changed::to(fd, libc::SO_PEEK_OFF, 0)?;
    let _credentials = Changed::to(fd, libc::SO_PASSCRED, 1)?;
    let mut buffer = vec![0; waiting.max(1 << 16)];
    let mut seen = 0usize;
    // At its end a stream reports what error there is.
    while !is_stream || seen < waiting {
        let received = match socket::receive(fd, &mut buffer, libc::MSG_PEEK | libc::MSG_DONTWAIT | libc::MSG_TRUNC) {
            Err(Errno::EAGAIN) => return Ok(messages),
            received => received?,
        };
        if received.bytes > buffer.len() {
            buffer.resize(received.bytes, 0);
            let again = i32::try_from(seen).map_err(|_| Errno::EOVERFLOW)?;
            socket::set_option(fd, libc::SOL_SOCKET, libc::SO_PEEK_OFF, &again.to_ne_bytes())?;
            continue;
        }
        if received.bytes == 0 && (is_stream || is_shut) {
            break;
        }
        seen += received.bytes;
        messages.push(Peeked::of(received, &buffer));
    }
    Ok(messages)
}

/// Whether poll(2) tells of an event. Asking for an error in any other way would take it away.
pub fn has_event(fd: BorrowedFd<'_>, event: PollFlags) -> Result<bool, Errno> {
    let mut fds = [PollFd::new(fd, event)];
    poll(&mut fds, PollTimeout::ZERO)?;
    Ok(fds[0].revents().is_some_and(|now| now.contains(event)))
}

impl Peeked {
    fn of(received: Received, buffer: &[u8]) -> Peeked {
        let message = Message {
            data: buffer[..received.bytes].to_vec(),
            from: received.address.get(2..).unwrap_or_default().to_vec(),
            by: None,
            rights: Vec::new(),
            sender: received.credentials.filter(|sender| *sender != NOBODY),
        };
        Peeked { message, rights: received.rights }
    }
}

/// Where descriptors begin in each piece of a stream is not shown; only that they come before its end. A piece that was sent in one
/// go, which its memory tells, has them at its first byte. Else they go with its last byte: whoever takes descriptors reads on to there.
pub fn place_rights(messages: Vec<Message>, sent_memory: u32) -> Result<Vec<Message>, Errno> {
    if messages.iter().all(|message| message.rights.is_empty()) {
        return Ok(messages);
    }
    let mut alone = 0;
    for message in &messages {
        alone += memory_of(message.data.len())?;
    }
    if alone == sent_memory {
        return Ok(messages);
    }
    let split = |mut message: Message| match message.data.len() {
        0 | 1 => vec![message],
        _ if message.rights.is_empty() => vec![message],
        bytes => {
            let last = message.data.split_off(bytes - 1);
            let rights = std::mem::take(&mut message.rights);
            let tail = Message { data: last, rights, sender: message.sender, ..Message::default() };
            vec![message, tail]
        }
    };
    Ok(messages.into_iter().flat_map(split).collect())
}

/// The memory that this kernel takes for a message of so many bytes, found by sending one.
fn memory_of(bytes: usize) -> Result<u32, Errno> {
    let (one, _other) = std::os::unix::net::UnixStream::pair().map_err(|_| Errno::EMFILE)?;
    match socket::send(one.as_fd(), &vec![0; bytes], b"", (&[], None), libc::MSG_DONTWAIT) {
        Ok(sent) if sent == bytes => {}
        // It would not have gone in one go.
        _ => return Ok(0),
    }
    memory_sent(one.as_fd())
}

/// The memory of what a socket has sent and nobody has read.
fn memory_sent(socket: BorrowedFd<'_>) -> Result<u32, Errno> {
    let inode = nix::sys::stat::fstat(socket)?.st_ino;
    Diag::open()?.unix(inode).map(|shown| shown.sent_memory)
}

/// How a socket takes messages.
pub struct Way<'a> {
    /// The descriptors of the job.
    pub opened: &'a dyn Fn(DescriptionId) -> Option<RawFd>,
    /// The id that a process has now.
    pub id: &'a dyn Fn(i32) -> i32,
    /// The sender could send nothing more when its messages took so much memory.
    pub full_at: Option<u32>,
}

impl Way<'_> {
    /// Sends a message from a socket to its peer, or to an address: how many of its bytes, and whether its sender could be named. EAGAIN: there
    /// is no room.
    pub fn send(&self, from: BorrowedFd<'_>, message: &Message, to: &[u8]) -> Result<(usize, bool), Errno> {
        let rights: Vec<RawFd> = message.rights.iter().filter_map(|id| (self.opened)(*id)).collect();
        let flags = libc::MSG_DONTWAIT;
        let sender = message.sender.map(|(pid, uid, gid)| ((self.id)(pid), uid, gid));
        match socket::send(from, &message.data, to, (&rights, sender), flags) {
            Err(Errno::EPERM | Errno::ESRCH | Errno::EINVAL) if sender.is_some() => {
                let (_, uid, gid) = sender.unwrap_or(NOBODY);
                let ours = (std::process::id().cast_signed(), uid, gid);
                let sent = socket::send(from, &message.data, to, (&rights, Some(ours)), flags);
                sent.or_else(|_| socket::send(from, &message.data, to, (&rights, None), flags)).map(|sent| (sent, false))
            }
            result => result.map(|sent| (sent, true)),
        }
    }

    /// Sends the data of a stream. A sender that was full is full again: the end of its data goes in pieces that take the memory.
    pub fn stream(&self, from: BorrowedFd<'_>, messages: &[Message]) -> Result<bool, Errno> {
        let mut named = true;
        for (index, message) in messages.iter().enumerate() {
            let end = message.data.len();
            let tail = match self.full_at {
                Some(bytes) if index + 1 == messages.len() => end.min(usize::try_from(bytes).unwrap_or(0) / LEAST_MEMORY),
                _ => 0,
            };
            named &= self.pieces(from, message, 0..end - tail, end)?;
            if tail > 0 {
                let left = self.full_at.unwrap_or(0).saturating_sub(memory_sent(from)?);
                let pieces = usize::try_from(left.div_ceil(memory_of(1)?.max(1))).unwrap_or(0).clamp(1, tail);
                named &= self.pieces(from, message, end - tail..end, tail / pieces)?;
            }
        }
        Ok(named)
    }

    /// Sends a part of a message, at most `most` bytes at a time. What it carries goes with its first byte.
    fn pieces(&self, from: BorrowedFd<'_>, message: &Message, part: Range<usize>, most: usize) -> Result<bool, Errno> {
        let (mut at, mut named) = (part.start, true);
        while at < part.end {
            let data = message.data[at..part.end.min(at + most)].to_vec();
            let rights = if at == 0 { message.rights.clone() } else { Vec::new() };
            let piece = Message { data, rights, sender: message.sender, ..Message::default() };
            let (sent, is_named) = self.send(from, &piece, b"")?;
            named &= is_named;
            at += sent;
        }
        Ok(named)
    }
}

/// A message takes more memory than this, whatever its size.
const LEAST_MEMORY: usize = 512;
