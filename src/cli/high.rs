//! What a command line means: the request that goes to the engine. Defaults and the rules about operands live here.
//!
//! Pure: the same words give the same request. Whether files exist is left to [`super::preflight`] and the engine.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::exit::Refusal;
use super::flag::destination::Place;
use super::low::{CheckpointSaid, RestartSaid};
use crate::engine::request::{CheckpointRequest, Destination, Place as Home, RestartRequest, Source, Target};

/// Permission bits of a context file unless `--mode` says otherwise, as BLCR has them.
pub const DEFAULT_MODE: u32 = 0o400;

/// What `cr_checkpoint [options] ID` asks for. `requester` stands for id 0.
pub fn checkpoint_request(said: &CheckpointSaid, operands: &[OsString], requester: i32) -> Result<CheckpointRequest, Refusal> {
    let [id] = operands else {
        let number = if operands.is_empty() { "none".into() } else { operands.len().to_string() };
        return Err(Refusal::usage(format!("give one ID, not {number}")));
    };
    Ok(CheckpointRequest {
        targets: vec![Target { scope: said.scope, id: process_id(id)?.into() }],
        // Started by libcr, we stand for the program that has called it.
        requester: said.participation.asker.map_or(requester, |asker| asker.pid),
        destination: destination(said.place.as_ref(), id),
        creation: said.creation.clone(),
        sync: said.sync,
        mode: said.mode.unwrap_or(DEFAULT_MODE),
        owner: said.owner,
        signal: said.afterwards.signal,
        unproven: said.unproven,
        ptraced: said.ptraced,
        ptracer: said.ptracer,
        time_limit: said.time_limit,
        home: None,
        participation: said.participation.clone(),
    })
}

fn process_id(word: &OsStr) -> Result<i32, Refusal> {
    match word.to_str().and_then(|text| text.parse::<i32>().ok()) {
        Some(id) if id >= 0 => Ok(id),
        Some(id) => Err(Refusal::value(format!("ids are not negative: {id}"))),
        None => Err(Refusal::usage(format!("ID is a decimal number, not '{}'", word.display()))),
    }
}

/// The default name carries the id as it was written.
fn destination(place: Option<&Place>, id: &OsStr) -> Destination {
    match place {
        Some(Place::At(destination)) => destination.clone(),
        Some(Place::Cwd) | None => {
            let mut name = OsString::from("context.");
            name.push(id);
            Destination::File(PathBuf::from(name))
        }
    }
}

/// What `cr_restart [options] [FILE]` asks for.
pub fn restart_request(said: &RestartSaid, operands: &[OsString]) -> Result<RestartRequest, Refusal> {
    let source = match (&said.source, operands) {
        (Some(source), []) => source.clone(),
        (None, [file]) => Source::File(PathBuf::from(file)),
        (None, []) => return Err(Refusal::usage("name the context file to restart from")),
        (Some(_), [file, ..]) => {
            return Err(Refusal::usage(format!("the source is given by an option, so '{}' is too much", file.display())));
        }
        (None, [_, second, ..]) => {
            return Err(Refusal::usage(format!("name one context file: '{}' is too much", second.display())));
        }
    };
    Ok(RestartRequest {
        asker: said.asker,
        source,
        signal: said.afterwards.signal,
        restore_pgid: said.restore_pgid,
        restore_sid: said.restore_sid,
        omit: said.omit,
        trust_file: said.trust_file,
        verify: said.verify,
        compare: said.compare,
        detach: said.detach,
        place: Home::Host,
        clock: said.clock,
        affinity: said.affinity,
    })
}

/// The first line of `cr_checkpoint -v`: the target and the directory it stands in.
pub fn target_line(destination: &Destination) -> Option<String> {
    let path = match destination {
        Destination::File(path) | Destination::Dir(path) => path,
        Destination::Fd(_) => return None,
    };
    Some(format!("targetfile='{}', parent dir='{}'", path.display(), parent(path).display()))
}

/// The directory a file stands in; `.` for a bare name.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(if path.has_root() { "/" } else { "." }))
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::cli::low::test::{checkpoint_refusal, restart_refusal};
    use crate::cli::{checkpoint, restart};
    use crate::engine::request::{Affinity, Clock, Creation, Omit, TraceRule};
    use crate::image::Scope;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn checkpoint_of(line: &str) -> CheckpointRequest {
        let (said, operands) = checkpoint::program().parse(words(line));
        checkpoint_request(&said, &operands.unwrap(), 77).unwrap()
    }

    fn restart_of(line: &str) -> RestartRequest {
        let (said, operands) = restart::program().parse(words(line));
        restart_request(&said, &operands.unwrap()).unwrap()
    }

    #[test]
    fn a_bare_id_means_the_defaults_of_the_manual() {
        let expected = CheckpointRequest {
            targets: vec![Target { scope: Scope::Tree, id: 4242 }],
            requester: 77,
            destination: Destination::File("context.4242".into()),
            creation: Creation::Atomic,
            sync: true,
            mode: 0o400,
            owner: None,
            signal: None,
            unproven: false,
            ptraced: TraceRule::Error,
            ptracer: TraceRule::Error,
            time_limit: None,
            home: None,
            participation: Default::default(),
        };
        assert_eq!(checkpoint_of("4242"), expected);
    }

    #[test]
    fn the_id_may_stand_anywhere_and_names_the_file_as_written() {
        for (line, id, file) in [
            ("-p 007", 7, "context.007"),
            ("12 -g", 12, "context.12"),
            ("--cwd 0 --term", 0, "context.0"),
            ("-f out 5", 5, "out"),
            ("5 -f out", 5, "out"),
        ] {
            let request = checkpoint_of(line);
            assert_eq!((request.targets[0].id, request.destination), (id, Destination::File(file.into())), "{line}");
        }
    }

    #[test]
    fn wrong_operands() {
        for (line, status) in [("", 255), ("1 2", 255), ("x", 255), ("12x", 255), ("99999999999", 255), ("-- -5", 22)] {
            assert_eq!(checkpoint_refusal(line).0, status, "{line}");
        }
        for (line, status) in [("", 255), ("a b", 255), ("-f a b", 255), ("-F 0 b", 255), ("-d a b", 255)] {
            assert_eq!(restart_refusal(line).0, status, "{line}");
        }
    }

    #[test]
    fn a_bare_file_means_the_defaults_of_the_manual() {
        let expected = RestartRequest {
            asker: None,
            source: Source::File("context.1".into()),
            signal: None,
            restore_pgid: false,
            restore_sid: false,
            omit: Omit::Maybe,
            trust_file: false,
            verify: false,
            compare: false,
            detach: false,
            place: Home::Host,
            clock: Clock::Keep,
            affinity: Affinity::Surroundings,
        };
        assert_eq!(restart_of("context.1"), expected);
        assert_eq!(restart_of("--verify context.1 --detach"), RestartRequest { verify: true, detach: true, ..expected });
    }

    #[test]
    fn the_first_verbose_line_names_target_and_directory() {
        for (path, line) in [
            ("context.1", "targetfile='context.1', parent dir='.'"),
            ("a/b", "targetfile='a/b', parent dir='a'"),
            ("/x", "targetfile='/x', parent dir='/'"),
        ] {
            assert_eq!(target_line(&Destination::File(path.into())).as_deref(), Some(line));
        }
        assert_eq!(target_line(&Destination::Fd(1)), None);
    }
}
