//! `cr_run`: starts a command that can be checkpointed. Everything is in `reprise::cli::run`.

use std::process::ExitCode;

use reprise::cli::report::Streams;
use reprise::cli::{exit, run};

fn main() -> ExitCode {
    if let Some(refused) = exit::refuse_borrowed_rights("cr_run") {
        return refused;
    }
    let mut streams = Streams { out: &mut std::io::stdout(), err: &mut std::io::stderr() };
    exit::code(run::run(std::env::args_os().skip(1), &mut streams))
}
