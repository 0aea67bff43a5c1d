//! Ready-made scripts that decide at the checkpoint what becomes of connections, sizes, files and caches.
//!
//! Relies on the examples of `ready_made`. Leaves scripts with effects outside of the job to `effect`.

use std::fs;
use std::io::Read;
use std::net::TcpListener;

use super::Ready;
use crate::children::End;
use crate::decisions::{edit, is, no_leftovers, read};
use crate::job::Job;
use crate::site::Site;
use crate::verdict::{Attempt, Verdict, ensure, says, skipped};

fn state(site: &Site) -> Verdict<String> {
    fs::read_to_string(site.work().join("state")).attempt("read what the job found")
}

/// Connections to the peers are closed in the restarted job; others are refused as ever; the job that runs on keeps its own.
pub fn close_sockets(ready: &Ready<'_>) -> Verdict {
    let site = ready.site;
    if !site.namespaced {
        return Err(skipped("needs its own pids"));
    }
    let peer = TcpListener::bind(("127.0.0.1", 0)).attempt("listen for the job")?;
    let port = peer.local_addr().attempt("look at the address")?.port().to_string();
    let mut command = site.command(site.program("connection"));
    command.arg(&port);
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    let other = ready.example("cr_checkpoint", &job, &[("*:27000", "*:1")])?;
    let refused = ready.run(&other)?;
    ensure(refused.end != End::Code(0), || "a connection to somebody else was closed".to_owned())?;
    says(&refused.stderr, "descriptor")?;
    let saved = ready.run(&ready.example("cr_checkpoint", &job, &[("27000", &port)])?)?.succeeded()?;
    says(&saved.stderr, &format!("the connection to 127.0.0.1:{port} will be closed"))?;
    site.runs_on(&job)?;
    is("state", &state(site)?, "connected")?;
    let mut received = String::new();
    let (mut connection, _) = peer.accept().attempt("take the connection of the job")?;
    connection.read_to_string(&mut received).attempt("read what the job sent")?;
    ensure(received == "before\nafter\n", || format!("the job sent {received:?}"))?;
    fs::remove_file(site.work().join("go")).attempt("begin again")?;
    let job = site.restart(&[], &ready.context(&job), &job)?;
    site.go(&job, "restart")?;
    site.passes(&job)?;
    is("state", &state(site)?, "closed")
}

/// Jobs below the limit are saved; a larger one is refused and runs on.
pub fn refuse_large_jobs(ready: &Ready<'_>) -> Verdict {
    let site = ready.site;
    let job = site.start_program("file_action")?;
    let small = ready.example("cr_checkpoint", &job, &[("largest=64", "largest=0.00001")])?;
    let refused = ready.run(&small)?;
    ensure(refused.end != End::Code(0), || "a job of any size was saved".to_owned())?;
    says(&refused.stderr, "the job has more than 1e-05 GiB of memory")?;
    says(&refused.stderr, "class perm")?;
    ensure(!ready.context(&job).exists(), || "a context file was left".to_owned())?;
    ready.run(&ready.example("cr_checkpoint", &job, &[])?)?.succeeded()?;
    site.verify(&ready.context(&job))?;
    site.runs_on(&job)
}

/// What the job overwrote, cut and appended is as it was; the restart needs no script.
pub fn roll_back_outputs(ready: &Ready<'_>) -> Verdict {
    let site = ready.site;
    let job = site.start_program("file_action")?;
    let work = site.work().display().to_string();
    ready.checkpoint_and_kill(&ready.example("cr_checkpoint", &job, &[("/scratch/run7", &work)])?, &job)?;
    edit(site)?;
    fs::write(site.work().join("result"), "overwritten\n").attempt("overwrite an output")?;
    fs::write(site.work().join("log"), "").attempt("cut an output")?;
    let job = site.restart(&[], &ready.context(&job), &job)?;
    site.go(&job, "restart")?;
    site.passes(&job)?;
    let files = read(site)?;
    is("result", &files.result, "before\nafter\n")?;
    is("log", &files.log, "before\nafter\n")?;
    is("map", &files.map, "mapped\0!")?;
    is("data, which is no output,", &files.data, "one\ntwo\nthree\n")?;
    no_leftovers(site)
}

/// A changed input, or one that is gone, is what it was for the job and for nobody else; an unchanged one is the file itself.
pub fn save_inputs(ready: &Ready<'_>) -> Verdict {
    let site = ready.site;
    let job = site.start_program("file_action")?;
    let work = site.work().display().to_string();
    ready.checkpoint_and_kill(&ready.example("cr_checkpoint", &job, &[("/data", &work)])?, &job)?;
    let data = site.work().join("data");
    let (is_open, said) = with_inputs(ready, &job)?;
    ensure(is_open && !said.contains("has changed"), || format!("the input that did not change was replaced: {said}"))?;
    fs::rename(&data, site.context("data.aside")).attempt("put an input aside")?;
    let (is_open, said) = with_inputs(ready, &job)?;
    says(&said, "/data has changed since the checkpoint: the job gets what was saved")?;
    ensure(!is_open && !data.exists(), || "a missing input was made again".to_owned())?;
    fs::write(&data, "new\nset\nof\nnumbers\n").attempt("change an input")?;
    let (is_open, said) = with_inputs(ready, &job)?;
    says(&said, "/data has changed since the checkpoint: the job gets what was saved")?;
    ensure(!is_open, || "the job reads the changed input".to_owned())?;
    is("data", &fs::read_to_string(&data).attempt("read an input")?, "new\nset\nof\nnumbers\n")?;
    no_leftovers(site)
}

/// One more life, in which the program checks that it reads on in what it read before: whether it has the file at the path open, and what was said.
fn with_inputs(ready: &Ready<'_>, was: &Job) -> Verdict<(bool, String)> {
    let site = ready.site;
    let job = ready.restart(&ready.example("cr_restart", was, &[])?, "file_action", was)?;
    let descriptors = fs::read_dir(format!("/proc/{}/fd", job.pid)).attempt("list the descriptors of the job")?;
    let is_open = descriptors.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|path| path == site.work().join("data")));
    site.go(&job, "restart")?;
    site.passes(&job)?;
    fs::remove_file(site.work().join("go")).attempt("begin again")?;
    Ok((is_open, job.complaints()))
}

/// Named caches, or those kept out of core dumps, read as zeros after the restart.
pub fn skip_caches(ready: &Ready<'_>) -> Verdict {
    for (caches, expected) in [("another cache", "kept"), ("tile cache*", "zeros"), ("nodump", "zeros")] {
        let site = ready.site;
        let job = site.start_program("area_action")?;
        let maps = fs::read_to_string(format!("/proc/{}/maps", job.pid)).attempt("read the areas of the job")?;
        // Where areas cannot have names there is nothing to be found by name.
        let expected = if caches.starts_with("tile") && !maps.contains("[anon:tile cache 1]") { "kept" } else { expected };
        let example = ready.example("cr_checkpoint", &job, &[("tile cache*", caches)])?;
        ready.checkpoint_and_kill(&example, &job)?;
        let job = site.restart(&[], &ready.context(&job), &job)?;
        site.go(&job, "restart")?;
        site.passes(&job)?;
        is(&format!("the area, with caches={caches},"), &state(site)?, expected)?;
        for name in ["go", "out"] {
            fs::remove_file(site.work().join(name)).attempt("begin again")?;
        }
    }
    Ok(())
}
