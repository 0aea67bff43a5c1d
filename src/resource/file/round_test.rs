//! A whole round trip of a kind without any other process: descriptors of this process are captured, built, filled, opened, settled.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::image::{Description, Object, Record, Snapshot};
use crate::proc::{Fdinfo, FileStat, ProcDir};
use crate::resource::actor::Actor;
use crate::resource::outside::Outside;
use crate::resource::{Build, Built, Capture, Content, FileKind, KindError, Opened, Plan, uses};
use crate::sys::process;

/// A descriptor of ours as the engine would see it in a job.
struct Seen {
    fd: i32,
    link: PathBuf,
    stat: FileStat,
    info: Fdinfo,
    pidfd: OwnedFd,
}

impl Seen {
    fn new(fd: &impl AsFd) -> Seen {
        let dir = ProcDir::open(own_pid()).unwrap();
        let fd = fd.as_fd().as_raw_fd();
        let link = PathBuf::from(dir.link(&format!("fd/{fd}")).unwrap());
        let stat = dir.stat_link(&format!("fd/{fd}")).unwrap();
        Seen { fd, link, stat, info: dir.fdinfo(fd).unwrap(), pidfd: process::pidfd_open(own_pid()).unwrap() }
    }

    fn probe(&self) -> Probe<'_> {
        Probe::new(own_pid(), self.fd, &self.link, &self.stat, &self.info, &self.pidfd)
    }
}

fn own_pid() -> i32 {
    std::process::id().cast_signed()
}

/// Shows a probe of a descriptor of ours to a function.
pub(super) fn probe_of<T>(fd: &impl AsFd, look: impl FnOnce(&Probe<'_>) -> T) -> T {
    look(&Seen::new(fd).probe())
}

/// An object that was captured and, after [`Round::build`], made again.
pub(super) struct Round<'k, K: FileKind> {
    kind: &'k K,
    pub(super) state: K::State,
    pub(super) snapshot: Snapshot,
    contents: Option<(Content, u64)>,
    pub(super) built: Built,
    pub(super) warnings: Vec<String>,
    /// Opened in [`Round::build`], before the object is settled.
    descriptions: std::cell::RefCell<Vec<Option<Opened>>>,
}

impl<'k, K: FileKind> Round<'k, K> {
    /// Captures the object that all these descriptors reach.
    pub(super) fn capture(kind: &'k K, fds: &[&dyn AsFd]) -> Round<'k, K> {
        let seen: Vec<Seen> = fds.iter().map(|fd| Seen::new(&fd.as_fd())).collect();
        let probes: Vec<Probe<'_>> = seen.iter().map(Seen::probe).collect();
        let probes: Vec<&Probe<'_>> = probes.iter().collect();
        assert!(probes.iter().all(|probe| kind.claims(probe)), "the kind does not claim {:?}", seen[0].link);
        assert!(probes.iter().all(|probe| kind.identity(probe) == kind.identity(probes[0])));
        let mut cx = Capture::default();
        let state = kind.capture(&probes, &mut cx).unwrap();
        // The state goes through its record, as in a context file.
        let record = Record::encode(K::TAG, &state).unwrap();
        let state = record.decode(K::TAG).unwrap();
        let mut snapshot = snapshot_of(record);
        snapshot.descriptions = seen.iter().map(description).collect();
        snapshot.descriptions.iter_mut().zip(&cx.parts).for_each(|(description, part)| description.part = *part);
        let descriptions = std::cell::RefCell::default();
        Round { kind, state, snapshot, contents: cx.contents, built: Built::default(), warnings: cx.warnings, descriptions }
    }

    /// Makes it again, and opens all its descriptions.
    pub(super) fn build(mut self) -> Round<'k, K> {
        let object = self.snapshot.objects[0].clone();
        let actor = Arc::new(Actor::ours());
        let mut cx = Build {
            snapshot: &self.snapshot,
            path: &|path| path.to_owned(),
            object: &object,
            id: &|id| id,
            made: &[],
            same_ids: true,
            opened: &|_| None,
            uses: &uses(&self.snapshot),
            actor: &actor,
            outside: &Outside::default(),
            writer: None,
            warnings: vec![],
        };
        let built = self.kind.build(&self.state, (0, &object), &mut cx).unwrap();
        for description in &self.snapshot.descriptions {
            let opened = self.kind.open(&self.state, &built, description, &mut cx).unwrap();
            if let Opened::New(fd) = &opened {
                let at_end = built.at_end && description.flags & libc::O_ACCMODE != 0;
                open::dress(fd.as_fd(), description, self.kind.seeks(), at_end).unwrap();
            }
            self.descriptions.borrow_mut().push(Some(opened));
        }
        if let Some((Content::File(from), bytes)) = &self.contents {
            let mut data = vec![0; usize::try_from(*bytes).unwrap()];
            std::fs::File::from(from.try_clone().unwrap()).read_exact_at(&mut data, 0).unwrap();
            let to = built.descriptors[built.contents.unwrap()].try_clone().unwrap();
            std::fs::File::from(to).write_all_at(&data, 0).unwrap();
        }
        self.kind.settle(&self.state, &built, (0, &object), &mut cx).unwrap();
        let descriptions = self.descriptions.borrow();
        let opened = descriptions.iter().zip(&self.snapshot.descriptions);
        cx.writer = opened.filter(|(_, description)| description.flags & libc::O_ACCMODE != 0).find_map(|(opened, _)| match opened {
            Some(Opened::New(fd)) => Some(fd.as_fd()),
            _ => None,
        });
        if let Some(mut change) = self.kind.commit(&self.state, &built, (0, &object), &mut cx).unwrap() {
            change.make().unwrap();
            change.keep().unwrap();
        }
        let mut said = cx.warnings;
        drop(descriptions);
        self.warnings.append(&mut said);
        self.built = built;
        self
    }

    /// Both.
    pub(super) fn of(kind: &'k K, fds: &[&dyn AsFd]) -> Round<'k, K> {
        Round::capture(kind, fds).build()
    }

    /// How description number `index` came back; once.
    pub(super) fn opened(&self, index: usize) -> Opened {
        self.descriptions.borrow_mut()[index].take().expect("taken once")
    }

    /// Its descriptor, which must be a new one.
    pub(super) fn open(&self, index: usize) -> OwnedFd {
        match self.opened(index) {
            Opened::New(fd) => fd,
            other => panic!("{other:?}"),
        }
    }
}

fn description(seen: &Seen) -> Description {
    let (flags, offset) = (seen.info.status_flags(), seen.info.pos.cast_unsigned());
    Description { flags, offset, ..Description::default() }
}

/// A job of nothing but one object.
pub(super) fn snapshot_of(record: Record) -> Snapshot {
    Snapshot { objects: vec![Object { record, ..Object::default() }], ..Snapshot::default() }
}

/// What a kind complains and warns about while the restart of an object of this state is planned.
pub(super) fn with_plan<K: FileKind>(kind: &K, state: &K::State) -> (Option<String>, Vec<String>) {
    plan(kind, state, &snapshot_of(Record::encode(K::TAG, state).unwrap()))
}

/// The same for an object number 0 of a whole job.
pub(super) fn plan<K: FileKind>(kind: &K, state: &K::State, snapshot: &Snapshot) -> (Option<String>, Vec<String>) {
    let actor = Arc::new(Actor::ours());
    let mut cx = Plan {
        snapshot,
        path: &|path: &Path| path.to_owned(),
        uses: &uses(snapshot),
        actor: &actor,
        outside: &Outside::default(),
        is_proof: false,
        warnings: vec![],
    };
    let result: Result<(), KindError> = kind.plan(state, (0, &snapshot.objects[0]), &mut cx);
    (result.err().map(|error| error.to_string()), cx.warnings)
}

#[test]
fn objects_have_plain_words() {
    let (one, _two) = std::os::unix::net::UnixStream::pair().unwrap();
    assert_eq!(probe_of(&one, describe), "a Unix socket");
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert_eq!(probe_of(&tcp, describe), "a TCP socket");
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_eq!(probe_of(&udp, describe), "a UDP socket");
    let pidfd = process::pidfd_open(own_pid()).unwrap();
    assert_eq!(probe_of(&pidfd, describe), "a pidfd");
    for (class, word) in
        [("inotify", "an inotify instance"), ("[io_uring]", "an io_uring instance"), ("[new]", "a kernel object of class new")]
    {
        assert_eq!(anonymous(class), word);
    }
    let namespace = std::fs::File::open("/proc/self/ns/net").unwrap();
    assert_eq!(probe_of(&namespace, describe), "a net namespace");
}
