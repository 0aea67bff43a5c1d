//! `cargo xtask fuzz`: images with right checksums and wrong contents, on all programs that read them.
//!
//! Saves real jobs, changes one field of their description or blocks at a time, and lets `cr_info --verify`, `cr_restart --dry-run` and a real restart have
//! the result. Whatever they say is right, except a panic, an abort, a hang, or a process that stays. The restarts have process ids and mounts of their
//! own, where everything but one directory is read-only, so that no path in a changed image does harm. The same seed makes the same changes.

mod image;
mod mutate;
mod sandbox;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use image::Image;
use mutate::{Dice, mutate};

use crate::place::target;
use crate::{Outcome, testprogs};

/// Options of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub struct Options {
    /// Where to begin; a report names the seed of each failure
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How long, unless --count is reached before
    #[arg(long, default_value_t = 1.0)]
    pub minutes: f64,
    /// How many changes at most
    #[arg(long, default_value_t = u64::MAX)]
    pub count: u64,
    /// Where the work goes on in mounts of its own
    #[arg(long, hide = true)]
    pub inside: Option<PathBuf>,
    /// Which worker this is, the first process of its own process ids
    #[arg(long, hide = true)]
    pub worker: Option<u64>,
}

impl Options {
    /// Whether this is one of the processes that do the work.
    pub fn is_inside(&self) -> bool {
        self.inside.is_some()
    }
}

/// Test programs whose images are changed: between them they have every kind.
const PROGRAMS: &[&str] = &[
    "pipe",
    "thread",
    "dead_leader",
    "posix_timer",
    "epoll",
    "memfd",
    "regular",
    "shared_memory",
    "copy_on_write",
    "pending",
    "posix_lock",
    "zombie",
    "tree",
    "deleted",
    "signalfd",
    "timerfd",
    "eventfd",
    "session",
    "affinity",
    "mempolicy",
    "clone_files",
    "fifo",
    "pkey",
    "stack",
    "guard_region",
    "credential",
    "scheduling",
    "limit",
    "owner",
    "directory",
    "vdso_moved",
    "interval_timer",
    "device",
];
/// A tool that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs until the time is over; any failure makes the whole fail.
pub fn run(options: &Options) -> Outcome {
    let Some(directory) = &options.inside else { return outside(options) };
    match options.worker {
        Some(worker) => work(options, directory, worker),
        None => share(options, directory),
    }
}

fn n_workers() -> u64 {
    thread::available_parallelism().map_or(1, |number| number.get() as u64)
}

/// Starts the workers, and adds up what they say.
fn share(options: &Options, directory: &Path) -> Outcome {
    let start = |worker: u64| {
        let mut command = sandbox::worker(directory, &[("--seed", options.seed.to_string()), ("--count", options.count.to_string())]);
        command.args(["--minutes", &options.minutes.to_string(), "--worker", &worker.to_string()]).stdout(Stdio::piped());
        command.spawn().map_err(|error| format!("cannot start a worker: {error}"))
    };
    let workers = (0..n_workers()).map(start).collect::<Outcome<Vec<_>>>()?;
    let (mut done, mut failures) = (0, 0);
    for worker in workers {
        let said = worker.wait_with_output().map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let count = text.lines().find_map(|line| line.strip_prefix("done ")).and_then(|number| number.parse::<u64>().ok());
        done += count.unwrap_or(0);
        failures += text.lines().filter(|line| line.starts_with("seed ")).inspect(|line| println!("{line}")).count();
        if count.is_none() {
            return Err(format!("a worker ended early ({}): {text}", said.status));
        }
    }
    println!("{done} changed images: {failures} failures");
    if failures == 0 && 0 < done { Ok(()) } else { Err(format!("{failures} of {done} changed images did harm")) }
}

/// One worker: its share of the numbers, one after the other.
fn work(options: &Options, directory: &Path, worker: u64) -> Outcome {
    if std::process::id() != 1 {
        return Err("a worker must be the first process of its own process ids".into());
    }
    let images = load(directory)?;
    let end = Instant::now() + Duration::from_secs_f64(options.minutes * 60.0);
    let (mut done, mut failed) = (0, 0);
    let mut number = worker;
    while number < options.count && Instant::now() < end && failed < 20 {
        for failure in one(&images, options.seed + number, &directory.join(format!("work.{worker}"))) {
            println!("{failure}");
            failed += 1;
        }
        done += 1;
        number += n_workers();
    }
    println!("done {done}");
    Ok(())
}

/// Makes the images, and goes on in mounts of its own.
fn outside(options: &Options) -> Outcome {
    if !sandbox::is_possible() {
        println!(
            "0 passed, 0 failed, 1 skipped: changed images are restarted in mounts and process ids of their own, which are not to be had here"
        );
        return Ok(());
    }
    testprogs::build()?;
    let directory = tempfile::Builder::new().prefix("reprise-fuzz.").tempdir().map_err(|error| error.to_string())?;
    fs::create_dir(directory.path().join("images")).map_err(|error| error.to_string())?;
    for program in PROGRAMS {
        save(program, directory.path())?;
    }
    sandbox::enter(directory.path(), options.seed, options.minutes, options.count)
}

/// Starts a test program, waits until it is ready, and saves it.
fn save(program: &str, directory: &Path) -> Outcome {
    let home = directory.join(program);
    fs::create_dir(&home).map_err(|error| error.to_string())?;
    let output = fs::File::create(home.join("output")).map_err(|error| error.to_string())?;
    let mut command = Command::new(target().join("testprogs").join(program));
    command.current_dir(&home).stdin(Stdio::null()).stdout(output).stderr(Stdio::null());
    let mut job = command.spawn().map_err(|error| format!("cannot run {program}: {error}"))?;
    let pid = job.id().to_string();
    let begun = Instant::now();
    let is_ready = || fs::read_to_string(home.join("output")).is_ok_and(|text| text.contains("READY"));
    while !is_ready() && begun.elapsed() < PATIENCE && job.try_wait().is_ok_and(|end| end.is_none()) {
        thread::sleep(Duration::from_millis(10));
    }
    let image = directory.join("images").join(program);
    let saved =
        if is_ready() { Command::new(tool("cr_checkpoint")).arg("-f").arg(&image).arg("--kill").arg(&pid).output().ok() } else { None };
    // A program that could not be saved here (it was skipped) must not stay.
    let _ = job.kill();
    job.wait().map_err(|error| error.to_string())?;
    match saved {
        Some(saved) if !saved.status.success() => println!("{program} is left out: {}", String::from_utf8_lossy(&saved.stderr).trim()),
        None => println!("{program} is left out: it skips here"),
        Some(_) => {}
    }
    Ok(())
}

fn load(directory: &Path) -> Outcome<Vec<(String, Image)>> {
    let entries = fs::read_dir(directory.join("images")).map_err(|error| error.to_string())?;
    let mut images = Vec::new();
    for entry in entries.flatten() {
        let bytes = fs::read(entry.path()).map_err(|error| error.to_string())?;
        let image = Image::parse(&bytes)?;
        images.push((entry.file_name().to_string_lossy().into_owned(), image));
    }
    images.sort_by(|a, b| a.0.cmp(&b.0));
    if images.is_empty() { Err("no job could be saved".into()) } else { Ok(images) }
}

/// Changes one image and hands it to every reader. What went wrong, if anything did.
fn one(images: &[(String, Image)], seed: u64, file: &Path) -> Vec<String> {
    let mut dice = Dice(seed);
    let (program, image) = &images[dice.below(images.len())];
    let mut image = image.clone();
    let mut changes = vec![mutate(&mut image, &mut dice)];
    while dice.below(3) == 0 {
        changes.push(mutate(&mut image, &mut dice));
    }
    let written = image.to_bytes().and_then(|bytes| fs::write(file, bytes).map_err(|error| error.to_string()));
    if let Err(error) = written {
        return vec![format!("seed {seed}: {error}")];
    }
    let named = |name: &str, what: String| format!("seed {seed}, {program}, {}: {name} {what}", changes.join(", "));
    let mut failures = Vec::new();
    // A restart reads and decides all that these do; they are tried now and then for what they say.
    if dice.below(8) == 0 {
        let mut info = Command::new(tool("cr_info"));
        info.arg("--verify").arg(file);
        failures.extend(sandbox::harm(info, file, PATIENCE).map(|what| named("cr_info --verify", what)));
        let mut dry = Command::new(tool("cr_restart"));
        dry.args(["--dry-run", "-f"]).arg(file);
        failures.extend(sandbox::harm(dry, file, PATIENCE).map(|what| named("cr_restart --dry-run", what)));
    }
    let mut restart = Command::new(tool("cr_restart"));
    restart.args(["--detach", "-f"]).arg(file);
    failures.extend(sandbox::harm(restart, file, PATIENCE).map(|what| named("cr_restart", what)));
    failures
}

fn tool(name: &str) -> PathBuf {
    target().join("debug").join(name)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn every_program_is_there() {
        let missing = |program: &&&str| !crate::place::workspace().join("testprogs").join(format!("{program}.c")).exists();
        assert_eq!(PROGRAMS.iter().find(missing), None);
    }

    #[test]
    fn the_same_seed_makes_the_same_change() {
        let description = rmpv::Value::Map(vec![("ids".into(), rmpv::Value::Array(vec![1.into(), 2.into()])), ("name".into(), "x".into())]);
        let mut header = vec![0; 4096];
        header[64] = 7;
        let image = || Image::with(header.clone(), description.clone());
        let change = |seed| {
            let mut image = image();
            (mutate(&mut image, &mut Dice(seed)), image.to_bytes().unwrap())
        };
        for seed in 0..200 {
            let (said, bytes) = change(seed);
            assert_eq!((said, &bytes), (change(seed).0, &change(seed).1));
            assert_eq!(Image::parse(&bytes).unwrap().to_bytes().unwrap(), bytes, "what was put together can be taken apart");
        }
        assert!((0..200).filter(|seed| change(*seed).1 != image().to_bytes().unwrap()).count() > 100, "most changes change something");
    }
}
