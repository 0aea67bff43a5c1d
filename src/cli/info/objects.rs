//! Files and other objects: what becomes of each at a restart, which descriptors lead to it, who maps it.

use std::collections::{BTreeMap, BTreeSet};

use indicatif::BinaryBytes;

use crate::image::{Backing, Description, Object, Snapshot};

/// As many users of one object are listed before the rest is only counted.
const MOST_USERS: usize = 6;

/// The section; empty without objects.
pub fn lines(snapshot: &Snapshot) -> Vec<String> {
    if snapshot.objects.is_empty() {
        return Vec::new();
    }
    let descriptors = descriptors(snapshot);
    let mappers = mappers(snapshot);
    let mut lines = vec!["FILES AND OBJECTS".to_owned()];
    for (id, object) in (0u32..).zip(&snapshot.objects) {
        let mapped = mappers.get(&id).map(|pids| {
            let pids: Vec<String> = pids.iter().map(i32::to_string).collect();
            format!(", mapped by {}", shortened(&pids, " "))
        });
        let mapped = mapped.unwrap_or_default();
        lines.push(format!("  {}  ({}, {}{mapped})", shown(object), object.record.kind, fate(snapshot, object)));
        lines.extend(descriptors.get(&id).map(|users| format!("      {}", shortened(users, "; "))));
    }
    lines
}

fn shown(object: &Object) -> String {
    let path = object.path.display().to_string();
    let path = if path.is_empty() { "(no name)".to_owned() } else { path };
    path.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// What becomes of it at a restart.
fn fate(snapshot: &Snapshot, object: &Object) -> String {
    let about = object.path.display().to_string();
    let decided = snapshot.decisions.iter().rfind(|decision| !about.is_empty() && decision.about == about);
    match decided {
        Some(decision) => format!("{} by {}", decision.verdict, decision.by),
        None if object.content_bytes > 0 => format!("contents saved: {}", BinaryBytes(object.content_bytes)),
        None if object.path.is_absolute() => "by reference".into(),
        None => "made anew".into(),
    }
}

/// For every object the descriptors that lead to it: `4242: 0 1 2 rw at 120`.
fn descriptors(snapshot: &Snapshot) -> BTreeMap<u32, Vec<String>> {
    let mut users: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for process in &snapshot.processes {
        let Some(table) = process.table.map(|id| &snapshot.tables[id as usize]) else { continue };
        let mut by_description: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for descriptor in &table.descriptors {
            by_description.entry(descriptor.description).or_default().push(descriptor.fd.to_string());
        }
        for (id, fds) in by_description {
            let description = &snapshot.descriptions[id as usize];
            let text = format!("{}: {} {}", process.pid, fds.join(" "), access(description));
            users.entry(description.object).or_default().push(text);
        }
    }
    users
}

/// How a description may be used, and where it stands.
fn access(description: &Description) -> String {
    let mode = match description.flags & libc::O_ACCMODE {
        _ if description.flags & libc::O_PATH != 0 => "path",
        libc::O_RDONLY => "r",
        libc::O_WRONLY => "w",
        _ => "rw",
    };
    let append = if description.flags & libc::O_APPEND != 0 { " append" } else { "" };
    match description.offset {
        0 => format!("{mode}{append}"),
        offset => format!("{mode}{append} at {offset}"),
    }
}

/// For every object the processes that map it, or run it.
fn mappers(snapshot: &Snapshot) -> BTreeMap<u32, BTreeSet<i32>> {
    let mut mappers: BTreeMap<u32, BTreeSet<i32>> = BTreeMap::new();
    for process in &snapshot.processes {
        let Some(memory) = process.memory.map(|id| &snapshot.memories[id as usize]) else { continue };
        let mapped = memory.areas.iter().filter_map(|area| match area.backing {
            Backing::Object { object, .. } => Some(object),
            Backing::Anonymous | Backing::Special(_) => None,
        });
        for object in mapped.chain(memory.exe) {
            mappers.entry(object).or_default().insert(process.pid);
        }
    }
    mappers
}

/// The first few, and how many more there are.
fn shortened(users: &[String], separator: &str) -> String {
    let shown = users[..users.len().min(MOST_USERS)].join(separator);
    match users.len().saturating_sub(MOST_USERS) {
        0 => shown,
        more => format!("{shown}{separator}and {more} more"),
    }
}
