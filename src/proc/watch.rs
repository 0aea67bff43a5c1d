//! The lines of fdinfo that list what an epoll or inotify descriptor watches (proc_pid_fdinfo(5)).
//!
//! Relies on nothing. These lines hold several `key:value` pairs, nearly all in hexadecimal.

use super::device::Device;
use super::error::Malformed;
use super::text::{signed, unsigned};

/// A descriptor registered with an epoll instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpollTarget {
    /// Its number when it was registered; the number may mean another file by now: compare `inode` and `device`.
    pub fd: i32,
    /// `EPOLL*` bits.
    pub events: u32,
    /// The caller's own 64 bits.
    pub data: u64,
    /// Offset of the watched description, bytes.
    pub pos: i64,
    /// Inode of the watched file.
    pub inode: u64,
    /// Device of the watched file.
    pub device: Device,
}

/// A watch of an inotify instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InotifyWatch {
    /// Watch descriptor.
    pub wd: i32,
    /// Inode of the watched file.
    pub inode: u64,
    /// Device of the watched file.
    pub device: Device,
    /// `IN_*` bits.
    pub mask: u32,
    /// Bits being ignored; 0 since Linux 5.11.
    pub ignored_mask: u32,
    /// The file's handle for open_by_handle_at(2), where its file system makes one.
    pub handle: Option<FileHandle>,
}

/// A `struct file_handle` of name_to_handle_at(2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHandle {
    /// `handle_type`.
    pub kind: i32,
    /// `f_handle`, opaque.
    pub bytes: Vec<u8>,
}

impl EpollTarget {
    /// Parses `tfd: 7 events: 4000001c data: 5  pos:0 ino:40f sdev:10`.
    pub(super) fn parse(line: usize, text: &[u8]) -> Result<EpollTarget, Malformed> {
        let wrong = |expected| Malformed { line, expected };
        Ok(EpollTarget {
            fd: value(text, b"tfd").and_then(signed).ok_or(wrong("tfd:"))?,
            events: hex(text, b"events").ok_or(wrong("events:"))?,
            data: hex(text, b"data").ok_or(wrong("data:"))?,
            pos: value(text, b"pos").and_then(signed).ok_or(wrong("pos:"))?,
            inode: hex(text, b"ino").ok_or(wrong("ino:"))?,
            device: hex(text, b"sdev").map(Device::from_kernel).ok_or(wrong("sdev:"))?,
        })
    }
}

impl InotifyWatch {
    /// Parses `inotify wd:1 ino:3c4a7 sdev:fe00000 mask:fff ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:a7c4…`.
    pub(super) fn parse(line: usize, text: &[u8]) -> Result<InotifyWatch, Malformed> {
        let wrong = |expected| Malformed { line, expected };
        Ok(InotifyWatch {
            wd: hex(text, b"wd").ok_or(wrong("wd:"))?,
            inode: hex(text, b"ino").ok_or(wrong("ino:"))?,
            device: hex(text, b"sdev").map(Device::from_kernel).ok_or(wrong("sdev:"))?,
            mask: hex(text, b"mask").ok_or(wrong("mask:"))?,
            ignored_mask: hex(text, b"ignored_mask").unwrap_or(0),
            handle: match value(text, b"f_handle") {
                Some(digits) => Some(FileHandle::parse(text, digits).ok_or(wrong("a file handle"))?),
                None => None,
            },
        })
    }
}

impl FileHandle {
    fn parse(text: &[u8], digits: &[u8]) -> Option<FileHandle> {
        let n_bytes: usize = hex(text, b"fhandle-bytes")?;
        let bytes: Option<Vec<u8>> = digits.chunks(2).map(|pair| unsigned(pair, 16)).collect();
        let bytes = bytes.filter(|bytes| bytes.len() == n_bytes && digits.len() == 2 * n_bytes)?;
        Some(FileHandle { kind: hex(text, b"fhandle-type")?, bytes })
    }
}

fn hex<T: TryFrom<u64>>(text: &[u8], key: &[u8]) -> Option<T> {
    unsigned(value(text, key)?, 16)
}

/// The word after `key:`, whether blanks stand between or not.
fn value<'a>(text: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let mut rest = text;
    while let Some(colon) = rest.iter().position(|&byte| byte == b':') {
        let start = rest[..colon].iter().rposition(|&byte| byte == b' ').map_or(0, |blank| blank + 1);
        let found = &rest[start..colon] == key;
        rest = rest[colon + 1..].trim_ascii_start();
        let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
        if found {
            return Some(&rest[..end]);
        }
        rest = &rest[end..];
    }
    None
}
