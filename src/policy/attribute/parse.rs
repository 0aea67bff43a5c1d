//! The grammar of attribute files. IRIX documents it with colons and uses it without; both are read, mixed as one likes.
//!
//! ```text
//! file  = { "CKPT" type value "{" { line } "}" }       # comments run from # to the end of the line
//! type  = "PID" | "GID" | "SID" | "HID" | "SGP" | "ASH" | "JID" | "*"
//! value = decimal | "0x" hexadecimal | "*"              # may be left out after the type *
//! line  = policy [":"] [ "\"" pattern "\"" [":"] ] action
//! ```

use std::path::{Path, PathBuf};

use super::{AttributeFile, Block, Domain, IdType, Line};
use crate::error::{Class, Classified, Subject};
use crate::policy::pattern::{BadPattern, Pattern};

/// Where an attribute file is wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}:{column}: {trouble}", path.display())]
pub struct BadAttribute {
    /// The file.
    pub path: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Character in that line, from 1.
    pub column: usize,
    /// What is wrong.
    #[source]
    pub trouble: Trouble,
}

/// What can be wrong with an attribute file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "fields are named in the messages")]
pub enum Trouble {
    /// Something else has to stand here.
    #[error("expected {expected}, not {found}")]
    Expected { expected: &'static str, found: String },
    /// A word that is not among those known.
    #[error("'{found}' is no {what}; known are {}", .known.join(", "))]
    Unknown { what: String, found: String, known: Vec<&'static str> },
    /// A number that is none.
    #[error("'{found}' is no {kind} number: write it in decimal digits, or in hexadecimal ones after 0x")]
    Number { kind: &'static str, found: String },
    /// Only files come in instances.
    #[error("{domain} takes no instance: only FILE does")]
    Instance { domain: &'static str },
    /// A quotation mark that nothing ends.
    #[error("the quoted text does not end on its line")]
    Unquoted,
    /// A pattern that cannot be understood.
    #[error(transparent)]
    Pattern(#[from] BadPattern),
}

impl Classified for BadAttribute {
    fn class(&self) -> Class {
        Class::Args
    }

    fn errno(&self) -> Option<i32> {
        Some(libc::EINVAL)
    }

    fn subject(&self) -> Subject {
        Subject::path(&self.path)
    }

    fn remedy(&self) -> Option<String> {
        Some("mend the line; the form is: CKPT PID 1111 { FILE: \"/tmp/*\": REPLACE  WILL: CONT }".into())
    }
}

/// A word, and where it stands.
#[derive(Debug, Clone)]
struct Token {
    kind: Kind,
    line: usize,
    column: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Word(String),
    Quoted(String),
    Colon,
    Open,
    Close,
    End,
}

impl Kind {
    fn shown(&self) -> String {
        match self {
            Kind::Word(word) => format!("'{}'", brief(word)),
            Kind::Quoted(text) => format!("\"{}\"", brief(text)),
            Kind::Colon => "':'".into(),
            Kind::Open => "'{'".into(),
            Kind::Close => "'}'".into(),
            Kind::End => "the end of the file".into(),
        }
    }
}

fn brief(text: &str) -> String {
    const MOST: usize = 60;
    text.chars().filter(|c| !c.is_control()).take(MOST).collect()
}

impl AttributeFile {
    /// Reads the text of a file.
    pub fn parse(text: &str, path: &Path) -> Result<AttributeFile, BadAttribute> {
        let fault = |(line, column, trouble)| BadAttribute { path: path.to_owned(), line, column, trouble };
        let tokens = tokens(text).map_err(fault)?;
        let mut parser = Parser { tokens, next: 0 };
        let mut blocks = Vec::new();
        while parser.peek() != &Kind::End {
            blocks.push(parser.block().map_err(fault)?);
        }
        Ok(AttributeFile { path: path.to_owned(), blocks })
    }
}

type Fault = (usize, usize, Trouble);

fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let mut tokens = Vec::new();
    let mut last = (1, 1);
    for (number, text) in text.lines().enumerate() {
        let line = number + 1;
        let characters: Vec<char> = text.chars().collect();
        let mut at = 0;
        while at < characters.len() {
            let begin = at;
            at += 1;
            let kind = match characters[begin] {
                '#' => break,
                c if c.is_whitespace() => continue,
                ':' => Kind::Colon,
                '{' => Kind::Open,
                '}' => Kind::Close,
                '"' => {
                    let rest = &characters[at..];
                    let length = rest.iter().position(|c| *c == '"').ok_or((line, begin + 1, Trouble::Unquoted))?;
                    at += length + 1;
                    Kind::Quoted(rest[..length].iter().collect())
                }
                _ => {
                    let ends = |c: &char| c.is_whitespace() || matches!(c, ':' | '{' | '}' | '"' | '#');
                    at = characters[begin..].iter().position(ends).map_or(characters.len(), |length| begin + length);
                    Kind::Word(characters[begin..at].iter().collect())
                }
            };
            tokens.push(Token { kind, line, column: begin + 1 });
        }
        last = (line, characters.len() + 1);
    }
    tokens.push(Token { kind: Kind::End, line: last.0, column: last.1 });
    Ok(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
}

impl Parser {
    fn peek(&self) -> &Kind {
        &self.tokens[self.next].kind
    }

    fn take(&mut self) -> Token {
        let token = self.tokens[self.next].clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    fn skip(&mut self, kind: &Kind) -> bool {
        let is_there = self.peek() == kind;
        if is_there {
            self.take();
        }
        is_there
    }

    fn expect(&mut self, kind: &Kind, expected: &'static str) -> Result<(), Fault> {
        let token = self.take();
        if token.kind == *kind { Ok(()) } else { Err(token.unexpected(expected)) }
    }

    fn word(&mut self, expected: &'static str) -> Result<(String, Token), Fault> {
        let token = self.take();
        match &token.kind {
            Kind::Word(word) => Ok((word.clone(), token)),
            _ => Err(token.unexpected(expected)),
        }
    }

    fn block(&mut self) -> Result<Block, Fault> {
        let (word, token) = self.word("CKPT")?;
        if word != "CKPT" {
            return Err(token.unexpected("CKPT"));
        }
        let line = token.line;
        let (word, token) = self.word("the type of an id")?;
        let unknown = || Trouble::Unknown { what: "type of an id".into(), found: brief(&word), known: with_star() };
        let kind = if word == "*" { None } else { Some(IdType::of(&word).ok_or_else(|| token.fault(unknown()))?) };
        self.skip(&Kind::Colon);
        let number = if kind.is_none() && self.peek() == &Kind::Open { None } else { self.number(kind)? };
        self.expect(&Kind::Open, "'{'")?;
        let mut lines = Vec::new();
        while !self.skip(&Kind::Close) {
            lines.push(self.line()?);
        }
        Ok(Block { kind, number, line, lines })
    }

    fn number(&mut self, kind: Option<IdType>) -> Result<Option<i64>, Fault> {
        let (word, token) = self.word("an id, or *")?;
        if word == "*" {
            return Ok(None);
        }
        let wrong = || token.fault(Trouble::Number { kind: kind.map_or("id", IdType::word), found: brief(&word) });
        number(&word).ok_or_else(wrong).map(Some)
    }

    fn line(&mut self) -> Result<Line, Fault> {
        let (word, token) = self.word("a policy, or '}'")?;
        let unknown = || Trouble::Unknown { what: "policy".into(), found: brief(&word), known: Domain::WORDS.to_vec() };
        let domain = Domain::of(&word).ok_or_else(|| token.fault(unknown()))?;
        self.skip(&Kind::Colon);
        let instance = self.instance(domain)?;
        let (word, at) = self.word("an action")?;
        let what = format!("action of {}", domain.word());
        let unknown = || Trouble::Unknown { what, found: brief(&word), known: domain.actions().to_vec() };
        let action = domain.actions().iter().find(|action| **action == word).ok_or_else(|| at.fault(unknown()))?;
        Ok(Line { domain, instance, action, line: token.line })
    }

    fn instance(&mut self, domain: Domain) -> Result<Option<Pattern>, Fault> {
        let Kind::Quoted(text) = self.peek().clone() else { return Ok(None) };
        let token = self.take();
        if domain != Domain::File {
            return Err(token.fault(Trouble::Instance { domain: domain.word() }));
        }
        self.skip(&Kind::Colon);
        // As in the guide, "/*" is every file: a star is not stopped by a slash.
        Pattern::text(&text).map(Some).map_err(|bad| token.fault(bad.into()))
    }
}

impl Token {
    fn fault(&self, trouble: Trouble) -> Fault {
        (self.line, self.column, trouble)
    }

    fn unexpected(&self, expected: &'static str) -> Fault {
        self.fault(Trouble::Expected { expected, found: self.kind.shown() })
    }
}

fn with_star() -> Vec<&'static str> {
    IdType::WORDS.iter().copied().chain(["*"]).collect()
}

/// A number as IRIX writes ids: decimal, or hexadecimal after `0x`. Ids of IRIX have 64 bits.
pub fn number(word: &str) -> Option<i64> {
    let digits = word.strip_prefix("0x").or(word.strip_prefix("0X"));
    match digits {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => u64::from_str_radix(digits, 16).ok().map(u64::cast_signed),
        Some(_) => None,
        None => word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok()).flatten(),
    }
}

#[cfg(test)]
mod test {
    use super::*;

    fn parse(text: &str) -> Result<AttributeFile, String> {
        AttributeFile::parse(text, Path::new(".cpr")).map_err(|error| error.to_string())
    }

    fn shown(text: &str) -> Vec<String> {
        let file = parse(text).unwrap_or_else(|error| panic!("{error}"));
        let mut shown = Vec::new();
        for block in file.blocks {
            shown.push(format!("{}: {}", block.line, block.heading()));
            let of = |line: &Line| {
                let instance = line.instance.as_ref().map_or("", |pattern| pattern.as_str());
                format!("{}: {} {instance} {}", line.line, line.domain.word(), line.action)
            };
            shown.extend(block.lines.iter().map(of));
        }
        shown
    }

    #[test]
    fn colons_may_be_there_or_not() {
        let expected = ["1: CKPT PID 1111", "2: FILE /tmp/* REPLACE", "3: WILL  CONT", "4: FORK  ANY"];
        for text in [
            "CKPT PID 1111 {\n FILE: \"/tmp/*\": REPLACE\n WILL CONT\n FORK ANY\n}\n",
            "CKPT PID 1111 {\n FILE \"/tmp/*\" REPLACE\n WILL: CONT\n FORK: ANY\n}",
            "CKPT PID: 1111{\nFILE:\"/tmp/*\":REPLACE # all\nWILL:CONT#\nFORK :ANY }",
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn comments_blank_lines_and_empty_files() {
        assert_eq!(shown("# nothing\n\n   # at all"), [""; 0]);
        assert_eq!(shown(""), [""; 0]);
        assert_eq!(shown("CKPT * { # all\n}\nCKPT * * {\n#WILL CONT\nCDIR IGNORE}"), ["1: CKPT * *", "3: CKPT * *", "5: CDIR  IGNORE"]);
        assert_eq!(
            shown("CKPT JID 0x8000abcd00001234 { FILE: \"a # b\": APPEND FILE MERGE }")[1..],
            ["1: FILE a # b APPEND", "1: FILE  MERGE"]
        );
    }

    #[test]
    fn every_policy_knows_every_action_of_its_own_and_no_other() {
        for domain in Domain::ALL {
            let text = |action: &str| format!("CKPT HID 5 {{ {}: {action} }}", domain.word());
            assert!(domain.actions().iter().all(|action| parse(&text(action)).is_ok()), "{domain:?}");
            let error = parse(&text("NONSENSE")).unwrap_err();
            assert!(domain.actions().iter().all(|action| error.contains(action)), "{error}");
        }
    }

    #[test]
    fn ids_are_decimal_or_hexadecimal() {
        for (word, expected) in [
            ("1111", Some(1111)),
            ("0x10", Some(16)),
            ("0x8000abcd00001234", Some(0x8000_abcd_0000_1234_u64.cast_signed())),
            ("-1", None),
            ("0x", None),
            ("0x-1", None),
            ("+1", None),
            ("", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(number(word), expected, "{word}");
        }
    }

    #[test]
    fn errors_name_line_column_and_the_known_words() {
        for (text, message) in [
            ("CKPT PDI 1 {}", ".cpr:1:6: 'PDI' is no type of an id; known are PID, GID, SID, HID, SGP, ASH, JID, *"),
            ("CKPT PID 1 {\n  WIL CONT\n}", ".cpr:2:3: 'WIL' is no policy; known are FILE, WILL, CDIR, RDIR, FORK"),
            ("CKPT PID 1 {\n  WILL: cont\n}", ".cpr:2:9: 'cont' is no action of WILL; known are EXIT, KILL, CONT"),
            ("CKPT PID 1 { CDIR \"/x\" IGNORE }", ".cpr:1:19: CDIR takes no instance: only FILE does"),
            ("CKPT PID x1 {}", ".cpr:1:10: 'x1' is no PID number: write it in decimal digits, or in hexadecimal ones after 0x"),
            ("CKPT PID {}", ".cpr:1:10: expected an id, or *, not '{'"),
            ("CKPT PID 1 {", ".cpr:1:13: expected a policy, or '}', not the end of the file"),
            ("CKPT PID 1\nWILL CONT", ".cpr:2:1: expected '{', not 'WILL'"),
            ("PID 1 {}", ".cpr:1:1: expected CKPT, not 'PID'"),
            ("CKPT PID 1 { FILE \"/tmp }", ".cpr:1:19: the quoted text does not end on its line"),
            ("CKPT PID 1 { FILE: \"/tmp/[\": MERGE }", ".cpr:1:20: '/tmp/[' is not a pattern: unclosed character class; missing ']'"),
            ("CKPT PID 1 { FILE }", ".cpr:1:19: expected an action, not '}'"),
        ] {
            assert_eq!(parse(text).unwrap_err(), message, "{text}");
        }
    }
}
