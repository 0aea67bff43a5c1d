//! A look at what runs, before anybody asks for a checkpoint: the processes of a user, those that an id names, the files that they have open.
//!
//! Relies on `/proc` and on [`super::tree`] for what ids mean. Stops nobody, so what is shown may be past already.

use std::collections::BTreeMap;

use super::jobs::{BatchJobs, Books, ControlGroups};
use super::request::{CheckpointRequest, Creation, Destination, Participation, Target, TraceRule};
use super::tree::{SelectError, Selection};
use crate::policy::attribute::Id;
use crate::proc::{ProcDir, ProcError, all_pids};

/// A process in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Real user id.
    pub uid: u32,
    /// Process id.
    pub pid: i32,
    /// Parent.
    pub ppid: i32,
    /// Process group.
    pub pgid: i32,
    /// Session.
    pub sid: i32,
    /// The control group that it is in; 0 for the root.
    pub jid: i64,
    /// The batch job that it belongs to; 0 for none.
    pub ash: i64,
    /// Bytes of memory that are resident.
    pub bytes: u64,
    /// Command line; the name in brackets if it has none.
    pub command: String,
}

/// A file that processes have open or map.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeenFile {
    /// Its path.
    pub path: String,
    /// Whether it is only mapped.
    pub is_mapped_only: bool,
}

/// Memory that is resident, by kind, bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds {
    /// The heap.
    pub heap: u64,
    /// Anonymous memory other than heap and stacks.
    pub anonymous: u64,
    /// The stack of the first thread.
    pub stack: u64,
    /// Files that are mapped privately: programs and libraries.
    pub files: u64,
    /// What is shared with others.
    pub shared: u64,
}

impl Kinds {
    /// Every kind with its name.
    pub fn named(&self) -> [(&'static str, u64); 5] {
        [("heap", self.heap), ("anonymous", self.anonymous), ("stack", self.stack), ("files", self.files), ("shared", self.shared)]
    }

    fn add(&mut self, smaps: &str) {
        let mut kind = &mut self.anonymous;
        for line in smaps.lines() {
            if let Some(rest) = line.strip_prefix("Rss:") {
                let kib = rest.trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0);
                *kind = kind.saturating_add(kib * 1024);
                continue;
            }
            let mut words = line.split_whitespace();
            let (Some(range), Some(perms)) = (words.next(), words.next()) else { continue };
            if !range.contains('-') || perms.len() != 4 {
                continue;
            }
            kind = match words.nth(3) {
                _ if perms.ends_with('s') => &mut self.shared,
                Some("[heap]") => &mut self.heap,
                Some("[stack]") => &mut self.stack,
                Some(path) if path.starts_with('/') => &mut self.files,
                _ => &mut self.anonymous,
            };
        }
    }
}

/// The memory of some processes together; those that may not be looked at count for nothing.
pub fn memory(pids: &[i32]) -> Kinds {
    let mut kinds = Kinds::default();
    for text in pids.iter().filter_map(|pid| ProcDir::open(*pid).ok()?.read("smaps").ok()) {
        kinds.add(&String::from_utf8_lossy(&text));
    }
    kinds
}

/// All processes of a user, or of everybody, without threads of the kernel, ascending.
pub fn processes(uid: Option<u32>) -> Result<Vec<Seen>, ProcError> {
    let mut groups = ControlGroups::new();
    let mut seen = Vec::new();
    for pid in all_pids()? {
        match one(pid, &mut groups) {
            Ok(Some(process)) if uid.is_none_or(|uid| uid == process.uid) => seen.push(process),
            Ok(_) | Err(ProcError::Gone { .. } | ProcError::Absent { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(seen)
}

fn one(pid: i32, groups: &mut ControlGroups) -> Result<Option<Seen>, ProcError> {
    const PF_KTHREAD: u32 = 0x0020_0000;
    let dir = ProcDir::open(pid)?;
    let (stat, status) = (dir.stat()?, dir.status()?);
    if stat.flags & PF_KTHREAD != 0 {
        return Ok(None);
    }
    let line = dir.read("cmdline").unwrap_or_default();
    let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty()).map(|word| String::from_utf8_lossy(word).into_owned());
    let command: String = words.collect::<Vec<_>>().join(" ").chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let pages = dir.read("statm").ok().and_then(|text| String::from_utf8_lossy(&text).split(' ').nth(1)?.parse::<u64>().ok());
    Ok(Some(Seen {
        uid: status.uids.real,
        pid,
        ppid: stat.ppid,
        pgid: stat.pgrp,
        sid: stat.session,
        jid: groups.jobs_of(&dir).first().copied().unwrap_or(0),
        ash: BatchJobs.jobs_of(&dir).first().copied().unwrap_or(0),
        bytes: pages.unwrap_or(0) * 4096,
        command: if command.is_empty() { format!("[{}]", stat.comm.to_string_lossy()) } else { command },
    }))
}

/// The processes that an id names.
pub fn members(id: Id) -> Result<Vec<i32>, SelectError> {
    let request = CheckpointRequest {
        targets: vec![Target { scope: id.kind.scope(), id: id.number }],
        requester: std::process::id().cast_signed(),
        destination: Destination::Fd(-1),
        creation: Creation::NoClobber,
        sync: false,
        mode: 0,
        owner: None,
        signal: None,
        unproven: false,
        ptraced: TraceRule::Allow,
        ptracer: TraceRule::Allow,
        time_limit: None,
        home: None,
        participation: Participation::default(),
    };
    Selection::new(&request)?.members()
}

/// The regular files that the processes of an id have open or map, by name.
pub fn files(id: Id) -> Result<Vec<SeenFile>, SelectError> {
    let mut found: BTreeMap<String, bool> = BTreeMap::new();
    for pid in members(id)? {
        let Ok(dir) = ProcDir::open(pid) else { continue };
        for fd in dir.descriptors().unwrap_or_default() {
            let name = format!("fd/{fd}");
            let is_regular = dir.stat_link(&name).is_ok_and(|stat| stat.mode & libc::S_IFMT == libc::S_IFREG);
            if let (true, Ok(link)) = (is_regular, dir.link(&name)) {
                found.insert(link.to_string_lossy().into_owned(), false);
            }
        }
        for line in String::from_utf8_lossy(&dir.read("maps").unwrap_or_default()).lines() {
            if let Some(path) =
                line.find(" /").map(|at| &line[at + 1..]).filter(|path| !path.starts_with("/dev/zero") && !path.starts_with("/SYSV"))
            {
                found.entry(path.to_owned()).or_insert(true);
            }
        }
    }
    Ok(found.into_iter().map(|(path, is_mapped_only)| SeenFile { path, is_mapped_only }).collect())
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::policy::attribute::IdType;

    #[test]
    fn memory_is_told_by_kind() {
        let area = |head: &str, kib: u64| format!("{head}\nSize: 99 kB\nRss: {kib} kB\n");
        let text = area("1000-2000 rw-p 00000000 00:00 0   [heap]", 4)
            + &area("3000-4000 r-xp 00000000 08:01 7   /bin/sh", 8)
            + &area("5000-6000 rw-s 00000000 00:01 9   /dev/zero (deleted)", 16)
            + &area("7000-8000 rw-p 00000000 00:00 0 ", 32)
            + &area("9000-a000 rw-p 00000000 00:00 0   [stack]", 64);
        let mut kinds = Kinds::default();
        kinds.add(&text);
        assert_eq!(kinds.named().map(|(_, bytes)| bytes / 1024), [4, 32, 64, 8, 16]);
    }

    #[test]
    fn a_child_is_in_the_list_and_so_are_its_files() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").stdin(file.reopen().unwrap()).spawn().unwrap();
        let pid = child.id().cast_signed();
        let uid = nix::unistd::getuid().as_raw();
        let listed = processes(Some(uid)).unwrap().into_iter().find(|one| one.pid == pid);
        let named = members(Id { kind: IdType::Pid, number: pid.into() });
        child.kill().unwrap();
        child.wait().unwrap();
        let listed = listed.unwrap();
        assert_eq!((listed.ppid, listed.uid), (std::process::id().cast_signed(), uid));
        // Whoever asks is never part of a job, nor what works for it.
        assert!(named.is_err());
        assert!(processes(Some(u32::MAX)).unwrap().is_empty());
    }
}
