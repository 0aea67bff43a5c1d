//! Damage: context files of three real jobs, every byte flipped and every length cut. Each is refused, in words, and no process is left.
//!
//! `cargo test --test damage` takes a few seconds and some of the places; with `--seconds N` it goes on, through every byte and every length of every file
//! if there is the time, and says how far it came (`cargo xtask damage`). Most damage meets the loader in this process; every so often the built
//! programs have to refuse it. Relies on processes of one's own being ours to trace.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reprise::error::{Class, Classified};
use reprise::image::{CR_EBADARCH, ImageError, Reader};

/// The jobs: one process; a pipeline; a shell that waits.
const JOBS: &[&[&str]] = &[&["sleep", "1000"], &["sh", "-c", "sleep 1000 | sleep 1000"], &["sh", "-c", "exec 3<>log; sleep 1000 & wait"]];
/// In the usual run.
const SECONDS: f64 = 8.0;
/// One damage in so many meets the programs, too.
const SAMPLE: u64 = 4000;
/// A program that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let given = words.windows(2).find(|pair| pair[0] == "--seconds").and_then(|pair| pair[1].parse().ok());
    let place = tempfile::tempdir().expect("make a directory");
    let mut images = Vec::new();
    for (number, job) in JOBS.iter().enumerate() {
        match save(job, &place.path().join(format!("{number}.ctx"))) {
            Ok(path) => images.push(fs::read(path).expect("read a context file")),
            Err(why) => {
                println!("0 passed, 0 failed, 1 skipped: no job can be saved here: {why}");
                return ExitCode::SUCCESS;
            }
        }
    }
    let share = Duration::from_secs_f64(given.unwrap_or(SECONDS) / images.len() as f64);
    let mut failures = Vec::new();
    for (number, image) in images.iter().enumerate() {
        failures.extend(suffer(number, image, share, place.path()));
    }
    failures.iter().take(20).for_each(|failure| println!("FAILED {failure}"));
    println!("{} failures", failures.len());
    ExitCode::from(u8::from(!failures.is_empty()))
}

/// Starts a job, saves and kills it.
fn save(job: &[&str], path: &Path) -> Result<PathBuf, String> {
    let mut command = Command::new(job[0]);
    command
        .args(&job[1..])
        .current_dir(path.parent().unwrap_or(Path::new("/")))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    std::thread::sleep(Duration::from_millis(200));
    let mut tool = Command::new(env!("CARGO_BIN_EXE_cr_checkpoint"));
    let saved = tool.arg("-f").arg(path).arg("--kill").arg(child.id().to_string()).output().map_err(|error| error.to_string());
    let _ended = child.kill().and_then(|()| child.wait());
    let saved = saved?;
    if saved.status.success() { Ok(path.to_owned()) } else { Err(String::from_utf8_lossy(&saved.stderr).into_owned()) }
}

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Flip(u64),
    Cut(u64),
}

/// Damages one file until the time is over or nothing is left to damage; what went wrong.
fn suffer(number: usize, image: &[u8], time: Duration, place: &Path) -> Vec<String> {
    let begun = Instant::now();
    let length = image.len() as u64;
    // First flips, then lengths, scattered by a step that has no divisor in common with their number.
    let all = 2 * length;
    let step = (all * 5 / 8..).find(|step| divisor(*step, all) == 1).unwrap_or(1);
    let next = AtomicU64::new(0);
    let work = |worker: usize| {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(place.join(format!("worker.{worker}")))
            .expect("make a file");
        file.write_all_at(image, 0).expect("write the file");
        let mut failures = Vec::new();
        loop {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            if all <= turn || time < begun.elapsed() || 20 < failures.len() {
                return failures;
            }
            let at = u64::try_from(u128::from(turn) * u128::from(step) % u128::from(all)).expect("below a length");
            let damage = if at < length { Damage::Flip(at) } else { Damage::Cut(at - length) };
            make(&file, image, damage);
            failures.extend(refused(&file).err().map(|why| format!("file {number}, {damage:?}: {why}")));
            if turn.is_multiple_of(SAMPLE) {
                let path = place.join(format!("worker.{worker}"));
                failures.extend(refused_by_programs(&path).err().map(|why| format!("file {number}, {damage:?}: {why}")));
            }
            repair(&file, image, damage);
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let work = &work;
        let workers: Vec<_> = (0..workers).map(|worker| scope.spawn(move || work(worker))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|_| vec![format!("file {number}: a panic")])).collect()
    });
    let done = next.load(Ordering::Relaxed).min(all);
    println!("file {number}, {length} bytes: {done} of {length} flips and {length} lengths, {} failures", failures.len());
    failures
}

fn divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

fn make(file: &File, image: &[u8], damage: Damage) {
    match damage {
        Damage::Flip(at) => {
            let byte = image[usize::try_from(at).expect("small")] ^ 1 << (at % 8);
            file.write_all_at(&[byte], at).expect("damage the file");
        }
        Damage::Cut(length) => file.set_len(length).expect("cut the file"),
    }
}

fn repair(file: &File, image: &[u8], damage: Damage) {
    let from = match damage {
        Damage::Flip(at) | Damage::Cut(at) => at,
    };
    let at = usize::try_from(from).expect("small");
    let part = if matches!(damage, Damage::Flip(_)) { &image[at..=at] } else { &image[at..] };
    file.write_all_at(part, from).expect("repair the file");
}

/// The loader reads everything that a restart reads, and refuses the file as one that is not to be used.
fn refused(file: &File) -> Result<(), String> {
    let read = || -> Result<(), ImageError> {
        let mut reader = Reader::open(file.try_clone().expect("a descriptor"))?;
        let mut data = Vec::new();
        while reader.next_block(&mut data)?.is_some() {}
        Ok(())
    };
    match read() {
        Ok(()) => Err("not noticed".into()),
        Err(error) if error.class() == Class::Perm && matches!(error.errno(), Some(libc::EIO | libc::EINVAL | CR_EBADARCH)) => Ok(()),
        Err(error) => Err(format!("the wrong class: {error} ({:?})", error.errno())),
    }
}

/// So do the programs; and whatever they had begun is gone, because it would hold their output open.
fn refused_by_programs(path: &Path) -> Result<(), String> {
    for (tool, flags) in [(env!("CARGO_BIN_EXE_cr_info"), &["--verify"][..]), (env!("CARGO_BIN_EXE_cr_restart"), &["--detach", "-f"])] {
        let mut command = Command::new(tool);
        let child = command.args(flags).arg(path).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let (code, said) = end_of(child.map_err(|error| error.to_string())?)?;
        if !matches!(code, Some(5 | 22)) || said.contains("panicked") || said.trim().is_empty() {
            return Err(format!("{tool} ended with {code:?}: {said}"));
        }
    }
    Ok(())
}

fn end_of(mut child: Child) -> Result<(Option<i32>, String), String> {
    let (mut output, mut errors) = (child.stdout.take().expect("a pipe"), child.stderr.take().expect("a pipe"));
    let reader = std::thread::spawn(move || {
        let (mut said, mut complained) = (String::new(), String::new());
        // What is no text counts as nothing said.
        let _ = output.read_to_string(&mut said);
        let _ = errors.read_to_string(&mut complained);
        complained
    });
    let begun = Instant::now();
    while !reader.is_finished() {
        if PATIENCE < begun.elapsed() {
            let _ended = child.kill();
            return Err("it hangs, or a process is left that holds its output".into());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    Ok((status.code(), reader.join().unwrap_or_default()))
}
