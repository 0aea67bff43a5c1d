//! Who is told that a descriptor is ready: owner, signal, and O_ASYNC (fcntl(2)). Not a kind: every description has it.
//!
//! Relies on the kernel's memory of the one who sets it: an owner is checked against the credentials of whoever named it, and O_ASYNC keeps
//! the number of the descriptor it was set through for `si_fd`. So all of it is set inside the process, through a descriptor in its place.

use crate::image::Description;
use crate::resource::{Bind, KindError, Probe};
use crate::sys::descriptor;
use crate::tracee::Batch;

const F_SETSIG: i32 = 10;
const F_SETOWN_EX: i32 = 15;
const F_OWNER_TID: i32 = 0;
const F_OWNER_PGRP: i32 = 2;

/// Owner (type and id) and signal of a description, through our duplicate of it.
pub fn capture(probe: &Probe<'_>) -> Result<(Option<(i32, i32)>, i32), KindError> {
    if probe.info.flags & libc::O_PATH != 0 || probe.fd < 0 {
        return Ok((None, 0));
    }
    let attempt = |what: &str, errno| {
        KindError::path(format!("read the {what} of descriptor {} of process {}:", probe.fd, probe.pid), probe.link, errno)
    };
    let copy = probe.copy()?;
    let owner = descriptor::owner(copy).map_err(|errno| attempt("owner", errno))?;
    let signal = descriptor::owner_signal(copy).map_err(|errno| attempt("signal", errno))?;
    Ok((owner, signal))
}

/// Rows that set it again through descriptor `fd`: for one descriptor of each description, the lowest of the first process that holds it,
/// once all processes and groups exist.
pub fn rows(fd: i32, description: &Description, cx: &mut Bind<'_>, batch: &mut Batch) {
    if description.signal != 0 {
        batch.call("choose the signal of a descriptor", libc::SYS_fcntl, [fd.into(), F_SETSIG.into(), description.signal.into()]);
    }
    if let Some((kind, id)) = description.owner {
        let now = (cx.id)(id);
        let owner = batch.bytes(&[kind.to_le_bytes(), now.to_le_bytes()].concat());
        let arguments = [fd.into(), F_SETOWN_EX.into(), owner.into()];
        if is_in_the_job(kind, id, cx) {
            batch.call("choose the owner of a descriptor", libc::SYS_fcntl, arguments);
        } else {
            cx.warnings.push(format!("descriptor {fd} sends its signals to {} {id}, which is not part of the job", word(kind)));
            batch.attempt(libc::SYS_fcntl, arguments);
        }
    }
    if description.flags & libc::O_ASYNC != 0 && description.flags & libc::O_PATH == 0 {
        batch.call("set O_ASYNC", libc::SYS_fcntl, [fd.into(), libc::F_SETFL.into(), description.flags.into()]);
    }
}

fn is_in_the_job(kind: i32, id: i32, cx: &Bind<'_>) -> bool {
    let processes = &cx.snapshot.processes;
    match kind {
        F_OWNER_TID => processes.iter().flat_map(|process| &process.threads).any(|thread| thread.tid == id),
        F_OWNER_PGRP => processes.iter().any(|process| process.pgid == id),
        _ => processes.iter().any(|process| process.pid == id),
    }
}

fn word(kind: i32) -> &'static str {
    match kind {
        F_OWNER_TID => "thread",
        F_OWNER_PGRP => "process group",
        _ => "process",
    }
}

#[cfg(test)]
mod test {
    use std::os::fd::AsFd;

    use super::super::test::{probe_of, snapshot_of};
    use super::*;
    use crate::image::{Record, Tag};

    #[test]
    fn owner_and_signal_are_read_through_the_duplicate() {
        let (reader, writer) = std::io::pipe().unwrap();
        assert_eq!(probe_of(&reader, capture).unwrap(), (None, 0));
        let own = std::process::id().cast_signed();
        descriptor::set_owner(reader.as_fd(), 1, own).unwrap();
        descriptor::set_owner_signal(reader.as_fd(), 12).unwrap();
        assert_eq!(probe_of(&reader, capture).unwrap(), (Some((1, own)), 12));
        assert_eq!(probe_of(&writer, capture).unwrap(), (None, 0));
    }

    #[test]
    fn rows_are_made_for_what_is_set() {
        let snapshot = snapshot_of(Record::encode(Tag::new("pipe", 1), &()).unwrap());
        let rows = |owner, signal, flags| {
            let mut cx = Bind {
                snapshot: &snapshot,
                pid: 7,
                tid: 7,
                id: &|id| id,
                path: &|p| p.to_owned(),
                directories: crate::resource::Directories::default(),
                same_ids: true,
                keeps_surroundings: false,
                warnings: vec![],
            };
            let mut batch = Batch::new();
            rows(3, &Description { flags, owner, signal, ..Description::default() }, &mut cx, &mut batch);
            (batch.len(), cx.warnings)
        };
        assert_eq!(rows(None, 0, libc::O_RDWR), (0, vec![]));
        assert_eq!(rows(None, 10, libc::O_ASYNC), (2, vec![]));
        let warning = "descriptor 3 sends its signals to process group 99, which is not part of the job".to_owned();
        assert_eq!(rows(Some((2, 99)), 0, 0), (1, vec![warning]));
    }
}
