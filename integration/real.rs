//! Real programs: what they compute must not depend on their having been killed and restarted meanwhile.
//!
//! Each has a directory of `real/` with what it needs; a `prepare.sh` there runs first. The job runs once undisturbed, then again with one or two
//! interruptions in the middle, and its file `result` must be the same, byte for byte. Relies on each job taking about a second, and on nothing in
//! its result depending on time or pids. A missing interpreter is a skip.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::case::Case;
use crate::children::{End, wait_until};
use crate::job::Job;
use crate::prepare::workspace;
use crate::site::Site;
use crate::verdict::{Attempt, Verdict, ensure, failed, skipped};

use Moment::{Share, Sight};

/// When the job is interrupted first.
#[derive(Clone, Copy)]
enum Moment {
    /// After this share of the time that the undisturbed run took.
    Share(f64),
    /// When this file of its directory appears.
    Sight(&'static str),
}

struct Real {
    name: &'static str,
    needs: &'static [&'static str],
    job: &'static str,
    moment: Moment,
}

const fn real(name: &'static str, needs: &'static [&'static str], job: &'static str) -> Real {
    Real { name, needs, job, moment: Share(0.3) }
}

/// The programs. The job is a line for `sh`, which replaces itself by a single command.
const PROGRAMS: &[Real] = &[
    real("bash", &["bash"], "exec bash job.bash"),
    real("dash", &["dash"], "exec dash job.sh"),
    real("python-threads", &["python3"], "exec python3 job.py"),
    real("python-processes", &["python3"], "exec python3 job.py"),
    real("python-shared", &["python3"], "exec python3 job.py"),
    real("python-asyncio", &["python3"], "exec python3 job.py"),
    real("python-manager", &["python3"], "exec python3 job.py"),
    real("perl", &["perl"], "exec perl job.pl"),
    real("perl-ipc", &["perl"], "exec perl job.pl"),
    real("ranks", &["cc"], "exec ./ranks"),
    real("tcl", &["tclsh"], "exec tclsh job.tcl"),
    real("lua", &["lua5.4"], "exec lua5.4 job.lua"),
    real("ruby", &["ruby"], "exec ruby job.rb"),
    real("pipeline", &["awk", "gzip"], "exec sh job.sh"),
    real("xz", &["xz"], "exec xz -T2 --block-size=256KiB -4 -k -c big >result"),
    Real { moment: Sight("db-journal"), ..real("sqlite", &["sqlite3"], "exec sqlite3 db <job.sql") },
    real("make", &["make", "cc"], "exec make -s -j2"),
    real("static", &["cc"], "exec ./sieve"),
    real("rust", &["rustc"], "exec ./job"),
    real("java", &["java", "javac"], "exec java -XX:-UsePerfData -Xmx64m Job"),
    real("node", &["node"], "exec node job.js"),
    real("node-children", &["node"], "exec node job.js"),
    real("rsync", &["rsync"], "exec sh job.sh"),
    real("go", &["go"], "exec ./job"),
    real("openssl", &["openssl"], "exec sh job.sh"),
    real("expect", &["expect"], "exec expect job.exp"),
    real("python-pty", &["python3"], "exec python3 job.py"),
    real(
        "script",
        &["script"],
        "exec sh -c 'script -qec \"sh job.sh\" typescript </dev/null >/dev/null; echo $? >status; tr -d \"\\r\" <typescript | grep -v ^Script >result; cat status >>result'",
    ),
    real("limits", &["nice", "taskset"], "exec sh job.sh"),
    real("asyncio", &["python3"], "exec python3 job.py"),
    real("node-http", &["node"], "exec node job.js"),
    real("redis", &["redis-server", "python3"], "exec sh job.sh"),
    real("nginx", &["nginx", "python3"], "exec sh job.sh"),
    real("socat", &["socat"], "exec sh job.sh"),
];

/// Every program, interrupted once and twice.
pub fn cases() -> Vec<Case> {
    let case = |real: &'static Real, journey: &str, times: u32| {
        Case::new(real.name, journey, move |site| interrupt(site, real, times)).patient(180)
    };
    PROGRAMS.iter().flat_map(|real| [case(real, "once", 1), case(real, "twice", 2)]).collect()
}

fn interrupt(site: &Site, real: &Real, times: u32) -> Verdict {
    if !site.namespaced {
        return Err(skipped("needs a pid namespace of its own, where its pids are free"));
    }
    let missing: Vec<&str> = real.needs.iter().copied().filter(|program| !is_installed(program)).collect();
    ensure_installed(&missing)?;
    let prepared = prepare(site, real)?;
    let (expected, took) = undisturbed(site, real, &prepared)?;
    // A job that runs alone may be faster than it was beside others: try again earlier.
    for pace in [1.0, 0.5, 0.25] {
        match disturbed(site, real, &prepared, took.mul_f64(pace), times)? {
            None => site.step("the job was over too soon; once more, earlier"),
            Some(result) => return compare(site, &expected, &result),
        }
    }
    Err(failed("the job is always over before it can be interrupted"))
}

fn ensure_installed(missing: &[&str]) -> Verdict {
    if missing.is_empty() { Ok(()) } else { Err(skipped(format_args!("not installed: {}", missing.join(" ")))) }
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// The program's directory, ready to be copied for every run.
fn prepare(site: &Site, real: &Real) -> Verdict<PathBuf> {
    let prepared = site.dir.join("prepared");
    copy_tree(&workspace().join("integration/real").join(real.name), &prepared)?;
    if prepared.join("prepare.sh").exists() {
        let mut command = site.command("sh");
        command.arg("prepare.sh").current_dir(&prepared);
        site.run(&mut command)?.succeeded()?;
    }
    Ok(prepared)
}

fn copy_tree(from: &Path, to: &Path) -> Verdict {
    // Not -a: in a user namespace nobody else's files can be made.
    let status = Command::new("cp").arg("-R").arg(from).arg(to).status();
    ensure(status.attempt("run cp")?.success(), || format!("cannot copy {} to {}", from.display(), to.display()))
}

/// Starts the job in a fresh copy of the prepared directory.
fn start(site: &Site, real: &Real, prepared: &Path) -> Verdict<Job> {
    fs::remove_dir_all(site.work()).attempt("clear the working directory")?;
    copy_tree(prepared, &site.work())?;
    let mut command = site.command("sh");
    command.args(["-c", real.job]).env("LC_ALL", "C").env("TMPDIR", site.work());
    site.start(command)
}

fn undisturbed(site: &Site, real: &Real, prepared: &Path) -> Verdict<(Vec<u8>, Duration)> {
    let start_time = Instant::now();
    let job = start(site, real, prepared)?;
    let end = site.children.wait(job.pid, site.patience)?;
    let took = start_time.elapsed();
    if end != End::Code(0) {
        return Err(job.with_output(failed(format_args!("the undisturbed job ended with {end}"))));
    }
    let result = fs::read(job.work.join("result")).attempt("read the undisturbed result")?;
    fs::write(site.dir.join("expected"), &result).attempt("keep the undisturbed result")?;
    Ok((result, took))
}

/// The result of a run with interruptions; `None` if it ended before one of them.
fn disturbed(site: &Site, real: &Real, prepared: &Path, pace: Duration, times: u32) -> Verdict<Option<Vec<u8>>> {
    let mut job = start(site, real, prepared)?;
    for time in 1..=times {
        let moment = if time == 1 { real.moment } else { Share(0.3) };
        if !reach(site, &job, moment, pace) {
            return Ok(None);
        }
        let context = site.context(&format!("{time}.ctx"));
        if !site.checkpoint_and_kill_if_there(&[], &context, &job)? {
            return Ok(None);
        }
        job = site.restart(&[], &context, &job)?;
    }
    let end = site.children.wait(job.waited, site.patience).map_err(|stop| job.with_output(stop))?;
    if end != End::Code(0) {
        return Err(job.with_output(failed(format_args!("the restarted job ended with {end}"))));
    }
    site.gone()?;
    fs::read(job.work.join("result")).attempt("read the result").map(Some).map_err(|stop| job.with_output(stop))
}

/// Waits for the moment; says whether the job was still there.
fn reach(site: &Site, job: &Job, moment: Moment, pace: Duration) -> bool {
    let over = || site.children.end_of(job.waited).is_some();
    match moment {
        Share(share) => wait_until(pace.mul_f64(share), over),
        Sight(file) => wait_until(site.patience, || over() || job.work.join(file).exists()),
    };
    !over()
}

fn compare(site: &Site, expected: &[u8], result: &[u8]) -> Verdict {
    ensure(expected == result, || {
        let at = expected.iter().zip(result).take_while(|(a, b)| a == b).count();
        let (expected, result) = (site.dir.join("expected"), site.work().join("result"));
        format!("the result differs from byte {at}: {} and {}", expected.display(), result.display())
    })
}
