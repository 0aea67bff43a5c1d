//! What flags and scripts decide about the files of a job, and about the job, carried out on a real one.
//!
//! Relies on the test program `file_action` and on the built programs. Leaves the rules of asking to the tests of the library.

use std::fs;

use crate::case::{Case, Scene};
use crate::children::End;
use crate::job::Job;
use crate::site::Site;
use crate::verdict::{Attempt, Verdict, ensure};

/// Every promise.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[
        ("merge", merge),
        ("append", append),
        ("ignore", ignore),
        ("replace", replace),
        ("substitute", substitute),
        ("fail", fail),
        ("changed-mind", changed_mind),
        ("unsaved", unsaved),
        ("failed-restart", failed_restart),
        ("file-size-limit", file_size_limit),
        ("dry-run", dry_run),
    ];
    scenes.iter().map(|(journey, scene)| Case::new("decision", journey, *scene)).collect()
}

/// What the files of `file_action` hold when the restarted job has ended.
pub struct Files {
    /// Appended to.
    pub log: String,
    /// Written to.
    pub result: String,
    /// Read.
    pub data: String,
    /// The first bytes of the mapped one.
    pub map: String,
}

/// Saves a job with these options, edits its files, restarts it with those options and lets it end.
fn through(site: &Site, checkpoint: &[&str], restart: &[&str]) -> Verdict<Files> {
    let job = saved(site, checkpoint)?;
    edit(site)?;
    let job = site.restart(restart, &site.context("job.ctx"), &job)?;
    site.go(&job, "restart")?;
    site.passes(&job)?;
    read(site)
}

fn saved(site: &Site, options: &[&str]) -> Verdict<Job> {
    let job = site.start_program("file_action")?;
    site.checkpoint_and_kill(options, &site.context("job.ctx"), &job)?;
    Ok(job)
}

/// Longer logs, other data, another map.
pub fn edit(site: &Site) -> Verdict {
    let work = site.work();
    for (name, text) in [("log", "before\nbetween\n"), ("result", "before\nbetween\n"), ("data", "one\ntwo\nthree\n")] {
        fs::write(work.join(name), text).attempt("edit a file of the job")?;
    }
    let mut map = vec![0; 4096];
    map[..6].copy_from_slice(b"edited");
    fs::write(work.join("map"), map).attempt("edit the mapped file")
}

/// The files of the job as they are now.
pub fn read(site: &Site) -> Verdict<Files> {
    let text = |name: &str| fs::read(site.work().join(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let read = |name: &str| text(name).attempt(format_args!("read {name}"));
    Ok(Files { log: read("log")?, result: read("result")?, data: read("data")?, map: read("map")?[..8].to_owned() })
}

/// Fails unless a file holds this.
pub fn is(what: &str, found: &str, expected: &str) -> Verdict {
    ensure(found == expected, || format!("{what} holds {found:?}, not {expected:?}"))
}

/// The default: files that the job writes go back to their saved length.
fn merge(site: &Site) -> Verdict {
    let files = through(site, &[], &["--file", "/**=merge"])?;
    is("log", &files.log, "before\nafter\n")?;
    is("result", &files.result, "before\nafter\n")?;
    is("data", &files.data, "one\ntwo\nthree\n")?;
    is("map", &files.map, "edited\0!")
}

/// They go on at their end, whatever is there.
fn append(site: &Site) -> Verdict {
    let files = through(site, &["--file", "**/{log,result}=append"], &[])?;
    is("log", &files.log, "before\nbetween\nafter\n")?;
    is("result", &files.result, "before\nbetween\nafter\n")
}

/// They start again; a missing one is made.
fn ignore(site: &Site) -> Verdict {
    let job = saved(site, &[])?;
    edit(site)?;
    fs::remove_file(site.work().join("log")).attempt("remove the log")?;
    let job = site.restart(&["--file", "**/{log,result}=ignore"], &site.context("job.ctx"), &job)?;
    site.go(&job, "restart")?;
    site.passes(&job)?;
    let files = read(site)?;
    is("log", &files.log, "after\n")?;
    is("result", &files.result, "after\n\nbetween\n")
}

/// What was saved takes the place of what was edited, with owner and permissions.
fn replace(site: &Site) -> Verdict {
    let files = through(site, &["--file-action", "**/{log,result,data,map}=replace"], &[])?;
    is("log", &files.log, "before\nafter\n")?;
    is("result", &files.result, "before\nafter\n")?;
    is("data", &files.data, "one\ntwo\n")?;
    is("map", &files.map, "mapped\0!")?;
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(site.work().join("result")).attempt("look at result")?.permissions().mode() & 0o777;
    ensure(mode == 0o640, || format!("result has mode {mode:o}"))?;
    no_leftovers(site)
}

/// The job works on copies, and nobody sees what it does to them.
fn substitute(site: &Site) -> Verdict {
    let files = through(site, &["--file", "**/{log,result,data,map}=substitute"], &[])?;
    is("log", &files.log, "before\nbetween\n")?;
    is("result", &files.result, "before\nbetween\n")?;
    is("data", &files.data, "one\ntwo\nthree\n")?;
    is("map", &files.map, "edited\0\0")?;
    no_leftovers(site)
}

/// A refusal leaves the job and the directory alone.
fn fail(site: &Site) -> Verdict {
    let job = site.start(site.command(site.program("file_action")))?;
    site.wait_ready(&job)?;
    let mut command = site.command(site.tool("cr_checkpoint"));
    command.args(["--file", "**/data=fail", "-f"]).arg(site.context("job.ctx")).arg(job.pid.to_string());
    let ran = site.run(&mut command)?;
    let named = ran.stderr.contains("/data") && ran.stderr.contains("--file **/data=fail");
    ensure(ran.end != End::Code(0) && named, || format!("{}: {}", ran.end, ran.stderr))?;
    ensure(!site.context("job.ctx").exists(), || "a context file was left".to_owned())?;
    site.go(&job, "continue")?;
    site.passes(&job)
}

/// Contents that were saved need not be used.
fn changed_mind(site: &Site) -> Verdict {
    let files = through(site, &["--file", "**/{log,result}=replace"], &["--file", "**/log=append", "--file", "**/result=substitute"])?;
    is("log", &files.log, "before\nbetween\nafter\n")?;
    is("result", &files.result, "before\nbetween\n")
}

/// Contents that were not saved cannot be put back: a refusal that says so, before anything is made.
fn unsaved(site: &Site) -> Verdict {
    saved(site, &[])?;
    let mut command = site.command(site.tool("cr_restart"));
    let ran = site.run(command.args(["--file", "**/log=replace"]).arg(site.context("job.ctx")))?;
    let says = ran.stderr.contains("the context file does not have its contents");
    ensure(ran.end != End::Code(0) && says, || format!("{}: {}", ran.end, ran.stderr))?;
    site.gone()
}

/// A restart that fails after all was decided has replaced nothing and cut nothing.
fn failed_restart(site: &Site) -> Verdict {
    saved(site, &["--file", "**/result=replace"])?;
    edit(site)?;
    fs::remove_file(site.work().join("data")).attempt("remove a file that the job needs")?;
    let mut command = site.command(site.tool("cr_restart"));
    let ran = site.run(command.arg(site.context("job.ctx")))?;
    ensure(ran.end == End::Code(2), || format!("{}: {}", ran.end, ran.stderr))?;
    fs::write(site.work().join("data"), "").attempt("put a file back")?;
    let files = read(site)?;
    is("log", &files.log, "before\nbetween\n")?;
    is("result", &files.result, "before\nbetween\n")?;
    no_leftovers(site)?;
    site.gone()
}

/// What is cut off cannot be kept under a limit on file sizes: the restart fails, and does not die of it with files cut.
fn file_size_limit(site: &Site) -> Verdict {
    saved(site, &[])?;
    edit(site)?;
    let longer = "before\n".to_owned() + &"between\n".repeat(20_000);
    fs::write(site.work().join("log"), &longer).attempt("make the log long")?;
    let mut command = site.command("sh");
    command.args(["-c", "ulimit -f 16; exec \"$@\"", "sh"]).arg(site.tool("cr_restart")).arg(site.context("job.ctx"));
    let ran = site.run(&mut command)?;
    ensure(ran.end == End::Code(27), || format!("{}: {}", ran.end, ran.stderr))?;
    let files = read(site)?;
    is("log", &files.log, &longer)?;
    is("result", &files.result, "before\nbetween\n")?;
    no_leftovers(site)?;
    site.gone()
}

/// Dry runs show who decides and change nothing: neither the job, nor its files, nor where the context file would go.
fn dry_run(site: &Site) -> Verdict {
    let job = site.start(site.command(site.program("file_action")))?;
    site.wait_ready(&job)?;
    let dry = |program: &str, rest: &[&str]| {
        let mut command = site.command(site.tool(program));
        site.run(command.args(["--dry-run", "--file", "**/log=append"]).args(rest))?.succeeded()
    };
    let context = site.context("job.ctx");
    let path = context.display().to_string();
    let said = dry("cr_checkpoint", &["--kill", "-f", &path, &job.pid.to_string()])?.stdout;
    let row = |said: &str, words: [&str; 3]| {
        let is_it = |line: &str| words.iter().all(|word| line.contains(word));
        ensure(said.lines().any(is_it), || format!("no row with {words:?}:\n{said}"))
    };
    row(&said, ["append", "--file **/log=append", "/log"])?;
    row(&said, ["merge", "default", "/data"])?;
    ensure(!context.exists(), || "a context file was written".to_owned())?;
    site.checkpoint_and_kill(&["--file", "**/data=substitute"], &context, &job)?;
    edit(site)?;
    let said = dry("cr_restart", &[&path])?.stdout;
    row(&said, ["append", "--file **/log=append", "/log"])?;
    row(&said, ["substitute", "the checkpoint", "/data"])?;
    let files = read(site)?;
    is("log", &files.log, "before\nbetween\n")?;
    site.gone()
}

/// Nothing is left beside the files of the job.
pub fn no_leftovers(site: &Site) -> Verdict {
    let entries = fs::read_dir(site.work()).attempt("list the directory of the job")?;
    let names: Vec<String> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let hidden: Vec<&String> = names.iter().filter(|name| name.starts_with('.')).collect();
    ensure(hidden.is_empty(), || format!("left behind: {hidden:?}"))
}
