//! What stands in the way of a request: all of it is collected, and said together.
//!
//! Relies on failures being classified. One obstacle is reported as it is.

use crate::error::{Class, Classified, Failure};
use crate::sys::Errno;

/// Failures of steps that do not need each other.
#[derive(Debug, Default)]
pub struct Obstacles(Vec<Failure>);

impl Obstacles {
    /// The result of a step, or nothing and one obstacle more.
    pub fn note<T>(&mut self, result: Result<T, Failure>) -> Option<T> {
        result.map_err(|failure| self.0.push(failure)).ok()
    }

    /// Nothing stands in the way, or all that does.
    pub fn clear(mut self) -> Result<(), Failure> {
        match self.0.len() {
            0 => Ok(()),
            1 => Err(self.0.remove(0)),
            _ => Err(self.together()),
        }
    }

    fn together(self) -> Failure {
        let worst = self.0.iter().max_by_key(|failure| failure.class).expect("there are several");
        let (class, code, stage, remedy) = (worst.class, worst.code, worst.stage, worst.remedy.clone());
        let problems = self.0.iter().map(|failure| match failure.subject.to_string() {
            subject if subject.is_empty() => whole(failure),
            subject => format!("{subject}: {}", whole(failure)),
        });
        Failure { remedy, ..Failure::new(stage, Several { class, code, problems: problems.collect() }) }
    }
}

/// A failure with its causes; an errno by its text, without its name.
fn whole(failure: &Failure) -> String {
    let mut text = failure.cause.to_string();
    let mut source = failure.cause.source();
    while let Some(error) = source {
        let word = error.downcast_ref::<Errno>().map_or_else(|| error.to_string(), |errno| errno.desc().to_owned());
        text += &format!(": {word}");
        source = error.source();
    }
    text
}

/// Several failures, told as one.
#[derive(Debug, thiserror::Error)]
#[error("{} things stand in the way: {}", .problems.len(), listed(.problems))]
struct Several {
    class: Class,
    code: i32,
    problems: Vec<String>,
}

/// The first of them: a job may have a hundred thousand files.
pub(super) fn listed(problems: &[String]) -> String {
    const MOST: usize = 20;
    let shown = problems[..problems.len().min(MOST)].join("; ");
    match problems.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

impl Classified for Several {
    fn class(&self) -> Class {
        self.class
    }
    fn errno(&self) -> Option<i32> {
        Some(self.code)
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::error::{Stage, Subject};
    use crate::resource::KindError;

    fn failure(pid: i32, error: KindError) -> Failure {
        Failure::new(Stage::Capture, error).about(Subject::pid(pid))
    }

    #[test]
    fn all_obstacles_are_told_with_what_they_are_about() {
        let mut obstacles = Obstacles::default();
        assert_eq!(obstacles.note(Ok(7)), Some(7));
        let socket = KindError::Unsupported { what: "a TCP socket".into(), remedy: "close it".into() };
        assert_eq!(obstacles.note::<()>(Err(failure(5, KindError::path("find", "/data", Errno::ENOENT)))), None);
        assert_eq!(obstacles.note::<()>(Err(failure(6, socket))), None);
        let failure = obstacles.clear().unwrap_err();
        assert_eq!(
            failure.to_string(),
            "2 things stand in the way: process 5, /data: cannot find /data: No such file or directory; \
             process 6: a TCP socket cannot be checkpointed"
        );
        assert_eq!((failure.class, failure.remedy.as_deref()), (Class::Perm, Some("close it")), "those of the worst");
    }

    #[test]
    fn one_obstacle_is_reported_as_it_is() {
        let mut obstacles = Obstacles::default();
        obstacles.note::<()>(Err(failure(5, KindError::path("find", "/data", Errno::ENOENT))));
        assert_eq!(obstacles.clear().unwrap_err().chain()[0], "cannot find /data");
        assert!(Obstacles::default().clear().is_ok());
    }
}
