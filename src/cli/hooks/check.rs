//! `cr_hooks check FILE…`: loads scripts and prints what they handle. Each is loaded alone, so that every one of them is told about.

use std::ffi::OsStr;

use serde_json::json;

use super::{Found, Terms, Trouble, load};
use crate::cli::report::Reporter;
use crate::script::Handler;

/// Checks the scripts; the first that cannot be loaded decides the exit code, after all have been told about.
pub fn run(terms: &Terms<'_>, files: &[&OsStr], reporter: &mut Reporter<'_, '_>) -> Found {
    let mut failures = Vec::new();
    for file in files {
        match load(terms, file, reporter) {
            Ok(policy) => tell(file, &policy.handlers(), terms.said.general.json, reporter),
            Err(Trouble::Failed(message)) => failures.push(message),
            Err(refused) => return Err(refused),
        }
    }
    if failures.is_empty() { Ok(true) } else { Err(Trouble::Failed(failures.join("\ncr_hooks: "))) }
}

fn tell(file: &OsStr, handlers: &[Handler], as_json: bool, reporter: &mut Reporter<'_, '_>) {
    if as_json {
        let rows =
            handlers.iter().map(|handler| json!({ "event": handler.event.word(), "filter": handler.filter, "place": handler.place }));
        return reporter.object(&json!({ "file": file.to_string_lossy(), "handlers": rows.collect::<Vec<_>>() }));
    }
    if handlers.is_empty() {
        reporter.line(&format!("{} handles nothing: it never calls cr.on", file.display()));
    }
    let shown = |handler: &Handler| match handler.filter.as_str() {
        "" => handler.event.word().to_owned(),
        filter => format!("{} {{ {filter} }}", handler.event.word()),
    };
    let width = handlers.iter().map(|handler| shown(handler).chars().count()).max().unwrap_or_default();
    for handler in handlers {
        reporter.line(&format!("{:width$}  {}", shown(handler), handler.place));
    }
}
