//! Ready-made scripts that decide at the restart: ids that are taken, files that are elsewhere or have changed, trying again.
//!
//! Relies on the examples of `ready_made`. Leaves scripts with effects outside of the job to `effect`.

use std::fs;

use super::{Example, Ready, end};
use crate::children::{End, wait_until};
use crate::decisions::{edit, is, read};
use crate::job::Job;
use crate::observe;
use crate::verdict::{Attempt, Verdict, ensure, failed, says};

/// Logs go on at their end; other files go back to their saved length.
pub fn keep_logs_growing(ready: &Ready<'_>) -> Verdict {
    let site = ready.site;
    let job = site.start_program("file_action")?;
    ready.save(&job)?;
    edit(site)?;
    let logs = site.work().join("l*").display().to_string();
    let job = ready.restart(&ready.example("cr_restart", &job, &[("/var/log/myjob/*", &logs)])?, "file_action", &job)?;
    site.go(&job, "restart")?;
    site.passes(&job)?;
    let files = read(site)?;
    is("log", &files.log, "before\nbetween\nafter\n")?;
    is("result", &files.result, "before\nafter\n")
}

/// The job comes back beside a process that has its id: with its old id inside of namespaces.
pub fn namespace_when_taken(ready: &Ready<'_>) -> Verdict {
    let job = beside_its_original(ready)?;
    let inside = observe::inner_pid(job.pid);
    ensure(inside != Some(job.pid), || "the job is not in a namespace of its own".to_owned())?;
    // The program compares its process ids.
    ready.site.go(&job, "restart")?;
    ready.site.passes(&job)
}

/// The job comes back beside a process that has its id: with another.
pub fn new_pid_when_taken(ready: &Ready<'_>) -> Verdict {
    let job = beside_its_original(ready)?;
    ensure(observe::inner_pid(job.pid) == Some(job.pid), || "the job is in a namespace of its own".to_owned())?;
    ready.site.go(&job, "new-pids")?;
    ready.site.passes(&job)?;
    says(&job.complaints(), "is taken: the job gets new ids")
}

/// Restarts a job while the first one has the pid, and ends that.
fn beside_its_original(ready: &Ready<'_>) -> Verdict<Job> {
    let site = ready.site;
    let original = site.start_program("process")?;
    site.checkpoint(&[], &ready.context(&original), original.pid)?;
    let job = ready.restart(&ready.example("cr_restart", &original, &[])?, "process", &original)?;
    ensure(job.pid != original.pid, || "two processes with one id".to_owned())?;
    ensure(observe::image(original.pid).is_some(), || "the first job has gone".to_owned())?;
    end(site, &original)?;
    Ok(job)
}

/// A changed input stops the restart before anything is made; the same file as before does not.
pub fn refuse_changed_inputs(ready: &Ready<'_>) -> Verdict {
    let site = ready.site;
    let job = site.start_program("file_action")?;
    ready.save(&job)?;
    let (data, aside) = (site.work().join("data"), site.context("data.aside"));
    let work = site.work().display().to_string();
    let example = ready.example("cr_restart", &job, &[("/data", &work)])?;
    fs::rename(&data, &aside).attempt("put an input aside")?;
    let missing = ready.run(&example)?;
    ensure(missing.end != End::Code(0), || "a restart without its input".to_owned())?;
    says(&missing.stderr, "/work/data is not what it was at the checkpoint (missing)")?;
    fs::write(&data, "one\ntwo\nthree\n").attempt("change an input")?;
    let changed = ready.run(&example)?;
    ensure(changed.end != End::Code(0), || "a restart with another input".to_owned())?;
    says(&changed.stderr, "/work/data is not what it was at the checkpoint (size, ")?;
    says(&changed.stderr, "class env")?;
    site.gone()?;
    fs::rename(&aside, &data).attempt("put an input back")?;
    // Outputs are no inputs.
    fs::write(site.work().join("result"), "before\nbetween\n").attempt("change an output")?;
    let job = ready.restart(&example, "file_action", &job)?;
    site.go(&job, "restart")?;
    site.passes(&job)
}

/// The job goes on in the new scratch directory, and the old one is left as it is.
pub fn relocate_scratch(ready: &Ready<'_>) -> Verdict {
    let site = ready.site;
    let job = site.start_program("file_action")?;
    let (old, new) = (site.work(), site.context("scratch"));
    let checkpoint = ready.example("cr_checkpoint", &job, &[])?.variable("TMPDIR", &old);
    ready.checkpoint_and_kill(&checkpoint, &job)?;
    let restart = ready.example("cr_restart", &job, &[])?.variable("OLD_TMPDIR", &old).variable("TMPDIR", &new);
    // Without the copy that comes first in the example.
    let (_, alone) = restart.line.split_once(" && ").ok_or_else(|| failed("the example copies nothing"))?;
    let missing = ready.run(&Example { line: alone.to_owned(), ..restart.clone() })?;
    says(&missing.stderr, &format!("the scratch directory {} ($TMPDIR) does not exist", new.display()))?;
    fs::create_dir(&new).attempt("make the new scratch directory")?;
    let job = ready.restart(&restart, "file_action", &Job { work: new.clone(), ..job })?;
    site.go(&job, "elsewhere")?;
    site.passes(&job)?;
    says(&job.complaints(), &format!("scratch directory: {} is now {}", old.display(), new.display()))?;
    let log = |directory: &std::path::Path| fs::read_to_string(directory.join("log")).attempt("read a log");
    is("the new log", &log(&new)?, "before\nafter\n")?;
    is("the old log", &log(&old)?, "before\n")
}

/// The restart is tried again after a pause, and succeeds once the machine has been put right.
pub fn retry_with_backoff(ready: &Ready<'_>) -> Verdict {
    let site = ready.site;
    let job = site.start_program("file_action")?;
    ready.save(&job)?;
    let (data, aside) = (site.work().join("data"), site.context("data.aside"));
    fs::rename(&data, &aside).attempt("put a file aside")?;
    let restarting = ready.launch(&ready.example("cr_restart", &job, &[])?)?;
    let has_failed = || restarting.said().contains("attempt 1 failed, the next is in 1 s");
    ensure(wait_until(site.patience, has_failed), || format!("no second attempt is announced: {}", restarting.said()))?;
    fs::rename(&aside, &data).attempt("put a file back")?;
    let job = ready.runs_again(restarting, "file_action", &job)?;
    site.go(&job, "restart")?;
    site.passes(&job)?;
    fs::rename(&data, &aside).attempt("put a file aside")?;
    let given_up =
        ready.run(&ready.example("cr_restart", &job, &[("retries=10", "retries=1"), (".lua", ".lua --hook-arg retry_pause=0.01")])?)?;
    ensure(given_up.end == End::Code(2), || format!("gave up with {}", given_up.end))?;
    says(&given_up.stderr, "attempt 1 failed, the next is in 0.01 s")?;
    ensure(!given_up.stderr.contains("attempt 2 failed"), || given_up.stderr.clone())
}

/// The restart waits while another process has the id, and gives up with the status for "later" when the patience ends.
pub fn wait_for_pid(ready: &Ready<'_>) -> Verdict {
    let site = ready.site;
    let job = site.start_program("process")?;
    site.checkpoint(&[], &ready.context(&job), job.pid)?;
    let given_up = ready.run(&ready.example("cr_restart", &job, &[("pid_patience=300", "pid_patience=0")])?)?;
    ensure(given_up.end == End::Code(75), || format!("gave up with {}: {}", given_up.end, given_up.stderr))?;
    says(&given_up.stderr, &format!("process id {} was still taken after 0 s", job.pid))?;
    let restarting = ready.launch(&ready.example("cr_restart", &job, &[])?)?;
    let waits = || restarting.said().contains(&format!("process id {} is taken, attempt 1", job.pid));
    ensure(wait_until(site.patience, waits), || format!("it does not wait: {}", restarting.said()))?;
    end(site, &job)?;
    let restarting = super::Restarting { before: Vec::new(), ..restarting };
    let again = ready.runs_again(restarting, "process", &job)?;
    ensure(again.pid == job.pid, || format!("the job is process {}", again.pid))?;
    site.go(&again, "restart")?;
    site.passes(&again)
}
