//! Jobs at a terminal: a person types at bash under a pty, checkpoints, and restarts in another terminal.
//!
//! Job control, ^C, ^Z, `fg`, redirection to the new terminal, exit statuses as the shell sees them. Relies on bash; a
//! prompt without colours and line editing keeps what is typed apart from what is answered.

use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rexpect::session::{PtySession, spawn_command};

use crate::case::{Case, Scene};
use crate::children::wait_until;
use crate::namespace;
use crate::observe;
use crate::site::Site;
use crate::verdict::{Attempt, Verdict, ensure, failed, skipped};

/// How long to wait for anything to appear.
const PATIENCE_MS: u64 = 10_000;
const PROMPT: &str = "[prompt] ";
/// Counts until it is told to stop, then exits with a status of its own.
const TICKER: &str = "\
echo $$ >pid
trap 'echo terminated' TERM
i=0
while [ ! -e stop ]; do
    i=$((i + 1))
    echo tick $i
    sleep 0.05
done
exit 7
";
/// Answers every line it reads.
const ANSWERER: &str = "\
echo $$ >pid
echo tick 4
while read -r line; do echo \"you said $line\"; done
echo end of input
";

/// Every scene.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[
        ("ctrl-c", ctrl_c),
        ("ctrl-z", ctrl_z),
        ("namespace-ctrl-c", namespace_ctrl_c),
        ("namespace-ctrl-z", namespace_ctrl_z),
        ("background", background),
        ("exit-status", exit_status),
        ("death", death),
        ("forwarding", forwarding),
        ("typing", typing),
        ("modes", modes),
        ("editor", editor),
        ("python", python),
        ("program", program),
        ("cpr", cpr),
    ];
    let case = |(journey, scene): &(&str, Scene)| {
        let scene = *scene;
        Case::new("terminal", journey, move |site| with_pids(site, scene))
    };
    scenes.iter().map(case).collect()
}

fn with_pids(site: &Site, scene: Scene) -> Verdict {
    if site.namespaced { scene(site) } else { Err(skipped("needs its own pids")) }
}

/// ^C in a restarted job ends it, and the shell sees that.
fn ctrl_c(site: &Site) -> Verdict {
    save(site, "sh job.sh", TICKER)?;
    let mut terminal = Terminal::open(site)?;
    terminal.restart()?;
    terminal.control('c')?;
    terminal.status_is(130)?;
    terminal.close()
}

/// ^Z stops a restarted job, `fg` lets it go on, and it still ends as it likes.
fn ctrl_z(site: &Site) -> Verdict {
    let pid = save(site, "sh job.sh", TICKER)?;
    let mut terminal = Terminal::open(site)?;
    let before = terminal.restart()?;
    terminal.control('z')?;
    terminal.expect("Stopped")?;
    terminal.expect(PROMPT)?;
    ensure(wait_until(site.patience, || observe::is_stopped(pid)), || format!("not stopped: {}", observe::one_line(pid)))?;
    terminal.send("fg")?;
    let after = terminal.tick()?;
    ensure(after > before, || format!("tick {after} after fg, tick {before} before"))?;
    finish(site, &mut terminal)
}

/// ^C reaches a job in namespaces of its own as well.
fn namespace_ctrl_c(site: &Site) -> Verdict {
    save(site, "sh job.sh", TICKER)?;
    let mut terminal = Terminal::open(site)?;
    terminal.send("cr_restart --namespace ../job.ctx")?;
    terminal.tick()?;
    terminal.control('c')?;
    terminal.status_is(130)?;
    terminal.close()
}

/// ^Z stops both the job there and cr_restart, and `fg` continues both.
fn namespace_ctrl_z(site: &Site) -> Verdict {
    let saved = save(site, "sh job.sh", TICKER)?;
    let mut terminal = Terminal::open(site)?;
    terminal.send("cr_restart --namespace ../job.ctx")?;
    let before = terminal.tick()?;
    let pid = observe::descendants().into_iter().find(|pid| namespace::inner_pid(*pid) == Some(saved));
    let pid = pid.ok_or_else(|| failed("the job is not in a namespace, or has another pid there"))?;
    terminal.control('z')?;
    terminal.expect("Stopped")?;
    terminal.expect(PROMPT)?;
    ensure(wait_until(site.patience, || observe::is_stopped(pid)), || format!("not stopped: {}", observe::one_line(pid)))?;
    terminal.send("fg")?;
    let after = terminal.tick()?;
    ensure(after > before, || format!("tick {after} after fg, tick {before} before"))?;
    finish(site, &mut terminal)
}

/// A job restarted in the background writes to the terminal and can be brought to the foreground.
fn background(site: &Site) -> Verdict {
    save(site, "sh job.sh", TICKER)?;
    let mut terminal = Terminal::open(site)?;
    terminal.send("cr_restart ../job.ctx &")?;
    terminal.tick()?;
    terminal.send("fg")?;
    terminal.expect("cr_restart ../job.ctx")?;
    terminal.tick()?;
    finish(site, &mut terminal)
}

/// The shell sees the exit status of the restarted job.
fn exit_status(site: &Site) -> Verdict {
    save(site, "sh job.sh", TICKER)?;
    let mut terminal = Terminal::open(site)?;
    let tick = terminal.restart()?;
    ensure(tick >= 3, || format!("the job began anew with tick {tick}"))?;
    finish(site, &mut terminal)
}

/// The shell sees which signal killed the restarted job.
fn death(site: &Site) -> Verdict {
    let pid = save(site, "sh job.sh", TICKER)?;
    let mut terminal = Terminal::open(site)?;
    terminal.restart()?;
    kill(pid, Signal::SIGUSR1).attempt("signal the job")?;
    terminal.status_is(128 + Signal::SIGUSR1 as i32)?;
    terminal.close()
}

/// A signal for cr_restart is one for the job.
fn forwarding(site: &Site) -> Verdict {
    save(site, "sh job.sh", TICKER)?;
    let mut terminal = Terminal::open(site)?;
    terminal.send("cr_restart ../job.ctx & sleep 0; ")?;
    terminal.tick()?;
    terminal.send("kill -TERM $!")?;
    terminal.expect("terminated")?;
    terminal.send("fg")?;
    terminal.tick()?;
    finish(site, &mut terminal)
}

/// What is typed at the new terminal reaches the restarted job.
fn typing(site: &Site) -> Verdict {
    save(site, "sh job.sh", ANSWERER)?;
    let mut terminal = Terminal::open(site)?;
    terminal.send("cr_restart ../job.ctx")?;
    terminal.send("hello")?;
    terminal.expect("you said hello")?;
    terminal.control('d')?;
    terminal.expect("end of input")?;
    terminal.status_is(0)?;
    terminal.close()
}

/// A job in the foreground has its modes on the new terminal, and the restart leaves that as it found it.
fn modes(site: &Site) -> Verdict {
    save(site, "stty -echo -icanon erase ^K; sh job.sh", TICKER)?;
    let mut terminal = Terminal::open(site)?;
    let tty = terminal.answer("tty")?.lines().last().unwrap_or_default().trim().to_owned();
    let before = terminal.answer("stty -g; stty size")?;
    terminal.restart()?;
    let ran = site.run(site.command("stty").args(["-a", "-F", &tty]))?;
    for mode in ["-echo ", "-icanon", "erase = ^K"] {
        ensure(ran.stdout.contains(mode), || format!("the terminal is not {mode} while the job runs:\n{}", ran.stdout))?;
    }
    terminal.control('c')?;
    terminal.expect(PROMPT)?;
    let after = terminal.answer("stty -g; stty size")?;
    ensure(before == after, || format!("the modes were {before:?} and are {after:?}"))?;
    terminal.close()
}

/// An editor comes back on a raw terminal of another size, and leaves it as it was.
fn editor(site: &Site) -> Verdict {
    let mut first = Terminal::open(site)?;
    if first.answer("command -v vim")?.is_empty() {
        return Err(skipped("not installed: vim"));
    }
    first.send("vim -u NONE -n -X -c 'call writefile([getpid()], \"pid\")' text")?;
    let named = || fs::read_to_string(site.work().join("pid")).is_ok_and(|text| text.ends_with('\n'));
    ensure(wait_until(site.patience, named), || "the editor does not start".to_owned())?;
    first.keys("ihello \x1b")?;
    let pid = checkpoint(site, &mut first)?;
    first.close()?;
    let mut second = Terminal::open(site)?;
    let before = second.answer("stty rows 30 columns 90; stty -g")?;
    second.send("cr_restart ../job.ctx")?;
    ensure(wait_until(site.patience, || observe::parent(pid).is_some()), || "the editor is not back".to_owned())?;
    // Without a line's end: a terminal that reads lines would wait for it.
    second.keys("aworld\x1bZZ")?;
    second.status_is(0)?;
    let text = fs::read_to_string(site.work().join("text")).attempt("read the text")?;
    ensure(text == "hello world\n", || format!("the editor has written {text:?}"))?;
    let after = second.answer("stty rows 30 columns 90; stty -g")?;
    ensure(before == after, || format!("the modes were {before:?} and are {after:?}"))?;
    second.close()
}

/// An interactive interpreter goes on with its variables.
fn python(site: &Site) -> Verdict {
    let mut first = Terminal::open(site)?;
    if first.answer("command -v python3")?.is_empty() {
        return Err(skipped("not installed: python3"));
    }
    first.send("python3 -q")?;
    first.send("import os; x = 40; w = open('pid', 'w').write(str(os.getpid())); print('tick', x)")?;
    first.expect("tick 40")?;
    let pid = checkpoint(site, &mut first)?;
    first.close()?;
    let mut second = Terminal::open(site)?;
    second.send("cr_restart ../job.ctx")?;
    ensure(wait_until(site.patience, || observe::parent(pid).is_some()), || "the interpreter is not back".to_owned())?;
    second.send("print('sum', x + 2)")?;
    second.expect("sum 42")?;
    second.send("exit(5)")?;
    second.status_is(5)?;
    second.close()
}

/// The test program `tty`, which holds descriptors of its terminal.
fn program(site: &Site) -> Verdict {
    let mut first = Terminal::open(site)?;
    first.send(&format!("{} | cat", site.program("tty").display()))?;
    first.expect("READY")?;
    let tty = observe::descendants().into_iter().find(|pid| observe::image(*pid) == Some(site.program("tty")));
    let tty = tty.ok_or_else(|| failed("the program tty is not there"))?;
    // The pipe to cat leads out of the job; at restart it becomes the standard output of cr_restart.
    site.checkpoint(&["--kill"], &site.context("job.ctx"), tty)?;
    first.expect(PROMPT)?;
    first.close()?;
    let mut second = Terminal::open(site)?;
    second.send("cr_restart ../job.ctx")?;
    fs::write(site.work().join("go"), "restart\n").attempt("write the file go")?;
    second.expect("PASS")?;
    second.status_is(0)?;
    second.close()
}

/// `cpr -j` brings a job back in the foreground of another terminal, under the control of the shell there.
fn cpr(site: &Site) -> Verdict {
    fs::write(site.work().join("job.sh"), TICKER).attempt("write the job")?;
    let mut first = Terminal::open(site)?;
    first.send("sh job.sh &")?;
    while first.tick()? < 3 {}
    let text = fs::read_to_string(site.work().join("pid")).attempt("read the job's pid")?;
    let pid = Pid::from_raw(text.trim().parse().attempt("parse the job's pid")?);
    let mut command = site.command(site.tool("cpr"));
    command.env("HOME", site.work()).args(["-c", "state", "-p"]).arg(format!("{pid}:HID"));
    site.run(&mut command)?.succeeded()?;
    first.close()?;
    let mut second = Terminal::open(site)?;
    second.send("cpr -j -r ../state")?;
    let before = second.tick()?;
    second.control('z')?;
    second.expect("Stopped")?;
    second.expect(PROMPT)?;
    ensure(wait_until(site.patience, || observe::is_stopped(pid)), || format!("not stopped: {}", observe::one_line(pid)))?;
    second.send("fg")?;
    let after = second.tick()?;
    ensure(after > before, || format!("tick {after} after fg, tick {before} before"))?;
    finish(site, &mut second)
}

/// Runs a job in a terminal of its own until it has printed something, then checkpoints and kills it.
fn save(site: &Site, line: &str, script: &str) -> Verdict<Pid> {
    fs::write(site.work().join("job.sh"), script).attempt("write the job")?;
    let mut terminal = Terminal::open(site)?;
    terminal.send(line)?;
    while terminal.tick()? < 3 {}
    let pid = checkpoint(site, &mut terminal)?;
    terminal.close()?;
    Ok(pid)
}

fn checkpoint(site: &Site, terminal: &mut Terminal) -> Verdict<Pid> {
    let text = fs::read_to_string(site.work().join("pid")).attempt("read the job's pid")?;
    let pid = Pid::from_raw(text.trim().parse().attempt("parse the job's pid")?);
    site.checkpoint(&["--kill"], &site.context("job.ctx"), pid)?;
    terminal.expect("Killed")?;
    terminal.expect(PROMPT)?;
    Ok(pid)
}

/// Lets the ticker end by itself; the shell must see its status.
fn finish(site: &Site, terminal: &mut Terminal) -> Verdict {
    fs::write(site.work().join("stop"), "").attempt("tell the job to stop")?;
    terminal.status_is(7)?;
    terminal.close()
}

/// Somebody at an interactive bash.
struct Terminal<'a> {
    session: PtySession,
    site: &'a Site,
}

impl<'a> Terminal<'a> {
    fn open(site: &'a Site) -> Verdict<Terminal<'a>> {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut bash = Command::new("bash");
        bash.args(["--norc", "--noprofile", "--noediting", "-i"]).current_dir(site.work());
        bash.env("PS1", PROMPT).env("TERM", "dumb").env("PATH", format!("{}:{path}", site.base.join("bin").display()));
        let session = spawn_command(bash, Some(PATIENCE_MS)).attempt("open a terminal with bash")?;
        let mut terminal = Terminal { session, site };
        terminal.expect(PROMPT)?;
        Ok(terminal)
    }

    fn send(&mut self, line: &str) -> Verdict {
        self.site.step(format_args!("terminal < {line}"));
        self.session.send_line(line).attempt("type").map(drop)
    }

    /// Types keys, without the end of a line.
    fn keys(&mut self, keys: &str) -> Verdict {
        self.site.step(format_args!("terminal < {keys:?}"));
        self.session.send(keys).attempt("type keys")?;
        self.session.flush().attempt("type keys")
    }

    fn control(&mut self, letter: char) -> Verdict {
        self.site.step(format_args!("terminal < ^{letter}"));
        self.session.send_control(letter).attempt("type a control character")
    }

    /// Everything up to this text, which must come.
    fn expect(&mut self, text: &str) -> Verdict<String> {
        let before = self.session.exp_string(text).attempt(format_args!("see {text:?} at the terminal"))?;
        self.site.step(format_args!("terminal > {before:?} {text:?}"));
        Ok(before)
    }

    /// What a command prints.
    fn answer(&mut self, line: &str) -> Verdict<String> {
        self.send(line)?;
        Ok(self.expect(PROMPT)?.trim().to_owned())
    }

    /// The number of the next tick.
    fn tick(&mut self) -> Verdict<u32> {
        let (_, line) = self.session.exp_regex("tick [0-9]+\r").attempt("see the job tick at the terminal")?;
        line.trim()["tick ".len()..].parse().attempt("read the number of a tick")
    }

    /// Restarts the saved job in the foreground; its next tick.
    fn restart(&mut self) -> Verdict<u32> {
        self.send("cr_restart ../job.ctx")?;
        self.tick()
    }

    /// The foreground job has ended, with this status.
    fn status_is(&mut self, status: i32) -> Verdict {
        self.expect(PROMPT)?;
        let said = self.answer("echo status $?")?;
        ensure(said.ends_with(&format!("status {status}")), || format!("the shell says {said:?}, not status {status}"))
    }

    /// Leaves the shell; nothing may be left of it.
    fn close(&mut self) -> Verdict {
        self.send("exit")?;
        self.session.exp_eof().attempt("leave the shell")?;
        self.site.gone()
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        // An interactive bash ignores the SIGTERM that rexpect would send again and again.
        let _ = self.session.process_mut().signal(Signal::SIGKILL);
    }
}
