//! What every command has that receives or applies changes.

use clap::{Args, ValueEnum};
use proto::lsn::Lsn;

use crate::base::units::ByteSize;

/// How changes are received and applied.
///
/// Source: spec/commands.md 2.3.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Change data capture")]
pub struct ChangeArgs {
    /// Output plugin of the replication slot [default: pgoutput]
    #[arg(short = 'p', long, value_name = "NAME")]
    pub plugin: Option<PluginArg>,
    /// Have wal2json send numbers as strings
    #[arg(short = 'w', long)]
    pub wal2json_numeric_as_string: bool,
    /// Name of the replication slot [default: pgcopydb]
    #[arg(short = 's', long, value_name = "NAME")]
    pub slot_name: Option<String>,
    /// Create the slot where there is none; also what happens without this option
    #[arg(short = 't', long)]
    pub create_slot: bool,
    /// Publication to use [default: one of our own, named like the slot]
    #[arg(long, value_name = "NAME")]
    pub publication: Option<String>,
    /// Name of the replication origin on the target [default: pgcopydb]
    #[arg(short = 'o', long, value_name = "NAME")]
    pub origin: Option<String>,
    /// Stop once everything up to this position is applied
    #[arg(short = 'E', long, value_name = "LSN")]
    pub endpos: Option<Lsn>,
    /// Apply updates that change nothing
    #[arg(long)]
    pub replay_no_op_updates: bool,
    /// Go on when an UPDATE or DELETE finds no row, or several, on the target; they are counted
    #[arg(long)]
    pub ignore_missing_rows: bool,
    /// What the source may forget: changes that are on this machine's disk, or on the target
    /// [default: durable]
    #[arg(long, value_name = "WHAT")]
    pub confirm: Option<ConfirmArg>,
    /// While changes are followed, make new sessions of others on the target read-only
    #[arg(long)]
    pub target_read_only: bool,
    /// Size of a file of received changes [default: 64MB]
    #[arg(long, value_name = "SIZE")]
    pub max_replaydb_size: Option<ByteSize>,
    /// Most disk space for received changes; receiving waits there [default: until a tenth of the
    /// disk, or 8GB, is left]
    #[arg(long, value_name = "SIZE")]
    pub max_changes_size: Option<ByteSize>,
}

/// `--confirm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConfirmArg {
    /// What is synced here.
    #[value(name = "durable")]
    Durable,
    /// What the target holds.
    #[value(name = "applied")]
    Applied,
}

/// `--plugin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PluginArg {
    /// The server's own.
    #[value(name = "pgoutput")]
    Pgoutput,
    /// JSON.
    #[value(name = "wal2json")]
    Wal2json,
    /// The server's example.
    #[value(name = "test_decoding")]
    TestDecoding,
}
