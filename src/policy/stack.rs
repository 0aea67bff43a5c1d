//! All policies of one request, in order of precedence, and what they decided.
//!
//! Relies on the policies for their answers. Events that nobody hears are not built. What policies log is collected here and shown by
//! the caller when the job runs again: while it stands, the reader of our own output may stand with it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::event::{Event, Name, PidPair, RunningEvent};
use super::verdict::{RestartChoice, Verdict};
use super::{LogLevel, LogLine, Opinion, Policy, PolicyError, Reply};
use crate::image::{Decision, Snapshot};

/// The policies of one request.
#[derive(Default)]
pub struct Stack {
    policies: Vec<Box<dyn Policy>>,
    log: Vec<LogLine>,
    annotations: BTreeMap<String, String>,
    decisions: Vec<Decision>,
    time: Duration,
    frozen_time: Duration,
    record: Option<Recorder>,
    outside: Option<Outside>,
    /// Nothing is changed: decisions are taken and listed.
    pub dry_run: bool,
}

/// Who answers when all policies together do.
pub const EVERYBODY: &str = "all policies";

/// Receives every event with its answer, one JSON object a line.
pub type Recorder = Box<dyn FnMut(&Event, Option<&Opinion>)>;

/// From ids where the job is to those where policies are; `None` where they are the same.
pub type Outside = Box<dyn Fn() -> Option<HashMap<i32, i32>>>;

impl Stack {
    /// Policies stay outside, whatever namespaces this process moves into: events about new processes are told with the ids that they have there.
    pub fn stay_outside(&mut self, ids: Outside) {
        self.outside = Some(ids);
    }

    /// An event as policies outside understand it.
    fn seen_from_outside<'e>(&self, event: &'e Event) -> Cow<'e, Event> {
        let (Event::PreResume(running) | Event::OnSuccess(running)) = event else { return Cow::Borrowed(event) };
        let Some(ids) = self.outside.as_ref().and_then(|ids| ids()) else { return Cow::Borrowed(event) };
        // Who is not found has no id that a script could use: a wrong one would be somebody else's.
        let pair = |pair: &PidPair| Some(PidPair { old: pair.old, new: *ids.get(&pair.new)?, inner: Some(pair.new) });
        let pids = running.pids.iter().filter_map(pair).collect();
        let running = RunningEvent { pids, lead: running.lead.and_then(|lead| ids.get(&lead).copied()), ..running.clone() };
        Cow::Owned(if event.name() == Name::PreResume { Event::PreResume(running) } else { Event::OnSuccess(running) })
    }

    /// Adds a policy below those that are there.
    pub fn push(&mut self, policy: impl Policy + 'static) {
        self.policies.push(Box::new(policy));
    }

    /// Hands every event and its answer to `recorder` from now on (`--hook-record`).
    pub fn record(&mut self, recorder: Recorder) {
        self.record = Some(recorder);
    }

    /// Whether an event of this name would reach anybody.
    pub fn hears(&self, name: Name) -> bool {
        self.record.is_some() || self.policies.iter().any(|policy| policy.hears(name))
    }

    /// Whether anybody wants to see events of this name all at once.
    pub fn foresees(&self, name: Name) -> bool {
        self.policies.iter().any(|policy| policy.foresees(name))
    }

    /// Shows events of one name to those who want to see them at once; they are asked about afterwards, one by one.
    pub fn foresee(&mut self, events: &[Event]) -> Result<(), PolicyError> {
        let Some(first) = events.first() else { return Ok(()) };
        self.timed(first, |stack| {
            for index in (0..stack.policies.len()).filter(|index| stack.policies[*index].foresees(first.name())).collect::<Vec<_>>() {
                let reply = stack.policies[index].foresee(events);
                stack.heard(reply)?;
            }
            Ok(())
        })
    }

    /// The first answer in order of precedence. [`Verdict::Fail`] is an error, except where it is the answer of an event about files,
    /// objects or areas, whose subject the caller adds.
    pub fn ask(&mut self, event: &Event) -> Result<Option<Opinion>, PolicyError> {
        let event = &*self.seen_from_outside(event);
        let answer = self.timed(event, |stack| {
            for index in 0..stack.policies.len() {
                if let Some(opinion) = stack.consult(index, event)? {
                    return Ok(Some(opinion));
                }
            }
            Ok(None)
        })?;
        self.told(event, answer.as_ref());
        match answer {
            Some(Opinion { verdict: Verdict::Fail(refusal), by }) => Err(PolicyError::of(refusal, &by)),
            answer => Ok(answer),
        }
    }

    /// What everybody together says about a restart: each question goes to the first who has an answer, path rules are joined in order of
    /// precedence.
    pub fn ask_restart(&mut self, event: &Event) -> Result<RestartChoice, PolicyError> {
        let opinions = self.timed(event, |stack| stack.everybody(event))?;
        let mut joined = RestartChoice::default();
        for Opinion { verdict, by } in opinions {
            match verdict {
                Verdict::Restart(choice) => {
                    let fresh = choice.beyond(&joined);
                    self.decided("restart", &Opinion { verdict: Verdict::Restart(fresh.clone()), by });
                    joined.add(fresh);
                }
                Verdict::Fail(refusal) => return Err(PolicyError::of(refusal, &by)),
                _ => {}
            }
        }
        self.told(event, Some(&Opinion { verdict: Verdict::Restart(joined.clone()), by: EVERYBODY.into() }));
        Ok(joined)
    }

    /// Tells everybody, whoever has answered before or failed; the first answer counts, and a failure only if there is none. For events that
    /// scripts hear for their effects.
    pub fn tell(&mut self, event: &Event) -> Result<Option<Opinion>, PolicyError> {
        let event = &*self.seen_from_outside(event);
        let mut failure = None;
        let mut answer = None;
        self.timed(event, |stack| {
            for index in 0..stack.policies.len() {
                match stack.consult(index, event) {
                    Ok(opinion) => answer = answer.take().or(opinion),
                    Err(error) => failure = failure.take().or(Some(error)),
                }
            }
        });
        self.told(event, answer.as_ref());
        match (answer, failure) {
            (None, Some(error)) => Err(error),
            (answer, Some(error)) => {
                self.warn(event.name().word(), error.to_string());
                Ok(answer)
            }
            (answer, None) => Ok(answer),
        }
    }

    fn everybody(&mut self, event: &Event) -> Result<Vec<Opinion>, PolicyError> {
        let mut opinions = Vec::new();
        for index in 0..self.policies.len() {
            opinions.extend(self.consult(index, event)?);
        }
        Ok(opinions)
    }

    fn consult(&mut self, index: usize, event: &Event) -> Result<Option<Opinion>, PolicyError> {
        let policy = &mut self.policies[index];
        if !policy.hears(event.name()) {
            return Ok(None);
        }
        let reply = policy.decide(event);
        self.heard(reply)
    }

    /// Keeps what a policy said besides its answer.
    fn heard(&mut self, reply: Result<Reply, PolicyError>) -> Result<Option<Opinion>, PolicyError> {
        match reply {
            Ok(Reply { opinion, log, annotations }) => {
                self.log.extend(log);
                self.annotations.extend(annotations);
                Ok(opinion)
            }
            Err(mut error) => {
                self.log.append(&mut error.log);
                Err(error)
            }
        }
    }

    fn timed<T>(&mut self, event: &Event, ask: impl FnOnce(&mut Stack) -> T) -> T {
        let begun = Instant::now();
        let result = ask(self);
        let spent = begun.elapsed();
        self.time += spent;
        if event.holds_the_job() {
            self.frozen_time += spent;
        }
        result
    }

    fn told(&mut self, event: &Event, answer: Option<&Opinion>) {
        if let Some(record) = &mut self.record {
            record(event, answer);
        }
    }

    /// Notes who decided what; `about` is a path, a process or another name of the subject.
    pub fn decided(&mut self, about: impl Into<String>, opinion: &Opinion) {
        self.decisions.push(Decision { about: about.into(), verdict: opinion.verdict.word(), by: opinion.by.clone() });
    }

    /// Notes a decision that nobody took now: it is the program's own, or that of the checkpoint. For the table of a dry run.
    pub fn stays(&mut self, about: impl Into<String>, verdict: &str, by: &str) {
        if self.dry_run {
            self.decisions.push(Decision { about: about.into(), verdict: verdict.into(), by: by.into() });
        }
    }

    /// A message of the stack's own: for example about a script that failed where nothing can be stopped any more.
    pub fn warn(&mut self, by: impl Into<String>, text: impl Into<String>) {
        self.log.push(LogLine { level: LogLevel::Warn, by: by.into(), text: text.into() });
    }

    /// Decisions so far.
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// Notes something for the context file.
    pub fn annotate(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.annotations.insert(key.into(), value.into());
    }

    /// Notes of policies so far.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// What was logged since the last call.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.log)
    }

    /// No policy may take longer than until then, from now on; `None` takes that back.
    pub fn limit(&mut self, until: Option<Instant>) {
        self.policies.iter_mut().for_each(|policy| policy.limit(until));
    }

    /// Forgets decisions and notes, before another attempt.
    pub fn begin_again(&mut self) {
        self.decisions.clear();
        self.annotations.clear();
        self.policies.iter_mut().for_each(|policy| policy.begin_again());
    }

    /// Time spent in policies: in all, and while a job stood still that would have run otherwise.
    pub fn time(&self) -> (Duration, Duration) {
        (self.time, self.frozen_time)
    }

    /// What policies keep for the restart, as JSON.
    pub fn keep(&mut self) -> Result<Option<String>, PolicyError> {
        for policy in &mut self.policies {
            if let Some(kept) = policy.keep()? {
                return Ok(Some(kept));
            }
        }
        Ok(None)
    }

    /// A context file was opened for a restart: tells all policies what is in it.
    pub fn opened(&mut self, snapshot: &Snapshot) {
        self.policies.iter_mut().for_each(|policy| policy.opened(snapshot));
    }

    /// Gives back what was kept at the checkpoint.
    pub fn recall(&mut self, kept: &str) -> Result<(), PolicyError> {
        self.policies.iter_mut().try_for_each(|policy| policy.recall(kept))
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::error::Class;
    use crate::policy::event::ExitEvent;
    use crate::policy::relocate::Relocation;
    use crate::policy::verdict::{Ids, Refusal};

    /// Answers one event, always the same.
    struct Fixed(Name, Result<Option<Verdict>, PolicyError>, &'static str);

    impl Policy for Fixed {
        fn hears(&self, name: Name) -> bool {
            name == self.0
        }

        fn decide(&mut self, _: &Event) -> Result<Reply, PolicyError> {
            let log = vec![LogLine { level: LogLevel::Info, by: self.2.into(), text: "asked".into() }];
            let opinion = self.1.clone()?.map(|verdict| Opinion { verdict, by: self.2.into() });
            Ok(Reply { opinion, log, annotations: vec![(self.2.into(), "1".into())] })
        }
    }

    fn stack(answers: &[(&'static str, Option<Verdict>)], name: Name) -> Stack {
        let mut stack = Stack::default();
        answers.iter().for_each(|(by, verdict)| stack.push(Fixed(name, Ok(verdict.clone()), by)));
        stack
    }

    fn exit() -> Event {
        Event::JobExit(ExitEvent::default())
    }

    #[test]
    fn the_first_opinion_counts_and_ends_the_asking() {
        let mut stack = stack(&[("a", None), ("b", Some(Verdict::Status(1))), ("c", Some(Verdict::Status(2)))], Name::JobExit);
        let opinion = stack.ask(&exit()).unwrap().unwrap();
        assert_eq!((opinion.verdict, opinion.by.as_str()), (Verdict::Status(1), "b"));
        let asked: Vec<String> = stack.take_log().into_iter().map(|line| line.by).collect();
        assert_eq!(asked, ["a", "b"]);
        assert_eq!(stack.annotations().len(), 2);
        assert_eq!(stack.tell(&exit()).unwrap().unwrap().by, "b");
        assert_eq!(stack.take_log().len(), 3, "all are told");
    }

    #[test]
    fn nobody_is_asked_about_what_nobody_hears() {
        let mut stack = stack(&[("a", Some(Verdict::Status(1)))], Name::OnSuccess);
        assert!(stack.hears(Name::OnSuccess) && !stack.hears(Name::JobExit));
        assert_eq!(stack.ask(&exit()).unwrap(), None);
    }

    #[test]
    fn only_time_of_a_job_that_waits_is_downtime() {
        use crate::policy::event::{FileEvent, Side};
        let mut stack = stack(&[("a", None)], Name::FileDisposition);
        let mut ask = |side| {
            stack.ask(&Event::FileDisposition(FileEvent { side, ..FileEvent::default() })).unwrap();
            stack.time()
        };
        let (restart, none) = ask(Side::Restart);
        assert!(restart > Duration::ZERO && none == Duration::ZERO, "{restart:?} {none:?}");
        let (all, frozen) = ask(Side::Checkpoint);
        assert!(all > restart && Duration::ZERO < frozen && frozen < all, "{all:?} {frozen:?}");
    }

    #[test]
    fn scripts_outside_get_the_ids_outside() {
        struct Hears;
        impl Policy for Hears {
            fn hears(&self, _: Name) -> bool {
                true
            }
            fn decide(&mut self, event: &Event) -> Result<Reply, PolicyError> {
                let log = vec![LogLine { level: LogLevel::Info, by: String::new(), text: event.data().to_string() }];
                Ok(Reply { log, ..Reply::nothing() })
            }
        }
        let mut stack = Stack::default();
        stack.push(Hears);
        stack.stay_outside(Box::new(|| Some(HashMap::from([(7, 4711), (1, 4700)]))));
        let pair = |old, new| PidPair { old, new, inner: None };
        let running = RunningEvent { pids: vec![pair(7, 7), pair(8, 8)], lead: Some(7), ..RunningEvent::default() };
        stack.ask(&Event::PreResume(running.clone())).unwrap();
        stack.tell(&Event::OnSuccess(running)).unwrap();
        for line in stack.take_log() {
            assert!(
                line.text.contains(r#""lead":4711"#) && line.text.contains(r#""pids":[{"inner":7,"new":4711,"old":7}]"#),
                "{}",
                line.text
            );
        }
    }

    #[test]
    fn one_that_fails_does_not_silence_the_others() {
        let mut stack = Stack::default();
        stack.push(Fixed(Name::JobExit, Err(PolicyError::script("a is wrong")), "a"));
        assert_eq!(stack.tell(&exit()).unwrap_err().message, "a is wrong");
        stack.push(Fixed(Name::JobExit, Ok(Some(Verdict::Status(3))), "b"));
        stack.push(Fixed(Name::JobExit, Ok(None), "c"));
        assert_eq!(stack.tell(&exit()).unwrap().unwrap().by, "b");
        let log: Vec<String> = stack.take_log().into_iter().map(|line| line.text).collect();
        assert_eq!(log, ["asked", "asked", "a is wrong"]);
    }

    #[test]
    fn a_refusal_is_an_error_that_names_who() {
        let mut stack = stack(
            &[(
                "x.lua:3",
                Some(Verdict::Fail(Refusal {
                    class: Class::Env,
                    message: "no room".into(),
                    remedy: Some("make room".into()),
                    exit: Some(74),
                })),
            )],
            Name::JobExit,
        );
        let error = stack.ask(&exit()).unwrap_err();
        assert_eq!((error.class, error.to_string().as_str()), (Class::Env, "no room (x.lua:3)"));
        assert_eq!((error.code, error.remedy.as_deref()), (74, Some("make room")));
    }

    #[test]
    fn restarts_are_decided_question_by_question() {
        let rule = |old: &str| Relocation { old: old.into(), new: "/new".into() };
        let choice = |olds: &[&str], ids| {
            Some(Verdict::Restart(RestartChoice { relocate: olds.iter().map(|old| rule(old)).collect(), ids, ..RestartChoice::default() }))
        };
        let answers =
            [("--relocate", choice(&["/a"], None)), ("s.lua:1", choice(&["/b"], Some(Ids::New))), ("late", choice(&[], Some(Ids::Keep)))];
        let mut stack = stack(&answers, Name::PreRestart);
        let joined = stack.ask_restart(&Event::PreRestart(Box::default())).unwrap();
        assert_eq!(joined, RestartChoice { relocate: vec![rule("/a"), rule("/b")], ids: Some(Ids::New), ..RestartChoice::default() });
    }
}
