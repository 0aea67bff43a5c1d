//! The end-to-end suite: the built programs against test programs, real programs, terminals and chaos.
//!
//! Driven by `cargo test` and, with a filter, by `cargo xtask integration`. Every case runs alone in a sandbox; see
//! `runner` for how, `table` for which programs, `journeys` for what is done to them. Relies on nothing of the library
//! it tests: only the command lines.

#![forbid(unsafe_code)]

mod attributes;
mod callers;
mod case;
mod chaos;
mod children;
mod commands;
mod cpr;
mod decisions;
mod job;
mod journeys;
mod looking;
mod namespace;
mod observe;
mod outsiders;
mod ownership;
mod pace;
mod participants;
mod places;
mod prepare;
mod ptys;
mod ready;
mod ready_made;
mod real;
mod restarter;
mod rights;
mod runner;
mod sandbox;
mod scripts;
mod site;
mod soak;
mod stops;
mod sysv;
mod table;
mod terminals;
mod tools;
mod verdict;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use case::Filter;
use prepare::Built;
use runner::Plan;

const USAGE: &str = "\
usage: journeys [FILTER] [--journey J] [--list] [--keep] [--no-build] [--jobs N] [--tools DIR]
  FILTER       cases of this name, or with this in their name
  --journey J  only this journey
  --list       print the cases and run none
  --keep       keep the directories of cases that passed, too
  --no-build   take the programs as they are
  --jobs N     how many cases run at a time
  --tools DIR  test the programs in DIR instead";

#[derive(Default)]
struct Options {
    filter: Filter,
    list: bool,
    keep: bool,
    no_build: bool,
    jobs: Option<usize>,
    tools: Option<PathBuf>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--outer", name, journey, base] => sandbox::outer(&["--inside", name, journey, base]),
        ["--inside", name, journey, base] => runner::inside(name, journey, Path::new(base)),
        words => match parse(words) {
            Ok(options) => run(&options),
            Err(word) => {
                eprintln!("{word}\n{USAGE}");
                ExitCode::from(2)
            }
        },
    }
}

fn parse(words: &[&str]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut rest = words.iter();
    while let Some(&word) = rest.next() {
        let mut value = || rest.next().map(|word| (*word).to_owned()).ok_or(format!("{word} wants a value"));
        match word {
            "--journey" => options.filter.journey = Some(value()?),
            "--list" => options.list = true,
            "--keep" => options.keep = true,
            "--no-build" => options.no_build = true,
            "--jobs" => options.jobs = Some(value()?.parse().map_err(|_| "--jobs wants a number".to_owned())?),
            "--tools" => options.tools = Some(PathBuf::from(value()?)),
            // What `cargo test -- …` passes to every test target.
            "--nocapture" | "--no-capture" | "--quiet" | "-q" => {}
            "--help" | "-h" => return Err("the end-to-end suite".to_owned()),
            word if !word.starts_with('-') && options.filter.name.is_none() => options.filter.name = Some(word.to_owned()),
            word => return Err(format!("unknown argument {word}")),
        }
    }
    Ok(options)
}

fn run(options: &Options) -> ExitCode {
    if options.list {
        for case in options.filter.pick(case::all()) {
            println!("{} {}", case.name, case.journey);
        }
        return ExitCode::SUCCESS;
    }
    let built = Built::find();
    if !options.no_build
        && let Err(error) = built.build()
    {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let base = tempfile::Builder::new().prefix("reprise-").tempdir().expect("make a directory for the run");
    let base_path = base.path().canonicalize().expect("find the run's directory");
    std::fs::set_permissions(&base_path, PermissionsExt::from_mode(0o755)).expect("open the run's directory");
    built.copy_to(&base_path, options.tools.as_deref()).expect("copy the programs aside");
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let slots = options.jobs.unwrap_or((processors + 1).min(4));
    let count = runner::run(&Plan { base: base_path, slots, keep: options.keep }, &options.filter);
    println!("{} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped);
    if count.failed == 0 && count.passed + count.skipped > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
