//! Whether root may restart a context file: one that others can write to, or that belongs to somebody else, could make root start whatever they like.
//!
//! Each file is judged by the descriptor that it is read from, so no link and no directory on the way matters. A file of an ordinary user is as good as root's
//! if the job has no right that this user does not have ([`Account`]). Pipes and sockets come from whoever runs the command, and are not judged.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::PlanError;
use crate::engine::confined::Account;
use crate::image::Snapshot;
use crate::sys::trust::{Distrust, judge, maps_everybody};

/// Where the bytes of a restart come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    path: PathBuf,
    is_file: bool,
    /// Device and inode.
    identity: (u64, u64),
    verdict: Result<(), Distrust>,
}

impl Origin {
    /// Looks at an open file. One that cannot be looked at cannot be read either.
    pub fn of(file: &File, path: &Path) -> std::io::Result<Origin> {
        let found = file.metadata()?;
        let verdict = judge(&found, maps_everybody());
        Ok(Origin { path: path.to_owned(), is_file: found.is_file(), identity: (found.dev(), found.ino()), verdict })
    }

    /// Whether it is the same file.
    pub fn is(&self, other: &Origin) -> bool {
        self.identity == other.identity
    }

    /// As root: refuses a file that could give somebody more rights than he has. Relies on `snapshot` being the description that will be restarted.
    pub fn check(&self, snapshot: &Snapshot) -> Result<(), PlanError> {
        let refused = |why: String| Err(PlanError::Untrusted { path: self.path.clone(), why });
        match self.verdict {
            _ if !self.is_file => Ok(()),
            Ok(()) => Ok(()),
            Err(why @ Distrust::Writable { .. }) => refused(why.to_string()),
            Err(why @ Distrust::Owner { uid }) => match Account::of(uid).exceeded_by(snapshot) {
                None => Ok(()),
                Some(excess) => refused(format!("{why}, and {excess}")),
            },
        }
    }
}
