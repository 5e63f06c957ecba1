//! How long a program takes, what it uses itself, and what it makes the servers use.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use testbed::{Cluster, install, process};

/// Longest time one run may take.
const RUN_SECONDS_MAX: u64 = 3600;

/// What one run used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    /// From start to end.
    pub(super) wall: Duration,
    /// Processor time of the program and the children it waited for, user and system.
    pub(super) own_cpu: Duration,
    /// Largest resident memory of any one of its processes, in kB.
    pub(super) peak_kb: u64,
    /// Processor time of all processes of both clusters, user and system.
    pub(super) server_cpu: Duration,
}

impl Measured {
    /// The median of each quantity on its own; of an even number, the lower one.
    pub(super) fn median(all: &[Self]) -> Self {
        fn middle<T: Ord + Copy>(all: &[Measured], of: impl Fn(&Measured) -> T) -> Option<T> {
            let mut values: Vec<T> = all.iter().map(of).collect();
            values.sort_unstable();
            values.get(values.len().saturating_sub(1) / 2).copied()
        }
        Self {
            wall: middle(all, |one| one.wall).unwrap_or_default(),
            own_cpu: middle(all, |one| one.own_cpu).unwrap_or_default(),
            peak_kb: middle(all, |one| one.peak_kb).unwrap_or_default(),
            server_cpu: middle(all, |one| one.server_cpu).unwrap_or_default(),
        }
    }
}

/// Runs a shell script and measures it and the clusters.
///
/// # Errors
/// When the script fails or hangs; the message holds its output.
pub(super) fn run(script: &str, clusters: &[&Cluster], dir: &Path) -> Result<Measured> {
    install::ensure_time()?;
    let report = dir.join("time");
    let mut command = Command::new("/usr/bin/time");
    process::scrub(&mut command);
    command.args(["--format", "%U %S %M", "--output"]).arg(&report);
    // A pipe is as good as its weakest end, which only bash can tell.
    command.args(["bash", "-o", "pipefail", "-c", script]);
    if let Some(first) = clusters.first() {
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", first.installation().bindir.display()));
    }
    let before = clusters.iter().map(|one| server_ticks(one)).sum::<Result<u64>>()?;
    let begun = Instant::now();
    let output = process::run(&mut command, None, Duration::from_secs(RUN_SECONDS_MAX))?;
    let wall = begun.elapsed();
    output.success()?;
    for cluster in clusters {
        wait_for_sessions_to_end(cluster)?;
    }
    let after = clusters.iter().map(|one| server_ticks(one)).sum::<Result<u64>>()?;
    let text = fs::read_to_string(&report).context("read the report of /usr/bin/time")?;
    let (own_cpu, peak_kb) = parse_time(&text)?;
    let server_cpu = ticks(after.saturating_sub(before));
    Ok(Measured { wall, own_cpu, peak_kb, server_cpu })
}

/// Reads `user system kilobytes` from the last line that `/usr/bin/time` wrote.
fn parse_time(text: &str) -> Result<(Duration, u64)> {
    let line = text.lines().last().unwrap_or_default();
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [user, system, peak] = fields.as_slice() else {
        anyhow::bail!("expected three numbers from /usr/bin/time, found {line:?}");
    };
    let seconds = user.parse::<f64>()? + system.parse::<f64>()?;
    Ok((Duration::from_secs_f64(seconds), peak.parse()?))
}

/// Waits until the server has no client sessions, whose time would be missing else: a process
/// counts for its parent when that has noticed its end.
fn wait_for_sessions_to_end(cluster: &Cluster) -> Result<()> {
    let question = "select count(*) from pg_stat_activity
                     where backend_type in ('client backend', 'walsender', 'parallel worker')
                       and pid <> pg_backend_pid()";
    process::wait_until("sessions to end", Duration::from_secs(60), || {
        Ok(cluster.psql("postgres", question)? == "0")
    })
}

/// Processor time of a cluster's processes, dead and alive, in clock ticks.
fn server_ticks(cluster: &Cluster) -> Result<u64> {
    let processes = processes()?;
    let mut waiting = vec![cluster.pid()?];
    let mut sum = 0;
    while let Some(pid) = waiting.pop() {
        sum += processes.get(&pid).map_or(0, |one| one.ticks);
        waiting.extend(processes.iter().filter(|(_, one)| one.parent == pid).map(|(pid, _)| pid));
    }
    ensure!(sum > 0, "no processes found of the server on port {}", cluster.port());
    Ok(sum)
}

/// A line of the process table.
struct Process {
    parent: u32,
    /// Own time and that of children that have been waited for.
    ticks: u64,
}

/// Reads the process table.
fn processes() -> Result<HashMap<u32, Process>> {
    let mut found = HashMap::new();
    for entry in fs::read_dir("/proc").context("list /proc")? {
        let name = entry.context("list /proc")?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process may end between the listing and the reading.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        if let Some(process) = parse_stat(&stat) {
            found.insert(pid, process);
        }
    }
    Ok(found)
}

/// Reads parent and times from `/proc/PID/stat`.
///
/// Shape: `pid (name) state ppid …`; fields 14 to 17 are utime, stime, cutime, cstime. The name
/// may hold anything, so the fields are counted from the last parenthesis.
/// Source: proc_pid_stat(5).
fn parse_stat(stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let parent = fields.get(1)?.parse().ok()?;
    let mut ticks = 0;
    for field in fields.get(11..15)? {
        ticks += field.parse::<u64>().ok()?;
    }
    Some(Process { parent, ticks })
}

/// Turns clock ticks into time.
fn ticks(count: u64) -> Duration {
    static PER_SECOND: OnceLock<u64> = OnceLock::new();
    let per_second = *PER_SECOND.get_or_init(|| {
        let asked = process::run_ok(Command::new("getconf").arg("CLK_TCK"), None);
        // 100 on every architecture that Debian supports.
        asked.ok().and_then(|output| output.stdout.trim().parse().ok()).unwrap_or(100)
    });
    Duration::from_millis(count * 1000 / per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_line_with_parentheses_in_its_name_is_read() {
        let stat = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5";
        let process = parse_stat(stat).unwrap();
        assert_eq!((process.parent, process.ticks), (7, 100));
    }

    #[test]
    fn report_of_time_is_read_from_its_last_line() {
        let (cpu, peak) =
            parse_time("Command exited with non-zero status 1\n0.25 0.50 1234\n").unwrap();
        assert_eq!((cpu, peak), (Duration::from_millis(750), 1234));
    }

    #[test]
    fn median_takes_the_middle_of_each_quantity() {
        let one = |wall, own| Measured {
            wall: Duration::from_secs(wall),
            own_cpu: Duration::from_secs(own),
            peak_kb: wall,
            server_cpu: Duration::ZERO,
        };
        let median = Measured::median(&[one(5, 1), one(1, 9), one(3, 2)]);
        assert_eq!((median.wall.as_secs(), median.own_cpu.as_secs(), median.peak_kb), (3, 2, 3));
    }
}
