//! Chaos: tools that are killed at random instants, disks that are full, limits that are too low. The job survives.
//!
//! Relies on the program `crowd`, whose processes and threads check themselves all the time, and on `pace` for time and dice. Kills by call number, not by time,
//! are in `points` and `restarts`.

mod points;
mod restarts;

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use crate::case::{Case, Scene};
use crate::children::{End, wait_until};
use crate::job::Job;
use crate::observe;
use crate::pace::{self, Pace};
use crate::site::Site;
use crate::verdict::{Attempt, Verdict, ensure, failed, skipped};

/// Every kind of trouble.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[
        ("file-size-limit", file_size_limit),
        ("limited-job", limited_job),
        ("full-disk", full_disk),
        ("old-file-survives", old_file_survives),
        ("damaged-file", damaged_file),
        ("stuck-reader", stuck_reader),
    ];
    let case = |(journey, scene): &(&str, Scene)| Case::new("chaos", journey, *scene).patient(120);
    let mut cases: Vec<Case> = scenes.iter().map(case).collect();
    cases.push(pace::case("chaos", "kill-checkpoint", kill_checkpoint));
    cases.push(pace::case("chaos", "kill-restart", kill_restart));
    cases.extend(points::cases());
    cases.extend(restarts::cases());
    cases
}

/// `kill -9` of cr_checkpoint at any instant: the job runs on, and the next checkpoint works.
fn kill_checkpoint(site: &Site) -> Verdict {
    let context = site.context("job.ctx");
    let pace = Pace::new(site);
    let job = start_crowd(site)?;
    let whole = time_of_checkpoint(site, &job)?;
    while pace.goes_on() {
        let mut command = site.command(site.tool("cr_checkpoint"));
        command.arg("-f").arg(&context).arg(job.pid.to_string());
        let (tool, _) = site.launch(&mut command)?;
        sleep(pace.share_of(whole));
        // It may have ended by itself already.
        let _ = kill(tool, Signal::SIGKILL);
        site.children.wait(tool, site.patience)?;
        undisturbed(site, &job)?;
        if context.exists() {
            site.verify(&context)?;
            fs::remove_file(&context).attempt("remove the context file")?;
        }
    }
    site.tell(format_args!("{} kills", pace.rounds.get()));
    site.checkpoint(&[], &context, job.pid)?;
    site.go(&job, "continue")?;
    site.passes(&job)
}

/// `kill -9` of cr_restart at any instant: nothing of the job is left, or all of it.
fn kill_restart(site: &Site) -> Verdict {
    if !site.namespaced {
        return Err(skipped("needs a pid namespace of its own, where its pids are free"));
    }
    let context = site.context("job.ctx");
    let pace = Pace::new(site);
    let job = start_crowd(site)?;
    let n_processes = observe::descendants().len();
    site.checkpoint_and_kill(&[], &context, &job)?;
    let whole = Duration::from_millis(60);
    while pace.goes_on() {
        let mut command = site.command(site.tool("cr_restart"));
        let (tool, _) = site.launch(command.arg(&context))?;
        sleep(pace.share_of(whole));
        let _ = kill(tool, Signal::SIGKILL);
        site.children.wait(tool, site.patience)?;
        all_or_nothing(site, n_processes)?;
    }
    site.tell(format_args!("{} kills", pace.rounds.get()));
    let job = site.restart(&[], &context, &job)?;
    site.go(&job, "restart")?;
    site.passes(&job)
}

/// After a killed restart either every process of the job runs, or none is left. Ends them.
fn all_or_nothing(site: &Site, n_processes: usize) -> Verdict {
    let mut left = Vec::new();
    let restarter = Some(site.tool("cr_restart"));
    let settled = wait_until(Duration::from_secs(5), || {
        site.children.collect();
        left = observe::descendants();
        left.is_empty()
            || left.len() == n_processes && left.iter().all(|pid| observe::is_untraced(*pid) && observe::image(*pid) != restarter)
    });
    let lines: Vec<String> = left.iter().map(|pid| observe::one_line(*pid)).collect();
    ensure(settled, || format!("{} of {n_processes} processes are left:\n{}", lines.len(), lines.join("\n")))?;
    for pid in left {
        let _ = kill(pid, Signal::SIGKILL);
    }
    site.gone()
}

/// A limit on file sizes that the context file does not fit into.
fn file_size_limit(site: &Site) -> Verdict {
    let job = start_crowd(site)?;
    let tool = site.tool("cr_checkpoint");
    let line = format!("ulimit -f 256; exec {} -f job.ctx {}", tool.display(), job.pid);
    refuse(site, &job, site.command("sh").args(["-c", &line]))
}

/// The same limit on the job: its memory may have to pass through the tool, but the limit is none of the tool's.
fn limited_job(site: &Site) -> Verdict {
    let line = format!("ulimit -f 8; exec {}", site.program("load/crowd").display());
    let mut command = site.command("sh");
    command.args(["-c", &line]);
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    site.checkpoint(&[], &site.context("job.ctx"), job.pid)?;
    undisturbed(site, &job)?;
    site.go(&job, "continue")?;
    site.passes(&job)
}

/// A file system without room.
fn full_disk(site: &Site) -> Verdict {
    let full = site.dir.join("full");
    fs::create_dir(&full).attempt("make a mount point")?;
    let mut mount = site.command("mount");
    mount.args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(&full);
    if !site.namespaced || site.run(&mut mount)?.end != End::Code(0) {
        return Err(skipped("needs to mount a small file system"));
    }
    let job = start_crowd(site)?;
    let mut command = site.command(site.tool("cr_checkpoint"));
    command.arg("-f").arg(full.join("job.ctx")).arg(job.pid.to_string());
    refuse(site, &job, &mut command)?;
    let left = fs::read_dir(&full).attempt("list the full file system")?.count();
    ensure(left == 0, || format!("{left} files are left in the full file system"))
}

/// A checkpoint that fails leaves the context file of the last time as it was.
fn old_file_survives(site: &Site) -> Verdict {
    let job = start_crowd(site)?;
    let context = site.context("old.ctx");
    site.checkpoint(&[], &context, job.pid)?;
    let before = fs::read(&context).attempt("read the context file")?;
    let line = format!("ulimit -f 256; exec {} -f old.ctx {}", site.tool("cr_checkpoint").display(), job.pid);
    refuse(site, &job, site.command("sh").args(["-c", &line]))?;
    ensure(fs::read(&context).attempt("read the context file again")? == before, || "the old context file has changed".to_owned())
}

/// A restart that finds damage half-way removes what it had made by name, cuts no file, and works once the context file is whole.
fn damaged_file(site: &Site) -> Verdict {
    if !site.namespaced {
        return Err(skipped("needs a pid namespace of its own, where its pids are free"));
    }
    let context = site.context("job.ctx");
    let job = site.start(site.command(site.program("fifo")))?;
    site.wait_ready(&job)?;
    site.checkpoint_and_kill(&[], &context, &job)?;
    let fifo = site.work().join("fifo");
    fs::remove_file(&fifo).attempt("remove the FIFO")?;
    let out = site.work().join("out");
    let before = fs::read_to_string(&out).attempt("read the job's output")? + "and later\n";
    fs::write(&out, &before).attempt("write more output")?;
    let whole = fs::read(&context).attempt("read the context file")?;
    let mut damaged = whole.clone();
    // The last pages are the trailer and the index; before them stand the pages of memory.
    let at = damaged.len() - 4 * 4096;
    damaged[at] ^= 1;
    replace(&context, &damaged)?;
    let ran = site.run(site.command(site.tool("cr_restart")).arg(&context))?;
    if ran.end == End::Code(0) {
        return Err(ran.as_failure("should have found the damage"));
    }
    ensure(!fifo.exists(), || "the failed restart left a FIFO".to_owned())?;
    let now = fs::read_to_string(&out).attempt("read the job's output")?;
    ensure(now == before, || format!("the failed restart left {now:?} of {before:?}"))?;
    site.gone()?;
    replace(&context, &whole)?;
    let job = site.restart(&[], &context, &job)?;
    site.go(&job, "restart")?;
    site.passes(&job)
}

fn replace(path: &std::path::Path, bytes: &[u8]) -> Verdict {
    fs::remove_file(path).and_then(|()| fs::write(path, bytes)).attempt("replace the context file")
}

/// A reader that does not read: the time limit ends the checkpoint, and the job goes on.
fn stuck_reader(site: &Site) -> Verdict {
    let job = start_crowd(site)?;
    let tool = site.tool("cr_checkpoint");
    let reader = "{ while [ ! -e enough ]; do sleep 0.1; done; cat >late; }";
    let line = format!("{{ {} --time 1 -F 1 {}; echo $? >code; }} | {reader}", tool.display(), job.pid);
    let (pipeline, _) = site.launch(site.command("sh").args(["-c", &line]))?;
    let stuck = || observe::descendants().iter().any(|pid| !observe::is_untraced(*pid));
    ensure(wait_until(site.patience, stuck), || "the checkpoint did not begin".to_owned())?;
    undisturbed(site, &job)?;
    fs::write(site.dir.join("enough"), "").attempt("tell the reader")?;
    site.children.wait(pipeline, site.patience)?;
    let code = fs::read_to_string(site.dir.join("code")).attempt("read the exit code")?;
    ensure(code.trim() == "62", || format!("the exit code is {code} instead of that of ETIME"))?;
    site.checkpoint(&[], &site.context("job.ctx"), job.pid)?;
    site.go(&job, "continue")?;
    site.passes(&job)
}

/// The checkpoint fails with words, leaves nothing, and the job passes.
fn refuse(site: &Site, job: &Job, command: &mut Command) -> Verdict {
    let ran = site.run(command)?;
    if ran.end == End::Code(0) || ran.stderr.trim().is_empty() {
        return Err(ran.as_failure("should have failed and said why"));
    }
    undisturbed(site, job)?;
    ensure(!site.context("job.ctx").exists(), || "the failed checkpoint left a context file".to_owned())?;
    site.no_residue()?;
    site.go(job, "continue")?;
    site.passes(job)
}

fn start_crowd(site: &Site) -> Verdict<Job> {
    let job = site.start(site.command(site.program("load/crowd")))?;
    site.wait_ready(&job)?;
    Ok(job)
}

/// Nobody is left stopped or traced, and nobody has complained.
fn undisturbed(site: &Site, job: &Job) -> Verdict {
    let free = || observe::descendants().iter().all(|pid| observe::is_untraced(*pid) && !observe::is_stopped(*pid));
    if wait_until(Duration::from_secs(5), free) && site.children.end_of(job.pid).is_none() && !job.output().contains("FAIL") {
        return Ok(());
    }
    let lines: Vec<String> = observe::descendants().iter().map(|pid| observe::one_line(*pid)).collect();
    Err(job.with_output(failed(format_args!("the job was harmed:\n{}", lines.join("\n")))))
}

/// How long a checkpoint takes when nobody interferes.
fn time_of_checkpoint(site: &Site, job: &Job) -> Verdict<Duration> {
    let context = site.context("first.ctx");
    let start = Instant::now();
    site.try_checkpoint(&[], &context, job.pid)?.succeeded()?;
    Ok(start.elapsed())
}
