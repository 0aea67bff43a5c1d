//! `cargo xtask docs`: the reference pages that are made from sources: docs/kinds.md and docs/hooks.md.
//!
//! One file a page. Leaves prose that has no source to the other pages of `docs/`.

pub mod hooks;
pub mod kinds;
pub mod meta;

use std::fs;

use crate::Outcome;
use crate::place::workspace;
use crate::tidy::source::Source;

/// The pages with their texts as they must be now.
fn pages(sources: &[Source]) -> Result<[(&'static str, String); 2], String> {
    Ok([(kinds::PAGE, kinds::page(sources)), (hooks::PAGE, hooks::page()?)])
}

/// Writes all pages.
pub fn write() -> Outcome {
    for (path, text) in pages(&Source::all())? {
        fs::write(workspace().join(path), text).map_err(|error| format!("cannot write {path}: {error}"))?;
    }
    Ok(())
}

/// A complaint for each page that is not what would be written now.
pub fn stale(sources: &[Source]) -> Vec<String> {
    let pages = match pages(sources) {
        Ok(pages) => pages,
        Err(error) => return vec![error],
    };
    let is_stale = |(path, text): &(&str, String)| fs::read_to_string(workspace().join(path)).unwrap_or_default() != *text;
    pages.iter().filter(|page| is_stale(page)).map(|(path, _)| format!("{path}:1: out of date: run cargo xtask docs")).collect()
}
