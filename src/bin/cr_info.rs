//! `cr_info`: shows what is in a context file. Everything is in `reprise::cli::info`.

use std::process::ExitCode;

use reprise::cli::report::Streams;
use reprise::cli::{exit, info};

fn main() -> ExitCode {
    if let Some(refused) = exit::refuse_borrowed_rights("cr_info") {
        return refused;
    }
    let mut streams = Streams { out: &mut std::io::stdout(), err: &mut std::io::stderr() };
    exit::code(info::run(std::env::args_os().skip(1), &mut streams))
}
