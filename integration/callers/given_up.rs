//! Signals for cr_checkpoint, and the end of the process in front: the checkpoint is given up, at once and without a trace.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{context, nothing_made, start, worker};
use crate::children::{End, wait_until};
use crate::job::Job;
use crate::observe;
use crate::site::Site;
use crate::verdict::{Attempt, Verdict, ensure, failed};

const LONG_HOOK: &str = r#"
local cr = require "cr"
cr.on("frozen", function() cr.exec { "sh", "-c", "setsid sleep 4711 & sleep 4711; true" } end)
"#;

/// A checkpoint that stands in a hook, with the job frozen.
fn stand_in_hook(site: &Site, job: &Job, more: &[&str]) -> Verdict<Pid> {
    stand_in_hook_under(site, job, "exec \"$@\"", more)
}

/// The same, started by a shell that prepares it.
fn stand_in_hook_under(site: &Site, job: &Job, preparation: &str, more: &[&str]) -> Verdict<Pid> {
    let script = site.context("long.lua");
    fs::write(&script, LONG_HOOK).attempt("write a script")?;
    let mut command = site.command("sh");
    command.args(["-c", preparation, "sh"]).arg(site.tool("cr_checkpoint"));
    command.args(["--hook-timeout=600", "--hook-frozen-timeout=600", "--hook"]).arg(&script).args(more);
    command.arg("-f").arg(context(site)).arg(job.pid.to_string());
    let (front, _) = site.launch(&mut command)?;
    let stands = wait_until(site.patience, || sleepers().len() == 2);
    ensure(stands, || "the hook was not reached".to_owned())?;
    Ok(front)
}

fn sleepers() -> Vec<Pid> {
    let is_sleeper = |pid: &Pid| observe::one_line(*pid).ends_with("sleep 4711");
    observe::descendants().into_iter().filter(is_sleeper).collect()
}

/// The front has ended this way, and all is as if it had never run.
fn given_up(site: &Site, front: Pid, expected: End, job: &Job) -> Verdict {
    let end = site.children.wait(front, site.patience)?;
    ensure(end == expected, || format!("cr_checkpoint ended with {end}, not {expected}"))?;
    undisturbed(site, job)
}

/// The job runs, untraced; nobody else is there, and no file.
pub(super) fn undisturbed(site: &Site, job: &Job) -> Verdict {
    let alone = || {
        site.children.collect();
        observe::descendants() == [job.pid] && observe::is_untraced(job.pid) && !observe::is_stopped(job.pid)
    };
    ensure(wait_until(site.patience, alone), || {
        let all: Vec<String> = observe::descendants().into_iter().map(observe::one_line).collect();
        format!("left:\n{}", all.join("\n"))
    })?;
    nothing_made(site)
}

/// TERM, HUP, INT and the like, to the process in front, to the worker and to both, while a hook runs.
pub fn during_hook(site: &Site) -> Verdict {
    let job = start(site)?;
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGUSR1] {
        let front = stand_in_hook(site, &job, &[])?;
        kill(front, signal).attempt("signal the process in front")?;
        given_up(site, front, End::Signal(signal as i32), &job)?;
    }
    let front = stand_in_hook(site, &job, &[])?;
    let worker = worker(front).ok_or(failed("no worker"))?;
    kill(worker, Signal::SIGTERM).attempt("signal the worker")?;
    given_up(site, front, End::Signal(Signal::SIGTERM as i32), &job)?;
    let front = stand_in_hook(site, &job, &["--term"])?;
    kill(Pid::from_raw(-front.as_raw()), Signal::SIGTERM).attempt("signal the group")?;
    given_up(site, front, End::Signal(Signal::SIGTERM as i32), &job)?;
    site.runs_on(&job)
}

/// A checkpoint that writes into a pipe which nobody reads.
fn stand_in_write(site: &Site, job: &Job, more: &[&str]) -> Verdict<(Pid, OwnedFd)> {
    let (reader, writer) = nix::unistd::pipe().attempt("make a pipe")?;
    let mut command = Command::new(site.tool("cr_checkpoint"));
    command.current_dir(&site.dir).process_group(0).args(more).args(["-F", "1", &job.pid.to_string()]).stdout(writer);
    let front = site.children.start(&mut command)?;
    drop(command);
    let mut was = None;
    let stands = wait_until(site.patience, || {
        let worker = worker(front);
        let waits = worker.is_some_and(|worker| !observe::is_untraced(job.pid) && is_polling(worker));
        was.replace(waits) == Some(true) && waits
    });
    ensure(stands, || "the pipe did not fill".to_owned())?;
    Ok((front, reader))
}

fn is_polling(pid: Pid) -> bool {
    fs::read_to_string(format!("/proc/{pid}/wchan")).is_ok_and(|place| place.contains("poll"))
}

/// The same while the context file goes into a pipe that nobody reads, with and without a time limit.
pub fn during_write(site: &Site) -> Verdict {
    let job = start(site)?;
    for (signal, more) in [(Signal::SIGTERM, &["--kill"][..]), (Signal::SIGINT, &["--time=600"]), (Signal::SIGHUP, &[])] {
        let (front, reader) = stand_in_write(site, &job, more)?;
        kill(front, signal).attempt("signal the process in front")?;
        given_up(site, front, End::Signal(signal as i32), &job)?;
        drop(reader);
    }
    site.runs_on(&job)
}

/// nohup(1): a signal that the caller ignores is none.
pub fn ignored(site: &Site) -> Verdict {
    let job = start(site)?;
    let front = stand_in_hook_under(site, &job, "trap '' HUP; exec \"$@\"", &[])?;
    kill(Pid::from_raw(-front.as_raw()), Signal::SIGHUP).attempt("signal the group")?;
    std::thread::sleep(std::time::Duration::from_millis(400));
    ensure(site.children.end_of(front).is_none() && sleepers().len() == 2, || "an ignored HUP was taken".to_owned())?;
    kill(front, Signal::SIGTERM).attempt("signal the process in front")?;
    given_up(site, front, End::Signal(Signal::SIGTERM as i32), &job)?;
    site.runs_on(&job)
}

/// kill -9 of the process in front, in a hook and while writing: the worker gives up.
pub fn front_killed(site: &Site) -> Verdict {
    let job = start(site)?;
    let front = stand_in_hook(site, &job, &["--kill"])?;
    kill(front, Signal::SIGKILL).attempt("kill the process in front")?;
    given_up(site, front, End::Signal(9), &job)?;
    let (front, reader) = stand_in_write(site, &job, &["--kill"])?;
    let worker = worker(front).ok_or(failed("no worker"))?;
    // Even one that was stopped hears of it.
    kill(worker, Signal::SIGSTOP).attempt("stop the worker")?;
    kill(front, Signal::SIGKILL).attempt("kill the process in front")?;
    given_up(site, front, End::Signal(9), &job)?;
    drop(reader);
    site.runs_on(&job)
}

/// SIGSTOP of the worker does not freeze the job for longer than `--time` allows; a signal in front reaches it all the same.
pub fn worker_stopped(site: &Site) -> Verdict {
    let job = start(site)?;
    let front = stand_in_hook(site, &job, &["--time=2"])?;
    kill(worker(front).ok_or(failed("no worker"))?, Signal::SIGSTOP).attempt("stop the worker")?;
    given_up(site, front, End::Code(62), &job)?;
    let front = stand_in_hook(site, &job, &[])?;
    kill(worker(front).ok_or(failed("no worker"))?, Signal::SIGSTOP).attempt("stop the worker")?;
    kill(front, Signal::SIGTERM).attempt("signal the process in front")?;
    given_up(site, front, End::Signal(Signal::SIGTERM as i32), &job)?;
    site.runs_on(&job)
}
