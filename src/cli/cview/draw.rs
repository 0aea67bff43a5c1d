//! Drawing: both panels and what stands over them, at any size from 60×18 on.
//!
//! Relies on ratatui. What is marked is reversed, so that it shows without colours and on light and dark terminals; colours only say again what words say.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Gauge, Paragraph, Wrap};

use indicatif::BinaryBytes;

use super::picture;
use super::state::{App, Marked, Popup, Spot, TYPES};
use crate::cli::info;

/// Less is not enough for the parts.
const SMALLEST: (u16, u16) = (60, 18);
/// From this width on the picture has a column of its own.
const WIDE: u16 = 120;

/// Draws everything.
pub fn draw(app: &mut App, frame: &mut Frame<'_>) {
    app.places.clear();
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let text = format!("The terminal has {}×{} characters; cview needs {}×{}.", area.width, area.height, SMALLEST.0, SMALLEST.1);
        return frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
    }
    let [title, panel, status] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    draw_title(app, frame, title);
    if app.restarts {
        draw_restart(app, frame, panel);
    } else if area.width >= WIDE {
        let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(area.width * 2 / 5)]).areas(panel);
        draw_checkpoint(app, frame, left);
        draw_picture(app, frame, right);
    } else {
        draw_checkpoint(app, frame, panel);
    }
    draw_status(app, frame, status);
    draw_popup(app, frame, area);
    if app.work.is_some() {
        draw_work(app, frame, area);
    }
}

fn marked(is_marked: bool) -> Style {
    if is_marked { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() }
}

/// Puts parts in a row, each with its text, and notes where they stand.
fn row(app: &mut App, frame: &mut Frame<'_>, area: Rect, parts: &[(Option<Spot>, String)]) {
    let mut x = area.x;
    for (spot, text) in parts {
        let width = u16::try_from(Span::raw(text).width()).unwrap_or(u16::MAX).min(area.right().saturating_sub(x));
        let place = Rect { x, y: area.y, width, height: 1 };
        let is_marked = spot.is_some_and(|spot| spot == app.focus);
        frame.render_widget(Paragraph::new(text.as_str()).style(marked(is_marked)), place);
        if let Some(spot) = spot {
            app.places.push((place, *spot, None));
        }
        x = x.saturating_add(width + 1).min(area.right());
    }
}

fn draw_title(app: &mut App, frame: &mut Frame<'_>, area: Rect) {
    let tab = |name: &str, is_shown: bool| if is_shown { format!("▌{name}▐") } else { format!(" {name} ") };
    let parts = [
        (None, "cview".to_owned()),
        (Some(Spot::CheckpointTab), tab("Checkpoint Control Panel", !app.restarts)),
        (Some(Spot::RestartTab), tab("Restart Control Panel", app.restarts)),
        (Some(Spot::HelpMenu), "[Help]".into()),
    ];
    row(app, frame, area, &parts);
}

fn draw_status(app: &App, frame: &mut Frame<'_>, area: Rect) {
    frame.render_widget(Paragraph::new(app.status.as_str()).style(Style::new().add_modifier(Modifier::BOLD)), area);
}

/// A field of some width, with its end in sight; the cursor is set if it is marked.
fn field(app: &mut App, frame: &mut Frame<'_>, area: Rect, label: &str, spot: Spot) {
    let width = u16::try_from(label.len()).unwrap_or(0);
    let [name, place] = Layout::horizontal([Constraint::Length(width), Constraint::Fill(1)]).areas(area);
    frame.render_widget(Paragraph::new(label), name);
    let content = match spot {
        Spot::User => &app.user,
        Spot::Finder => &app.finder,
        _ => &app.statefile,
    };
    let room = usize::from(place.width.saturating_sub(1));
    let skipped = content.cursor().saturating_sub(room);
    let text: String = content.text().chars().skip(skipped).chain(std::iter::repeat('_')).take(usize::from(place.width)).collect();
    frame.render_widget(Paragraph::new(text).style(marked(app.focus == spot)), place);
    if app.focus == spot && app.popup.is_none() {
        let x = place.x + u16::try_from(content.cursor() - skipped).unwrap_or(0);
        frame.set_cursor_position(Position { x, y: place.y });
    }
    app.places.push((place, spot, None));
}

/// Where lists are drawn: a frame with a title and a heading.
fn list(
    app: &mut App,
    frame: &mut Frame<'_>,
    area: Rect,
    (title, heading, spot): (&str, &str, Spot),
    lines: &[String],
    of: fn(&mut App) -> &mut Marked,
) {
    let filter = of(app).filter.clone();
    let title = if filter.is_empty() { format!(" {title} ") } else { format!(" {title}: {filter}▏") };
    let border = if app.focus == spot { Style::new().add_modifier(Modifier::BOLD) } else { Style::new().add_modifier(Modifier::DIM) };
    let block = Block::bordered().title(title).border_style(border);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    app.places.push((area, spot, None));
    let [head, body] = Layout::vertical([Constraint::Length(u16::from(!heading.is_empty())), Constraint::Fill(1)]).areas(inner);
    frame.render_widget(Paragraph::new(heading).style(Style::new().add_modifier(Modifier::UNDERLINED)), head);
    of(app).show(usize::from(body.height), lines.len());
    let (top, line) = (of(app).top, of(app).line);
    for (index, text) in lines.iter().enumerate().skip(top).take(usize::from(body.height)) {
        let place = Rect { y: body.y + u16::try_from(index - top).unwrap_or(0), height: 1, ..body };
        let style = match (index == line, app.focus == spot) {
            (true, true) => marked(true),
            (true, false) => Style::new().add_modifier(Modifier::BOLD),
            _ => Style::new(),
        };
        frame.render_widget(Paragraph::new(text.as_str()).style(style), place);
        app.places.push((place, spot, Some(index)));
    }
    if lines.is_empty() {
        let nothing = if filter.is_empty() { "nothing" } else { "nothing has this in it: Backspace" };
        frame.render_widget(Paragraph::new(nothing).style(Style::new().add_modifier(Modifier::DIM)), body);
    }
}

fn tick(is_on: bool, text: &str) -> String {
    format!("[{}] {text}", if is_on { 'x' } else { ' ' })
}

fn menu(text: &str) -> String {
    format!("<{text} ▾>")
}

fn draw_checkpoint(app: &mut App, frame: &mut Frame<'_>, area: Rect) {
    let lengths = [1, 0, 1, 1, 1, 0, 1].map(|length| if length == 0 { Constraint::Fill(1) } else { Constraint::Length(length) });
    let [one, processes, kinds, name, two, files, three] = Layout::vertical(lengths).areas(area);
    let [button, user, recycle] = Layout::horizontal([Constraint::Length(30), Constraint::Fill(1), Constraint::Length(11)]).areas(one);
    row(app, frame, button, &[(Some(Spot::StepOne), "[STEP I: list processes of]".into())]);
    field(app, frame, user, "User: ", Spot::User);
    row(app, frame, recycle, &[(None, String::new()), (Some(Spot::UserRecycle), "[Earlier]".into())]);
    let names = &*app.world;
    let line = |one: &&crate::engine::look::Seen| {
        let number = |number: i64| if number == 0 { "-".to_owned() } else { number.to_string() };
        format!(
            "{:8.8} {:>7} {:>7} {:>7} {:>7} {:>6} {:>6}  {}",
            names.name(one.uid),
            one.pid,
            one.ppid,
            one.pgid,
            one.sid,
            number(one.jid),
            number(one.ash),
            one.command
        )
    };
    let lines: Vec<String> = app.shown_processes().iter().map(line).collect();
    let heading = format!("{:8} {:>7} {:>7} {:>7} {:>7} {:>6} {:>6}  COMMAND", "USER", "PID", "PPID", "PGID", "SID", "JID", "ASH");
    list(app, frame, processes, ("Processes", &heading, Spot::Processes), &lines, |app| &mut app.process);
    let what = app.id().map_or(String::new(), |id| id.to_string());
    let parts = [(Some(Spot::TypeMenu), menu(TYPES[app.kind].1)), (None, what), (Some(Spot::Upgrade), tick(app.upgrade, "System Upgrade"))];
    row(app, frame, kinds, &parts);
    field(app, frame, name, "Statefile: ", Spot::Statefile);
    let after = if app.goes_on { "Continue" } else { "Exit" };
    let disposition = app.marked_file().map_or("-".to_owned(), |index| app.files[index].1.word().to_uppercase());
    let parts = [
        (Some(Spot::StepTwo), "[STEP II: show open files]".to_owned()),
        (None, "Afterwards:".into()),
        (Some(Spot::AfterMenu), menu(after)),
        (Some(Spot::DispositionMenu), menu(&disposition)),
    ];
    row(app, frame, two, &parts);
    let line = |index: &usize| {
        let (file, action) = &app.files[*index];
        format!("{:11}{}{}", action.word().to_uppercase(), file.path, if file.is_mapped_only { "  (mapped)" } else { "" })
    };
    let lines: Vec<String> = app.shown_files().iter().map(line).collect();
    list(app, frame, files, ("File dispositions", "", Spot::Files), &lines, |app| &mut app.file);
    row(app, frame, three, &[(Some(Spot::Ok), "[STEP III: OK, Checkpoint]".into()), (Some(Spot::Cancel), "[Cancel Checkpoint]".into())]);
}

fn draw_restart(app: &mut App, frame: &mut Frame<'_>, area: Rect) {
    let lengths = [1, 0, 1, 1, 1, 1].map(|length| if length == 0 { Constraint::Fill(1) } else { Constraint::Length(length) });
    let [one, entries, ids, cwd, root, buttons] = Layout::vertical(lengths).areas(area);
    let [button, path, recycle] = Layout::horizontal([Constraint::Length(9), Constraint::Fill(1), Constraint::Length(11)]).areas(one);
    row(app, frame, button, &[(Some(Spot::List), "[List]".into())]);
    field(app, frame, path, "Path: ", Spot::Finder);
    row(app, frame, recycle, &[(None, String::new()), (Some(Spot::FinderRecycle), "[Earlier]".into())]);
    let names = &*app.world;
    let width = usize::from(entries.width.saturating_sub(40)).max(16);
    let line = |entry: &&super::world::Entry| {
        let time = info::time(u64::try_from(entry.modified).unwrap_or(0).saturating_mul(1_000_000_000));
        let mark = if entry.is_statefile { '*' } else { ' ' };
        let slash = if entry.is_directory { "/" } else { "" };
        let name = format!("{mark} {}{slash}", entry.name);
        format!("{name:width$.width$} {:10.10} {}", names.name(entry.owner), time.get(..16).unwrap_or_default())
    };
    let lines: Vec<String> = app.shown_entries().iter().map(line).collect();
    let heading = format!("{:width$} {:10} MODIFIED (UTC)", "  NAME", "OWNER");
    list(app, frame, entries, ("Statefiles *", &heading, Spot::Statefiles), &lines, |app| &mut app.entry);
    let chosen = if app.any { "Any process ids" } else { "Original process ids" };
    row(app, frame, ids, &[(Some(Spot::IdMenu), menu(chosen))]);
    row(app, frame, cwd, &[(Some(Spot::NoCwd), tick(app.no_cwd, "Don't restore the original working directory"))]);
    row(app, frame, root, &[(Some(Spot::NoRoot), tick(app.no_root, "Don't restore the original root directory"))]);
    let long = area.width >= 90;
    let parts = [
        (Some(Spot::Go), "[OK Go Restart]".to_owned()),
        (Some(Spot::TellMore), if long { "[Tell Me More About This Statefile]" } else { "[Tell Me More]" }.into()),
        (Some(Spot::Remove), "[Remove This Statefile]".into()),
    ];
    row(app, frame, buttons, &parts);
}

fn draw_picture(app: &mut App, frame: &mut Frame<'_>, area: Rect) {
    let block = Block::bordered().title(" Picture ");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let lines = picture_lines(app, inner.width);
    frame.render_widget(Paragraph::new(lines), inner);
}

fn picture_lines(app: &App, width: u16) -> Vec<Line<'static>> {
    match &app.picture {
        Some((_, members, kinds)) => picture::lines(members, kinds, width.into()).into_iter().map(Line::from).collect(),
        None => vec![Line::from("STEP II or F3 draws the job and its memory")],
    }
}

/// A rectangle in the middle.
fn middle(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width.saturating_sub(2)), height.min(area.height.saturating_sub(2)));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}

fn draw_popup(app: &mut App, frame: &mut Frame<'_>, area: Rect) {
    let lines_of_picture = matches!(app.popup, Some(Popup::Picture)).then(|| picture_lines(app, area.width.saturating_sub(8)));
    let bad = if app.colours { Style::new().fg(Color::Red) } else { Style::new() };
    match &app.popup {
        None => {}
        Some(Popup::Text { title, lines, scroll, is_error }) => {
            let width = area.width.saturating_sub(6).min(100);
            let rows: usize = lines.iter().map(|line| 1 + line.chars().count() / usize::from(width.saturating_sub(2).max(1))).sum();
            let place = middle(area, width, u16::try_from(rows + 2).unwrap_or(u16::MAX));
            let footer = if *is_error { " Esc closes " } else { " Up, Down; Esc closes " };
            let style = if *is_error { bad } else { Style::new() };
            let block = Block::bordered().title(format!(" {title} ")).title_bottom(footer).border_style(style);
            let text = lines.iter().skip(*scroll).map(|line| Line::from(line.clone())).collect::<Vec<_>>();
            frame.render_widget(Clear, place);
            frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }).block(block), place);
        }
        Some(Popup::Menu { choices, chosen, .. }) => {
            let width = choices.iter().map(|choice| choice.chars().count()).max().unwrap_or(0) + 4;
            let height = choices.len() + 2;
            let place = middle(area, u16::try_from(width).unwrap_or(u16::MAX), u16::try_from(height).unwrap_or(u16::MAX));
            let line = |(index, choice): (usize, &String)| Line::from(format!(" {choice} ")).style(marked(index == *chosen));
            let lines: Vec<Line<'_>> = choices.iter().enumerate().map(line).collect();
            frame.render_widget(Clear, place);
            frame.render_widget(Paragraph::new(lines).block(Block::bordered()), place);
            app.menu_row = place.y + 1;
        }
        Some(Popup::Ask { question, .. }) => {
            let place = middle(area, 66, 5);
            frame.render_widget(Clear, place);
            let text = vec![Line::from(question.clone()), Line::from("y yes   n no").style(Style::new().add_modifier(Modifier::BOLD))];
            frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }).block(Block::bordered().title(" Really? ")), place);
        }
        Some(Popup::Picture) => {
            let place = middle(area, area.width, area.height);
            frame.render_widget(Clear, place);
            let block = Block::bordered().title(" Picture ").title_bottom(" Esc closes ");
            frame.render_widget(Paragraph::new(lines_of_picture.unwrap_or_default()).block(block), place);
        }
    }
}

fn draw_work(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let Some(work) = &app.work else { return };
    let place = middle(area, 70, 5);
    frame.render_widget(Clear, place);
    let block = Block::bordered().title(" At work ").title_bottom(" Esc gives up ");
    let inner = block.inner(place);
    frame.render_widget(block, place);
    let [what, bar, _] = Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Fill(1)]).areas(inner);
    const WHEEL: [char; 4] = ['|', '/', '-', '\\'];
    // One turn takes less than half a second.
    let turn = (work.seconds() * 10.0).rem_euclid(4.0);
    let mark =
        WHEEL.iter().enumerate().rfind(|(index, _)| f64::from(u8::try_from(*index).unwrap_or(0)) <= turn).map_or('|', |(_, mark)| *mark);
    frame.render_widget(Paragraph::new(format!("{mark} {}", work.title())), what);
    let written = work.bytes().unwrap_or(0);
    let total: u64 = app.picture.as_ref().map_or(0, |(_, members, _)| members.iter().map(|one| one.bytes).sum());
    let label = format!("{:.1} s{}", work.seconds(), if written > 0 { format!(", {}", BinaryBytes(written)) } else { String::new() });
    let ratio = if total == 0 { 0.0 } else { (written.min(total) as f64 / total as f64).clamp(0.0, 1.0) };
    let style = if app.colours { Style::new().fg(Color::Cyan) } else { Style::new() };
    frame.render_widget(Gauge::default().ratio(ratio).label(label).gauge_style(style), bar);
}
