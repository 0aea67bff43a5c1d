//! `cview`: checkpoints and restarts on the screen. Everything is in `reprise::cli::cview`.

use std::process::ExitCode;

use reprise::cli::report::Streams;
use reprise::cli::{cview, exit};

fn main() -> ExitCode {
    if let Some(refused) = exit::refuse_borrowed_rights("cview") {
        return refused;
    }
    let mut streams = Streams { out: &mut std::io::stdout(), err: &mut std::io::stderr() };
    exit::code(cview::run(std::env::args_os().skip(1), &mut streams))
}
