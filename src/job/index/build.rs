//! CREATE INDEX: one or many on one session.

use std::time::{Duration, Instant};

use super::{
    BATCH_LENGTH_MAX, BatchResult, Built, IndexDetails, Outcome, detail_statements, in_tablespace,
    is_local, transaction,
};
use crate::base::error::{Error, ErrorKind, Result, Side};
use crate::base::ident::{QualifiedName, array_literal};
use crate::catalog::model::Oid;
use crate::connect::client::Session;

/// Looks up what is there.
const EXISTING_SQL: &str = include_str!("sql/existing_indexes.sql");

/// One index to build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexBuild {
    /// Source identifier, only handed back.
    pub oid: Oid,
    /// Name.
    pub name: QualifiedName,
    /// The table or materialized view it belongs to.
    pub table: QualifiedName,
    /// `pg_get_indexdef` of the source, schema-qualified.
    pub definition: String,
    /// What the definition does not say.
    pub details: IndexDetails,
    /// SQL that records it as done, run in the same transaction.
    pub mark: Option<String>,
}

/// What the target has under an index's name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Existing {
    /// Nothing.
    Nothing,
    /// The very index, valid.
    Same,
    /// Something that may be dropped: invalid, or another definition and no constraint on it.
    Stale,
    /// Something that is not ours to drop; the text says what was found.
    Foreign(String),
}

/// Builds the indexes, in order, in as few round trips as possible: one to look, one per
/// [`BATCH_LENGTH_MAX`] to build.
///
/// Large indexes belong into a call of their own, so that several sessions can share the work; the
/// many small ones of a table belong into one. Indexes of several tables may be mixed: they are
/// locked in the order given, which must be the same in every session (by table, for example).
///
/// # Errors
/// See [`BatchResult`]. Typical inner ones: `23505` where the rows contradict a unique index,
/// `53100` when the disk is full, `58P01` or `42704` for an operator class whose extension is
/// missing. Not cancel safe: a dropped call leaves the session inside a transaction.
pub async fn build_many(session: &mut Session, builds: &[IndexBuild]) -> BatchResult {
    let mut results = Vec::with_capacity(builds.len());
    for batch in builds.chunks(BATCH_LENGTH_MAX) {
        let existing = find_existing(session, batch).await?;
        let statements: Vec<String> = batch
            .iter()
            .zip(&existing)
            .flat_map(|(build, existing)| statements(build, existing))
            .collect();
        let started = Instant::now();
        match transaction::run(session, &statements).await {
            Ok(()) => {
                let share = share_of(started.elapsed(), batch.len());
                results.extend(batch.iter().zip(&existing).map(|(build, existing)| {
                    outcome(existing, build).map(|outcome| Built {
                        oid: build.oid,
                        outcome,
                        duration: share,
                    })
                }));
            }
            Err(error) if !is_local(&error) => return Err(error.during(label(batch))),
            Err(error) if batch.len() == 1 => results.push(Err(error.during(label(batch)))),
            Err(_) => build_each(session, batch, &existing, &mut results).await?,
        }
    }
    Ok(results)
}

/// Builds the members of a batch that failed as a whole, each in its own transaction.
async fn build_each(
    session: &mut Session,
    batch: &[IndexBuild],
    existing: &[Existing],
    results: &mut Vec<Result<Built>>,
) -> Result<()> {
    for (build, existing) in batch.iter().zip(existing) {
        let started = Instant::now();
        let result = match outcome(existing, build) {
            Err(error) => Err(error),
            Ok(outcome) => match transaction::run(session, &statements(build, existing)).await {
                Ok(()) => Ok(Built { oid: build.oid, outcome, duration: started.elapsed() }),
                Err(error) if is_local(&error) => {
                    Err(error.during(label(std::slice::from_ref(build))))
                }
                Err(error) => return Err(error.during(label(std::slice::from_ref(build)))),
            },
        };
        results.push(result);
    }
    Ok(())
}

/// What an index becomes, or why it cannot.
fn outcome(existing: &Existing, build: &IndexBuild) -> Result<Outcome> {
    match existing {
        Existing::Nothing => Ok(Outcome::Created),
        Existing::Same => Ok(Outcome::AlreadyThere),
        Existing::Stale => Ok(Outcome::Rebuilt),
        Existing::Foreign(found) => Err(Error::new(
            Side::Target,
            ErrorKind::State(format!("expected \"{}\", found {found}", build.definition)),
        )
        .during(format!("create index {}", build.name))
        .hint("Drop or rename what is in the way on the target, then run the same command again.")),
    }
}

/// The statements that build an index where nothing stands in the way.
pub(super) fn new_statements(build: &IndexBuild) -> Vec<String> {
    statements(build, &Existing::Nothing)
}

/// The statements that build one index; empty when something foreign is in the way.
fn statements(build: &IndexBuild, existing: &Existing) -> Vec<String> {
    let mut statements = Vec::new();
    match existing {
        Existing::Foreign(_) => return statements,
        Existing::Same => {}
        Existing::Stale => {
            statements.push(format!("drop index {}", build.name.sql()));
            statements.extend(in_tablespace(
                build.details.tablespace.as_deref(),
                build.definition.clone(),
            ));
        }
        Existing::Nothing => statements
            .extend(in_tablespace(build.details.tablespace.as_deref(), build.definition.clone())),
    }
    statements.extend(detail_statements(&build.name, &build.details));
    statements.extend(build.mark.clone());
    statements
}

/// Looks up what the target has under the names of a batch.
async fn find_existing(session: &mut Session, batch: &[IndexBuild]) -> Result<Vec<Existing>> {
    let schemas = array_literal(batch.iter().map(|build| build.name.schema.as_str()));
    let names = array_literal(batch.iter().map(|build| build.name.name.as_str()));
    let table_schemas = array_literal(batch.iter().map(|build| build.table.schema.as_str()));
    let table_names = array_literal(batch.iter().map(|build| build.table.name.as_str()));
    let params = [&schemas, &names, &table_schemas, &table_names].map(|text| Some(text.as_str()));
    let rows = session.query(EXISTING_SQL, &params).await?;
    let mut existing = vec![Existing::Nothing; batch.len()];
    for row in &rows.rows {
        let position: usize = row.parse(0)?;
        let index = position.wrapping_sub(1);
        let (Some(build), Some(slot)) = (batch.get(index), existing.get_mut(index)) else {
            return Err(Error::internal("an index look-up answered for a name not asked for"));
        };
        *slot = judge(
            build,
            &Found {
                is_index: row.flag(1)?,
                on_table: row.flag(2)?,
                valid: row.flag(3)?,
                definition: row.text(4)?,
                has_constraint: row.flag(5)?,
            },
        );
    }
    Ok(existing)
}

/// One row of the look-up.
struct Found<'a> {
    /// It is an index at all.
    is_index: bool,
    /// It belongs to the table expected.
    on_table: bool,
    /// It is valid, ready and live.
    valid: bool,
    /// `pg_get_indexdef`.
    definition: &'a str,
    /// A constraint stands on it, so that it cannot be dropped alone.
    has_constraint: bool,
}

/// Decides what to do with what is there.
fn judge(build: &IndexBuild, found: &Found<'_>) -> Existing {
    if !found.is_index {
        return Existing::Foreign("another relation of that name".to_owned());
    }
    if !found.on_table {
        return Existing::Foreign(format!("\"{}\" on another table", found.definition));
    }
    if found.valid && found.definition == build.definition {
        return Existing::Same;
    }
    if found.has_constraint {
        return Existing::Foreign(format!("\"{}\" under a constraint", found.definition));
    }
    Existing::Stale
}

/// Names a batch in messages.
fn label(batch: &[IndexBuild]) -> String {
    match batch {
        [] => "create no index".to_owned(),
        [one] => format!("create index {}", one.name),
        [first, ..] => format!("create index {} and {} more", first.name, batch.len() - 1),
    }
}

/// An equal share of a batch's time.
fn share_of(total: Duration, count: usize) -> Duration {
    total / u32::try_from(count.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build() -> IndexBuild {
        IndexBuild {
            oid: 7,
            name: QualifiedName::new("s", "i"),
            table: QualifiedName::new("s", "t"),
            definition: "CREATE INDEX i ON s.t USING btree (a)".into(),
            mark: Some("insert into ledger".into()),
            ..IndexBuild::default()
        }
    }

    fn found(definition: &str) -> Found<'_> {
        Found { is_index: true, on_table: true, valid: true, definition, has_constraint: false }
    }

    // trap X-9
    #[test]
    fn only_a_valid_index_with_the_same_definition_counts_as_done() {
        let build = build();
        let same = build.definition.clone();
        assert_eq!(judge(&build, &found(&same)), Existing::Same);
        assert_eq!(judge(&build, &Found { valid: false, ..found(&same) }), Existing::Stale);
        assert_eq!(judge(&build, &found("CREATE INDEX i ON s.t USING btree (b)")), Existing::Stale);
    }

    #[test]
    fn what_is_not_ours_is_never_dropped() {
        let build = build();
        let same = build.definition.clone();
        for found in [
            Found { is_index: false, ..found("") },
            Found { on_table: false, ..found(&same) },
            Found { has_constraint: true, ..found("CREATE INDEX i ON s.t USING btree (b)") },
        ] {
            let existing = judge(&build, &found);
            assert!(matches!(existing, Existing::Foreign(_)), "{existing:?}");
            assert!(statements(&build, &existing).is_empty());
            assert!(outcome(&existing, &build).is_err());
        }
    }

    #[test]
    fn a_stale_index_is_dropped_in_the_transaction_that_builds_the_new_one() {
        assert_eq!(
            statements(&build(), &Existing::Stale),
            [
                "drop index \"s\".\"i\"",
                "CREATE INDEX i ON s.t USING btree (a)",
                "insert into ledger"
            ]
        );
    }

    #[test]
    fn an_index_that_is_there_still_gets_its_details_and_its_mark() {
        let mut build = build();
        build.details.statistics = vec![(1, 10)];
        assert_eq!(
            statements(&build, &Existing::Same),
            ["alter index \"s\".\"i\" alter column 1 set statistics 10", "insert into ledger"]
        );
    }
}
