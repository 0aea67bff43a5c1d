//! Groups of the version 1 freezer (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst): who is frozen in one cannot stop for us.
//!
//! Relies on `/proc/TID/cgroup` and the mount of the freezer, as far as our own namespaces show them. Groups of version 2 are no
//! obstacle: their tasks stop where they are.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::proc::{Mount, system_file};

/// The frozen group that a task is in, as a directory of the freezer's mount; `None` where no freezer is mounted, or the task has gone.
pub(super) fn frozen_group(tid: i32) -> Option<PathBuf> {
    static MOUNT: OnceLock<Option<Mount>> = OnceLock::new();
    let mount = MOUNT.get_or_init(mounted).as_ref()?;
    let groups = std::fs::read(format!("/proc/{tid}/cgroup")).ok()?;
    let directory = directory(mount, group(&groups)?)?;
    // A group below a frozen one says FROZEN as well.
    let state = std::fs::read(directory.join("freezer.state")).ok()?;
    matches!(state.trim_ascii(), b"FROZEN" | b"FREEZING").then_some(directory)
}

/// Where the freezer is mounted. Nobody mounts it while a job is being stopped.
fn mounted() -> Option<Mount> {
    let mounts = Mount::parse_all(&system_file("self/mountinfo").ok()?).ok()?;
    let is_freezer = |mount: &Mount| {
        mount.fs_type == "cgroup" && mount.super_options.as_bytes().split(|byte| *byte == b',').any(|word| word == b"freezer")
    };
    mounts.into_iter().find(is_freezer)
}

/// The task's group in the freezer's hierarchy, from the text of its file `cgroup`.
fn group(text: &[u8]) -> Option<&Path> {
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.splitn(3, |byte| *byte == b':');
        let (controllers, path) = (fields.nth(1)?, fields.next()?);
        controllers.split(|byte| *byte == b',').any(|word| word == b"freezer").then(|| Path::new(OsStr::from_bytes(path)))
    })
}

fn directory(mount: &Mount, group: &Path) -> Option<PathBuf> {
    Some(mount.mount_point.join(group.strip_prefix(&mount.root).ok()?))
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn the_group_is_that_of_the_freezer() {
        let text = b"9:name=systemd:/a\n6:cpu,freezer:/slurm/uid_5/job:7\n0::/x\n";
        assert_eq!(group(text), Some(Path::new("/slurm/uid_5/job:7")));
        assert_eq!(group(b"6:cpu:/slurm\n0::/freezer\n"), None);
    }

    #[test]
    fn the_directory_is_below_the_mount() {
        let line = b"30 25 0:26 /slurm /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n";
        let mount = Mount::parse_all(line).unwrap().remove(0);
        assert_eq!(directory(&mount, Path::new("/slurm/job")), Some("/sys/fs/cgroup/freezer/job".into()));
        assert_eq!(directory(&mount, Path::new("/elsewhere")), None);
    }
}
