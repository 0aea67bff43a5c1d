//! Jobs whose namespaces are not those of the tools, and clocks that would go back.
//!
//! Relies on `unshare` of util-linux; skips where it may not. Leaves namespaces that `cr_restart` makes itself to `namespace`.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::case::{Case, Scene};
use crate::children::End;
use crate::job::Job;
use crate::namespace;
use crate::site::{Site, is_true_root};
use crate::verdict::{Attempt, Verdict, ensure, says, skipped};

/// Ends with 7 if no clock went back. The time since boot is that of the namespace of whoever reads it.
const WATCH: &str = "read before _ </proc/uptime; echo READY; while [ ! -e go ]; do sleep 0.02; done; read after _ </proc/uptime
    echo $before $after; [ ${before%.*} -le ${after%.*} ] || exit 1; exit 7";

/// How far ahead the clocks of a job are, seconds.
const AHEAD: &str = "500000";

/// Every scene.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[
        ("lost", lost),
        ("lost-by-script", lost_by_script),
        ("clocks", clocks),
        ("clocks-in-namespaces", clocks_in_namespaces),
        ("clocks-jump", clocks_jump),
        ("processors", processors),
    ];
    scenes.iter().map(|(journey, scene)| Case::new("places", journey, *scene)).collect()
}

/// A shell job started by `unshare OPTIONS`.
fn apart(site: &Site, options: &[&str]) -> Verdict<Job> {
    if !is_true_root() {
        return Err(skipped("needs root, who may make namespaces"));
    }
    let mut command = site.command("unshare");
    command.args(options).args(["sh", "-c", WATCH]);
    let job = site.start(command)?;
    if site.wait_ready(&job).is_err() {
        return Err(skipped(format_args!("no namespaces here: {}", job.output())));
    }
    Ok(job)
}

fn ends_well(site: &Site, job: &Job) -> Verdict {
    site.go(job, "go")?;
    let end = site.children.wait(job.waited, site.patience)?;
    ensure(end == End::Code(7), || format!("ended with {end}:\n{}", job.output()))
}

/// A job in namespaces of its own is refused, and runs on; who gives them up is told at both ends what is lost.
fn lost(site: &Site) -> Verdict {
    let job = apart(site, &["--uts", "--net"])?;
    let context = site.context("job.ctx");
    let refused = site.try_checkpoint(&[], &context, job.pid)?;
    let is_said = refused.stderr.contains("a UTS and network namespace of its own") && refused.stderr.contains("--allow-lost namespaces");
    ensure(refused.end == End::Code(95) && is_said, || format!("not refused: {} {}", refused.end, refused.stderr))?;
    let taken = site.try_checkpoint(&["--kmsg-none", "--allow-lost", "namespaces"], &context, job.pid)?;
    ensure(taken.end == End::Code(0) && taken.stderr.contains("network namespace"), || format!("{}: {}", taken.end, taken.stderr))?;
    ends_well(site, &job)?;
    // A job that finds this file at once would end before anybody has seen it.
    std::fs::remove_file(job.work.join("go")).attempt("remove the file go")?;
    let back = site.restart(&[], &context, &job)?;
    says(&back.complaints(), "it had the network namespace")?;
    ends_well(site, &back)
}

/// A script may give the namespaces up, or refuse in its own name.
fn lost_by_script(site: &Site) -> Verdict {
    let job = apart(site, &["--ipc"])?;
    for answer in ["fail", "lose"] {
        let handler = format!("function() return {answer:?} end");
        let text = format!("local cr = require \"cr\"\ncr.on(\"object-disposition\", {{ kind = \"namespaces\" }}, {handler})\n");
        std::fs::write(site.dir.join(format!("{answer}.lua")), text).attempt("write a script")?;
    }
    let refused = site.try_checkpoint(&["--hook", "fail.lua"], &site.context("no.ctx"), job.pid)?;
    ensure(refused.end == End::Code(95), || format!("not refused: {} {}", refused.end, refused.stderr))?;
    says(&refused.stderr, "would lose its IPC namespace, cannot be checkpointed, as fail.lua:2 decided")?;
    let taken = site.try_checkpoint(&["--hook", "lose.lua"], &site.context("job.ctx"), job.pid)?;
    ensure(taken.end == End::Code(0), || format!("{}: {}", taken.end, taken.stderr))?;
    says(&taken.stderr, "its IPC namespace")?;
    ends_well(site, &job)
}

/// A job whose clocks are ahead of ours, saved and killed.
fn saved_ahead(site: &Site) -> Verdict<Job> {
    if !site.namespaced {
        return Err(skipped("needs pids of its own"));
    }
    let job = apart(site, &["--time", "--monotonic", AHEAD, "--boottime", AHEAD])?;
    site.checkpoint_and_kill(&[], &site.context("job.ctx"), &job)?;
    Ok(job)
}

/// Clocks that are ahead of ours stay ahead, also in the second life.
fn clocks(site: &Site) -> Verdict {
    let job = saved_ahead(site)?;
    let (first, second) = (site.context("job.ctx"), site.context("again.ctx"));
    let job = site.restart(&[], &first, &job)?;
    site.checkpoint_and_kill(&[], &second, &job)?;
    let job = site.restart(&[], &second, &job)?;
    ends_well(site, &job)
}

/// The same for a user, who restarts the job in namespaces that `cr_restart` makes.
fn clocks_in_namespaces(site: &Site) -> Verdict {
    namespace::prepare(site)?;
    // Only root makes the time namespace that the job comes from: no command of the site, whose commands are the user's by now.
    let mut command = Command::new("unshare");
    command.args(["--time", "--monotonic", AHEAD, "--boottime", AHEAD]);
    command.args(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", WATCH]);
    command.process_group(0).stdin(Stdio::null());
    let job = site.start(command)?;
    if site.wait_ready(&job).is_err() {
        return Err(skipped(format_args!("no time namespaces here: {}", job.output())));
    }
    let context = site.context("job.ctx");
    site.checkpoint_and_kill(&[], &context, &job)?;
    let back = namespace::restart(site, &["--namespace"], &context, job.pid, &job)?;
    ends_well(site, &back)
}

/// Without the right to make a time namespace the restart is refused, unless the clocks may go back; that is said.
fn clocks_jump(site: &Site) -> Verdict {
    let job = saved_ahead(site)?;
    let restart = |extra: &[&str]| {
        let mut command: Command = site.command("setpriv");
        command.args(["--bounding-set", "-sys_time", "--inh-caps", "-sys_time"]).arg(site.tool("cr_restart"));
        site.run(command.args(extra).arg(site.context("job.ctx")))
    };
    let refused = restart(&[])?;
    let says = refused.stderr.contains("class env") && refused.stderr.contains("--clock jump");
    ensure(refused.end != End::Code(0) && says, || format!("not refused: {} {}", refused.end, refused.stderr))?;
    site.go(&job, "go")?;
    let jumped = restart(&["--clock", "jump"])?;
    let says = jumped.stderr.contains("the monotonic clocks go back by");
    ensure(jumped.end == End::Code(1) && says, || format!("{}: {}\n{}", jumped.end, jumped.stderr, job.output()))
}

/// A job that a batch system has bound runs on the processors of its second life, unless the saved ones are asked for.
fn processors(site: &Site) -> Verdict {
    const WORK: &str =
        "echo $$ >inner; echo READY; while [ ! -e go ]; do sleep 0.02; done; grep Cpus_allowed_list /proc/self/status; exit 7";
    if !site.namespaced {
        return Err(skipped("needs pids of its own"));
    }
    let own = std::fs::read_to_string("/proc/self/status").attempt("read our own processors")?;
    let own = own.lines().find(|line| line.starts_with("Cpus_allowed_list")).unwrap_or_default().to_owned();
    let first = own.split_ascii_whitespace().last().unwrap_or_default().split(['-', ',']).next().unwrap_or_default();
    let mut command = site.command("taskset");
    // The shell in the middle is bound by taskset, and is what the job calls its surroundings.
    command.args(["-c", first, "sh", "-c", &format!("sh -c '{WORK}'; exit 3")]);
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    let inner = std::fs::read_to_string(job.work.join("inner")).attempt("read the id of the job")?;
    let context = site.context("job.ctx");
    site.run(site.command(site.tool("cr_checkpoint")).arg("--kill").arg("-f").arg(&context).arg(inner.trim()))?.succeeded()?;
    site.children.wait(job.waited, site.patience)?;
    site.go(&job, "go")?;
    for (options, wanted) in [(&[][..], own.clone()), (&["--affinity", "saved"], format!("Cpus_allowed_list:\t{first}"))] {
        let ran = site.run(site.command(site.tool("cr_restart")).args(options).arg(&context))?;
        ensure(ran.end == End::Code(7), || format!("{}: {}", ran.end, ran.stderr))?;
        let output = job.output();
        ensure(output.contains(&wanted), || format!("not {wanted}: {output}"))?;
        let is_said = ran.stderr.contains("--affinity saved keeps them");
        ensure(is_said == (options.is_empty() && !own.ends_with(&format!("\t{first}"))), || format!("said: {}", ran.stderr))?;
    }
    Ok(())
}
