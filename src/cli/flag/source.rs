//! Where `cr_restart(1)` reads. A second source is refused; without any, the operand is the file.

use super::{Flag, Outcome, destination, script, under};
use crate::cli::exit::Refusal;
use crate::cli::low::RestartSaid;
use crate::engine::request::Source;

/// `--dir`, `--file`, `--fd`.
pub fn flags() -> Vec<Flag<RestartSaid>> {
    let flags = [
        Flag::value("dir", "DIR", |said: &mut RestartSaid, value| choose(said, Source::Dir(value.into())))
            .short('d')
            .help("Read the files context.PID of the directory DIR"),
        Flag::value("file", "FILE", |said: &mut RestartSaid, value| match script::rule_in(value) {
            Some(rule) => {
                said.scripting.rules.push(rule);
                Ok(())
            }
            None => choose(said, Source::File(value.into())),
        })
        .short('f')
        .help("Read FILE (as the operand does)"),
        Flag::value("fd", "FD", |said: &mut RestartSaid, value| choose(said, Source::Fd(destination::descriptor(value)?)))
            .short('F')
            .help("Read the open descriptor FD: a file, a pipe or a socket"),
        Flag::switch("trust-file", |said: &mut RestartSaid| {
            said.trust_file = true;
            Ok(())
        })
        .help("As root, restart a file of another user whatever rights it asks for"),
    ];
    under("Where the checkpoint comes from (one at most)", flags)
}

fn choose(said: &mut RestartSaid, source: Source) -> Outcome {
    match said.source.replace(source) {
        None => Ok(()),
        Some(_) => Err(Refusal::value("multiple source arguments specified").into()),
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::cli::low::test::{restart, restart_refusal};

    #[test]
    fn every_source() {
        for (line, source) in [
            ("c", None),
            ("-f c", Some(Source::File("c".into()))),
            ("--file=c", Some(Source::File("c".into()))),
            ("-F 0", Some(Source::Fd(0))),
            ("--fd 7", Some(Source::Fd(7))),
            ("-d x", Some(Source::Dir("x".into()))),
            ("--dir x", Some(Source::Dir("x".into()))),
        ] {
            assert_eq!(restart(line).source, source, "{line}");
        }
    }

    #[test]
    fn a_second_source_is_refused_with_22() {
        for line in ["-f a -f b", "-f a -F 0", "-d a --file b", "-F 1 -F 1"] {
            assert_eq!(restart_refusal(line), (22, "multiple source arguments specified".into()), "{line}");
        }
        assert_eq!(restart_refusal("-F zero").0, 255);
        assert_eq!(restart_refusal("-F -2").0, 22);
    }
}
