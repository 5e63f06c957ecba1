//! The filter file: read before anything else, evaluated by the source server under the snapshot.

use std::path::Path;

use crate::base::error::{Error, Result};
use crate::catalog::model::SourceCatalog;
use crate::config::CloneConfig;
use crate::connect::client::{Row, Session};
use crate::filter::{self, Dependent, FilterSet, MatchedOids, Selection};
use crate::local::workdir::{WorkDir, read_optional, replace_file};

/// The rules of a run and their text.
#[derive(Debug, Clone, Default)]
pub(in crate::command) struct Filters {
    /// The file's text, for the run's identity; `None` without `--filters`.
    pub(in crate::command) text: Option<String>,
    rules: FilterSet,
}

impl Filters {
    /// Reads and parses the file; `skip_extensions` is `--skip-extensions`.
    ///
    /// # Errors
    /// `File` when it cannot be read, `Config` naming the line when it cannot be parsed.
    pub(in crate::command) fn read(path: Option<&Path>, skip_extensions: bool) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
        Self::parse(text, skip_extensions)
    }

    /// The rules of a step: those of its file, which is kept for the steps after it, else those that a
    /// step before it kept.
    ///
    /// # Errors
    /// Those of [`Self::read`]; `File` when the rules cannot be kept.
    pub(super) fn of_step(config: &CloneConfig, directory: &WorkDir) -> Result<Self> {
        let kept = directory.filters_ini();
        let filters = Self::read(config.filters.as_deref(), config.skip.extensions)?;
        if let Some(text) = &filters.text {
            replace_file(&kept, text.as_bytes())?;
            return Ok(filters);
        }
        let Some(bytes) = read_optional(&kept)? else { return Ok(filters) };
        tracing::info!(
            target: crate::base::log::NOTICE,
            "going by the filters that an earlier step of this migration was given"
        );
        Self::parse(String::from_utf8_lossy(&bytes).into_owned(), config.skip.extensions)
    }

    /// Parses the text of a file.
    fn parse(text: String, skip_extensions: bool) -> Result<Self> {
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
        let matched = self.matched(source).await?;
        let mut selection = filter::select(catalog, &self.rules, &matched)?;
        Self::add_dependents(&mut selection, catalog, source).await?;
        for notice in selection.notices() {
            tracing::info!(target: crate::base::log::NOTICE, "{notice}");
        }
        Ok(selection)
    }

    /// Applies the rules to the other end of a comparison, where a name that is missing is what the
    /// comparison is to find out, not an error.
    ///
    /// # Errors
    /// The server's.
    pub(in crate::command) async fn select_compared(
        &self,
        catalog: &SourceCatalog,
        target: &mut Session,
    ) -> Result<Selection> {
        let matched = self.matched(target).await?;
        let mut selection = filter::select_present(catalog, &self.rules, &matched);
        Self::add_dependents(&mut selection, catalog, target).await?;
        Ok(selection)
    }

    /// What the patterns match on a server, under its open snapshot.
    async fn matched(&self, session: &mut Session) -> Result<MatchedOids> {
        let mut matched = MatchedOids::default();
        for query in self.rules.queries() {
            let rows = session.query(query.sql, &query.params).await.map_err(|error| {
                let text = format!("filter file, line {}: {}: {error}", query.line, query.text);
                Error::config(text).hint("Patterns are regular expressions of PostgreSQL.")
            })?;
            let oids = rows.rows.iter().map(|row| row.parse(0)).collect::<Result<_>>()?;
            matched.insert(query.rule, oids);
        }
        Ok(matched)
    }

    /// Asks the server what depends on what is left out, and leaves that out too.
    async fn add_dependents(
        selection: &mut Selection,
        catalog: &SourceCatalog,
        session: &mut Session,
    ) -> Result<()> {
        if let Some(query) = selection.dependents_query() {
            let [catalogs, objects] = &query.params;
            let rows = session.query(query.sql, &[Some(catalogs), Some(objects)]).await?;
            let dependents = rows.rows.iter().map(dependent).collect::<Result<_>>()?;
            selection.add_dependents(catalog, dependents);
        }
        Ok(())
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
