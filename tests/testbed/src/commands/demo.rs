//! `cargo demo`: two databases move between two servers before the eyes of a newcomer.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use testbed::compare::{self, Report};
use testbed::{ClusterOptions, Pgcopydb, fixtures, pgcopydb};

use super::{Arguments, Servers, cargo, servers};

/// Size of the pgbench database unless asked otherwise: 2 million rows, 300 MB.
const SCALE: u32 = 20;

/// Databases that the demo moves.
const DATABASES: [&str; 2] = ["pagila", "pgbench"];

/// How one database fared.
struct Moved {
    database: &'static str,
    bytes: u64,
    clone_time: Duration,
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
        let clone_time = steps.step(&format!("clone {database}"), |_| {
            clone(&binary, &servers, database, &work.path().join(database))
        })?;
        let bytes = size(&servers, database)?;
        let report = steps
            .step(&format!("compare {database}, object by object, row by row"), |_| {
                compare::compare(&servers.source.uri(database), &servers.target.uri(database))
            })?;
        moved.push(Moved { database, bytes, clone_time, report });
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
    println!("  The whole demo took {:.0} s; nothing is left behind.", elapsed.as_secs_f64());
    Ok(())
}
