//! `cr_checkpoint`: saves running processes in a context file. Everything is in `reprise::cli::checkpoint`.

use std::process::ExitCode;

use reprise::cli::engine_calls::Reprise;
use reprise::cli::report::Streams;
use reprise::cli::{checkpoint, exit};

fn main() -> ExitCode {
    let mut streams = Streams { out: &mut std::io::stdout(), err: &mut std::io::stderr() };
    exit::code(checkpoint::run(std::env::args_os().skip(1), &mut Reprise, &mut streams))
}
