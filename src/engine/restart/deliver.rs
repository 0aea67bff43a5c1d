//! Handing open file descriptions to processes that were born before these were opened.
//!
//! Relies on a pair of sockets that every stub has inherited, and on processes being served one after the other. Used only by jobs that have
//! objects which need their processes; all other descriptions are inherited.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair};

use crate::resource::KindError;
use crate::sys::{Errno, descriptor};
use crate::tracee::{Batch, Scratch, Stopped};

/// Most descriptors that the kernel takes in one message (unix(7), SCM_MAX_FD).
const MOST: usize = 253;
/// `struct cmsghdr` before the descriptors.
const HEADER_BYTES: usize = 16;
/// Our descriptors stand above most of the job's, where they are in nobody's way.
const HIGH: RawFd = 500;

/// The way from the restarter to the stubs.
pub struct Channel {
    ours: OwnedFd,
    theirs: OwnedFd,
}

impl Channel {
    /// Made before the first stub is forked.
    pub fn new() -> Result<Channel, KindError> {
        let attempt = |errno| KindError::host("make a pair of sockets", errno);
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).map_err(attempt)?;
        let high = |fd: OwnedFd| descriptor::duplicate_from(fd.as_fd(), HIGH).unwrap_or(fd);
        Ok(Channel { ours: high(ours), theirs: high(theirs) })
    }

    /// Gives these to a process; their numbers there, in order.
    pub fn deliver(&self, files: &[BorrowedFd<'_>], stopped: &mut Stopped, scratch: &Scratch) -> Result<Vec<RawFd>, KindError> {
        let mut numbers = Vec::with_capacity(files.len());
        for some in files.chunks(MOST) {
            self.send(some).map_err(|errno| KindError::host("send descriptors to a process", errno))?;
            numbers.extend(self.receive(some.len(), stopped, scratch)?);
        }
        Ok(numbers)
    }

    fn send(&self, files: &[BorrowedFd<'_>]) -> Result<(), Errno> {
        let numbers: Vec<RawFd> = files.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&numbers)];
        sendmsg::<()>(self.ours.as_raw_fd(), &[IoSlice::new(&[0])], &rights, MsgFlags::MSG_DONTWAIT, None).map(drop)
    }

    /// Lets the process take a message with `count` descriptors.
    fn receive(&self, count: usize, stopped: &mut Stopped, scratch: &Scratch) -> Result<Vec<RawFd>, KindError> {
        let mut batch = Batch::new();
        let byte = batch.room(8);
        let vector = batch.words(&[0, 1]);
        batch.pointer(vector, 0, byte);
        let bytes = (HEADER_BYTES + count * size_of::<RawFd>()).next_multiple_of(8);
        let control = batch.room(bytes);
        // struct msghdr: no name, one vector, room for control data, flags.
        let message = batch.words(&[0, 0, 0, 1, 0, bytes as u64, 0]);
        batch.pointer(message, 16, vector);
        batch.pointer(message, 32, control);
        let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
        batch.call(
            "take descriptors that were opened for it",
            libc::SYS_recvmsg,
            [self.theirs.as_raw_fd().into(), message.into(), flags.into()],
        );
        let answers = scratch.run(stopped, &batch)?;
        let got = usize::try_from(answers.word(control, 0)).unwrap_or(0).saturating_sub(HEADER_BYTES) / size_of::<RawFd>();
        if got != count {
            // The kernel leaves out what the limit on open files does not allow.
            return Err(KindError::host("give a process all descriptors that were opened for it", Errno::EMFILE));
        }
        Ok((0..count).map(|index| answers.half(control, HEADER_BYTES / 4 + index).cast_signed()).collect())
    }
}
