//! `cr_hooks fire FILE EVENT`: lets one event happen and prints the answer, who gave it and what was noted.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};

use super::{Found, Terms, Trouble, failed, load, read, show_log};
use crate::cli::exit::Refusal;
use crate::cli::report::Reporter;
use crate::cli::text;
use crate::policy::event::{EVENTS, Name};
use crate::policy::{LogLine, Opinion, Reply, sample};

/// The event of that name.
pub fn event(word: &OsStr) -> Result<Name, Refusal> {
    let known = || EVENTS.iter().map(|entry| entry.word).collect::<Vec<_>>().join(", ");
    let found = word.to_str().and_then(Name::of);
    found.ok_or_else(|| Refusal::usage(format!("there is no event '{}' (known: {})", word.display(), known())))
}

/// Lets the event happen.
pub fn run(terms: &Terms<'_>, file: &OsStr, word: &OsStr, reporter: &mut Reporter<'_, '_>) -> Found {
    let name = event(word)?;
    let data = sample::complete(name, &data(terms.said.data.as_ref())?).map_err(|why| Trouble::Failed(format!("--data: {why}")))?;
    let mut policy = load(terms, file, reporter)?;
    let Reply { opinion, log, annotations } = policy.fire(name, &data).map_err(|error| failed(&error, reporter))?;
    if terms.said.general.json {
        let levels = |line: &LogLine| json!({ "level": text::log_word(line.level), "by": line.by, "text": line.text });
        reporter.object(&json!({
            "ok": true,
            "verdict": opinion.as_ref().map(|opinion| opinion.verdict.word()),
            "by": opinion.as_ref().map(|opinion| &opinion.by),
            "log": log.iter().map(levels).collect::<Vec<_>>(),
            "annotations": annotations.into_iter().map(|(key, value)| (key, Value::from(value))).collect::<serde_json::Map<_, _>>(),
        }));
        return Ok(true);
    }
    show_log(&log, reporter);
    for (key, value) in annotations {
        reporter.line(&format!("noted {key}: {value}"));
    }
    reporter.line(&match opinion {
        Some(Opinion { verdict, by }) => format!("{} ({by})", verdict.word()),
        None => "no verdict".into(),
    });
    Ok(true)
}

/// What `--data` gives: an object in place, a file, or stdin.
fn data(given: Option<&OsString>) -> Result<Value, Trouble> {
    let Some(given) = given else { return Ok(Value::Null) };
    let (text, source) = match given.to_str() {
        Some(text) if text.trim_start().starts_with('{') => (text.to_owned(), "--data".to_owned()),
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|error| Trouble::Failed(format!("cannot read stdin: {error}")))?;
            (text, "stdin".to_owned())
        }
        _ => (read(Path::new(given))?, given.display().to_string()),
    };
    serde_json::from_str(&text).map_err(|error| Trouble::Failed(format!("{source} is not JSON: {error}")))
}
