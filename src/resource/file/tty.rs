//! Terminals: the job comes back on the terminal of `cr_restart`.
//!
//! **Kept:** that it was a terminal, its path, window size and modes, for the record.
//! **Lost:** the terminal itself: the descriptor becomes the restarter's descriptor of the same number, else its controlling terminal,
//! else stays closed. What was typed and not yet read. Modes are not forced on a terminal that others share.
//! **Refused:** masters of BSD pseudo-terminals.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::terminal::ModesV1;
use crate::image::{Description, Object, ObjectId, Tag};
use crate::resource::{Build, Built, Capture, Fallback, FileKind, KindError, Opened, Probe};
use crate::sys::descriptor;

/// Major numbers of terminals (the kernel's devices.txt): consoles and serial lines, /dev/tty and its like, then pseudo-terminals, BSD
/// pseudo-terminals, ACM and USB serial, low-density serial, virtual consoles of hypervisors.
const MAJORS: &[u32] = &[4, 5, 136, 137, 138, 139, 140, 141, 142, 143, 2, 3, 166, 188, 204, 229];
/// Masters of BSD pseudo-terminals.
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

impl FileKind for Tty {
    type State = TtyV1;
    const TAG: Tag = Tag::new("tty", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        probe.file_type() == libc::S_IFCHR && MAJORS.contains(&probe.stat.special().major)
    }

    fn capture(&self, probes: &[&Probe<'_>], _: &mut Capture) -> Result<TtyV1, KindError> {
        let probe = probes[0];
        let special = probe.stat.special();
        if special.major == BSD_MASTERS {
            let what = format!("the master of a BSD pseudo-terminal ({})", probe.link.display());
            return Err(KindError::Unsupported { what, remedy: "let the program use those of /dev/ptmx".into() });
        }
        // A hung-up terminal answers EIO: then only its path is known.
        let copy = probe.copy()?;
        let window = descriptor::window_size(copy).ok().filter(|size| *size != (0, 0));
        Ok(TtyV1 { path: probe.link.to_owned(), window, modes: ModesV1::of(copy).ok() })
    }

    fn build(&self, _: &TtyV1, _: (ObjectId, &Object), _: &mut Build<'_>) -> Result<Built, KindError> {
        Ok(Built::default())
    }

    fn open(&self, _: &TtyV1, _: &Built, _: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        Ok(Opened::Inherited(Fallback::Terminal))
    }
}

#[cfg(test)]
mod test {
    use std::os::fd::AsFd;

    use super::super::test::Round;
    use super::*;

    #[test]
    fn modes_and_window_are_kept_and_the_terminal_is_inherited() {
        let pair = nix::pty::openpty(Some(&nix::pty::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }), None).unwrap();
        let raw = ModesV1 { local: 0, input: 0, ..ModesV1::of(pair.slave.as_fd()).unwrap() };
        raw.set(pair.slave.as_fd()).unwrap();
        let round = Round::of(&Tty, &[&pair.slave]);
        assert_eq!(round.state.window, Some((24, 80)));
        assert_eq!(round.state.modes, Some(raw));
        assert!(matches!(round.opened(0), Opened::Inherited(Fallback::Terminal)));
    }
}
