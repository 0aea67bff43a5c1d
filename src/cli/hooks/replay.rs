//! `cr_hooks replay FILE TRACE`: asks a script the questions of a recorded run again, and prints where its answers differ.
//!
//! A trace is what `--hook-record` writes: one JSON object a line with the event, its data, the verdict and who gave it. Answers of others than
//! scripts (flags of the command line) are left out of the comparison: the script was never asked, or its answer did not count. The answer to
//! `pre-restart` is that of all policies together.

use std::ffi::OsStr;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Found, Terms, Trouble, failed, load, read, show_log};
use crate::cli::report::Reporter;
use crate::policy::event::{Event, Name};
use crate::policy::stack::EVERYBODY;
use crate::policy::{Opinion, sample};

/// A line of a trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// The name of the event.
    pub event: String,
    /// Its argument.
    pub data: Value,
    /// The answer in words; nil if nobody had one.
    pub verdict: Option<String>,
    /// Who gave it.
    pub by: Option<String>,
}

impl Recorded {
    /// An event and its answer.
    pub fn of(event: &Event, opinion: Option<&Opinion>) -> Recorded {
        Recorded {
            event: event.name().word().into(),
            data: event.data(),
            verdict: opinion.map(|opinion| opinion.verdict.word()),
            by: opinion.map(|opinion| opinion.by.clone()),
        }
    }

    /// What the script should answer: `None` if somebody else answered in its place.
    fn expected(&self) -> Option<Option<&str>> {
        let (Some(verdict), Some(by)) = (self.verdict.as_deref(), self.by.as_deref()) else { return Some(None) };
        // A script is named with its line.
        let line = by.rsplit_once(':').map_or("", |(_, line)| line);
        let is_script = !line.is_empty() && line.bytes().all(|digit| digit.is_ascii_digit());
        (is_script || by == EVERYBODY).then_some(Some(verdict).filter(|verdict| !verdict.is_empty()))
    }
}

/// Replays the trace; false if an answer differs.
pub(super) fn run(terms: &Terms<'_>, file: &OsStr, trace: &OsStr, reporter: &mut Reporter<'_, '_>) -> Found {
    let mut policy = load(terms, file, reporter)?;
    let path = Path::new(trace);
    let (mut same, mut different, mut skipped) = (0, 0, 0);
    for (index, line) in read(path)?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = format!("{}:{}", path.display(), index + 1);
        let wrong = |why: String| Trouble::Failed(format!("{place}: {why}"));
        let recorded: Recorded = serde_json::from_str(line).map_err(|error| wrong(format!("not a line of a trace: {error}")))?;
        let Some(expected) = recorded.expected() else {
            skipped += 1;
            continue;
        };
        let name = Name::of(&recorded.event).ok_or_else(|| wrong(format!("there is no event '{}'", recorded.event)))?;
        let data = sample::complete(name, &recorded.data).map_err(wrong)?;
        let reply = policy.fire(name, &data).map_err(|error| failed(&error, reporter))?;
        show_log(&reply.log, reporter);
        let now = reply.opinion.as_ref().map(|opinion| opinion.verdict.word());
        if now.as_deref() == expected {
            same += 1;
            continue;
        }
        different += 1;
        let by = reply.opinion.map(|opinion| opinion.by);
        if terms.said.general.json {
            reporter.object(&json!({ "line": index + 1, "event": recorded.event, "recorded": recorded.verdict, "now": now, "by": by }));
        } else {
            let shown = |verdict: Option<&str>| verdict.unwrap_or("no verdict").to_owned();
            let by = by.map_or(String::new(), |by| format!(" ({by})"));
            reporter.line(&format!("{place}: {}: was {}, is {}{by}", recorded.event, shown(expected), shown(now.as_deref())));
        }
    }
    if terms.said.general.json {
        reporter.object(&json!({ "ok": different == 0, "same": same, "different": different, "skipped": skipped }));
    } else {
        let skipped = if skipped > 0 { format!(", {skipped} decided by others than scripts") } else { String::new() };
        reporter.line(&format!("{same} answers the same, {different} different{skipped}"));
    }
    Ok(different == 0)
}
