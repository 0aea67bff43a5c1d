//! Memory by kind, a row for each address space, and what of it stands in the file.

use super::layout::{maybe_size, size, table};
use super::tally::{ByKind, MemoryKind, Tally, sizes};
use crate::image::Snapshot;

/// The section; empty if all processes are zombies.
pub fn lines(snapshot: &Snapshot, tallies: &[Option<Tally>]) -> Vec<String> {
    if snapshot.memories.is_empty() {
        return Vec::new();
    }
    let headings: Vec<String> = MemoryKind::ALL.iter().map(|kind| kind.word().to_uppercase()).collect();
    let mut columns = vec!["OF"];
    columns.extend(headings.iter().map(String::as_str));
    columns.extend(["TOTAL", "SAVED"]);
    let mut in_all = ByKind::default();
    let mut rows = Vec::new();
    for ((id, memory), users) in snapshot.memories.iter().enumerate().zip(users(snapshot)) {
        let sizes = sizes(memory);
        in_all.iter_mut().zip(sizes).for_each(|(sum, size)| *sum += size);
        rows.push(row(users, &sizes, tallies.get(id).copied().flatten().map(|tally| tally.total())));
    }
    let saved = tallies.iter().copied().sum::<Option<Tally>>();
    if snapshot.memories.len() > 1 {
        rows.push(row("all".into(), &in_all, saved.map(|tally| tally.total())));
    }
    if let Some(tally) = saved {
        rows.push(row("saved".into(), &tally.saved, None).into_iter().map(|cell| cell.replace('?', "")).collect());
    }
    let mut lines = vec!["MEMORY".to_owned()];
    lines.extend(table(&columns, rows));
    lines
}

fn row(of: String, bytes: &ByKind, saved: Option<u64>) -> Vec<String> {
    let mut row = vec![of];
    row.extend(bytes.iter().map(|bytes| size(*bytes)));
    row.extend([size(bytes.iter().sum()), maybe_size(saved)]);
    row
}

/// For each address space the processes that use it.
fn users(snapshot: &Snapshot) -> Vec<String> {
    let mut users = vec![Vec::new(); snapshot.memories.len()];
    for process in &snapshot.processes {
        if let Some(memory) = process.memory {
            users[memory as usize].push(process.pid.to_string());
        }
    }
    users.into_iter().map(|pids| pids.join(", ")).collect()
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Tally>>(tallies: I) -> Tally {
        tallies.fold(Tally::default(), |mut sum, tally| {
            sum.saved.iter_mut().zip(tally.saved).for_each(|(sum, bytes)| *sum += bytes);
            sum
        })
    }
}
