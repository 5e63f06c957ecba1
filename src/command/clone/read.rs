//! The source under its snapshot, what the filters keep of it, and the plan made of both.

use std::sync::Arc;

use super::filters::Filters;
use crate::base::error::Result;
use crate::catalog::facts::key_bounds;
use crate::catalog::fetch::{self, SizeSource};
use crate::catalog::model::{SourceCatalog, TargetFacts};
use crate::config::CloneConfig;
use crate::connect::client::Session;
use crate::filter::Selection;
use crate::plan::{self, Plan, PlanOptions, SplitFacts};

/// The source under its open snapshot, and what the filters keep of it.
pub(in crate::command) struct Read {
    pub(in crate::command) catalog: Arc<SourceCatalog>,
    pub(in crate::command) selection: Selection,
}

/// Where the sizes of tables come from.
pub(super) fn sizes(config: &CloneConfig) -> SizeSource {
    if config.split.estimate_sizes { SizeSource::Estimate } else { SizeSource::Files }
}

/// Reads the source under its open snapshot and applies the filters.
///
/// # Errors
/// Those of the queries and the filters.
pub(in crate::command) async fn read(
    config: &CloneConfig,
    filters: &Filters,
    source: &mut Session,
) -> Result<Read> {
    let catalog = fetch::source(source, sizes(config)).await?;
    let selection = filters.select(&catalog, source).await?;
    Ok(Read { catalog: Arc::new(catalog), selection })
}

/// Makes the plan; where tables are split by key, their rows are looked at.
///
/// # Errors
/// Those of the plan, and a session that is lost.
pub(in crate::command) async fn plan(
    config: &CloneConfig,
    source: &mut Session,
    facts: &TargetFacts,
    read: &Read,
) -> Result<Plan> {
    let (catalog, selection) = (&*read.catalog, &read.selection);
    let options = PlanOptions::from(config);
    let splits = split_facts(catalog, selection, &options, source).await?;
    Ok(plan::build(catalog, selection, facts, &splits, &options)?)
}

/// Asks the source where to cut the tables that are split by key. One whose rows the server refuses
/// to look at, dropped since the snapshot for example, stays whole.
///
/// # Errors
/// A session that is lost.
pub(in crate::command) async fn split_facts(
    catalog: &SourceCatalog,
    selection: &Selection,
    options: &PlanOptions,
    source: &mut Session,
) -> Result<SplitFacts> {
    let mut splits = SplitFacts::default();
    for split in plan::tables_needing_key_cuts(catalog, selection, options) {
        let found = catalog.tables.iter().find(|table| table.oid == split.oid);
        let Some(table) = found else { continue };
        match key_bounds(source, table, split.parts).await {
            Ok(bounds) => {
                splits.key_cuts.insert(split.oid, bounds.cuts);
            }
            // Dropped since the snapshot, or not to be read: it stays whole, and its copy says so.
            Err(error) if error.as_server().is_some() && !source.is_broken() => {
                tracing::warn!(%error, table = %table.name, "the table is not split");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(splits)
}
