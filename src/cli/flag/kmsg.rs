//! Which engine messages are reported: what BLCR called kernel messages. The last flag wins; `--quiet` beats them all.

use super::{Flag, under};

/// When engine messages go to stderr.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kmsg {
    /// Never.
    None,
    /// When the request fails.
    #[default]
    Error,
    /// Always.
    Warning,
}

fn report<S: AsMut<Kmsg>>(said: &mut S, level: Kmsg) -> super::Outcome {
    *said.as_mut() = level;
    Ok(())
}

/// `--kmsg-none`, `--kmsg-error`, `--kmsg-warning`.
pub fn flags<S: AsMut<Kmsg>>() -> Vec<Flag<S>> {
    let flags = [
        Flag::switch("kmsg-none", |said: &mut S| report(said, Kmsg::None)).help("Never; what a job loses is said all the same"),
        Flag::switch("kmsg-error", |said: &mut S| report(said, Kmsg::Error)).help("When the request fails (default)"),
        Flag::switch("kmsg-warning", |said: &mut S| report(said, Kmsg::Warning)).help("Always: on success they are warnings"),
    ];
    under("When messages of the engine go to stderr (the last one counts)", flags)
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::cli::low::test::{checkpoint, restart};

    #[test]
    fn the_last_level_wins_in_both_programs() {
        for (flags, level) in [
            ("", Kmsg::Error),
            ("--kmsg-none", Kmsg::None),
            ("--kmsg-error", Kmsg::Error),
            ("--kmsg-warning", Kmsg::Warning),
            ("--kmsg-none --kmsg-warning", Kmsg::Warning),
            ("--kmsg-warning --kmsg-none --kmsg-error", Kmsg::Error),
        ] {
            assert_eq!(checkpoint(&format!("{flags} 1")).kmsg, level, "{flags}");
            assert_eq!(restart(&format!("{flags} c")).kmsg, level, "{flags}");
        }
    }
}
