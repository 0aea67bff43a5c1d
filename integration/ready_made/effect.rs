//! Ready-made scripts with effects outside of the job: records, messages, snapshots, old files removed.
//!
//! Relies on the examples of `ready_made`, and on fake programs that note how they were called. Leaves real clusters to their owners.

use std::fs;
use std::path::{Path, PathBuf};

use super::{NO_HURRY, Ready, end};
use crate::children::{End, wait_until};
use crate::job::Job;
use crate::verdict::{Attempt, Verdict, ensure, failed, in_order, says};

/// Where fakes note their calls.
fn calls(ready: &Ready<'_>) -> PathBuf {
    ready.site.context("calls")
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Waits until a fake that runs in the background was called like this.
fn called(ready: &Ready<'_>, words: &str) -> Verdict {
    let path = calls(ready);
    ensure(wait_until(ready.site.patience, || text(&path).contains(words)), || format!("never called with {words:?}:\n{}", text(&path)))
}

fn goes_on(ready: &Ready<'_>, job: &Job) -> Verdict {
    ready.site.go(job, "restart")?;
    ready.site.passes(job)
}

/// One line for each of checkpoint, failure, restart and end, in that order.
pub fn audit_trail(ready: &Ready<'_>) -> Verdict {
    let site = ready.site;
    let job = site.start_program("process")?;
    let trail = site.context("trail.jsonl");
    let restart = ready.example("cr_restart", &job, &[("/var/log/checkpoints.jsonl", &trail.display().to_string())])?;
    let argument = format!("audit={}", trail.display());
    let mut hook = vec!["--hook", "audit_trail.lua", "--hook-arg", &argument];
    hook.extend(NO_HURRY.split(' '));
    site.checkpoint(&hook, &ready.context(&job), job.pid)?;
    let failed = site.try_checkpoint(&[&hook[..], &["--noclobber"]].concat(), &ready.context(&job), job.pid)?;
    ensure(failed.end != End::Code(0), || "a context file was overwritten".to_owned())?;
    let taken = ready.run(&restart)?;
    ensure(taken.end != End::Code(0), || "two processes with one id".to_owned())?;
    end(site, &job)?;
    let job = ready.restart(&restart, "process", &job)?;
    goes_on(ready, &job)?;
    let trail = text(&trail);
    let (checkpoint, restart) = (format!("context.{}\"", job.pid), format!("\"lead\":{}", job.pid));
    let expected = [
        ("checkpoint", &checkpoint[..]),
        ("checkpoint-failed", "\"class\":\"env\""),
        ("fail-temp", "\"class\":\"temp\""),
        ("restart", &restart),
        ("exit", "\"status\":0"),
    ];
    let lines: Vec<&str> = trail.lines().collect();
    ensure(lines.len() == expected.len(), || format!("not one line an event:\n{trail}"))?;
    for (line, (event, field)) in lines.iter().zip(expected) {
        says(line, &format!("\"event\":\"{event}\""))?;
        says(line, field)?;
        says(line, "\"host\":")?;
    }
    Ok(())
}

/// The newest five of a series are kept, in the order of their numbers; nothing else is removed. Directories work the same.
pub fn keep_last_n(ready: &Ready<'_>) -> Verdict {
    let site = ready.site;
    let job = site.start_program("file_action")?;
    for stranger in ["run.7.log", "run.x", "other.1"] {
        fs::write(site.context(stranger), "").attempt("make a file that is no context file")?;
    }
    let names = |stem: &str| {
        let entries = fs::read_dir(&site.dir).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().display().to_string());
        let mut numbers: Vec<u32> = names.filter_map(|name| name.strip_prefix(stem)?.strip_prefix('.')?.parse().ok()).collect();
        numbers.sort_unstable();
        numbers
    };
    for (stem, option) in [("run", "-f run."), ("dir", "-d dir.")] {
        for number in [1, 2, 9, 10, 11, 12, 100, 5] {
            let number = number.to_string();
            ready.run(&ready.example("cr_checkpoint", &job, &[("$(date +%s)", &number), ("-f run.", option)])?)?.succeeded()?;
        }
        // The new one counts, whatever its number is.
        let kept = [5, 10, 11, 12, 100];
        ensure(wait_until(site.patience, || names(stem) == kept), || format!("kept of {stem}: {:?}", names(stem)))?;
    }
    for stranger in ["run.7.log", "run.x", "other.1"] {
        ensure(site.context(stranger).exists(), || format!("{stranger} was removed"))?;
    }
    site.verify(&site.context("run.100"))?;
    site.runs_on(&job)
}

/// The controller is told about a checkpoint, a failure and a restart of a batch job, and about nothing else.
pub fn notify_batch_system(ready: &Ready<'_>) -> Verdict {
    let site = ready.site;
    ready.fake("scontrol", &format!("printf '%s|' \"$@\" >>'{}'", calls(ready).display()))?;
    let job = site.start_program("process")?;
    let example = ready.example("cr_checkpoint", &job, &[])?;
    ready.run(&example)?.succeeded()?;
    ensure(!calls(ready).exists(), || format!("outside of a batch job it was called: {}", text(&calls(ready))))?;
    let example = example.variable("SLURM_JOB_ID", "77");
    ready.run(&example)?.succeeded()?;
    called(ready, &format!("update|JobId=77|Comment=checkpoint {}, 0 MiB|", ready.context(&job).display()))?;
    ready.run(&example.clone().with("cr_checkpoint", "--noclobber"))?;
    called(ready, "update|JobId=77|Comment=checkpoint failed: ")?;
    end(site, &job)?;
    let job = ready.restart(&example.at_restart(&job), "process", &job)?;
    called(ready, &format!("update|JobId=77|Comment=restarted on {}", hostname()?))?;
    goes_on(ready, &job)
}

fn hostname() -> Verdict<String> {
    fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned()).attempt("read the name of this host")
}

/// A mail is written when the machine must be put right or the context file is damaged, none when trying again may help.
pub fn page_the_admin(ready: &Ready<'_>) -> Verdict {
    let site = ready.site;
    ready.fake("mail", &format!("{{ printf '%s|' \"$@\"; echo; cat; }} >>'{}'", calls(ready).display()))?;
    let job = site.start_program("file_action")?;
    site.checkpoint(&[], &ready.context(&job), job.pid)?;
    let example = ready.example("cr_restart", &job, &[])?;
    let taken = ready.run(&example)?;
    says(&taken.stderr, "class temp")?;
    ensure(!calls(ready).exists(), || format!("a mail about a pid that is taken: {}", text(&calls(ready))))?;
    end(site, &job)?;
    let (data, aside) = (site.work().join("data"), site.context("data.aside"));
    fs::rename(&data, &aside).attempt("put a file of the job aside")?;
    let missing = ready.run(&example)?;
    says(&missing.stderr, "class env")?;
    let mail = text(&calls(ready));
    let subject = format!("-s|restart failed on {} (env)|hpc-admin@example.org|", hostname()?);
    in_order(&mail, &[&subject, "/work/data", "host:    ", "class:   env", "attempt: 1", "path:    ", "/work/data", "to do:   "])?;
    fs::rename(&aside, &data).attempt("put a file of the job back")?;
    damage(&ready.context(&job))?;
    let damaged = ready.run(&example)?;
    says(&damaged.stderr, "class perm")?;
    let mail = text(&calls(ready));
    in_order(&mail, &["(env)|", "(perm)|hpc-admin@example.org|", "class:   perm"])
}

/// Changes a byte in the middle.
fn damage(path: &Path) -> Verdict {
    let mut bytes = fs::read(path).attempt("read the context file")?;
    let middle = bytes.len() / 2;
    let byte = bytes.get_mut(middle).ok_or_else(|| failed("the context file is empty"))?;
    *byte ^= 1;
    fs::write(path, bytes).attempt("damage the context file")
}

/// The snapshot is taken while the job stands still; without it there is no checkpoint. Where it is can be read, and its loss is reported.
pub fn snapshot_file_system(ready: &Ready<'_>) -> Verdict {
    let site = ready.site;
    let job = site.start_program("file_action")?;
    let snapshots = site.context("snapshots");
    fs::create_dir(&snapshots).attempt("make the directory of snapshots")?;
    let (work, into) = (site.work().display().to_string(), snapshots.display().to_string());
    let example = ready.example("cr_checkpoint", &job, &[("/data/run7", &work), ("/data/snapshots", &into)])?;
    ready.fake("btrfs", "echo 'no space left' >&2; exit 1")?;
    let refused = ready.run(&example)?;
    ensure(refused.end != End::Code(0) && !ready.context(&job).exists(), || "a checkpoint without its snapshot".to_owned())?;
    in_order(&refused.stderr, &["no snapshot of", "btrfs: no space left", "class env"])?;
    let (status, record) = (format!("/proc/{}/status", job.pid), calls(ready));
    ready.fake("btrfs", &format!("{{ echo \"$1 $2 $3\"; grep State {status}; }} >'{}'\nexec cp -a \"$4\" \"$5\"", record.display()))?;
    ready.checkpoint_and_kill(&example, &job)?;
    in_order(&text(&record), &["subvolume snapshot -r\n", "State:", "tracing stop"])?;
    let entries = fs::read_dir(&snapshots).attempt("list the snapshots")?;
    let taken = entries.flatten().map(|entry| entry.path()).next().ok_or_else(|| failed("there is no snapshot"))?;
    ensure(text(&taken.join("log")) == "before\n", || format!("the snapshot holds {:?}", text(&taken.join("log"))))?;
    let mut info = site.command(site.tool("cr_info"));
    says(&site.run(info.arg(ready.context(&job)))?.succeeded()?.stdout, &taken.display().to_string())?;
    fs::remove_dir_all(&taken).attempt("remove the snapshot")?;
    let job = ready.restart(&example.at_restart(&job), "file_action", &job)?;
    goes_on(ready, &job)?;
    says(&job.complaints(), &format!("the snapshot {} of this checkpoint is gone", taken.display()))
}
