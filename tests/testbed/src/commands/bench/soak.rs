//! `bench --scenario soak`: everything that can be in a log, for a long time: equal at the end, memory flat.
//!
//! pgbench runs clients whose transactions overlap, fail, are rolled back in whole and in parts, are
//! prepared, are small and large, on twenty tables of all types and replica identities. Meanwhile the
//! resident memory of the migration is noted every second.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use testbed::hashes::ensure_same_rows;
use testbed::process::{Running, Signal};
use testbed::{Cluster, ClusterOptions};

use super::super::Servers;
use super::follower::{Follower, logged};
use super::{DATABASE, Settings};

/// The tables and the functions that change them.
const TABLES: &str = include_str!("soak/tables.sql");

/// Clients at once.
const CLIENTS: &str = "8";

/// Transactions per second.
const RATE: &str = "200";

/// How often memory is noted.
const SAMPLE: Duration = Duration::from_secs(1);

/// By how much the largest memory of the last third may exceed that of the first.
const GROWTH_MAX: f64 = 1.2;

/// Longest time after the load until everything is applied.
const DRAIN: Duration = Duration::from_secs(600);

/// What a transaction begins with: table numbers (of 19), rows and operations chosen at random. Tables in
/// order, so that deadlocks stay rare; pgbench tries again after one.
const CHOICE: &str = "\\set a random(1, 6)
\\set b random(7, 12)
\\set c random(14, 19)
\\set i random(1, 300)
\\set j random(1, 300)
\\set k random(1, 300)
\\set own random(1, 50) + :client_id * 1000
\\set x random(0, 99)
\\set y random(0, 99)
\\set z random(0, 99)
";

/// Scripts by name: weight and statements. `full_keyless` (13) has no key that keeps a row single, so each
/// client has rows of its own there.
const SCRIPTS: [(&str, u32, &str); 8] = [
    (
        "plain",
        400,
        "begin;
select soak.change(:a, :i, :x);
select soak.change(:b, :j, :y);
select soak.change(13, :own, :z);
select soak.change(:c, :k, :z);
commit;
",
    ),
    (
        "rolled_back",
        100,
        "begin;
select soak.change(:a, :i, :x);
select soak.change(:c, :k, :z);
insert into soak.log (id, t) values (:i, 'never seen');
rollback;
",
    ),
    (
        "savepoints",
        200,
        "begin;
select soak.change(:a, :i, :x);
savepoint one;
select soak.change(:b, :j, :y);
savepoint two;
select soak.change(13, :own, :z);
rollback to one;
select soak.change(:b, :k, :x);
savepoint three;
select soak.change(:c, :k, :y);
release three;
commit;
",
    ),
    (
        "prepared",
        100,
        "begin;
select soak.change(:a, :i, :x);
select soak.change(:c, :k, :y);
insert into soak.log (id, t) values (:i, 'prepared');
prepare transaction 'soak:client_id';
\\sleep 20 ms
\\if :z < 70
commit prepared 'soak:client_id';
\\else
rollback prepared 'soak:client_id';
\\endif
",
    ),
    (
        "slow",
        20,
        "begin;
select soak.change(:a, :i, :x);
\\sleep 400 ms
select soak.change(:c, :k, :y);
commit;
",
    ),
    (
        "large",
        5,
        "begin;
insert into soak.log (id, t) select g, repeat('large ', 10) || g from generate_series(1, 5000) g;
savepoint one;
insert into soak.log (id, t) select g, 'never seen' from generate_series(1, 5000) g;
rollback to one;
select soak.change(:b, id, 50) from generate_series(1, 300) id;
commit;
",
    ),
    (
        "large_rolled_back",
        3,
        "begin;
insert into soak.log (id, t) select g, 'never seen' from generate_series(1, 20000) g;
rollback;
",
    ),
    (
        "truncate",
        2,
        "begin;
insert into soak.log (id, t) values (:i, 'emptied at once');
truncate soak.log;
insert into soak.log (id, t) values (:i, 'the first');
commit;
",
    ),
];

/// Settings of both servers: as they come, and so little memory for decoding that all but small
/// transactions are streamed while they run.
pub(super) fn options() -> ClusterOptions {
    ClusterOptions::default()
        .setting("logical_decoding_work_mem", "64kB")
        .setting("max_wal_size", "2GB")
        .setting("deadlock_timeout", "200ms")
}

/// Runs the scenario.
///
/// # Errors
/// When anything fails, the two sides differ at the end, or memory grew.
pub(super) fn run(servers: &Servers, settings: &Settings, binary: &Path) -> Result<()> {
    let time = Duration::from_secs_f64(settings.minutes * 60.0);
    println!(
        "soak: {CLIENTS} clients, {RATE} transactions/s on twenty tables for {:.1} minutes",
        settings.minutes
    );
    let source = &servers.source;
    source.drop_database(DATABASE)?;
    source.create_database(DATABASE)?;
    source.psql(DATABASE, TABLES).context("make the tables")?;
    let dir = tempfile::tempdir().context("create a directory for scripts")?;
    let begun = Instant::now();
    let mut load = Running::spawn(&mut load(source, dir.path(), time)?, None)?;
    let mut follower = Follower::start(servers, binary)?;
    follower.wait_copied()?;
    let mut samples = Vec::new();
    while load.is_running()? {
        if !follower.is_running()? {
            load.signal(Signal::Int)?;
            anyhow::bail!("the migration ended before the load\n{}", follower.abandon()?);
        }
        samples.push(follower.memory_kb()?);
        thread::sleep(SAMPLE);
    }
    let load = load.wait(time + DRAIN)?.success()?;
    ensure!(samples.len() >= 3, "the load ended before memory was seen three times");
    source.psql(DATABASE, END_PREPARED)?;
    let output = follower.finish(begun.elapsed() + DRAIN)?;
    let tables = ensure_same_rows((source, DATABASE), (&servers.target, DATABASE))?;
    println!("{}", indent(&load.stdout));
    println!("  {tables} tables (partitions counted) hold the same rows on both sides");
    let lag = logged(&output.stderr, "lag_s").into_iter().fold(0.0, f64::max);
    println!("  own report: largest lag_s {lag:.2}");
    let resident: Vec<u64> = samples.iter().map(|memory| memory.resident).collect();
    let peak = samples.iter().map(|memory| memory.peak).max().unwrap_or_default();
    let thirds = thirds(&resident);
    let megabytes = |kb: u64| kb as f64 / 1024.0;
    let [first, middle, last] = thirds.map(megabytes);
    println!(
        "  memory: peak {:.1} MB; largest of each third: {first:.1}, {middle:.1}, {last:.1} MB\n",
        megabytes(peak)
    );
    ensure!(last <= first * GROWTH_MAX, "memory grew from {first:.1} MB to {last:.1} MB");
    source.drop_database(DATABASE)
}

/// Ends what a client left prepared.
const END_PREPARED: &str = "select format('rollback prepared %L', gid) from pg_prepared_xacts
 where database = current_database() \\gexec";

/// pgbench with all scripts.
fn load(source: &Cluster, dir: &Path, time: Duration) -> Result<Command> {
    let seconds = time.as_secs().max(1).to_string();
    let mut command = source.pgbench_command(&["-n", "-c", CLIENTS, "-j", "2", "-R", RATE]);
    command.args(["-T", &seconds, "--max-tries", "100"]);
    for (name, weight, statements) in SCRIPTS {
        let path = dir.join(format!("{name}.sql"));
        fs::write(&path, format!("{CHOICE}{statements}"))
            .with_context(|| format!("write {}", path.display()))?;
        command.arg("-f").arg(format!("{}@{weight}", path.display()));
    }
    // Functions find each other by it.
    command.arg(DATABASE).env("PGOPTIONS", "-c search_path=soak");
    Ok(command)
}

/// What of pgbench's report tells what happened.
fn indent(report: &str) -> String {
    let telling = |line: &&str| {
        ["number of transactions", "SQL script", " - number", "tps"]
            .iter()
            .any(|lead| line.starts_with(lead))
    };
    report.lines().filter(telling).map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// The largest of each third.
fn thirds(samples: &[u64]) -> [u64; 3] {
    let third = samples.len().div_ceil(3).max(1);
    let mut parts = samples.chunks(third).map(|part| part.iter().copied().max().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirds_cover_all_samples() {
        assert_eq!(thirds(&[1, 9, 2, 3, 8, 1, 7]), [9, 8, 7]);
        assert_eq!(thirds(&[]), [0, 0, 0]);
    }

    #[test]
    fn every_table_is_changed_by_some_script() {
        let tables = TABLES.matches("create table ").count()
            - "parted_low parted_mid parted_high kinds".split(' ').count();
        // The log, those that the scripts choose by number, and the one they name by it.
        let mut numbers: Vec<u32> = vec![13];
        for table in ["\\set a random(", "\\set b random(", "\\set c random("] {
            let (_, range) = CHOICE.split_once(table).unwrap();
            let (range, _) = range.split_once(')').unwrap();
            let (first, last) = range.split_once(", ").unwrap();
            numbers.extend(first.parse::<u32>().unwrap()..=last.parse().unwrap());
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=19).collect::<Vec<_>>());
        for used in ["change(:a,", "change(:b,", "change(:c,", "change(13,", "into soak.log"] {
            assert!(SCRIPTS.iter().any(|(_, _, script)| script.contains(used)), "{used}");
        }
        assert_eq!(tables, numbers.len() + 1);
    }
}
