//! A session that stays open: transactions that last, locks that are held, statements that wait.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cluster::{Cluster, SUPERUSER};
use crate::process;

/// Longest time a statement may take, in seconds.
const STATEMENT_SECONDS_MAX: u64 = 300;

/// What psql prints after each script, followed by whether it failed and why.
const MARKER: &str = "testbed-statement-done";

/// A psql session as superuser; ends with the value, rolling back what is open.
#[derive(Debug)]
pub struct Session {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    pid: u32,
}

impl Session {
    /// Opens a session.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn open(cluster: &Cluster, database: &str) -> Result<Self> {
        let mut command = cluster.psql_command(database);
        command.args(["-v", "ON_ERROR_STOP=0", "--file", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("start psql")?;
        let stdin = child.stdin.take().context("psql has no standard input")?;
        let stdout = child.stdout.take().context("psql has no standard output")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut session = Self { child, stdin, lines, pid: 0 };
        let pid = session.run("select pg_backend_pid()")?;
        session.pid = pid.parse().with_context(|| format!("read a backend's id from {pid:?}"))?;
        Ok(session)
    }

    /// Process id of the session's backend.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Runs a statement and returns what it gives, in the form of [`Cluster::psql`].
    ///
    /// # Errors
    /// The server's message, or that the statement takes too long.
    pub fn run(&mut self, sql: &str) -> Result<String> {
        self.begin(sql)?;
        self.finish()
    }

    /// Sends a statement and does not wait for it; [`Self::finish`] must be called before the next.
    ///
    /// # Errors
    /// When the session is gone.
    pub fn begin(&mut self, sql: &str) -> Result<()> {
        let script = format!("{sql}\n;\n\\echo {MARKER} :ERROR :SQLSTATE :LAST_ERROR_MESSAGE\n");
        self.stdin.write_all(script.as_bytes()).context("send a statement to psql")?;
        self.stdin.flush().context("send a statement to psql")
    }

    /// Waits for the statement that was begun, and returns what it gives.
    ///
    /// # Errors
    /// The server's message, or that the statement takes too long.
    pub fn finish(&mut self) -> Result<String> {
        let deadline = Duration::from_secs(STATEMENT_SECONDS_MAX);
        let mut rows = Vec::new();
        loop {
            let line = self.lines.recv_timeout(deadline).context("wait for a statement's end")?;
            let Some(outcome) = line.strip_prefix(MARKER) else {
                rows.push(line);
                continue;
            };
            return match outcome.trim().strip_prefix("true ") {
                Some(error) => bail!("ERROR {error}"),
                None => Ok(rows.join("\n")),
            };
        }
    }

    /// Waits until the session's backend waits for a lock.
    ///
    /// # Errors
    /// When it does not within a minute.
    pub fn wait_blocked(&self, cluster: &Cluster) -> Result<()> {
        let question = format!(
            "select count(*) from pg_stat_activity where pid = {} and wait_event_type = 'Lock'",
            self.pid
        );
        process::wait_until("a session to wait for a lock", Duration::from_secs(60), || {
            Ok(cluster.psql(SUPERUSER, &question)? == "1")
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
