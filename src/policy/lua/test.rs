//! What scripts see and what they answer, through the client and a session in a thread.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;

use serde_json::{Value, json};

use super::{Launched, Launcher, LuaPolicy, Options, Running, serve};
use crate::policy::event::{Event, FileEvent, Name};
use crate::policy::{LogLevel, Policy, PolicyError, Reply};

/// Serves in a thread: what a process does, without the process.
pub struct Threaded;

struct Thread;

impl Running for Thread {
    fn pid(&self) -> Option<i32> {
        None
    }

    fn end(&mut self) -> Option<String> {
        None
    }
}

impl Launcher for Threaded {
    fn launch(&self, options: &Options) -> io::Result<Launched> {
        let (ours, theirs) = UnixStream::pair()?;
        let options = options.clone();
        thread::spawn(move || serve(theirs, &options));
        Ok(Launched { stream: ours, process: Box::new(Thread) })
    }
}

/// A directory with `t.lua` in it, loaded.
fn load_with(script: &str, change: impl FnOnce(&Path, &mut Options)) -> Result<(tempfile::TempDir, LuaPolicy), PolicyError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.lua");
    fs::write(&path, format!("local cr = require 'cr'\n{script}")).unwrap();
    let mut options = Options { files: vec![path], ..Options::default() };
    change(directory.path(), &mut options);
    LuaPolicy::load(&options, &Threaded).map(|policy| (directory, policy))
}

fn load(script: &str) -> Result<LuaPolicy, PolicyError> {
    load_with(script, |_, _| ()).map(|(_, policy)| policy)
}

/// The message without the directory of the test.
fn plain(text: &str) -> String {
    let start = text.find("t.lua").unwrap_or(0);
    text[start..].to_owned()
}

fn fire(policy: &mut LuaPolicy, event: &str, data: &Value) -> Result<Reply, PolicyError> {
    policy.fire(Name::of(event).unwrap(), data)
}

/// The answer to an event as a word with its place, `nothing`, or the message of an error.
fn answer(script: &str, event: &str, data: &Value) -> String {
    match load(script).and_then(|mut policy| fire(&mut policy, event, data)) {
        Ok(reply) => reply.opinion.map_or("nothing".into(), |opinion| format!("{} {}", opinion.verdict.word(), plain(&opinion.by))),
        Err(error) => plain(&error.message),
    }
}

#[test]
fn the_first_opinion_counts_and_names_its_line() {
    let file = json!({"path": "/tmp/a.log", "writable": true, "pid": 7, "changed": {"missing": false, "size": true, "mtime": true, "content": false}});
    for (script, expected) in [
        ("", "nothing"),
        ("cr.on('file-disposition', function() end)", "nothing"),
        ("cr.on('file-disposition', function() return 'append' end)", "append t.lua:2"),
        ("cr.on('file-disposition', function() end)\ncr.on('file-disposition', function() return 'merge' end)", "merge t.lua:3"),
        ("cr.on('file-disposition', function() return cr.STOP end)\ncr.on('file-disposition', function() return 'merge' end)", "nothing"),
        ("cr.on('file-disposition', {path = '/**/*.log'}, function() return 'append' end)", "append t.lua:2"),
        ("cr.on('file-disposition', {path = '/*.log'}, function() return 'append' end)", "nothing"),
        ("cr.on('file-disposition', {changed = true}, function(f) return f.changed.size and 'replace' end)", "replace t.lua:2"),
        ("cr.on('file-disposition', function(f) return {action = 'replace', path = '/x' .. f.path} end)", "replace /x/tmp/a.log t.lua:2"),
        ("cr.on('file-disposition', function(f) cr.fail('env', f.path .. ' is bad') end)", "fail (env): /tmp/a.log is bad t.lua:2"),
        ("cr.on('file-disposition', function(f)\nif f.decided == nil then return cr.fail('temp', 'x') end end)", "fail (temp): x t.lua:3"),
    ] {
        assert_eq!(answer(script, "file-disposition", &file), expected, "{script}");
    }
}
