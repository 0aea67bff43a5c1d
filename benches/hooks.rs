//! What hook scripts cost: loading one, and events that no handler, no filter or a handler wants.
//!
//! `cargo bench --bench hooks`. Every script runs in a process of its own, as in `cr_checkpoint`.

use std::fs;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use reprise::policy::Policy;
use reprise::policy::event::{Event, FileEvent, JobEvent};
use reprise::script::Forked;
use reprise::script::{LuaPolicy, Options};

/// Files of a large job.
const FILES: usize = 10_000;

fn options(script: &str) -> (tempfile::TempDir, Options) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.lua");
    fs::write(&path, format!("local cr = require 'cr'\n{script}")).unwrap();
    let options = Options { files: vec![path], ..Options::default() };
    (directory, options)
}

fn load(script: &str) -> LuaPolicy {
    let (_directory, options) = options(script);
    LuaPolicy::load(&options, &Forked).unwrap_or_else(|error| panic!("{error}"))
}

fn bench(criterion: &mut Criterion) {
    let (_directory, options) = options("cr.on('process', function() return 'omit' end)");
    criterion.bench_function("load", |bencher| bencher.iter(|| LuaPolicy::load(&options, &Forked).unwrap()));

    let job = Event::PreCheckpoint(JobEvent::default());
    let mut policy = load("");
    criterion.bench_function("event without a handler", |bencher| bencher.iter(|| black_box(policy.hears(job.name()))));
    let mut policy_with = load("cr.on('pre-checkpoint', function(job) return nil end)");
    criterion.bench_function("event with a handler", |bencher| bencher.iter(|| policy_with.decide(&job).unwrap()));

    let files: Vec<Event> = (0..FILES).map(file).collect();
    let mut group = criterion.benchmark_group("10000 files");
    group.sample_size(10).throughput(Throughput::Elements(FILES as u64));
    for (name, script) in [
        ("no filter matches", "cr.on('file-disposition', {path = '/scratch/**', writable = true}, function(file) return 'replace' end)"),
        ("a filter matches", "cr.on('file-disposition', {path = '/data/**', writable = true}, function(file) return 'append' end)"),
    ] {
        policy = load(script);
        group.bench_function(name, |bencher| bencher.iter(|| files.iter().for_each(|file| drop(black_box(policy.decide(file).unwrap())))));
    }
    group.finish();
}

fn file(index: usize) -> Event {
    Event::FileDisposition(FileEvent {
        pid: 4711,
        path: format!("/data/run/{}/part-{index}.dat", index / 100),
        kind: "regular".into(),
        flags: vec!["O_RDWR".into(), "O_CLOEXEC".into()],
        writable: true,
        size: 1 << 20,
        ..FileEvent::default()
    })
}

criterion_group!(benches, bench);
criterion_main!(benches);
