//! How long it takes to understand `/proc`: a process of 5,000 areas, its status, a plain and a crowded descriptor.
//!
//! Only parsing is measured, not the kernel's writing of the text.

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use reprise::proc::{Fdinfo, MapEntry, Stat, Status};

const N_AREAS: u64 = 5_000;

/// The fields under an area, as Linux 6.18 writes them.
const FIELDS: &str = "Size:                 24 kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n\
    Rss:                   8 kB\nPss:                   8 kB\nPss_Dirty:             0 kB\nShared_Clean:          0 kB\n\
    Shared_Dirty:          0 kB\nPrivate_Clean:         8 kB\nPrivate_Dirty:         0 kB\nReferenced:            8 kB\n\
    Anonymous:             0 kB\nKSM:                   0 kB\nLazyFree:              0 kB\nAnonHugePages:         0 kB\n\
    ShmemPmdMapped:        0 kB\nFilePmdMapped:         0 kB\nShared_Hugetlb:        0 kB\nPrivate_Hugetlb:       0 kB\n\
    Swap:                  0 kB\nSwapPss:               0 kB\nLocked:                0 kB\nTHPeligible:           0\n\
    ProtectionKey:         0\nVmFlags: rd wr mr mw me ac \n";

fn maps(fields: &str) -> String {
    let mut text = String::new();
    for area in 0..N_AREAS {
        let start = 0x7f53_6125_c000 + area * 0x6000;
        let line = "fe:00 326279                     /usr/lib/x86_64-linux-gnu/libc.so.6";
        writeln!(text, "{start:x}-{:x} rw-p {:08x} {line}\n{fields}", start + 0x6000, area << 12).unwrap();
    }
    text.replace("\n\n", "\n")
}

fn areas(criterion: &mut Criterion) {
    let (smaps, maps) = (maps(FIELDS), maps(""));
    let mut group = criterion.benchmark_group("proc/areas");
    group.throughput(Throughput::Elements(N_AREAS));
    group.bench_function("smaps", |bench| bench.iter(|| MapEntry::parse_smaps(black_box(smaps.as_bytes())).unwrap()));
    group.bench_function("maps", |bench| bench.iter(|| MapEntry::parse_maps(black_box(maps.as_bytes())).unwrap()));
    group.finish();
}

fn process(criterion: &mut Criterion) {
    let status = std::fs::read("/proc/self/status").unwrap();
    let stat = std::fs::read("/proc/self/stat").unwrap();
    let mut group = criterion.benchmark_group("proc/process");
    group.bench_function("status", |bench| bench.iter(|| Status::parse(black_box(&status)).unwrap()));
    group.bench_function("stat", |bench| bench.iter(|| Stat::parse(black_box(&stat)).unwrap()));
    group.finish();
}

fn descriptors(criterion: &mut Criterion) {
    let plain = "pos:\t154\nflags:\t0100001\nmnt_id:\t27\nino:\t10035989\n".to_owned();
    let watch = "inotify wd:e ino:992323 sdev:fe00000 mask:20 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:23239900837969e8\n";
    let crowded = plain.clone() + &watch.repeat(1_000);
    let mut group = criterion.benchmark_group("proc/fdinfo");
    group.bench_function("file", |bench| bench.iter(|| Fdinfo::parse(black_box(plain.as_bytes())).unwrap()));
    group.bench_function("1000 watches", |bench| bench.iter(|| Fdinfo::parse(black_box(crowded.as_bytes())).unwrap()));
    group.finish();
}

criterion_group!(benches, areas, process, descriptors);
criterion_main!(benches);
