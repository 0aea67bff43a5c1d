//! Callers that close descriptors, ignore or block signals, set limits, or lend the tools rights.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::given_up::undisturbed;
use super::{context, nothing_made, start};
use crate::children::{End, wait_until};
use crate::observe;
use crate::site::{NOBODY, Ran, Site, is_true_root};
use crate::verdict::{Attempt, Verdict, ensure, failed, says, skipped};

/// A shell line that may use `$1`, the first of `words`, and so on.
fn shell(site: &Site, line: &str, words: &[&str]) -> Verdict<Ran> {
    let mut command = site.command("sh");
    command.args(["-c", line, "sh"]).args(words);
    site.run(&mut command)
}

fn tool(site: &Site, name: &str) -> String {
    site.tool(name).display().to_string()
}

/// `-F` with a descriptor that is closed is refused as such, and nothing is killed; the runtime has opened something else in its place.
pub fn closed_descriptors(site: &Site) -> Verdict {
    let job = start(site)?;
    let pid = job.pid.to_string();
    let checkpoint = tool(site, "cr_checkpoint");
    for (line, more) in [
        ("exec $1 -F 0 --kill $2 <&-", ""),
        ("exec $1 -F 1 --kill $2 >&-", ""),
        ("exec $1 -F 2 --kill $2 2>&-", ""),
        ("exec $1 -F 99 --kill $2", "open for writing"),
    ] {
        let ran = shell(site, line, &[&checkpoint, &pid])?;
        ensure(ran.end == End::Code(9), || format!("{line}: {}\n{}", ran.end, ran.stderr))?;
        says(&ran.stderr, more)?;
        undisturbed(site, &job)?;
    }
    // What may be written to is written to: the runtime's own descriptors are not taken for closed ones.
    let ran = shell(site, "$1 -F 1 $2 </dev/null | cat >stream", &[&checkpoint, &pid])?;
    ran.succeeded()?;
    site.verify(&site.context("stream"))?;
    let restart = tool(site, "cr_restart");
    for line in ["exec $1 -F 0 <&-", "exec $1 -F 99"] {
        let ran = shell(site, line, &[&restart])?;
        ensure(ran.end == End::Code(9), || format!("{line}: {}\n{}", ran.end, ran.stderr))?;
        says(&ran.stderr, "open for reading")?;
    }
    site.runs_on(&job)
}

/// Numbers of descriptors and where they lead; pipes, which whoever runs the suite may have left open, have other numbers in another life.
fn descriptors(pid: Pid) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let target = |path: &std::path::Path| fs::read_link(path).unwrap_or_default().display().to_string();
    let name = |link: String| link.split_once(":[").map_or(link.clone(), |(sort, _)| sort.to_owned());
    let mut all: Vec<String> = entries.map(|entry| format!("{} {}", entry.file_name().display(), name(target(&entry.path())))).collect();
    all.sort();
    all
}

/// A job without descriptors 0 to 2 comes back without them, whatever the tools themselves were given.
pub fn descriptors_of_the_job(site: &Site) -> Verdict {
    if !site.namespaced {
        return Err(skipped("needs its own pids"));
    }
    for (line, closed) in [
        ("exec sleep 600 <&- >&- 2>&-", "<&- >&- 2>&-"),
        ("exec sleep 600 <&- 3</dev/null", ""),
        ("exec sleep 600 </dev/null >/dev/null 2>&1", "<&-"),
    ] {
        let pid = site.children.start(site.command("sh").args(["-c", line]))?;
        let sleeps =
            || observe::image(pid).is_some_and(|image| !image.ends_with("dash") && !image.ends_with("sh") && !image.ends_with("bash"));
        ensure(wait_until(site.patience, sleeps), || "no job".to_owned())?;
        let before = descriptors(pid);
        let save = format!("exec $1 --kill -f $3 $2 {closed}");
        let ctx = context(site).display().to_string();
        shell(site, &save, &[&tool(site, "cr_checkpoint"), &pid.to_string(), &ctx])?.succeeded()?;
        site.children.wait(pid, site.patience)?;
        site.verify(&context(site))?;
        let load = format!("exec $1 $2 {closed}");
        let (restarter, _) = site.launch(site.command("sh").args(["-c", &load, "sh", &tool(site, "cr_restart"), &ctx]))?;
        let back = || {
            site.children.end_of(restarter).is_some()
                || observe::image(pid).is_some_and(|image| image.ends_with("sleep") || image.ends_with("coreutils"))
                    && observe::is_untraced(pid)
        };
        ensure(wait_until(site.patience, back), || "the job did not come back".to_owned())?;
        let after = descriptors(pid);
        ensure(before == after, || format!("{line}: {before:?} before, {after:?} after"))?;
        kill(pid, Signal::SIGTERM).attempt("end the job")?;
        site.children.wait(restarter, site.patience)?;
        site.gone()?;
    }
    Ok(())
}

/// With SIGCHLD ignored, or all signals blocked, a failure is a failure and a success a success.
pub fn sigchld_ignored(site: &Site) -> Verdict {
    let job = start(site)?;
    let (checkpoint, pid, ctx) = (tool(site, "cr_checkpoint"), job.pid.to_string(), context(site).display().to_string());
    for caller in ["--ignore-signal=CHLD", "--block-signal", "--ignore-signal"] {
        let ran = shell(site, "exec env $1 $2 -f /nonexistent/x $3", &[caller, &checkpoint, &pid])?;
        ensure(ran.end == End::Code(2), || format!("{caller}: {}\n{}", ran.end, ran.stderr))?;
        shell(site, "exec env $1 $2 -f $4 $3", &[caller, &checkpoint, &pid, &ctx])?.succeeded()?;
        site.verify(&context(site))?;
        fs::remove_file(context(site)).attempt("remove the context file")?;
        undisturbed(site, &job)?;
    }
    site.runs_on(&job)
}

/// A file size limit is an error of the write, with and without SIGXFSZ ignored, and nothing stays.
pub fn file_size(site: &Site) -> Verdict {
    let job = start(site)?;
    let (checkpoint, pid, ctx) = (tool(site, "cr_checkpoint"), job.pid.to_string(), context(site).display().to_string());
    for caller in ["--default-signal=XFSZ", "--ignore-signal=XFSZ"] {
        for place in ["--atomic -f", "--clobber -f", "--noclobber -f", "-d"] {
            let line = format!("ulimit -f 8; exec env $1 $2 --kill {place} $4 $3");
            let ran = shell(site, &line, &[caller, &checkpoint, &pid, &ctx])?;
            ensure(ran.end == End::Code(27), || format!("{caller} {place}: {}\n{}", ran.end, ran.stderr))?;
            undisturbed(site, &job)?;
        }
    }
    site.runs_on(&job)
}

/// Tiny limits give a message, never an abort; the job is unharmed.
pub fn tiny_limits(site: &Site) -> Verdict {
    let job = start(site)?;
    let (checkpoint, pid, ctx) = (tool(site, "cr_checkpoint"), job.pid.to_string(), context(site).display().to_string());
    let whole = site.context("whole.ctx").display().to_string();
    shell(site, "exec $1 -f $3 $2", &[&checkpoint, &pid, &whole])?.succeeded()?;
    for limit in ["-n 4", "-n 8", "-d 100", "-d 488", "-d 2000", "-v 20000", "-v 60000"] {
        // Below a certain size nothing can even be started, which the C library or the kernel says.
        let starts = shell(site, &format!("ulimit {limit} && exec $1 --version"), &[&checkpoint])?.end == End::Code(0);
        if !starts {
            continue;
        }
        let line = format!("ulimit {limit} && exec $1 -f $3 $2");
        let ran = shell(site, &line, &[&checkpoint, &pid, &ctx])?;
        graceful(&ran, limit)?;
        let _ = fs::remove_file(context(site));
        undisturbed(site, &job)?;
        let line = format!("ulimit {limit} && exec $1 $2");
        let ran = shell(site, &line, &[&tool(site, "cr_restart"), &whole])?;
        graceful(&ran, limit)?;
        ensure(ran.end != End::Code(0), || "restarted beside the running job".to_owned())?;
        undisturbed(site, &job)?;
    }
    site.runs_on(&job)
}

/// It worked, or it said why not.
fn graceful(ran: &Ran, limit: &str) -> Verdict {
    let is_graceful = match ran.end {
        End::Code(0) => true,
        End::Code(code) => code != 101 && !ran.stderr.contains("panicked") && !ran.stderr.trim().is_empty(),
        End::Signal(_) => false,
    };
    ensure(is_graceful, || format!("{}: under {limit}: {}\n{}", ran.line, ran.end, ran.stderr))
}

/// No program runs with the rights of its file.
pub fn setuid(site: &Site) -> Verdict {
    if !is_true_root() {
        return Err(skipped("needs root, to make a set-user-id program"));
    }
    for name in ["cr_checkpoint", "cr_restart", "cr_run", "cr_info", "cr_hooks"] {
        for mode in [0o4755, 0o2755] {
            let copy = site.context("borrowed");
            fs::copy(site.tool(name), &copy).attempt("copy a tool")?;
            fs::set_permissions(&copy, fs::Permissions::from_mode(mode)).attempt("set its mode")?;
            let mut command = Command::new(&copy);
            command.current_dir(&site.dir).uid(NOBODY).gid(NOBODY).arg("--version");
            let ran = site.run(&mut command)?;
            if ran.end == End::Code(0) && is_nosuid(site) {
                return Err(skipped("the file system knows no set-user-id programs"));
            }
            ensure(ran.end == End::Code(1), || format!("{name} {mode:o}: {}\n{}", ran.end, ran.stderr))?;
            says(&ran.stderr, "refused: it was executed set-user-id")?;
            fs::remove_file(&copy).attempt("remove the copy")?;
        }
    }
    Ok(())
}

fn is_nosuid(site: &Site) -> bool {
    nix::sys::statvfs::statvfs(&site.dir).is_ok_and(|file_system| file_system.flags().contains(nix::sys::statvfs::FsFlags::ST_NOSUID))
}

/// `nohup cr_restart`: a HUP that the caller ignores is not passed on to the job.
pub fn nohup(site: &Site) -> Verdict {
    let job = start(site)?;
    site.checkpoint_and_kill(&[], &context(site), &job)?;
    let mut command = site.command("env");
    command.args(["--ignore-signal=HUP", &tool(site, "cr_restart")]).arg(context(site));
    let (restarter, output) = site.launch(&mut command)?;
    let runs = || observe::image(job.pid).is_some_and(|image| image.ends_with("programs/process")) && observe::is_untraced(job.pid);
    ensure(wait_until(site.patience, runs), || "the job did not come back".to_owned())?;
    kill(restarter, Signal::SIGHUP).attempt("hang up")?;
    std::thread::sleep(std::time::Duration::from_millis(300));
    ensure(site.children.end_of(restarter).is_none(), || "the job got the HUP".to_owned())?;
    kill(restarter, Signal::SIGUSR2).attempt("send a signal that is meant")?;
    let job = crate::job::Job { waited: restarter, complaints: Some(output.with_extension("stderr")), ..job };
    let end = site.children.wait(job.waited, site.patience)?;
    ensure(end == End::Signal(Signal::SIGUSR2 as i32), || format!("ended with {end}"))?;
    nothing_made(site).err().map(drop).ok_or(failed("no context file"))
}
