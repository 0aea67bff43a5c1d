//! TCP sockets, over IPv4 and IPv6 (tcp(7)): listening, connected with both ends in the job, connecting, bound, idle and dead ones.
//!
//! **Kept:** addresses, options of all levels, classic filters, backlog, groups of SO_REUSEPORT; connections with both ends in the job, made anew
//! between the same addresses: all data on its way in both directions with its urgent byte, what each end has shut down, connections that wait to
//! be accepted; connections whose other end is closed, with what it has left; calls that are under way (SYN sent), which are made again.
//! **Lost:** which error an ended connection reports, if not that it was refused or reset; connections that wait to be accepted and come from outside,
//! with a warning: they are reset; the order in which several clients of the job wait; what was agreed upon for a connection (window scale,
//! segment size), which is agreed upon anew; MD5 keys (TCP_MD5SIG), which nothing shows.
//! **Refused:** connections to others than the job, unless a policy closes them; data of a connection that is not accepted yet; data that has no room at the
//! other end, where a user may not make that room; encryption in the kernel (TCP_ULP), eBPF filters; at restart, addresses that cannot be had.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::inet::{self, Address};
use super::inet_option::{self, TCP, TCP_CORK, TCP_UNCONNECTED, Table};
use super::socket_option::{self, SocketOption};
use super::tcp_queue::{self, Stream};
use super::{open, tcp_make};
use crate::image::{Description, DescriptionId, Object, ObjectId, Snapshot, Tag};
use crate::resource::{Build, Built, Capture, Facts, FileKind, KindError, Opened, Parting, Plan, Probe};
use crate::sys::diag::Diag;
use crate::sys::inet_diag::{self, InetSocket};
use crate::sys::{descriptor, socket};

/// TCP sockets.
pub struct Tcp;

/// A socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpV1 {
    /// AF_INET or AF_INET6.
    pub family: i32,
    /// Whose it is: user and group.
    pub owner: (u32, u32),
    /// Where it is bound.
    pub local: Option<Address>,
    /// Options of all levels.
    pub options: Vec<SocketOption>,
    /// What it does.
    pub form: Form,
}

/// What a socket does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Nothing yet.
    Idle,
    /// It waits for connections.
    Listening {
        /// As many may wait to be accepted.
        backlog: i32,
        /// Sockets of the job with the same port, which are made before it listens.
        after: Vec<DescriptionId>,
    },
    /// It waits for the answer of somebody.
    Calling(Address),
    /// It has a connection.
    Connected(Connection),
    /// It had one.
    Ended {
        /// What was left to read.
        unread: Stream,
        /// How it ended.
        end: End,
    },
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Both have said their last, or the error has been seen.
    Closed,
    /// Nobody has answered; the job has not been told.
    Refused,
    /// It was broken; the job has not been told.
    Reset,
}

/// One end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Address of the other end.
    pub peer: Address,
    /// Who has the other end.
    pub partner: Partner,
    /// What the other end has sent and this one has not read.
    pub unread: Stream,
    /// It will send no more.
    pub said_last: bool,
    /// The other end will send no more.
    pub heard_last: bool,
    /// It wants to read no more.
    pub is_deaf: bool,
}

/// Who has the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Partner {
    /// The job, by this description.
    Inside(DescriptionId),
    /// Nobody yet: it waits to be accepted by this listener of the job.
    Waiting(DescriptionId),
    /// Nobody any more.
    Gone,
}

/// States of `net/tcp_states.h`.
pub mod state {
    #![allow(missing_docs, reason = "the names are the kernel's")]
    pub const ESTABLISHED: u8 = 1;
    pub const SYN_SENT: u8 = 2;
    pub const SYN_RECV: u8 = 3;
    pub const FIN_WAIT1: u8 = 4;
    pub const FIN_WAIT2: u8 = 5;
    pub const CLOSE: u8 = 7;
    pub const CLOSE_WAIT: u8 = 8;
    pub const LAST_ACK: u8 = 9;
    pub const LISTEN: u8 = 10;
    pub const CLOSING: u8 = 11;
}

/// `struct tcp_info`, as far as it matters.
struct Info(Vec<u8>);

impl Info {
    fn of(fd: BorrowedFd<'_>) -> Result<Info, KindError> {
        let info = socket::option(fd, libc::IPPROTO_TCP, libc::TCP_INFO, 256);
        info.map(Info).map_err(|errno| KindError::host("read the state of a TCP socket", errno))
    }

    fn state(&self) -> u8 {
        self.0.first().copied().unwrap_or(0)
    }

    /// Of a listening socket: as many may wait to be accepted.
    fn backlog(&self) -> i32 {
        self.0.get(28..32).and_then(|word| word.try_into().ok()).map_or(0, i32::from_ne_bytes)
    }

    /// Whether the other end has ever answered: it has agreed upon something (TCPI_OPT_TIMESTAMPS, SACK, WSCALE), or acknowledged something.
    fn was_answered(&self) -> bool {
        let has_agreed = self.0.get(5).is_none_or(|options| options & 7 != 0);
        has_agreed || self.0.get(120..128).is_none_or(|word| word.iter().any(|byte| *byte != 0))
    }
}

impl TcpV1 {
    /// Family, type and protocol.
    pub fn sort(&self) -> (i32, i32, i32) {
        (self.family, libc::SOCK_STREAM, libc::IPPROTO_TCP)
    }

    /// The tables of its options that are set before it is bound.
    pub fn early_tables(&self) -> Vec<Table> {
        let own: &[Table] = if matches!(self.form, Form::Idle | Form::Listening { .. }) { &[TCP_UNCONNECTED, TCP] } else { &[] };
        [inet_option::of_family(self.family), own].concat()
    }
}

impl FileKind for Tcp {
    type State = TcpV1;
    const TAG: Tag = Tag::new("tcp", 1);

    fn word(&self) -> &'static str {
        "socket"
    }

    fn claims(&self, probe: &Probe<'_>) -> bool {
        inet::sort(probe)
            .is_some_and(|(family, kind, protocol)| inet::is_inet(family) && (kind, protocol) == (libc::SOCK_STREAM, libc::IPPROTO_TCP))
    }

    fn is_restorable(&self, probe: &Probe<'_>, facts: &Facts) -> bool {
        let Ok(fd) = probe.copy() else { return false };
        let end = |address: Result<Option<Address>, KindError>| address.ok().flatten().and_then(|address| address.end());
        let (Some(here), Some(there)) = (end(inet::local_of(fd)), end(inet::peer_of(fd))) else { return true };
        let is_waiting = |side: &Side| matches!(side, Side::Waiting { listener: None, .. });
        side((here, there), probe.stat.ino, facts).is_ok_and(|side| side != Side::Outside && !is_waiting(&side))
    }

    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<TcpV1, KindError> {
        let (probe, fd) = (probes[0], probes[0].copy()?);
        let (family, ..) = inet::sort(probe).unwrap_or_default();
        refuse_layers(fd)?;
        let mut saved =
            TcpV1 { family, owner: (probe.stat.uid, probe.stat.gid), local: inet::local_of(fd)?, options: Vec::new(), form: Form::Idle };
        saved.form = Look { fd, inode: probe.stat.ino, saved: &saved }.form(cx)?;
        let tables = [&saved.early_tables()[..], &[TCP, TCP_CORK]].concat();
        let had_peer = !matches!(saved.form, Form::Idle | Form::Listening { .. });
        saved.options = inet::options(fd, saved.local.as_ref(), had_peer, &tables)?;
        if matches!(saved.form, Form::Connected(_)) {
            let own = descriptor::duplicate_from(fd, 0).map_err(|errno| KindError::host("duplicate a socket", errno))?;
            cx.partings.push(Box::new(Hurry(own)));
        }
        Ok(saved)
    }

    fn needs(&self, state: &TcpV1, snapshot: &Snapshot) -> Vec<ObjectId> {
        let object = |id: &DescriptionId| snapshot.descriptions.get(*id as usize).map(|description| description.object);
        match &state.form {
            Form::Listening { after, .. } => after.iter().filter_map(object).collect(),
            Form::Connected(Connection { partner: Partner::Waiting(listener), .. }) => object(listener).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn plan(&self, state: &TcpV1, _: (ObjectId, &Object), _: &mut Plan<'_>) -> Result<(), KindError> {
        state.local.as_ref().map_or(Ok(()), |local| inet::check(state.sort(), local, &state.options, "TCP"))
    }

    fn build(&self, state: &TcpV1, (id, _): (ObjectId, &Object), cx: &mut Build<'_>) -> Result<Built, KindError> {
        let made = tcp_make::make(state, id, cx)?;
        Ok(Built { descriptors: made, ..Built::default() })
    }

    fn open(&self, _: &TcpV1, built: &Built, _: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        open::duplicate(&built.descriptors[0]).map(Opened::New)
    }

    fn settle(&self, state: &TcpV1, built: &Built, _: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<(), KindError> {
        let fd = built.descriptors[0].as_fd();
        cx.warnings.extend(socket_option::restore_quiet(fd, &state.options)?);
        cx.warnings.extend(inet_option::restore(fd, &state.options, &[TCP_CORK])?);
        Ok(())
    }
}

/// What stands upon TCP and nothing shows.
fn refuse_layers(fd: BorrowedFd<'_>) -> Result<(), KindError> {
    const TCP_ULP: i32 = 31;
    let name = socket::option(fd, libc::IPPROTO_TCP, TCP_ULP, 16).unwrap_or_default();
    let name = String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned();
    if name.is_empty() {
        return Ok(());
    }
    let what = format!("a TCP socket with {name:?} in the kernel (TCP_ULP)");
    Err(KindError::Unsupported { what, remedy: "let the program encrypt by itself: OpenSSL without the option ktls".into() })
}

/// A look at a socket of a job that stands still.
struct Look<'a> {
    fd: BorrowedFd<'a>,
    inode: u64,
    saved: &'a TcpV1,
}

impl Look<'_> {
    fn form(&self, cx: &mut Capture) -> Result<Form, KindError> {
        let mut info = Info::of(self.fd)?;
        if matches!(info.state(), state::LAST_ACK | state::CLOSING) {
            // Its end is a matter of moments when the other end is on this machine.
            let is_over = || Ok(Info::of(self.fd).is_ok_and(|info| info.state() == state::CLOSE));
            tcp_queue::wait_until(Duration::from_millis(500), is_over).map_err(|errno| KindError::host("wait for an end", errno))?;
            info = Info::of(self.fd)?;
        }
        match info.state() {
            state::CLOSE => self.closed(&info),
            state::LISTEN => self.listening(info.backlog(), cx),
            state::SYN_SENT => {
                let shown = cx.facts.network.find(self.saved.family, libc::IPPROTO_TCP, self.inode)?;
                let peer = shown.map(|shown| Address::of(self.saved.family, shown.peer)).ok_or_else(not_shown)?;
                Ok(Form::Calling(peer))
            }
            now => self.connected(now, cx).map(Form::Connected),
        }
    }

    fn closed(&self, info: &Info) -> Result<Form, KindError> {
        let now = socket::events(self.fd).map_err(|errno| KindError::host("poll a socket", errno))?;
        let left = descriptor::readable_bytes(self.fd).map_err(|errno| KindError::host("ask what a socket has to read", errno))?;
        let end = match (now & libc::POLLERR != 0, now & libc::POLLRDHUP != 0) {
            (false, false) => return Ok(Form::Idle),
            (false, true) => End::Closed,
            (true, _) if info.was_answered() => End::Reset,
            (true, _) => End::Refused,
        };
        Ok(Form::Ended { unread: tcp_queue::peek(self.fd, left, self.is_inline())?, end })
    }

    fn is_inline(&self) -> bool {
        descriptor::socket_option(self.fd, libc::SO_OOBINLINE).is_ok_and(|value| value != 0)
    }

    fn listening(&self, backlog: i32, cx: &mut Capture) -> Result<Form, KindError> {
        let port = self.saved.local.as_ref().map_or(0, Address::port);
        let (mut after, mut strangers) = (Vec::new(), 0);
        for shown in &everybody(&cx.facts)? {
            if shown.local.port() != port || shown.inode == self.inode || shown.state == state::LISTEN {
                continue;
            }
            after.extend(cx.facts.sockets.get(&shown.inode).copied().flatten());
            let is_waiting = shown.inode == 0 && is_accepted_later(shown.state);
            strangers += usize::from(is_waiting && !is_of_job(cx, shown)?);
        }
        if strangers > 0 {
            cx.warnings.push(format!("{strangers} connections that wait to be accepted come from outside the job and will be reset"));
        }
        Ok(Form::Listening { backlog, after })
    }

    fn connected(&self, now: u8, cx: &mut Capture) -> Result<Connection, KindError> {
        let peer = inet::peer_of(self.fd)?.ok_or_else(not_shown)?;
        let (here, there) = (self.saved.local.as_ref().and_then(Address::end), peer.end());
        let (Some(here), Some(there)) = (here, there) else { return Err(not_shown()) };
        let partner = self.partner(here, there, cx)?;
        tcp_queue::pull(self.fd, here, there)?;
        let diag = Diag::open().map_err(|errno| KindError::host("ask the kernel about sockets (sock_diag)", errno))?;
        let shown = match inet_diag::one(&diag, libc::IPPROTO_TCP, here, there) {
            Ok(shown) => shown,
            Err(errno) => return Err(KindError::host("ask the kernel about a TCP connection (sock_diag)", errno)),
        };
        let heard_last = matches!(shown.state, state::CLOSE_WAIT | state::LAST_ACK | state::CLOSING);
        let total = usize::try_from(shown.unread).unwrap_or(0).saturating_sub(usize::from(heard_last));
        Ok(Connection {
            peer,
            partner,
            unread: tcp_queue::peek(self.fd, total, self.is_inline())?,
            said_last: matches!(now, state::FIN_WAIT1 | state::FIN_WAIT2 | state::LAST_ACK | state::CLOSING),
            heard_last,
            is_deaf: shown.shut & 1 != 0 && !heard_last,
        })
    }

    /// Who has the other end, in the description.
    fn partner(&self, here: SocketAddr, there: SocketAddr, cx: &Capture) -> Result<Partner, KindError> {
        let description = |inode: u64| cx.facts.sockets.get(&inode).copied().flatten();
        let refusal = |what: String, remedy: &str| Err(KindError::Unsupported { what, remedy: remedy.into() });
        match side((here, there), self.inode, &cx.facts)? {
            Side::Gone => return Ok(Partner::Gone),
            // A policy may have closed the other end.
            Side::Inside(inode) => return Ok(description(inode).map_or(Partner::Gone, Partner::Inside)),
            Side::Waiting { bytes, .. } if bytes > 0 => {
                let what = format!("a TCP connection to {there} that is not accepted yet and has {bytes} bytes to read");
                return refusal(what, "try again when the server has accepted it");
            }
            Side::Waiting { listener, .. } => {
                if let Some(description) = listener.and_then(description) {
                    return Ok(Partner::Waiting(description));
                }
            }
            Side::Outside => {}
        }
        let what = format!("a TCP connection from {here} to {there}, which is not of the job,");
        refusal(what, "save both ends together, or let a script decide \"close\" for it: hooks/close_sockets.lua")
    }
}

/// Who has the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// A socket of the job, by inode number.
    Inside(u64),
    /// It waits to be accepted, with this many bytes to read; the listener, if that is of the job.
    Waiting { listener: Option<u64>, bytes: usize },
    /// Nobody any more.
    Gone,
    /// Somebody else.
    Outside,
}

/// Who has the other end of the connection that socket `inode` has.
fn side((here, there): (SocketAddr, SocketAddr), inode: u64, facts: &Facts) -> Result<Side, KindError> {
    let all = everybody(facts)?;
    let other = all.iter().find(|one| (one.local, one.peer) == (there, here));
    Ok(match other {
        Some(other) if other.inode == inode => Side::Outside,
        Some(other) if facts.sockets.contains_key(&other.inode) => Side::Inside(other.inode),
        Some(other) if other.inode == 0 && is_accepted_later(other.state) => {
            let is_last_heard = usize::from(other.state == state::CLOSE_WAIT);
            let bytes = usize::try_from(other.unread).unwrap_or(0).saturating_sub(is_last_heard);
            let mut listeners = all.iter().filter(|one| one.state == state::LISTEN && one.local.port() == there.port());
            let listener = listeners.find(|one| facts.sockets.contains_key(&one.inode)).map(|one| one.inode);
            Side::Waiting { listener, bytes }
        }
        Some(other) if other.inode == 0 => Side::Gone,
        None if inet::is_loopback(there.ip()) || there.ip() == here.ip() => Side::Gone,
        Some(_) | None => Side::Outside,
    })
}

/// Whether an end that nobody holds waits to be accepted, rather than to come to its end.
fn is_accepted_later(now: u8) -> bool {
    matches!(now, state::ESTABLISHED | state::SYN_RECV | state::CLOSE_WAIT)
}

/// Whether the client of a connection that waits is of the job.
fn is_of_job(cx: &Capture, waiting: &InetSocket) -> Result<bool, KindError> {
    let all = everybody(&cx.facts)?;
    let client = all.iter().find(|one| (one.local, one.peer) == (waiting.peer, waiting.local));
    Ok(client.is_some_and(|client| cx.facts.sockets.contains_key(&client.inode)))
}

/// All TCP sockets: an end of IPv6 may have a partner of IPv4.
fn everybody(facts: &Facts) -> Result<Vec<InetSocket>, KindError> {
    let network = &facts.network;
    let (four, six) = (network.all(libc::AF_INET, libc::IPPROTO_TCP)?, network.all(libc::AF_INET6, libc::IPPROTO_TCP)?);
    Ok(four.iter().chain(six.iter()).cloned().collect())
}

fn not_shown() -> KindError {
    let remedy = "try again; a socket of another network namespace cannot be saved".into();
    KindError::Unsupported { what: "a TCP socket that the kernel does not show".into(), remedy }
}

/// A job that is ended leaves no ports in TIME_WAIT: it needs them again.
#[derive(Debug)]
struct Hurry(OwnedFd);

impl Parting for Hurry {
    fn part(self: Box<Self>) -> Result<(), KindError> {
        let now = [1i32.to_ne_bytes(), 0i32.to_ne_bytes()].concat();
        let set = socket::set_option(self.0.as_fd(), libc::SOL_SOCKET, libc::SO_LINGER, &now);
        set.map_err(|errno| KindError::host("set the socket option SO_LINGER", errno))
    }
}

#[cfg(test)]
#[path = "tcp_test.rs"]
mod test;
