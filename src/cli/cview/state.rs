//! What `cview` shows and what it does when somebody presses something. Pure but for what [`World`] tells it.
//!
//! Every part that can be marked is a [`Spot`]; drawing notes where each stands, so that the mouse finds it.

mod act;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ratatui::layout::{Position, Rect};

use super::field::Field;
use super::help::TOPICS;
use super::world::{Entry, Order, Work, World, statefile_name};
use crate::engine::look::{Kinds, Seen, SeenFile};
use crate::image::FileAction;
use crate::policy::attribute::{Id, IdType, file_action};

/// A part of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named after the widgets of the guide")]
pub enum Spot {
    CheckpointTab,
    RestartTab,
    HelpMenu,
    StepOne,
    User,
    UserRecycle,
    Processes,
    TypeMenu,
    Statefile,
    Upgrade,
    StepTwo,
    AfterMenu,
    DispositionMenu,
    Files,
    Ok,
    Cancel,
    List,
    Finder,
    FinderRecycle,
    Statefiles,
    IdMenu,
    NoCwd,
    NoRoot,
    Go,
    TellMore,
    Remove,
}

use Spot::*;

/// Parts in the order of Tab.
const CHECKPOINT: &[Spot] = &[
    StepOne,
    User,
    UserRecycle,
    Processes,
    TypeMenu,
    Statefile,
    Upgrade,
    StepTwo,
    AfterMenu,
    DispositionMenu,
    Files,
    Ok,
    Cancel,
    CheckpointTab,
    RestartTab,
    HelpMenu,
];
const RESTART: &[Spot] =
    &[List, Finder, FinderRecycle, Statefiles, IdMenu, NoCwd, NoRoot, Go, TellMore, Remove, CheckpointTab, RestartTab, HelpMenu];

/// The types of the process menu, in the words of the guide.
pub const TYPES: &[(IdType, &str)] = &[
    (IdType::Pid, "Individual process"),
    (IdType::Gid, "Process group"),
    (IdType::Sid, "Session"),
    (IdType::Ash, "Array session (batch job)"),
    (IdType::Hid, "Hierarchy"),
    (IdType::Sgp, "Share group"),
    (IdType::Jid, "Job (control group)"),
];

/// What stands over the panel.
#[allow(missing_docs, reason = "the words say it")]
pub enum Popup {
    /// Text to read.
    Text { title: String, lines: Vec<String>, scroll: usize, is_error: bool },
    /// Something to choose.
    Menu { of: Spot, choices: Vec<String>, chosen: usize },
    /// A question: yes or no.
    Ask { question: String, then: Then },
    /// The picture of the job.
    Picture,
}

/// What is done after a yes.
#[derive(Debug, Clone)]
pub enum Then {
    /// Delete this statefile.
    Remove(PathBuf),
    /// Carry this out.
    Start(Order),
}

/// A list with a line that is marked, and a filter.
#[derive(Debug, Clone, Default)]
pub struct Marked {
    /// The line among those that are shown.
    pub line: usize,
    /// The first line on the screen.
    pub top: usize,
    /// What lines must have.
    pub filter: String,
}

impl Marked {
    fn move_by(&mut self, by: isize, count: usize) {
        self.line = self.line.saturating_add_signed(by).min(count.saturating_sub(1));
    }

    /// Keeps the marked line among `height` lines of the screen.
    pub fn show(&mut self, height: usize, count: usize) {
        self.line = self.line.min(count.saturating_sub(1));
        self.top = self.top.min(self.line).max((self.line + 1).saturating_sub(height.max(1)));
    }

    /// Whether a line is shown.
    pub fn shows(&self, line: &str) -> bool {
        self.filter.is_empty() || line.to_lowercase().contains(&self.filter.to_lowercase())
    }
}

/// Everything.
pub struct App {
    /// The machine.
    pub world: Box<dyn World>,
    /// Whether the restart panel is shown.
    pub restarts: bool,
    /// The part that is marked.
    pub focus: Spot,
    /// What stands over the panel.
    pub popup: Option<Popup>,
    /// What is being done.
    pub work: Option<Box<dyn Work>>,
    /// What was last said.
    pub status: String,
    /// Whose processes are listed.
    pub user: Field,
    /// All of them.
    pub processes: Vec<Seen>,
    /// Which is marked.
    pub process: Marked,
    /// Which type of id.
    pub kind: usize,
    /// Where to save.
    pub statefile: Field,
    /// Whether the name was typed.
    is_named: bool,
    /// With programs and libraries.
    pub upgrade: bool,
    /// Whether it goes on.
    pub goes_on: bool,
    /// Open files with their dispositions.
    pub files: Vec<(SeenFile, FileAction)>,
    /// Which is marked.
    pub file: Marked,
    /// The picture: processes and memory.
    pub picture: Option<(Id, Vec<Seen>, Kinds)>,
    /// The directory of the restart panel.
    pub finder: Field,
    /// What is in it.
    pub entries: Vec<Entry>,
    /// Which is marked.
    pub entry: Marked,
    /// Any process ids.
    pub any: bool,
    /// Not the original working directory.
    pub no_cwd: bool,
    /// Not the original root directory.
    pub no_root: bool,
    /// Where parts stand; lists with the number of a line.
    pub places: Vec<(Rect, Spot, Option<usize>)>,
    /// The first line of the menu that is open.
    pub menu_row: u16,
    /// Whether colours may be used.
    pub colours: bool,
    /// Whether it is over.
    pub is_over: bool,
}

impl App {
    /// Begins with the processes of this user and this directory.
    pub fn new(world: Box<dyn World>, user: &str, directory: &Path, colours: bool) -> App {
        let mut app = App {
            world,
            restarts: false,
            focus: StepOne,
            popup: None,
            work: None,
            status: "F1 help  F2 restart panel  F3 picture  F10 leave".into(),
            user: Field::new(user),
            processes: Vec::new(),
            process: Marked::default(),
            kind: 0,
            statefile: Field::default(),
            is_named: false,
            upgrade: false,
            goes_on: false,
            files: Vec::new(),
            file: Marked::default(),
            picture: None,
            finder: Field::new(&directory.display().to_string()),
            entries: Vec::new(),
            entry: Marked::default(),
            any: false,
            no_cwd: false,
            no_root: false,
            places: Vec::new(),
            menu_row: 0,
            colours,
            is_over: false,
        };
        app.poll();
        app.list();
        app.focus = Processes;
        app
    }

    /// Processes that the filter shows.
    pub fn shown_processes(&self) -> Vec<&Seen> {
        self.processes.iter().filter(|one| self.process.shows(&format!("{} {}", one.pid, one.command))).collect()
    }

    /// Files that the filter shows, with their places.
    pub fn shown_files(&self) -> Vec<usize> {
        (0..self.files.len()).filter(|index| self.file.shows(&self.files[*index].0.path)).collect()
    }

    /// Statefiles that the filter shows.
    pub fn shown_entries(&self) -> Vec<&Entry> {
        self.entries.iter().filter(|entry| self.entry.shows(&entry.name)).collect()
    }

    /// What would be saved.
    pub fn id(&self) -> Option<Id> {
        let shown = self.shown_processes();
        let process = shown.get(self.process.line)?;
        let kind = TYPES[self.kind].0;
        let number = match kind {
            IdType::Pid | IdType::Hid | IdType::Sgp => process.pid.into(),
            IdType::Gid => process.pgid.into(),
            IdType::Sid => process.sid.into(),
            IdType::Ash => process.ash,
            IdType::Jid => process.jid,
        };
        Some(Id { kind, number })
    }

    /// STEP I.
    pub fn poll(&mut self) {
        self.user.enter();
        match self.world.processes(&self.user.text()) {
            Result::Ok(processes) => {
                self.status = format!("{} of {}", crate::cli::text::count(processes.len(), "process", "processes"), self.user.text());
                self.processes = processes;
            }
            Err(error) => self.fail("The processes cannot be listed", &error),
        }
        self.changed();
    }

    /// Another process or type: what was found out about the last is forgotten.
    fn changed(&mut self) {
        let count = self.shown_processes().len();
        self.process.line = self.process.line.min(count.saturating_sub(1));
        self.files.clear();
        self.picture = None;
        if !self.is_named {
            let names = self.entries.iter().map(|entry| (entry.name.clone(), ())).collect::<HashMap<_, _>>();
            let name = self.id().map(|id| statefile_name(id.number, &names)).unwrap_or_default();
            self.statefile.set(&name);
        }
    }

    /// STEP II.
    fn look(&mut self) {
        let Some(id) = self.id() else { return self.say("choose a process first") };
        match self.world.files(id) {
            Result::Ok(files) => {
                self.status =
                    format!("{} of {id}: Left and Right change what becomes of one", crate::cli::text::count(files.len(), "file", "files"));
                self.files = files;
                self.file = Marked::default();
                self.focus = Files;
            }
            Err(error) => self.fail("The files cannot be listed", &error),
        }
        self.draw_picture();
    }

    /// Finds out about the picture.
    pub fn draw_picture(&mut self) {
        let Some(id) = self.id() else { return };
        match self.world.members(id) {
            Result::Ok((pids, kinds)) => {
                let everybody = self.world.processes("*").unwrap_or_default();
                let members = everybody.into_iter().filter(|one| pids.contains(&one.pid)).collect();
                self.picture = Some((id, members, kinds));
            }
            Err(error) => self.fail("There is no picture", &error),
        }
    }

    /// The List button.
    pub fn list(&mut self) {
        self.finder.enter();
        match self.world.list(Path::new(&self.finder.text())) {
            Result::Ok(entries) => {
                self.entries = entries;
                self.entry = Marked::default();
            }
            Err(error) => self.fail("The directory cannot be listed", &error),
        }
    }

    fn say(&mut self, text: &str) {
        self.status = text.to_owned();
    }

    /// Shows what went wrong.
    pub fn fail(&mut self, title: &str, error: &str) {
        self.status = title.to_owned();
        let lines = error.lines().map(str::to_owned).collect();
        self.popup = Some(Popup::Text { title: title.to_owned(), lines, scroll: 0, is_error: true });
    }

    /// Looks whether what is being done is over.
    pub fn tick(&mut self) {
        let Some(work) = &mut self.work else { return };
        let Some(said) = work.over() else { return };
        let title = work.title().to_owned();
        self.work = None;
        self.poll();
        self.list();
        if said.is_empty() {
            self.is_named = false;
            self.changed();
            self.status = format!("done: {title}");
        } else {
            self.fail(&format!("It failed: {title}"), &said);
        }
    }

    fn start(&mut self, order: Order) {
        match self.world.start(&order) {
            Result::Ok(work) => {
                self.status = order.title();
                self.work = Some(work);
            }
            Err(error) => self.fail("It cannot be started", &error),
        }
    }

    /// STEP III.
    fn confirm(&mut self) {
        let Some(id) = self.id() else { return self.say("choose a process first") };
        if self.statefile.text().is_empty() {
            self.focus = Statefile;
            return self.say("give the statefile a name first");
        }
        let path = Path::new(&self.finder.text()).join(self.statefile.text());
        let force = self.world.list(&path).is_ok();
        let files = self.files.iter().map(|(file, action)| (file.path.clone(), *action)).collect();
        let order = Order::Checkpoint { id, path: path.clone(), goes_on: self.goes_on, upgrade: self.upgrade, force, files };
        if force {
            let question = format!("{} is there already. Overwrite it?", path.display());
            self.popup = Some(Popup::Ask { question, then: Then::Start(order) });
        } else {
            self.start(order);
        }
    }

    /// Forgets what was chosen.
    fn cancel(&mut self) {
        (self.kind, self.upgrade, self.goes_on, self.is_named) = (0, false, false, false);
        self.process = Marked::default();
        self.file = Marked::default();
        self.changed();
        self.say("the options are as at the beginning");
    }

    fn chosen_statefile(&mut self) -> Option<PathBuf> {
        let name = self.shown_entries().get(self.entry.line).map(|entry| entry.name.clone());
        if name.is_none() {
            self.say("choose a statefile first");
        }
        name.map(|name| Path::new(&self.finder.text()).join(name))
    }

    fn go_restart(&mut self) {
        let Some(path) = self.chosen_statefile() else { return };
        self.start(Order::Restart { path, any: self.any, no_cwd: self.no_cwd, no_root: self.no_root });
    }

    fn tell_more(&mut self) {
        let Some(path) = self.chosen_statefile() else { return };
        match self.world.tell(&path) {
            Result::Ok(lines) => self.popup = Some(Popup::Text { title: "Statefile".into(), lines, scroll: 0, is_error: false }),
            Err(error) => self.fail("That cannot be told", &error),
        }
    }

    fn ask_remove(&mut self) {
        let Some(path) = self.chosen_statefile() else { return };
        let question = format!("Remove {} with all that is saved in it?", path.display());
        self.popup = Some(Popup::Ask { question, then: Then::Remove(path) });
    }

    /// The answer to a question.
    pub fn answer(&mut self, yes: bool) {
        let Some(Popup::Ask { then, .. }) = self.popup.take() else { return };
        match then {
            _ if !yes => self.say("nothing was done"),
            Then::Start(order) => self.start(order),
            Then::Remove(path) => match self.world.remove(&path) {
                Result::Ok(()) => {
                    self.list();
                    self.status = format!("{} is removed", path.display());
                }
                Err(error) => self.fail("It was not removed", &error),
            },
        }
    }
}

/// Dispositions in the order of the menu.
pub const DISPOSITIONS: &[&str] = &["MERGE", "IGNORE", "APPEND", "REPLACE", "SUBSTITUTE"];
