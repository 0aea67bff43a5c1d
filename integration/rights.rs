//! Root restarts a job of somebody else, who has put something else in the place of what the job had: root's rights must not reach the job.
//!
//! The job is a shell of the user nobody in a directory of its own. What belongs to root lies beside it. Every scene swaps one thing between
//! checkpoint and restart, and then nothing of root's may have been read, written, cut, replaced or added to.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::case::{Case, Scene};
use crate::children::End;
use crate::job::Job;
use crate::site::{Ran, Site, is_true_root};
use crate::verdict::{Attempt, Verdict, ensure, skipped};

/// Holds everything that is swapped; waits for a line from the FIFO.
const JOB: &str = "\
exec 3<>u/deep/data 4<u/read 5<>u/fifo 6>>u/log
cd u/cwd
echo READY
read line <&5
echo written >&3
echo logged >&6
cat <&4 >&2
echo PASS
";

/// Every scene.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[
        ("nothing", nothing),
        ("file", |site| swapped(site, &[], &[], link_file)),
        ("read-file", |site| swapped(site, &[], &[], link_read)),
        ("directory", |site| swapped(site, &[], &[], link_directory)),
        ("fifo", |site| swapped(site, &[], &[], link_fifo)),
        ("made-fifo", |site| swapped(site, &[], &[], link_up)),
        ("working-directory", |site| swapped(site, &[], &[], link_cwd)),
        ("program", |site| swapped(site, &[], &[], link_program)),
        ("hard-link", |site| swapped(site, &[], &[], hard_link)),
        ("hard-linked-fifo", |site| swapped(site, &[], &[], hard_linked_fifo)),
        ("made-file", |site| swapped(site, &[], &["--file", "**/data=ignore"], link_up)),
        ("append", |site| swapped(site, &[], &["--file", "**/log=append"], link_log)),
        ("replace", |site| swapped(site, &["--file-action", "**/data=replace"], &[], link_directory)),
        ("race", race),
        ("given-up", given_up),
        ("given-up-swapped", given_up_swapped),
    ];
    scenes.iter().map(|(journey, scene)| Case::new("rights", journey, *scene).patient(120)).collect()
}

/// Root's directory, closed to everybody else.
fn roots(site: &Site) -> PathBuf {
    site.dir.join("roots")
}

fn make(path: &Path, text: &str, mode: u32) -> Verdict {
    fs::write(path, text).and_then(|()| fs::set_permissions(path, PermissionsExt::from_mode(mode))).attempt("make a file")
}

/// The files of both sides, and the job, saved by root and killed.
fn saved(site: &Site, options: &[&str]) -> Verdict<Job> {
    if !is_true_root() || !site.namespaced {
        return Err(skipped("needs root and its own pids"));
    }
    let (roots, user) = (roots(site), site.work().join("u"));
    fs::create_dir(&roots).attempt("make root's directory")?;
    fs::set_permissions(&roots, PermissionsExt::from_mode(0o700)).attempt("close root's directory")?;
    for name in ["data", "read", "log"] {
        make(&roots.join(name), "root's own text, which is long\n", 0o600)?;
    }
    fs::create_dir(roots.join("cwd")).attempt("make a directory of root's")?;
    mkfifo(&roots.join("fifo"), Mode::from_bits_truncate(0o600)).attempt("make a FIFO of root's")?;
    fs::copy("/bin/true", roots.join("sh")).attempt("copy a program")?;
    for directory in ["", "deep", "cwd"] {
        fs::create_dir(user.join(directory)).attempt("make a directory of the user's")?;
    }
    make(&user.join("deep/data"), "text\n", 0o600)?;
    make(&user.join("read"), "to be read\n", 0o600)?;
    make(&user.join("log"), "", 0o600)?;
    mkfifo(&user.join("fifo"), Mode::from_bits_truncate(0o600)).attempt("make a FIFO of the user's")?;
    fs::copy("/bin/sh", user.join("sh")).attempt("copy the shell")?;
    site.drop_privileges()?;
    for name in ["", "deep", "cwd", "deep/data", "read", "log", "fifo", "sh"] {
        site.give_away(&user.join(name))?;
    }
    let mut command = site.command(user.join("sh"));
    command.args(["-c", JOB]);
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    let mut command = as_root(site, "cr_checkpoint");
    command.args(options).arg("--kill").arg("-f").arg(roots.join("job.ctx")).arg(job.pid.to_string());
    site.run(&mut command)?.succeeded()?;
    site.children.wait(job.waited, site.patience)?;
    own(&roots.join("job.ctx"))?;
    Ok(job)
}

/// A context file that root trusts.
fn own(context: &Path) -> Verdict {
    std::os::unix::fs::chown(context, Some(0), Some(0)).attempt("take the context file")?;
    fs::set_permissions(context, PermissionsExt::from_mode(0o600)).attempt("close the context file")
}

fn as_root(site: &Site, tool: &str) -> Command {
    let mut command = Command::new(site.tool(tool));
    command.current_dir("/").stdin(std::process::Stdio::null());
    command
}

/// Everything of root's, with its time of last change: names, contents, modes.
fn picture(directory: &Path) -> Verdict<Vec<String>> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(directory).attempt("read root's directory")?.flatten() {
        let (path, stat) = (entry.path(), entry.metadata().attempt("look at root's file")?);
        let text = if stat.is_file() { fs::read(&path).attempt("read root's file")?.len() } else { 0 };
        lines.push(format!(
            "{} {:o} {} {} {text} {}.{}",
            path.display(),
            stat.mode(),
            stat.uid(),
            stat.len(),
            stat.mtime(),
            stat.mtime_nsec()
        ));
    }
    lines.sort();
    Ok(lines)
}

fn restart(site: &Site, options: &[&str]) -> Verdict<Ran> {
    let mut command = as_root(site, "cr_restart");
    command.args(options).arg(roots(site).join("job.ctx"));
    site.run(&mut command)
}

/// Lets the restarted job end by a line in its FIFO.
fn and_go(site: &Site, options: &[&str]) -> Verdict<(End, String)> {
    let mut command = as_root(site, "cr_restart");
    command.args(options).arg(roots(site).join("job.ctx"));
    let (pid, base) = site.launch(&mut command)?;
    fs::write(site.work().join("u/fifo"), "go\n").attempt("write into the FIFO")?;
    let end = site.children.wait(pid, site.patience)?;
    Ok((end, fs::read_to_string(base.with_extension("stderr")).unwrap_or_default()))
}

/// Saves, swaps, restarts: refused, and nothing of root's has changed.
fn swapped(site: &Site, checkpoint: &[&str], options: &[&str], swap: fn(&Path, &Path) -> std::io::Result<()>) -> Verdict {
    saved(site, checkpoint)?;
    let (roots, user) = (roots(site), site.work().join("u"));
    swap(&user, &roots).attempt("swap")?;
    let before = picture(&roots)?;
    let ran = restart(site, options)?;
    let after = picture(&roots)?;
    ensure(before == after, || format!("root's directory was\n{}\nand is\n{}", before.join("\n"), after.join("\n")))?;
    let is_named = ran.stderr.contains("symbolic link") || ran.stderr.contains("as user 65534");
    ensure(ran.end != End::Code(0) && is_named, || format!("{}:\n{}", ran.end, ran.stderr))?;
    site.gone()
}

fn swap_for_link(mine: &Path, theirs: &Path) -> std::io::Result<()> {
    fs::rename(mine, mine.with_extension("old"))?;
    symlink(theirs, mine)
}

fn link_file(user: &Path, roots: &Path) -> std::io::Result<()> {
    swap_for_link(&user.join("deep/data"), &roots.join("data"))
}

fn link_read(user: &Path, roots: &Path) -> std::io::Result<()> {
    swap_for_link(&user.join("read"), &roots.join("read"))
}

fn link_log(user: &Path, roots: &Path) -> std::io::Result<()> {
    swap_for_link(&user.join("log"), &roots.join("log"))
}

fn link_directory(user: &Path, roots: &Path) -> std::io::Result<()> {
    swap_for_link(&user.join("deep"), roots)
}

fn link_fifo(user: &Path, roots: &Path) -> std::io::Result<()> {
    swap_for_link(&user.join("fifo"), &roots.join("fifo"))
}

/// What is missing would be made in root's directory.
fn link_up(user: &Path, roots: &Path) -> std::io::Result<()> {
    fs::remove_file(roots.join("fifo"))?;
    fs::remove_file(roots.join("data"))?;
    for name in ["read", "log"] {
        fs::copy(user.join(name), roots.join(name))?;
    }
    fs::create_dir(roots.join("deep"))?;
    swap_for_link(user, roots)
}

fn link_cwd(user: &Path, roots: &Path) -> std::io::Result<()> {
    swap_for_link(&user.join("cwd"), &roots.join("cwd"))
}

fn link_program(user: &Path, roots: &Path) -> std::io::Result<()> {
    swap_for_link(&user.join("sh"), &roots.join("sh"))
}

fn hard_link(user: &Path, roots: &Path) -> std::io::Result<()> {
    fs::remove_file(user.join("deep/data"))?;
    fs::hard_link(roots.join("data"), user.join("deep/data"))
}

fn hard_linked_fifo(user: &Path, roots: &Path) -> std::io::Result<()> {
    fs::remove_file(user.join("fifo"))?;
    fs::hard_link(roots.join("fifo"), user.join("fifo"))
}

/// With nothing swapped, root restarts the job, and what it writes is written as nobody.
fn nothing(site: &Site) -> Verdict {
    let job = saved(site, &[])?;
    let (end, said) = and_go(site, &[])?;
    ensure(end == End::Code(0) && job.output().contains("PASS"), || format!("{end}:\n{said}{}", job.output()))?;
    let data = fs::read_to_string(site.work().join("u/deep/data")).attempt("read the data")?;
    ensure(data == "written\n", || format!("the data is {data:?}"))
}

/// A thread swaps the file for a link all the time: each restart is refused, or the job has its own file.
fn race(site: &Site) -> Verdict {
    saved(site, &[])?;
    let (roots, user) = (roots(site), site.work().join("u"));
    let (data, link) = (user.join("deep/data"), user.join("deep/link"));
    symlink(roots.join("data"), &link).attempt("make a link")?;
    let (before, over) = (picture(&roots)?, AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let _ = renameat2(AT_FDCWD, &data, AT_FDCWD, &link, RenameFlags::RENAME_EXCHANGE);
            }
        });
        let result = (0..12).try_for_each(|_| {
            let ran = restart(site, &["--kill"])?;
            let is_fine = ran.end == End::Signal(9) || ran.stderr.contains("symbolic link");
            ensure(is_fine, || format!("{}:\n{}", ran.end, ran.stderr))?;
            let after = picture(&roots)?;
            ensure(before == after, || format!("root's directory is\n{}", after.join("\n")))
        });
        over.store(true, Ordering::Relaxed);
        result
    })
}

/// A daemon opens root's log, then becomes somebody else.
fn daemon(site: &Site, directory: &Path) -> Verdict<PathBuf> {
    if !is_true_root() || !site.namespaced {
        return Err(skipped("needs root and its own pids"));
    }
    let roots = roots(site);
    fs::create_dir(&roots).attempt("make root's directory")?;
    fs::set_permissions(&roots, PermissionsExt::from_mode(0o700)).attempt("close root's directory")?;
    let log = directory.join("daemon.log");
    make(&log, "", 0o600)?;
    make(&roots.join("secret"), "secret\n", 0o600)?;
    let script = "exec 6>>\"$0\"; exec setpriv --reuid 65534 --regid 65534 --clear-groups sh -c 'echo READY; sleep 1000; echo no'";
    let mut command = site.command("sh");
    command.args(["-c", script]).arg(&log);
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    let mut command = as_root(site, "cr_checkpoint");
    command.arg("--kill").arg("-f").arg(roots.join("job.ctx")).arg(job.pid.to_string());
    site.run(&mut command)?.succeeded()?;
    site.children.wait(job.waited, site.patience)?;
    own(&roots.join("job.ctx"))?;
    Ok(log)
}

/// Nobody but root can have changed what the path leads to: the daemon gets its log back.
fn given_up(site: &Site) -> Verdict {
    fs::create_dir_all("/run/reprise-rights").attempt("make a directory of root's")?;
    let log = daemon(site, Path::new("/run/reprise-rights"))?;
    let ran = restart(site, &["--kill"])?;
    let missing = fs::rename(&log, log.with_extension("old")).and_then(|()| fs::copy(log.with_extension("old"), &log));
    missing.attempt("put another file there")?;
    let other = restart(site, &["--kill"])?;
    fs::remove_dir_all("/run/reprise-rights").attempt("tidy up")?;
    ensure(ran.end == End::Signal(9), || format!("{}:\n{}", ran.end, ran.stderr))?;
    ensure(other.stderr.contains("as user 65534"), || format!("another file: {}:\n{}", other.end, other.stderr))
}

/// The log lies where the user could have put it: refused, by whatever it is reached.
fn given_up_swapped(site: &Site) -> Verdict {
    let theirs = site.dir.join("theirs");
    fs::create_dir(&theirs).attempt("make a directory")?;
    let log = daemon(site, &theirs)?;
    std::os::unix::fs::chown(&theirs, Some(65534), Some(65534)).attempt("give the directory away")?;
    let ran = restart(site, &["--kill"])?;
    ensure(ran.end != End::Signal(9) && ran.stderr.contains("as user 65534"), || format!("{}:\n{}", ran.end, ran.stderr))?;
    fs::rename(&log, theirs.join("old")).and_then(|()| symlink(roots(site).join("secret"), &log)).attempt("swap")?;
    let ran = restart(site, &["--kill"])?;
    ensure(ran.stderr.contains("as user 65534") || ran.stderr.contains("symbolic link"), || format!("{}:\n{}", ran.end, ran.stderr))
}
