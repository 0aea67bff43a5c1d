//! The first lines: what the file is, when and where it was made, what was asked for.

use std::time::{Duration, SystemTime};

use indicatif::{BinaryBytes, HumanCount};

use super::Contents;
use crate::cli::text::count;
use crate::image::{Scope, Snapshot};

/// The heading.
pub fn lines(contents: &Contents) -> Vec<String> {
    let Contents { name, bytes, header, snapshot, .. } = contents;
    let origin = &snapshot.origin;
    let size = if *bytes == 0 { "a stream".to_owned() } else { BinaryBytes(*bytes).to_string() };
    let mut lines = vec![
        format!("{name}: {}, {}, {size}", processes(snapshot), threads(snapshot)),
        format!("  taken      {} on {} (Linux {}, {})", time(origin.realtime_ns), origin.host, origin.kernel, header.architecture),
        format!("  clocks     monotonic {}, since boot {}", lasted(origin.monotonic_ns), lasted(origin.boottime_ns)),
        format!("  asked for  {}", asked(snapshot)),
        format!("  written    by reprise {}, format {}, id {}", origin.program, header.version, hex(&header.id)),
        format!("  holds      {}", holds(snapshot)),
    ];
    if let Some(verified) = contents.verified {
        lines.push(format!(
            "  verified   every one of {} bytes, {} of them pages: intact",
            HumanCount(verified.bytes),
            HumanCount(verified.page_bytes)
        ));
    }
    lines
}

fn processes(snapshot: &Snapshot) -> String {
    count(snapshot.processes.len(), "process", "processes")
}

fn threads(snapshot: &Snapshot) -> String {
    count(snapshot.processes.iter().map(|process| process.threads.len()).sum(), "thread", "threads")
}

fn holds(snapshot: &Snapshot) -> String {
    let areas = snapshot.memories.iter().map(|memory| memory.areas.len()).sum();
    let descriptors = snapshot.tables.iter().map(|table| table.descriptors.len()).sum();
    [
        count(areas, "memory area", "memory areas"),
        count(descriptors, "descriptor", "descriptors"),
        count(snapshot.descriptions.len(), "open file", "open files"),
        count(snapshot.objects.len(), "object", "objects"),
    ]
    .join(", ")
}

fn asked(snapshot: &Snapshot) -> String {
    let mut last = None;
    let mut word = |(scope, id): (Scope, i64)| {
        let noun = if last.replace(scope) == Some(scope) { String::new() } else { format!("{} ", scope.noun()) };
        format!("{noun}{id}")
    };
    snapshot.targets().map(&mut word).collect::<Vec<_>>().join(", ")
}

/// A time span to the second.
fn lasted(ns: u64) -> String {
    humantime::format_duration(Duration::from_secs(ns / 1_000_000_000)).to_string()
}

/// A point in time, in UTC to the second.
pub fn time(ns_since_1970: u64) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(ns_since_1970);
    humantime::format_rfc3339_seconds(time).to_string().replace('T', " ").replace('Z', " UTC")
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
