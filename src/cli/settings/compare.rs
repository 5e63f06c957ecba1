//! Settings of the `compare` commands.

use super::{JOBS_DEFAULT, Resolver};
use crate::base::error::{Error, Result};
use crate::base::units::JobCount;
use crate::cli::args::CompareArgs;
use crate::cli::environment::ProcessEnvironment;
use crate::config::CompareConfig;

/// Resolves the settings of a comparison. `root_json` is `--json` in front of the command.
///
/// # Errors
/// Class `Config`, as for [`super::resolve_clone`].
pub fn resolve_compare(
    args: &CompareArgs,
    show_rows: u32,
    root_json: bool,
    environment: &ProcessEnvironment,
) -> Result<CompareConfig> {
    let mut resolver = Resolver { environment, shown: Vec::new() };
    let connections = resolver.connections(&args.connections)?;
    let default: JobCount = JOBS_DEFAULT
        .parse()
        .map_err(|error| Error::internal(format!("default job count: {error}")))?;
    Ok(CompareConfig {
        source: connections.source,
        target: connections.target,
        directory: args.dir.clone(),
        jobs: resolver.value("table-jobs", args.table_jobs, str::parse, default)?.get(),
        filters: resolver.filters(args.filters.as_ref())?,
        all_databases: args.all_databases,
        show_rows,
        json: args.json || root_json,
    })
}
