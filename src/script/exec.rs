//! `cr.exec`: runs a program for a script, without a shell, within what is left of the call's time.
//!
//! The program gets a process group of its own, a clean signal mask, the resource limits of our caller, and nothing of ours but its standard
//! descriptors. When its time is up it is killed with all that descends from it ([`brood`](super::brood)); so is what it left behind when the script's
//! process ends. Runs in the script's own process; a program in the background is left to itself.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mlua::{Lua, Table, Value};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::host::Host;
use super::native::{Arguments, Returned, bytes, lua_value, said};
use super::text::{known, printable};
use super::{brood, fork};
use crate::sys::cli_support::{killed_with_parent, with_clean_mask, with_data_limit};

/// Bytes kept of each output.
const MOST_OUTPUT: usize = 1 << 20;
/// Bytes of all words and variables, and of the input.
const MOST_WORDS: usize = 1 << 20;
const MOST_INPUT: usize = 4 << 20;
/// Programs in the background at a time.
const MOST_BACKGROUND: usize = 16;
/// How long to sleep between two looks at a program that has closed its outputs.
const PAUSE: Duration = Duration::from_millis(1);
/// How long to wait for output before looking whether the program has ended, milliseconds.
const LOOK: u16 = 20;

/// What a script wants run.
struct Order {
    words: Vec<Vec<u8>>,
    environment: Vec<(Vec<u8>, Vec<u8>)>,
    stdin: Option<Vec<u8>>,
    timeout: Option<Duration>,
    background: bool,
    /// Tells its processes from others.
    mark: String,
}

/// `cr.exec { argv…, timeout =, env =, stdin =, background = }`
pub fn exec(host: &Host, lua: &Lua, arguments: &Arguments) -> Returned {
    host.no_effects("exec")?;
    let Value::Table(table) = arguments.get(1) else {
        return Err(arguments.bad(1, "a table with the program and its arguments"));
    };
    let mut order = Order::read(table).map_err(|why| format!("cr.exec: {why}"))?;
    order.mark = brood::mark(host.next_command(), order.background);
    let program = printable(&order.words[0]);
    if order.background && host.background.borrow().len() >= MOST_BACKGROUND {
        return Err(format!("cr.exec: {MOST_BACKGROUND} programs run in the background already; '{program}' is not started"));
    }
    let left = host.meter.left();
    let until = Instant::now() + order.timeout.map_or(left, |timeout| timeout.min(left));
    host.collect();
    let child = match start(&order) {
        Ok(child) => child,
        Err(error) => return Ok(vec![Value::Nil, lua_value(lua, format!("cannot start '{program}': {error}"))?]),
    };
    if order.background {
        let table = lua.create_table().map_err(said)?;
        table.raw_set("pid", child.id()).map_err(said)?;
        host.background.borrow_mut().push(child);
        return Ok(vec![Value::Table(table)]);
    }
    match attend(child, &order, until) {
        Ok(Some(ended)) => ended.into_lua(lua).map(|table| vec![Value::Table(table)]).map_err(said),
        Ok(None) => Err(timed_out(&program, order.timeout.filter(|timeout| *timeout < left), left, &host.meter.what())),
        Err(error) => Err(format!("cr.exec: '{program}': {error}")),
    }
}

fn timed_out(program: &str, timeout: Option<Duration>, left: Duration, what: &str) -> String {
    let (time, remedy) = match timeout {
        Some(timeout) => (format!("its time limit of {} ms", timeout.as_millis()), "a longer timeout"),
        None => (format!("{} ms, all that was left for {what}", left.as_millis()), "background = true"),
    };
    format!("cr.exec: '{program}' was ended after {time}; try {remedy}")
}

impl Order {
    fn read(table: &Table) -> Result<Order, String> {
        const OPTIONS: [&str; 4] = ["timeout", "env", "stdin", "background"];
        let mut order =
            Order { words: Vec::new(), environment: Vec::new(), stdin: None, timeout: None, background: false, mark: String::new() };
        let mut bytes = 0;
        for index in 1..=table.raw_len() {
            let word = word(&table.raw_get(index).map_err(said)?).ok_or(format!("word {index} must be a text without zero bytes"))?;
            bytes += word.len() + 1;
            if MOST_WORDS < bytes {
                return Err(format!("the words have more than {} KiB", MOST_WORDS >> 10));
            }
            order.words.push(word);
        }
        if order.words.first().is_none_or(Vec::is_empty) {
            return Err("the first word must be a program".into());
        }
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair.map_err(said)?;
            match (&key, &value) {
                (Value::Integer(index), _) if usize::try_from(*index).is_ok_and(|index| (1..=order.words.len()).contains(&index)) => {}
                (Value::String(key), value) => order.option(&key.to_string_lossy(), value)?,
                _ => return Err(format!("the words must be a list without gaps, the options {}", OPTIONS.join(", "))),
            }
        }
        Ok(order)
    }

    fn option(&mut self, key: &str, value: &Value) -> Result<(), String> {
        match (key, value) {
            ("timeout", Value::Integer(_) | Value::Number(_)) => {
                let seconds = number(value).filter(|seconds| (0.0..=86_400.0).contains(seconds));
                self.timeout = Some(Duration::from_secs_f64(seconds.ok_or("timeout must be from 0 to 86400 seconds")?));
            }
            ("stdin", Value::String(text)) if MOST_INPUT < text.as_bytes().len() => {
                return Err(format!("stdin is longer than {} MiB; write a file", MOST_INPUT >> 20));
            }
            ("stdin", Value::String(text)) => self.stdin = Some(text.as_bytes().to_vec()),
            ("background", Value::Boolean(background)) => self.background = *background,
            ("env", Value::Table(table)) => {
                for pair in table.pairs::<Value, Value>() {
                    let (name, value) = pair.map_err(said)?;
                    let name = word(&name).filter(|name| !name.is_empty() && !name.contains(&b'='));
                    let value = word(&value).ok_or("env: a value must be a text without zero bytes")?;
                    self.environment.push((name.ok_or("env: a name must be a text without '='")?, value));
                }
            }
            ("timeout", _) => return Err("timeout must be a number of seconds".into()),
            ("stdin", _) => return Err("stdin must be a text".into()),
            ("background", _) => return Err("background must be true or false".into()),
            ("env", _) => return Err("env must be a table of variables".into()),
            _ => {
                let options = ["timeout", "env", "stdin", "background"];
                return Err(format!("there is no option '{}' {}", printable(key.as_bytes()), known(key, options)));
            }
        }
        Ok(())
    }
}

#[allow(clippy::cast_precision_loss, reason = "seconds beyond 2^53 are refused anyway")]
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        _ => None,
    }
}

fn word(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()).filter(|bytes| !bytes.contains(&0)),
        Value::Integer(number) => Some(number.to_string().into_bytes()),
        Value::Number(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

fn start(order: &Order) -> std::io::Result<Child> {
    use std::os::unix::ffi::OsStrExt;
    let text = |bytes: &[u8]| std::ffi::OsStr::from_bytes(bytes).to_owned();
    let mut command = Command::new(text(&order.words[0]));
    command.args(order.words[1..].iter().map(|word| text(word))).process_group(0);
    command.envs(order.environment.iter().map(|(name, value)| (text(name), text(value)))).env(brood::VARIABLE, &order.mark);
    let is_attended = |wanted: bool| if wanted && !order.background { Stdio::piped() } else { Stdio::null() };
    command.stdin(is_attended(order.stdin.is_some())).stdout(is_attended(true)).stderr(is_attended(true));
    // The script's process blocks all signals and has limits of its own.
    with_clean_mask(&mut command);
    if let Some(limit) = fork::callers_data_limit() {
        with_data_limit(&mut command, limit);
    }
    if !order.background {
        killed_with_parent(&mut command);
    }
    if brood::is_over() { Err(ErrorKind::Interrupted.into()) } else { command.spawn() }
}

/// How a program ended.
struct Ended {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Ended {
    fn into_lua(self, lua: &Lua) -> mlua::Result<Table> {
        let table = lua.create_table()?;
        table.raw_set("status", self.status.code())?;
        table.raw_set("signal", self.status.signal())?;
        let text = |output: &[u8]| bytes(lua, output).map_err(mlua::Error::runtime);
        table.raw_set("stdout", text(&self.stdout)?)?;
        table.raw_set("stderr", text(&self.stderr)?)?;
        // What a shell takes from `$(…)`.
        let end = self.stdout.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| last + 1);
        table.raw_set("output", text(&self.stdout[..end])?)?;
        Ok(table)
    }
}

/// Feeds a program, collects its outputs and waits for its end; `None` if it had to be killed.
fn attend(mut child: Child, order: &Order, until: Instant) -> std::io::Result<Option<Ended>> {
    let ended = converse(&mut child, order.stdin.as_deref().unwrap_or_default(), until);
    if !matches!(ended, Ok(Some(_))) {
        brood::end(&order.mark);
        child.kill()?;
        child.wait()?;
    }
    ended
}

fn converse(child: &mut Child, stdin: &[u8], until: Instant) -> std::io::Result<Option<Ended>> {
    let (mut input, mut rest) = (child.stdin.take(), stdin);
    let (mut output, mut error) = (child.stdout.take(), child.stderr.take());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    input.as_ref().map(|pipe| unblock(pipe.as_fd())).transpose()?;
    output.as_ref().map(|pipe| unblock(pipe.as_fd())).transpose()?;
    error.as_ref().map(|pipe| unblock(pipe.as_fd())).transpose()?;
    loop {
        if Instant::now() >= until {
            return Ok(None);
        }
        // A program that has ended may have left others behind that hold its outputs: what is there now is taken, and nobody is waited for.
        let status = child.try_wait()?;
        output = output.and_then(|pipe| take(pipe, &mut stdout));
        error = error.and_then(|pipe| take(pipe, &mut stderr));
        input = input.and_then(|pipe| feed(pipe, &mut rest));
        if let Some(status) = status {
            return Ok(Some(Ended { status, stdout, stderr }));
        }
        wait(&[output.as_ref().map(AsFd::as_fd), error.as_ref().map(AsFd::as_fd)], input.as_ref().map(AsFd::as_fd))?;
    }
}

fn unblock(pipe: BorrowedFd) -> std::io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(pipe, FcntlArg::F_GETFL)?);
    fcntl(pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Waits a moment for output, or for room in the input.
fn wait(outputs: &[Option<BorrowedFd>], input: Option<BorrowedFd>) -> std::io::Result<()> {
    let outputs = outputs.iter().flatten().map(|pipe| PollFd::new(*pipe, PollFlags::POLLIN));
    let mut pipes: Vec<PollFd> = outputs.chain(input.map(|pipe| PollFd::new(pipe, PollFlags::POLLOUT))).collect();
    if pipes.is_empty() {
        thread::sleep(PAUSE);
        return Ok(());
    }
    match poll(&mut pipes, PollTimeout::from(LOOK)) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Reads what is there; the pipe again if more may come.
fn take<P: Read>(mut pipe: P, kept: &mut Vec<u8>) -> Option<P> {
    let mut block = [0; 16 << 10];
    // A program that never stops writing must not hold the loop here.
    for _ in 0..64 {
        match pipe.read(&mut block) {
            Ok(0) => return None,
            Ok(count) => {
                let room = MOST_OUTPUT - kept.len();
                kept.extend_from_slice(&block[..count.min(room)]);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(pipe),
            Err(_) => return None,
        }
    }
    Some(pipe)
}

/// Writes what there is room for; the pipe again if more is left.
fn feed<P: Write>(mut pipe: P, rest: &mut &[u8]) -> Option<P> {
    while !rest.is_empty() {
        match pipe.write(rest) {
            Ok(count) => *rest = &rest[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(pipe),
            // The program does not want the rest.
            Err(_) => return None,
        }
    }
    None
}
