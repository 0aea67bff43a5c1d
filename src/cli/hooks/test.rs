//! `cr_hooks test FILE…`: runs tests of hook scripts and prints a line for each, in the manner of TAP: `ok 1 - name`, `not ok 2 - name`.
//!
//! Every file runs in a thread, whose results are printed as they come. A thread that comes back no more, from a C function of Lua, is left alone and ends
//! with the program.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::{Found, Terms};
use crate::cli::policies;
use crate::cli::report::Reporter;
use crate::script::Limits;
use crate::script::trial::{self, Case};

/// Time for what is not metered: making states, collecting memory.
const BESIDES: Duration = Duration::from_secs(2);

/// Runs all files; false if a test failed, or a file could not be run to its end or has no tests.
pub fn run(terms: &Terms<'_>, files: &[&OsStr], reporter: &mut Reporter<'_, '_>) -> Found {
    let as_json = terms.said.general.json;
    let limits = policies::options(&terms.said.scripting).limits;
    let (mut number, mut failed) = (0, 0);
    for file in files {
        cases(Path::new(file), limits, |case| {
            number += 1;
            failed += usize::from(case.failure.is_some());
            tell(number, file, &case, as_json, reporter);
        });
    }
    reporter.line(&format!("1..{number}"));
    reporter.line(&format!("# {} passed, {failed} failed", number - failed));
    if as_json {
        reporter.object(&json!({ "ok": failed == 0, "passed": number - failed, "failed": failed }));
    }
    Ok(failed == 0)
}

/// Tells the results of a file as they come; that it could not be run to its end is one more.
fn cases(file: &Path, limits: Limits, mut tell: impl FnMut(Case)) {
    let (results, told) = channel();
    let runs = {
        let file = file.to_owned();
        thread::spawn(move || trial::run(&file, limits, move |case| drop(results.send(case))))
    };
    let whole = |failure: String| Case { name: file.display().to_string(), failure: Some(failure) };
    // A script under test has its own time within that of the test.
    let patience = limits.call.saturating_mul(2).saturating_add(BESIDES);
    let mut count = 0;
    loop {
        match told.recv_timeout(patience) {
            Ok(case) => {
                count += 1;
                tell(case);
            }
            Err(RecvTimeoutError::Timeout) => {
                let text =
                    format!("no test ended within {} ms: one is in a call that never returns; the rest is left out", patience.as_millis());
                return tell(whole(text));
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    match runs.join() {
        Ok(Err(why)) => tell(whole(why)),
        Ok(Ok(())) if count == 0 => tell(whole("it has no tests: none was made with t.it".into())),
        Ok(Ok(())) => {}
        Err(_) => tell(whole("a fault of the program itself, please report it".into())),
    }
}

fn tell(number: usize, file: &OsStr, case: &Case, as_json: bool, reporter: &mut Reporter<'_, '_>) {
    if as_json {
        let (ok, file) = (case.failure.is_none(), file.to_string_lossy());
        return reporter.object(&json!({ "file": file, "name": case.name, "ok": ok, "failure": case.failure }));
    }
    let word = if case.failure.is_some() { "not ok" } else { "ok" };
    reporter.line(&format!("{word} {number} - {}", case.name));
    if let Some(failure) = &case.failure {
        reporter.line(&format!("  # {failure}"));
    }
}
