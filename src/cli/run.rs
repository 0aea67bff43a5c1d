//! `cr_run [options] [--] command [args]`: starts a command that can be checkpointed.
//!
//! Every program can be, so that this is an exec; it stays because scripts call it, and for `--omit`. Reading stops at the first
//! word that is not an option of its own, as in BLCR: an unknown option is taken for the command and not found.
//! The engine reads [`OMIT`] from the environment of the processes it selects.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::exit::{self, Refusal, Show, Stop};
use super::flag::general::General;
use super::flag::kmsg::Kmsg;
use super::flag::{Flag, Takes, general, under};
use super::preload;
use super::program::Program;
use super::report::{Reporter, Streams, show_or_refuse};

/// Set to 1 in the environment of processes that checkpoints leave out.
pub const OMIT: &str = "REPRISE_OMIT";

/// Libraries that the loader loads first (ld.so(8)).
const PRELOAD: &str = "LD_PRELOAD";

/// What was said to `cr_run`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunSaid {
    /// Checkpoints leave the command out.
    pub omit: bool,
}

/// The program.
pub fn program() -> Program<RunSaid> {
    let flags = [
        Flag::switch("run", |said: &mut RunSaid| {
            said.omit = false;
            Ok(())
        })
        .help("The command is part of checkpoints (default)"),
        Flag::switch("omit", |said: &mut RunSaid| {
            said.omit = true;
            Ok(())
        })
        .help("Checkpoints leave the command out"),
    ];
    let flags = [under("Part in checkpoints (the last one counts)", flags), general::itself(None)];
    Program {
        name: "cr_run",
        about: "Start a command that can be checkpointed",
        usage: "[options] [--] command [args]",
        description: "Starts a command. Every program can be checkpointed with cr_checkpoint(1), linked statically or not, with cr_run or \
            without. cr_run loads a small library into it where one is installed: for --omit, and for cr_checkpoint --require-libcr.",
        operands: ("command", "The command and its arguments"),
        examples: EXAMPLES,
        flags: flags.into_iter().flatten().collect(),
    }
}

const EXAMPLES: &str = "\
EXAMPLES
  cr_run ./simulate input.dat           the same as ./simulate input.dat
  cr_run --omit ./watch-progress &      a helper that a checkpoint of the whole script leaves out

EXIT STATUS
  that of the command; 0 without a command; 127 if it is not found, 126 if it cannot be run";

/// Runs the program. Returns only if no command was started.
pub fn run(args: impl IntoIterator<Item = OsString>, streams: &mut Streams<'_>) -> u8 {
    let program = program();
    let mut reporter = Reporter::new(streams, General::default(), Kmsg::None);
    match parse(&program, args) {
        Ok((said, words)) => match words.split_first() {
            None => 0,
            Some((command, args)) => start(&said, command, args, &mut reporter),
        },
        Err(stop) => show_or_refuse(&mut reporter, &program, stop).map_or(0, |refusal| {
            reporter.refusal(&program, &refusal);
            refusal.status()
        }),
    }
}

/// Becomes the command.
fn start(said: &RunSaid, command: &OsStr, args: &[OsString], reporter: &mut Reporter<'_, '_>) -> u8 {
    let mut exec = Command::new(command);
    exec.args(args);
    if said.omit {
        exec.env(OMIT, "1");
    } else {
        exec.env_remove(OMIT);
    }
    let program = std::env::current_exe().ok();
    match preload::value(said.omit, program.as_deref(), std::env::var_os(PRELOAD).as_deref()) {
        Some(value) => exec.env(PRELOAD, value),
        None => exec.env_remove(PRELOAD),
    };
    crate::sys::inherited::close_again_on_exec();
    let error = exec.exec();
    // A failed exec leaves SIGPIPE with its default action (std::os::unix::process::CommandExt::exec): complaints go to a pipe at times.
    let _cannot_fail = crate::sys::cli_support::ignore(libc::SIGPIPE);
    let (reason, status) = match error.kind() {
        io::ErrorKind::NotFound => ("command not found".to_owned(), exit::NOT_FOUND),
        _ => (super::text::strerror(error.raw_os_error().unwrap_or(libc::EIO)), exit::NOT_EXECUTABLE),
    };
    reporter.complain(&format!("cr_run: {}: {reason}", command.display()));
    status
}

/// Splits the words into what concerns cr_run and the command.
fn parse(program: &Program<RunSaid>, args: impl IntoIterator<Item = OsString>) -> Result<(RunSaid, Vec<OsString>), Stop> {
    let mut said = RunSaid::default();
    let mut words = args.into_iter().peekable();
    while let Some(word) = words.next_if(|word| is_own(program, word)) {
        match word.to_str() {
            Some("--") => break,
            Some("-?" | "-h") => return Err(Stop::Show(Show::Help)),
            _ => apply(program, &word, &mut said, &mut words)?,
        }
    }
    Ok((said, words.collect()))
}

fn apply(program: &Program<RunSaid>, word: &OsStr, said: &mut RunSaid, words: &mut impl Iterator<Item = OsString>) -> Result<(), Stop> {
    match flag(program, word).map(|flag| &flag.takes) {
        Some(Takes::Nothing(apply)) => apply(said),
        Some(Takes::Value(name, apply)) => match words.next() {
            Some(value) => apply(said, &value),
            None => Err(Refusal::usage(format!("{} needs a {name}", word.display())).into()),
        },
        Some(Takes::Maybe(_, apply)) => apply(said, None),
        None => Ok(()),
    }
}

fn is_own(program: &Program<RunSaid>, word: &OsStr) -> bool {
    word == "--" || word == "-?" || word == "-h" || flag(program, word).is_some()
}

fn flag<'a>(program: &'a Program<RunSaid>, word: &OsStr) -> Option<&'a Flag<RunSaid>> {
    let name = word.to_str()?.strip_prefix("--")?;
    program.flags.iter().find(|flag| flag.long == name)
}

#[cfg(test)]
mod test {
    use super::*;
    use insta::assert_snapshot;

    fn parsed(line: &str) -> Result<(bool, String), Stop> {
        let (said, words) = parse(&program(), line.split_whitespace().map(OsString::from))?;
        let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
        Ok((said.omit, words.join(" ")))
    }

    fn ran(line: &str) -> (u8, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let args = line.split_whitespace().map(OsString::from);
        let status = run(args, &mut Streams { out: &mut out, err: &mut err });
        (status, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn the_first_word_that_is_not_an_option_is_the_command() {
        for (line, omit, words) in [
            ("", false, ""),
            ("true", false, "true"),
            ("ls --omit -l", false, "ls --omit -l"),
            ("--omit ls -l", true, "ls -l"),
            ("--omit --run -- ls", false, "ls"),
            ("--run --omit ls", true, "ls"),
            ("-- --omit", false, "--omit"),
            ("-x ls", false, "-x ls"),
            ("--omi ls", false, "--omi ls"),
            ("-- -- ls", false, "-- ls"),
            ("--", false, ""),
        ] {
            assert_eq!(parsed(line), Ok((omit, words.into())), "{line}");
        }
    }

    #[test]
    fn no_command_is_success_and_an_unknown_one_is_127() {
        assert_eq!(ran(""), (0, String::new(), String::new()));
        assert_eq!(ran("--omit --"), (0, String::new(), String::new()));
        assert_eq!(ran("-x"), (127, String::new(), "cr_run: -x: command not found\n".into()));
        assert_eq!(ran("/nonexistent/x"), (127, String::new(), "cr_run: /nonexistent/x: command not found\n".into()));
        assert_eq!(ran("/etc/passwd"), (126, String::new(), "cr_run: /etc/passwd: Permission denied\n".into()));
        assert_eq!(ran("/tmp"), (126, String::new(), "cr_run: /tmp: Permission denied\n".into()));
    }

    #[test]
    fn version_and_help() {
        assert_eq!(ran("--version").1, format!("cr_run version {}\n", env!("CARGO_PKG_VERSION")));
        for line in ["--help", "-?", "--omit -h ls"] {
            assert_eq!(parsed(line), Err(Stop::Show(Show::Help)), "{line}");
        }
        assert_snapshot!(program().command().term_width(110).render_help().to_string());
    }
}
