//! Who may use whom: the arrows between the parts of the library.
//!
//! The table is the one of docs/architecture.md. Read are `use crate::…` and paths in the code, outside tests; tests may look anywhere.

use std::path::Component;

use super::Complaint;
use super::source::Source;

/// Each part with the parts it may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("sys", &["error"]),
    ("proc", &["error"]),
    ("image", &["error"]),
    ("tracee", &["sys", "proc", "error"]),
    ("resource", &["tracee", "proc", "image", "sys", "error"]),
    ("policy", &["image", "error"]),
    ("script", &["policy", "image", "proc", "sys", "error"]),
    ("engine", &["policy", "resource", "image", "tracee", "proc", "sys", "error"]),
    // cr_info shows what a context file says, without an engine; cr_restart handles signals of its own process.
    ("cli", &["engine", "script", "policy", "image", "sys", "error"]),
    ("bin", &["cli"]),
];

/// Complaints about arrows that are not in the table.
pub fn check(sources: &[Source]) -> Vec<Complaint> {
    let in_library = sources.iter().filter(|source| source.is_under("src"));
    in_library.flat_map(|source| part_of(source).map_or_else(Vec::new, |part| check_one(source, &part))).collect()
}

fn check_one(source: &Source, part: &str) -> Vec<Complaint> {
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == part) else {
        return vec![source.at(1, &format!("`{part}` is no part of the drawing; see xtask/src/tidy/arrow.rs"))];
    };
    let uses = used_parts(source).into_iter().filter(|(_, used)| {
        let is_part = ARROWS.iter().any(|(name, _)| name == used);
        is_part && used != part && !allowed.contains(&used.as_str())
    });
    uses.map(|(line, used)| source.at(line, &format!("`{part}` may not use `{used}`: move the shared idea down"))).collect()
}

/// The part a file of the library belongs to; the root itself belongs to none.
fn part_of(source: &Source) -> Option<String> {
    let Some(Component::Normal(first)) = source.path.components().nth(1) else {
        return None;
    };
    let name = first.to_str()?.trim_end_matches(".rs");
    (name != "lib").then(|| name.to_owned())
}

/// Every part that a file names, with the line it does so.
fn used_parts(source: &Source) -> Vec<(usize, String)> {
    let mut uses = Vec::new();
    let lines: Vec<(usize, String)> = source.code_without_tests().collect();
    for (index, (number, line)) in lines.iter().enumerate() {
        for root in ["crate::", "reprise::"] {
            for (at, _) in line.match_indices(root) {
                let rest = &line[at + root.len()..];
                let following = lines[index + 1..].iter().map(|(_, line)| line.as_str());
                let names = if rest.starts_with('{') { group(rest, following) } else { vec![identifier(rest)] };
                uses.extend(names.into_iter().map(|name| (*number, name)));
            }
        }
    }
    uses
}

/// The first names inside `{a::x, b::{y, z}}`, which may go on over the following lines.
fn group<'a>(start: &'a str, following: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut is_first = false;
    for line in std::iter::once(start).chain(following) {
        for (at, character) in line.char_indices() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' => {}
                character if is_first && !character.is_whitespace() => {
                    names.push(identifier(&line[at..]));
                }
                _ => continue,
            }
            if depth == 0 {
                return names;
            }
            is_first = depth == 1 && matches!(character, '{' | ',');
        }
    }
    names
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> String {
        let source = Source { path: "src/policy/x.rs".into(), text: text.to_owned() };
        used_parts(&source).into_iter().map(|(line, name)| format!("{line}:{name} ")).collect()
    }

    #[test]
    fn every_form_of_use_is_seen() {
        assert_eq!(parts("use crate::sys::fd;\n// crate::proc\nlet x = crate::image::load(crate::error::E);"), "1:sys 3:image 3:error ");
        assert_eq!(parts("use crate::{\n    error::{A, B},\n    sys,\n    image::*,\n};\n"), "1:error 1:sys 1:image ");
        assert_eq!(parts("#[cfg(test)]\nmod tests { use crate::sys; }"), "");
    }

    #[test]
    fn arrows_up_are_refused() {
        let source = |path: &str, text: &str| Source { path: path.into(), text: text.to_owned() };
        let sources = [source("src/policy/a.rs", "use crate::sys::x;"), source("src/tracee/a.rs", "use crate::sys::x;")];
        assert_eq!(check(&sources), ["src/policy/a.rs:1: `policy` may not use `sys`: move the shared idea down"]);
    }
}
