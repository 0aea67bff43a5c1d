//! Data in flight in a pipe or FIFO, with the way it lies in the pipe's buffers.
//!
//! Relies on tee(2), which copies without consuming, and on splice(2), which moves whole buffers. The layout matters: a buffer holds at
//! most a page, and a pipe that was full must be full again; in packet mode (O_DIRECT, pipe(2)) a buffer is a message.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::unistd;
use serde::{Deserialize, Serialize};

use crate::sys::{Errno, descriptor};

const PAGE_BYTES: usize = 4096;

/// What is in a pipe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flight {
    /// Capacity in bytes (F_GETPIPE_SZ).
    pub capacity: i32,
    /// Whether each buffer is a message of its own.
    pub is_packets: bool,
    /// All bytes, oldest first.
    #[serde(with = "serde_bytes")]
    pub data: Vec<u8>,
    /// How many of them each buffer holds.
    pub buffers: Vec<u32>,
}

impl Flight {
    /// Copies what the pipe behind `reader` holds, and leaves it there.
    pub fn capture(reader: BorrowedFd<'_>, is_packets: bool) -> Result<Flight, Errno> {
        let capacity = descriptor::pipe_capacity(reader)?;
        let mut flight = Flight { capacity, is_packets, ..Flight::default() };
        if descriptor::readable_bytes(reader)? == 0 {
            return Ok(flight);
        }
        let whole = private(capacity)?;
        // One page: room for a single buffer.
        let single = private(4096)?;
        descriptor::tee(reader, whole.1.as_fd(), usize::MAX >> 1)?;
        loop {
            match descriptor::splice(whole.0.as_fd(), single.1.as_fd(), usize::MAX >> 1) {
                Err(Errno::EAGAIN) | Ok(0) => return Ok(flight),
                Err(errno) => return Err(errno),
                Ok(bytes) => flight.take(&single.0, bytes)?,
            }
        }
    }

    fn take(&mut self, single: &OwnedFd, bytes: usize) -> Result<(), Errno> {
        let mut buffer = vec![0; bytes];
        let mut filled = 0;
        while filled < bytes {
            match unistd::read(single, &mut buffer[filled..])? {
                0 => return Err(Errno::EIO),
                more => filled += more,
            }
        }
        self.data.extend_from_slice(&buffer);
        self.buffers.push(u32::try_from(bytes).map_err(|_| Errno::EOVERFLOW)?);
        Ok(())
    }

    /// Whether nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Gives the pipe its capacity and, unless `is_filled` forbids it, its data. Returns the capacity it has got when that is another one:
    /// above `/proc/sys/fs/pipe-max-size` needs CAP_SYS_RESOURCE. ENOSPC: the data does not fit then.
    pub fn restore(&self, writer: BorrowedFd<'_>, is_filled: bool) -> Result<Option<i32>, Errno> {
        let result = descriptor::set_pipe_capacity(writer, self.capacity);
        let capacity = descriptor::pipe_capacity(writer)?;
        if result.is_err() && capacity == self.capacity {
            result?;
        }
        let n_buffers = usize::try_from(capacity).unwrap_or(0) / PAGE_BYTES;
        if is_filled && !self.is_empty() {
            self.fill(writer, self.buffers.len() <= n_buffers)?;
        }
        Ok((capacity != self.capacity).then_some(capacity))
    }

    fn fill(&self, writer: BorrowedFd<'_>, keeps_layout: bool) -> Result<(), Errno> {
        if !keeps_layout && self.is_packets {
            return Err(Errno::ENOSPC);
        }
        let chunks = if keeps_layout { self.buffers.clone() } else { vec![u32::try_from(self.data.len()).unwrap_or(u32::MAX)] };
        let single = private(4096)?;
        if self.is_packets {
            descriptor::set_status_flags(single.1.as_fd(), libc::O_WRONLY | libc::O_NONBLOCK | libc::O_DIRECT)?;
        }
        let mut rest = self.data.as_slice();
        for bytes in chunks {
            let (chunk, tail) = rest.split_at_checked(usize::try_from(bytes).unwrap_or(usize::MAX)).ok_or(Errno::EINVAL)?;
            rest = tail;
            // Through a pipe of its own each page becomes a buffer of its own, as a direct write would not have it.
            for page in chunk.chunks(PAGE_BYTES) {
                unistd::write(&single.1, page)?;
                match descriptor::splice(single.0.as_fd(), writer, PAGE_BYTES) {
                    Err(Errno::EAGAIN) => return Err(Errno::ENOSPC),
                    result => result?,
                };
            }
        }
        Ok(())
    }
}

/// A pipe of our own that never blocks: read end, write end.
fn private(capacity: i32) -> Result<(OwnedFd, OwnedFd), Errno> {
    let pipe = unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    descriptor::set_pipe_capacity(pipe.1.as_fd(), capacity)?;
    Ok(pipe)
}

#[cfg(test)]
mod test {
    use super::*;

    fn pipe(flags: OFlag) -> (OwnedFd, OwnedFd) {
        unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | flags).unwrap()
    }

    fn drain(reader: &OwnedFd) -> Vec<Vec<u8>> {
        let mut reads = Vec::new();
        let mut buffer = vec![0; 1 << 21];
        while let Ok(bytes @ 1..) = unistd::read(reader, &mut buffer) {
            reads.push(buffer[..bytes].to_vec());
        }
        reads
    }

    #[test]
    fn reading_the_flight_leaves_it_in_place() {
        let from = pipe(OFlag::empty());
        unistd::write(&from.1, &[7; 10_000]).unwrap();
        unistd::read(&from.0, &mut [0; 1234]).unwrap();
        let flight = Flight::capture(from.0.as_fd(), false).unwrap();
        assert_eq!(flight.buffers, [4096 - 1234, 4096, 10_000 - 8192]);
        assert_eq!(flight, Flight::capture(from.0.as_fd(), false).unwrap());
        assert_eq!(drain(&from.0).concat(), flight.data);
    }

    #[test]
    fn messages_keep_their_boundaries() {
        let from = pipe(OFlag::O_DIRECT);
        for bytes in [1, 100, 4096, 7, 7, 3000] {
            unistd::write(&from.1, &vec![1; bytes]).unwrap();
        }
        let flight = Flight::capture(from.0.as_fd(), true).unwrap();
        let to = pipe(OFlag::empty());
        assert_eq!(flight.restore(to.1.as_fd(), true), Ok(None));
        assert_eq!(drain(&to.0).iter().map(Vec::len).collect::<Vec<_>>(), [1, 100, 4096, 7, 7, 3000]);
    }

    #[test]
    fn a_full_pipe_is_full_again_and_a_last_buffer_takes_what_fits() {
        let from = pipe(OFlag::empty());
        while unistd::write(&from.1, &[1; 1000]).is_ok() {}
        let flight = Flight::capture(from.0.as_fd(), false).unwrap();
        assert_eq!(flight.data.len(), 64_000);
        let to = pipe(OFlag::empty());
        flight.restore(to.1.as_fd(), true).unwrap();
        assert_eq!(unistd::write(&to.1, &[2; 1000]), Err(Errno::EAGAIN));
        assert_eq!(unistd::write(&to.1, &[2; 96]), Ok(96));
        assert_eq!(unistd::write(&to.1, &[2; 1]), Err(Errno::EAGAIN));
        assert_eq!(drain(&to.0).concat().len(), 64_096);
    }

    #[test]
    fn the_capacity_comes_back() {
        for capacity in [4096, 1 << 20] {
            let from = pipe(OFlag::empty());
            if descriptor::set_pipe_capacity(from.1.as_fd(), capacity).is_err() {
                continue;
            }
            while unistd::write(&from.1, &[1; 4096]).is_ok() {}
            let flight = Flight::capture(from.0.as_fd(), false).unwrap();
            assert_eq!((flight.capacity, flight.data.len()), (capacity, usize::try_from(capacity).unwrap()));
            let to = pipe(OFlag::empty());
            assert_eq!(flight.restore(to.1.as_fd(), true), Ok(None));
            assert_eq!(Flight::capture(to.0.as_fd(), false).unwrap(), flight);
        }
    }

    #[test]
    fn a_smaller_pipe_takes_what_fits() {
        let to = pipe(OFlag::empty());
        let flight = Flight { capacity: 1 << 30, is_packets: false, data: vec![3; 60_000], buffers: vec![1000; 60] };
        if let Ok(Some(capacity)) = flight.restore(to.1.as_fd(), true) {
            assert!(capacity < 1 << 30);
            assert_eq!(drain(&to.0).concat(), flight.data);
        }
        let to = pipe(OFlag::empty());
        let flight = Flight { data: vec![3; 70_000], buffers: vec![1000; 70], ..flight };
        if descriptor::set_pipe_capacity(to.1.as_fd(), 1 << 30).is_err() {
            assert_eq!(flight.restore(to.1.as_fd(), true), Err(Errno::ENOSPC));
        }
    }
}
