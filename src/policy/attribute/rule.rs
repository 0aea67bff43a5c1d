//! Attribute files as policies of a checkpoint and of a restart.
//!
//! At a checkpoint FILE is asked about each file, WILL is settled with the request, and FORK, CDIR and RDIR are noted in the context file for its
//! restarts. At a restart the file of then counts first, and what was noted after it. Pure.

use super::{Attributes, Domain, Found, Id, IdType, file_action};
use crate::image::{FileChoice, Snapshot};
use crate::policy::verdict::{Afterwards, Directory, Ids, RestartChoice, Verdict};
use crate::policy::{Event, Name, Opinion, Policy, PolicyError, Reply, Stack};

/// Notes of this kind in a context file are attributes for its restarts.
const NOTE: &str = "attribute ";

/// The lines that count for a checkpoint.
#[derive(Debug, Clone, Default)]
pub struct AtCheckpoint {
    attributes: Attributes,
    ids: Vec<Id>,
}

impl AtCheckpoint {
    /// What these files say about these ids.
    pub fn new(attributes: Attributes, ids: Vec<Id>) -> AtCheckpoint {
        AtCheckpoint { attributes, ids }
    }

    /// The first line about something, if there is any.
    pub fn first(&self, domain: Domain) -> Option<Found<'_>> {
        self.attributes.lines(&self.ids).into_iter().find(|found| found.line.domain == domain)
    }

    /// What the processes do afterwards, if a line says so.
    pub fn will(&self) -> Option<Opinion> {
        let found = self.first(Domain::Will)?;
        let afterwards = if found.line.action == "CONT" { Afterwards::Continue } else { Afterwards::Kill };
        Some(Opinion { verdict: Verdict::Afterwards(afterwards), by: found.by() })
    }

    /// The line about a file.
    pub fn file(&self, path: &str) -> Option<Found<'_>> {
        self.attributes.lines(&self.ids).into_iter().find(|found| found.covers(path))
    }

    /// Notes what a restart of this checkpoint is to do, and, if that `counts`, what becomes of the processes afterwards.
    pub fn note(&self, stack: &mut Stack, counts: bool) {
        if let Some(will) = self.will().filter(|_| counts) {
            stack.decided("afterwards", &will);
        }
        for domain in [Domain::Fork, Domain::Cdir, Domain::Rdir] {
            let Some(found) = self.first(domain) else { continue };
            stack.annotate(format!("{NOTE}{}", domain.word()), found.line.action);
            let verdict = Verdict::Restart(choice(domain, found.line.action));
            stack.decided("restart", &Opinion { verdict, by: found.by() });
        }
    }
}

impl Policy for AtCheckpoint {
    fn hears(&self, name: Name) -> bool {
        name == Name::FileDisposition && self.first(Domain::File).is_some()
    }

    fn decide(&mut self, event: &Event) -> Result<Reply, PolicyError> {
        let Event::FileDisposition(file) = event else { return Ok(Reply::nothing()) };
        Ok(self.file(&file.path).map_or(Reply::nothing(), |found| {
            let choice = FileChoice { action: file_action(found.line.action), path: None };
            Reply::verdict(Verdict::File(choice), found.by())
        }))
    }
}

/// The lines that count for a restart: of the files of now, and those that the checkpoint noted.
#[derive(Debug, Clone, Default)]
pub struct AtRestart {
    attributes: Attributes,
    /// What was found for the context file at hand.
    choice: RestartChoice,
    by: Vec<String>,
}

impl AtRestart {
    /// What these files say, and whatever a context file notes.
    pub fn new(attributes: Attributes) -> AtRestart {
        AtRestart { attributes, ..AtRestart::default() }
    }
}

/// What one line means for a restart.
fn choice(domain: Domain, action: &str) -> RestartChoice {
    let directory = || Some(if action == "IGNORE" { Directory::Ignore } else { Directory::Keep });
    match domain {
        Domain::Fork => RestartChoice { ids: Some(if action == "ANY" { Ids::Any } else { Ids::Keep }), ..RestartChoice::default() },
        Domain::Cdir => RestartChoice { cwd: directory(), ..RestartChoice::default() },
        Domain::Rdir => RestartChoice { root: directory(), ..RestartChoice::default() },
        Domain::File | Domain::Will => RestartChoice::default(),
    }
}

impl Policy for AtRestart {
    fn hears(&self, name: Name) -> bool {
        name == Name::PreRestart && self.choice != RestartChoice::default()
    }

    fn decide(&mut self, event: &Event) -> Result<Reply, PolicyError> {
        if event.name() != Name::PreRestart {
            return Ok(Reply::nothing());
        }
        Ok(Reply::verdict(Verdict::Restart(self.choice.clone()), self.by.join(", ")))
    }

    fn opened(&mut self, snapshot: &Snapshot) {
        let ids: Vec<Id> = snapshot.targets().map(|(scope, number)| Id { kind: IdType::of_scope(scope), number }).collect();
        (self.choice, self.by) = (RestartChoice::default(), Vec::new());
        for domain in [Domain::Fork, Domain::Cdir, Domain::Rdir] {
            let found = self.attributes.lines(&ids).into_iter().find(|found| found.line.domain == domain);
            let noted = || {
                let name = format!("{NOTE}{}", domain.word());
                let (_, action) = snapshot.annotations.iter().find(|(key, _)| *key == name)?;
                Some((action.clone(), format!("{} {action} of the checkpoint", domain.word())))
            };
            let Some((action, by)) = found.map(|found| (found.line.action.to_owned(), found.by())).or_else(noted) else { continue };
            let RestartChoice { ids, cwd, root, relocate: _ } = choice(domain, &action);
            self.choice.ids = self.choice.ids.or(ids);
            self.choice.cwd = self.choice.cwd.or(cwd);
            self.choice.root = self.choice.root.or(root);
            self.by.push(by);
        }
    }
}

#[cfg(test)]
mod test {
    use super::super::test::attributes;
    use super::*;
    use crate::image::Scope;
    use crate::policy::event::FileEvent;

    fn hid(number: i64) -> Vec<Id> {
        vec![Id { kind: IdType::Hid, number }]
    }

    #[test]
    fn the_first_file_line_that_fits_decides_and_stars_cross_slashes() {
        let text = "CKPT HID 5 {\nFILE: \"*.log\": APPEND\nFILE: \"/tmp/*\": REPLACE\nFILE \"/data/?\" IGNORE\n}";
        let mut policy = AtCheckpoint::new(attributes(text), hid(5));
        let mut answer = |path: &str| {
            let event = Event::FileDisposition(FileEvent { path: path.into(), ..FileEvent::default() });
            policy.decide(&event).unwrap().opinion.map(|opinion| (opinion.verdict.word(), opinion.by))
        };
        let by = |line: &str| format!("/home/ann/.cpr:{line}");
        assert_eq!(answer("/tmp/a/b.log"), Some(("append".into(), by("2 FILE \"*.log\" APPEND"))));
        assert_eq!(answer("/tmp/a/b"), Some(("replace".into(), by("3 FILE \"/tmp/*\" REPLACE"))));
        assert_eq!(answer("/data/x").unwrap().0, "ignore");
        assert_eq!(answer("/srv/x"), None);
        assert!(policy.hears(Name::FileDisposition) && !policy.hears(Name::PostCheckpoint));
        assert!(!AtCheckpoint::new(attributes("CKPT HID 5 { WILL CONT }"), hid(5)).hears(Name::FileDisposition));
    }

    #[test]
    fn will_is_said_or_not() {
        let will = |text: &str| AtCheckpoint::new(attributes(text), hid(5)).will().map(|opinion| opinion.verdict.word());
        assert_eq!(will("CKPT HID 5 { WILL CONT }").as_deref(), Some("continue"));
        assert_eq!(will("CKPT HID 5 { WILL KILL }").as_deref(), Some("kill"));
        assert_eq!(will("CKPT * { WILL EXIT }").as_deref(), Some("kill"));
        assert_eq!(will("CKPT HID 6 { WILL CONT }"), None);
    }

    #[test]
    fn what_the_checkpoint_noted_counts_after_the_file_of_the_restart() {
        let mut stack = Stack::default();
        AtCheckpoint::new(attributes("CKPT HID 5 { FORK ANY CDIR IGNORE RDIR REPLACE }"), hid(5)).note(&mut stack, true);
        assert_eq!(stack.decisions().len(), 3, "{:?}", stack.decisions());
        let annotations = stack.annotations().clone().into_iter().collect();
        let snapshot = Snapshot { scope: Scope::Tree, ids: vec![5], annotations, ..Snapshot::default() };
        let heard = |text: &str| {
            let mut policy = AtRestart::new(attributes(text));
            policy.opened(&snapshot);
            let reply = policy.decide(&Event::PreRestart(Box::default())).unwrap();
            reply.opinion.map(|opinion| (opinion.verdict.word(), opinion.by)).unwrap()
        };
        let (verdict, by) = heard("");
        assert_eq!(verdict, "pid any, cwd ignore, root keep");
        assert_eq!(by, "FORK ANY of the checkpoint, CDIR IGNORE of the checkpoint, RDIR REPLACE of the checkpoint");
        let (verdict, by) = heard("CKPT HID 5 { FORK ORIGINAL }");
        assert_eq!(verdict, "pid keep, cwd ignore, root keep");
        assert!(by.starts_with("/home/ann/.cpr:1 FORK ORIGINAL, "), "{by}");
        let mut silent = AtRestart::default();
        silent.opened(&Snapshot::default());
        assert!(!silent.hears(Name::PreRestart));
    }
}
