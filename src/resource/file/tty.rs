//! Terminals that others hold: the one that the job was at, and consoles, virtual terminals and serial lines.
//!
//! **Kept:** consoles, virtual terminals and serial lines that the job was not at: opened again by their path. Of the terminal that the job was at its
//! modes, when the job was in its foreground and `cr_restart` is in that of its own, which has them until the job has ended; and
//! SIGWINCH comes when the window has another size.
//! **Lost:** the terminal itself: the descriptor becomes the restarter's descriptor of the same number, else its controlling terminal,
//! else it stays closed, and that is said. What was typed and not yet read. A device that is another one at the restart counts as such a terminal.
//! **Refused:** masters of BSD pseudo-terminals.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::open;
use super::terminal::ModesV1;
use crate::image::{Description, Object, ObjectId, Tag};
use crate::proc::Device;
use crate::resource::actor::Actor;
use crate::resource::{Build, Built, Capture, Fallback, FileKind, KindError, Opened, OwnTerminal, Plan, Probe};
use crate::sys::{descriptor, terminal};

/// Major numbers of terminals (the kernel's devices.txt): consoles and serial lines, /dev/tty and its like, then pseudo-terminals, BSD
/// pseudo-terminals, ACM and USB serial, low-density serial, virtual consoles of hypervisors.
const MAJORS: &[u32] = &[4, 5, 136, 137, 138, 139, 140, 141, 142, 143, 2, 3, 166, 188, 204, 229];
/// Those of them that are pseudo-terminals.
const PSEUDO: &[u32] = &[2, 3, 136, 137, 138, 139, 140, 141, 142, 143];
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
    /// Major and minor number of the terminal itself, not of `/dev/tty`; none when it was hung up, and in old context files.
    #[serde(default)]
    pub device: Option<(u32, u32)>,
    /// Whether it controlled a session that processes of the job are in.
    #[serde(default)]
    pub is_own: bool,
}

impl TtyV1 {
    /// Where it is opened again: at its path, if it is no pseudo-terminal and not the one that the job was at.
    fn reopened(&self, path: PathBuf, actor: &Actor) -> Option<Result<PathBuf, String>> {
        let (major, minor) = self.device.filter(|(major, _)| !PSEUDO.contains(major) && !self.is_own)?;
        let is_it = actor.look(&path).is_ok_and(|now| now.mode & libc::S_IFMT == libc::S_IFCHR && now.special() == Device { major, minor });
        let other = || {
            format!(
                "the terminal {} ({major}:{minor}) is not there any more: its descriptors are treated as those of a terminal",
                path.display()
            )
        };
        Some(if is_it { Ok(path) } else { Err(other()) })
    }
}

impl FileKind for Tty {
    type State = TtyV1;
    const TAG: Tag = Tag::new("tty", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        probe.file_type() == libc::S_IFCHR && MAJORS.contains(&probe.stat.special().major)
    }

    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<TtyV1, KindError> {
        let probe = probes[0];
        let special = probe.stat.special();
        if special.major == BSD_MASTERS {
            let what = format!("the master of a BSD pseudo-terminal ({})", probe.link.display());
            return Err(KindError::Unsupported { what, remedy: "let the program use those of /dev/ptmx".into() });
        }
        // A hung-up terminal answers EIO: then only its path is known.
        let copy = probe.copy()?;
        let window = descriptor::window_size(copy).ok().filter(|size| *size != (0, 0));
        let device = terminal::device(copy).ok().map(Device::from_dev_t);
        Ok(TtyV1 {
            path: probe.link.to_owned(),
            window,
            modes: ModesV1::of(copy).ok(),
            device: device.map(|device| (device.major, device.minor)),
            is_own: device.is_some_and(|device| cx.facts.terminals.contains(&device)),
        })
    }

    fn own_terminal(&self, state: &TtyV1) -> Option<OwnTerminal> {
        // The speed is the terminal's own affair.
        let modes = ModesV1 { speeds: None, ..state.modes.clone()? };
        state.is_own.then_some(OwnTerminal { modes, window: state.window })
    }

    fn plan(&self, state: &TtyV1, _: (ObjectId, &Object), cx: &mut Plan<'_>) -> Result<(), KindError> {
        cx.warnings.extend(state.reopened((cx.path)(&state.path), cx.actor).and_then(Result::err));
        Ok(())
    }

    fn build(&self, _: &TtyV1, _: (ObjectId, &Object), _: &mut Build<'_>) -> Result<Built, KindError> {
        Ok(Built::default())
    }

    fn open(&self, state: &TtyV1, _: &Built, description: &Description, cx: &mut Build<'_>) -> Result<Opened, KindError> {
        match state.reopened((cx.path)(&state.path), cx.actor) {
            Some(Ok(path)) => open::open_path(cx.actor, &path, description.flags, None, &mut cx.warnings).map(Opened::New),
            Some(Err(_)) | None => Ok(Opened::Inherited(Fallback::Terminal)),
        }
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

    #[test]
    fn other_terminals_than_the_jobs_are_opened_by_path_if_they_are_the_same() {
        let state = |device, is_own| TtyV1 { path: "/dev/null".into(), window: None, modes: None, device, is_own };
        for (state, expected) in [
            (state(None, false), None),
            (state(Some((136, 3)), false), None),
            (state(Some((4, 64)), true), None),
            (state(Some((1, 3)), false), Some(true)),
            (state(Some((4, 64)), false), Some(false)),
        ] {
            let found = state.reopened(state.path.clone(), &Actor::ours());
            assert_eq!(found.map(|found| found.is_ok()), expected, "{state:?}");
        }
    }
}
