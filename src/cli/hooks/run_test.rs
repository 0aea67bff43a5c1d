//! `cr_hooks` as its users call it: what it prints and how it exits. Scripts run in threads, and files are in a directory of the test.

use std::ffi::OsString;
use std::fs;

use serde_json::{Value, json};

use super::replay::Recorded;
use crate::cli::report::Streams;
use crate::policy::event::{Event, ExitEvent};
use crate::policy::{Opinion, Verdict};
use crate::script::test::Threaded;

/// A directory with files; `@` in words and outputs stands for it.
struct Place(tempfile::TempDir);

impl Place {
    fn with(files: &[(&str, &str)]) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        files.iter().for_each(|(name, text)| fs::write(place.0.path().join(name), text).unwrap());
        place
    }

    /// Exit code, stdout, stderr.
    fn run(&self, words: &[&str]) -> (u8, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let at = self.0.path().display().to_string();
        let words: Vec<OsString> = words.iter().map(|word| word.replace('@', &at).into()).collect();
        let status = super::run(words, &Threaded, &mut Streams { out: &mut out, err: &mut err });
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&at, "@");
        (status, text(out), text(err))
    }
}

const SCRIPT: &str = r#"local cr = require "cr"
cr.on("job-exit", { status = { 1, 2 } }, function(ended) return ended.status + 70 end)
cr.on("frozen", function(job)
  cr.annotate("ids", #job.ids)
  cr.log.warn("frozen")
  if #job.ids > 1 then cr.fail("env", "too many") end
end)
cr.on("on-success", function() cr.exec { "true" } end)
cr.on("fail-args", function() return "nonsense" end)
"#;

#[test]
fn help_text() {
    insta::assert_snapshot!(super::program().show(crate::cli::exit::Show::Help));
}

#[test]
fn check_lists_handlers_and_goes_on_after_a_bad_script() {
    let place = Place::with(&[("a.lua", SCRIPT), ("b.lua", "require 'cr'.on('jobexit', print)"), ("c.lua", "")]);
    let (status, out, err) = place.run(&["check", "@/b.lua", "@/a.lua", "@/c.lua"]);
    assert_eq!(status, 22);
    let expected = "job-exit { status = [1,2] }  @/a.lua:2\nfrozen                       @/a.lua:3\n";
    assert!(out.starts_with(expected), "{out}");
    assert!(out.ends_with("@/c.lua handles nothing: it never calls cr.on\n"), "{out}");
    assert!(err.starts_with("cr_hooks: @/b.lua:1: ") && err.contains("did you mean 'job-exit'?"), "{err}");
    let (status, out, _) = place.run(&["check", "--json", "@/a.lua"]);
    let object: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, &object["handlers"][1]), (0, &json!({"event": "frozen", "filter": "", "place": "@/a.lua:3"})));
}

#[test]
fn fire_prints_answer_notes_and_log() {
    let place = Place::with(&[("a.lua", SCRIPT), ("two.json", r#"{"ids": [1, 2]}"#)]);
    for (words, expected) in [
        (vec!["fire", "@/a.lua", "job-exit", "--data", r#"{"status": 2}"#], (0, "exit 72 (@/a.lua:2)\n", "")),
        (vec!["fire", "@/a.lua", "job-exit", "--data={}"], (0, "no verdict\n", "")),
        (vec!["fire", "@/a.lua", "frozen"], (0, "noted ids: 0\nno verdict\n", "@/a.lua:5: warning: frozen\n")),
        (vec!["fire", "--data", "@/two.json", "@/a.lua", "frozen", "-q"], (0, "noted ids: 2\nfail (env): too many (@/a.lua:6)\n", "")),
    ] {
        let (status, out, err) = place.run(&words);
        assert_eq!((status, out.as_str(), err.as_str()), expected, "{words:?}");
    }
    let (_, out, err) = place.run(&["fire", "@/a.lua", "frozen", "--json"]);
    let object: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(object["annotations"], json!({"ids": "0"}));
    assert_eq!((&object["log"][0]["level"], &object["verdict"], err.as_str()), (&json!("warning"), &Value::Null, ""));
}

#[test]
fn what_is_wrong_is_named() {
    let place = Place::with(&[("a.lua", SCRIPT), ("bad.json", "{")]);
    for (words, status, part) in [
        (
            vec!["fire", "@/a.lua", "job-exit", "--data", r#"{"stat": 2}"#],
            22,
            "--data: job-exit has no field 'stat' (known: signal, status)",
        ),
        (vec!["fire", "@/a.lua", "job-exit", "--data", "@/bad.json"], 22, "@/bad.json is not JSON: "),
        (vec!["fire", "@/a.lua", "job-exit", "--data", "@/none.json"], 22, "cannot read @/none.json: "),
        (vec!["fire", "@/a.lua", "fail-args"], 22, "cr_hooks: @/a.lua:9: fail-args cannot be answered with \"nonsense\""),
        (vec!["fire", "@/a.lua", "on-success", "--hook-pure"], 22, "cr.exec is refused"),
        (vec!["fire", "@/a.lua", "on-success", "--dry-run"], 22, "cr.exec is refused in a dry run"),
        (vec!["fire", "@/a.lua", "success"], 255, "there is no event 'success' (known: pre-checkpoint, "),
        (vec!["fire", "@/a.lua"], 255, "fire takes a script and the name of an event"),
        (vec!["check", "@/a.lua", "--data", "{}"], 255, "--data belongs to fire, not to check"),
        (vec!["check"], 255, "check takes the scripts to check"),
        (vec!["test"], 255, "test takes the files with tests"),
        (vec!["replay", "@/a.lua"], 255, "replay takes a script and a recorded trace"),
        (vec!["events", "frozen", "process"], 255, "events takes at most the name of one event"),
        (vec!["chekc", "@/a.lua"], 255, "there is no command 'chekc' (known: check, fire, test, replay, events)"),
        (vec![], 255, "say what to do"),
    ] {
        let (code, out, err) = place.run(&words);
        assert_eq!((code, out.as_str()), (status, ""), "{words:?}");
        assert!(err.contains(part), "{words:?}: {err}");
    }
}

#[test]
fn replay_finds_the_answers_that_differ() {
    let line = |status: u8, verdict: Option<u8>, by: &str| {
        let event = Event::JobExit(ExitEvent { status: Some(status), signal: None });
        let opinion = verdict.map(|status| Opinion { verdict: Verdict::Status(status), by: by.into() });
        serde_json::to_string(&Recorded::of(&event, opinion.as_ref())).unwrap()
    };
    let restart = |verdict: &str| json!({"event": "pre-restart", "data": {}, "verdict": verdict, "by": "all policies"}).to_string();
    let same = [restart(""), line(1, Some(71), "old.lua:7"), line(0, None, ""), line(1, Some(9), "command line")].join("\n");
    let different = format!("{same}\n\n{}\n{}\n{}\n", line(2, None, ""), line(0, Some(5), "old.lua:8"), restart("pid new"));
    let place = Place::with(&[("a.lua", SCRIPT), ("same", &same), ("different", &different), ("bad", "{\"event\": 1}")]);
    let (status, out, err) = place.run(&["replay", "@/a.lua", "@/same"]);
    assert_eq!((status, out.as_str(), err.as_str()), (0, "3 answers the same, 0 different, 1 decided by others than scripts\n", ""));
    let (status, out, _) = place.run(&["replay", "@/a.lua", "@/different"]);
    assert_eq!(status, 1);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "@/different:6: job-exit: was no verdict, is exit 72 (@/a.lua:2)");
    assert_eq!(lines[1], "@/different:7: job-exit: was exit 5, is no verdict");
    assert_eq!(lines[2], "@/different:8: pre-restart: was pid new, is no verdict");
    assert!(lines[3].starts_with("3 answers the same, 3 different"), "{out}");
    let (status, _, err) = place.run(&["replay", "@/a.lua", "@/bad"]);
    assert!(status == 22 && err.contains("@/bad:1: not a line of a trace"), "{status} {err}");
}

#[test]
fn events_are_shown_as_tables_and_as_schemas() {
    let place = Place::with(&[]);
    let (status, out, _) = place.run(&["events"]);
    assert!(status == 0 && out.contains("\nfrozen              stands still     cr.fail(class, why)\n"), "{out}");
    assert!(out.contains("\nfile-disposition    may stand still  \"merge\""), "{out}");
    assert!(out.contains("\npre-resume                           cr.fail(class, why)\n"), "{out}");
    assert_eq!(out.lines().count(), 17, "a heading and every event: {out}");
    let (_, out, _) = place.run(&["events", "file-disposition"]);
    assert!(
        out.contains("The job stands still at the checkpoint, and is not made yet at the restart. An error of the handler stops"),
        "{out}"
    );
    let (_, out, _) = place.run(&["events", "job-exit"]);
    assert!(out.contains("  signal  integer or nil  The signal that ended it; nil when it exited.\n"), "{out}");
    let (_, out, _) = place.run(&["events", "--json"]);
    let all: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(all.as_object().unwrap().len(), 16);
    let (_, out, _) = place.run(&["events", "job-exit", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), all["job-exit"]);
}

const TESTS: &str = r#"local t = require "cr.test"
t.describe("g", function()
  t.it("differs", function() t.expect({ a = 1, "x" }):equals { "x", a = 2 } end)
  t.it("effects need a stand-in", function() t.load("a.lua"):fire("on-success") end)
  t.it("stubs work", function()
    local calls = t.stub("exec", { status = 0 })
    t.expect(t.load("a.lua"):fire("on-success")):is_nil()
    t.expect(calls):equals { { "true" } }
  end)
  t.it("and end with their test", function()
    t.expect(function() t.load("a.lua"):fire("on-success") end):errors("cr.exec has effects")
  end)
  t.it("unknown fields are errors", function() t.load("a.lua"):fire("job-exit", { x = 1 }) end)
  t.it("a refusal is a verdict", function()
    local hook = t.load("a.lua")
    t.expect(hook:fire("frozen", { ids = { 1, 2 } })):fails("env", "^too many$")
    t.expect(hook.annotations):equals { ids = "2" }
    t.expect(hook.log):equals { { level = "warn", text = "frozen" } }
  end)
  t.it("state comes and goes", function()
    local hook = t.load("b.lua", { step = 3 }, { state = { n = 4 } })
    hook:fire("on-success")
    t.expect(hook.state):equals { n = 7 }
  end)
  t.it("a dry run refuses what is stubbed, too", function()
    t.stub("exec", {})
    t.load("a.lua", {}, { dry_run = true }):fire("on-success")
  end)
  t.it("a stub may fail", function()
    t.stub("exec", function() error("boom") end)
    t.load("a.lua"):fire("on-success")
  end)
end)
t.describe("broken", function() error("oops") end)
t.it("bad words", function() t.stub("glob") end)
t.it("no such option", function() t.load("a.lua", {}, { puer = true }) end)
undefined()
"#;

#[test]
fn tests_pass_and_fail_with_file_and_line() {
    let counter = "local cr = require 'cr' cr.on('on-success', function() cr.state.n = cr.state.n + cr.args.step end)";
    let place = Place::with(&[("a.lua", SCRIPT), ("b.lua", counter), ("x_test.lua", TESTS), ("empty_test.lua", "")]);
    let (status, out, err) = place.run(&["test", "@/x_test.lua", "@/empty_test.lua"]);
    assert_eq!((status, err.as_str()), (1, ""));
    insta::assert_snapshot!(out);
    let (_, out, _) = place.run(&["test", "--json", "@/empty_test.lua"]);
    let last: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(last, json!({"ok": false, "passed": 0, "failed": 1}));
    assert_eq!(out.lines().count(), 2, "one object a test, and one for all: {out}");
}

#[test]
fn tests_that_never_end_are_ended_and_the_others_are_told_first() {
    // A fast machine spends the budget of instructions first, a slow one that of time.
    let first = "local t = require 'cr.test' t.it('passes', function() end)\n";
    for (body, part) in [
        ("t.it('loops', function() while true do end end)", "for a test is spent"),
        ("t.it('loops', function() while true do pcall(error) end end)", "for a test is spent"),
        ("t.it('finds', function() string.find(('a'):rep(100000), ('.-'):rep(20) .. 'b') end)", "a call that never returns"),
        ("t.it('grows', function() local s = 'x' while true do s = s .. s end end)", "not enough memory"),
        ("t.it('loads', function() t.load('loop.lua') end)", "for loading"),
    ] {
        let place = Place::with(&[("a_test.lua", &format!("{first}{body}")), ("loop.lua", "while true do end")]);
        let (status, out, _) = place.run(&["test", "--hook-timeout", "0.2", "--hook-memory", "8", "@/a_test.lua"]);
        assert!(status == 1 && out.starts_with("ok 1 - passes\nnot ok 2 - "), "{body}: {out}");
        assert!(out.contains(part) && out.contains("1 passed, 1 failed"), "{body}: {out}");
    }
}
