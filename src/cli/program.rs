//! A program's table of flags, turned into a parser, a help text, a man page and completion scripts.
//!
//! Relies on clap for all four. What clap cannot know is added here: flags take effect from left to right, up to and not
//! including the first error, because a hook that stands before a bad option is in force when that option is refused
//! (`cr_restart(1)`, "Error handling").

use std::ffi::OsString;

use clap::builder::ValueParser;
use clap::error::{ContextKind, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint};

use super::exit::{Reason, Refusal, Show, Stop};
use super::flag::{Flag, Outcome, Takes};
use super::man;

/// What a clap definition is made for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Reading a command line: everything may be repeated.
    Reading,
    /// Help and completion scripts: repetition is not shown.
    Showing,
    /// The manual page: other names of a flag stand in its text, because clap_mangen leaves them out.
    Manual,
}

/// Name of the operands among clap's arguments.
const OPERANDS: &str = "operands";

/// A program as its command line shows it.
pub struct Program<S> {
    /// Its name.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// What stands after the name in the usage line.
    pub usage: &'static str,
    /// What it is, in a few paragraphs: the man page's description.
    pub description: &'static str,
    /// The operands' name and help.
    pub operands: (&'static str, &'static str),
    /// Examples and exit codes, shown below the options.
    pub examples: &'static str,
    /// Its flags, in the order of the help text.
    pub flags: Vec<Flag<S>>,
}

impl<S: Default> Program<S> {
    /// Reads a command line without the program's name. What was said before an error is returned with the error.
    pub fn parse(&self, args: impl IntoIterator<Item = OsString>) -> (S, Result<Vec<OsString>, Stop>) {
        let args: Vec<OsString> = args.into_iter().collect();
        let (matches, error) = match self.reader().try_get_matches_from(&args) {
            Ok(matches) => (matches, None),
            // A second reading that stops quietly at the error tells what stood before it.
            Err(error) => (self.reader().ignore_errors(true).try_get_matches_from(&args).unwrap_or_default(), Some(error)),
        };
        let mut said = S::default();
        if let Err(stop) = self.apply(&matches, &mut said) {
            return (said, Err(stop));
        }
        match error {
            Some(error) => (said, Err(Refusal { reason: Reason::UsageShown, ..Refusal::usage(with_pointer(error)) }.into())),
            None => (said, Ok(matches.get_many(OPERANDS).unwrap_or_default().cloned().collect())),
        }
    }

    /// Applies the flags in the order in which they stand on the command line.
    fn apply(&self, matches: &ArgMatches, said: &mut S) -> Outcome {
        let mut occurrences: Vec<(usize, &Flag<S>, Option<OsString>)> = Vec::new();
        for flag in &self.flags {
            if matches.value_source(flag.long) != Some(ValueSource::CommandLine) {
                continue;
            }
            let places = matches.indices_of(flag.long).unwrap_or_default();
            if let Takes::Nothing(_) = flag.takes {
                // A repeated flag without value stands, as often as it was said, where it was said last.
                let place = places.max().unwrap_or_default();
                let times = usize::from(matches.get_count(flag.long));
                occurrences.extend((0..times).map(|_| (place, flag, None)));
            } else {
                let values = matches.get_many::<OsString>(flag.long).unwrap_or_default();
                occurrences.extend(places.zip(values).map(|(place, value)| (place, flag, Some(value.clone()))));
            }
        }
        occurrences.sort_by_key(|(place, _, _)| *place);
        for (_, flag, value) in occurrences {
            match (&flag.takes, value.as_deref()) {
                (Takes::Nothing(apply), _) => apply(said)?,
                (Takes::Value(_, apply), value) => apply(said, value.unwrap_or_default())?,
                (Takes::Maybe(_, apply), value) => apply(said, value.filter(|value| !value.is_empty()))?,
            }
        }
        Ok(())
    }
}

impl<S> Program<S> {
    /// The clap definition for texts.
    pub fn command(&self) -> Command {
        self.definition(Use::Showing)
    }

    /// The clap definition for parsing.
    fn reader(&self) -> Command {
        self.definition(Use::Reading).no_binary_name(true)
    }

    fn definition(&self, purpose: Use) -> Command {
        let (name, help) = self.operands;
        let operands = Arg::new(OPERANDS).value_name(name).help(help).value_parser(ValueParser::os_string());
        let operands = match purpose {
            Use::Reading => operands.num_args(0..).action(ArgAction::Append),
            Use::Showing | Use::Manual => operands.value_hint(hint(name)),
        };
        Command::new(self.name)
            .version(env!("CARGO_PKG_VERSION"))
            .about(self.about)
            .long_about(self.description)
            .override_usage(format!("{} {}", self.name, self.usage))
            .after_help(self.examples)
            .disable_help_flag(true)
            .disable_version_flag(true)
            .infer_long_args(true)
            .arg(operands)
            .args(self.flags.iter().map(|flag| argument(flag, purpose)))
    }

    /// The message for a command line whose form is wrong, with the usage line.
    pub fn usage_message(&self, text: &str) -> String {
        with_pointer(self.command().error(ErrorKind::ArgumentConflict, text))
    }

    /// What the program says about itself.
    pub fn show(&self, what: Show) -> String {
        match what {
            Show::Help => self.command().render_help().to_string(),
            Show::Version => format!("{} version {}\n", self.name, env!("CARGO_PKG_VERSION")),
            Show::Man => man::page(&self.definition(Use::Manual), self.examples),
            Show::Completions(shell) => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut self.command(), self.name, &mut script);
                String::from_utf8_lossy(&script).into_owned()
            }
        }
    }
}

/// A usage error and where to read more; clap adds that line only for help flags of its own. Its tip to pass unknown options as
/// operands would only mislead.
fn with_pointer(mut error: clap::Error) -> String {
    error.remove(ContextKind::Suggested);
    format!("{}\n\nFor more information, try '--help'.", error.render().to_string().trim_end())
}

/// The clap argument of a flag.
fn argument<S>(flag: &Flag<S>, purpose: Use) -> Arg {
    let arg = Arg::new(flag.long)
        .long(flag.long)
        .visible_aliases(flag.aliases)
        .aliases(flag.hidden_aliases)
        .hide(flag.hidden)
        .help(if purpose == Use::Manual { manual_text(flag) } else { flag.help.to_owned() })
        .help_heading(flag.heading);
    let arg = match flag.short {
        Some(short) => arg.short(short).visible_short_aliases(flag.other_short.iter().copied().collect::<Vec<_>>()),
        None => arg,
    };
    let valued = |arg: Arg, name| {
        arg.value_name(name)
            .value_hint(hint(name))
            .action(ArgAction::Append)
            .value_parser(ValueParser::os_string())
            .allow_hyphen_values(true)
    };
    match &flag.takes {
        Takes::Nothing(_) if purpose == Use::Reading => arg.action(ArgAction::Count),
        Takes::Nothing(_) => arg.action(ArgAction::SetTrue),
        Takes::Value(name, _) => valued(arg, *name).num_args(1),
        Takes::Maybe(name, _) => valued(arg, *name).num_args(0..=1).require_equals(true).default_missing_value(""),
    }
}

/// The help of a flag with its other names.
fn manual_text<S>(flag: &Flag<S>) -> String {
    let letters = flag.other_short.iter().map(|letter| format!("-{letter}"));
    let names: Vec<String> = letters.chain(flag.aliases.iter().map(|name| format!("--{name}"))).collect();
    if names.is_empty() { flag.help.to_owned() } else { format!("{} (also {})", flag.help, names.join(", ")) }
}

/// What completion scripts offer for a value.
fn hint(name: &str) -> ValueHint {
    match name {
        "FILE" | "NAME" => ValueHint::FilePath,
        "DIR" => ValueHint::DirPath,
        "CMD" => ValueHint::CommandString,
        "command" => ValueHint::CommandName,
        _ => ValueHint::Other,
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[derive(Default, Debug, PartialEq)]
    struct Said(Vec<String>);

    fn program() -> Program<Said> {
        let flags = vec![
            Flag::switch("loud", |said: &mut Said| {
                said.0.push("loud".into());
                Ok(())
            })
            .short('l'),
            Flag::value("name", "NAME", |said: &mut Said, value| {
                said.0.push(format!("name {}", value.display()));
                if value == "bad" { Err(Refusal::value("bad name").into()) } else { Ok(()) }
            })
            .short('n'),
            Flag::maybe("keep", "AS", |said: &mut Said, value| {
                said.0.push(format!("keep {value:?}"));
                Ok(())
            }),
        ];
        Program { name: "sample", about: "", usage: "[options]", description: "", operands: ("FILE", ""), examples: "", flags }
    }

    fn parse(line: &str) -> (Vec<String>, Result<Vec<OsString>, Stop>) {
        let (said, result) = program().parse(line.split_whitespace().map(OsString::from));
        (said.0, result)
    }

    #[test]
    fn flags_apply_from_left_to_right_wherever_operands_stand() {
        let (said, operands) = parse("x --name b y -l -n a z --keep=c --keep --na=d");
        assert_eq!(said, ["name b", "loud", "name a", "keep Some(\"c\")", "keep None", "name d"]);
        assert_eq!(operands.unwrap(), ["x", "y", "z"]);
    }

    #[test]
    fn what_stands_before_an_error_is_in_force() {
        for (line, expected) in [
            ("--name a --bogus --name b", vec!["name a"]),
            ("--bogus --name b", vec![]),
            ("--name a --name", vec!["name a"]),
            ("-lnx -Z -nb", vec!["loud", "name x"]),
            ("--loud=x --name b", vec![]),
        ] {
            let (said, result) = parse(line);
            assert_eq!(said, expected, "{line}");
            assert!(matches!(result, Err(Stop::Refuse(Refusal { reason: Reason::UsageShown, .. }))), "{line}: {result:?}");
        }
    }

    #[test]
    fn a_bad_value_wins_over_a_later_unknown_flag() {
        let (said, result) = parse("-n bad --bogus");
        assert_eq!(said, ["name bad"]);
        assert_eq!(result, Err(Refusal::value("bad name").into()));
    }

    #[test]
    fn values_may_look_like_flags_or_be_empty() {
        let (said, operands) = parse("--name -x -n --loud --name= -- -l");
        assert_eq!(said, ["name -x", "name --loud", "name "]);
        assert_eq!(operands.unwrap(), ["-l"]);
    }

    #[test]
    fn man_page_and_completions_come_from_the_same_definitions() {
        use clap_complete::Shell;
        let man = program().show(Show::Man);
        assert!(man.contains(".TH sample 1") && man.contains("\\-\\-name") && man.contains(".SH \"SEE ALSO\""), "{man}");
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = program().show(Show::Completions(shell));
            assert!(script.contains("loud") && script.contains("sample"), "{shell}: {script}");
        }
    }
}
