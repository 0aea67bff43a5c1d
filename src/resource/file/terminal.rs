//! Modes and window of a terminal, as context files keep them.
//!
//! Relies on TCGETS2, which a master answers for its slave. Leaves to the kinds whose modes are set, and when.

use std::os::fd::BorrowedFd;

use serde::{Deserialize, Serialize};

use crate::sys::{Errno, terminal};

/// `struct termios2` (ioctl_tty(2)).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// `c_ispeed` and `c_ospeed`; none in old context files.
    #[serde(default)]
    pub speeds: Option<(u32, u32)>,
}

/// `struct winsize` (ioctl_tty(2)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named in the manual page")]
pub struct WindowV1 {
    pub rows: u16,
    pub columns: u16,
    pub width: u16,
    pub height: u16,
}

impl ModesV1 {
    /// Reads the modes of a terminal; of a master those of its slave. EIO: it was hung up.
    pub fn of(fd: BorrowedFd<'_>) -> Result<ModesV1, Errno> {
        terminal::modes(fd).map(|modes| ModesV1 {
            input: modes.c_iflag,
            output: modes.c_oflag,
            control: modes.c_cflag,
            local: modes.c_lflag,
            discipline: modes.c_line,
            characters: modes.c_cc.to_vec(),
            speeds: Some((modes.c_ispeed, modes.c_ospeed)),
        })
    }

    /// Sets them at once; what waits in the terminal stays there. The line discipline stays as it is, and so do speeds that are not known.
    pub fn set(&self, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        const SPEED: u32 = libc::CBAUD | libc::CIBAUD;
        let mut modes = terminal::modes(fd)?;
        modes.c_iflag = self.input;
        modes.c_oflag = self.output;
        modes.c_lflag = self.local;
        modes.c_cflag = match self.speeds {
            Some((input, output)) => {
                (modes.c_ispeed, modes.c_ospeed) = (input, output);
                self.control
            }
            None => modes.c_cflag & SPEED | self.control & !SPEED,
        };
        for (now, saved) in modes.c_cc.iter_mut().zip(&self.characters) {
            *now = *saved;
        }
        terminal::set_modes(fd, &modes)
    }

    /// Whether input is read by lines.
    pub fn is_by_lines(&self) -> bool {
        self.local & libc::ICANON != 0 && self.local & libc::EXTPROC == 0
    }
}

impl WindowV1 {
    /// Reads the size of a terminal's window.
    pub fn of(fd: BorrowedFd<'_>) -> Result<WindowV1, Errno> {
        let now = terminal::window(fd)?;
        Ok(WindowV1 { rows: now.ws_row, columns: now.ws_col, width: now.ws_xpixel, height: now.ws_ypixel })
    }

    /// Gives a terminal's window this size.
    pub fn set(self, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        let WindowV1 { rows, columns, width, height } = self;
        terminal::set_window(fd, &terminal::Window { ws_row: rows, ws_col: columns, ws_xpixel: width, ws_ypixel: height })
    }
}
