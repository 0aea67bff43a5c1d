//! Scenes of programs that take part in their checkpoints: what they refuse, who is left out, who is required.
//!
//! Relies on the test program `libcr_refuse` and on the libraries that lie beside the test programs and in `lib` beside the tools. What callbacks do in each
//! journey is the table's.

use crate::case::{Case, Scene};
use crate::children::End;
use crate::job::Job;
use crate::site::Site;
use crate::verdict::{Attempt, Verdict, ensure};

/// Every promise.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[
        ("refusals", each_refusal_has_its_exit_code_and_the_program_runs_on),
        ("permanent", a_permanent_failure_ends_the_job),
        ("required", programs_without_libcr_are_refused_if_asked),
        ("omitted", programs_under_cr_run_omit_are_left_out),
    ];
    scenes.iter().map(|(journey, scene)| Case::new("libcr", journey, *scene)).collect()
}

fn start(site: &Site, how: &str) -> Verdict<Job> {
    let mut command = site.command(site.program("libcr_refuse"));
    command.arg(how);
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    Ok(job)
}

/// Takes away what the next job must not find.
fn again(site: &Site) -> Verdict {
    std::fs::remove_dir_all(site.work()).attempt("remove the working directory")?;
    std::fs::create_dir(site.work()).attempt("make a working directory")?;
    let _ = std::fs::remove_file(site.context("job.ctx"));
    Ok(())
}

fn each_refusal_has_its_exit_code_and_the_program_runs_on(site: &Site) -> Verdict {
    for (how, flags, code, says) in [
        ("temp", &[][..], 50, "Checkpoint cancelled by application: try again later"),
        ("code", &[], 77, "code 77"),
        ("omit", &[], 3, "no processes checkpointed"),
        // What it asks for reaches only who was saved.
        ("omit", &["--term"], 3, "no processes checkpointed"),
        ("hang", &["--time", "1"], 62, "callbacks in thread context"),
    ] {
        let job = start(site, how)?;
        let context = site.context("job.ctx");
        let ran = site.try_checkpoint(flags, &context, job.pid)?;
        ensure(ran.end == End::Code(code), || format!("{how}: cr_checkpoint ended with {}, not {code}: {}", ran.end, ran.stderr))?;
        ensure(ran.stderr.contains(says), || format!("{how}: it says: {}", ran.stderr))?;
        ensure(!context.exists(), || format!("{how}: there is a context file"))?;
        site.go(&job, "continue")?;
        site.passes(&job)?;
        again(site)?;
    }
    Ok(())
}

fn a_permanent_failure_ends_the_job(site: &Site) -> Verdict {
    for how in ["perm", "spoil"] {
        let job = start(site, how)?;
        let ran = site.try_checkpoint(&[], &site.context("job.ctx"), job.pid)?;
        ensure(ran.end == End::Code(51), || format!("{how}: cr_checkpoint ended with {}: {}", ran.end, ran.stderr))?;
        let end = site.children.wait(job.waited, site.patience)?;
        ensure(end == End::Signal(9), || format!("{how}: the job ended with {end}"))?;
        again(site)?;
    }
    Ok(())
}

fn programs_without_libcr_are_refused_if_asked(site: &Site) -> Verdict {
    let context = site.context("job.ctx");
    let required = ["--require-libcr"];
    let job = site.start(site.command(site.program("eventfd")))?;
    site.wait_ready(&job)?;
    let ran = site.try_checkpoint(&required, &context, job.pid)?;
    ensure(ran.end == End::Code(52), || format!("cr_checkpoint ended with {}: {}", ran.end, ran.stderr))?;
    ensure(ran.stderr.contains("Checkpoint failed: support missing from application"), || format!("it says: {}", ran.stderr))?;
    site.checkpoint(&[], &context, job.pid)?;
    site.go(&job, "continue")?;
    site.passes(&job)?;
    again(site)?;
    let mut command = site.command(site.tool("cr_run"));
    command.arg(site.program("eventfd"));
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    site.checkpoint(&required, &context, job.pid)?;
    site.go(&job, "continue")?;
    site.passes(&job)
}

fn programs_under_cr_run_omit_are_left_out(site: &Site) -> Verdict {
    let mut command = site.command(site.tool("cr_run"));
    // The library counts, not only the environment, which the program may have changed.
    command.args(["--omit", "env", "-u", "REPRISE_OMIT"]).arg(site.program("eventfd"));
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    let ran = site.try_checkpoint(&["-p"], &site.context("job.ctx"), job.pid)?;
    ensure(ran.end == End::Code(3), || format!("cr_checkpoint ended with {}: {}", ran.end, ran.stderr))?;
    site.go(&job, "continue")?;
    site.passes(&job)
}
