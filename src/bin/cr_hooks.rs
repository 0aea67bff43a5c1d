//! `cr_hooks`: checks, tries and tests hook scripts. Everything is in `reprise::cli::hooks`.

use std::process::ExitCode;

use reprise::cli::hooks::Forked;
use reprise::cli::report::Streams;
use reprise::cli::{exit, hooks};

fn main() -> ExitCode {
    if let Some(refused) = exit::refuse_borrowed_rights("cr_hooks") {
        return refused;
    }
    let mut streams = Streams { out: &mut std::io::stdout(), err: &mut std::io::stderr() };
    exit::code(hooks::run(std::env::args_os().skip(1), &Forked, &mut streams))
}
