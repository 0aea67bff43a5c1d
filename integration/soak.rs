//! Soak: a job that is saved, killed and restarted again and again. Nothing grows, and `/proc` shows the same job every time.
//!
//! Relies on programs that check themselves, on `observe` for what `/proc` shows, and on `pace` for how many generations there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use nix::unistd::Pid;

use crate::case::Case;
use crate::job::Job;
use crate::observe::{self, Picture};
use crate::pace::{self, Pace};
use crate::site::Site;
use crate::verdict::{Attempt, Verdict, ensure, skipped};

/// The jobs: threads that check registers and a pipe all the time, a program without libc, a family, shared memory, files, timers.
pub fn cases() -> Vec<Case> {
    vec![
        pace::case("soak", "steady", |site| generations(site, "steady")),
        pace::case("soak", "bare", |site| generations(site, "bare")),
        pace::case("soak", "tree", |site| generations(site, "tree")),
        pace::case("soak", "shared_memory", |site| generations(site, "shared_memory")),
        pace::case("soak", "outputs", |site| generations(site, "outputs")),
        pace::case("soak", "posix_timer", |site| generations(site, "posix_timer")),
    ]
}

/// What of a restarted job may differ from the generation before, by the name of the fact: who started it, and the numbers that the kernel gives to
/// pipes and to files without a name.
fn may_differ(fact: &str, change: &str) -> bool {
    fact.ends_with(" PPid")
        || fact.contains(" fdinfo ")
        || fact.contains(" descriptor ") && change.contains("pipe:[")
        || fact.contains(" area ") && (change.contains("(deleted)") || change.contains("/SYSV"))
}

/// How large a job and its context file are.
#[derive(Debug, Clone, Copy)]
struct Size {
    processes: usize,
    areas: usize,
    descriptors: usize,
    resident_kib: u64,
    image_bytes: u64,
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Size { areas, descriptors, resident_kib, image_bytes, .. } = self;
        write!(f, "{areas} areas, {descriptors} descriptors, {resident_kib} KiB in memory, {} KiB in the file", image_bytes / 1024)
    }
}

impl Size {
    fn of(pids: &[Pid], context: &Path) -> Verdict<Size> {
        let count = |pid: &Pid, what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).map_or(0, Iterator::count);
        let text = |pid: &Pid, what: &str| fs::read_to_string(format!("/proc/{pid}/{what}")).unwrap_or_default();
        let resident = |pid: &Pid| -> u64 {
            let status = text(pid, "status");
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
            line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        Ok(Size {
            processes: pids.len(),
            areas: pids.iter().map(|pid| text(pid, "maps").lines().count()).sum(),
            descriptors: pids.iter().map(|pid| count(pid, "fd")).sum(),
            resident_kib: pids.iter().map(resident).sum(),
            image_bytes: fs::metadata(context).attempt("look at the context file")?.len(),
        })
    }

    /// Areas may be split once; memory may be touched that was not before, but not again and again.
    fn is_as_large_as(&self, first: &Size) -> bool {
        self.processes == first.processes
            && self.descriptors == first.descriptors
            && self.areas <= first.areas + 2
            && self.resident_kib <= first.resident_kib + first.resident_kib / 4 + 1024
            && self.image_bytes <= first.image_bytes + first.image_bytes / 10 + 65536
    }
}

fn generations(site: &Site, program: &str) -> Verdict {
    if !site.namespaced {
        return Err(skipped("needs a pid namespace of its own, where its pids are free"));
    }
    let context = site.context("job.ctx");
    let mut job = site.start(site.command(site.program(program)))?;
    site.wait_ready(&job)?;
    let mut first: Option<(Size, Picture, BTreeSet<String>)> = None;
    let mut last = None;
    let pace = Pace::new(site);
    while pace.goes_on() {
        site.checkpoint_and_kill(&["--clobber"], &context, &job)?;
        job = site.restart(&[], &context, &job)?;
        let number = pace.rounds.get();
        ensure(!job.output().contains("FAIL"), || format!("generation {number}: {}", job.output()))?;
        let pids = members(&job);
        let size = Size::of(&pids, &context)?;
        last = Some(size);
        match &first {
            None => {
                let (picture, restless) = Picture::steady(&pids);
                first = Some((size, picture, restless));
            }
            Some((first, picture, restless)) => {
                ensure(size.is_as_large_as(first), || format!("generation {number} is {size:?}, the first was {first:?}"))?;
                same(picture, restless, &pids).map_err(|stop| job.with_output(stop))?;
            }
        }
    }
    if let (Some((first, ..)), Some(last)) = (first, last) {
        site.tell(format_args!("{} generations; {first} at first, {last} at last", pace.rounds.get()));
    }
    site.go(&job, "again")?;
    site.passes(&job)
}

/// The processes of the job; those that come and go, such as the shell of a hook, are not among them.
fn members(job: &Job) -> Vec<Pid> {
    let hook = |pid: &Pid| observe::parent(*pid) == Some(job.waited) && *pid != job.pid;
    crate::children::wait_until(std::time::Duration::from_secs(3), || !observe::descendants().iter().any(hook));
    observe::descendants().into_iter().filter(|pid| *pid != job.waited).collect()
}

/// What `/proc` shows is what it showed of the first restart. What moves may take a moment to look so again.
fn same(first: &Picture, restless: &BTreeSet<String>, pids: &[Pid]) -> Verdict {
    let mut changes = Vec::new();
    crate::children::wait_until(std::time::Duration::from_secs(3), || {
        changes = first.changes(&Picture::take(pids), restless);
        changes.retain(|change| !change.split_once(": ").is_some_and(|(fact, rest)| may_differ(fact, rest)));
        changes.is_empty()
    });
    ensure(changes.is_empty(), || format!("this generation is not like the first restart:\n{}", changes.join("\n")))
}
