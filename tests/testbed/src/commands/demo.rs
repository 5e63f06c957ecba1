//! `cargo demo`: two databases move between two servers before the eyes of a newcomer, one of them
//! while an application goes on writing to it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use testbed::compare::{self, Report};
use testbed::process::{Running, Signal, wait_until};
use testbed::{ClusterOptions, Pgcopydb, fixtures, pgcopydb};

use super::{Arguments, Servers, cargo, servers};

/// Size of the pgbench database unless asked otherwise: 2 million rows, 300 MB.
const SCALE: u32 = 20;

/// Databases that the demo moves: the first at rest, the second while it is written to.
const DATABASES: [&str; 2] = ["pagila", "pgbench"];

/// Transactions per second that the application of the demo commits: enough to see, and little enough
/// for a laptop that runs both servers.
const LOAD: &str = "500";

/// How long the application goes on after the copy is complete.
const FOLLOW_TIME: Duration = Duration::from_secs(5);

/// Longest wait for anything of the online part.
const DEADLINE: Duration = Duration::from_secs(300);

/// How one database fared.
struct Moved {
    database: &'static str,
    bytes: u64,
    clone_time: Duration,
    /// How long writes were stopped; `None` for a database at rest.
    stopped: Option<Duration>,
    report: Report,
}

/// Runs the demo.
///
/// # Errors
/// When something cannot be built, started or cloned, or when the two sides differ.
pub(crate) fn run(words: Vec<String>) -> Result<()> {
    let mut arguments = Arguments::new(words);
    let scale = arguments.value("--scale")?.unwrap_or(SCALE);
    let keep = arguments.flag("--keep");
    arguments.end()?;
    println!("pgcopydb demo: two databases move to another server, then every row is compared.\n");
    let mut steps = Steps::default();
    let binary = steps.step("build pgcopydb", |_| build())?;
    let begun = Instant::now();
    let (source, target) = steps.step("find PostgreSQL", |_| Servers::find())?;
    println!("   source: {}\n   target: {}", source.version, target.version);
    let options = ClusterOptions::default();
    let servers = steps.step("start two empty servers of our own", |_| {
        Servers::start(&source, &target, &options)
    })?;
    steps.step("fill the source", |_| fill(&servers, scale))?;
    let work = tempfile::tempdir().context("create a work directory")?;
    let mut moved = Vec::new();
    for database in DATABASES {
        let dir = work.path().join(database);
        let (clone_time, stopped) = if database == "pgbench" {
            let title = format!("clone {database} while an application writes to it, and follow");
            steps.step(&title, |_| online(&binary, &servers, database, &dir))?
        } else {
            let title = format!("clone {database}");
            (steps.step(&title, |_| clone(&binary, &servers, database, &dir))?, None)
        };
        let bytes = size(&servers, database)?;
        let report = steps
            .step(&format!("compare {database}, object by object, row by row"), |_| {
                compare::compare(&servers.source.uri(database), &servers.target.uri(database))
            })?;
        moved.push(Moved { database, bytes, clone_time, stopped, report });
    }
    print_table(&moved);
    if keep {
        return servers::wait_for_ctrl_c(&servers, &DATABASES);
    }
    steps.step("stop the servers and remove everything", |_| {
        drop(servers);
        work.close().context("remove the work directory")
    })?;
    conclude(&moved, &source.version, &target.version, begun.elapsed())
}

/// Prints numbered steps with their times.
#[derive(Default)]
struct Steps {
    count: u32,
}

impl Steps {
    /// Announces a step, does it, prints how long it took.
    fn step<T>(&mut self, title: &str, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        self.count += 1;
        println!("{}. {title}", self.count);
        let begun = Instant::now();
        let done = work(self).with_context(|| title.to_owned())?;
        println!("   done in {:.1} s", begun.elapsed().as_secs_f64());
        Ok(done)
    }
}

/// Builds the program in the profile that this one was built in, and returns its path.
///
/// A binary named by `PGCOPYDB_BIN` is taken as it is.
fn build() -> Result<PathBuf> {
    if std::env::var_os("PGCOPYDB_BIN").is_some() {
        return pgcopydb::binary();
    }
    let mut arguments = vec!["build", "--package", "pgcopydb", "--bin", "pgcopydb"];
    if !cfg!(debug_assertions) {
        arguments.push("--release");
    }
    println!("   $ cargo {}  (the first time takes minutes)", arguments.join(" "));
    let status = cargo(&arguments).stdin(Stdio::null()).status().context("start cargo")?;
    ensure!(status.success(), "cargo build: {status}");
    pgcopydb::binary()
}

/// Makes the databases on both servers and fills those of the source.
fn fill(servers: &Servers, scale: u32) -> Result<()> {
    for database in DATABASES {
        servers.source.create_database(database)?;
        servers.target.create_database(database)?;
    }
    println!("   pagila: a DVD rental shop, with partitions, triggers, views, full-text search");
    fixtures::load_pagila(&servers.source, "pagila")?;
    println!("   pgbench: a bank with {} accounts", scale * 100_000);
    fixtures::pgbench(&servers.source, "pgbench", scale)
}

/// Clones a database and returns how long that took.
fn clone(binary: &Path, servers: &Servers, database: &str, dir: &Path) -> Result<Duration> {
    let (source, target) = (servers.source.uri(database), servers.target.uri(database));
    println!("   $ pgcopydb clone --source {source} \\");
    println!("                    --target {target} --dir {}", dir.display());
    let output = Pgcopydb::at(binary)
        .arg("clone")
        .ends(&source, &target)
        .arg("--dir")
        .arg(dir)
        .run()?
        .success()?;
    Ok(output.elapsed)
}

/// Moves a database online: returns how long all of it took, and how long writes were stopped.
fn online(
    binary: &Path,
    servers: &Servers,
    database: &str,
    dir: &Path,
) -> Result<(Duration, Option<Duration>)> {
    let begun = Instant::now();
    let (source, target) = (servers.source.uri(database), servers.target.uri(database));
    let count = "select count(*) from pgbench_history";
    println!("   an application commits {LOAD} transactions a second on the source from now on");
    let load = ["-n", "-c", "4", "-R", LOAD, "-T", "3600"];
    let writers = Running::spawn(servers.source.pgbench_command(&load).arg(database), None)?;
    wait_until("a transaction of pgbench", DEADLINE, || {
        Ok(servers.source.psql(database, count)? != "0")
    })?;
    println!("   $ pgcopydb clone --follow --source {source} \\");
    println!("                    --target {target} --dir {}", dir.display());
    let follow = Pgcopydb::at(binary)
        .args(["clone", "--follow"])
        .ends(&source, &target)
        .arg("--dir")
        .arg(dir)
        .deadline(DEADLINE)
        .spawn()?;
    let sentinel = |words: &[&str]| {
        let command = Pgcopydb::at(binary).args(["stream", "sentinel"]).args(words);
        command.arg("--dir").arg(dir).run()
    };
    wait_until("the end of the copy", DEADLINE, || {
        let applies = sentinel(&["get", "--apply"])?;
        Ok(applies.status.success() && applies.stdout.trim() == "enabled")
    })?;
    println!(
        "   copied after {:.1} s; the application still writes, changes follow for {} s",
        begun.elapsed().as_secs_f64(),
        FOLLOW_TIME.as_secs()
    );
    std::thread::sleep(FOLLOW_TIME);
    writers.signal(Signal::Int)?;
    writers.wait(DEADLINE)?;
    let stopped = Instant::now();
    println!("   the application is stopped. $ pgcopydb stream sentinel set endpos --current …");
    let current = Pgcopydb::at(binary).args(["stream", "sentinel", "set", "endpos", "--current"]);
    current.arg("--source").arg(&source).arg("--dir").arg(dir).run()?.success()?;
    follow.wait(DEADLINE)?.success()?;
    let stopped = stopped.elapsed();
    let written = servers.source.psql(database, count)?;
    println!(
        "   everything up to there is applied, sequences are set: writes were stopped for {:.2} s, and \
         {written} transactions came in meanwhile",
        stopped.as_secs_f64()
    );
    Pgcopydb::at(binary)
        .args(["stream", "cleanup"])
        .ends(&source, &target)
        .arg("--dir")
        .arg(dir)
        .run()?
        .success()?;
    Ok((begun.elapsed(), Some(stopped)))
}

/// Size of a database on the source, in bytes.
fn size(servers: &Servers, database: &str) -> Result<u64> {
    let text = servers.source.psql(database, "select pg_database_size(current_database())")?;
    text.parse().with_context(|| format!("expected a size in bytes, found {text:?}"))
}

/// Prints what was moved and compared.
fn print_table(moved: &[Moved]) {
    println!(
        "\n   {:<10} {:>8} {:>7} {:>9} {:>7} {:>8} {:>6} {:>9} {:>11} {:>12}",
        "database",
        "size",
        "tables",
        "rows",
        "indexes",
        "triggers",
        "views",
        "sequences",
        "definitions",
        "differences"
    );
    for one in moved {
        let report = &one.report;
        let count = |kind: &str| report.kinds.get(kind).copied().unwrap_or_default();
        let differences = report.definitions.len() + report.properties.len() + report.rows.len();
        println!(
            "   {:<10} {:>5} MB {:>7} {:>9} {:>7} {:>8} {:>6} {:>9} {:>11} {:>12}",
            one.database,
            one.bytes / 1_000_000,
            report.tables.len(),
            report.row_count(),
            count("index"),
            count("trigger"),
            count("view"),
            count("sequence"),
            report.definition_count,
            differences
        );
    }
    println!();
}

/// Prints the verdict.
fn conclude(moved: &[Moved], source: &str, target: &str, elapsed: Duration) -> Result<()> {
    println!();
    let mut different = false;
    for one in moved.iter().filter(|one| !one.report.is_same()) {
        different = true;
        println!("{} differs:\n{}\n", one.database, one.report);
    }
    if different {
        bail!("source and target differ, see above");
    }
    let rows: u64 = moved.iter().map(|one| one.report.row_count()).sum();
    let bytes: u64 = moved.iter().map(|one| one.bytes).sum();
    let time: Duration = moved.iter().map(|one| one.clone_time).sum();
    println!("SUCCESS: pgcopydb moved {} databases, {} MB,", moved.len(), bytes / 1_000_000);
    println!("  from {source}\n  to   {target}\n  in {:.1} s.", time.as_secs_f64());
    println!(
        "  All definitions and all {rows} rows were read back from both servers: no difference."
    );
    for (one, stopped) in moved.iter().filter_map(|one| Some((one, one.stopped?))) {
        println!(
            "  {} was written to all the while; its writes were stopped for {:.2} s.",
            one.database,
            stopped.as_secs_f64()
        );
    }
    println!("  The whole demo took {:.0} s; nothing is left behind.", elapsed.as_secs_f64());
    Ok(())
}
