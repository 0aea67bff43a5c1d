//! How long `cr_checkpoint(1)` waits: for the disk (`--sync`), and for the checkpoint itself (`--time`).

use std::time::Duration;

use super::{Flag, integer, under};
use crate::cli::exit::Refusal;
use crate::cli::low::CheckpointSaid;

/// `--sync`, `--nosync`, `--time`.
pub fn flags() -> Vec<Flag<CheckpointSaid>> {
    let flags = [
        Flag::switch("sync", |said: &mut CheckpointSaid| {
            said.sync = true;
            Ok(())
        })
        .help("Return when file and directory are on the disk (default)"),
        Flag::switch("nosync", |said: &mut CheckpointSaid| {
            said.sync = false;
            Ok(())
        })
        .help("Leave it to the kernel when that happens"),
        Flag::value("time", "SEC", |said: &mut CheckpointSaid, value| {
            let seconds = u64::try_from(integer("--time", value)?).map_err(|_| Refusal::value("The time limit must not be negative."))?;
            said.time_limit = Some(Duration::from_secs(seconds)).filter(|limit| !limit.is_zero());
            Ok(())
        })
        .short('t')
        .help("Give up after SEC seconds and let the job run on unharmed (default 0: wait for ever)"),
    ];
    under("Waiting", flags)
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::cli::low::test::{checkpoint, checkpoint_refusal};

    #[test]
    fn sync_is_the_default_and_the_last_one_wins() {
        for (line, sync) in [("1", true), ("--nosync 1", false), ("--nosync --sync 1", true), ("--sync --nosync 1", false)] {
            assert_eq!(checkpoint(line).sync, sync, "{line}");
        }
    }

    #[test]
    fn zero_seconds_are_no_limit_and_negative_ones_are_refused() {
        for (line, limit) in [("1", None), ("-t 0 1", None), ("-t 5 1", Some(5)), ("--time=300 1", Some(300)), ("-t5 -t0 1", None)] {
            assert_eq!(checkpoint(line).time_limit, limit.map(Duration::from_secs), "{line}");
        }
        assert_eq!(checkpoint_refusal("-t -1 1"), (22, "The time limit must not be negative.".into()));
        assert_eq!(checkpoint_refusal("-t soon 1").0, 255);
    }
}
