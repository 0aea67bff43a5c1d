//! `--relocate OLD=NEW` (`cr_restart(1)`, "File relocation"): the grammar. Which paths match is decided by the policy.
//!
//! Both paths are absolute. One unescaped `=` separates them; `\=` and `\\` stand for `=` and `\`, and a backslash before any
//! other character stands for itself. Trailing slashes do not count. A pair that changes nothing is dropped.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::{Flag, under};
use crate::cli::exit::Refusal;
use crate::cli::low::RestartSaid;
use crate::policy::relocate::Relocation;

/// As many pairs as BLCR takes.
pub const MOST: usize = 16;

/// `--relocate`.
pub fn flags() -> Vec<Flag<RestartSaid>> {
    let flag = Flag::value("relocate", "OLD=NEW", |said: &mut RestartSaid, value| {
        let Some(relocation) = parse(value)? else { return Ok(()) };
        if said.relocations.len() == MOST {
            return Err(Refusal::value(format!("Too many relocations (max is {MOST}).")).into());
        }
        said.relocations.push(relocation);
        Ok(())
    })
    .help(
        "Where a saved path is OLD or lies below OLD, use NEW instead. OLD must be the path without symbolic links. \
         Write \\= for '=' and \\\\ for '\\' in either. Up to 16 times; the first one that matches a path counts",
    );
    under("Files that moved", [flag])
}

/// Reads one pair; `None` if it changes nothing.
pub fn parse(value: &OsStr) -> Result<Option<Relocation>, Refusal> {
    let [old, new] = split(value)?.map(|half| without_trailing_slashes(&half));
    for half in [&old, &new] {
        if half.first() != Some(&b'/') {
            return Err(Refusal::value(format!("Relocation paths must begin with '/': '{}' does not.", OsStr::from_bytes(half).display())));
        }
    }
    let [old, new] = [old, new].map(|half| PathBuf::from(OsString::from_vec(half)));
    Ok((old.as_os_str() != new.as_os_str()).then_some(Relocation { old, new }))
}

/// Splits at the one unescaped `=` and removes the escapes.
fn split(value: &OsStr) -> Result<[Vec<u8>; 2], Refusal> {
    let mut halves = vec![Vec::new()];
    let mut bytes = value.as_bytes().iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'=' => {
                halves.push(Vec::new());
                continue;
            }
            b'\\' => bytes.next_if(|next| matches!(next, b'=' | b'\\')).unwrap_or(b'\\'),
            other => other,
        };
        if let Some(half) = halves.last_mut() {
            half.push(byte);
        }
    }
    let refusal = |what: &str| {
        Refusal::value(format!("Relocation '{}' contains {what}: write it as OLD=NEW, and \\= for a literal '='.", value.display()))
    };
    match <[Vec<u8>; 2]>::try_from(halves) {
        Ok(halves) => Ok(halves),
        Err(halves) if halves.len() < 2 => Err(refusal("no unescaped '='")),
        Err(_) => Err(refusal("multiple unescaped '='")),
    }
}

/// Trims trailing slashes; a lone leading one stays.
fn without_trailing_slashes(path: &[u8]) -> Vec<u8> {
    let kept = path.iter().rposition(|byte| *byte != b'/').map_or(path.len().min(1), |last| last + 1);
    path[..kept].to_vec()
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::cli::low::test::{restart, restart_refusal, restart_words};

    #[test]
    fn pairs_are_read_as_the_manual_says() {
        for (text, expected) in [
            ("/a=/b", Some(("/a", "/b"))),
            ("/a/=/b//", Some(("/a", "/b"))),
            ("/=/b", Some(("/", "/b"))),
            ("///=/b", Some(("/", "/b"))),
            ("/a=/", Some(("/a", "/"))),
            (r"/a\=b=/c", Some(("/a=b", "/c"))),
            (r"/a=/c\=d", Some(("/a", "/c=d"))),
            (r"/a\\=/b", Some((r"/a\", "/b"))),
            (r"/a\\\==/b", Some((r"/a\=", "/b"))),
            (r"/a\n=/b\", Some((r"/a\n", r"/b\"))),
            ("/a b=/c d", Some(("/a b", "/c d"))),
            ("/a//x=/b", Some(("/a//x", "/b"))),
            ("/a=/a", None),
            ("/a/=/a", None),
            ("/=/", None),
        ] {
            let expected = expected.map(|(old, new)| Relocation { old: old.into(), new: new.into() });
            assert_eq!(parse(text.as_ref()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn wrong_pairs_are_22_and_say_what_is_wrong() {
        for (text, message) in [
            ("a=/b", "Relocation paths must begin with '/': 'a' does not."),
            ("/a=b", "Relocation paths must begin with '/': 'b' does not."),
            ("=/b", "Relocation paths must begin with '/': '' does not."),
            ("/a=", "Relocation paths must begin with '/': '' does not."),
            ("/a", "Relocation '/a' contains no unescaped '=': write it as OLD=NEW, and \\= for a literal '='."),
            (r"/a\=/b", r"Relocation '/a\=/b' contains no unescaped '=': write it as OLD=NEW, and \= for a literal '='."),
            ("", r"Relocation '' contains no unescaped '=': write it as OLD=NEW, and \= for a literal '='."),
            ("/a=/b=/c", r"Relocation '/a=/b=/c' contains multiple unescaped '=': write it as OLD=NEW, and \= for a literal '='."),
        ] {
            assert_eq!(parse(text.as_ref()), Err(Refusal::value(message)), "{text}");
        }
        assert_eq!(restart_refusal("--relocate /a c").0, 22);
    }

    #[test]
    fn sixteen_pairs_fit_and_identities_do_not_count() {
        let pairs = |count: usize| (0..count).map(|n| format!("--relocate /old{n}=/new{n} ")).collect::<String>();
        assert_eq!(restart(&format!("{} --relocate /x=/x c", pairs(16))).relocations.len(), 16);
        assert_eq!(restart_refusal(&format!("{} c", pairs(17))), (22, "Too many relocations (max is 16).".into()));
    }

    #[test]
    fn the_order_of_pairs_is_kept() {
        let (said, _) = restart_words(&["--relocate=/b=/1", "c", "--relocate", "/a=/2"]);
        let olds: Vec<_> = said.relocations.iter().map(|pair| pair.old.to_str().unwrap()).collect();
        assert_eq!(olds, ["/b", "/a"]);
    }
}
