//! One context file of every format is kept in `integration/images` and must load for ever.

use std::path::Path;

use super::*;

fn kept(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/images").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Written by 0.1.0 from the sample job of these tests, as it was then.
#[test]
fn format_1() {
    let (snapshot, blocks) = read_all(file_of(&kept("format-1.cr"))).unwrap();
    let pids: Vec<i32> = snapshot.processes.iter().map(|process| process.pid).collect();
    assert_eq!((pids, snapshot.scope, snapshot.ids), (vec![100, 101, 102], Scope::Tree, vec![100]));
    assert_eq!(snapshot.processes[0].threads.len(), 2);
    assert_eq!(snapshot.processes[1].shares_fs_with, Some(0));
    assert_eq!(snapshot.memories[0], memory(None));
    assert_eq!(snapshot.tables[0].descriptors.len(), 2);
    let objects: Vec<(&str, u64)> = snapshot.objects.iter().map(|object| (object.record.kind.as_str(), object.content_bytes)).collect();
    assert_eq!(objects, [("pipe", 0), ("regular", 10_000)]);
    assert_eq!(snapshot.annotations, [("queue".to_owned(), "long".to_owned())]);
    assert_eq!(snapshot.kept, r#"{"n":1}"#);
    let expected = sample_blocks();
    assert_eq!(blocks.len(), expected.len());
    for (found, expected) in blocks.iter().zip(&expected) {
        assert_eq!((found.space, &found.runs, &found.data), (expected.space, &expected.runs, &expected.data));
    }
}
