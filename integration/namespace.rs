//! Restarts in namespaces of their own: by a user without rights, while somebody else has the saved ids.
//!
//! Relies on `cr_restart` choosing namespaces by itself for such a user. The processes of the job then have other ids in the sandbox than
//! in their own eyes: `NSpid` of `/proc/PID/status` tells both. Leaves the table's journey to `journeys`, which calls [`restart`].

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::case::{Case, Scene};
use crate::children::{End, wait_until};
use crate::job::Job;
use crate::observe;
use crate::site::{Site, is_true_root};
use crate::verdict::{Attempt, Verdict, ensure, failed, skipped};

/// Writes its end to a file, and answers SIGTERM.
const WORKER: &str = "trap 'echo terminated; exit 9' TERM; echo READY; while [ ! -e go ]; do sleep 0.02; done; exit 7";
/// Its lead ends when told to and leaves a child.
const FORGETFUL: &str = "sh -c 'while [ ! -e end ]; do sleep 0.02; done; echo late' & echo READY; while [ ! -e go ]; do sleep 0.02; done";

/// Every scene but the table's.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[
        ("exit-status", exit_status),
        ("signal", signal),
        ("death", death),
        ("killed", killed),
        ("detach", detach),
        ("orphan", orphan),
        ("outside", outside),
        ("asked-for", asked_for),
        ("failure", failure),
        ("foreign-rights", foreign_rights),
    ];
    scenes.iter().map(|(journey, scene)| Case::new("namespace", journey, *scene)).collect()
}

/// Skips where no user may make namespaces; afterwards everything runs as nobody.
pub fn prepare(site: &Site) -> Verdict {
    if !site.namespaced {
        return Err(skipped("needs pids of its own, so that it can take them"));
    }
    site.drop_privileges()?;
    let words = ["--user", "--pid", "--mount", "--fork", "mount", "-t", "proc", "proc", "/proc"];
    let mut command = site.command("unshare");
    let ran = site.run(command.args(["--map-root-user"]).args(words))?;
    if ran.end == End::Code(0) { Ok(()) } else { Err(skipped(format_args!("no namespaces for users here: {}", ran.stderr.trim()))) }
}

/// Gives a process of ours the pid that a job had.
pub fn take(site: &Site, pid: Pid) -> Verdict<Pid> {
    for _ in 0..100 {
        fs::write("/proc/sys/kernel/ns_last_pid", (pid.as_raw() - 1).to_string()).attempt("choose the next pid")?;
        let holder = site.children.start(Command::new("sleep").arg("1000"))?;
        if holder == pid {
            return Ok(holder);
        }
        end(site, holder)?;
    }
    Err(failed(format_args!("nobody gets pid {pid}")))
}

/// Ends a process of ours, and collects it.
pub fn end(site: &Site, pid: Pid) -> Verdict {
    kill(pid, Signal::SIGKILL).attempt("end a process")?;
    site.children.wait(pid, site.patience).map(drop)
}

/// `cr_restart EXTRA… CONTEXT`, left running: the job is below it, and knows itself by the pid it had.
pub fn restart(site: &Site, extra: &[&str], context: &Path, was: Pid, job: &Job) -> Verdict<Job> {
    let mark = site.context("restarted");
    let _ = fs::remove_file(&mark);
    let mut command = site.command(site.tool("cr_restart"));
    command.args(extra).args(["--run-on-success", ": >restarted"]).arg(context);
    let (tool, output) = site.launch(&mut command)?;
    let job = |pid| Job { pid, waited: tool, work: job.work.clone(), complaints: Some(output.with_extension("stderr")) };
    let mut lead = None;
    wait_until(site.patience, || {
        lead = observe::descendants().into_iter().find(|pid| inner_pid(*pid) == Some(was));
        let free = observe::descendants().into_iter().all(observe::is_untraced);
        site.children.end_of(tool).is_some() || mark.exists() && lead.is_some() && free
    });
    match (site.children.end_of(tool), lead) {
        (Some(End::Code(0)), _) => Ok(job(was)),
        (None, Some(lead)) if mark.exists() => Ok(job(lead)),
        (end, _) => Err(job(was).with_output(failed(format_args!("the job did not come back: cr_restart {end:?}")))),
    }
}

/// The pid of a process in its own eyes, if it is in a namespace below ours.
pub fn inner_pid(pid: Pid) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let ids: Vec<i32> = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_whitespace().flat_map(str::parse).collect();
    ids.get(1).copied().map(Pid::from_raw)
}

/// A shell job that was saved and killed, and whose pid is taken.
fn saved(site: &Site, script: &str) -> Verdict<(Job, Pid)> {
    prepare(site)?;
    let mut command = site.command("sh");
    command.args(["-c", script]);
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    site.checkpoint_and_kill(&[], &site.context("job.ctx"), &job)?;
    let holder = take(site, job.pid)?;
    Ok((job, holder))
}

fn back(site: &Site, script: &str, extra: &[&str]) -> Verdict<(Job, Pid)> {
    let (was, holder) = saved(site, script)?;
    Ok((restart(site, extra, &site.context("job.ctx"), was.pid, &was)?, holder))
}

fn ends(site: &Site, job: &Job, holder: Pid, wanted: End) -> Verdict {
    let got = site.children.wait(job.waited, site.patience)?;
    ensure(got == wanted, || format!("cr_restart: {got}, expected {wanted}\n{}", job.output()))?;
    end(site, holder)?;
    site.gone()
}

/// The exit status of the job is that of cr_restart.
fn exit_status(site: &Site) -> Verdict {
    let (job, holder) = back(site, WORKER, &[])?;
    site.go(&job, "restart")?;
    ends(site, &job, holder, End::Code(7))
}

/// A signal for cr_restart is one for the job.
fn signal(site: &Site) -> Verdict {
    let (job, holder) = back(site, WORKER, &[])?;
    kill(job.waited, Signal::SIGTERM).attempt("signal cr_restart")?;
    ends(site, &job, holder, End::Code(9))?;
    ensure(job.output().contains("terminated"), || format!("the job was not told:\n{}", job.output()))
}

/// The signal that kills the job kills cr_restart.
fn death(site: &Site) -> Verdict {
    let (job, holder) = back(site, WORKER, &[])?;
    kill(job.pid, Signal::SIGUSR1).attempt("signal the job")?;
    ends(site, &job, holder, End::Signal(Signal::SIGUSR1 as i32))
}

/// Without cr_restart nothing of the job is left.
fn killed(site: &Site) -> Verdict {
    let (job, holder) = back(site, WORKER, &[])?;
    kill(job.waited, Signal::SIGKILL).attempt("kill cr_restart")?;
    ends(site, &job, holder, End::Signal(9))
}

/// A detached job lives without cr_restart, and its namespace ends with it.
fn detach(site: &Site) -> Verdict {
    let (was, holder) = saved(site, WORKER)?;
    let mut command = site.command(site.tool("cr_restart"));
    site.run(command.arg("--detach").arg(site.context("job.ctx")))?.succeeded()?;
    let lead = || observe::descendants().into_iter().find(|pid| inner_pid(*pid) == Some(was.pid));
    let pid = lead().ok_or_else(|| failed("the job is not there"))?;
    kill(pid, Signal::SIGTERM).attempt("signal the job")?;
    ensure(wait_until(site.patience, || was.output().contains("terminated")), || format!("no answer:\n{}", was.output()))?;
    end(site, holder)?;
    site.gone()
}

/// Children that outlive the lead live on, though the first process of their namespace is ours.
fn orphan(site: &Site) -> Verdict {
    let (job, holder) = back(site, FORGETFUL, &[])?;
    site.go(&job, "restart")?;
    let got = site.children.wait(job.waited, site.patience)?;
    ensure(got == End::Code(0), || format!("cr_restart: {got}"))?;
    fs::write(job.work.join("end"), "").attempt("tell the orphan")?;
    ensure(wait_until(site.patience, || job.output().contains("late")), || format!("the orphan was lost:\n{}", job.output()))?;
    end(site, holder)?;
    site.gone()
}

/// From outside, the id of cr_restart means the job; a group from outside is refused, and says how to go on.
fn outside(site: &Site) -> Verdict {
    let (job, holder) = back(site, WORKER, &[])?;
    let (again, refused) = (site.context("again.ctx"), site.context("refused.ctx"));
    let group = site.try_checkpoint(&["--group"], &refused, nix::unistd::getpgid(Some(job.pid)).attempt("ask for the group")?)?;
    ensure(group.end != End::Code(0) && group.stderr.contains("nsenter"), || format!("not refused: {}", group.stderr))?;
    site.checkpoint(&["--kill"], &again, job.waited)?;
    let got = site.children.wait(job.waited, site.patience)?;
    ensure(got == End::Signal(9), || format!("cr_restart: {got}"))?;
    let job = restart(site, &[], &again, holder, &job)?;
    site.go(&job, "again")?;
    ends(site, &job, holder, End::Code(7))
}

/// Capabilities that a job has only in a user namespace of its own must not come back as real ones: refused, and the job runs on.
fn foreign_rights(site: &Site) -> Verdict {
    if !is_true_root() {
        return Err(skipped("needs root, whose restart would hand the rights out"));
    }
    let mut command = site.command("unshare");
    command.args(["--user", "--map-root-user", "sh", "-c", WORKER]);
    let job = site.start(command)?;
    if site.wait_ready(&job).is_err() {
        return Err(skipped("no user namespaces here"));
    }
    let ran = site.try_checkpoint(&["--kill"], &site.context("job.ctx"), job.pid)?;
    let says = ran.stderr.contains("user namespace of its own");
    ensure(ran.end != End::Code(0) && says, || format!("{}: {}", ran.end, ran.stderr))?;
    ensure(!site.context("job.ctx").exists(), || "a context file was left".to_owned())?;
    site.go(&job, "continue")?;
    let end = site.children.wait(job.waited, site.patience)?;
    ensure(end == End::Code(7), || format!("the job ended with {end}"))
}

/// Who could choose ids gets a namespace by asking for it.
fn asked_for(site: &Site) -> Verdict {
    if !site.namespaced {
        return Err(skipped("needs pids of its own, so that it can take them"));
    }
    let mut command = site.command("sh");
    command.args(["-c", WORKER]);
    let was = site.start(command)?;
    site.wait_ready(&was)?;
    site.checkpoint_and_kill(&[], &site.context("job.ctx"), &was)?;
    let holder = take(site, was.pid)?;
    let job = restart(site, &["--namespace"], &site.context("job.ctx"), was.pid, &was)?;
    site.go(&job, "restart")?;
    ends(site, &job, holder, End::Code(7))
}

/// A restart that fails in there fails out here, and leaves nothing.
fn failure(site: &Site) -> Verdict {
    let (_, holder) = saved(site, WORKER)?;
    let gone = site.dir.join("moved");
    fs::rename(site.work(), &gone).attempt("move the working directory away")?;
    let mut command = site.command(site.tool("cr_restart"));
    let ran = site.run(command.arg(site.context("job.ctx")))?;
    ensure(ran.end == End::Code(2) && ran.stderr.contains("class env"), || format!("{}: {}", ran.end, ran.stderr))?;
    end(site, holder)?;
    site.gone()
}
