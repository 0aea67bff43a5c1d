//! The attribute file of IRIX CPR (`$HOME/.cpr`): what becomes of files, of the job after its checkpoint, and of its ids and directories at a restart.
//!
//! A file has blocks, a block names ids and holds lines. [`parse`] reads it, [`rule`] answers events with it. Pure: whoever calls reads the files.
//! Which of several blocks and lines counts is not said by IRIX; here it is the most specific block, and in it the first line that fits.

pub mod explain;
pub mod parse;
pub mod rule;

use std::path::{Path, PathBuf};

pub use parse::{BadAttribute, Trouble};
pub use rule::{AtCheckpoint, AtRestart};

use super::pattern::Pattern;
use crate::image::{FileAction, Scope};

/// Makes an enum whose variants have words in capitals, as attribute files write them.
macro_rules! capitals {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$inner])* $variant,)+ }

        impl $name {
            /// Every word, in order.
            pub const WORDS: &[&str] = &[$($word),+];

            /// Every value, in order.
            pub const ALL: &[$name] = &[$($name::$variant),+];

            /// The word in attribute files and on command lines.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }

            /// What a word means.
            pub fn of(word: &str) -> Option<$name> {
                match word {
                    $($word => Some($name::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

capitals! {
    /// What an id names.
    IdType {
        /// A process, or a thread of it.
        Pid = "PID",
        /// A process group; not a group of users.
        Gid = "GID",
        /// A session.
        Sid = "SID",
        /// A hierarchy: a process with all its descendants.
        Hid = "HID",
        /// A share group: all processes that share an address space with this one.
        Sgp = "SGP",
        /// An array session: here a job of a batch system.
        Ash = "ASH",
        /// An IRIX job: here a control group.
        Jid = "JID",
    }
}

capitals! {
    /// What a line is about.
    Domain {
        /// What becomes of open files.
        File = "FILE",
        /// What becomes of the processes after their checkpoint.
        Will = "WILL",
        /// Which working directory a restart takes.
        Cdir = "CDIR",
        /// Which root directory a restart takes.
        Rdir = "RDIR",
        /// Which process ids a restart takes.
        Fork = "FORK",
    }
}

impl IdType {
    /// The scope of a request that means the same.
    pub fn scope(self) -> Scope {
        match self {
            IdType::Pid => Scope::Process,
            IdType::Gid => Scope::Group,
            IdType::Sid => Scope::Session,
            IdType::Hid => Scope::Tree,
            IdType::Sgp => Scope::Share,
            IdType::Ash => Scope::Batch,
            IdType::Jid => Scope::Cgroup,
        }
    }

    /// The type for the scope of a context file.
    pub fn of_scope(scope: Scope) -> IdType {
        match scope {
            Scope::Process => IdType::Pid,
            Scope::Group => IdType::Gid,
            Scope::Session => IdType::Sid,
            Scope::Tree => IdType::Hid,
            Scope::Share => IdType::Sgp,
            Scope::Batch => IdType::Ash,
            Scope::Cgroup => IdType::Jid,
        }
    }
}

impl Domain {
    /// The actions that a line about it may name.
    pub fn actions(self) -> &'static [&'static str] {
        match self {
            Domain::File => &["MERGE", "IGNORE", "APPEND", "REPLACE", "SUBSTITUTE"],
            Domain::Will => &["EXIT", "KILL", "CONT"],
            Domain::Cdir | Domain::Rdir => &["REPLACE", "IGNORE"],
            Domain::Fork => &["ORIGINAL", "ANY"],
        }
    }

    /// What holds if no line says anything.
    pub fn default(self) -> &'static str {
        self.actions()[0]
    }
}

/// An id as a request names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id {
    /// What it names.
    pub kind: IdType,
    /// The number.
    pub number: i64,
}

/// The files that count, the first before the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes(pub Vec<AttributeFile>);

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeFile {
    /// Where it stands, for messages.
    pub path: PathBuf,
    /// Its blocks, in order.
    pub blocks: Vec<Block>,
}

/// `CKPT IDtype IDvalue { … }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The type; `None` is `*`.
    pub kind: Option<IdType>,
    /// The number; `None` is `*`.
    pub number: Option<i64>,
    /// Where it begins, from 1.
    pub line: usize,
    /// What it says, in order.
    pub lines: Vec<Line>,
}

/// `FILE: "/tmp/*": REPLACE`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is about.
    pub domain: Domain,
    /// Which files, for [`Domain::File`]; `None` is all.
    pub instance: Option<Pattern>,
    /// One of [`Domain::actions`].
    pub action: &'static str,
    /// Where it stands, from 1.
    pub line: usize,
}

/// A line that counts, and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// The file.
    pub path: &'a Path,
    /// The line.
    pub line: &'a Line,
}

/// A block that counts, and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'a> {
    /// The file.
    pub path: &'a Path,
    /// The block.
    pub block: &'a Block,
}

impl Block {
    /// Whether it is about this id.
    pub fn matches(&self, id: Id) -> bool {
        self.kind.is_none_or(|kind| kind == id.kind) && self.number.is_none_or(|number| number == id.number)
    }

    /// The larger, the more it says about whom it means.
    fn specificity(&self) -> u8 {
        u8::from(self.number.is_some()) * 2 + u8::from(self.kind.is_some())
    }

    /// The first line, as it would be written.
    pub fn heading(&self) -> String {
        let kind = self.kind.map_or("*", IdType::word);
        let number = self.number.map_or("*".to_owned(), |number| spell(self.kind, number));
        format!("CKPT {kind} {number}")
    }
}

/// An id as IRIX writes it: array sessions and jobs in hexadecimal digits.
fn spell(kind: Option<IdType>, number: i64) -> String {
    if matches!(kind, Some(IdType::Jid)) { format!("{number:#x}") } else { number.to_string() }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", spell(Some(self.kind), self.number), self.kind.word())
    }
}

impl Attributes {
    /// The block that counts for an id: of the first file that has one, the most specific, and of those the first.
    pub fn block(&self, id: Id) -> Option<Chosen<'_>> {
        self.0.iter().find_map(|file| {
            let matching = file.blocks.iter().filter(|block| block.matches(id));
            let block = matching.reduce(|best, next| if best.specificity() < next.specificity() { next } else { best })?;
            Some(Chosen { path: &file.path, block })
        })
    }

    /// The lines that count for a request, those of its first id first.
    pub fn lines(&self, ids: &[Id]) -> Vec<Found<'_>> {
        let chosen = ids.iter().filter_map(|id| self.block(*id));
        chosen.flat_map(|Chosen { path, block }| block.lines.iter().map(move |line| Found { path, line })).collect()
    }
}

impl Found<'_> {
    /// The line as messages and decisions show it.
    pub fn by(&self) -> String {
        let Line { domain, instance, action, line } = self.line;
        let instance = instance.as_ref().map_or(String::new(), |pattern| format!(" \"{}\"", pattern.as_str()));
        format!("{}:{line} {}{instance} {action}", self.path.display(), domain.word())
    }

    /// Whether it is about this file.
    fn covers(&self, path: &str) -> bool {
        self.line.domain == Domain::File && self.line.instance.as_ref().is_none_or(|pattern| pattern.matches(path))
    }
}

/// What a FILE action means here.
pub fn file_action(action: &str) -> FileAction {
    FileAction::of(&action.to_ascii_lowercase()).unwrap_or_default()
}

#[cfg(test)]
mod test {
    use super::*;

    pub fn attributes(text: &str) -> Attributes {
        Attributes(vec![AttributeFile::parse(text, Path::new("/home/ann/.cpr")).unwrap_or_else(|error| panic!("{error}"))])
    }

    fn id(kind: IdType, number: i64) -> Id {
        Id { kind, number }
    }

    #[test]
    fn every_word_leads_back_to_what_it_names_and_file_actions_are_those_of_context_files() {
        assert!(IdType::ALL.iter().all(|kind| IdType::of(kind.word()) == Some(*kind) && IdType::of_scope(kind.scope()) == *kind));
        assert!(Domain::ALL.iter().all(|domain| Domain::of(domain.word()) == Some(*domain)));
        for action in Domain::File.actions() {
            assert_eq!(file_action(action).word().to_uppercase(), *action);
        }
    }

    #[test]
    fn the_most_specific_block_counts_and_of_those_the_first() {
        let attributes = attributes(
            "CKPT * * { WILL CONT }\nCKPT HID * { WILL KILL }\nCKPT HID 7 { WILL EXIT }\nCKPT HID 7 { WILL CONT }\nCKPT * 8 { WILL KILL }",
        );
        for (asked, line) in
            [(id(IdType::Pid, 1), 1), (id(IdType::Hid, 1), 2), (id(IdType::Hid, 7), 3), (id(IdType::Pid, 7), 1), (id(IdType::Hid, 8), 5)]
        {
            assert_eq!(attributes.block(asked).unwrap().block.line, line, "{asked}");
        }
    }

    #[test]
    fn the_file_of_the_user_counts_before_that_of_the_machine() {
        let parse = |text: &str, path: &str| AttributeFile::parse(text, Path::new(path)).unwrap();
        let both = Attributes(vec![parse("CKPT * * { WILL CONT }", "/home/ann/.cpr"), parse("CKPT PID 5 { WILL KILL }", "/etc/cpr_proto")]);
        assert_eq!(both.lines(&[id(IdType::Pid, 5)])[0].by(), "/home/ann/.cpr:1 WILL CONT");
        let other = Attributes(vec![parse("CKPT PID 6 { WILL CONT }", "/home/ann/.cpr"), both.0[1].clone()]);
        assert_eq!(other.lines(&[id(IdType::Pid, 5)])[0].by(), "/etc/cpr_proto:1 WILL KILL");
    }

    #[test]
    fn several_ids_are_governed_by_all_their_blocks_in_order() {
        let attributes = attributes("CKPT PID 1 { FORK ANY }\nCKPT GID 2 { WILL CONT FORK ORIGINAL }");
        let by: Vec<String> = attributes.lines(&[id(IdType::Gid, 2), id(IdType::Pid, 1)]).iter().map(Found::by).collect();
        let expected = ["/home/ann/.cpr:2 WILL CONT", "/home/ann/.cpr:2 FORK ORIGINAL", "/home/ann/.cpr:1 FORK ANY"];
        assert_eq!(by, expected);
        assert!(attributes.lines(&[id(IdType::Sid, 9)]).is_empty());
    }
}
