//! System V objects around a job: they outlive it, others use them, or they are gone with the machine.
//!
//! The jobs are programs of the table, which check themselves. Relies on every case having an IPC namespace of its own; leaves restarts that find
//! everything as it was to `journeys`.

use std::fs;
use std::process::Command;

use crate::case::{Case, Scene};
use crate::children::End;
use crate::job::Job;
use crate::site::Site;
use crate::verdict::{Attempt, Verdict, ensure, failed, says, skipped};
use crate::{namespace, site};

const PROGRAMS: [&str; 4] = ["sysv_memory", "semaphore", "semaphore_undo", "message_queue"];

/// Every promise.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[
        ("gone", gone),
        ("gone-user", gone_user),
        ("left-alone", left_alone),
        ("changed", changed),
        ("id-taken", id_taken),
        ("key-taken", key_taken),
        ("outsider", outsider),
        ("failed", a_failed_restart_leaves_nothing),
        ("queue-used", a_queue_that_somebody_uses),
        ("memory-gone", named_memory_is_made_again),
        ("memory-used", named_memory_that_somebody_uses),
    ];
    let cases = scenes.iter().map(|(journey, scene)| Case::new("sysv", journey, *scene));
    cases.chain([Case::new("postgres", "user", postgres).patient(180)]).collect()
}

fn own_ids(site: &Site) -> Verdict {
    if site.namespaced { Ok(()) } else { Err(skipped("needs pids and System V objects of its own")) }
}

/// Saves a program of the table and kills it.
fn saved(site: &Site, program: &str) -> Verdict<Job> {
    own_ids(site)?;
    let _ = fs::remove_dir_all(site.work()).and_then(|()| fs::create_dir(site.work()));
    site.give_away(&site.work())?;
    let job = site.start(site.command(site.program(program)))?;
    site.wait_ready(&job)?;
    site.checkpoint_and_kill(&[], &site.context(&format!("{program}.ctx")), &job)?;
    Ok(job)
}

/// Removes every object, as a reboot does.
fn remove_all(site: &Site) -> Verdict {
    site.run(Command::new("ipcrm").arg("--all"))?.succeeded().map(drop)
}

/// How many objects there are.
fn count() -> Verdict<usize> {
    let lines = |file| fs::read_to_string(file).map(|text| text.lines().count() - 1);
    let all = ["/proc/sysvipc/shm", "/proc/sysvipc/sem", "/proc/sysvipc/msg"].map(lines);
    all.into_iter().sum::<Result<usize, _>>().attempt("count System V objects")
}

fn refused(site: &Site, context: &str, words: &[&str]) -> Verdict {
    let before = count()?;
    let ran = site.run(site.command(site.tool("cr_restart")).args(["--no-restore-pid"]).arg(site.context(context)))?;
    ensure(ran.end != End::Code(0), || "the restart was not refused".into())?;
    words.iter().try_for_each(|word| says(&ran.stderr, word))?;
    ensure(count()? == before, || "the refused restart left objects".into())
}

/// The machine has been started anew: everything is made again with the same ids.
fn gone(site: &Site) -> Verdict {
    for program in PROGRAMS {
        let job = saved(site, program)?;
        remove_all(site)?;
        let job = site.restart(&[], &site.context(&format!("{program}.ctx")), &job)?;
        site.go(&job, "restart")?;
        site.passes(&job)?;
    }
    Ok(())
}

/// A user may not choose ids, but has them in namespaces of his own.
fn gone_user(site: &Site) -> Verdict {
    namespace::prepare(site)?;
    for program in PROGRAMS {
        let job = saved(site, program)?;
        remove_all(site)?;
        if program == "semaphore_undo" {
            refused(site, "semaphore_undo.ctx", &["is gone", "cannot be chosen", "--namespace"])?;
        }
        let holder = namespace::take(site, job.pid)?;
        let job = namespace::restart(site, &[], &site.context(&format!("{program}.ctx")), job.pid, &job)?;
        site.go(&job, "restart")?;
        let end = site.children.wait(job.waited, site.patience);
        namespace::end(site, holder)?;
        end?;
        site.passes(&job)?;
        ensure(count()? == 0, || "the objects came back where everybody has them".into())?;
    }
    Ok(())
}

/// A job that goes on is not disturbed by a second one made from its past.
fn left_alone(site: &Site) -> Verdict {
    own_ids(site)?;
    for program in PROGRAMS {
        let _ = fs::remove_dir_all(site.work()).and_then(|()| fs::create_dir(site.work()));
        let context = format!("{program}.ctx");
        let job = site.start(site.command(site.program(program)))?;
        site.wait_ready(&job)?;
        site.checkpoint(&[], &site.context(&context), job.pid)?;
        refused(site, &context, &["still runs", "--namespace"])?;
        site.runs_on(&job)?;
    }
    Ok(())
}

/// Values, messages and contents that have changed since are put back.
fn changed(site: &Site) -> Verdict {
    let job = saved(site, "message_queue")?;
    // Whoever plays with it is gone when the job comes back.
    let script = "my $q = (grep { /^\\s*\\d+\\s+\\d+\\s+640/ } do { open F, '/proc/sysvipc/msg'; <F> })[0]; my $id = (split ' ', $q)[1]; \
                  msgrcv($id, my $b, 2000, 0, 0) for 1 .. 3; msgsnd($id, pack('l! a*', 5, 'x'), 0) or die; msgsnd($id, pack('l! a*', 6, 'y'), 0) or die";
    site.run(Command::new("perl").args(["-e", script]))?.succeeded()?;
    let job = site.restart(&[], &site.context("message_queue.ctx"), &job)?;
    site.go(&job, "restart")?;
    site.passes(&job)
}

/// Somebody else has the id.
fn id_taken(site: &Site) -> Verdict {
    saved(site, "semaphore_undo")?;
    let table = fs::read_to_string("/proc/sysvipc/sem").attempt("read the table")?;
    let id = table.lines().nth(1).and_then(|line| line.split_whitespace().nth(1)).ok_or_else(|| failed("no set is left"))?.to_owned();
    remove_all(site)?;
    fs::write("/proc/sys/kernel/sem_next_id", &id).attempt("choose an id")?;
    let other = "semget(0x77777, 1, 01600) // die";
    site.run(Command::new("perl").args(["-e", other]))?.succeeded()?;
    refused(site, "semaphore_undo.ctx", &["the id of System V semaphore set", "is taken", "ipcrm"])
}

/// Somebody else has the key.
fn key_taken(site: &Site) -> Verdict {
    let job = saved(site, "semaphore")?;
    remove_all(site)?;
    let other = format!("semget({}, 3, 01600) // die; semget({}, 3, 01600) // die", 1, 0x5200_0000 + job.pid.as_raw());
    site.run(Command::new("perl").args(["-e", &other]))?.succeeded()?;
    refused(site, "semaphore.ctx", &["is taken", "ipcrm"])
}

/// What an outsider uses, too, is his: it is not saved, not changed, and has to be there.
fn outsider(site: &Site) -> Verdict {
    own_ids(site)?;
    let holder = "my $id = semget(0x4711, 1, 01600); semop($id, pack('s!*', 0, 5, 0)) or die; open F, '>', 'made'; close F; sleep 1000";
    let mut command = site.command("perl");
    command.args(["-e", holder]).current_dir(site.work());
    let holder = site.children.start(&mut command)?;
    ensure(crate::children::wait_until(site.patience, || site.work().join("made").exists()), || "no set was made".into())?;
    let job = "$| = 1; my $id = semget(0x4711, 1, 0); semop($id, pack('s!*', 0, -2, 010000)) or die; print qq(READY\\n); \
               select undef, undef, undef, 0.02 until -e 'go'; print semctl($id, 0, 12, 0), qq(\\n); semop($id, pack('s!*', 0, 2, 010000)) or die; \
               print semctl($id, 0, 12, 0), qq(\\nPASS\\n)";
    let mut command = site.command("perl");
    command.args(["-e", job]);
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    let poke = |by: i32| format!("semop(semget(0x4711, 1, 0), pack('s!*', 0, {by}, 0)) or die; sleep 1000");
    let mut command = site.command("perl");
    let poker = site.children.start(command.args(["-e", &poke(4)]))?;
    let value = || site.run(Command::new("perl").args(["-e", "print semctl(semget(0x4711, 1, 0), 0, 12, 0)"])).map(|ran| ran.stdout);
    ensure(crate::children::wait_until(site.patience, || value().is_ok_and(|value| value.trim() == "7")), || {
        "nobody has changed it".into()
    })?;
    let context = site.context("job.ctx");
    site.try_checkpoint(&["--kill"], &context, job.pid)?.succeeded()?;
    site.children.wait(job.waited, site.patience)?;
    // The kill has given back 2; the outsider takes 1 meanwhile.
    ensure(value()?.trim() == "9", || "the kill gave nothing back".into())?;
    let job = site.restart(&[], &context, &job)?;
    site.go(&job, "restart")?;
    site.children.wait(job.waited, site.patience)?;
    ensure(job.output().contains("7\n9\nPASS"), || format!("what the job held was not taken again: {}", job.output()))?;
    for pid in [holder, poker] {
        namespace::end(site, pid)?;
    }
    remove_all(site)?;
    refused(site, "job.ctx", &["is gone", "start them first"])
}

/// What was made for a restart that fails is removed.
fn a_failed_restart_leaves_nothing(site: &Site) -> Verdict {
    if !site::is_true_root() {
        return Err(skipped("needs root"));
    }
    saved(site, "sysv_memory")?;
    remove_all(site)?;
    let mut command = site.command(site.tool("cr_restart"));
    command.args(["--no-restore-pid", "--hook"]).arg(site.context("no.lua")).arg(site.context("sysv_memory.ctx"));
    fs::write(site.context("no.lua"), "local cr = require \"cr\"\ncr.on(\"pre-resume\", function() error(\"not now\") end)\n")
        .attempt("write a script")?;
    let ran = site.run(&mut command)?;
    ensure(ran.end != End::Code(0), || "the restart succeeded".into())?;
    says(&ran.stderr, "not now")?;
    ensure(count()? == 0, || "the failed restart left objects".into())
}

/// A POSIX queue that an outsider has open is his: it is not looked into, not changed, and has to be there. One that a job has for itself is refused while
/// somebody uses it, and is removed with a restart that fails.
fn a_queue_that_somebody_uses(site: &Site) -> Verdict {
    own_ids(site)?;
    let python = |script: &str| {
        let mut command = site.command("python3");
        command.args(["-c", &format!("{MQ}{script}")]);
        command
    };
    let outsider = "q = o('/scene', os.O_RDWR | os.O_CREAT); send(q, b'his', 3); open('made', 'w'); time.sleep(1000)";
    let outsider = site.children.start(python(outsider).current_dir(site.work()))?;
    ensure(crate::children::wait_until(site.patience, || site.work().join("made").exists()), || "no queue was made".into())?;
    let job = "q = o('/scene', os.O_RDWR); own = o('/own', os.O_RDWR | os.O_CREAT); send(own, b'kept', 1); print('READY', flush=True)\n\
               while not os.path.exists('go'): time.sleep(0.02)\n\
               print(receive(q), receive(own), flush=True)";
    let job = site.start(python(job))?;
    site.wait_ready(&job)?;
    let context = site.context("job.ctx");
    let said = site.try_checkpoint(&["--kill"], &context, job.pid)?.succeeded()?.stderr;
    says(&said, "has it open, too")?;
    site.children.wait(job.waited, site.patience)?;
    let intruder =
        site.children.start(python("q = o('/own', os.O_RDWR); open('opened', 'w'); time.sleep(1000)").current_dir(site.work()))?;
    ensure(crate::children::wait_until(site.patience, || site.work().join("opened").exists()), || "the queue is gone".into())?;
    refused(site, "job.ctx", &["the message queue /own is taken by process", "--namespace"])?;
    namespace::end(site, intruder)?;
    let job = site.restart(&[], &context, &job)?;
    site.go(&job, "restart")?;
    site.children.wait(job.waited, site.patience)?;
    ensure(job.output().contains("b'his' b'kept'"), || format!("the messages are others: {}", job.output()))?;
    namespace::end(site, outsider)?;
    site.run(&mut python("unlink('/scene'); unlink('/own')"))?.succeeded()?;
    refused(site, "job.ctx", &["the message queue /scene, which is gone, cannot be restored", "start them first"])
}

/// Memory in `/dev/shm` that has a name goes with the job: it comes back when it is gone, and as it was when it has changed.
fn named_memory_is_made_again(site: &Site) -> Verdict {
    for change in ["rm", "shred -n 1"] {
        let job = saved(site, "named_memory")?;
        let script =
            format!("i=$(stat -c %i {}); {change} /dev/shm/reprise-test-$i; {change} /dev/shm/sem.reprise-lock-$i", site.work().display());
        site.run(Command::new("sh").args(["-ec", &script]))?.succeeded()?;
        let job = site.restart(&[], &site.context("named_memory.ctx"), &job)?;
        site.go(&job, "restart")?;
        site.passes(&job)?;
    }
    Ok(())
}

/// It is not taken from those who have it: a job that goes on, or somebody with whom the job shares it.
fn named_memory_that_somebody_uses(site: &Site) -> Verdict {
    own_ids(site)?;
    let job = site.start(site.command(site.program("named_memory")))?;
    site.wait_ready(&job)?;
    let context = site.context("memory.ctx");
    site.checkpoint(&[], &context, job.pid)?;
    refused(site, "memory.ctx", &["the shared memory /dev/shm/reprise-test-", "is taken by process", "=substitute"])?;
    site.runs_on(&job)?;
    let share = "import mmap, os, sys, time\n\
                 fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT); os.ftruncate(fd, 4096); m = mmap.mmap(fd, 4096); os.close(fd)\n\
                 print('READY', flush=True)\n\
                 while m[0:1] != b'!': time.sleep(0.02)\n\
                 print('PASS', flush=True)";
    let file =
        format!("/dev/shm/reprise-scene-{}", fs::metadata(site.work()).map(|data| std::os::unix::fs::MetadataExt::ino(&data)).unwrap_or(0));
    let _ = fs::remove_dir_all(site.work()).and_then(|()| fs::create_dir(site.work()));
    let mut command = site.command("python3");
    let heard = site.context("outsider");
    let out = fs::File::create(&heard).attempt("make a file")?;
    let outsider = site.children.start(command.args(["-c", share, &file]).stdout(out))?;
    let is_ready = || fs::read_to_string(&heard).is_ok_and(|text| text.contains("READY"));
    ensure(crate::children::wait_until(site.patience, is_ready), || "nobody else has the memory".into())?;
    let mut command = site.command("python3");
    command.args(["-c", share, &file]);
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    site.try_checkpoint(&["--kill"], &context, job.pid)?.succeeded()?;
    site.children.wait(job.waited, site.patience)?;
    let job = site.restart(&[], &context, &job)?;
    // Both see what is written by name.
    let written = fs::OpenOptions::new().write(true).open(&file).and_then(|mut file| std::io::Write::write_all(&mut file, b"!"));
    let ends = [job.waited, outsider].map(|pid| site.children.wait(pid, site.patience));
    let _ = fs::remove_file(&file);
    written.attempt("write to the memory")?;
    ends.into_iter().try_for_each(|end| end.map(drop))?;
    ensure(job.output().contains("PASS"), || format!("the job does not share it any more: {}", job.output()))
}

/// A database server of an ordinary user: System V and named shared memory, a dozen processes, TCP on loopback. It answers as if nothing had been.
fn postgres(site: &Site) -> Verdict {
    namespace::prepare(site)?;
    let Some(programs) = postgres_programs() else { return Err(skipped("not installed: postgres")) };
    let program = |name: &str| {
        let mut command = site.command(programs.join(name));
        command.env("LC_ALL", "C").env("HOME", site.work()).current_dir(site.work());
        command
    };
    site.run(program("initdb").args(["-D", "data", "-U", "me", "-A", "trust", "--no-sync"]))?.succeeded()?;
    let mut server = program("postgres");
    server.args(["-D", "data", "-c", "listen_addresses=127.0.0.1", "-c", "port=5499", "-c", "unix_socket_directories=", "-c", "jit=off"]);
    let job = site.start(server)?;
    let ask = |words: &str| {
        let ran = site.run(program("psql").args(["-h", "127.0.0.1", "-p", "5499", "-U", "me", "-Atqc", words, "postgres"]))?;
        Ok::<_, crate::verdict::Stop>((ran.end == End::Code(0), ran.stdout.trim().to_owned(), ran.stderr))
    };
    let answers = |words: &str, expected: &str| {
        let mut last = String::new();
        let is_it = crate::children::wait_until(site.patience, || match ask(words) {
            Ok((true, answer, _)) => answer == expected,
            Ok((false, _, complaint)) => {
                last = complaint;
                false
            }
            Err(_) => false,
        });
        ensure(is_it, || format!("no answer {expected} to {words}: {last}\n{}", job.output()))
    };
    answers("select 1", "1")?;
    ask("create table t as select generate_series(1, 1000) i")?;
    let context = site.context("postgres.ctx");
    site.checkpoint_and_kill(&[], &context, &job)?;
    let again = namespace::restart(site, &[], &context, job.pid, &job)?;
    answers("select sum(i) from t", "500500")?;
    ask("insert into t select generate_series(1001, 2000)")?;
    answers("select sum(i) from t", "2001000")?;
    nix::sys::signal::kill(again.waited, nix::sys::signal::Signal::SIGINT).attempt("tell the server to end")?;
    let end = site.children.wait(again.waited, site.patience)?;
    ensure(end == End::Code(0), || format!("the server ended with {end}: {}", again.output()))?;
    site.gone()
}

/// Where the programs of PostgreSQL are: Debian has them out of the way.
fn postgres_programs() -> Option<std::path::PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<std::path::PathBuf> = std::env::split_paths(&path).chain(versions).collect();
    places.retain(|place| ["postgres", "initdb", "psql"].iter().all(|name| place.join(name).is_file()));
    places.into_iter().next()
}

/// Message queues for a language without them.
const MQ: &str = "import ctypes, os, time\n\
    c = ctypes.CDLL(None, use_errno=True)\n\
    attr = (ctypes.c_long * 8)(0, 4, 100)\n\
    def o(name, flags): fd = c.mq_open(name.encode(), flags | os.O_NONBLOCK, 0o600, attr); assert fd >= 0, ctypes.get_errno(); return fd\n\
    def send(q, text, priority): assert c.mq_send(q, text, len(text), priority) == 0, ctypes.get_errno()\n\
    def receive(q): b = ctypes.create_string_buffer(100); n = c.mq_receive(q, b, 100, None); assert n >= 0, ctypes.get_errno(); return b.raw[:n]\n\
    def unlink(name): assert c.mq_unlink(name.encode()) == 0\n";
