//! Keys and the mouse, as they come from the terminal.
//!
//! Relies on [`App`] for what they mean. What stands over the panel gets them first.

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::state::{App, Popup, Spot};

/// Lines of a page.
const PAGE: isize = 10;

impl App {
    /// One event.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.key(*key),
            Event::Mouse(mouse) => self.mouse(*mouse),
            Event::Paste(text) => {
                if self.popup.is_none()
                    && let Some(field) = self.field()
                {
                    field.insert(text.trim_end_matches('\n'));
                }
            }
            _ => {}
        }
    }

    fn key(&mut self, key: KeyEvent) {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if key.code == KeyCode::F(10) || is_control && matches!(key.code, KeyCode::Char('q' | 'c')) {
            return self.leave();
        }
        if self.work.is_some() {
            if key.code == KeyCode::Esc {
                self.work.iter_mut().for_each(|work| work.give_up());
                self.status = "giving up".into();
            }
            return;
        }
        if self.popup.is_some() {
            return self.popup_key(key.code);
        }
        match key.code {
            KeyCode::F(1) => self.press(Spot::HelpMenu),
            KeyCode::F(2) => self.turn(!self.restarts),
            KeyCode::F(3) if !self.restarts => {
                self.draw_picture();
                if self.popup.is_none() {
                    self.popup = Some(Popup::Picture);
                }
            }
            KeyCode::F(5) if self.restarts => self.list(),
            KeyCode::F(5) => self.poll(),
            KeyCode::Tab => self.next(true),
            KeyCode::BackTab => self.next(false),
            code => self.part_key(code, is_control),
        }
    }

    /// What is being done goes on without us, unless it has not begun: it is never left half.
    fn leave(&mut self) {
        match &mut self.work {
            Some(work) => {
                work.give_up();
                self.status = "giving up; leave when that is done".into();
            }
            None => self.is_over = true,
        }
    }

    fn part_key(&mut self, code: KeyCode, is_control: bool) {
        let focus = self.focus;
        if let Some(field) = self.field() {
            match code {
                KeyCode::Char('u') if is_control => field.set(""),
                KeyCode::Char(letter) => field.insert(&letter.to_string()),
                KeyCode::Backspace => field.backspace(),
                KeyCode::Delete => field.delete(),
                KeyCode::Left => field.move_by(-1),
                KeyCode::Right => field.move_by(1),
                KeyCode::Home => field.move_by(isize::MIN),
                KeyCode::End => field.move_by(isize::MAX),
                KeyCode::Up => field.recycle(true),
                KeyCode::Down => field.recycle(false),
                KeyCode::Enter if focus == Spot::Statefile => self.next(true),
                KeyCode::Enter => self.press(focus),
                _ => {}
            }
            return;
        }
        let is_list = matches!(focus, Spot::Processes | Spot::Files | Spot::Statefiles);
        match code {
            KeyCode::Up if is_list => self.scroll(focus, -1),
            KeyCode::Down if is_list => self.scroll(focus, 1),
            KeyCode::PageUp if is_list => self.scroll(focus, -PAGE),
            KeyCode::PageDown if is_list => self.scroll(focus, PAGE),
            KeyCode::Home if is_list => self.scroll(focus, isize::MIN),
            KeyCode::End if is_list => self.scroll(focus, isize::MAX),
            KeyCode::Up => self.next(false),
            KeyCode::Down => self.next(true),
            KeyCode::Left => self.turn_menu(focus, -1),
            KeyCode::Right => self.turn_menu(focus, 1),
            KeyCode::Enter => self.press(focus),
            KeyCode::Char(' ') if !is_list || focus == Spot::Files => self.press(focus),
            KeyCode::Esc => {
                self.unfilter();
            }
            KeyCode::Backspace => {
                self.filter(None);
            }
            KeyCode::Char(letter) if !is_control => {
                self.filter(Some(letter));
            }
            _ => {}
        }
    }

    fn popup_key(&mut self, code: KeyCode) {
        match (&mut self.popup, code) {
            (Some(Popup::Ask { .. }), KeyCode::Char('y' | 'Y') | KeyCode::Enter) => self.answer(true),
            (Some(Popup::Ask { .. }), KeyCode::Char('n' | 'N') | KeyCode::Esc) => self.answer(false),
            (Some(Popup::Ask { .. }), _) => {}
            (Some(Popup::Menu { choices, chosen, .. }), KeyCode::Down | KeyCode::Tab) => {
                *chosen = (*chosen + 1).min(choices.len().saturating_sub(1));
            }
            (Some(Popup::Menu { chosen, .. }), KeyCode::Up | KeyCode::BackTab) => *chosen = chosen.saturating_sub(1),
            (Some(Popup::Menu { chosen, .. }), KeyCode::Enter | KeyCode::Char(' ')) => {
                let chosen = *chosen;
                self.choose(chosen);
            }
            (Some(Popup::Text { scroll, lines, .. }), KeyCode::Down | KeyCode::PageDown) => {
                let by = if code == KeyCode::Down { 1 } else { 10 };
                *scroll = (*scroll + by).min(lines.len().saturating_sub(1));
            }
            (Some(Popup::Text { scroll, .. }), KeyCode::Up | KeyCode::PageUp) => {
                *scroll = scroll.saturating_sub(if code == KeyCode::Up { 1 } else { 10 });
            }
            (_, KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q') | KeyCode::F(_)) => self.popup = None,
            _ => {}
        }
    }

    fn mouse(&mut self, mouse: MouseEvent) {
        if self.work.is_some() {
            return;
        }
        match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) if self.popup.is_some() => self.popup_click(mouse.row),
            MouseEventKind::Down(MouseButton::Left) => self.click(mouse.column, mouse.row),
            MouseEventKind::ScrollDown => self.wheel(mouse, 1),
            MouseEventKind::ScrollUp => self.wheel(mouse, -1),
            _ => {}
        }
    }

    fn wheel(&mut self, mouse: MouseEvent, by: isize) {
        if self.popup.is_some() {
            return self.popup_key(if by > 0 { KeyCode::Down } else { KeyCode::Up });
        }
        if let Some((spot, _)) = self.at(mouse.column, mouse.row) {
            self.scroll(spot, by * 3);
        }
    }

    /// A click on a line of a menu chooses it; one elsewhere closes what stands over the panel.
    fn popup_click(&mut self, row: u16) {
        let first = self.menu_row;
        match &self.popup {
            Some(Popup::Menu { choices, .. }) => {
                let line = usize::from(row.saturating_sub(first));
                if first <= row && line < choices.len() { self.choose(line) } else { self.popup = None }
            }
            Some(Popup::Ask { .. }) => {}
            _ => self.popup = None,
        }
    }
}
