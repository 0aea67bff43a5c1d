//! From descriptor numbers to open file descriptions to objects.
//!
//! Relies on `/proc/PID/fd` and `fdinfo`, and on kcmp(2) for telling whether two descriptors share one description. Kinds describe
//! what descriptions reach; what no kind claims is refused with process, number and path.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::sharing::groups;
use super::{Contents, Findings, Seen, Source};
use crate::error::{At, Failure, Stage, Subject};
use crate::image::{Description, Descriptor, FileChoice, Object, ObjectAction, ObjectChoice, ObjectId, Space, Table};
use crate::proc::{Fdinfo, FileStat, ProcError};
use crate::resource::file::{self, lock, owner};
use crate::resource::{AnyFileKind, Capture, FILE_KINDS, Identity, KindError, Probe, Question};
use crate::sys::process;

/// One descriptor that stands for its description.
struct Found {
    seen: usize,
    fd: i32,
    link: PathBuf,
    stat: FileStat,
    info: Fdinfo,
}

/// Objects by the kind, device and inode that make them the same.
pub type Known = HashMap<(&'static str, u64, u64), ObjectId>;

/// Descriptions that reach one object, and the kind that claims it.
struct Group {
    kind: Option<&'static dyn AnyFileKind>,
    members: Vec<usize>,
}

/// Fills in tables, descriptions and the objects that descriptors reach; returns those that mappings may reach too.
pub fn describe(seen: &[Seen], findings: &mut Findings<'_, '_>) -> Result<Known, Failure> {
    let (tables, found) = tables(seen)?;
    let probes: Vec<Probe<'_>> = found.iter().map(|one| probe(one, seen)).collect();
    let (groups, group_of) = group(&probes);
    let mut known = Known::new();
    let mut objects = Vec::new();
    for group in &groups {
        let members: Vec<&Probe<'_>> = group.members.iter().map(|index| &probes[*index]).collect();
        let object = object_of(group.kind, &members, findings)?;
        if let (Some(kind), Some(id)) = (group.kind, object) {
            known.insert((kind.tag().kind, members[0].stat.dev, members[0].stat.ino), id);
        }
        objects.push(object);
    }
    // What is closed has no description; the others are numbered without gaps.
    let mut number = Vec::new();
    for (probe, group) in probes.iter().zip(group_of) {
        let Some(object) = objects[group] else {
            number.push(None);
            continue;
        };
        number.push(u32::try_from(findings.snapshot.descriptions.len()).ok());
        let described = description(probe, object).at(Stage::Capture);
        findings.snapshot.descriptions.push(described.map_err(|failure| failure.about(subject(probe)))?);
    }
    findings.snapshot.tables = tables;
    for table in &mut findings.snapshot.tables {
        table.descriptors.retain_mut(|descriptor| {
            let kept = number[descriptor.description as usize];
            descriptor.description = kept.unwrap_or(descriptor.description);
            kept.is_some()
        });
    }
    Ok(known)
}

/// Puts descriptions that reach one object together; for each description the position of its group.
fn group(probes: &[Probe<'_>]) -> (Vec<Group>, Vec<usize>) {
    let mut groups: Vec<Group> = Vec::new();
    let mut by_identity: HashMap<(Option<&'static str>, Identity), usize> = HashMap::new();
    let mut group_of = Vec::new();
    for (index, probe) in probes.iter().enumerate() {
        let kind = claim(probe).ok();
        let identity = kind.map_or(Identity::Inode(probe.stat.dev, probe.stat.ino), |kind| kind.identity(probe));
        let fresh = identity == Identity::Description;
        let known = by_identity.get(&(kind.map(|kind| kind.tag().kind), identity.clone())).copied().filter(|_| !fresh);
        let group = known.unwrap_or_else(|| {
            groups.push(Group { kind, members: Vec::new() });
            by_identity.insert((kind.map(|kind| kind.tag().kind), identity), groups.len() - 1);
            groups.len() - 1
        });
        groups[group].members.push(index);
        group_of.push(group);
    }
    (groups, group_of)
}

/// Asks policies about an object and captures it; `None`: its descriptors are closed.
fn object_of(
    kind: Option<&'static dyn AnyFileKind>,
    probes: &[&Probe<'_>],
    findings: &mut Findings<'_, '_>,
) -> Result<Option<ObjectId>, Failure> {
    let word = kind.map(|kind| kind.tag().kind);
    let choice = match kind.map(|kind| (kind, kind.question())) {
        Some((kind, Question::File)) => {
            let choice = findings.review.file(probes, kind.tag().kind)?;
            return capture(kind, probes, choice, findings).map(Some);
        }
        Some((_, Question::Nothing)) => None,
        Some((_, Question::Object)) | None => findings.review.object(probes, word)?,
    };
    match (choice, kind) {
        (Some(ObjectChoice { action: ObjectAction::Close, .. }), _) => Ok(None),
        (Some(ObjectChoice { path: Some(path), .. }), _) => stand_in(probes[0], path, findings).map(Some),
        (_, Some(kind)) => capture(kind, probes, FileChoice::default(), findings).map(Some),
        (_, None) => Err(Failure::new(Stage::Capture, unclaimed(probes[0])).about(subject(probes[0]))),
    }
}

/// Adds an object that is opened in the place of one that cannot be saved.
fn stand_in(probe: &Probe<'_>, path: PathBuf, findings: &mut Findings<'_, '_>) -> Result<ObjectId, Failure> {
    let record = file::stand_in::record(path).at(Stage::Capture)?;
    let id = ObjectId::try_from(findings.snapshot.objects.len()).unwrap_or(ObjectId::MAX);
    findings.snapshot.objects.push(Object { record, path: probe.link.to_owned(), content_bytes: 0 });
    Ok(id)
}

/// Captures one object and adds it to the snapshot.
pub fn capture(
    kind: &dyn AnyFileKind,
    probes: &[&Probe<'_>],
    choice: FileChoice,
    findings: &mut Findings<'_, '_>,
) -> Result<ObjectId, Failure> {
    let subject = subject(probes[0]);
    let mut cx = Capture { choice, ..Capture::default() };
    let record = kind.capture(probes, &mut cx).at(Stage::Capture).map_err(|failure| failure.about(subject.clone()))?;
    findings.notes.lose_all(&subject, cx.warnings);
    let id = ObjectId::try_from(findings.snapshot.objects.len()).unwrap_or(ObjectId::MAX);
    let mut object = Object { record, path: probes[0].link.to_owned(), content_bytes: 0 };
    if let Some((file, bytes)) = cx.contents {
        object.content_bytes = bytes;
        findings.contents.push(Contents { space: Space::Object(id), source: Source::File { file, bytes } });
    }
    findings.snapshot.objects.push(object);
    Ok(id)
}

fn subject(probe: &Probe<'_>) -> Subject {
    if probe.is_mapping() {
        Subject { pid: Some(probe.pid), fd: None, path: Some(probe.link.to_owned()) }
    } else {
        Subject::descriptor(probe.pid, probe.fd, probe.link)
    }
}

/// The kind that claims a probe.
pub fn claim(probe: &Probe<'_>) -> Result<&'static dyn AnyFileKind, KindError> {
    FILE_KINDS.iter().copied().find(|kind| kind.claims(probe)).ok_or_else(|| unclaimed(probe))
}

fn unclaimed(probe: &Probe<'_>) -> KindError {
    let remedy = "close it before the checkpoint, or let a script decide in object-disposition".into();
    KindError::Unsupported { what: file::describe(probe), remedy }
}

fn probe<'a>(found: &'a Found, seen: &'a [Seen]) -> Probe<'a> {
    let one = &seen[found.seen];
    let pidfd = one.pidfd.as_ref().expect("a process with descriptors has a pidfd");
    Probe::new(one.pid, found.fd, &found.link, &found.stat, &found.info, pidfd)
}

fn description(probe: &Probe<'_>, object: ObjectId) -> Result<Description, KindError> {
    let (owner, signal) = owner::capture(probe)?;
    Ok(Description {
        object,
        flags: probe.info.status_flags(),
        offset: u64::try_from(probe.info.pos).unwrap_or(0),
        owner,
        signal,
        locks: lock::capture(probe)?,
    })
}

/// All tables, and one descriptor for each description. Descriptors in the tables carry the number of their description.
fn tables(seen: &[Seen]) -> Result<(Vec<Table>, Vec<Found>), Failure> {
    let first_of_table = groups(seen, process::compare_tables)?;
    let mut all: Vec<Found> = Vec::new();
    let mut tables = Vec::new();
    for (index, one) in seen.iter().enumerate().filter(|(index, _)| first_of_table[*index] == Some(*index)) {
        let about = |error: ProcError| Failure::new(Stage::Survey, error).about(Subject::pid(one.pid));
        let mut table = Table::default();
        for fd in one.dir.descriptors().map_err(about)? {
            let info = one.dir.fdinfo(fd).map_err(about)?;
            let cloexec = info.cloexec();
            let last = all.last().filter(|last| last.seen == index).map(|last| last.fd);
            let same =
                last.is_some_and(|last| process::compare_descriptions((one.dir.pid(), last), (one.dir.pid(), fd)).is_ok_and(|o| o.is_eq()));
            if !same {
                let link: OsString = one.dir.link(&format!("fd/{fd}")).map_err(about)?;
                let stat = one.dir.stat_link(&format!("fd/{fd}")).map_err(about)?;
                all.push(Found { seen: index, fd, link: link.into(), stat, info });
            }
            let stand_in = u32::try_from(all.len() - 1).unwrap_or(u32::MAX);
            table.descriptors.push(Descriptor { fd, cloexec, description: stand_in });
        }
        tables.push(table);
    }
    let (number, kept) = descriptions(seen, all)?;
    for descriptor in tables.iter_mut().flat_map(|table| &mut table.descriptors) {
        descriptor.description = number[descriptor.description as usize];
    }
    Ok((tables, kept))
}

/// Numbers the descriptions: descriptors that share one get the same number. Keeps one descriptor for each.
fn descriptions(seen: &[Seen], all: Vec<Found>) -> Result<(Vec<u32>, Vec<Found>), Failure> {
    let at = |one: &Found| (seen[one.seen].dir.pid(), one.fd);
    let key = |one: &Found| (one.stat.dev, one.stat.ino, one.info.status_flags(), one.info.pos);
    let mut order: Vec<usize> = (0..all.len()).collect();
    let mut failure = None;
    let mut compare = |a: usize, b: usize| {
        key(&all[a]).cmp(&key(&all[b])).then_with(|| {
            process::compare_descriptions(at(&all[a]), at(&all[b])).unwrap_or_else(|errno| {
                failure = failure.or(Some(errno));
                a.cmp(&b)
            })
        })
    };
    order.sort_by(|a, b| compare(*a, *b));
    let mut first = vec![0usize; all.len()];
    for run in order.chunk_by(|a, b| compare(*a, *b).is_eq()) {
        let least = run.iter().copied().min().unwrap_or(run[0]);
        run.iter().for_each(|index| first[*index] = least);
    }
    if let Some(errno) = failure {
        return Err(KindError::host("compare descriptors", errno)).at(Stage::Survey);
    }
    let mut number = vec![0u32; all.len()];
    let mut kept: Vec<Found> = Vec::new();
    for (index, found) in all.into_iter().enumerate() {
        if first[index] == index {
            number[index] = u32::try_from(kept.len()).unwrap_or(u32::MAX);
            kept.push(found);
        } else {
            number[index] = number[first[index]];
            // Each process sees its own record locks only.
            let same = &mut kept[number[index] as usize].info.locks;
            same.extend(found.info.locks);
        }
    }
    Ok((number, kept))
}
