//! Which mapped files travel in the context file (`cr_checkpoint(1)`, "Memory mapped files").
//!
//! From left to right each flag adds, and `--save-none` takes back what was said before it.

use super::{Flag, under};
use crate::cli::low::CheckpointSaid;
use crate::policy::rule::SaveFiles;

/// `--save-exe`, `--save-private`, `--save-shared`, `--save-all`, `--save-none`.
pub fn flags() -> Vec<Flag<CheckpointSaid>> {
    let flags = [
        Flag::switch("save-exe", |said: &mut CheckpointSaid| {
            said.save.exe = true;
            Ok(())
        })
        .help("The program itself"),
        Flag::switch("save-private", |said: &mut CheckpointSaid| {
            said.save.private = true;
            Ok(())
        })
        .help("Files mapped privately: programs and shared libraries are"),
        Flag::switch("save-shared", |said: &mut CheckpointSaid| {
            said.save.shared = true;
            Ok(())
        })
        .help("Files mapped shared (not what shared libraries are)"),
        Flag::switch("save-all", |said: &mut CheckpointSaid| {
            said.save = SaveFiles { exe: true, private: true, shared: true };
            Ok(())
        })
        .help("All of these"),
        Flag::switch("save-none", |said: &mut CheckpointSaid| {
            said.save = SaveFiles::default();
            Ok(())
        })
        .help("None of these: forget what stands to the left (default)"),
    ];
    under("Mapped files to take along", flags)
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::cli::low::test::checkpoint;

    #[test]
    fn flags_add_up_from_left_to_right_until_none() {
        let of = |exe, private, shared| SaveFiles { exe, private, shared };
        for (line, save) in [
            ("1", of(false, false, false)),
            ("--save-exe 1", of(true, false, false)),
            ("--save-exe --save-shared 1", of(true, false, true)),
            ("--save-private 1", of(false, true, false)),
            ("--save-all 1", of(true, true, true)),
            ("--save-all --save-none 1", of(false, false, false)),
            ("--save-all --save-none --save-shared 1", of(false, false, true)),
            ("--save-none --save-exe 1", of(true, false, false)),
            ("--save-exe --save-none --save-exe 1", of(true, false, false)),
        ] {
            assert_eq!(checkpoint(line).save, save, "{line}");
        }
    }
}
