//! Client tools that outlived the run that started them.

use std::time::{Duration, Instant};

use super::process::{TERMINATE_TIMEOUT, signal_group};
use crate::base::error::{Error, Result};
use crate::local::workdir::ChildrenLock;

/// How often the lock is tried while children end.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How long a child may take to disappear after SIGKILL: only a stuck file system keeps it longer.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Ends the `pg_dump` and `pg_restore` that a run left when it was killed with SIGKILL: they would go
/// on writing to the target beside this run. Takes the lock for this run's own children.
///
/// A process is ended only when its standard input is the lock file: a number that was given to
/// another program in the meantime is left alone.
///
/// # Errors
/// `State` when some still run and cannot be told or ended.
pub async fn end_orphans(children: &ChildrenLock) -> Result<()> {
    if children.try_take()? {
        return children.forget_all();
    }
    let remembered = children.remembered()?;
    let begin = Instant::now();
    let mut told: Vec<(u32, Instant)> = Vec::new();
    // A child that is just being started, or just ending, holds the lock before or after it can be
    // told by its standard input: it is looked for again each time.
    while begin.elapsed() < TERMINATE_TIMEOUT + KILL_TIMEOUT {
        if children.try_take()? {
            return children.forget_all();
        }
        for pid in remembered.iter().copied().filter(|pid| holds(*pid, children)) {
            match told.iter().find(|(known, _)| *known == pid) {
                None => {
                    tracing::warn!(pid, "ending a client tool that a killed run left behind");
                    told.push((pid, Instant::now()));
                    signal_group(pid, "TERM").await;
                }
                Some((_, since)) if since.elapsed() > TERMINATE_TIMEOUT => {
                    signal_group(pid, "KILL").await;
                }
                Some(_) => {}
            }
        }
        if told.is_empty() && begin.elapsed() > KILL_TIMEOUT {
            break;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    let pids: Vec<String> = remembered.iter().map(ToString::to_string).collect();
    Err(Error::state(format!(
        "client tools of an earlier run still work on this migration (started as processes {})",
        pids.join(", ")
    ))
    .hint("End every pg_dump and pg_restore of the earlier run, then run the same command again."))
}

/// Whether a process has the lock file as its standard input. Where the system cannot tell (no
/// `/proc`), none has.
fn holds(pid: u32, children: &ChildrenLock) -> bool {
    let stdin = std::fs::read_link(format!("/proc/{pid}/fd/0"));
    match (stdin, children.path().canonicalize()) {
        (Ok(stdin), Ok(path)) => stdin == path,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::path::Path;
    use std::process::{Child, Command};

    use super::super::super::workdir::{Service, WorkDir};
    use super::*;

    /// A child as a killed run leaves it behind.
    fn leave(top: &Path, script: &str) -> Child {
        let work = WorkDir::open(top, Service::Main).unwrap();
        assert!(work.children().try_take().unwrap());
        let child = Command::new("/bin/sh")
            .args(["-c", script])
            .stdin(work.children().handle().unwrap())
            .process_group(0)
            .spawn()
            .unwrap();
        work.children().remember(child.id()).unwrap();
        child
    }

    // trap X-1
    #[tokio::test]
    async fn tools_of_a_killed_run_are_ended_with_their_workers() {
        let directory = tempfile::tempdir().unwrap();
        let mut child = leave(directory.path(), "sleep 100 & sleep 100");
        let work = WorkDir::open(directory.path(), Service::Main).unwrap();
        assert!(!work.children().try_take().unwrap());
        end_orphans(work.children()).await.unwrap();
        assert!(!child.wait().unwrap().success());
        assert!(work.children().remembered().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_tool_that_cannot_be_told_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let work = WorkDir::open(directory.path(), Service::Main).unwrap();
        assert!(work.children().try_take().unwrap());
        // Holds the lock for a moment without being remembered, as a child between fork and exec.
        let mut child = Command::new("sleep")
            .arg("0.3")
            .stdin(work.children().handle().unwrap())
            .spawn()
            .unwrap();
        drop(work);
        let work = WorkDir::open(directory.path(), Service::Main).unwrap();
        assert!(!work.children().try_take().unwrap());
        end_orphans(work.children()).await.unwrap();
        assert!(child.wait().unwrap().success());
    }

    #[tokio::test]
    async fn number_that_belongs_to_another_program_now_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let work = WorkDir::open(directory.path(), Service::Main).unwrap();
        let mut other = Command::new("sleep").arg("100").spawn().unwrap();
        assert!(!holds(other.id(), work.children()));
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
