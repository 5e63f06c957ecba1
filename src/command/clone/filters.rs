//! The filter file: read before anything else, evaluated by the source server under the snapshot.

use std::path::Path;

use crate::base::error::{Error, Result};
use crate::catalog::model::SourceCatalog;
use crate::connect::client::{Row, Session};
use crate::filter::{self, Dependent, FilterSet, MatchedOids, Selection};

/// The rules of a run and their text.
#[derive(Debug, Clone, Default)]
pub(in crate::command) struct Filters {
    /// The file's text, for the run's identity; `None` without `--filters`.
    pub(super) text: Option<String>,
    rules: FilterSet,
}

impl Filters {
    /// Reads and parses the file.
    ///
    /// # Errors
    /// `File` when it cannot be read, `Config` naming the line when it cannot be parsed.
    pub(in crate::command) fn read(path: Option<&Path>, skip_extensions: bool) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
        let rules = filter::parse(&text)?;
        let mut warnings = rules.warnings();
        if skip_extensions {
            warnings.extend(rules.check_skip_extensions()?);
        }
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        Ok(Self { text: Some(text), rules })
    }

    /// The rules.
    pub(in crate::command) fn rules(&self) -> &FilterSet {
        &self.rules
    }

    /// Applies the rules; patterns are evaluated by the source, under its open snapshot.
    ///
    /// # Errors
    /// `Config` for a pattern that the server cannot compile and for names of include sections that
    /// the source does not have.
    pub(in crate::command) async fn select(
        &self,
        catalog: &SourceCatalog,
        source: &mut Session,
    ) -> Result<Selection> {
        let mut matched = MatchedOids::default();
        for query in self.rules.queries() {
            let rows = source.query(query.sql, &query.params).await.map_err(|error| {
                let text = format!("filter file, line {}: {}: {error}", query.line, query.text);
                Error::config(text).hint("Patterns are regular expressions of PostgreSQL.")
            })?;
            let oids = rows.rows.iter().map(|row| row.parse(0)).collect::<Result<_>>()?;
            matched.insert(query.rule, oids);
        }
        let mut selection = filter::select(catalog, &self.rules, &matched)?;
        if let Some(query) = selection.dependents_query() {
            let [catalogs, objects] = &query.params;
            let rows = source.query(query.sql, &[Some(catalogs), Some(objects)]).await?;
            let dependents = rows.rows.iter().map(dependent).collect::<Result<_>>()?;
            selection.add_dependents(catalog, dependents);
        }
        for notice in selection.notices() {
            tracing::info!(target: crate::base::log::NOTICE, "{notice}");
        }
        Ok(selection)
    }
}

/// Decodes an object that depends on what is left out.
fn dependent(row: &Row) -> Result<Dependent> {
    Ok(Dependent {
        catalog: row.parse(0)?,
        oid: row.parse(1)?,
        description: row.text(2)?.to_owned(),
        because: row.text(3)?.to_owned(),
        by_itself: row.flag(4)?,
        conflict: row.flag(5)?,
        needed_schema: row.optional_text(6)?.map(str::to_owned),
    })
}
