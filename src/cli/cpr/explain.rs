//! `cpr --explain`: what the attribute files say about ids.
//!
//! Relies on [`crate::policy::attribute::explain`] for the text and on [`crate::engine::look`] for the open files. Stops nobody.

use super::said::CprSaid;
use crate::cli::report::Reporter;
use crate::cli::text::Attempt;
use crate::cli::{attributes, exit};
use crate::engine::look;
use crate::policy::attribute::explain::explain;

/// Prints it.
pub fn tell(said: &CprSaid, reporter: &mut Reporter<'_, '_>) -> u8 {
    let attributes = match attributes::named_and_of_user(said.attributes.as_deref()) {
        Ok(attributes) => attributes,
        Err(failure) => {
            let status = exit::of_checkpoint(&failure);
            reporter.failure(Attempt::Info, &failure, status, &[]);
            return status;
        }
    };
    for (number, id) in said.explain.iter().enumerate() {
        if number > 0 {
            reporter.line("");
        }
        // An id of the attribute file may be that of a process that does not run now: it has no files then.
        let files = look::files(*id).unwrap_or_default();
        let paths: Vec<String> = files.into_iter().map(|file| file.path).collect();
        reporter.line(&explain(&attributes, *id, &paths).join("\n"));
    }
    0
}
