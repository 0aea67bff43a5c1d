//! `cview`: IRIX's graphical interface for checkpoints and restarts, in the terminal.
//!
//! Both panels of the guide with all their parts. [`state`] is what is shown and what is done, [`input`] keys and mouse, [`draw`] the screen,
//! [`world`] the machine. Relies on ratatui and crossterm for the terminal and on the program `cpr` for the work: what fails there, fails without harm here.

mod draw;
pub mod field;
pub mod help;
mod input;
mod picture;
pub mod state;
pub mod world;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Stdout};
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};

use super::exit::{self, Refusal};
use super::flag::general::General;
use super::flag::kmsg::Kmsg;
use super::flag::{Flag, general, under};
use super::program::Program;
use super::report::{Reporter, Streams, show_or_refuse};
use state::App;
use world::{Machine, World};

/// How long to wait for a key before looking at what is being done.
const TICK: Duration = Duration::from_millis(100);

/// What was said to `cview`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CviewSaid {
    general: General,
    no_colour: bool,
    no_mouse: bool,
}

impl AsMut<General> for CviewSaid {
    fn as_mut(&mut self) -> &mut General {
        &mut self.general
    }
}

/// The program.
pub fn program() -> Program<CviewSaid> {
    let flags = [
        Flag::switch("no-color", |said: &mut CviewSaid| {
            said.no_colour = true;
            Ok(())
        })
        .aliases(&["no-colour"])
        .help("Use no colours, as with NO_COLOR in the environment"),
        Flag::switch("no-mouse", |said: &mut CviewSaid| {
            said.no_mouse = true;
            Ok(())
        })
        .help("Leave the mouse to the terminal"),
    ];
    let flags = [under("On the screen", flags), general::itself(None)];
    Program {
        name: "cview",
        about: "Checkpoint and restart processes on the screen",
        usage: "[options] [DIRECTORY]",
        description: "Shows the processes of a user, saves those that one chooses in a statefile, shows the statefiles of a directory, and brings \
            back what is in them. Everything that cpr(1) does can be done here, with keys or with the mouse; F1 has help.",
        operands: ("DIRECTORY", "Where statefiles are written and looked for; the working directory by default"),
        examples: EXAMPLES,
        flags: flags.into_iter().flatten().collect(),
    }
}

const EXAMPLES: &str = "\
EXAMPLES
  cview                                 the own processes, statefiles in this directory
  cview /scratch/saved                  statefiles in that directory
  ssh -t node2 cview                    on another machine

EXIT STATUS
  0     it was left
  25    there is no terminal
  255   the command line is wrong";

/// Runs the program and returns its exit code.
pub fn run(args: impl IntoIterator<Item = OsString>, streams: &mut Streams<'_>) -> u8 {
    let program = program();
    let (said, operands) = program.parse(args);
    let mut reporter = Reporter::new(streams, said.general, Kmsg::None);
    let directory = operands.and_then(|operands| match operands.as_slice() {
        [] => Ok(std::env::current_dir().unwrap_or_else(|_| "/".into())),
        [one] => Ok(std::path::absolute(one).unwrap_or_else(|_| one.into())),
        [_, second, ..] => Err(Refusal::usage(format!("name one directory: '{}' is too much", second.display())).into()),
    });
    let directory = match directory {
        Ok(directory) => directory,
        Err(stop) => {
            let Some(refusal) = show_or_refuse(&mut reporter, &program, stop) else { return 0 };
            reporter.refusal(&program, &refusal);
            return refusal.status();
        }
    };
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        reporter.complain("cview needs a terminal\n  class args (the request must change): run it at a terminal, or use cpr");
        return NO_TERMINAL;
    }
    let user = Machine.name(nix::unistd::getuid().as_raw());
    let colours = !said.no_colour && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut app = App::new(Box::new(Machine), &user, &directory, colours);
    match on_screen(&mut app, !said.no_mouse) {
        Ok(()) => 0,
        Err(error) => {
            reporter.complain(&format!("cview cannot use the terminal: {error}"));
            error.raw_os_error().and_then(|errno| u8::try_from(errno).ok()).unwrap_or(exit::USAGE)
        }
    }
}

/// The number of ENOTTY.
const NO_TERMINAL: u8 = 25;

/// The terminal while we have it. Dropping it gives it back, also when something panics.
struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    mouse: bool,
}

impl Screen {
    fn take(mouse: bool) -> io::Result<Screen> {
        enable_raw_mode()?;
        let screen = Terminal::new(CrosstermBackend::new(io::stdout())).map(|terminal| Screen { terminal, mouse });
        let screen = screen.inspect_err(|_| drop(disable_raw_mode()))?;
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste)?;
        if mouse {
            execute!(io::stdout(), EnableMouseCapture)?;
        }
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nothing more can be done about a terminal that is gone.
        if self.mouse {
            let _ = execute!(io::stdout(), DisableMouseCapture);
        }
        let _ = execute!(io::stdout(), DisableBracketedPaste, LeaveAlternateScreen);
        let _ = disable_raw_mode();
        let _ = self.terminal.show_cursor();
    }
}

fn on_screen(app: &mut App, mouse: bool) -> io::Result<()> {
    let mut screen = Screen::take(mouse)?;
    while !app.is_over {
        screen.terminal.draw(|frame| draw::draw(app, frame))?;
        if event::poll(TICK)? {
            app.take(&event::read()?);
        }
        app.tick();
    }
    Ok(())
}

#[cfg(test)]
mod test;
