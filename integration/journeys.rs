//! The journeys: what is done to a program of the table between READY and `go`.
//!
//! Each reads as its users' steps. Relies on `tools` and `job`; leaves isolation to `sandbox` and the programs' own
//! checks to the programs.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::Pid;

use crate::case::Case;
use crate::children::{End, wait_until};
use crate::job::Job;
use crate::namespace;
use crate::observe::{self, Picture};
use crate::site::{Site, is_true_root};
use crate::table::{JOURNEYS, Journey, ROWS, Refusal, Row};
use crate::verdict::{Attempt, Verdict, ensure, failed, skipped};

/// What is in motion may take this long to look as before.
const SHORTLY: Duration = Duration::from_secs(3);
const NEW_PIDS: &[&str] = &["--no-restore-pid"];

/// Every row with each of its journeys.
pub fn cases() -> Vec<Case> {
    let journeys = |row: &Row| match row.refusal {
        Refusal::Expected(_) => &[Journey::Stay, Journey::Refused],
        Refusal::Never | Refusal::Allowed => JOURNEYS,
    };
    let case = |row: &'static Row, journey: Journey| Case::new(row.name, journey.name(), move |site| make(site, row, journey));
    ROWS.iter().flat_map(|row| journeys(row).iter().map(move |journey| case(row, *journey))).collect()
}

fn make(site: &Site, row: &Row, journey: Journey) -> Verdict {
    if let Some((_, reason)) = row.not.iter().find(|(not, _)| *not == journey) {
        return Err(skipped(reason));
    }
    let needs_pids = [Journey::Restart, Journey::Again, Journey::Elsewhere].contains(&journey);
    if needs_pids && !site.namespaced {
        return Err(skipped("needs a pid namespace of its own, where its pids are free"));
    }
    // What is refused to nobody may be refused to the root of a user namespace, too.
    let may_be_refused = row.refused_to_nobody.is_some() && !is_true_root();
    if (row.refusal == Refusal::Allowed || may_be_refused) && journey != Journey::Stay {
        probe(site, row)?;
    }
    match journey {
        Journey::Stay => stay(site, row),
        Journey::Continue => go_on(site, row),
        Journey::Restart => restart(site, row),
        Journey::Again => again(site, row),
        Journey::Elsewhere => elsewhere(site, row),
        Journey::NewPids => new_pids(site, row),
        Journey::Unprivileged => unprivileged(site, row),
        Journey::Namespace => in_namespace(site, row),
        Journey::Refused => refused(site, row),
    }
}

fn stay(site: &Site, row: &Row) -> Verdict {
    let job = begin(site, row, site.program(row.program))?;
    site.go(&job, "stay")?;
    site.passes(&job)
}

fn go_on(site: &Site, row: &Row) -> Verdict {
    let job = begin(site, row, site.program(row.program))?;
    let pids = observe::descendants();
    let (before, moving) = Picture::steady(&pids);
    site.checkpoint(row.checkpoint, &site.context("job.ctx"), job.pid)?;
    if !row.restless {
        looks_as_before(&before, &moving, &pids)?;
    }
    // Some programs make and lose children all the time, but no more than before.
    let no_more = || observe::descendants().len() <= pids.len();
    ensure(wait_until(SHORTLY, no_more), || format!("more processes than before:\n{}", list(&pids)))?;
    site.go(&job, "continue")?;
    site.passes(&job)
}

fn looks_as_before(before: &Picture, moving: &BTreeSet<String>, pids: &[Pid]) -> Verdict {
    let mut changes = Vec::new();
    wait_until(SHORTLY, || {
        changes = before.changes(&Picture::take(pids), moving);
        changes.is_empty()
    });
    ensure(changes.is_empty(), || format!("the checkpoint changed the job:\n{}", changes.join("\n")))
}

fn restart(site: &Site, row: &Row) -> Verdict {
    let context = site.context("job.ctx");
    let job = begin(site, row, site.program(row.program))?;
    site.checkpoint_and_kill(row.checkpoint, &context, &job)?;
    // What the program does not notice is compared as well, where no signal comes while the comparison makes calls in the job.
    let compare: &[&str] = if NEVER_STILL.contains(&row.name) { &[] } else { &["--compare"] };
    let job = site.restart(&[row.restart, compare].concat(), &context, &job)?;
    site.go(&job, "restart")?;
    site.passes(&job)
}

/// Rows whose processes take signals at any moment, also while they are compared.
const NEVER_STILL: &[&str] = &["alarm", "interval_timer", "posix_timer", "running_timer", "signal_stream", "timer_overrun", "timer_thread"];

fn again(site: &Site, row: &Row) -> Verdict {
    let (first, second) = (site.context("first.ctx"), site.context("second.ctx"));
    let job = begin(site, row, site.program(row.program))?;
    site.checkpoint_and_kill(row.checkpoint, &first, &job)?;
    let job = site.restart(row.restart, &first, &job)?;
    site.checkpoint_and_kill(row.checkpoint, &second, &job)?;
    let job = site.restart(row.restart, &second, &job)?;
    site.go(&job, "again")?;
    site.passes(&job)
}

fn elsewhere(site: &Site, row: &Row) -> Verdict {
    let context = site.context("job.ctx");
    let (old, new) = (site.work(), site.dir.join("elsewhere"));
    // The program's own file moves too, below a name that no program uses.
    let own = old.join(".program");
    let program = own.join(row.program);
    fs::create_dir(&own).attempt("make a directory for the program")?;
    fs::copy(site.program(row.program), &program).attempt("copy the program")?;
    // Programs with libcr look for it beside themselves.
    fs::copy(site.program("libcr.so.0"), own.join("libcr.so.0")).attempt("copy libcr")?;
    fs::copy(site.program("libcpr.so.0"), own.join("libcpr.so.0")).attempt("copy libcpr")?;
    let job = begin(site, row, program)?;
    site.checkpoint_and_kill(row.checkpoint, &context, &job)?;
    fs::rename(&old, &new).attempt("move the working directory")?;
    let pair = format!("{}={}", old.display(), new.display());
    let flags = [row.restart, &["--relocate", &pair]].concat();
    let job = site.restart(&flags, &context, &Job { work: new, ..job })?;
    site.go(&job, "elsewhere")?;
    site.passes(&job)
}

fn new_pids(site: &Site, row: &Row) -> Verdict {
    let context = site.context("job.ctx");
    let job = begin(site, row, site.program(row.program))?;
    let saved = job.pid;
    site.checkpoint_and_kill(row.checkpoint, &context, &job)?;
    let job = site.restart(&[row.restart, NEW_PIDS].concat(), &context, &job)?;
    ensure(job.pid != saved, || format!("the job has its old pid {saved} in spite of --no-restore-pid"))?;
    site.go(&job, "new-pids")?;
    site.passes(&job)
}

fn unprivileged(site: &Site, row: &Row) -> Verdict {
    site.drop_privileges()?;
    let context = site.context("job.ctx");
    let job = begin(site, row, site.program(row.program))?;
    if let Some(wanted) = row.refused_to_nobody {
        return refuses(site, row, &job, wanted);
    }
    site.checkpoint_and_kill(row.checkpoint, &context, &job)?;
    let job = site.restart(&[row.restart, NEW_PIDS].concat(), &context, &job)?;
    // For the program this is a restart with new pids like any other.
    site.go(&job, "new-pids")?;
    site.passes(&job)
}

fn in_namespace(site: &Site, row: &Row) -> Verdict {
    if row.refused_to_nobody.is_some() {
        return Err(skipped("nobody may not save it"));
    }
    namespace::prepare(site)?;
    let context = site.context("job.ctx");
    let job = begin(site, row, site.program(row.program))?;
    site.checkpoint_and_kill(row.checkpoint, &context, &job)?;
    let holder = namespace::take(site, job.pid)?;
    let job = namespace::restart(site, row.restart, &context, holder, &job)?;
    // For the program this is a restart with its own pids.
    site.go(&job, "restart")?;
    let end = site.children.wait(job.waited, site.patience);
    namespace::end(site, holder)?;
    end?;
    site.passes(&job)
}

fn refused(site: &Site, row: &Row) -> Verdict {
    let Refusal::Expected(wanted) = row.refusal else {
        return Err(failed("this row expects no refusal"));
    };
    let job = begin(site, row, site.program(row.program))?;
    refuses(site, row, &job, wanted)
}

fn refuses(site: &Site, row: &Row, job: &Job, wanted: &str) -> Verdict {
    let refusal = runs_on_refused(site, row, job)?.ok_or_else(|| failed("the checkpoint was not refused"))?;
    ensure(refusal.contains(wanted), || format!("the refusal does not say {wanted:?}:\n{refusal}"))
}

/// A program that may be refused makes its journey only if it is not.
fn probe(site: &Site, row: &Row) -> Verdict {
    let job = begin(site, row, site.program(row.program))?;
    if let Some(words) = runs_on_refused(site, row, &job)? {
        return Err(skipped(format_args!("refused, and ran on: {}", words.lines().next().unwrap_or_default())));
    }
    site.go(&job, "continue")?;
    site.passes(&job)?;
    fs::remove_dir_all(site.work()).and_then(|()| fs::create_dir(site.work())).attempt("clear the working directory")
}

/// Tries a checkpoint. If it is refused nothing is left of it and the program passes; says in which words.
fn runs_on_refused(site: &Site, row: &Row, job: &Job) -> Verdict<Option<String>> {
    let context = site.context("refused.ctx");
    let ran = site.try_checkpoint(row.checkpoint, &context, job.pid)?;
    if ran.end == End::Code(0) {
        return Ok(None);
    }
    ensure(!context.exists(), || "the refused checkpoint left a context file".to_owned())?;
    site.no_residue()?;
    site.go(job, "refused")?;
    site.passes(job)?;
    Ok(Some(ran.stderr))
}

/// Starts the row's program, alone in the case until it is ready.
fn begin(site: &Site, row: &Row, program: PathBuf) -> Verdict<Job> {
    if !program.exists() {
        return Err(failed(format_args!("{} was not built", program.display())));
    }
    let mut command = if row.leads_session { site.session_leader(&program) } else { site.command(&program) };
    // Programs that ask for checkpoints themselves must find the tools.
    command.args(row.arguments).env("REPRISE_BINDIR", site.tool(""));
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    Ok(job)
}

/// The processes that were not there before.
fn list(before: &[Pid]) -> String {
    let fresh = observe::descendants().into_iter().filter(|pid| !before.contains(pid));
    fresh.map(observe::one_line).collect::<Vec<_>>().join("\n")
}
