//! `cargo xtask ci`: everything that must hold before a change lands.
//!
//! Goes on after a failure and lists all of them at the end. The closing line counts every test, those of the end-to-end suite included. Relies on
//! cargo's words for test results; `.ci/run` installs what the tests want.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Instant;

use crate::place::{cargo, spelled};
use crate::{Outcome, testprogs};

/// Each step: its name and the cargo command it is.
const STEPS: &[(&str, &[&str])] = &[
    ("format", &["fmt", "--all", "--", "--check", "-l"]),
    ("lints", &["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"]),
    ("documentation", &["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"]),
    ("release build", &["build", "--quiet", "--release", "--package", "reprise", "--bins"]),
    ("tests", &["test", "--quiet", "--workspace", "--exclude", "integration", "--no-fail-fast"]),
    ("end to end", &["test", "--quiet", "--package", "integration"]),
    ("changed images", &["xtask", "fuzz", "--minutes", "0.5"]),
];

/// Test results, summed over all test programs.
#[derive(Default, Debug, PartialEq, Eq)]
struct Count {
    passed: u32,
    failed: u32,
    skipped: u32,
}

/// Runs every step; any that failed makes the whole fail.
pub fn run() -> Outcome {
    let mut failures = Vec::new();
    let mut count = Count::default();
    if let Err(error) = testprogs::build() {
        println!("{error}");
        failures.push("test programs");
    }
    for (name, arguments) in STEPS {
        println!("== {name}: {}", spelled(&cargo(arguments)));
        let start = Instant::now();
        let is_good = stream(arguments, &mut count)?;
        println!("== {name}: {} after {:.0} s", if is_good { "good" } else { "FAILED" }, start.elapsed().as_secs_f64());
        if !is_good {
            failures.push(name);
        }
    }
    println!("{} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped);
    if failures.is_empty() { Ok(()) } else { Err(format!("failed: {}", failures.join(", "))) }
}

/// Runs one step, shows what it prints, and counts the test results in it.
fn stream(arguments: &[&str], count: &mut Count) -> Outcome<bool> {
    let mut command = cargo(arguments);
    command.stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot run cargo: {error}"))?;
    let output = child.stdout.take().expect("a pipe from cargo");
    for line in BufReader::new(output).split(b'\n') {
        let line = line.map_err(|error| format!("cannot read what cargo prints: {error}"))?;
        let line = String::from_utf8_lossy(&line);
        count.add(&line);
        println!("{line}");
    }
    let status = child.wait().map_err(|error| format!("cannot wait for cargo: {error}"))?;
    Ok(status.success())
}

impl Count {
    /// Adds a result line of cargo's test harness, or of the end-to-end suite; other lines count nothing.
    fn add(&mut self, line: &str) {
        let results = line.strip_prefix("test result:").and_then(|rest| rest.split_once(". ")).map_or(line, |(_, rest)| rest);
        let numbers = |word: &str| {
            let part = results.split([';', ',']).find_map(|part| part.trim().strip_suffix(word));
            part.and_then(|number| number.trim().parse().ok())
        };
        let (Some(passed), Some(failed)) = (numbers("passed"), numbers("failed")) else {
            return;
        };
        self.passed += passed;
        self.failed += failed;
        self.skipped += numbers("skipped").or(numbers("ignored")).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn results_of_both_harnesses_are_counted() {
        let mut count = Count::default();
        count.add("test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.11s");
        count.add("10 passed, 2 failed, 5 skipped");
        count.add("test passed, whatever it was");
        assert_eq!(count, Count { passed: 13, failed: 3, skipped: 7 });
    }
}
