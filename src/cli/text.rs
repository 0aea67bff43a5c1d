//! The wording of results: what a failure, an engine message and a success say to people. Pure; printing is [`super::report`]'s.
//!
//! The first line of a failure is BLCR's, because scripts look for it. What follows names attempt and reason, the object where the
//! reason does not, the class, and what to do next.

use std::io;

use indicatif::BinaryBytes;

use super::exit;
use super::preflight::TargetError;
use crate::engine::observe::{CheckpointReport, Message, RestartReport};
use crate::error::{Class, Failure, Subject, without_number};
use crate::image::Decision;
use crate::policy::{LogLevel, LogLine};

/// What the program attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// `cr_checkpoint`.
    Checkpoint,
    /// `cr_restart`.
    Restart,
    /// `cr_info`.
    Info,
}

/// The meaning of an errno or of one of libcr's `CR_E*` codes.
pub fn strerror(code: i32) -> String {
    let own = match code {
        2354 => "Cancelled by a participant for now",
        2355 => "Cancelled by a participant for good",
        2356 => "The application lacks checkpoint support",
        2357 => "Versions of library and engine do not match",
        2358 => "The process asked to be left out",
        2359 => "Context file does not match this machine's architecture",
        2360 => "A process is being traced",
        2361 => "A process traces others",
        2362 => "Restart aborted by the application",
        2363 => "Restarted from this checkpoint",
        2364 => "Only allowed in a callback",
        2365 => "The thread has not called cr_init",
        _ => "",
    };
    if !own.is_empty() {
        return own.to_owned();
    }
    without_number(&io::Error::from_raw_os_error(code).to_string())
}

/// The first line: the prefixes that scripts know from BLCR.
fn headline(attempt: Attempt, failure: &Failure) -> String {
    if let Some(error) = failure.cause.downcast_ref::<TargetError>() {
        return error.headline();
    }
    match (attempt, failure.code) {
        (Attempt::Checkpoint, 2354) => "Checkpoint cancelled by application: try again later".into(),
        (Attempt::Checkpoint, 2355) => "Checkpoint cancelled by application: unable to checkpoint".into(),
        (Attempt::Checkpoint, 2356) => "Checkpoint failed: support missing from application".into(),
        (Attempt::Checkpoint, libc::ENOSYS) => "Checkpoint failed: support missing from kernel".into(),
        (Attempt::Checkpoint, libc::ESRCH) => "Checkpoint failed: no processes checkpointed".into(),
        (Attempt::Checkpoint, code) => format!("Checkpoint failed: {}", strerror(code)),
        (Attempt::Info, code) => match &failure.subject.path {
            Some(path) => format!("Cannot read {}: {}", path.display(), strerror(code)),
            None => strerror(code),
        },
        (Attempt::Restart, code) => match &failure.subject.path {
            Some(path) if exit::is_unopened_source(failure) => {
                format!("Failed to open({}, O_RDONLY): {}", path.display(), strerror(code))
            }
            _ => format!("Restart failed: {}", strerror(code)),
        },
    }
}

/// The whole message of a failure, several lines.
pub fn failure(attempt: Attempt, failure: &Failure) -> String {
    failure_under(attempt, headline(attempt, failure), failure)
}

/// The whole message of a failure under another first line.
pub fn failure_under(attempt: Attempt, headline: String, failure: &Failure) -> String {
    let chain = chain(failure).join(": ");
    let mut lines = vec![headline, format!("  {chain}")];
    let said = [lines[0].as_str(), &chain].join("\n");
    let subject = missing(&failure.subject, if attempt == Attempt::Info { &said } else { &chain });
    if subject != Subject::default() {
        lines.push(format!("  on {subject}"));
    }
    lines.push(match &failure.remedy {
        Some(remedy) => format!("  {}: {remedy}", class(failure.class)),
        None => format!("  {}", class(failure.class)),
    });
    lines.join("\n")
}

/// The causes, outermost first, without those that their predecessor already quotes.
pub fn chain(failure: &Failure) -> Vec<String> {
    failure.words()
}

/// The parts of a subject that a text does not mention.
fn missing(subject: &Subject, text: &str) -> Subject {
    let has_number =
        |number: i32| text.split(|c: char| !c.is_ascii_digit()).any(|word| word.parse::<i32>().is_ok_and(|found| found == number));
    Subject {
        pid: subject.pid.filter(|pid| !has_number(*pid)),
        fd: subject.fd.filter(|fd| !has_number(*fd)),
        path: subject.path.clone().filter(|path| !text.contains(&path.display().to_string())),
    }
}

/// A class as messages show it.
pub fn class(class: Class) -> &'static str {
    match class {
        Class::Args => "class args (the request must change)",
        Class::Temp => "class temp (may succeed later)",
        Class::Env => "class env (the machine must be put right)",
        Class::Perm => "class perm (will not succeed)",
    }
}

/// An engine message, as BLCR shows kernel messages.
pub fn message(message: &Message) -> String {
    let subject = missing(&message.subject, &message.text);
    if subject == Subject::default() { format!("- {}", message.text) } else { format!("- {subject}: {}", message.text) }
}

/// What `cr_checkpoint -v` says in the end.
pub fn checkpoint_summary(report: &CheckpointReport) -> String {
    if report.is_skipped {
        return "nothing was saved: a script decided to skip it".into();
    }
    let place = report.path.as_ref().map_or(String::new(), |path| format!(" to {}", path.display()));
    let scripts = match report.hook_frozen_us {
        0 => String::new(),
        time => format!(", {} of it for scripts", duration(time)),
    };
    format!(
        "saved {}, {}: {}{place} in {} (the job stood still for {}{scripts})",
        count(report.processes, "process", "processes"),
        count(report.threads, "thread", "threads"),
        BinaryBytes(report.bytes),
        duration(report.total_us),
        duration(report.frozen_us),
    )
}

/// What `cr_restart --verbose` says when the job runs.
pub fn restart_summary(report: &RestartReport) -> String {
    format!(
        "restarted {}, {}: {} of memory in {}",
        count(report.pids.len(), "process", "processes"),
        count(report.threads, "thread", "threads"),
        BinaryBytes(report.page_bytes),
        duration(report.total_us),
    )
}

/// `1 process`, `2 processes`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Microseconds in the unit people would choose.
pub fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        _ => format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000),
    }
}

/// The word for how much a logged line matters.
pub fn log_word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warning",
        LogLevel::Error => "error",
    }
}

/// A line that a script logged.
pub fn log_line(line: &LogLine) -> String {
    match line.level {
        LogLevel::Info => format!("{}: {}", line.by, line.text),
        level => format!("{}: {}: {}", line.by, log_word(level), line.text),
    }
}

/// Who decided what, in columns.
pub fn decision_table(decisions: &[Decision]) -> String {
    let rows = decisions.iter().map(|row| [row.verdict.as_str(), row.by.as_str(), row.about.as_str()]);
    let rows: Vec<[&str; 3]> = std::iter::once(["DECISION", "BY", "ABOUT"]).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    rows.iter().map(|[verdict, by, about]| format!("{verdict:first$}  {by:second$}  {about}\n")).collect()
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::engine::observe::Level;
    use crate::error::Stage;
    use insta::assert_snapshot;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open /data/in.csv")]
    struct Nested(#[source] io::Error);

    fn sample(class: Class, code: i32, subject: Subject, cause: &str, remedy: Option<&str>) -> Failure {
        Failure { class, stage: Stage::Plan, subject, code, cause: cause.into(), remedy: remedy.map(Into::into) }
    }

    #[test]
    fn a_failure_says_attempt_object_reason_class_and_remedy() {
        let taken = sample(
            Class::Temp,
            libc::EBUSY,
            Subject::pid(4242),
            "cannot restore pid 4242: process 4242 (sleep) holds it",
            Some("wait for it to end, or use --no-restore-pid"),
        );
        assert_snapshot!(failure(Attempt::Restart, &taken), @r"
        Restart failed: Device or resource busy
          cannot restore pid 4242: process 4242 (sleep) holds it
          class temp (may succeed later): wait for it to end, or use --no-restore-pid
        ");
        let missing = Failure {
            cause: Box::new(Nested(io::Error::from_raw_os_error(libc::ENOENT))),
            ..sample(Class::Env, libc::ENOENT, Subject::descriptor(12, 3, "/data/in.csv"), "", None)
        };
        assert_snapshot!(failure(Attempt::Restart, &missing), @r"
        Restart failed: No such file or directory
          cannot open /data/in.csv: No such file or directory
          on process 12, descriptor 3
          class env (the machine must be put right)
        ");
    }

    #[test]
    fn first_lines_are_those_scripts_look_for() {
        for (attempt, code, line) in [
            (Attempt::Checkpoint, libc::ESRCH, "Checkpoint failed: no processes checkpointed"),
            (Attempt::Checkpoint, libc::ENOSYS, "Checkpoint failed: support missing from kernel"),
            (Attempt::Checkpoint, 2356, "Checkpoint failed: support missing from application"),
            (Attempt::Checkpoint, 2354, "Checkpoint cancelled by application: try again later"),
            (Attempt::Checkpoint, 2355, "Checkpoint cancelled by application: unable to checkpoint"),
            (Attempt::Checkpoint, 2360, "Checkpoint failed: A process is being traced"),
            (Attempt::Checkpoint, libc::EPERM, "Checkpoint failed: Operation not permitted"),
            (Attempt::Restart, libc::ESRCH, "Restart failed: No such process"),
            (Attempt::Restart, libc::EINVAL, "Restart failed: Invalid argument"),
            (Attempt::Restart, libc::EIO, "Restart failed: Input/output error"),
            (Attempt::Restart, 2359, "Restart failed: Context file does not match this machine's architecture"),
            (Attempt::Restart, 2362, "Restart failed: Restart aborted by the application"),
        ] {
            let text = failure(attempt, &sample(Class::Perm, code, Subject::default(), "reason", None));
            assert_eq!(text.lines().next(), Some(line));
        }
    }

    #[test]
    fn a_context_file_that_vanished_reads_like_one_that_was_never_there() {
        let unopened = Failure { stage: Stage::Load, ..sample(Class::Args, libc::EACCES, Subject::path("/c"), "cannot open /c", None) };
        assert!(failure(Attempt::Restart, &unopened).starts_with("Failed to open(/c, O_RDONLY): Permission denied\n"));
    }

    #[test]
    fn every_code_of_libcr_has_a_text() {
        for code in 2354..=2365 {
            assert!(!strerror(code).contains("Unknown"), "{code}");
        }
        assert_eq!(strerror(libc::EBUSY), "Device or resource busy");
    }

    #[test]
    fn messages_name_their_subject_once() {
        let row = |subject, text: &str| message(&Message { level: Level::Warning, subject, text: text.into() });
        assert_eq!(row(Subject::pid(5), "process 5 is a zombie"), "- process 5 is a zombie");
        assert_eq!(row(Subject::pid(5), "skipped"), "- process 5: skipped");
        assert_eq!(row(Subject::default(), "slow disk"), "- slow disk");
    }

    #[test]
    fn summaries() {
        let saved = CheckpointReport {
            path: Some("/tmp/context.7".into()),
            processes: 1,
            threads: 12,
            bytes: 3 << 20,
            page_bytes: 2 << 20,
            frozen_us: 950,
            total_us: 1_234_567,
            ..CheckpointReport::default()
        };
        assert_snapshot!(checkpoint_summary(&saved), @"saved 1 process, 12 threads: 3.00 MiB to /tmp/context.7 in 1.23 s (the job stood still for 950 µs)");
        let back = RestartReport {
            lead: None,
            pids: vec![(1, 2), (3, 4)],
            threads: 2,
            page_bytes: 4096,
            total_us: 12_345,
            ..RestartReport::default()
        };
        assert_snapshot!(restart_summary(&back), @"restarted 2 processes, 2 threads: 4.00 KiB of memory in 12.3 ms");
    }
}
