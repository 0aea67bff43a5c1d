//! Pseudo-terminals whose master the job has, and slaves that have been hung up.
//!
//! **Kept:** master and slave with their number, modes, window, packet mode, lock, exclusive use; whether the slave is open, was closed or was never
//! opened; owner and mode of the slave; input by lines, ends of files, the beginning of a line, output, and whether output is stopped; the
//! session that it controls with its foreground group, whatever is asked about sessions; descriptors of `/dev/tty`; what was hung up.
//! **Lost:** the number, when somebody has it at the restart; status of packet mode that nobody has read; where the cursor was for the
//! erasing of tabs; owners that the user of the restart may not give.
//! **Refused:** a slave with a session, or descriptors, outside of the job, unless a policy lets the job lose them (`"hang_up"`); line disciplines other than the terminal's own.
//!
//! What waits in it is taken and put back while the job stands still, by a process of its own that a killed checkpoint does not take with it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::poll::PollFlags;
use nix::sys::stat::fstat;
use serde::{Deserialize, Serialize};

use super::terminal::{ModesV1, WindowV1};
use super::tty_queue::{self, Failed, QueueV1, Visit};
use super::{open, pts};
use crate::image::{Description, Object, ObjectAction, ObjectId, Tag};
use crate::resource::{Build, Built, Capture, Control, FileKind, Identity, KindError, Opened, Plan, Probe};
use crate::sys::{Errno, terminal};

/// Pseudo-terminals.
pub struct Pty;

/// A pseudo-terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PtyV1 {
    /// Its number.
    pub number: u32,
    /// Where its master comes from.
    #[serde(with = "crate::image::path")]
    pub multiplexor: PathBuf,
    /// Number of descriptions of a slave that was hung up.
    pub hung_up: u32,
    /// The pair, if the job has its master.
    pub pair: Option<PairV1>,
}

/// Master and slave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairV1 {
    /// What has become of the slave.
    pub slave: Slave,
    /// Modes of the slave.
    pub modes: ModesV1,
    /// The window.
    pub window: WindowV1,
    /// Whether the slave cannot be opened.
    pub is_locked: bool,
    /// Whether the master is in packet mode.
    pub is_packets: bool,
    /// Whether the slave can be opened by nobody else.
    pub is_exclusive: bool,
    /// User, group and mode of the slave.
    pub owner: (u32, u32, u32),
    /// The session that it controls, and the foreground group.
    pub session: Option<(i32, i32)>,
    /// What waits in it.
    pub queue: QueueV1,
}

/// What has become of a slave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slave {
    /// Nobody has opened it yet.
    Never,
    /// Everybody has closed it.
    Closed,
    /// The job has it open.
    Open,
}

/// What a description reaches; numbers from [`HUNG_UP`] on: a slave that was hung up, each its own.
const MASTER: u32 = 0;
const SLAVE: u32 = 1;
const OWN: u32 = 2;
const HUNG_UP: u32 = 3;

fn part(probe: &Probe<'_>) -> u32 {
    match probe.stat.special() {
        pts::MULTIPLEXOR => MASTER,
        _ if probe.copy().is_ok_and(|copy| terminal::modes(copy) == Err(Errno::EIO)) => HUNG_UP,
        pts::OWN => OWN,
        _ => SLAVE,
    }
}

impl FileKind for Pty {
    type State = PtyV1;
    const TAG: Tag = Tag::new("pty", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        probe.file_type() == libc::S_IFCHR && pts::number(probe).is_some()
    }

    fn identity(&self, probe: &Probe<'_>) -> Identity {
        pts::number(probe).map_or(Identity::Description, |(mount, number)| Identity::Inode(mount, number.into()))
    }

    fn takes(&self, action: ObjectAction) -> bool {
        action == ObjectAction::HangUp
    }

    /// Without its master a slave is a terminal that others hold.
    fn accepts(&self, probes: &[&Probe<'_>]) -> bool {
        probes.iter().any(|probe| !matches!(part(probe), SLAVE | OWN))
    }

    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<PtyV1, KindError> {
        let mut next = HUNG_UP..;
        let numbered = |part| if part == HUNG_UP { next.next().unwrap_or(part) } else { part };
        cx.parts = probes.iter().map(|probe| part(probe)).map(numbered).collect();
        let hung_up = cx.parts.iter().filter(|part| **part >= HUNG_UP).count();
        let of = |wanted| probes.iter().zip(&cx.parts).find(|(_, part)| **part == wanted).map(|(probe, _)| *probe);
        let number = pts::number(probes[0]).ok_or_else(|| KindError::host("read the number of a pseudo-terminal", Errno::ENODEV))?;
        let (master, slave) = (of(MASTER), of(SLAVE));
        let multiplexor = master.map_or_else(|| PathBuf::from("/dev/ptmx"), |master| master.link.to_owned());
        cx.name = Some(PathBuf::from(format!("/dev/pts/{}", number.1)));
        let is_open = slave.or(of(OWN)).is_some();
        let pair = master.map(|master| capture_pair(master, slave, is_open, number, cx)).transpose()?;
        Ok(PtyV1 { number: number.1, multiplexor, hung_up: u32::try_from(hung_up).unwrap_or(0), pair })
    }

    fn control(&self, state: &PtyV1) -> Option<Control> {
        let (session, foreground) = state.pair.as_ref()?.session?;
        Some(Control { session, foreground })
    }

    fn plan(&self, state: &PtyV1, _: (ObjectId, &Object), cx: &mut Plan<'_>) -> Result<(), KindError> {
        pts::multiplexor(&(cx.path)(&state.multiplexor), cx.actor).map(drop)
    }

    /// Slaves that are hung up, one by one; then the master and, if anybody needs it, the slave.
    fn build(&self, state: &PtyV1, (id, _): (ObjectId, &Object), cx: &mut Build<'_>) -> Result<Built, KindError> {
        let of_object = || cx.snapshot.descriptions.iter().filter(|description| description.object == id);
        let mut hung_up: Vec<(u32, i32)> = of_object().map(|description| (description.part, description.flags)).collect();
        hung_up.retain(|(part, _)| *part >= HUNG_UP);
        hung_up.sort_unstable();
        let mut built = Built::default();
        if !hung_up.is_empty() {
            let number = if state.pair.is_none() { state.number } else { u32::MAX };
            let master = master(state, number, libc::O_RDWR, cx)?;
            for (_, flags) in hung_up {
                let slave = terminal::open_slave(master.as_fd(), flags & libc::O_ACCMODE);
                built.descriptors.push(slave.map_err(|errno| KindError::host("open the slave of a pseudo-terminal", errno))?);
            }
        }
        let Some(pair) = &state.pair else { return Ok(built) };
        let flags = of_object().find(|description| description.part == MASTER).map_or(libc::O_RDWR, |description| description.flags);
        let master = master(state, state.number, flags & libc::O_ACCMODE, cx)?;
        let attempt = |errno| KindError::path("make the pseudo-terminal that was", format!("/dev/pts/{}", state.number), errno);
        pair.modes.set(master.as_fd()).map_err(attempt)?;
        pair.window.set(master.as_fd()).map_err(attempt)?;
        let slave = (pair.slave == Slave::Open || pair.session.is_some())
            .then(|| terminal::open_slave(master.as_fd(), libc::O_RDWR | libc::O_NONBLOCK).map_err(attempt))
            .transpose()?;
        built.descriptors.push(master);
        built.terminal = slave.is_some().then_some(built.descriptors.len());
        built.descriptors.extend(slave);
        Ok(built)
    }

    fn open(&self, state: &PtyV1, built: &Built, description: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        let missing = || KindError::Inconsistent { what: format!("part {} of pseudo-terminal {}", description.part, state.number) };
        let at = |index: usize| built.descriptors.get(index).ok_or_else(missing);
        let slave = || built.terminal.ok_or_else(missing).and_then(at);
        let attempt = |errno| KindError::path("open the pseudo-terminal", format!("/dev/pts/{}", state.number), errno);
        match description.part {
            MASTER => open::duplicate(at(state.hung_up as usize)?).map(Opened::New),
            SLAVE => open::reopen(slave()?.as_fd(), description.flags).map(Opened::New).map_err(attempt),
            OWN => terminal::open_as_own(slave()?.as_fd(), description.flags & libc::O_ACCMODE).map(Opened::New).map_err(attempt),
            other => open::duplicate(at((other - HUNG_UP) as usize)?).map(Opened::New),
        }
    }

    fn settle(&self, state: &PtyV1, built: &Built, _: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<(), KindError> {
        let (Some(pair), Some(master)) = (&state.pair, built.descriptors.get(state.hung_up as usize)) else { return Ok(()) };
        let path = format!("/dev/pts/{}", state.number);
        let attempt = |errno| KindError::path("settle the pseudo-terminal", &path, errno);
        let failed = |Failed(attempt, errno)| KindError::path(attempt, &path, Errno::from_raw(errno));
        let visit = Visit::new(master.as_fd(), pair.slave != Slave::Never).map_err(attempt)?;
        if !pair.queue.is_empty() {
            pair.queue.put(master.as_fd(), visit.slave(), &pair.modes).map_err(failed)?;
        }
        let kept_from = pts::give(visit.slave(), pair.owner).map_err(attempt)?;
        cx.warnings.extend(kept_from.map(|what| format!("the pseudo-terminal {path} is another's: {what}")));
        if pair.is_exclusive {
            terminal::set_exclusive(visit.slave(), true).map_err(attempt)?;
        }
        drop(visit);
        if pair.is_packets {
            terminal::set_packets(master.as_fd(), true).map_err(attempt)?;
        }
        terminal::set_locked(master.as_fd(), pair.is_locked).map_err(attempt)
    }
}

/// Opens a master, with its number if that can be had.
fn master(state: &PtyV1, number: u32, flags: i32, cx: &mut Build<'_>) -> Result<OwnedFd, KindError> {
    let records = cx.snapshot.objects.iter().filter(|object| object.record.kind == Pty::TAG.kind);
    let wanted: Vec<u32> = records.filter_map(|object| object.record.decode::<PtyV1>(Pty::TAG).ok()).map(|other| other.number).collect();
    let path = pts::multiplexor(&(cx.path)(&state.multiplexor), cx.actor)?;
    let (master, now) = pts::open(&path, cx.actor, flags, number, &wanted)?;
    if now != number && number != u32::MAX {
        cx.warnings.push(format!("somebody has the pseudo-terminal {number}: it is {} now", pts::slave_beside(&path, now).display()));
    }
    Ok(master)
}

fn capture_pair(
    master: &Probe<'_>,
    slave: Option<&Probe<'_>>,
    is_open: bool,
    number: pts::Number,
    cx: &mut Capture,
) -> Result<PairV1, KindError> {
    let copy = master.copy()?;
    let attempt = |errno| KindError::path("look at the pseudo-terminal", format!("/dev/pts/{}", number.1), errno);
    let session = terminal::session(copy).map_err(attempt)?.filter(|session| !hangs_up(cx) || cx.facts.is_member(*session));
    let is_shared = outsider(session, number, cx)?;
    let modes = ModesV1::of(copy).map_err(attempt)?;
    if modes.discipline != 0 {
        let what = format!("the pseudo-terminal /dev/pts/{} with line discipline {}", number.1, modes.discipline);
        return Err(KindError::Unsupported { what, remedy: "let the program that has set it end first".into() });
    }
    let is_closed = || tty_queue::has(copy, PollFlags::POLLHUP).map_err(attempt);
    let slave_state = match is_open {
        true => Slave::Open,
        false if hangs_up(cx) || is_closed()? => Slave::Closed,
        false => Slave::Never,
    };
    let is_packets = terminal::is_packets(copy).map_err(attempt)?;
    if is_packets && tty_queue::has(copy, PollFlags::POLLPRI).map_err(attempt)? {
        cx.warnings.push(format!("status of the packet mode of /dev/pts/{} that nobody has read is not kept", number.1));
    }
    let visited = if is_shared { look(copy) } else { visit(copy, slave, slave_state) };
    let visited =
        visited.map_err(|Failed(attempt, errno)| KindError::path(attempt, format!("/dev/pts/{}", number.1), Errno::from_raw(errno)))?;
    Ok(PairV1 {
        slave: slave_state,
        modes,
        window: WindowV1::of(copy).map_err(attempt)?,
        is_locked: terminal::is_locked(copy).map_err(attempt)?,
        is_packets,
        is_exclusive: visited.is_exclusive,
        owner: visited.owner,
        session: session.map(|session| Ok((session, terminal::foreground(copy)?))).transpose().map_err(attempt)?,
        queue: visited.queue,
    })
}

fn hangs_up(cx: &Capture) -> bool {
    cx.action == Some(ObjectAction::HangUp)
}

/// Whether others have the slave, which the job loses then; without a decision they are refused.
fn outsider(session: Option<i32>, number: pts::Number, cx: &mut Capture) -> Result<bool, KindError> {
    let path = format!("/dev/pts/{}", number.1);
    let session = session.filter(|session| !cx.facts.is_member(*session));
    let Some(who) = session
        .map(|session| format!("which controls session {session}"))
        .or_else(|| cx.facts.terminal_holder(number).map(|pid| format!("which process {pid}")))
    else {
        return Ok(false);
    };
    if hangs_up(cx) {
        cx.warnings.push(format!(
            "others have the pseudo-terminal {path}: the job comes back as if they had closed it, and what waits in it is lost"
        ));
        return Ok(true);
    }
    let what = if session.is_some() {
        format!("the master of the pseudo-terminal {path}, {who} outside of the job,")
    } else {
        format!("the pseudo-terminal {path}, {who} outside of the job has open,")
    };
    Err(KindError::Unsupported {
        what,
        remedy: "checkpoint the whole tree or session, end who has it, or decide \"hang_up\" or \"close\" in object-disposition".into(),
    })
}

/// What only an open slave shows.
#[derive(Serialize, Deserialize)]
struct Visited {
    is_exclusive: bool,
    owner: (u32, u32, u32),
    queue: QueueV1,
}

/// Looks at a slave that others have, and takes nothing out of it.
fn look(master: BorrowedFd<'_>) -> Result<Visited, Failed> {
    let attempt = || tty_queue::at("open the slave of");
    let visit = Visit::new(master, true).map_err(attempt())?;
    let owner = owner(visit.slave()).map_err(attempt())?;
    Ok(Visited { is_exclusive: false, owner, queue: QueueV1::default() })
}

/// Looks at a slave: through a descriptor of the job if that is enough, else through one of our own, apart.
fn visit(master: BorrowedFd<'_>, slave: Option<&Probe<'_>>, state: Slave) -> Result<Visited, Failed> {
    let failed = tty_queue::at;
    let known = slave.and_then(|slave| slave.copy().ok());
    let is_exclusive = match known {
        Some(slave) => terminal::is_exclusive(slave).map_err(failed("look at"))?,
        None => false,
    };
    if let Some(slave) = known
        && !tty_queue::may_wait(master, slave).map_err(failed("look at"))?
    {
        let owner = owner(slave).map_err(failed("look at"))?;
        return Ok(Visited { is_exclusive, owner, queue: QueueV1::default() });
    }
    let work = || {
        // Root alone may open what is exclusive; for a moment it is not.
        let lent = known.filter(|_| is_exclusive);
        let lend = |is_exclusive| lent.map_or(Ok(()), |slave| terminal::set_exclusive(slave, is_exclusive));
        lend(false).map_err(failed("look at"))?;
        let visited = Visit::new(master, state != Slave::Never).map_err(failed("open the slave of")).and_then(|visit| {
            let is_exclusive = is_exclusive || terminal::is_exclusive(visit.slave()).map_err(failed("look at"))?;
            let owner = owner(visit.slave()).map_err(failed("look at"))?;
            Ok(Visited { is_exclusive, owner, queue: QueueV1::copy(master, visit.slave())? })
        });
        lend(true).map_err(failed("look at"))?;
        visited
    };
    let answer = terminal::apart(|| rmp_serde::to_vec(&work()).unwrap_or_default()).map_err(failed("start a process that looks at"))?;
    rmp_serde::from_slice::<Result<Visited, Failed>>(&answer)
        .unwrap_or_else(|_| Err(Failed("understand what waits in".into(), libc::EPROTO)))
}

fn owner(slave: BorrowedFd<'_>) -> Result<(u32, u32, u32), Errno> {
    fstat(slave).map(|found| (found.st_uid, found.st_gid, found.st_mode & 0o7777))
}

#[cfg(test)]
mod test {
    use super::super::test::Round;
    use super::*;

    fn pair() -> (OwnedFd, OwnedFd) {
        let pair = nix::pty::openpty(None, None).unwrap();
        (pair.master, pair.slave)
    }

    fn text(fd: &OwnedFd) -> Vec<u8> {
        let mut room = vec![0; 100];
        let bytes = nix::unistd::read(fd, &mut room).unwrap();
        room.truncate(bytes);
        room
    }

    #[test]
    fn what_waits_is_copied_and_still_there() {
        let (master, slave) = pair();
        nix::unistd::write(&master, b"a\nb\x16\x04\x04\x04c").unwrap();
        nix::unistd::write(&slave, b"out").unwrap();
        let round = Round::of(&Pty, &[&master, &slave]);
        let queue = &round.state.pair.as_ref().unwrap().queue;
        assert_eq!(queue.lines, [&b"a\n"[..], b"b\x04", b""]);
        assert_eq!((&queue.rest[..], queue.stop), (&b"c"[..], tty_queue::Stop::No));
        for (master, slave) in [(&master, &slave), (&round.open(0), &round.open(1))] {
            nix::unistd::write(master, b"d\n").unwrap();
            assert_eq!([text(slave), text(slave), text(slave), text(slave)], [&b"a\n"[..], b"b\x04", b"", b"cd\n"]);
            assert!(text(master).windows(3).any(|part| part == b"out"), "output is among the echo");
        }
    }

    #[test]
    fn a_slave_without_its_master_is_anothers_unless_it_was_hung_up() {
        let (master, slave) = pair();
        super::super::test::probe_of(&slave, |probe| {
            assert!(Pty.claims(probe) && !Pty.accepts(&[probe]));
        });
        drop(master);
        let round = Round::of(&Pty, &[&slave]);
        assert_eq!((round.state.hung_up, &round.state.pair), (1, &None));
        let again = round.open(0);
        assert_eq!((text(&again), terminal::modes(again.as_fd()).err()), (vec![], Some(Errno::EIO)));
    }

    #[test]
    fn a_visit_of_a_slave_that_was_never_opened_leaves_no_end() {
        let master = nix::pty::posix_openpt(nix::fcntl::OFlag::O_RDWR | nix::fcntl::OFlag::O_NOCTTY).unwrap();
        for (was_opened, is_ended) in [(false, false), (true, true)] {
            drop(Visit::new(master.as_fd(), was_opened).unwrap());
            assert_eq!(tty_queue::has(master.as_fd(), PollFlags::POLLHUP), Ok(is_ended));
            assert_eq!(terminal::is_locked(master.as_fd()), Ok(true), "the lock is as it was");
        }
    }
}
