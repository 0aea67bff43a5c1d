//! *select*: from ids and scope to processes, and the rules that leave some of them out.
//!
//! Relies on `/proc`. Asked again and again while the job is being stopped, until it names nobody new. Stops nobody itself.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::jobs::books;
use super::request::{CheckpointRequest, Target};
use super::traced::{Rules, Tracing};
use crate::error::{Class, Classified, Subject};
use crate::image::Scope;
use crate::proc::{ProcDir, ProcError, Stat, all_pids};
use crate::sys::process::compare_memory;
use crate::tracee::{TraceeError, freeze};

/// Why a job could not be selected or stopped.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields are named in the messages")]
pub enum SelectError {
    /// Nothing to checkpoint.
    #[error("no processes checkpointed: {why}")]
    Nothing { why: String },
    /// Init, or a thread of the kernel.
    #[error("process {pid} is {what}")]
    Forbidden { pid: i32, what: &'static str },
    /// Somebody traces it.
    #[error("process {pid} is traced by process {tracer}")]
    Ptraced { pid: i32, tracer: i32 },
    /// It traces somebody.
    #[error("process {pid} traces process {tracee}")]
    Ptracer { pid: i32, tracee: i32 },
    /// `/proc` could not be read.
    #[error(transparent)]
    Proc(#[from] ProcError),
    /// A task could not be stopped.
    #[error(transparent)]
    Tracee(#[from] TraceeError),
}

const CR_EPTRACED: i32 = 2360;
const CR_EPTRACER: i32 = 2361;

impl Classified for SelectError {
    fn class(&self) -> Class {
        match self {
            SelectError::Nothing { .. } => Class::Args,
            SelectError::Forbidden { .. } => Class::Perm,
            SelectError::Ptraced { .. } | SelectError::Ptracer { .. } => Class::Temp,
            SelectError::Proc(error) => error.class(),
            SelectError::Tracee(error) => error.class(),
        }
    }

    fn errno(&self) -> Option<i32> {
        match self {
            SelectError::Nothing { .. } => Some(libc::ESRCH),
            SelectError::Forbidden { .. } => Some(libc::EPERM),
            SelectError::Ptraced { .. } => Some(CR_EPTRACED),
            SelectError::Ptracer { .. } => Some(CR_EPTRACER),
            SelectError::Proc(error) => error.errno(),
            SelectError::Tracee(error) => error.errno(),
        }
    }

    fn subject(&self) -> Subject {
        match self {
            SelectError::Nothing { .. } => Subject::default(),
            SelectError::Forbidden { pid, .. } | SelectError::Ptraced { pid, .. } | SelectError::Ptracer { pid, .. } => Subject::pid(*pid),
            SelectError::Proc(error) => error.subject(),
            SelectError::Tracee(error) => error.subject(),
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            SelectError::Nothing { .. } => {
                Some("check the id with ps: it may have ended, or be left out by --ptraced-skip, --ptracer-skip or cr_run --omit".into())
            }
            SelectError::Forbidden { .. } => Some("name a process of the job itself".into()),
            SelectError::Ptraced { .. } => Some("end the debugger, or leave the process out with --ptraced-skip".into()),
            SelectError::Ptracer { .. } => Some("end the tracing, or leave the process out with --ptracer-skip".into()),
            SelectError::Proc(error) => error.remedy(),
            SelectError::Tracee(error) => error.remedy(),
        }
    }
}

/// Which processes a request means.
pub struct Selection<'a> {
    request: &'a CheckpointRequest,
    targets: Vec<Target>,
    /// Who has asked to be left out.
    left_out: BTreeSet<i32>,
}

/// What the processes of the machine look like at one moment.
struct Census {
    stats: BTreeMap<i32, Stat>,
    children: HashMap<i32, Vec<i32>>,
}

impl Census {
    fn take() -> Result<Census, ProcError> {
        let mut stats = BTreeMap::new();
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        for pid in all_pids()? {
            match ProcDir::open(pid).and_then(|dir| dir.stat()) {
                Ok(stat) => {
                    children.entry(stat.ppid).or_default().push(pid);
                    stats.insert(pid, stat);
                }
                Err(ProcError::Gone { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Census { stats, children })
    }

    /// `pid` and everything below it, without the branches that `cut` names.
    fn descendants(&self, root: i32, cut: impl Fn(i32) -> bool) -> BTreeSet<i32> {
        let mut found = BTreeSet::from([root]);
        let mut fresh = vec![root];
        while let Some(parent) = fresh.pop() {
            let children = self.children.get(&parent).into_iter().flatten().copied().filter(|pid| !cut(*pid));
            fresh.extend(children.filter(|pid| found.insert(*pid)));
        }
        found
    }
}

impl<'a> Selection<'a> {
    /// Resolves ids: 0 is the requester itself, and a thread's id means its process.
    pub fn new(request: &'a CheckpointRequest) -> Result<Selection<'a>, SelectError> {
        let requester = ProcDir::open(request.requester)?.stat()?;
        let mut targets = Vec::new();
        for &Target { scope, id } in &request.targets {
            let pid = match scope {
                Scope::Cgroup | Scope::Batch => {
                    targets.push(Target { scope, id });
                    continue;
                }
                _ => i32::try_from(id).map_err(|_| absent(scope, id))?,
            };
            let pid = match (pid, scope) {
                (0, Scope::Group) => requester.pgrp,
                (0, Scope::Session) => requester.session,
                (0, _) => request.requester,
                (id, Scope::Group | Scope::Session) => id,
                (id, _) => thread_group(id)?,
            };
            forbid_init(pid)?;
            targets.push(Target { scope, id: pid.into() });
        }
        let left_out = request.participation.asker.iter().map(|asker| asker.front).collect();
        Ok(Selection { request, targets, left_out })
    }

    /// What was asked for, with the ids that it stands for.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The process that has the number of the first id, if processes have such numbers.
    pub fn lead(&self) -> Option<i32> {
        self.targets.first().and_then(process_of)
    }

    /// Takes a process out, without its children.
    pub fn leave_out(&mut self, pid: i32) {
        self.left_out.insert(pid);
    }

    /// Adds what an id names, for process `by`, which 0 stands for.
    pub fn add(&mut self, scope: Scope, id: i32, by: i32) -> Result<(), SelectError> {
        let stat = ProcDir::open(by)?.stat()?;
        let id = match (id, scope) {
            (0, Scope::Group) => stat.pgrp,
            (0, Scope::Session) => stat.session,
            (0, _) => by,
            (id, Scope::Group | Scope::Session) => id,
            (id, _) => thread_group(id)?,
        };
        forbid_init(id)?;
        let target = Target { scope, id: id.into() };
        let census = Census::take()?;
        if named_by(&target, &census, std::process::id().cast_signed()).is_empty() {
            return Err(absent(scope, id.into()));
        }
        self.targets.push(target);
        Ok(())
    }

    /// Takes back what was added last.
    pub fn take_back(&mut self) {
        self.targets.pop();
    }

    /// The processes that belong to the job now, ascending. Never empty.
    pub fn members(&self) -> Result<Vec<i32>, SelectError> {
        let census = Census::take()?;
        let own = std::process::id().cast_signed();
        let mut members = BTreeSet::new();
        let several = self.request.targets.len() > 1;
        for (index, target) in self.targets.iter().enumerate() {
            let named = named_by(target, &census, own);
            // What was added may have ended since.
            if named.is_empty() && several && index < self.request.targets.len() {
                return Err(absent(target.scope, target.id));
            }
            members.extend(named);
        }
        // Neither ourselves nor what works for us, whatever descends from whom.
        for pid in census.descendants(own, |_| false) {
            members.remove(&pid);
        }
        members.retain(|pid| !self.left_out.contains(pid));
        let asked_for: Vec<i32> = self.targets.iter().filter_map(process_of).collect();
        for pid in members.clone() {
            let Some(stat) = census.stats.get(&pid) else { continue };
            const PF_KTHREAD: u32 = 0x0020_0000;
            if stat.flags & PF_KTHREAD != 0 {
                return Err(SelectError::Forbidden { pid, what: "a thread of the kernel" });
            }
            forbid_init(pid)?;
            if asked_to_be_left_out(pid, stat, &asked_for) {
                members.remove(&pid);
            }
        }
        self.apply_trace_rules(&census, &mut members)?;
        // A leader that ended before its threads looks like a zombie with several threads.
        let alive = members.iter().any(|pid| census.stats.get(pid).is_some_and(|stat| stat.state != 'Z' || 1 < stat.num_threads));
        if !alive {
            let why = format!("{} names no process that runs and may be saved", list(&self.targets));
            return Err(SelectError::Nothing { why });
        }
        Ok(members.into_iter().collect())
    }

    /// Refuses or leaves out processes that are traced or trace, as the request says.
    fn apply_trace_rules(&self, census: &Census, members: &mut BTreeSet<i32>) -> Result<(), SelectError> {
        let own = std::process::id().cast_signed();
        let tracing = |(&pid, stat)| Some(Tracing { tracee: pid, tracer: tracer_of(pid, stat).filter(|tracer| *tracer != own)? });
        let all: Vec<Tracing> = census.stats.iter().filter_map(tracing).collect();
        // Not a debugger: to leave the process out would save half of a job.
        if let Some(ours) = all.iter().find(|one| members.contains(&one.tracee) && freeze::is_ours(one.tracer)) {
            return Err(TraceeError::Busy { pid: ours.tracee, tracer: ours.tracer }.into());
        }
        let has_trees = self.targets.iter().any(|target| target.scope == Scope::Tree);
        let branch = |pid| if has_trees { census.descendants(pid, |_| false) } else { BTreeSet::from([pid]) };
        Rules { ptraced: self.request.ptraced, ptracer: self.request.ptracer }.apply(&all, members, branch)
    }
}

/// The processes that an id names now.
fn named_by(target: &Target, census: &Census, own: i32) -> BTreeSet<i32> {
    let all = census.stats.values();
    if let Some(mut books) = books(target.scope) {
        let mut belongs = |pid: i32| ProcDir::open(pid).is_ok_and(|dir| books.jobs_of(&dir).contains(&target.id));
        return all.map(|stat| stat.pid).filter(|pid| belongs(*pid)).collect();
    }
    let Some(id) = process_of(target) else { return BTreeSet::new() };
    match target.scope {
        Scope::Group => all.filter(|stat| stat.pgrp == id).map(|stat| stat.pid).collect(),
        Scope::Session => all.filter(|stat| stat.session == id).map(|stat| stat.pid).collect(),
        Scope::Tree if census.stats.contains_key(&id) => census.descendants(id, |pid| pid == own),
        // Who may not be compared is not shown to be another: it is not ours to save either.
        Scope::Share => all.map(|stat| stat.pid).filter(|pid| *pid == id || compare_memory(*pid, id) == Ok(Ordering::Equal)).collect(),
        _ => all.filter(|stat| stat.pid == id).map(|stat| stat.pid).collect(),
    }
}

/// The number that an id would have as a process, unless it is one of a control group or batch job.
fn process_of(target: &Target) -> Option<i32> {
    let is_process = !matches!(target.scope, Scope::Cgroup | Scope::Batch);
    i32::try_from(target.id).ok().filter(|_| is_process)
}

/// An id that leads to nobody.
fn absent(scope: Scope, id: i64) -> SelectError {
    SelectError::Nothing { why: format!("there is no {} {id}", scope.noun()) }
}

/// The process a thread belongs to.
fn thread_group(id: i32) -> Result<i32, SelectError> {
    match ProcDir::open(id).and_then(|dir| dir.status()) {
        Ok(status) => Ok(status.tgid),
        Err(ProcError::Gone { .. } | ProcError::Absent { .. }) => Err(SelectError::Nothing { why: format!("there is no process {id}") }),
        Err(error) => Err(error.into()),
    }
}

fn forbid_init(pid: i32) -> Result<(), SelectError> {
    if pid == 1 { Err(SelectError::Forbidden { pid, what: "init, which cannot be checkpointed" }) } else { Ok(()) }
}

fn tracer_of(pid: i32, stat: &Stat) -> Option<i32> {
    if stat.state == 'Z' {
        return None;
    }
    let status = ProcDir::open(pid).and_then(|dir| dir.status()).ok()?;
    (status.tracer_pid != 0).then_some(status.tracer_pid)
}

/// Whether a process runs one of our programs: they need no libcr.
pub fn is_a_program_of_ours(pid: i32) -> bool {
    ProcDir::open(pid).is_ok_and(|dir| runs_ours(&dir))
}

fn runs_ours(dir: &ProcDir) -> bool {
    let exe = dir.link("exe").unwrap_or_default();
    std::path::Path::new(&exe).file_name().is_some_and(|name| name == "cr_restart" || name == "cr_checkpoint")
}

/// Whether a process is left out by its own wish: started by `cr_run --omit`, a `cr_restart` above its job, or the process of a hook script.
fn asked_to_be_left_out(pid: i32, stat: &Stat, targets: &[i32]) -> bool {
    let Ok(dir) = ProcDir::open(pid) else { return false };
    if dir.read("environ").is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == b"REPRISE_OMIT=1")) {
        return true;
    }
    let is_ours = || match stat.state {
        // A zombie runs nothing any more: its parent tells.
        'Z' => ProcDir::open(stat.ppid).is_ok_and(|parent| runs_ours(&parent)),
        _ => runs_ours(&dir),
    };
    // The process of a hook script (script/fork.rs): it belongs to the program that it helps.
    if stat.comm == "cr_hook_script" && is_ours() {
        return true;
    }
    // The name too: a restored program whose own file is gone may show the restarter's.
    if stat.comm != "cr_restart" || !is_ours() {
        return false;
    }
    let arguments = dir.read("cmdline").unwrap_or_default();
    let said = arguments.split(|byte| *byte == 0).rfind(|word| word.starts_with(b"--omit-"));
    match said {
        Some(b"--omit-always") => true,
        Some(b"--omit-never") => false,
        Some(_) | None => targets.contains(&pid) || stat.ppid == 1,
    }
}

fn list(targets: &[Target]) -> String {
    let noun = |scope| if scope == Scope::Tree { "process" } else { Scope::noun(scope) };
    targets.iter().map(|target| format!("{} {}", noun(target.scope), target.id)).collect::<Vec<_>>().join(", ")
}
