//! *review*: policies see events and answer; after this the description is final.
//!
//! Builds events from what the survey or the context file shows, asks, and turns answers into decisions the kinds carry out. Relies on
//! `policy` for the asking. With nobody listening nothing is built: a question costs a comparison.

mod restart;
mod socket;

use std::collections::HashMap;

pub use restart::{directories, resolved, restart_event, review};

use crate::error::{At, Failure, Stage, Subject};
use crate::image::{AreaAction, FileAction, FileChoice, ObjectAction, ObjectChoice};
use crate::policy::event::{AreaEvent, DescriptorRef, FileEvent, ObjectEvent, Side};
use crate::policy::{Event, Name, Stack, Verdict};
use crate::proc::MapEntry;
use crate::resource::{KindError, Probe, file};

/// How the job maps a file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mapping {
    /// One of the mappings is shared.
    pub shared: bool,
    /// One of the mappings can write to the file.
    pub writable: bool,
    /// It is the program of a process.
    pub executable: bool,
    /// It is shared memory by a name (shm_open(3), sem_open(3)), and nobody but the job has it.
    pub is_own_memory: bool,
}

/// The questions of a checkpoint.
pub struct Review<'p> {
    policies: &'p mut Stack,
    mappings: HashMap<u64, Mapping>,
}

impl<'p> Review<'p> {
    /// `mappings`: how files are mapped, by inode number.
    pub fn new(policies: &'p mut Stack, mappings: HashMap<u64, Mapping>) -> Review<'p> {
        Review { policies, mappings }
    }

    /// Shows files that are about to be asked about to those who want to see them at once.
    pub fn foresee_files<'a>(&mut self, files: impl Iterator<Item = (Vec<&'a Probe<'a>>, &'static str)>) -> Result<(), Failure> {
        if !self.policies.foresees(Name::FileDisposition) {
            return Ok(());
        }
        let events: Vec<Event> = files.map(|(probes, kind)| Event::FileDisposition(self.file_event(&probes, kind))).collect();
        self.policies.foresee(&events).at(Stage::Review)
    }

    /// What becomes of a regular file that these probes reach.
    pub fn file(&mut self, probes: &[&Probe<'_>], kind: &str) -> Result<FileChoice, Failure> {
        let first = probes[0];
        let path = first.link.display().to_string();
        // What the job has in memory goes with it, and comes back as it was.
        let is_own_memory = self.mappings.get(&first.stat.ino).is_some_and(|mapping| mapping.is_own_memory) && !first.is_deleted();
        let unasked = if is_own_memory { FileAction::Replace } else { FileAction::default() };
        if !self.policies.hears(Name::FileDisposition) {
            self.policies.stays(path, unasked.word(), "default");
            return Ok(FileChoice { action: unasked, path: None });
        }
        let event = self.file_event(probes, kind);
        let opinion =
            self.policies.ask(&Event::FileDisposition(event)).at(Stage::Review).map_err(|failure| failure.about(subject(first)))?;
        let Some(opinion) = opinion else {
            self.policies.stays(path, unasked.word(), "default");
            return Ok(FileChoice { action: unasked, path: None });
        };
        self.policies.decided(path, &opinion);
        match opinion.verdict {
            Verdict::File(choice) if choice.action == FileAction::Fail => Err(refused(first, &opinion.by)),
            Verdict::File(choice) => Ok(choice),
            _ => Ok(FileChoice::default()),
        }
    }

    fn file_event(&self, probes: &[&Probe<'_>], kind: &str) -> FileEvent {
        let first = probes[0];
        let mapping = self.mappings.get(&first.stat.ino).copied();
        FileEvent {
            side: Side::Checkpoint,
            pid: first.pid,
            descriptors: descriptors(probes),
            path: strip_deleted(&first.link.to_string_lossy(), first.is_deleted()),
            kind: kind.into(),
            flags: flag_words(first.info.flags),
            writable: probes.iter().any(|probe| probe.is_writable()) || mapping.is_some_and(|mapping| mapping.writable),
            offset: u64::try_from(first.info.pos).unwrap_or(0),
            size: u64::try_from(first.stat.size).unwrap_or(0),
            inode: first.stat.ino,
            mtime: first.stat.mtime_s,
            mapped: mapping.is_some(),
            shared: mapping.is_some_and(|mapping| mapping.shared),
            executable: mapping.is_some_and(|mapping| mapping.executable),
            deleted: first.is_deleted(),
            saved: first.is_deleted(),
            decided: None,
            changed: None,
        }
    }

    /// What becomes of another object. `kind` is none when no kind knows it. `None`: it is saved as it is, or refused.
    pub fn object(
        &mut self,
        probes: &[&Probe<'_>],
        kind: Option<&str>,
        is_restorable: impl FnOnce() -> bool,
    ) -> Result<Option<ObjectChoice>, Failure> {
        let first = probes[0];
        if !self.policies.hears(Name::ObjectDisposition) {
            return Ok(None);
        }
        let about = |failure: Failure| failure.about(subject(first));
        let mut event = ObjectEvent {
            side: Side::Checkpoint,
            pid: first.pid,
            descriptors: descriptors(probes),
            kind: kind.unwrap_or(file::word_of(first)).into(),
            path: first.link.to_string_lossy().into_owned(),
            restorable: is_restorable(),
            ..ObjectEvent::default()
        };
        if first.file_type() == libc::S_IFSOCK && !first.is_mapping() {
            socket::describe(first.copy().at(Stage::Review).map_err(about)?, &mut event);
        }
        let opinion = self.policies.ask(&Event::ObjectDisposition(event)).at(Stage::Review).map_err(about)?;
        let Some(opinion) = opinion else { return Ok(None) };
        self.policies.decided(first.link.display().to_string(), &opinion);
        match opinion.verdict {
            Verdict::Object(ObjectChoice { action: ObjectAction::Fail, .. }) => Err(refused(first, &opinion.by)),
            Verdict::Object(choice) => Ok(Some(choice)),
            _ => Ok(None),
        }
    }

    /// Whether the contents of an area are saved; `bytes` of them would be.
    pub fn area(&mut self, pid: i32, entry: &MapEntry, file: Option<&str>, bytes: u64) -> Result<AreaAction, Failure> {
        if bytes == 0 || !self.policies.hears(Name::AreaDisposition) {
            return Ok(AreaAction::Save);
        }
        let event = AreaEvent {
            pid,
            name: entry.name.to_string(),
            range: (entry.start, entry.end),
            perms: entry.perms.to_string(),
            flags: entry.flags.to_string().split_whitespace().map(str::to_owned).collect(),
            bytes,
            file: file.map(str::to_owned),
        };
        let about = |failure: Failure| failure.about(Subject::pid(pid));
        let name = format!("process {pid}, area {:x}-{:x} {}", entry.start, entry.end, event.name);
        let opinion = self.policies.ask(&Event::AreaDisposition(event)).at(Stage::Review).map_err(about)?;
        let Some(opinion) = opinion else { return Ok(AreaAction::Save) };
        self.policies.decided(name.trim_end(), &opinion);
        match opinion.verdict {
            Verdict::Area(AreaAction::Fail) => {
                let what = format!("{}, as {} decided,", name.trim_end(), opinion.by);
                Err(KindError::Unsupported { what, remedy: "change the script".into() }).at(Stage::Review).map_err(about)
            }
            Verdict::Area(action) => Ok(action),
            _ => Ok(AreaAction::Save),
        }
    }
}

fn refused(probe: &Probe<'_>, by: &str) -> Failure {
    let error = KindError::Unsupported {
        what: format!("{}, as {by} decided,", probe.link.display()),
        remedy: "close it before the checkpoint, or change the decision".into(),
    };
    Failure::new(Stage::Review, error).about(subject(probe))
}

fn subject(probe: &Probe<'_>) -> Subject {
    if probe.is_mapping() {
        Subject { pid: Some(probe.pid), fd: None, path: Some(probe.link.to_owned()) }
    } else {
        Subject::descriptor(probe.pid, probe.fd, probe.link)
    }
}

fn descriptors(probes: &[&Probe<'_>]) -> Vec<DescriptorRef> {
    probes.iter().filter(|probe| !probe.is_mapping()).map(|probe| DescriptorRef { pid: probe.pid, fd: probe.fd }).collect()
}

fn strip_deleted(path: &str, is_deleted: bool) -> String {
    path.strip_suffix(" (deleted)").filter(|_| is_deleted).unwrap_or(path).to_owned()
}

/// Open flags in the words of open(2).
pub fn flag_words(flags: i32) -> Vec<String> {
    const FLAGS: &[(i32, &str)] = &[
        (libc::O_APPEND, "O_APPEND"),
        (libc::O_NONBLOCK, "O_NONBLOCK"),
        (libc::O_SYNC, "O_SYNC"),
        (libc::O_DSYNC, "O_DSYNC"),
        (libc::O_DIRECT, "O_DIRECT"),
        (libc::O_NOATIME, "O_NOATIME"),
        (libc::O_PATH, "O_PATH"),
        (libc::O_TMPFILE, "O_TMPFILE"),
        (libc::O_DIRECTORY, "O_DIRECTORY"),
        (libc::O_ASYNC, "O_ASYNC"),
    ];
    let access = match flags & libc::O_ACCMODE {
        libc::O_WRONLY => "O_WRONLY",
        libc::O_RDWR => "O_RDWR",
        _ => "O_RDONLY",
    };
    let mut left = flags;
    let mut words = vec![access.to_owned()];
    for (bits, word) in FLAGS.iter().filter(|(bits, _)| flags & bits == *bits) {
        // O_SYNC contains O_DSYNC, O_TMPFILE contains O_DIRECTORY: the larger stands first and takes its bits.
        if left & bits == *bits {
            words.push((*word).to_owned());
            left &= !bits;
        }
    }
    words
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn flags_have_the_words_of_open() {
        for (flags, words) in [
            (libc::O_RDONLY, "O_RDONLY"),
            (libc::O_WRONLY | libc::O_APPEND, "O_WRONLY O_APPEND"),
            (libc::O_RDWR | libc::O_SYNC, "O_RDWR O_SYNC"),
            (libc::O_RDWR | libc::O_DSYNC, "O_RDWR O_DSYNC"),
            (libc::O_RDWR | libc::O_TMPFILE, "O_RDWR O_TMPFILE"),
        ] {
            assert_eq!(flag_words(flags).join(" "), words);
        }
    }
}
