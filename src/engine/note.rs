//! Engine messages on their way to the caller.
//!
//! Relies on `observe`. Phases collect notes; the flow hands them over once it knows how things went.

use std::collections::HashSet;

use super::observe::{Level, Message};
use crate::error::Subject;

/// Messages of one request, in order.
#[derive(Debug, Default)]
pub struct Notes {
    messages: Vec<Message>,
    said: HashSet<Message>,
}

impl Notes {
    /// Something the user should know although the request goes on.
    pub fn warn(&mut self, subject: Subject, text: impl Into<String>) {
        self.say(Level::Warning, subject, text.into());
    }

    /// Something that the job loses although the request goes on.
    pub fn lose(&mut self, subject: Subject, text: impl Into<String>) {
        self.say(Level::Lost, subject, text.into());
    }

    fn say(&mut self, level: Level, subject: Subject, text: String) {
        let message = Message { level, subject, text };
        // The same fact about the same thing is said once, however many threads it holds for.
        if self.said.insert(message.clone()) {
            self.messages.push(message);
        }
    }

    /// What kinds say about one subject: only ever what it loses.
    pub fn lose_all(&mut self, subject: &Subject, texts: Vec<String>) {
        texts.into_iter().for_each(|text| self.lose(subject.clone(), text));
    }

    /// Takes the messages out.
    pub fn take(&mut self) -> Vec<Message> {
        self.said.clear();
        std::mem::take(&mut self.messages)
    }
}
