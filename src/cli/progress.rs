//! The engine's observer: keeps its messages, and shows under `-v` a progress bar with bytes and rate on a terminal.
//!
//! The bar appears only when the work has taken half a second; most checkpoints end before that. Relies on indicatif, which
//! draws on stderr.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::flag::general::General;
use crate::engine::observe::{Message, Observer};
use crate::engine::request::Source;
use crate::error::Stage;

/// How long the work goes on before a bar appears.
const PATIENCE: Duration = Duration::from_millis(500);

/// Watches a request.
pub struct Watcher {
    /// What the engine said.
    pub messages: Vec<Message>,
    source: Option<String>,
    shows_stages: bool,
    shows_bar: bool,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Watcher {
    /// A watcher that shows what these flags ask for.
    pub fn new(general: General) -> Watcher {
        let speaks = !general.quiet && !general.json;
        Watcher {
            messages: Vec::new(),
            source: None,
            shows_stages: speaks && general.verbose > 1,
            shows_bar: speaks && general.verbose > 0 && std::io::stderr().is_terminal(),
            started: Instant::now(),
            bar: None,
        }
    }

    /// The name of the context file that was worked on last.
    pub fn source_name(&self) -> Option<String> {
        self.source.clone()
    }

    /// Takes the bar away and returns the messages.
    pub fn finish(self) -> Vec<Message> {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        self.messages
    }
}

/// What the bar looks like.
const TEMPLATE: &str = "{bar:32} {percent:>3}%  {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left";

fn style() -> ProgressStyle {
    ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Observer for Watcher {
    fn source(&mut self, source: &Source) {
        self.source = match source {
            Source::File(path) | Source::Dir(path) => Some(path.display().to_string()),
            Source::Fd(_) => None,
        };
    }

    fn stage(&mut self, stage: Stage) {
        if self.shows_stages {
            eprintln!("{:>9.3} s  {}", self.started.elapsed().as_secs_f64(), stage.word());
        }
    }

    fn progress(&mut self, done: u64, total: u64) {
        if !self.shows_bar || total == 0 || self.started.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| ProgressBar::new(total).with_style(style()).with_elapsed(self.started.elapsed()));
        bar.set_length(total);
        bar.set_position(done);
    }

    fn message(&mut self, message: Message) {
        self.messages.push(message);
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::engine::observe::Level;
    use crate::error::Subject;

    #[test]
    fn messages_are_kept_in_order_and_no_bar_appears_off_a_terminal() {
        let mut watcher = Watcher::new(General { quiet: false, verbose: 1, json: true });
        watcher.stage(Stage::Write);
        watcher.progress(1, 2);
        for text in ["first", "second"] {
            watcher.message(Message { level: Level::Error, subject: Subject::default(), text: text.into() });
        }
        assert!(watcher.bar.is_none());
        let texts: Vec<_> = watcher.finish().into_iter().map(|message| message.text).collect();
        assert_eq!(texts, ["first", "second"]);
    }

    #[test]
    fn the_bar_has_a_valid_template() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
