//! All output of `cr_checkpoint` and `cr_restart`: messages and summaries on stderr, JSON objects on stdout.
//!
//! Relies on [`super::text`] for the words. `--quiet` silences stderr altogether; `--json` moves the result, good or bad, to stdout
//! as one object. Output that cannot be written is dropped: a closed pipe must not change what happens to the job.

use std::io::Write;

use serde::Serialize;
use serde_json::{Value, json};

use super::cpr::words;
use super::exit::{Refusal, Show, Stop};
use super::flag::general::General;
use super::flag::kmsg::Kmsg;
use super::program::Program;
use super::text::{self, Attempt};
use crate::engine::observe::{Level, Message};
use crate::engine::participant::asker;
use crate::engine::request::Asker;
use crate::error::{Class, Failure, Stage};
use crate::image::Decision;
use crate::policy::{LogLevel, LogLine};

/// Where output goes.
pub struct Streams<'a> {
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Standard error.
    pub err: &'a mut dyn Write,
}

/// Prints what a program has to say, in the form that was asked for.
pub struct Reporter<'a, 'b> {
    streams: &'a mut Streams<'b>,
    general: General,
    kmsg: Kmsg,
    logged: Vec<LogLine>,
    /// The statefile that failures are about: their first line is that of cpr then.
    statefile: Option<String>,
    /// The program that waits for the result, until it has been told.
    asker: Option<Asker>,
}

impl<'a, 'b> Reporter<'a, 'b> {
    /// A reporter that follows these flags.
    pub fn new(streams: &'a mut Streams<'b>, general: General, kmsg: Kmsg) -> Reporter<'a, 'b> {
        Reporter { streams, general, kmsg, logged: Vec::new(), statefile: None, asker: None }
    }

    /// From here on failures are about this statefile, and told as cpr tells them.
    pub fn about_statefile(&mut self, name: &str) {
        self.statefile = Some(name.to_owned());
    }

    /// As [`Reporter::about_statefile`], for programs that have named one before.
    pub fn about_next_statefile(&mut self, name: &str) {
        if self.statefile.is_some() {
            self.about_statefile(name);
        }
    }

    /// Whom [`Reporter::answer`] answers.
    pub fn answers_to(mut self, asker: Option<Asker>) -> Reporter<'a, 'b> {
        self.asker = asker;
        self
    }

    /// A line on stdout, unless stdout belongs to JSON.
    pub fn line(&mut self, text: &str) {
        if !self.general.json {
            self.print(text);
        }
    }

    /// An object on stdout.
    pub fn object(&mut self, object: &Value) {
        self.print(&object.to_string());
    }

    /// What policies logged: on stderr, or with the object of the result.
    pub fn log(&mut self, lines: Vec<LogLine>) {
        if self.general.json {
            return self.logged.extend(lines);
        }
        let least = if self.general.verbose > 0 { LogLevel::Debug } else { LogLevel::Info };
        for line in lines.iter().filter(|line| least <= line.level) {
            self.complain(&text::log_line(line));
        }
    }

    /// What a dry run decided: a table on stdout, or an object.
    pub fn decisions(&mut self, report: &impl Serialize, decisions: &[Decision], messages: &[Message]) {
        if self.general.json {
            return self.success(report, "", messages);
        }
        self.messages(messages, Level::Warning);
        self.print(text::decision_table(decisions).trim_end());
    }

    /// What is said under `-v`.
    pub fn verbose(&mut self, text: &str) {
        if self.general.verbose > 0 {
            self.complain(text);
        }
    }

    /// What the program says about itself.
    pub fn show<S>(&mut self, program: &Program<S>, what: Show) {
        self.print(program.show(what).trim_end());
    }

    /// A command line that is refused.
    pub fn refusal<S>(&mut self, program: &Program<S>, refusal: &Refusal) {
        self.answer(refusal.errno(), 0, &refusal.text);
        let text = match (refusal.reason, &refusal.remedy) {
            (super::exit::Reason::Usage, _) => program.usage_message(&refusal.text),
            (_, Some(remedy)) => format!("{}\n  {}: {remedy}", refusal.text, text::class(Class::Args)),
            (_, None) => refusal.text.clone(),
        };
        if !self.general.json {
            return self.complain(&text);
        }
        let plain = refusal.text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let object = json!({
            "ok": false, "class": Class::Args.word(), "code": refusal.errno(), "exit": refusal.status(),
            "stage": Stage::Request.word(), "message": plain, "chain": [plain],
            "pid": null, "fd": null, "path": refusal.path.as_ref().map(|path| path.display().to_string()), "errno": refusal.errno(),
            "remedy": refusal.remedy, "messages": [],
        });
        let object = self.with_log(object);
        self.print(&object.to_string());
    }

    /// Whether results are objects.
    pub fn is_json(&self) -> bool {
        self.general.json
    }

    /// A failed request about which a policy has said all there is to say: nothing but the object, if objects are wanted.
    pub fn failure_in_silence(&mut self, failure: &Failure, status: u8, messages: &[Message]) {
        self.answer(failure.code, 0, &failure.to_string());
        if self.general.json {
            let object = self.with_log(failure_object(failure, status, messages));
            self.print(&object.to_string());
        }
    }

    /// What policies logged after the object of the result was printed: on stderr, as nothing else is to come.
    pub fn late_log(&mut self, lines: &[LogLine]) {
        let least = if self.general.verbose > 0 { LogLevel::Debug } else { LogLevel::Info };
        lines.iter().filter(|line| least <= line.level).for_each(|line| self.complain(&text::log_line(line)));
    }

    /// Tells the program that has asked through libcr what has become of it, the first time something has.
    pub fn answer(&mut self, code: i32, lead: i32, said: &str) {
        if let Some(asker) = self.asker.take() {
            asker::over(&asker, code, lead, said);
        }
    }

    /// A failed request.
    pub fn failure(&mut self, attempt: Attempt, failure: &Failure, status: u8, messages: &[Message]) {
        let said = messages.iter().map(text::message).chain([text::failure(attempt, failure)]).collect::<Vec<_>>().join("\n");
        self.answer(failure.code, 0, &said);
        if self.general.json {
            let object = self.with_log(failure_object(failure, status, messages));
            return self.print(&object.to_string());
        }
        if self.kmsg != Kmsg::None {
            self.messages(messages, Level::Warning);
        }
        let text = match &self.statefile {
            Some(name) => text::failure_under(attempt, words::headline(name, failure), failure),
            None => text::failure(attempt, failure),
        };
        self.complain(&text);
    }

    /// A request that succeeded.
    pub fn success(&mut self, report: &impl Serialize, summary: &str, messages: &[Message]) {
        self.success_with(report, summary, messages, None);
    }

    /// A request that succeeded, and the exit status that a policy has chosen for it.
    pub fn success_with(&mut self, report: &impl Serialize, summary: &str, messages: &[Message], status: Option<u8>) {
        if self.general.json {
            let mut object = success_object(report, messages);
            if let (Some(status), Some(fields)) = (status, object.as_object_mut()) {
                fields.insert("exit".into(), status.into());
            }
            let object = self.with_log(object);
            return self.print(&object.to_string());
        }
        self.messages(messages, if self.kmsg == Kmsg::Warning { Level::Warning } else { Level::Lost });
        self.verbose(summary);
    }

    /// Adds what was logged so far, if anything was.
    fn with_log(&mut self, mut object: Value) -> Value {
        let lines: Vec<Value> = std::mem::take(&mut self.logged)
            .into_iter()
            .map(|line| json!({ "level": text::log_word(line.level), "by": line.by, "text": line.text }))
            .collect();
        if let (Some(fields), false) = (object.as_object_mut(), lines.is_empty()) {
            fields.insert("log".into(), lines.into());
        }
        object
    }

    /// Messages of at least this level.
    fn messages(&mut self, messages: &[Message], least: Level) {
        for message in messages.iter().filter(|message| least <= message.level) {
            self.complain(&text::message(message));
        }
    }

    /// A text on stderr, unless it must be quiet.
    pub fn complain(&mut self, text: &str) {
        if !self.general.quiet {
            let _ = writeln!(self.streams.err, "{text}");
        }
    }

    fn print(&mut self, text: &str) {
        let _ = writeln!(self.streams.out, "{text}").and_then(|()| self.streams.out.flush());
    }
}

fn success_object(report: &impl Serialize, messages: &[Message]) -> Value {
    let mut object = json!({ "ok": true });
    if let (Some(object), Ok(Value::Object(fields))) = (object.as_object_mut(), serde_json::to_value(report)) {
        object.extend(fields);
        object.insert("messages".into(), message_objects(messages));
    }
    object
}

/// `errno` is null for libcr's own codes, which are not errnos.
fn failure_object(failure: &Failure, status: u8, messages: &[Message]) -> Value {
    let chain = text::chain(failure);
    json!({
        "ok": false,
        "class": failure.class.word(),
        "code": failure.code,
        "exit": status,
        "stage": failure.stage.word(),
        "message": chain.join(": "),
        "chain": chain,
        "pid": failure.subject.pid,
        "fd": failure.subject.fd,
        "path": failure.subject.path.as_ref().map(|path| path.display().to_string()),
        "errno": Some(failure.code).filter(|code| *code < 2354),
        "remedy": failure.remedy,
        "messages": message_objects(messages),
    })
}

fn message_objects(messages: &[Message]) -> Value {
    let object = |message: &Message| {
        json!({
            "level": match message.level { Level::Warning => "warning", Level::Lost => "lost", Level::Error => "error" },
            "pid": message.subject.pid,
            "fd": message.subject.fd,
            "path": message.subject.path.as_ref().map(|path| path.display().to_string()),
            "text": message.text,
        })
    };
    messages.iter().map(object).collect()
}

/// The stop's refusal, if it is one; shows what was asked for otherwise.
pub fn show_or_refuse<S>(reporter: &mut Reporter<'_, '_>, program: &Program<S>, stop: Stop) -> Option<Refusal> {
    match stop {
        Stop::Show(what) => {
            reporter.show(program, what);
            None
        }
        Stop::Refuse(refusal) => Some(refusal),
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::engine::observe::RestartReport;
    use crate::error::Subject;
    use insta::assert_snapshot;

    fn failure() -> Failure {
        Failure {
            class: Class::Temp,
            stage: Stage::Plan,
            subject: Subject::pid(7),
            code: libc::EBUSY,
            cause: "cannot restore pid 7: process 7 (sh) holds it".into(),
            remedy: Some("use --no-restore-pid".into()),
        }
    }

    fn messages() -> Vec<Message> {
        vec![Message { level: Level::Warning, subject: Subject::pid(9), text: "left out: a zombie".into() }]
    }

    fn output(general: General, kmsg: Kmsg, say: impl FnOnce(&mut Reporter)) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        say(&mut Reporter::new(&mut Streams { out: &mut out, err: &mut err }, general, kmsg));
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn messages_of_the_engine_follow_the_kmsg_level() {
        let report = RestartReport::default();
        for (kmsg, on_failure, on_success) in [(Kmsg::None, false, false), (Kmsg::Error, true, false), (Kmsg::Warning, true, true)] {
            let (_, err) = output(General::default(), kmsg, |say| say.failure(Attempt::Restart, &failure(), 16, &messages()));
            assert_eq!(err.starts_with("- process 9: left out: a zombie\nRestart failed: "), on_failure, "{kmsg:?}: {err}");
            let (_, err) = output(General::default(), kmsg, |say| say.success(&report, "", &messages()));
            assert_eq!(!err.is_empty(), on_success, "{kmsg:?}: {err}");
        }
    }

    #[test]
    fn what_a_job_loses_is_said_whatever_is_said_about_messages() {
        let report = RestartReport::default();
        let lost = Message { level: Level::Lost, subject: Subject::pid(9), text: "comes back without its keyring".into() };
        let all = [messages().remove(0), lost];
        for kmsg in [Kmsg::None, Kmsg::Error] {
            let (_, err) = output(General::default(), kmsg, |say| say.success(&report, "", &all));
            assert_eq!(err, "- process 9: comes back without its keyring\n", "{kmsg:?}");
        }
        let (_, err) = output(General { quiet: true, ..General::default() }, Kmsg::Warning, |say| say.success(&report, "", &all));
        assert_eq!(err, "");
        let (out, _) = output(General { json: true, ..General::default() }, Kmsg::None, |say| say.success(&report, "", &all));
        assert!(out.contains(r#""level":"lost""#), "{out}");
    }

    #[test]
    fn quiet_means_nothing_on_stderr() {
        let general = General { quiet: true, verbose: 3, json: false };
        let printed = output(general, Kmsg::Warning, |say| {
            say.failure(Attempt::Checkpoint, &failure(), 16, &messages());
            say.success(&RestartReport::default(), "summary", &messages());
            say.verbose("progress");
        });
        assert_eq!(printed, (String::new(), String::new()));
    }

    #[test]
    fn json_is_one_object_on_stdout_and_stderr_stays_empty() {
        let general = General { quiet: false, verbose: 0, json: true };
        let (out, err) = output(general, Kmsg::Error, |say| say.failure(Attempt::Restart, &failure(), 16, &messages()));
        assert_eq!(err, "");
        assert_snapshot!(out, @r#"{"chain":["cannot restore pid 7: process 7 (sh) holds it"],"class":"temp","code":16,"errno":16,"exit":16,"fd":null,"message":"cannot restore pid 7: process 7 (sh) holds it","messages":[{"fd":null,"level":"warning","path":null,"pid":9,"text":"left out: a zombie"}],"ok":false,"path":null,"pid":7,"remedy":"use --no-restore-pid","stage":"plan"}"#);
        let report =
            RestartReport { lead: Some(7), pids: vec![(7, 7)], threads: 1, page_bytes: 4096, total_us: 9, ..RestartReport::default() };
        let (out, err) = output(general, Kmsg::Error, |say| say.success(&report, "", &[]));
        assert_eq!(err, "");
        assert_snapshot!(out, @r#"{"decisions":[],"dry_run":false,"lead":7,"messages":[],"ok":true,"page_bytes":4096,"pids":[[7,7]],"stopped":false,"threads":1,"total_us":9}"#);
    }
}
