//! Foreign keys: added NOT VALID, then validated in parallel, and never the end of a run.
//!
//! A foreign key whose rows reference nothing (its triggers were off once, trap D-6) stays NOT VALID
//! on the target: it guards new rows, and the run reports it with sample keys and ends non-zero.
//!
//! Partitioned tables cannot have NOT VALID foreign keys before version 18. There [`add_foreign_keys`]
//! reads the rows itself; when they contradict the key, it is missing on the target.

use std::time::{Duration, Instant};

use super::constraint::definition_differs;
use super::{BATCH_LENGTH_MAX, Built, Outcome, is_local, transaction};
use crate::base::error::{Error, Result};
use crate::base::ident::{QualifiedName, array_literal, quote_identifier};
use crate::base::summary::{Finding, Severity};
use crate::catalog::model::Oid;
use crate::connect::client::Session;

/// Looks up what is there.
const EXISTING_SQL: &str = include_str!("sql/existing_foreign_keys.sql");
/// Builds the query for sample keys.
const ORPHAN_QUERY_SQL: &str = include_str!("sql/orphan_query.sql");

/// SQLSTATE `foreign_key_violation`.
const FOREIGN_KEY_VIOLATION: &str = "23503";
/// First version whose partitioned tables can have NOT VALID foreign keys.
const VERSION_PARTITIONED_NOT_VALID: u32 = 180_000;
/// What `pg_get_constraintdef` says of a foreign key that was never validated.
const NOT_VALID: &str = " NOT VALID";

/// One foreign key. Clones that a partitioned table's foreign key made are not among them (trap
/// D-7).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForeignKey {
    /// Source identifier, only handed back.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// The table it is on.
    pub table: QualifiedName,
    /// The table it references.
    pub referenced: QualifiedName,
    /// `pg_get_constraintdef` of the source, schema-qualified.
    pub definition: String,
    /// The source has validated it, so it must be valid here too. False for NOT VALID and for NOT
    /// ENFORCED ones.
    pub validated: bool,
    /// SQL that records the work of the function called, run in its transaction and only when it
    /// succeeded: the two functions get different ones.
    pub mark: Option<String>,
}

/// What became of a foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignKeyOutcome {
    /// The work is done.
    Done(Built),
    /// The rows contradict it. It is NOT VALID, or missing where that cannot be; the mark was not
    /// run, so the next run tries again.
    Degraded(Finding),
}

/// What the target has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Existing {
    /// The table is partitioned.
    partitioned: bool,
    /// Definition without NOT VALID, when it exists.
    definition: Option<String>,
    /// `convalidated`.
    validated: bool,
}

/// A result per foreign key, in the order asked for. Outer error: the session is lost; inner error:
/// this key failed for another reason than its rows.
pub type ForeignKeyBatchResult = Result<Vec<Result<ForeignKeyOutcome>>>;

/// Adds the foreign keys NOT VALID, in batches of one round trip. Keys that the source has validated
/// are complete only after [`validate_foreign_key`], except those of partitioned tables before version
/// 18, which are complete here and take their time.
///
/// Each addition locks both tables against writes, and a batch locks many: one session should do
/// them all, which is quick because no row is read.
///
/// # Errors
/// See [`ForeignKeyBatchResult`]. Not cancel safe.
pub async fn add_foreign_keys(session: &mut Session, keys: &[ForeignKey]) -> ForeignKeyBatchResult {
    let version = session.version();
    let mut results = Vec::with_capacity(keys.len());
    for batch in keys.chunks(BATCH_LENGTH_MAX) {
        let existing = find_existing(session, batch).await?;
        let reads_rows =
            batch.iter().zip(&existing).any(|(key, existing)| key.reads_rows(existing, version));
        if !reads_rows {
            let statements: Vec<String> = batch
                .iter()
                .zip(&existing)
                .flat_map(|(key, existing)| add_statements(key, existing, version))
                .collect();
            let started = Instant::now();
            match transaction::run(session, &statements).await {
                Ok(()) => {
                    let count = u32::try_from(batch.len().max(1)).unwrap_or(u32::MAX);
                    let share = started.elapsed() / count;
                    results.extend(batch.iter().zip(&existing).map(|(key, existing)| {
                        outcome(key, existing).map(|outcome| key.done(outcome, share))
                    }));
                    continue;
                }
                Err(error) if !is_local(&error) => return Err(error.during("add foreign keys")),
                Err(_) => {}
            }
        }
        for (key, existing) in batch.iter().zip(&existing) {
            let statements = add_statements(key, existing, version);
            results.push(one(session, key, existing, &statements).await?);
        }
    }
    Ok(results)
}

impl ForeignKey {
    /// Whether adding it reads its rows.
    fn reads_rows(&self, existing: &Existing, version: u32) -> bool {
        self.validated
            && existing.definition.is_none()
            && existing.partitioned
            && version < VERSION_PARTITIONED_NOT_VALID
    }

    /// The outcome of success.
    fn done(&self, outcome: Outcome, duration: Duration) -> ForeignKeyOutcome {
        ForeignKeyOutcome::Done(Built { oid: self.oid, outcome, duration })
    }
}

/// Runs the statements of one key. Outer error: the session is lost.
async fn one(
    session: &mut Session,
    key: &ForeignKey,
    existing: &Existing,
    statements: &[String],
) -> Result<Result<ForeignKeyOutcome>> {
    let started = Instant::now();
    let outcome = match outcome(key, existing) {
        Ok(outcome) => outcome,
        Err(error) => return Ok(Err(error)),
    };
    match transaction::run(session, statements).await {
        Ok(()) => Ok(Ok(key.done(outcome, started.elapsed()))),
        Err(error) if error.sqlstate() == Some(FOREIGN_KEY_VIOLATION) => {
            let finding = degraded(session, key, existing, &error).await?;
            Ok(Ok(ForeignKeyOutcome::Degraded(finding)))
        }
        Err(error) if is_local(&error) => Ok(Err(error.during(label(key)))),
        Err(error) => Err(error.during(label(key))),
    }
}

/// Validates one foreign key, reading both tables. Returns at once for keys that the source never
/// validated and for keys that are valid already.
///
/// Takes locks that let readers and writers pass, so many may be validated at once, several of one
/// table included.
///
/// # Errors
/// What the server reports, except that rows contradict the key: that is
/// [`ForeignKeyOutcome::Degraded`]. Not cancel safe.
pub async fn validate_foreign_key(
    session: &mut Session,
    key: &ForeignKey,
) -> Result<ForeignKeyOutcome> {
    let existing =
        find_existing(session, std::slice::from_ref(key)).await?.pop().unwrap_or_default();
    let statements = validate_statements(key, &existing);
    one(session, key, &existing, &statements).await?
}

/// Names a key in messages.
fn label(key: &ForeignKey) -> String {
    format!("add foreign key {} to {}", quote_identifier(&key.name), key.table)
}

/// Whether what exists is the key asked for.
fn outcome(key: &ForeignKey, existing: &Existing) -> Result<Outcome> {
    let expected = key.definition.strip_suffix(NOT_VALID).unwrap_or(&key.definition);
    match &existing.definition {
        None => Ok(Outcome::Created),
        Some(found) if found == expected => Ok(Outcome::AlreadyThere),
        Some(found) => Err(definition_differs(&key.table, &key.name, expected, found)),
    }
}

/// ALTER TABLE … ADD CONSTRAINT with this definition. Without ONLY, which partitioned tables refuse.
fn add_constraint(key: &ForeignKey, definition: &str) -> String {
    let name = quote_identifier(&key.name);
    format!("alter table {} add constraint {name} {definition}", key.table.sql())
}

/// The statements that add one key, without reading rows where that can be.
fn add_statements(key: &ForeignKey, existing: &Existing, version: u32) -> Vec<String> {
    if outcome(key, existing).is_err() {
        return Vec::new();
    }
    let mut statements = Vec::new();
    if existing.definition.is_none() {
        let later = key.validated && !key.reads_rows(existing, version);
        let suffix = if later { NOT_VALID } else { "" };
        statements.push(add_constraint(key, &format!("{}{suffix}", key.definition)));
    }
    statements.extend(key.mark.clone());
    statements
}

/// The statements that complete one key.
fn validate_statements(key: &ForeignKey, existing: &Existing) -> Vec<String> {
    let mut statements = Vec::new();
    if existing.definition.is_none() {
        statements.push(add_constraint(key, &key.definition));
    } else if key.validated && !existing.validated {
        let name = quote_identifier(&key.name);
        statements.push(format!("alter table {} validate constraint {name}", key.table.sql()));
    }
    statements.extend(key.mark.clone());
    statements
}

/// Describes a key that its rows contradict.
async fn degraded(
    session: &mut Session,
    key: &ForeignKey,
    existing: &Existing,
    error: &Error,
) -> Result<Finding> {
    let kept = existing.definition.is_some();
    let state = if kept { "it was left NOT VALID" } else { "it was left out" };
    let samples = match sample_keys(session, key).await {
        Ok(Some(samples)) => format!("; {samples}"),
        Err(error) if !is_local(&error) => return Err(error),
        // The server's own detail names one key.
        Ok(None) | Err(_) => error
            .as_server()
            .and_then(|server| server.detail.as_deref())
            .map(|detail| format!("; {detail}"))
            .unwrap_or_default(),
    };
    let name = quote_identifier(&key.name);
    let statement = if kept {
        format!("ALTER TABLE {} VALIDATE CONSTRAINT {name}", key.table.sql())
    } else {
        format!("ALTER TABLE {} ADD CONSTRAINT {name} {}", key.table.sql(), key.definition)
    };
    Ok(Finding {
        severity: Severity::Error,
        object: format!("{} constraint {name}", key.table),
        reason: format!(
            "foreign key not valid: rows reference what {} does not have, {state}{samples}",
            key.referenced
        ),
        hint: Some(format!(
            "Add the missing rows or correct the referencing ones, then run `{statement}` on the \
             target."
        )),
    })
}

/// Up to five keys that reference nothing; `None` when the key is not on the target, and for temporal
/// keys, whose periods several rows may cover together.
async fn sample_keys(session: &mut Session, key: &ForeignKey) -> Result<Option<String>> {
    if key.definition.contains(", PERIOD ") {
        return Ok(None);
    }
    let params = [&key.table.schema, &key.table.name, &key.name].map(|text| Some(text.as_str()));
    let query = session.query(ORPHAN_QUERY_SQL, &params).await?;
    let Some(row) = query.rows.first() else { return Ok(None) };
    let columns = row.text(0)?;
    let keys = session.query(row.text(1)?, &[]).await?;
    let keys: Vec<&str> = keys.rows.iter().map(|row| row.text(0)).collect::<Result<_>>()?;
    Ok(Some(format!("sample keys ({columns}): {}", keys.join(", "))))
}

/// Looks up what the target has under the keys' names.
async fn find_existing(session: &mut Session, keys: &[ForeignKey]) -> Result<Vec<Existing>> {
    let schemas = array_literal(keys.iter().map(|key| key.table.schema.as_str()));
    let tables = array_literal(keys.iter().map(|key| key.table.name.as_str()));
    let names = array_literal(keys.iter().map(|key| key.name.as_str()));
    let params = [&schemas, &tables, &names].map(|text| Some(text.as_str()));
    let mut existing = vec![Existing::default(); keys.len()];
    for row in &session.query(EXISTING_SQL, &params).await?.rows {
        let index = row.parse::<usize>(0)?.wrapping_sub(1);
        let Some(slot) = existing.get_mut(index) else {
            return Err(Error::internal("a foreign key look-up answered for a name not asked for"));
        };
        *slot = Existing {
            partitioned: row.flag(1)?,
            definition: row.optional_text(2)?.map(str::to_owned),
            validated: row.flag(3)?,
        };
    }
    Ok(existing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ForeignKey {
        ForeignKey {
            name: "o_c".into(),
            table: QualifiedName::new("s", "o"),
            referenced: QualifiedName::new("s", "c"),
            definition: "FOREIGN KEY (c) REFERENCES s.c(id) DEFERRABLE".into(),
            validated: true,
            mark: Some("mark".into()),
            ..ForeignKey::default()
        }
    }

    const ADD: &str = "alter table \"s\".\"o\" add constraint \"o_c\" FOREIGN KEY (c) REFERENCES \
                       s.c(id) DEFERRABLE";

    #[test]
    fn a_key_is_added_unvalidated_then_validated() {
        let missing = Existing::default();
        assert_eq!(
            add_statements(&key(), &missing, 150_000),
            [format!("{ADD} NOT VALID"), "mark".into()]
        );
        let added = Existing { definition: Some(key().definition), ..Existing::default() };
        assert_eq!(add_statements(&key(), &added, 150_000), ["mark"]);
        assert_eq!(
            validate_statements(&key(), &added),
            ["alter table \"s\".\"o\" validate constraint \"o_c\"", "mark"]
        );
        let valid = Existing { validated: true, ..added };
        assert_eq!(validate_statements(&key(), &valid), ["mark"]);
    }

    #[test]
    fn a_key_that_the_source_never_validated_stays_so() {
        let definition = format!("{} NOT VALID", key().definition);
        let key = ForeignKey { validated: false, definition, ..key() };
        let missing = Existing::default();
        assert_eq!(
            add_statements(&key, &missing, 150_000),
            [format!("{ADD} NOT VALID"), "mark".into()]
        );
        let added = Existing {
            definition: Some("FOREIGN KEY (c) REFERENCES s.c(id) DEFERRABLE".into()),
            ..Existing::default()
        };
        assert_eq!(outcome(&key, &added).unwrap(), Outcome::AlreadyThere);
        assert_eq!(validate_statements(&key, &added), ["mark"]);
    }

    // trap D-7
    #[test]
    fn partitioned_tables_before_18_get_their_key_in_one_go() {
        let missing = Existing { partitioned: true, ..Existing::default() };
        assert_eq!(add_statements(&key(), &missing, 170_000), [ADD, "mark"]);
        assert_eq!(
            add_statements(&key(), &missing, 180_000),
            [format!("{ADD} NOT VALID"), "mark".into()]
        );
        assert_eq!(validate_statements(&key(), &missing), [ADD, "mark"]);
    }
}
