//! Requests to the process of the hook scripts and its answers: budgets, time limits, the end of one that does not answer.
//!
//! Relies on the stream to the process. Leaves to the parent module which handlers are asked and what their answers mean.

use std::io::{self, ErrorKind, Read};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{LOOK, LuaPolicy};
use crate::error::Class;
use crate::policy::PolicyError;
use crate::policy::event::Name;
use crate::script::vm::Allowance;
use crate::script::wire::{Answer, LONGEST_ANSWER, Outcome, Request, send};
use crate::sys::interruption;

impl LuaPolicy {
    /// Runs a handler for many events.
    pub(super) fn batch(&mut self, handler: usize, name: Name, list: Vec<Value>) -> Result<Answer, PolicyError> {
        let holds = list.iter().any(|data| name.holds_the_job(data));
        self.ask_process(handler, name, holds, |allowance| Request::Batch { handler, list, allowance })
    }

    pub(super) fn call(&mut self, handler: usize, name: Name, data: &Value) -> Result<Answer, PolicyError> {
        let holds = name.holds_the_job(data);
        self.ask_process(handler, name, holds, |allowance| Request::Call { handler, data: data.clone(), allowance })
    }

    pub(super) fn ask_process(
        &mut self,
        handler: usize,
        name: Name,
        holds_the_job: bool,
        request: impl FnOnce(Allowance) -> Request,
    ) -> Result<Answer, PolicyError> {
        let what = format!("{} handling {}", self.handlers[handler].row.place, name.word());
        let time = self.budget(holds_the_job, &what)?;
        let allowance = Allowance { time, log_bytes: self.left.log_bytes };
        let answer = self.request(&request(allowance), time, &what);
        match answer {
            Ok(answer) => {
                self.keep_log(&answer.log);
                match &answer.outcome {
                    Err(message) if self.is_late() => Err(PolicyError { log: answer.log, ..self.late(message) }),
                    _ => Ok(answer),
                }
            }
            Err(error) if self.is_late() => Err(self.late(&error.message)),
            Err(error) => Err(error),
        }
    }

    /// The time that one call may take.
    pub(super) fn budget(&self, holds_the_job: bool, what: &str) -> Result<Duration, PolicyError> {
        let left = self.until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return Err(self.late(what));
        }
        if !holds_the_job {
            return Ok(self.limits.call.min(left));
        }
        if self.left.frozen.is_zero() {
            let message = format!("{what}: scripts have held the job for {} ms, which is all they may", self.limits.frozen.as_millis());
            let remedy = Some("do less while the job stands still, or allow more with --hook-frozen-timeout".into());
            return Err(PolicyError { remedy, ..PolicyError::script(message) });
        }
        Ok(self.left.frozen.min(left))
    }

    /// Whether the time limit of the request is over.
    pub(super) fn is_late(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }

    pub(super) fn late(&self, what: &str) -> PolicyError {
        let message = format!("the time limit of the request was over in a hook script: {what}");
        let remedy = Some("the job runs on unchanged; allow more with --time, or have the script do less".into());
        PolicyError { class: Class::Temp, code: libc::ETIME, remedy, ..PolicyError::script(message) }
    }

    /// Sends a request and waits for its answer.
    pub(super) fn request(&mut self, request: &Request, budget: Duration, what: &str) -> Result<Answer, PolicyError> {
        if let Some(why) = &self.ended {
            return Err(PolicyError::script(format!("no answer from hook scripts: they were ended before, because {why}")));
        }
        if interruption::came().is_some() {
            return Err(PolicyError::script(format!("{what}: not asked, because all is being given up")));
        }
        let written =
            self.stream.set_write_timeout(Some(self.limits.grace.max(Duration::from_millis(1)))).and_then(|()| send(&self.stream, request));
        match written {
            Ok(()) => self.answer(budget, what),
            Err(error) => Err(self.end(what, Some(&error))),
        }
    }

    /// Waits for an answer; ends the process if it does not come.
    pub(super) fn answer(&mut self, budget: Duration, what: &str) -> Result<Answer, PolicyError> {
        let limit = budget.saturating_add(self.limits.grace);
        let begun = Instant::now();
        match self.line(begun, limit) {
            Ok(Some(line)) => serde_json::from_slice(&line).map_err(|error| self.end(what, Some(&error.into()))),
            Ok(None) => Err(self.end(what, None)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                self.kill();
                let message = format!(
                    "{what}: it did not answer within its budget of {} ms and was ended; it was in a call that never returns to the script",
                    budget.as_millis()
                );
                self.ended = Some(message.clone());
                Err(PolicyError::script(message))
            }
            Err(error) => Err(self.end(what, Some(&error))),
        }
    }

    /// Reads up to the next line break; `None` at the end of the stream.
    pub(super) fn line(&mut self, begun: Instant, limit: Duration) -> io::Result<Option<Vec<u8>>> {
        let mut block = [0; 16 << 10];
        let mut searched = 0;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[searched..]) {
                let rest = self.buffer.split_off(searched + at + 1);
                return Ok(Some(std::mem::replace(&mut self.buffer, rest)));
            }
            searched = self.buffer.len();
            let left = limit.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()).ok_or(ErrorKind::TimedOut)?;
            self.stream.set_read_timeout(Some(left.min(LOOK)))?;
            match (&self.stream).read(&mut block) {
                Ok(0) => return Ok(None),
                Ok(_) if self.buffer.len() > LONGEST_ANSWER => return Err(ErrorKind::InvalidData.into()),
                Ok(count) => self.buffer.extend_from_slice(&block[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Nobody wants an answer any more when all is being given up.
                Err(error) if error.kind() == ErrorKind::WouldBlock && interruption::came().is_none() => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::ConnectionAborted.into()),
                Err(error) => return Err(error),
            }
        }
    }

    /// The process is gone or cannot be talked to: ends it for good and says why.
    pub(super) fn end(&mut self, what: &str, error: Option<&io::Error>) -> PolicyError {
        let how = self.kill().or_else(|| error.map(io::Error::to_string));
        let message = format!("{what}: the process of the hook scripts is gone ({})", how.unwrap_or_else(|| "it ended".into()));
        self.ended = Some(message.clone());
        PolicyError::script(message)
    }

    /// Ends the process: by the end of its stream, which works from any namespace, and by signal, which works whatever it does.
    pub(super) fn kill(&mut self) -> Option<String> {
        // A stream that cannot be shut down has no other end any more.
        drop(self.stream.shutdown(Shutdown::Both));
        self.process.end()
    }

    pub(super) fn garbled(&mut self, outcome: &Outcome) -> PolicyError {
        let error = io::Error::new(ErrorKind::InvalidData, format!("an answer to another question: {outcome:?}"));
        self.end("hook scripts", Some(&error))
    }
}
