//! What the ID of `cr_checkpoint(1)` names. The last of these flags wins.

use super::{Flag, under};
use crate::cli::low::CheckpointSaid;
use crate::image::Scope;

/// `--tree`, `--pid`, `--pgid`, `--sid`.
pub fn flags() -> Vec<Flag<CheckpointSaid>> {
    let flags = [
        Flag::switch("tree", |said: &mut CheckpointSaid| {
            said.scope = Scope::Tree;
            Ok(())
        })
        .short('T')
        .help("ID is a process: save it with all its descendants (default)"),
        Flag::switch("pid", |said: &mut CheckpointSaid| {
            said.scope = Scope::Process;
            Ok(())
        })
        .short('p')
        .aliases(&["process"])
        .help("ID is a process, or any of its threads: save it alone"),
        Flag::switch("pgid", |said: &mut CheckpointSaid| {
            said.scope = Scope::Group;
            Ok(())
        })
        .short('g')
        .aliases(&["group"])
        .help("ID is a process group: save all its members"),
        Flag::switch("sid", |said: &mut CheckpointSaid| {
            said.scope = Scope::Session;
            Ok(())
        })
        .short('s')
        .aliases(&["session"])
        .help("ID is a session: save all its members"),
    ];
    under("What ID names (the last one counts)", flags)
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::cli::low::test::checkpoint;

    #[test]
    fn every_name_of_every_scope_and_the_last_one_wins() {
        for (line, scope) in [
            ("1", Scope::Tree),
            ("-T 1", Scope::Tree),
            ("--tree 1", Scope::Tree),
            ("-p 1", Scope::Process),
            ("--pid 1", Scope::Process),
            ("--process 1", Scope::Process),
            ("-g 1", Scope::Group),
            ("--pgid 1", Scope::Group),
            ("--group 1", Scope::Group),
            ("-s 1", Scope::Session),
            ("--sid 1", Scope::Session),
            ("--session 1", Scope::Session),
            ("-s 1 -p", Scope::Process),
            ("-p 1 --tree -g", Scope::Group),
            ("-Tps 1", Scope::Session),
        ] {
            assert_eq!(checkpoint(line).scope, scope, "{line}");
        }
    }
}
