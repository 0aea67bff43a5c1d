//! Fuzz: texts and files with a grain of sense in them, for everything that reads what others have written: the loader, the parsers of `/proc`, relocation and
//! patterns, the protocol of hook scripts. Nothing may panic or take long; what comes out right must make sense.
//!
//! `cargo test --test fuzz` takes a few seconds; `--seconds N` and `--seed S` make it longer and other (`cargo xtask fuzz`), a word chooses targets by a part of
//! their name. The same seed makes the same inputs. Context files have right checksums: they are taken apart and put together by the code that `cargo xtask
//! fuzz` uses for real restarts.

#[path = "../xtask/src/fuzz/image.rs"]
#[allow(dead_code, reason = "the chores use more of it")]
mod image;
#[path = "../xtask/src/fuzz/mutate.rs"]
mod mutate;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use image::Image;
use mutate::Dice;
use reprise::image::Reader;
use reprise::policy::pattern::Pattern;
use reprise::policy::relocate::Relocations;
use reprise::proc::{Auxv, Fdinfo, IdMap, Limits, Lock, MapEntry, Mount, PosixTimer, Stat, Status, Syscall};
use reprise::script::wire::{self, Answer, Request};

/// What a task of the chores returns; the shared code wants it.
pub type Outcome<T = ()> = Result<T, String>;

/// In the usual run.
const SECONDS: f64 = 8.0;
/// An input that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(20);

struct Target {
    name: &'static str,
    /// What inputs are made from.
    seeds: Vec<Vec<u8>>,
    run: fn(&[u8]),
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let value = |flag: &str| words.windows(2).find(|pair| pair[0] == flag).map(|pair| pair[1].clone());
    let seconds: f64 = value("--seconds").and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let seed: u64 = value("--seed").and_then(|text| text.parse().ok()).unwrap_or(1);
    let wanted = words.iter().enumerate().find(|(at, word)| !word.starts_with('-') && (*at == 0 || !words[at - 1].starts_with("--se")));
    let mut targets = targets();
    targets.retain(|target| wanted.is_none_or(|(_, word)| target.name.contains(word.as_str())));
    let time = Duration::from_secs_f64(seconds / targets.len().max(1) as f64);
    panic::set_hook(Box::new(|_| {}));
    let failures: u64 = targets.iter().map(|target| fuzz(target, seed, time)).sum();
    println!("{failures} failures");
    ExitCode::from(u8::from(0 < failures || targets.is_empty()))
}

/// Runs one target for a time; how many inputs were too much for it.
fn fuzz(target: &Target, seed: u64, time: Duration) -> u64 {
    let begun = Instant::now();
    let progress = Arc::new(AtomicU64::new(seed));
    watch(target.name, progress.clone());
    let mut failures = 0;
    let mut number = seed;
    while begun.elapsed() < time && failures < 20 {
        progress.store(number, Ordering::Relaxed);
        let mut dice = Dice(number);
        let input = changed(&target.seeds, &mut dice, target.name == "loader");
        if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(&input))) {
            let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            println!(
                "FAILED {} --seed {number}: panic: {}\n  {:?}",
                target.name,
                text.unwrap_or_default(),
                String::from_utf8_lossy(&input[..input.len().min(300)])
            );
            failures += 1;
        }
        number += 1;
    }
    progress.store(u64::MAX, Ordering::Relaxed);
    println!("{}: {} inputs, {failures} failures", target.name, number - seed);
    failures
}

/// Ends everything when one input takes too long.
fn watch(name: &'static str, progress: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let mut last = (progress.load(Ordering::Relaxed), Instant::now());
        while last.0 != u64::MAX {
            std::thread::sleep(Duration::from_millis(200));
            let now = progress.load(Ordering::Relaxed);
            if now != last.0 {
                last = (now, Instant::now());
            } else if PATIENCE < last.1.elapsed() {
                println!("FAILED {name} --seed {now}: hangs");
                std::process::exit(1);
            }
        }
    });
}

fn targets() -> Vec<Target> {
    let proc = |names: &[&str]| -> Vec<Vec<u8>> { names.iter().filter_map(|name| fs::read(format!("/proc/self/{name}")).ok()).collect() };
    let texts = |all: &[&str]| -> Vec<Vec<u8>> { all.iter().map(|text| text.as_bytes().to_vec()).collect() };
    let fdinfo = texts(&[
        "pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t42\n",
        "pos:\t0\nflags:\t02\nmnt_id:\t15\ntfd:        5 events:       19 data:                5  pos:0 ino:61af sdev:7\n",
        "pos:\t0\nflags:\t02\nclockid: 1\nticks: 0\nsettime flags: 01\nit_value: (0, 49406829)\nit_interval: (1, 0)\n",
        "pos:\t0\nflags:\t02\neventfd-count:               5a\nlock:\t1: FLOCK  ADVISORY  WRITE 359 00:13:11691 0 EOF\n",
        "pos:\t0\nflags:\t02\ninotify wd:3 ino:9e7e sdev:800013 mask:800afce ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:7e9e0000640d1b6d\n",
        "pos:\t0\nflags:\t02\nPid:\t17\nNSpid:\t17 3\nsigmask:\t0000000000000200\n",
    ]);
    let timers = texts(&[
        "ID: 1\nsignal: 60/00007fff86e452a8\nnotify: signal/pid.2634\nClockID: 0\nID: 0\nsignal: 60/00007fff86e452a8\nnotify: none/tid.1\nClockID: 1\n",
    ]);
    let locks = texts(&[
        "1: POSIX  ADVISORY  READ 5433 08:01:7864448 128 128\n2: FLOCK  ADVISORY  WRITE 2001 08:01:7864554 0 EOF\n2: -> OFDLCK ADVISORY WRITE -1 00:13:1 0 4\n3: LEASE  BREAKING  READ 1 08:01:9 0 EOF\n",
    ]);
    let calls = texts(&["running\n", "0 0x3 0x7ffd 0x1000 0x0 0x0 0x0 0x7ffc 0x7f11\n", "-1 0x7ffc 0x7f11\n"]);
    let requests = texts(&[
        r#"{"Call":{"handler":0,"data":{"path":"/tmp/a","size":5,"list":[1,-2,3.5,null,true]},"allowance":{"time":{"secs":1,"nanos":0},"log_bytes":1000}}}"#,
        r#"{"Batch":{"handler":1,"list":[{"path":"/x"},{"path":"/y"}],"allowance":{"time":{"secs":1,"nanos":0},"log_bytes":1000}}}"#,
        r#""Keep""#,
        r#"{"Recall":"{\"n\":1}"}"#,
    ]);
    let answers = texts(&[
        r#"{"outcome":{"Ok":{"Returned":{"action":"merge","path":"/new"}}},"log":[],"annotations":[["a","b"]]}"#,
        r#"{"outcome":{"Ok":{"Loaded":[{"event":"process","filter":{"path":"/**"},"is_batch":false,"place":"a.lua:3"}]}},"log":[],"annotations":[]}"#,
        r#"{"outcome":{"Ok":{"Answers":[[0,"ignore"],[7,null]]}},"log":[],"annotations":[]}"#,
        r#"{"outcome":{"Ok":{"Refused":{"class":"env","message":"no","by":"a:1","remedy":null,"exit":3}}},"log":[],"annotations":[]}"#,
        r#"{"outcome":{"Err":"a.lua:1: boom"},"log":[],"annotations":[]}"#,
    ]);
    let mut targets = vec![
        Target {
            name: "proc-maps",
            seeds: proc(&["maps", "smaps"]),
            run: |text| see((MapEntry::parse_maps(text), MapEntry::parse_smaps(text))),
        },
        Target { name: "proc-status", seeds: proc(&["status"]), run: |text| see(Status::parse(text)) },
        Target { name: "proc-stat", seeds: proc(&["stat"]), run: |text| see(Stat::parse(text)) },
        Target { name: "proc-mountinfo", seeds: proc(&["mountinfo"]), run: |text| see(Mount::parse_all(text)) },
        Target { name: "proc-limits", seeds: proc(&["limits"]), run: |text| see(Limits::parse(text)) },
        Target { name: "proc-auxv", seeds: proc(&["auxv"]), run: |text| see(Auxv::parse(text)) },
        Target { name: "proc-idmap", seeds: proc(&["uid_map", "gid_map"]), run: |text| see(IdMap::parse(text)) },
        Target { name: "proc-fdinfo", seeds: fdinfo, run: |text| see(Fdinfo::parse(text)) },
        Target { name: "proc-timers", seeds: timers, run: |text| see(PosixTimer::parse_all(text)) },
        Target { name: "proc-locks", seeds: locks, run: |text| see(Lock::parse_all(text)) },
        Target { name: "proc-syscall", seeds: calls, run: |text| see(Syscall::parse(text)) },
        Target { name: "relocation", seeds: texts(&["/old=/new", "/a\\=b=/c\\\\", "/tmp/foo/=/bar//", "/=/x"]), run: relocation },
        Target { name: "pattern", seeds: texts(&["/home/**/*.log", "/tmp/{a,b{c,d}}/[a-z!x]?", "*", "/a\\*b"]), run: pattern },
        Target { name: "protocol-request", seeds: requests, run: |text| see(wire::receive::<Request>(&mut &text[..])) },
        Target { name: "protocol-answer", seeds: answers, run: |text| see(wire::receive::<Answer>(&mut &text[..])) },
    ];
    match saved_job() {
        Some(bytes) => targets.push(Target { name: "loader", seeds: vec![bytes], run: load }),
        None => println!("loader: skipped, no job can be saved here"),
    }
    targets
}

/// A context file of a small real job, which two processes and a pipe make.
fn saved_job() -> Option<Vec<u8>> {
    let place = tempfile::tempdir().ok()?;
    let path = place.path().join("job.ctx");
    let mut job = Command::new("sh").args(["-c", "sleep 1000 | sleep 1000"]).stdin(Stdio::null()).stdout(Stdio::null()).spawn().ok()?;
    std::thread::sleep(Duration::from_millis(200));
    let saved =
        Command::new(env!("CARGO_BIN_EXE_cr_checkpoint")).arg("-f").arg(&path).arg("--kill").arg(job.id().to_string()).output().ok()?;
    let _ended = job.kill().and_then(|()| job.wait());
    saved.status.success().then(|| fs::read(&path).ok()).flatten()
}

/// The result is made, whatever it is.
fn see<T>(result: T) {
    black_box(result);
}

fn relocation(text: &[u8]) {
    if let Ok(Some(rule)) = reprise::cli::flag::relocation::parse(OsStr::from_bytes(text)) {
        let rules = Relocations::new(std::slice::from_ref(&rule));
        assert_eq!(rules.apply(&rule.old), rule.new, "what is relocated is where the rule says");
        let other = Path::new("/somewhere/else/entirely");
        assert!(other.starts_with(&rule.old) || rules.apply(other) == other, "what no rule names stays");
    }
}

fn pattern(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    for pattern in [Pattern::path(&text), Pattern::text(&text)].into_iter().flatten() {
        let long = "a/".repeat(2000);
        black_box((pattern.matches(&text), pattern.matches(""), pattern.matches(&long)));
    }
}

fn load(bytes: &[u8]) {
    let mut file: File = tempfile::tempfile().expect("make a file");
    file.write_all(bytes).expect("write a file");
    let Ok(mut reader) = Reader::open(file) else { return };
    let mut data = Vec::new();
    while let Ok(Some(_)) = reader.next_block(&mut data) {}
}

/// An input: one of the seeds with a few changes in it.
fn changed(seeds: &[Vec<u8>], dice: &mut Dice, is_image: bool) -> Vec<u8> {
    let mut bytes = seeds[dice.below(seeds.len())].clone();
    if is_image {
        let mut image = Image::parse(&bytes).expect("our own context file");
        mutate::mutate(&mut image, dice);
        while dice.below(3) == 0 {
            mutate::mutate(&mut image, dice);
        }
        return image.to_bytes().unwrap_or_default();
    }
    change(&mut bytes, dice);
    while dice.below(2) == 0 {
        change(&mut bytes, dice);
    }
    bytes
}

/// One change as accidents and villains make them: a number, a word, a line, a byte.
fn change(bytes: &mut Vec<u8>, dice: &mut Dice) {
    const WORDS: &[&str] = &[
        "0",
        "-1",
        "18446744073709551615",
        "99999999999999999999999",
        "ffffffffffffffff",
        "",
        " ",
        "\t",
        "\n",
        "\0",
        "(deleted)",
        "\\040",
        "\\",
        "=",
        "{",
        "}",
        "[",
        "*",
        "**",
        ":",
        "\u{fffd}",
        "\"",
        "null",
    ];
    if bytes.is_empty() {
        bytes.extend_from_slice(WORDS[dice.below(WORDS.len())].as_bytes());
        return;
    }
    let at = dice.below(bytes.len());
    let is_word = |byte: u8| byte.is_ascii_alphanumeric();
    match dice.below(7) {
        0 => bytes[at] ^= 1 << dice.below(8),
        1 => bytes.truncate(at),
        2 => {
            let word = WORDS[dice.below(WORDS.len())];
            bytes.splice(at..at, word.bytes());
        }
        3 => {
            // A word becomes another.
            let start = bytes[..at].iter().rposition(|byte| !is_word(*byte)).map_or(0, |before| before + 1);
            let end = bytes[at..].iter().position(|byte| !is_word(*byte)).map_or(bytes.len(), |after| at + after);
            bytes.splice(start..end.max(start), WORDS[dice.below(WORDS.len())].bytes());
        }
        4 => {
            // A line is left out.
            let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |after| at + after + 1);
            bytes.drain(at..end);
        }
        5 => {
            // A part comes twice.
            let end = at + dice.below(bytes.len() - at) + 1;
            let part = bytes[at..end].to_vec();
            let place = dice.below(bytes.len());
            bytes.splice(place..place, part);
        }
        _ => {
            let many = dice.below(5000);
            bytes.splice(at..at, std::iter::repeat_n(b"09a({[*\\ \n"[dice.below(10)], many));
        }
    }
}
