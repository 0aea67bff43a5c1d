//! What `cr_checkpoint(1)` does with processes that are traced, or trace others. The last flag of each group wins.

use super::{Flag, under};
use crate::cli::low::CheckpointSaid;
use crate::engine::request::TraceRule;

/// `--ptraced-error`, `--ptraced-skip`, `--ptraced-allow`, `--ptracer-error`, `--ptracer-skip`.
pub fn flags() -> Vec<Flag<CheckpointSaid>> {
    let ptraced = [
        Flag::switch("ptraced-error", |said: &mut CheckpointSaid| {
            said.ptraced = TraceRule::Error;
            Ok(())
        })
        .help("Refuse the checkpoint (default)"),
        Flag::switch("ptraced-skip", |said: &mut CheckpointSaid| {
            said.ptraced = TraceRule::Skip;
            Ok(())
        })
        .help("Leave them out, with --tree their children too; an error only if nothing remains"),
        Flag::switch("ptraced-allow", |said: &mut CheckpointSaid| {
            said.ptraced = TraceRule::Allow;
            Ok(())
        })
        .help("Take them like any other, once their tracer has let go of them: waits for 10 s, or as long as --time allows"),
    ];
    let ptracer = [
        Flag::switch("ptracer-error", |said: &mut CheckpointSaid| {
            said.ptracer = TraceRule::Error;
            Ok(())
        })
        .help("Refuse the checkpoint (default)"),
        Flag::switch("ptracer-skip", |said: &mut CheckpointSaid| {
            said.ptracer = TraceRule::Skip;
            Ok(())
        })
        .help("Leave them out, with --tree their children too; an error only if nothing remains"),
    ];
    let mut flags = under("Processes traced by others, such as a debugger", ptraced);
    flags.extend(under("Processes that trace others", ptracer));
    flags
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::cli::low::test::{checkpoint, checkpoint_refusal};

    #[test]
    fn the_last_of_each_group_wins() {
        use TraceRule::{Allow, Error, Skip};
        for (line, ptraced, ptracer) in [
            ("1", Error, Error),
            ("--ptraced-error --ptracer-error 1", Error, Error),
            ("--ptraced-skip 1", Skip, Error),
            ("--ptraced-allow 1", Allow, Error),
            ("--ptracer-skip 1", Error, Skip),
            ("--ptraced-allow --ptracer-skip --ptraced-skip --ptracer-error 1", Skip, Error),
        ] {
            let said = checkpoint(line);
            assert_eq!((said.ptraced, said.ptracer), (ptraced, ptracer), "{line}");
        }
        assert_eq!(checkpoint_refusal("--ptracer-allow 1").0, 255, "the manual has no such flag");
    }
}
