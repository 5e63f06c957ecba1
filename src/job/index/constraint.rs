//! Primary keys, unique and exclusion constraints, and what else a table gets once its indexes
//! stand: replica identity and the index it is clustered on.

use std::time::Instant;

use super::{
    BatchResult, Built, IndexDetails, Outcome, detail_statements, in_tablespace, is_local,
    transaction,
};
use crate::base::error::{Error, ErrorKind, Result, Side};
use crate::base::ident::{QualifiedName, array_literal, quote_identifier};
use crate::catalog::model::{ConstraintKind, Oid};
use crate::connect::client::Session;

/// Looks up what is there.
pub(super) const EXISTING_SQL: &str = include_str!("sql/existing_constraints.sql");

/// What one table gets after its last index.
///
/// One transaction, because each statement takes the same lock on the table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableConstraints {
    /// The table.
    pub table: QualifiedName,
    /// Constraints to add, in this order.
    pub constraints: Vec<ConstraintAdd>,
    /// Name of the index that is the replica identity (REPLICA IDENTITY USING INDEX).
    pub replica_identity: Option<String>,
    /// Name of the index that the table was last clustered on (CLUSTER ON).
    pub clustered: Option<String>,
    /// SQL that records replica identity and clustering index as done, run in the same transaction.
    pub mark: Option<String>,
}

/// One constraint to add.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConstraintAdd {
    /// Source identifier, only handed back.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// What it is.
    pub kind: ConstraintKind,
    /// `pg_get_constraintdef` of the source, schema-qualified. It holds the deferrability.
    pub definition: String,
    /// How it gets its index.
    pub index: ConstraintIndex,
    /// SQL that records it as done, run in the same transaction.
    pub mark: Option<String>,
}

/// How a constraint gets its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConstraintIndex {
    /// Built before by `build_many` under this name, in the table's schema.
    Built {
        /// Name of the index.
        name: String,
        /// DEFERRABLE.
        deferrable: bool,
        /// INITIALLY DEFERRED.
        deferred: bool,
    },
    /// Comes with ADD CONSTRAINT: exclusion constraints and temporal keys, which no CREATE INDEX
    /// can stand for (trap D-1).
    FromDefinition(IndexDetails),
}

impl Default for ConstraintIndex {
    fn default() -> Self {
        Self::FromDefinition(IndexDetails::default())
    }
}

/// What the target has under a constraint's name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Existing {
    /// Nothing.
    Nothing,
    /// The very constraint.
    Same,
    /// Another one, with this definition.
    Other(String),
}

/// Adds the constraints of one table, then sets its replica identity and its clustering index, all
/// in one round trip after one to look.
///
/// Takes an ACCESS EXCLUSIVE lock: to be called when no index of the table is being built.
///
/// # Errors
/// See [`BatchResult`]; there is one result per constraint. An error of the replica identity or of
/// CLUSTER ON is returned as the outer error although the session stays usable, because it belongs
/// to no constraint. Not cancel safe.
pub async fn add_constraints(session: &mut Session, work: &TableConstraints) -> BatchResult {
    let existing = find_existing(session, work).await?;
    let mut statements: Vec<String> = Vec::new();
    for (add, existing) in work.constraints.iter().zip(&existing) {
        statements.extend(constraint_statements(&work.table, add, existing));
    }
    statements.extend(table_statements(work));
    let started = Instant::now();
    let mut results = Vec::with_capacity(work.constraints.len());
    match transaction::run(session, &statements).await {
        Ok(()) => {
            let count = u32::try_from(work.constraints.len().max(1)).unwrap_or(u32::MAX);
            let share = started.elapsed() / count;
            for (add, existing) in work.constraints.iter().zip(&existing) {
                results.push(outcome(&work.table, add, existing).map(|outcome| Built {
                    oid: add.oid,
                    outcome,
                    duration: share,
                }));
            }
        }
        Err(error) if !is_local(&error) => {
            return Err(error.during(format!("add constraints to {}", work.table)));
        }
        Err(_) => add_each(session, work, &existing, &mut results).await?,
    }
    Ok(results)
}

/// Adds the constraints one by one after they failed together, then the rest.
async fn add_each(
    session: &mut Session,
    work: &TableConstraints,
    existing: &[Existing],
    results: &mut Vec<Result<Built>>,
) -> Result<()> {
    for (add, existing) in work.constraints.iter().zip(existing) {
        let started = Instant::now();
        let action = label(&work.table, add);
        let statements = constraint_statements(&work.table, add, existing);
        let result = match outcome(&work.table, add, existing) {
            Err(error) => Err(error),
            Ok(outcome) => match transaction::run(session, &statements).await {
                Ok(()) => Ok(Built { oid: add.oid, outcome, duration: started.elapsed() }),
                Err(error) if is_local(&error) => Err(error.during(action)),
                Err(error) => return Err(error.during(action)),
            },
        };
        results.push(result);
    }
    transaction::run(session, &table_statements(work))
        .await
        .map_err(|error| error.during(format!("set the replica identity of {}", work.table)))
}

/// Names a constraint in messages.
fn label(table: &QualifiedName, add: &ConstraintAdd) -> String {
    format!("add constraint {} to {table}", quote_identifier(&add.name))
}

/// What a constraint becomes, or why it cannot.
fn outcome(table: &QualifiedName, add: &ConstraintAdd, existing: &Existing) -> Result<Outcome> {
    match existing {
        Existing::Nothing => Ok(Outcome::Created),
        Existing::Same => Ok(Outcome::AlreadyThere),
        Existing::Other(found) => Err(definition_differs(table, &add.name, &add.definition, found)),
    }
}

/// The error for a constraint whose name is taken.
pub(super) fn definition_differs(
    table: &QualifiedName,
    name: &str,
    expected: &str,
    found: &str,
) -> Error {
    let name = quote_identifier(name);
    Error::new(
        Side::Target,
        ErrorKind::State(format!("expected definition \"{expected}\", found \"{found}\"")),
    )
    .during(format!("add constraint {name} to {table}"))
    .hint(format!(
        "Run `ALTER TABLE {} DROP CONSTRAINT {name}` on the target, then the same command again.",
        table.sql()
    ))
}

/// The statements that do all of it on a table that has none of it.
pub(super) fn new_statements(work: &TableConstraints) -> Vec<String> {
    let add = |add| constraint_statements(&work.table, add, &Existing::Nothing);
    work.constraints.iter().flat_map(add).chain(table_statements(work)).collect()
}

/// The statements that add one constraint; empty when another one is in the way.
fn constraint_statements(
    table: &QualifiedName,
    add: &ConstraintAdd,
    existing: &Existing,
) -> Vec<String> {
    let mut statements = Vec::new();
    if let Existing::Other(_) = existing {
        return statements;
    }
    let name = quote_identifier(&add.name);
    let prefix = format!("alter table only {} add constraint {name}", table.sql());
    match &add.index {
        ConstraintIndex::Built { name: index, deferrable, deferred } => {
            if *existing == Existing::Nothing {
                let kind = match add.kind {
                    ConstraintKind::PrimaryKey => "primary key",
                    _ => "unique",
                };
                let deferrable = if *deferrable { " deferrable" } else { "" };
                let deferred = if *deferred { " initially deferred" } else { "" };
                let index = quote_identifier(index);
                statements
                    .push(format!("{prefix} {kind} using index {index}{deferrable}{deferred}"));
            }
        }
        ConstraintIndex::FromDefinition(details) => {
            if *existing == Existing::Nothing {
                statements.extend(in_tablespace(
                    details.tablespace.as_deref(),
                    format!("{prefix} {}", add.definition),
                ));
            }
            // Such a constraint's index always has its name and its table's schema.
            let index = QualifiedName::new(&table.schema, &add.name);
            statements.extend(detail_statements(&index, details));
        }
    }
    statements.extend(add.mark.clone());
    statements
}

/// The statements that concern the table as a whole.
fn table_statements(work: &TableConstraints) -> Vec<String> {
    let table = work.table.sql();
    let replica_identity = work.replica_identity.iter().map(|index| {
        let index = quote_identifier(index);
        format!("alter table only {table} replica identity using index {index}")
    });
    let clustered = work
        .clustered
        .iter()
        .map(|index| format!("alter table {table} cluster on {}", quote_identifier(index)));
    replica_identity.chain(clustered).chain(work.mark.clone()).collect()
}

/// Looks up what the target has under the constraints' names.
async fn find_existing(session: &mut Session, work: &TableConstraints) -> Result<Vec<Existing>> {
    let mut existing = vec![Existing::Nothing; work.constraints.len()];
    if existing.is_empty() {
        return Ok(existing);
    }
    let adds = &work.constraints;
    let schemas = array_literal(adds.iter().map(|_| work.table.schema.as_str()));
    let tables = array_literal(adds.iter().map(|_| work.table.name.as_str()));
    let names = array_literal(adds.iter().map(|add| add.name.as_str()));
    let params = [&schemas, &tables, &names].map(|text| Some(text.as_str()));
    for row in &session.query(EXISTING_SQL, &params).await?.rows {
        let index = row.parse::<usize>(0)?.wrapping_sub(1);
        let (Some(add), Some(slot)) = (adds.get(index), existing.get_mut(index)) else {
            return Err(Error::internal("a constraint look-up answered for a name not asked for"));
        };
        let definition = row.text(1)?;
        *slot = if definition == add.definition {
            Existing::Same
        } else {
            Existing::Other(definition.to_owned())
        };
    }
    Ok(existing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> QualifiedName {
        QualifiedName::new("s", "t")
    }

    fn key(deferrable: bool, deferred: bool) -> ConstraintAdd {
        ConstraintAdd {
            name: "t_pkey".into(),
            kind: ConstraintKind::PrimaryKey,
            definition: "PRIMARY KEY (id)".into(),
            index: ConstraintIndex::Built { name: "t_pkey".into(), deferrable, deferred },
            ..ConstraintAdd::default()
        }
    }

    // trap D-2
    #[test]
    fn deferrability_is_kept_when_an_index_is_attached() {
        let sql = |add: &ConstraintAdd| constraint_statements(&table(), add, &Existing::Nothing);
        let prefix = "alter table only \"s\".\"t\" add constraint \"t_pkey\" primary key using \
                      index \"t_pkey\"";
        assert_eq!(sql(&key(false, false)), [prefix]);
        assert_eq!(sql(&key(true, false)), [format!("{prefix} deferrable")]);
        assert_eq!(sql(&key(true, true)), [format!("{prefix} deferrable initially deferred")]);
    }

    // trap D-1
    #[test]
    fn an_exclusion_constraint_comes_from_its_definition_once() {
        let add = ConstraintAdd {
            name: "x".into(),
            kind: ConstraintKind::Exclusion,
            definition: "EXCLUDE USING gist (r WITH &&) DEFERRABLE".into(),
            index: ConstraintIndex::FromDefinition(IndexDetails {
                tablespace: Some("fast".into()),
                statistics: vec![(1, 20)],
                depends_on_extensions: Vec::new(),
            }),
            ..ConstraintAdd::default()
        };
        assert_eq!(
            constraint_statements(&table(), &add, &Existing::Nothing),
            [
                "set local default_tablespace = 'fast'",
                "alter table only \"s\".\"t\" add constraint \"x\" EXCLUDE USING gist (r WITH &&) \
                 DEFERRABLE",
                "set local default_tablespace = ''",
                "alter index \"s\".\"x\" alter column 1 set statistics 20",
            ]
        );
    }

    #[test]
    fn another_constraint_of_that_name_is_an_error_that_shows_both() {
        let existing = Existing::Other("PRIMARY KEY (other)".into());
        assert!(constraint_statements(&table(), &key(false, false), &existing).is_empty());
        let error = outcome(&table(), &key(false, false), &existing).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("PRIMARY KEY (id)") && text.contains("PRIMARY KEY (other)"),
            "{text}"
        );
    }

    #[test]
    fn table_flags_follow_the_constraints() {
        let work = TableConstraints {
            table: table(),
            replica_identity: Some("t_uq".into()),
            clustered: Some("t_ix".into()),
            mark: Some("mark".into()),
            ..TableConstraints::default()
        };
        assert_eq!(
            table_statements(&work),
            [
                "alter table only \"s\".\"t\" replica identity using index \"t_uq\"",
                "alter table \"s\".\"t\" cluster on \"t_ix\"",
                "mark",
            ]
        );
    }
}
