//! A kind lives in four places: its file, its test program, its line of the registry, its row of the integration table.
//!
//! The file says what is kept, lost and refused. Kinds do not use each other. The registry is left to the compiler: a kind that no registry
//! names is dead code.

use std::collections::BTreeSet;
use std::fs;

use super::Complaint;
use super::source::Source;
use crate::docs;
use crate::docs::kinds::Section;
use crate::place::workspace;

/// Programs of `testprogs/` that need no row of their own, each with the reason.
const NO_ROW: &[(&str, &str)] =
    &[("libcr_refuse", "run by the scenes of integration/participants.rs"), ("outsider", "run by the scenes of integration/outsiders.rs")];

/// A kind: the directory it is in, and its name.
type Kind = (String, String);

/// Complaints about kinds that are not complete, and about programs and rows without each other.
pub fn check(sources: &[Source]) -> Vec<Complaint> {
    let named = sources.iter().filter_map(|source| Some((source, kind_of(source)?)));
    let kinds: Vec<(&Source, Kind)> = named.collect();
    let programs = programs();
    let table = fs::read_to_string(workspace().join("integration/table.rs")).unwrap_or_default();
    let rows = rows(&table);
    let mut complaints = Vec::new();
    for (source, kind) in &kinds {
        complaints.extend(incomplete(source, &kind.1, &programs, &rows));
        for (_, other) in kinds.iter().filter(|(_, other)| other != kind) {
            complaints.extend(uses(source, kind, other));
        }
    }
    complaints.extend(sources.iter().filter(|source| source.is_under("src/engine")).flat_map(|source| quotes(source, &kinds)));
    complaints.extend(unmatched(&programs, &table, &rows));
    complaints.extend(docs::stale(sources));
    complaints
}

/// The kind that a file is, if it is one: it implements one of the traits of kinds.
fn kind_of(source: &Source) -> Option<Kind> {
    let below = source.path.strip_prefix("src/resource").ok()?;
    let words: Vec<&str> = below.iter().filter_map(|word| word.to_str()).collect();
    let (group, name) = match words.as_slice() {
        [group, file] if *file != "mod.rs" => (group, file.strip_suffix(".rs")?),
        [group, directory, "mod.rs"] => (group, *directory),
        _ => return None,
    };
    let is_kind = |(_, line): (usize, String)| line.starts_with("impl FileKind for ") || line.starts_with("impl TaskKind for ");
    source.code().any(is_kind).then(|| ((*group).to_owned(), name.to_owned()))
}

fn incomplete(source: &Source, name: &str, programs: &BTreeSet<String>, rows: &BTreeSet<String>) -> Vec<Complaint> {
    let mut missing = Vec::new();
    let section = Section::of(source);
    for word in section.missing() {
        missing.push(format!("the head does not say what is {}", word.to_lowercase()));
    }
    if !programs.contains(name) {
        missing.push(format!("no test program testprogs/{name}.c"));
    }
    if !rows.contains(name) {
        missing.push(format!("no row {name:?} in integration/table.rs"));
    }
    missing.into_iter().map(|what| source.at(1, &format!("kind `{name}`: {what}"))).collect()
}

/// Where the engine quotes the name of a kind: what it does differently for one belongs into the traits of kinds.
fn quotes(source: &Source, kinds: &[(&Source, Kind)]) -> Vec<Complaint> {
    let lines = source.text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
    let code = lines.filter(|(_, line)| !line.trim_start().starts_with("//"));
    let names = |line: &str| kinds.iter().find(|(_, kind)| line.contains(&format!("\"{}\"", kind.1))).map(|(_, kind)| kind.1.clone());
    let what = |name: String| format!("the engine names the kind `{name}`: give its trait what makes the difference");
    code.filter_map(|(index, line)| names(line).map(|name| source.at(index + 1, &what(name)))).collect()
}

/// Where one kind uses another.
fn uses(source: &Source, kind: &Kind, other: &Kind) -> Vec<Complaint> {
    let mut paths = vec![format!("resource::{}::{}", other.0, other.1)];
    if kind.0 == other.0 {
        paths.push(format!("super::{}", other.1));
    }
    let ends = |rest: &str| rest.starts_with("::") || rest.starts_with(';');
    let is_in = |line: &str, path: &str| line.match_indices(path).any(|(at, _)| ends(&line[at + path.len()..]));
    let lines = source.code_without_tests().filter(|(_, line)| paths.iter().any(|path| is_in(line, path)));
    let what = format!("kind `{}` uses kind `{}`: move the shared idea to the group's mod.rs", kind.1, other.1);
    lines.map(|(number, _)| source.at(number, &what)).collect()
}

/// Test programs without a row, and rows without a program.
fn unmatched(programs: &BTreeSet<String>, table: &str, rows: &BTreeSet<String>) -> Vec<Complaint> {
    let named: BTreeSet<String> = quoted_after(table, ".program(").chain(rows.iter().cloned()).collect();
    let is_free = |program: &&String| NO_ROW.iter().any(|(name, _)| name == program);
    let alone = programs.iter().filter(|program| !named.contains(*program) && !is_free(program));
    let mut complaints: Vec<Complaint> = alone.map(|name| format!("testprogs/{name}.c:1: no row in integration/table.rs")).collect();
    // A row may borrow a program of another name.
    for (index, line) in table.lines().enumerate() {
        let Some(row) = quoted_after(line, " row(").next() else {
            continue;
        };
        let program = quoted_after(line, ".program(").next().unwrap_or(row);
        if !programs.contains(&program) {
            complaints.push(format!("integration/table.rs:{}: no program testprogs/{program}.c", index + 1));
        }
    }
    complaints
}

fn programs() -> BTreeSet<String> {
    let entries = fs::read_dir(workspace().join("testprogs")).into_iter().flatten().flatten();
    let name = |file: &str| file.strip_suffix(".c").or_else(|| file.strip_suffix(".cc")).map(str::to_owned);
    entries.filter_map(|entry| name(entry.file_name().to_str()?)).collect()
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
