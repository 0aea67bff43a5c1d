//! What happens to a context file that exists already (`cr_checkpoint(1)`, "File creation/replacement"). The last flag wins.

use std::path::PathBuf;

use super::{Flag, under};
use crate::cli::low::CheckpointSaid;
use crate::engine::request::Creation;

/// `--atomic`, `--backup[=NAME]`, `--clobber`, `--noclobber`.
pub fn flags() -> Vec<Flag<CheckpointSaid>> {
    let flags = [
        Flag::switch("atomic", |said: &mut CheckpointSaid| {
            said.creation = Creation::Atomic;
            Ok(())
        })
        .help("Write beside the target and rename over it when all is well; a failure leaves the old one alone (default)"),
        Flag::maybe("backup", "NAME", |said: &mut CheckpointSaid, value| {
            said.creation = Creation::Backup(value.map(PathBuf::from));
            Ok(())
        })
        .help("As --atomic, and keep the old one as NAME, or as the next of TARGET.~1~, TARGET.~2~ and so on"),
        Flag::switch("clobber", |said: &mut CheckpointSaid| {
            said.creation = Creation::Clobber;
            Ok(())
        })
        .help("Write straight over the target: needs less space, and a failure loses both"),
        Flag::switch("noclobber", |said: &mut CheckpointSaid| {
            said.creation = Creation::NoClobber;
            Ok(())
        })
        .help("Fail if the target exists"),
    ];
    under("If the target exists (the last one counts; not with --fd)", flags)
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::cli::low::test::checkpoint;

    #[test]
    fn the_last_policy_wins_and_a_backup_name_needs_an_equals_sign() {
        for (line, creation) in [
            ("1", Creation::Atomic),
            ("--atomic 1", Creation::Atomic),
            ("--backup 1", Creation::Backup(None)),
            ("--backup= 1", Creation::Backup(None)),
            ("--backup=old 1", Creation::Backup(Some("old".into()))),
            ("--clobber 1", Creation::Clobber),
            ("--noclobber 1", Creation::NoClobber),
            ("--clobber --atomic --noclobber --backup 1", Creation::Backup(None)),
            ("--backup=x --clobber 1", Creation::Clobber),
        ] {
            assert_eq!(checkpoint(line).creation, creation, "{line}");
        }
    }
}
