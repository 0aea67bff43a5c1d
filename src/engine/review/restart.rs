//! The questions of a restart, and what their answers change in the description before it is planned.
//!
//! Works on the snapshot as plain data: an action in a record, an offset, a descriptor that is left out, a path. The kinds and the phases
//! behind know no policy. Relies on what stat(2) says about the files on this machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::flag_words;
use crate::engine::note::Notes;
use crate::engine::origin;
use crate::error::{At, Failure, Stage, Subject};
use crate::image::{Backing, FileAction, FileChoice, Object, ObjectAction, ObjectChoice, ObjectId, Record, RecordError, Snapshot, Tag};
use crate::policy::event::{Changed, DescriptorRef, Differs, FileEvent, Member, ObjectEvent, RestartEvent, Side};
use crate::policy::relocate::Relocations;
use crate::policy::{Event, Name, Stack, Verdict};
use crate::resource::file::regular::{Keep, Regular, RegularV1};
use crate::resource::file::stand_in;
use crate::resource::memory::shared;
use crate::resource::{FileKind, KindError};

const REGULAR: Tag = <Regular as FileKind>::TAG;

/// The event before a restart, about a context file at `path`.
pub fn restart_event(snapshot: &Snapshot, path: Option<&Path>) -> RestartEvent {
    let saved = &snapshot.origin;
    RestartEvent {
        path: path.map(|path| path.display().to_string()),
        program: saved.program.clone(),
        host: saved.host.clone(),
        kernel: saved.kernel.clone(),
        time: i64::try_from(saved.realtime_ns / 1_000_000_000).unwrap_or(0),
        scope: snapshot.scope.word().into(),
        ids: snapshot.ids.clone(),
        processes: snapshot.processes.iter().map(|process| Member { pid: process.pid, name: process.name.clone() }).collect(),
        threads: snapshot.processes.iter().map(|process| process.threads.len()).sum(),
        annotations: snapshot.annotations.iter().cloned().collect::<BTreeMap<_, _>>(),
        differs: differs(snapshot),
    }
}

fn differs(snapshot: &Snapshot) -> Differs {
    let (here, saved) = (origin::here(), &snapshot.origin);
    let (mut libraries, mut files) = (Vec::new(), Vec::new());
    for (id, object) in (0..).zip(&snapshot.objects) {
        let Ok(Some(state)) = regular(object) else { continue };
        if state.keep == Keep::Reference && state.difference(&state.path).is_some() {
            let list = if is_program(snapshot, id) { &mut libraries } else { &mut files };
            list.push(state.path.display().to_string());
        }
    }
    let is_taken = |pid: &i32| Path::new(&format!("/proc/{pid}")).exists();
    Differs {
        host: here.host != saved.host,
        kernel: here.kernel != saved.kernel,
        processor: saved.xcr0 & !here.xcr0 != 0,
        boot: here.boot_id != saved.boot_id,
        libraries,
        files,
        pids: snapshot.processes.iter().map(|process| process.pid).filter(is_taken).collect(),
    }
}

/// Whether a file is a program or a library: a process runs it, or maps it to execute.
fn is_program(snapshot: &Snapshot, id: ObjectId) -> bool {
    snapshot.memories.iter().any(|memory| {
        let executes = |backing: &Backing, prot: i32| {
            matches!(backing, Backing::Object { object, .. } if *object == id) && prot & libc::PROT_EXEC != 0
        };
        memory.exe == Some(id) || memory.areas.iter().any(|area| executes(&area.backing, area.prot))
    })
}

/// Asks about every file and every other object, and changes the description accordingly.
pub fn review(snapshot: &mut Arc<Snapshot>, relocations: &mut Relocations, policies: &mut Stack, notes: &mut Notes) -> Result<(), Failure> {
    for id in 0..snapshot.objects.len() {
        let object = &snapshot.objects[id];
        let id = ObjectId::try_from(id).unwrap_or(ObjectId::MAX);
        let about = Subject::path(&object.path);
        match object.record.kind.as_str() {
            "regular" => review_file(snapshot, id, relocations, policies, notes).map_err(|failure| failure.about(about))?,
            "directory" => {}
            kind if kind == shared::TAG.kind => {}
            _ if policies.hears(Name::ObjectDisposition) => {
                review_object(snapshot, id, policies).map_err(|failure| failure.about(about))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn regular(object: &Object) -> Result<Option<RegularV1>, RecordError> {
    if object.record.kind == REGULAR.kind { object.record.decode(REGULAR).map(Some) } else { Ok(None) }
}

fn review_file(
    snapshot: &mut Arc<Snapshot>,
    id: ObjectId,
    relocations: &mut Relocations,
    policies: &mut Stack,
    notes: &mut Notes,
) -> Result<(), Failure> {
    let Some(state) = regular(&snapshot.objects[id as usize]).at(Stage::Review)? else { return Ok(()) };
    let path = relocations.apply(&state.path);
    let asked = policies.hears(Name::FileDisposition) || state.action != FileAction::Merge;
    if !asked {
        policies.stays(path.display().to_string(), state.action.word(), who_decided(&state));
        return Ok(());
    }
    let choice = ask_file(snapshot, id, &state, &path, policies)?;
    let chosen = choice.path.as_deref().unwrap_or(&path);
    let decided = decide(&state, choice.action, chosen, notes).at(Stage::Review)?;
    if let Some(new) = choice.path.clone() {
        relocations.exactly(state.path.clone(), new);
    }
    let offset = match decided.action {
        FileAction::Ignore => Some(0),
        FileAction::Append => Some(std::fs::metadata(chosen).map_or(0, |found| found.len())),
        _ => None,
    };
    if offset.is_none() && decided == state {
        return Ok(());
    }
    let snapshot = Arc::make_mut(snapshot);
    snapshot.objects[id as usize].record = Record::encode(REGULAR, &decided).at(Stage::Review)?;
    for description in snapshot.descriptions.iter_mut().filter(|description| description.object == id) {
        description.offset = offset.unwrap_or(description.offset);
    }
    Ok(())
}

/// Who has decided about a file that nobody is asked about now.
fn who_decided(state: &RegularV1) -> &'static str {
    if state.action == FileAction::Merge { "default" } else { "the checkpoint" }
}

fn ask_file(snapshot: &Snapshot, id: ObjectId, state: &RegularV1, path: &Path, policies: &mut Stack) -> Result<FileChoice, Failure> {
    let kept = FileChoice { action: state.action, path: None };
    let opinion = if policies.hears(Name::FileDisposition) {
        policies.ask(&Event::FileDisposition(file_event(snapshot, id, state, path))).at(Stage::Review)?
    } else {
        None
    };
    let Some(opinion) = opinion else {
        policies.stays(path.display().to_string(), state.action.word(), who_decided(state));
        return Ok(kept);
    };
    policies.decided(path.display().to_string(), &opinion);
    match opinion.verdict {
        Verdict::File(FileChoice { action: FileAction::Fail, .. }) => {
            let what = format!("{}, as {} decided,", path.display(), opinion.by);
            Err(KindError::Unsupported { what, remedy: "change the decision".into() }).at(Stage::Review)
        }
        Verdict::File(choice) => Ok(choice),
        _ => Ok(kept),
    }
}

/// What an action means for a file with this state; refuses what the context file does not have.
fn decide(state: &RegularV1, action: FileAction, path: &Path, notes: &mut Notes) -> Result<RegularV1, KindError> {
    let mut decided = RegularV1 { action, ..state.clone() };
    match (action, state.keep) {
        (FileAction::Replace | FileAction::Substitute, Keep::Reference) => {
            return Err(KindError::Denied {
                what: format!("{} cannot be {}d: the context file does not have its contents", path.display(), action.word()),
                remedy: format!("decide \"{}\" at the checkpoint, too", action.word()),
            });
        }
        (FileAction::Merge | FileAction::Ignore | FileAction::Append, Keep::Saved) => decided.keep = Keep::Reference,
        (FileAction::Replace, Keep::Saved | Keep::Deleted) => match state.difference(path) {
            None if state.keep == Keep::Saved => {
                decided.keep = Keep::Reference;
                decided.action = FileAction::Merge;
            }
            None => {}
            Some(difference) if difference.is_missing => {}
            Some(_) => {
                let text = format!("{} has changed since the checkpoint: the saved contents take its place", path.display());
                notes.warn(Subject::default(), text);
            }
        },
        _ => {}
    }
    Ok(decided)
}

fn file_event(snapshot: &Snapshot, id: ObjectId, state: &RegularV1, path: &Path) -> FileEvent {
    let (pid, descriptors) = holders(snapshot, id);
    let first = snapshot.descriptions.iter().find(|description| description.object == id);
    let flags = first.map_or(libc::O_RDONLY, |description| description.flags);
    let is_it = |backing: &Backing| matches!(backing, Backing::Object { object, .. } if *object == id);
    let mut areas = snapshot.memories.iter().flat_map(|memory| &memory.areas).filter(|area| is_it(&area.backing));
    let executable = snapshot.memories.iter().any(|memory| memory.exe == Some(id));
    let opens_to_write = |flags: i32| flags & libc::O_PATH == 0 && flags & libc::O_ACCMODE != libc::O_RDONLY;
    let is_opened_to_write = snapshot.descriptions.iter().any(|description| description.object == id && opens_to_write(description.flags));
    FileEvent {
        side: Side::Restart,
        pid,
        descriptors,
        path: path.display().to_string(),
        kind: "regular".into(),
        flags: flag_words(flags),
        writable: is_opened_to_write || areas.clone().any(|area| area.shared && area.has("mw")),
        offset: first.map_or(0, |description| description.offset),
        size: state.size,
        inode: state.ino,
        mtime: state.mtime.0,
        mapped: executable || areas.clone().next().is_some(),
        shared: areas.any(|area| area.shared),
        executable,
        deleted: state.keep == Keep::Deleted,
        saved: state.keep != Keep::Reference,
        decided: Some(state.action.word().into()),
        changed: state.difference(path).map(|difference| Changed {
            missing: difference.is_missing,
            size: difference.size,
            mtime: difference.mtime,
            content: difference.content,
        }),
    }
}

/// The first process that has an object, and every descriptor that leads to it.
fn holders(snapshot: &Snapshot, id: ObjectId) -> (i32, Vec<DescriptorRef>) {
    let mut descriptors = Vec::new();
    for process in &snapshot.processes {
        let Some(table) = process.table.and_then(|table| snapshot.tables.get(table as usize)) else { continue };
        let leads_there = |description: u32| snapshot.descriptions[description as usize].object == id;
        let own = table.descriptors.iter().filter(|descriptor| leads_there(descriptor.description));
        descriptors.extend(own.map(|descriptor| DescriptorRef { pid: process.pid, fd: descriptor.fd }));
    }
    let maps = |index: u32| {
        let memory = &snapshot.memories[index as usize];
        memory.exe == Some(id) || memory.areas.iter().any(|area| matches!(area.backing, Backing::Object { object, .. } if object == id))
    };
    let mapper = || snapshot.processes.iter().find(|process| process.memory.is_some_and(maps)).map(|process| process.pid);
    let pid = descriptors.first().map(|first| first.pid).or_else(mapper);
    (pid.unwrap_or(0), descriptors)
}

fn review_object(snapshot: &mut Arc<Snapshot>, id: ObjectId, policies: &mut Stack) -> Result<(), Failure> {
    let object = &snapshot.objects[id as usize];
    let name = object.path.display().to_string();
    let (pid, descriptors) = holders(snapshot, id);
    let (kind, restorable, side) = (object.record.kind.clone(), true, Side::Restart);
    let event = ObjectEvent { side, pid, descriptors, kind: kind.clone(), path: name.clone(), restorable, ..ObjectEvent::default() };
    let Some(opinion) = policies.ask(&Event::ObjectDisposition(event)).at(Stage::Review)? else { return Ok(()) };
    policies.decided(name.clone(), &opinion);
    let Verdict::Object(choice) = opinion.verdict else { return Ok(()) };
    let is_mapped = snapshot
        .memories
        .iter()
        .flat_map(|memory| &memory.areas)
        .any(|area| matches!(area.backing, Backing::Object { object, .. } if object == id));
    let refuse = |what: String| Err(KindError::Unsupported { what, remedy: "change the decision".into() }).at(Stage::Review);
    match choice {
        ObjectChoice { action: ObjectAction::Close, .. } => close(Arc::make_mut(snapshot), id),
        ObjectChoice { path: Some(path), .. } if !is_mapped => {
            Arc::make_mut(snapshot).objects[id as usize].record = stand_in::record(path).at(Stage::Review)?;
        }
        ObjectChoice { path: Some(_), .. } => return refuse(format!("{name}, which the job maps and {} wants replaced,", opinion.by)),
        ObjectChoice { action: ObjectAction::Fail, .. } => return refuse(format!("{name}, as {} decided,", opinion.by)),
        ObjectChoice { action, .. } => return refuse(format!("\"{}\" for {kind} {name}, which {} decided,", action.word(), opinion.by)),
    }
    Ok(())
}

/// Leaves out every descriptor that leads to an object.
fn close(snapshot: &mut Snapshot, id: ObjectId) {
    let descriptions = &snapshot.descriptions;
    for table in &mut snapshot.tables {
        table.descriptors.retain(|descriptor| descriptions[descriptor.description as usize].object != id);
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use std::path::PathBuf;

    fn state(keep: Keep, path: &Path) -> RegularV1 {
        let owner = (0, 0);
        let path = path.to_owned();
        RegularV1 { path, keep, dev: 1, ino: 2, size: 3, mtime: (4, 0), mode: 0o100_600, owner, evidence: None, action: FileAction::Merge }
    }

    #[test]
    fn contents_that_were_not_saved_cannot_be_put_back() {
        let mut notes = Notes::default();
        let reference = state(Keep::Reference, Path::new("/data"));
        let error = decide(&reference, FileAction::Replace, Path::new("/data"), &mut notes).unwrap_err();
        assert_eq!(error.to_string(), "/data cannot be replaced: the context file does not have its contents");
        let appended = decide(&reference, FileAction::Append, Path::new("/data"), &mut notes).unwrap();
        assert_eq!((appended.keep, appended.action), (Keep::Reference, FileAction::Append));
    }

    #[test]
    fn saved_contents_may_be_left_unused() {
        let mut notes = Notes::default();
        let directory = tempfile::tempdir().unwrap();
        let path: PathBuf = directory.path().join("data");
        let saved = state(Keep::Saved, &path);
        assert_eq!(decide(&saved, FileAction::Merge, &path, &mut notes).unwrap().keep, Keep::Reference);
        assert_eq!(decide(&saved, FileAction::Substitute, &path, &mut notes).unwrap().keep, Keep::Saved);
        assert_eq!(decide(&saved, FileAction::Replace, &path, &mut notes).unwrap().keep, Keep::Saved, "it is missing");
        std::fs::write(&path, "newer").unwrap();
        decide(&saved, FileAction::Replace, &path, &mut notes).unwrap();
        assert!(notes.take()[0].text.contains("has changed since the checkpoint"));
    }
}
