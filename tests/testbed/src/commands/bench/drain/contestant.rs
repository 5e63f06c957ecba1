//! Who brings the changes to the target, or only reads them.

use std::fs;

use anyhow::{Context, Result};

use testbed::Pgcopydb;
use testbed::cluster::quote_literal;

use super::super::DATABASE;
use super::Round;
use super::load::Load;
use super::plugin_options::last_options;

/// A way to drain a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contestant {
    /// `pgcopydb follow` with pgoutput.
    Ours,
    /// `pgcopydb follow` with wal2json.
    Wal2json,
    /// `pgcopydb follow` with the target as far away as the source.
    FarBoth,
    /// `CREATE SUBSCRIPTION`.
    Native,
    /// `pg_recvlogical` to nowhere, with the options of [`Contestant::Ours`].
    Bare,
    /// `pg_recvlogical` to nowhere, with the options of [`Contestant::Wal2json`].
    BareWal2json,
}

impl Contestant {
    /// All of them.
    pub(super) const ALL: [Self; 6] =
        [Self::Ours, Self::Wal2json, Self::FarBoth, Self::Native, Self::Bare, Self::BareWal2json];

    /// Name in tables and on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Wal2json => "wal2json",
            Self::FarBoth => "far-both",
            Self::Native => "native",
            Self::Bare => "bare",
            Self::BareWal2json => "bare-w2j",
        }
    }

    /// Name of its slot, its origin and its database on the target.
    pub(super) fn slot(self) -> String {
        self.name().replace('-', "_")
    }

    /// Whether a load says something about it.
    pub(super) fn takes_part(self, load: Load) -> bool {
        match self {
            Self::Ours | Self::Native | Self::Bare => true,
            Self::Wal2json | Self::BareWal2json => {
                matches!(load, Load::Tpcb | Load::Inserts | Load::Tables)
            }
            Self::FarBoth => load.is_far(),
        }
    }

    /// Whether it brings the rows to the target.
    pub(super) fn applies(self) -> bool {
        !matches!(self, Self::Bare | Self::BareWal2json)
    }

    /// The output plugin.
    fn plugin(self) -> &'static str {
        match self {
            Self::Wal2json | Self::BareWal2json => "wal2json",
            Self::Ours | Self::FarBoth | Self::Native | Self::Bare => "pgoutput",
        }
    }

    /// Makes its slot and its copy of the data, at a source that is at rest.
    ///
    /// # Errors
    /// The server's; those of the clone.
    pub(super) fn prepare(self, round: &Round<'_>) -> Result<()> {
        let (slot, source) = (self.slot(), &round.servers.source);
        if self.applies() {
            round.servers.target.create_database(&slot)?;
        }
        if matches!(self, Self::Ours | Self::Wal2json | Self::FarBoth) {
            let now = source.psql(DATABASE, "select pg_current_wal_flush_lsn()")?;
            let clone = Pgcopydb::at(round.binary).args(["clone", "--follow", "--endpos", &now]);
            let clone = clone.args(["--plugin", self.plugin(), "--slot-name", &slot]);
            let clone = clone.args(["--origin", &slot, "--dir"]).arg(round.dir.path().join(&slot));
            clone.ends(&round.source_uri(), &round.target_uri(self)).run()?.success()?;
            return Ok(());
        }
        if self == Self::Native {
            let clone = Pgcopydb::at(round.binary).args(["clone", "--dir"]);
            let clone = clone.arg(round.dir.path().join(&slot));
            clone.ends(&round.source_uri(), &round.target_uri(self)).run()?.success()?;
            let publications =
                "select format('drop publication %I', pubname) from pg_publication \\gexec";
            round.servers.target.psql(&slot, publications)?;
        }
        let (slot, plugin) = (quote_literal(&slot), quote_literal(self.plugin()));
        let create = format!("select pg_create_logical_replication_slot({slot}, {plugin})");
        source.psql(DATABASE, &create)?;
        Ok(())
    }

    /// The shell script that drains the slot.
    ///
    /// # Errors
    /// When a file cannot be written, or ours has left no options in the log.
    pub(super) fn script(self, round: &Round<'_>) -> Result<String> {
        let (slot, dir) = (self.slot(), round.dir.path());
        let source = round.source_uri();
        match self {
            Self::Ours | Self::Wal2json | Self::FarBoth => Ok(format!(
                "{} follow --plugin {} --slot-name {slot} --origin {slot} --source '{source}' \
                 --target '{}' --dir {} --endpos {} {}",
                round.binary.display(),
                self.plugin(),
                round.target_uri(self),
                dir.join(&slot).display(),
                round.endpos,
                round.ours_arguments
            )),
            Self::Native => {
                let path = dir.join("native.sql");
                let sql = native_sql(&source, round.native_options);
                fs::write(&path, sql).with_context(|| format!("write {}", path.display()))?;
                let target = round.servers.target.uri(&slot);
                let psql = round.program("psql");
                Ok(format!("{psql} -Xq -v ON_ERROR_STOP=1 -d '{target}' -f {}", path.display()))
            }
            Self::Bare | Self::BareWal2json => {
                let like = if self == Self::Bare { Self::Ours } else { Self::Wal2json };
                let mut words = format!(
                    "{} -d '{source}' -S {slot} --start -E {} --no-loop -f /dev/null",
                    round.program("pg_recvlogical"),
                    round.endpos
                );
                for (name, value) in last_options(&round.servers.source.log(), &like.slot())? {
                    words.push_str(&format!(" -o '{name}={value}'"));
                }
                Ok(words)
            }
        }
    }

    /// Removes what would hold the databases.
    ///
    /// # Errors
    /// The server's.
    pub(super) fn finish(self, round: &Round<'_>) -> Result<()> {
        if self == Self::Native {
            let sql = "alter subscription native set (slot_name = none); drop subscription native;";
            round.servers.target.psql(&self.slot(), sql)?;
        }
        Ok(())
    }
}

/// Subscribes, waits for the marker, which is written last, and ends the subscription's worker.
///
/// The wait commits in each round: one snapshot all the while would keep every version of the rows that are
/// updated again and again, and slow the worker down tenfold.
fn native_sql(source: &str, options: &str) -> String {
    let source = quote_literal(source);
    let options = if options.is_empty() { String::new() } else { format!(", {options}") };
    format!(
        "set client_min_messages = warning;
         create subscription native connection {source} publication native
           with (create_slot = false, slot_name = 'native', copy_data = false{options});
         do $wait$ begin
           while not exists (select from marker) loop
             commit;
             perform pg_sleep(0.005);
           end loop;
         end $wait$;
         alter subscription native disable;"
    )
}
