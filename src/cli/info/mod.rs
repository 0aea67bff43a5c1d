//! `cr_info FILE...`: what is in a context file, for people and as JSON; checks every byte if asked.
//!
//! Relies on [`crate::image::Reader`] for the file. The sections of the text are one file each; everything a section prints is
//! computed from plain data, so that the tests need no process and no file.

mod core;
mod diff;
mod heading;
mod json;
mod layout;
mod memory;
mod objects;
mod processes;
mod tally;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::exit::{self, Refusal};
use super::flag::general::General;
use super::flag::kmsg::Kmsg;
use super::flag::{Flag, general, under};
use super::program::Program;
use super::progress::Watcher;
use super::report::{Reporter, Streams, show_or_refuse};
use super::text::{Attempt, count};
use indicatif::BinaryBytes;

use crate::engine::observe::Observer;
use crate::error::{Failure, Stage, Subject};
use crate::image::{Decision, Header, ImageError, Reader, Snapshot, Verified};
pub use heading::time;
use tally::Tally;

/// What was said to `cr_info`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InfoSaid {
    general: General,
    verify: bool,
    /// The process whose core file is wanted.
    core: Option<i32>,
    /// Where it goes.
    to: Option<PathBuf>,
    /// Whether two files are compared.
    diff: bool,
}

impl AsMut<General> for InfoSaid {
    fn as_mut(&mut self) -> &mut General {
        &mut self.general
    }
}

/// Everything known about one context file.
pub struct Contents {
    name: String,
    bytes: u64,
    header: Header,
    snapshot: Arc<Snapshot>,
    /// One for each address space; `None` where the file is a stream and its pages have not been seen.
    tallies: Vec<Option<Tally>>,
    verified: Option<Verified>,
}

/// The program.
pub fn program() -> Program<InfoSaid> {
    let verify = Flag::switch("verify", |said: &mut InfoSaid| {
        said.verify = true;
        Ok(())
    })
    .help("Read the whole file and check every byte");
    let core = Flag::value("core", "PID", |said: &mut InfoSaid, value| {
        let pid = value.to_str().and_then(|text| text.parse().ok()).filter(|pid: &i32| *pid > 0);
        said.core = Some(pid.ok_or_else(|| Refusal::value(format!("--core takes a process id, not \"{}\"", value.display())))?);
        Ok(())
    })
    .help("Write an ELF core file of a saved process, for a debugger; FILE may be a directory of context files");
    let to = Flag::value("to", "NAME", |said: &mut InfoSaid, value| {
        said.to = Some(value.into());
        Ok(())
    })
    .help("Name of the core file (core.PID); it must not exist");
    let diff = Flag::switch("diff", |said: &mut InfoSaid| {
        said.diff = true;
        Ok(())
    })
    .help("Compare two context files: state, descriptors, and memory page by page");
    let flags = [under("What to do", [verify, diff, core, to]), general::verbose(Some('v')), general::output(), general::itself(None)];
    Program {
        name: "cr_info",
        about: "Show what is in a context file",
        usage: "[options] FILE...",
        description: "Shows when and where a context file was made, the processes in it, their memory, the files they use and what becomes \
            of them at a restart, and who decided what. Starts nothing and changes nothing.",
        operands: ("FILE", "Context files"),
        examples: EXAMPLES,
        flags: flags.into_iter().flatten().collect(),
    }
}

const EXAMPLES: &str = "\
EXAMPLES
  cr_info context.4242                  what is in it
  cr_info --verify context.*            are they intact?
  cr_info --diff before.cr after.cr     what did the job change in between?
  cr_info --core 4242 job.cr && gdb ./prog core.4242
                                        look into a process without running it
  cr_info --json job.cr | jq '.snapshot.processes[].command'

EXIT STATUS
  0     all files were read, and with --verify are intact; with --diff: they hold the same
  1     with --diff: they differ
  5     a file is damaged or cut short
  22    a file is not a context file
  255   the command line is wrong
  else  the error number (errno) of what failed";

/// Runs the program and returns its exit code: that of the first file with a problem.
pub fn run(args: impl IntoIterator<Item = OsString>, streams: &mut Streams<'_>) -> u8 {
    let program = program();
    let (said, operands) = program.parse(args);
    let mut reporter = Reporter::new(streams, said.general, Kmsg::None);
    let files = operands.and_then(|files| match files.len() {
        0 => Err(Refusal::usage("name a context file").into()),
        _ if said.diff && files.len() != 2 => Err(Refusal::usage("name two context files with --diff").into()),
        _ if said.diff && said.core.is_some() => Err(Refusal::usage("--diff and --core exclude each other").into()),
        2.. if said.core.is_some() => Err(Refusal::usage("name one context file with --core").into()),
        _ => Ok(files),
    });
    let files = match files {
        Ok(files) => files,
        Err(stop) => {
            return show_or_refuse(&mut reporter, &program, stop).map_or(0, |refusal| {
                reporter.refusal(&program, &refusal);
                refusal.status()
            });
        }
    };
    if let Some(pid) = said.core {
        return tell_core(&said, pid, &files[0], &mut reporter);
    }
    if said.diff {
        return tell_difference(&said, (Path::new(&files[0]), Path::new(&files[1])), &mut reporter);
    }
    let mut status = 0;
    for (number, file) in files.iter().enumerate() {
        if number > 0 {
            reporter.line("");
        }
        let code = tell(&said, file, &mut reporter);
        status = if status == 0 { code } else { status };
    }
    status
}

/// Writes a core file and says so.
fn tell_core(said: &InfoSaid, pid: i32, file: &OsStr, reporter: &mut Reporter<'_, '_>) -> u8 {
    let to = said.to.clone().unwrap_or_else(|| format!("core.{pid}").into());
    match core::write(file, pid, &to) {
        Ok(written) => {
            let size = BinaryBytes(written.bytes);
            reporter.line(&format!("{}: process {pid}, {}, {size}", to.display(), count(written.threads, "thread", "threads")));
            reporter.success(&written, "", &[]);
            0
        }
        Err(failure) => {
            let status = exit::of_checkpoint(&failure);
            reporter.failure(Attempt::Info, &failure, status, &[]);
            status
        }
    }
}

/// Compares two files; the exit code is that of diff(1).
fn tell_difference(said: &InfoSaid, files: (&Path, &Path), reporter: &mut Reporter<'_, '_>) -> u8 {
    match diff::compare(files.0, files.1) {
        Ok(difference) => {
            reporter.line(&difference.text(files, said.general.verbose > 0));
            reporter.success(&difference, "", &[]);
            u8::from(!difference.same)
        }
        Err(failure) => {
            let status = exit::of_checkpoint(&failure);
            reporter.failure(Attempt::Info, &failure, status, &[]);
            status
        }
    }
}

/// Tells about one file.
fn tell(said: &InfoSaid, file: &OsStr, reporter: &mut Reporter<'_, '_>) -> u8 {
    let result = read(file, said).map_err(|error| Failure::new(Stage::Load, error).about(Subject::path(Path::new(file))));
    match result {
        Ok(contents) if said.general.json => match json::object(&contents) {
            Ok(object) => {
                reporter.object(&object);
                0
            }
            Err(error) => {
                reporter.complain(&format!("cr_info: {}: {error}", contents.name));
                exit::INVALID
            }
        },
        Ok(contents) => {
            reporter.line(&page(&contents));
            0
        }
        Err(failure) => {
            let status = exit::of_checkpoint(&failure);
            reporter.failure(Attempt::Info, &failure, status, &[]);
            status
        }
    }
}

/// Reads what is to be told.
fn read(file: &OsStr, said: &InfoSaid) -> Result<Contents, ImageError> {
    let opened = File::open(file).map_err(|source| ImageError::Io { attempt: "open it", source })?;
    let bytes = opened.metadata().map(|metadata| metadata.len()).unwrap_or_default();
    let mut reader = Reader::open(opened)?;
    let mut watcher = Watcher::new(said.general);
    let verified = said.verify.then(|| reader.verify(&mut |done, total| watcher.progress(done, total))).transpose();
    watcher.finish();
    let verified = verified?;
    Ok(Contents {
        name: file.display().to_string(),
        bytes: verified.map_or(bytes, |verified| verified.bytes),
        header: reader.header().clone(),
        snapshot: Arc::clone(reader.snapshot()),
        tallies: tally::of(&reader)?,
        verified,
    })
}

/// The whole text about a file.
fn page(contents: &Contents) -> String {
    let snapshot = &contents.snapshot;
    let sections = [
        heading::lines(contents),
        processes::lines(snapshot, &contents.tallies),
        memory::lines(snapshot, &contents.tallies),
        objects::lines(snapshot),
        decisions(snapshot),
        notes(snapshot),
    ];
    let sections: Vec<String> = sections.iter().filter(|lines| !lines.is_empty()).map(|lines| lines.join("\n")).collect();
    sections.join("\n\n")
}

/// Who decided what.
fn decisions(snapshot: &Snapshot) -> Vec<String> {
    if snapshot.decisions.is_empty() {
        return Vec::new();
    }
    let row = |decision: &Decision| vec![decision.verdict.clone(), decision.by.clone(), decision.about.clone()];
    let mut lines = vec!["DECISIONS".to_owned()];
    lines.extend(layout::table(&["VERDICT", "BY", "ABOUT"], snapshot.decisions.iter().map(row)));
    lines
}

/// What hooks noted.
fn notes(snapshot: &Snapshot) -> Vec<String> {
    if snapshot.annotations.is_empty() {
        return Vec::new();
    }
    let notes = snapshot.annotations.iter().map(|(key, value)| format!("  {key}: {value}"));
    std::iter::once("NOTES".to_owned()).chain(notes).collect()
}

#[cfg(test)]
mod test;
