//! Interest lists (epoll(7)).
//!
//! **Kept:** every registered descriptor with its events and data, also one whose number has been closed while a duplicate of it lives.
//! **Lost:** that an edge was reported already (it may be reported once more), and that a spent one-shot entry ignores errors and hang-ups.
//! **Refused:** a registration of a file that the process no longer holds, or whose number stands for another file now.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use super::open;
use crate::image::{Description, DescriptionId, Object, ObjectId, Process, Tag};
use crate::proc::EpollTarget;
use crate::resource::{Bind, Build, Built, Capture, FileKind, Identity, KindError, Opened, Probe};
use crate::sys::{Errno, descriptor};
use crate::tracee::Batch;

/// Interest lists.
pub struct Epoll;

/// An interest list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpollV1 {
    /// The process that registers again, by its saved id: it holds all the files.
    pub pid: i32,
    /// What is registered.
    pub targets: Vec<TargetV1>,
}

/// A registered descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetV1 {
    /// The number it was registered by.
    pub fd: i32,
    /// A descriptor of the same description now: the same number, or a duplicate.
    pub via: i32,
    /// `EPOLL*` bits.
    pub events: u32,
    /// The program's own 64 bits.
    pub data: u64,
}

impl FileKind for Epoll {
    type State = EpollV1;
    const TAG: Tag = Tag::new("epoll", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        probe.link.as_os_str() == "anon_inode:[eventpoll]"
    }

    fn identity(&self, _: &Probe<'_>) -> Identity {
        Identity::Description
    }

    fn capture(&self, probes: &[&Probe<'_>], _: &mut Capture) -> Result<EpollV1, KindError> {
        let (pid, epoll) = (probes[0].pid, probes[0].fd);
        let listed = &probes[0].info.epoll;
        let mut targets = Vec::with_capacity(listed.len());
        let mut earlier: HashMap<i32, u32> = HashMap::new();
        for target in listed {
            let nth = earlier.entry(target.fd).or_default();
            let slot = Slot { pid, epoll, target, nth: *nth };
            *nth += 1;
            let via = slot.find()?;
            targets.push(TargetV1 { fd: target.fd, via, events: target.events, data: target.data });
        }
        Ok(EpollV1 { pid, targets })
    }

    fn build(&self, _: &EpollV1, _: (ObjectId, &Object), _: &mut Build<'_>) -> Result<Built, KindError> {
        let epoll = descriptor::epoll().map_err(|errno| KindError::host("make an epoll instance", errno))?;
        Ok(Built { descriptors: vec![epoll], ..Built::default() })
    }

    fn open(&self, _: &EpollV1, built: &Built, _: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        open::duplicate(&built.descriptors[0]).map(Opened::New)
    }

    fn bind(&self, state: &EpollV1, fd: i32, cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        let Some(process) = registrar(state, fd, cx) else { return Ok(()) };
        for target in &state.targets {
            if description_at(cx, process, target.via).is_none() {
                cx.warnings.push(format!("descriptor {} is closed and leaves the interest list of epoll instance {fd}", target.via));
                continue;
            }
            register(target, fd, is_inherited(cx, process, target.via), batch);
        }
        Ok(())
    }
}

/// An entry of an interest list as the kernel knows it.
struct Slot<'a> {
    pid: i32,
    epoll: i32,
    target: &'a EpollTarget,
    nth: u32,
}

impl Slot<'_> {
    /// The descriptor that reaches the registered file: the number itself, else a duplicate in the same process.
    fn find(&self) -> Result<i32, KindError> {
        if self.is_at(self.target.fd)? {
            return Ok(self.target.fd);
        }
        let in_use = std::fs::symlink_metadata(format!("/proc/{}/fd/{}", self.pid, self.target.fd)).is_ok();
        let numbers = crate::proc::ProcDir::open(self.pid)?.descriptors()?;
        for fd in numbers {
            if fd != self.target.fd && fd != self.epoll && !in_use && self.is_at(fd)? {
                return Ok(fd);
            }
        }
        let why = if in_use { "stands for another file now" } else { "is closed while another process holds the file" };
        Err(KindError::Unsupported {
            what: format!(
                "the epoll instance {} of process {}, where the registered descriptor {} {why},",
                self.epoll, self.pid, self.target.fd
            ),
            remedy: "let the program remove descriptors from the interest list before it closes them".into(),
        })
    }

    /// Whether descriptor `fd` of the process is the registered one.
    fn is_at(&self, fd: i32) -> Result<bool, KindError> {
        let Ok(found) = std::fs::metadata(format!("/proc/{}/fd/{fd}", self.pid)) else { return Ok(false) };
        if (found.ino(), found.dev()) != (self.target.inode, self.target.device.to_dev_t()) {
            return Ok(false);
        }
        // Many files can share an inode: anonymous ones all do. Only the kernel can tell them apart.
        match descriptor::is_epoll_target(self.pid, fd, self.epoll, self.target.fd, self.nth) {
            Ok(is_same) => Ok(is_same),
            Err(Errno::ENOSYS | Errno::EOPNOTSUPP | Errno::EINVAL) => Ok(fd == self.target.fd),
            Err(errno) => Err(KindError::host("compare a descriptor with an entry of an epoll instance", errno)),
        }
    }
}

/// The saved process that we are in, if it is the one that registers: the one named in the state, or one that shares its descriptors; and
/// only through the lowest of several numbers for the same instance.
fn registrar<'a>(state: &EpollV1, fd: i32, cx: &Bind<'a>) -> Option<&'a Process> {
    let processes = &cx.snapshot.processes;
    let named = processes.iter().find(|process| process.pid == state.pid)?;
    let here = processes.iter().find(|process| (cx.id)(process.pid) == cx.pid)?;
    if here.table != named.table {
        return None;
    }
    let own = description_at(cx, here, fd)?;
    let descriptors = &cx.snapshot.tables[here.table? as usize].descriptors;
    let lowest = descriptors.iter().find(|descriptor| descriptor.description == own)?.fd;
    (lowest == fd).then_some(here)
}

/// The description behind a saved descriptor of a process.
fn description_at(cx: &Bind<'_>, process: &Process, fd: i32) -> Option<DescriptionId> {
    let descriptors = &cx.snapshot.tables.get(process.table? as usize)?.descriptors;
    let index = descriptors.binary_search_by_key(&fd, |descriptor| descriptor.fd).ok()?;
    Some(descriptors[index].description)
}

/// Whether a descriptor may have come back as something of the restarter's: a terminal, or a pipe from outside. It can then be a file that
/// epoll does not take.
fn is_inherited(cx: &Bind<'_>, process: &Process, fd: i32) -> bool {
    let kind = || {
        let description = cx.snapshot.descriptions.get(description_at(cx, process, fd)? as usize)?;
        let object = cx.snapshot.objects.get(description.object as usize)?;
        Some(object.record.kind.as_str())
    };
    matches!(kind(), Some("tty" | "pipe"))
}

fn register(target: &TargetV1, epoll: i32, may_fail: bool, batch: &mut Batch) {
    // struct epoll_event is packed on x86-64.
    let event = batch.bytes(&[&target.events.to_le_bytes()[..], &target.data.to_le_bytes()].concat());
    let is_borrowed = target.via != target.fd;
    if is_borrowed {
        batch.call("lend a descriptor its old number", libc::SYS_dup3, [target.via.into(), target.fd.into(), libc::O_CLOEXEC.into()]);
    }
    let arguments = [epoll.into(), libc::EPOLL_CTL_ADD.into(), target.fd.into(), event.into()];
    if may_fail {
        batch.attempt(libc::SYS_epoll_ctl, arguments);
    } else {
        batch.call("register a descriptor with an epoll instance", libc::SYS_epoll_ctl, arguments);
    }
    if is_borrowed {
        batch.call("close a lent number", libc::SYS_close, [target.fd.into()]);
    }
}

#[cfg(test)]
mod test {
    use std::os::fd::{AsFd, AsRawFd, OwnedFd};

    use super::super::test::{Round, probe_of};
    use super::*;

    fn add(epoll: &OwnedFd, fd: &OwnedFd, data: u64) {
        descriptor::epoll_add(epoll.as_fd(), fd.as_fd(), libc::EPOLLIN.cast_unsigned(), data).unwrap();
    }

    #[test]
    fn targets_are_known_by_number_and_after_a_close_by_their_duplicate() {
        let epoll = descriptor::epoll().unwrap();
        let (plain, lasting) = (descriptor::eventfd(false).unwrap(), descriptor::eventfd(false).unwrap());
        // High, so that no other test takes the number.
        let closed = descriptor::duplicate_from(lasting.as_fd(), 900).unwrap();
        let closed_number = closed.as_raw_fd();
        add(&epoll, &plain, 0x1111_2222_3333_4444);
        add(&epoll, &closed, 2);
        drop(closed);
        let state = Round::of(&Epoll, &[&epoll]).state;
        // The kernel adds errors and hang-ups to every mask.
        let events = (libc::EPOLLIN | libc::EPOLLERR | libc::EPOLLHUP).cast_unsigned();
        let target = |fd: i32, via: i32, data| TargetV1 { fd, via, events, data };
        let plain = plain.as_raw_fd();
        let mut wanted = vec![target(plain, plain, 0x1111_2222_3333_4444), target(closed_number, lasting.as_raw_fd(), 2)];
        wanted.sort_by_key(|target| target.data);
        let mut targets = state.targets;
        targets.sort_by_key(|target| target.data);
        assert_eq!(targets, wanted);
    }

    #[test]
    fn a_number_that_stands_for_another_file_is_refused() {
        let epoll = descriptor::epoll().unwrap();
        let registered = descriptor::eventfd(false).unwrap();
        let _kept_alive = registered.try_clone().unwrap();
        add(&epoll, &registered, 1);
        let other = descriptor::eventfd(false).unwrap();
        let mut number = registered;
        nix::unistd::dup2(&other, &mut number).unwrap();
        let error = probe_of(&epoll, |probe| Epoll.capture(&[probe], &mut Capture::default())).unwrap_err();
        assert!(error.to_string().contains("stands for another file now"), "{error}");
    }

    #[test]
    fn only_the_process_that_holds_the_files_registers() {
        use crate::image::{Descriptor, Record, State, Table};
        let process = |pid, table| Process {
            pid,
            ppid: 1,
            pgid: pid,
            sid: pid,
            foreground: false,
            exit_signal: 17,
            state: State::Running,
            name: String::new(),
            command: String::new(),
            uid: 0,
            memory: None,
            table: Some(table),
            records: vec![],
            threads: vec![],
            shares_fs_with: None,
            shares_handlers_with: None,
        };
        let state = EpollV1 { pid: 100, targets: vec![TargetV1 { fd: 5, via: 6, events: 1, data: 2 }] };
        let mut snapshot = super::super::test::snapshot_of(Record::encode(Epoll::TAG, &state).unwrap());
        snapshot.processes = vec![process(100, 0), process(101, 1), process(102, 0)];
        let row = |fd| Descriptor { fd, cloexec: false, description: u32::from(fd == 6) };
        snapshot.tables = vec![Table { descriptors: vec![row(3), row(4), row(6)] }, Table { descriptors: vec![row(3)] }];
        let calls = |pid, fd| {
            let mut cx = Bind {
                snapshot: &snapshot,
                pid,
                tid: pid,
                id: &|id| id + 1000,
                path: &|p| p.to_owned(),
                directories: crate::resource::Directories::default(),
                same_ids: false,
                keeps_surroundings: false,
                warnings: vec![],
            };
            let mut batch = Batch::new();
            Epoll.bind(&state, fd, &mut cx, &mut batch).unwrap();
            batch.len()
        };
        assert_eq!(calls(1100, 3), 3, "lend the number, register, close");
        assert_eq!(calls(1100, 4), 0, "once is enough");
        assert_eq!(calls(1101, 3), 0);
        assert_eq!(calls(1102, 3), 3, "it shares the descriptors of the first");
    }
}
