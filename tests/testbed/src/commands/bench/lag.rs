//! `bench --scenario lag`: how long a commit on the source takes to be seen on the target, at a steady load.
//!
//! ```text
//!  pgbench ──steady──► source ──► pgcopydb ──► target
//!  heartbeat row ─commit─┘                       └─seen─► observer
//! ```
//!
//! The heartbeat is ours and not the program's under test: a row every 50 ms, and the time from just before
//! its INSERT is sent to the source until a session on the target sees it.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use testbed::hashes::ensure_same_rows;
use testbed::process::{Running, wait_until};
use testbed::{Cluster, Session};

use super::super::Servers;
use super::follower::{Follower, logged};
use super::{DATABASE, Settings};

/// Transactions per second that pgbench is asked for.
const RATE: u32 = 1000;

/// How long the load lasts at scale 1.
const SECONDS: f64 = 60.0;

/// How long after the load the last heartbeat may take.
const LAG_MAX: Duration = Duration::from_secs(120);

/// Time between two heartbeats.
const BEAT: Duration = Duration::from_millis(50);

/// Runs the scenario.
///
/// # Errors
/// When anything fails or the two sides differ at the end.
pub(super) fn run(servers: &Servers, settings: &Settings, binary: &Path) -> Result<()> {
    let seconds = (SECONDS * settings.scale).max(5.0);
    println!("lag: pgbench at {RATE} transactions/s for {seconds:.0} s, a heartbeat every 50 ms");
    let source = &servers.source;
    source.drop_database(DATABASE)?;
    source.create_database(DATABASE)?;
    source.pgbench(DATABASE, &["-i", "-q", "-s", "10"])?;
    source.psql(DATABASE, "create table heartbeat (n int primary key)")?;
    let mut follower = Follower::start(servers, binary)?;
    follower.wait_copied()?;
    let (rate, duration) = (RATE.to_string(), format!("{seconds:.0}"));
    let arguments = ["-n", "-c", "4", "-j", "2", "-R", &rate, "-T", &duration];
    let load = Running::spawn(source.pgbench_command(&arguments).arg(DATABASE), None)?;
    let beating = heartbeats(servers, Duration::from_secs_f64(seconds));
    let load = load.wait(Duration::from_secs_f64(seconds + 120.0))?.success()?;
    let mut lags = match beating {
        Ok(lags) => lags,
        Err(error) => return Err(error.context(follower.abandon()?.to_string())),
    };
    let memory = follower.memory_kb()?;
    let stopped = Instant::now();
    let output = follower.finish(Duration::from_secs_f64(seconds + 120.0))?;
    let stopped = stopped.elapsed();
    ensure_same_rows((source, DATABASE), (&servers.target, DATABASE))?;
    lags.sort_unstable();
    let at = |share: f64| quantile(&lags, share).as_secs_f64() * 1000.0;
    println!("  {}", sustained(&load.stdout));
    println!(
        "  heartbeats: {}; seen after p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms",
        lags.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    let own = logged(&output.stderr, "lag_s");
    let most = own.iter().copied().fold(0.0, f64::max);
    println!("  own report (lag_s, {} lines): max {most:.2} s", own.len());
    println!(
        "  from the last commit to the end of the migration: {:.2} s; peak memory {:.1} MB\n",
        stopped.as_secs_f64(),
        memory.peak as f64 / 1024.0
    );
    source.drop_database(DATABASE)
}

/// What pgbench says of its rate.
fn sustained(report: &str) -> String {
    let lines = report
        .lines()
        .filter(|line| line.starts_with("tps = ") || line.starts_with("rate limit schedule lag"));
    lines.collect::<Vec<_>>().join("; ")
}

/// Commits heartbeats for a time and returns how long each took to be seen on the target.
fn heartbeats(servers: &Servers, time: Duration) -> Result<Vec<Duration>> {
    let committed = Mutex::new(Vec::<Instant>::new());
    let done = AtomicBool::new(false);
    let longest = time + LAG_MAX;
    thread::scope(|scope| {
        let observer = scope.spawn(|| observe(&servers.target, longest, &committed, &done));
        let beaten = beat(&servers.source, time, &committed);
        done.store(true, Ordering::Relaxed);
        let seen = observer.join().map_err(|_| anyhow!("the observer panicked"))?;
        beaten.and(seen)
    })
}

/// Commits heartbeats on the source.
fn beat(source: &Cluster, time: Duration, committed: &Mutex<Vec<Instant>>) -> Result<()> {
    let mut session = Session::open(source, DATABASE)?;
    let begun = Instant::now();
    while begun.elapsed() < time {
        let sent = Instant::now();
        let number = {
            let mut all = committed.lock().map_err(|_| anyhow!("the observer panicked"))?;
            all.push(sent);
            all.len()
        };
        if let Err(error) = session.run(&format!("insert into heartbeat values ({number})")) {
            // Nobody shall wait for it.
            committed.lock().map_err(|_| anyhow!("the observer panicked"))?.pop();
            return Err(error);
        }
        thread::sleep(BEAT.saturating_sub(sent.elapsed()));
    }
    Ok(())
}

/// Looks at the target until everything that was committed is seen.
fn observe(
    target: &Cluster,
    longest: Duration,
    committed: &Mutex<Vec<Instant>>,
    done: &AtomicBool,
) -> Result<Vec<Duration>> {
    let mut session = Session::open(target, DATABASE)?;
    let mut lags = Vec::new();
    wait_until("the last heartbeat", longest, || {
        // In this order: what is committed after the look is waited for in the next round.
        let is_last = done.load(Ordering::Relaxed);
        let text = session.run("select coalesce(max(n), 0) from heartbeat")?;
        let seen_at = Instant::now();
        let seen: usize = text.parse().with_context(|| format!("a heartbeat {text:?}"))?;
        let committed = committed.lock().map_err(|_| anyhow!("the writer panicked"))?;
        let new = committed.get(lags.len()..seen).unwrap_or_default();
        lags.extend(new.iter().map(|sent| seen_at.duration_since(*sent)));
        let all = lags.len() >= committed.len();
        Ok(is_last && all)
    })?;
    Ok(lags)
}

/// The smallest of sorted times that a share of them does not exceed.
fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (share * sorted.len() as f64).ceil().max(1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
    let index = rank as usize - 1;
    sorted.get(index).or(sorted.last()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_ranks() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        let at = |share| quantile(&times, share).as_millis();
        assert_eq!((at(0.0), at(0.5), at(0.99), at(1.0)), (1, 100, 198, 200));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }
}
