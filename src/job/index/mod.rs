//! Indexes and constraints of the target, built out of band from the source's definitions (K10).
//!
//! ```text
//! rows loaded ─► build       CREATE INDEX, several per table and several tables at once
//!                  │         statistics targets, extension dependency, tablespace
//!                  ▼ (last index of the table)
//!                constraint  ADD CONSTRAINT … USING INDEX, or from the definition
//!                  │         REPLICA IDENTITY, CLUSTER ON
//!                  ▼ (all tables)
//!                foreign_key ADD … NOT VALID, then VALIDATE in parallel (K11)
//! ```
//!
//! Rules that hold everywhere here:
//!
//! - What exists with the same definition is done; what an interrupted run left is cleaned first
//!   (trap X-9). What exists with another definition is an error that shows both.
//! - The caller's `mark` (its ledger row) commits in the transaction of the work it speaks of.
//! - Deadlocks and lock timeouts are tried again a bounded number of times.
//! - A failure inside a batch is pinned to its object: the batch is rolled back and its members
//!   are tried one by one, so the others are still built.
//!
//! `pg_dump` hides statements in index and constraint entries; [`IndexDetails`] and
//! [`constraint::TableConstraints`] carry them (trap D-12). To add one more of these: a field
//! there, its statement in `detail_statements`, a fixture in `tests/indexes.rs`.

pub mod build;
pub mod constraint;
pub mod foreign_key;
pub mod settle;
mod transaction;

use std::time::Duration;

use crate::base::error::{Error, Result};
use crate::base::ident::{QualifiedName, quote_identifier, quote_literal};
use crate::catalog::model::Oid;

pub use build::{IndexBuild, build_many};
pub use constraint::{ConstraintAdd, ConstraintIndex, TableConstraints, add_constraints};
pub use foreign_key::{ForeignKey, ForeignKeyOutcome, add_foreign_keys, validate_foreign_key};
pub use settle::{Settled, settle};

/// What belongs to an index and is not in `pg_get_indexdef`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexDetails {
    /// Tablespace, when not the database's default and when tablespaces are restored at all.
    pub tablespace: Option<String>,
    /// Statistics targets that differ from the default: column number (from 1), target.
    pub statistics: Vec<(i16, i32)>,
    /// Extensions that it depends on.
    pub depends_on_extensions: Vec<String>,
}

/// How an object came to be on the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was missing and is there now.
    Created,
    /// It was there already, with the same definition.
    AlreadyThere,
    /// An invalid or stale one was dropped first.
    Rebuilt,
}

/// One object that is on the target now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Built {
    /// Source identifier of the index or constraint.
    pub oid: Oid,
    /// How it came to be there.
    pub outcome: Outcome,
    /// How long it took; inside a batch an equal share of the batch's time.
    pub duration: Duration,
}

/// A result per object, in the order asked for.
///
/// An outer error means that the session is lost; an inner one that this object could not be built
/// and the session may be used on.
pub type BatchResult = Result<Vec<Result<Built>>>;

/// Most statements sent in one transaction.
///
/// Each built index holds a lock until the commit; the default lock table has room for 6400 in all,
/// so 64 sessions with batches of this size still fit.
const BATCH_LENGTH_MAX: usize = 100;

/// The statements that give an index its details, without the tablespace.
fn detail_statements(index: &QualifiedName, details: &IndexDetails) -> Vec<String> {
    let index = index.sql();
    let statistics = details.statistics.iter().map(|(column, target)| {
        format!("alter index {index} alter column {column} set statistics {target}")
    });
    let extensions = details.depends_on_extensions.iter().map(|extension| {
        format!("alter index {index} depends on extension {}", quote_identifier(extension))
    });
    statistics.chain(extensions).collect()
}

/// Wraps a statement that creates an index so that it lands in the right tablespace.
fn in_tablespace(tablespace: Option<&str>, statement: String) -> Vec<String> {
    match tablespace {
        None => vec![statement],
        Some(name) => vec![
            // A GUC that holds an identifier takes it as a plain string, quoted as a literal only.
            format!("set local default_tablespace = {}", quote_literal(name)),
            statement,
            "set local default_tablespace = ''".to_owned(),
        ],
    }
}

/// Whether an error concerns one object only, so that the session may go on with the next.
fn is_local(error: &Error) -> bool {
    error.as_server().is_some_and(|server| server.severity == "ERROR")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_become_statements_with_quoted_names() {
        let details = IndexDetails {
            tablespace: None,
            statistics: vec![(1, 500), (3, 0)],
            depends_on_extensions: vec!["my ext".into()],
        };
        assert_eq!(
            detail_statements(&QualifiedName::new("s", "i\"x"), &details),
            [
                "alter index \"s\".\"i\"\"x\" alter column 1 set statistics 500",
                "alter index \"s\".\"i\"\"x\" alter column 3 set statistics 0",
                "alter index \"s\".\"i\"\"x\" depends on extension \"my ext\"",
            ]
        );
    }

    #[test]
    fn a_tablespace_lasts_for_one_statement() {
        assert_eq!(
            in_tablespace(Some("fa'st"), "create".into()),
            [
                "set local default_tablespace = 'fa''st'",
                "create",
                "set local default_tablespace = ''"
            ]
        );
        assert_eq!(in_tablespace(None, "create".into()), ["create"]);
    }
}
