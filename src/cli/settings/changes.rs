//! Settings of the commands that receive and apply changes.

use std::path::PathBuf;

use super::{Connections, Resolver, ShownSetting, contradiction};
use crate::base::error::{Error, Result};
use crate::base::units::ValueError;
use crate::cli::args::{ChangeArgs, CloneArgs, ConfirmArg, PluginArg};
use crate::cli::environment::ProcessEnvironment;
use crate::config::{Confirm, FollowConfig, Plugin, Resume};

/// Name of slot and origin unless said otherwise.
const NAME_DEFAULT: &str = "pgcopydb";

/// Bytes per file of received changes unless said otherwise: small enough to be removed soon, large
/// enough to be few.
const SEGMENT_BYTES_DEFAULT: u64 = 64 << 20;

/// Smallest file of received changes: a header must be small beside it.
const SEGMENT_BYTES_MIN: u64 = 1 << 20;

/// Settings of `follow` and where each came from.
#[derive(Debug)]
pub struct ResolvedFollow {
    /// The settings.
    pub config: FollowConfig,
    /// What to do with an earlier run.
    pub resume: Resume,
    /// All of them as text.
    pub shown: Vec<ShownSetting>,
}

/// Resolves the settings of `follow`.
///
/// # Errors
/// Class `Config`, as for [`super::resolve_clone`].
pub fn resolve_follow(
    args: &CloneArgs,
    environment: &ProcessEnvironment,
) -> Result<ResolvedFollow> {
    let mut resolver = Resolver::new(environment);
    let connections = resolver.connections(&args.connections)?;
    let directory = resolver.directory(args.run.dir.as_ref());
    let resume = resolver.resume(args.run.resume, args.run.restart)?;
    let filters = resolver.filters(args.selection.filters.as_ref())?;
    let config = resolver.changes(&args.changes, connections, directory, filters)?;
    Ok(ResolvedFollow { config, resume, shown: resolver.shown })
}

impl Resolver<'_> {
    /// How changes are received and applied.
    pub(in crate::cli::settings) fn changes(
        &mut self,
        args: &ChangeArgs,
        connections: Connections,
        directory: PathBuf,
        filters: Option<PathBuf>,
    ) -> Result<FollowConfig> {
        let plugin = self.plugin(args.plugin.map(Plugin::from))?;
        let numeric_as_string =
            self.flag("wal2json-numeric-as-string", args.wal2json_numeric_as_string)?;
        if numeric_as_string && plugin != Plugin::Wal2json {
            return Err(contradiction(
                "--wal2json-numeric-as-string",
                "an output plugin other than wal2json (give --plugin wal2json)",
            ));
        }
        let slot_name = self.name("slot-name", args.slot_name.clone())?;
        let origin = self.name("origin", args.origin.clone())?;
        let publication = self.optional("publication", args.publication.clone(), text)?;
        let segment_bytes = args.max_replaydb_size.map_or(SEGMENT_BYTES_DEFAULT, |size| size.0);
        if segment_bytes < SEGMENT_BYTES_MIN {
            return Err(Error::config(format!(
                "option --max-replaydb-size must be at least 1MB, not {segment_bytes} bytes"
            )));
        }
        Ok(FollowConfig {
            source: connections.source,
            target: connections.target,
            directory,
            plugin,
            slot_name,
            publication,
            origin,
            endpos: args.endpos.filter(|lsn| lsn.is_valid()),
            create_slot: true,
            wal2json_numeric_as_string: numeric_as_string,
            replay_no_op_updates: self.flag("replay-no-op-updates", args.replay_no_op_updates)?,
            filters,
            disk_bytes_max: args.max_changes_size.map(|size| size.0),
            segment_bytes,
            ignore_missing_rows: self.flag("ignore-missing-rows", args.ignore_missing_rows)?,
            confirm: self.confirm(args.confirm.map(Confirm::from))?,
            target_read_only: self.flag("target-read-only", args.target_read_only)?,
        })
    }

    /// What is confirmed to the source.
    fn confirm(&mut self, given: Option<Confirm>) -> Result<Confirm> {
        self.value("confirm", given, parse_confirm, Confirm::default())
    }

    /// The output plugin.
    pub(in crate::cli::settings) fn plugin(&mut self, given: Option<Plugin>) -> Result<Plugin> {
        self.value("plugin", given, parse_plugin, Plugin::default())
    }

    /// A name that a server is to know.
    pub(in crate::cli::settings) fn name(
        &mut self,
        option: &'static str,
        given: Option<String>,
    ) -> Result<String> {
        let name = self.value(option, given, text, NAME_DEFAULT.to_owned())?;
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let wrong = match name.len() {
            0 => "it is empty",
            64.. => "it has more than 63 bytes",
            // The server allows more in an origin's name; scripts expect the same of both.
            _ if !name.chars().all(valid) => {
                "only lower-case letters, digits and underscores may be in it"
            }
            _ => return Ok(name),
        };
        Err(Error::config(format!("option --{option}: \"{name}\" is no valid name: {wrong}")))
    }
}

/// Any text.
fn text(value: &str) -> Result<String, ValueError> {
    Ok(value.to_owned())
}

/// What `--confirm` names.
fn parse_confirm(name: &str) -> Result<Confirm, ValueError> {
    Confirm::ALL
        .into_iter()
        .find(|confirm| confirm.name() == name)
        .ok_or_else(|| ValueError::new("durable or applied", name))
}

/// The name of a plugin.
fn parse_plugin(name: &str) -> Result<Plugin, ValueError> {
    [Plugin::Pgoutput, Plugin::Wal2json, Plugin::TestDecoding]
        .into_iter()
        .find(|plugin| plugin.name() == name)
        .ok_or_else(|| ValueError::new("pgoutput, wal2json or test_decoding", name))
}

impl From<ConfirmArg> for Confirm {
    fn from(confirm: ConfirmArg) -> Self {
        match confirm {
            ConfirmArg::Durable => Self::Durable,
            ConfirmArg::Applied => Self::Applied,
        }
    }
}

impl From<PluginArg> for Plugin {
    fn from(plugin: PluginArg) -> Self {
        match plugin {
            PluginArg::Pgoutput => Self::Pgoutput,
            PluginArg::Wal2json => Self::Wal2json,
            PluginArg::TestDecoding => Self::TestDecoding,
        }
    }
}
