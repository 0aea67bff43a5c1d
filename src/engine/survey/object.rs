//! From what was found to objects: what reaches the same object belongs together, policies are asked about it, its kind captures it.
//!
//! Relies on everything having been found. What no kind claims is refused with process, number and path; everything that stands in the way
//! is said together.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;

use super::reach::{By, Found, Queued};
use super::{Contents, Findings, Seen, Source};
use crate::engine::obstacle::Obstacles;
use crate::error::{At, Failure, Stage, Subject};
use crate::image::{DescriptionId, FileChoice, Object, ObjectAction, ObjectChoice, ObjectId, Space};
use crate::proc::{Fdinfo, FileStat};
use crate::resource::{AnyFileKind, Capture, Content, FILE_KINDS, Facts, Identity, KindError, Named, Probe, Question, Waiting, file};
use crate::tracee::arch;
use crate::tracee::freeze::FrozenProcess;

/// What has come of everything that was found, by position.
pub struct Objects {
    /// The object it leads to; `None`: its descriptors are closed.
    pub ids: Vec<Option<ObjectId>>,
    /// Of a description its number; `None`: it is closed, or no description.
    pub numbers: Vec<Option<DescriptionId>>,
    /// What has been captured, by kind and identity.
    captured: HashSet<(Option<&'static str>, Identity)>,
    /// Of a description the part of its object that it reaches.
    pub parts: Vec<u32>,
}

/// What reaches one object, by position, and the kind that claims it.
struct Group {
    kind: Option<&'static dyn AnyFileKind>,
    members: Vec<usize>,
}

/// What becomes of a group.
enum Decision {
    Capture(FileChoice),
    CaptureAs(ObjectAction),
    StandIn(PathBuf),
    Close,
}

/// Captures every object.
pub fn describe(
    seen: &[Seen],
    facts: &Facts,
    (found, queued): (&[Found], &Queued),
    findings: &mut Findings<'_, '_>,
) -> Result<Objects, Failure> {
    let probes: Vec<Probe<'_>> = found.iter().map(|one| one.probe(seen)).collect();
    let groups = group(&probes);
    let mut obstacles = Obstacles::default();
    let asked = groups.iter().filter_map(|group| {
        let kind = group.kind.filter(|kind| matches!(kind.question(), Question::File))?;
        Some((group.members.iter().map(|index| &probes[*index]).collect(), kind.tag().kind))
    });
    findings.review.foresee_files(asked)?;
    let mut decided = Vec::with_capacity(groups.len());
    let known = facts.with_sockets(sockets(found, &vec![None; found.len()]));
    for group in groups {
        let members: Vec<&Probe<'_>> = group.members.iter().map(|index| &probes[*index]).collect();
        let decision = obstacles.note(decide(group.kind, &members, &known, findings));
        decided.extend(decision.map(|decision| (group, decision)));
    }
    let captured = probes.iter().map(known_as).collect();
    let numbers = number(found, &decided);
    let mut objects = Objects { ids: vec![None; found.len()], numbers, parts: vec![0; found.len()], captured };
    let facts = Rc::new(facts.with_sockets(sockets(found, &objects.numbers)));
    for (group, decision) in decided {
        // What policies want closed may still be mapped.
        let is_closed = matches!(decision, Decision::Close);
        let members: Vec<usize> = group.members.into_iter().filter(|index| !is_closed || !found[*index].is_description()).collect();
        let Some(first) = members.first() else { continue };
        let captured = match (decision, group.kind) {
            (Decision::StandIn(path), _) => stand_in(&probes[*first], path, findings).map(|id| (id, Vec::new())),
            (_, None) => Err(unclaimed(&probes[*first])),
            (decision, Some(kind)) => {
                let (choice, action) = match decision {
                    Decision::Capture(choice) => (choice, None),
                    Decision::CaptureAs(action) => (FileChoice::default(), Some(action)),
                    Decision::Close | Decision::StandIn(_) => (FileChoice::default(), None),
                };
                let numbers_in = |index: &usize| queued.get(index).into_iter().flatten().map(|inner| objects.numbers[*inner]).collect();
                let queues = members.iter().map(numbers_in).collect();
                let members: Vec<&Probe<'_>> = members.iter().map(|index| &probes[*index]).collect();
                capture(kind, &members, Capture { facts: facts.clone(), choice, action, queues, ..Capture::default() }, findings)
            }
        };
        let Some((id, parts)) = obstacles.note(captured) else { continue };
        members.iter().for_each(|index| objects.ids[*index] = Some(id));
        members.iter().zip(parts).for_each(|(index, part)| objects.parts[*index] = part);
    }
    obstacles.clear()?;
    for (position, one) in found.iter().enumerate() {
        let is_consumed = objects.ids[position].is_some() || one.is_description() && objects.numbers[position].is_none();
        assert!(is_consumed, "nobody has captured {}", one.link.display());
    }
    Ok(objects)
}

/// Captures the objects that the job uses although nothing leads to them.
pub fn describe_named(all: &[Seen], facts: &Facts, objects: &Objects, findings: &mut Findings<'_, '_>) -> Result<(), Failure> {
    let facts = Rc::new(facts.clone());
    let mut obstacles = Obstacles::default();
    for kind in FILE_KINDS {
        for Named { number, pid, name } in kind.named(&facts) {
            let seen = all.iter().position(|one| one.pid == pid).unwrap_or(0);
            let ino = u64::try_from(number).unwrap_or(0);
            let stat = FileStat { ino, ..FileStat::default() };
            let found = Found { seen, link: name, stat, info: Fdinfo::default(), by: By::Number(pid) };
            let probe = found.probe(all);
            if objects.captured.contains(&(Some(kind.tag().kind), kind.identity(&probe))) {
                continue;
            }
            let captured = decide(Some(*kind), &[&probe], &facts, findings).and_then(|decision| match decision {
                Decision::Close => Ok(None),
                Decision::StandIn(_) => {
                    let what = format!("{}, which is to be replaced by a path,", found.link.display());
                    let error = KindError::Unsupported { what, remedy: "change the decision".into() };
                    Err(Failure::new(Stage::Review, error).about(subject(&probe)))
                }
                Decision::Capture(_) | Decision::CaptureAs(_) => {
                    capture(*kind, &[&probe], Capture { facts: facts.clone(), ..Capture::default() }, findings).map(Some)
                }
            });
            let _ = obstacles.note(captured);
        }
    }
    obstacles.clear()
}

/// What holds for the whole job. What tasks have to be asked is added later.
pub fn facts(seen: &[Seen], frozen: &[FrozenProcess]) -> Facts {
    let of_one = |one: &Seen| std::iter::once(one.pid).chain(frozen[one.position].threads.iter().map(|thread| thread.tid));
    let waits = |one: &Seen| {
        let threads = frozen[one.position].threads.iter().filter_map(|thread| arch::current_call(thread.registers()));
        threads.map(|(call, first)| Waiting { pid: one.pid, call, first }).collect::<Vec<_>>()
    };
    let (ids, waiting) = (seen.iter().flat_map(of_one).collect(), seen.iter().flat_map(waits).collect());
    Facts { ids, waiting, terminals: seen.iter().filter_map(|one| one.stat.terminal()).collect(), ..Facts::default() }
}

/// The sockets of the job, by inode number, with the numbers of their descriptions.
fn sockets(found: &[Found], numbers: &[Option<DescriptionId>]) -> HashMap<u64, Option<DescriptionId>> {
    let is_socket = |one: &Found| one.is_description() && one.stat.mode & libc::S_IFMT == libc::S_IFSOCK && !one.link.is_absolute();
    found.iter().zip(numbers).filter(|(one, _)| is_socket(one)).map(|(one, number)| (one.stat.ino, *number)).collect()
}

/// The kind that claims a probe, and what it takes it for.
fn known_as(probe: &Probe<'_>) -> (Option<&'static str>, Identity) {
    let kind = claim(probe);
    let identity = kind.map_or(Identity::Inode(probe.stat.dev, probe.stat.ino), |kind| kind.identity(probe));
    (kind.map(|kind| kind.tag().kind), identity)
}

/// Puts together what reaches one object. A kind that does not accept what has come together leaves it to the next that claims it.
fn group(probes: &[Probe<'_>]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut by_identity: HashMap<(Option<&'static str>, Identity), usize> = HashMap::new();
    // A mapping of a file may show another name of it than its descriptors.
    let mut by_inode: HashMap<(Option<&'static str>, u64, u64), usize> = HashMap::new();
    let mut waiting: Vec<(usize, usize)> = (0..probes.len()).map(|index| (index, 0)).collect();
    while !waiting.is_empty() {
        for (index, first) in std::mem::take(&mut waiting) {
            let probe = &probes[index];
            let kind = FILE_KINDS[first..].iter().copied().find(|kind| kind.claims(probe));
            let word = kind.map(|kind| kind.tag().kind);
            let inode = (word, probe.stat.dev, probe.stat.ino);
            let identity = kind.map_or(Identity::Inode(probe.stat.dev, probe.stat.ino), |kind| kind.identity(probe));
            let known = match &identity {
                Identity::Description => None,
                _ if probe.is_mapping() => by_inode.get(&inode).copied(),
                identity => by_identity.get(&(word, identity.clone())).copied(),
            };
            let group = known.unwrap_or_else(|| {
                groups.push(Group { kind, members: Vec::new() });
                by_identity.insert((word, identity), groups.len() - 1);
                groups.len() - 1
            });
            by_inode.entry(inode).or_insert(group);
            groups[group].members.push(index);
        }
        for group in groups.iter_mut().filter(|group| !group.members.is_empty()) {
            let members: Vec<&Probe<'_>> = group.members.iter().map(|index| &probes[*index]).collect();
            let Some(refused) = group.kind.filter(|kind| !kind.accepts(&members)) else { continue };
            let next = FILE_KINDS.iter().position(|kind| kind.tag() == refused.tag()).map_or(FILE_KINDS.len(), |at| at + 1);
            waiting.extend(group.members.drain(..).map(|index| (index, next)));
        }
    }
    groups.retain(|group| !group.members.is_empty());
    groups
}

/// Asks policies about an object.
fn decide(
    kind: Option<&'static dyn AnyFileKind>,
    probes: &[&Probe<'_>],
    facts: &Facts,
    findings: &mut Findings<'_, '_>,
) -> Result<Decision, Failure> {
    let is_mapped = probes.iter().any(|probe| probe.is_mapping());
    let word = kind.map(AnyFileKind::word);
    let obstacle = kind.and_then(|kind| probes.iter().find_map(|probe| kind.obstacle(probe, facts)));
    let choice = match kind.map(AnyFileKind::question) {
        Some(Question::File) => return findings.review.file(probes, word.unwrap_or_default()).map(Decision::Capture),
        Some(Question::Nothing) => None,
        None if is_mapped => return Err(unclaimed(probes[0])),
        Some(Question::Object) | None => {
            let is_restorable = || obstacle.is_none() && kind.is_some_and(|kind| kind.is_restorable(probes[0], facts));
            findings.review.object(probes, word, is_restorable)?
        }
    };
    match choice {
        Some(ObjectChoice { action: ObjectAction::Close, .. }) => Ok(Decision::Close),
        Some(ObjectChoice { path: Some(_), .. }) if is_mapped => {
            let what = format!("{}, which the job maps and which is to be replaced,", probes[0].link.display());
            let error = KindError::Unsupported { what, remedy: "change the decision".into() };
            Err(Failure::new(Stage::Review, error).about(subject(probes[0])))
        }
        Some(ObjectChoice { path: Some(path), .. }) => Ok(Decision::StandIn(path)),
        Some(ObjectChoice { action: action @ (ObjectAction::Reconnect | ObjectAction::Repair | ObjectAction::HangUp), .. }) => {
            if kind.is_some_and(|kind| kind.takes(action)) {
                return Ok(Decision::CaptureAs(action));
            }
            let what = format!("\"{}\", which was decided for {},", action.word(), probes[0].link.display());
            let error = KindError::Unsupported { what, remedy: "decide \"close\", or { path = … }".into() };
            Err(Failure::new(Stage::Review, error).about(subject(probes[0])))
        }
        _ => match (kind, obstacle) {
            (None, _) => Err(unclaimed(probes[0])),
            (Some(_), Some(error)) => Err(Failure::new(Stage::Capture, error).about(subject(probes[0]))),
            (Some(_), None) => Ok(Decision::Capture(FileChoice::default())),
        },
    }
}

/// Numbers the descriptions that are not closed, in the order in which they were found.
fn number(found: &[Found], decided: &[(Group, Decision)]) -> Vec<Option<DescriptionId>> {
    let mut is_kept = vec![false; found.len()];
    for (group, _) in decided.iter().filter(|(_, decision)| !matches!(decision, Decision::Close)) {
        group.members.iter().for_each(|index| is_kept[*index] = found[*index].is_description());
    }
    let mut next = 0..;
    is_kept.into_iter().map(|is_kept| if is_kept { next.next() } else { None }).collect()
}

/// Adds an object that is opened in the place of one that cannot be saved.
fn stand_in(probe: &Probe<'_>, path: PathBuf, findings: &mut Findings<'_, '_>) -> Result<ObjectId, Failure> {
    let record = file::stand_in::record(path).at(Stage::Capture)?;
    Ok(add(Object { record, path: probe.link.to_owned(), content_bytes: 0 }, findings))
}

/// Captures one object and adds it to the snapshot; says which part each probe reaches.
fn capture(
    kind: &dyn AnyFileKind,
    probes: &[&Probe<'_>],
    mut cx: Capture,
    findings: &mut Findings<'_, '_>,
) -> Result<(ObjectId, Vec<u32>), Failure> {
    let subject = subject(probes[0]);
    let record = kind.capture(probes, &mut cx).at(Stage::Capture).map_err(|failure| failure.about(subject.clone()))?;
    findings.notes.lose_all(&subject, cx.warnings);
    findings.partings.extend(cx.partings);
    let content_bytes = cx.contents.as_ref().map_or(0, |(_, bytes)| *bytes);
    let path = cx.name.unwrap_or_else(|| probes[0].link.to_owned());
    let parts = cx.parts;
    let id = add(Object { record, path, content_bytes }, findings);
    if let Some((content, bytes)) = cx.contents {
        let source = match content {
            Content::File(file) => Source::File { file, bytes },
            Content::Pieces(pieces) => Source::Pieces(pieces),
            Content::View(view) => Source::View { view, bytes },
        };
        findings.contents.push(Contents { space: Space::Object(id), source });
    }
    Ok((id, parts))
}

fn add(object: Object, findings: &mut Findings<'_, '_>) -> ObjectId {
    findings.snapshot.objects.push(object);
    ObjectId::try_from(findings.snapshot.objects.len() - 1).expect("fewer objects than descriptors and areas")
}

fn subject(probe: &Probe<'_>) -> Subject {
    if probe.fd < 0 {
        Subject { pid: Some(probe.pid), fd: None, path: Some(probe.link.to_owned()) }
    } else {
        Subject::descriptor(probe.pid, probe.fd, probe.link)
    }
}

/// The kind that claims a probe.
pub fn claim(probe: &Probe<'_>) -> Option<&'static dyn AnyFileKind> {
    FILE_KINDS.iter().copied().find(|kind| kind.claims(probe))
}

fn unclaimed(probe: &Probe<'_>) -> Failure {
    let remedy = "close it before the checkpoint, or let a script decide in object-disposition".into();
    let error = KindError::Unsupported { what: file::describe(probe), remedy };
    Failure::new(Stage::Capture, error).about(subject(probe))
}
