//! A description as a flat list of facts: `threads.42.registers.rip` is so, `descriptors.5.offset` is so.
//!
//! Relies on the JSON form of the description, in which records of all kinds are decoded, known ones and others. Positions in the file are
//! replaced by what stands there, so that two files of the same job say the same thing in the same words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::unpack::of_packed;
use super::{Area, Backing, Descriptor, PAGE_BYTES, Process, Snapshot, Thread, checksum};

/// Facts by their dotted names.
pub type Facts = BTreeMap<String, String>;

/// A fact that is not the same in two descriptions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its dotted name.
    pub what: String,
    /// In the first; none if it is not there.
    pub from: Option<String>,
    /// In the second; none if it is not there.
    pub to: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.what;
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(f, "{name}: {} → {}", short(from), short(to)),
            (None, Some(to)) => write!(f, "{name}: new, {}", short(to)),
            (Some(from), None) => write!(f, "{name}: gone, was {}", short(from)),
            (None, None) => f.write_str(name),
        }
    }
}

/// A value on one line.
fn short(text: &str) -> String {
    const MOST: usize = 60;
    let clean: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    match clean.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None => clean,
    }
}

/// The facts that differ, by name.
pub fn changes(a: &Facts, b: &Facts) -> Vec<Change> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let changed = names.into_iter().filter(|name| a.get(*name) != b.get(*name));
    changed.map(|name| Change { what: name.clone(), from: a.get(name).cloned(), to: b.get(name).cloned() }).collect()
}

/// The general registers in the order of `struct user_regs_struct` (sys/user.h).
const REGISTERS: [&str; 27] = [
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi", "orig_rax", "rip", "cs",
    "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs",
];

/// What belongs to the whole file.
pub fn of_job(snapshot: &Snapshot) -> Facts {
    let origin = serde_json::to_value(&snapshot.origin).unwrap_or_default();
    let annotations: Map<String, Value> = snapshot.annotations.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    let decisions = snapshot.decisions.iter().map(|decision| (decision.about.clone(), json!(decision.verdict)));
    let decisions: Map<String, Value> = decisions.collect();
    flat(&json!({"origin": origin, "scope": snapshot.scope.word(), "ids": snapshot.ids, "notes": annotations, "decisions": decisions}))
}

/// What belongs to a process, its memory's layout and its descriptors included; the contents of its memory are not.
pub fn of_process(snapshot: &Snapshot, process: &Process) -> Facts {
    let mut value = packed(process);
    let fields = value.as_object_mut().expect("a structure is an object");
    ["memory", "table", "threads", "shares_fs_with", "shares_handlers_with", "pid"].iter().for_each(|name| drop(fields.remove(*name)));
    by_kind(fields);
    let threads: Map<String, Value> = process.threads.iter().map(|thread| (thread.tid.to_string(), of_thread(thread))).collect();
    fields.insert("threads".into(), threads.into());
    if let Some(memory) = process.memory.map(|id| &snapshot.memories[id as usize]) {
        let areas = merged(&memory.areas).into_iter();
        let areas = areas.map(|area| (format!("{:x}-{:x}", area.start, area.end), of_area(snapshot, &area)));
        fields.insert("areas".into(), areas.collect::<Map<_, _>>().into());
        fields.insert("memory".into(), json!({"fields": packed(&memory.fields), "lock_future": memory.lock_future, "keys": memory.keys}));
    }
    if let Some(table) = process.table.map(|id| &snapshot.tables[id as usize]) {
        let rows = table.descriptors.iter().map(|descriptor| (descriptor.fd.to_string(), of_descriptor(snapshot, descriptor)));
        fields.insert("descriptors".into(), rows.collect::<Map<_, _>>().into());
    }
    flat(&value)
}

fn of_thread(thread: &Thread) -> Value {
    let mut value = packed(thread);
    let fields = value.as_object_mut().expect("a structure is an object");
    by_kind(fields);
    let words = thread.registers.chunks_exact(8).map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")));
    let registers: Map<String, Value> = REGISTERS.iter().zip(words).map(|(name, word)| ((*name).to_owned(), hexadecimal(word))).collect();
    fields.insert("registers".into(), registers.into());
    fields.insert("xstate".into(), json!(format!("{} bytes with checksum {:x}", thread.xstate.len(), checksum(&thread.xstate))));
    fields.insert("mask".into(), hexadecimal(thread.mask));
    value
}

/// Neighbours that could be one area are one: whether the kernel has merged them is of no meaning.
fn merged(areas: &[Area]) -> Vec<Area> {
    let mut merged: Vec<Area> = Vec::with_capacity(areas.len());
    for area in areas {
        match merged.last_mut() {
            Some(last) if continues(last, area) => {
                last.end = area.end;
                last.guards.extend(&area.guards);
            }
            Some(_) | None => merged.push(area.clone()),
        }
    }
    merged
}

fn continues(last: &Area, area: &Area) -> bool {
    let backing = match (&last.backing, &area.backing) {
        (Backing::Object { object: one, offset }, Backing::Object { object: other, offset: next }) => {
            one == other && offset + last.bytes() == *next
        }
        (one, other) => one == other,
    };
    let same = |area: &Area| Area { start: 0, end: 0, backing: Backing::Anonymous, guards: Vec::new(), ..area.clone() };
    last.end == area.start && backing && same(last) == same(area)
}

fn of_area(snapshot: &Snapshot, area: &Area) -> Value {
    let backing = match &area.backing {
        Backing::Anonymous => "anonymous".to_owned(),
        Backing::Special(name) => name.clone(),
        Backing::Object { object, offset } => format!("{} from {offset:#x}", named(snapshot, *object)),
    };
    let guards = area.guards.iter().map(|(start, end)| (end - start) / PAGE_BYTES as u64).sum::<u64>();
    json!({
        "prot": area.prot, "shared": area.shared, "maps": backing, "flags": area.flags.join(" "), "page_bytes": area.page_bytes,
        "name": area.name, "guard_pages": guards, "key": area.key,
    })
}

fn of_descriptor(snapshot: &Snapshot, descriptor: &Descriptor) -> Value {
    let description = &snapshot.descriptions[descriptor.description as usize];
    let object = &snapshot.objects[description.object as usize];
    let mut value = packed(description);
    let fields = value.as_object_mut().expect("a structure is an object");
    let state = packed(&object.record);
    fields.insert("object".into(), json!(named(snapshot, description.object)));
    fields.insert("state".into(), state.get("state").cloned().unwrap_or_default());
    fields.insert("saved_bytes".into(), json!(object.content_bytes));
    fields.insert("cloexec".into(), json!(descriptor.cloexec));
    fields.insert("flags".into(), json!(format!("{:#o}", description.flags)));
    value
}

/// An object by its kind and path. What has no path, or none any more, has a number in its name that means nothing.
fn named(snapshot: &Snapshot, object: u32) -> String {
    let object = &snapshot.objects[object as usize];
    let kind = &object.record.kind;
    match object.path.to_string_lossy() {
        path if path.ends_with(" (deleted)") => format!("{kind} without a name"),
        path if path.starts_with('/') => format!("{kind} {path}"),
        _ => kind.clone(),
    }
}

fn hexadecimal(word: u64) -> Value {
    json!(format!("{word:#x}"))
}

fn packed(value: &impl Serialize) -> Value {
    rmp_serde::to_vec_named(value).map(|bytes| of_packed(&bytes)).unwrap_or_default()
}

/// Replaces the list of records by an object with a field a kind.
fn by_kind(fields: &mut Map<String, Value>) {
    let Some(Value::Array(records)) = fields.remove("records") else { return };
    for record in records {
        let kind = record.get("kind").and_then(Value::as_str).unwrap_or("record").to_owned();
        fields.insert(kind, record.get("state").cloned().unwrap_or_default());
    }
}

/// Every leaf of a value with the way to it.
fn flat(value: &Value) -> Facts {
    let mut facts = Facts::new();
    add(&mut facts, String::new(), value);
    facts
}

fn add(facts: &mut Facts, name: String, value: &Value) {
    let below = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| add(facts, below(key), value)),
        // Small lists of numbers read better in one piece.
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            let items: Vec<String> = items.iter().map(text).collect();
            facts.insert(name, items.join(" "));
        }
        Value::Array(items) => {
            // Lists of what belongs to an object have no order that means anything: that of the kernel's tables.
            let mut items: Vec<&Value> = items.iter().collect();
            items.sort_by_cached_key(|item| item.to_string());
            items.into_iter().enumerate().for_each(|(index, value)| add(facts, below(&index.to_string()), value));
        }
        value => drop(facts.insert(name, text(value))),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "nothing".into(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn leaves_have_dotted_names() {
        let facts = flat(&json!({"a": {"b": [1, 2]}, "c": [{"d": null}], "e": "x"}));
        let rows: Vec<String> = facts.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(rows, ["a.b=1 2", "c.0.d=nothing", "e=x"]);
    }

    #[test]
    fn changes_are_what_is_not_in_both() {
        let facts = |rows: &[(&str, &str)]| -> Facts { rows.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect() };
        let found = changes(&facts(&[("a", "1"), ("b", "2"), ("c", "3")]), &facts(&[("a", "1"), ("b", "4"), ("d", "5")]));
        let lines: Vec<String> = found.iter().map(Change::to_string).collect();
        assert_eq!(lines, ["b: 2 → 4", "c: gone, was 3", "d: new, 5"]);
    }

    #[test]
    fn registers_have_names() {
        let registers: Vec<u8> = (0..27u64).flat_map(u64::to_le_bytes).collect();
        let value = of_thread(&Thread { tid: 7, registers, ..Thread::default() });
        assert_eq!((&value["registers"]["rip"], &value["registers"]["gs"]), (&json!("0x10"), &json!("0x1a")));
    }
}
