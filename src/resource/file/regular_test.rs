//! Files by reference, deleted and saved files, and the table of what a difference means.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::super::test::{Round, plan};
use super::*;
use crate::image::FileChoice;

fn state(size: u64, evidence: Option<Evidence>) -> RegularV1 {
    let path = PathBuf::from("/data/file");
    RegularV1 {
        path,
        keep: Keep::Reference,
        dev: 1,
        ino: 2,
        size,
        mtime: (100, 5),
        mode: 0o100_644,
        owner: (0, 0),
        evidence,
        action: FileAction::Merge,
        is_accepted: false,
        in_memory: false,
    }
}

#[test]
fn what_a_difference_means() {
    let memory = Uses { is_memory: true, is_written: false };
    let read = Uses::default();
    let sum = |sum| Some(Evidence::Checksum(sum));
    let ends = |sum| Some(Evidence::Ends(sum));
    let accepted = RegularV1 { is_accepted: true, ..state(10, sum(1)) };
    let from_start = RegularV1 { action: FileAction::Ignore, ..state(10, sum(1)) };
    let other_sum = "it had checksum 0000000000000001 and has checksum 0000000000000002";
    let rows = [
        ("a copy with the same time", state(10, None), 10, (100, 5), None, memory, ""),
        ("touched, the contents proved", state(10, sum(1)), 10, (900, 0), sum(1), memory, ""),
        ("another build of the same length and time", state(10, sum(1)), 10, (100, 5), sum(2), memory, other_sum),
        ("touched, nothing proved", state(10, None), 10, (160, 0), None, memory, "it was last written 60 seconds later"),
        ("touched, only its ends proved", state(10, ends(1)), 10, (160, 0), ends(1), memory, "it was last written 60 seconds later"),
        ("another length of mapped memory", state(10, None), 12, (100, 5), None, memory, "it had 10 bytes and has 12"),
        ("mapped memory that has grown", state(10, sum(1)), 12, (100, 5), sum(1), memory, "it had 10 bytes and has 12"),
        ("a proof that cannot be had now", state(10, sum(1)), 10, (100, 5), None, memory, ""),
        ("read, and another file", state(10, None), 12, (200, 0), None, read, "it had 10 bytes and has 12"),
        ("read, and other contents", state(10, sum(1)), 10, (200, 0), sum(2), read, other_sum),
        ("read, and grown", state(10, sum(1)), 12, (200, 0), sum(1), read, ""),
        ("read, and cut", state(10, sum(1)), 4, (200, 0), None, read, "it had 10 bytes and has 4"),
        ("read, large, and touched", state(10, ends(1)), 10, (160, 0), ends(1), read, "it was last written 60 seconds later"),
        ("read, and empty before", state(0, None), 12, (200, 0), None, read, ""),
        ("read, changed, and accepted", accepted, 4, (200, 0), None, read, ""),
        ("read from its start", from_start, 4, (200, 0), None, read, ""),
    ];
    for (row, state, size, mtime, evidence, uses, expected) in rows {
        let now = Now { size, mtime, is_same_inode: false };
        assert_eq!(judge(&state, &now, uses, || evidence).unwrap_or_default(), expected, "{row}");
    }
}

#[test]
fn a_large_file_that_is_read_may_grow_but_not_be_another() {
    let ends = Some(Evidence::Ends(1));
    let now = |is_same_inode| Now { size: 12, mtime: (200, 0), is_same_inode };
    assert_eq!(judge(&state(10, ends.clone()), &now(true), Uses::default(), || ends.clone()), None);
    assert!(judge(&state(10, ends.clone()), &now(false), Uses::default(), || ends).is_some());
}

#[test]
fn a_log_that_became_shorter_is_gone_on_with_at_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    for append in [true, false] {
        fs::write(&path, "").unwrap();
        let mut file = File::options().write(true).append(append).open(&path).unwrap();
        std::io::Write::write_all(&mut file, b"0123456789").unwrap();
        let capture = Round::capture(&Regular, &[&file]);
        fs::write(&path, "new\n").unwrap();
        let (complaint, warnings) = plan(&Regular, &capture.state, &capture.snapshot);
        assert_eq!(complaint, None);
        let said = "has 4 bytes, and had 10 at the checkpoint: the job goes on at its end, nothing is cut off";
        assert_eq!(warnings, [format!("{} {said}", path.display())]);
        let again = capture.build().open(0);
        unistd::write(&again, b"more").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new\nmore");
    }
}

#[test]
fn a_file_that_became_shorter_is_not_written_behind_a_gap() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("table");
    fs::write(&path, "0123456789").unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    unistd::lseek(&file, 8, unistd::Whence::SeekSet).unwrap();
    let capture = Round::capture(&Regular, &[&file]);
    fs::write(&path, "0123").unwrap();
    let (complaint, _) = plan(&Regular, &capture.state, &capture.snapshot);
    let said = "has 4 bytes, and had 10 at the checkpoint, in the middle of which the job writes";
    assert_eq!(complaint.unwrap(), format!("{} {said}", path.display()));
}

#[test]
fn what_changed_is_known_of_saved_files_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("saved");
    fs::write(&path, b"as it was").unwrap();
    let stat = FileStat::from(nix::sys::stat::stat(&path).unwrap());
    let mut cx = Capture { choice: FileChoice { action: FileAction::Replace, path: None }, ..Capture::default() };
    let state = capture_path(&path, &stat, || Ok(File::open(&path).unwrap().into()), false, &mut cx).unwrap();
    assert_eq!(state.difference(&path), None);
    fs::write(&path, b"as it is ").unwrap();
    assert!(state.difference(&path).unwrap().content);
    fs::write(&path, b"as").unwrap();
    assert!(state.difference(&path).unwrap().content, "a part of it is not what it was");
}

#[test]
fn a_file_comes_back_with_offset_and_length() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let file = File::options().create(true).read(true).append(true).open(&path).unwrap();
    unistd::write(&file, b"0123456789").unwrap();
    unistd::lseek(&file, 4, unistd::Whence::SeekSet).unwrap();
    let capture = Round::capture(&Regular, &[&file]);
    assert_eq!(capture.state.keep, Keep::Reference);
    unistd::write(&file, b" and more").unwrap();
    let (complaint, warnings) = plan(&Regular, &capture.state, &capture.snapshot);
    assert_eq!(complaint, None);
    assert_eq!(warnings, [format!("{} goes back to its saved length of 10 bytes (was 19): 9 are cut off", path.display())]);
    let again = capture.build().open(0);
    assert_eq!(fs::read(&path).unwrap(), b"0123456789");
    let mut text = [0; 20];
    assert_eq!(unistd::read(&again, &mut text), Ok(6));
    unistd::write(&again, b"x").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"0123456789x");
}

#[test]
fn a_file_that_is_only_read_is_never_cut() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    fs::write(&path, b"short").unwrap();
    let file = File::open(&path).unwrap();
    let capture = Round::capture(&Regular, &[&file]);
    assert!(matches!(capture.state.evidence, Some(Evidence::Checksum(_))));
    fs::write(&path, b"longer text").unwrap();
    let (complaint, _) = plan(&Regular, &capture.state, &capture.snapshot);
    let complaint = complaint.unwrap();
    assert!(complaint.contains("which the job reads, has changed since the checkpoint: it had checksum"), "{complaint}");
    let accepted = RegularV1 { is_accepted: true, ..capture.state.clone() };
    assert_eq!(plan(&Regular, &accepted, &capture.snapshot).0, None);
    drop(capture.build());
    assert_eq!(fs::read(&path).unwrap(), b"longer text");
}

#[test]
fn a_missing_file_and_another_type_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let capture = Round::capture(&Regular, &[&File::create(&path).unwrap()]);
    fs::remove_file(&path).unwrap();
    let complaint = || plan(&Regular, &capture.state, &capture.snapshot).0.unwrap();
    assert_eq!(complaint(), format!("cannot find {}", path.display()));
    fs::create_dir(&path).unwrap();
    assert!(complaint().ends_with("it was a regular file and is a directory now"));
}

#[test]
fn a_deleted_file_keeps_contents_mode_time_and_its_opens() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("doomed");
    let first = File::options().create_new(true).read(true).write(true).open(&path).unwrap();
    let second = File::open(&path).unwrap();
    first.write_all_at(b"contents", 1 << 20).unwrap();
    unistd::lseek(&first, 77, unistd::Whence::SeekSet).unwrap();
    stat::fchmod(&first, Mode::from_bits_truncate(0o400)).unwrap();
    stat::futimens(&first, &TimeSpec::UTIME_OMIT, &TimeSpec::new(1000, 5)).unwrap();
    fs::remove_file(&path).unwrap();
    let round = Round::of(&Regular, &[&first, &second]);
    assert_eq!((round.state.keep, &round.state.path), (Keep::Deleted, &path));
    let (first, second) = (File::from(round.open(0)), File::from(round.open(1)));
    drop(round);
    let found = stat::fstat(&first).unwrap();
    assert_eq!((found.st_nlink, found.st_size, found.st_mode & 0o7777), (0, (1 << 20) + 8, 0o400));
    assert_eq!((found.st_mtime, found.st_mtime_nsec), (1000, 5));
    assert_eq!(found.st_ino, stat::fstat(&second).unwrap().st_ino);
    assert_eq!(unistd::lseek(&first, 0, unistd::Whence::SeekCur), Ok(77));
    assert_eq!(unistd::lseek(&second, 0, unistd::Whence::SeekCur), Ok(0));
    let mut text = [0; 8];
    second.read_exact_at(&mut text, 1 << 20).unwrap();
    assert_eq!(&text, b"contents");
    assert!(second.write_at(b"x", 0).is_err() && first.write_at(b"x", 0).is_ok());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_replaced_file_is_a_deleted_one_and_the_new_one_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("name");
    fs::write(&path, b"old").unwrap();
    let old = File::open(&path).unwrap();
    fs::write(directory.path().join("new"), b"newer").unwrap();
    fs::rename(directory.path().join("new"), &path).unwrap();
    let again = Round::of(&Regular, &[&old]).open(0);
    assert_eq!(std::io::read_to_string(File::from(again)).unwrap(), "old");
    assert_eq!(fs::read(&path).unwrap(), b"newer");
}

#[test]
fn a_saved_file_is_independent_of_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("library");
    fs::write(&path, b"as it was").unwrap();
    let link = path.clone();
    let stat = FileStat::from(nix::sys::stat::stat(&path).unwrap());
    let mut cx = Capture { choice: FileChoice { action: FileAction::Substitute, path: None }, ..Capture::default() };
    let state = capture_path(&link, &stat, || Ok(File::open(&path).unwrap().into()), false, &mut cx).unwrap();
    assert_eq!((state.keep, cx.contents.unwrap().1), (Keep::Saved, 9));
    fs::remove_file(&path).unwrap();
    assert_eq!(super::super::test::with_plan(&Regular, &state), (None, vec![]));
}

fn with_keep(keep: Keep, path: &Path) -> RegularV1 {
    let (path, owner) = (path.to_owned(), (0, 0));
    RegularV1 {
        path,
        keep,
        dev: 1,
        ino: 2,
        size: 3,
        mtime: (4, 0),
        mode: 0o100_600,
        owner,
        evidence: None,
        action: FileAction::Merge,
        is_accepted: false,
        in_memory: false,
    }
}

#[test]
fn contents_that_were_not_saved_cannot_be_put_back() {
    let mut state = with_keep(Keep::Reference, Path::new("/data"));
    let error = Regular.dispose(&mut state, FileAction::Replace, Path::new("/data")).unwrap_err();
    assert_eq!(error.to_string(), "/data cannot be replaced: the context file does not have its contents");
    Regular.dispose(&mut state, FileAction::Append, Path::new("/data")).unwrap();
    assert_eq!((state.keep, state.action), (Keep::Reference, FileAction::Append));
}

#[test]
fn saved_contents_may_be_left_unused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let kept = |action| {
        let mut state = with_keep(Keep::Saved, &path);
        let disposed = Regular.dispose(&mut state, action, &path).unwrap();
        (state.keep, disposed.warnings.len())
    };
    assert_eq!(kept(FileAction::Merge), (Keep::Reference, 0));
    assert_eq!(kept(FileAction::Substitute), (Keep::Saved, 0));
    assert_eq!(kept(FileAction::Replace), (Keep::Saved, 0), "it is missing");
    std::fs::write(&path, "newer").unwrap();
    assert_eq!(kept(FileAction::Replace), (Keep::Saved, 1), "it has changed since");
}
