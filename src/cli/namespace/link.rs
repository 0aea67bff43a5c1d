//! What `cr_restart` and the first process of the job's pid namespace say to each other, over a pair of sockets.
//!
//! A message is three numbers of 32 bits. Relies on both ends being the same program. The end of the stream means that the other side has
//! ended; what follows from that is left to `outer` and `inner`.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use crate::cli::exit::Ending;

/// One end.
#[derive(Debug)]
pub struct Link(UnixStream);

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// Outward: the first process exists, as a child of the middle one; its id outside.
    Born(i32),
    /// Inward: the middle process has ended, `cr_restart` is the parent now.
    Go,
    /// Outward: the namespaces are there.
    Ready,
    /// Outward: step number `step` failed with this error number.
    Refused {
        /// Which one: [`super::Step`].
        step: i32,
        /// Why.
        errno: i32,
    },
    /// Outward: the job runs, signals may come.
    Running,
    /// Inward: `cr_restart` has got this signal; `group`: the kernel has sent it to its whole process group.
    Signal {
        /// Its number.
        number: i32,
        /// Sent to the group.
        group: bool,
    },
    /// Outward: end like this.
    Ended(Ending),
}

impl Message {
    fn numbers(self) -> [i32; 3] {
        match self {
            Message::Born(pid) => [0, pid, 0],
            Message::Go => [1, 0, 0],
            Message::Ready => [2, 0, 0],
            Message::Refused { step, errno } => [3, step, errno],
            Message::Running => [4, 0, 0],
            Message::Signal { number, group } => [5, number, i32::from(group)],
            Message::Ended(Ending::Status(status)) => [6, status.into(), 0],
            Message::Ended(Ending::Signal(signal)) => [7, signal, 0],
        }
    }

    fn from_numbers(numbers: [i32; 3]) -> Option<Message> {
        let [what, first, second] = numbers;
        Some(match what {
            0 => Message::Born(first),
            1 => Message::Go,
            2 => Message::Ready,
            3 => Message::Refused { step: first, errno: second },
            4 => Message::Running,
            5 => Message::Signal { number: first, group: second != 0 },
            6 => Message::Ended(Ending::Status(u8::try_from(first).ok()?)),
            7 => Message::Ended(Ending::Signal(first)),
            _ => return None,
        })
    }
}

impl Link {
    /// Two ends, close-on-exec.
    pub fn pair() -> io::Result<(Link, Link)> {
        UnixStream::pair().map(|(a, b)| (Link(a), Link(b)))
    }

    /// Sends a message. `BrokenPipe`: the other side has ended.
    pub fn send(&mut self, message: Message) -> io::Result<()> {
        let bytes: Vec<u8> = message.numbers().iter().flat_map(|number| number.to_le_bytes()).collect();
        self.0.write_all(&bytes)
    }

    /// Waits for a message; `None`: the other side has ended.
    pub fn receive(&mut self) -> io::Result<Option<Message>> {
        let mut bytes = [0; 12];
        match self.0.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => return Ok(None),
            Err(error) => return Err(error),
        }
        let number = |at: usize| i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let message = Message::from_numbers([number(0), number(4), number(8)]);
        message.map(Some).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "a message that makes no sense"))
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn every_message_arrives() {
        let (mut a, mut b) = Link::pair().unwrap();
        for message in [
            Message::Born(4242),
            Message::Go,
            Message::Ready,
            Message::Refused { step: 2, errno: libc::EPERM },
            Message::Running,
            Message::Signal { number: 64, group: true },
            Message::Signal { number: 1, group: false },
            Message::Ended(Ending::Status(255)),
            Message::Ended(Ending::Signal(9)),
        ] {
            a.send(message).unwrap();
            assert_eq!(b.receive().unwrap(), Some(message));
        }
        drop(a);
        assert_eq!(b.receive().unwrap(), None);
        assert_eq!(b.send(Message::Go).unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn nonsense_is_an_error() {
        let (mut a, mut b) = Link::pair().unwrap();
        a.0.write_all(&[9; 12]).unwrap();
        assert_eq!(b.receive().unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
