//! Terminals: the job comes back on the terminal of `cr_restart`.
//!
//! **Kept:** that it was a terminal, its path, window size and modes, for the record.
//! **Lost:** the terminal itself: the descriptor becomes the restarter's descriptor of the same number, else its controlling terminal,
//! else stays closed. What was typed and not yet read. Modes are not forced on a terminal that others share; [`set_modes`] is there for
//! an engine that hands the job a terminal of its own.
//! **Refused:** the master side of a pseudo-terminal, which a terminal emulator holds.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use nix::sys::termios::{self, SetArg, Termios};
use serde::{Deserialize, Serialize};

use crate::image::{Description, Object, ObjectId, Tag};
use crate::proc::Device;
use crate::resource::{Build, Built, Capture, Fallback, FileKind, KindError, Opened, Probe};
use crate::sys::descriptor;

/// Major numbers of terminals (the kernel's devices.txt): consoles and serial lines, /dev/tty and its like, then pseudo-terminals, BSD
/// pseudo-terminals, ACM and USB serial, low-density serial, virtual consoles of hypervisors.
const MAJORS: &[u32] = &[4, 5, 136, 137, 138, 139, 140, 141, 142, 143, 2, 3, 166, 188, 204, 229];
/// Masters: /dev/ptmx, and those of BSD pseudo-terminals.
const PTMX: Device = Device { major: 5, minor: 2 };
const BSD_MASTERS: u32 = 2;

/// Terminals.
pub struct Tty;

/// A terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TtyV1 {
    /// Its path.
    #[serde(with = "crate::image::path")]
    pub path: PathBuf,
    /// Rows and columns; none when it does not say.
    pub window: Option<(u16, u16)>,
    /// Its modes; none when it was hung up.
    pub modes: Option<ModesV1>,
}

/// `struct termios` (termios(3)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModesV1 {
    /// `c_iflag`
    pub input: u32,
    /// `c_oflag`
    pub output: u32,
    /// `c_cflag`
    pub control: u32,
    /// `c_lflag`
    pub local: u32,
    /// `c_line`
    pub discipline: u8,
    /// `c_cc`
    #[serde(with = "serde_bytes")]
    pub characters: Vec<u8>,
}

impl FileKind for Tty {
    type State = TtyV1;
    const TAG: Tag = Tag::new("tty", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        probe.file_type() == libc::S_IFCHR && MAJORS.contains(&probe.stat.special().major)
    }

    fn capture(&self, probes: &[&Probe<'_>], _: &mut Capture) -> Result<TtyV1, KindError> {
        let probe = probes[0];
        let special = probe.stat.special();
        if special == PTMX || special.major == BSD_MASTERS {
            let what = format!("the master of a pseudo-terminal ({})", probe.link.display());
            return Err(KindError::Unsupported {
                what,
                remedy: "checkpoint the program inside the terminal, not the one that makes it".into(),
            });
        }
        // A hung-up terminal answers EIO: then only its path is known.
        let copy = probe.copy()?;
        let window = descriptor::window_size(copy).ok().filter(|size| *size != (0, 0));
        Ok(TtyV1 { path: probe.link.to_owned(), window, modes: termios::tcgetattr(copy).ok().map(|modes| ModesV1::from(&modes)) })
    }

    fn build(&self, _: &TtyV1, _: (ObjectId, &Object), _: &mut Build<'_>) -> Result<Built, KindError> {
        Ok(Built::default())
    }

    fn open(&self, _: &TtyV1, _: &Built, _: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        Ok(Opened::Inherited(Fallback::Terminal))
    }
}

/// Gives a terminal the saved modes, at once. Its line discipline and speed stay as they are.
pub fn set_modes(fd: BorrowedFd<'_>, state: &TtyV1) -> Result<(), KindError> {
    let Some(modes) = &state.modes else { return Ok(()) };
    let attempt = |errno| KindError::path("set the modes of the terminal that was", &state.path, errno);
    let mut now = termios::tcgetattr(fd).map_err(attempt)?;
    now.input_flags = termios::InputFlags::from_bits_retain(modes.input);
    now.output_flags = termios::OutputFlags::from_bits_retain(modes.output);
    let speed = libc::CBAUD | libc::CIBAUD;
    let control = now.control_flags.bits() & speed | modes.control & !speed;
    now.control_flags = termios::ControlFlags::from_bits_retain(control);
    now.local_flags = termios::LocalFlags::from_bits_retain(modes.local);
    for (now, saved) in now.control_chars.iter_mut().zip(&modes.characters) {
        *now = *saved;
    }
    termios::tcsetattr(fd, SetArg::TCSANOW, &now).map_err(attempt)
}

impl From<&Termios> for ModesV1 {
    fn from(modes: &Termios) -> ModesV1 {
        ModesV1 {
            input: modes.input_flags.bits(),
            output: modes.output_flags.bits(),
            control: modes.control_flags.bits(),
            local: modes.local_flags.bits(),
            discipline: modes.line_discipline,
            characters: modes.control_chars.to_vec(),
        }
    }
}

#[cfg(test)]
mod test {
    use std::os::fd::AsFd;

    use super::super::test::{Round, probe_of};
    use super::*;

    #[test]
    fn modes_and_window_are_kept_and_the_terminal_is_inherited() {
        let pair = nix::pty::openpty(Some(&nix::pty::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }), None).unwrap();
        let mut raw = termios::tcgetattr(&pair.slave).unwrap();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(&pair.slave, SetArg::TCSANOW, &raw).unwrap();
        let round = Round::of(&Tty, &[&pair.slave]);
        assert_eq!(round.state.window, Some((24, 80)));
        assert!(matches!(round.opened(0), Opened::Inherited(Fallback::Terminal)));
        let other = nix::pty::openpty(None, None).unwrap();
        set_modes(other.slave.as_fd(), &round.state).unwrap();
        assert_eq!(ModesV1::from(&termios::tcgetattr(&other.slave).unwrap()), round.state.modes.clone().unwrap());
    }

    #[test]
    fn a_master_is_refused() {
        let pair = nix::pty::openpty(None, None).unwrap();
        let error = probe_of(&pair.master, |probe| Tty.capture(&[probe], &mut Capture::default())).unwrap_err();
        assert!(error.to_string().starts_with("the master of a pseudo-terminal"), "{error}");
    }
}
