//! Settings of `snapshot`.

use super::{Resolver, contradiction};
use crate::base::error::Result;
use crate::cli::args::{SlotArgs, SnapshotArgs};
use crate::cli::environment::ProcessEnvironment;
use crate::config::{Plugin, SlotConfig, SnapshotConfig};

/// Resolves the settings of `snapshot`.
///
/// # Errors
/// Class `Config`: a malformed variable, a source that is missing or malformed.
pub fn resolve_snapshot(
    args: &SnapshotArgs,
    environment: &ProcessEnvironment,
) -> Result<SnapshotConfig> {
    let mut resolver = Resolver::new(environment);
    Ok(SnapshotConfig {
        source: resolver.source(&args.source)?,
        directory: resolver.directory(args.directory.dir.as_ref()),
        slot: resolver.slot(&args.slot)?,
    })
}

impl Resolver<'_> {
    /// The slot to create; `None` without `--follow`.
    fn slot(&mut self, args: &SlotArgs) -> Result<Option<SlotConfig>> {
        let plugin = self.plugin(args.plugin.map(Plugin::from))?;
        let name = self.name("slot-name", args.slot_name.clone())?;
        let origin = self.name("origin", args.origin.clone())?;
        if self.flag("wal2json-numeric-as-string", args.wal2json_numeric_as_string)? {
            tracing::info!(
                "option --wal2json-numeric-as-string is for the commands that receive: give it there, too"
            );
        }
        if args.follow {
            let publication = args.publication.clone();
            return Ok(Some(SlotConfig { name, plugin, publication, origin }));
        }
        let given = [
            (args.slot_name.is_some(), "--slot-name"),
            (args.publication.is_some(), "--publication"),
            (args.origin.is_some(), "--origin"),
        ];
        match given.into_iter().find(|(is_given, _)| *is_given) {
            Some((_, option)) => {
                Err(contradiction(option, "a snapshot without a slot (give --follow)"))
            }
            None => Ok(None),
        }
    }
}
