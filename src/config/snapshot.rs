//! Settings of `snapshot`.

use std::path::PathBuf;

use super::Plugin;
use crate::connect::conninfo::ConnInfo;

/// What `snapshot` needs to know.
#[derive(Debug, Clone)]
pub struct SnapshotConfig {
    /// The source.
    pub source: ConnInfo,
    /// Work directory; its file `snapshot` holds the identifier while the snapshot lives.
    pub directory: PathBuf,
    /// Create a replication slot and export its snapshot; `None`: a snapshot alone.
    pub slot: Option<SlotConfig>,
}

/// A replication slot to create.
#[derive(Debug, Clone)]
pub struct SlotConfig {
    /// Its name, and base name of our publications.
    pub name: String,
    /// Output plugin.
    pub plugin: Plugin,
    /// Publication to use; `None` makes our own (K16).
    pub publication: Option<String>,
    /// Name of the position on the target, for later.
    pub origin: String,
}
