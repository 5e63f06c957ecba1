//! `bench --scenario drain…`: how fast changes that wait in the source's log reach the target.
//!
//! Every contestant has a slot of its own, made before the load is written, so all of them decode the
//! same log. The *bare limit* reads its slot with the options of ours and throws everything away: nobody
//! who reads that stream is faster. Whoever applies is compared with the source afterwards, row by row.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use testbed::chaos::{Direction, Proxy};
use testbed::hashes::ensure_same_rows;
use testbed::{Cluster, ClusterOptions};

use super::super::Servers;
use super::measure::{self, Measured};
use super::{DATABASE, Settings};

mod contestant;
mod load;
mod plugin_options;

use contestant::Contestant;
pub(super) use load::Load;

/// How long every byte is on its way in [`Load::Far`], each way.
const FAR: Duration = Duration::from_millis(20);

/// Settings of both servers.
pub(super) fn options() -> ClusterOptions {
    super::options().setting("log_replication_commands", "on")
}

/// One load, written once, and everybody's slot before it.
struct Round<'a> {
    servers: &'a Servers,
    load: Load,
    binary: &'a Path,
    /// Work directories and scripts.
    dir: TempDir,
    /// In front of source and target, where they are far away.
    proxies: Option<(Proxy, Proxy)>,
    /// Where the log ended behind the load.
    endpos: String,
    /// Further arguments of ours.
    ours_arguments: &'a str,
    /// Further options of the subscription.
    native_options: &'a str,
}

/// Runs one load: all contestants in turn, as often as asked, then the table.
///
/// # Errors
/// When anybody fails, or a target is not what the source is.
pub(super) fn race(
    servers: &Servers,
    load: Load,
    settings: &Settings,
    binary: &Path,
) -> Result<()> {
    println!("{}: {}", load.name(), load.describe(settings.scale));
    let wanted = |one: &Contestant| {
        settings.contestants.is_empty() || settings.contestants.iter().any(|n| n == one.name())
    };
    let present = Contestant::ALL.into_iter().filter(|one| one.takes_part(load));
    let mut order: Vec<Contestant> = present.filter(wanted).collect();
    ensure!(!order.is_empty(), "--only: nobody of that name takes part in {}", load.name());
    let mut results: BTreeMap<&str, Vec<Measured>> = BTreeMap::new();
    for _ in 0..settings.runs {
        let round = Round::prepare(servers, load, settings, binary)?;
        for contestant in &order {
            let name = contestant.name();
            let measured = round.run(*contestant, settings.check).context(name)?;
            results.entry(name).or_default().push(measured);
        }
        round.clean()?;
        // Everybody is first once.
        order.rotate_left(1);
    }
    print_results(load, settings.scale, &results);
    Ok(())
}

impl<'a> Round<'a> {
    /// Fills the source, makes slots and copies, writes the load.
    fn prepare(
        servers: &'a Servers,
        load: Load,
        settings: &'a Settings,
        binary: &'a Path,
    ) -> Result<Self> {
        let source = &servers.source;
        source.drop_database(DATABASE)?;
        source.create_database(DATABASE)?;
        load.fill(source, DATABASE).context("fill the source")?;
        source.psql(DATABASE, "create publication native for all tables")?;
        let proxies = if load.is_far() {
            Some((Proxy::in_front_of(source)?, Proxy::in_front_of(&servers.target)?))
        } else {
            None
        };
        let mut round = Self {
            servers,
            load,
            binary,
            dir: tempfile::tempdir().context("create a work directory")?,
            proxies,
            endpos: String::new(),
            ours_arguments: &settings.ours_arguments,
            native_options: &settings.native_options,
        };
        for contestant in round.contestants() {
            let name = contestant.name();
            contestant.prepare(&round).with_context(|| format!("prepare {name}"))?;
        }
        load.write(source, DATABASE, settings.scale, round.dir.path()).context("write the load")?;
        round.endpos = source.psql(DATABASE, "select pg_current_wal_flush_lsn()")?;
        Ok(round)
    }

    /// Everybody that the load says something about, whoever is measured: the bare limit needs the
    /// options of ours.
    fn contestants(&self) -> impl Iterator<Item = Contestant> + use<> {
        let load = self.load;
        Contestant::ALL.into_iter().filter(move |one| one.takes_part(load))
    }

    /// Lets one contestant drain its slot, and makes sure that it did.
    fn run(&self, contestant: Contestant, check: bool) -> Result<Measured> {
        for cluster in [&self.servers.source, &self.servers.target] {
            cluster.psql("postgres", "checkpoint")?;
        }
        let script = contestant.script(self)?;
        let clusters: [&Cluster; 2] = [&self.servers.source, &self.servers.target];
        self.set_distance(FAR);
        let measured = measure::run(&script, &clusters, self.dir.path());
        self.set_distance(Duration::ZERO);
        let measured = measured?;
        contestant.finish(self)?;
        if check && contestant.applies() {
            let target = contestant.slot();
            ensure_same_rows((&self.servers.source, DATABASE), (&self.servers.target, &target))?;
        }
        Ok(measured)
    }

    /// Sets how far away the servers are behind their proxies.
    fn set_distance(&self, delay: Duration) {
        for proxy in self.proxies.iter().flat_map(|(source, target)| [source, target]) {
            proxy.delay(Direction::ToServer, delay);
            proxy.delay(Direction::ToClient, delay);
        }
    }

    /// Connection string of the source, through its proxy where it has one.
    fn source_uri(&self) -> String {
        match &self.proxies {
            Some((source, _)) => source.uri(DATABASE),
            None => self.servers.source.uri(DATABASE),
        }
    }

    /// Connection string of a contestant's target, through its proxy where that is what it is about.
    fn target_uri(&self, contestant: Contestant) -> String {
        match &self.proxies {
            Some((_, target)) if contestant == Contestant::FarBoth => {
                target.uri(&contestant.slot())
            }
            _ => self.servers.target.uri(&contestant.slot()),
        }
    }

    /// Path of a program of the source's version.
    fn program(&self, name: &str) -> String {
        self.servers.source.installation().program(name).display().to_string()
    }

    /// Removes databases, slots and origins.
    fn clean(&self) -> Result<()> {
        self.servers.source.drop_database(DATABASE)?;
        for contestant in self.contestants().filter(|one| one.applies()) {
            self.servers.target.drop_database(&contestant.slot())?;
        }
        let origins = "select count(pg_replication_origin_drop(roname)) from pg_replication_origin";
        self.servers.target.psql("postgres", origins)?;
        Ok(())
    }
}

/// Prints medians of all contestants and the ratios that count.
fn print_results(load: Load, scale: f64, results: &BTreeMap<&str, Vec<Measured>>) {
    println!(
        "  {:<9} {:>8} {:>15} {:>8} {:>9} {:>8} {:>9} {:>11} {:>9}",
        "who",
        "wall s",
        "(min..max)",
        "own s",
        "peak MB",
        "server s",
        "trans./s",
        "changes/s",
        "wall/bare"
    );
    let median = |one: Contestant| results.get(one.name()).map(|all| Measured::median(all));
    let wall = |one: Contestant| median(one).map(|found| found.wall.as_secs_f64());
    for contestant in Contestant::ALL {
        let (Some(all), Some(found)) = (results.get(contestant.name()), median(contestant)) else {
            continue;
        };
        let walls = all.iter().map(|one| one.wall.as_secs_f64());
        let (least, most) = walls.fold((f64::MAX, 0.0_f64), |(l, m), s| (l.min(s), m.max(s)));
        let seconds = found.wall.as_secs_f64();
        println!(
            "  {:<9} {seconds:>8.2} {:>15} {:>8.2} {:>9.1} {:>8.2} {:>9.0} {:>11.0} {:>9}",
            contestant.name(),
            format!("({least:.2}..{most:.2})"),
            found.own_cpu.as_secs_f64(),
            found.peak_kb as f64 / 1024.0,
            found.server_cpu.as_secs_f64(),
            load.transactions(scale) as f64 / seconds,
            load.changes(scale) as f64 / seconds,
            ratio(Some(seconds), wall(Contestant::Bare)),
        );
    }
    for (above, below) in [
        (Contestant::Native, Contestant::Ours),
        (Contestant::Ours, Contestant::Bare),
        (Contestant::Wal2json, Contestant::Ours),
        (Contestant::Wal2json, Contestant::BareWal2json),
        (Contestant::FarBoth, Contestant::Bare),
    ] {
        if wall(above).is_some() && wall(below).is_some() {
            let found = ratio(wall(above), wall(below));
            println!("  {} / {}: {found}", above.name(), below.name());
        }
    }
    println!();
}

/// One time as a multiple of another one.
fn ratio(time: Option<f64>, of: Option<f64>) -> String {
    match (time, of) {
        (Some(time), Some(of)) => format!("{:.2}", time / of),
        _ => "-".to_owned(),
    }
}
