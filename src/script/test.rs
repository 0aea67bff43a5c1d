//! What scripts see and what they answer, through the client and a session in a thread.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Launched, Launcher, LuaPolicy, Options, Running, serve};
use crate::policy::event::{Event, FileEvent, Name};
use crate::policy::{LogLevel, Policy, PolicyError, Reply, Verdict};

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
        ("cr.on('file-disposition', function(f)\nif f.decided == nil then cr.fail('temp', 'x') end end)", "fail (temp): x t.lua:3"),
    ] {
        assert_eq!(answer(script, "file-disposition", &file), expected, "{script}");
    }
}

#[test]
fn authors_from_other_hosts_find_what_they_know() {
    let file = json!({"path": "/tmp/a.log", "changed": {"size": true}, "flags": ["O_RDWR"]});
    let printed = |body: &str| {
        let mut policy = load(&format!("cr.on('file-disposition', function(file)\n{body}\nend)")).unwrap();
        let reply = fire(&mut policy, "file-disposition", &file);
        match reply {
            Ok(reply) => reply.log.iter().map(|line| line.text.clone()).collect::<Vec<_>>().join("|"),
            Err(error) => plain(&error.message),
        }
    };
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    for (body, expected) in [
        ("print(cr.inspect { 1, 'x\\n', a = { b = true }, ['c d'] = 2.5 })", r#"{ 1, "x\n", a = { b = true }, ["c d"] = 2.5 }"#.to_owned()),
        ("print(cr.inspect(file.changed), cr.inspect(file.flags), cr.inspect(nil))", r#"{ size = true } { "O_RDWR" } nil"#.to_owned()),
        ("print(cr.date('%F', 86400))", "1970-01-02".to_owned()),
        ("print(cr.date('%Q'))", "t.lua:3: cr.date: '%Q' is not known (known: %Y %m %d %H %M %S %F %T %j %u %s %%)".to_owned()),
        (&format!("print(cr.mkdir('{0}/b/c'), cr.mkdir('{0}/b/c'), cr.lstat('{0}/b').type)", at("d")), "true true directory".to_owned()),
        (&format!("print(cr.append_file('{0}', 'one'), cr.append_file('{0}', 'two'), cr.read_file('{0}'))", at("f")), "true true onetwo".to_owned()),
        (&format!("print(cr.rename('{}', '{}'), table.concat(cr.list_dir('{}'), ' '))", at("f"), at("d/f"), at("d")), "true b f".to_owned()),
        (&format!("print(select('#', cr.list_dir('{}')), cr.list_dir('{}'))", at("none"), at("none")), format!("2 nil cannot list {}: No such file or directory (os error 2)", at("none"))),
        ("print(cr.exec { 'printf', 'a\\nb\\n\\n' }.output)", "a\\nb".to_owned()),
        ("return os.time()", "t.lua:3: attempt to index a nil value (global 'os'): there is no os here; use cr.now, cr.date, cr.env, cr.rename and cr.exec".to_owned()),
        ("io.open('/x')", "t.lua:3: attempt to index a nil value (global 'io'): there is no io here; use cr.read_file, cr.write_file, cr.append_file, cr.list_dir and cr.exec".to_owned()),
        ("load('x')", "t.lua:3: attempt to call a nil value (global 'load'): there is no load here; use require".to_owned()),
        ("cr:stat('/x')", "t.lua:3: write cr.stat(…) with a dot, not cr:stat(…)".to_owned()),
        ("cr:fail('env', 'x')", "t.lua:3: write cr.fail(…) with a dot, not cr:fail(…)".to_owned()),
        ("cr.fail('env', 'x', { exit = 0 })", "t.lua:3: cr.fail: exit must be a status from 1 to 255".to_owned()),
        ("cr.fail('env', 'x', { remdy = '' })", "t.lua:3: cr.fail: there is no option 'remdy' (known: remedy, exit; did you mean 'remedy'?)".to_owned()),
    ] {
        assert_eq!(printed(body), expected, "{body}");
    }
    let mut policy = load("cr.on('frozen', function() cr.fail('env', 'x', { remedy = 'y', exit = 9 }) end)").unwrap();
    let reply = fire(&mut policy, "frozen", &json!({})).unwrap();
    let Verdict::Fail(refusal) = reply.opinion.unwrap().verdict else { panic!() };
    assert_eq!((refusal.remedy.as_deref(), refusal.exit), (Some("y"), Some(9)));
}

#[test]
fn one_call_takes_many_files() {
    let event = |path: String| Event::FileDisposition(FileEvent { path, ..FileEvent::default() });
    let files: Vec<Event> =
        (0..100).map(|number| event(format!("/data/{number}.{}", if number % 2 == 0 { "log" } else { "dat" }))).collect();
    let mut policy = load(
        "local calls = 0
        cr.on('file-disposition', { batch = true, path = '/**/*.log' }, function(files)
          calls = calls + 1
          print('call', calls, #files)
          local answers = {}
          for index, file in ipairs(files) do
            if file.path ~= '/data/0.log' then answers[index] = 'append' end
          end
          return answers
        end)
        cr.on('file-disposition', { path = '/data/0.log' }, function() return 'ignore' end)",
    )
    .unwrap();
    assert!(policy.foresees(Name::FileDisposition) && !policy.foresees(Name::AreaDisposition));
    let reply = policy.foresee(&files).unwrap();
    assert_eq!(reply.log.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["call 1 50"]);
    for (number, file) in files.iter().enumerate().filter(|(number, _)| *number != 7) {
        let reply = policy.decide(file).unwrap();
        let expected = match number {
            0 => Some("ignore"),
            number if number % 2 == 0 => Some("append"),
            _ => None,
        };
        assert_eq!(reply.opinion.map(|opinion| opinion.verdict.word()).as_deref(), expected, "{number}");
        assert!(reply.log.is_empty(), "{number}: asked again");
    }
    // What was not foreseen is a list of one.
    let reply = policy.decide(&event("/other.log".into())).unwrap();
    assert_eq!((reply.opinion.unwrap().verdict.word(), reply.log[0].text.as_str()), ("append".into(), "call 2 1"));
    for (answer, part) in [
        ("return 'append'", "is nil or a table from positions to answers, not a string"),
        ("return { [3] = 'append' }", "not one with the key 3"),
        ("return { x = 'append' }", "not one with the key x"),
        ("error('here')", "t.lua:2: here"),
    ] {
        let mut policy = load(&format!("cr.on('file-disposition', {{ batch = true }}, function(files) {answer} end)")).unwrap();
        let error = policy.foresee(&files[..2]).unwrap_err();
        assert!(error.message.contains(part), "{answer}: {error}");
    }
    let mut policy = load("cr.on('file-disposition', { batch = true }, function(files) return { 'apend' } end)").unwrap();
    policy.foresee(&files[..1]).unwrap();
    assert!(policy.decide(&files[0]).unwrap_err().message.contains("t.lua:2: file-disposition cannot be answered with \"apend\""));
    let error = load("cr.on('frozen', { batch = true }, print)").map(drop).unwrap_err().message;
    assert!(error.contains("batch = true is for dispositions, not for frozen"), "{error}");
}

#[test]
fn an_error_tells_where_it_was_called_from() {
    let mut policy =
        load("local function inner() error('x') end\nlocal function outer() inner() end\ncr.on('frozen', function()\nouter()\nend)")
            .unwrap();
    let error = fire(&mut policy, "frozen", &json!({})).unwrap_err();
    assert_eq!(plain(&error.message), "t.lua:2: x");
    let [line] = &error.log[..] else { panic!("{:?}", error.log) };
    assert_eq!(line.level, LogLevel::Debug);
    assert!(plain(&line.by) == "t.lua:2" && line.text.ends_with("t.lua:5") && line.text.contains("t.lua:3, "), "{line:?}");
}

#[test]
fn small_mistakes_of_authors_are_understood_or_named() {
    for (script, event, expected) in [
        ("cr.on('pre-restart', function() return {} end)", "pre-restart", " t.lua:2"),
        ("cr.on('job-exit', function() return 150 / 2 end)", "job-exit", "exit 75 t.lua:2"),
        ("cr.on('job-exit', function() return 75.5 end)", "job-exit", "t.lua:2: job-exit cannot be answered with 75.5"),
        (
            "cr.on('pre-restart', function(image) print(cr.json.encode(image.annotations)) return { pid = 'new' } end)",
            "pre-restart",
            "pid new t.lua:2",
        ),
        ("cr.on('file-disposition', { path = cr.args.logs }, print)", "frozen", "t.lua:2: cr.on: the filter is empty"),
        ("cr.on('file-disposition', print, {})", "frozen", "t.lua:2: cr.on: the filter stands before the handler"),
        ("cr:on('frozen', print)", "frozen", "t.lua:2: write cr.on(…) with a dot"),
        (
            "cr.on('file-disposition', function() return { action = 'apend', path = 'x', pth = 1 } end)",
            "file-disposition",
            "t.lua:2: file-disposition cannot be answered with {\"action\":\"apend\",\"path\":\"x\",\"pth\":1}: there is no field 'pth', there is no action \"apend\", the path \"x\" is not absolute; the answer is",
        ),
    ] {
        let text = answer(script, event, &json!({}));
        assert!(text.trim_start().starts_with(expected.trim_start()), "{script}: {text}");
    }
    let mut policy = load("cr.on('pre-restart', function(image) print(cr.json.encode { image.annotations, image.ids }) end)").unwrap();
    let reply = fire(&mut policy, "pre-restart", &json!({ "annotations": {}, "ids": [] })).unwrap();
    assert_eq!(reply.log[0].text, "[{},[]]");
    let state = answer("cr.on('pre-checkpoint', function() cr.state.f = print end)", "pre-checkpoint", &json!({}));
    assert_eq!(state, "t.lua:2: cr.state cannot be kept: JSON cannot hold a function at 'f'");
    let state = answer("cr.on('pre-checkpoint', function() cr.state.pids = { [4711] = true } end)", "pre-checkpoint", &json!({}));
    assert!(state.starts_with("t.lua:2: cr.state cannot be kept: JSON cannot hold a table with the key 4711"), "{state}");
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in
        [("bom.lua", "\u{feff}local cr = require 'cr'\nerror('here')"), ("program.lua", "#!/usr/bin/env lua\nerror('here')")]
    {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        let error = LuaPolicy::load(&Options { files: vec![path], ..Options::default() }, &Threaded).map(drop).unwrap_err().message;
        assert!(error.ends_with(&format!("{name}:2: here")), "{error}");
    }
}

#[test]
fn what_cannot_be_stopped_any_more_is_told_to_every_handler() {
    let script = "cr.on('fail-temp', function() error('first') end)
        cr.on('fail-temp', function() return { retry = true } end)
        cr.on('fail-temp', function() print('audit') error('last') end)";
    let mut policy = load(script).unwrap();
    let reply = fire(&mut policy, "fail-temp", &json!({})).unwrap();
    assert_eq!(reply.opinion.unwrap().verdict.word(), "retry after 0 s");
    let log: Vec<String> = reply.log.into_iter().map(|line| plain(&line.text)).collect();
    assert_eq!(log, ["audit", "t.lua:4: last", "t.lua:2: first"]);
    let mut policy = load("cr.on('on-success', function() error('x') end) cr.on('on-success', function() print('y') end)").unwrap();
    let error = fire(&mut policy, "on-success", &json!({})).unwrap_err();
    assert_eq!((plain(&error.message), error.log.len()), ("t.lua:2: x".into(), 1));
    let mut policy = load("print('loading')").unwrap();
    assert_eq!(policy.take_log().len(), 1);
}

#[test]
fn mistakes_are_named_with_their_line_and_what_is_known() {
    let event = json!({"path": "/x", "flags": ["O_RDWR"]});
    for (script, parts) in [
        (
            "cr.on('file-dispositon', print)",
            ["t.lua:2: cr.on: there is no event 'file-dispositon' (known: pre-checkpoint,", "did you mean 'file-disposition'?"],
        ),
        (
            "cr.on('file-disposition', {pth = '/x'}, print)",
            ["t.lua:2: cr.on: 'pth' is no field of file-disposition", "did you mean 'path'?"],
        ),
        ("cr.on('file-disposition', 7)", ["t.lua:2: cr.on: argument 2 must be a filter or the handler, a function, not integer", ""]),
        ("cr.on('file-disposition', {}, 7)", ["t.lua:2: cr.on: argument 3 must be the handler", ""]),
        ("cr.on('file-disposition', {'/x'}, print)", ["t.lua:2: cr.on: the filter must be a table of fields", ""]),
        ("x = = 1", ["t.lua:2: unexpected symbol near '='", ""]),
        ("local x = nil\nreturn x.y", ["t.lua:3: attempt to index a nil value (local 'x')", ""]),
        ("cr.onn('x')", ["t.lua:2: cr has no field 'onn' (known: STOP annotate", ""]),
        ("cr.log.wran('x')", ["t.lua:2: cr.log has no field 'wran'", "did you mean 'warn'?"]),
        (
            "cr.on('file-disposition', function(f)\nreturn f.pth end)",
            ["t.lua:3: file-disposition has no field 'pth'", "did you mean 'path'?"],
        ),
        (
            "cr.on('file-disposition', function(f)\nf.path = 1 end)",
            ["t.lua:3: file-disposition is read-only: 'path' cannot be assigned", ""],
        ),
        (
            "cr.on('file-disposition', function(f)\nf.flags[1] = 1 end)",
            ["t.lua:3: file-disposition.flags is read-only: '1' cannot be assigned", ""],
        ),
        (
            "cr.on('file-disposition', function(f) return 'appendd' end)",
            ["t.lua:2: file-disposition cannot be answered with \"appendd\"", "\"append\""],
        ),
        (
            "cr.on('file-disposition', function(f) cr.fail('tmp', 'x') end)",
            ["t.lua:2: cr.fail: there is no class 'tmp' (known: args, temp, env, perm", "'temp'"],
        ),
        ("cr.on('file-disposition', function(f) cr.stat() end)", ["t.lua:2: cr.stat: argument 1 must be a path, not nil", ""]),
        ("cr.fail('env', 'x')", ["t.lua:2: cr.fail works in handlers", ""]),
        ("cr.annotate('a', 'x')", ["t.lua:2: cr.annotate works in handlers", ""]),
        ("require 'nothing'", ["t.lua:2: require: cannot use the script", "nothing.lua: No such file"]),
        ("require '../x'", ["t.lua:2: require: '../x' is not the name of a module", ""]),
    ] {
        let text = answer(script, "file-disposition", &event);
        let parts = parts.map(|part| part.replace("(known: STOP annotate", "(known: STOP, annotate"));
        assert!(text.starts_with(&parts[0]) && text.contains(&parts[1]), "{script}: {text}");
    }
}

#[test]
fn events_look_like_plain_tables() {
    let job = json!({"ids": [7, 8], "processes": [{"pid": 7, "name": "a"}, {"pid": 8, "name": "b"}], "scope": "tree",
                     "options": {"sync": true, "dry_run": false}});
    for script in [
        "assert(#job.processes == 2 and job.processes[2].name == 'b' and job.processes[3] == nil)",
        "local n = 0 for i, p in ipairs(job.processes) do n = n + p.pid assert(i <= 2) end assert(n == 15)",
        "local names = {} for key in pairs(job) do names[key] = true end assert(names.ids and names.options and names.scope)",
        "local n = 0 for i, id in pairs(job.ids) do n = n + i * id end assert(n == 23)",
        "assert(table.concat(job.ids, ',') == '7,8' and table.unpack(job.ids) == 7 and select('#', table.unpack(job.ids)) == 2)",
        "assert(next(job.ids) == 1 and next(job) ~= nil and rawlen(job.ids) == 2 and rawget(job, 'scope') == 'tree')",
        "assert(job.freeze_us == nil and job.options.path == nil and job.options.sync == true)",
        "assert(type(job) == 'table' and math.type(job.ids[1]) == 'integer' and job.ids == job.ids)",
        "local same = cr.json.decode(cr.json.encode(job)) assert(same.processes[1].name == 'a' and same.options.sync)",
        "local copy = table.move(job.ids, 1, 2, 1, {}) table.sort(copy, function(a, b) return a > b end) assert(copy[1] == 8)",
    ] {
        assert_eq!(answer(&format!("cr.on('pre-checkpoint', function(job) {script} end)"), "pre-checkpoint", &job), "nothing", "{script}");
    }
}

#[test]
fn the_table_cr_does_what_it_says() {
    let file = json!({"path": "/x"});
    for script in [
        "assert(cr.version:match('^%d+%.%d+%.%d+$') and cr.args.site == nil and cr.dry_run == false and cr.pure == false)",
        "assert(cr.exists('/etc/passwd') and not cr.exists('/nonexistent'))",
        "local stat = cr.stat('/etc/passwd') assert(stat.type == 'file' and stat.size > 0 and stat.mtime > 0 and stat.uid == 0 and stat.inode > 0)",
        "local stat, why = cr.stat('/nonexistent') assert(stat == nil and why:find('No such file'))",
        "assert(cr.stat('/').type == 'directory' and cr.stat('/dev/null').type == 'character device')",
        "assert(cr.readlink('/proc/self'):match('^%d+$') and cr.readlink('/etc/passwd') == nil)",
        "assert(cr.read_file('/etc/passwd'):find('root:')) local text, why = cr.read_file('/etc/passwd', 3) assert(text == nil and why:find('longer than 3'))",
        "assert(cr.env('PATH') and cr.env('NO_SUCH_VARIABLE') == nil and cr.env('') == nil and cr.env('A=B') == nil)",
        "assert(#cr.hostname() > 0 and cr.now() > 1.6e9)",
        "assert(cr.glob('/tmp/*', '/tmp/a') and not cr.glob('/tmp/*', '/tmp/a/b') and cr.glob('/tmp/**', '/tmp/a/b'))",
        "assert(not pcall(cr.glob, '[', 'x'))",
        "assert(cr.json.encode({1, 2, {a = true}}) == '[1,2,{\"a\":true}]' and cr.json.decode('{\"a\":[1,null]}').a[1] == 1)",
        "assert(not pcall(cr.json.decode, '{') and not pcall(cr.json.encode, print) and cr.json.decode('null') == nil)",
        "assert(require('cr') == cr and cr.STOP ~= nil)",
        "local ended = cr.exec { 'sh', '-c', 'cat; echo $X >&2; exit 3', stdin = 'in', env = { X = 'y' } } assert(ended.status == 3 and ended.signal == nil and ended.stdout == 'in' and ended.stderr == 'y\\n')",
        "local ended = cr.exec { 'sh', '-c', 'kill -9 $$' } assert(ended.status == nil and ended.signal == 9)",
        "local ended, why = cr.exec { '/nonexistent/program' } assert(ended == nil and why:find('No such file'))",
        "assert(cr.exec({ 'true', background = true }).pid > 0)",
        "local ok, why = pcall(cr.exec, { 'true', timout = 1 }) assert(not ok and why:find(\"did you mean 'timeout'\"), why)",
        "assert(not pcall(cr.exec, {}) and not pcall(cr.exec, { 'a\\0b' }) and not pcall(cr.exec, 'true') and not pcall(cr.exec, { 'true', timeout = -1 }))",
        "assert(cr.exec({ 'sh', '-c', 'grep -q \"^SigBlk:[[:blank:]]*0*$\" /proc/self/status' }).status == 0)",
        "local ok, why = cr.write_file('/nonexistent/x', '') assert(ok == nil and why:find('cannot write /nonexistent/x'))",
    ] {
        // An event with the long budget: programs are started here.
        let script = format!("cr.on('pre-restart', function(file) {script} end)");
        assert_eq!(answer(&script, "pre-restart", &file), "nothing", "{script}");
    }
}

#[test]
fn effects_are_refused_where_nothing_may_change() {
    for (pure, dry_run, reason) in [(true, false, "--hook-pure"), (false, true, "in a dry run")] {
        for call in ["exec { 'true' }", "write_file('x', 'y')"] {
            let script = format!("cr.on('job-exit', function() cr.{call} end)");
            let loaded = load_with(&script, |_, options| (options.pure, options.dry_run) = (pure, dry_run));
            let error = fire(&mut loaded.unwrap().1, "job-exit", &json!({})).unwrap_err();
            assert!(error.message.contains("t.lua:2: cr.") && error.message.contains(reason), "{error}");
        }
    }
}

#[test]
fn scripts_share_state_and_modules_but_no_globals() {
    let change = |directory: &Path, options: &mut Options| {
        fs::create_dir(directory.join("site")).unwrap();
        fs::write(directory.join("site/names.lua"), "count = (count or 0) + 1\nreturn {count = count, own = require 'site.other'}")
            .unwrap();
        fs::create_dir_all(directory.join("site/site")).unwrap();
        fs::write(directory.join("site/site/other.lua"), "return ...").unwrap();
        fs::write(
            directory.join("second.lua"),
            "local cr = require 'cr'\nassert(x == nil and require('site.names').count == 1)\ncr.state.second = cr.args.a",
        )
        .unwrap();
        options.files.push(directory.join("second.lua"));
        options.args.insert("a".into(), "b=c".into());
    };
    let script = "x = 1\nassert(_G.x == 1 and require('site.names').own == 'site.other' and require('site.names').count == 1 and count == nil)\n\
                  print('loaded', 1)\ncr.state.list = {1, 2}\n\
                  cr.on('job-exit', function() cr.log.warn('seen', cr.state.list[2]) cr.state.list = nil end)";
    let (_directory, mut policy) = load_with(script, change).unwrap();
    assert_eq!(policy.keep().unwrap().as_deref(), Some(r#"{"list":[1,2],"second":"b=c"}"#));
    policy.recall(r#"{"list":[3,4]}"#).unwrap();
    let log = fire(&mut policy, "job-exit", &json!({})).unwrap().log;
    let lines: Vec<(LogLevel, String, String)> = log.into_iter().map(|line| (line.level, plain(&line.by), line.text)).collect();
    assert_eq!(lines[0], (LogLevel::Info, "t.lua:4".into(), "loaded 1".into()));
    assert_eq!(lines[1], (LogLevel::Warn, "t.lua:6".into(), "seen 4".into()));
    assert_eq!(policy.keep().unwrap(), None, "an empty state is not kept");
}

#[test]
fn notes_are_taken_until_the_context_file_is_written() {
    for (event, data, is_taken) in [
        ("pre-checkpoint", json!({}), true),
        ("file-disposition", json!({"side": "checkpoint"}), true),
        ("file-disposition", json!({"side": "restart"}), false),
        ("post-checkpoint", json!({}), false),
        ("checkpoint-failed", json!({}), false),
        ("pre-restart", json!({}), false),
        ("job-exit", json!({}), false),
    ] {
        let mut policy = load(&format!("cr.on('{event}', function() cr.annotate('key', 7) cr.annotate('b', true) end)")).unwrap();
        match fire(&mut policy, event, &data) {
            Ok(reply) => {
                assert!(is_taken, "{event} {data}");
                assert_eq!(reply.annotations, [("key".to_owned(), "7".to_owned()), ("b".to_owned(), "true".to_owned())]);
            }
            Err(error) => {
                assert!(!is_taken && error.message.contains(&format!("in {event} the context file is written already")), "{error}")
            }
        }
    }
}

#[test]
fn the_engine_asks_with_its_own_events_and_tools_with_data() {
    let mut policy =
        load("cr.on('file-disposition', {path = '/a/**', size = {1, 2}}, function(f) return f.changed == nil and 'ignore' end)").unwrap();
    assert!(policy.hears(Name::FileDisposition) && !policy.hears(Name::Process));
    let handler = policy.handlers().remove(0);
    assert_eq!((handler.event, handler.filter.as_str()), (Name::FileDisposition, "path = \"/a/**\", size = [1,2]"));
    assert_eq!(plain(&handler.place), "t.lua:2");
    let event = |path: &str| Event::FileDisposition(FileEvent { path: path.into(), size: 2, ..FileEvent::default() });
    assert_eq!(policy.decide(&event("/a/b")).unwrap().opinion.unwrap().verdict.word(), "ignore");
    assert_eq!(policy.decide(&event("/b")).unwrap().opinion, None);
    let error = fire(&mut policy, "file-disposition", &json!({"pat": "/x"})).unwrap_err();
    assert!(error.message.starts_with("file-disposition has no field 'pat' (known: ") && error.message.contains("'path'"), "{error}");
}

#[test]
fn a_name_in_a_message_is_the_path_that_was_given() {
    let (directory, _) = load_with("", |_, _| ()).unwrap();
    let missing = directory.path().join("none.lua");
    let error = LuaPolicy::load(&Options { files: vec![missing.clone()], ..Options::default() }, &Threaded).err().unwrap();
    assert_eq!(error.message, format!("cannot use the script {}: No such file or directory (os error 2)", missing.display()));
    assert_eq!(error.class, crate::error::Class::Args);
}

#[test]
fn time_is_short_only_while_a_running_job_waits() {
    let script = r"
local function work() for _ = 1, 1000000 do end end
cr.on('file-disposition', function() work() return 'append' end)
cr.on('post-checkpoint', function() work() return 'kill' end)
cr.on('pre-resume', function() work() cr.fail('env', 'asked') end)";
    let limits = |_: &Path, options: &mut Options| {
        (options.limits.frozen, options.limits.call) = (Duration::from_micros(1), Duration::from_secs(600));
        options.limits.grace = Duration::from_secs(60);
    };
    let (_directory, mut policy) = load_with(script, limits).unwrap();
    for (event, data, expected) in [
        ("file-disposition", json!({"side": "restart"}), Some("append")),
        ("file-disposition", json!({"side": "checkpoint"}), None),
        ("post-checkpoint", json!({"frozen": false}), Some("kill")),
        ("post-checkpoint", json!({"frozen": true}), None),
        ("pre-resume", json!({}), Some("fail (env): asked")),
    ] {
        match (fire(&mut policy, event, &data), expected) {
            (Ok(reply), Some(word)) => assert_eq!(reply.opinion.unwrap().verdict.word(), word, "{event} {data}"),
            (Err(error), None) => assert!(error.message.contains("budget"), "{event} {data}: {}", error.message),
            (other, _) => panic!("{event} {data}: {other:?}"),
        }
    }
}

#[test]
fn a_spent_budget_ends_with_its_call() {
    let script = "cr.on('frozen', function() while true do end end)\ncr.on('checkpoint-failed', function(f) return #f.message end)";
    let (_directory, mut policy) = load_with(script, |_, options| options.limits.instructions = 10_000).unwrap();
    for _ in 0..2 {
        let error = fire(&mut policy, "frozen", &json!({})).unwrap_err();
        assert!(error.message.contains("the budget of 10000 instructions for frozen is spent"), "{}", error.message);
        let reply = fire(&mut policy, "checkpoint-failed", &json!({"message": "four"})).unwrap();
        assert_eq!(reply.opinion.unwrap().verdict, Verdict::Status(4), "told of the failure");
    }
}
