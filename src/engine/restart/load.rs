//! *load*: opening context files and reading page blocks in the order in which a restart needs them.
//!
//! Relies on `image`, which verifies every byte before it hands it out.

use std::fs::File;
use std::sync::Arc;

use super::PlanError;
use crate::engine::request::Source;
use crate::error::{At, Failure, Stage};
use crate::image::{Reader, Snapshot};
use crate::sys::{Errno, descriptor};

/// An open context file.
pub struct Pages {
    reader: Reader,
}

impl Pages {
    /// The description of the job.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        self.reader.snapshot()
    }

    /// The reader of the page blocks.
    pub fn reader(&mut self) -> &mut Reader {
        &mut self.reader
    }
}

/// Opens and verifies what a request names.
pub fn open(source: &Source) -> Result<Pages, Failure> {
    let file = match source {
        Source::File(path) => File::open(path).map_err(|error| {
            let source = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
            PlanError::Open { path: path.clone(), source }
        }),
        Source::Fd(fd) => descriptor::duplicate_inherited(*fd)
            .map(File::from)
            .map_err(|source| PlanError::Open { path: format!("descriptor {fd}").into(), source }),
        Source::Dir(_) => unreachable!("a directory is read by `directory`, one file at a time"),
    };
    let reader = Reader::open(file.at(Stage::Load)?).at(Stage::Load)?;
    Ok(Pages { reader })
}
