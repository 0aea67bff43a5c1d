//! The picture of a job: its processes as a tree, and its memory by kind as bars.
//!
//! Pure.

use std::collections::BTreeMap;

use indicatif::BinaryBytes;

use crate::engine::look::{Kinds, Seen};

/// The lines of a picture, at most `width` columns wide.
pub fn lines(members: &[Seen], kinds: &Kinds, width: usize) -> Vec<String> {
    let mut lines = tree(members);
    lines.push(String::new());
    lines.extend(bars(kinds, width));
    lines
}

fn tree(members: &[Seen]) -> Vec<String> {
    let mut children: BTreeMap<i32, Vec<&Seen>> = BTreeMap::new();
    let mut roots = Vec::new();
    for one in members {
        if members.iter().any(|other| other.pid == one.ppid) {
            children.entry(one.ppid).or_default().push(one);
        } else {
            roots.push(one);
        }
    }
    let mut lines = Vec::new();
    for root in roots {
        branch(root, "", "", &mut children, &mut lines);
    }
    lines
}

fn branch<'a>(one: &'a Seen, own: &str, below: &str, children: &mut BTreeMap<i32, Vec<&'a Seen>>, lines: &mut Vec<String>) {
    lines.push(format!("{own}{} {}  {}", one.pid, BinaryBytes(one.bytes), one.command));
    let all = children.remove(&one.pid).unwrap_or_default();
    for (number, child) in all.iter().enumerate() {
        let is_last = number + 1 == all.len();
        let (mark, space) = if is_last { ("└─", "  ") } else { ("├─", "│ ") };
        branch(child, &format!("{below}{mark}"), &format!("{below}{space}"), children, lines);
    }
}

fn bars(kinds: &Kinds, width: usize) -> Vec<String> {
    let all = kinds.named();
    let total: u64 = all.iter().map(|(_, bytes)| bytes).sum();
    let room = width.saturating_sub(24).clamp(4, 60);
    let bar = |(name, bytes): &(&str, u64)| {
        let length = usize::try_from(bytes.saturating_mul(room as u64).checked_div(total.max(1)).unwrap_or(0)).unwrap_or(room);
        let length = if *bytes > 0 { length.max(1) } else { 0 };
        format!("{name:9} {:>11}  {}", BinaryBytes(*bytes).to_string(), "█".repeat(length))
    };
    all.iter().map(bar).chain([format!("{:9} {:>11}", "all", BinaryBytes(total).to_string())]).collect()
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_tree_and_bars() {
        let one = |pid, ppid, command: &str| Seen { pid, ppid, command: command.into(), bytes: 4096, ..Seen::default() };
        let members = [one(7, 1, "sh"), one(8, 7, "sort"), one(9, 7, "uniq"), one(10, 8, "cat")];
        let kinds = Kinds { heap: 3 << 20, anonymous: 1 << 20, ..Kinds::default() };
        let drawn = lines(&members, &kinds, 40);
        assert_eq!(drawn[..4], ["7 4.00 KiB  sh", "├─8 4.00 KiB  sort", "│ └─10 4.00 KiB  cat", "└─9 4.00 KiB  uniq"]);
        assert_eq!(drawn[5], format!("heap         3.00 MiB  {}", "█".repeat(12)));
        assert_eq!(drawn[6], format!("anonymous    1.00 MiB  {}", "█".repeat(4)));
        assert_eq!(drawn.last().unwrap(), "all          4.00 MiB");
    }
}
