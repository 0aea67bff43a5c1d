//! Attribute files for the programs: which ones count, and reading them.
//!
//! Relies on [`crate::policy::attribute`] for their grammar and meaning. `cr_checkpoint` and `cr_restart` read the one that is named, `cpr` that of
//! the user and that of the machine.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::engine::request::{CheckpointRequest, Target};
use crate::error::{Class, Classified, Failure, Stage, Subject};
use crate::policy::Verdict;
use crate::policy::attribute::{AtCheckpoint, AttributeFile, Attributes, Id, IdType};
use crate::policy::verdict::Afterwards;

/// The attribute file of the machine.
pub const OF_MACHINE: &str = "/etc/cpr_proto";

/// The largest attribute file, bytes.
const LARGEST: u64 = 1 << 20;

/// An attribute file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the attribute file {}", path.display())]
pub struct Unread {
    path: PathBuf,
    source: io::Error,
}

impl Classified for Unread {
    fn class(&self) -> Class {
        Class::Args
    }

    fn errno(&self) -> Option<i32> {
        self.source.raw_os_error().or(Some(libc::EINVAL))
    }

    fn subject(&self) -> Subject {
        Subject::path(&self.path)
    }

    fn remedy(&self) -> Option<String> {
        Some("check its name and its permissions".into())
    }
}

/// Reads an attribute file.
pub fn read(path: &Path) -> Result<AttributeFile, Failure> {
    let failed = |source| Failure::new(Stage::Request, Unread { path: path.to_owned(), source });
    let text = text_of(path).map_err(failed)?;
    AttributeFile::parse(&text, path).map_err(|bad| Failure::new(Stage::Request, bad))
}

fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    if LARGEST < text.len() as u64 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {LARGEST} bytes")));
    }
    Ok(text)
}

/// The files of `cpr`: the named one before those of the user.
pub fn named_and_of_user(path: Option<&Path>) -> Result<Attributes, Failure> {
    let mut all = named(path)?;
    all.0.extend(of_user()?.0);
    Ok(all)
}

/// The files of `cpr`: `$HOME/.cpr`, and that of the machine; those that are there.
pub fn of_user() -> Result<Attributes, Failure> {
    let own = home().map(|home| home.join(".cpr"));
    let paths = own.into_iter().chain([PathBuf::from(OF_MACHINE)]).filter(|path| path.exists());
    paths.map(|path| read(&path)).collect::<Result<Vec<_>, _>>().map(Attributes)
}

/// The named file, if one is named.
pub fn named(path: Option<&Path>) -> Result<Attributes, Failure> {
    path.into_iter().map(read).collect::<Result<Vec<_>, _>>().map(Attributes)
}

/// `$HOME`, or what the password entry says if it is not set.
pub fn home() -> Option<PathBuf> {
    let of_entry = || nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.dir);
    std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from).or_else(of_entry)
}

/// The ids of a request in the words of attribute files.
pub fn ids(targets: &[Target]) -> Vec<Id> {
    targets.iter().map(|target| Id { kind: IdType::of_scope(target.scope), number: target.id }).collect()
}

/// Settles what the processes of a request do afterwards by the attribute files, unless the command line has said so.
pub fn settle(request: &mut CheckpointRequest, rule: &AtCheckpoint, is_said: bool) {
    let will = rule.will().filter(|_| !is_said);
    if let Some(Verdict::Afterwards(afterwards)) = will.map(|will| will.verdict) {
        request.signal = (afterwards == Afterwards::Kill).then_some(libc::SIGKILL);
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn files_that_cannot_be_read_or_understood_are_wrong_arguments() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("attributes");
        let failure = |text: Option<&str>| {
            text.into_iter().for_each(|text| std::fs::write(&path, text).unwrap());
            let failure = read(&path).unwrap_err();
            (failure.class, failure.code, failure.to_string().replace(&path.display().to_string(), "F"))
        };
        let missing = "cannot read the attribute file F: No such file or directory (os error 2)".to_owned();
        assert_eq!(failure(None), (Class::Args, libc::ENOENT, missing));
        let (class, code, text) = failure(Some("CKPT PID 1 { WILL STAY }"));
        assert_eq!((class, code), (Class::Args, libc::EINVAL));
        assert!(text.starts_with("F:1:19: 'STAY' is no action of WILL; known are EXIT, KILL, CONT"), "{text}");
        assert!(failure(Some(&"#".repeat(1 << 21))).2.contains("more than 1048576 bytes"));
    }
}
