//! Settings of `compare schema` and `compare data`.

use std::path::PathBuf;

use crate::connect::conninfo::ConnInfo;

/// Everything a comparison needs to know.
#[derive(Debug, Clone)]
pub struct CompareConfig {
    /// The source.
    pub source: ConnInfo,
    /// The target.
    pub target: ConnInfo,
    /// Work directory; the result is also written there as JSON. `None`: it is only printed.
    pub directory: Option<PathBuf>,
    /// Sessions per side, 1 to 128. Default 4.
    pub jobs: u32,
    /// Filter file: what is left out is not compared.
    pub filters: Option<PathBuf>,
    /// Every database of both servers.
    pub all_databases: bool,
    /// Rows to name per table that differs. Default 0.
    pub show_rows: u32,
    /// The result is printed as JSON.
    pub json: bool,
}
