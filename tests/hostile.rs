//! Hostile hook scripts, each in a process as `cr_checkpoint` starts it: none may hang, crash or reach anything, each gives a message.
//!
//! The scripts are in `src/script/hostile/`. Their first line says what must happen: `-- EVENT: OUTCOME: TEXT`. EVENT is the event to fire, or `load`, or
//! `keep` (the event `process`, then `cr.state` is kept). OUTCOME is `answer` (the whole answer), `error` (a part of the message) or `killed` (a part of
//! the message; the process had to be killed). This program has no test harness, because a process with threads is not forked. Arguments choose scripts by a
//! part of their name.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use reprise::policy::event::Name;
use reprise::policy::{LogLine, Policy, PolicyError};
use reprise::script::Forked;
use reprise::script::{Limits, LuaPolicy, Options};
use serde_json::{Value, json};

/// What a first line asks for.
struct Case {
    event: String,
    outcome: String,
    text: String,
}

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let mut failures = Vec::new();
    let mut count = 0;
    for path in scripts() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if is_wanted(&name) {
            count += 1;
            failures.extend(check(&path).err().map(|why| format!("{name}: {why}")));
        }
    }
    for (name, test) in PROCESS_TESTS {
        if is_wanted(name) {
            count += 1;
            // The panic prints what was wrong.
            failures.extend(panic::catch_unwind(AssertUnwindSafe(test)).err().map(|_| format!("{name}: see above")));
        }
    }
    failures.iter().for_each(|failure| eprintln!("FAILED {failure}"));
    println!("{count} hostile scripts and tests, {} failed", failures.len());
    ExitCode::from(u8::from(!failures.is_empty() || count == 0))
}

fn scripts() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/script/hostile");
    let entries = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    let mut scripts: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|extension| extension == "lua")).collect();
    scripts.sort();
    assert!(scripts.len() > 100, "the corpus is in {}", directory.display());
    scripts
}

fn check(path: &Path) -> Result<(), String> {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let first = text.lines().next().and_then(|line| line.strip_prefix("-- ")).ok_or("the first line does not say what must happen")?;
    let mut parts = first.splitn(3, ": ").map(str::to_owned);
    let mut next = || parts.next().ok_or_else(|| format!("the first line is not EVENT: OUTCOME: TEXT: {first}"));
    let case = Case { event: next()?, outcome: next()?, text: next()? };
    // A copy, so that the place is short and a script that writes beside itself would not touch the sources.
    let directory = copied(path.parent().unwrap());
    let script = directory.path().join(path.file_name().unwrap());
    let (answer, mut policy) = run(&script, &case);
    let is_alive = policy.as_ref().is_some_and(|policy| policy.pid().is_some());
    match (case.outcome.as_str(), answer) {
        ("answer", Ok((answer, log))) => is_answer(&case.text, &answer, &log)?,
        ("error" | "killed", Err(error)) => is_message(&case, &script, &error.message)?,
        (_, Ok((answer, _))) => return Err(format!("answered '{answer}'")),
        (_, Err(error)) => return Err(format!("failed: {}", error.message)),
    }
    match (case.event.as_str(), case.outcome.as_str()) {
        ("load", _) => Ok(()),
        (_, "killed") if is_alive => Err("its process was not killed".into()),
        (_, "killed") => is_told_ended(policy.as_mut().expect("loaded")),
        _ if !is_alive => Err("its process is gone".into()),
        _ => Ok(()),
    }
}

type Answered = Result<(String, Vec<LogLine>), PolicyError>;

fn run(script: &Path, case: &Case) -> (Answered, Option<LuaPolicy>) {
    // Nothing that must succeed has a limit that a busy machine could exceed.
    let long = Duration::from_secs(20);
    let short = Duration::from_millis(300);
    let is_killed = case.outcome == "killed" || case.text.contains("was ended after");
    let (call, frozen) = (if case.event == "load" && is_killed { short } else { long }, if is_killed { short } else { long });
    let limits =
        Limits { memory_bytes: 32 << 20, instructions: 2_000_000, call, frozen, grace: Duration::from_millis(500), ..Limits::default() };
    let mut policy = match LuaPolicy::load(&Options { files: vec![script.to_owned()], limits, ..Options::default() }, &Forked) {
        Ok(policy) => policy,
        Err(error) => return (Err(error), None),
    };
    let event = Name::of(&case.event).unwrap_or(Name::Process);
    let reply = policy.fire(event, &data(event));
    let answer = match reply {
        Ok(_) if case.event == "keep" => policy.keep().map(|kept| (kept.unwrap_or_else(|| "nothing".into()), Vec::new())),
        Ok(reply) => Ok((reply.opinion.map_or("nothing".into(), |opinion| opinion.verdict.word()), reply.log)),
        Err(error) => Err(error),
    };
    (answer, Some(policy))
}

fn data(event: Name) -> Value {
    match event {
        Name::Process => json!({"pid": 7, "name": "job", "threads": 1}),
        Name::PreCheckpoint => json!({"ids": [1, 2], "processes": [{"pid": 1, "name": "a"}, {"pid": 2, "name": "b"}], "options": {}}),
        _ => json!({}),
    }
}

fn is_answer(expected: &str, answer: &str, log: &[LogLine]) -> Result<(), String> {
    let (expected, logged) = expected.split_once("; log: ").map_or((expected, None), |(answer, log)| (answer, Some(log)));
    if answer != expected {
        return Err(format!("answered '{answer}', not '{expected}'"));
    }
    match logged {
        Some(text) if !log.iter().any(|line| line.text.contains(text)) => Err(format!("did not log '{text}' but {:?}", log.last())),
        _ => Ok(()),
    }
}

/// A message names the script and a line, is printable and has a moderate length.
fn is_message(case: &Case, script: &Path, message: &str) -> Result<(), String> {
    let name = script.file_stem().unwrap().to_string_lossy();
    if !message.contains(&case.text) {
        return Err(format!("the message does not say '{}': {message}", case.text));
    }
    if !message.contains(&*name) && !message.contains("cr.state") && !message.contains("mutual") {
        return Err(format!("the message does not name the script: {message}"));
    }
    if message.chars().any(char::is_control) || message.len() > 20_000 {
        return Err(format!("the message is not fit for a terminal: {message:?}"));
    }
    Ok(())
}

fn is_told_ended(policy: &mut LuaPolicy) -> Result<(), String> {
    match policy.fire(Name::Process, &data(Name::Process)) {
        Err(error) if error.message.contains("ended before, because ") => Ok(()),
        other => Err(format!("after its end: {other:?}")),
    }
}

fn copied(from: &Path) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let modules = directory.path().join("module");
    fs::create_dir(&modules).unwrap();
    for (from, to) in [(from.to_owned(), directory.path().to_owned()), (from.join("module"), modules)] {
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    directory
}

/// Tests about the process itself, by name.
const PROCESS_TESTS: &[(&str, fn())] = &[
    ("process_that_crashes_is_reported", process_that_crashes_is_reported),
    ("process_has_nothing_of_ours", process_has_nothing_of_ours),
    ("process_ends_with_its_policy", process_ends_with_its_policy),
    ("process_is_killed_and_its_group_too", process_is_killed_and_its_group_too),
];

fn loaded(script: &str) -> (tempfile::TempDir, LuaPolicy) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.lua");
    fs::write(&path, format!("local cr = require 'cr'\n{script}")).unwrap();
    let limits = Limits { call: Duration::from_secs(20), frozen: Duration::from_secs(20), ..Limits::default() };
    let policy = LuaPolicy::load(&Options { files: vec![path], limits, ..Options::default() }, &Forked);
    (directory, policy.unwrap_or_else(|error| panic!("{error}")))
}

fn process_that_crashes_is_reported() {
    let (_directory, mut policy) = loaded("cr.on('process', function() end)");
    let pid = nix::unistd::Pid::from_raw(policy.pid().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    let status = || fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "));
    until(status);
    let error = policy.fire(Name::Process, &data(Name::Process)).unwrap_err();
    assert!(error.message.ends_with("handling process: the process of the hook scripts is gone (it was ended by signal 9)"), "{error}");
    assert_eq!(policy.pid(), None);
}

fn process_has_nothing_of_ours() {
    let _open = fs::File::open("/etc/passwd").unwrap();
    let (_directory, policy) = loaded("");
    let pid = policy.pid().unwrap();
    for fd in fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(Result::unwrap) {
        let number: i32 = fd.file_name().to_str().unwrap().parse().unwrap();
        let target = fs::read_link(fd.path()).unwrap();
        assert!(number <= 2 || target.to_string_lossy().starts_with("socket:"), "descriptor {number} leads to {}", target.display());
    }
    assert_eq!(fs::read_link(format!("/proc/{pid}/fd/0")).unwrap(), Path::new("/dev/null"));
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap().trim().to_owned();
    assert!(u64::from_str_radix(&blocked, 16).unwrap() & 0b10 != 0, "SIGINT is not blocked: {blocked}");
    assert_ne!(nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(pid))).unwrap(), nix::unistd::getpgrp());
}

fn process_ends_with_its_policy() {
    let (_directory, policy) = loaded("");
    let pid = policy.pid().unwrap();
    drop(policy);
    until(|| fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z ")));
}

fn process_is_killed_and_its_group_too() {
    let directory = tempfile::tempdir().unwrap();
    let note = directory.path().join("pid");
    let command = format!("sleep 1000 & echo $! > {}; wait", note.display());
    let (_scripts, mut policy) = loaded(&format!("cr.on('on-success', function() cr.exec {{ 'sh', '-c', '{command}', timeout = 2 }} end)"));
    let error = policy.fire(Name::OnSuccess, &json!({})).unwrap_err();
    assert!(error.message.contains("'sh' was ended after its time limit"), "{error}");
    let pid = fs::read_to_string(note).unwrap();
    until(|| fs::read_to_string(format!("/proc/{}/stat", pid.trim())).map_or(true, |stat| stat.contains(") Z ")));
}

/// Waits for something that must come.
fn until(mut is_so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}
