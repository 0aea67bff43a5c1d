//! `cr_hooks events [EVENT]`: the table of events, the fields of one, or their JSON schemas.

use std::ffi::OsStr;

use serde_json::{Map, Value};

use super::{Found, fire};
use crate::cli::report::Reporter;
use crate::policy::event::{EVENTS, Entry, Still};
use crate::policy::sample;

/// All events: one line each, or one object with the schema of each.
pub fn all(as_json: bool, reporter: &mut Reporter<'_, '_>) -> Found {
    if as_json {
        let schemas: Map<String, Value> = EVENTS.iter().map(|entry| (entry.word.to_owned(), schema(entry))).collect();
        reporter.object(&Value::Object(schemas));
        return Ok(true);
    }
    let width = EVENTS.iter().map(|entry| entry.word.len()).max().unwrap_or_default();
    reporter.line(&format!("{:width$}  JOB              ANSWERS", "EVENT"));
    for entry in EVENTS {
        let job = match entry.still {
            Still::Never => "",
            Still::Always => "stands still",
            Still::AtCheckpoint | Still::IfFrozen => "may stand still",
        };
        reporter.line(&format!("{:width$}  {job:15}  {}", entry.word, entry.answers));
    }
    Ok(true)
}

/// One event: its answers and fields, or its schema.
pub fn one(word: &OsStr, as_json: bool, reporter: &mut Reporter<'_, '_>) -> Found {
    let name = fire::event(word)?;
    let entry = name.entry();
    if as_json {
        reporter.object(&schema(entry));
        return Ok(true);
    }
    let on_error = if entry.may_stop { "stops the request" } else { "is reported" };
    reporter.line(&format!("{}\n", entry.word));
    let job = match entry.still {
        Still::Never => "The job is not held up.",
        Still::Always => "The job stands still.",
        Still::AtCheckpoint => "The job stands still at the checkpoint, and is not made yet at the restart.",
        Still::IfFrozen => "The job stands still if frozen is true.",
    };
    reporter.line(&format!("{job} An error of the handler {on_error}."));
    reporter.line(&format!("The answer is nil, {}.\n", entry.answers));
    let fields = sample::fields(name);
    let kind = |field: &sample::Field| format!("{}{}", field.kind, if field.is_optional { " or nil" } else { "" });
    let paths = fields.iter().map(|field| field.path.len()).max().unwrap_or_default();
    let kinds = fields.iter().map(|field| kind(field).len()).max().unwrap_or_default();
    for field in &fields {
        reporter.line(&format!("  {:paths$}  {:kinds$}  {}", field.path, kind(field), field.description));
    }
    Ok(true)
}

fn schema(entry: &Entry) -> Value {
    (entry.schema)().to_value()
}
