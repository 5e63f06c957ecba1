//! Settings of the `list` commands.

use std::path::PathBuf;

use super::Resolver;
use crate::base::error::{Error, Result};
use crate::cli::args::{ListArgs, ListCommand};
use crate::cli::environment::ProcessEnvironment;
use crate::config::{List, ListConfig, SplitThreshold};

/// What a `list` command does.
#[derive(Debug, Clone)]
pub enum ResolvedList {
    /// It asks the source.
    Source(Box<ListConfig>),
    /// It reads the progress of the run in a work directory.
    Progress(PathBuf),
    /// It reads the summary that the run in a work directory left.
    Summary(PathBuf),
}

/// Resolves the settings of a `list` command.
///
/// # Errors
/// Class `Config`: a malformed variable, a source that is missing or malformed, a filter file that
/// does not exist, a mandatory option that is missing.
pub fn resolve_list(
    command: &ListCommand,
    environment: &ProcessEnvironment,
) -> Result<ResolvedList> {
    let args = command.args();
    let mut resolver = Resolver::new(environment);
    let directory = resolver.directory(args.directory.dir.as_ref());
    let what = match command {
        ListCommand::Progress(_) if args.what.summary => {
            return Ok(ResolvedList::Summary(directory));
        }
        ListCommand::Progress(_) => return Ok(ResolvedList::Progress(directory)),
        ListCommand::Extensions(_) => extension_list(args)?,
        ListCommand::Databases(_) => List::Databases,
        ListCommand::Collations(_) => List::Collations,
        ListCommand::Tables(_) => List::Tables,
        ListCommand::TableParts(_) => List::TableParts,
        ListCommand::Sequences(_) => List::Sequences,
        ListCommand::Indexes(_) => List::Indexes,
        ListCommand::Depends(_) => List::Depends,
        ListCommand::Schema(_) => List::Schema,
    };
    demand_options(what, args)?;
    let given = &args.what;
    let config = ListConfig {
        what,
        source: resolver.source(&args.source)?,
        directory,
        filters: resolver.filters(given.filters.as_ref())?,
        schema: given.schema_name.clone(),
        table: given.table_name.clone(),
        skipped: given.list_skipped,
        without_primary_key: given.without_pkey,
        split: resolver.split(
            given.split_tables_larger_than,
            given.split_max_parts,
            given.skip_split_by_ctid,
            given.estimate_table_sizes,
        )?,
    };
    if what == List::TableParts && config.split.threshold == SplitThreshold::Auto {
        tracing::warn!("option --split-tables-larger-than is not given: the table is not split");
    }
    Ok(ResolvedList::Source(Box::new(config)))
}

/// Which of the lists of extensions is asked for.
fn extension_list(args: &ListArgs) -> Result<List> {
    match (args.what.available_versions, args.what.requirements) {
        (true, true) => Err(super::contradiction("--available-versions", "--requirements")),
        (true, false) => Ok(List::AvailableExtensions),
        (false, true) => Ok(List::Requirements),
        (false, false) => Ok(List::Extensions),
    }
}

/// Demands the options that a list cannot do without.
fn demand_options(what: List, args: &ListArgs) -> Result<()> {
    let given = &args.what;
    if what == List::TableParts && given.table_name.is_none() {
        return Err(Error::config("option --table-name is mandatory and missing"));
    }
    let skipped = given.list_skipped || what == List::Depends;
    if what == List::Depends && !given.list_skipped {
        return Err(Error::config("option --list-skipped is mandatory and missing")
            .hint("What depends on tables that are left out is what this command lists."));
    }
    if skipped && given.filters.is_none() {
        return Err(Error::config("option --list-skipped needs --filters"));
    }
    Ok(())
}
