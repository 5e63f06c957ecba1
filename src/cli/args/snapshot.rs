//! `snapshot`.

use clap::Args;

use super::{CommonArgs, DirectoryArgs, PluginArg, SourceArgs};

/// Options of `snapshot`.
///
/// Source: spec/commands.md 2.6.
#[derive(Debug, Args)]
pub struct SnapshotArgs {
    /// The source.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Where the identifier is left for others.
    #[command(flatten)]
    pub directory: DirectoryArgs,
    /// The slot.
    #[command(flatten)]
    pub slot: SlotArgs,
    /// The options that every command has.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// A replication slot to create with the snapshot.
#[derive(Debug, Args)]
#[command(next_help_heading = "Change data capture")]
pub struct SlotArgs {
    /// Create publication and replication slot, and export the slot's snapshot
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// Output plugin of the replication slot [default: pgoutput]
    #[arg(short = 'p', long, value_name = "NAME")]
    pub plugin: Option<PluginArg>,
    /// Accepted for scripts: what the plugin sends is asked for when changes are received
    #[arg(short = 'w', long)]
    pub wal2json_numeric_as_string: bool,
    /// Name of the replication slot [default: pgcopydb]
    #[arg(short = 's', long, value_name = "NAME")]
    pub slot_name: Option<String>,
    /// Publication to use [default: one of our own, named like the slot]
    #[arg(long, value_name = "NAME")]
    pub publication: Option<String>,
    /// Name of the replication origin on the target [default: pgcopydb]
    #[arg(short = 'o', long, value_name = "NAME")]
    pub origin: Option<String>,
}
