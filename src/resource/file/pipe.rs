//! Pipes without a name.
//!
//! **Kept:** data in flight with its message boundaries, capacity, which ends are closed, flags of each end, separate opens of one end.
//! **Lost:** data in flight when an end is held outside the job only: that end's side becomes the standard input or output of `cr_restart`.
//! **Refused:** at restart, data that does not fit because the capacity needs a right we lack.

use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd;
use serde::{Deserialize, Serialize};

use super::flight::Flight;
use super::open;
use crate::image::{Description, Object, ObjectId, Tag};
use crate::resource::{Build, Built, Capture, Fallback, FileKind, KindError, Opened, Probe};
use crate::sys::{Errno, descriptor};

/// Pipes without a name.
pub struct Pipe;

/// A pipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipeV1 {
    /// Who holds the end that is read.
    pub reader: End,
    /// Who holds the end that is written.
    pub writer: End,
    /// What is in it.
    pub flight: Flight,
}

/// Who holds an end of a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// A process of the job.
    Inside,
    /// Somebody else.
    Outside,
    /// Nobody.
    Closed,
}

impl FileKind for Pipe {
    type State = PipeV1;
    const TAG: Tag = Tag::new("pipe", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        probe.file_type() == libc::S_IFIFO && !probe.link.is_absolute()
    }

    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<PipeV1, KindError> {
        let reader = probes.iter().copied().find(|probe| probe.is_readable());
        let writer = probes.iter().copied().find(|probe| probe.is_writable());
        let ends = (end_of(reader, writer, PollFlags::POLLERR)?, end_of(writer, reader, PollFlags::POLLHUP)?);
        let is_packets = probes.iter().any(|probe| probe.info.flags & libc::O_DIRECT != 0 && probe.is_writable());
        let any = probes[0].copy()?;
        let flight = match (reader, ends) {
            (Some(reader), (_, End::Inside | End::Closed)) => {
                // With no writer left, the reader's own flag is what remains of packet mode.
                let is_packets = is_packets || writer.is_none() && reader.info.flags & libc::O_DIRECT != 0;
                Flight::capture(reader.copy()?, is_packets)
                    .map_err(|errno| KindError::path("copy the data in flight of", probes[0].link, errno))?
            }
            _ => Flight { capacity: descriptor::pipe_capacity(any).unwrap_or(0), ..Flight::default() },
        };
        if let (Some(reader), End::Outside) = (reader, ends.1)
            && let bytes @ 1.. = descriptor::readable_bytes(reader.copy()?).unwrap_or(0)
        {
            cx.warnings.push(format!("{bytes} bytes that came from outside the job in {} are not kept", probes[0].link.display()));
        }
        Ok(PipeV1 { reader: ends.0, writer: ends.1, flight })
    }

    fn build(&self, state: &PipeV1, _: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<Built, KindError> {
        if state.reader == End::Outside || state.writer == End::Outside {
            return Ok(Built::default());
        }
        let (reader, writer) = unistd::pipe2(OFlag::O_CLOEXEC).map_err(|errno| KindError::host("make a pipe", errno))?;
        if let Some(capacity) = state.flight.restore(writer.as_fd(), state.reader == End::Inside).map_err(|errno| refusal(state, errno))? {
            cx.warnings.push(format!("a pipe holds {capacity} bytes at most instead of {}", state.flight.capacity));
        }
        // One descriptor is enough to reopen either end; the other end may have to be closed.
        let keeper = if state.reader == End::Inside { reader } else { writer };
        Ok(Built { descriptors: vec![keeper], ..Built::default() })
    }

    fn open(&self, state: &PipeV1, built: &Built, description: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        match (built.descriptors.first(), state.writer) {
            (Some(keeper), _) => open::reopen(keeper.as_fd(), description.flags)
                .map(Opened::New)
                .map_err(|errno| KindError::host("open an end of a pipe", errno)),
            (None, End::Outside) => Ok(Opened::Inherited(Fallback::Stdin)),
            (None, End::Inside | End::Closed) => Ok(Opened::Inherited(Fallback::Stdout)),
        }
    }
}

/// Who holds an end: a description of the job, or whoever the other end tells of with the event of its closing.
fn end_of(own: Option<&Probe<'_>>, other: Option<&Probe<'_>>, closed: PollFlags) -> Result<End, KindError> {
    match (own, other) {
        (Some(_), _) => Ok(End::Inside),
        (None, Some(other)) => {
            let is_closed = has_event(other.copy()?, closed).map_err(|errno| KindError::path("poll", other.link, errno))?;
            Ok(if is_closed { End::Closed } else { End::Outside })
        }
        // Only O_PATH descriptors: nobody of the job can use it.
        (None, None) => Ok(End::Outside),
    }
}

/// Whether poll(2) reports these events at once.
fn has_event(fd: BorrowedFd<'_>, events: PollFlags) -> Result<bool, Errno> {
    let mut fds = [PollFd::new(fd, PollFlags::empty())];
    poll(&mut fds, PollTimeout::ZERO)?;
    Ok(fds[0].revents().is_some_and(|now| now.intersects(events)))
}

fn refusal(state: &PipeV1, errno: Errno) -> KindError {
    if errno != Errno::ENOSPC {
        return KindError::host("fill a pipe", errno);
    }
    KindError::Unsupported {
        what: format!(
            "a pipe with {} bytes in flight and room for {} cannot be made here, and so",
            state.flight.data.len(),
            state.flight.capacity
        ),
        remedy: "raise /proc/sys/fs/pipe-max-size, or restart as root".into(),
    }
}

#[cfg(test)]
mod test {
    use std::os::fd::OwnedFd;

    use super::super::test::Round;
    use super::*;

    fn pipe() -> (OwnedFd, OwnedFd) {
        unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap()
    }

    #[test]
    fn both_ends_inside() {
        let (reader, writer) = pipe();
        unistd::write(&writer, b"in flight").unwrap();
        let again = open::reopen(reader.as_fd(), libc::O_RDONLY).unwrap();
        let round = Round::of(&Pipe, &[&reader, &writer, &again]);
        assert_eq!((round.state.reader, round.state.writer), (End::Inside, End::Inside));
        let (reader, writer, again) = (round.open(0), round.open(1), round.open(2));
        drop(round);
        unistd::write(&writer, b"!").unwrap();
        let mut text = [0; 20];
        assert_eq!(unistd::read(&reader, &mut text), Ok(10));
        assert_eq!(&text[..10], b"in flight!");
        assert_eq!(unistd::read(&reader, &mut text), Err(Errno::EAGAIN), "O_NONBLOCK is kept");
        assert_eq!(descriptor::status_flags(again.as_fd()).unwrap() & libc::O_NONBLOCK, 0, "and belongs to one description");
        drop(writer);
        assert_eq!(unistd::read(&reader, &mut text), Ok(0));
    }

    #[test]
    fn a_closed_end_stays_closed() {
        let (reader, writer) = pipe();
        unistd::write(&writer, b"rest").unwrap();
        drop(writer);
        let round = Round::of(&Pipe, &[&reader]);
        assert_eq!(round.state.writer, End::Closed);
        let reader = round.open(0);
        assert_eq!(unistd::read(&reader, &mut [0; 9]), Ok(4));
        assert_eq!(unistd::read(&reader, &mut [0; 9]), Ok(0));

        let (reader, writer) = pipe();
        drop(reader);
        let round = Round::of(&Pipe, &[&writer]);
        assert_eq!(round.state.reader, End::Closed);
        let writer = round.open(0);
        drop(round);
        assert!(has_event(writer.as_fd(), PollFlags::POLLERR).unwrap());
    }

    #[test]
    fn an_end_outside_becomes_the_restarters_standard_stream() {
        let (reader, writer) = pipe();
        unistd::write(&writer, b"lost").unwrap();
        let round = Round::of(&Pipe, &[&reader]);
        assert_eq!(round.state.writer, End::Outside);
        assert!(matches!(round.opened(0), Opened::Inherited(Fallback::Stdin)));
        assert_eq!(round.warnings.len(), 1);
        let round = Round::of(&Pipe, &[&writer]);
        assert_eq!(round.state.reader, End::Outside);
        assert!(matches!(round.opened(0), Opened::Inherited(Fallback::Stdout)));
    }
}
