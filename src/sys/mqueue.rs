//! POSIX message queues (mq_overview(7)): by name without a slash, behind descriptors.
//!
//! Relies on libc. Nothing here waits: descriptors are made with O_NONBLOCK.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::c_long;

use super::{Errno, check};

/// Most messages of a queue, and most bytes of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Messages.
    pub messages: i64,
    /// Bytes of a message.
    pub bytes: i64,
}

/// A message: its priority and its bytes.
pub type Message = (u32, Vec<u8>);

/// `mq_open(2)` — an existing queue, close-on-exec. `access` is O_RDONLY, O_WRONLY or O_RDWR.
pub fn open(name: &CStr, access: i32) -> Result<OwnedFd, Errno> {
    open_with(name, access, 0, None)
}

/// `mq_open(2)` — makes a queue. EEXIST: there is one; EINVAL: its limits are larger than those of the system, EMFILE: than RLIMIT_MSGQUEUE.
pub fn make(name: &CStr, mode: u32, limits: Limits) -> Result<OwnedFd, Errno> {
    open_with(name, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, mode, Some(limits))
}

fn open_with(name: &CStr, flags: i32, mode: u32, limits: Option<Limits>) -> Result<OwnedFd, Errno> {
    // SAFETY: all zeros is a valid mq_attr.
    let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
    let limits = limits.unwrap_or_default();
    (attributes.mq_maxmsg, attributes.mq_msgsize) = (limits.messages, limits.bytes);
    let flags = flags | libc::O_NONBLOCK | libc::O_CLOEXEC;
    // SAFETY: a string that ends with a zero byte and a live struct, which is only read.
    let fd = check(unsafe { libc::syscall(libc::SYS_mq_open, name.as_ptr(), flags, mode, &raw const attributes) })?;
    // SAFETY: the kernel has just made the descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).map_err(|_| Errno::EOVERFLOW)?) })
}

/// `mq_unlink(2)`.
pub fn unlink(name: &CStr) -> Result<(), Errno> {
    // SAFETY: a string that ends with a zero byte.
    check(unsafe { libc::syscall(libc::SYS_mq_unlink, name.as_ptr()) }).map(drop)
}

/// `mq_getsetattr(2)` — limits, and the number of messages in the queue.
pub fn look(queue: BorrowedFd<'_>) -> Result<(Limits, i64), Errno> {
    // SAFETY: all zeros is a valid mq_attr.
    let mut now: libc::mq_attr = unsafe { std::mem::zeroed() };
    let nothing = std::ptr::null::<libc::mq_attr>();
    // SAFETY: nothing is read, and the live struct is filled.
    check(unsafe { libc::syscall(libc::SYS_mq_getsetattr, queue.as_raw_fd(), nothing, &raw mut now) })?;
    Ok((Limits { messages: now.mq_maxmsg, bytes: now.mq_msgsize }, now.mq_curmsgs))
}

/// `mq_timedreceive(2)` — takes out the oldest message of the highest priority; `most` is the queue's limit. EAGAIN: there is none.
pub fn receive(queue: BorrowedFd<'_>, most: i64) -> Result<Message, Errno> {
    let mut text = vec![0u8; usize::try_from(most).map_err(|_| Errno::EINVAL)?];
    let mut priority = 0u32;
    let (fd, room, no_time) = (queue.as_raw_fd(), text.len(), std::ptr::null::<libc::timespec>());
    // SAFETY: the kernel writes at most `room` bytes to the live buffer, and a number.
    let bytes: c_long = unsafe { libc::syscall(libc::SYS_mq_timedreceive, fd, text.as_mut_ptr(), room, &raw mut priority, no_time) };
    text.truncate(usize::try_from(check(bytes)?).unwrap_or(0));
    Ok((priority, text))
}

/// `mq_timedsend(2)`. EAGAIN: the queue is full.
pub fn send(queue: BorrowedFd<'_>, (priority, text): &Message) -> Result<(), Errno> {
    let (fd, no_time) = (queue.as_raw_fd(), std::ptr::null::<libc::timespec>());
    // SAFETY: the kernel reads `text.len()` bytes of the live buffer.
    check(unsafe { libc::syscall(libc::SYS_mq_timedsend, fd, text.as_ptr(), text.len(), *priority, no_time) }).map(drop)
}

#[cfg(test)]
mod test {
    use std::ffi::CString;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn messages_come_by_priority() {
        let name = CString::new(format!("reprise-unit-{}", std::process::id())).unwrap();
        let limits = Limits { messages: 3, bytes: 20 };
        let queue = match make(&name, 0o600, limits) {
            Err(Errno::ENOSYS) => return,
            made => made.unwrap(),
        };
        let again = (make(&name, 0o600, limits).unwrap_err(), open(&name, libc::O_RDONLY).is_ok());
        unlink(&name).unwrap();
        assert_eq!(again, (Errno::EEXIST, true));
        let sent = [(1, b"low".to_vec()), (7, Vec::new()), (1, b"later".to_vec())];
        sent.iter().for_each(|message| send(queue.as_fd(), message).unwrap());
        assert_eq!((look(queue.as_fd()), send(queue.as_fd(), &sent[0])), (Ok((limits, 3)), Err(Errno::EAGAIN)));
        let got: Vec<Message> = std::iter::from_fn(|| receive(queue.as_fd(), limits.bytes).ok()).collect();
        assert_eq!(got, [sent[1].clone(), sent[0].clone(), sent[2].clone()]);
    }
}
