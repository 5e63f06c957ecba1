//! `compare`: looks for differences between two databases; changes neither.

use std::collections::{BTreeSet, HashSet};

use super::all_databases;
use super::clone::filters::Filters;
use crate::base::comparison::{ObjectDifference, Presence, SchemaComparison};
use crate::base::error::{Error, Result, Side};
use crate::base::ident::QualifiedName;
use crate::base::stop::StopSignal;
use crate::catalog::fetch::{self, SizeSource};
use crate::catalog::model::{Database, Oid, SourceCatalog, TableKind};
use crate::compare::data::{self, DataOutcome, Half, Scope};
use crate::compare::end::{self, End};
use crate::compare::schema;
use crate::config::CompareConfig;
use crate::filter::Selection;

/// A database of both servers or of one.
#[derive(Debug)]
pub struct DatabasePair {
    /// Its name.
    pub name: String,
    /// Which sides have it.
    pub presence: Presence,
    /// Owner, encoding, locale, privileges and the like, where they differ.
    pub differences: Vec<ObjectDifference>,
}

impl DatabasePair {
    /// The one pair of a comparison without `--all-databases`; the databases may have other names.
    pub fn single(config: &CompareConfig) -> Self {
        let name = config.source.dbname.clone();
        Self { name, presence: Presence::Both, differences: Vec::new() }
    }

    /// The settings for this database.
    pub fn config(&self, config: &CompareConfig) -> CompareConfig {
        CompareConfig {
            source: config.source.with_dbname(&self.name),
            target: config.target.with_dbname(&self.name),
            ..config.clone()
        }
    }
}

/// The databases of both servers, by name.
///
/// # Errors
/// Why a server could not be reached.
pub async fn databases(config: &CompareConfig) -> Result<Vec<DatabasePair>> {
    let (source, target) = tokio::try_join!(
        all_databases::list(Side::Source, &config.source),
        all_databases::list(Side::Target, &config.target)
    )?;
    let find = |all: &[Database], name: &str| all.iter().find(|one| one.name == name).cloned();
    let names: BTreeSet<&String> = source.iter().chain(&target).map(|one| &one.name).collect();
    let pair = |name: &String| {
        let (presence, differences) = match (find(&source, name), find(&target, name)) {
            (Some(a), Some(b)) => (Presence::Both, attributes(&a, &b)),
            (Some(_), None) => (Presence::SourceOnly, Vec::new()),
            (None, _) => (Presence::TargetOnly, Vec::new()),
        };
        DatabasePair { name: name.clone(), presence, differences }
    };
    Ok(names.into_iter().map(pair).collect())
}

/// How two databases of the same name differ in themselves. The locale is named differently by each
/// version's servers and operating systems, but what is not the same text may sort differently.
fn attributes(source: &Database, target: &Database) -> Vec<ObjectDifference> {
    let words = |database: &Database| {
        let none = || "none".to_owned();
        let grants = database.grants.as_ref().map(|grants| grants.join("; "));
        let limit = database.connection_limit.to_string();
        [
            ("owner", database.owner.clone()),
            ("encoding", database.encoding.clone()),
            ("collate", database.collate.clone()),
            ("ctype", database.ctype.clone()),
            ("locale provider", database.provider.word().to_owned()),
            ("locale", database.locale.clone().unwrap_or_else(none)),
            ("rules", database.rules.clone().unwrap_or_else(none)),
            ("tablespace", database.tablespace.clone().unwrap_or_else(none)),
            ("connection limit", limit),
            ("is template", database.is_template.to_string()),
            ("privileges", grants.unwrap_or_else(none)),
            ("comment", database.comment.clone().unwrap_or_else(none)),
        ]
    };
    let both = words(source).into_iter().zip(words(target));
    both.filter(|((_, a), (_, b))| a != b)
        .map(|((property, a), (_, b))| ObjectDifference {
            kind: "database".to_owned(),
            object: source.name.clone(),
            property: property.to_owned(),
            source: Some(a),
            target: Some(b),
        })
        .collect()
}

/// Both ends, read and filtered.
struct Compared {
    source: End,
    target: End,
    source_catalog: SourceCatalog,
    target_catalog: SourceCatalog,
    source_selection: Selection,
    target_selection: Selection,
}

/// Compares the rows of all tables.
///
/// # Errors
/// What keeps the comparison from being made; that rows differ is no error.
pub async fn data(config: &CompareConfig, stop: &StopSignal) -> Result<DataOutcome> {
    let mut compared = open(config).await?;
    let (from, to) = compared.tables();
    let scope = Scope { jobs: config.jobs as usize, show_rows: config.show_rows as usize };
    let readers = [compared.source.reader.clone(), compared.target.reader.clone()];
    let work = Box::pin(data::run(
        (&mut compared.source, Half { catalog: &compared.source_catalog, tables: &from }),
        (&mut compared.target, Half { catalog: &compared.target_catalog, tables: &to }),
        scope,
    ));
    tokio::select! {
        outcome = work => outcome,
        () = stop.graceful.cancelled() => {
            // Nothing is written anywhere: there is nothing to finish.
            tokio::join!(readers[0].cancel_all(), readers[1].cancel_all());
            Err(Error::cancelled())
        }
    }
}

/// Compares the schemas.
///
/// # Errors
/// What keeps the comparison from being made; that schemas differ is no error.
pub async fn schema(config: &CompareConfig, stop: &StopSignal) -> Result<SchemaComparison> {
    let work = Box::pin(async {
        let filters = Filters::read(config.filters.as_deref(), false)?;
        let (mut source, mut target) = end::open(&config.source, &config.target).await?;
        let (mut kept, mut kept_there) = (Selection::everything(), Selection::everything());
        if config.filters.is_some() {
            let (from, to) = tokio::try_join!(
                fetch::source(&mut source.session, SizeSource::Estimate),
                fetch::source(&mut target.session, SizeSource::Estimate),
            )?;
            kept = filters.select(&from, &mut source.session).await?;
            kept_there = filters.select_compared(&to, &mut target.session).await?;
        }
        schema::run((&mut source, &kept), (&mut target, &kept_there)).await
    });
    tokio::select! {
        outcome = work => outcome,
        () = stop.graceful.cancelled() => Err(Error::cancelled()),
    }
}

/// Connects to both ends, reads their catalogs and applies the filters to both.
async fn open(config: &CompareConfig) -> Result<Compared> {
    let filters = Filters::read(config.filters.as_deref(), false)?;
    let (mut source, mut target) = end::open(&config.source, &config.target).await?;
    let (source_catalog, target_catalog) = tokio::try_join!(
        fetch::source(&mut source.session, SizeSource::Files),
        fetch::source(&mut target.session, SizeSource::Files),
    )?;
    let source_selection = filters.select(&source_catalog, &mut source.session).await?;
    let target_selection = filters.select_compared(&target_catalog, &mut target.session).await?;
    Ok(Compared {
        source,
        target,
        source_catalog,
        target_catalog,
        source_selection,
        target_selection,
    })
}

impl Compared {
    /// The tables whose rows are compared, on the source and on the target.
    ///
    /// What the filters leave out of the source is left out of the target by name; what the target
    /// alone has must pass the filters itself.
    fn tables(&self) -> (BTreeSet<Oid>, BTreeSet<Oid>) {
        let holds_rows = |table: &&crate::catalog::model::Table| {
            table.kind == TableKind::Ordinary && table.extension.is_none()
        };
        let (mut kept, mut left_out) = (HashSet::<&QualifiedName>::new(), HashSet::new());
        let mut source = BTreeSet::new();
        for table in self.source_catalog.tables.iter().filter(holds_rows) {
            if self.source_selection.copies_data(table.oid) {
                kept.insert(&table.name);
                source.insert(table.oid);
            } else {
                left_out.insert(&table.name);
            }
        }
        let target = self.target_catalog.tables.iter().filter(holds_rows).filter(|table| {
            kept.contains(&table.name)
                || self.target_selection.copies_data(table.oid) && !left_out.contains(&table.name)
        });
        (source, target.map(|table| table.oid).collect())
    }
}
