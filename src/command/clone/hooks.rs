//! Calls that some extensions ask for while a database is filled.
//!
//! | extension | before rows | at the end |
//! |---|---|---|
//! | `timescaledb` | `timescaledb_pre_restore()` | `timescaledb_post_restore()` |
//! | `citus` | `create_distributed_table()`, `create_reference_table()` for each table of `citus_tables` | |
//!
//! Each call and its row in the ledger are one transaction, so a run that is continued makes it once; the
//! last call is made in the transaction that removes the ledger. The functions are looked for among the
//! members of the extension on the target: without it nothing is called.

use std::collections::{BTreeMap, HashSet};

use crate::base::error::{Error, Result};
use crate::base::ident::{QualifiedName, quote_identifier, quote_literal};
use crate::base::summary::{Finding, Severity};
use crate::catalog::model::Oid;
use crate::connect::client::Session;
use crate::filter::Selection;
use crate::ledger::{self, ObjectKind};
use crate::plan::Plan;

/// The time-series extension.
const TIMESCALEDB: &str = "timescaledb";

/// The extension that spreads tables over servers.
const CITUS: &str = "citus";

/// What `citus_tables` says where a table has no distribution column.
/// Source: <https://docs.citusdata.com/en/stable/develop/api_metadata.html>, "Citus tables view".
const NO_COLUMN: &str = "<none>";

/// Schemas of the members of an extension with a name. $1 is the extension, $2 the member.
const MEMBER_SQL: &str = "select n.nspname \
    from pg_catalog.pg_extension e \
    join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass \
        and d.refobjid = e.oid and d.deptype = 'e' \
    left join pg_catalog.pg_proc p on d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass \
        and p.oid = d.objid and p.proname = $2::pg_catalog.text \
    left join pg_catalog.pg_class c on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
        and c.oid = d.objid and c.relname = $2::pg_catalog.text \
    join pg_catalog.pg_namespace n on n.oid = coalesce(p.pronamespace, c.relnamespace) \
    where e.extname = $1::pg_catalog.text order by n.nspname limit 1";

/// How a table is spread.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Spread {
    /// By a column, into a number of shards, together with the others of a group; without a column it
    /// has one shard.
    Distributed { column: Option<String>, group: i64, shards: i64 },
    /// A copy on every server.
    Reference,
    /// In a way that is not carried over.
    Other(String),
}

/// A table that Citus manages on the source.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CitusTable {
    oid: Oid,
    name: QualifiedName,
    spread: Spread,
}

/// What the source's extensions ask for.
#[derive(Debug, Clone, Default)]
pub(super) struct Hooks {
    timescaledb: bool,
    /// By name.
    citus: Vec<CitusTable>,
}

/// What became of the calls before rows.
#[derive(Debug, Default)]
pub(super) struct BeforeRows {
    /// What was left out.
    pub(super) findings: Vec<Finding>,
    /// Statements for the end of the run.
    pub(super) at_the_end: String,
}

impl Hooks {
    /// Reads what is needed of the source. The session is in no transaction.
    ///
    /// # Errors
    /// Those of the queries.
    pub(super) async fn read(extensions: &[&str], source: &mut Session) -> Result<Self> {
        let timescaledb = extensions.contains(&TIMESCALEDB);
        let mut citus = Vec::new();
        if extensions.contains(&CITUS)
            && let Some(schema) = member(CITUS, "citus_tables", source).await?
        {
            citus = citus_tables(&schema, source).await?;
        }
        Ok(Self { timescaledb, citus })
    }

    /// Forgets what the filters leave out.
    pub(super) fn keep(&mut self, selection: &Selection) {
        self.timescaledb &= selection.keeps_extension(TIMESCALEDB);
        let citus = selection.keeps_extension(CITUS);
        self.citus.retain(|table| citus && selection.keeps_table(table.oid));
    }

    /// Makes the calls that come between pre-data and rows, each once per run, and plans the load of the
    /// tables that are no ordinary ones on the target.
    ///
    /// # Errors
    /// The server's, naming the call.
    pub(super) async fn before_rows(
        &self,
        plan: &mut Plan,
        target: &mut Session,
    ) -> Result<BeforeRows> {
        let mut outcome = BeforeRows::default();
        if !self.timescaledb && self.citus.is_empty() {
            return Ok(outcome);
        }
        let done = ledger::objects(target, ObjectKind::Hook).await?;
        if self.timescaledb {
            let names = ["timescaledb_pre_restore", "timescaledb_post_restore"];
            let pre = member(TIMESCALEDB, names[0], target).await?;
            let post = member(TIMESCALEDB, names[1], target).await?;
            match (pre, post) {
                (Some(pre), Some(post)) => {
                    let call = format!("{}.timescaledb_pre_restore()", quote_identifier(&pre));
                    call_once(&call, 0, &done, target).await?;
                    let post = quote_identifier(&post);
                    outcome.at_the_end = format!("select {post}.timescaledb_post_restore();\n");
                }
                (Some(_), None) => outcome.findings.push(no_function(TIMESCALEDB, names[1])),
                (None, _) => outcome.findings.push(no_function(TIMESCALEDB, names[0])),
            }
        }
        self.distribute(plan, &done, target, &mut outcome).await?;
        Ok(outcome)
    }

    /// Spreads the tables as they are on the source.
    async fn distribute(
        &self,
        plan: &mut Plan,
        done: &std::collections::BTreeSet<i64>,
        target: &mut Session,
        outcome: &mut BeforeRows,
    ) -> Result<()> {
        if self.citus.is_empty() {
            return Ok(());
        }
        let distributed = member(CITUS, "create_distributed_table", target).await?;
        let reference = member(CITUS, "create_reference_table", target).await?;
        let (Some(distributed), Some(reference)) = (&distributed, &reference) else {
            let lacking = match distributed {
                None => "create_distributed_table",
                Some(_) => "create_reference_table",
            };
            outcome.findings.push(no_function(CITUS, lacking));
            return Ok(());
        };
        let schemas = (quote_identifier(distributed), quote_identifier(reference));
        let mut spread = HashSet::new();
        for (table, call) in calls(&self.citus, &schemas) {
            match call {
                Ok(call) => {
                    call_once(&call, table.oid.into(), done, target).await?;
                    spread.insert(table.oid);
                }
                Err(kind) => outcome.findings.push(Finding {
                    severity: Severity::Warning,
                    object: format!("table {}", table.name),
                    reason: format!(
                        "Citus has it as \"{kind}\" on the source; it is an ordinary table on the \
                         target"
                    ),
                    hint: None,
                }),
            }
        }
        for table in plan.tables.iter_mut().filter(|table| spread.contains(&table.oid)) {
            table.append_only();
        }
        Ok(())
    }
}

/// The calls that spread tables, in their order: of each group the first by name with its number of shards
/// and in no group yet, the others beside it; then reference tables. For a table that cannot be carried
/// over, what it is instead.
fn calls<'a>(
    tables: &'a [CitusTable],
    (distributed, reference): &(String, String),
) -> Vec<(&'a CitusTable, Result<String, String>)> {
    let literal = |name: &QualifiedName| quote_literal(&name.sql());
    let mut sorted: Vec<&CitusTable> = tables.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let mut groups: BTreeMap<i64, &QualifiedName> = BTreeMap::new();
    let (mut calls, mut last) = (Vec::new(), Vec::new());
    for table in sorted {
        let name = format!("{}::pg_catalog.regclass", literal(&table.name));
        match &table.spread {
            Spread::Distributed { column, group, shards } => {
                let beside = match (groups.get(group), column) {
                    (Some(first), _) => format!("colocate_with => {}", literal(first)),
                    (None, Some(_)) => format!("shard_count => {shards}, colocate_with => 'none'"),
                    // Citus refuses a number of shards here.
                    (None, None) => "colocate_with => 'none'".to_owned(),
                };
                groups.entry(*group).or_insert(&table.name);
                let column = column.as_deref().map_or("null".to_owned(), quote_literal);
                let call =
                    format!("{distributed}.create_distributed_table({name}, {column}, {beside})");
                calls.push((table, Ok(call)));
            }
            Spread::Reference => {
                last.push((table, Ok(format!("{reference}.create_reference_table({name})"))));
            }
            Spread::Other(kind) => last.push((table, Err(kind.clone()))),
        }
    }
    calls.append(&mut last);
    calls
}

/// Calls a function unless this run has called it, and records it in the same transaction.
async fn call_once(
    call: &str,
    key: i64,
    done: &std::collections::BTreeSet<i64>,
    target: &mut Session,
) -> Result<()> {
    if done.contains(&key) {
        return Ok(());
    }
    let mark = ledger::object_sql(ObjectKind::Hook, key);
    if let Err(error) = target.execute(&format!("begin; select {call}; {mark}; commit")).await {
        if !target.is_broken() {
            target.execute("rollback").await?;
        }
        return Err(error.during(format!("call {call}")));
    }
    tracing::info!(call, "called a function of an extension");
    Ok(())
}

/// The schema of an extension's member, when there is one of this name.
async fn member(extension: &str, name: &str, session: &mut Session) -> Result<Option<String>> {
    let rows = session.query(MEMBER_SQL, &[Some(extension), Some(name)]).await?;
    rows.rows.first().map(|row| row.text(0).map(str::to_owned)).transpose()
}

/// The tables that Citus manages on the source; partitions come with their parent.
async fn citus_tables(schema: &str, source: &mut Session) -> Result<Vec<CitusTable>> {
    let sql = format!(
        "select c.oid, n.nspname, c.relname, t.citus_table_type::pg_catalog.text, \
                t.distribution_column::pg_catalog.text, t.colocation_id::pg_catalog.int8, \
                t.shard_count::pg_catalog.int8 \
         from {}.citus_tables t \
         join pg_catalog.pg_class c on c.oid = t.table_name::pg_catalog.oid \
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
         where not c.relispartition \
         order by n.nspname, c.relname",
        quote_identifier(schema)
    );
    let rows = source
        .query(&sql, &[])
        .await
        .map_err(|error: Error| error.during("read the tables that Citus manages"))?;
    let table = |row: &crate::connect::client::Row| {
        let kind = row.text(3)?;
        Ok(CitusTable {
            oid: row.parse(0)?,
            name: QualifiedName::new(row.text(1)?, row.text(2)?),
            spread: match kind {
                "distributed" => Spread::Distributed {
                    column: Some(row.text(4)?).filter(|name| *name != NO_COLUMN).map(str::to_owned),
                    group: row.parse(5)?,
                    shards: row.parse(6)?,
                },
                "reference" => Spread::Reference,
                other => Spread::Other(other.to_owned()),
            },
        })
    };
    rows.rows.iter().map(table).collect()
}

/// The finding of an extension that lacks the function to call.
fn no_function(extension: &str, function: &str) -> Finding {
    Finding {
        severity: Severity::Warning,
        object: format!("extension {extension}"),
        reason: format!("it has no function {function} on the target, so it is not called"),
        hint: Some(format!(
            "Install the version of the source: `pgcopydb list extensions --requirements --json`, \
             then --requirements; the documentation of {extension} says what its tables need."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_begins_with_its_first_table_and_reference_tables_come_last() {
        let table =
            |name: &str, spread| CitusTable { oid: 1, name: QualifiedName::new("s", name), spread };
        let by = |column: Option<&str>, group| Spread::Distributed {
            column: column.map(str::to_owned),
            group,
            shards: 8,
        };
        let spread = |group| by(Some("k"), group);
        let tables = [
            table("d", spread(2)),
            table("a", Spread::Reference),
            table("c", spread(1)),
            table("b", spread(1)),
            table("e", Spread::Other("local".into())),
            table("f", by(None, 3)),
            table("g", by(None, 3)),
        ];
        let found = calls(&tables, &("p".to_owned(), "q".to_owned()));
        let texts: Vec<_> = found
            .iter()
            .map(|(_, call)| call.clone().unwrap_or_else(|kind| format!("not {kind}")))
            .collect();
        let regclass = |name: &str| format!("'\"s\".\"{name}\"'::pg_catalog.regclass");
        let (b, c, d, a) = (regclass("b"), regclass("c"), regclass("d"), regclass("a"));
        let (f, g) = (regclass("f"), regclass("g"));
        let first = "shard_count => 8, colocate_with => 'none'";
        assert_eq!(
            texts,
            [
                format!("p.create_distributed_table({b}, 'k', {first})"),
                format!("p.create_distributed_table({c}, 'k', colocate_with => '\"s\".\"b\"')"),
                format!("p.create_distributed_table({d}, 'k', {first})"),
                format!("p.create_distributed_table({f}, null, colocate_with => 'none')"),
                format!("p.create_distributed_table({g}, null, colocate_with => '\"s\".\"f\"')"),
                format!("q.create_reference_table({a})"),
                "not local".to_owned(),
            ]
        );
    }
}
