//! Attribute files of cpr, carried out on real jobs by `cr_checkpoint` and `cr_restart`.
//!
//! Relies on the test programs `file_action` and `process`, and on a shell for working directories. Leaves the grammar to the tests of the library, and
//! the files that `cpr` finds by itself to `cpr`.

use std::fs;
use std::path::PathBuf;

use crate::case::{Case, Scene};
use crate::children::{End, wait_until};
use crate::decisions::{edit, is, read};
use crate::job::Job;
use crate::site::Site;
use crate::verdict::{Attempt, Verdict, ensure};

/// Every promise.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[
        ("files", files),
        ("will", will),
        ("fork-any", fork_any),
        ("cdir-ignore", cdir_ignore),
        ("rdir-ignore", rdir_ignore),
        ("shown", shown),
        ("wrong", wrong),
        ("share-group", share_group),
    ];
    scenes.iter().map(|(journey, scene)| Case::new("attributes", journey, *scene)).collect()
}

/// Writes an attribute file and returns its path.
pub fn attributes(site: &Site, text: &str) -> Verdict<PathBuf> {
    let path = site.context("attributes");
    fs::write(&path, text).attempt("write an attribute file")?;
    site.give_away(&path)?;
    Ok(path)
}

fn option(site: &Site, text: &str) -> Verdict<String> {
    Ok(format!("--attributes={}", attributes(site, text)?.display()))
}

/// All five dispositions at once; the first line that fits counts.
fn files(site: &Site) -> Verdict {
    let text = "CKPT HID * {\n FILE: \"*/log\": APPEND\n FILE \"*/result\" REPLACE\n FILE \"*/data\" SUBSTITUTE\n FILE: MERGE\n}";
    let option = option(site, text)?;
    let job = site.start_program("file_action")?;
    site.checkpoint_and_kill(&[&option], &site.context("job.ctx"), &job)?;
    edit(site)?;
    let job = site.restart(&[], &site.context("job.ctx"), &job)?;
    site.go(&job, "restart")?;
    site.passes(&job)?;
    let files = read(site)?;
    is("log", &files.log, "before\nbetween\nafter\n")?;
    is("result", &files.result, "before\nafter\n")?;
    is("data", &files.data, "one\ntwo\nthree\n")?;
    is("map", &files.map, "edited\0!")
}

/// WILL counts unless the command line says something else.
fn will(site: &Site) -> Verdict {
    let job = site.start_program("process")?;
    let option = option(site, "CKPT HID * { WILL: KILL }")?;
    site.checkpoint(&[&option, "--run"], &site.context("first.ctx"), job.pid)?;
    ensure(site.children.end_of(job.pid).is_none(), || "the job was killed in spite of --run".to_owned())?;
    site.checkpoint(&[&option], &site.context("job.ctx"), job.pid)?;
    let end = site.children.wait(job.pid, site.patience)?;
    ensure(end != End::Code(0), || format!("the job ended with {end}"))?;
    let job = site.restart(&[], &site.context("job.ctx"), &job)?;
    site.go(&job, "restart")?;
    site.passes(&job)
}

/// While the ids are taken the job comes back with others, if both lives are told that they may.
fn fork_any(site: &Site) -> Verdict {
    let job = site.start_program("heap")?;
    let option = option(site, "CKPT HID * { WILL CONT FORK ANY }")?;
    site.checkpoint(&[&option], &site.context("job.ctx"), job.pid)?;
    let second = site.restart(&[], &site.context("job.ctx"), &job)?;
    ensure(second.pid != job.pid, || "two processes have one id".to_owned())?;
    site.checkpoint(&["--run"], &site.context("plain.ctx"), job.pid)?;
    let mut command = site.command(site.tool("cr_restart"));
    let ran = site.run(command.arg(site.context("plain.ctx")))?;
    ensure(ran.end == End::Code(16), || format!("FORK is ORIGINAL by default, and the restart ended with {}", ran.end))?;
    site.go(&job, "both")?;
    for pid in [job.pid, second.waited] {
        let end = site.children.wait(pid, site.patience)?;
        ensure(end == End::Code(0), || format!("one life ended with {end}:\n{}", second.output()))?;
    }
    site.gone()
}

/// A shell that tells where it is when it is told to go on.
fn teller(site: &Site, link: &str) -> Verdict<Job> {
    let script =
        format!("echo READY; until [ -e {0}/go ]; do sleep 0.05; done; readlink /proc/$$/{link}; echo PASS", site.work().display());
    let mut command = site.command("sh");
    command.args(["-c", &script]);
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    Ok(job)
}

/// With CDIR IGNORE the job works where the restart was asked for.
fn cdir_ignore(site: &Site) -> Verdict {
    let job = teller(site, "cwd")?;
    let option = option(site, "CKPT * { CDIR IGNORE }")?;
    site.checkpoint_and_kill(&[&option], &site.context("job.ctx"), &job)?;
    // The restart itself runs in the directory of the case, above that of the job.
    let job = site.restart(&[], &site.context("job.ctx"), &job)?;
    site.go(&job, "restart")?;
    let told = wait_until(site.patience, || job.output().contains("PASS"));
    let expected = format!("{}\n", site.context("").display());
    let is_there = job.output().contains(expected.trim_end_matches(['/', '\n']));
    let is_old = job.output().lines().any(|line| line.ends_with("/work"));
    ensure(told && is_there && !is_old, || format!("the job is not where the restarter is:\n{}", job.output()))?;
    site.passes(&job)
}

/// With RDIR IGNORE a root directory of the job's own does not come back; said at the restart only.
fn rdir_ignore(site: &Site) -> Verdict {
    let job = teller(site, "root")?;
    site.checkpoint_and_kill(&[], &site.context("job.ctx"), &job)?;
    let option = option(site, "CKPT * { RDIR IGNORE FORK ORIGINAL }")?;
    let job = site.restart(&[&option], &site.context("job.ctx"), &job)?;
    site.go(&job, "restart")?;
    let told = wait_until(site.patience, || job.output().contains("PASS"));
    ensure(told && job.output().lines().any(|line| line == "/"), || job.output())?;
    site.passes(&job)
}

/// Decisions show the line of the file that took them: in dry runs, and in what is in the context file.
fn shown(site: &Site) -> Verdict {
    let job = site.start_program("file_action")?;
    let option = option(site, "CKPT HID * {\n FILE \"*/log\" APPEND\n WILL CONT\n FORK ANY\n}")?;
    let path = site.context("job.ctx").display().to_string();
    let mut command = site.command(site.tool("cr_checkpoint"));
    let ran = site.run(command.args(["--dry-run", &option, "-f", &path, &job.pid.to_string()]))?.succeeded()?;
    for words in
        [["append", "attributes:2 FILE \"*/log\" APPEND"], ["continue", "attributes:3 WILL CONT"], ["pid any", "attributes:4 FORK ANY"]]
    {
        let is_it = |line: &str| words.iter().all(|word| line.contains(word));
        ensure(ran.stdout.lines().any(is_it), || format!("no row with {words:?}:\n{}", ran.stdout))?;
    }
    site.checkpoint(&[&option], &site.context("job.ctx"), job.pid)?;
    let info = site.run(site.command(site.tool("cr_info")).arg(&path))?.succeeded()?.stdout;
    ensure(info.contains("attributes:4 FORK ANY") && info.contains("attributes:2 FILE"), || info)?;
    site.runs_on(&job)
}

/// A wrong file is refused with the place and the known words before anything happens.
fn wrong(site: &Site) -> Verdict {
    let job = site.start_program("process")?;
    let option = option(site, "CKPT HID * {\n  WILL: STAY\n}")?;
    for (tool, rest) in [("cr_checkpoint", job.pid.to_string()), ("cr_restart", site.context("").display().to_string())] {
        let ran = site.run(site.command(site.tool(tool)).arg(&option).arg(rest))?;
        let says = ran.stderr.contains("attributes:2:9: 'STAY' is no action of WILL; known are EXIT, KILL, CONT");
        ensure(ran.end == End::Code(22) && says, || format!("{tool}: {}: {}", ran.end, ran.stderr))?;
    }
    site.runs_on(&job)
}

/// Blocks may name a share group; a request of cr_checkpoint for a tree is none.
fn share_group(site: &Site) -> Verdict {
    let job = site.start_program("process")?;
    let option = option(site, "CKPT SGP * { WILL KILL }\nCKPT HID * { WILL CONT }")?;
    site.checkpoint(&[&option], &site.context("job.ctx"), job.pid)?;
    site.runs_on(&job)
}
