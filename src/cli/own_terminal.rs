//! The modes of our terminal, which a restarted job may have for itself: they are put back when it has ended.
//!
//! Relies on nothing but `/dev/tty`, which is not held open meanwhile. A program that has no terminal, or is in the background of it at the time, leaves
//! it alone.

use std::fs::File;
use std::os::fd::AsFd;

use crate::sys::terminal::{Modes, foreground, modes, set_modes};

/// The modes of the terminal as we found it.
pub struct OwnTerminal(Option<Modes>);

impl OwnTerminal {
    /// Remembers them, if we are in the foreground.
    pub fn look() -> OwnTerminal {
        OwnTerminal(open().and_then(|terminal| modes(terminal.as_fd()).ok()))
    }

    /// Puts them back, if we are in the foreground still or again.
    pub fn put_back(self) {
        if let (OwnTerminal(Some(modes)), Some(terminal)) = (self, open()) {
            // One that has been hung up meanwhile has none.
            let _gone = set_modes(terminal.as_fd(), &modes);
        }
    }
}

/// Our terminal, if it is ours at the moment.
fn open() -> Option<File> {
    let terminal = File::options().read(true).write(true).open("/dev/tty").ok()?;
    (foreground(terminal.as_fd()) == Ok(nix::unistd::getpgrp().as_raw())).then_some(terminal)
}
