//! Two ways from a job's memory into a context file: read by us and written from a small buffer, or written by the job itself.
//!
//! `cargo bench --bench mover`; set `TMPDIR` to measure another file system. A job's own write is measured as our own write of our own memory,
//! which is the same work for the kernel. Every byte must be checksummed, so the job's write needs a second look at the bytes; the bare
//! write is there to show what the checksum costs.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use reprise::image::checksum;
use reprise::sys::{process, procvm};

const BLOCK_BYTES: usize = 1 << 20;
/// 128 MiB.
const BLOCKS: usize = 128;

/// The job: a paused copy of ourselves, with the same bytes at the same address.
struct Job {
    pid: i32,
    memory: Vec<u8>,
}

impl Job {
    fn new() -> Job {
        let memory: Vec<u8> = (0..BLOCKS * BLOCK_BYTES).map(|n| n.to_le_bytes()[n % 3]).collect();
        Job { pid: process::fork_paused().expect("fork"), memory }
    }

    fn blocks(&self) -> impl Iterator<Item = (u64, &[u8])> {
        (0..).zip(self.memory.chunks(BLOCK_BYTES)).map(|(index, block)| (index * BLOCK_BYTES as u64, block))
    }

    fn read(&self, block: &[u8], buffer: &mut [u8]) {
        let read = procvm::read(self.pid, block.as_ptr() as u64, buffer).expect("read the copy");
        assert_eq!(read, BLOCK_BYTES);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.pid);
        kill(pid, Signal::SIGKILL).and_then(|()| waitpid(pid, None)).expect("end the copy");
    }
}

/// What the engine does.
fn read_and_write(job: &Job, file: &File) {
    let mut buffer = vec![0; BLOCK_BYTES];
    for (at, block) in job.blocks() {
        job.read(block, &mut buffer);
        black_box(checksum(&buffer));
        file.write_all_at(&buffer, at).expect("write");
    }
}

/// The job writes, and we read the same bytes for the checksum.
fn write_in_job(job: &Job, file: &File) {
    let mut buffer = vec![0; BLOCK_BYTES];
    for (at, block) in job.blocks() {
        file.write_all_at(block, at).expect("write");
        job.read(block, &mut buffer);
        black_box(checksum(&buffer));
    }
}

/// The job writes, and nobody looks at the bytes.
fn write_blindly(job: &Job, file: &File) {
    job.blocks().for_each(|(at, block)| file.write_all_at(block, at).expect("write"));
}

type Mover = fn(&Job, &File);
const MOVERS: [(&str, Mover); 3] =
    [("read and written by us", read_and_write), ("written by the job", write_in_job), ("without checksum", write_blindly)];

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, job: &Job, is_fresh: bool) {
    group.throughput(Throughput::Bytes((BLOCKS * BLOCK_BYTES) as u64)).sample_size(10);
    for (name, mover) in MOVERS {
        let file = tempfile::tempfile().expect("a file to write");
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || {
                    if is_fresh {
                        file.set_len(0).expect("empty the file")
                    }
                },
                |()| mover(job, &file),
                criterion::BatchSize::PerIteration,
            );
        });
    }
}

fn movers(criterion: &mut Criterion) {
    let job = Job::new();
    measure(&mut criterion.benchmark_group("into a fresh file"), &job, true);
    measure(&mut criterion.benchmark_group("into a file that is there"), &job, false);
}

criterion_group!(benches, movers);
criterion_main!(benches);
