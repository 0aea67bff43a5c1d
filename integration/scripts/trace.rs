//! Traces of hook scripts: what `--hook-record` writes of a real run, `cr_hooks replay` asks again.
//!
//! Relies on the helpers of the scenes for scripts. Leaves the form of a trace to the tests of the library.

use std::fs;
use std::path::Path;

use super::{NO_HURRY, context, script};
use crate::children::End;
use crate::site::{Ran, Site};
use crate::verdict::{Attempt, Verdict, ensure, says};

/// A trace has every event with its answer.
pub fn record(site: &Site) -> Verdict {
    let hook = script(site, "record.lua", r#"cr.on("file-disposition", { path = "**/log" }, function() return "append" end)"#)?;
    let trace = site.context("trace.jsonl");
    let job = site.start_program("file_action")?;
    let path = trace.display().to_string();
    site.try_checkpoint(&[NO_HURRY, "--hook", &hook, "--hook-record", &path], &context(site), job.pid)?.succeeded()?;
    let text = fs::read_to_string(&trace).attempt("read the trace")?;
    let appended = text.lines().filter(|line| line.contains("\"event\":\"file-disposition\"") && line.contains("record.lua:2"));
    ensure(appended.count() == 1, || text.clone())?;
    ensure(text.lines().next().is_some_and(|line| line.contains("pre-checkpoint")), || text.clone())?;
    site.runs_on(&job)
}

/// Answers to both sides of a real run are the same when they are asked for again, and a script that changed its mind is found out.
pub fn replay(site: &Site) -> Verdict {
    const ANSWERS: &str = r#"
cr.on("file-disposition", { path = "**/log", side = "checkpoint" }, function() return "append" end)
cr.on("file-disposition", { path = "**/{log,result}", side = "restart" }, function(file) return file.decided == "append" and "merge" or "append" end)
cr.on("area-disposition", { name = "[heap]" }, function() return "save" end)
cr.on("pre-restart", function(image) if image.differs.pids[1] then return { pid = "new" } end end)
cr.on("job-exit", { status = 0 }, function() return 0 end)
"#;
    let hook = script(site, "answers.lua", ANSWERS)?;
    let [saved, restarted] = ["saved.jsonl", "restarted.jsonl"].map(|name| site.context(name));
    let job = site.start_program("file_action")?;
    site.checkpoint_and_kill(&[NO_HURRY, "--hook", &hook, "--hook-record", &saved.display().to_string()], &context(site), &job)?;
    let job = site.restart(&[NO_HURRY, "--hook", &hook, "--hook-record", &restarted.display().to_string()], &context(site), &job)?;
    site.go(&job, "restart")?;
    site.passes(&job)?;
    for trace in [&saved, &restarted] {
        let same = replayed(site, &hook, trace)?.succeeded()?;
        says(&same.stdout, " 0 different")?;
    }
    // Each of the two was asked, and answered, in the trace that its change is found in.
    for (from, to, trace, words) in [
        ("return \"append\" end", "return \"ignore\" end", &saved, "file-disposition: was append, is ignore"),
        ("and \"merge\"", "and \"ignore\"", &restarted, "file-disposition: was merge, is ignore"),
        ("return 0 end", "return 3 end", &restarted, "job-exit: was exit 0, is exit 3"),
    ] {
        let changed = script(site, "changed.lua", &ANSWERS.replace(from, to))?;
        let ran = replayed(site, &changed, trace)?;
        ensure(ran.end == End::Code(1), || format!("{to}: {}: {}", ran.end, ran.stdout))?;
        says(&ran.stdout, words)?;
    }
    Ok(())
}

fn replayed(site: &Site, hook: &str, trace: &Path) -> Verdict<Ran> {
    let mut command = site.command(site.tool("cr_hooks"));
    site.run(command.args(["replay", hook]).arg(trace))
}
