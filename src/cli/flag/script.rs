//! Hook scripts and the decisions that need none: `--hook`, `--hook-*`, `--file-action`, `--dry-run`. The same on every program that asks.
//!
//! Reads the words; whether a script loads is found out by [`crate::cli::policies`], what an answer means is decided by `policy`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Flag, Outcome, under};
use crate::cli::exit::Refusal;
use crate::image::FileAction;
use crate::policy::pattern::Pattern;
use crate::policy::rule::FileRule;

/// What was said about scripts and decisions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scripting {
    /// Scripts, in order.
    pub files: Vec<PathBuf>,
    /// What they find in `cr.args`.
    pub args: BTreeMap<String, String>,
    /// They may look but not touch.
    pub pure: bool,
    /// How long one call may take.
    pub timeout: Option<Duration>,
    /// How long one call may take while a checkpoint holds the job.
    pub frozen_timeout: Option<Duration>,
    /// How much memory they may use, bytes.
    pub memory: Option<usize>,
    /// Where events and answers are written.
    pub record: Option<PathBuf>,
    /// The attribute file.
    pub attributes: Option<PathBuf>,
    /// `--file` rules, in order.
    pub rules: Vec<FileRule>,
    /// Take all decisions and show them; change nothing.
    pub dry_run: bool,
}

/// All flags of this topic.
pub fn flags<S: AsMut<Scripting>>() -> Vec<Flag<S>> {
    let flags = [
        Flag::value("hook", "SCRIPT", |said: &mut S, value| {
            said.as_mut().files.push(PathBuf::from(value));
            Ok(())
        })
        .help("Ask this Lua script wherever a decision is taken (see docs/hooks.md); may be repeated"),
        Flag::value("hook-arg", "KEY=VALUE", |said: &mut S, value| argument(said.as_mut(), value))
            .help("What scripts find as cr.args.KEY; may be repeated"),
        Flag::switch("hook-pure", |said: &mut S| {
            said.as_mut().pure = true;
            Ok(())
        })
        .help("Scripts decide and change nothing: no cr.exec, no cr.write_file"),
        Flag::value("hook-timeout", "SEC", |said: &mut S, value| {
            said.as_mut().timeout = Some(seconds("--hook-timeout", value)?);
            Ok(())
        })
        .help("How long one call of a script may take (default 5)"),
        Flag::value("hook-frozen-timeout", "SEC", |said: &mut S, value| {
            said.as_mut().frozen_timeout = Some(seconds("--hook-frozen-timeout", value)?);
            Ok(())
        })
        .help("How long scripts may hold the job in all (default 1)"),
        Flag::value("hook-memory", "MIB", |said: &mut S, value| {
            said.as_mut().memory = Some(memory(value)?);
            Ok(())
        })
        .help("How much memory scripts may use together, in MiB (default 64)"),
        Flag::value("hook-record", "FILE", |said: &mut S, value| {
            said.as_mut().record = Some(PathBuf::from(value));
            Ok(())
        })
        .help("Write every event and its answer to FILE, a JSON object a line, for cr_hooks replay"),
        Flag::value("file-action", "PATTERN=ACTION", |said: &mut S, value| {
            let rule = rule(value)?;
            said.as_mut().rules.push(rule);
            Ok(())
        })
        .help(
            "What becomes of regular files whose path matches: merge, ignore, append, replace, substitute or fail. \
             Patterns: * within a name, ** across directories, ?, [a-z], {a,b}. May be repeated; the first match counts. \
             --file PATTERN=ACTION means the same",
        ),
        Flag::value("attributes", "FILE", |said: &mut S, value| {
            said.as_mut().attributes = Some(PathBuf::from(value));
            Ok(())
        })
        .help("Decide as this attribute file of cpr says; flags count before it, scripts after it"),
        Flag::switch("dry-run", |said: &mut S| {
            said.as_mut().dry_run = true;
            Ok(())
        })
        .help("Take every decision and show who took it; change nothing"),
    ];
    under("Decisions: by Lua scripts and by pattern", flags)
}

/// Flags about how scripts run, for programs without a job.
pub fn terms<S: AsMut<Scripting>>() -> Vec<Flag<S>> {
    const TERMS: [&str; 6] = ["hook-arg", "hook-pure", "hook-timeout", "hook-frozen-timeout", "hook-memory", "dry-run"];
    let terms = flags().into_iter().filter(|flag| TERMS.contains(&flag.long)).map(|flag| match flag.long {
        "dry-run" => flag.help("As in a dry run: effects are refused, cr.dry_run is true"),
        _ => flag,
    });
    under("How scripts run", terms)
}

fn argument(said: &mut Scripting, value: &OsStr) -> Outcome {
    let text = value.to_str().ok_or_else(|| Refusal::value("--hook-arg must be valid UTF-8."))?;
    let (key, value) = text
        .split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .ok_or_else(|| Refusal::value(format!("--hook-arg '{text}' has no key: write it as KEY=VALUE.")))?;
    said.args.insert(key.to_owned(), value.to_owned());
    Ok(())
}

fn seconds(flag: &str, value: &OsStr) -> Result<Duration, Refusal> {
    const MOST: f64 = 86_400.0;
    let number = value.to_str().and_then(|text| text.parse::<f64>().ok()).filter(|number| *number > 0.0 && *number <= MOST);
    number
        .map(Duration::from_secs_f64)
        .ok_or_else(|| Refusal::value(format!("{flag} is a number of seconds above 0, at most a day, not '{}'.", value.display())))
}

fn memory(value: &OsStr) -> Result<usize, Refusal> {
    const MOST: usize = 64 << 10;
    let number = value.to_str().and_then(|text| text.parse::<usize>().ok()).filter(|number| (1..=MOST).contains(number));
    number
        .map(|mib| mib << 20)
        .ok_or_else(|| Refusal::value(format!("--hook-memory is a number of MiB from 1 to {MOST}, not '{}'.", value.display())))
}

/// The rule in a value of `--file`, which also names context files: a pattern over whole paths, `=` and one of the six words make a rule.
pub fn rule_in(value: &OsStr) -> Option<FileRule> {
    let (_, word) = value.to_str()?.rsplit_once('=')?;
    FileAction::of(word)?;
    rule(value).ok()
}

/// The last `=` separates: patterns may have one, actions do not.
fn rule(value: &OsStr) -> Result<FileRule, Refusal> {
    let refuse = |why: String| Refusal::value(format!("--file-action '{}': {why}", value.display()));
    let text = value.to_str().ok_or_else(|| refuse("patterns must be valid UTF-8.".into()))?;
    let (pattern, word) = text.rsplit_once('=').ok_or_else(|| refuse("write it as PATTERN=ACTION.".into()))?;
    let action =
        FileAction::of(word).ok_or_else(|| refuse(format!("there is no action '{word}', but {}.", FileAction::WORDS.join(", "))))?;
    if !pattern.starts_with('/') && !pattern.starts_with("**") {
        return Err(refuse("patterns describe whole paths: begin with '/' or '**/'.".into()));
    }
    let pattern = Pattern::path(pattern).map_err(|error| refuse(format!("{error}.")))?;
    Ok(FileRule { pattern, action })
}

#[cfg(test)]
mod test {
    use crate::cli::low::test::{checkpoint, checkpoint_refusal, restart};
    use std::time::Duration;

    #[test]
    fn scripts_and_rules_keep_their_order() {
        let said = restart("--hook b.lua --file /tmp/**=append --hook a.lua --hook-arg x=1=2 --hook-arg y= --file-action **/*.c=merge c")
            .scripting;
        assert_eq!(said.files, ["b.lua", "a.lua"].map(std::path::PathBuf::from));
        let rules: Vec<_> = said.rules.iter().map(|rule| (rule.pattern.as_str(), rule.action.word())).collect();
        assert_eq!(rules, [("/tmp/**", "append"), ("**/*.c", "merge")]);
        assert_eq!(said.args.into_iter().collect::<Vec<_>>(), [("x".to_owned(), "1=2".to_owned()), ("y".to_owned(), String::new())]);
        let said = checkpoint("--hook-pure --hook-timeout 0.5 --hook-frozen-timeout 2 --hook-memory 8 --dry-run 1").scripting;
        assert!(said.pure && said.dry_run);
        assert_eq!((said.timeout, said.frozen_timeout), (Some(Duration::from_millis(500)), Some(Duration::from_secs(2))));
        assert_eq!(said.memory, Some(8 << 20));
    }

    #[test]
    fn file_still_names_a_context_file() {
        use crate::engine::request::Source;
        for name in ["job", "/tmp/job=x", "job=merge", "./job=append"] {
            let said = restart(&format!("--file {name}"));
            assert_eq!((said.source, said.scripting.rules.len()), (Some(Source::File(name.into())), 0), "{name}");
        }
        assert_eq!(checkpoint("--file /tmp/job --file /tmp/*.log=append 1").scripting.rules.len(), 1);
    }

    #[test]
    fn wrong_values_say_what_is_wrong() {
        for (line, text) in [
            ("--hook-arg x 1", "--hook-arg 'x' has no key: write it as KEY=VALUE."),
            ("--hook-timeout 0 1", "--hook-timeout is a number of seconds above 0, at most a day, not '0'."),
            ("--hook-memory lots 1", "--hook-memory is a number of MiB from 1 to 65536, not 'lots'."),
            ("--file-action /tmp/x 1", "--file-action '/tmp/x': write it as PATTERN=ACTION."),
            ("--file-action x=merge 1", "--file-action 'x=merge': patterns describe whole paths: begin with '/' or '**/'."),
            (
                "--file-action /x=keep 1",
                "--file-action '/x=keep': there is no action 'keep', but merge, ignore, append, replace, substitute, fail.",
            ),
        ] {
            assert_eq!(checkpoint_refusal(line), (22, text.to_owned()), "{line}");
        }
        assert!(checkpoint_refusal("--file-action /[a=merge 1").1.contains("is not a pattern"));
    }
}
