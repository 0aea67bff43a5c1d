//! Opening scripts and modules: text only, and as root only those that nobody else can change.
//!
//! A file is opened once, judged by its descriptor and read from it. Directories are judged by name: whoever may write to one could put another
//! file in its place before the next run. Relies on the standard library and nix; what a script may do is left to the sandbox.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::text::printable;
use crate::sys::trust::{self, Distrust};

/// The longest script, bytes.
pub const LONGEST_SCRIPT: u64 = 1 << 20;
/// The first byte of compiled Lua.
const BYTECODE: u8 = 0x1b;
/// Lua cuts longer names of chunks, bytes.
const LONGEST_NAME: usize = 56;

/// A script that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// Its text; need not be UTF-8.
    pub text: Vec<u8>,
    /// Its name in messages.
    pub name: String,
    /// The directory with its modules.
    pub directory: PathBuf,
}

/// Reads a script, or says why it may not be used.
pub fn read(path: &Path) -> Result<Source, String> {
    let shown = printable(path.as_os_str().as_encoded_bytes());
    let text = read_text(path).map_err(|why| format!("cannot use the script {shown}: {why}"))?;
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    Ok(Source { text, name: short(&shown), directory })
}

/// Where modules of the site are that stand beside no script of theirs.
pub const SITE: &str = "/etc/reprise/lua";

/// The path of a module: beside the script, else among those of the site. One that is nowhere is looked for beside the script.
pub fn locate(directory: &Path, site: &Path, name: &str) -> Result<PathBuf, String> {
    let beside = module_path(directory, name)?;
    if fs::symlink_metadata(&beside).is_ok() {
        return Ok(beside);
    }
    Ok(Some(module_path(site, name)?).filter(|path| path.exists()).unwrap_or(beside))
}

/// The path of a module beside a script; dots separate directories. Nothing leads out of the script's directory by name.
pub fn module_path(directory: &Path, name: &str) -> Result<PathBuf, String> {
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if name.len() > 200 || !name.split('.').all(is_word) {
        return Err(format!(
            "'{}' is not the name of a module: names are made of letters, digits, '_' and '-', with dots between directories",
            printable(name.as_bytes())
        ));
    }
    Ok(directory.join(format!("{}.lua", name.replace('.', "/"))))
}

fn short(name: &str) -> String {
    if name.len() <= LONGEST_NAME {
        return name.to_owned();
    }
    let mut start = name.len() - (LONGEST_NAME - "…".len());
    while !name.is_char_boundary(start) {
        start += 1;
    }
    format!("…{}", &name[start..])
}

fn read_text(path: &Path) -> Result<Vec<u8>, String> {
    if path == Path::new("-") || path == Path::new("/dev/stdin") {
        return Err("scripts are read from files, not from stdin: write it into one".into());
    }
    let said = |error: io::Error| error.to_string();
    // Without O_NONBLOCK, opening a FIFO would wait for a writer.
    let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).map_err(said)?;
    let metadata = file.metadata().map_err(said)?;
    if !metadata.is_file() {
        return Err("it is not a regular file".into());
    }
    if nix::unistd::geteuid().is_root() {
        judge(path, &metadata, trust::maps_everybody())?;
    }
    let mut text = Vec::new();
    Read::by_ref(&mut file).take(LONGEST_SCRIPT + 1).read_to_end(&mut text).map_err(said)?;
    if text.len() as u64 > LONGEST_SCRIPT {
        return Err(format!("it is longer than {} KiB", LONGEST_SCRIPT >> 10));
    }
    match text.first() {
        Some(&BYTECODE) => Err("it is compiled Lua; scripts are text".into()),
        _ => Ok(text),
    }
}

/// What root asks of a script: nobody else can change it, or put another in its place.
fn judge(path: &Path, file: &Metadata, maps_everybody: bool) -> Result<(), String> {
    let remedy = "as root, only scripts that nobody else can change are used";
    trust::judge(file, maps_everybody).map_err(|why| match why {
        Distrust::Owner { .. } => format!("{why}; {remedy}: chown root"),
        Distrust::Writable { .. } => format!("{why}; {remedy}: chmod go-w"),
    })?;
    let given = std::path::absolute(path).map_err(|error| error.to_string())?;
    let resolved = path.canonicalize().map_err(|error| error.to_string())?;
    for directory in [given.as_path(), resolved.as_path()].into_iter().flat_map(|path| path.ancestors().skip(1)) {
        let shown = printable(directory.as_os_str().as_encoded_bytes());
        let metadata = fs::metadata(directory).map_err(|error| format!("{shown}: {error}"))?;
        if trust::is_foreign(metadata.uid(), maps_everybody) {
            return Err(format!("its directory {shown} belongs to user {}, who could replace it; {remedy}", metadata.uid()));
        }
        // A sticky directory lets nobody rename what belongs to others.
        if metadata.mode() & 0o022 != 0 && metadata.mode() & 0o1000 == 0 {
            let mode = metadata.mode() & 0o7777;
            return Err(format!("its directory {shown} lets others replace it (mode {mode:o}); {remedy}: chmod go-w"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod test {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn only_text_files_of_moderate_length_are_scripts() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("good.lua"), "return 1").unwrap();
        fs::write(at("compiled.lua"), b"\x1bLua").unwrap();
        fs::write(at("long.lua"), vec![b' '; (1 << 20) + 1]).unwrap();
        nix::unistd::mkfifo(&at("fifo.lua"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read(&at("good.lua")).unwrap().text, b"return 1");
        for (name, part) in [
            ("compiled.lua", "it is compiled Lua"),
            ("long.lua", "longer than 1024 KiB"),
            ("fifo.lua", "not a regular file"),
            (".", "not a regular file"),
            ("none.lua", "No such file"),
        ] {
            let error = read(&at(name)).unwrap_err();
            assert!(error.starts_with("cannot use the script ") && error.contains(part), "{name}: {error}");
        }
    }

    #[test]
    fn root_uses_only_what_nobody_else_can_change() {
        let directory = tempfile::tempdir().unwrap();
        let shared = directory.path().join("shared");
        fs::create_dir(&shared).unwrap();
        let (script, link) = (directory.path().join("a.lua"), shared.join("link.lua"));
        fs::write(&script, "").unwrap();
        symlink(&script, &link).unwrap();
        let judged = |path: &Path| judge(path, &fs::metadata(path).unwrap(), true).map_err(|why| why.split(';').next().unwrap().to_owned());
        let is_ours = fs::metadata(&script).unwrap().uid() != 0;
        if is_ours {
            assert!(judged(&script).unwrap_err().starts_with("it belongs to user "));
            return;
        }
        for (file_mode, directory_mode, path, part) in [
            (0o644, 0o755, &script, None),
            (0o664, 0o755, &script, Some("others can write to it (mode 664)")),
            (0o602, 0o755, &script, Some("others can write to it (mode 602)")),
            (0o644, 0o755, &link, None),
            (0o644, 0o777, &script, None),
            (0o644, 0o777, &link, Some("shared lets others replace it (mode 777)")),
            (0o644, 0o770, &link, Some("shared lets others replace it (mode 770)")),
            (0o644, 0o1777, &link, None),
        ] {
            mode(&script, file_mode);
            mode(&shared, directory_mode);
            let error = judged(path).err();
            assert_eq!(error.is_some(), part.is_some(), "{file_mode:o} {directory_mode:o}: {error:?}");
            assert!(error.unwrap_or_default().ends_with(part.unwrap_or_default()), "{file_mode:o} {directory_mode:o}");
        }
        mode(&shared, 0o755);
        mode(&script, 0o644);
        std::os::unix::fs::chown(&shared, Some(12345), None).unwrap();
        assert!(judged(&link).unwrap_err().ends_with("belongs to user 12345, who could replace it"));
        std::os::unix::fs::chown(&script, Some(trust::UNMAPPED), None).unwrap();
        let metadata = fs::metadata(&script).unwrap();
        assert_eq!(judge(&script, &metadata, false), Ok(()), "an owner without a name in this user namespace");
        assert!(judge(&script, &metadata, true).is_err());
    }

    #[test]
    fn modules_stay_beside_their_script() {
        let path = module_path(Path::new("/etc/hooks"), "site.log-2").unwrap();
        assert_eq!(path, Path::new("/etc/hooks/site/log-2.lua"));
        for name in ["", ".", "..", "a..b", "../x", "/etc/x", "a/b", ".a", "a.", "a\0b", "é", &"a".repeat(201)] {
            assert!(module_path(Path::new("/etc/hooks"), name).unwrap_err().contains("is not the name of a module"), "{name:?}");
        }
    }

    #[test]
    fn modules_of_the_site_are_found_behind_those_beside_the_script() {
        let directory = tempfile::tempdir().unwrap();
        let (own, site) = (directory.path().join("own"), directory.path().join("site"));
        let located = |name| locate(&own, &site, name).unwrap();
        [&own, &site].into_iter().for_each(|directory| fs::create_dir(directory).unwrap());
        fs::write(site.join("log.lua"), "").unwrap();
        assert_eq!(located("log"), site.join("log.lua"));
        assert_eq!(located("none"), own.join("none.lua"), "the message names the place beside the script");
        fs::write(own.join("log.lua"), "").unwrap();
        assert_eq!(located("log"), own.join("log.lua"));
        assert!(locate(&own, &site, "../log").is_err());
    }

    #[test]
    fn names_in_messages_are_never_cut_by_lua() {
        assert_eq!(short("hooks/a.lua"), "hooks/a.lua");
        let long = format!("/{}/{}.lua", "d".repeat(100), "é".repeat(100));
        assert!(short(&long).len() <= LONGEST_NAME && short(&long).ends_with("é.lua"));
    }
}
