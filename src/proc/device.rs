//! Device numbers in the four shapes the kernel writes them, and what fstatat(2) says about a file.
//!
//! Relies on nothing.

use std::fmt;

use nix::sys::stat::FileStat as RawStat;

/// The device a file is on, or the device a special file stands for.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Device {
    /// Major number: the driver or, for file systems without a disk, 0.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

impl Device {
    /// From `st_dev` or `st_rdev` as glibc gives it (makedev(3)).
    pub fn from_dev_t(number: u64) -> Device {
        Device { major: libc::major(number), minor: libc::minor(number) }
    }

    /// As `st_dev` would show it.
    pub fn to_dev_t(self) -> u64 {
        libc::makedev(self.major, self.minor)
    }

    /// From the kernel's internal number, twenty bits of minor: `sdev` of epoll and inotify lines in fdinfo.
    pub fn from_kernel(number: u32) -> Device {
        Device { major: number >> 20, minor: number & 0xf_ffff }
    }

    /// From the number that userland is told, with a minor in two parts: `tty_nr` of proc_pid_stat(5).
    pub fn from_stat(number: i32) -> Device {
        let number = number.cast_unsigned();
        Device { major: number >> 8 & 0xfff, minor: number & 0xff | number >> 12 & 0xf_ff00 }
    }

    /// From `major:minor`, both in `radix`.
    pub(super) fn parse(word: &[u8], radix: u32) -> Option<Device> {
        let colon = word.iter().position(|&byte| byte == b':')?;
        Some(Device { major: super::text::unsigned(&word[..colon], radix)?, minor: super::text::unsigned(&word[colon + 1..], radix)? })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What stat(2) says about the file behind a link of `/proc`, for example an open descriptor, reachable by path or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileStat {
    /// Device the file is on, as stat(2) gives it; [`FileStat::device`] takes it apart.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Type and permissions.
    pub mode: u32,
    /// Hard links; 0 when the file is deleted.
    pub nlink: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device a special file stands for.
    pub rdev: u64,
    /// Bytes.
    pub size: i64,
    /// Last change of the contents: seconds since 1970.
    pub mtime_s: i64,
    /// Last change of the contents: nanoseconds within that second.
    pub mtime_ns: i64,
    /// Last change of contents, owner, mode or links: seconds since 1970.
    pub ctime_s: i64,
    /// Last change of contents, owner, mode or links: nanoseconds within that second.
    pub ctime_ns: i64,
}

impl FileStat {
    /// The type alone: one of the `S_IF*` values of inode(7), or 0 for anonymous inodes.
    pub fn file_type(&self) -> u32 {
        self.mode & libc::S_IFMT
    }

    /// The device the file is on.
    pub fn device(&self) -> Device {
        Device::from_dev_t(self.dev)
    }

    /// The device a special file stands for.
    pub fn special(&self) -> Device {
        Device::from_dev_t(self.rdev)
    }
}

impl From<RawStat> for FileStat {
    fn from(stat: RawStat) -> FileStat {
        FileStat {
            dev: stat.st_dev,
            ino: stat.st_ino,
            mode: stat.st_mode,
            nlink: stat.st_nlink,
            uid: stat.st_uid,
            gid: stat.st_gid,
            rdev: stat.st_rdev,
            size: stat.st_size,
            mtime_s: stat.st_mtime,
            mtime_ns: stat.st_mtime_nsec,
            ctime_s: stat.st_ctime,
            ctime_ns: stat.st_ctime_nsec,
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn the_same_disk_in_every_shape() {
        let disk = Device { major: 254, minor: 0 };
        assert_eq!(Device::parse(b"fe:00", 16), Some(disk));
        assert_eq!(Device::parse(b"254:0", 10), Some(disk));
        assert_eq!(Device::from_kernel(0x0fe0_0000), disk);
        assert_eq!(Device::from_dev_t(disk.to_dev_t()), disk);
        assert_eq!(format!("{disk:?}"), "254:0");
    }

    #[test]
    fn a_device_needs_both_numbers() {
        for text in ["", ":", "1:", ":1", "1", "1:2:3"] {
            assert_eq!(Device::parse(text.as_bytes(), 10), None, "{text}");
        }
    }
}
