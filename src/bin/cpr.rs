//! `cpr`: checkpoint and restart as on IRIX. Everything is in `reprise::cli::cpr`.

use std::process::ExitCode;

use reprise::cli::engine_calls::Reprise;
use reprise::cli::exit::{self, Ending};
use reprise::cli::report::Streams;
use reprise::cli::{cpr, wait};

fn main() -> ExitCode {
    if let Some(refused) = exit::refuse_borrowed_rights("cpr") {
        return refused;
    }
    let mut streams = Streams { out: &mut std::io::stdout(), err: &mut std::io::stderr() };
    match cpr::run(std::env::args_os().skip(1), &mut Reprise, &mut streams) {
        Ending::Status(status) => exit::code(status),
        Ending::Signal(signal) => exit::code(wait::die_of(signal)),
    }
}
