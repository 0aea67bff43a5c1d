//! The libraries that `cr_run` loads into a command: where they are, and what the loader is told.
//!
//! Relies on the layout of an installation: they are in `../lib` of the program, or beside it. Where they are not, nothing is loaded, and nothing is missed: they
//! only tell `cr_checkpoint --require-libcr` that a program was started for it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

const RUN: &str = "libcr_run.so.0";
const OMIT: &str = "libcr_omit.so.0";
/// Directories from that of the program.
const BESIDE: [&str; 4] = ["../lib", "../lib64", "../lib/x86_64-linux-gnu", "."];

/// What `LD_PRELOAD` becomes: ours in front, the user's others kept, those of an outer `cr_run` removed. `None`: it is not set.
pub fn value(omit: bool, program: Option<&Path>, current: Option<&OsStr>) -> Option<OsString> {
    let library = program.and_then(|program| find(program, if omit { OMIT } else { RUN }));
    let is_separator = |byte: &u8| matches!(byte, b':' | b' ');
    let is_ours = |entry: &[u8]| matches!(Path::new(OsStr::from_bytes(entry)).file_name().and_then(OsStr::to_str), Some(RUN | OMIT));
    let others = current.map_or(&[][..], OsStr::as_bytes).split(is_separator).filter(|entry| !entry.is_empty() && !is_ours(entry));
    let entries: Vec<&[u8]> = library.iter().map(|library| library.as_os_str().as_bytes()).chain(others).collect();
    if entries.is_empty() { None } else { Some(OsString::from_vec(entries.join(&b':'))) }
}

/// A path that the loader takes as one entry.
fn find(program: &Path, name: &str) -> Option<PathBuf> {
    let directory = program.parent()?;
    let paths = BESIDE.iter().filter_map(|beside| directory.join(beside).join(name).canonicalize().ok());
    // The canonical name of a library may have another version at its end; the directory is what counts.
    let mut named = paths.filter_map(|path| path.parent().map(|directory| directory.join(name)));
    named.find(|path| path.is_file() && !path.as_os_str().as_bytes().iter().any(|byte| matches!(byte, b':' | b' ')))
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn ours_comes_first_and_only_once() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let (bin, lib) = (root.join("bin"), root.join("lib"));
        std::fs::create_dir(&bin).unwrap();
        let program = bin.join("cr_run");
        let text = |omit, current: &str| value(omit, Some(&program), Some(OsStr::new(current))).map(|value| value.into_string().unwrap());
        assert_eq!(text(false, ""), None, "nothing is installed");
        assert_eq!(text(false, "libx.so"), Some("libx.so".into()));
        std::fs::create_dir(&lib).unwrap();
        for name in [RUN, OMIT] {
            std::fs::write(lib.join(name), "").unwrap();
        }
        let (run, omit) = (lib.join(RUN).display().to_string(), lib.join(OMIT).display().to_string());
        for (is_omit, current, expected) in [
            (false, "", run.clone()),
            (true, "", omit.clone()),
            (false, "libx.so:/y/liby.so", format!("{run}:libx.so:/y/liby.so")),
            (false, "libcr_omit.so.0 libx.so", format!("{run}:libx.so")),
            (true, &format!("{run}:libx.so"), format!("{omit}:libx.so")),
        ] {
            assert_eq!(text(is_omit, current), Some(expected), "{current}");
        }
        assert_eq!(value(false, None, None), None);
    }
}
