//! What a policy may answer, and how an answer is read from plain data.
//!
//! Relies on the words of `image` for dispositions, because they are kept in context files. One table says which words belong to which
//! event; a word that does not is refused with the ones that do, never passed over.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use super::event::Name;
use super::relocate::Relocation;
use crate::error::Class;
use crate::image::{AreaAction, FileAction, FileChoice, ObjectAction, ObjectChoice};

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Do nothing and succeed (`pre-checkpoint`).
    Skip,
    /// Leave the process out, and what descends from it (`process`).
    Omit,
    /// What becomes of a file.
    File(FileChoice),
    /// What becomes of another object.
    Object(ObjectChoice),
    /// What becomes of the contents of an area.
    Area(AreaAction),
    /// How the job goes on after its checkpoint.
    Afterwards(Afterwards),
    /// Paths and ids of a restart.
    Restart(RestartChoice),
    /// Try the restart again after this time.
    Retry(Duration),
    /// Exit with this status.
    Status(u8),
    /// Give up.
    Fail(Refusal),
}

/// Why somebody gives up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Who can fix it.
    pub class: Class,
    /// What is in the way.
    pub message: String,
    /// What the user can do.
    pub remedy: Option<String>,
    /// The exit status; that of ECANCELED (125) if it is absent.
    pub exit: Option<u8>,
}

/// How the job goes on after its checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// It runs on.
    Continue,
    /// SIGSTOP.
    Stop,
    /// SIGKILL.
    Kill,
}

/// Whether a restarted job keeps its process ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// It keeps them; they must be free.
    Keep,
    /// It keeps them if they are free, and else gets new ones.
    Any,
    /// It gets new ones.
    New,
    /// It keeps them in namespaces of its own, where they are free.
    Namespace,
}

/// Where a restarted process finds a directory of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directory {
    /// Where it was.
    Keep,
    /// Where the restarter is.
    Ignore,
}

/// What `pre-restart` decides; what is absent was not decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestartChoice {
    /// Leading path components to replace, most specific first.
    pub relocate: Vec<Relocation>,
    /// Process ids.
    pub ids: Option<Ids>,
    /// The working directories.
    pub cwd: Option<Directory>,
    /// The root directories.
    pub root: Option<Directory>,
}

/// An answer that does not fit its event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot be answered with {given}: {why}the answer is nil, {known}")]
pub struct Misfit {
    event: &'static str,
    given: String,
    why: String,
    known: &'static str,
}

/// The longest pause before another attempt: a day.
const LONGEST_PAUSE: f64 = 86_400.0;

impl Verdict {
    /// Reads the answer to an event; null is no answer.
    pub fn parse(name: Name, value: &Value) -> Result<Option<Verdict>, Misfit> {
        if value.is_null() {
            return Ok(None);
        }
        let misfit = || Misfit { event: name.word(), given: brief(value), why: faults(name, value), known: name.entry().answers };
        parse(name, value).map(Some).ok_or_else(misfit)
    }

    /// The word for tables and records.
    pub fn word(&self) -> String {
        let at = |word: &str, path: &Option<PathBuf>| match path {
            Some(path) => format!("{word} {}", path.display()),
            None => word.to_owned(),
        };
        match self {
            Verdict::Skip => "skip".into(),
            Verdict::Omit => "omit".into(),
            Verdict::File(choice) => at(choice.action.word(), &choice.path),
            Verdict::Object(ObjectChoice { action: ObjectAction::Open, path }) => at("open", path),
            Verdict::Object(choice) => choice.action.word().into(),
            Verdict::Area(action) => action.word().into(),
            Verdict::Afterwards(Afterwards::Continue) => "continue".into(),
            Verdict::Afterwards(Afterwards::Stop) => "stop".into(),
            Verdict::Afterwards(Afterwards::Kill) => "kill".into(),
            Verdict::Restart(choice) => choice.words().join(", "),
            Verdict::Retry(after) => format!("retry after {} s", after.as_secs_f64()),
            Verdict::Status(status) => format!("exit {status}"),
            Verdict::Fail(refusal) => format!("fail ({}): {}", refusal.class.word(), refusal.message),
        }
    }
}

impl RestartChoice {
    /// What it says that `others` have not said.
    pub fn beyond(self, others: &RestartChoice) -> RestartChoice {
        RestartChoice {
            relocate: self.relocate,
            ids: self.ids.filter(|_| others.ids.is_none()),
            cwd: self.cwd.filter(|_| others.cwd.is_none()),
            root: self.root.filter(|_| others.root.is_none()),
        }
    }

    /// Joins what another says below it.
    pub fn add(&mut self, other: RestartChoice) {
        self.relocate.extend(other.relocate);
        self.ids = self.ids.or(other.ids);
        self.cwd = self.cwd.or(other.cwd);
        self.root = self.root.or(other.root);
    }

    fn words(&self) -> Vec<String> {
        let ids = self.ids.map(|ids| match ids {
            Ids::Keep => "pid keep".to_owned(),
            Ids::Any => "pid any".to_owned(),
            Ids::New => "pid new".to_owned(),
            Ids::Namespace => "pid namespace".to_owned(),
        });
        let paths = self.relocate.iter().map(|rule| format!("relocate {}={}", rule.old.display(), rule.new.display()));
        let directory = |what: &str, choice: Option<Directory>| {
            choice.map(|choice| format!("{what} {}", if choice == Directory::Keep { "keep" } else { "ignore" }))
        };
        let directories = [directory("cwd", self.cwd), directory("root", self.root)].into_iter().flatten();
        ids.into_iter().chain(directories).chain(paths).collect()
    }
}

/// What is wrong with a table, each fault by itself, with a semicolon after the last.
fn faults(name: Name, value: &Value) -> String {
    let Value::Object(table) = value else { return String::new() };
    let fields: &[&str] = match name {
        Name::FileDisposition => &["action", "path"],
        Name::ObjectDisposition => &["path"],
        Name::PreRestart => &["relocate", "pid", "cwd", "root"],
        Name::FailTemp | Name::FailEnv => &["status", "retry", "after"],
        Name::CheckpointFailed | Name::OnSuccess | Name::JobExit | Name::FailArgs | Name::FailPerm => &["status"],
        _ => return String::new(),
    };
    let mut faults: Vec<String> =
        table.keys().filter(|key| !fields.contains(&key.as_str())).map(|key| format!("there is no field '{}'", brief_text(key))).collect();
    let is_word = |word: &Value| word.as_str().is_some_and(|word| FileAction::of(word).is_some());
    if let Some(word) = table.get("action").filter(|word| name == Name::FileDisposition && !is_word(word)) {
        faults.push(format!("there is no action {}", brief(word)));
    }
    let relocated = table.get("relocate").and_then(Value::as_object).into_iter().flatten();
    let relocated = relocated.flat_map(|(old, new)| [Value::from(old.as_str()), new.clone()]);
    let paths = table.get("path").cloned().into_iter().chain(relocated);
    faults.extend(paths.filter(|path| absolute(path).is_none()).map(|path| format!("the path {} is not absolute", brief(&path))));
    if faults.is_empty() { String::new() } else { faults.join(", ") + "; " }
}

fn brief_text(text: &str) -> String {
    text.chars().take(40).collect()
}

fn parse(name: Name, value: &Value) -> Option<Verdict> {
    let word = value.as_str();
    match name {
        Name::PreCheckpoint => (word == Some("skip")).then_some(Verdict::Skip),
        Name::Process => (word == Some("omit")).then_some(Verdict::Omit),
        Name::FileDisposition => file(value).map(Verdict::File),
        Name::ObjectDisposition => object(value).map(Verdict::Object),
        Name::AreaDisposition => AreaAction::of(word?).map(Verdict::Area),
        Name::PostCheckpoint => afterwards(word?).map(Verdict::Afterwards),
        // An empty table of Lua is an empty list.
        Name::PreRestart if value.as_array().is_some_and(Vec::is_empty) => Some(Verdict::Restart(RestartChoice::default())),
        Name::PreRestart => restart(value.as_object()?).map(Verdict::Restart),
        Name::CheckpointFailed | Name::OnSuccess | Name::JobExit | Name::FailArgs | Name::FailPerm => status(value),
        Name::FailTemp | Name::FailEnv => status(value).or_else(|| retry(value.as_object()?)),
        Name::Frozen | Name::PreResume => None,
    }
}

fn file(value: &Value) -> Option<FileChoice> {
    let (action, path) = match value {
        Value::Object(table) => {
            only(table, &["action", "path"])?;
            let action = table.get("action").map_or(Some(FileAction::Merge), |word| FileAction::of(word.as_str()?))?;
            let path = match table.get("path") {
                Some(path) => Some(absolute(path)?),
                None => None,
            };
            (action, path)
        }
        _ => (FileAction::of(value.as_str()?)?, None),
    };
    Some(FileChoice { action, path })
}

fn object(value: &Value) -> Option<ObjectChoice> {
    match value {
        Value::Object(table) => {
            only(table, &["path"])?;
            Some(ObjectChoice { action: ObjectAction::Open, path: Some(absolute(table.get("path")?)?) })
        }
        _ => {
            let action = ObjectAction::of(value.as_str()?).filter(|action| *action != ObjectAction::Open)?;
            Some(ObjectChoice { action, path: None })
        }
    }
}

fn afterwards(word: &str) -> Option<Afterwards> {
    match word {
        "continue" => Some(Afterwards::Continue),
        "stop" => Some(Afterwards::Stop),
        "kill" => Some(Afterwards::Kill),
        _ => None,
    }
}

fn restart(table: &Map<String, Value>) -> Option<RestartChoice> {
    only(table, &["relocate", "pid", "cwd", "root"])?;
    let ids = match table.get("pid").map(Value::as_str) {
        None => None,
        Some(Some("keep")) => Some(Ids::Keep),
        Some(Some("any")) => Some(Ids::Any),
        Some(Some("new")) => Some(Ids::New),
        Some(Some("namespace")) => Some(Ids::Namespace),
        Some(_) => return None,
    };
    let rule = |(old, new): (&String, &Value)| Some(Relocation { old: absolute(&Value::from(old.as_str()))?, new: absolute(new)? });
    let mut relocate: Vec<Relocation> = match table.get("relocate") {
        Some(Value::Object(rules)) => rules.iter().map(rule).collect::<Option<_>>()?,
        // An empty table of Lua is an empty list.
        Some(Value::Array(rules)) if rules.is_empty() => Vec::new(),
        Some(_) => return None,
        None => Vec::new(),
    };
    relocate.sort_by_key(|rule| std::cmp::Reverse(rule.old.components().count()));
    let directory = |field: &str| match table.get(field).map(Value::as_str) {
        None => Some(None),
        Some(Some("keep")) => Some(Some(Directory::Keep)),
        Some(Some("ignore")) => Some(Some(Directory::Ignore)),
        Some(_) => None,
    };
    Some(RestartChoice { relocate, ids, cwd: directory("cwd")?, root: directory("root")? })
}

/// A number, or a table with one.
fn status(value: &Value) -> Option<Verdict> {
    let number = match value {
        Value::Object(table) => {
            only(table, &["status"])?;
            table.get("status")?
        }
        number => number,
    };
    // A quotient is a float in Lua, also where it has no fraction.
    (0..=u8::MAX).find(|status| number.as_f64() == Some(f64::from(*status))).map(Verdict::Status)
}

fn retry(table: &Map<String, Value>) -> Option<Verdict> {
    only(table, &["retry", "after"])?;
    let after = table.get("after").map_or(Some(0.0), Value::as_f64).filter(|after| (0.0..=LONGEST_PAUSE).contains(after))?;
    (table.get("retry") == Some(&Value::Bool(true))).then(|| Verdict::Retry(Duration::from_secs_f64(after)))
}

fn absolute(value: &Value) -> Option<PathBuf> {
    value.as_str().map(PathBuf::from).filter(|path| path.is_absolute()).map(|path| path.components().collect())
}

fn only(table: &Map<String, Value>, known: &[&str]) -> Option<()> {
    table.keys().all(|key| known.contains(&key.as_str())).then_some(())
}

/// A value in a message: short, and recognizable.
fn brief(value: &Value) -> String {
    const MOST: usize = 80;
    let text = value.to_string();
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST).chain("…".chars()).collect() }
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::policy::event::EVENTS;
    use serde_json::json;

    fn word_of(name: Name, value: &Value) -> String {
        match Verdict::parse(name, value) {
            Ok(verdict) => verdict.map_or("nothing".into(), |verdict| verdict.word()),
            Err(misfit) => misfit.to_string(),
        }
    }

    #[test]
    fn answers_that_fit() {
        for (event, value, word) in [
            ("pre-checkpoint", json!("skip"), "skip"),
            ("process", json!("omit"), "omit"),
            ("file-disposition", json!("append"), "append"),
            ("file-disposition", json!({"action": "replace", "path": "/new//x"}), "replace /new/x"),
            ("file-disposition", json!({"path": "/x"}), "merge /x"),
            ("object-disposition", json!("close"), "close"),
            ("object-disposition", json!({"path": "/dev/null"}), "open /dev/null"),
            ("area-disposition", json!("skip"), "skip"),
            ("post-checkpoint", json!("stop"), "stop"),
            ("pre-restart", json!({"pid": "namespace"}), "pid namespace"),
            ("pre-restart", json!({"pid": "any", "cwd": "ignore", "root": "keep"}), "pid any, cwd ignore, root keep"),
            ("pre-restart", json!({"relocate": {"/a": "/x", "/a/b": "/y"}}), "relocate /a/b=/y, relocate /a=/x"),
            ("fail-temp", json!({"retry": true, "after": 1.5}), "retry after 1.5 s"),
            ("fail-temp", json!({"status": 75}), "exit 75"),
            ("fail-perm", json!(3), "exit 3"),
            ("on-success", json!(0), "exit 0"),
            ("job-exit", Value::Null, "nothing"),
        ] {
            assert_eq!(word_of(Name::of(event).unwrap(), &value), word, "{event} {value}");
        }
    }

    #[test]
    fn answers_that_do_not_fit_name_those_that_do() {
        for (event, value) in [
            ("pre-checkpoint", json!("omit")),
            ("pre-checkpoint", json!(true)),
            ("frozen", json!("skip")),
            ("file-disposition", json!("keep")),
            ("file-disposition", json!({"action": "merge", "pth": "/x"})),
            ("file-disposition", json!({"action": "merge", "path": "x"})),
            ("object-disposition", json!({"path": 7})),
            ("object-disposition", json!("open")),
            ("pre-restart", json!({"relocate": {"a": "/b"}})),
            ("pre-restart", json!({"pid": "old"})),
            ("pre-restart", json!({"cwd": "/tmp"})),
            ("fail-perm", json!({"retry": true})),
            ("fail-temp", json!({"retry": true, "after": -1})),
            ("fail-temp", json!({"retry": true, "after": 1e300})),
            ("on-success", json!(256)),
            ("on-success", json!(1.5)),
        ] {
            let text = word_of(Name::of(event).unwrap(), &value);
            assert!(text.starts_with(&format!("{event} cannot be answered with ")), "{text}");
        }
        let text = word_of(Name::AreaDisposition, &json!("x".repeat(500)));
        assert!(text.len() < 200, "{text}");
    }

    #[test]
    fn nothing_is_an_answer_to_every_event_and_a_nonsense_to_none() {
        for entry in EVENTS {
            assert_eq!(word_of(entry.name, &Value::Null), "nothing");
            assert!(Verdict::parse(entry.name, &json!([[]])).is_err(), "{}", entry.word);
        }
    }
}
