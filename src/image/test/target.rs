//! The creation policies: what stands where after success, after failure, and meanwhile.

use std::ffi::CString;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::path::Path;

use super::super::file::check_descriptor;
use super::*;
use crate::error::Classified;

/// Names and contents in a directory, in order.
fn contents(directory: &Path) -> String {
    let read = |entry: fs::DirEntry| {
        let text = fs::read_to_string(entry.path()).unwrap();
        format!("{}={text}", entry.file_name().to_string_lossy())
    };
    let mut files: Vec<String> = fs::read_dir(directory).unwrap().map(|entry| read(entry.unwrap())).collect();
    files.sort();
    files.join(" ")
}

fn write_new(target: &Target) {
    target.file().unwrap().write_all(b"new").unwrap();
}

#[test]
fn each_policy_succeeds_and_fails_as_the_manual_says() {
    let backup = || Creation::Backup(None);
    // (policy, files before; after success, after failure)
    for (creation, before, success, failure) in [
        (Creation::Atomic, "", "c=new", ""),
        (Creation::Atomic, "c=old", "c=new", "c=old"),
        (backup(), "", "c=new", ""),
        (backup(), "c=old", "c.~1~=old c=new", "c=old"),
        (backup(), "c=old c.~1~=older", "c.~1~=older c.~2~=old c=new", "c.~1~=older c=old"),
        (Creation::Clobber, "", "c=new", ""),
        (Creation::Clobber, "c=old and longer", "c=new", ""),
        (Creation::NoClobber, "", "c=new", ""),
    ] {
        for succeeds in [true, false] {
            let directory = tempfile::tempdir().unwrap();
            for (name, text) in before.split_whitespace().filter_map(|file| file.split_once('=')) {
                fs::write(directory.path().join(name), text).unwrap();
            }
            let path = directory.path().join("c");
            let target = Target::open(&path, &creation, 0o640).unwrap();
            write_new(&target);
            for entry in fs::read_dir(directory.path()).unwrap().map(Result::unwrap) {
                let private = fs::read_to_string(entry.path()).unwrap() != "new" || entry.metadata().unwrap().mode() & 0o77 == 0;
                assert!(private, "{creation:?}: {:?} can be read by others", entry.path());
            }
            let expected = if succeeds {
                assert_eq!(target.finish(true).unwrap(), path);
                assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
                success
            } else {
                drop(target);
                failure
            };
            assert_eq!(contents(directory.path()), expected, "{creation:?} over '{before}', success: {succeeds}");
        }
    }
}

#[test]
fn a_backup_under_a_name_replaces_what_had_the_name() {
    let directory = tempfile::tempdir().unwrap();
    let (path, name) = (directory.path().join("c"), directory.path().join("kept"));
    fs::write(&path, "old").unwrap();
    fs::write(&name, "older").unwrap();
    let target = Target::open(&path, &Creation::Backup(Some(name)), 0o400).unwrap();
    write_new(&target);
    target.finish(false).unwrap();
    assert_eq!(contents(directory.path()), "c=new kept=old");
}

#[test]
fn a_backup_that_cannot_be_made_leaves_everything() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c");
    fs::write(&path, "old").unwrap();
    let name = directory.path().join("missing/kept");
    let target = Target::open(&path, &Creation::Backup(Some(name.clone())), 0o400).unwrap();
    write_new(&target);
    let error = target.finish(true).unwrap_err();
    let message = format!("Unable to rename '{}' to '{}': No such file or directory", path.display(), name.display());
    assert_eq!((error.to_string(), error.errno()), (message, Some(libc::ENOENT)));
    assert_eq!(contents(directory.path()), "c=old");
}

#[test]
fn refusals_have_the_messages_of_the_manual() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("file"), "old").unwrap();
    fs::write(at("linked"), "old").unwrap();
    fs::hard_link(at("linked"), at("other")).unwrap();
    fs::create_dir(at("dir")).unwrap();
    nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (name, creation, errno, text) in [
        ("dir", Creation::Atomic, libc::EISDIR, "File '#' is a directory: use the '--dir' flag to write context files into a directory"),
        ("file", Creation::NoClobber, libc::EEXIST, "Unable to open file '#': File exists"),
        ("no/file", Creation::Atomic, libc::ENOENT, "Unable to open file '#': No such file or directory"),
        ("no/file", Creation::Clobber, libc::ENOENT, "Unable to open file '#': No such file or directory"),
        ("file/x", Creation::Atomic, libc::ENOTDIR, "Unable to open file '#': Not a directory"),
        ("linked", Creation::Clobber, libc::EMLINK, "Unable to open file '#': it has 2 names (hard links)"),
        ("fifo", Creation::Atomic, libc::ENXIO, "Unable to open file '#': No such device or address"),
    ] {
        let error = Target::open(&at(name), &creation, 0o400).err().unwrap();
        assert_eq!(error.to_string(), text.replace('#', &at(name).display().to_string()));
        assert_eq!(error.errno(), Some(errno), "{name}");
    }
    assert_eq!(fs::read_to_string(at("linked")).unwrap(), "old");
}

#[test]
fn what_was_there_before_as_a_device_stays() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut reader = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&fifo).unwrap();
    let target = Target::open(&fifo, &Creation::Atomic, 0o400).unwrap();
    write_new(&target);
    target.finish(true).unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "new");
    drop(Target::open(&fifo, &Creation::Clobber, 0o400).unwrap());
    assert!(fifo.exists());

    let socket = directory.path().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let target = Target::open(&socket, &Creation::Atomic, 0o400).unwrap();
    write_new(&target);
    target.finish(true).unwrap();
    listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
    assert_eq!(text, "newnew");

    let null = Target::open(Path::new("/dev/null"), &Creation::Atomic, 0o400).unwrap();
    write_new(&null);
    null.finish(true).unwrap();
}

#[test]
fn links_are_replaced_but_words_for_descriptors_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let (path, real) = (directory.path().join("c"), directory.path().join("real"));
    fs::write(&real, "old").unwrap();
    symlink(&real, &path).unwrap();
    let target = Target::open(&path, &Creation::Atomic, 0o400).unwrap();
    write_new(&target);
    target.finish(true).unwrap();
    assert_eq!(contents(directory.path()), "c=new real=old");

    let file = File::options().write(true).open(&real).unwrap();
    let word = CString::new(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file))).unwrap();
    let target = Target::open(Path::new(word.to_str().unwrap()), &Creation::Atomic, 0o400).unwrap();
    write_new(&target);
    target.finish(true).unwrap();
    assert_eq!(fs::read_to_string(&real).unwrap(), "new");
}

#[test]
fn a_target_that_someone_replaced_meanwhile_is_not_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c");
    let target = Target::open(&path, &Creation::NoClobber, 0o400).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "theirs").unwrap();
    drop(target);
    assert_eq!(contents(directory.path()), "c=theirs");
}

#[test]
fn descriptors_are_checked_as_files_are() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c");
    let file = File::create(&path).unwrap();
    assert!(check_descriptor(&file).is_ok());
    assert_eq!(check_descriptor(&File::open(&path).unwrap()).unwrap_err().errno(), Some(libc::EBADF));
    fs::hard_link(&path, directory.path().join("d")).unwrap();
    assert_eq!(check_descriptor(&file).unwrap_err().errno(), Some(libc::EMLINK));
    assert!(check_descriptor(&File::from(std::os::fd::OwnedFd::from(std::io::pipe().unwrap().1))).is_ok());
}
