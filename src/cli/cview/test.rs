//! `cview` without a terminal: what is on the screen after which keys, at two sizes.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::draw::draw;
use super::state::{App, Spot};
use super::world::{Entry, Order, Work, World};
use crate::engine::look::{Kinds, Seen, SeenFile};
use crate::image::FileAction;
use crate::policy::attribute::Id;

/// A machine with three processes and what was ordered of it.
#[derive(Clone, Default)]
struct Toy {
    ordered: Rc<RefCell<Vec<Order>>>,
    removed: Rc<RefCell<Vec<String>>>,
    refuses: bool,
}

struct Done(String);

impl Work for Done {
    fn title(&self) -> &str {
        "toy work"
    }
    fn seconds(&self) -> f64 {
        1.5
    }
    fn bytes(&self) -> Option<u64> {
        Some(4096)
    }
    fn over(&mut self) -> Option<String> {
        Some(std::mem::take(&mut self.0))
    }
    fn give_up(&mut self) {}
}

impl World for Toy {
    fn processes(&self, user: &str) -> Result<Vec<Seen>, String> {
        if user == "nobody-there" {
            return Err("there is no user nobody-there\n  type another name".into());
        }
        let one = |pid, ppid, command: &str| Seen {
            pid,
            ppid,
            pgid: 4242,
            sid: 900,
            jid: 77,
            bytes: 1 << 20,
            command: command.into(),
            ..Seen::default()
        };
        Ok(vec![one(4242, 900, "sh primes.sh"), one(4243, 4242, "factor 7"), one(4300, 1, "python3 train.py")])
    }
    fn files(&self, _: Id) -> Result<Vec<(SeenFile, FileAction)>, String> {
        let file = |path: &str, is_mapped_only| SeenFile { path: path.into(), is_mapped_only };
        Ok(vec![(file("/home/ann/primes", false), FileAction::Merge), (file("/usr/lib/libc.so.6", true), FileAction::Merge)])
    }
    fn members(&self, _: Id) -> Result<(Vec<i32>, Kinds), String> {
        Ok((vec![4242, 4243], Kinds { heap: 3 << 20, stack: 1 << 20, ..Kinds::default() }))
    }
    fn list(&self, path: &Path) -> Result<Vec<Entry>, String> {
        if path.ends_with("ckpt") || path == Path::new("/home/ann") {
            let entry = |name: &str, is_statefile| Entry {
                name: name.into(),
                is_directory: is_statefile,
                is_statefile,
                owner: 0,
                modified: 1_700_000_000,
            };
            return Ok(vec![entry("ckptSep7", true), entry("primes", false)]);
        }
        Err("no such directory".into())
    }
    fn tell(&self, path: &Path) -> Result<Vec<String>, String> {
        Ok(vec![format!("Information About Statefile {}", path.display())])
    }
    fn remove(&self, path: &Path) -> Result<(), String> {
        self.removed.borrow_mut().push(path.display().to_string());
        Ok(())
    }
    fn start(&self, order: &Order) -> Result<Box<dyn Work>, String> {
        self.ordered.borrow_mut().push(order.clone());
        let said = if self.refuses { "ckpt: No space left on device\n  class env: make room" } else { "" };
        Ok(Box::new(Done(said.into())))
    }
    fn name(&self, uid: u32) -> String {
        format!("user{uid}")
    }
}

fn app(toy: &Toy) -> App {
    App::new(Box::new(toy.clone()), "ann", Path::new("/home/ann"), false)
}

fn keys(app: &mut App, codes: &[KeyCode]) {
    codes.iter().for_each(|code| app.take(&Event::Key(KeyEvent::new(*code, KeyModifiers::NONE))));
}

fn typed(app: &mut App, text: &str) {
    text.chars().for_each(|c| keys(app, &[KeyCode::Char(c)]));
}

fn screen(app: &mut App, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(app, frame)).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let line = |y: u16| (0..width).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>().trim_end().to_owned();
    (0..height).map(line).collect::<Vec<_>>().join("\n")
}

/// Names of statefiles have the day in them.
fn without_day(screen: &str) -> String {
    let mut text = screen.to_owned();
    while let Some(at) = text.find("ckpt-4242-20") {
        text.replace_range(at + 10..at + 20, "YYYY~MM~DD");
    }
    text
}

#[test]
fn the_checkpoint_panel_at_80_by_24() {
    let toy = Toy::default();
    let mut app = app(&toy);
    keys(&mut app, &[KeyCode::Tab, KeyCode::Right, KeyCode::Right, KeyCode::Right, KeyCode::Right]);
    app.press(Spot::StepTwo);
    keys(&mut app, &[KeyCode::Right, KeyCode::Right, KeyCode::Right]);
    insta::assert_snapshot!(without_day(&screen(&mut app, 80, 24)));
}

#[test]
fn the_checkpoint_panel_at_200_by_60_has_a_picture() {
    let toy = Toy::default();
    let mut app = app(&toy);
    app.press(Spot::StepTwo);
    let text = screen(&mut app, 200, 60);
    for part in ["Picture", "4242 1.00 MiB  sh primes.sh", "└─4243", "heap", "STEP III: OK, Checkpoint", "[Cancel Checkpoint]"] {
        assert!(text.contains(part), "no {part}:\n{text}");
    }
}

#[test]
fn the_restart_panel_at_80_by_24() {
    let toy = Toy::default();
    let mut app = app(&toy);
    keys(&mut app, &[KeyCode::F(2)]);
    insta::assert_snapshot!(screen(&mut app, 80, 24));
}

#[test]
fn a_checkpoint_from_the_first_key_to_the_last() {
    let toy = Toy::default();
    let mut app = app(&toy);
    typed(&mut app, "primes");
    assert_eq!(app.shown_processes().len(), 1);
    keys(&mut app, &[KeyCode::Tab, KeyCode::Enter, KeyCode::Down, KeyCode::Down, KeyCode::Down, KeyCode::Down, KeyCode::Enter]);
    keys(&mut app, &[KeyCode::Tab]);
    app.take(&Event::Key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL)));
    typed(&mut app, "mine");
    keys(&mut app, &[KeyCode::Tab, KeyCode::Char(' '), KeyCode::Tab, KeyCode::Enter]);
    keys(&mut app, &[KeyCode::Enter, KeyCode::Down, KeyCode::Down, KeyCode::Enter]);
    assert_eq!(app.focus, Spot::Files);
    keys(&mut app, &[KeyCode::Down, KeyCode::Left, KeyCode::Tab, KeyCode::Enter]);
    let order = toy.ordered.borrow().first().cloned().unwrap();
    let Order::Checkpoint { id, path, goes_on, upgrade, force, files } = order else { panic!("no checkpoint") };
    assert_eq!((id.to_string().as_str(), path.to_str().unwrap()), ("4242:HID", "/home/ann/mine"));
    assert_eq!((goes_on, upgrade, force), (false, true, false));
    let words: Vec<&str> = files.iter().map(|(_, action)| action.word()).collect();
    assert_eq!(words, ["append", "substitute"]);
    app.tick();
    assert_eq!(app.status, "done: toy work");
}

#[test]
fn what_fails_is_shown_with_its_remedy() {
    let toy = Toy { refuses: true, ..Toy::default() };
    let mut app = app(&toy);
    app.press(Spot::Ok);
    assert!(screen(&mut app, 80, 24).contains("At work"));
    app.tick();
    let text = screen(&mut app, 80, 24);
    assert!(text.contains("No space left on device") && text.contains("class env: make room"), "{text}");
    keys(&mut app, &[KeyCode::Esc]);
    assert!(app.popup.is_none());
    app.user.set("nobody-there");
    app.press(Spot::StepOne);
    assert!(screen(&mut app, 80, 24).contains("there is no user nobody-there"));
}

#[test]
fn a_statefile_that_is_there_is_asked_about() {
    let toy = Toy::default();
    let mut app = app(&toy);
    app.focus = Spot::Statefile;
    app.statefile.set("ckpt");
    app.press(Spot::Ok);
    assert!(screen(&mut app, 80, 24).contains("is there already. Overwrite it?"));
    keys(&mut app, &[KeyCode::Char('n')]);
    assert!(toy.ordered.borrow().is_empty());
    app.press(Spot::Ok);
    keys(&mut app, &[KeyCode::Char('y')]);
    assert!(matches!(toy.ordered.borrow()[0], Order::Checkpoint { force: true, .. }));
}

#[test]
fn restart_tell_and_remove() {
    let toy = Toy::default();
    let mut app = app(&toy);
    keys(
        &mut app,
        &[KeyCode::F(2), KeyCode::Tab, KeyCode::Right, KeyCode::Tab, KeyCode::Char(' '), KeyCode::Tab, KeyCode::Tab, KeyCode::Enter],
    );
    let expected = Order::Restart { path: "/home/ann/ckptSep7".into(), any: true, no_cwd: true, no_root: false };
    assert_eq!(toy.ordered.borrow()[0], expected);
    app.tick();
    app.press(Spot::TellMore);
    assert!(screen(&mut app, 80, 24).contains("Information About Statefile /home/ann/ckptSep7"));
    keys(&mut app, &[KeyCode::Esc]);
    app.press(Spot::Remove);
    keys(&mut app, &[KeyCode::Char('x'), KeyCode::Char('y')]);
    assert_eq!(*toy.removed.borrow(), ["/home/ann/ckptSep7"]);
}

#[test]
fn the_mouse_presses_and_chooses() {
    let toy = Toy::default();
    let mut app = app(&toy);
    let text = screen(&mut app, 80, 24);
    let find = |text: &str, part: &str| {
        let (y, line) = text.lines().enumerate().find(|(_, line)| line.contains(part)).unwrap();
        (u16::try_from(line[..line.find(part).unwrap()].chars().count()).unwrap(), u16::try_from(y).unwrap())
    };
    let click = |app: &mut App, (column, row): (u16, u16)| {
        let kind = MouseEventKind::Down(MouseButton::Left);
        app.take(&Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
    };
    click(&mut app, find(&text, "python3 train.py"));
    assert_eq!(app.id().unwrap().number, 4300);
    click(&mut app, find(&text, "System Upgrade"));
    assert!(app.upgrade);
    click(&mut app, find(&text, "<Individual process"));
    let text = screen(&mut app, 80, 24);
    click(&mut app, find(&text, "Session (SID)"));
    assert_eq!(app.id().unwrap().to_string(), "900:SID");
    let text = screen(&mut app, 80, 24);
    click(&mut app, find(&text, "Restart Control Panel"));
    assert!(app.restarts);
}

#[test]
fn every_part_is_on_the_screen_and_can_be_reached_with_tab() {
    let toy = Toy::default();
    let mut app = app(&toy);
    for _ in 0..2 {
        screen(&mut app, 80, 24);
        let there: Vec<Spot> = app.places.iter().map(|(_, spot, _)| *spot).collect();
        let mut reached = Vec::new();
        for _ in 0..40 {
            reached.push(app.focus);
            app.next(true);
        }
        assert!(there.iter().all(|spot| reached.contains(spot)), "{there:?} {reached:?}");
        assert!(reached.iter().all(|spot| there.contains(spot)), "{there:?} {reached:?}");
        app.turn(true);
    }
}

#[test]
fn a_small_terminal_is_told() {
    let toy = Toy::default();
    assert!(screen(&mut app(&toy), 40, 10).starts_with("The terminal has 40×10"));
}

#[test]
fn help_has_its_topics() {
    let toy = Toy::default();
    let mut app = app(&toy);
    keys(&mut app, &[KeyCode::F(1), KeyCode::Down, KeyCode::Enter]);
    let text = screen(&mut app, 80, 24);
    assert!(text.contains("How to Checkpoint") && text.contains("STEP I."), "{text}");
}
