//! A `pgcopydb clone --follow` that runs beside a load, and what it says of itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use testbed::process::{Output, Running, wait_until};
use testbed::{Pgcopydb, pgcopydb};

use super::super::Servers;
use super::DATABASE;

/// Longest wait for the copy and for the end position.
const DEADLINE: Duration = Duration::from_secs(600);

/// A running migration.
pub(super) struct Follower<'a> {
    running: Running,
    binary: &'a Path,
    source: String,
    dir: TempDir,
}

impl<'a> Follower<'a> {
    /// Makes an empty database on the target and starts a migration into it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(servers: &Servers, binary: &'a Path) -> Result<Self> {
        servers.target.drop_database(DATABASE)?;
        servers.target.create_database(DATABASE)?;
        let dir = tempfile::tempdir().context("create a work directory")?;
        let (source, target) = (servers.source.uri(DATABASE), servers.target.uri(DATABASE));
        let clone = Pgcopydb::at(binary).args(["clone", "--follow"]).ends(&source, &target);
        let running = clone.arg("--dir").arg(dir.path().join("work")).spawn()?;
        Ok(Self { running, binary, source, dir })
    }

    /// Waits until the copy is complete and changes are applied.
    ///
    /// # Errors
    /// When that does not happen, with what the program has said.
    pub(super) fn wait_copied(&mut self) -> Result<()> {
        wait_until("the end of the copy", DEADLINE, || {
            ensure!(self.running.is_running()?, "the migration has ended before its time");
            let command = Pgcopydb::at(self.binary).args(["stream", "sentinel", "get", "--apply"]);
            let applies = command.arg("--dir").arg(self.work()).run()?;
            Ok(applies.status.success() && applies.stdout.trim() == "enabled")
        })
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// When the operating system cannot tell.
    pub(super) fn is_running(&mut self) -> Result<bool> {
        self.running.is_running()
    }

    /// Resident memory now and at most so far, in kB.
    ///
    /// # Errors
    /// When the process is gone.
    pub(super) fn memory_kb(&self) -> Result<Memory> {
        let path = format!("/proc/{}/status", self.running.pid());
        let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        Memory::parse(&text).with_context(|| format!("no memory in {path}"))
    }

    /// Says that the end is now, and waits until everything up to there is applied. `deadline` counts
    /// from when the migration began.
    ///
    /// # Errors
    /// When it fails, with what it has said.
    pub(super) fn finish(self, deadline: Duration) -> Result<Output> {
        let set = Pgcopydb::at(self.binary).args(["stream", "sentinel", "set", "endpos"]);
        let set = set.args(["--current", "--source", &self.source, "--dir"]).arg(self.work());
        set.run()?.success()?;
        self.running.wait(deadline + DEADLINE)?.success()
    }

    /// What it has said, whether it ended well or not; kills it when it still runs.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub(super) fn abandon(self) -> Result<Output> {
        self.running.wait(Duration::from_secs(pgcopydb::DEADLINE_SECONDS))
    }

    /// The work directory.
    fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }
}

/// Resident memory of a process, in kB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    /// Now.
    pub(super) resident: u64,
    /// At most so far.
    pub(super) peak: u64,
}

impl Memory {
    /// Reads `/proc/PID/status`.
    fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        Some(Self { resident: value("VmRSS:")?, peak: value("VmHWM:")? })
    }
}

/// The values of a field in log lines: `lag_s=0.12`.
pub(super) fn logged(text: &str, field: &str) -> Vec<f64> {
    let lead = format!("{field}=");
    let value = |word: &str| word.strip_prefix(&lead)?.trim_matches('"').parse().ok();
    text.split_whitespace().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_log_lines_are_found() {
        let text = "INFO following lag=\"1 kB\" lag_s=0 rows_s=7\nINFO following lag_s=1.25\n";
        assert_eq!(logged(text, "lag_s"), [0.0, 1.25]);
        assert_eq!(logged(text, "nothing"), []);
    }

    #[test]
    fn memory_is_read_from_the_status_of_a_process() {
        let text = "Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\n";
        assert_eq!(Memory::parse(text), Some(Memory { resident: 1024, peak: 2048 }));
    }
}
