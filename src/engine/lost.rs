//! Lost state: what a job has and would come back without. Refused in words before anybody is stopped, unless somebody allows the loss.
//!
//! Here are the sorts that `/proc` shows without stopping anybody: namespaces that are not those of the checkpoint. Losses that are
//! allowed go into the description and are said at the checkpoint and at every restart. Relies on policies for the decision: the flag
//! `--allow-lost` and scripts are asked with `object-disposition`. Leaves to kinds what they lose themselves; they warn of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::elsewhere::is_restarter;
use super::note::Notes;
use crate::error::{At, Class, Classified, Failure, Stage, Subject};
use crate::image::{Lost, LostSort, ObjectAction, ObjectChoice, Snapshot};
use crate::policy::event::{ObjectEvent, Side};
use crate::policy::{Event, Name, Stack, Verdict};
use crate::proc::{ProcDir, ProcError, Status};
use crate::sys::namespace::{self, Sort};

/// Why lost state ends a checkpoint.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields are named in the messages")]
pub enum LostError {
    /// A process lives where we do not.
    #[error("process {pid}{}, which lives in a {words} namespace of its own, cannot be checkpointed", and_more(*others))]
    Namespaces { pid: i32, others: usize, words: String },
    /// In a pid namespace of its own a process knows itself and others by other ids than we do: saved by us, they would be wrong.
    #[error("process {pid}, which is process {there} of another pid namespace, cannot be checkpointed")]
    Foreign { pid: i32, there: i32, flags: &'static str },
    /// A script said so.
    #[error("process {pid}, which would lose its {words} namespace, cannot be checkpointed, as {by} decided")]
    Decided { pid: i32, words: String, by: String },
    /// `/proc` could not be read.
    #[error(transparent)]
    Proc(#[from] ProcError),
}

fn and_more(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => " and another one".into(),
        more => format!(" and {more} more"),
    }
}

impl Classified for LostError {
    fn class(&self) -> Class {
        match self {
            LostError::Namespaces { .. } | LostError::Foreign { .. } | LostError::Decided { .. } => Class::Perm,
            LostError::Proc(error) => error.class(),
        }
    }

    fn errno(&self) -> Option<i32> {
        match self {
            LostError::Namespaces { .. } | LostError::Foreign { .. } | LostError::Decided { .. } => Some(libc::EOPNOTSUPP),
            LostError::Proc(error) => error.errno(),
        }
    }

    fn subject(&self) -> Subject {
        match self {
            LostError::Namespaces { pid, .. } | LostError::Foreign { pid, .. } | LostError::Decided { pid, .. } => Subject::pid(*pid),
            LostError::Proc(error) => error.subject(),
        }
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            LostError::Namespaces { pid, .. } => format!(
                "run cr_checkpoint and cr_restart there (nsenter -t {pid} -a cr_checkpoint ...), or give the namespaces up with \
                 --allow-lost namespaces"
            ),
            LostError::Foreign { pid, flags, .. } => {
                format!("name a process in it by itself, or run cr_checkpoint there: nsenter -t {pid} {flags} cr_checkpoint ...")
            }
            LostError::Decided { .. } => "change the decision".into(),
            LostError::Proc(error) => return error.remedy(),
        })
    }
}

/// Sorts of namespaces that are compared. Those of children to come are compared with those of the process itself.
const SORTS: [Sort; 8] = [Sort::User, Sort::Pid, Sort::Mount, Sort::Network, Sort::Uts, Sort::Ipc, Sort::Cgroup, Sort::Time];

/// The namespaces that a restart can be expected to be in: those of whoever asked for the checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Home {
    names: Vec<(Sort, PathBuf)>,
}

impl Home {
    /// Our own. Sorts that this kernel does not have are left out.
    pub fn own() -> Home {
        let own = std::process::id().cast_signed();
        Home { names: SORTS.into_iter().filter_map(|sort| Some((sort, namespace::name_of(own, sort).ok()?))).collect() }
    }

    /// The user, pid, mount and IPC namespaces that `cr_restart` made for a job are none of the job's own: the next restart makes new ones.
    fn with_ours(mut self) -> Home {
        if is_restarter(1) {
            for (sort, name) in &mut self.names {
                if let (Sort::User | Sort::Pid | Sort::Mount | Sort::Ipc, Ok(made)) = (*sort, namespace::name_of(1, *sort)) {
                    *name = made;
                }
            }
        }
        self
    }

    fn is(&self, sort: Sort, name: &Path) -> bool {
        self.names.iter().find(|(known, _)| *known == sort).is_none_or(|(_, home)| home == name)
    }
}

/// What a job loses, and what has been decided about it.
pub struct Losses {
    home: Home,
    allowed: HashMap<(Sort, PathBuf), bool>,
    known: HashSet<i32>,
    time_is_settled: bool,
    found: BTreeMap<(i32, &'static str), PathBuf>,
}

impl Losses {
    /// `home`: the namespaces of whoever asks, if they are not ours any more.
    pub fn new(home: Option<Home>) -> Losses {
        let home = home.unwrap_or_else(Home::own).with_ours();
        Losses { home, allowed: HashMap::new(), known: HashSet::new(), time_is_settled: false, found: BTreeMap::new() }
    }

    /// A job in a time namespace comes back in one. So home is where its first process is, and only another than that would be lost.
    fn settle_time(&mut self, pids: &[i32]) {
        if std::mem::replace(&mut self.time_is_settled, true) {
            return;
        }
        if let Some(name) = pids.iter().find_map(|pid| namespace::name_of(*pid, Sort::Time).ok()) {
            self.home.names.retain(|(sort, _)| *sort != Sort::Time);
            self.home.names.push((Sort::Time, name));
        }
    }

    /// Looks at these processes and at their threads, and asks about what is new. Refuses what nobody allows. Who has ended is passed over.
    pub fn look(&mut self, pids: &[i32], policies: &mut Stack, stage: Stage) -> Result<(), Failure> {
        self.settle_time(pids);
        let mut refused: BTreeMap<i32, Vec<Sort>> = BTreeMap::new();
        for &pid in pids {
            let seen = match ProcDir::open(pid).and_then(|dir| Ok((dir.status()?, dir.tasks()?))) {
                Err(ProcError::Gone { .. }) => continue,
                seen => seen.map_err(LostError::from).at(stage)?,
            };
            let (status, tasks) = seen;
            refuse_foreign(pid, &status).at(stage)?;
            for tid in tasks {
                // The leader is looked at each time, other threads once.
                if tid != pid && !self.known.insert(tid) {
                    continue;
                }
                for (sort, name) in self.strange(tid) {
                    if self.allow(pid, sort, &name, policies, stage)? {
                        self.found.insert((pid, sort.word()), name);
                    } else if !refused.entry(pid).or_default().contains(&sort) {
                        refused.entry(pid).or_default().push(sort);
                    }
                }
            }
        }
        let Some((pid, _)) = refused.first_key_value() else { return Ok(()) };
        let mut words: Vec<&str> = refused.values().flatten().map(|sort| sort.word()).collect();
        words.sort_unstable();
        words.dedup();
        let words = match words.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
            None => String::new(),
        };
        Err(LostError::Namespaces { pid: *pid, others: refused.len() - 1, words }).at(stage)
    }

    /// The namespaces of a task that are not home. A link that cannot be read is left to the freeze, which needs the same right.
    fn strange(&self, tid: i32) -> Vec<(Sort, PathBuf)> {
        let name = |sort| namespace::name_of(tid, sort);
        let mut strange = Vec::new();
        for sort in SORTS {
            if let Ok(name) = name(sort)
                && !self.home.is(sort, &name)
            {
                strange.push((sort, name));
            }
        }
        for (sort, of_children) in [(Sort::Pid, Sort::PidForChildren), (Sort::Time, Sort::TimeForChildren)] {
            match (name(sort), name(of_children)) {
                (Ok(own), Ok(children)) if own != children => strange.push((of_children, children)),
                // A pid namespace without a first process has no name yet. Who has ended has no namespaces at all but that of its id.
                (Ok(own), Err(error)) if error.kind() == std::io::ErrorKind::NotFound && sort == Sort::Pid && name(Sort::Mount).is_ok() => {
                    strange.push((of_children, own));
                }
                _ => {}
            }
        }
        strange
    }

    /// Whether a namespace may be lost; asked once for each.
    fn allow(&mut self, pid: i32, sort: Sort, name: &Path, policies: &mut Stack, stage: Stage) -> Result<bool, Failure> {
        if let Some(allowed) = self.allowed.get(&(sort, name.to_owned())) {
            return Ok(*allowed);
        }
        let mut allowed = false;
        if policies.hears(Name::ObjectDisposition) {
            let event = ObjectEvent {
                side: Side::Checkpoint,
                pid,
                kind: LostSort::Namespaces.word().into(),
                path: name.display().to_string(),
                ..ObjectEvent::default()
            };
            let about = |failure: Failure| failure.about(Subject::pid(pid));
            let opinion = policies.ask(&Event::ObjectDisposition(event)).at(Stage::Review).map_err(about)?;
            if let Some(opinion) = opinion {
                policies.decided(name.display().to_string(), &opinion);
                match opinion.verdict {
                    Verdict::Object(ObjectChoice { action: ObjectAction::Lose, .. }) => allowed = true,
                    _ => return Err(LostError::Decided { pid, words: sort.word().into(), by: opinion.by }).at(stage).map_err(about),
                }
            }
        }
        self.allowed.insert((sort, name.to_owned()), allowed);
        Ok(allowed)
    }

    /// Puts what is lost into the description, and says it.
    pub fn describe(self, snapshot: &mut Snapshot, notes: &mut Notes) {
        let is_saved = |pid: i32| snapshot.processes.iter().any(|process| process.pid == pid);
        let found = self.found.into_iter().filter(|((pid, _), _)| is_saved(*pid));
        let lost =
            found.map(|((pid, word), name)| Lost { pid, sort: LostSort::Namespaces, what: format!("{word} namespace {}", name.display()) });
        snapshot.lost = lost.collect();
        for lost in &snapshot.lost {
            notes.lose(Subject::pid(lost.pid), format!("its {} is not kept: it comes back in that of cr_restart", lost.what));
        }
    }
}

/// Says again at a restart what was lost at the checkpoint.
pub fn remind(snapshot: &Snapshot, notes: &mut Notes) {
    for lost in &snapshot.lost {
        notes.lose(Subject::pid(lost.pid), format!("it had the {} and goes on in that of cr_restart", lost.what));
    }
}

fn refuse_foreign(pid: i32, status: &Status) -> Result<(), LostError> {
    let [_, .., there] = status.ns_tgid[..] else { return Ok(()) };
    let own = std::process::id().cast_signed();
    let same_users = namespace::name_of(pid, Sort::User).ok() == namespace::name_of(own, Sort::User).ok();
    Err(LostError::Foreign { pid, there, flags: if same_users { "-p -m" } else { "-U --preserve-credentials -p -m" } })
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::policy::rule::AllowLost;
    use std::process::{Child, Command, Stdio};

    /// A process in a UTS namespace of its own; none where we may not make one.
    fn elsewhere() -> Option<Child> {
        let mut command = Command::new("unshare");
        let mut child =
            command.args(["--uts", "sh", "-c", "echo; exec sleep 600"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let mut byte = [0];
        std::io::Read::read_exact(child.stdout.as_mut()?, &mut byte).ok()?;
        Some(child)
    }

    #[test]
    fn a_process_in_a_namespace_of_its_own_is_refused_unless_the_loss_is_allowed() {
        let Some(mut child) = elsewhere() else { return };
        let pid = child.id().cast_signed();
        let refused = Losses::new(None).look(&[pid], &mut Stack::default(), Stage::Select).unwrap_err();
        let mut allowing = Stack::default();
        allowing.push(AllowLost(vec![LostSort::Namespaces]));
        let mut losses = Losses::new(None);
        losses.look(&[pid], &mut allowing, Stage::Select).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(refused.cause.to_string(), format!("process {pid}, which lives in a UTS namespace of its own, cannot be checkpointed"));
        assert_eq!((refused.class, refused.code), (Class::Perm, libc::EOPNOTSUPP));
        assert_eq!(losses.found.keys().collect::<Vec<_>>(), [&(pid, "UTS")]);
        assert_eq!(allowing.decisions()[0].by, "--allow-lost namespaces");
    }

    #[test]
    fn who_lives_with_us_and_who_has_ended_loses_nothing() {
        let own = std::process::id().cast_signed();
        let mut losses = Losses::new(None);
        losses.look(&[own, i32::MAX], &mut Stack::default(), Stage::Select).unwrap();
        assert!(losses.found.is_empty());
    }
}
