//! The terminal of the restarter while the job has it for itself: it gets the modes that the job had set on its own.
//!
//! A job that was in the foreground of its terminal has that of the restarter for itself if the restarter is in the foreground, too: an editor comes
//! back on a raw terminal. Leaves it to the program to put the old modes back when the job has ended (`cli::own_terminal`).

use std::fs::File;
use std::os::fd::AsFd;

use super::graph::Graph;
use super::raise::Job;
use crate::engine::note::Notes;
use crate::error::Subject;
use crate::image::Snapshot;
use crate::resource::file::terminal::WindowV1;
use crate::sys::{process, terminal};

/// Sets the modes, right before the job runs. A window of another size is told as the kernel tells it. What cannot be done is said.
pub fn hand_over(snapshot: &Snapshot, graph: &Graph, job: &Job, notes: &mut Notes) {
    let saved = graph.objects(snapshot).find_map(|(_, object, live)| Some((object, live.own_terminal()?)));
    let Some((object, saved)) = saved.filter(|_| snapshot.processes.first().is_some_and(|lead| lead.foreground)) else { return };
    let Ok(own) = File::options().read(true).write(true).open("/dev/tty") else { return };
    if terminal::foreground(own.as_fd()) != Ok(nix::unistd::getpgrp().as_raw()) {
        return;
    }
    if let Err(errno) = saved.modes.set(own.as_fd()) {
        notes.lose(Subject::path(&object.path), format!("its modes cannot be set on the terminal of cr_restart: {}", errno.desc()));
    }
    let window = WindowV1::of(own.as_fd()).ok().map(|now| (now.rows, now.columns)).filter(|size| *size != (0, 0));
    if window.is_some() && saved.window.is_some() && window != saved.window {
        let in_front = snapshot.processes.iter().zip(&job.processes).filter(|(saved, raised)| saved.foreground && raised.is_alive());
        for (_, raised) in in_front {
            // Whoever has ended meanwhile needs no window.
            let _gone = process::kill(raised.pid, libc::SIGWINCH);
        }
    }
}
