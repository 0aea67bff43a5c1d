//! Restartable or refused: a job gets a signal after its checkpoint only when the context file can be restarted here.
//!
//! Relies on `table_around_parent`, a job that can be saved and not be restarted.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgid, getsid};

use crate::case::{Case, Scene};
use crate::children::{End, wait_until};
use crate::job::Job;
use crate::observe;
use crate::site::Site;
use crate::verdict::{Attempt, Verdict, ensure, failed};

/// Every scene.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[
        ("signal-refused", signal_refused),
        ("to-descriptor", to_descriptor),
        ("unproven", unproven),
        ("script-refused", script_refused),
        ("zombie-waited-for", zombie_waited_for),
        ("zombie-stays", zombie_stays),
        ("session-without-leader", session_without_leader),
    ];
    scenes.iter().map(|(journey, scene)| Case::new("ready", journey, *scene)).collect()
}

fn start(site: &Site) -> Verdict<Job> {
    let job = site.start(site.command(site.program("table_around_parent")))?;
    site.wait_ready(&job)?;
    Ok(job)
}

/// Whatever the signal: none is sent, no file is left, and the message says what and why in both forms.
fn signal_refused(site: &Site) -> Verdict {
    let job = start(site)?;
    let context = site.context("job.ctx");
    for signal in ["--kill", "--term", "--stop", "--signal=10"] {
        let ran = site.try_checkpoint(&[signal], &context, job.pid)?;
        let is_said = ran.stderr.contains("could not be restarted") && ran.stderr.contains("--unproven");
        ensure(ran.end != End::Code(0) && is_said, || format!("{signal} was not refused in words: {}", ran.stderr))?;
        ensure(!context.exists(), || format!("{signal} has left a context file"))?;
        site.no_residue()?;
    }
    let ran = site.try_checkpoint(&["--json", "--kill"], &context, job.pid)?;
    ensure(ran.stdout.contains("\"class\":\"perm\"") && ran.stdout.contains("--unproven"), || format!("as JSON: {}", ran.stdout))?;
    let ran = site.try_checkpoint(&["--dry-run", "--kill"], &context, job.pid)?;
    ensure(ran.end != End::Code(0), || "a dry run found nothing".to_owned())?;
    site.go(&job, "refused")?;
    site.passes(&job)
}

/// Nothing is written to a descriptor either.
fn to_descriptor(site: &Site) -> Verdict {
    let job = start(site)?;
    let line = format!("{} -F 1 --kill {} >job.ctx", site.tool("cr_checkpoint").display(), job.pid);
    let ran = site.run(site.command("sh").args(["-c", &line]))?;
    ensure(ran.end != End::Code(0), || "it succeeded".to_owned())?;
    let bytes = fs::metadata(site.context("job.ctx")).attempt("look at the file")?.len();
    ensure(bytes == 0, || format!("{bytes} bytes were written"))?;
    site.go(&job, "refused")?;
    site.passes(&job)
}

/// The way out sends the signal and keeps the file.
fn unproven(site: &Site) -> Verdict {
    let job = start(site)?;
    let context = site.context("job.ctx");
    site.checkpoint(&["--kill", "--unproven"], &context, job.pid)?;
    let end = site.children.wait(job.waited, site.patience)?;
    ensure(end == End::Signal(9), || format!("the job ended with {end}"))
}

/// A script that wants the job killed afterwards is told why it is not; the file is there.
fn script_refused(site: &Site) -> Verdict {
    let job = start(site)?;
    let (context, script) = (site.context("job.ctx"), site.dir.join("kill.lua"));
    fs::write(&script, "local cr = require('cr')\ncr.on('post-checkpoint', function() return 'kill' end)\n").attempt("write the script")?;
    let ran = site.try_checkpoint(&["--hook", &script.display().to_string()], &context, job.pid)?.succeeded()?;
    ensure(ran.stderr.contains("does not count"), || format!("nothing was said: {}", ran.stderr))?;
    site.verify(&context)?;
    site.go(&job, "continue")?;
    site.passes(&job)
}

/// A job whose parent never waits for it: after `--kill` it stays as a zombie. Returns the job and the parent.
fn neglected(site: &Site) -> Verdict<(Pid, Pid)> {
    let line = format!("{} >>out 2>&1 & echo $! >pid.new; mv pid.new pid; exec sleep 1000", site.program("process").display());
    let mut command = site.command("sh");
    command.args(["-c", &line]).current_dir(site.work());
    let parent = site.children.start(&mut command)?;
    let is_ready = || fs::read_to_string(site.work().join("out")).is_ok_and(|text| text.contains("READY"));
    ensure(wait_until(site.patience, || is_ready() && site.work().join("pid").exists()), || "the job is not ready".to_owned())?;
    let text = fs::read_to_string(site.work().join("pid")).attempt("read the pid")?;
    let pid = text.trim().parse().map_err(|_| failed(format_args!("no pid: {text}")))?;
    Ok((Pid::from_raw(pid), parent))
}

/// A restart waits a moment for ids that only a zombie has.
fn zombie_waited_for(site: &Site) -> Verdict {
    let (job, parent) = neglected(site)?;
    let context = site.context("job.ctx");
    site.checkpoint(&["--kill"], &context, job)?;
    let mut restart = site.command(site.tool("cr_restart"));
    let (tool, output) = site.launch(restart.args(["--detach"]).arg(&context))?;
    std::thread::sleep(Duration::from_millis(300));
    ensure(site.children.end_of(tool).is_none(), || format!("it did not wait: {}", fs::read_to_string(&output).unwrap_or_default()))?;
    kill(parent, Signal::SIGKILL).attempt("end the parent")?;
    let end = site.children.wait(tool, site.patience)?;
    ensure(end == End::Code(0), || format!("the restart ended with {end}: {}", fs::read_to_string(&output).unwrap_or_default()))?;
    kill(job, Signal::SIGKILL).attempt("end the job")
}

/// When the zombie stays, every way out is named.
fn zombie_stays(site: &Site) -> Verdict {
    let (job, parent) = neglected(site)?;
    let context = site.context("job.ctx");
    site.checkpoint(&["--kill"], &context, job)?;
    let ran = site.run(site.command(site.tool("cr_restart")).arg(&context))?;
    let ways = ["has ended and waits for its parent", "--namespace", "wait_for_pid.lua", "--no-restore-pid", "class temp"];
    let missing = ways.iter().find(|way| !ran.stderr.contains(**way));
    ensure(ran.end == End::Code(16) && missing.is_none(), || format!("{missing:?} is not said: {}: {}", ran.end, ran.stderr))?;
    kill(parent, Signal::SIGKILL).attempt("end the parent")
}

/// Two daemons whose session leader has ended come back into their session and group.
fn session_without_leader(site: &Site) -> Verdict {
    let line = "setsid sh -c 'sleep 1000 & echo $$ >session; sleep 1001 & sleep 1002 & wait $!' & while :; do sleep 1; done";
    let mut command = site.command("sh");
    command.args(["-c", line]).current_dir(site.work()).stdin(Stdio::null()).stdout(Stdio::null());
    site.children.start(&mut command)?;
    let session = || fs::read_to_string(site.work().join("session")).ok()?.trim().parse::<i32>().ok();
    let members = |session: i32| -> Vec<(i32, i32)> {
        let is_member = |pid: &Pid| getsid(Some(*pid)).is_ok_and(|of| of.as_raw() == session);
        let of = |pid: Pid| Some((pid.as_raw(), getpgid(Some(pid)).ok().filter(|_| is_member(&pid))?.as_raw()));
        let mut found: Vec<_> = observe::descendants().into_iter().filter_map(of).filter(|member| member.0 != session).collect();
        found.sort_unstable();
        found
    };
    let is_complete = || session().is_some_and(|session| members(session).len() == 3);
    ensure(wait_until(site.patience, is_complete), || "the session is not there".to_owned())?;
    let session = session().unwrap_or(0);
    let before = members(session);
    kill(Pid::from_raw(session), Signal::SIGKILL).attempt("end the leader")?;
    let context = site.context("job.ctx");
    let mut checkpoint = site.command(site.tool("cr_checkpoint"));
    site.run(checkpoint.args(["-s", "--kill", "-f"]).arg(&context).arg(session.to_string()))?.succeeded()?;
    ensure(members(session).is_empty(), || "the killed job is still there".to_owned())?;
    let mut restart = site.command(site.tool("cr_restart"));
    site.run(restart.args(["--detach", "--restore-sid"]).arg(&context))?.succeeded()?;
    let after = members(session);
    ensure(after == before, || format!("processes and groups were {before:?} and are {after:?}"))?;
    before.iter().try_for_each(|member| kill(Pid::from_raw(member.0), Signal::SIGKILL)).attempt("end the job")
}
