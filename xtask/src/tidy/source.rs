//! The Rust files of the tree, with what the checks ask of their text.
//!
//! Lines of code are found without a parser: comments are cut off and strings are blanked, which is exact enough for rules about words. Relies on
//! rustfmt having laid the files out.

use std::fs;
use std::path::{Path, PathBuf};

use crate::place::workspace;

/// Directories with Rust files.
const ROOTS: &[&str] = &["src", "xtask", "integration", "benches", "tests", "hooks", "lua", "libcr", "libcpr"];
/// Directories below them that hold no sources.
const SKIPPED: &[&str] = &["target", "failed", "templates"];

/// One Rust file.
pub struct Source {
    /// Its path from the root of the repository.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

impl Source {
    /// Every Rust file of the repository, by path.
    pub fn all() -> Vec<Source> {
        let mut sources = Vec::new();
        for root in ROOTS {
            walk(&workspace().join(root), &mut sources);
        }
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        sources
    }

    /// Lines of code with their numbers from 1: no comments, and strings emptied.
    pub fn code(&self) -> impl Iterator<Item = (usize, String)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, code_of(line)))
    }

    /// The same without the tests, which stand last in a file.
    pub fn code_without_tests(&self) -> impl Iterator<Item = (usize, String)> {
        self.code().take_while(|(_, line)| line.trim() != "#[cfg(test)]")
    }

    /// Whether it lies under a directory of the repository.
    pub fn is_under(&self, directory: &str) -> bool {
        self.path.starts_with(directory)
    }

    /// A complaint about one of its lines.
    pub fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path.display())
    }
}

fn walk(directory: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let skipped = SKIPPED.iter().any(|name| path.ends_with(name));
        if path.is_dir() && !skipped {
            walk(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let path = path.strip_prefix(workspace()).expect("a path in the workspace").to_owned();
            sources.push(Source { path, text });
        }
    }
}

fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut characters = line.chars().peekable();
    let mut in_string = false;
    while let Some(character) = characters.next() {
        match character {
            '\\' if in_string => drop(characters.next()),
            // A quoted quotation mark is not the start of a string.
            '\'' if !in_string && characters.peek() == Some(&'"') => drop(characters.next()),
            '"' => {
                in_string = !in_string;
                code.push('"');
            }
            '/' if !in_string && characters.peek() == Some(&'/') => break,
            _ if in_string => {}
            character => code.push(character),
        }
    }
    code
}

/// Whether a word stands in a line of code, not as a part of a longer one.
pub fn has_word(code: &str, word: &str) -> bool {
    let is_part = |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word).any(|(at, _)| {
        let (before, after) = (code[..at].chars().next_back(), code[at + word.len()..].chars().next());
        !is_part(before) && !is_part(after)
    })
}

#[cfg(test)]
mod tests {
    use super::{code_of, has_word};

    #[test]
    fn comments_and_strings_are_no_code() {
        assert_eq!(code_of(r#"let a = "un//safe \" x"; // unsafe"#), r#"let a = ""; "#);
        assert_eq!(code_of("    /// unsafe"), "    ");
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("    unsafe { x }", "unsafe"));
        assert!(!has_word("#![deny(unsafe_code)]", "unsafe"));
    }
}
