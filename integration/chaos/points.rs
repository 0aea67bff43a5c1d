//! Every kill point of `cr_checkpoint`: it is ended at its K-th ptrace, wait or memory call, and the job never notices.
//!
//! Relies on the fault points of debug builds (src/sys/fault.rs) and on jobs that check themselves all the time: with the C library, without
//! any, in Go, and under a seccomp filter that kills. The usual run takes some points; a long one takes all of them, signal by signal.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use crate::case::Case;
use crate::children::{End, wait_until};
use crate::job::Job;
use crate::observe;
use crate::pace::{self, Pace};
use crate::prepare::workspace;
use crate::site::Site;
use crate::verdict::{Verdict, ensure, skipped};

/// What ends a tool, in the order of a long run: all points by the first one before the next.
pub const SIGNALS: &[Signal] = &[Signal::SIGKILL, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGXFSZ];
/// No tool has so many points for these jobs.
const MOST_POINTS: u32 = 1 << 14;

/// One case a kind of job.
pub fn cases() -> Vec<Case> {
    vec![
        pace::case("chaos", "points-libc", |site| survives(site, "libc")),
        pace::case("chaos", "points-bare", |site| survives(site, "bare")),
        pace::case("chaos", "points-go", |site| survives(site, "go")),
        pace::case("chaos", "points-filtered", |site| survives(site, "filtered")),
    ]
}

/// The command of a kind of job; `steady` itself takes no pid of its own.
pub fn command(site: &Site, kind: &str) -> Verdict<Command> {
    match kind {
        "bare" => Ok(site.command(site.program("bare"))),
        "go" => in_go(site),
        "filtered" if !crate::site::is_true_root() => Err(skipped("a job with filters takes CAP_SYS_ADMIN")),
        "filtered" => {
            let mut command = site.command(site.program("steady"));
            command.arg("filter");
            Ok(command)
        }
        _ => Ok(site.command(site.program("steady"))),
    }
}

fn in_go(site: &Site) -> Verdict<Command> {
    let program = site.dir.join("job");
    if !program.exists() {
        if Command::new("go").arg("version").output().is_err() {
            return Err(skipped("not installed: go"));
        }
        let mut build = site.command("go");
        build.args(["build", "-o"]).arg(&program).arg(workspace().join("integration/chaos/steady.go"));
        build.envs([("CGO_ENABLED", "0"), ("GOFLAGS", "")]).env("GOCACHE", site.dir.join("cache")).env("HOME", &site.dir);
        site.run(&mut build)?.succeeded()?;
    }
    Ok(site.command(&program))
}

/// Starts a job of this kind where others have been before.
pub fn begin(site: &Site, kind: &str) -> Verdict<Job> {
    for name in ["out", "go"] {
        // Left by the job before.
        let _ = std::fs::remove_file(site.work().join(name));
    }
    let job = site.start(command(site, kind)?)?;
    site.wait_ready(&job)?;
    Ok(job)
}

/// Ends checkpoints of such a job at their points, and counts harmed jobs.
fn survives(site: &Site, kind: &str) -> Verdict {
    let mut job = begin(site, kind)?;
    let pace = Pace::new(site);
    let mut harmed = Vec::new();
    let points = Points::find(&pace, |at| end_at(site, &mut job, kind, (at, Signal::SIGKILL), &mut harmed))?;
    while pace.goes_on() {
        end_at(site, &mut job, kind, points.pick(&pace), &mut harmed)?;
    }
    let rounds = pace.rounds.get();
    site.tell(format_args!("{rounds} kills, {} harmed; {}", harmed.len(), points.told()));
    ensure(harmed.is_empty(), || format!("{} of {rounds} kills harmed the job:\n{}", harmed.len(), harmed.join("\n")))?;
    site.runs_on(&job)
}

/// One checkpoint that ends at this point; says whether it came so far. A harmed job is replaced.
fn end_at(site: &Site, job: &mut Job, kind: &str, (at, signal): (u32, Signal), harmed: &mut Vec<String>) -> Verdict<bool> {
    let mut command = site.command(site.tool("cr_checkpoint"));
    command.args(["--clobber", "-f"]).arg(site.context("job.ctx")).arg(job.pid.to_string());
    site.step(format_args!("point {at}, {signal}"));
    let ran = site.run(command.env("REPRISE_FAULT", format!("tracee:{at}:{}", signal as i32)))?;
    if let Some(what) = harm(site, job) {
        site.step(format_args!("harmed at point {at} by {signal}: {what}"));
        harmed.push(format!("point {at}, {signal}: {what}"));
        // What is left of it must not meet the next one.
        let _ = kill(job.pid, Signal::SIGKILL);
        site.children.wait(job.pid, site.patience)?;
        *job = begin(site, kind)?;
    }
    Ok(ran.end != End::Code(0))
}

/// What is wrong with the job, if anything: it has ended, complained, or is left stopped or traced.
fn harm(site: &Site, job: &Job) -> Option<String> {
    let has_ended = || site.children.end_of(job.pid).is_some();
    let is_free = || observe::is_untraced(job.pid) && !observe::is_stopped(job.pid);
    let free = wait_until(Duration::from_secs(5), || has_ended() || is_free());
    // Its checks run all the time: a moment shows what it has noticed.
    std::thread::sleep(Duration::from_millis(10));
    if let Some(end) = site.children.end_of(job.pid) {
        return Some(format!("it has ended with {end}: {}", job.output().trim_end()));
    }
    if !free {
        return Some(observe::one_line(job.pid));
    }
    job.output().contains("FAIL").then(|| job.output())
}

/// The points of a run, in an order that meets all of them once a signal.
pub struct Points {
    /// How many there are, about.
    n: u32,
    first: u32,
    taken: std::cell::Cell<u32>,
}

impl Points {
    /// Finds out how many there are. `reaches` ends a run at a point, and says whether the run came so far.
    pub fn find(pace: &Pace, mut reaches: impl FnMut(u32) -> Verdict<bool>) -> Verdict<Points> {
        let (mut below, mut above) = (0, 64);
        let mut tried = |at: u32| {
            pace.rounds.set(pace.rounds.get() + 1);
            reaches(at)
        };
        while tried(above)? {
            (below, above) = (above, 2 * above);
            ensure(above < MOST_POINTS, || "it goes through more fault points than there can be".to_owned())?;
        }
        while 8 < above - below {
            let middle = below.midpoint(above);
            if tried(middle)? { below = middle } else { above = middle }
        }
        ensure(10 < above, || "the tool has no fault points: not a debug build".to_owned())?;
        Ok(Points { n: above, first: pace.below(above), taken: std::cell::Cell::new(0) })
    }

    /// The next point and the signal for it.
    pub fn pick(&self, pace: &Pace) -> (u32, Signal) {
        let round = self.taken.get();
        self.taken.set(round + 1);
        // A step that has no divisor in common with their number meets all of them.
        let step = (self.n * 5 / 8..).find(|step| greatest_divisor(*step, self.n) == 1).unwrap_or(1);
        let at = 1 + (u64::from(self.first) + u64::from(round) * u64::from(step)) % u64::from(self.n);
        let turn = if pace.is_long { round / self.n } else { round };
        (u32::try_from(at).unwrap_or(1), SIGNALS[turn as usize % SIGNALS.len()])
    }

    /// How much has been taken, for the report.
    pub fn told(&self) -> String {
        format!("{} points, taken {:.2} times", self.n, f64::from(self.taken.get()) / f64::from(self.n))
    }
}

fn greatest_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_divisor(b, a % b) }
}
