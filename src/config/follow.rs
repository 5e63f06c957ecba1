//! Settings of `follow`, `clone --follow`, `snapshot --follow` and the `stream` commands.

use std::path::PathBuf;

use proto::lsn::Lsn;

use crate::connect::conninfo::ConnInfo;

/// Everything change data capture needs to know.
#[derive(Debug, Clone)]
pub struct FollowConfig {
    /// The source.
    pub source: ConnInfo,
    /// The target.
    pub target: ConnInfo,
    /// Work directory.
    pub directory: PathBuf,
    /// Output plugin of the slot.
    pub plugin: Plugin,
    /// Name of the replication slot on the source. Default `pgcopydb`.
    pub slot_name: String,
    /// Publication to use; `None` makes and drops one of our own, named like the slot (K16).
    pub publication: Option<String>,
    /// Name of the replication origin on the target. Default `pgcopydb`.
    pub origin: String,
    /// Where to stop, inclusive (K18).
    pub endpos: Option<Lsn>,
    /// Create the slot and the origin when they do not exist.
    pub create_slot: bool,
    /// `numeric-data-types-as-string` of wal2json.
    pub wal2json_numeric_as_string: bool,
    /// Apply updates that change nothing (they fire ALWAYS triggers).
    pub replay_no_op_updates: bool,
    /// Filter file.
    pub filters: Option<PathBuf>,
    /// Most bytes of received changes on disk before receiving waits for apply; a power of safety,
    /// not of tuning. `None`: no limit but a tenth of the disk kept free.
    pub disk_bytes_max: Option<u64>,
    /// Bytes per segment file.
    pub segment_bytes: u64,
    /// Go on when an UPDATE or DELETE does not touch exactly one row (K15), counting and naming them.
    pub ignore_missing_rows: bool,
    /// What the source may forget.
    pub confirm: Confirm,
    /// Make new sessions of others on the target read-only while changes are followed.
    pub target_read_only: bool,
}

/// What is confirmed to the source as flushed: it may forget its log up to there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confirm {
    /// What is synced to the disk of this machine.
    #[default]
    Durable,
    /// What the target holds durably, its position included: a lost work directory loses no change.
    Applied,
}

impl Confirm {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Durable, Self::Applied];

    /// The word of the option.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Durable => "durable",
            Self::Applied => "applied",
        }
    }
}

impl std::fmt::Display for Confirm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrintConfig {
    /// Work directory.
    pub directory: PathBuf,
    /// Where to stop, inclusive; it is waited for. `None`: what is there now.
    pub endpos: Option<Lsn>,
    /// Print updates that change nothing, too.
    pub replay_no_op_updates: bool,
}

/// Logical decoding output plugins.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Plugin {
    /// Built into the server from version 10.
    #[default]
    Pgoutput,
    /// An extension of many managed servers.
    Wal2json,
    /// The server's example plugin.
    TestDecoding,
}

impl std::fmt::Display for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Plugin {
    /// The name that the server knows it by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pgoutput => "pgoutput",
            Self::Wal2json => "wal2json",
            Self::TestDecoding => "test_decoding",
        }
    }
}
