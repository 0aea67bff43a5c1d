//! The engine's side of hook scripts: filters, the chain of handlers, time limits, and the end of a script that does not answer.
//!
//! Relies on a [`Launcher`] to start and end the script's process. Each request is about one handler, so that it is always known which one a silent process
//! was in. Budgets are enforced by the process itself; here is only the limit beyond which it is ended.

mod talk;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::filter::{self, Filter};
use super::shape::Shape;
use super::text::known;
use super::wire::{Answer, HandlerRow, Outcome, Request};
use super::{Limits, Options};
use crate::error::Class;
use crate::policy::event::{Event, Name};
use crate::policy::verdict::Refusal;
use crate::policy::{LogLevel, LogLine, Opinion, Policy, PolicyError, Reply, Verdict};

/// How long to wait for an answer before looking whether it is still wanted.
const LOOK: Duration = Duration::from_millis(50);

/// Starts the process that a script runs in.
pub trait Launcher {
    /// Starts a process that calls [`serve`](super::serve) with its end of a socket pair and the options, and ends when that returns.
    fn launch(&self, options: &Options) -> io::Result<Launched>;
}

/// A script's process.
pub struct Launched {
    /// Our end of the socket.
    pub stream: UnixStream,
    /// The process.
    pub process: Box<dyn Running>,
}

/// A process that can be ended.
pub trait Running {
    /// Its id; `None` when it is no process of its own.
    fn pid(&self) -> Option<i32>;

    /// Sees to it that it ends and says how it ended by itself, for example `signal 11`; `None` if that is not known. Its stream was shut down before.
    fn end(&mut self) -> Option<String>;
}

/// Hook scripts as a policy.
pub struct LuaPolicy {
    handlers: Vec<Chained>,
    limits: Limits,
    stream: UnixStream,
    process: Box<dyn Running>,
    buffer: Vec<u8>,
    /// Why the script's process is gone.
    ended: Option<String>,
    log: Vec<LogLine>,
    /// What is left of this request.
    left: Left,
    /// No call may take longer than until then.
    until: Option<Instant>,
    /// Events that handlers for many have seen already: the argument, and what each such handler answered.
    foreseen: VecDeque<(Value, HashMap<usize, Value>)>,
}

/// What may still be spent in a request.
struct Left {
    /// Time while the job stands still.
    frozen: Duration,
    /// Bytes of log.
    log_bytes: usize,
}

impl Left {
    fn all(limits: &Limits) -> Left {
        Left { frozen: limits.frozen, log_bytes: limits.log_bytes }
    }
}

/// A handler with its filter ready for use.
struct Chained {
    name: Name,
    filter: Filter,
    row: HandlerRow,
}

/// A handler for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handler {
    /// Its event.
    pub event: Name,
    /// Its filter as text; empty when it has none.
    pub filter: String,
    /// Where it is defined: script and line.
    pub place: String,
}

impl LuaPolicy {
    /// Starts the script's process and loads the scripts in it. An error is class *args*: nothing was touched.
    pub fn load(options: &Options, launcher: &dyn Launcher) -> Result<LuaPolicy, PolicyError> {
        let launched = launcher.launch(options);
        let Launched { stream, process } = launched.map_err(|error| PolicyError {
            class: Class::Env,
            code: error.raw_os_error().unwrap_or(libc::EIO),
            message: format!("cannot start the process for hook scripts: {error}"),
            log: Vec::new(),
            remedy: None,
        })?;
        let limits = options.limits;
        let left = Left::all(&limits);
        let (handlers, buffer, log) = (Vec::new(), Vec::new(), Vec::new());
        let mut policy =
            LuaPolicy { handlers, limits, stream, process, buffer, ended: None, log, left, until: None, foreseen: VecDeque::new() };
        let scripts: Vec<String> = options.files.iter().map(|file| file.display().to_string()).collect();
        let scripts = scripts.join(", ");
        let budget = limits.call.saturating_mul(u32::try_from(options.files.len().max(1)).unwrap_or(u32::MAX));
        // The state is made in this time, too.
        let answer = policy.answer(budget.saturating_mul(2), &format!("loading {scripts}"))?;
        policy.keep_log(&answer.log);
        policy.log = answer.log;
        match answer.outcome {
            Ok(Outcome::Loaded(rows)) => policy.handlers = rows.into_iter().map(Chained::new).collect::<Result<_, _>>()?,
            Ok(other) => return Err(policy.garbled(&other)),
            Err(message) => return Err(PolicyError { log: std::mem::take(&mut policy.log), ..PolicyError::script(message) }),
        }
        Ok(policy)
    }

    /// The handlers in order of registration.
    pub fn handlers(&self) -> Vec<Handler> {
        let shown = |handler: &Chained| Handler {
            event: handler.name,
            filter: filter::shown(&handler.row.filter),
            place: handler.row.place.clone(),
        };
        self.handlers.iter().map(shown).collect()
    }

    /// What was logged while the scripts were loaded. What nobody takes comes with the first reply.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.log)
    }

    /// The process the scripts run in: no part of any job.
    pub fn pid(&self) -> Option<i32> {
        self.process.pid().filter(|_| self.ended.is_none())
    }

    /// Asks about an event given as data; unknown fields are errors. For tools; the engine uses [`Policy::decide`].
    pub fn fire(&mut self, name: Name, data: &Value) -> Result<Reply, PolicyError> {
        let shape = Shape::of(name);
        let Some(fields) = data.as_object() else {
            return Err(PolicyError::script(format!("the data of {} must be an object with its fields", name.word())));
        };
        match fields.keys().find(|field| shape.field(field).is_none()) {
            Some(field) => Err(PolicyError::script(format!("{} has no field '{field}' {}", name.word(), known(field, shape.names())))),
            None => {
                self.left = Left::all(&self.limits);
                self.chain(name, data)
            }
        }
    }

    /// What was logged is no longer left.
    fn keep_log(&mut self, lines: &[LogLine]) {
        let bytes = lines.iter().map(|line| line.by.len() + line.text.len() + 3).sum();
        self.left.log_bytes = self.left.log_bytes.saturating_sub(bytes);
    }

    /// Asks the handlers of an event one after the other until one has an answer; while the job stands still, that is taken from its budget.
    fn chain(&mut self, name: Name, data: &Value) -> Result<Reply, PolicyError> {
        let begun = Instant::now();
        let reply = if name.entry().may_stop { self.asked(name, data) } else { self.told(name, data) };
        if name.holds_the_job(data) {
            self.left.frozen = self.left.frozen.saturating_sub(begun.elapsed());
        }
        reply
    }

    /// Where nothing can be stopped any more, every handler is told, whoever has answered before or failed; the first answer counts, and a
    /// failure only if there is none.
    fn told(&mut self, name: Name, data: &Value) -> Result<Reply, PolicyError> {
        let mut reply = Reply { log: self.take_log(), ..Reply::nothing() };
        let mut failure: Option<PolicyError> = None;
        for index in self.concerned(name, data) {
            match self.one(index, name, data) {
                Ok((answer, opinion)) => {
                    let is_last = answer.outcome == Ok(Outcome::Stopped);
                    reply.log.extend(answer.log);
                    reply.opinion = reply.opinion.or(opinion);
                    if is_last {
                        break;
                    }
                }
                Err(mut error) => {
                    reply.log.append(&mut error.log);
                    match &failure {
                        // The first is what is reported if there is no answer.
                        None => failure = Some(error),
                        Some(_) => reply.log.push(warning(name, &error)),
                    }
                    if self.ended.is_some() {
                        break;
                    }
                }
            }
        }
        match failure {
            Some(error) if reply.opinion.is_none() => return Err(PolicyError { log: reply.log, ..error }),
            Some(error) => reply.log.push(warning(name, &error)),
            None => {}
        }
        Ok(reply)
    }

    /// The handlers whose filters match.
    fn concerned(&self, name: Name, data: &Value) -> Vec<usize> {
        let matches = |index: &usize| self.handlers[*index].name == name && self.handlers[*index].filter.matches(data);
        (0..self.handlers.len()).filter(matches).collect()
    }

    /// Asks one handler: its answer, and what it means.
    fn one(&mut self, index: usize, name: Name, data: &Value) -> Result<(Answer, Option<Opinion>), PolicyError> {
        let place = self.handlers[index].row.place.clone();
        let answer = if self.handlers[index].row.is_batch { self.seen(index, name, data)? } else { self.call(index, name, data)? };
        let failed = |log: &[LogLine], message: String| PolicyError { log: log.to_vec(), ..PolicyError::script(message) };
        let opinion = match &answer.outcome {
            Ok(Outcome::Stopped) => None,
            Ok(Outcome::Returned(value)) => {
                let verdict = Verdict::parse(name, value).map_err(|misfit| failed(&answer.log, format!("{place}: {misfit}")))?;
                verdict.map(|verdict| Opinion { verdict, by: place })
            }
            Ok(Outcome::Refused { class, message, by, remedy, exit }) => {
                let refusal = Refusal { class: class_of(class), message: message.clone(), remedy: remedy.clone(), exit: *exit };
                Some(Opinion { verdict: Verdict::Fail(refusal), by: by.clone() })
            }
            Ok(other) => return Err(self.garbled(other)),
            Err(message) => return Err(failed(&answer.log, message.clone())),
        };
        Ok((answer, opinion))
    }

    fn asked(&mut self, name: Name, data: &Value) -> Result<Reply, PolicyError> {
        let mut reply = Reply { log: self.take_log(), ..Reply::nothing() };
        for index in self.concerned(name, data) {
            let (answer, opinion) = match self.one(index, name, data) {
                Ok(answered) => answered,
                Err(mut error) => {
                    reply.log.append(&mut error.log);
                    return Err(PolicyError { log: reply.log, ..error });
                }
            };
            reply.log.extend(answer.log);
            reply.annotations.extend(answer.annotations);
            reply.opinion = opinion;
            if reply.opinion.is_some() || answer.outcome == Ok(Outcome::Stopped) {
                break;
            }
        }
        Ok(reply)
    }

    /// What a handler for many events has answered to this one; asks it about this one alone if it has not seen it.
    fn seen(&mut self, index: usize, name: Name, data: &Value) -> Result<Answer, PolicyError> {
        let answered = self.foreseen.front().filter(|(seen, _)| seen == data).map(|(_, answers)| answers.get(&index).cloned());
        if let Some(answer) = answered {
            let outcome = Ok(Outcome::Returned(answer.unwrap_or_default()));
            return Ok(Answer { outcome, log: Vec::new(), annotations: Vec::new() });
        }
        let mut answer = self.batch(index, name, vec![data.clone()])?;
        if let Ok(Outcome::Answers(answers)) = &mut answer.outcome {
            answer.outcome = Ok(Outcome::Returned(answers.pop().map(|(_, value)| value).unwrap_or_default()));
        }
        Ok(answer)
    }
}

impl Chained {
    fn new(row: HandlerRow) -> Result<Chained, PolicyError> {
        let unknown = |why: String| PolicyError::script(format!("{}: {why}", row.place));
        let name = Name::of(&row.event).ok_or_else(|| unknown(format!("there is no event '{}'", row.event)))?;
        let filter = Filter::read(name, &row.filter).map_err(unknown)?;
        Ok(Chained { name, filter, row })
    }
}

/// A failure that is no longer one of the event.
fn warning(name: Name, error: &PolicyError) -> LogLine {
    LogLine { level: LogLevel::Warn, by: name.word().into(), text: error.to_string() }
}

impl Drop for LuaPolicy {
    /// The process ends with its policy, and is collected: a program that goes on must not keep a zombie.
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill();
        }
    }
}

fn class_of(word: &str) -> Class {
    [Class::Args, Class::Temp, Class::Env].into_iter().find(|class| class.word() == word).unwrap_or(Class::Perm)
}

impl Policy for LuaPolicy {
    fn hears(&self, name: Name) -> bool {
        self.handlers.iter().any(|handler| handler.name == name)
    }

    fn decide(&mut self, event: &Event) -> Result<Reply, PolicyError> {
        let data = event.data();
        // Events that were foreseen and then not asked about are behind us.
        if let Some(position) = self.foreseen.iter().position(|(seen, _)| *seen == data) {
            self.foreseen.drain(..position);
        }
        let reply = self.chain(event.name(), &data);
        if self.foreseen.front().is_some_and(|(seen, _)| *seen == data) {
            self.foreseen.pop_front();
        }
        reply
    }

    fn foresees(&self, name: Name) -> bool {
        self.handlers.iter().any(|handler| handler.name == name && handler.row.is_batch)
    }

    fn foresee(&mut self, events: &[Event]) -> Result<Reply, PolicyError> {
        let begun = Instant::now();
        let mut reply = Reply { log: self.take_log(), ..Reply::nothing() };
        let Some(first) = events.first() else { return Ok(reply) };
        let name = first.name();
        let mut seen: VecDeque<(Value, HashMap<usize, Value>)> = events.iter().map(|event| (event.data(), HashMap::new())).collect();
        for index in (0..self.handlers.len()).filter(|index| self.handlers[*index].name == name).collect::<Vec<_>>() {
            let handler = &self.handlers[index];
            let matching: Vec<usize> = (0..seen.len()).filter(|at| handler.filter.matches(&seen[*at].0)).collect();
            if !handler.row.is_batch || matching.is_empty() {
                continue;
            }
            let answer = self.batch(index, name, matching.iter().map(|at| seen[*at].0.clone()).collect())?;
            reply.log.extend(answer.log);
            reply.annotations.extend(answer.annotations);
            match answer.outcome {
                Ok(Outcome::Answers(answers)) => {
                    answers.into_iter().for_each(|(at, value)| drop(seen[matching[at]].1.insert(index, value)))
                }
                Ok(Outcome::Refused { class, message, by, remedy, exit }) => {
                    let refusal = Refusal { class: class_of(&class), message, remedy, exit };
                    return Err(PolicyError { log: reply.log, ..PolicyError::of(refusal, &by) });
                }
                Ok(other) => return Err(self.garbled(&other)),
                Err(message) => {
                    return Err(PolicyError { log: reply.log, ..PolicyError::script(message) });
                }
            }
        }
        if first.holds_the_job() {
            self.left.frozen = self.left.frozen.saturating_sub(begun.elapsed());
        }
        self.foreseen = seen;
        Ok(reply)
    }

    fn limit(&mut self, until: Option<Instant>) {
        self.until = until;
    }

    fn begin_again(&mut self) {
        self.left = Left::all(&self.limits);
    }

    fn keep(&mut self) -> Result<Option<String>, PolicyError> {
        let answer = self.request(&Request::Keep, self.limits.call, "cr.state")?;
        match answer.outcome {
            Ok(Outcome::Kept(kept)) => Ok(kept),
            Ok(other) => Err(self.garbled(&other)),
            Err(message) => Err(PolicyError::script(message)),
        }
    }

    fn recall(&mut self, kept: &str) -> Result<(), PolicyError> {
        let answer = self.request(&Request::Recall(kept.to_owned()), self.limits.call, "cr.state")?;
        match answer.outcome {
            Ok(Outcome::Recalled) => Ok(()),
            Ok(other) => Err(self.garbled(&other)),
            Err(message) => Err(PolicyError::script(message)),
        }
    }
}
