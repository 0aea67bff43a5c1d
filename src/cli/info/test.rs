//! A context file made up for the tests, and what `cr_info` says about it.

use std::sync::Arc;

use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::{Value, json};

use super::*;
use crate::image::*;

/// A value from its fields by name, as a context file has them; fields that are not said have their defaults.
fn from<T: serde::de::DeserializeOwned>(fields: Value) -> T {
    serde_json::from_value(fields).unwrap()
}

/// A private area.
pub fn area(start: u64, end: u64, backing: Value) -> Area {
    from(json!({
        "start": start, "end": end, "prot": 3, "shared": false, "backing": backing, "flags": [], "page_bytes": 4096,
    }))
}

/// One area of each kind: files, heap, anonymous, shared, stack, kernel.
pub fn memory() -> Memory {
    let areas = vec![
        area(0x8000, 0xa000, json!({"object": {"object": 0, "offset": 0}})),
        area(0x10000, 0x14000, json!("anonymous")),
        area(0x15000, 0x18000, json!("anonymous")),
        Area { shared: true, ..area(0x20000, 0x28000, json!({"object": {"object": 3, "offset": 0}})) },
        area(0x30000, 0x38000, json!("anonymous")),
        area(0x40000, 0x41000, json!({"special": "[vdso]"})),
    ];
    let fields = MmFields { start_brk: 0x10000, brk: 0x14000, start_stack: 0x37f00, ..MmFields::default() };
    from(json!({"parent": null, "areas": areas, "fields": fields, "auxv": [], "exe": 0}))
}

fn process(pid: i32, ppid: i32, state: Value, command: &str) -> Value {
    let ended = state.get("zombie").is_some();
    let thread = json!({"tid": pid, "registers": [1, 2], "xstate": [], "records": []});
    json!({
        "pid": pid, "ppid": ppid, "pgid": 42, "sid": 42, "exit_signal": libc::SIGCHLD, "state": state,
        "name": command.split(' ').next(), "command": if ended { "" } else { command }, "uid": 1000,
        "memory": (!ended).then_some(0), "table": (!ended).then_some(0), "records": [],
        "threads": if ended { json!([]) } else { json!([thread]) },
    })
}

#[derive(serde::Serialize)]
struct PipeV1 {
    bytes: u32,
}

fn object(kind: &'static str, path: &str, content_bytes: u64) -> Object {
    let record = Record::encode(Tag::new(kind, 1), &PipeV1 { bytes: 5 }).unwrap();
    Object { record, path: path.into(), content_bytes }
}

fn description(object: u32, flags: i32, offset: u64) -> Value {
    json!({"object": object, "flags": flags, "offset": offset})
}

fn snapshot() -> Snapshot {
    let origin = Origin {
        program: "0.1.0".into(),
        kernel: "6.18.44".into(),
        host: "node7".into(),
        realtime_ns: 1_800_000_000_000_000_000,
        ..Origin::default()
    };
    let descriptors = [(0, 0), (1, 1), (2, 1), (5, 2)];
    let descriptors = descriptors.map(|(fd, description)| Descriptor { fd, cloexec: false, description });
    let mut snapshot: Snapshot = from(json!({
        "origin": origin,
        "scope": "tree",
        "ids": [42],
        "processes": [
            process(42, 1, json!("running"), "bash ./job.sh"),
            process(43, 42, json!({"stopped": libc::SIGTSTP}), "awk -f sum.awk\nx"),
            process(44, 43, json!({"zombie": 0x0300}), "gzip"),
            process(45, 42, json!({"zombie": 9}), "sort"),
            process(99, 1, json!("running"), "stray --all"),
        ],
        "memories": [memory()],
        "tables": [{"descriptors": descriptors}],
        "descriptions": [
            description(1, libc::O_RDONLY, 120),
            description(2, libc::O_WRONLY | libc::O_APPEND, 0),
            description(4, libc::O_RDWR, 0),
        ],
        "objects": [],
        "decisions": [{"about": "/data/out.log", "verdict": "append", "by": "policy.lua:12"}],
        "annotations": [["ticket", "HPC-77"]],
    }));
    snapshot.objects = vec![
        object("regular", "/usr/bin/bash", 0),
        object("regular", "/data/in.csv", 0),
        object("regular", "/data/out.log", 0),
        object("memfd", "memfd:ring (deleted)", 0x8000),
        object("pipe", "pipe:[1234]", 0),
    ];
    snapshot
}

fn contents() -> Contents {
    let header = Header {
        version: 1,
        page_bytes: 4096,
        architecture: "x86_64".into(),
        flags: 0,
        id: *b"0123456789abcdef",
        created_ns: 0,
        metadata_bytes: 100,
        metadata_crc: 0,
    };
    let tally = Tally { saved: [0x1000, 0x2000, 0x1000, 0x1000, 0, 0] };
    let verified = Some(Verified { bytes: 1_234_567, blocks: 3, page_bytes: 0x5000 });
    Contents { name: "context.42".into(), bytes: 1_234_567, header, snapshot: Arc::new(snapshot()), tallies: vec![Some(tally)], verified }
}

#[test]
fn the_page_for_people() {
    assert_snapshot!(page(&contents()));
}

#[test]
fn a_stream_has_unknown_sizes() {
    let contents = Contents { bytes: 0, tallies: vec![None], verified: None, ..contents() };
    let page = page(&contents);
    assert!(page.starts_with("context.42: 5 processes, 3 threads, a stream\n"), "{page}");
    assert!(page.contains('?') && !page.contains("verified"), "{page}");
}

#[test]
fn json_shows_records_decoded_and_bytes_as_digits() {
    let object = super::json::object(&contents()).unwrap();
    assert_json_snapshot!(object["snapshot"]["objects"][4], @r#"
    {
      "content_bytes": 0,
      "path": "pipe:[1234]",
      "record": {
        "kind": "pipe",
        "state": {
          "bytes": 5
        },
        "version": 1
      }
    }
    "#);
    assert_eq!(object["snapshot"]["processes"][0]["threads"][0]["registers"], "0102");
    assert_eq!(object["memory"][0]["saved"]["heap"], 0x1000);
    assert_eq!(object["snapshot"]["processes"].as_array().unwrap().len(), 5);
}

fn ran(words: &[&str]) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = words.iter().map(OsString::from);
    let status = run(args, &mut Streams { out: &mut out, err: &mut err });
    (status, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn written() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let writer = Writer::begin(file.reopen().unwrap(), &snapshot()).unwrap();
    let runs = [Run { page: 0x10, count: 1, kind: RunKind::Data }, Run { page: 0x11, count: 2, kind: RunKind::Zero }];
    writer.put(Space::Memory(0), &runs, &[7; 4096]).unwrap();
    writer.finish().unwrap();
    file
}

#[test]
fn a_real_file_is_shown_and_verified() {
    let file = written();
    let (status, out, err) = ran(&["--verify", file.path().to_str().unwrap()]);
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("4.00 KiB") && out.contains(": intact"), "{out}");
    let (status, out, _) = ran(&["--json", file.path().to_str().unwrap()]);
    let object: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, &object["memory"][0]["saved"]["heap"]), (0, &json!(4096)));
}

#[test]
fn a_damaged_file_fails_verification_with_5() {
    let file = written();
    let mut bytes = std::fs::read(file.path()).unwrap();
    let at = bytes.windows(64).position(|bytes| bytes == [7; 64]).unwrap();
    bytes[at] ^= 1;
    std::fs::write(file.path(), bytes).unwrap();
    assert_eq!(ran(&[file.path().to_str().unwrap()]).0, 0, "contents are only read by --verify");
    let (status, out, err) = ran(&["--verify", file.path().to_str().unwrap()]);
    assert_eq!((status, out.as_str()), (5, ""));
    assert!(err.starts_with(&format!("Cannot read {}: Input/output error\n", file.path().display())), "{err}");
    let (_, out, err) = ran(&["--verify", "--json", file.path().to_str().unwrap()]);
    assert!(out.contains("\"ok\":false") && err.is_empty(), "{out}");
}

#[test]
fn missing_and_foreign_files_and_wrong_command_lines() {
    let (status, _, err) = ran(&["/nonexistent/c"]);
    assert_eq!(status, 2);
    assert_snapshot!(err, @r"
    Cannot read /nonexistent/c: No such file or directory
      cannot open it: No such file or directory
      class env (the machine must be put right)
    ");
    let (status, _, err) = ran(&["/etc/passwd", "/nonexistent/c"]);
    assert_eq!(status, 22, "the first problem counts");
    assert!(err.contains("/nonexistent/c"), "the second file is still looked at");
    assert_eq!(ran(&[]).0, 255);
    assert_eq!(ran(&["-q", "--bogus"]), (255, String::new(), String::new()));
    assert_eq!(ran(&["--version"]).1, format!("cr_info version {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn help_text() {
    assert_snapshot!(program().command().term_width(110).render_help().to_string());
}
