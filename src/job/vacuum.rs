//! VACUUM and ANALYZE of the target's tables.
//!
//! A table loaded with FREEZE on a version 14 or later needs ANALYZE only (K4). Statistics are no
//! part of the data: a table that cannot be analyzed is a finding, never a failed run.
//!
//! Autovacuum while tables are loaded (trap X-20): a whole table is truncated and loaded in one
//! transaction, whose ACCESS EXCLUSIVE lock keeps autovacuum away. A table loaded in parts is open
//! to it, but it can only cost I/O: its lock conflicts with none of ours except CREATE INDEX and
//! ALTER TABLE, and there the server cancels it in our favour after `deadlock_timeout`. One against
//! wraparound is not cancelled: the step waits until it ends. So nothing is switched off, and nothing has
//! to be switched on again after an abort.

use crate::base::error::Result;
use crate::base::ident::QualifiedName;
use crate::base::summary::{Finding, Severity};
use crate::connect::client::Session;

/// What to do with the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VacuumWork {
    /// ANALYZE: the visibility map is set already.
    Analyze,
    /// ANALYZE of partitioned or inheritance parents only, for the statistics of the whole tree.
    /// Before version 18 the children are analyzed again.
    AnalyzeParents,
    /// VACUUM (ANALYZE).
    VacuumAnalyze,
}

/// Tables to vacuum or analyze on one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VacuumJob {
    /// The tables.
    pub tables: Vec<QualifiedName>,
    /// What to do.
    pub work: VacuumWork,
    /// SQL that records the tables as done. VACUUM cannot run inside a transaction, so it runs after.
    pub mark: Option<String>,
}

/// Most tables in one statement. The server handles each in a transaction of its own, so the number
/// only bounds what is repeated table by table after a failure.
const TABLES_PER_STATEMENT: usize = 200;

/// Waits until all commits so far are on the target's disk.
///
/// Rows are loaded with `synchronous_commit` off. VACUUM marks a page all-visible only when the commits
/// of its rows are flushed, so without this it would leave the last part's pages unmarked for good.
/// Source: SetHintBits, src/backend/access/heap/heapam_visibility.c.
const FLUSH_SQL: &str = "begin; set local synchronous_commit = on; \
                         select pg_catalog.pg_logical_emit_message(true, 'pgcopydb', ''); commit";

/// First version whose VACUUM can leave `pg_database` alone.
const VERSION_SKIP_DATABASE_STATS: u32 = 160_000;
/// First version whose ANALYZE can leave the children out.
const VERSION_ANALYZE_ONLY: u32 = 180_000;

/// Runs the job in as few statements as possible; a statement that fails is repeated table by
/// table. Returns a finding for each table that could not be done.
///
/// # Errors
/// Only when the session is lost, or the mark fails. Not cancel safe.
pub async fn run(session: &mut Session, job: &VacuumJob) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let version = session.version();
    if job.work == VacuumWork::VacuumAnalyze {
        session.execute(FLUSH_SQL).await.map_err(|error| error.during("flush commits"))?;
    }
    for tables in job.tables.chunks(TABLES_PER_STATEMENT) {
        let Err(error) = session.execute(&statement(job.work, tables, version)).await else {
            continue;
        };
        if error.as_server().is_none_or(|server| server.severity != "ERROR") {
            return Err(error.during("analyze"));
        }
        for table in tables {
            let one = statement(job.work, std::slice::from_ref(table), version);
            if let Err(error) = session.execute(&one).await {
                match error.as_server() {
                    Some(server) if server.severity == "ERROR" => {
                        findings.push(not_analyzed(table, &one, &error.to_string()));
                    }
                    _ => return Err(error.during(format!("analyze {table}"))),
                }
            }
        }
    }
    if let Some(mark) = &job.mark {
        session.execute(mark).await?;
    }
    Ok(findings)
}

/// ANALYZE of one table, for a transaction that does more; unlike VACUUM it may run inside one.
pub fn analyze_statement(table: &QualifiedName) -> String {
    statement(VacuumWork::Analyze, std::slice::from_ref(table), 0)
}

/// The statement for some tables on a server of this major version.
fn statement(work: VacuumWork, tables: &[QualifiedName], version: u32) -> String {
    let only = match work {
        VacuumWork::AnalyzeParents if version >= VERSION_ANALYZE_ONLY => "only ",
        _ => "",
    };
    let names: Vec<String> = tables.iter().map(|table| format!("{only}{}", table.sql())).collect();
    let names = names.join(", ");
    match work {
        VacuumWork::Analyze | VacuumWork::AnalyzeParents => format!("analyze {names}"),
        VacuumWork::VacuumAnalyze if version >= VERSION_SKIP_DATABASE_STATS => {
            format!("vacuum (analyze, skip_database_stats) {names}")
        }
        VacuumWork::VacuumAnalyze => format!("vacuum (analyze) {names}"),
    }
}

/// The finding for a table that could not be done.
fn not_analyzed(table: &QualifiedName, statement: &str, reason: &str) -> Finding {
    Finding {
        severity: Severity::Warning,
        object: table.to_string(),
        reason: format!("no statistics were gathered: {reason}"),
        hint: Some(format!("Run `{statement}` on the target before queries depend on its plans.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> Vec<QualifiedName> {
        vec![QualifiedName::new("s", "a"), QualifiedName::new("s", "B c")]
    }

    #[test]
    fn one_statement_names_every_table() {
        let sql = |work, version| statement(work, &tables(), version);
        assert_eq!(sql(VacuumWork::Analyze, 150_000), "analyze \"s\".\"a\", \"s\".\"B c\"");
        assert_eq!(
            sql(VacuumWork::VacuumAnalyze, 150_000),
            "vacuum (analyze) \"s\".\"a\", \"s\".\"B c\""
        );
        assert_eq!(
            sql(VacuumWork::VacuumAnalyze, 160_000),
            "vacuum (analyze, skip_database_stats) \"s\".\"a\", \"s\".\"B c\""
        );
    }

    #[test]
    fn parents_leave_their_children_alone_where_the_server_can() {
        let sql = |version| statement(VacuumWork::AnalyzeParents, &tables(), version);
        assert_eq!(sql(170_000), "analyze \"s\".\"a\", \"s\".\"B c\"");
        assert_eq!(sql(180_000), "analyze only \"s\".\"a\", only \"s\".\"B c\"");
    }
}
