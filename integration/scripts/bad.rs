//! Hook scripts that are wrong or do not come back: the job is not harmed, and the message leads to the line.
//!
//! Relies on the helpers of the scenes for scripts. Leaves what each limit is to the tests of the library.

use super::{NO_HURRY, context, script};
use crate::children::End;
use crate::observe;
use crate::site::Site;
use crate::verdict::{Verdict, ensure, says};

/// A wrong script is explained in one message with file and line, and the job is not touched.
pub fn bad(site: &Site) -> Verdict {
    let job = site.start_program("file_action")?;
    for (text, words) in [
        ("x = = 1", "bad.lua:2:"),
        (r#"cr.on("frozn", print)"#, "did you mean 'frozen'?"),
        (r#"cr.on("frozen", { pth = "/x" }, print)"#, "pth"),
        (r#"cr.on("frozen", function(job) job.ids = {} end)"#, "bad.lua:2"),
        (r#"cr.on("frozen", function(job) return job.nothing end)"#, "nothing"),
        (r#"cr.on("process", function() return "keep" end)"#, "\"omit\""),
        (r#"cr.on("frozen", function() local x; x.y = 1 end)"#, "bad.lua:2"),
        (r#"cr.on("frozen", function() error({}) end)"#, "bad.lua"),
        (r#"cr.on("frozen", function() os.exit(3) end)"#, "os"),
        (r#"require "io""#, "io"),
    ] {
        let hook = script(site, "bad.lua", text)?;
        let ran = site.try_checkpoint(&[NO_HURRY, "--hook", &hook, "--kill"], &context(site), job.pid)?;
        ensure(ran.end == End::Code(22), || format!("{text}: {}: {}", ran.end, ran.stderr))?;
        says(&ran.stderr, words)?;
        ensure(!context(site).exists(), || format!("{text}: a context file was left"))?;
    }
    let hook = script(site, "late.lua", r#"cr.on("post-checkpoint", function() error("too late") end)"#)?;
    let ran = site.try_checkpoint(&[NO_HURRY, "--hook", &hook], &context(site), job.pid)?.succeeded()?;
    says(&ran.stderr, "too late")?;
    site.runs_on(&job)
}

/// Scripts that do not come back, while the job stands still: in Lua, behind pcall, and inside a C function that no budget of Lua ends.
pub fn runaway(site: &Site) -> Verdict {
    let job = site.start_program("file_action")?;
    for text in [
        r#"cr.on("frozen", function() while true do end end)"#,
        r#"cr.on("frozen", function() while true do pcall(function() while true do end end) end end)"#,
        r#"cr.on("frozen", function() local t = setmetatable({}, { __index = function() return 1 end }) table.move(t, 1, 1 << 60, 2, {}) end)"#,
        r#"cr.on("frozen", function() return string.find(("a"):rep(40000), (".-"):rep(12) .. "b") end)"#,
        r#"cr.on("frozen", function() local t = {} for i = 1, 1 << 40 do t[i] = ("x"):rep(1 << 20) .. i end end)"#,
    ] {
        let hook = script(site, "runaway.lua", text)?;
        let ran = site.try_checkpoint(&["--hook", &hook, "--kill"], &context(site), job.pid)?;
        ensure(ran.end == End::Code(22), || format!("{text}: {}: {}", ran.end, ran.stderr))?;
        says(&ran.stderr, "runaway.lua")?;
        ensure(observe::is_untraced(job.pid), || "the job is still held".to_owned())?;
    }
    site.no_residue()?;
    site.runs_on(&job)
}

/// The short time is for events in which a running job waits; a restart gives the same script the longer one.
pub fn hurry(site: &Site) -> Verdict {
    let text = r#"
local function work() for _ = 1, 2000000 do end end
cr.on("file-disposition", { path = "**/log" }, function() work() return "append" end)
cr.on("pre-resume", function() work() print("worked") end)
"#;
    let hook = script(site, "hurry.lua", text)?;
    let options = ["--hook", &hook, "--hook-frozen-timeout", "0.0005", "--hook-timeout", "60"];
    let job = site.start_program("file_action")?;
    let ran = site.try_checkpoint(&options, &context(site), job.pid)?;
    ensure(ran.end == End::Code(22), || format!("{}: {}", ran.end, ran.stderr))?;
    says(&ran.stderr, "for file-disposition is spent")?;
    site.checkpoint_and_kill(&[], &context(site), &job)?;
    let job = site.restart(&options, &context(site), &job)?;
    site.go(&job, "restart")?;
    site.passes(&job)?;
    says(&job.complaints(), "worked")
}
