//! The life of the script's process: load, answer requests, end when the engine is gone.

use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;

use super::vm::Session;
use super::wire::{Answer, Request, receive, send};
use super::{Options, brood};

/// Loads the scripts and answers requests until the stream ends. An error means that the engine is gone.
pub fn serve(stream: UnixStream, options: &Options) -> io::Result<()> {
    let (session, said) = match Session::load(options) {
        Ok(loaded) => loaded,
        Err(message) => return send(&stream, &Answer { outcome: Err(message), log: Vec::new(), annotations: Vec::new() }),
    };
    let is_loaded = said.outcome.is_ok();
    send(&stream, &said)?;
    if !is_loaded {
        return Ok(());
    }
    let mut requests = BufReader::new(stream.try_clone()?);
    while let Some(request) = receive(&mut requests)? {
        let said = match request {
            Request::Call { handler, data, allowance } => session.call(handler, &data, allowance),
            Request::Batch { handler, list, allowance } => session.call_batch(handler, &list, allowance),
            Request::Keep => session.keep(),
            Request::Recall(kept) => session.recall(&kept),
        };
        // What a script made of the end of its commands is no answer.
        if brood::is_over() {
            break;
        }
        send(&stream, &said)?;
    }
    Ok(())
}
