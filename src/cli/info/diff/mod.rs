//! `cr_info --diff A B`: what is different between two context files.
//!
//! Relies on [`Saved`] for both. Processes are matched by their ids; everything that describes them is compared as named facts (`image::facts`), and the
//! contents of their memory page by page (`page`).

mod page;

use std::collections::BTreeSet;
use std::path::Path;

use indicatif::BinaryBytes;
use serde::Serialize;

use super::tally::{ByKind, MemoryKind};
use crate::engine::saved::Saved;
use crate::error::Failure;
use crate::image::facts::{self, Change, changes};
use crate::image::{Process, Snapshot};
use page::PageChange;

/// As many changes of one process are listed before the rest is only counted, unless `-v` asks for all.
const MOST_CHANGES: usize = 40;

/// What is different about a process that both files have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct ProcessChange {
    pid: i32,
    changes: Vec<Change>,
    pages: Option<PageChange>,
}

/// All differences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Whether there are none but those of time and place of the checkpoint.
    pub same: bool,
    /// About the files themselves.
    job: Vec<Change>,
    /// Processes of the first file only.
    gone: Vec<i32>,
    /// Processes of the second file only.
    new: Vec<i32>,
    changed: Vec<ProcessChange>,
}

/// Compares two context files, or directories of them.
pub fn compare(first: &Path, second: &Path) -> Result<Difference, Failure> {
    let (a, b) = (Saved::open(first)?, Saved::open(second)?);
    let pids = |saved: &Saved| saved.snapshot().processes.iter().map(|process| process.pid).collect::<BTreeSet<i32>>();
    let (in_a, in_b) = (pids(&a), pids(&b));
    let changed = in_a.intersection(&in_b).map(|pid| of_process(&a, &b, *pid)).collect::<Result<Vec<_>, _>>()?;
    let changed: Vec<ProcessChange> = changed.into_iter().flatten().collect();
    let (gone, new): (Vec<i32>, Vec<i32>) = (in_a.difference(&in_b).copied().collect(), in_b.difference(&in_a).copied().collect());
    let job = changes(&facts::of_job(a.snapshot()), &facts::of_job(b.snapshot()));
    let same = changed.is_empty() && gone.is_empty() && new.is_empty() && job.iter().all(|change| change.what.starts_with("origin."));
    Ok(Difference { same, job, gone, new, changed })
}

fn of_process(a: &Saved, b: &Saved, pid: i32) -> Result<Option<ProcessChange>, Failure> {
    let (one, other) = (process(a.snapshot(), pid), process(b.snapshot(), pid));
    let changes = changes(&facts::of_process(a.snapshot(), one), &facts::of_process(b.snapshot(), other));
    let pages = one.memory.zip(other.memory).map(|(one, other)| page::compare((a, one), (b, other))).transpose()?;
    let pages = pages.filter(|pages| 0 < pages.total());
    Ok((pages.is_some() || !changes.is_empty()).then_some(ProcessChange { pid, changes, pages }))
}

fn process(snapshot: &Snapshot, pid: i32) -> &Process {
    snapshot.processes.iter().find(|process| process.pid == pid).expect("both files have it")
}

impl Difference {
    /// The text for people; `all` changes, or the first of each process.
    pub fn text(&self, names: (&Path, &Path), all: bool) -> String {
        let mut lines = vec![format!("{} → {}", names.0.display(), names.1.display())];
        if self.same {
            lines.push("  the same job in the same state".into());
        }
        lines.extend(self.job.iter().map(line));
        lines.extend(self.gone.iter().map(|pid| format!("process {pid}: only in the first")));
        lines.extend(self.new.iter().map(|pid| format!("process {pid}: only in the second")));
        for process in &self.changed {
            lines.push(format!("process {}", process.pid));
            let most = if all { usize::MAX } else { MOST_CHANGES };
            lines.extend(process.changes.iter().take(most).map(line));
            match process.changes.len().saturating_sub(most) {
                0 => {}
                more => lines.push(format!("  and {more} more; -v shows them all")),
            }
            lines.extend(process.pages.iter().flat_map(pages));
        }
        lines.join("\n")
    }
}

fn line(change: &Change) -> String {
    format!("  {change}")
}

fn pages(change: &PageChange) -> Vec<String> {
    let row = |word: &str, bytes: &ByKind| {
        let kinds = MemoryKind::ALL.iter().zip(bytes).filter(|(_, bytes)| **bytes > 0);
        let kinds: Vec<String> = kinds.map(|(kind, bytes)| format!("{} {}", BinaryBytes(*bytes), kind.word())).collect();
        (!kinds.is_empty()).then(|| format!("  memory {word}: {}", kinds.join(", ")))
    };
    [row("changed", &change.changed), row("new", &change.new), row("gone", &change.gone)].into_iter().flatten().collect()
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn the_text_says_what_differs_and_how_much_more_there_is() {
        let change = |index: usize| Change { what: format!("f{index}"), from: None, to: Some("x\n".into()) };
        let pages = PageChange { changed: [4096, 0, 8192, 0, 0, 0], ..PageChange::default() };
        let changed = vec![ProcessChange { pid: 7, changes: (0..42).map(change).collect(), pages: Some(pages) }];
        let difference = Difference { same: false, job: vec![], gone: vec![5], new: vec![6], changed };
        let text = difference.text((Path::new("a"), Path::new("b")), false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..5], ["a → b", "process 5: only in the first", "process 6: only in the second", "process 7", "  f0: new, x?"]);
        assert_eq!(lines[44..], ["  and 2 more; -v shows them all", "  memory changed: 4.00 KiB heap, 8.00 KiB stack"]);
        assert_eq!(difference.text((Path::new("a"), Path::new("b")), true).lines().count(), 4 + 42 + 1);
    }
}
