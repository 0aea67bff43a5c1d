//! Decisions that flags of the command line take without a script: `--file PATTERN=ACTION`, `--save-*`, `--relocate`, `--no-restore-pid`.
//!
//! Each flag is a policy like a script, and stands above all scripts. Pure.

use super::event::{Event, FileEvent, Name};
use super::pattern::Pattern;
use super::relocate::Relocation;
use super::verdict::{Ids, RestartChoice, Verdict};
use super::{Policy, PolicyError, Reply};
use crate::image::{FileAction, FileChoice, LostSort, ObjectAction, ObjectChoice};

/// One `--file PATTERN=ACTION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRule {
    /// Which files.
    pub pattern: Pattern,
    /// What becomes of them.
    pub action: FileAction,
}

/// All `--file` rules; the first that matches counts.
pub struct FileRules(pub Vec<FileRule>);

impl Policy for FileRules {
    fn hears(&self, name: Name) -> bool {
        name == Name::FileDisposition && !self.0.is_empty()
    }

    fn decide(&mut self, event: &Event) -> Result<Reply, PolicyError> {
        let Event::FileDisposition(file) = event else { return Ok(Reply::nothing()) };
        let rule = self.0.iter().find(|rule| rule.pattern.matches(&file.path));
        Ok(rule.map_or(Reply::nothing(), |rule| {
            let choice = FileChoice { action: rule.action, path: None };
            Reply::verdict(Verdict::File(choice), format!("--file {}={}", rule.pattern.as_str(), rule.action.word()))
        }))
    }
}

/// Which mapped files travel in the context file (`--save-exe`, `--save-private`, `--save-shared`, `--save-all`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SaveFiles {
    /// The program.
    pub exe: bool,
    /// Files mapped privately: libraries and the program.
    pub private: bool,
    /// Files mapped shared.
    pub shared: bool,
}

impl SaveFiles {
    /// The flag that wants this file saved.
    fn wants(&self, file: &FileEvent) -> Option<&'static str> {
        if !file.mapped {
            None
        } else if self.exe && file.executable {
            Some("--save-exe")
        } else if self.private && (file.executable || !file.shared) {
            Some("--save-private")
        } else if self.shared && file.shared {
            Some("--save-shared")
        } else {
            None
        }
    }
}

impl Policy for SaveFiles {
    fn hears(&self, name: Name) -> bool {
        name == Name::FileDisposition && *self != SaveFiles::default()
    }

    fn decide(&mut self, event: &Event) -> Result<Reply, PolicyError> {
        let Event::FileDisposition(file) = event else { return Ok(Reply::nothing()) };
        let choice = FileChoice { action: FileAction::Substitute, path: None };
        Ok(self.wants(file).map_or(Reply::nothing(), |flag| Reply::verdict(Verdict::File(choice), flag)))
    }
}

/// `--allow-lost SORT`: state that may be lost.
pub struct AllowLost(pub Vec<LostSort>);

impl Policy for AllowLost {
    fn hears(&self, name: Name) -> bool {
        name == Name::ObjectDisposition && !self.0.is_empty()
    }

    fn decide(&mut self, event: &Event) -> Result<Reply, PolicyError> {
        let Event::ObjectDisposition(object) = event else { return Ok(Reply::nothing()) };
        let sort = self.0.iter().find(|sort| sort.word() == object.kind);
        Ok(sort.map_or(Reply::nothing(), |sort| {
            let choice = ObjectChoice { action: ObjectAction::Lose, path: None };
            Reply::verdict(Verdict::Object(choice), format!("--allow-lost {}", sort.word()))
        }))
    }
}

/// The flags of a restart that scripts could decide, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestartFlags {
    /// `--relocate`, in order.
    pub relocate: Vec<Relocation>,
    /// `--restore-pid`, `--no-restore-pid`, `--namespace`, if one was given.
    pub ids: Option<Ids>,
}

impl Policy for RestartFlags {
    fn hears(&self, name: Name) -> bool {
        name == Name::PreRestart && *self != RestartFlags::default()
    }

    fn decide(&mut self, event: &Event) -> Result<Reply, PolicyError> {
        if event.name() != Name::PreRestart {
            return Ok(Reply::nothing());
        }
        let choice = RestartChoice { relocate: self.relocate.clone(), ids: self.ids, ..RestartChoice::default() };
        Ok(Reply::verdict(Verdict::Restart(choice), "command line"))
    }
}

#[cfg(test)]
mod test {
    use super::*;

    fn answer(policy: &mut dyn Policy, file: FileEvent) -> Option<(String, String)> {
        let reply = policy.decide(&Event::FileDisposition(file)).unwrap();
        reply.opinion.map(|opinion| (opinion.verdict.word(), opinion.by))
    }

    #[test]
    fn the_first_pattern_that_matches_decides() {
        let rule = |pattern: &str, action| FileRule { pattern: Pattern::path(pattern).unwrap(), action };
        let mut rules = FileRules(vec![rule("/tmp/*.log", FileAction::Append), rule("/tmp/**", FileAction::Replace)]);
        let at = |path: &str| FileEvent { path: path.into(), ..FileEvent::default() };
        assert_eq!(answer(&mut rules, at("/tmp/a.log")), Some(("append".into(), "--file /tmp/*.log=append".into())));
        assert_eq!(answer(&mut rules, at("/tmp/b/a.log")), Some(("replace".into(), "--file /tmp/**=replace".into())));
        assert_eq!(answer(&mut rules, at("/var/a.log")), None);
    }

    #[test]
    fn each_save_flag_wants_its_files() {
        let file = |mapped, executable, shared| FileEvent { mapped, executable, shared, ..FileEvent::default() };
        let flag = |mut save: SaveFiles, file| answer(&mut save, file).map(|(_, by)| by);
        let (exe, private, shared) = (
            SaveFiles { exe: true, ..SaveFiles::default() },
            SaveFiles { private: true, ..SaveFiles::default() },
            SaveFiles { shared: true, ..SaveFiles::default() },
        );
        for (save, file, expected) in [
            (exe, file(true, true, false), Some("--save-exe")),
            (exe, file(true, false, false), None),
            (private, file(true, true, false), Some("--save-private")),
            (private, file(true, false, false), Some("--save-private")),
            (private, file(true, false, true), None),
            (shared, file(true, false, true), Some("--save-shared")),
            (shared, file(false, false, false), None),
        ] {
            assert_eq!(flag(save, file.clone()).as_deref(), expected, "{save:?} {file:?}");
        }
    }
}
