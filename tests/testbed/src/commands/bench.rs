//! `bench`: ours and the others side by side, on the same two servers, run in turn.
//!
//! Absolute seconds of one machine say little, so everything is shown beside the *server floor*:
//! the processor seconds that both clusters spent, divided by the cores. No tool that makes the
//! servers do this work can be faster on this machine; how close a tool comes, and how little
//! processor time it takes itself, is what counts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use testbed::compare::Comparison;
use testbed::{Cluster, ClusterOptions, Installation, Major};

use super::{Arguments, Servers, cargo};

mod bare;
mod contestant;
mod drain;
mod follower;
mod lag;
mod measure;
mod scenario;
mod soak;

use contestant::Contestant;
use drain::Load;
use measure::Measured;
use scenario::Scenario;

/// Name of the database on both sides.
const DATABASE: &str = "bench";

/// Runs of each contestant unless asked otherwise; the median is shown.
const RUNS: u32 = 3;

/// How long a soak lasts unless asked otherwise, in minutes.
const SOAK_MINUTES: f64 = 30.0;

/// Longest soak, in minutes: a week.
const MINUTES_MAX: f64 = 7.0 * 24.0 * 60.0;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    /// A database is copied, planned or compared.
    Copy(Scenario),
    /// Changes that wait in the source's log are applied.
    Drain(Load),
    /// Changes are applied as they are committed.
    Lag,
    /// Everything that can be in a log, for a long time.
    Soak,
}

/// What was asked for.
struct Settings {
    tasks: Vec<Task>,
    contestants: Vec<String>,
    runs: u32,
    scale: f64,
    target: Major,
    check: bool,
    /// Further arguments of ours, as a shell reads them.
    ours_arguments: String,
    /// Further options of CREATE SUBSCRIPTION.
    native_options: String,
    /// How long a soak lasts.
    minutes: f64,
}

impl Task {
    /// Everything that can be asked for.
    fn all() -> impl Iterator<Item = Self> {
        let online = Load::ALL.into_iter().map(Self::Drain).chain([Self::Lag, Self::Soak]);
        Scenario::ALL.into_iter().map(Self::Copy).chain(online)
    }

    /// The scenario of a copy.
    fn copy(self) -> Option<Scenario> {
        match self {
            Self::Copy(scenario) => Some(scenario),
            Self::Drain(_) | Self::Lag | Self::Soak => None,
        }
    }

    /// Name as on the command line.
    fn name(self) -> &'static str {
        match self {
            Self::Copy(scenario) => scenario.name(),
            Self::Drain(load) => load.name(),
            Self::Lag => "lag",
            Self::Soak => "soak",
        }
    }
}

/// Runs the scenarios.
///
/// # Errors
/// When a server does not start, a contestant of ours fails, or what it copied is not complete.
pub(crate) fn run(words: Vec<String>) -> Result<()> {
    let mut arguments = Arguments::new(words);
    let settings = Settings::take(&mut arguments)?;
    arguments.end()?;
    let source = Installation::find(Major::V15)?;
    let target = Installation::find(settings.target)?;
    println!("source: {}\ntarget: {}", source.version, target.version);
    println!("{} cores, scale {}, {} runs each\n", cores(), settings.scale, settings.runs);
    let copies: Vec<Scenario> = settings.tasks.iter().filter_map(|task| task.copy()).collect();
    if !copies.is_empty() {
        let contestants = find_contestants(&settings)?;
        let servers = Servers::start(&source, &target, &options())?;
        for scenario in copies {
            let taking_part: Vec<&Contestant> =
                contestants.iter().filter(|one| one.takes_part(scenario)).collect();
            race(&servers, scenario, &taking_part, &settings)
                .with_context(|| format!("scenario {}", scenario.name()))?;
        }
    }
    let online: Vec<Task> =
        settings.tasks.iter().copied().filter(|task| task.copy().is_none()).collect();
    if online.is_empty() {
        return Ok(());
    }
    let binary = build_ours()?;
    for task in online {
        // Each has servers with a log of its own.
        let options = if task == Task::Soak { soak::options() } else { drain::options() };
        let servers = Servers::start(&source, &target, &options)?;
        match task {
            Task::Copy(_) => Ok(()),
            Task::Drain(load) => drain::race(&servers, load, &settings, &binary),
            Task::Lag => lag::run(&servers, &settings, &binary),
            Task::Soak => soak::run(&servers, &settings, &binary),
        }
        .with_context(|| format!("scenario {}", task.name()))?;
    }
    Ok(())
}

impl Settings {
    /// Reads the arguments of the command.
    fn take(arguments: &mut Arguments) -> Result<Self> {
        let list = |text: Option<String>| -> Vec<String> {
            let names = text.unwrap_or_default();
            names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
        };
        let names = list(arguments.value("--scenario")?);
        let mut tasks = Vec::new();
        for name in &names {
            let known = || Task::all().map(Task::name).collect::<Vec<_>>().join(", ");
            let found = Task::all().find(|one| one.name() == name);
            tasks.push(found.with_context(|| format!("no scenario {name}; one of {}", known()))?);
        }
        if tasks.is_empty() {
            tasks = Scenario::ALL.map(Task::Copy).to_vec();
        }
        let scale = arguments.value("--scale")?.unwrap_or(1.0);
        ensure!(scale > 0.0, "--scale: expected a positive number, found {scale}");
        let minutes = arguments.value("--minutes")?.unwrap_or(SOAK_MINUTES);
        ensure!(
            minutes > 0.0 && minutes < MINUTES_MAX,
            "--minutes: expected a positive number below {MINUTES_MAX}, found {minutes}"
        );
        let target = match arguments.value::<u32>("--target")?.unwrap_or(15) {
            15 => Major::V15,
            16 => Major::V16,
            18 => Major::V18,
            other => bail!("--target: expected 15, 16 or 18, found {other}"),
        };
        Ok(Self {
            tasks,
            contestants: list(arguments.value("--only")?),
            runs: arguments.value("--runs")?.unwrap_or(RUNS).max(1),
            scale,
            target,
            check: !arguments.flag("--no-check"),
            ours_arguments: arguments.value("--ours-arguments")?.unwrap_or_default(),
            native_options: arguments.value("--native-options")?.unwrap_or_default(),
            minutes,
        })
    }
}

/// Builds ours, unless a binary is named by the environment.
fn build_ours() -> Result<PathBuf> {
    if std::env::var_os("PGCOPYDB_BIN").is_none() {
        let release =
            ["build", "--quiet", "--release", "--package", "pgcopydb", "--bin", "pgcopydb"];
        let status = cargo(&release).stdin(Stdio::null()).status().context("start cargo")?;
        ensure!(status.success(), "cargo build: {status}");
    }
    testbed::pgcopydb::binary()
}

/// Builds ours and lists who is there.
fn find_contestants(settings: &Settings) -> Result<Vec<Contestant>> {
    let wanted = |name: &str| {
        settings.contestants.is_empty() || settings.contestants.iter().any(|one| one == name)
    };
    let mut found = Vec::new();
    if wanted("ours") {
        found.push(Contestant::ours(build_ours()?, &settings.ours_arguments));
    }
    if wanted("data") {
        found.push(Contestant::Data { path: build_ours()? });
    }
    if wanted("psql") {
        found.push(Contestant::Psql);
    }
    if wanted("count") {
        found.push(Contestant::Count);
    }
    if wanted("dump") {
        found.push(Contestant::Dump);
    }
    if let Some(path) = std::env::var_os("PGCOPYDB_PEER").filter(|_| wanted("peer")) {
        found.push(Contestant::peer(PathBuf::from(path))?);
    }
    ensure!(!found.is_empty(), "--only: nobody of that name (ours, data, psql, dump, count, peer)");
    Ok(found)
}

/// Settings of both servers: nothing runs in the background that one contestant pays for and
/// another does not.
fn options() -> ClusterOptions {
    ClusterOptions::default()
        .setting("shared_buffers", "1GB")
        .setting("maintenance_work_mem", "256MB")
        .setting("max_wal_size", "32GB")
        .setting("checkpoint_timeout", "1h")
        .setting("autovacuum", "off")
        .setting("max_locks_per_transaction", "1024")
}

/// Runs one scenario: all contestants in turn, as often as asked, then the table.
fn race(
    servers: &Servers,
    scenario: Scenario,
    contestants: &[&Contestant],
    settings: &Settings,
) -> Result<()> {
    println!("{}: {}", scenario.name(), scenario.describe(settings.scale));
    servers.source.drop_database(DATABASE)?;
    servers.source.create_database(DATABASE)?;
    scenario.fill(&servers.source, DATABASE, settings.scale)?;
    if !scenario.only_plans() {
        // No contestant shall be the one that sets hint bits.
        servers.source.psql(DATABASE, "vacuum (freeze, analyze)")?;
    }
    if scenario.compares() {
        copy_for_comparison(servers)?;
    }
    let mut results: BTreeMap<&str, Vec<Measured>> = BTreeMap::new();
    let mut failures: BTreeMap<&str, String> = BTreeMap::new();
    for run in 0..settings.runs {
        for contestant in contestants {
            let name = contestant.name();
            if failures.contains_key(name) {
                continue;
            }
            let copies = !scenario.only_plans() && !scenario.compares();
            let check = settings.check && run == 0 && copies;
            match one_run(servers, scenario, contestant, check) {
                Ok(measured) => results.entry(name).or_default().push(measured),
                // Others are allowed to fail; the table says so.
                Err(error) if !contestant.is_ours() => {
                    failures.insert(name, format!("{error:#}"));
                }
                Err(error) => return Err(error),
            }
        }
    }
    print_results(contestants, &results);
    if scenario.is_relay() {
        let (least, bytes) = bare::relay(&servers.source, DATABASE, scenario.name())?;
        println!(
            "  reading and writing {} MB without looking at them: {:.2} s of own processor time",
            bytes / 1_000_000,
            least.as_secs_f64()
        );
    }
    for (name, failure) in failures {
        println!(
            "  {name} failed: {}",
            failure.lines().take(12).collect::<Vec<_>>().join("\n    ")
        );
    }
    println!();
    servers.source.drop_database(DATABASE)
}

/// Makes the target what the source is, hint bits included.
fn copy_for_comparison(servers: &Servers) -> Result<()> {
    servers.target.drop_database(DATABASE)?;
    servers.target.create_database(DATABASE)?;
    let work = tempfile::tempdir().context("create a work directory")?;
    let clone = testbed::Pgcopydb::new()?.arg("clone");
    let ends = clone.ends(&servers.source.uri(DATABASE), &servers.target.uri(DATABASE));
    ends.arg("--dir").arg(work.path()).run()?.success()?;
    servers.target.psql(DATABASE, "vacuum (freeze, analyze)")?;
    Ok(())
}

/// Lets one contestant copy into an empty database, and makes sure that it did.
fn one_run(
    servers: &Servers,
    scenario: Scenario,
    contestant: &Contestant,
    check: bool,
) -> Result<Measured> {
    if !scenario.compares() {
        servers.target.drop_database(DATABASE)?;
        servers.target.create_database(DATABASE)?;
    }
    for cluster in [&servers.source, &servers.target] {
        cluster.psql("postgres", "checkpoint")?;
    }
    let work = tempfile::tempdir().context("create a work directory")?;
    contestant.prepare(servers, scenario, DATABASE)?;
    let script = contestant.script(servers, scenario, DATABASE, work.path());
    let clusters: [&Cluster; 2] = [&servers.source, &servers.target];
    let measured = measure::run(&script, &clusters, work.path())?;
    if check {
        let uris = [servers.source.uri(DATABASE), servers.target.uri(DATABASE)];
        let (_, different) = Comparison::new(&uris[0], &uris[1]).rows()?;
        let texts: Vec<String> = different.iter().map(ToString::to_string).collect();
        ensure!(different.is_empty(), "the copy is not complete:\n{}", texts.join("\n"));
    }
    Ok(measured)
}

/// Prints medians of all contestants of a scenario.
fn print_results(contestants: &[&Contestant], results: &BTreeMap<&str, Vec<Measured>>) {
    println!(
        "  {:<6} {:>8} {:>15} {:>8} {:>9} {:>8} {:>8} {:>10} {:>10} {:>9}",
        "who",
        "wall s",
        "(min..max)",
        "own s",
        "peak MB",
        "server s",
        "floor s",
        "wall/floor",
        "own/server",
        "wall/ours"
    );
    let medians: Vec<(&str, Measured)> = contestants
        .iter()
        .filter_map(|one| Some((one.name(), Measured::median(results.get(one.name())?))))
        .collect();
    let ours = medians.iter().find(|(name, _)| *name == "ours").map(|(_, found)| found.wall);
    for (name, median) in &medians {
        let walls = results.get(name).into_iter().flatten().map(|one| one.wall.as_secs_f64());
        let (least, most) = walls.fold((f64::MAX, 0.0_f64), |(l, m), s| (l.min(s), m.max(s)));
        let wall = median.wall.as_secs_f64();
        let floor = median.server_cpu.as_secs_f64() / f64::from(cores());
        println!(
            "  {name:<6} {wall:>8.2} {:>15} {:>8.2} {:>9.1} {:>8.2} {floor:>8.2} {:>10.2} {:>10.3} {:>9}",
            format!("({least:.2}..{most:.2})"),
            median.own_cpu.as_secs_f64(),
            median.peak_kb as f64 / 1024.0,
            median.server_cpu.as_secs_f64(),
            wall / floor,
            median.own_cpu.as_secs_f64() / median.server_cpu.as_secs_f64(),
            ours.map_or_else(
                || "-".to_owned(),
                |ours: Duration| { format!("{:.2}", wall / ours.as_secs_f64()) }
            ),
        );
    }
}

/// Number of processor cores.
fn cores() -> u32 {
    let found = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(found).unwrap_or(1)
}
