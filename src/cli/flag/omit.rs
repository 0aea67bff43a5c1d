//! Whether later checkpoints leave `cr_restart` itself out. The last flag wins.

use super::{Flag, under};
use crate::cli::low::RestartSaid;
use crate::engine::request::Omit;

/// `--omit-maybe`, `--omit-always`, `--omit-never`.
pub fn flags() -> Vec<Flag<RestartSaid>> {
    let flags = [
        Flag::switch("omit-maybe", |said: &mut RestartSaid| {
            said.omit = Omit::Maybe;
            Ok(())
        })
        .help("Leave cr_restart out if it is the target itself or nobody waits for it (default)"),
        Flag::switch("omit-always", |said: &mut RestartSaid| {
            said.omit = Omit::Always;
            Ok(())
        })
        .help("Always leave it out"),
        Flag::switch("omit-never", |said: &mut RestartSaid| {
            said.omit = Omit::Never;
            Ok(())
        })
        .help("Never leave it out"),
    ];
    under("When the restarted job is checkpointed again (the last one counts)", flags)
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::cli::low::test::restart;

    #[test]
    fn the_last_rule_wins() {
        for (line, omit) in [
            ("c", Omit::Maybe),
            ("--omit-always c", Omit::Always),
            ("--omit-never c", Omit::Never),
            ("--omit-always --omit-never --omit-maybe c", Omit::Maybe),
        ] {
            assert_eq!(restart(line).omit, omit, "{line}");
        }
    }
}
