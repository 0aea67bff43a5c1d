//! Restartable or refused: a job gets a signal after its checkpoint only when the context file can be restarted here.
//!
//! Relies on `table_around_parent`, a job that can be saved and not be restarted.

use std::fs;

use crate::case::{Case, Scene};
use crate::children::End;
use crate::job::Job;
use crate::site::Site;
use crate::verdict::{Attempt, Verdict, ensure};

/// Every scene.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] =
        &[("signal-refused", signal_refused), ("to-descriptor", to_descriptor), ("unproven", unproven), ("script-refused", script_refused)];
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
