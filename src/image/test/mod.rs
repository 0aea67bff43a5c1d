//! Tests of the context file as a whole: the sample job they share, and one file a question.

mod damage;
mod description;
mod old;
mod round_trip;
mod target;

use std::fs::File;
use std::io::{Seek, Write};

use super::*;

/// An open temporary file with these bytes, at its beginning.
fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

/// A job of a parent with two threads, its forked child, and a zombie; two memories, one table each, a pipe and a deleted file.
fn sample() -> Snapshot {
    let record = |kind: &str| Record { kind: kind.into(), version: 1, state: vec![0x80] };
    let object = |kind: &str, path: &str, content_bytes| Object { record: record(kind), path: path.into(), content_bytes };
    let descriptor = |fd, description| Descriptor { fd, cloexec: fd == 3, description };
    let mut child = process(101, 100, State::Stopped(19));
    child.memory = Some(1);
    child.table = Some(1);
    child.shares_fs_with = Some(0);
    let mut parent = process(100, 1, State::Running);
    parent.threads.push(Thread { tid: 104, ..thread(100) });
    let zombie = Process { memory: None, table: None, threads: vec![], ..process(102, 100, State::Zombie(256)) };
    Snapshot {
        lost: vec![Lost { pid: 40, sort: LostSort::Namespaces, what: "network namespace net:[1]".into() }],
        part: None,
        vdso: vec![],
        origin: Origin { program: "reprise 0.1.0".into(), host: "here".into(), ..Origin::default() },
        scope: Scope::Tree,
        ids: vec![100],
        scopes: vec![],
        processes: vec![parent, child, zombie],
        memories: vec![memory(None), memory(Some(0))],
        tables: vec![Table { descriptors: vec![descriptor(0, 0), descriptor(3, 1)] }, Table { descriptors: vec![descriptor(1, 1)] }],
        descriptions: vec![description(0), description(1)],
        objects: vec![object("pipe", "pipe:[7]", 0), object("regular", "/tmp/gone (deleted)", 10_000)],
        decisions: vec![Decision { about: "/tmp/gone".into(), verdict: "save".into(), by: "default".into() }],
        annotations: vec![("queue".into(), "long".into())],
        kept: r#"{"n":1}"#.into(),
    }
}

fn process(pid: i32, ppid: i32, state: State) -> Process {
    Process {
        pid,
        ppid,
        pgid: 100,
        sid: 100,
        foreground: true,
        exit_signal: 17,
        state,
        name: "sample".into(),
        command: "./sample --fast".into(),
        uid: 1000,
        memory: Some(0),
        table: Some(0),
        records: vec![],
        threads: vec![thread(pid)],
        shares_fs_with: None,
        shares_handlers_with: None,
    }
}

fn thread(tid: i32) -> Thread {
    Thread { tid, dead: false, mask: 0, registers: vec![1; 216], xstate: vec![2; 64], records: vec![] }
}

fn memory(parent: Option<MmId>) -> Memory {
    let area = |start, end, backing| Area {
        start,
        end,
        prot: 3,
        shared: false,
        backing,
        flags: vec!["rd".into(), "wr".into()],
        page_bytes: 4096,
        name: None,
        guards: vec![],
        key: 0,
    };
    Memory {
        parent,
        areas: vec![
            area(0x1000, 0x40_0000, Backing::Object { object: 1, offset: 0x1000 }),
            Area { guards: vec![(0x40_1000, 0x40_2000)], ..area(0x40_0000, 0x80_0000, Backing::Anonymous) },
            area(0x7fff_0000_0000, 0x7fff_0000_2000, Backing::Special("[vdso]".into())),
        ],
        fields: MmFields { brk: 0x80_0000, ..MmFields::default() },
        auxv: vec![0; 32],
        exe: Some(1),
        lock_future: 0,
        keys: 0,
    }
}

fn description(object: ObjectId) -> Description {
    Description { object, part: 0, flags: 2, offset: 4, owner: Some((1, 100)), signal: 10, locks: vec![] }
}

/// A block of the sample's pages, with contents.
struct Put {
    space: Space,
    runs: Vec<Run>,
    data: Vec<u8>,
}

fn put(space: Space, runs: &[(u64, u32, RunKind)]) -> Put {
    let runs: Vec<Run> = runs.iter().map(|&(page, count, kind)| Run { page, count, kind }).collect();
    let mut data = Vec::new();
    for run in runs.iter().filter(|run| run.kind == RunKind::Data) {
        for page in run.page..run.page + u64::from(run.count) {
            data.extend((0..512).flat_map(|word: u64| (page * 1_000_003 + word * word + space_salt(space)).to_le_bytes()));
        }
    }
    Put { space, runs, data }
}

fn space_salt(space: Space) -> u64 {
    match space {
        Space::Memory(id) => u64::from(id) << 40,
        Space::Object(id) => u64::from(id) << 50,
    }
}

/// Blocks of both memories and of the deleted file; few pages, so that tests may visit every byte.
fn sample_blocks() -> Vec<Put> {
    use RunKind::{Data, Same, Zero};
    vec![
        put(Space::Memory(0), &[(1, 1, Data), (3, 90, Zero), (100, 1, Data)]),
        put(Space::Memory(0), &[(200, 1, Data)]),
        put(Space::Memory(1), &[(1, 2, Same), (100, 1, Data), (300, 5, Zero)]),
        put(Space::Object(1), &[(0, 1, Zero), (2, 1, Data)]),
    ]
}

/// The bytes of a whole context file.
fn image(snapshot: &Snapshot, blocks: &[Put]) -> Vec<u8> {
    let writer = Writer::begin(tempfile::tempfile().unwrap(), snapshot).unwrap();
    for block in blocks {
        writer.put(block.space, &block.runs, &block.data).unwrap();
    }
    let (saved, file) = writer.finish().unwrap();
    bytes_of(file, saved.bytes)
}

fn bytes_of(mut file: File, bytes: u64) -> Vec<u8> {
    let mut image = Vec::new();
    file.rewind().unwrap();
    std::io::Read::read_to_end(&mut file, &mut image).unwrap();
    assert_eq!(image.len() as u64, bytes);
    image
}

/// Hands `bytes` to `read` through a pipe.
fn through_pipe<T>(bytes: &[u8], read: impl FnOnce(File) -> T) -> T {
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::thread::scope(|scope| {
        // A reader that has seen enough closes its end; what is left is lost then, and that is fine.
        scope.spawn(move || drop(writer.write_all(bytes)));
        read(File::from(std::os::fd::OwnedFd::from(reader)))
    })
}

/// Reads a stream or a file to its end in order.
fn read_all(file: File) -> Result<(Snapshot, Vec<Put>), ImageError> {
    let mut reader = Reader::open(file)?;
    let mut blocks = Vec::new();
    loop {
        let mut data = Vec::new();
        let Some(Block { space, runs }) = reader.next_block(&mut data)? else { break };
        blocks.push(Put { space, runs, data });
    }
    assert!(reader.next_block(&mut Vec::new())?.is_none());
    Ok((Snapshot::clone(reader.snapshot()), blocks))
}
