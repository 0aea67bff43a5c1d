//! What waits in a pseudo-terminal: input that the slave has not read, output that the master has not read, and whether output was stopped.
//!
//! The kernel shows none of it without giving it away, so it is taken and put back at once. Relies on nobody else reading or writing meanwhile, and
//! on being done by a process of its own ([`terminal::apart`]), which a killed checkpoint does not take with it. Input is put back quoted, under
//! modes in which nothing else happens to it: no echo, no signals, no editing.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::terminal::ModesV1;
use crate::sys::{Errno, descriptor, terminal};

/// What a line discipline keeps for a reader, bytes; the rest waits before it.
const MOST_READY: usize = 4095;
/// The kernel moves what was written to the other side a moment later.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(1);
/// As much as is sure to be taken by one write where there is room at all, bytes.
const LAST_WRITE: usize = 3072;
/// Small writes are packed more tightly than large ones: everything that was there fits.
const SMALL_WRITE: usize = 256;
/// Characters that mean something while input is put back.
const END_OF_FILE: u8 = 4;
const STOP: u8 = 0x13;
const QUOTE: u8 = 0x16;

/// What waits in a pseudo-terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueV1 {
    /// Input by lines, each as one read gives it; an empty one is an end of file.
    pub lines: Vec<ByteBuf>,
    /// Input after that: the beginning of a line, or all of it where input is not read by lines.
    #[serde(with = "serde_bytes")]
    pub rest: Vec<u8>,
    /// Output.
    #[serde(with = "serde_bytes")]
    pub output: Vec<u8>,
    /// Whether output was stopped.
    pub stop: Stop,
}

/// What has stopped the output of a terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stop {
    /// Nothing.
    #[default]
    No,
    /// The stop character (`^S`).
    Typed,
    /// tcflow(3).
    Called,
}

/// What went wrong: the attempt and the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed(pub String, pub i32);

/// Makes a reason into a failure of this attempt.
pub fn at(attempt: &str) -> impl FnOnce(Errno) -> Failed + use<> {
    let attempt = attempt.to_owned();
    move |errno| Failed(attempt, errno as i32)
}

/// An open slave of our own. When it is dropped the master is in the state in which it was: slave never opened, closed again, or still open.
pub struct Visit<'a> {
    master: BorrowedFd<'a>,
    slave: Option<OwnedFd>,
    was_locked: bool,
    was_opened: bool,
}

impl Visit<'_> {
    /// Opens it. `was_opened`: somebody has opened the slave before, open or not now. EBUSY: it is exclusive.
    pub fn new(master: BorrowedFd<'_>, was_opened: bool) -> Result<Visit<'_>, Errno> {
        let was_locked = terminal::is_locked(master)?;
        if was_locked {
            terminal::set_locked(master, false)?;
        }
        let mut visit = Visit { master, slave: None, was_locked, was_opened };
        visit.slave = Some(terminal::open_slave(master, libc::O_RDWR | libc::O_NONBLOCK)?);
        Ok(visit)
    }

    /// The slave.
    pub fn slave(&self) -> BorrowedFd<'_> {
        self.slave.as_ref().expect("open until it is dropped").as_fd()
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        // The kernel marks a slave that cannot be opened, and forgets to tell the master of the end of one that is marked. The next one to open
        // it takes the mark away. What fails here leaves a terminal whose master reads the end, as after any visitor.
        if self.slave.is_some() && !self.was_opened {
            let _ = terminal::set_locked(self.master, true);
            let _ = terminal::open_slave(self.master, libc::O_RDWR | libc::O_NONBLOCK);
        }
        drop(self.slave.take());
        let _ = terminal::set_locked(self.master, self.was_locked);
    }
}

impl QueueV1 {
    /// Whether nothing waits and nothing is stopped.
    pub fn is_empty(&self) -> bool {
        *self == QueueV1::default()
    }

    /// Copies what waits. It is taken, and put back.
    pub fn copy(master: BorrowedFd<'_>, slave: BorrowedFd<'_>) -> Result<QueueV1, Failed> {
        let modes = ModesV1::of(master).map_err(at("read the modes of"))?;
        let is_packets = terminal::is_packets(master).map_err(at("read the packet mode of"))?;
        let mut queue = QueueV1::default();
        if is_packets {
            terminal::set_packets(master, false).map_err(at("switch off the packet mode of"))?;
        }
        let taken = queue.take(master, slave, &modes);
        let put = queue.put(master, slave, &modes);
        if is_packets {
            terminal::set_packets(master, true).map_err(at("switch on the packet mode of"))?;
        }
        taken.and(put)?;
        Ok(queue)
    }

    fn take(&mut self, master: BorrowedFd<'_>, slave: BorrowedFd<'_>, modes: &ModesV1) -> Result<(), Failed> {
        let lost = || at("read what waits in");
        let mut room = vec![0; 2 * MOST_READY];
        if modes.is_by_lines() {
            while let Some(bytes) = read(slave, &mut room).map_err(lost())? {
                self.lines.push(ByteBuf::from(&room[..bytes]));
            }
            // The beginning of a line can be seen in no other way. What decides about packet status stays as it is.
            let raw = ModesV1 { local: modes.local & !(libc::ICANON | libc::ECHO | libc::ISIG), ..modes.clone() }.reading_at_once();
            raw.set(slave).map_err(at("change the modes of"))?;
        }
        while let Some(bytes @ 1..) = read(slave, &mut room).map_err(lost())? {
            self.rest.extend_from_slice(&room[..bytes]);
        }
        // Blocking or not, the master does not wait for what is there already.
        while has(master, PollFlags::POLLIN).map_err(lost())? {
            let ready = descriptor::readable_bytes(master).map_err(lost())?;
            let Some(bytes @ 1..) = read(master, &mut room[..ready.min(2 * MOST_READY)]).map_err(lost())? else { break };
            self.output.extend_from_slice(&room[..bytes]);
        }
        let is_stopped = || Ok::<bool, Failed>(!has(slave, PollFlags::POLLOUT).map_err(lost())?);
        if is_stopped()? {
            terminal::set_stopped(slave, false).map_err(at("start the output of"))?;
            self.stop = if is_stopped()? { Stop::Typed } else { Stop::Called };
        }
        Ok(())
    }

    /// Puts everything into a pseudo-terminal in which nothing waits, and gives it these modes.
    pub fn put(&self, master: BorrowedFd<'_>, slave: BorrowedFd<'_>, modes: &ModesV1) -> Result<(), Failed> {
        let put = self.put_input(master, slave, modes).and_then(|()| self.put_output(master, slave));
        modes.set(slave).map_err(at("set the modes of"))?;
        put?;
        match self.stop {
            Stop::No => Ok(()),
            Stop::Called => terminal::set_stopped(slave, true).map_err(at("stop the output of")),
            Stop::Typed => {
                let character = modes.characters.get(libc::VSTOP).copied().unwrap_or(STOP);
                put_through(master, &[character])?;
                until(|| Ok(!has(slave, PollFlags::POLLOUT)?))
            }
        }
    }

    fn put_input(&self, master: BorrowedFd<'_>, slave: BorrowedFd<'_>, modes: &ModesV1) -> Result<(), Failed> {
        // Whatever stopped the output has to let the marks through.
        terminal::set_stopped(slave, true).and_then(|()| terminal::set_stopped(slave, false)).map_err(at("start the output of"))?;
        if !modes.is_by_lines() {
            let extproc = modes.local & (libc::ICANON | libc::EXTPROC);
            let raw = ModesV1 { input: 0, output: 0, local: extproc, ..modes.clone() }.reading_at_once();
            raw.set(slave).map_err(at("set the modes of"))?;
            put_through(master, &self.rest)?;
            return until(|| Ok(descriptor::readable_bytes(slave)? >= self.rest.len().min(MOST_READY - 1)));
        }
        quoting(modes).set(slave).map_err(at("set the modes of"))?;
        let lines = self.lines.iter().map(|line| quoted_line(line)).chain([quoted(&self.rest)]);
        let typed: Vec<u8> = lines.flatten().collect();
        put_through(master, &typed)?;
        if typed.len() >= MOST_READY {
            // What does not fit is not looked at before somebody reads.
            std::thread::sleep(Duration::from_millis(50));
            return Ok(());
        }
        // The mark is seen when everything before it has been.
        put_through(master, &[STOP])?;
        until(|| Ok(!has(slave, PollFlags::POLLOUT)?))?;
        terminal::set_stopped(slave, true).and_then(|()| terminal::set_stopped(slave, false)).map_err(at("start the output of"))
    }

    fn put_output(&self, master: BorrowedFd<'_>, slave: BorrowedFd<'_>) -> Result<(), Failed> {
        if self.output.is_empty() {
            return Ok(());
        }
        put_through(slave, &self.output).map_err(|Failed(_, errno)| Failed("put output back into".into(), errno))?;
        until(|| Ok(descriptor::readable_bytes(master)? >= self.output.len().min(MOST_READY - 1)))
    }
}

impl ModesV1 {
    fn reading_at_once(mut self) -> ModesV1 {
        for (at, value) in [(libc::VMIN, 1), (libc::VTIME, 0)] {
            if let Some(character) = self.characters.get_mut(at) {
                *character = value;
            }
        }
        self
    }
}

/// Whether something waits or is stopped, as far as it shows. Where input is read by lines the beginning of one never shows.
pub fn may_wait(master: BorrowedFd<'_>, slave: BorrowedFd<'_>) -> Result<bool, Errno> {
    let is_ready = |fd| Ok(has(fd, PollFlags::POLLIN)? || descriptor::readable_bytes(fd)? > 0);
    Ok(ModesV1::of(master)?.is_by_lines() || is_ready(master)? || is_ready(slave)? || !has(slave, PollFlags::POLLOUT)?)
}

/// Modes in which nothing but quoting, ends of file and the mark mean anything.
fn quoting(modes: &ModesV1) -> ModesV1 {
    let mut characters = vec![0; modes.characters.len()];
    for (at, value) in [(libc::VEOF, END_OF_FILE), (libc::VLNEXT, QUOTE), (libc::VSTOP, STOP)] {
        if let Some(character) = characters.get_mut(at) {
            *character = value;
        }
    }
    ModesV1 { input: libc::IXON, output: 0, local: libc::ICANON | libc::IEXTEN, characters, ..modes.clone() }
}

fn quoted(text: &[u8]) -> Vec<u8> {
    let special = |byte: &u8| matches!(*byte, END_OF_FILE | STOP | QUOTE | b'\n');
    text.iter().flat_map(|byte| if special(byte) { vec![QUOTE, *byte] } else { vec![*byte] }).collect()
}

/// A line ends with a newline, or else with an end of file, which the reader does not see.
fn quoted_line(line: &[u8]) -> Vec<u8> {
    match line.split_last() {
        Some((b'\n', text)) => [&quoted(text)[..], b"\n"].concat(),
        _ => [&quoted(line)[..], &[END_OF_FILE]].concat(),
    }
}

/// Writes to one end, which may block, and never when there is no room.
fn put_through(end: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), Failed> {
    let mut rest = bytes;
    while !rest.is_empty() {
        until(|| has(end, PollFlags::POLLOUT))?;
        let step = if rest.len() <= LAST_WRITE { rest.len() } else { SMALL_WRITE };
        match unistd::write(end, &rest[..step]) {
            Ok(more) => rest = &rest[more..],
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(errno) => return Err(at("put input back into")(errno)),
        }
    }
    Ok(())
}

/// Waits for what the kernel does a moment later.
fn until(is_so: impl Fn() -> Result<bool, Errno>) -> Result<(), Failed> {
    let begun = Instant::now();
    while !is_so().map_err(at("look at"))? {
        if begun.elapsed() > PATIENCE {
            return Err(Failed("put back what waited in".into(), libc::EAGAIN));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// What can be read; `None` if one would have to wait.
fn read(fd: BorrowedFd<'_>, room: &mut [u8]) -> Result<Option<usize>, Errno> {
    loop {
        match unistd::read(fd, room) {
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return Ok(None),
            result => return result.map(Some),
        }
    }
}

/// Whether poll(2) reports these events at once.
pub fn has(fd: BorrowedFd<'_>, events: PollFlags) -> Result<bool, Errno> {
    let mut fds = [PollFd::new(fd, events)];
    poll(&mut fds, PollTimeout::ZERO)?;
    Ok(fds[0].revents().is_some_and(|now| now.intersects(events)))
}
