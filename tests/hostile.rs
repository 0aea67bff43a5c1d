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

use reprise::policy::event::{AreaEvent, JobEvent, Name};
use reprise::policy::{Event, LogLine, Policy, PolicyError};
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
    ("commands_cannot_answer_for_the_script", commands_cannot_answer_for_the_script),
    ("commands_in_sessions_of_their_own_end_with_the_script", commands_in_sessions_of_their_own_end_with_the_script),
    ("a_script_is_ended_with_its_commands", a_script_is_ended_with_its_commands),
    ("commands_in_the_background_are_left_alone", commands_in_the_background_are_left_alone),
    ("memory_outside_of_lua_is_limited_too", memory_outside_of_lua_is_limited_too),
    ("what_scripts_hold_a_job_for_counts_together", what_scripts_hold_a_job_for_counts_together),
    ("the_time_limit_of_a_request_binds_scripts", the_time_limit_of_a_request_binds_scripts),
    ("all_that_is_logged_in_a_request_counts", all_that_is_logged_in_a_request_counts),
    ("nothing_is_left_of_a_process_without_a_policy", nothing_is_left_of_a_process_without_a_policy),
];

fn loaded(script: &str) -> (tempfile::TempDir, LuaPolicy) {
    loaded_with(script, Limits { call: Duration::from_secs(20), frozen: Duration::from_secs(20), ..Limits::default() })
}

fn loaded_with(script: &str, limits: Limits) -> (tempfile::TempDir, LuaPolicy) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.lua");
    fs::write(&path, format!("local cr = require 'cr'\n{script}")).unwrap();
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
        let expected = if number <= 2 { "/dev/null" } else { "" };
        let is_end = ["socket:", "anon_inode:[signalfd]"].iter().any(|end| target.to_string_lossy().starts_with(end));
        assert!(target == Path::new(expected) || number > 2 && is_end, "descriptor {number} leads to {}", target.display());
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

/// Whether nobody runs with this id any more.
fn is_gone(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{}/stat", pid.trim())).map_or(true, |stat| stat.contains(") Z "))
}

/// The text of a file once it has a whole line.
fn line_in(path: &Path) -> String {
    until(|| fs::read_to_string(path).is_ok_and(|text| text.ends_with('\n')));
    fs::read_to_string(path).unwrap()
}

fn commands_cannot_answer_for_the_script() {
    for fd in 3..10 {
        let script = r#"
cr.on("pre-checkpoint", function()
  local answer = '{"outcome":{"Ok":{"Returned":"skip"}},"log":[],"annotations":[]}'
  local ran = cr.exec { "sh", "-c", 'echo "$M" >&FD; ls -l /proc/self/fd | wc -l', env = { M = answer } }
  print(ran.status, ran.stderr)
end)"#;
        let (_directory, mut policy) = loaded(&script.replace("FD", &fd.to_string()));
        let reply = policy.fire(Name::PreCheckpoint, &data(Name::PreCheckpoint)).unwrap_or_else(|error| panic!("{fd}: {error}"));
        assert_eq!(reply.opinion, None, "descriptor {fd}");
        assert!(reply.log[0].text.contains("file descriptor") || reply.log[0].text.contains("fd"), "descriptor {fd}: {:?}", reply.log);
    }
}

/// A command that daemonizes twice, in a session of its own and without its environment.
const ESCAPING: &str = "setsid env -i sh -c '(sleep 1000 & echo $! > NOTE) & wait' & setsid sleep 1000 & echo $! > OTHER; ";

fn commands_in_sessions_of_their_own_end_with_the_script() {
    let notes = tempfile::tempdir().unwrap();
    let (one, other) = (notes.path().join("one"), notes.path().join("other"));
    let command = ESCAPING.replace("NOTE", &one.display().to_string()).replace("OTHER", &other.display().to_string());
    // Once as what runs into its time limit, once as what a command left behind.
    for (then, event) in [("wait", Name::OnSuccess), ("true", Name::OnSuccess)] {
        let script = format!("cr.on('on-success', function() cr.exec {{ 'sh', '-c', [[{command}{then}]], timeout = 2 }} end)");
        let (_directory, mut policy) = loaded(&script);
        let answer = policy.fire(event, &json!({}));
        assert_eq!(answer.is_err(), then == "wait", "{answer:?}");
        let pids = [line_in(&one), line_in(&other)];
        drop(policy);
        pids.iter().for_each(|pid| until(|| is_gone(pid)));
        fs::remove_file(&one).unwrap();
        fs::remove_file(&other).unwrap();
    }
}

fn a_script_is_ended_with_its_commands() {
    // By TERM, by KILL (the kernel ends the command itself then), and by the end of the stream.
    for signal in [Some(nix::sys::signal::Signal::SIGTERM), Some(nix::sys::signal::Signal::SIGKILL), None] {
        let notes = tempfile::tempdir().unwrap();
        let note = notes.path().join("pid");
        let script =
            format!("cr.on('on-success', function() cr.exec {{ 'sh', '-c', 'echo $$ > {}; exec sleep 1000' }} end)", note.display());
        let limits = Limits { call: Duration::from_secs(if signal.is_some() { 20 } else { 1 }), ..Limits::default() };
        let (_directory, mut policy) = loaded_with(&script, limits);
        let process = nix::unistd::Pid::from_raw(policy.pid().unwrap());
        let ender = std::thread::spawn({
            let note = note.clone();
            move || {
                let pid = line_in(&note);
                if let Some(signal) = signal {
                    nix::sys::signal::kill(process, signal).unwrap();
                }
                pid
            }
        });
        policy.fire(Name::OnSuccess, &json!({})).unwrap_err();
        let pid = ender.join().unwrap();
        until(|| is_gone(&pid));
    }
}

fn commands_in_the_background_are_left_alone() {
    let notes = tempfile::tempdir().unwrap();
    let note = notes.path().join("pid");
    let script = format!(
        "cr.on('on-success', function() cr.exec {{ 'sh', '-c', 'setsid sleep 1000 & echo $! > {}; wait', background = true }}
         cr.exec {{ 'sleep', '1000', timeout = 0.5 }} end)",
        note.display()
    );
    let (_directory, mut policy) = loaded(&script);
    policy.fire(Name::OnSuccess, &json!({})).unwrap_err();
    let pid = line_in(&note);
    drop(policy);
    assert!(!is_gone(&pid), "it was ended");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.trim().parse().unwrap()), nix::sys::signal::Signal::SIGKILL).unwrap();
}

/// The most that a process has used so far, KiB.
fn peak_kib(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn memory_outside_of_lua_is_limited_too() {
    for script in [
        "for _ = 1, 60 do pcall(cr.on, 'frozen', { scope = ('x'):rep(8 << 20) }, print) end",
        "local list = {} for i = 1, 100000 do list[i] = ('y'):rep(125) end for _ = 1, 60 do pcall(cr.on, 'frozen', { scope = list }, print) end",
        "pcall(cr.glob, ('*'):rep(1 << 20), 'x') pcall(cr.glob, ('{a,'):rep(160) .. ('}'):rep(160), 'x') pcall(cr.glob, ('*'):rep(4096), 'x')",
        "for i = 1, 5 do pcall(cr.json.decode, '[' .. ('[],'):rep(1300000) .. '1]') end",
        "pcall(cr.json.encode, (function() local t = {} for i = 1, 1 << 20 do t[i] = 1 end return t end)())",
        "pcall(cr.log.info, ('\\xff'):rep(20 << 20))",
        "for i = 1, 100000 do if not pcall(cr.on, 'frozen', { scope = ('*x'):rep(120) }, print) then break end end",
    ] {
        let limits = Limits { call: Duration::from_secs(60), instructions: 100_000_000, ..Limits::default() };
        let (_directory, policy) = loaded_with(script, limits);
        let peak = peak_kib(policy.pid().unwrap()) >> 10;
        assert!(peak < 64 + 32 + 40, "{peak} MiB after {script}");
    }
}

fn what_scripts_hold_a_job_for_counts_together() {
    let (_directory, mut policy) = loaded_with(
        "cr.on('area-disposition', function() cr.exec { 'sleep', '0.15' } end)",
        Limits { frozen: Duration::from_millis(600), ..Limits::default() },
    );
    let area = Event::AreaDisposition(AreaEvent::default());
    let asked = (1..1000).find_map(|asked| policy.decide(&area).err().map(|error| (asked, error)));
    let (asked, error) = asked.expect("it is ended");
    assert!(asked <= 5, "after {asked} calls");
    assert!(error.message.contains("'sleep' was ended after") || error.message.contains("all they may"), "{error}");
    policy.begin_again();
    policy.decide(&area).unwrap();
}

fn the_time_limit_of_a_request_binds_scripts() {
    for script in [
        "cr.on('pre-checkpoint', function() cr.exec { 'sleep', '100' } end)",
        "cr.on('pre-checkpoint', function() while true do end end)",
        "cr.on('pre-checkpoint', function() string.find(('a'):rep(100000), ('.-'):rep(20) .. 'b') end)",
    ] {
        let limits = Limits { call: Duration::from_secs(1000), instructions: u64::MAX / 2, ..Limits::default() };
        let (_directory, mut policy) = loaded_with(script, limits);
        policy.limit(Some(std::time::Instant::now() + Duration::from_millis(300)));
        let error = policy.decide(&Event::PreCheckpoint(JobEvent::default())).unwrap_err();
        assert_eq!((error.class, error.code), (reprise::error::Class::Temp, nix::libc::ETIME), "{error}");
        assert!(error.message.starts_with("the time limit of the request was over in a hook script: "), "{error}");
        let error = policy.decide(&Event::PreCheckpoint(JobEvent::default())).unwrap_err();
        assert_eq!(error.code, nix::libc::ETIME, "{error}");
        assert!(error.remedy.unwrap().contains("--time"));
    }
}

fn all_that_is_logged_in_a_request_counts() {
    let (_directory, mut policy) = loaded("cr.on('area-disposition', function() for i = 1, 7000 do print('') end end)");
    let area = Event::AreaDisposition(AreaEvent::default());
    let lines: Vec<LogLine> = (0..20).flat_map(|_| policy.decide(&area).unwrap().log).collect();
    let bytes: usize = lines.iter().map(|line| line.by.len() + line.text.len()).sum();
    assert!(bytes < 66 << 10, "{bytes} bytes");
    let told: Vec<&LogLine> = lines.iter().filter(|line| line.text.contains("the rest is left out")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
}

fn nothing_is_left_of_a_process_without_a_policy() {
    let (_directory, policy) = loaded("");
    let pid = policy.pid().unwrap();
    drop(policy);
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "a zombie");
}

/// Waits for something that must come.
fn until(mut is_so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}
