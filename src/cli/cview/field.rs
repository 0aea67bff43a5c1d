//! A field that one types into, with the entries that were there before.
//!
//! Pure.

/// The field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Field {
    /// What is in it.
    text: Vec<char>,
    /// Where the next letter goes.
    cursor: usize,
    /// What was entered, the last one last.
    history: Vec<String>,
    /// How far back one has gone.
    back: usize,
}

impl Field {
    /// A field with this in it.
    pub fn new(text: &str) -> Field {
        let mut field = Field::default();
        field.set(text);
        field
    }

    /// What is in it.
    pub fn text(&self) -> String {
        self.text.iter().collect()
    }

    /// The place of the cursor.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Puts something else in it.
    pub fn set(&mut self, text: &str) {
        self.text = text.chars().filter(|c| !c.is_control()).collect();
        self.cursor = self.text.len();
        self.back = 0;
    }

    /// A letter, or what was pasted.
    pub fn insert(&mut self, text: &str) {
        for c in text.chars().filter(|c| !c.is_control()) {
            self.text.insert(self.cursor, c);
            self.cursor += 1;
        }
    }

    /// Takes the letter before the cursor away.
    pub fn backspace(&mut self) {
        if self.cursor > 0 {
            self.cursor -= 1;
            self.text.remove(self.cursor);
        }
    }

    /// Takes the letter behind the cursor away.
    pub fn delete(&mut self) {
        if self.cursor < self.text.len() {
            self.text.remove(self.cursor);
        }
    }

    /// Moves the cursor.
    pub fn move_by(&mut self, by: isize) {
        self.cursor = self.cursor.saturating_add_signed(by).min(self.text.len());
    }

    /// Remembers what is in it.
    pub fn enter(&mut self) {
        let text = self.text();
        self.history.retain(|entry| *entry != text);
        self.history.push(text);
        self.back = 0;
    }

    /// What was entered before, the last one first.
    pub fn entries(&self) -> Vec<String> {
        self.history.iter().rev().cloned().collect()
    }

    /// The entry before the one that is shown, or after it.
    pub fn recycle(&mut self, earlier: bool) {
        let entries = self.entries();
        let next = if earlier { self.back + 1 } else { self.back.saturating_sub(1) };
        if let Some(entry) = entries.get(next.min(entries.len().saturating_sub(1))) {
            self.set(entry);
            self.back = next.min(entries.len() - 1);
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn typing_and_earlier_entries() {
        let mut field = Field::new("ann");
        field.enter();
        field.move_by(-1);
        field.insert("d\n");
        field.backspace();
        field.delete();
        assert_eq!((field.text().as_str(), field.cursor()), ("an", 2));
        field.set("bob");
        field.enter();
        field.recycle(true);
        assert_eq!(field.text(), "ann");
        field.recycle(true);
        assert_eq!(field.text(), "ann");
        field.recycle(false);
        assert_eq!(field.text(), "bob");
        Field::default().recycle(true);
    }
}
