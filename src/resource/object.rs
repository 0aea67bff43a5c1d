//! An object of a job while it is restarted: its record is decoded once, at the load, and what came out is asked and acted on until the
//! release.
//!
//! Relies on the kinds, which do the work; here is only what hides their types from the engine.

use std::path::{Path, PathBuf};

use super::{Bind, Build, Built, Change, Control, FileKind, KindError, Opened, OwnTerminal, Plan};
use crate::image::{Description, FileAction, Object, ObjectId, Snapshot, Tag};
use crate::tracee::Batch;

/// Where and when an object is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// In the restarter, before the first stub is forked: every process inherits its descriptions.
    Restarter,
    /// In the memory of the first stub: every process inherits it, at an address that the job does not use, and maps its pieces from there.
    FirstStub(Room),
    /// In the restarter, once every process and thread of the job is there: its descriptions are handed to the processes that hold them.
    Births,
}

/// Room in the address space of every process while it is raised, where an object waits to be mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Its size.
    pub bytes: u64,
    /// The address is a multiple of this.
    pub align: u64,
    /// Where in the room a second view of it begins, from which areas are mapped that can never be written.
    pub read_only_at: Option<u64>,
}

/// Whether an object that programs know by a number can have that number here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbered {
    /// It has none.
    No,
    /// It is there, and others use it, too.
    Shared,
    /// It is there, and can be taken over.
    Here,
    /// Only in a namespace of its own for such numbers (IPC), or by whoever may choose them.
    Elsewhere,
}

/// What policies are asked about the objects of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Nothing.
    Nothing,
    /// `file-disposition`: what becomes of its contents.
    File,
    /// `object-disposition`: whether it is saved, closed or replaced.
    Object,
}

/// What policies are told about a file at the restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// Its saved path.
    pub path: PathBuf,
    /// Bytes at the checkpoint.
    pub size: u64,
    /// Inode number at the checkpoint.
    pub inode: u64,
    /// Last change of its contents, seconds since 1970.
    pub mtime_s: i64,
    /// Its contents are in the context file because it has no name.
    pub is_deleted: bool,
    /// Its contents are in the context file.
    pub is_saved: bool,
    /// What was decided at the checkpoint.
    pub action: FileAction,
}

/// How a file differs from what it was at the checkpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Difference {
    /// Nothing is there.
    pub is_missing: bool,
    /// Its size is another.
    pub size: bool,
    /// Its time of last change is another, and nothing proves that its contents are the same.
    pub mtime: bool,
    /// Its contents are proved to be others.
    pub content: bool,
}

/// What has come of a decision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disposed {
    /// Where descriptions of the file begin, if not where they were.
    pub offset: Option<u64>,
    /// Things the user should know; one sentence each.
    pub warnings: Vec<String>,
}

/// An object with the kind that knows it. Everything is as in [`FileKind`].
#[allow(missing_docs, reason = "as in FileKind")]
pub trait LiveObject {
    fn tag(&self) -> Tag;
    fn word(&self) -> &'static str;
    fn question(&self) -> Question;
    fn facts(&self) -> Option<FileFacts>;
    fn difference(&self, path: &Path) -> Option<Difference>;
    fn dispose(&mut self, action: FileAction, path: &Path) -> Result<Disposed, KindError>;
    fn when(&self) -> When;
    fn needs(&self, snapshot: &Snapshot) -> Vec<ObjectId>;
    fn control(&self) -> Option<Control>;
    fn own_terminal(&self) -> Option<OwnTerminal>;
    fn plan(&self, object: (ObjectId, &Object), cx: &mut Plan<'_>) -> Result<(), KindError>;
    fn build(&self, object: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<Built, KindError>;
    fn seed(&self, built: &Built, address: u64, batch: &mut Batch);
    fn acts(&self, built: &Built) -> Vec<(i32, Batch)>;
    fn numbered(&self, snapshot: &Snapshot) -> Numbered;
    fn open(&self, built: &Built, description: &Description, cx: &mut Build<'_>) -> Result<Opened, KindError>;
    fn seeks(&self) -> bool;
    fn settle(&self, object: (ObjectId, &Object), built: &Built, cx: &mut Build<'_>) -> Result<(), KindError>;
    fn refill(&self, object: (ObjectId, &Object), built: &mut Built, cx: &mut Build<'_>) -> Result<(), KindError>;
    fn commit(&self, object: (ObjectId, &Object), built: &Built, cx: &mut Build<'_>) -> Result<Option<Change>, KindError>;
    fn bind(&self, fd: i32, cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError>;
    fn bind_each(&self, fd: i32, cx: &mut Bind<'_>, batch: &mut Batch);
}

/// A kind and the decoded state of one object.
pub(super) struct Live<K: FileKind> {
    pub(super) kind: &'static K,
    pub(super) state: K::State,
}

impl<K: FileKind> LiveObject for Live<K> {
    fn tag(&self) -> Tag {
        K::TAG
    }
    fn word(&self) -> &'static str {
        self.kind.word()
    }
    fn question(&self) -> Question {
        self.kind.question()
    }
    fn facts(&self) -> Option<FileFacts> {
        self.kind.facts(&self.state)
    }
    fn difference(&self, path: &Path) -> Option<Difference> {
        self.kind.difference(&self.state, path)
    }
    fn dispose(&mut self, action: FileAction, path: &Path) -> Result<Disposed, KindError> {
        self.kind.dispose(&mut self.state, action, path)
    }
    fn when(&self) -> When {
        self.kind.when(&self.state)
    }
    fn needs(&self, snapshot: &Snapshot) -> Vec<ObjectId> {
        self.kind.needs(&self.state, snapshot)
    }
    fn control(&self) -> Option<Control> {
        self.kind.control(&self.state)
    }
    fn own_terminal(&self) -> Option<OwnTerminal> {
        self.kind.own_terminal(&self.state)
    }
    fn plan(&self, object: (ObjectId, &Object), cx: &mut Plan<'_>) -> Result<(), KindError> {
        self.kind.plan(&self.state, object, cx)
    }
    fn build(&self, object: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<Built, KindError> {
        self.kind.build(&self.state, object, cx)
    }
    fn seed(&self, built: &Built, address: u64, batch: &mut Batch) {
        self.kind.seed(&self.state, built, address, batch);
    }
    fn acts(&self, built: &Built) -> Vec<(i32, Batch)> {
        self.kind.acts(&self.state, built)
    }
    fn numbered(&self, snapshot: &Snapshot) -> Numbered {
        self.kind.numbered(&self.state, snapshot)
    }
    fn open(&self, built: &Built, description: &Description, cx: &mut Build<'_>) -> Result<Opened, KindError> {
        self.kind.open(&self.state, built, description, cx)
    }
    fn seeks(&self) -> bool {
        self.kind.seeks()
    }
    fn settle(&self, object: (ObjectId, &Object), built: &Built, cx: &mut Build<'_>) -> Result<(), KindError> {
        self.kind.settle(&self.state, built, object, cx)
    }
    fn refill(&self, object: (ObjectId, &Object), built: &mut Built, cx: &mut Build<'_>) -> Result<(), KindError> {
        self.kind.refill(&self.state, built, object, cx)
    }
    fn commit(&self, object: (ObjectId, &Object), built: &Built, cx: &mut Build<'_>) -> Result<Option<Change>, KindError> {
        self.kind.commit(&self.state, built, object, cx)
    }
    fn bind(&self, fd: i32, cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        self.kind.bind(&self.state, fd, cx, batch)
    }
    fn bind_each(&self, fd: i32, cx: &mut Bind<'_>, batch: &mut Batch) {
        self.kind.bind_each(&self.state, fd, cx, batch);
    }
}
