//! What the stream does not carry, looked at when the end position is reached, so that nothing that is
//! missing on the target stays unsaid: tables made or made permanent while changes were followed (C-35,
//! C-51), large objects (C-50), values that the plugin destroyed.

use std::collections::HashSet;

use super::prepare::{self, Followed};
use crate::base::error::{Result, Side};
use crate::base::ident::QualifiedName;
use crate::base::summary::{Finding, Severity};
use crate::command::source;
use crate::config::FollowConfig;
use crate::connect::client::Session;
use crate::connect::client::settings::{self, SessionRole};
use crate::follow::doubtful::destroyed;
use crate::follow::setup::publication;
use crate::local::state::SlotRecord;
use crate::local::workdir::WorkDir;

/// Every relation that may hold a table's rows.
const RELATIONS_SQL: &str = "select n.nspname, c.relname from pg_catalog.pg_class c \
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'm', 'f', 'v')";

/// How many large objects there are.
const LARGE_OBJECTS_SQL: &str = "select count(*) from pg_catalog.pg_largeobject_metadata";

/// Names what the target lacks.
///
/// # Errors
/// Those of the connections and of the filter file.
pub(super) async fn notes(follow: &FollowConfig, record: &SlotRecord) -> Result<Vec<Finding>> {
    let now = Box::pin(prepare::followed(follow)).await?;
    let mut source = source::connect_again(&follow.source).await?;
    let mut target = Session::connect(Side::Target, &follow.target, "closing").await?;
    settings::pin(&mut target, SessionRole::TargetWriter).await?;
    let mut findings = missing_tables(&now, &names(&mut target, RELATIONS_SQL, &[]).await?);
    if record.publications_are_ours {
        let said: HashSet<QualifiedName> = findings.iter().filter_map(table_of(&now)).collect();
        findings.extend(unpublished(&mut source, &now, &record.publications, &said).await?);
    }
    warn_of_large_objects(&mut source, &mut target).await?;
    findings.extend(destroyed(follow, &WorkDir::cdc_in(&follow.directory)).await?);
    Ok(findings)
}

/// Names that a query gives.
async fn names(
    session: &mut Session,
    sql: &str,
    values: &[Option<&str>],
) -> Result<HashSet<QualifiedName>> {
    let rows = session.query(sql, values).await?;
    rows.rows.iter().map(|row| Ok(QualifiedName::new(row.text(0)?, row.text(1)?))).collect()
}

/// Tables that the target lacks; a partition may go to a table above it.
fn missing_tables(now: &Followed, there: &HashSet<QualifiedName>) -> Vec<Finding> {
    let missing = |name: &&QualifiedName| {
        !there.contains(*name) && !now.ancestors_of(name).iter().any(|above| there.contains(above))
    };
    let mut names: Vec<&QualifiedName> = now.tables().filter(missing).collect();
    names.sort();
    let finding = |name: &QualifiedName| Finding {
        severity: Severity::Error,
        object: name.to_string(),
        reason: "was made after the copy began: it is not on the target".into(),
        hint: Some("Make it there and copy its rows, or leave it out with a filter.".into()),
    };
    names.into_iter().map(finding).collect()
}

/// The table that a finding names.
fn table_of(now: &Followed) -> impl Fn(&Finding) -> Option<QualifiedName> {
    |finding| now.tables().find(|name| name.to_string() == finding.object).cloned()
}

/// Tables whose changes were not in the stream, because they are in none of our publications.
async fn unpublished(
    source: &mut Session,
    now: &Followed,
    publications: &[String],
    said: &HashSet<QualifiedName>,
) -> Result<Vec<Finding>> {
    let mut published = HashSet::new();
    let sql =
        "select schemaname, tablename from pg_catalog.pg_publication_tables where pubname = $1";
    for publication in publications {
        published.extend(names(source, sql, &[Some(publication)]).await?);
    }
    let tables = publication::read_tables(source).await?;
    let lost = tables.iter().filter(|table| {
        !table.partitioned
            && now.follows(table.oid)
            && !published.contains(&table.name)
            && !said.contains(&table.name)
    });
    let finding = |name: &QualifiedName| Finding {
        severity: Severity::Error,
        object: name.to_string(),
        reason:
            "was not in the stream: it was made, made permanent (SET LOGGED) or taken out of a \
                 partitioned table after following began"
                .into(),
        hint: Some("Copy its rows again after the writes are stopped.".into()),
    };
    Ok(lost.map(|table| finding(&table.name)).collect())
}

/// Says that large objects are not in the stream, where there are any.
async fn warn_of_large_objects(source: &mut Session, target: &mut Session) -> Result<()> {
    let there: u64 = source.query(LARGE_OBJECTS_SQL, &[]).await?.one()?.parse(0)?;
    let here: u64 = target.query(LARGE_OBJECTS_SQL, &[]).await?.one()?.parse(0)?;
    if there > 0 || here > 0 {
        tracing::warn!(
            source = there,
            target = here,
            "large objects are not in the stream: what was made, changed or removed after the copy is \
             not on the target; copy them again with `pgcopydb copy blobs --drop-if-exists`"
        );
    }
    Ok(())
}
