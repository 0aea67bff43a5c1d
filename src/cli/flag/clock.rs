//! What becomes of the clocks and processors of a restarted job (`cr_restart --clock`, `--affinity`).

use super::{Flag, under};
use crate::cli::exit::Refusal;
use crate::cli::low::RestartSaid;
use crate::engine::request::{Affinity, Clock};

/// `--clock keep|jump`, `--affinity surroundings|saved`.
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
    let affinity = Flag::value("affinity", "surroundings|saved", |said: &mut RestartSaid, value| {
        said.affinity = match value.to_str() {
            Some("surroundings") => Affinity::Surroundings,
            Some("saved") => Affinity::Saved,
            _ => return Err(Refusal::usage(format!("--affinity takes surroundings or saved, not '{}'", value.display())).into()),
        };
        Ok(())
    })
    .help(
        "On which processors threads run that were bound by their surroundings, a batch system for example: those of cr_restart \
         (surroundings, the default), or those that were saved. Threads that have bound themselves keep their processors",
    );
    under("Clocks and processors of the restarted job", [flag, affinity])
}

#[cfg(test)]
mod test {
    use crate::cli::low::test::{restart, restart_refusal};
    use crate::engine::request::{Affinity, Clock};

    #[test]
    fn clocks_are_kept_unless_they_may_jump() {
        for (line, clock) in [("c", Clock::Keep), ("--clock jump c", Clock::Jump), ("--clock jump --clock=keep c", Clock::Keep)] {
            assert_eq!(restart(line).clock, clock, "{line}");
        }
        for (line, affinity) in [("c", Affinity::Surroundings), ("--affinity saved c", Affinity::Saved)] {
            assert_eq!(restart(line).affinity, affinity, "{line}");
        }
        assert_eq!(restart_refusal("--affinity x c").0, 255);
        assert_eq!(restart_refusal("--clock back c"), (255, "--clock takes keep or jump, not 'back'".into()));
    }
}
