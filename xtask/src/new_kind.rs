//! `cargo xtask new-kind SORT NAME`: the four places of a new kind.
//!
//! Its file, its test program, its line of the registry and its row of the integration table. The templates are in
//! `xtask/templates`, with NAME and TYPE to be replaced. The group's `mod.rs` and the reference page follow by
//! themselves. Relies on the registry and the table being lists with one entry a line; leaves filling in to the author.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::place::workspace;
use crate::{Outcome, docs};

/// A sort of kinds: how it is called here, where its files are, and which list of the registry names them.
struct Sort {
    name: &'static str,
    group: &'static str,
    list: &'static str,
}

const SORTS: &[Sort] = &[
    Sort { name: "file", group: "file", list: "FILE_KINDS" },
    Sort { name: "memory", group: "memory", list: "FILE_KINDS" },
    Sort { name: "process", group: "task", list: "PROCESS_KINDS" },
    Sort { name: "thread", group: "task", list: "THREAD_KINDS" },
];
const REGISTRY: &str = "src/resource/mod.rs";
const TABLE: &str = "integration/table.rs";

/// Makes the four places and says what to do next.
pub fn make(sort: &str, name: &str) -> Outcome {
    let names: Vec<&str> = SORTS.iter().map(|sort| sort.name).collect();
    let known = SORTS.iter().find(|known| known.name == sort);
    let sort = known.ok_or(format!("a kind is one of {}", names.join(", ")))?;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(format!("{name:?} is no name: lower case letters, digits and underscores"));
    }
    // Everything is read and decided before anything is written.
    let group = sort.group;
    let files = [
        (format!("src/resource/{group}/{name}.rs"), filled(&format!("{group}.rs"), name)?),
        (format!("testprogs/{name}.c"), filled("program.c", name)?),
    ];
    let module = format!("src/resource/{group}/mod.rs");
    let edits = [
        (module.clone(), with_module(&read(&module)?, name)),
        (REGISTRY.to_owned(), with_registry_line(sort, name)?),
        (TABLE.to_owned(), with_row(name)?),
    ];
    if let Some((path, _)) = files.iter().find(|(path, _)| workspace().join(path).exists()) {
        return Err(format!("{path} exists already"));
    }
    for (path, text) in files.iter().chain(&edits) {
        let path = workspace().join(path);
        fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    let _ = Command::new("rustfmt").args(["--edition", "2024"]).arg(workspace().join(&files[0].0)).status();
    docs::write()?;
    println!("Fill in {} and {}, then:\ncargo xtask docs && cargo xtask integration {name}", files[0].0, files[1].0);
    Ok(())
}

fn read(path: &str) -> Outcome<String> {
    let path: PathBuf = workspace().join(path);
    fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn filled(template: &str, name: &str) -> Outcome<String> {
    let text = read(&format!("xtask/templates/{template}"))?;
    Ok(text.replace("TYPE", &camel_case(name)).replace("NAME", name))
}

/// The registry with one more line in the list of the sort.
fn with_registry_line(sort: &Sort, name: &str) -> Outcome<String> {
    let line = format!("    &{}::{name}::{},", sort.group, camel_case(name));
    let with_line = insert_before_end(&read(REGISTRY)?, sort.list, &line);
    with_line.ok_or(format!("{REGISTRY} has no list {}", sort.list))
}

/// The group's `mod.rs` with one more module, in the order of names.
fn with_module(text: &str, name: &str) -> String {
    let line = format!("pub mod {name};");
    let mut lines: Vec<&str> = text.lines().collect();
    let is_module = |line: &str| line.starts_with("pub mod ") && line.ends_with(';');
    let later = lines.iter().position(|other| is_module(other) && *other > line.as_str());
    let last = lines.iter().rposition(|other| is_module(other)).map(|at| at + 1);
    lines.insert(later.or(last).unwrap_or(lines.len()), &line);
    lines.join("\n") + "\n"
}

/// The table with one more row, in the order of names.
fn with_row(name: &str) -> Outcome<String> {
    let text = read(TABLE)?;
    let line = format!("    row({name:?}),");
    let mut lines: Vec<&str> = text.lines().collect();
    let is_row = |line: &&str| line.starts_with("    row(\"");
    let first = lines.iter().position(is_row).ok_or(format!("{TABLE} has no rows"))?;
    let later = lines[first..].iter().position(|other| !is_row(other) || *other > line.as_str());
    lines.insert(first + later.unwrap_or(0), &line);
    Ok(lines.join("\n") + "\n")
}

/// Puts a line before the `];` that ends the list of this name.
fn insert_before_end(text: &str, list: &str, line: &str) -> Option<String> {
    let start = text.find(&format!("static {list}"))?;
    let end = start + text[start..].find("];")?;
    let end_of_entries = text[..end].trim_end_matches(' ');
    let gap = if end_of_entries.ends_with('\n') { "" } else { "\n" };
    Some(format!("{end_of_entries}{gap}{line}\n{}", &text[end..]))
}

fn camel_case(name: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').filter(|word| !word.is_empty()).map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::{camel_case, insert_before_end, with_module};

    #[test]
    fn modules_are_in_order() {
        assert_eq!(with_module("//! Head.\n\npub mod a;\npub mod c;\n", "b"), "//! Head.\n\npub mod a;\npub mod b;\npub mod c;\n");
        assert_eq!(with_module("pub mod a;\n\nuse x;\n", "b"), "pub mod a;\npub mod b;\n\nuse x;\n");
    }

    #[test]
    fn the_registry_gets_a_line() {
        let text = "static A_KINDS: &[X] = &[\n    &a::b::B,\n];\nstatic C_KINDS: &[X] = &[];\n";
        let with_one = insert_before_end(text, "A_KINDS", "    &a::c::C,").expect("the list is there");
        assert_eq!(with_one, "static A_KINDS: &[X] = &[\n    &a::b::B,\n    &a::c::C,\n];\nstatic C_KINDS: &[X] = &[];\n");
        assert!(insert_before_end(text, "C_KINDS", "    &c::d::D,").expect("the list is there").ends_with("&[\n    &c::d::D,\n];\n"));
    }

    #[test]
    fn names_become_types() {
        assert_eq!(camel_case("unix_socket"), "UnixSocket");
    }
}
