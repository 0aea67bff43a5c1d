//! docs/hooks.md: the reference of the hook surface, made from lua/meta, the heads of hooks/*.lua and a template with the prose.
//!
//! Relies on [`meta`](super::meta) for the comments. Every event is one section: its comment, the table of its argument, its example.

use std::fmt::Write;
use std::fs;

use super::meta::{Alias, Class, Field, Function, Meta};
use crate::place::workspace;

/// The page that is made.
pub const PAGE: &str = "docs/hooks.md";
const TEMPLATE: &str = "xtask/templates/hooks.md";
const SCRIPTS: &str = "hooks";
/// The lists of words, each with its heading.
const WORDS: [(&str, &str); 4] = [
    ("The words for files", "cr.FileWord"),
    ("The words for objects", "cr.ObjectWord"),
    ("The words for memory areas", "cr.AreaVerdict"),
    ("The classes of failures", "cr.Class"),
];

/// The page as it must be now.
pub fn page() -> Result<String, String> {
    let meta = Meta::read()?;
    let template = fs::read_to_string(workspace().join(TEMPLATE)).map_err(|error| format!("cannot read {TEMPLATE}: {error}"))?;
    let parts =
        [("events", events(&meta)?), ("words", words(&meta)), ("cr", surface(&meta)), ("test", trial(&meta)), ("recipes", recipes()?)];
    parts.into_iter().try_fold(template, |text, (name, part)| {
        let mark = format!("<!-- {name} -->\n");
        match text.matches(&mark).count() {
            1 => Ok(text.replace(&mark, &part)),
            n => Err(format!("{TEMPLATE} has {n} lines '{}', not one", mark.trim())),
        }
    })
}

/// The event that a handler type is about: `cr.handler.JobExit` is about `job-exit`.
pub fn event_of(handler: &Alias) -> Option<String> {
    let mut word = String::new();
    for character in handler.name.strip_prefix("cr.handler.")?.chars() {
        if character.is_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.extend(character.to_lowercase());
    }
    Some(word)
}

/// The class of a handler's argument: what stands between `fun(NAME: ` and `)`.
pub fn argument_of<'a>(meta: &'a Meta, handler: &Alias) -> Option<&'a Class> {
    let (_, rest) = handler.target.strip_prefix("fun(")?.split_once(": ")?;
    meta.class(rest.split_once(')')?.0)
}

/// The type of a handler's answer; empty if it has none.
pub fn answer_of(handler: &Alias) -> &str {
    handler.target.split_once("): ").map_or("", |(_, answer)| answer.trim_end_matches('?'))
}

fn events(meta: &Meta) -> Result<String, String> {
    let mut text = String::new();
    let mut shown: Vec<(&str, String)> = Vec::new();
    for handler in &meta.aliases {
        let Some(event) = event_of(handler) else { continue };
        let argument = argument_of(meta, handler).ok_or_else(|| format!("{} has no argument of a known class", handler.name))?;
        let (about, example) = handler.text.split_once("```").ok_or_else(|| format!("{} has no example", handler.name))?;
        write!(text, "### {event}\n\n{about}").expect("text grows");
        match shown.iter().find(|(class, _)| *class == argument.name) {
            Some((_, first)) => write!(text, "The argument is that of [`{first}`](#{first}).\n\n").expect("text grows"),
            None => {
                text += &table(meta, "Field", &flattened(meta, argument, ""));
                shown.push((&argument.name, event));
            }
        }
        write!(text, "```{example}\n\n").expect("text grows");
    }
    Ok(text)
}

/// The fields of a class, those of its fields' classes below them.
pub fn flattened(meta: &Meta, class: &Class, prefix: &str) -> Vec<Field> {
    let mut fields = Vec::new();
    for field in &class.fields {
        let name = format!("{prefix}{}", field.name);
        let is_list = field.kind.ends_with("[]");
        let inner = meta.class(field.kind.trim_end_matches("[]"));
        fields.push(Field { name: name.clone(), ..field.clone() });
        if let Some(inner) = inner {
            fields.extend(flattened(meta, inner, &format!("{name}{}", if is_list { "[]." } else { "." })));
        }
    }
    fields
}

fn table(meta: &Meta, heading: &str, fields: &[Field]) -> String {
    let mut text = format!("| {heading} | Type | What |\n|---|---|---|\n");
    for Field { name, is_optional, kind, text: what } in fields {
        let nil = if *is_optional { " or nil" } else { "" };
        writeln!(text, "| `{name}` | {}{nil} | {what} |", plain(meta, kind)).expect("text grows");
    }
    text + "\n"
}

/// A type for readers: what the language server's names stand for, and none of its signs.
fn plain(meta: &Meta, kind: &str) -> String {
    let item = kind.trim_end_matches("[]");
    let name = match (meta.class(item), meta.alias(item)) {
        (Some(class), _) if class.fields.is_empty() => "a value of its own",
        (Some(_), _) => "table",
        (None, Some(_)) => "string",
        (None, None) => item,
    };
    let name = name.replace('|', " or ").replace('"', "").replace('<', " of ").replace('>', "");
    if item.len() < kind.len() { format!("list of {name}{}", if name.ends_with('s') { "" } else { "s" }) } else { name }
}

fn words(meta: &Meta) -> String {
    let mut text = String::new();
    for (heading, alias) in WORDS {
        let Some(alias) = meta.alias(alias) else { continue };
        write!(text, "### {heading}\n\n{}\n\n| Word | Means |\n|---|---|\n", alias.text).expect("text grows");
        for (word, what) in &alias.words {
            let (first, rest) = what.split_at(what.chars().next().map_or(0, char::len_utf8));
            writeln!(text, "| `\"{word}\"` | {}{rest}. |", first.to_uppercase()).expect("text grows");
        }
        text += "\n";
    }
    text
}

/// The table `cr`: its plain fields, then its functions.
fn surface(meta: &Meta) -> String {
    let Some(class) = meta.class("cr") else { return String::new() };
    let fields: Vec<Field> = class.fields.iter().filter(|field| !matches!(field.kind.as_str(), "cr.Log" | "cr.Json")).cloned().collect();
    let mut text = table(meta, "Field of `cr`", &fields);
    for function in meta.functions.iter().filter(|function| !function.name.starts_with("test.") && !function.name.contains(':')) {
        let name = match function.name.split_once('.') {
            Some(("cr", _)) => function.name.clone(),
            _ => format!("cr.{}", function.name),
        };
        text += &section(meta, &name, function);
    }
    text
}

/// The library `cr.test`.
fn trial(meta: &Meta) -> String {
    let functions = meta.functions.iter().filter(|function| function.name.starts_with("test.") || function.name.contains(':'));
    let name = |function: &Function| function.name.replacen("test.", "t.", 1);
    functions.map(|function| section(meta, &name(function), function)).collect()
}

fn section(meta: &Meta, name: &str, function: &Function) -> String {
    let parameters: Vec<String> = function.parameters.iter().map(signature).collect();
    let mut text = format!("#### {name}({})\n\n{}\n\n", parameters.join(", "), function.text);
    // What a table of the arguments looks like.
    for class in function.parameters.iter().filter_map(|parameter| meta.class(&parameter.kind)) {
        text += &table(meta, "Field", &class.fields);
    }
    for Field { name, kind, text: what, .. } in function.parameters.iter().filter(|parameter| !parameter.text.is_empty()) {
        let alias = meta.alias(kind).filter(|alias| alias.words.is_empty()).map_or(String::new(), |alias| format!(" {}", alias.text));
        writeln!(text, "- `{name}`: {what}{alias}").expect("text grows");
    }
    for (kind, what) in &function.returns {
        let (_, meaning) = what.split_once(' ').unwrap_or((what, ""));
        let known = kind.trim_end_matches('?');
        let class = meta.class(known);
        let nil = if kind.ends_with('?') { " or nil" } else { "" };
        let meaning = if meaning.is_empty() { String::new() } else { format!(": {meaning}") };
        writeln!(text, "- returns {}{nil}{meaning}", plain(meta, known)).expect("text grows");
        if let Some(class) = class.filter(|class| !class.fields.is_empty()) {
            text += "\n";
            text += &table(meta, "Field", &class.fields);
        }
    }
    text.trim_end().to_owned() + "\n\n"
}

fn signature(parameter: &Field) -> String {
    if parameter.is_optional { format!("[{}]", parameter.name) } else { parameter.name.clone() }
}

/// One row for each ready-made script: its name and the first sentence of its head.
fn recipes() -> Result<String, String> {
    let entries = fs::read_dir(workspace().join(SCRIPTS)).map_err(|error| format!("cannot list {SCRIPTS}/: {error}"))?;
    let mut paths: Vec<_> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "lua")).collect();
    paths.sort();
    let mut text = "| Script | What it does |\n|---|---|\n".to_owned();
    for path in paths {
        let source = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let head: Vec<&str> = source.lines().map_while(|line| line.strip_prefix("-- ")).collect();
        let name = path.file_stem().unwrap_or_default().display();
        writeln!(text, "| [{name}](../hooks/{name}.lua) | {} |", head.join(" ")).expect("text grows");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_type_names_its_event_its_argument_and_its_answer() {
        let meta = Meta::read().unwrap();
        let handler = meta.alias("cr.handler.FileDisposition").unwrap();
        assert_eq!(event_of(handler).as_deref(), Some("file-disposition"));
        assert_eq!(argument_of(&meta, handler).unwrap().name, "cr.FileEvent");
        assert_eq!(answer_of(handler), "cr.FileVerdict");
        assert_eq!(answer_of(meta.alias("cr.handler.Frozen").unwrap()), "");
    }

    #[test]
    fn fields_of_fields_stand_below_them() {
        let meta = Meta::read().unwrap();
        let names: Vec<String> = flattened(&meta, meta.class("cr.RunningEvent").unwrap(), "").into_iter().map(|field| field.name).collect();
        assert_eq!(names[..3], ["pids", "pids[].old", "pids[].new"]);
        assert_eq!(names.last().unwrap(), "timings.total_us");
    }
}
