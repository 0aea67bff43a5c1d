//! Stops: what a checkpoint must leave alone in a job that runs on, while signals arrive and calls wait.
//!
//! Relies on programs that check themselves all the time. What happens when a tool is killed meanwhile is for `chaos`.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::case::{Case, Scene};
use crate::children::{End, wait_until};
use crate::job::Job;
use crate::observe;
use crate::site::Site;
use crate::verdict::{Attempt, Verdict, ensure, skipped};

/// Every scene.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[
        ("signals-in-order", signals_in_order),
        ("two-at-once", two_at_once),
        ("waits-for-debugger", waits_for_debugger),
        ("frozen-group", frozen_group),
        ("end-at-release", end_at_release),
        ("signal-at-release", signal_at_release),
    ];
    scenes.iter().map(|(journey, scene)| Case::new("stops", journey, *scene).patient(300)).collect()
}

/// Queued signals that arrive during a hundred checkpoints arrive once each, in order, from whom they come.
fn signals_in_order(site: &Site) -> Verdict {
    let mut command = site.command(site.program("signal_stream"));
    command.arg("alone");
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    let mut sender = site.command(site.program("signal_stream"));
    sender.arg("send").arg(job.pid.to_string());
    let (_, _) = site.launch(&mut sender)?;
    for _ in 0..100 {
        site.try_checkpoint(&[], &site.context("job.ctx"), job.pid)?.succeeded()?;
    }
    site.runs_on(&job)
}

/// A checkpoint of a job that another one holds says so, and does not speak of debuggers.
fn two_at_once(site: &Site) -> Verdict {
    let job = site.start(site.command(site.program("process")))?;
    site.wait_ready(&job)?;
    let reader = "{ while [ ! -e enough ]; do sleep 0.05; done; cat >whole; }";
    let line = format!("{} -F 1 {} | {reader}", site.tool("cr_checkpoint").display(), job.pid);
    let (first, _) = site.launch(site.command("sh").args(["-c", &line]))?;
    let held = || !observe::is_untraced(job.pid);
    ensure(wait_until(site.patience, held), || "the first checkpoint did not begin".to_owned())?;
    for flags in [&[][..], &["--ptraced-skip"], &["--ptraced-allow"]] {
        refused_as_busy(site, &job, flags, "under way")?;
    }
    fs::write(site.dir.join("enough"), "").attempt("tell the reader")?;
    site.children.wait(first, site.patience)?;
    site.runs_on(&job)
}

/// The refusal is temporary (EBUSY), says what we want, and no context file appears.
fn refused_as_busy(site: &Site, job: &Job, flags: &[&str], wanted: &str) -> Verdict {
    let ran = site.try_checkpoint(flags, &site.context("job.ctx"), job.pid)?;
    if ran.end != End::Code(16) || !ran.stderr.contains(wanted) || site.context("job.ctx").exists() {
        return Err(ran.as_failure("should have been refused as busy"));
    }
    Ok(())
}

/// Who takes processes that are traced waits until their debugger has let go.
fn waits_for_debugger(site: &Site) -> Verdict {
    if std::process::Command::new("gdb").arg("--version").output().is_err() {
        return Err(skipped("needs gdb"));
    }
    let job = site.start(site.command(site.program("process")))?;
    site.wait_ready(&job)?;
    let mut gdb = site.command("gdb");
    let (debugger, _) = site.launch(gdb.args(["--batch", "-nx", "-p"]).arg(job.pid.to_string()).args(["-ex", "shell sleep 2"]))?;
    ensure(wait_until(site.patience, || !observe::is_untraced(job.pid)), || "gdb did not attach".to_owned())?;
    let refused = site.try_checkpoint(&[], &site.context("job.ctx"), job.pid)?;
    ensure(refused.end == End::Code(56), || format!("not refused: {} {}", refused.end, refused.stderr))?;
    site.try_checkpoint(&["--ptraced-allow"], &site.context("job.ctx"), job.pid)?.succeeded()?;
    site.children.wait(debugger, site.patience)?;
    site.runs_on(&job)
}

/// A job that a batch system has suspended by the freezer of version 1 is refused at once, also where the request to the kernel would
/// wait for the thaw; thawed it runs on.
fn frozen_group(site: &Site) -> Verdict {
    let freezer = Path::new("/sys/fs/cgroup/freezer");
    let name = format!("reprise-test-{}", std::process::id());
    let group = Group(freezer.join(site.dir.file_name().unwrap_or_default()).with_extension(name));
    if !freezer.join("tasks").exists() || fs::create_dir(&group.0).is_err() {
        return Err(skipped("needs the freezer of version 1, and the right to make a group"));
    }
    let job = site.start(site.command(site.program("thread")))?;
    site.wait_ready(&job)?;
    let thawed_in = format!("{}", group.0.display());
    group.write("cgroup.procs", &job.pid.to_string())?;
    for stopped in [false, true] {
        if stopped {
            kill(job.pid, Signal::SIGSTOP).attempt("stop the job")?;
            ensure(wait_until(site.patience, || observe::is_stopped(job.pid)), || "the job did not stop".to_owned())?;
        }
        group.write("freezer.state", "FROZEN")?;
        refused_as_busy(site, &job, &[], &thawed_in)?;
        group.write("freezer.state", "THAWED")?;
    }
    kill(job.pid, Signal::SIGCONT).attempt("continue the job")?;
    site.checkpoint(&[], &site.context("job.ctx"), job.pid)?;
    site.runs_on(&job)
}

/// A group of the freezer; dropping it thaws and removes it.
struct Group(PathBuf);

impl Group {
    fn write(&self, file: &str, text: &str) -> Verdict {
        fs::write(self.0.join(file), text).attempt(format_args!("write {text} to {file}"))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its members have ended, or are killed with the sandbox; an empty directory that stays harms nobody.
        let _ = fs::write(self.0.join("freezer.state"), "THAWED");
        let _ = fs::remove_dir(&self.0);
    }
}

/// Jobs whose threads end their process the moment they run: `cr_restart` ends as the job does, and parents in the job see their child's end.
fn end_at_release(site: &Site) -> Verdict {
    for (threads, child) in [("3", false), ("50", false), ("400", false), ("3", true), ("50", true), ("400", true)] {
        let (context, wanted) = (threads_saved(site, threads, child)?, if child { 0 } else { 42 });
        for _ in 0..3 {
            let ran = site.run(site.command(site.tool("cr_restart")).arg(&context))?;
            if ran.end != End::Code(wanted) {
                return Err(ran.as_failure(&format!("{threads} threads, child {child}")));
            }
            site.gone()?;
        }
    }
    Ok(())
}

/// A context file of `exit_threads`, which ends as soon as it is restarted.
fn threads_saved(site: &Site, threads: &str, child: bool) -> Verdict<PathBuf> {
    if !site.namespaced {
        return Err(skipped("needs a pid namespace of its own, where its pids are free"));
    }
    let context = site.context("job.ctx");
    for name in ["go", "out"] {
        // Left by the job before.
        let _ = fs::remove_file(site.work().join(name));
    }
    let mut command = site.command(site.program("exit_threads"));
    command.arg(threads).args(child.then_some("child"));
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    site.checkpoint_and_kill(&["--clobber"], &context, &job)?;
    fs::write(site.work().join("go"), "go\n").attempt("let the job end")?;
    Ok(context)
}

/// Every signal that `cr_restart` can send at the release to a job of fifty threads: it returns, and nothing is left.
fn signal_at_release(site: &Site) -> Verdict {
    for child in [false, true] {
        let context = threads_saved(site, "50", child)?;
        for signal in 1..=31 {
            let mut command = site.command(site.tool("cr_restart"));
            let (tool, _) = site.launch(command.args(["-S", &signal.to_string()]).arg(&context))?;
            let end = end_of_stopped(site, tool)?;
            let by_signal = end == End::Signal(signal);
            ensure(by_signal || end == End::Code(0) || end == End::Code(42), || format!("-S {signal}: {end}"))?;
            ensure(signal != 9 || by_signal, || format!("--kill: {end}"))?;
            site.gone()?;
        }
    }
    Ok(())
}

/// Waits for a restart to end; a job that a signal has stopped is continued.
fn end_of_stopped(site: &Site, tool: Pid) -> Verdict<End> {
    let ended = wait_until(site.patience, || {
        let stopped =
            observe::descendants().into_iter().filter(|pid| *pid != tool && observe::is_untraced(*pid) && observe::is_stopped(*pid));
        // One that has ended meanwhile needs nothing.
        for pid in stopped {
            let _ = kill(pid, Signal::SIGCONT);
        }
        site.children.end_of(tool).is_some()
    });
    ensure(ended, || "cr_restart does not end".to_owned())?;
    site.children.wait(tool, site.patience)
}
