//! What happens when something on the screen is pressed, chosen, turned to, scrolled or filtered.
//!
//! Relies on the state around it; which key or click means what is for `input`.

use super::*;

impl App {
    /// Presses a part: Enter, Space or a click.
    pub fn press(&mut self, spot: Spot) {
        self.focus = spot;
        match spot {
            CheckpointTab => self.turn(false),
            RestartTab => self.turn(true),
            StepOne | User => self.poll(),
            StepTwo => self.look(),
            Ok => self.confirm(),
            Cancel => self.cancel(),
            Upgrade => self.upgrade = !self.upgrade,
            List | Finder => self.list(),
            NoCwd => self.no_cwd = !self.no_cwd,
            NoRoot => self.no_root = !self.no_root,
            Go => self.go_restart(),
            TellMore => self.tell_more(),
            Remove => self.ask_remove(),
            Statefile => self.is_named = true,
            Processes => {
                self.files.clear();
                self.focus = TypeMenu;
            }
            Statefiles => self.enter_directory(),
            HelpMenu | UserRecycle | FinderRecycle | TypeMenu | AfterMenu | DispositionMenu | IdMenu | Files => self.open_menu(spot),
        }
    }

    fn enter_directory(&mut self) {
        let directory = self
            .shown_entries()
            .get(self.entry.line)
            .filter(|entry| entry.is_directory && !entry.is_statefile)
            .map(|entry| entry.name.clone());
        match directory {
            Some(name) => {
                let path = Path::new(&self.finder.text()).join(name);
                self.finder.set(&path.display().to_string());
                self.list();
            }
            None => self.tell_more(),
        }
    }

    fn open_menu(&mut self, of: Spot) {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (choices, chosen) = match of {
            HelpMenu => (TOPICS.iter().map(|topic| topic.title.to_owned()).collect(), 0),
            UserRecycle => (self.user.entries(), 0),
            FinderRecycle => (self.finder.entries(), 0),
            TypeMenu => (TYPES.iter().map(|(kind, words)| format!("{words} ({})", kind.word())).collect(), self.kind),
            AfterMenu => (words(&["Exit", "Continue"]), usize::from(self.goes_on)),
            IdMenu => (words(&["Original process ids", "Any process ids"]), usize::from(self.any)),
            _ => {
                let Some(action) = self.marked_file().map(|index| self.files[index].1) else {
                    return self.say("press STEP II first, and choose a file");
                };
                let names: Vec<String> = DISPOSITIONS.iter().map(|word| (*word).to_owned()).collect();
                let chosen = names.iter().position(|name| file_action(name) == action).unwrap_or(0);
                (names, chosen)
            }
        };
        self.popup = Some(Popup::Menu { of, choices, chosen });
    }

    /// Takes a choice of the menu that is open.
    pub fn choose(&mut self, chosen: usize) {
        let Some(Popup::Menu { of, choices, .. }) = self.popup.take() else { return };
        let Some(choice) = choices.get(chosen) else { return };
        match of {
            HelpMenu => {
                let topic = &TOPICS[chosen];
                let lines = topic.text.lines().map(str::to_owned).collect();
                self.popup = Some(Popup::Text { title: topic.title.into(), lines, scroll: 0, is_error: false });
            }
            UserRecycle => {
                self.user.set(choice);
                self.poll();
            }
            FinderRecycle => {
                self.finder.set(choice);
                self.list();
            }
            TypeMenu => {
                self.kind = chosen;
                self.changed();
            }
            AfterMenu => self.goes_on = chosen == 1,
            IdMenu => self.any = chosen == 1,
            _ => {
                if let Some(index) = self.marked_file() {
                    self.files[index].1 = file_action(DISPOSITIONS[chosen]);
                }
            }
        }
    }

    /// The file that is marked.
    pub fn marked_file(&self) -> Option<usize> {
        self.shown_files().get(self.file.line).copied()
    }

    /// Changes a menu or a disposition without opening it.
    pub fn turn_menu(&mut self, spot: Spot, by: isize) {
        let step = |value: usize, count: usize| value.checked_add_signed(by).map_or(count - 1, |value| value % count);
        match spot {
            TypeMenu => {
                self.kind = step(self.kind, TYPES.len());
                self.changed();
            }
            AfterMenu => self.goes_on = !self.goes_on,
            IdMenu => self.any = !self.any,
            DispositionMenu | Files => {
                if let Some(index) = self.marked_file() {
                    let action = self.files[index].1;
                    let at = DISPOSITIONS.iter().position(|word| file_action(word) == action).unwrap_or(0);
                    self.files[index].1 = file_action(DISPOSITIONS[step(at, DISPOSITIONS.len())]);
                }
            }
            _ => {}
        }
    }

    /// The other panel.
    pub fn turn(&mut self, restarts: bool) {
        self.restarts = restarts;
        self.focus = if restarts { Statefiles } else { Processes };
        if restarts {
            self.list();
        }
    }

    /// The next part, or the one before.
    pub fn next(&mut self, forward: bool) {
        let order = if self.restarts { RESTART } else { CHECKPOINT };
        let at = order.iter().position(|spot| *spot == self.focus).unwrap_or(0);
        let next = if forward { at + 1 } else { at + order.len() - 1 };
        self.focus = order[next % order.len()];
    }

    /// The field that is marked, if one is.
    pub fn field(&mut self) -> Option<&mut Field> {
        match self.focus {
            User => Some(&mut self.user),
            Finder => Some(&mut self.finder),
            Statefile => {
                self.is_named = true;
                Some(&mut self.statefile)
            }
            _ => None,
        }
    }

    /// Moves in the list that is marked.
    pub fn scroll(&mut self, spot: Spot, by: isize) {
        match spot {
            Processes => {
                let count = self.shown_processes().len();
                self.process.move_by(by, count);
                self.changed();
            }
            Files => {
                let count = self.shown_files().len();
                self.file.move_by(by, count);
            }
            Statefiles => {
                let count = self.shown_entries().len();
                self.entry.move_by(by, count);
            }
            _ => {}
        }
    }

    /// Changes the filter of the list that is marked; whether there is one.
    pub fn filter(&mut self, letter: Option<char>) -> bool {
        let list = match self.focus {
            Processes => &mut self.process,
            Files => &mut self.file,
            Statefiles => &mut self.entry,
            _ => return false,
        };
        match letter {
            Some(letter) => list.filter.push(letter),
            None => {
                list.filter.pop();
            }
        }
        (list.line, list.top) = (0, 0);
        if self.focus == Processes {
            self.changed();
        }
        true
    }

    /// Takes the filter of the list that is marked away; whether there was one.
    pub fn unfilter(&mut self) -> bool {
        let list = match self.focus {
            Processes => &mut self.process,
            Files => &mut self.file,
            Statefiles => &mut self.entry,
            _ => return false,
        };
        let had = !list.filter.is_empty();
        list.filter.clear();
        had
    }

    /// What stands at a place of the screen.
    pub fn at(&self, x: u16, y: u16) -> Option<(Spot, Option<usize>)> {
        let found = self.places.iter().rev().find(|(area, _, _)| area.contains(Position { x, y }));
        found.map(|(_, spot, line)| (*spot, *line))
    }

    /// A click.
    pub fn click(&mut self, x: u16, y: u16) {
        match self.at(x, y) {
            Some((Processes, Some(line))) => {
                (self.focus, self.process.line) = (Processes, line);
                self.changed();
            }
            Some((Files, Some(line))) => (self.focus, self.file.line) = (Files, line),
            Some((Statefiles, Some(line))) => (self.focus, self.entry.line) = (Statefiles, line),
            Some((spot @ (Processes | Files | Statefiles | User | Finder | Statefile), _)) => self.focus = spot,
            Some((spot, _)) => self.press(spot),
            None => {}
        }
    }
}
