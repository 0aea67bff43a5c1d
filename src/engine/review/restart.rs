//! The questions of a restart, and what their answers change in the description before it is planned.
//!
//! Works on the snapshot as plain data: an action in a record, an offset, a descriptor that is left out, a path. The kinds and the phases
//! behind know no policy. Relies on what stat(2) says about the files on this machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::flag_words;
use crate::engine::note::Notes;
use crate::engine::origin;
use crate::engine::restart::Graph;
use crate::error::{At, Failure, Stage, Subject};
use crate::image::{Backing, FileAction, FileChoice, ObjectAction, ObjectChoice, ObjectId, Snapshot};
use crate::policy::event::{Changed, DescriptorRef, Differs, FileEvent, Member, ObjectEvent, RestartEvent, Side};
use crate::policy::relocate::Relocations;
use crate::policy::verdict::{Directory, RestartChoice};
use crate::policy::{Event, Name, Stack, Verdict};
use crate::resource::file::stand_in;
use crate::resource::task::cwd::{self, Cwd};
use crate::resource::{FileFacts, KindError, Question, TaskKind, file_kind};
use crate::sys::Errno;

/// The event before a restart, about a context file at `path`.
pub fn restart_event(snapshot: &Snapshot, graph: &Graph, path: Option<&Path>) -> RestartEvent {
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
        differs: differs(snapshot, graph),
    }
}

fn differs(snapshot: &Snapshot, graph: &Graph) -> Differs {
    let (here, saved) = (origin::here(), &snapshot.origin);
    let (mut libraries, mut files) = (Vec::new(), Vec::new());
    for (id, _, live) in graph.objects(snapshot) {
        let Some(facts) = live.facts() else { continue };
        if !facts.is_saved && live.difference(&facts.path).is_some() {
            let list = if is_program(snapshot, id) { &mut libraries } else { &mut files };
            list.push(facts.path.display().to_string());
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

/// Where every process finds its working and root directory, if that is where the restarter is.
pub fn directories(snapshot: &mut Arc<Snapshot>, choice: &RestartChoice) -> Result<(), KindError> {
    let root = (choice.root == Some(Directory::Ignore)).then_some(Path::new("/"));
    let cwd = match choice.cwd {
        Some(Directory::Ignore) => Some(std::env::current_dir().map_err(|error| {
            KindError::host("find the working directory of the restarter", Errno::from_raw(error.raw_os_error().unwrap_or(libc::ENOENT)))
        })?),
        Some(Directory::Keep) | None => None,
    };
    if cwd.is_none() && root.is_none() {
        return Ok(());
    }
    let records = Arc::make_mut(snapshot).processes.iter_mut().flat_map(|process| &mut process.records);
    records.filter(|record| record.kind == Cwd::TAG.kind).try_for_each(|record| cwd::instead(record, cwd.as_deref(), root))
}

/// A path that was decided now, without the links in it, as far as it exists: what is opened later follows none.
pub fn resolved(path: &Path) -> PathBuf {
    let above = path.ancestors().find_map(|above| Some((above, std::fs::canonicalize(above).ok()?)));
    let Some((above, real)) = above else { return path.to_owned() };
    match path.strip_prefix(above) {
        Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
        _ => real,
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
pub fn review(
    snapshot: &mut Arc<Snapshot>,
    graph: &mut Graph,
    relocations: &mut Relocations,
    policies: &mut Stack,
    notes: &mut Notes,
) -> Result<(), Failure> {
    for id in 0..snapshot.objects.len() {
        let about = Subject::path(&snapshot.objects[id].path);
        let id = ObjectId::try_from(id).unwrap_or(ObjectId::MAX);
        let reviewed = match graph.live(id).question() {
            Question::Nothing => Ok(()),
            Question::File => review_file((snapshot, graph), id, relocations, policies, notes),
            Question::Object if policies.hears(Name::ObjectDisposition) => review_object((snapshot, graph), id, policies),
            Question::Object => Ok(()),
        };
        reviewed.map_err(|failure| failure.about(about))?;
    }
    Ok(())
}

fn review_file(
    (snapshot, graph): (&mut Arc<Snapshot>, &mut Graph),
    id: ObjectId,
    relocations: &mut Relocations,
    policies: &mut Stack,
    notes: &mut Notes,
) -> Result<(), Failure> {
    let Some(facts) = graph.live(id).facts() else { return Ok(()) };
    let path = relocations.apply(&facts.path);
    let asked = policies.hears(Name::FileDisposition) || facts.action != FileAction::Merge;
    if !asked {
        policies.stays(path.display().to_string(), facts.action.word(), who_decided(facts.action));
        return Ok(());
    }
    let (mut choice, is_decided) = ask_file((snapshot, graph), id, &facts, &path, policies)?;
    if choice.action == FileAction::Merge && !is_decided {
        return Ok(());
    }
    choice.path = choice.path.map(|path| resolved(&path));
    let chosen = choice.path.as_deref().unwrap_or(&path);
    let disposed = graph.live_mut(id).dispose(choice.action, chosen).at(Stage::Review)?;
    disposed.warnings.into_iter().for_each(|text| notes.warn(Subject::default(), text));
    if let Some(new) = choice.path.clone() {
        relocations.exactly(facts.path, new);
    }
    let Some(offset) = disposed.offset else { return Ok(()) };
    for description in Arc::make_mut(snapshot).descriptions.iter_mut().filter(|description| description.object == id) {
        description.offset = offset;
    }
    Ok(())
}

/// Who has decided about a file that nobody is asked about now.
fn who_decided(action: FileAction) -> &'static str {
    if action == FileAction::Merge { "default" } else { "the checkpoint" }
}

/// What becomes of a file, and whether somebody decided that now.
fn ask_file(
    (snapshot, graph): (&Snapshot, &Graph),
    id: ObjectId,
    facts: &FileFacts,
    path: &Path,
    policies: &mut Stack,
) -> Result<(FileChoice, bool), Failure> {
    let kept = FileChoice { action: facts.action, path: None };
    let opinion = if policies.hears(Name::FileDisposition) {
        policies.ask(&Event::FileDisposition(file_event((snapshot, graph), id, facts, path))).at(Stage::Review)?
    } else {
        None
    };
    let Some(opinion) = opinion else {
        policies.stays(path.display().to_string(), facts.action.word(), who_decided(facts.action));
        return Ok((kept, false));
    };
    policies.decided(path.display().to_string(), &opinion);
    match opinion.verdict {
        Verdict::File(FileChoice { action: FileAction::Fail, .. }) => {
            let what = format!("{}, as {} decided,", path.display(), opinion.by);
            Err(KindError::Unsupported { what, remedy: "change the decision".into() }).at(Stage::Review)
        }
        Verdict::File(choice) => Ok((choice, true)),
        _ => Ok((kept, false)),
    }
}

fn file_event((snapshot, graph): (&Snapshot, &Graph), id: ObjectId, facts: &FileFacts, path: &Path) -> FileEvent {
    let live = graph.live(id);
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
        kind: live.tag().kind.into(),
        flags: flag_words(flags),
        writable: is_opened_to_write || areas.clone().any(|area| area.shared && area.has("mw")),
        offset: first.map_or(0, |description| description.offset),
        size: facts.size,
        inode: facts.inode,
        mtime: facts.mtime_s,
        mapped: executable || areas.clone().next().is_some(),
        shared: areas.any(|area| area.shared),
        executable,
        deleted: facts.is_deleted,
        saved: facts.is_saved,
        decided: Some(facts.action.word().into()),
        changed: live.difference(path).map(|difference| Changed {
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

fn review_object((snapshot, graph): (&mut Arc<Snapshot>, &mut Graph), id: ObjectId, policies: &mut Stack) -> Result<(), Failure> {
    let object = &snapshot.objects[id as usize];
    let name = object.path.display().to_string();
    let (pid, descriptors) = holders(snapshot, id);
    let (kind, restorable, side) = (graph.live(id).word().to_owned(), true, Side::Restart);
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
            let record = stand_in::record(resolved(&path)).at(Stage::Review)?;
            graph.replace(id, file_kind(&record).and_then(|kind| kind.load(&record)).at(Stage::Review)?);
            Arc::make_mut(snapshot).objects[id as usize].record = record;
        }
        ObjectChoice { path: Some(_), .. } => return refuse(format!("{name}, which the job maps and {} wants replaced,", opinion.by)),
        // It was saved so.
        ObjectChoice { action: ObjectAction::HangUp, .. } if was_hung_up(snapshot) => {}
        ObjectChoice { action: ObjectAction::Fail, .. } => return refuse(format!("{name}, as {} decided,", opinion.by)),
        ObjectChoice { action, .. } => return refuse(format!("\"{}\" for {kind} {name}, which {} decided,", action.word(), opinion.by)),
    }
    Ok(())
}

fn was_hung_up(snapshot: &Snapshot) -> bool {
    snapshot.decisions.iter().any(|decision| decision.verdict == ObjectAction::HangUp.word())
}

/// Leaves out every descriptor that leads to an object.
fn close(snapshot: &mut Snapshot, id: ObjectId) {
    let descriptions = &snapshot.descriptions;
    for table in &mut snapshot.tables {
        table.descriptors.retain(|descriptor| descriptions[descriptor.description as usize].object != id);
    }
}
