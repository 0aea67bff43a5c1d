//! From descriptor numbers to open file descriptions.
//!
//! Relies on `/proc/PID/fd` and `fdinfo`, and on kcmp(2) for telling whether two descriptors share one description.

use std::ffi::OsString;

use super::object::Objects;
use super::reach::{By, Found};
use super::sharing::Sharing;
use super::{Findings, Inode, Seen};
use crate::error::{At, Failure, Stage, Subject};
use crate::image::{Description, Descriptor, ObjectId, Table};
use crate::proc::ProcError;
use crate::resource::file::{lock, owner};
use crate::resource::{KindError, Probe};
use crate::sys::process;

/// Fills in tables and descriptions, once their objects are known. Closed descriptors are left out.
pub fn describe(
    seen: &[Seen],
    (mut tables, found): (Vec<Table>, &[Found]),
    objects: &Objects,
    findings: &mut Findings<'_, '_>,
) -> Result<(), Failure> {
    for (position, one) in found.iter().enumerate().filter(|(position, _)| objects.numbers[*position].is_some()) {
        let probe = one.probe(seen);
        let object = objects.ids[position].expect("a description that is kept has an object");
        let described = description(&probe, object, objects.parts[position]).at(Stage::Capture);
        let about = Subject::descriptor(probe.pid, probe.fd, probe.link);
        findings.snapshot.descriptions.push(described.map_err(|failure| failure.about(about))?);
    }
    for table in &mut tables {
        table.descriptors.retain_mut(|descriptor| {
            let kept = objects.numbers[descriptor.description as usize];
            descriptor.description = kept.unwrap_or(descriptor.description);
            kept.is_some()
        });
    }
    findings.snapshot.tables = tables;
    Ok(())
}

fn description(probe: &Probe<'_>, object: ObjectId, part: u32) -> Result<Description, KindError> {
    let (owner, signal) = owner::capture(probe)?;
    Ok(Description {
        object,
        part,
        flags: probe.info.status_flags(),
        offset: u64::try_from(probe.info.pos).unwrap_or(0),
        owner,
        signal,
        locks: lock::capture(probe)?,
    })
}

/// All tables, and one descriptor for each description. Descriptors in the tables carry the number of their description. Those of the file that is being
/// written are left out: a job that came back with them would cut what it has come back from.
pub fn tables(seen: &[Seen], sharing: &Sharing, context: Option<Inode>) -> Result<(Vec<Table>, Vec<Found>), Failure> {
    let mut all: Vec<Found> = Vec::new();
    let mut tables = Vec::new();
    for &index in &sharing.tables {
        let one = &seen[index];
        let about = |error: ProcError| Failure::new(Stage::Survey, error).about(Subject::pid(one.pid));
        let mut table = Table::default();
        for fd in one.dir.descriptors().map_err(about)? {
            let info = one.dir.fdinfo(fd).map_err(about)?;
            let cloexec = info.cloexec();
            let last = all.last().filter(|last| last.seen == index).map(number_of);
            let same =
                last.is_some_and(|last| process::compare_descriptions((one.dir.pid(), last), (one.dir.pid(), fd)).is_ok_and(|o| o.is_eq()));
            if !same {
                let link: OsString = one.dir.link(&format!("fd/{fd}")).map_err(about)?;
                let stat = one.dir.stat_link(&format!("fd/{fd}")).map_err(about)?;
                if context == Some((stat.dev, stat.ino)) {
                    continue;
                }
                all.push(Found { seen: index, link: link.into(), stat, info, by: By::Descriptor(fd) });
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
    let at = |one: &Found| (seen[one.seen].dir.pid(), number_of(one));
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

fn number_of(found: &Found) -> i32 {
    if let By::Descriptor(fd) = found.by { fd } else { -1 }
}
