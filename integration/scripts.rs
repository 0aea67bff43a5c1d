//! Hook scripts on real jobs: every event at its place, what answers do, and what bad scripts do not do.
//!
//! Each scene writes its scripts itself, as an administrator would. Relies on the test programs `file_action` and `area_action` and on the
//! built programs. Leaves the language itself, its limits and the table `cr` to the tests of the library.

mod bad;
mod trace;

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::case::{Case, Scene};
use crate::children::{End, wait_until};
use crate::job::Job;
use crate::observe;
use crate::site::{Ran, Site};
use crate::verdict::{Attempt, Verdict, ensure, in_order, says};

/// Scenes that are not about time have enough of it, however busy the machine is.
const NO_HURRY: &str = "--hook-frozen-timeout=60";

/// Every promise.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[
        ("events", events),
        ("precedence", precedence),
        ("path", path),
        ("skip", skip),
        ("refuse", refuse),
        ("omit-all", omit_all),
        ("objects", objects),
        ("area", area),
        ("afterwards", afterwards),
        ("state", state),
        ("relocate", relocate),
        ("again", again),
        ("nothing-left", nothing_left),
        ("retry", retry),
        ("namespace", namespace),
        ("statuses", statuses),
        ("commands-beside", commands_beside),
        ("pre-resume", pre_resume),
        ("robust", robust),
        ("bad", bad::bad),
        ("runaway", bad::runaway),
        ("hurry", bad::hurry),
        ("record", trace::record),
        ("replay", trace::replay),
    ];
    scenes.iter().map(|(journey, scene)| Case::new("script", journey, *scene)).collect()
}

fn script(site: &Site, name: &str, text: &str) -> Verdict<String> {
    let path = site.context(name);
    fs::write(&path, format!("local cr = require \"cr\"\n{text}")).attempt("write a script")?;
    Ok(path.display().to_string())
}

fn context(site: &Site) -> PathBuf {
    site.context("job.ctx")
}

/// `cr_restart OPTIONS CONTEXT`, run to its end.
fn restart_ends(site: &Site, options: &[&str]) -> Verdict<Ran> {
    let mut command = site.command(site.tool("cr_restart"));
    site.run(command.args(options).arg(context(site)))
}

const EVERY: &str = r#"
for _, name in ipairs { "pre-checkpoint", "frozen", "process", "post-checkpoint", "checkpoint-failed", "pre-restart", "pre-resume",
                        "on-success", "fail-args", "fail-temp", "fail-env", "fail-perm", "job-exit" } do
  cr.on(name, function() print("event " .. name) end)
end
cr.on("file-disposition", { path = "**/log" }, function(file) print("event file-disposition " .. file.side) end)
cr.on("object-disposition", { kind = "device" }, function(object) print("event object-disposition " .. object.side) end)
cr.on("area-disposition", { name = "[stack]" }, function() print("event area-disposition") end)
"#;

/// Every event comes, when the table says, with the job in the state that it says.
fn events(site: &Site) -> Verdict {
    let every = script(site, "every.lua", EVERY)?;
    let job = site.start_program("file_action")?;
    let said = site.try_checkpoint(&[NO_HURRY, "--hook", &every, "--kill"], &context(site), job.pid)?.succeeded()?.stderr;
    in_order(
        &said,
        &[
            "pre-checkpoint",
            "frozen",
            "process",
            "event object-disposition checkpoint",
            "event file-disposition checkpoint",
            "area-disposition",
            "post-checkpoint",
        ],
    )?;
    site.children.wait(job.waited, site.patience)?;
    let mut command = site.command(site.tool("cr_restart"));
    let (tool, base) = site.launch(command.args([NO_HURRY, "--hook", &every]).arg(context(site)))?;
    ensure(wait_until(site.patience, || observe::image(job.pid).is_some_and(|image| image.ends_with("file_action"))), || {
        "the job did not come back".to_owned()
    })?;
    let job = Job { waited: tool, ..job };
    site.go(&job, "restart")?;
    site.passes(&job)?;
    let said = fs::read_to_string(base.with_extension("stderr")).attempt("read what cr_restart said")?;
    let order = ["pre-restart", "event file-disposition restart", "pre-resume", "on-success", "job-exit"];
    in_order(&said, &order)?;
    let failed = restart_ends(site, &[NO_HURRY, "--hook", &every, "--relocate", "/=/nowhere", "--no-such-flag"])?;
    says(&failed.stderr, "event fail-args")?;
    let failed = site.try_checkpoint(&[NO_HURRY, "--hook", &every, "--file", "**/log=fail"], &context(site), nix::unistd::getpid())?;
    says(&failed.stderr, "event checkpoint-failed")
}

/// Flags before scripts, scripts in order, the first answer of a script, STOP.
fn precedence(site: &Site) -> Verdict {
    let first = script(
        site,
        "first.lua",
        r#"
cr.on("file-disposition", { path = "**/map" }, function() return cr.STOP end)
cr.on("file-disposition", { path = "**/map" }, function() return "substitute" end)
cr.on("file-disposition", { path = "**/{result,data}" }, function() return nil end)
cr.on("file-disposition", { path = "**/{result,log}" }, function() return "substitute" end)
"#,
    )?;
    let second = script(site, "second.lua", r#"cr.on("file-disposition", { path = "/**" }, function() return "append" end)"#)?;
    let job = site.start_program("file_action")?;
    let mut command = site.command(site.tool("cr_checkpoint"));
    command.args(["--dry-run", NO_HURRY, "--hook", &first, "--hook", &second, "--file", "**/log=ignore"]).arg(job.pid.to_string());
    let said = site.run(&mut command)?.succeeded()?.stdout;
    for (file, decision, by) in [
        ("/log", "ignore", "--file **/log=ignore"),
        ("/result", "substitute", "first.lua:6"),
        ("/data", "append", "second.lua:2"),
        ("/map", "merge", "default"),
    ] {
        let is_it = |line: &str| line.starts_with(decision) && line.contains(by) && line.trim_end().ends_with(file);
        ensure(said.lines().any(is_it), || format!("{file}: no {decision} by {by}:\n{said}"))?;
    }
    site.runs_on(&job)
}

/// A file may be somewhere else, alone.
fn path(site: &Site) -> Verdict {
    let job = site.start_program("file_action")?;
    site.checkpoint_and_kill(&[], &context(site), &job)?;
    let work = site.work();
    fs::rename(work.join("log"), site.context("moved.log")).attempt("move the log")?;
    let moved = site.context("moved.log").display().to_string();
    let text =
        format!(r#"cr.on("file-disposition", {{ path = "**/log" }}, function() return {{ action = "append", path = "{moved}" }} end)"#);
    let hook = script(site, "path.lua", &text)?;
    let job = site.restart(&[NO_HURRY, "--hook", &hook], &context(site), &job)?;
    site.go(&job, "restart")?;
    site.passes(&job)?;
    let log = fs::read_to_string(&moved).attempt("read the moved log")?;
    ensure(log == "before\nafter\n", || format!("the moved log holds {log:?}"))
}

/// "skip" is a success without a file.
fn skip(site: &Site) -> Verdict {
    let hook = script(site, "skip.lua", r#"cr.on("pre-checkpoint", function(job) if #job.processes < 5 then return "skip" end end)"#)?;
    let job = site.start_program("file_action")?;
    site.try_checkpoint(&[NO_HURRY, "--hook", &hook, "--kill"], &context(site), job.pid)?.succeeded()?;
    ensure(!context(site).exists(), || "a context file was written".to_owned())?;
    site.runs_on(&job)
}

/// cr.fail stops a checkpoint wherever it stands; the job runs on and nothing is left.
fn refuse(site: &Site) -> Verdict {
    let job = site.start_program("file_action")?;
    for event in ["pre-checkpoint", "frozen", "process", "file-disposition", "object-disposition", "area-disposition"] {
        let text = format!(r#"cr.on("{event}", function() cr.fail("env", "not on this machine") end)"#);
        let hook = script(site, "refuse.lua", &text)?;
        let ran = site.try_checkpoint(&[NO_HURRY, "--hook", &hook, "--kill"], &context(site), job.pid)?;
        ensure(ran.end == End::Code(125), || format!("{event}: {}: {}", ran.end, ran.stderr))?;
        says(&ran.stderr, "refuse.lua:2)")?;
        says(&ran.stderr, "class env")?;
        ensure(!context(site).exists(), || format!("{event}: a context file was left"))?;
    }
    site.no_residue()?;
    site.runs_on(&job)
}

/// A job without processes is refused.
fn omit_all(site: &Site) -> Verdict {
    let hook = script(site, "omit.lua", r#"cr.on("process", function() return "omit" end)"#)?;
    let job = site.start_program("file_action")?;
    let ran = site.try_checkpoint(&[NO_HURRY, "--hook", &hook], &context(site), job.pid)?;
    ensure(ran.end != End::Code(0), || "a job of nobody was saved".to_owned())?;
    says(&ran.stderr, "every process is omitted")?;
    site.runs_on(&job)
}

/// Sockets are closed, or a path is opened in their place; at restart that can be decided anew.
fn objects(site: &Site) -> Verdict {
    let close = script(
        site,
        "close.lua",
        r#"
cr.on("object-disposition", { kind = "socket", side = "checkpoint" }, function(object)
  if object.state == "listening" and object.family == "inet" then return "close" end
  if object.family == "unix" and object.type == "stream" and object.peer_pid then return { path = "/dev/null" } end
end)
"#,
    )?;
    let shut = script(site, "shut.lua", r#"cr.on("object-disposition", { kind = "stand_in" }, function() return "close" end)"#)?;
    let repair = script(site, "repair.lua", r#"cr.on("object-disposition", { kind = "socket" }, function() return "repair" end)"#)?;
    let job = site.start_program("stand_in")?;
    let ran = site.try_checkpoint(&[NO_HURRY, "--hook", &repair], &context(site), job.pid)?;
    ensure(ran.end != End::Code(0), || "a socket was repaired".to_owned())?;
    says(&ran.stderr, "\"repair\", which")?;
    site.checkpoint_and_kill(&[NO_HURRY, "--hook", &close], &context(site), &job)?;
    let mut job = job;
    for (options, state) in [(&[][..], "closed null"), (&[NO_HURRY, "--hook", &shut][..], "closed closed")] {
        job = site.restart(options, &context(site), &job)?;
        site.go(&job, "restart")?;
        site.passes(&job)?;
        let found = fs::read_to_string(site.work().join("state")).attempt("read what stands for the sockets")?;
        ensure(found == state, || format!("{found}, not {state}"))?;
        fs::remove_file(site.work().join("go")).attempt("begin again")?;
    }
    Ok(())
}

/// The contents of an area can be left out; it is zeros then.
fn area(site: &Site) -> Verdict {
    for (answer, state) in [("save", "kept"), ("skip", "zeros")] {
        let text = format!(r#"cr.on("area-disposition", {{ bytes = 262144 }}, function(area) return "{answer}" end)"#);
        let hook = script(site, "area.lua", &text)?;
        let job = site.start_program("area_action")?;
        site.checkpoint_and_kill(&[NO_HURRY, "--hook", &hook], &context(site), &job)?;
        let job = site.restart(&[], &context(site), &job)?;
        site.go(&job, "restart")?;
        site.passes(&job)?;
        let found = fs::read_to_string(site.work().join("state")).attempt("read the state of the area")?;
        ensure(found == state, || format!("{answer}: the area is {found}"))?;
        for name in ["go", "out"] {
            fs::remove_file(site.work().join(name)).attempt("begin again")?;
        }
        fs::remove_file(context(site)).attempt("remove the context file")?;
    }
    Ok(())
}

/// A script may stop or kill the job when its file is complete; a signal of the command line counts more.
fn afterwards(site: &Site) -> Verdict {
    let hook = |word: &str| {
        script(site, "after.lua", &format!(r#"cr.on("post-checkpoint", function(saved) print(saved.path) return "{word}" end)"#))
    };
    let job = site.start_program("file_action")?;
    let said = site.try_checkpoint(&[NO_HURRY, "--hook", &hook("stop")?], &context(site), job.pid)?.succeeded()?.stderr;
    says(&said, &context(site).display().to_string())?;
    ensure(wait_until(site.patience, || observe::is_stopped(job.pid)), || "the job was not stopped".to_owned())?;
    kill(job.pid, Signal::SIGCONT).attempt("continue the job")?;
    let said =
        site.try_checkpoint(&[NO_HURRY, "--hook", &hook("kill")?, "--cont", "--clobber"], &context(site), job.pid)?.succeeded()?.stderr;
    says(&said, "does not count")?;
    ensure(site.children.end_of(job.waited).is_none(), || "the flag did not count".to_owned())?;
    site.try_checkpoint(&[NO_HURRY, "--hook", &hook("kill")?, "--clobber"], &context(site), job.pid)?.succeeded()?;
    let end = site.children.wait(job.waited, site.patience)?;
    ensure(end == End::Signal(9), || format!("ended with {end}"))?;
    let job = site.restart(&[], &context(site), &job)?;
    site.go(&job, "restart")?;
    site.passes(&job)
}

/// cr.state and annotations go from the checkpoint to the restart.
fn state(site: &Site) -> Verdict {
    let hook = script(
        site,
        "state.lua",
        r#"
cr.on("pre-checkpoint", function() cr.state.seen = { "pre" } cr.annotate("queue", cr.args.queue) end)
cr.on("frozen", function() table.insert(cr.state.seen, "frozen") end)
cr.on("pre-restart", function(job) print(table.concat(cr.state.seen, "+"), job.annotations.queue) return { pid = "new" } end)
cr.on("on-success", function(job) print("new pid", job.pids[1].old ~= job.pids[1].new) end)
"#,
    )?;
    let job = site.start_program("file_action")?;
    site.try_checkpoint(&[NO_HURRY, "--hook", &hook, "--hook-arg", "queue=night"], &context(site), job.pid)?.succeeded()?;
    let mut command = site.command(site.tool("cr_info"));
    says(&site.run(command.arg(context(site)))?.succeeded()?.stdout, "night")?;
    let ran = restart_ends(site, &[NO_HURRY, "--hook", &hook, "--detach"])?.succeeded()?;
    says(&ran.stderr, "pre+frozen night")?;
    says(&ran.stderr, "new pid true")?;
    // Both run now, in one directory.
    site.go(&job, "new-pids")?;
    let end = site.children.wait(job.waited, site.patience)?;
    ensure(end == End::Code(0), || format!("the first job ended with {end}"))?;
    site.gone()
}

/// A script's rules stand behind those of the command line, and the longest first.
fn relocate(site: &Site) -> Verdict {
    let job = site.start_program("file_action")?;
    site.checkpoint_and_kill(&[], &context(site), &job)?;
    let work = site.work();
    let away = site.context("away");
    fs::rename(&work, &away).attempt("move the directory of the job")?;
    let (old, new) = (work.display(), away.display());
    let text = format!(r#"cr.on("pre-restart", function() return {{ relocate = {{ ["{old}"] = "{new}", ["/nonexistent"] = "/" }} }} end)"#);
    let hook = script(site, "relocate.lua", &text)?;
    let job = site.restart(&[NO_HURRY, "--hook", &hook], &context(site), &Job { work: away, ..job })?;
    site.go(&job, "elsewhere")?;
    site.passes(&job)
}

/// A restarted job is saved again while a script waits for its end: the script's process is no part of it.
fn again(site: &Site) -> Verdict {
    let hook = script(site, "exit.lua", r#"cr.on("job-exit", function(exit) return (exit.status or 0) + 3 end)"#)?;
    let job = site.start_program("file_action")?;
    site.checkpoint_and_kill(&[], &context(site), &job)?;
    let first = site.restart(&["--hook", &hook], &context(site), &job)?;
    let saved = site.context("again.ctx");
    for id in [first.waited, first.pid] {
        site.checkpoint(&["--clobber"], &saved, id)?;
    }
    kill(first.pid, Signal::SIGKILL).attempt("kill the job")?;
    let end = site.children.wait(first.waited, site.patience)?;
    ensure(end == End::Code(3), || format!("the script made {end} of the kill"))?;
    let second = site.restart(&[], &saved, &job)?;
    site.go(&second, "again")?;
    site.passes(&second)
}

/// A script that has no more to say leaves nothing behind: no zombie below `cr_restart` that a checkpoint of its tree would save.
fn nothing_left(site: &Site) -> Verdict {
    let hook = script(site, "success.lua", r#"cr.on("on-success", function() end)"#)?;
    let job = site.start_program("file_action")?;
    site.checkpoint_and_kill(&[], &context(site), &job)?;
    for options in [&["--hook", &hook][..], &["--hook", &hook, "--namespace"][..]] {
        let first = site.restart(options, &context(site), &job)?;
        let others = || {
            let text = fs::read_to_string(format!("/proc/{0}/task/{0}/children", first.waited)).unwrap_or_default();
            text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        ensure(wait_until(site.patience, || others().len() == 1), || format!("{options:?}: children {:?}", others()))?;
        for pid in others() {
            kill(Pid::from_raw(pid.parse().attempt("read an id")?), Signal::SIGKILL).attempt("kill the job")?;
        }
        site.children.wait(first.waited, site.patience)?;
    }
    site.gone()
}

/// The pid is taken: tried again until it is free.
fn retry(site: &Site) -> Verdict {
    let hook = script(
        site,
        "retry.lua",
        r#"
cr.on("fail-temp", function(failure)
  cr.write_file(cr.args.mark, tostring(failure.attempt))
  return { retry = true, after = 0.05 }
end)
"#,
    )?;
    let job = site.start_program("file_action")?;
    site.checkpoint(&[], &context(site), job.pid)?;
    let mark = site.context("attempts");
    let argument = format!("mark={}", mark.display());
    let mut command = site.command(site.tool("cr_restart"));
    let (tool, _) = site.launch(command.args([NO_HURRY, "--hook", &hook, "--hook-arg", &argument]).arg(context(site)))?;
    let attempts = || fs::read_to_string(&mark).ok().and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
    ensure(wait_until(site.patience, || attempts() >= 3), || format!("{} attempts", attempts()))?;
    kill(job.pid, Signal::SIGKILL).attempt("kill the job")?;
    site.children.wait(job.waited, site.patience)?;
    let is_back = || observe::image(job.pid).is_some_and(|image| image.ends_with("file_action"));
    ensure(wait_until(site.patience, is_back), || "the job did not come back".to_owned())?;
    let job = Job { waited: tool, ..job };
    site.go(&job, "restart")?;
    site.passes(&job)
}

/// The pid is taken: a script moves the job into namespaces of its own, and goes on being asked there.
fn namespace(site: &Site) -> Verdict {
    let hook = script(
        site,
        "namespace.lua",
        r#"
cr.on("pre-restart", function(restart) if #restart.differs.pids > 0 then return { pid = "namespace" } end end)
cr.on("file-disposition", { side = "restart", path = "**/log" }, function() return "append" end)
cr.on("on-success", function(job) 
  local out, pair = cr.exec { "sh", "-c", "grep ^NSpid: /proc/" .. job.pids[1].new .. "/status" }, job.pids[1]
  local outer, inner = out.stdout:match("NSpid:%s+(%d+)%s+(%d+)")
  print("runs", pair.old == pair.inner and inner == tostring(pair.old) and outer == tostring(pair.new) and job.lead == pair.new, "here")
end)
cr.on("job-exit", function(exit) return exit.status + 5 end)
"#,
    )?;
    let job = site.start_program("file_action")?;
    site.checkpoint(&[], &context(site), job.pid)?;
    let mut command = site.command(site.tool("cr_restart"));
    let (tool, base) = site.launch(command.args([NO_HURRY, "--hook", &hook]).arg(context(site)))?;
    let said = || fs::read_to_string(base.with_extension("stderr")).unwrap_or_default();
    ensure(wait_until(site.patience, || said().contains("runs true here")), said)?;
    site.go(&job, "restart")?;
    let end = site.children.wait(tool, site.patience)?;
    ensure(end == End::Code(5), || format!("ended with {end}: {}", said()))?;
    let end = site.children.wait(job.waited, site.patience)?;
    ensure(end == End::Code(0), || format!("the first job ended with {end}"))?;
    site.gone()
}

/// Numbers become exit statuses: of failures, of a job that runs, of a job that has ended.
fn statuses(site: &Site) -> Verdict {
    let hook = script(
        site,
        "statuses.lua",
        r#"
cr.on("fail-temp", function() return { status = 75 } end)
cr.on("job-exit", function(exit) return exit.status + 40 end)
cr.on("on-success", function() return tonumber(cr.args.leave) end)
cr.on("checkpoint-failed", function(failure) return 99 end)
"#,
    )?;
    let job = site.start_program("file_action")?;
    site.checkpoint(&[], &context(site), job.pid)?;
    let taken = restart_ends(site, &[NO_HURRY, "--hook", &hook])?;
    ensure(taken.end == End::Code(75) && taken.stderr.is_empty(), || format!("{}: {}", taken.end, taken.stderr))?;
    let failed = site.try_checkpoint(&[NO_HURRY, "--hook", &hook, "--noclobber"], &context(site), job.pid)?;
    ensure(failed.end == End::Code(99), || format!("{}", failed.end))?;
    kill(job.pid, Signal::SIGKILL).attempt("kill the job")?;
    site.children.wait(job.waited, site.patience)?;
    let left = restart_ends(site, &[NO_HURRY, "--hook", &hook, "--hook-arg", "leave=33"])?;
    ensure(left.end == End::Code(33), || format!("left with {}: {}", left.end, left.stderr))?;
    ensure(observe::image(job.pid).is_some_and(|image| image.ends_with("file_action")), || "the job was not left running".to_owned())?;
    kill(job.pid, Signal::SIGKILL).attempt("kill the job")?;
    site.gone()?;
    let mut command = site.command(site.tool("cr_restart"));
    let (tool, _) = site.launch(command.args([NO_HURRY, "--hook", &hook]).arg(context(site)))?;
    site.go(&job, "restart")?;
    let end = site.children.wait(tool, site.patience)?;
    ensure(end == End::Code(40), || format!("ended with {end}"))
}

/// Commands of `--run-on-*` keep their meaning beside scripts: they come first, and what one that succeeds leaves open is for scripts, which hear of it in any case.
fn commands_beside(site: &Site) -> Verdict {
    let hook = script(site, "beside.lua", r#"cr.on("fail-temp", function() print("asked") return 76 end)"#)?;
    let job = site.start_program("file_action")?;
    site.checkpoint(&[], &context(site), job.pid)?;
    for (command, status, is_asked) in [("exit 42", 42, true), ("exit 0", 76, true), ("", 76, true)] {
        let ran = restart_ends(site, &[NO_HURRY, "--hook", &hook, "--run-on-fail-temp", command])?;
        ensure(ran.end == End::Code(status), || format!("{command:?}: {}", ran.end))?;
        ensure(ran.stderr.contains("asked") == is_asked, || format!("{command:?}: {}", ran.stderr))?;
    }
    let ran = restart_ends(site, &[NO_HURRY, "--hook", &hook, "--run-on-failure", "exit 43", "--no-such-flag"])?;
    ensure(ran.end == End::Code(43), || format!("a flag that is wrong: {}", ran.end))?;
    site.runs_on(&job)
}

/// The last word before anything runs: nothing is left of a restart that a script refuses then.
fn pre_resume(site: &Site) -> Verdict {
    let hook = script(site, "last.lua", r#"cr.on("pre-resume", function(job) cr.fail("temp", "not now, " .. job.pids[1].old) end)"#)?;
    let job = site.start_program("file_action")?;
    site.checkpoint_and_kill(&["--file", "**/result=replace"], &context(site), &job)?;
    fs::write(site.work().join("result"), "edited").attempt("edit a file of the job")?;
    let ran = restart_ends(site, &[NO_HURRY, "--hook", &hook])?;
    ensure(ran.end == End::Code(125), || format!("{}: {}", ran.end, ran.stderr))?;
    says(&ran.stderr, &format!("not now, {}", job.pid))?;
    let result = fs::read_to_string(site.work().join("result")).attempt("read a file of the job")?;
    ensure(result == "edited", || format!("a file was replaced: {result:?}"))?;
    site.gone()?;
    let job = site.restart(&[], &context(site), &job)?;
    site.go(&job, "restart")?;
    site.passes(&job)
}

/// The stubs of a restart that fails at the last moment leave no trace in locks that stand in a file; neither do signals that end a job.
fn robust(site: &Site) -> Verdict {
    let hook = script(site, "last.lua", r#"cr.on("pre-resume", function() cr.fail("temp", "not now") end)"#)?;
    let mut job = site.start_program("robust_file")?;
    let locks = || fs::read(site.work().join("locks")).attempt("read the locks");
    let before = locks()?;
    for signal in ["--term", "--abort", "--kill"] {
        let mut save = site.command(site.tool("cr_checkpoint"));
        site.run(save.args([signal, "--clobber", "-f"]).arg(context(site)).arg(job.pid.to_string()))?.succeeded()?;
        site.gone()?;
        ensure(locks()? == before, || format!("{signal} changed the locks"))?;
        let ran = restart_ends(site, &[NO_HURRY, "--hook", &hook])?;
        ensure(ran.end == End::Code(125), || format!("{}: {}", ran.end, ran.stderr))?;
        site.gone()?;
        ensure(locks()? == before, || "the restart that failed changed the locks".to_owned())?;
        job = site.restart(&[], &context(site), &job)?;
    }
    site.go(&job, "restart")?;
    site.passes(&job)
}
