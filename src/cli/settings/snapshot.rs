//! Settings of `snapshot`.

use super::Resolver;
use crate::base::error::Result;
use crate::cli::args::SnapshotArgs;
use crate::cli::environment::ProcessEnvironment;
use crate::config::SnapshotConfig;

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
    })
}
