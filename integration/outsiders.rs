//! Descriptors of processes that are not part of the job: they come back as long as the same process is there, and are refused in words
//! when it has ended.
//!
//! Relies on the test program `outsider`, which ends the process in the end.

use std::process::Command;

use crate::case::{Case, Scene};
use crate::children::End;
use crate::site::Site;
use crate::verdict::{Verdict, ensure, says};

/// Every promise.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[("pidfd", a_pidfd_of_an_outsider_needs_the_same_process)];
    scenes.iter().map(|(journey, scene)| Case::new("outsider", journey, *scene)).collect()
}

fn a_pidfd_of_an_outsider_needs_the_same_process(site: &Site) -> Verdict {
    let outsider = site.children.start(Command::new("sleep").arg("1000"))?;
    let mut command = site.command(site.program("outsider"));
    command.arg(outsider.to_string());
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    let context = site.context("job.ctx");
    site.try_checkpoint(&["--kill"], &context, job.pid)?.succeeded()?;
    site.children.wait(job.waited, site.patience)?;
    let again = site.restart(&[], &context, &job)?;
    site.go(&again, "restart")?;
    let end = site.children.wait(again.waited, site.patience).map_err(|stop| again.with_output(stop))?;
    ensure(end == End::Code(0), || format!("the restarted job ended with {end}: {}", again.output()))?;
    site.children.wait(outsider, site.patience)?;
    // The same context file once more: now the process is gone.
    let mut command = site.command(site.tool("cr_restart"));
    let ran = site.run(command.arg(&context))?;
    ensure(ran.end != End::Code(0), || "a restart without the process of a pidfd succeeded".into())?;
    says(&ran.stderr, "(sleep), which is not part of the job and has ended, cannot be restored")?;
    says(&ran.stderr, "object-disposition")?;
    site.gone()
}
