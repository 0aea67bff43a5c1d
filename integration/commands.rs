//! What the command lines promise about a job: signals afterwards, checkpoints from inside, streams, cr_run.
//!
//! Relies on the test program `process` where any job will do. Leaves messages and exit codes of wrong command lines to
//! the tests of the library.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::case::{Case, Scene};
use crate::children::{End, wait_until};
use crate::job::Job;
use crate::observe;
use crate::site::Site;
use crate::verdict::{Attempt, Verdict, ensure, skipped};

/// How a job is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Stopped,
    Ended(Signal),
}

/// The signal options that both programs have, with the state that each leaves; `--run` keeps the state it finds.
const SIGNALS: &[(&str, Option<State>)] = &[
    ("--run", None),
    ("--stop", Some(State::Stopped)),
    ("--cont", Some(State::Running)),
    ("--term", Some(State::Ended(Signal::SIGTERM))),
    ("--abort", Some(State::Ended(Signal::SIGABRT))),
    ("--kill", Some(State::Ended(Signal::SIGKILL))),
];

/// A job that checkpoints itself in the middle. It does not know in which of its lives it is.
const INSIDE: &str = "\
for step in 1 2 3 4 5; do
    echo step $step
    [ $step != 3 ] || { cr_checkpoint -f ../job.ctx $$; echo saved $?; }
done
";

/// Every promise.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] =
        &[("inside", inside), ("stream", stream), ("pipeline", pipeline), ("run", run), ("detach", detach), ("groups", groups)];
    let mut cases: Vec<Case> = scenes.iter().map(|(journey, scene)| Case::new("command", journey, *scene)).collect();
    for (word, state) in [("running", State::Running), ("stopped", State::Stopped)] {
        for (option, after) in SIGNALS {
            let journey = format!("{word}{option}");
            cases.push(Case::new("signal", &journey, move |site| signals(site, state, (option, *after))));
        }
    }
    cases
}

/// A job that was in this state is checkpointed with one signal option, and restarted with each of them.
fn signals(site: &Site, state: State, checkpoint: (&str, Option<State>)) -> Verdict {
    needs_pids(site)?;
    let context = site.context("job.ctx");
    let mut job = start_process(site)?;
    if state == State::Stopped {
        kill(job.pid, Signal::SIGSTOP).attempt("stop the job")?;
        is_in(site, &job, State::Stopped)?;
    }
    site.checkpoint(&[checkpoint.0], &context, job.pid)?;
    is_in(site, &job, checkpoint.1.unwrap_or(state))?;
    end(site, &job)?;
    for (option, after) in SIGNALS {
        // The context file holds the state at the request, whatever the checkpoint did to it.
        let mut command = site.command(site.tool("cr_restart"));
        job.waited = site.launch(command.arg(option).arg(&context))?.0;
        is_in(site, &job, after.unwrap_or(state))?;
        end(site, &job)?;
    }
    Ok(())
}

/// Waits until the job is in this state.
fn is_in(site: &Site, job: &Job, state: State) -> Verdict {
    let is_it = || match state {
        State::Ended(signal) => site.children.end_of(job.waited) == Some(End::Signal(signal as i32)),
        State::Stopped => observe::is_untraced(job.pid) && observe::is_stopped(job.pid),
        State::Running => runs(job.pid),
    };
    ensure(wait_until(site.patience, is_it), || {
        let ended = site.children.end_of(job.waited).map_or("no end".to_owned(), |end| end.to_string());
        format!("not {state:?}: {ended}, {}", observe::one_line(job.pid))
    })
}

/// Whether it is the job itself, not a copy of cr_restart, and nobody holds it.
fn runs(pid: Pid) -> bool {
    let is_job = observe::image(pid).is_some_and(|image| image.ends_with("programs/process"));
    is_job && observe::is_untraced(pid) && !observe::is_stopped(pid)
}

/// Kills what is left, so that the pids are free again.
fn end(site: &Site, job: &Job) -> Verdict {
    for pid in observe::descendants().into_iter().filter(|pid| *pid != job.waited || job.waited == job.pid) {
        let _ = kill(pid, Signal::SIGKILL);
    }
    site.children.wait(job.waited, site.patience)?;
    site.gone()
}

fn start_process(site: &Site) -> Verdict<Job> {
    let job = site.start(site.command(site.program("process")))?;
    site.wait_ready(&job)?;
    Ok(job)
}

fn needs_pids(site: &Site) -> Verdict {
    if site.namespaced { Ok(()) } else { Err(skipped("needs its own pids")) }
}

/// A job may checkpoint itself: the tool is a descendant of its own target, and succeeds in both lives.
fn inside(site: &Site) -> Verdict {
    needs_pids(site)?;
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = site.command("sh");
    command.args(["-c", INSIDE]).env("PATH", format!("{}:{path}", site.base.join("bin").display()));
    let job = site.start(command)?;
    let first = site.children.wait(job.waited, site.patience)?;
    let expected = "step 1\nstep 2\nstep 3\nsaved 0\nstep 4\nstep 5\n";
    ensure(first == End::Code(0) && job.output() == expected, || format!("{first}:\n{}", job.output()))?;
    let mut command = site.command(site.tool("cr_restart"));
    site.run(command.arg(site.context("job.ctx")))?.succeeded()?;
    // The output file went back to its saved length, and the second life wrote the rest again.
    ensure(job.output() == expected, || format!("the second life:\n{}", job.output()))?;
    site.gone()
}

/// Both programs work on pipes, which cannot seek.
fn stream(site: &Site) -> Verdict {
    needs_pids(site)?;
    let job = start_process(site)?;
    let tools = site.base.join("bin").display().to_string();
    let save = format!("{tools}/cr_checkpoint --kill -F 1 {} | cat >stream", job.pid);
    site.run(site.command("sh").args(["-c", &save]))?.succeeded()?;
    let killed = site.children.wait(job.waited, site.patience)?;
    ensure(killed == End::Signal(9), || format!("the job ended with {killed}"))?;
    let load = format!("cat stream | {tools}/cr_restart -F 0");
    let pipeline = site.launch(site.command("sh").args(["-c", &load]))?.0;
    ensure(wait_until(site.patience, || runs(job.pid)), || "the job did not come back".to_owned())?;
    let job = Job { waited: pipeline, ..job };
    site.go(&job, "restart")?;
    site.passes(&job)
}

/// Both in one pipeline: the ids are those of the job until everything has been read and the job has been killed.
fn pipeline(site: &Site) -> Verdict {
    needs_pids(site)?;
    let job = start_process(site)?;
    let tools = site.base.join("bin").display().to_string();
    let both = format!("{tools}/cr_checkpoint --kill -F 1 {} | {tools}/cr_restart -F 0", job.pid);
    let pipeline = site.launch(site.command("sh").args(["-c", &both]))?.0;
    let killed = site.children.wait(job.waited, site.patience)?;
    ensure(killed == End::Signal(9), || format!("the job ended with {killed}"))?;
    ensure(wait_until(site.patience, || runs(job.pid)), || "the job did not come back".to_owned())?;
    let job = Job { waited: pipeline, ..job };
    site.go(&job, "restart")?;
    site.passes(&job)
}

/// What cr_run starts is the program itself, ready to be checkpointed.
fn run(site: &Site) -> Verdict {
    needs_pids(site)?;
    let context = site.context("job.ctx");
    let mut command = site.command(site.tool("cr_run"));
    command.arg("--").arg(site.program("process"));
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    ensure(runs(job.pid), || format!("not the program: {}", observe::one_line(job.pid)))?;
    site.checkpoint_and_kill(&[], &context, &job)?;
    let job = site.restart(&[], &context, &job)?;
    fs::remove_file(&context).attempt("remove the context file, which nobody needs any more")?;
    site.go(&job, "restart")?;
    site.passes(&job)
}

/// A process with a parent-death signal outlives the `cr_restart` that leaves at once.
fn detach(site: &Site) -> Verdict {
    needs_pids(site)?;
    let context = site.context("job.ctx");
    let mut command = site.command("setpriv");
    command.args(["--pdeathsig", "TERM"]).arg(site.program("process"));
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    site.checkpoint_and_kill(&[], &context, &job)?;
    let mut command = site.command(site.tool("cr_restart"));
    site.run(command.arg("--detach").arg(&context))?.succeeded()?;
    site.go(&job, "restart")?;
    let passed = || job.output().lines().any(|line| line == "PASS");
    ensure(wait_until(site.patience, passed), || format!("the job did not outlive cr_restart:\n{}", job.output()))?;
    site.gone()
}

/// `timeout` signals its process group, which is one of its own inside the job: the script that called `cr_restart` is none of it.
fn groups(site: &Site) -> Verdict {
    needs_pids(site)?;
    const JOB: &str = "echo ready; timeout --signal=TERM 3 sh -c 'while [ ! -e go ]; do sleep 0.05; done; sleep 100'; echo timeout $?";
    for options in ["", "--no-restore-pid", "--no-restore-pid --restore-pgid", "--no-restore-pid --restore-sid"] {
        let job = site.start({
            let mut shell = site.command("sh");
            shell.args(["-c", JOB]);
            shell
        })?;
        ensure(wait_until(site.patience, || observe::descendants().len() >= 3), || "the job did not start".to_owned())?;
        site.checkpoint_and_kill(&[], &site.context("job.ctx"), &job)?;
        let script = format!("{}/cr_restart {options} ../job.ctx; echo script $?", site.base.join("bin").display());
        let mut shell = site.command("sh");
        shell.args(["-c", &script]);
        let job = Job { pid: job.pid, ..site.start(shell)? };
        let is_timeout = |pid: &Pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "timeout\n");
        let leads = |pid: &Pid| is_timeout(pid) && nix::unistd::getpgid(Some(*pid)) == Ok(*pid);
        let is_apart = wait_until(site.patience, || observe::descendants().iter().any(leads));
        ensure(is_apart, || format!("{options}: timeout does not lead a group of its own"))?;
        site.go(&job, "restart")?;
        let end = site.children.wait(job.waited, site.patience)?;
        let out = job.output();
        // A shell that finds its child under another number cannot tell how it ended.
        let timed_out = !options.is_empty() || out.contains("timeout 124\n");
        ensure(end == End::Code(0) && timed_out && out.contains("script "), || format!("{options}: the script ended with {end}:\n{out}"))?;
        site.gone()?;
        fs::remove_file(job.work.join("go")).attempt("tidy up")?;
        fs::remove_file(job.work.join("out")).attempt("tidy up")?;
    }
    Ok(())
}
