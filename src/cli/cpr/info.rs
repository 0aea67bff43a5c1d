//! `cpr -i` and `cpr -D`: what is in statefiles, and deleting them.
//!
//! Relies on [`crate::engine::statefile`]. The text follows the example of the guide, with credentials and open files, which the guide promises.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::said::CprSaid;
use crate::cli::report::Reporter;
use crate::cli::text::Attempt;
use crate::cli::{exit, info};
use crate::engine::statefile::{OpenFile, Saying, Statefile, failure, say};
use crate::error::Failure;
use crate::image::Snapshot;

/// Shows statefiles; the exit code is that of the first with a problem.
pub fn show(said: &CprSaid, files: &[PathBuf], reporter: &mut Reporter<'_, '_>) -> u8 {
    each(files, reporter, |file, reporter| {
        let snapshot = Statefile::open(file).map_err(failure)?.read()?;
        let sayings = say(&snapshot)?;
        if said.records {
            reporter.line(&records(&snapshot, &sayings));
        } else if reporter.is_json() {
            reporter.object(&object(file, &snapshot, &sayings));
        } else {
            reporter.line(&lines(&file.display().to_string(), &snapshot, &sayings).join("\n"));
        }
        Ok(())
    })
}

/// Deletes statefiles; the exit code is that of the first with a problem.
pub fn delete(files: &[PathBuf], reporter: &mut Reporter<'_, '_>) -> u8 {
    each(files, reporter, |file, reporter| {
        Statefile::open(file).and_then(Statefile::remove).map_err(failure)?;
        if reporter.is_json() {
            reporter.object(&json!({ "ok": true, "file": file.display().to_string() }));
        }
        reporter.verbose(&format!("{}: deleted", file.display()));
        Ok(())
    })
}

fn each(files: &[PathBuf], reporter: &mut Reporter<'_, '_>, act: impl Fn(&Path, &mut Reporter<'_, '_>) -> Result<(), Failure>) -> u8 {
    let mut first = 0;
    for file in files {
        if let Err(failure) = act(file, reporter) {
            let status = exit::of_checkpoint(&failure);
            reporter.about_statefile(&file.display().to_string());
            reporter.failure(Attempt::Info, &failure, status, &[]);
            first = if first == 0 { status } else { first };
        }
    }
    first
}

/// The text about one statefile.
pub fn lines(name: &str, snapshot: &Snapshot, sayings: &[Saying]) -> Vec<String> {
    let origin = &snapshot.origin;
    let mut lines = vec![format!("Information About Statefile {name} (reprise {}):", origin.program)];
    for one in sayings {
        let mut row = |heading: &str, text: String| lines.push(format!("  {heading:18}{text}"));
        row("Process:", printable(&one.command));
        row("PID,PPID:", format!("{},{}", one.pid, one.ppid));
        row("PGRP,SID:", format!("{},{}", one.pgrp, one.sid));
        if let (Some(users), Some(groups)) = (one.users, one.groups) {
            row("Credentials:", credentials(users, groups, &one.others));
            row("Working at dir:", printable(&one.cwd.display().to_string()));
        }
        if one.root != Path::new("/") && !one.root.as_os_str().is_empty() {
            row("Root dir:", printable(&one.root.display().to_string()));
        }
        row("Num of Openfiles:", one.files.len().to_string());
        lines.extend(one.files.iter().map(|file| format!("    {}", open_file(file))));
        lines.push(format!("  {:18}{} on {}", "Checkpointed @", info::time(origin.realtime_ns), origin.host));
        lines.push(String::new());
    }
    lines.pop();
    lines
}

fn credentials(users: [u32; 3], groups: [u32; 3], others: &[u32]) -> String {
    let three =
        |ids: [u32; 3]| if ids.iter().all(|id| *id == ids[0]) { ids[0].to_string() } else { ids.map(|id| id.to_string()).join("/") };
    let more = if others.is_empty() {
        String::new()
    } else {
        format!(" groups {}", others.iter().map(u32::to_string).collect::<Vec<_>>().join(","))
    };
    format!("uid {} gid {}{more}", three(users), three(groups))
}

fn open_file(file: &OpenFile) -> String {
    let mode = match file.flags & libc::O_ACCMODE {
        libc::O_RDONLY => "r",
        libc::O_WRONLY => "w",
        _ => "rw",
    };
    let append = if file.flags & libc::O_APPEND != 0 { " append" } else { "" };
    let what = match (&file.decision, file.kind.as_str()) {
        (Some(decision), _) => decision.to_uppercase(),
        (None, "regular") => "MERGE".into(),
        (None, kind) => kind.to_owned(),
    };
    format!("{:>3} {mode:2}{append} at {}  {what}  {}", file.fd, file.offset, printable(&file.path.display().to_string()))
}

/// A line a process, as libcpr reads it: revision, ids, number of descriptors, time, command line, working directory, with tabs between them.
fn records(snapshot: &Snapshot, sayings: &[Saying]) -> String {
    let revision = snapshot.origin.program.split('.').fold(0, |sum, part| sum * 1000 + part.parse::<i64>().unwrap_or(0));
    let seconds = snapshot.origin.realtime_ns / 1_000_000_000;
    let escaped = |bytes: &[u8]| -> String {
        let one = |byte: &u8| {
            if byte.is_ascii_graphic() && *byte != b'\\' || *byte == b' ' { char::from(*byte).to_string() } else { format!("\\{byte:03o}") }
        };
        bytes.iter().map(one).collect()
    };
    let line = |one: &Saying| {
        let (command, cwd) = (escaped(one.command.as_bytes()), escaped(one.cwd.as_os_str().as_bytes()));
        format!("{revision}\t{}\t{}\t{}\t{}\t{}\t{seconds}\t{command}\t{cwd}", one.pid, one.ppid, one.pgrp, one.sid, one.files.len())
    };
    sayings.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn object(file: &Path, snapshot: &Snapshot, sayings: &[Saying]) -> serde_json::Value {
    let of_file = |file: &OpenFile| json!({ "fd": file.fd, "path": file.path.display().to_string(), "kind": file.kind, "flags": file.flags, "offset": file.offset, "decision": file.decision });
    let of_process = |one: &Saying| {
        json!({
            "command": one.command, "pid": one.pid, "ppid": one.ppid, "pgrp": one.pgrp, "sid": one.sid,
            "uids": one.users, "gids": one.groups, "groups": one.others,
            "cwd": one.cwd.display().to_string(), "root": one.root.display().to_string(),
            "files": one.files.iter().map(of_file).collect::<Vec<_>>(),
        })
    };
    json!({
        "ok": true,
        "file": file.display().to_string(),
        "revision": snapshot.origin.program,
        "host": snapshot.origin.host,
        "time": snapshot.origin.realtime_ns / 1_000_000_000,
        "processes": sayings.iter().map(of_process).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::image::Origin;

    #[test]
    fn everything_that_the_guide_promises() {
        let file = |fd, path: &str, kind: &str, flags, offset, decision: Option<&str>| OpenFile {
            fd,
            path: path.into(),
            kind: kind.into(),
            flags,
            offset,
            decision: decision.map(str::to_owned),
        };
        let process = Saying {
            command: "sh primes.sh".into(),
            pid: 1111,
            ppid: 1,
            pgrp: 1111,
            sid: 900,
            users: Some([100; 3]),
            groups: Some([20, 5, 5]),
            others: vec![20, 27],
            cwd: "/home/ann".into(),
            root: "/".into(),
            files: vec![
                file(0, "/dev/null", "device", libc::O_RDONLY, 0, None),
                file(1, "/home/ann/primes", "regular", libc::O_WRONLY | libc::O_APPEND, 120, None),
                file(3, "/home/ann/log", "regular", libc::O_RDWR, 7, Some("append")),
            ],
        };
        let zombie = Saying { command: "[sort]".into(), pid: 1112, ppid: 1111, pgrp: 1111, sid: 900, ..Saying::default() };
        let origin = Origin { program: "0.1.0".into(), host: "vm".into(), realtime_ns: 1_700_000_000_000_000_000, ..Origin::default() };
        let snapshot = Snapshot { origin, ..Snapshot::default() };
        insta::assert_snapshot!(lines("ckptSep7", &snapshot, &[process, zombie]).join("\n"), @r"
        Information About Statefile ckptSep7 (reprise 0.1.0):
          Process:          sh primes.sh
          PID,PPID:         1111,1
          PGRP,SID:         1111,900
          Credentials:      uid 100 gid 20/5/5 groups 20,27
          Working at dir:   /home/ann
          Num of Openfiles: 3
              0 r  at 0  device  /dev/null
              1 w  append at 120  MERGE  /home/ann/primes
              3 rw at 7  APPEND  /home/ann/log
          Checkpointed @    2023-11-14 22:13:20 UTC on vm

          Process:          [sort]
          PID,PPID:         1112,1111
          PGRP,SID:         1111,900
          Num of Openfiles: 0
          Checkpointed @    2023-11-14 22:13:20 UTC on vm
        ");
    }
}
