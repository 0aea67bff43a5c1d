//! Trees that contain `cr_restart`: a batch script that restarted its job is saved from outside, and lives through many lives.
//!
//! The jobs are shells. Relies on the built programs; leaves which processes are left out of a tree to the last scene, and what a single
//! restart does to `journeys`.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::case::{Case, Scene};
use crate::children::{End, wait_until};
use crate::job::Job;
use crate::observe;
use crate::site::Site;
use crate::verdict::{Attempt, Verdict, ensure, skipped};

/// Every promise.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[
        ("lives", lives),
        ("session", session),
        ("new-ids", new_ids),
        ("killed", killed),
        ("omitted", omitted),
        ("never-omitted", never_omitted),
    ];
    scenes.iter().map(|(journey, scene)| Case::new("restarter", journey, *scene)).collect()
}

/// The job at the bottom: counts signals, ends when it may, with 7.
const WORK: &str = "trap 'echo signal' USR1; echo ready; while [ ! -e go ]; do sleep 0.05; done; echo done; exit 7";

/// The script around it, as in a batch system.
const BATCH: &str = "echo begin; cr_restart $OPTIONS ../job.ctx; echo status $?; [ -e again ] || echo end";

/// A batch script that has restarted its job.
struct Batch {
    /// The shell that runs the script.
    script: Pid,
    /// What is waited for: the script, or a `cr_restart` above it.
    waited: Pid,
    /// The job at the bottom.
    work: Pid,
    job: Job,
}

/// Saves a job and starts a batch script that restarts it, `cr_restart` being called with these options.
fn batch(site: &Site, options: &str) -> Verdict<Batch> {
    if !site.namespaced {
        return Err(skipped("needs its own pids"));
    }
    let mut shell = site.command("sh");
    shell.args(["-c", WORK]);
    let job = site.start(shell)?;
    says(site, &job, "ready", 1)?;
    let work = job.pid;
    site.checkpoint_and_kill(&[], &site.context("job.ctx"), &job)?;
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = site.session_leader(&PathBuf::from("sh"));
    shell.args(["-c", BATCH]).env("OPTIONS", options).env("PATH", format!("{}:{path}", site.base.join("bin").display()));
    let job = site.start(shell)?;
    runs(site, work)?;
    Ok(Batch { script: job.pid, waited: job.pid, work, job })
}

/// Waits until a line has been printed so often.
fn says(site: &Site, job: &Job, line: &str, times: usize) -> Verdict {
    let count = || job.output().lines().filter(|have| *have == line).count();
    ensure(wait_until(site.patience, || count() == times), || format!("\"{line}\" came {} times, not {times}:\n{}", count(), job.output()))
}

/// Waits until the job runs, and nothing traces it.
fn runs(site: &Site, pid: Pid) -> Verdict {
    let runs = || observe::image(pid).is_some_and(|image| !image.ends_with("cr_restart")) && observe::is_untraced(pid);
    ensure(wait_until(site.patience, runs), || format!("process {pid} does not run: {}", observe::one_line(pid)))
}

/// The `cr_restart` that waits for this process.
fn restarter_of(site: &Site, pid: Pid) -> Verdict<Pid> {
    let mut found = None;
    let waits = || {
        found = observe::parent(pid).filter(|parent| observe::image(*parent).is_some_and(|image| image.ends_with("cr_restart")));
        found.is_some_and(|found| observe::one_line(found).contains("cr_restart"))
    };
    ensure(wait_until(site.patience, waits), || format!("no cr_restart waits for {pid}"))?;
    found.ok_or_else(|| crate::verdict::failed("no cr_restart"))
}

impl Batch {
    /// Saves the whole batch script from outside, ends it, and restarts it.
    fn next_life(&mut self, site: &Site, number: usize, scope: &str, options: &[&str]) -> Verdict {
        let context = site.context(&format!("life{number}.ctx"));
        let mut save = site.command(site.tool("cr_checkpoint"));
        save.args([scope, "--kill", "-f"]).arg(&context).arg(self.script.to_string());
        site.run(&mut save)?.succeeded()?;
        site.children.wait(self.waited, site.patience)?;
        let mut restart = site.command(site.tool("cr_restart"));
        self.waited = site.launch(restart.args(options).arg(&context))?.0;
        Ok(())
    }

    /// The job is told to end, and everything above it says how it ended.
    fn ends(&self, site: &Site) -> Verdict {
        fs::write(self.job.work.join("go"), "").attempt("let the job end")?;
        let end = site.children.wait(self.waited, site.patience).map_err(|stop| self.job.with_output(stop))?;
        let out = self.job.output();
        ensure(end == End::Code(0) && out.ends_with("done\nstatus 7\nend\n"), || format!("the script ended with {end}:\n{out}"))?;
        site.gone()
    }
}

/// Life after life: the inner `cr_restart` goes on to wait, passes signals on, and mirrors the end.
fn lives(site: &Site) -> Verdict {
    let mut batch = batch(site, "")?;
    for life in 1..=4 {
        let inner = restarter_of(site, batch.work)?;
        kill(inner, Signal::SIGUSR1).attempt("send a signal to the inner cr_restart")?;
        says(site, &batch.job, "signal", life)?;
        batch.next_life(site, life, "--tree", &[])?;
        runs(site, batch.work)?;
    }
    batch.ends(site)
}

/// The same through the session of the script.
fn session(site: &Site) -> Verdict {
    let mut batch = batch(site, "")?;
    for life in 1..=2 {
        batch.next_life(site, life, "--session", &["--restore-sid"])?;
        runs(site, batch.work)?;
    }
    batch.ends(site)
}

/// With new ids the inner `cr_restart` finds its job again. (A shell does not: it remembers its child by number.)
fn new_ids(site: &Site) -> Verdict {
    let mut batch = batch(site, "--omit-never")?;
    let before = observe::descendants();
    batch.script = restarter_of(site, batch.work)?;
    batch.next_life(site, 1, "--tree", &["--no-restore-pid"])?;
    let is_work = |pid: &Pid| observe::parent(*pid).and_then(observe::parent) == Some(batch.waited);
    let mut work = None;
    let came = || {
        work = observe::descendants().into_iter().find(is_work);
        work.is_some_and(observe::is_untraced)
    };
    ensure(wait_until(site.patience, came), || "the job did not come back".to_owned())?;
    let work = work.ok_or_else(|| crate::verdict::failed("no job"))?;
    ensure(!before.contains(&work), || format!("{work} is no new id"))?;
    runs(site, work)?;
    kill(restarter_of(site, work)?, Signal::SIGUSR1).attempt("send a signal to the inner cr_restart")?;
    says(site, &batch.job, "signal", 1)?;
    fs::write(batch.job.work.join("go"), "").attempt("let the job end")?;
    let end = site.children.wait(batch.waited, site.patience)?;
    ensure(end == End::Code(7), || format!("cr_restart ended with {end}"))?;
    site.gone()
}

/// A job that dies of a signal in its second life takes the inner `cr_restart` with it, by the same signal.
fn killed(site: &Site) -> Verdict {
    let mut batch = batch(site, "")?;
    batch.next_life(site, 1, "--tree", &[])?;
    runs(site, batch.work)?;
    restarter_of(site, batch.work)?;
    kill(batch.work, Signal::SIGKILL).attempt("kill the job")?;
    let end = site.children.wait(batch.waited, site.patience)?;
    let out = batch.job.output();
    ensure(end == End::Code(0) && out.ends_with("status 137\nend\n"), || format!("the script ended with {end}:\n{out}"))
}

/// `--omit-always`: the job is saved without the layer, and the script, which waits for it, has nothing to wait for.
fn omitted(site: &Site) -> Verdict {
    let mut batch = batch(site, "--omit-always")?;
    batch.next_life(site, 1, "--tree", &[])?;
    runs(site, batch.work)?;
    let above = observe::parent(batch.work);
    ensure(above == Some(batch.waited), || format!("the parent of the job is {above:?}, not cr_restart {}", batch.waited))?;
    says(site, &batch.job, "end", 1)?;
    fs::write(batch.job.work.join("go"), "").attempt("let the job end")?;
    says(site, &batch.job, "done", 1)
}

/// Saved by the id of `cr_restart` itself, the layer goes, unless `--omit-never` wants it: then the next life has one more.
fn never_omitted(site: &Site) -> Verdict {
    for (options, layers) in [("", 1), ("--omit-never", 2)] {
        let mut batch = batch(site, options)?;
        batch.script = restarter_of(site, batch.work)?;
        batch.next_life(site, 1, "--tree", &[])?;
        runs(site, batch.work)?;
        let above = restarter_of(site, batch.work)?;
        let is_waited = above == batch.waited;
        ensure(is_waited == (layers == 1), || format!("{options}: the job's parent is {above}, ours {}", batch.waited))?;
        fs::write(batch.job.work.join("go"), "").attempt("let the job end")?;
        let end = site.children.wait(batch.waited, site.patience)?;
        ensure(end == End::Code(7), || format!("{options}: cr_restart ended with {end}"))?;
        site.gone()?;
        fs::remove_file(batch.job.work.join("go")).attempt("tidy up")?;
        fs::remove_file(batch.job.work.join("out")).attempt("tidy up")?;
    }
    Ok(())
}
