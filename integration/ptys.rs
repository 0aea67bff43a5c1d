//! Pseudo-terminals with somebody else in the way: who holds the other side, who has the number, who kills the checkpoint while it has taken out what
//! waits in them.
//!
//! Relies on the test programs `pty`, `pty_line` and `outsider`, and on fault points of debug builds. What a pseudo-terminal keeps is said by the
//! programs of the table.

use std::fs;

use nix::fcntl::OFlag;
use nix::pty::posix_openpt;

use crate::case::{Case, Scene};
use crate::children::{End, wait_until};
use crate::observe;
use crate::site::Site;
use crate::verdict::{Attempt, Verdict, ensure, says};

/// Every promise.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[("outside", outside), ("hung-up", hung_up), ("taken", taken), ("killed", killed)];
    scenes.iter().map(|(journey, scene)| Case::new("pseudo-terminal", journey, *scene).patient(240)).collect()
}

/// A master whose slave others have is refused in words, unless it is to be closed.
fn outside(site: &Site) -> Verdict {
    let job = site.start_program("pty_session")?;
    let context = site.context("job.ctx");
    let ran = site.try_checkpoint(&["--process"], &context, job.pid)?;
    ensure(ran.end != End::Code(0), || "a master was saved without the session at its slave".to_owned())?;
    says(&ran.stderr, "outside of the job")?;
    says(&ran.stderr, "object-disposition")?;
    let script = script(site, "close")?;
    site.try_checkpoint(&["--process", "--hook", &script], &context, job.pid)?.succeeded()?;
    site.go(&job, "continue")?;
    site.passes(&job)
}

/// A script lets the job lose the other side.
fn hung_up(site: &Site) -> Verdict {
    let job = site.start_program("pty_hangup")?;
    let script = script(site, "hang_up")?;
    let context = site.context("job.ctx");
    site.checkpoint_and_kill(&["--process", "--hook", &script], &context, &job)?;
    let again = site.restart(&["--hook", &script], &context, &job)?;
    site.go(&again, "restart")?;
    site.passes(&again)
}

/// A script with this answer about pseudo-terminals.
fn script(site: &Site, word: &str) -> Verdict<String> {
    let script = site.dir.join("decide.lua");
    let text = format!("local cr = require 'cr'\ncr.on('object-disposition', {{ kind = 'pty' }}, function() return '{word}' end)\n");
    fs::write(&script, text).attempt("write a script")?;
    Ok(script.display().to_string())
}

/// Somebody has the number: the job gets another, and says so.
fn taken(site: &Site) -> Verdict {
    let job = site.start_program("pty")?;
    let context = site.context("job.ctx");
    let slave = fs::read_link(format!("/proc/{}/fd/4", job.pid)).attempt("look at the job's slave")?;
    site.checkpoint_and_kill(&[], &context, &job)?;
    let mut masters = Vec::new();
    while !slave.exists() && masters.len() < 256 {
        masters.push(posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY).attempt("take a pseudo-terminal")?);
    }
    let again = site.restart(&[], &context, &job)?;
    let said = fs::read_dir(&site.dir).attempt("list the case's directory")?.flatten();
    let said = said.filter(|entry| entry.file_name().display().to_string().ends_with("cr_restart.stderr"));
    let said: String = said.map(|entry| fs::read_to_string(entry.path()).unwrap_or_default()).collect();
    says(&said, "somebody has the pseudo-terminal")?;
    drop(masters);
    site.go(&again, "restart")?;
    site.passes(&again)
}

/// A checkpoint is killed wherever it is: what was taken out of the terminals is put back.
fn killed(site: &Site) -> Verdict {
    const MOST: u32 = 1 << 14;
    let job = site.start_program("pty_line")?;
    let mut at = 1;
    let mut kills = 0;
    loop {
        ensure(at < MOST, || "the checkpoint never ends".to_owned())?;
        let mut command = site.command(site.tool("cr_checkpoint"));
        command.args(["--clobber", "-f"]).arg(site.context("job.ctx")).arg(job.pid.to_string());
        let ran = site.run(command.env("REPRISE_FAULT", format!("all:{at}:9")))?;
        let is_free = || observe::is_untraced(job.pid) && !observe::is_stopped(job.pid);
        ensure(wait_until(site.patience, is_free), || format!("killed at point {at}: {}", observe::one_line(job.pid)))?;
        ensure(site.children.end_of(job.pid).is_none(), || format!("killed at point {at}, the job has ended: {}", job.output()))?;
        if ran.end == End::Code(0) {
            break;
        }
        kills += 1;
        at += 1 + at / 8;
    }
    site.tell(format_args!("{kills} kills"));
    ensure(kills > 10, || "the tool has no fault points: not a debug build".to_owned())?;
    site.go(&job, "continue")?;
    site.passes(&job)
}
