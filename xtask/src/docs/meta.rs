//! Reads the type files of lua/meta: classes, aliases and functions with their comments.
//!
//! Relies on the layout of those files: a comment of `---` lines, then its tags, then at most one line of code. Leaves checking types to the language
//! server.

use std::collections::BTreeSet;
use std::fs;

use crate::place::workspace;

/// The files, in the order in which they are read.
pub const FILES: [&str; 5] =
    ["lua/meta/cr.lua", "lua/meta/events.lua", "lua/meta/verdicts.lua", "lua/meta/arguments.lua", "lua/meta/test.lua"];

/// What all files say.
#[derive(Debug, Default)]
pub struct Meta {
    /// `---@class`
    pub classes: Vec<Class>,
    /// `---@alias`
    pub aliases: Vec<Alias>,
    /// Functions with their comments.
    pub functions: Vec<Function>,
}

/// A class.
#[derive(Debug, Default)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// The comment above it.
    pub text: String,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// A field, or a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name, without the question mark.
    pub name: String,
    /// Whether it may be nil.
    pub is_optional: bool,
    /// Its type as it is written.
    pub kind: String,
    /// What it is.
    pub text: String,
}

/// An alias: another type, or a list of words.
#[derive(Debug, Default)]
pub struct Alias {
    /// Its name.
    pub name: String,
    /// The comment above it.
    pub text: String,
    /// The type on the same line; empty for a list of words.
    pub target: String,
    /// The words, each with what it means.
    pub words: Vec<(String, String)>,
}

/// A function.
#[derive(Debug, Default)]
pub struct Function {
    /// Its name as it is called, for example `cr.stat` or `log.info`.
    pub name: String,
    /// The comment above it.
    pub text: String,
    /// `---@param`
    pub parameters: Vec<Field>,
    /// `---@return`: types, with what follows them.
    pub returns: Vec<(String, String)>,
    /// `---@overload`
    pub overloads: Vec<String>,
}

impl Meta {
    /// Reads the files of the tree.
    pub fn read() -> Result<Meta, String> {
        let mut meta = Meta::default();
        for file in FILES {
            let text = fs::read_to_string(workspace().join(file)).map_err(|error| format!("cannot read {file}: {error}"))?;
            meta.add(&text);
        }
        Ok(meta)
    }

    /// The class of that name.
    pub fn class(&self, name: &str) -> Option<&Class> {
        self.classes.iter().find(|class| class.name == name)
    }

    /// The alias of that name.
    pub fn alias(&self, name: &str) -> Option<&Alias> {
        self.aliases.iter().find(|alias| alias.name == name)
    }

    /// The function of that name.
    pub fn function(&self, name: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.name == name)
    }

    /// The words of a type, through the aliases and the classes that it is made of.
    pub fn words(&self, name: &str) -> BTreeSet<String> {
        let alias = self.alias(name).into_iter();
        let own = alias.clone().flat_map(|alias| &alias.words).map(|(word, _)| word.clone());
        let parts = alias.flat_map(|alias| alias.target.split('|')).filter(|part| *part != name);
        let fields = self.class(name).into_iter().flat_map(|class| &class.fields).map(|field| field.kind.as_str());
        own.chain(parts.chain(fields).flat_map(|part| self.words(part))).collect()
    }

    fn add(&mut self, text: &str) {
        for block in text.split("\n\n") {
            self.add_block(block);
        }
    }

    fn add_block(&mut self, block: &str) {
        let comment: Vec<&str> = block.lines().filter_map(doc_line).collect();
        let text = comment.join("\n");
        let tags: Vec<(&str, &str)> = block.lines().filter_map(|line| line.strip_prefix("---@")?.split_once(' ')).collect();
        for (tag, rest) in &tags {
            let name = rest.split(' ').next().unwrap_or_default().to_owned();
            match *tag {
                "class" => self.classes.push(Class { name, text: text.clone(), fields: all(&tags, "field") }),
                "alias" => {
                    let target = rest[name.len()..].trim().to_owned();
                    let words = block.lines().filter_map(alternative).collect();
                    self.aliases.push(Alias { name, text: text.clone(), target, words });
                }
                _ => {}
            }
        }
        let Some(name) = block.lines().find_map(|line| line.strip_prefix("function ")?.split('(').next()) else { return };
        let returns = tags.iter().filter(|(tag, _)| *tag == "return").map(|(_, rest)| split_type(rest)).collect();
        let overloads = tags.iter().filter(|(tag, _)| *tag == "overload").map(|(_, rest)| (*rest).to_owned()).collect();
        self.functions.push(Function { name: name.to_owned(), text, parameters: all(&tags, "param"), returns, overloads });
    }
}

/// The text of a comment line that is no tag.
fn doc_line(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("---")?;
    match rest.as_bytes().first() {
        None => Some(""),
        Some(b' ') => Some(&rest[1..]),
        Some(_) => None,
    }
}

/// `---| "word" # what it means`
fn alternative(line: &str) -> Option<(String, String)> {
    let (word, text) = line.strip_prefix("---| \"")?.split_once('"')?;
    Some((word.to_owned(), text.trim_start_matches(" #").trim().to_owned()))
}

fn all(tags: &[(&str, &str)], wanted: &str) -> Vec<Field> {
    tags.iter().filter(|(tag, _)| *tag == wanted).map(|(_, rest)| field(rest)).collect()
}

/// `name? type what it is`
fn field(rest: &str) -> Field {
    let (name, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((key, rest)) => (format!("[{key}]"), rest),
        None => {
            let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            (name.to_owned(), rest)
        }
    };
    let (kind, text) = split_type(rest);
    Field { is_optional: name.ends_with('?'), name: name.trim_end_matches('?').to_owned(), kind, text }
}

/// A type, which may hold blanks in brackets and quotes, and the text after it.
fn split_type(rest: &str) -> (String, String) {
    let (mut depth, mut is_quoted) = (0, false);
    for (at, character) in rest.char_indices() {
        match character {
            '"' => is_quoted = !is_quoted,
            '<' | '(' | '{' => depth += 1,
            '>' | ')' | '}' => depth -= 1,
            // The answer of a function type follows its colon and a blank.
            ' ' if depth == 0 && !is_quoted && !rest[..at].ends_with(':') => return (rest[..at].to_owned(), rest[at + 1..].to_owned()),
            _ => {}
        }
    }
    (rest.to_owned(), String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_aliases_and_functions_are_read_with_their_texts() {
        let mut meta = Meta::default();
        meta.add(
            "---@meta\n--- Head.\n\n--- A thing.\n---@class T\n---@field a? string What a is.\n---@field [integer] fun(x: T): any Items.\n\n\
             --- A word.\n---\n--- More.\n---@alias W\n---| \"one\" # the first\n---| \"two\"\n\n---@alias U W|T\n\n\
             --- Does it.\n---@param x \"a b\"|table<string, T> The x.\n---@return T? t nil if not.\nfunction cr.go(x) end\n",
        );
        let class = meta.class("T").unwrap();
        assert_eq!(class.text, "A thing.");
        let expected = Field { name: "a".into(), is_optional: true, kind: "string".into(), text: "What a is.".into() };
        assert_eq!(class.fields[0], expected);
        assert_eq!((class.fields[1].name.as_str(), class.fields[1].kind.as_str()), ("[integer]", "fun(x: T): any"));
        assert_eq!(meta.alias("W").unwrap().text, "A word.\n\nMore.");
        assert_eq!(meta.words("U"), ["one".to_owned(), "two".to_owned()].into());
        let function = meta.function("cr.go").unwrap();
        assert_eq!(function.parameters[0].kind, "\"a b\"|table<string, T>");
        assert_eq!(function.returns, [("T?".into(), "t nil if not.".into())]);
    }
}
