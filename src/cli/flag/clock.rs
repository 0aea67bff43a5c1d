//! What becomes of the clocks of a restarted job (`cr_restart --clock`).

use super::{Flag, under};
use crate::cli::exit::Refusal;
use crate::cli::low::RestartSaid;
use crate::engine::request::Clock;

/// `--clock keep|jump`.
pub fn flags() -> Vec<Flag<RestartSaid>> {
    let flag = Flag::value("clock", "keep|jump", |said: &mut RestartSaid, value| {
        said.clock = match value.to_str() {
            Some("keep") => Clock::Keep,
            Some("jump") => Clock::Jump,
            _ => return Err(Refusal::usage(format!("--clock takes keep or jump, not '{}'", value.display())).into()),
        };
        Ok(())
    })
    .help(
        "Whether CLOCK_MONOTONIC and CLOCK_BOOTTIME go on where they were, in a time namespace if need be (keep, the default), or may go \
         back",
    );
    under("Clocks of the restarted job", [flag])
}

#[cfg(test)]
mod test {
    use crate::cli::low::test::{restart, restart_refusal};
    use crate::engine::request::Clock;

    #[test]
    fn clocks_are_kept_unless_they_may_jump() {
        for (line, clock) in [("c", Clock::Keep), ("--clock jump c", Clock::Jump), ("--clock jump --clock=keep c", Clock::Keep)] {
            assert_eq!(restart(line).clock, clock, "{line}");
        }
        assert_eq!(restart_refusal("--clock back c"), (255, "--clock takes keep or jump, not 'back'".into()));
    }
}
