//! The signal for every process afterwards, in `cr_checkpoint(1)` and `cr_restart(1)` alike. The last flag wins.

use super::{Flag, integer, under};
use crate::cli::exit::Refusal;
use crate::cli::low::CheckpointSaid;

/// Heading of these flags.
const HEADING: &str = "Signal for every process afterwards (the last one counts)";

/// What was said about the signal: nothing, none, or its number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Afterwards {
    /// The signal's number.
    pub signal: Option<i32>,
    /// Whether anything was said, also that there is none.
    pub is_said: bool,
}

fn send<S: AsMut<Afterwards>>(said: &mut S, signal: Option<i32>) -> super::Outcome {
    *said.as_mut() = Afterwards { signal, is_said: true };
    Ok(())
}

/// `--run`, `--signal`, `--stop`, `--term`, `--abort`, `--kill`, `--cont`.
pub fn flags<S: AsMut<Afterwards>>() -> Vec<Flag<S>> {
    let flags = [
        Flag::switch("run", |said: &mut S| send(said, None)).help("No signal: the job runs on (default)"),
        Flag::value("signal", "NUM", |said: &mut S, value| match integer("--signal", value)? {
            number if (1..=64).contains(&number) => send(said, Some(number)),
            _ => Err(Refusal::value("Valid signal numbers are from 1 to 64, inclusive.").into()),
        })
        .short('S')
        .help("Signal number NUM, 1 to 64"),
        Flag::switch("stop", |said: &mut S| send(said, Some(libc::SIGSTOP))).hidden_aliases(&["freeze", "early-stop"]).help("SIGSTOP"),
        Flag::switch("term", |said: &mut S| send(said, Some(libc::SIGTERM))).help("SIGTERM"),
        Flag::switch("abort", |said: &mut S| send(said, Some(libc::SIGABRT))).hidden_aliases(&["early-abrt"]).help("SIGABRT"),
        Flag::switch("kill", |said: &mut S| send(said, Some(libc::SIGKILL))).help("SIGKILL"),
        Flag::switch("cont", |said: &mut S| send(said, Some(libc::SIGCONT))).help("SIGCONT: also a job that was stopped runs on"),
    ];
    under(HEADING, flags)
}

/// `--unproven`, of `cr_checkpoint` only.
pub fn unproven() -> Vec<Flag<CheckpointSaid>> {
    let flag = Flag::switch("unproven", |said: &mut CheckpointSaid| {
        said.unproven = true;
        Ok(())
    });
    under(HEADING, [flag.help("Send it even if the job could not be restarted here; otherwise nothing is saved then and the job runs on")])
}

#[cfg(test)]
mod test {
    use crate::cli::low::test::{checkpoint, checkpoint_refusal, restart, restart_refusal};

    #[test]
    fn both_programs_know_every_signal_flag() {
        for (flags, signal) in [
            ("", None),
            ("--run", None),
            ("-S 10", Some(10)),
            ("-S1", Some(1)),
            ("--signal=64", Some(64)),
            ("--stop", Some(libc::SIGSTOP)),
            ("--freeze", Some(libc::SIGSTOP)),
            ("--early-stop", Some(libc::SIGSTOP)),
            ("--term", Some(libc::SIGTERM)),
            ("--abort", Some(libc::SIGABRT)),
            ("--early-abrt", Some(libc::SIGABRT)),
            ("--kill", Some(libc::SIGKILL)),
            ("--cont", Some(libc::SIGCONT)),
            ("--kill --stop", Some(libc::SIGSTOP)),
            ("--stop --kill --run", None),
            ("--cont -S 2", Some(2)),
        ] {
            assert_eq!(checkpoint(&format!("{flags} 1")).afterwards.signal, signal, "{flags}");
            assert_eq!(restart(&format!("{flags} c")).afterwards.signal, signal, "{flags}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_22_and_words_are_255() {
        for (flags, status) in [("-S 0", 22), ("-S 65", 22), ("-S -9", 22), ("-S kill", 255), ("-S 9x", 255), ("-S ", 255)] {
            assert_eq!(checkpoint_refusal(flags).0, status, "{flags}");
            assert_eq!(restart_refusal(flags).0, status, "{flags}");
        }
        assert_eq!(checkpoint_refusal("-S 0 1").1, "Valid signal numbers are from 1 to 64, inclusive.");
    }
}
