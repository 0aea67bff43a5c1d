//! System V shared memory: shmget(2), shmat(2).
//!
//! **Kept:** contents, id, key, owner, creator, permissions, size, huge pages, locking, the mark for removal; every attachment where it was, also
//! parts of one and those that only read; segments that a process of the job made or used last and nobody has attached.
//! **Lost:** times, and the process that made a segment; who looks at an unattached segment sees that the checkpoint attached it last; the id,
//! where a segment that is gone is made again without CAP_CHECKPOINT_RESTORE.
//! **Refused:** at a restart, a segment of the job that somebody uses, whose id or key somebody else has, or one that was used by others, too, and
//! is gone. Such a one is not saved: the job attaches it as it is then.

use std::fs::File;

use serde::{Deserialize, Serialize};

use super::{Keep, Made, NameV1};
use crate::image::{Description, Object, ObjectId, Snapshot, Tag};
use crate::proc::sysvipc::SysvObject;
use crate::proc::{MapEntry, MapName};
use crate::resource::{
    Build, Built, Capture, Facts, FileKind, Identity, KindError, Named, Numbered, Opened, Piece, Plan, Probe, Room, When, memory,
};
use crate::sys::Errno;
use crate::sys::ipc::{self, Sort, View};
use crate::tracee::Batch;

/// System V shared memory.
pub struct SysvMemory;

/// A segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SysvMemoryV1 {
    /// Id, key, rights.
    pub name: NameV1,
    /// Whether it is the job's own.
    pub keep: Keep,
    /// Size in bytes.
    pub bytes: u64,
    /// 4096, or the size of its huge pages.
    pub page_bytes: u64,
    /// It goes when nobody has it attached any more (IPC_RMID).
    pub is_doomed: bool,
    /// Its pages are locked (SHM_LOCK).
    pub is_locked: bool,
    /// The job has it attached for writing.
    pub is_written: bool,
    /// The job has it attached for reading alone (SHM_RDONLY).
    pub is_read: bool,
}

const SHM_DEST: u32 = 0o1000;
const SHM_LOCKED: u32 = 0o2000;

impl FileKind for SysvMemory {
    type State = SysvMemoryV1;
    const TAG: Tag = Tag::new("sysv_memory", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        let named = |name: &MapName| matches!(name, MapName::File { path, .. } if path.to_string_lossy().starts_with("/SYSV"));
        probe.area().is_some_and(|area| area.perms.shared && named(&area.name))
    }

    /// The inode of an attached segment has its id for a number.
    fn identity(&self, probe: &Probe<'_>) -> Identity {
        Identity::Number(probe.number())
    }

    fn named(&self, facts: &Facts) -> Vec<Named> {
        let user = |object: &SysvObject| {
            let pids = ["cpid", "lpid"].into_iter().filter_map(|column| object.column(column));
            pids.into_iter().find(|pid| facts.is_member(*pid))
        };
        let used = super::all(Sort::Memory).into_iter().filter_map(|(id, object)| Some((id, user(&object)?)));
        used.map(|(id, pid)| Named { number: id, pid, name: super::call(Sort::Memory, id).into() }).collect()
    }

    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<SysvMemoryV1, KindError> {
        let id = probes[0].number();
        let what = super::call(Sort::Memory, id);
        let stat = ipc::memory(id).map_err(|errno| KindError::host(format!("look at {what}"), errno))?;
        let areas: Vec<_> = probes.iter().filter_map(|probe| Some((probe.pid, probe.area()?))).collect();
        let writes = |entry: &MapEntry| entry.flags.has("mw");
        let state = SysvMemoryV1 {
            name: NameV1::of(id, &stat.perm),
            keep: if areas.len() as u64 == stat.attached { Keep::Own } else { Keep::Reference },
            bytes: stat.bytes,
            page_bytes: areas.iter().map(|(_, area)| area.page_bytes).max().unwrap_or(memory::PAGE),
            is_doomed: stat.perm.mode & SHM_DEST != 0,
            is_locked: stat.perm.mode & SHM_LOCKED != 0,
            is_written: areas.iter().any(|(_, area)| writes(area)),
            is_read: areas.iter().any(|(_, area)| !writes(area)),
        };
        cx.name = Some(what.clone().into());
        if state.keep == Keep::Reference {
            let text = format!("{what} is attached by others, too, and not saved: the restart needs it, and takes it as it is then");
            cx.warnings.push(text);
            return Ok(state);
        }
        let pieces = areas.iter().map(|(pid, area)| Piece { pid: *pid, address: area.start, offset: area.offset, bytes: area.bytes() });
        let pieces = memory::without_overlap(pieces.collect());
        let file = probes[0].copy().ok().filter(|_| probes[0].is_mapping()).and_then(|copy| copy.try_clone_to_owned().ok()).map(File::from);
        match file {
            Some(file) => cx.keep_contents(file.into(), state.bytes),
            None if pieces.iter().map(|piece| piece.bytes).sum::<u64>() >= state.bytes => cx.keep_pieces(pieces, state.bytes),
            None => {
                let view = View::attach(id).map_err(|errno| KindError::host(format!("attach {what} to read it"), errno))?;
                cx.keep_view(view, state.bytes);
            }
        }
        Ok(state)
    }

    fn plan(&self, state: &SysvMemoryV1, object: (ObjectId, &Object), cx: &mut Plan<'_>) -> Result<(), KindError> {
        let SysvMemoryV1 { bytes, page_bytes, .. } = *state;
        memory::plausible((bytes, page_bytes), object, cx.snapshot)?;
        let is_attached = state.is_written || state.is_read;
        super::plan((Sort::Memory, &state.name, state.keep), !is_attached, |object| state.busy(object), cx)
    }

    fn numbered(&self, state: &SysvMemoryV1, snapshot: &Snapshot) -> Numbered {
        super::numbered((Sort::Memory, &state.name, state.keep), |object| state.busy(object), snapshot)
    }

    fn when(&self, state: &SysvMemoryV1) -> When {
        let whole = state.bytes.next_multiple_of(state.page_bytes.max(memory::PAGE));
        let both = state.is_read && state.needs_writable_view();
        let bytes = if both { 2 * whole } else { whole };
        let read_only_at = if state.is_read { Some(if both { whole } else { 0 }) } else { None };
        When::FirstStub(Room { bytes, align: state.page_bytes, read_only_at })
    }

    fn build(&self, state: &SysvMemoryV1, _: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<Built, KindError> {
        let make = |flags: i32| move |key: i32| ipc::make_memory(key, state.bytes, state.name.mode, flags);
        let huge =
            if state.page_bytes > memory::PAGE { memory::huge(state.page_bytes) & !libc::MAP_HUGETLB | libc::SHM_HUGETLB } else { 0 };
        let what = (Sort::Memory, &state.name, state.keep);
        let obtained = match super::obtain(what, make(huge), &mut cx.warnings) {
            // A segment larger than what may be promised was made without a promise.
            Err(KindError::Host { source: Errno::ENOMEM, .. }) => super::obtain(what, make(huge | libc::SHM_NORESERVE), &mut cx.warnings)?,
            obtained => obtained?,
        };
        let id = obtained.id;
        let built = Built { number: Some(id), made_numbers: obtained.made.into_iter().collect::<Vec<Made>>(), ..Built::default() };
        if state.keep == Keep::Own {
            let perm = state.name.perm();
            let now = ipc::memory(id).map_err(|errno| KindError::host(format!("look at {}", super::call(Sort::Memory, id)), errno))?;
            if NameV1::of(id, &now.perm) != NameV1::of(id, &perm) && ipc::set_memory(id, &perm).is_err() {
                cx.warnings.push(format!("{} has another owner or other permissions than before", super::call(Sort::Memory, id)));
            }
            if state.is_locked && now.perm.mode & SHM_LOCKED == 0 && ipc::lock_memory(id).is_err() {
                cx.warnings.push(format!("{} is not locked in memory any more: we may not lock as much", super::call(Sort::Memory, id)));
            }
        }
        Ok(built)
    }

    fn seed(&self, state: &SysvMemoryV1, built: &Built, address: u64, batch: &mut Batch) {
        let id = built.number.unwrap_or(-1);
        let When::FirstStub(room) = self.when(state) else { return };
        let mut attach = |at: u64, flags: i32| {
            batch.call("attach System V shared memory", libc::SYS_shmat, [id.into(), at.into(), flags.into()]);
        };
        if state.needs_writable_view() {
            attach(address, 0);
        }
        if let Some(offset) = room.read_only_at {
            attach(address + offset, libc::SHM_RDONLY);
        }
        if state.is_doomed && state.keep == Keep::Own {
            batch.call("mark shared memory for removal", libc::SYS_shmctl, [id.into(), libc::IPC_RMID.into(), 0u64.into()]);
        }
    }

    fn open(&self, _: &SysvMemoryV1, _: &Built, _: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        let remedy = "the context file is damaged".into();
        Err(KindError::Unsupported { what: "a descriptor of System V shared memory".into(), remedy })
    }
}

impl SysvMemoryV1 {
    /// Who has a segment of today.
    fn busy(&self, object: &SysvObject) -> Option<String> {
        let users = object.wide("nattch").unwrap_or(0);
        match object.wide("size") {
            Some(size) if u64::try_from(size) != Ok(self.bytes) => Some("somebody with another size".to_owned()),
            _ if users > 0 => Some("somebody".to_owned()),
            _ => None,
        }
    }

    /// Whether it waits where it can be written: for the job, or to be filled.
    fn needs_writable_view(&self) -> bool {
        self.is_written || self.keep == Keep::Own
    }
}
