//! How fast context files are written and read, beside a plain write and read of the same bytes.
//!
//! `cargo bench --bench image`; set `TMPDIR` to measure another file system.

use std::fs::File;
use std::hint::black_box;
use std::io::{Seek, Write};
use std::os::unix::fs::FileExt;
use std::thread;

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use reprise::image::{
    Area, BLOCK_PAGES, Backing, Memory, MmFields, Origin, PAGE_BYTES, Process, Reader, Run, RunKind, Scope, Snapshot, Space, State, Table,
    Thread, Writer, checksum,
};

const BLOCK_BYTES: usize = BLOCK_PAGES * PAGE_BYTES;
/// 256 MiB of page contents, in full blocks.
const BLOCKS: u64 = 256;

fn snapshot() -> Snapshot {
    let end = BLOCKS * BLOCK_BYTES as u64;
    let area = Area {
        start: 0x1000,
        end: 0x1000 + end,
        prot: 3,
        shared: false,
        backing: Backing::Anonymous,
        flags: vec![],
        page_bytes: 4096,
        name: None,
        guards: vec![],
        key: 0,
    };
    let thread = Thread { tid: 1, dead: false, mask: 0, registers: vec![0; 216], xstate: vec![], records: vec![] };
    let process = Process {
        pid: 1,
        ppid: 0,
        pgid: 1,
        sid: 1,
        foreground: false,
        exit_signal: 17,
        state: State::Running,
        name: String::new(),
        command: String::new(),
        uid: 0,
        memory: Some(0),
        table: Some(0),
        records: vec![],
        threads: vec![thread],
        shares_fs_with: None,
        shares_handlers_with: None,
    };
    let (fields, auxv) = (MmFields::default(), vec![]);
    Snapshot {
        part: None,
        vdso: vec![],
        origin: Origin::default(),
        scope: Scope::Tree,
        ids: vec![1],
        scopes: vec![],
        processes: vec![process],
        memories: vec![Memory { parent: None, areas: vec![area], fields, auxv, exe: None, lock_future: 0, keys: 0 }],
        tables: vec![Table::default()],
        descriptions: vec![],
        objects: vec![],
        decisions: vec![],
        lost: vec![],
        kept: String::new(),
        annotations: vec![],
    }
}

fn block_data() -> Vec<u8> {
    (0..BLOCK_BYTES as u64 / 8).flat_map(|word| (word.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes()).collect()
}

fn empty_file() -> File {
    tempfile::tempfile().expect("a temporary file")
}

/// Calls `each` with every block number, on `n_threads` threads.
fn on_threads(n_threads: usize, each: impl Fn(u64) + Sync) {
    thread::scope(|scope| {
        for first in 0..n_threads as u64 {
            let each = &each;
            scope.spawn(move || (first..BLOCKS).step_by(n_threads).for_each(each));
        }
    });
}

fn save(file: File, snapshot: &Snapshot, data: &[u8], n_threads: usize) -> File {
    let writer = Writer::begin(file, snapshot).expect("a header");
    on_threads(n_threads, |number| {
        let run = Run { page: 1 + number * BLOCK_PAGES as u64, count: 256, kind: RunKind::Data };
        writer.put(Space::Memory(0), &[run], data).expect("a block");
    });
    writer.finish().expect("a trailer").1
}

fn bench_save(group: &mut BenchmarkGroup<'_, WallTime>) {
    let (snapshot, data) = (snapshot(), block_data());
    let old = |file: &File| file.try_clone().and_then(|mut file| file.rewind().map(|()| file)).expect("the same file");
    group.bench_function("plain write, new file", |b| {
        b.iter(|| {
            let mut file = empty_file();
            (0..BLOCKS).for_each(|_| file.write_all(&data).expect("a write"));
        });
    });
    for n_threads in [1, 2] {
        group.bench_function(format!("save, new file, {n_threads} threads"), |b| {
            b.iter(|| save(empty_file(), &snapshot, &data, n_threads));
        });
    }
    let file = save(empty_file(), &snapshot, &data, 1);
    group.bench_function("plain write, file in page cache", |b| {
        b.iter(|| (0..BLOCKS).for_each(|n| file.write_all_at(&data, n * BLOCK_BYTES as u64).expect("a write")));
    });
    for n_threads in [1, 2] {
        group.bench_function(format!("save, file in page cache, {n_threads} threads"), |b| {
            b.iter(|| save(old(&file), &snapshot, &data, n_threads));
        });
    }
}

fn bench_load(group: &mut BenchmarkGroup<'_, WallTime>) {
    let data = block_data();
    let file = save(empty_file(), &snapshot(), &data, 1);
    let again = || file.try_clone().and_then(|mut file| file.rewind().map(|()| file)).expect("the same file");
    group.bench_function("plain read", |b| {
        let mut data = data.clone();
        b.iter(|| (0..BLOCKS).for_each(|n| file.read_exact_at(&mut data, n * BLOCK_BYTES as u64).expect("a read")));
    });
    group.bench_function("load in order", |b| {
        b.iter(|| {
            let (mut reader, mut data) = (Reader::open(again()).expect("a header"), Vec::new());
            while reader.next_block(&mut data).expect("a block").is_some() {}
        });
    });
    group.bench_function("verify", |b| {
        b.iter(|| Reader::open(again()).and_then(|mut reader| reader.verify(&mut |_, _| ())).expect("a whole file"));
    });
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("checksum");
    let data = block_data();
    group.throughput(Throughput::Bytes(BLOCK_BYTES as u64));
    group.bench_function("1 MiB", |b| b.iter(|| checksum(black_box(&data))));
    group.finish();
    let mut group = criterion.benchmark_group("image");
    group.throughput(Throughput::Bytes(BLOCKS * BLOCK_BYTES as u64)).sample_size(10);
    bench_save(&mut group);
    bench_load(&mut group);
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
