//! Where `cr_checkpoint(1)` writes. A second destination is refused, also the same one twice.

use std::ffi::OsStr;

use nix::unistd::{Group, User};

use super::{Flag, Outcome, integer, script, under};
use crate::cli::exit::Refusal;
use crate::cli::low::CheckpointSaid;
use crate::engine::request::{Destination, Owner};

/// What was said about the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `context.ID` in the working directory.
    Cwd,
    /// The place itself.
    At(Destination),
}

/// `--cwd`, `--dir`, `--file`, `--fd`, and the mode of what is written.
pub fn flags() -> Vec<Flag<CheckpointSaid>> {
    let flags = [
        Flag::switch("cwd", |said: &mut CheckpointSaid| choose(said, Place::Cwd))
            .short('c')
            .help("Write the file context.ID in the working directory (default)"),
        Flag::value("dir", "DIR", |said: &mut CheckpointSaid, value| choose(said, Place::At(Destination::Dir(value.into()))))
            .short('d')
            .help("Make the directory DIR and write one file context.PID a process into it"),
        Flag::value("file", "FILE", |said: &mut CheckpointSaid, value| match script::rule_in(value) {
            Some(rule) => {
                said.scripting.rules.push(rule);
                Ok(())
            }
            None => choose(said, Place::At(Destination::File(value.into()))),
        })
        .short('f')
        .help("Write FILE"),
        Flag::value("fd", "FD", |said: &mut CheckpointSaid, value| choose(said, Place::At(Destination::Fd(descriptor(value)?))))
            .short('F')
            .help("Write to the open descriptor FD: a file, a pipe or a socket"),
        Flag::value("mode", "OCTAL", |said: &mut CheckpointSaid, value| {
            said.mode = Some(mode(value)?);
            Ok(())
        })
        .help("Permission bits of what is written, whatever the umask (default 0400)"),
        Flag::value("owner", "WHO", |said: &mut CheckpointSaid, value| {
            said.owner = Some(owner(value)?);
            Ok(())
        })
        .help("As root, give it to USER or USER:GROUP (default: the user of the job, or root)"),
    ];
    under("Where the checkpoint goes (one at most)", flags)
}

fn choose(said: &mut CheckpointSaid, place: Place) -> Outcome {
    match said.place.replace(place) {
        None => Ok(()),
        Some(_) => Err(Refusal::value("conflicting destinations: give one of --cwd, --dir, --file and --fd, once").into()),
    }
}

/// A descriptor number, which is never negative.
pub fn descriptor(value: &OsStr) -> Result<i32, crate::cli::exit::Stop> {
    match integer("--fd", value)? {
        fd if fd < 0 => Err(Refusal::value(format!("{fd} is not a descriptor: the lowest one is 0")).into()),
        fd => Ok(fd),
    }
}

/// A user and a group by name or number; the group is the user's own unless it is said.
fn owner(value: &OsStr) -> Result<Owner, crate::cli::exit::Stop> {
    let unknown = |what: &str| Refusal::value(format!("--owner: there is no {what} in '{}'", value.display()));
    let text = value.to_str().ok_or_else(|| unknown("user"))?;
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let known = |found: nix::Result<Option<User>>| found.ok().flatten();
    let (uid, own_group) = match (known(User::from_name(user)), user.parse::<u32>()) {
        (Some(user), _) => (user.uid.as_raw(), user.gid.as_raw()),
        (None, Ok(uid)) => (uid, known(User::from_uid(uid.into())).map_or(uid, |user| user.gid.as_raw())),
        (None, Err(_)) => return Err(unknown("such user").into()),
    };
    let gid = match group {
        None => own_group,
        Some(group) => match (Group::from_name(group), group.parse::<u32>()) {
            (Ok(Some(group)), _) => group.gid.as_raw(),
            (_, Ok(gid)) => gid,
            (_, Err(_)) => return Err(unknown("such group").into()),
        },
    };
    Ok(Owner { uid, gid })
}

fn mode(value: &OsStr) -> Result<u32, crate::cli::exit::Stop> {
    let refusal = || Refusal::value(format!("--mode takes octal digits from 0 to 777, not '{}'", value.display()));
    match value.to_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit())) {
        Some(digits) => match u32::from_str_radix(digits, 8) {
            Ok(bits) if bits <= 0o777 => Ok(bits),
            _ => Err(refusal().into()),
        },
        None => Err(refusal().into()),
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::cli::low::test::{checkpoint, checkpoint_refusal};

    #[test]
    fn every_destination() {
        for (line, place) in [
            ("1", None),
            ("-c 1", Some(Place::Cwd)),
            ("--cwd 1", Some(Place::Cwd)),
            ("-f a 1", Some(Place::At(Destination::File("a".into())))),
            ("1 --file=a/b", Some(Place::At(Destination::File("a/b".into())))),
            ("-d x 1", Some(Place::At(Destination::Dir("x".into())))),
            ("--dir x 1", Some(Place::At(Destination::Dir("x".into())))),
            ("-F3 1", Some(Place::At(Destination::Fd(3)))),
            ("--fd 1 1", Some(Place::At(Destination::Fd(1)))),
        ] {
            assert_eq!(checkpoint(line).place, place, "{line}");
        }
    }

    #[test]
    fn a_second_destination_is_refused_with_22_even_if_it_is_the_same() {
        for line in ["-f a -f b 1", "-f a -f a 1", "-c -c 1", "-c -f a 1", "-d a -F 3 1", "--cwd --dir x 1"] {
            let (status, text) = checkpoint_refusal(line);
            assert_eq!(status, 22, "{line}");
            assert!(text.starts_with("conflicting destinations"), "{line}: {text}");
        }
    }

    #[test]
    fn owners_are_names_or_numbers() {
        for (line, uid, gid) in [("root", 0, 0), ("root:7", 0, 7), ("4000000711", 4_000_000_711, 4_000_000_711), ("12:root", 12, 0)] {
            assert_eq!(checkpoint(&format!("--owner {line} 1")).owner, Some(Owner { uid, gid }), "{line}");
        }
        for line in ["--owner no-such-user 1", "--owner root:no-such-group 1", "--owner= 1", "--owner -5 1"] {
            assert_eq!(checkpoint_refusal(line).0, 22, "{line}");
        }
    }

    #[test]
    fn bad_descriptors_and_modes() {
        for (line, status) in [("-F x 1", 255), ("-F -1 1", 22), ("-F 3x 1", 255), ("--mode 888 1", 22), ("--mode 1000 1", 22)] {
            assert_eq!(checkpoint_refusal(line).0, status, "{line}");
        }
        assert_eq!(checkpoint("--mode 0640 1").mode, Some(0o640));
    }
}
