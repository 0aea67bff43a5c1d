//! A kind lives in four places: its file, its test program, its row of the integration table, its section of the reference.
//!
//! The file says what is kept, lost and refused. Kinds do not use each other. The registry is left to the compiler: a kind that no registry
//! names is dead code.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::Complaint;
use super::source::{Source, has_word};
use crate::place::workspace;

/// Where kinds live.
pub const GROUPS: &[&str] = &["file", "task", "ipc"];
/// Files there that are no kinds, each with what it is instead.
const NOT_KINDS: &[(&str, &str)] = &[];
/// Programs of `testprogs/` that need no row of their own, each with the reason.
const NO_ROW: &[(&str, &str)] = &[];

/// Complaints about kinds that are not complete, and about programs and rows without each other.
pub fn check(sources: &[Source]) -> Vec<Complaint> {
    let kinds: Vec<(&Source, String)> = sources
        .iter()
        .filter_map(|source| Some((source, kind_of(source)?)))
        .collect();
    let names: BTreeSet<&str> = kinds.iter().map(|(_, name)| name.as_str()).collect();
    let programs = programs();
    let table = fs::read_to_string(workspace().join("integration/table.rs")).unwrap_or_default();
    let rows = rows(&table);
    let mut complaints = Vec::new();
    for (source, name) in &kinds {
        complaints.extend(incomplete(source, name, &programs, &rows));
        complaints.extend(uses_of_others(source, name, &names));
    }
    complaints.extend(unmatched(&programs, &table, &rows));
    complaints
}

/// The kind that a file is, if it is one: a file of a group, or the `mod.rs` of a directory of a group.
fn kind_of(source: &Source) -> Option<String> {
    let below = source.path.strip_prefix("src/resource").ok()?;
    let words: Vec<&str> = below.iter().filter_map(|word| word.to_str()).collect();
    let name = match words.as_slice() {
        [group, file] if GROUPS.contains(group) && *file != "mod.rs" => file.strip_suffix(".rs")?,
        [group, directory, "mod.rs"] if GROUPS.contains(group) => directory,
        _ => return None,
    };
    let is_other = NOT_KINDS
        .iter()
        .any(|(path, _)| source.path == Path::new(path));
    (!is_other).then(|| name.to_owned())
}

fn incomplete(
    source: &Source,
    name: &str,
    programs: &BTreeSet<String>,
    rows: &BTreeSet<String>,
) -> Vec<Complaint> {
    let mut missing = Vec::new();
    for word in ["Kept", "Lost", "Refused"] {
        if !source
            .text
            .lines()
            .any(|line| line.starts_with("//!") && line.contains(word))
        {
            missing.push(format!(
                "the head does not say what is {}",
                word.to_lowercase()
            ));
        }
    }
    if !programs.contains(name) {
        missing.push(format!("no test program testprogs/{name}.c"));
    }
    if !rows.contains(name) {
        missing.push(format!("no row {name:?} in integration/table.rs"));
    }
    let reference = fs::read_to_string(workspace().join("docs/kinds.md")).unwrap_or_default();
    if !reference
        .lines()
        .any(|line| line.starts_with('#') && has_word(line, name))
    {
        missing.push(format!("no section `{name}` in docs/kinds.md"));
    }
    missing
        .into_iter()
        .map(|what| source.at(1, &format!("kind `{name}`: {what}")))
        .collect()
}

fn uses_of_others(source: &Source, own: &str, names: &BTreeSet<&str>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (number, line) in source.code_without_tests() {
        let mut paths: Vec<String> = GROUPS
            .iter()
            .map(|group| format!("resource::{group}::"))
            .collect();
        paths.push("super::".to_owned());
        for (path, name) in paths
            .iter()
            .flat_map(|path| names.iter().map(move |name| (path, name)))
        {
            let is_named = line.match_indices(path.as_str()).any(|(at, _)| {
                let rest = &line[at + path.len()..];
                rest.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with("::") || rest.starts_with(';'))
            });
            if *name != own && is_named {
                complaints.push(source.at(number, &format!("kind `{own}` uses kind `{name}`: move the shared idea to the group's mod.rs")));
            }
        }
    }
    complaints
}

/// Test programs without a row, and rows without a program.
fn unmatched(programs: &BTreeSet<String>, table: &str, rows: &BTreeSet<String>) -> Vec<Complaint> {
    let named: BTreeSet<String> = quoted_after(table, ".program(")
        .chain(rows.iter().cloned())
        .collect();
    let is_free = |program: &&String| NO_ROW.iter().any(|(name, _)| name == program);
    let alone = programs
        .iter()
        .filter(|program| !named.contains(*program) && !is_free(program));
    let mut complaints: Vec<Complaint> = alone
        .map(|name| format!("testprogs/{name}.c:1: no row in integration/table.rs"))
        .collect();
    // A row may borrow a program of another name.
    for (index, line) in table.lines().enumerate() {
        let Some(row) = quoted_after(line, " row(").next() else {
            continue;
        };
        let program = quoted_after(line, ".program(").next().unwrap_or(row);
        if !programs.contains(&program) {
            complaints.push(format!(
                "integration/table.rs:{}: no program testprogs/{program}.c",
                index + 1
            ));
        }
    }
    complaints
}

fn programs() -> BTreeSet<String> {
    let entries = fs::read_dir(workspace().join("testprogs"))
        .into_iter()
        .flatten()
        .flatten();
    entries
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()?
                .strip_suffix(".c")
                .map(str::to_owned)
        })
        .collect()
}

fn rows(table: &str) -> BTreeSet<String> {
    quoted_after(table, " row(").collect()
}

/// The strings that follow `start` immediately.
fn quoted_after(text: &str, start: &str) -> impl Iterator<Item = String> {
    text.match_indices(start).filter_map(move |(at, _)| {
        let rest = text[at + start.len()..].strip_prefix('"')?;
        rest.split_once('"').map(|(name, _)| name.to_owned())
    })
}
