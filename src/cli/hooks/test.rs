//! `cr_hooks test FILE…`: runs tests of hook scripts and prints a line for each, in the manner of TAP: `ok 1 - name`, `not ok 2 - name`.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::path::Path;
use std::rc::Rc;

use serde_json::json;

use super::Found;
use crate::cli::report::Reporter;
use crate::script::trial::{self, Case};

/// Runs all files; false if a test failed, or a file could not be run to its end or has no tests.
pub fn run(files: &[&OsStr], as_json: bool, reporter: &mut Reporter<'_, '_>) -> Found {
    let (mut number, mut failed) = (0, 0);
    for file in files {
        for case in cases(Path::new(file)) {
            number += 1;
            failed += usize::from(case.failure.is_some());
            tell(number, file, &case, as_json, reporter);
        }
    }
    reporter.line(&format!("1..{number}"));
    reporter.line(&format!("# {} passed, {failed} failed", number - failed));
    if as_json {
        reporter.object(&json!({ "ok": failed == 0, "passed": number - failed, "failed": failed }));
    }
    Ok(failed == 0)
}

/// The results of a file; that it could not be run to its end is one more.
fn cases(file: &Path) -> Vec<Case> {
    let told = Rc::new(RefCell::new(Vec::new()));
    let tells = Rc::clone(&told);
    let run = trial::run(file, move |case| tells.borrow_mut().push(case));
    let mut cases = told.take();
    let whole = |failure: String| Case { name: file.display().to_string(), failure: Some(failure) };
    match run {
        Err(why) => cases.push(whole(why)),
        Ok(()) if cases.is_empty() => cases.push(whole("it has no tests: none was made with t.it".into())),
        Ok(()) => {}
    }
    cases
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
