//! Programs that take part in their checkpoints (libcr), as `cr_checkpoint` sees them.

use super::{Flag, under};
use crate::cli::low::CheckpointSaid;

/// `--require-libcr`.
pub fn flags() -> Vec<Flag<CheckpointSaid>> {
    let flag = Flag::switch("require-libcr", |said: &mut CheckpointSaid| {
        said.participation.is_required = true;
        Ok(())
    })
    .help("Refuse processes without libcr, as BLCR did; they exit with 52 (default: they are saved as they are)");
    under("Programs that take part", [flag])
}

#[cfg(test)]
mod test {
    use crate::cli::low::test::checkpoint;

    #[test]
    fn nobody_needs_libcr_unless_asked() {
        assert!(!checkpoint("1").participation.is_required);
        assert!(checkpoint("--require-libcr 1").participation.is_required);
    }
}
