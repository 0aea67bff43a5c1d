//! Kinds of objects behind descriptors, one file each, and what they share: opening again, names, proofs of contents, data in flight.
//!
//! Relies on: the job is frozen while kinds capture, and not there yet while they build.

pub mod cut;
pub mod device;
pub mod directory;
pub mod epoll;
pub mod eventfd;
pub mod evidence;
pub mod fifo;
pub mod flight;
pub mod inet;
pub mod inet_option;
pub mod length;
pub mod lock;
pub mod memfd;
pub mod multicast;
pub mod name;
pub mod netlink_socket;
pub mod open;
pub mod owner;
pub mod path_only;
pub mod pidfd;
pub mod pipe;
pub mod proc_file;
pub mod pts;
pub mod pty;
pub mod raw_socket;
pub mod regular;
pub mod replace;
pub mod signalfd;
pub mod socket_option;
pub mod stand_in;
pub mod tcp;
pub mod tcp_make;
pub mod tcp_queue;
pub mod terminal;
pub mod timerfd;
pub mod tty;
pub mod tty_queue;
pub mod udp;
pub mod unix_socket;
mod unix_socket_make;
mod unix_socket_name;
mod unix_socket_queue;
mod unix_socket_refill;

use crate::resource::Probe;
use crate::sys::descriptor;

/// What an object is, in plain words, for the message that refuses it: "a TCP socket", "an io_uring instance".
pub fn describe(probe: &Probe<'_>) -> String {
    let link = probe.link.to_string_lossy();
    if let Some(class) = link.strip_prefix("anon_inode:") {
        return anonymous(class);
    }
    if link.starts_with("/secretmem (deleted)") {
        return "secret memory (memfd_secret)".to_owned();
    }
    if probe.file_type() == libc::S_IFSOCK {
        return socket(probe);
    }
    if is_shared_memory(probe) {
        return "a descriptor of shared anonymous memory".to_owned();
    }
    match link.split_once(":[") {
        Some((space @ ("mnt" | "net" | "pid" | "user" | "uts" | "ipc" | "cgroup" | "time"), _)) => format!("a {space} namespace"),
        _ => name::type_word(probe.stat.mode).to_owned(),
    }
}

/// Whether a descriptor reaches shared memory that has no name (through `/proc/PID/map_files`): a copy of its contents would not be shared with
/// the mappings any more.
pub fn is_shared_memory(probe: &Probe<'_>) -> bool {
    let link = probe.link.to_string_lossy();
    let is_named_so = link == "/dev/zero (deleted)" || link.starts_with("/SYSV") && link.ends_with(" (deleted)");
    is_named_so && probe.file_type() == libc::S_IFREG && probe.is_deleted()
}

/// What policies are told that an object is which no kind knows, in one word.
pub fn word_of(probe: &Probe<'_>) -> &'static str {
    match probe.file_type() {
        libc::S_IFSOCK => "socket",
        libc::S_IFCHR | libc::S_IFBLK => "device",
        _ => {
            let link = probe.link.to_string_lossy();
            ["inotify", "fanotify", "userfaultfd", "io_uring", "perf_event", "bpf", "pidfd"]
                .into_iter()
                .find(|word| link.contains(word))
                .unwrap_or("unknown")
        }
    }
}

fn anonymous(class: &str) -> String {
    let class = class.trim_matches(['[', ']']);
    let word = match class {
        "eventfd" => "an eventfd",
        "eventpoll" => "an epoll instance",
        "inotify" => "an inotify instance",
        "fanotify" => "a fanotify group",
        "io_uring" => "an io_uring instance",
        "timerfd" => "a timerfd",
        "signalfd" => "a signalfd",
        "userfaultfd" => "a userfaultfd",
        "pidfd" => "a pidfd",
        "perf_event" => "a performance counter",
        "fscontext" => "a file system being configured",
        "landlock-ruleset" => "a Landlock rule set",
        "seccomp notify" => "a seccomp notifier",
        _ if class.starts_with("bpf") => "a BPF object",
        _ if class.starts_with("kvm") => "a KVM object",
        _ => return format!("a kernel object of class {class}"),
    };
    word.to_owned()
}

fn socket(probe: &Probe<'_>) -> String {
    let option = |option| probe.copy().ok().and_then(|copy| descriptor::socket_option(copy, option).ok());
    let (domain, kind, protocol) = (option(libc::SO_DOMAIN), option(libc::SO_TYPE), option(libc::SO_PROTOCOL));
    let word = match (domain, kind, protocol) {
        (Some(libc::AF_UNIX), ..) => "a Unix socket",
        (Some(libc::AF_INET | libc::AF_INET6), _, Some(libc::IPPROTO_MPTCP)) => "an MPTCP socket",
        (Some(libc::AF_INET | libc::AF_INET6), _, Some(libc::IPPROTO_SCTP)) => "an SCTP socket",
        (Some(libc::AF_INET | libc::AF_INET6), Some(libc::SOCK_STREAM), _) => "a TCP socket",
        (Some(libc::AF_INET | libc::AF_INET6), Some(libc::SOCK_DGRAM), _) => "a UDP socket",
        (Some(libc::AF_INET | libc::AF_INET6), Some(_), _) => "a raw network socket",
        (Some(libc::AF_PACKET), ..) => "a packet socket",
        (Some(libc::AF_XDP), ..) => "an XDP socket",
        (Some(libc::AF_NETLINK), ..) => "a netlink socket of this protocol",
        (Some(libc::AF_VSOCK), ..) => "a VM socket",
        (Some(libc::AF_ALG), ..) => "a socket of the kernel's ciphers (AF_ALG)",
        (Some(libc::AF_CAN), ..) => "a CAN socket",
        (Some(libc::AF_BLUETOOTH), ..) => "a Bluetooth socket",
        (Some(domain), ..) => return format!("a socket of address family {domain}"),
        (None, ..) => "a socket",
    };
    word.to_owned()
}

#[cfg(test)]
#[path = "round_test.rs"]
mod test;
