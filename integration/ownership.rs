//! Rights: whose context files are, whose are restarted by root, and what `--clobber` writes into.
//!
//! All scenes need root, which plays root and nobody. Relies on the test program `process`.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;

use nix::sys::signal::{Signal, kill};

use crate::case::{Case, Scene};
use crate::children::End;
use crate::job::Job;
use crate::site::{NOBODY, Ran, Site, is_true_root};
use crate::verdict::{Attempt, Verdict, ensure, says, skipped};

/// Everything about rights.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[
        ("owner", owner),
        ("owner-mixed", owner_mixed),
        ("foreign-file", foreign_file),
        ("foreign-part", foreign_part),
        ("clobber", clobber),
    ];
    scenes.iter().map(|(journey, scene)| Case::new("ownership", journey, *scene).patient(120)).collect()
}

/// A job of this user, which root will save.
fn start(site: &Site, user: u32) -> Verdict<Job> {
    if !is_true_root() || !site.namespaced {
        return Err(skipped("needs root and its own pids"));
    }
    let mut command = site.command(site.program("process"));
    if user != 0 {
        // The restarted job opens its output with its own rights.
        let out = site.work().join("out");
        fs::write(&out, "").attempt("make the file out")?;
        for path in [site.work(), out] {
            chown(&path, Some(user), Some(user)).attempt(format_args!("give {} away", path.display()))?;
        }
        command.uid(user).gid(user);
    }
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    Ok(job)
}

fn belongs(path: &Path, user: u32) -> Verdict {
    let found = fs::symlink_metadata(path).attempt(format_args!("look at {}", path.display()))?;
    ensure((found.uid(), found.gid()) == (user, user), || format!("{} belongs to {}:{}", path.display(), found.uid(), found.gid()))?;
    ensure(found.mode() & 0o077 == 0, || format!("{} has mode {:o}", path.display(), found.mode()))
}

/// As root, a context file belongs to the user of the job, a directory with its files too; `--owner` says otherwise. Root restarts it without a word.
fn owner(site: &Site) -> Verdict {
    let job = start(site, NOBODY)?;
    let ctx = site.context("job.ctx");
    for (options, user) in
        [(&[][..], NOBODY), (&["--clobber"], NOBODY), (&["--noclobber"], NOBODY), (&["--owner", "root"], 0), (&["--owner=12:12"], 12)]
    {
        if options == ["--noclobber"] {
            fs::remove_file(&ctx).attempt("make room")?;
        }
        site.checkpoint(options, &ctx, job.pid)?;
        belongs(&ctx, user)?;
    }
    let dir = site.context("parts");
    let mut command = site.command(site.tool("cr_checkpoint"));
    site.run(command.arg("-d").arg(&dir).arg(job.pid.to_string()))?.succeeded()?;
    belongs(&dir, NOBODY)?;
    for entry in fs::read_dir(&dir).attempt("list the parts")?.flatten() {
        belongs(&entry.path(), NOBODY)?;
    }
    site.checkpoint_and_kill(&[], &ctx, &job)?;
    belongs(&ctx, NOBODY)?;
    let job = site.restart(&[], &ctx, &job)?;
    site.go(&job, "restart")?;
    site.passes(&job)
}

/// A job with rights beyond those of its first process stays root's.
fn owner_mixed(site: &Site) -> Verdict {
    if !is_true_root() || !site.namespaced {
        return Err(skipped("needs root and its own pids"));
    }
    let mut command = site.command("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=+kill", "sleep", "600"]);
    let pid = site.children.start(&mut command)?;
    let is_nobody = || fs::metadata(format!("/proc/{pid}")).is_ok_and(|found| found.uid() == NOBODY);
    ensure(crate::children::wait_until(site.patience, is_nobody), || "no job of nobody".to_owned())?;
    let ctx = site.context("job.ctx");
    site.checkpoint(&[], &ctx, pid)?;
    belongs(&ctx, 0)?;
    kill(pid, Signal::SIGKILL).attempt("end the job")?;
    site.children.wait(pid, site.patience)?;
    site.gone()
}

fn restart(site: &Site, words: &[&str]) -> Verdict<Ran> {
    let mut command = site.command("sh");
    let tool = site.tool("cr_restart").display().to_string();
    command.args(["-c", "exec \"$@\" <job.ctx", "sh", &tool]).args(words);
    site.run(&mut command)
}

fn refused(ran: &Ran, why: &str) -> Verdict {
    ensure(ran.end == End::Code(1), || format!("{}: {}\n{}", ran.line, ran.end, ran.stderr))?;
    says(&ran.stderr, "is not to be trusted")?;
    says(&ran.stderr, why)?;
    says(&ran.stderr, "--trust-file")
}

/// Root does not restart a file that others can write to, nor one whose owner would get more rights than he has, by name or by descriptor.
fn foreign_file(site: &Site) -> Verdict {
    let job = start(site, 0)?;
    let ctx = site.context("job.ctx");
    site.checkpoint_and_kill(&[], &ctx, &job)?;
    chown(&ctx, Some(NOBODY), Some(NOBODY)).attempt("give the file away")?;
    for words in [&["job.ctx"][..], &["-F", "0"], &["--dry-run", "job.ctx"], &["--no-restore-pid", "job.ctx"]] {
        refused(&restart(site, words)?, "runs as user 0")?;
        site.gone()?;
    }
    chown(&ctx, Some(0), Some(0)).attempt("take the file back")?;
    fs::set_permissions(&ctx, fs::Permissions::from_mode(0o620)).attempt("let others write")?;
    refused(&restart(site, &["job.ctx"])?, "others can write to it")?;
    let job = site.restart(&["--trust-file"], &ctx, &job)?;
    site.go(&job, "restart")?;
    site.passes(&job)
}

/// One file of somebody else in a directory is enough.
fn foreign_part(site: &Site) -> Verdict {
    let job = start(site, 0)?;
    let dir = site.context("job.ctx");
    let mut command = site.command(site.tool("cr_checkpoint"));
    site.run(command.args(["--kill", "-d"]).arg(&dir).arg(job.pid.to_string()))?.succeeded()?;
    site.children.wait(job.waited, site.patience)?;
    let part = dir.join(format!("context.{}", job.pid));
    chown(&part, Some(NOBODY), Some(NOBODY)).attempt("give a part away")?;
    let mut command = site.command(site.tool("cr_restart"));
    refused(&site.run(command.arg("-d").arg(&dir))?, "belongs to user 65534")?;
    site.gone()
}

/// `--clobber` writes into a file of its own, never through a link, and leaves what it does not write into as it was.
fn clobber(site: &Site) -> Verdict {
    let job = start(site, 0)?;
    let ctx = site.context("job.ctx");
    let secret = site.context("secret");
    fs::write(&secret, "precious").attempt("write a file")?;
    let untouched = || ensure(fs::read(&secret).is_ok_and(|text| text == b"precious"), || "it was written to".to_owned());
    symlink(&secret, &ctx).attempt("make a link")?;
    let ran = site.try_checkpoint(&["--clobber"], &ctx, job.pid)?;
    ensure(ran.end == End::Code(40), || ran.stderr.clone())?;
    says(&ran.stderr, "symbolic link")?;
    untouched()?;
    fs::remove_file(&ctx).attempt("remove the link")?;
    fs::rename(&secret, &ctx).attempt("put the file there")?;
    chown(&ctx, Some(NOBODY), Some(NOBODY)).attempt("give the file away")?;
    let ran = site.try_checkpoint(&["--clobber"], &ctx, job.pid)?;
    ensure(ran.end == End::Code(1), || ran.stderr.clone())?;
    says(&ran.stderr, "belongs to user 65534")?;
    fs::rename(&ctx, &secret).attempt("take the file back")?;
    untouched()?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o644).open(&ctx).attempt("make a file of our own")?;
    site.checkpoint(&["--clobber"], &ctx, job.pid)?;
    site.runs_on(&job)
}
