//! Every kill point: `cr_checkpoint` is ended at its K-th ptrace, wait or memory call, for K = 1, 2, …, and the job never notices.
//!
//! Relies on the fault points of debug builds (src/sys/fault.rs) and on jobs that check themselves all the time: with the C library, without
//! any, in Go, and under a seccomp filter that kills. The suite takes a share of the points, beginning at a random one (REPRISE_SEED);
//! all of them with REPRISE_ALL=1.

use std::process::Command;
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};

use crate::case::{Case, Scene};
use crate::children::{End, wait_until};
use crate::job::Job;
use crate::observe;
use crate::prepare::workspace;
use crate::site::Site;
use crate::verdict::{Verdict, ensure, skipped};

/// In the suite, one point of so many.
const SHARE: u32 = 9;
/// What is left for jobs under a filter that kills, in percent of the points (docs/architecture.md, "Known weak spots").
const LEFT_PERCENT: usize = 12;
/// No checkpoint of these jobs has so many points.
const MOST_POINTS: u32 = 20_000;

/// One case a kind of job.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[("libc", with_libc), ("bare", without_libc), ("go", in_go), ("filtered", filtered)];
    scenes.iter().map(|(journey, scene)| Case::new("kill-points", journey, *scene).patient(1200)).collect()
}

fn with_libc(site: &Site) -> Verdict {
    survives(site, &|| site.command(site.program("steady")), 0)
}

fn without_libc(site: &Site) -> Verdict {
    survives(site, &|| site.command(site.program("bare")), 0)
}

fn filtered(site: &Site) -> Verdict {
    if !crate::site::is_true_root() {
        return Err(skipped("a job with filters takes CAP_SYS_ADMIN"));
    }
    let start = || {
        let mut command = site.command(site.program("steady"));
        command.arg("filter");
        command
    };
    survives(site, &start, LEFT_PERCENT)
}

fn in_go(site: &Site) -> Verdict {
    let source = workspace().join("integration/kills/steady.go");
    let program = site.dir.join("job");
    let mut build = site.command("go");
    build.args(["build", "-o"]).arg(&program).arg(&source).envs([("CGO_ENABLED", "0"), ("GOFLAGS", "")]);
    build.env("GOCACHE", site.dir.join("cache")).env("HOME", &site.dir);
    if Command::new("go").arg("version").output().is_err() {
        return Err(skipped("not installed: go"));
    }
    site.run(&mut build)?.succeeded()?;
    survives(site, &|| site.command(&program), 0)
}

/// Kills and terminates checkpoints of such a job at their points, and counts harmed jobs.
fn survives(site: &Site, start: &dyn Fn() -> Command, percent: usize) -> Verdict {
    let (first, share) = share(site);
    let mut harmed = Vec::new();
    let mut points = 0;
    let mut job = begin(site, start)?;
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let mut at = first;
        loop {
            ensure(at < MOST_POINTS, || "the tool has no fault points: not a debug build".to_owned())?;
            let mut command = site.command(site.tool("cr_checkpoint"));
            command.args(["--clobber", "-f"]).arg(site.context("job.ctx")).arg(job.pid.to_string());
            let ran = site.run(command.env("REPRISE_FAULT", format!("tracee:{at}:{}", signal as i32)))?;
            if let Some(stop) = harm(site, &job) {
                site.step(format_args!("harmed at point {at} by {signal}: {stop}"));
                harmed.push(format!("{at} by {signal}"));
                // What is left of it must not meet the next one.
                let _ = kill(job.pid, Signal::SIGKILL);
                site.children.wait(job.pid, site.patience)?;
                job = begin(site, start)?;
            }
            if ran.end == End::Code(0) {
                break;
            }
            points += 1;
            at += share;
        }
    }
    site.step(format_args!("{points} kills, {} harmed", harmed.len()));
    ensure(harmed.len() * 100 <= points * percent, || format!("{} of {points} kills harmed the job, at {harmed:?}", harmed.len()))?;
    ensure(points > 10, || format!("only {points} points"))?;
    site.runs_on(&job)
}

fn begin(site: &Site, start: &dyn Fn() -> Command) -> Verdict<Job> {
    // Left by the job before.
    let _ = std::fs::remove_file(site.work().join("out"));
    let job = site.start(start())?;
    site.wait_ready(&job)?;
    Ok(job)
}

/// What is wrong with the job, if anything: it has ended, complained, or is left stopped or traced.
fn harm(site: &Site, job: &Job) -> Option<String> {
    let free = || site.children.end_of(job.pid).is_none() && observe::is_untraced(job.pid) && !observe::is_stopped(job.pid);
    let free = wait_until(Duration::from_secs(5), free);
    // Its checks run all the time: a moment shows what it has noticed.
    std::thread::sleep(Duration::from_millis(5));
    if let Some(end) = site.children.end_of(job.pid) {
        return Some(format!("it has ended with {end}: {}", job.output().trim_end()));
    }
    if !free {
        return Some(observe::one_line(job.pid));
    }
    job.output().contains("FAIL").then(|| job.output())
}

/// The first point and the distance to the next.
fn share(site: &Site) -> (u32, u32) {
    if std::env::var_os("REPRISE_ALL").is_some() {
        return (1, 1);
    }
    let clock = || SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.subsec_nanos());
    let seed: u32 = std::env::var("REPRISE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(clock);
    site.step(format_args!("REPRISE_SEED={seed}"));
    (1 + seed % SHARE, SHARE)
}
