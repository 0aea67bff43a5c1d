//! `cpr` on real jobs: every form and option, owners, messages, several ids and several statefiles.
//!
//! Relies on test programs that check themselves. Leaves command lines to the tests of the library and what attribute files mean to `attributes`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::Pid;

use crate::case::{Case, Scene};
use crate::children::{End, wait_until};
use crate::job::Job;
use crate::observe;
use crate::site::{Ran, Site, is_true_root};
use crate::verdict::{Attempt, Verdict, ensure, skipped};

/// Every promise.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[
        ("first", first),
        ("go", go),
        ("force", force),
        ("types", types),
        ("several-ids", several_ids),
        ("control-group", control_group),
        ("batch-job", batch_job),
        ("several-statefiles", several_statefiles),
        ("all-or-nothing", all_or_nothing),
        ("detached", detached),
        ("info", info),
        ("delete", delete),
        ("upgrade", upgrade),
        ("home", home),
        ("explain", explain),
        ("owners", owners),
        ("unprivileged", unprivileged),
        ("messages", messages),
        ("library", library),
    ];
    scenes.iter().map(|(journey, scene)| Case::new("cpr", journey, *scene)).collect()
}

/// A command line of cpr, with a home directory that has no attribute file unless the case made one.
fn cpr(site: &Site, words: &[&str]) -> Command {
    let mut command = site.command(site.tool("cpr"));
    command.args(words).env("HOME", site.context(""));
    command
}

fn run(site: &Site, words: &[&str]) -> Verdict<Ran> {
    site.run(&mut cpr(site, words))
}

fn ok(site: &Site, words: &[&str]) -> Verdict<Ran> {
    run(site, words)?.succeeded()
}

/// Fails unless it ended with this code and this first line.
fn says(ran: &Ran, code: u8, line: &str) -> Verdict {
    let first = ran.stderr.lines().next().unwrap_or_default();
    ensure(ran.end == End::Code(code.into()) && first == line, || format!("{}: {}: {}", ran.line, ran.end, ran.stderr))
}

/// A test program in a directory of its own, so that several can run.
fn program(site: &Site, name: &str, work: &Path) -> Verdict<Job> {
    fs::create_dir_all(work).attempt("make a directory for a job")?;
    let out = fs::File::create(work.join("out")).attempt("make the file out")?;
    let mut command = site.command(site.program(name));
    command.current_dir(work).stderr(out.try_clone().attempt("share the file out")?).stdout(out);
    let pid = site.children.start(&mut command)?;
    let job = Job { pid, waited: pid, work: work.to_owned(), complaints: None };
    site.wait_ready(&job)?;
    Ok(job)
}

fn killed(site: &Site, job: &Job) -> Verdict {
    let end = site.children.wait(job.waited, site.patience)?;
    ensure(end != End::Code(0), || format!("the job ended with {end}"))
}

/// A detached job has nobody who waits for it but us, as its init.
fn finishes(site: &Site, job: &Job) -> Verdict {
    site.go(job, "restart")?;
    let ended = wait_until(site.patience, || {
        site.children.collect();
        job.output().lines().any(|line| line == "PASS" || line.starts_with("FAIL"))
    });
    ensure(ended && !job.output().contains("FAIL"), || format!("the job did not pass:\n{}", job.output()))
}

fn namespaced(site: &Site) -> Verdict {
    if site.namespaced { Ok(()) } else { Err(skipped("needs its own pids")) }
}

/// Saves and ends, brings back, leaves the statefile alone.
fn first(site: &Site) -> Verdict {
    let job = site.start_program("process")?;
    let id = format!("{}:HID", job.pid);
    let saved = ok(site, &["-c", "ckptSep7", "-p", &id])?;
    ensure(saved.stdout.is_empty() && saved.stderr.is_empty(), || format!("it is not silent: {}", saved.stderr))?;
    killed(site, &job)?;
    let before = listing(&site.context("ckptSep7"))?;
    ok(site, &["-r", "ckptSep7"])?;
    finishes(site, &job)?;
    ensure(listing(&site.context("ckptSep7"))? == before, || "the statefile has changed".to_owned())
}

fn listing(path: &Path) -> Verdict<Vec<(String, u64, i64)>> {
    let entries = fs::read_dir(path).attempt("list a statefile")?;
    let mut listing = Vec::new();
    for entry in entries {
        let entry = entry.attempt("list a statefile")?;
        let found = entry.metadata().attempt("look at a file")?;
        listing.push((entry.file_name().to_string_lossy().into_owned(), found.len(), found.mtime()));
    }
    listing.sort();
    Ok(listing)
}

/// With -g the job runs on, with -k it does not, whatever the attribute file says.
fn go(site: &Site) -> Verdict {
    let job = site.start_program("process")?;
    let id = job.pid.to_string();
    fs::write(site.context(".cpr"), "CKPT PID * { WILL KILL }").attempt("write an attribute file")?;
    ok(site, &["-c", "one", "-p", &id, "-g"])?;
    fs::write(site.context(".cpr"), "CKPT PID * { WILL CONT }").attempt("write an attribute file")?;
    ok(site, &["-c", "two", "-p", &id])?;
    ensure(site.children.end_of(job.pid).is_none(), || "the job has ended".to_owned())?;
    ok(site, &["-c", "three", "-p", &id, "-k"])?;
    killed(site, &job)?;
    ok(site, &["-r", "two"])?;
    finishes(site, &job)
}

/// A statefile that is there is an error without -f, and untouched when the new checkpoint fails.
fn force(site: &Site) -> Verdict {
    let job = site.start_program("process")?;
    let id = job.pid.to_string();
    ok(site, &["-c", "state", "-g", "-p", &id])?;
    let before = listing(&site.context("state"))?;
    says(&run(site, &["-c", "state", "-g", "-p", &id])?, 17, "state: File exists")?;
    says(&run(site, &["-f", "-c", "state", "-p", "999999"])?, 3, "state: No such process")?;
    ensure(listing(&site.context("state"))? == before, || "a failed checkpoint has changed the statefile".to_owned())?;
    fs::create_dir(site.context("papers")).attempt("make a directory")?;
    fs::write(site.context("papers/thesis"), "x").attempt("write a file")?;
    let ran = run(site, &["-f", "-g", "-c", "papers", "-p", &id])?;
    ensure(ran.end != End::Code(0) && site.context("papers/thesis").exists(), || "other files were overwritten".to_owned())?;
    ok(site, &["-f", "-c", "state", "-p", &id])?;
    killed(site, &job)?;
    ok(site, &["-r", "state"])?;
    finishes(site, &job)
}

/// Every type of id that names processes directly.
fn types(site: &Site) -> Verdict {
    namespaced(site)?;
    let mut command = site.session_leader(&site.program("heap"));
    command.env("HOME", site.context(""));
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    for kind in ["PID", "GID", "SID", "HID", "SGP"] {
        let id = format!("{}:{kind}", job.pid);
        ok(site, &["-c", &format!("state.{kind}"), "-g", "-p", &id])?;
        let info = ok(site, &["-i", &format!("state.{kind}")])?.stdout;
        ensure(info.contains(&format!("PID,PPID:         {},", job.pid)), || format!("{kind}:\n{info}"))?;
    }
    let wrong = run(site, &["-c", "none", "-p", "5:XID"])?;
    ensure(wrong.end == End::Code(255) && wrong.stderr.contains("known are PID, GID, SID, HID, SGP, ASH, JID"), || wrong.stderr)?;
    site.runs_on(&job)
}

/// Two strangers in one statefile.
fn several_ids(site: &Site) -> Verdict {
    namespaced(site)?;
    let one = program(site, "process", &site.context("one"))?;
    let two = program(site, "pipe", &site.context("two"))?;
    ok(site, &["-c", "both", "-p", &format!("{},{}:HID", one.pid, two.pid)])?;
    killed(site, &one)?;
    killed(site, &two)?;
    let info = ok(site, &["-i", "both"])?.stdout;
    ensure(info.contains(&format!("{},", one.pid)) && info.contains(&format!("{},", two.pid)), || info)?;
    ok(site, &["-r", "both"])?;
    finishes(site, &one)?;
    finishes(site, &two)?;
    says(&run(site, &["-c", "x", "-p", "1,2"])?, 1, "x: Operation not permitted")
}

/// A control group is a job: whoever is in it, whatever sessions they made.
fn control_group(site: &Site) -> Verdict {
    namespaced(site)?;
    let mounts = fs::read_to_string("/proc/self/mounts").attempt("list the mounts")?;
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2")).and_then(|line| line.split(' ').nth(1));
    let Some(mount) = mount else { return Err(skipped("needs control groups of version 2")) };
    let group = PathBuf::from(mount).join(format!("reprise-cpr-{}", rand_suffix()));
    if !is_true_root() || fs::create_dir(&group).is_err() {
        return Err(skipped("needs a control group of its own"));
    }
    let result = in_control_group(site, &group);
    for _ in 0..50 {
        site.children.collect();
        if fs::remove_dir(&group).is_ok() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    result
}

fn rand_suffix() -> u32 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.subsec_nanos())
}

fn in_control_group(site: &Site, group: &Path) -> Verdict {
    let one = program(site, "process", &site.context("one"))?;
    let two = program(site, "heap", &site.context("two"))?;
    let outsider = program(site, "heap", &site.context("three"))?;
    for job in [&one, &two] {
        if fs::write(group.join("cgroup.procs"), job.pid.to_string()).is_err() {
            return Err(skipped("may not move processes into a control group"));
        }
    }
    let id = fs::metadata(group).attempt("look at the control group")?.ino();
    ok(site, &["-c", "job", "-p", &format!("{id:#x}:JID")])?;
    killed(site, &one)?;
    killed(site, &two)?;
    ensure(site.children.end_of(outsider.pid).is_none(), || "somebody else was killed".to_owned())?;
    ok(site, &["-r", "job"])?;
    finishes(site, &one)?;
    finishes(site, &two)?;
    site.go(&outsider, "continue")?;
    says(&run(site, &["-c", "none", "-p", "0x7fffffff0001:JID"])?, 3, "none: No such process")
}

/// A job of a batch system is an array session: all that have its number in their environment.
fn batch_job(site: &Site) -> Verdict {
    namespaced(site)?;
    let mut command = site.command(site.program("process"));
    command.env("SLURM_JOB_ID", "4711");
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    ok(site, &["-c", "array", "-p", "0x1267:ASH"])?;
    killed(site, &job)?;
    ok(site, &["-r", "array"])?;
    finishes(site, &job)
}

/// What two statefiles hold comes back together.
fn several_statefiles(site: &Site) -> Verdict {
    namespaced(site)?;
    let one = program(site, "process", &site.context("one"))?;
    let two = program(site, "pipe", &site.context("two"))?;
    ok(site, &["-c", "state1", "-p", &format!("{}:HID", one.pid)])?;
    ok(site, &["-c", "state2", "-p", &format!("{}:HID", two.pid)])?;
    killed(site, &one)?;
    killed(site, &two)?;
    ok(site, &["-r", "state1", "state2"])?;
    finishes(site, &one)?;
    finishes(site, &two)
}

/// One of three cannot come back, because its id is taken: none does, and the message names it.
fn all_or_nothing(site: &Site) -> Verdict {
    namespaced(site)?;
    let one = program(site, "heap", &site.context("one"))?;
    let two = program(site, "heap", &site.context("two"))?;
    ok(site, &["-c", "state1", "-p", &one.pid.to_string()])?;
    ok(site, &["-c", "state2", "-g", "-p", &two.pid.to_string()])?;
    killed(site, &one)?;
    says(&run(site, &["-r", "state1", "state2"])?, 16, "state2: Resource busy")?;
    ensure(observe::parent(one.pid).is_none(), || "half of it came back".to_owned())?;
    says(&run(site, &["-r", "state1", "none"])?, 2, "none: No such file or directory")?;
    ensure(observe::parent(one.pid).is_none(), || "half of it came back".to_owned())?;
    ok(site, &["-r", "state1"])?;
    finishes(site, &one)?;
    site.go(&two, "continue")?;
    let end = site.children.wait(two.pid, site.patience)?;
    ensure(end == End::Code(0), || format!("the other job ended with {end}"))
}

/// Without -j the job belongs to init and keeps its process group; with -j it is in that of cpr, which ends as the job does.
fn detached(site: &Site) -> Verdict {
    namespaced(site)?;
    let job = site.start_program("process")?;
    ok(site, &["-c", "state", "-p", &job.pid.to_string()])?;
    killed(site, &job)?;
    ok(site, &["-r", "state"])?;
    let parent = observe::parent(job.pid);
    ensure(parent == Some(Pid::from_raw(1)), || format!("the parent of the job is {parent:?}"))?;
    let group = nix::unistd::getpgid(Some(job.pid)).ok();
    ensure(group == Some(job.pid), || format!("its process group is {group:?}"))?;
    finishes(site, &job)
}

/// All that the guide promises is shown.
fn info(site: &Site) -> Verdict {
    let job = site.start_program("file_action")?;
    ok(site, &["-c", "state", "-g", "-p", &job.pid.to_string()])?;
    let shown = ok(site, &["-i", "state"])?.stdout;
    let work = site.work().display().to_string();
    for part in [
        "Information About Statefile state (reprise ".to_owned(),
        "Process:".into(),
        format!("PID,PPID:         {},", job.pid),
        "PGRP,SID:".into(),
        "Credentials:      uid ".into(),
        format!("Working at dir:   {work}"),
        "Num of Openfiles: ".into(),
        "MERGE  ".to_owned() + &work + "/log",
        "Checkpointed @".into(),
    ] {
        ensure(shown.contains(&part), || format!("no {part}:\n{shown}"))?;
    }
    let twice = ok(site, &["-i", "state", "state"])?.stdout;
    ensure(twice.matches("Information About").count() == 2, || twice)?;
    says(&run(site, &["-i", "none"])?, 2, "none: No such file or directory")?;
    site.runs_on(&job)
}

/// Statefiles go with all that is in them; nothing else goes.
fn delete(site: &Site) -> Verdict {
    let job = site.start_program("process")?;
    for name in ["one", "two"] {
        ok(site, &["-c", name, "-g", "-p", &job.pid.to_string()])?;
    }
    ok(site, &["-D", "one", "two"])?;
    ensure(!site.context("one").exists() && !site.context("two").exists(), || "they are still there".to_owned())?;
    says(&run(site, &["-r", "one"])?, 2, "one: No such file or directory")?;
    fs::create_dir(site.context("papers")).attempt("make a directory")?;
    fs::write(site.context("papers/thesis"), "x").attempt("write a file")?;
    says(&run(site, &["-D", "papers"])?, 22, "papers: Invalid argument")?;
    ensure(site.context("papers/thesis").exists(), || "other files were deleted".to_owned())?;
    site.runs_on(&job)
}

/// With -u a job comes back though its program was replaced meanwhile, and can be saved again.
fn upgrade(site: &Site) -> Verdict {
    namespaced(site)?;
    let own = site.context("bin");
    fs::create_dir(&own).attempt("make a directory")?;
    let copy = own.join("heap");
    fs::copy(site.program("heap"), &copy).attempt("copy a program")?;
    let job = site.start(site.command(&copy))?;
    site.wait_ready(&job)?;
    let id = job.pid.to_string();
    ok(site, &["-c", "plain", "-g", "-p", &id])?;
    ok(site, &["-u", "-c", "upgrade", "-p", &id])?;
    killed(site, &job)?;
    fs::remove_file(&copy).attempt("remove the program")?;
    fs::copy(site.program("process"), &copy).attempt("put another in its place")?;
    says(&run(site, &["-r", "plain"])?, 116, "plain: Checkpoint error")?;
    ok(site, &["-r", "upgrade"])?;
    ok(site, &["-u", "-c", "again", "-p", &id])?;
    ok(site, &["-r", "again"])?;
    finishes(site, &job)
}

/// `$HOME/.cpr` is read at both ends, and its mistakes are told before anything happens.
fn home(site: &Site) -> Verdict {
    let job = site.start_program("file_action")?;
    let id = format!("{}:HID", job.pid);
    fs::write(site.context(".cpr"), "CKPT HID * {\n  FILE: \"*/log\": APEND\n}").attempt("write an attribute file")?;
    let ran = run(site, &["-c", "state", "-p", &id])?;
    says(&ran, 22, "state: Invalid argument")?;
    ensure(ran.stderr.contains(".cpr:2:18: 'APEND' is no action of FILE"), || ran.stderr.clone())?;
    fs::write(site.context(".cpr"), "CKPT HID * {\n  FILE: \"*/log\": APPEND\n FORK ANY }").attempt("write an attribute file")?;
    ok(site, &["-c", "state", "-p", &id])?;
    killed(site, &job)?;
    crate::decisions::edit(site)?;
    ok(site, &["-r", "state"])?;
    finishes(site, &job)?;
    crate::decisions::is("log", &crate::decisions::read(site)?.log, "before\nbetween\nafter\n")
}

/// What counts for an id, and why.
fn explain(site: &Site) -> Verdict {
    let job = site.start_program("file_action")?;
    fs::write(site.context(".cpr"), "CKPT * { WILL CONT }\nCKPT PID * {\n FILE: \"*/log\": REPLACE\n}")
        .attempt("write an attribute file")?;
    let said = ok(site, &["--explain", &job.pid.to_string()])?.stdout;
    let work = site.work().display().to_string();
    for part in [
        "CKPT PID *, the most specific of 2 blocks that match".to_owned(),
        "  WILL  EXIT        default".into(),
        format!("  REPLACE     {work}/log, "),
        format!("  MERGE       {work}/data, default"),
    ] {
        ensure(said.contains(&part), || format!("no {part}:\n{said}"))?;
    }
    site.runs_on(&job)
}

/// What root saved only root restarts; what a user saved is his, and nobody else deletes it.
fn owners(site: &Site) -> Verdict {
    if !is_true_root() {
        return Err(skipped("needs root"));
    }
    let job = site.start_program("process")?;
    ok(site, &["-c", "state", "-g", "-p", &job.pid.to_string()])?;
    let found = fs::metadata(site.context("state")).attempt("look at the statefile")?;
    ensure((found.uid(), found.mode() & 0o777) == (0, 0o700), || format!("{} {:o}", found.uid(), found.mode()))?;
    fs::set_permissions(site.context("state"), fs::Permissions::from_mode(0o755)).attempt("open the statefile")?;
    site.go(&job, "continue")?;
    site.passes(&job)?;
    site.drop_privileges()?;
    says(&run(site, &["-D", "state"])?, 1, "state: Operation not permitted")?;
    let ran = run(site, &["-r", "state"])?;
    ensure(ran.end == End::Code(1) || ran.end == End::Code(13) || ran.end == End::Code(255), || format!("{}: {}", ran.end, ran.stderr))?;
    ensure(site.context("state").exists(), || "it is gone".to_owned())
}

/// All of it without privilege.
fn unprivileged(site: &Site) -> Verdict {
    namespaced(site)?;
    site.drop_privileges()?;
    let job = site.start_program("process")?;
    ok(site, &["-c", "state", "-p", &job.pid.to_string()])?;
    killed(site, &job)?;
    ok(site, &["-i", "state"])?;
    ok(site, &["-r", "state"])?;
    finishes(site, &job)?;
    ok(site, &["-D", "state"])?;
    ensure(!site.context("state").exists(), || "it is still there".to_owned())
}

/// The C library: what the guide's examples do.
fn library(site: &Site) -> Verdict {
    let path = format!("{}:{}", site.base.join("bin").display(), std::env::var("PATH").unwrap_or_default());
    let mut command = site.command(site.base.join("programs/load/ckpt_guide"));
    command.env("PATH", path).env("HOME", site.context("")).env("LD_LIBRARY_PATH", site.base.join("programs"));
    let ran = site.run(&mut command)?;
    ensure(ran.end == End::Code(0) && ran.stdout.ends_with("PASS\n"), || format!("{}:\n{}{}", ran.end, ran.stdout, ran.stderr))
}

/// Messages of the tables that a path leads to.
fn messages(site: &Site) -> Verdict {
    let job = site.start_program("process")?;
    let id = job.pid.to_string();
    let long = "x".repeat(300);
    std::os::unix::fs::symlink("loop", site.context("loop")).attempt("make a link")?;
    fs::write(site.context("file"), "x").attempt("write a file")?;
    for (path, code, words) in [
        ("none/state", 2, "No such file or directory"),
        ("file/state", 20, "Not a directory"),
        ("loop/state", 40, "Too many symbolic links"),
        (long.as_str(), 36, "Filename too long"),
    ] {
        says(&run(site, &["-c", path, "-p", &id])?, code, &format!("{path}: {words}"))?;
        says(&run(site, &["-r", path])?, code, &format!("{path}: {words}"))?;
    }
    says(&run(site, &["-c", "file", "-p", &id])?, 17, "file: File exists")?;
    says(&run(site, &["-r", "file"])?, 22, "file: Invalid argument")?;
    says(&run(site, &["-c", "state", "-p", "999999"])?, 3, "state: No such process")?;
    let usage = run(site, &["-c", "state"])?;
    ensure(usage.end == End::Code(255) && usage.stderr.contains("say with -p what is saved"), || usage.stderr)?;
    site.runs_on(&job)
}
