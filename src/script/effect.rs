//! What scripts may see of the machine, and change: `cr.stat`, `cr.read_file`, `cr.write_file` and their kin.
//!
//! Runs in the script's own process. What the machine refuses is nil and a message for the script; wrong arguments are raised by the sandbox. Nothing
//! here waits for another program: only regular files are read.

use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use mlua::{Lua, Value};

use super::date;
use super::host::Host;
use super::native::{Arguments, Returned, bytes, lua_value, said};
use super::text::printable;

/// Bytes that `cr.read_file` reads when no limit is given.
const USUAL_LIMIT: u64 = 1 << 20;
/// Names in a directory that `cr.list_dir` lists.
const MOST_NAMES: usize = 100_000;
/// The latest moment of `cr.date`, and the earliest with a minus: some 30,000 years.
const LATEST: i64 = 1 << 40;
/// The highest limit that can be given, bytes.
const HIGHEST_LIMIT: u64 = 16 << 20;

/// Nil and why, for the script to judge.
fn refused(lua: &Lua, why: &str) -> Returned {
    Ok(vec![Value::Nil, lua_value(lua, printable(why.as_bytes()))?])
}

/// `cr.stat(path)`
pub fn stat(_: &Host, lua: &Lua, arguments: &Arguments) -> Returned {
    let path = arguments.path(1)?;
    match fs::metadata(&path) {
        Ok(metadata) => Ok(vec![Value::Table(described(lua, &metadata).map_err(said)?)]),
        Err(error) => refused(lua, &format!("cannot look at {}: {error}", path.display())),
    }
}

/// `cr.lstat(path)`
pub fn lstat(_: &Host, lua: &Lua, arguments: &Arguments) -> Returned {
    let path = arguments.path(1)?;
    match fs::symlink_metadata(&path) {
        Ok(metadata) => Ok(vec![Value::Table(described(lua, &metadata).map_err(said)?)]),
        Err(error) => refused(lua, &format!("cannot look at {}: {error}", path.display())),
    }
}

/// `cr.list_dir(path)`
pub fn list_dir(_: &Host, lua: &Lua, arguments: &Arguments) -> Returned {
    let path = arguments.path(1)?;
    match names_in(&path) {
        Ok(names) => {
            let table = lua.create_table().map_err(said)?;
            for (index, name) in names.iter().enumerate() {
                table.raw_set(index + 1, bytes(lua, name.as_bytes())?).map_err(said)?;
            }
            Ok(vec![Value::Table(table)])
        }
        Err(why) => refused(lua, &format!("cannot list {}: {why}", path.display())),
    }
}

fn names_in(path: &Path) -> Result<Vec<std::ffi::OsString>, String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| error.to_string())? {
        if names.len() == MOST_NAMES {
            return Err(format!("it has more than {MOST_NAMES} entries"));
        }
        names.push(entry.map_err(|error| error.to_string())?.file_name());
    }
    names.sort();
    Ok(names)
}

/// True, or nil and why.
fn done(lua: &Lua, what: &str, result: io::Result<()>) -> Returned {
    match result {
        Ok(()) => Ok(vec![Value::Boolean(true)]),
        Err(error) => refused(lua, &format!("cannot {what}: {error}")),
    }
}

/// `cr.mkdir(path)`
pub fn mkdir(host: &Host, lua: &Lua, arguments: &Arguments) -> Returned {
    host.no_effects("mkdir")?;
    let path = arguments.path(1)?;
    done(lua, &format!("make the directory {}", path.display()), fs::create_dir_all(&path))
}

/// `cr.rename(old, new)`
pub fn rename(host: &Host, lua: &Lua, arguments: &Arguments) -> Returned {
    host.no_effects("rename")?;
    let (old, new) = (arguments.path(1)?, arguments.path(2)?);
    done(lua, &format!("rename {} to {}", old.display(), new.display()), fs::rename(&old, &new))
}

/// `cr.append_file(path, text)`
pub fn append_file(host: &Host, lua: &Lua, arguments: &Arguments) -> Returned {
    host.no_effects("append_file")?;
    let path = arguments.path(1)?;
    let Value::String(text) = arguments.get(2) else {
        return Err(arguments.bad(2, "what to append, a text"));
    };
    done(lua, &format!("append to {}", path.display()), append(&path, &text.as_bytes()))
}

/// One write(2), so that lines of several programs do not mix.
fn append(path: &Path, text: &[u8]) -> io::Result<()> {
    // Without O_NONBLOCK, opening a FIFO would wait for a reader.
    let mut file = OpenOptions::new().append(true).create(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    file.write_all(text)
}

/// `cr.date(format, seconds)`
pub fn date(_: &Host, lua: &Lua, arguments: &Arguments) -> Returned {
    let format = match arguments.get(1) {
        Value::Nil => date::USUAL.to_owned(),
        _ => arguments.text(1, "a format, a text")?,
    };
    #[allow(clippy::cast_possible_truncation, reason = "within the bounds, and fractions are not shown")]
    let seconds = match arguments.get(2) {
        Value::Nil => SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| format!("cr.date: {error}"))?.as_secs().cast_signed(),
        Value::Integer(seconds) => *seconds,
        Value::Number(seconds) if seconds.is_finite() => seconds.floor() as i64,
        _ => return Err(arguments.bad(2, "a number of seconds since 1970")),
    };
    if !(-LATEST..=LATEST).contains(&seconds) {
        return Err("cr.date: that is no moment of the years that people count".into());
    }
    date::date(&format, seconds).map_err(|why| format!("cr.date: {why}")).and_then(|text| Ok(vec![bytes(lua, text.as_bytes())?]))
}

fn described(lua: &Lua, metadata: &Metadata) -> mlua::Result<mlua::Table> {
    let table = lua.create_table()?;
    table.raw_set("type", type_word(metadata.file_type()))?;
    table.raw_set("size", metadata.size())?;
    let seconds = Value::Number(seconds(metadata.mtime(), metadata.mtime_nsec()));
    table.raw_set("mtime", seconds)?;
    table.raw_set("mode", metadata.mode() & 0o7777)?;
    table.raw_set("uid", metadata.uid())?;
    table.raw_set("gid", metadata.gid())?;
    table.raw_set("inode", metadata.ino())?;
    table.raw_set("device", metadata.dev())?;
    Ok(table)
}

#[allow(clippy::cast_precision_loss, reason = "a script gets seconds with fractions, exact to a microsecond")]
fn seconds(seconds: i64, nanoseconds: i64) -> f64 {
    seconds as f64 + nanoseconds as f64 / 1e9
}

fn type_word(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_file() => "file",
        kind if kind.is_dir() => "directory",
        kind if kind.is_symlink() => "link",
        kind if kind.is_fifo() => "fifo",
        kind if kind.is_socket() => "socket",
        kind if kind.is_char_device() => "character device",
        kind if kind.is_block_device() => "block device",
        _ => "unknown",
    }
}

/// `cr.readlink(path)`
pub fn readlink(_: &Host, lua: &Lua, arguments: &Arguments) -> Returned {
    let path = arguments.path(1)?;
    match fs::read_link(&path) {
        Ok(target) => Ok(vec![bytes(lua, target.as_os_str().as_bytes())?]),
        Err(error) => refused(lua, &format!("cannot read the link {}: {error}", path.display())),
    }
}

/// `cr.exists(path)`
pub fn exists(_: &Host, _: &Lua, arguments: &Arguments) -> Returned {
    Ok(vec![Value::Boolean(arguments.path(1)?.exists())])
}

/// `cr.read_file(path, limit)`
pub fn read_file(_: &Host, lua: &Lua, arguments: &Arguments) -> Returned {
    let path = arguments.path(1)?;
    let bad = || format!("cr.read_file: argument 2 must be a limit from 0 to {HIGHEST_LIMIT} bytes");
    let limit = match arguments.get(2) {
        Value::Nil => USUAL_LIMIT,
        Value::Integer(limit) => u64::try_from(*limit).ok().filter(|limit| *limit <= HIGHEST_LIMIT).ok_or_else(bad)?,
        _ => return Err(bad()),
    };
    match read_limited(&path, limit) {
        Ok(text) => Ok(vec![bytes(lua, &text)?]),
        Err(why) => refused(lua, &why),
    }
}

fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let failed = |error: io::Error| format!("cannot read {}: {error}", path.display());
    // Without O_NONBLOCK, opening a FIFO would wait for a writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(format!("cannot read {}: it is not a regular file", path.display()));
    }
    let length = file.metadata().map_err(failed)?.len().min(limit);
    let mut text = Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1);
    file.take(limit + 1).read_to_end(&mut text).map_err(failed)?;
    match text.len() as u64 > limit {
        true => Err(format!("cannot read {}: it is longer than {limit} bytes", path.display())),
        false => Ok(text),
    }
}

/// `cr.write_file(path, text)`
pub fn write_file(host: &Host, lua: &Lua, arguments: &Arguments) -> Returned {
    host.no_effects("write_file")?;
    let path = arguments.path(1)?;
    let Value::String(text) = arguments.get(2) else {
        return Err(arguments.bad(2, "the contents, a text"));
    };
    match replace(&path, &text.as_bytes()) {
        Ok(()) => Ok(vec![Value::Boolean(true)]),
        Err(error) => refused(lua, &format!("cannot write {}: {error}", path.display())),
    }
}

/// Writes beside the file and renames, so that readers see the old contents or the new. Keeps the owner and the permissions of a file that is there,
/// or leaves it alone.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(ErrorKind::IsADirectory)?;
    let (old, link) = (fs::metadata(path), fs::symlink_metadata(path));
    // What a link leads to is replaced, not the link.
    if link.is_ok_and(|link| link.file_type().is_symlink()) {
        return replace(&path.canonicalize()?, text);
    }
    if old.as_ref().is_ok_and(|old| !old.is_file()) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(beside);
    let written = OpenOptions::new().write(true).create_new(true).open(&beside).and_then(|file| fill(file, text, old.ok()));
    let renamed = written.and_then(|()| fs::rename(&beside, path));
    if renamed.as_ref().is_err_and(|error| error.kind() != ErrorKind::AlreadyExists) {
        // The first failure is the one to report; there may be nothing to remove.
        drop(fs::remove_file(&beside));
    }
    renamed
}

fn fill(mut file: File, text: &[u8], old: Option<Metadata>) -> io::Result<()> {
    if let Some(old) = old {
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
    }
    file.write_all(text)?;
    file.sync_data()
}

/// `cr.env(name)`
pub fn env(_: &Host, lua: &Lua, arguments: &Arguments) -> Returned {
    let name = arguments.text(1, "the name of a variable")?;
    // The library refuses such names with a panic.
    let is_name = !name.is_empty() && !name.contains(['=', '\0']);
    match std::env::var_os(&name).filter(|_| is_name) {
        Some(value) => Ok(vec![bytes(lua, value.as_bytes())?]),
        None => Ok(vec![Value::Nil]),
    }
}

/// `cr.hostname()`
pub fn hostname(_: &Host, lua: &Lua, _: &Arguments) -> Returned {
    let name = fs::read("/proc/sys/kernel/hostname").map_err(|error| format!("cr.hostname: /proc/sys/kernel/hostname: {error}"))?;
    Ok(vec![bytes(lua, name.trim_ascii_end())?])
}

/// `cr.now()`
pub fn now(_: &Host, _: &Lua, _: &Arguments) -> Returned {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| format!("cr.now: {error}"))?;
    Ok(vec![Value::Number(since.as_secs_f64())])
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_file_is_replaced_at_once_and_keeps_its_permissions() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        replace(&path, b"one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let before = File::open(&path).unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(io::read_to_string(before).unwrap(), "one", "an open file stays as it was");
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(12345), Some(54321)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o2640)).unwrap();
            replace(&path, b"two").unwrap();
            let found = fs::metadata(&path).unwrap();
            assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (12345, 54321, 0o2640));
        }
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        replace(&link, b"three").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert!(replace(directory.path(), b"").is_err());
        assert!(replace(&directory.path().join("none/a"), b"").is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing stays behind");
    }

    #[test]
    fn only_regular_files_of_moderate_length_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let (path, fifo) = (directory.path().join("a"), directory.path().join("fifo"));
        fs::write(&path, "12345").unwrap();
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read_limited(&path, 5).unwrap(), b"12345");
        for (path, part) in [(&path, "longer than 4 bytes"), (&fifo, "not a regular file")] {
            assert!(read_limited(path, 4).unwrap_err().ends_with(part));
        }
        assert!(read_limited(Path::new("/dev/zero"), 4).unwrap_err().ends_with("not a regular file"));
    }
}
