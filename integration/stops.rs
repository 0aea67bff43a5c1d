//! Stops: what a checkpoint must leave alone in a job that runs on, while signals arrive and calls wait.
//!
//! Relies on programs that check themselves all the time. What happens when a tool is killed meanwhile is for `chaos`.

use crate::case::{Case, Scene};
use crate::site::Site;
use crate::verdict::Verdict;

/// Every scene.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[("signals-in-order", signals_in_order)];
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
