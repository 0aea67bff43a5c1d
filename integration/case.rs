//! A case: one name, one journey, one body that runs alone in its sandbox.
//!
//! Relies on the parts of the suite for the list. Leaves running to `runner` and isolation to `sandbox`.

use std::time::Duration;

use crate::site::Site;
use crate::verdict::Verdict;

/// How long a case may take unless it says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One line of the report.
pub struct Case {
    /// The row of the table, the real program, or the subject of the terminal or chaos test.
    pub name: String,
    /// What is done to it.
    pub journey: String,
    /// After this it is killed and counts as failed.
    pub timeout: Duration,
    /// Runs as the first process of its own pid namespace.
    pub body: Box<dyn Fn(&Site) -> Verdict>,
}

impl Case {
    /// A case with the usual patience.
    pub fn new(name: &str, journey: &str, body: impl Fn(&Site) -> Verdict + 'static) -> Case {
        Case { name: name.to_owned(), journey: journey.to_owned(), timeout: PATIENCE, body: Box::new(body) }
    }

    /// The same case with more patience.
    pub fn patient(mut self, seconds: u64) -> Case {
        self.timeout = Duration::from_secs(seconds);
        self
    }

    /// `NAME-JOURNEY`, fit for a directory.
    pub fn label(&self) -> String {
        format!("{}-{}", self.name, self.journey)
    }
}

/// The body of a case that has no row of data.
pub type Scene = fn(&Site) -> Verdict;

/// Every part of the suite, in the order of the report.
const PARTS: &[fn() -> Vec<Case>] = &[
    crate::journeys::cases,
    crate::real::cases,
    crate::commands::cases,
    crate::looking::cases,
    crate::participants::cases,
    crate::decisions::cases,
    crate::attributes::cases,
    crate::cpr::cases,
    crate::ownership::cases,
    crate::scripts::cases,
    crate::ready_made::cases,
    crate::restarter::cases,
    crate::namespace::cases,
    crate::outsiders::cases,
    crate::ptys::cases,
    crate::sysv::cases,
    crate::places::cases,
    crate::terminals::cases,
    crate::ready::cases,
    crate::stops::cases,
    crate::callers::cases,
    crate::rights::cases,
    crate::chaos::cases,
    crate::soak::cases,
];

/// Every case of the suite.
pub fn all() -> Vec<Case> {
    PARTS.iter().flat_map(|part| part()).collect()
}

/// Which cases were asked for.
#[derive(Default)]
pub struct Filter {
    /// A name, or a part of names when no case has exactly this name.
    pub name: Option<String>,
    /// A journey, exactly.
    pub journey: Option<String>,
}

impl Filter {
    /// The cases that were asked for, in order.
    pub fn pick(&self, mut cases: Vec<Case>) -> Vec<Case> {
        if let Some(name) = &self.name {
            let exact = cases.iter().any(|case| case.name == *name);
            cases.retain(|case| if exact { case.name == *name } else { case.name.contains(name.as_str()) });
        }
        if let Some(journey) = &self.journey {
            cases.retain(|case| case.journey == *journey);
        }
        cases
    }
}
