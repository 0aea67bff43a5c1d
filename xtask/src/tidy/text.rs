//! Rules about a file by itself: its head, its length, words that must not be in it.

use super::Complaint;
use super::source::{Source, has_word};

/// The longest a file may be.
const MAX_LINES: usize = 600;
/// Longer files, each with the reason.
const LONG: &[(&str, &str)] = &[];
/// Words that must not land, each with what to do instead.
const FORBIDDEN: &[(&str, &str)] = &[
    ("#[ignore", "a test is run, or skipped with a reason that is counted"),
    (concat!("to", "do!"), "finish it, or return an error that says what is missing"),
    (concat!("unimpl", "emented!"), "finish it, or return an error that says what is missing"),
    (concat!("db", "g!"), "remove what was printed for debugging"),
];

/// Complaints about heads, lengths and words.
pub fn check(sources: &[Source]) -> Vec<Complaint> {
    sources.iter().flat_map(|source| [head(source), length(source), words(source)].concat()).collect()
}

fn head(source: &Source) -> Vec<Complaint> {
    // A file that opts in to unsafe code says so on its first line.
    let first = source.text.lines().find(|line| !line.starts_with("#![") && !line.is_empty());
    match first {
        Some(line) if line.starts_with("//!") => Vec::new(),
        _ => vec![source.at(1, "no head: start with `//!`: what it is, what it relies on, what it leaves to others")],
    }
}

fn length(source: &Source) -> Vec<Complaint> {
    let lines = source.text.lines().count();
    let is_listed = LONG.iter().any(|(path, _)| source.path.ends_with(path));
    if lines <= MAX_LINES || is_listed {
        return Vec::new();
    }
    vec![source.at(lines, &format!("{lines} lines: split it, or list it in xtask/src/tidy/text.rs with the reason"))]
}

fn words(source: &Source) -> Vec<Complaint> {
    // A library for C is made of what the compiler cannot check: pointers of callers, symbols, signal handlers. The page that the engine shares with it is not.
    let is_library = (source.is_under("libcr") || source.is_under("libcpr")) && !source.is_under("libcr/wire");
    let may_be_unsafe = source.is_under("src/sys") || source.path.ends_with("src/sys.rs") || is_library;
    let mut complaints = Vec::new();
    for (number, line) in source.code() {
        for (word, instead) in FORBIDDEN {
            if line.contains(word) {
                complaints.push(source.at(number, &format!("`{word}`: {instead}")));
            }
        }
        if !may_be_unsafe && has_word(&line, "unsafe") {
            complaints.push(source.at(number, "unsafe code outside src/sys, libcr and libcpr"));
        }
    }
    complaints
}
