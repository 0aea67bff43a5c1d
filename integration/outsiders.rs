//! What leads to processes that are not part of the job: descriptors of them come back as long as the same process is there, and are refused in
//! words when it has ended; what becomes of connections to them is decided.
//!
//! Relies on the test programs `outsider`, which ends the process in the end, and `unix_outside`, which says what it sees of a connection.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use crate::case::{Case, Scene};
use crate::children::End;
use crate::site::Site;
use crate::verdict::{Attempt, Verdict, ensure, says};

/// Every promise.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[
        ("pidfd", a_pidfd_of_an_outsider_needs_the_same_process),
        ("unix-refused", a_connection_to_an_outsider_is_refused_by_default),
        ("unix-hang-up", a_connection_that_is_hung_up_has_what_was_left),
        ("unix-reconnect", a_connection_is_made_anew_by_name),
    ];
    scenes.iter().map(|(journey, scene)| Case::new("outsider", journey, *scene)).collect()
}

fn a_pidfd_of_an_outsider_needs_the_same_process(site: &Site) -> Verdict {
    let outsider = site.children.start(Command::new("sleep").arg("1000"))?;
    let mut command = site.command(site.program("outsider"));
    command.arg(outsider.to_string());
    let job = site.start(command)?;
    site.wait_ready(&job)?;
    let context = site.context("job.ctx");
    site.try_checkpoint(&["--kill"], &context, job.pid)?.succeeded()?;
    site.children.wait(job.waited, site.patience)?;
    let again = site.restart(&[], &context, &job)?;
    site.go(&again, "restart")?;
    let end = site.children.wait(again.waited, site.patience).map_err(|stop| again.with_output(stop))?;
    ensure(end == End::Code(0), || format!("the restarted job ended with {end}: {}", again.output()))?;
    site.children.wait(outsider, site.patience)?;
    // The same context file once more: now the process is gone.
    let mut command = site.command(site.tool("cr_restart"));
    let ran = site.run(command.arg(&context))?;
    ensure(ran.end != End::Code(0), || "a restart without the process of a pidfd succeeded".into())?;
    says(&ran.stderr, "(sleep), which is not part of the job and has ended, cannot be restored")?;
    says(&ran.stderr, "object-disposition")?;
    site.gone()
}

/// A server of our own, the job that is its client, and the connection.
fn client(site: &Site) -> Verdict<(UnixListener, crate::job::Job, UnixStream)> {
    let path = site.work().join("server");
    let listener = UnixListener::bind(&path).attempt("listen for the job")?;
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(&path, all).attempt("let everybody call")?;
    let mut command = site.command(site.program("unix_outside"));
    command.arg(&path);
    let job = site.start(command)?;
    let (mut served, _) = listener.accept().attempt("serve the job")?;
    served.write_all(b"welcome").attempt("write to the job")?;
    site.wait_ready(&job)?;
    Ok((listener, job, served))
}

fn decided(site: &Site, answer: &str) -> Verdict<String> {
    let path = site.context("decide.lua");
    let text = format!(
        r#"local cr = require "cr" cr.on("object-disposition", {{ kind = "socket", restorable = false }}, function() return "{answer}" end)"#
    );
    fs::write(&path, text).attempt("write a script")?;
    Ok(path.display().to_string())
}

fn state(site: &Site) -> Verdict<String> {
    fs::read_to_string(site.work().join("state")).attempt("read what the job saw")
}

fn a_connection_to_an_outsider_is_refused_by_default(site: &Site) -> Verdict {
    let (_listener, job, mut served) = client(site)?;
    let ran = site.try_checkpoint(&[], &site.context("job.ctx"), job.pid)?;
    ensure(ran.end != End::Code(0), || "a connection to an outsider was saved".into())?;
    says(&ran.stderr, "whose other end is not part of the job (made by process")?;
    says(&ran.stderr, "\"hang_up\"")?;
    site.go(&job, "continue")?;
    let mut text = [0; 5];
    served.read_exact(&mut text).attempt("read from the job")?;
    drop(served);
    site.passes(&job)?;
    let found = state(site)?;
    ensure(found == "written, end", || format!("the job saw: {found}"))
}

fn a_connection_that_is_hung_up_has_what_was_left(site: &Site) -> Verdict {
    let (_listener, job, mut served) = client(site)?;
    served.write_all(b"left").attempt("write to the job")?;
    let hook = decided(site, "hang_up")?;
    site.checkpoint_and_kill(&["--hook", &hook], &site.context("job.ctx"), &job)?;
    let again = site.restart(&[], &site.context("job.ctx"), &job)?;
    site.go(&again, "restart")?;
    site.passes(&again)?;
    let found = state(site)?;
    ensure(found == "broken pipe, left, end", || format!("the job saw: {found}"))
}

fn a_connection_is_made_anew_by_name(site: &Site) -> Verdict {
    let (listener, job, served) = client(site)?;
    let hook = decided(site, "reconnect")?;
    site.checkpoint_and_kill(&["--hook", &hook], &site.context("job.ctx"), &job)?;
    drop(served);
    let again = site.restart(&[], &site.context("job.ctx"), &job)?;
    let (mut served, _) = listener.accept().attempt("serve the job again")?;
    site.go(&again, "restart")?;
    let mut text = [0; 5];
    served.read_exact(&mut text).attempt("read from the job")?;
    served.write_all(b"hello").attempt("write to the job")?;
    drop(served);
    site.passes(&again)?;
    let found = state(site)?;
    ensure(found == "written, hello, end", || format!("the job saw: {found}"))
}
