//! `cpr`, the command of IRIX Checkpoint and Restart, over the same engine as `cr_checkpoint` and `cr_restart`.
//!
//! One file a form: [`save`] for `-c`, [`restart`] for `-r`, [`info`] for `-i` and `-D`, [`explain`]. [`said`] has the flags, [`words`] the messages.

mod explain;
pub mod info;
mod restart;
pub mod said;
mod save;
pub mod words;

use std::ffi::OsString;

use super::engine_calls::Engine;
use super::exit::Ending;
use super::flag::kmsg::Kmsg;
use super::report::{Reporter, Streams, show_or_refuse};
use said::Form;

pub use said::program;

/// Runs the program and returns how it has to end.
pub fn run(args: impl IntoIterator<Item = OsString>, engine: &mut dyn Engine, streams: &mut Streams<'_>) -> Ending {
    let program = program();
    let (said, operands) = program.parse(args);
    let mut reporter = Reporter::new(streams, said.general, Kmsg::default());
    let form = operands.and_then(|operands| Ok(said.form(&operands)?));
    match form {
        Ok(Form::Checkpoint(path)) => save::save(&said, &path, engine, &mut reporter),
        Ok(Form::Restart(files)) => restart::restart(&said, &files, engine, &mut reporter),
        Ok(Form::Info(files)) => Ending::Status(info::show(&said, &files, &mut reporter)),
        Ok(Form::Delete(files)) => Ending::Status(info::delete(&files, &mut reporter)),
        Ok(Form::Explain) => Ending::Status(explain::tell(&said, &mut reporter)),
        Err(stop) => {
            let Some(refusal) = show_or_refuse(&mut reporter, &program, stop) else { return Ending::Status(0) };
            reporter.refusal(&program, &refusal);
            Ending::Status(refusal.status())
        }
    }
}
