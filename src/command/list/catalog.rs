//! The source's catalog and what the filters make of it, read under one view.

use std::collections::BTreeMap;

use crate::base::error::Result;
use crate::catalog::fetch::{self, SizeSource};
use crate::catalog::model::{Oid, SourceCatalog, TargetFacts};
use crate::command::clone::filters::Filters;
use crate::command::clone::read;
use crate::command::source;
use crate::config::{CopyFormat, Jobs, ListConfig, SchemaOptions, Skip};
use crate::connect::client::Session;
use crate::filter::Selection;
use crate::plan::{self, Plan, PlanOptions, SplitFacts};

/// Workers per kind that an automatic split reckons with: the default of `clone`.
pub(super) const JOBS: u32 = 4;

/// What was read, with the session inside its transaction.
pub(super) struct Reading {
    /// The source.
    pub(super) session: Session,
    /// What it has.
    pub(super) catalog: SourceCatalog,
    /// The rules of the filter file.
    pub(super) filters: Filters,
    /// What they leave out.
    pub(super) selection: Selection,
}

/// Connects and begins a view of its own.
pub(super) async fn begin(config: &ListConfig) -> Result<Session> {
    let mut session = source::connect(&config.source).await?;
    session.execute("begin isolation level repeatable read, read only").await?;
    Ok(session)
}

/// Reads the catalog and applies the filters.
pub(super) async fn read(config: &ListConfig) -> Result<Reading> {
    let filters = Filters::read(config.filters.as_deref(), false)?;
    let mut session = begin(config).await?;
    let sizes = if config.split.estimate_sizes { SizeSource::Estimate } else { SizeSource::Files };
    let catalog = fetch::source(&mut session, sizes).await?;
    let selection = filters.select(&catalog, &mut session).await?;
    Ok(Reading { session, catalog, filters, selection })
}

impl Reading {
    /// The plan of a clone into an empty target of the source's version.
    pub(super) async fn plan(&mut self, config: &ListConfig) -> Result<Plan> {
        let jobs = Jobs { table: JOBS, index: JOBS, restore: JOBS, large_objects: JOBS };
        let options = PlanOptions {
            jobs,
            split: config.split,
            copy_format: CopyFormat::Auto,
            skip: Skip::default(),
            schema: SchemaOptions::default(),
            extension_versions: BTreeMap::new(),
        };
        let splits: SplitFacts =
            read::split_facts(&self.catalog, &self.selection, &options, &mut self.session).await?;
        // Whether the target may lack what a kept table needs is a matter of the clone.
        let schemas = self.catalog.schemas.iter().map(|schema| schema.name.clone());
        let target = TargetFacts {
            server: self.catalog.server.clone(),
            schemas: schemas.collect(),
            ..TargetFacts::default()
        };
        Ok(plan::build(&self.catalog, &self.selection, &target, &splits, &options)?)
    }

    /// Whether a table has a primary key.
    pub(super) fn has_primary_key(&self, table: Oid) -> bool {
        self.catalog.indexes.iter().any(|index| index.table_oid == table && index.primary)
    }
}
