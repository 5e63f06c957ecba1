//! Settings of `snapshot`.

use std::path::PathBuf;

use crate::connect::conninfo::ConnInfo;

/// What `snapshot` needs to know.
#[derive(Debug, Clone)]
pub struct SnapshotConfig {
    /// The source.
    pub source: ConnInfo,
    /// Work directory; its file `snapshot` holds the identifier while the snapshot lives.
    pub directory: PathBuf,
}
