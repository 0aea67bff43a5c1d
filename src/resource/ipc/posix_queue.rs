//! POSIX message queues: mq_open(3).
//!
//! **Kept:** messages with their priorities and in their order, limits, name, owner, permissions, queues whose name has been removed; O_NONBLOCK;
//! who is to be told of the first message (mq_notify(3)) and by which signal; waiting processes go on to wait.
//! **Lost:** times; the value that comes with the signal; notification by a thread, which the C library makes of a socket.
//! **Refused:** at a restart, a queue of the job that somebody else has open or another one of its name, or one that others had open, too, and that
//! is gone. Such a one is not saved: the job opens it as it is then. Queues that we may not read and write.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::stat::{self, Mode};
use nix::unistd::{self, Gid, Uid};
use serde::{Deserialize, Serialize};

use super::{Keep, Made};
use crate::image::{Description, Object, ObjectId, Snapshot, Tag};
use crate::resource::file::open::reopen;
use crate::resource::outside::user_of;
use crate::resource::{Bind, Build, Built, Capture, FileKind, KindError, Numbered, Opened, Plan, Probe};
use crate::sys::mqueue::{self, Limits, Message};
use crate::sys::{Errno, ipc};
use crate::tracee::Batch;

/// POSIX message queues.
pub struct PosixQueue;

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PosixQueueV1 {
    /// Its name, or the one it had; it begins with a slash.
    #[serde(with = "crate::image::path")]
    pub name: PathBuf,
    /// Its name has been removed.
    pub is_deleted: bool,
    /// Whether it is the job's own.
    pub keep: Keep,
    /// Inode number.
    pub ino: u64,
    /// Permissions.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Most messages.
    pub most_messages: i64,
    /// Most bytes of a message.
    pub most_bytes: i64,
    /// Messages in the order in which they are received.
    pub messages: Vec<QueuedV1>,
    /// Who is told of the first message.
    pub notify: Option<NotifyV1>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedV1 {
    /// Its priority.
    pub priority: u32,
    /// Its bytes.
    #[serde(with = "serde_bytes")]
    pub text: Vec<u8>,
}

/// A notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyV1 {
    /// The process.
    pub pid: i32,
    /// How: SIGEV_SIGNAL or SIGEV_NONE.
    pub how: i32,
    /// The signal.
    pub signal: i32,
}

/// Bytes that the kernel says a queue has, whatever is in it.
const SHOWN_BYTES: i64 = 80;

impl FileKind for PosixQueue {
    type State = PosixQueueV1;
    const TAG: Tag = Tag::new("posix_queue", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        const MQUEUE_MAGIC: i64 = 0x1980_0202;
        let may_be = !probe.is_mapping() && probe.file_type() == libc::S_IFREG && probe.stat.size == SHOWN_BYTES;
        let system = || probe.copy().ok().and_then(|copy| nix::sys::statfs::fstatfs(copy).ok());
        may_be && system().is_some_and(|system| system.filesystem_type().0 == MQUEUE_MAGIC)
    }

    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<PosixQueueV1, KindError> {
        let first = probes[0];
        let shown = first.link.as_os_str().as_bytes();
        let name = shown.strip_suffix(b" (deleted)").filter(|_| first.is_deleted()).unwrap_or(shown);
        let name = PathBuf::from(OsStr::from_bytes(name));
        let failed = |attempt: &str, errno| KindError::path(attempt, &name, errno);
        let queue = reopen(first.copy()?, libc::O_RDWR | libc::O_NONBLOCK).map_err(|errno| failed("open the message queue", errno))?;
        let (limits, count) = mqueue::look(queue.as_fd()).map_err(|errno| failed("look at the message queue", errno))?;
        let outsider = user_of((first.stat.dev, first.stat.ino), |pid| cx.facts.is_member(pid));
        let mut state = PosixQueueV1 {
            is_deleted: first.is_deleted(),
            keep: if outsider.is_some() { Keep::Reference } else { Keep::Own },
            ino: first.stat.ino,
            mode: first.stat.mode & 0o777,
            owner: (first.stat.uid, first.stat.gid),
            most_messages: limits.messages,
            most_bytes: limits.bytes,
            messages: Vec::new(),
            notify: notification(&queue).filter(|notify| cx.facts.is_member(notify.pid)),
            name,
        };
        if let Some(pid) = outsider {
            if state.is_deleted {
                let what =
                    format!("the message queue {}, which has no name any more and process {pid} has open, too,", state.name.display());
                return Err(KindError::Unsupported { what, remedy: "close it for the checkpoint".into() });
            }
            cx.warnings
                .push(format!("process {pid} has it open, too, so it is not saved: the restart needs it, and takes it as it is then"));
            return Ok(state);
        }
        match state.notify {
            Some(notify) if notify.how > libc::SIGEV_NONE => {
                state.notify = None;
                cx.warnings.push("nobody is told of its first message any more (mq_notify with SIGEV_THREAD)".into());
            }
            Some(NotifyV1 { how: libc::SIGEV_SIGNAL, .. }) => {
                cx.warnings.push("the value that comes with the signal of its first message is 0: the kernel does not show it".into());
            }
            _ => {}
        }
        let messages = read(queue.as_fd(), limits, count, state.notify.is_some())
            .map_err(|errno| KindError::path("read the message queue", &state.name, errno))?;
        state.messages = messages.into_iter().map(|(priority, text)| QueuedV1 { priority, text }).collect();
        Ok(state)
    }

    fn plan(&self, state: &PosixQueueV1, _: (ObjectId, &Object), cx: &mut Plan<'_>) -> Result<(), KindError> {
        let fits = |message: &QueuedV1| i64::try_from(message.text.len()).is_ok_and(|bytes| bytes <= state.most_bytes);
        let is_name = state.name.parent() == Some(Path::new("/")) && state.c_name().is_ok();
        if !is_name
            || i64::try_from(state.messages.len()).is_ok_and(|count| state.most_messages < count)
            || !state.messages.iter().all(fits)
        {
            let what = format!("the message queue {} has other messages than it can have", state.name.display());
            return Err(KindError::Inconsistent { what });
        }
        if cx.is_proof || state.is_deleted {
            return Ok(());
        }
        let what = format!("the message queue {}", state.name.display());
        let remedy = "remove it if nobody needs it, or restart in namespaces of its own: --namespace".to_owned();
        match (state.there(), state.keep) {
            (There::Missing, Keep::Reference) => {
                let remedy = "others had it, too, so it was not saved; start them first".into();
                Err(KindError::Unrestorable { what: format!("{what}, which is gone,"), remedy })
            }
            (There::Another, Keep::Own) => Err(KindError::Taken { what: format!("{what}, which is another one now,"), by: None, remedy }),
            (There::Used(pid), Keep::Own) => Err(KindError::Taken { what, by: Some(pid), remedy }),
            (There::Unseen(errno), _) => Err(KindError::path("open the message queue", &state.name, errno)),
            _ => Ok(()),
        }
    }

    fn numbered(&self, state: &PosixQueueV1, _: &Snapshot) -> Numbered {
        match (state.there(), state.keep) {
            (_, Keep::Reference) => Numbered::Shared,
            (There::Another | There::Used(_) | There::Unseen(_), Keep::Own) if !state.is_deleted => Numbered::Elsewhere,
            _ => Numbered::Here,
        }
    }

    fn build(&self, state: &PosixQueueV1, _: (ObjectId, &Object), _: &mut Build<'_>) -> Result<Built, KindError> {
        let failed = |attempt: &str, errno| KindError::path(attempt, &state.name, errno);
        let name = state.c_name().map_err(|errno| failed("name the message queue", errno))?;
        if state.keep == Keep::Reference {
            let opened = [libc::O_RDWR, libc::O_RDONLY, libc::O_WRONLY].into_iter().find_map(|access| mqueue::open(&name, access).ok());
            let queue = opened.ok_or_else(|| failed("open the message queue", Errno::EACCES))?;
            return Ok(Built { descriptors: vec![queue], ..Built::default() });
        }
        let there = if state.is_deleted { Err(Errno::ENOENT) } else { mqueue::open(&name, libc::O_RDWR) };
        let (queue, made) = match there {
            Ok(queue) => (queue, None),
            Err(Errno::ENOENT) if state.is_deleted => (state.make_unnamed().map_err(|errno| failed("make a queue like", errno))?, None),
            Err(Errno::ENOENT) => {
                let queue = state.make(&name).map_err(|errno| failed("make the message queue", errno))?;
                (queue, Some(Made::Queue(name)))
            }
            Err(errno) => return Err(failed("open the message queue", errno)),
        };
        while match mqueue::receive(queue.as_fd(), state.most_bytes) {
            Ok(_) => true,
            Err(Errno::EAGAIN) => false,
            Err(errno) => return Err(failed("empty the message queue", errno)),
        } {}
        for message in &state.messages {
            let message: Message = (message.priority, message.text.clone());
            mqueue::send(queue.as_fd(), &message).map_err(|errno| failed("put a message back into", errno))?;
        }
        Ok(Built { descriptors: vec![queue], made_numbers: made.into_iter().collect(), ..Built::default() })
    }

    fn open(&self, state: &PosixQueueV1, built: &Built, description: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        let opened = reopen(built.descriptors[0].as_fd(), description.flags);
        opened.map(Opened::New).map_err(|errno| KindError::path("open the message queue", &state.name, errno))
    }

    /// When all have opened it: its permissions may allow less.
    fn settle(&self, state: &PosixQueueV1, built: &Built, _: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<(), KindError> {
        let (Keep::Own, Some(queue)) = (state.keep, built.descriptors.first()) else { return Ok(()) };
        let now = stat::fstat(queue).map_err(|errno| KindError::path("look at the message queue", &state.name, errno))?;
        let (uid, gid) = state.owner;
        let is_owned = (now.st_uid, now.st_gid) == (uid, gid);
        let owned = is_owned || unistd::fchown(queue, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).is_ok();
        let is_right = now.st_mode & 0o777 == state.mode;
        let right = is_right || stat::fchmod(queue, Mode::from_bits_truncate(state.mode)).is_ok();
        if !owned || !right {
            cx.warnings.push("it has another owner or other permissions than before".into());
        }
        Ok(())
    }

    fn bind_each(&self, state: &PosixQueueV1, fd: i32, cx: &mut Bind<'_>, batch: &mut Batch) {
        let Some(notify) = state.notify.filter(|notify| (cx.id)(notify.pid) == cx.pid) else { return };
        // struct sigevent: the value, then the signal and how.
        let signal = u64::from(notify.signal.cast_unsigned()) | u64::from(notify.how.cast_unsigned()) << 32;
        let event = batch.words(&[0, signal, 0, 0, 0, 0, 0, 0]);
        // A second descriptor of the same queue finds it done.
        batch.attempt(libc::SYS_mq_notify, [fd.into(), event.into()]);
    }
}

/// What is at the name of a queue.
enum There {
    Missing,
    /// The queue itself, which nobody has open.
    Free,
    Another,
    Used(i32),
    Unseen(Errno),
}

impl PosixQueueV1 {
    fn c_name(&self) -> Result<CString, Errno> {
        let bytes = self.name.as_os_str().as_bytes();
        let name = bytes.strip_prefix(b"/").filter(|name| !name.is_empty() && !name.contains(&b'/'));
        CString::new(name.ok_or(Errno::EINVAL)?).map_err(|_| Errno::EINVAL)
    }

    fn there(&self) -> There {
        let opened = self.c_name().and_then(|name| mqueue::open(&name, libc::O_RDONLY).or_else(|_| mqueue::open(&name, libc::O_WRONLY)));
        let queue = match opened {
            Ok(queue) => queue,
            Err(Errno::ENOENT) => return There::Missing,
            Err(errno) => return There::Unseen(errno),
        };
        let found = stat::fstat(&queue).and_then(|found| Ok((found, mqueue::look(queue.as_fd())?.0)));
        match found {
            Err(errno) => There::Unseen(errno),
            Ok((found, limits)) if found.st_ino != self.ino || limits != self.limits() => There::Another,
            Ok((found, _)) => user_of((found.st_dev, found.st_ino), |_| false).map_or(There::Free, There::Used),
        }
    }

    fn limits(&self) -> Limits {
        Limits { messages: self.most_messages, bytes: self.most_bytes }
    }

    /// As its owner, whose resources it uses; with our rights where those are not enough.
    fn make(&self, name: &CString) -> Result<OwnedFd, Errno> {
        let make = || mqueue::make(name, 0o600, self.limits());
        match ipc::acting_as(self.owner.0, self.owner.1, make) {
            Err(Errno::EINVAL | Errno::EMFILE | Errno::EACCES | Errno::EPERM) => make(),
            made => made,
        }
    }

    /// `/proc` shows the name that it had, so it gets that for a moment, or another where somebody has that.
    fn make_unnamed(&self) -> Result<OwnedFd, Errno> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let another = format!("reprise-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut name = self.c_name()?;
        let queue = match self.make(&name) {
            Err(Errno::EEXIST) => {
                name = CString::new(another).map_err(|_| Errno::EINVAL)?;
                self.make(&name)
            }
            made => made,
        }?;
        mqueue::unlink(&name)?;
        Ok(queue)
    }
}

/// Who is told of the first message: the queue shows it when it is read like a file.
fn notification(queue: &OwnedFd) -> Option<NotifyV1> {
    let mut text = [0; 256];
    let bytes = std::fs::File::from(queue.try_clone().ok()?).read_at(&mut text, 0).ok()?;
    let text = std::str::from_utf8(&text[..bytes]).ok()?;
    let number = |key: &str| text.split_whitespace().find_map(|word| word.strip_prefix(key))?.parse::<i32>().ok();
    let pid = number("NOTIFY_PID:").filter(|pid| *pid != 0)?;
    Some(NotifyV1 { pid, how: number("NOTIFY:")?, signal: number("SIGNO:")? })
}

/// What stands in for the last message of a queue while that is out.
const STAND_IN: &[u8] = b"R";

/// All messages, which are in the queue again afterwards: the kernel lets nobody look without taking them out. With `is_told` the queue is never empty on
/// the way, so that nobody is told of a first message.
fn read(queue: BorrowedFd<'_>, limits: Limits, count: i64, is_told: bool) -> Result<Vec<Message>, Errno> {
    let mut messages = Vec::new();
    let count = usize::try_from(count).unwrap_or(0);
    let last = if is_told && count > 0 { count - 1 } else { count };
    let mut taken = Ok(None);
    while messages.len() < last {
        match mqueue::receive(queue, limits.bytes) {
            Ok(message) => messages.push(message),
            Err(errno) => {
                taken = Err(errno);
                break;
            }
        }
    }
    if is_told && count > 0 && taken.is_ok() {
        taken = take_last(queue, limits, &mut messages).map(Some);
    }
    // Whatever has failed, what was taken out goes back in.
    let stand_in = taken.as_ref().ok().copied().flatten();
    put_back(queue, limits, &messages, stand_in)?;
    taken.map(|_| messages)
}

/// Takes the last message out, and leaves a stand-in of its priority, which is returned. Of two messages of one priority the older comes first. So a
/// stand-in comes back as long as its priority is higher than that of the message, and stays when it is the same.
fn take_last(queue: BorrowedFd<'_>, limits: Limits, messages: &mut Vec<Message>) -> Result<u32, Errno> {
    const HIGHEST: u32 = 32767;
    let mut priority = messages.last().map_or(HIGHEST, |message| message.0);
    loop {
        let stand_in = (priority, STAND_IN.to_vec());
        mqueue::send(queue, &stand_in)?;
        let first = mqueue::receive(queue, limits.bytes)?;
        if first != stand_in {
            messages.push(first);
            return Ok(priority);
        }
        priority = priority.checked_sub(1).ok_or(Errno::EIO)?;
    }
}

/// Puts messages back. A stand-in goes as soon as one of its priority, the lowest of all, stands behind it.
fn put_back(queue: BorrowedFd<'_>, limits: Limits, messages: &[Message], stand_in: Option<u32>) -> Result<(), Errno> {
    let Some(lowest) = stand_in else { return messages.iter().try_for_each(|message| mqueue::send(queue, message)) };
    let (of_lowest, others): (Vec<&Message>, Vec<&Message>) = messages.iter().partition(|message| message.0 == lowest);
    // The stand-in has one of the places.
    let places = usize::try_from(limits.messages - 1).unwrap_or(0);
    let (now, later) = of_lowest.split_at(of_lowest.len().min(places));
    now.iter().try_for_each(|message| mqueue::send(queue, message))?;
    mqueue::receive(queue, limits.bytes)?;
    later.iter().chain(&others).try_for_each(|message| mqueue::send(queue, message))
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn looking_changes_nothing_and_tells_nobody() {
        for priorities in [vec![3, 9, 3, 0], vec![5], vec![2; 10], vec![7, 1, 4, 4, 9, 1, 1, 30000, 7]] {
            let limits = Limits { messages: 10, bytes: 16 };
            let name = CString::new(format!("reprise-look-{}", std::process::id())).unwrap();
            let queue = match mqueue::make(&name, 0o600, limits) {
                Err(Errno::ENOSYS) => return,
                made => made.unwrap(),
            };
            mqueue::unlink(&name).unwrap();
            let sent = (0u8..).zip(&priorities).map(|(number, priority)| (*priority, vec![number]));
            sent.for_each(|message| mqueue::send(queue.as_fd(), &message).unwrap());
            let count = i64::try_from(priorities.len()).unwrap();
            let seen = [true, false, true].map(|is_told| read(queue.as_fd(), limits, count, is_told).unwrap());
            let taken: Vec<Message> = std::iter::from_fn(|| mqueue::receive(queue.as_fd(), limits.bytes).ok()).collect();
            assert!(seen.iter().all(|seen| *seen == taken), "{priorities:?}: {seen:?}, {taken:?}");
        }
    }
}
