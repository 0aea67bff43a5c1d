//! Every kill point of `cr_restart`: it is ended at its K-th call, and nothing of the job is left, or all of it.
//!
//! Relies on the fault points of debug builds (src/sys/fault.rs). Files that the job writes to are compared byte by byte: where no job runs they are as
//! before. Only a tool that was killed between its commit and the release may have put some of them back to what was saved (docs/architecture.md,
//! "Known weak spots"); that is counted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::points::{self, Points, SIGNALS};
use crate::case::Case;
use crate::children::{End, wait_until};
use crate::job::Job;
use crate::observe;
use crate::pace::{self, Pace};
use crate::site::Site;
use crate::verdict::{Attempt, Verdict, ensure, skipped};

/// What has come to every file since the checkpoint.
const LATER: &[u8] = b"and later\n";

/// Calls in a row that may fail because there is another way.
const PAST_THE_END: u32 = 5;

/// One case a kind of job, and the commit.
pub fn cases() -> Vec<Case> {
    vec![
        pace::case("chaos", "restart-points-libc", |site| any_point(site, "libc")),
        pace::case("chaos", "restart-points-bare", |site| any_point(site, "bare")),
        pace::case("chaos", "restart-points-go", |site| any_point(site, "go")),
        pace::case("chaos", "restart-points-filtered", |site| any_point(site, "filtered")),
        pace::case("chaos", "commit-fails", commit_fails),
        pace::case("chaos", "commit-killed", commit_killed),
    ]
}

/// A saved job that is gone, and the files around it.
struct Saved<'a> {
    site: &'a Site,
    n_processes: usize,
    job: Job,
    before: BTreeMap<String, Vec<u8>>,
}

/// What a restart with a fault in it came to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The job ran, and has been ended.
    Ran,
    /// Nothing was left, and the files are as they were.
    Nothing,
    /// Nothing was left, but some files are as they were saved.
    PutBack,
}

impl Saved<'_> {
    /// Checkpoints and kills the job; then its files grow, as if it had run on meanwhile.
    fn new<'a>(site: &'a Site, job: Job, flags: &[&str]) -> Verdict<Saved<'a>> {
        let n_processes = observe::descendants().len();
        site.checkpoint_and_kill(flags, &site.context("job.ctx"), &job)?;
        for (name, bytes) in files(&site.work())? {
            fs::write(site.work().join(name), [&bytes[..], LATER].concat()).attempt("write more output")?;
        }
        Ok(Saved { site, n_processes, job, before: files(&site.work())? })
    }

    /// A restart with this fault. Whatever happens, nothing is left afterwards.
    fn restart(&self, fault: &str) -> Verdict<Outcome> {
        let site = self.site;
        let mut command = site.command(site.tool("cr_restart"));
        let ran = site.run(command.arg("--detach").arg("-f").arg(site.context("job.ctx")).env("REPRISE_FAULT", fault))?;
        let n_left = self.all_or_nothing()?;
        // Descriptors of what was killed are closed by then.
        let now = files(&site.work())?;
        if 0 < n_left {
            self.put_back()?;
            return Ok(Outcome::Ran);
        }
        ensure(ran.end != End::Code(0), || format!("{fault}: success, and no job:\n{}", ran.stderr))?;
        let is_saved = |(name, bytes): (&String, &Vec<u8>)| now.get(name).is_some_and(|now| *now == bytes[..bytes.len() - LATER.len()]);
        let changed: Vec<_> = self.before.iter().filter(|(name, bytes)| now.get(*name) != Some(*bytes)).collect();
        let is_known = |name: &String| self.before.contains_key(name) || name.starts_with(".reprise-");
        let is_only_put_back = now.keys().all(is_known) && changed.iter().all(|entry| is_saved(*entry));
        let list = |files: &BTreeMap<String, Vec<u8>>| {
            files.iter().map(|(name, bytes)| format!("{name} {}", bytes.len())).collect::<Vec<_>>().join(", ")
        };
        ensure(is_only_put_back, || {
            format!("{fault}: no job, and files were {} and are {}\n{}", list(&self.before), list(&now), ran.stderr)
        })?;
        let is_same = changed.is_empty() && now.len() == self.before.len();
        self.put_back()?;
        Ok(if is_same { Outcome::Nothing } else { Outcome::PutBack })
    }

    /// Every process of the job runs, or none is left; how many. They are ended.
    fn all_or_nothing(&self) -> Verdict<usize> {
        let site = self.site;
        let mut left: Vec<Pid> = Vec::new();
        let restarter = Some(site.tool("cr_restart"));
        let is_running = |pid: &Pid| observe::is_untraced(*pid) && !observe::is_stopped(*pid) && observe::image(*pid) != restarter;
        let settled = wait_until(Duration::from_secs(5), || {
            site.children.collect();
            left = observe::descendants();
            left.is_empty() || left.len() == self.n_processes && left.iter().all(is_running)
        });
        let lines: Vec<String> = left.iter().map(|pid| observe::one_line(*pid)).collect();
        ensure(settled, || format!("{} of {} processes are left:\n{}", lines.len(), self.n_processes, lines.join("\n")))?;
        for pid in &left {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        site.gone()?;
        Ok(left.len())
    }

    fn put_back(&self) -> Verdict {
        for name in files(&self.site.work())?.keys().filter(|name| !self.before.contains_key(*name)) {
            fs::remove_file(self.site.work().join(name)).attempt("remove what was left")?;
        }
        for (name, bytes) in &self.before {
            fs::write(self.site.work().join(name), bytes).attempt("put a file back")?;
        }
        Ok(())
    }

    /// An undisturbed restart, after which the job passes.
    fn comes_back(self) -> Verdict {
        let job = self.site.restart(&[], &self.site.context("job.ctx"), &self.job)?;
        self.site.go(&job, "restart")?;
        self.site.passes(&job)
    }
}

/// Names and contents of all files in a directory.
fn files(directory: &Path) -> Verdict<BTreeMap<String, Vec<u8>>> {
    let entries = fs::read_dir(directory).attempt("list the working directory")?;
    let read = |path: &Path| fs::read(path).attempt(format_args!("read {}", path.display()));
    entries.flatten().map(|entry| Ok((entry.file_name().display().to_string(), read(&entry.path())?))).collect()
}

fn any_point(site: &Site, kind: &str) -> Verdict {
    needs_pids(site)?;
    let saved = Saved::new(site, points::begin(site, kind)?, &[])?;
    let pace = Pace::new(site);
    let cut = std::cell::Cell::new(0);
    let at_point = |(at, signal): (u32, Signal)| {
        let outcome = saved.restart(&format!("all:{at}:{}", signal as i32))?;
        cut.set(cut.get() + u32::from(outcome == Outcome::PutBack));
        Ok(outcome != Outcome::Ran)
    };
    let points = Points::find(&pace, |at| at_point((at, Signal::SIGKILL)))?;
    while pace.goes_on() {
        at_point(points.pick(&pace))?;
    }
    site.tell(format_args!(
        "{} kills, 0 half jobs, {} times files were as saved and no job ran; {}",
        pace.rounds.get(),
        cut.get(),
        points.told()
    ));
    saved.comes_back()
}

fn needs_pids(site: &Site) -> Verdict {
    if site.namespaced { Ok(()) } else { Err(skipped("needs a pid namespace of its own, where its pids are free")) }
}

/// A job with files that are cut and files whose saved contents are put back.
fn with_files(site: &Site) -> Verdict<Saved<'_>> {
    needs_pids(site)?;
    let job = site.start(site.command(site.program("outputs")))?;
    site.wait_ready(&job)?;
    Saved::new(site, job, &["--file-action", "**/*.part=replace"])
}

/// Every call between the commit and the last detach fails, one after the other: the job runs, or everything is as before.
fn commit_fails(site: &Site) -> Verdict {
    let saved = with_files(site)?;
    let pace = Pace::new(site);
    let mut last = 0;
    while pace.goes_on() {
        let error = [Errno::EIO, Errno::ENOSPC, Errno::EPERM][pace.below(3) as usize];
        let mut point = 0;
        // Some calls have another way, and the job runs; so many in a row that it runs after are past the end.
        let mut without = 0;
        while without < PAST_THE_END {
            point += 1;
            let fault = format!("release:{point}:e{}", error as i32);
            let outcome = saved.restart(&fault)?;
            ensure(outcome != Outcome::PutBack, || format!("{fault}: files were changed, and no job runs"))?;
            without = if outcome == Outcome::Ran { without + 1 } else { 0 };
        }
        last = point - PAST_THE_END;
    }
    ensure(10 < last, || format!("only {last} points"))?;
    site.tell(format_args!("{} times all of {last} calls, no file changed without a job", pace.rounds.get()));
    saved.comes_back()
}

/// The tool dies at every point between the commit and the last detach.
fn commit_killed(site: &Site) -> Verdict {
    let saved = with_files(site)?;
    let pace = Pace::new(site);
    let (mut points, mut put_back) = (0, 0);
    while pace.goes_on() {
        let signal = SIGNALS[pace.below(3) as usize];
        let (mut point, mut without) = (0, 0);
        // A signal may also wait until the job runs.
        while without < PAST_THE_END {
            point += 1;
            let outcome = saved.restart(&format!("release:{point}:{}", signal as i32))?;
            put_back += u32::from(outcome == Outcome::PutBack);
            without = if outcome == Outcome::Ran { without + 1 } else { 0 };
        }
        points = points.max(point - PAST_THE_END);
    }
    ensure(10 < points, || format!("only {points} points"))?;
    site.tell(format_args!("{} times all of {points} calls, {put_back} times files were as saved and no job ran", pace.rounds.get()));
    saved.comes_back()
}
