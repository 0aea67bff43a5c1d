//! Runs cases in parallel sandboxes, prints a line for each, and counts.
//!
//! A failed case keeps its directory under `integration/failed`, and the one command that repeats it is printed.
//! Relies on `sandbox` for isolation: killing the outer process of a case kills all of it. The verdict comes back in the file `verdict` of the
//! case's directory.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::case::{self, Case, Filter};
use crate::children::wait_until;
use crate::observe;
use crate::prepare::{SUITE, workspace};
use crate::sandbox;
use crate::site::Site;
use crate::table::ROWS;
use crate::verdict::{Stop, Verdict, failed};

/// How many cases ended how.
#[derive(Default, Clone, Copy)]
pub struct Count {
    /// They did what they should.
    pub passed: u32,
    /// They did not.
    pub failed: u32,
    /// The machine or the row does not allow them.
    pub skipped: u32,
}

/// What the runner needs to know besides the cases.
pub struct Plan {
    /// Holds the tools, the programs and the directories of the cases.
    pub base: PathBuf,
    /// How many cases run at a time.
    pub slots: usize,
    /// Keep the directories of cases that passed, too.
    pub keep: bool,
}

/// Runs the cases that the filter picks and prints the report.
pub fn run(plan: &Plan, filter: &Filter) -> Count {
    let queue = Mutex::new(Queue { waiting: filter.pick(case::all()).into_iter().map(entry).collect(), running: Vec::new() });
    let count = Mutex::new(Count::default());
    let namespaced = sandbox::is_possible();
    if !namespaced {
        println!("no private pid namespace can be made here: cases run bare, and what needs original pids is skipped");
    }
    thread::scope(|scope| {
        for _ in 0..plan.slots {
            scope.spawn(|| {
                while let Some(entry) = next(&queue) {
                    let Entry { name, journey, timeout, .. } = &entry;
                    let start = Instant::now();
                    let label = format!("{name}-{journey}");
                    let verdict = run_one(plan, &[name, journey], *timeout, namespaced);
                    queue.lock().expect("the queue of cases").running.retain(|other| *other != entry);
                    let repeat = format!("cargo xtask integration {name} --journey {journey}");
                    let done = Done { label: &label, repeat: &repeat, took: start.elapsed() };
                    report(plan, &done, &verdict, &mut count.lock().expect("the count"));
                }
            });
        }
    });
    count.into_inner().expect("the count")
}

/// A case that waits for its turn, or has it. Bodies cannot cross threads; each case finds its own again.
#[derive(Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    journey: String,
    timeout: Duration,
    is_row: bool,
}

fn entry(case: Case) -> Entry {
    let is_row = ROWS.iter().any(|row| row.name == case.name);
    Entry { name: case.name, journey: case.journey, timeout: case.timeout, is_row }
}

struct Queue {
    waiting: VecDeque<Entry>,
    running: Vec<Entry>,
}

/// The next case. One test program never runs twice at a time: some names, such as those of abstract sockets, belong to
/// the whole machine.
fn next(queue: &Mutex<Queue>) -> Option<Entry> {
    loop {
        let mut queue = queue.lock().expect("the queue of cases");
        let Queue { waiting, running } = &mut *queue;
        let is_free = |entry: &Entry| !entry.is_row || running.iter().all(|other| other.name != entry.name);
        if let Some(at) = waiting.iter().position(is_free) {
            let entry = waiting.remove(at)?;
            running.push(entry.clone());
            return Some(entry);
        }
        if waiting.is_empty() {
            return None;
        }
        drop(queue);
        thread::sleep(Duration::from_millis(5));
    }
}

struct Done<'a> {
    label: &'a str,
    repeat: &'a str,
    took: Duration,
}

fn report(plan: &Plan, done: &Done<'_>, verdict: &Verdict, count: &mut Count) {
    let Done { label, repeat, took } = done;
    let dir = plan.base.join(label);
    let seconds = took.as_secs_f64();
    match verdict {
        Ok(()) => {
            count.passed += 1;
            let told = fs::read_to_string(dir.join("told")).map(|told| format!("  ({told})")).unwrap_or_default();
            println!("ok    {label}  {seconds:.2} s{told}");
        }
        Err(Stop::Skipped(reason)) => {
            count.skipped += 1;
            println!("skip  {label}: {reason}");
        }
        Err(Stop::Failed(text)) => {
            count.failed += 1;
            println!("FAIL  {label}  {seconds:.2} s");
            println!("      {}", text.replace('\n', "\n      "));
            println!("      kept: {}", keep(&dir, label).display());
            println!("      repeat: {repeat}");
        }
    }
    if verdict.is_ok() && plan.keep {
        println!("      kept: {}", keep(&dir, label).display());
    }
    // Whatever is left goes with the base directory at the end.
    let _ = fs::remove_dir_all(&dir);
}

/// Moves a case's directory to where it stays, and says where that is.
fn keep(dir: &Path, label: &str) -> PathBuf {
    let kept = workspace().join("integration/failed").join(label);
    let _ = fs::remove_dir_all(&kept);
    let _ = fs::create_dir_all(kept.parent().expect("a directory above the kept one"));
    // The destination may be on another file system; cp knows FIFOs and sockets, too.
    let copied = Command::new("cp").arg("-a").arg(dir).arg(&kept).stderr(Stdio::null()).status();
    if copied.is_ok_and(|status| status.success()) { kept } else { dir.to_owned() }
}

/// Runs one case in a process of its own, and waits for it no longer than it may take.
fn run_one(plan: &Plan, words: &[&str; 2], timeout: Duration, namespaced: bool) -> Verdict {
    let dir = plan.base.join(words.join("-"));
    let prepared = fs::create_dir(&dir).and_then(|()| File::create(dir.join("harness")));
    let said = prepared.map_err(|error| failed(format_args!("cannot prepare {}: {error}", dir.display())))?;
    fs::set_permissions(&dir, PermissionsExt::from_mode(0o755)).expect("open the case's directory");
    let mut command = Command::new(plan.base.join(SUITE));
    command.arg(if namespaced { "--outer" } else { "--inside" }).args(words).arg(&plan.base);
    command.stdin(Stdio::null()).stderr(said.try_clone().expect("share the harness's output")).stdout(said);
    let mut child = command.spawn().map_err(|error| failed(format_args!("cannot start the case: {error}")))?;
    // The case ends itself in time and says why; this is for the case that cannot.
    if !wait_until(timeout + Duration::from_secs(20), || has_ended(&mut child)) {
        let _ = child.kill();
        let _ = child.wait();
        return Err(failed("the harness of this case hung"));
    }
    read_verdict(&dir)
}

fn has_ended(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}

fn read_verdict(dir: &Path) -> Verdict {
    let text = fs::read_to_string(dir.join("verdict")).unwrap_or_default();
    match text.split_once('\n') {
        Some(("passed", _)) => Ok(()),
        Some(("skipped", reason)) => Err(Stop::Skipped(reason.to_owned())),
        Some(("failed", text)) => Err(failed(text)),
        _ => {
            let said = fs::read_to_string(dir.join("harness")).unwrap_or_default();
            Err(failed(format_args!("the harness of this case died: {}", said.trim_end())))
        }
    }
}

/// Inside the sandbox: runs the case and leaves its verdict.
pub fn inside(name: &str, journey: &str, base: &Path) -> ExitCode {
    let namespaced = sandbox::enter();
    let case = case::all().into_iter().find(|case| case.name == name && case.journey == journey).expect("a case of the suite");
    let dir = base.join(case.label());
    watch(dir.clone(), case.timeout);
    let body = || (case.body)(&Site::new(&dir, base, namespaced, case.timeout / 2)?);
    let verdict = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
        Err(failed(format_args!("panic: {}", text.unwrap_or_default())))
    });
    leave(&dir, &verdict)
}

fn leave(dir: &Path, verdict: &Verdict) -> ExitCode {
    let text = match verdict {
        Ok(()) => "passed\n".to_owned(),
        Err(Stop::Skipped(reason)) => format!("skipped\n{reason}"),
        Err(Stop::Failed(text)) => format!("failed\n{text}"),
    };
    fs::write(dir.join("verdict"), text).expect("write the verdict");
    ExitCode::SUCCESS
}

/// Ends a case that takes too long, with a list of what everybody is doing.
fn watch(dir: PathBuf, timeout: Duration) {
    thread::spawn(move || {
        thread::sleep(timeout);
        let steps = fs::read_to_string(dir.join("steps")).unwrap_or_default();
        let last = steps.lines().last().unwrap_or("nothing").trim();
        let lines: Vec<String> = observe::descendants().into_iter().map(observe::one_line).collect();
        let text = format!("not done within {} s; last step: {last}\n{}", timeout.as_secs(), lines.join("\n"));
        leave(&dir, &Err(failed(text)));
        std::process::exit(1);
    });
}
