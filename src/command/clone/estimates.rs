//! `--estimate-table-sizes`: fresh statistics on the source, so that sizes taken from them are true.

use crate::base::error::Result;
use crate::base::ident::QualifiedName;
use crate::base::summary::Finding;
use crate::catalog::model::ServerFacts;
use crate::config::CloneConfig;
use crate::connect::client::Session;
use crate::job::vacuum::{self, VacuumJob, VacuumWork};

/// First version with the MAINTAIN privilege.
const VERSION_MAINTAIN: u32 = 170_000;

/// Tables and materialized views of the user that our role may analyze, largest first: the owner of
/// the table or of the database may; the server only warns about others and leaves them out.
fn tables_sql(version: u32) -> String {
    let maintain = if version >= VERSION_MAINTAIN {
        "or pg_catalog.has_table_privilege(c.oid, 'maintain')"
    } else {
        ""
    };
    format!(
        "select n.nspname, c.relname from pg_catalog.pg_class c \
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
         where c.relkind in ('r', 'm') and c.relpersistence <> 't' \
         and n.nspname <> 'information_schema' and n.nspname !~ '^pg_' \
         and (pg_catalog.pg_has_role(c.relowner, 'usage') \
         or exists (select from pg_catalog.pg_database d \
         where d.datname = pg_catalog.current_database() \
         and pg_catalog.pg_has_role(d.datdba, 'usage')) {maintain}) \
         order by c.relpages desc, c.oid"
    )
}

/// Analyzes the source's tables when sizes are to be estimated; before the snapshot, whose queries then
/// see the new sizes. Does nothing on a standby, which has its primary's statistics, and with
/// `--skip-analyze`. Returns a finding for each table that could not be analyzed.
///
/// # Errors
/// Only when the session is lost or the tables cannot be listed. Not cancel safe.
pub(super) async fn refresh(
    config: &CloneConfig,
    server: &ServerFacts,
    source: &mut Session,
) -> Result<Vec<Finding>> {
    if !config.split.estimate_sizes || config.skip.analyze {
        return Ok(Vec::new());
    }
    if server.standby {
        tracing::warn!(
            "the source is a standby: sizes are estimated from its primary's statistics"
        );
        return Ok(Vec::new());
    }
    let rows = source.query(&tables_sql(server.version), &[]).await?;
    let names = rows.rows.iter().map(|row| Ok(QualifiedName::new(row.text(0)?, row.text(1)?)));
    let tables = names.collect::<Result<Vec<_>>>()?;
    tracing::info!(tables = tables.len(), "analyzing the source's tables; --skip-analyze does not");
    let job = VacuumJob { tables, work: VacuumWork::Analyze, mark: None };
    let findings = vacuum::run(source, &job).await?;
    Ok(findings.into_iter().map(of_source).collect())
}

/// A finding about a table of the source.
fn of_source(finding: Finding) -> Finding {
    Finding {
        reason: finding
            .reason
            .replace("no statistics were gathered", "its size is an old estimate"),
        hint: Some("The copy is complete; only the order and the split of tables go by it.".into()),
        ..finding
    }
}
